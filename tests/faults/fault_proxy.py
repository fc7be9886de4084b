"""An HTTP proxy on the loopback interface that answers some requests itself: errors that the real servers cannot be asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from threading import Thread

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web
from yarl import URL

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class FaultProxy:
    """Forwards every request unchanged, its Host header included because S3's clients sign it, unless `fault` answers it.

    Parameters
    ----------
    target_port
        Returns the server's port, which may change while the proxy runs.
    """

    def __init__(self, target_port: Callable[[], int]) -> None:
        self._target_port = target_port
        self.fault: Fault | None = None
        self.port = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve in a thread while the body runs."""
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            stop = loop.run_until_complete(self._start())
            thread = Thread(target=loop.run_forever, daemon=True)
            thread.start()
            try:
                yield
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.run_until_complete(stop())

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Let requests meet the fault while the body runs."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    async def _start(self) -> Callable[[], Awaitable[None]]:
        self._client = ClientSession(
            auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None), trust_env=False
        )
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]

        async def stop() -> None:
            await runner.cleanup()
            await self._client.close()

        return stop

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.fault is not None and (answer := await self.fault(request)) is not None:
            return answer
        url = URL(f"http://127.0.0.1:{self._target_port()}{request.raw_path}", encoded=True)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        try:
            answer = await self._client.request(
                request.method,
                url,
                headers=headers,
                data=await request.read() or None,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                allow_redirects=False,
            )
        except OSError:  # the server is away: so is the proxy
            return drop_connection(request)
        async with answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
            response = web.StreamResponse(status=answer.status, headers=dict(kept))
            await response.prepare(request)
            async for chunk in answer.content.iter_chunked(2**16):
                await response.write(chunk)
            await response.write_eof()
            return response


def drop_connection(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=502)


async def away(request: web.Request) -> web.StreamResponse:
    """Answer nothing at all."""
    return drop_connection(request)


def slow(seconds: float) -> Fault:
    """Return a fault that delays every request."""

    async def fault(request: web.Request) -> None:
        await asyncio.sleep(seconds)

    return fault


def one_in(every: int, answer: Callable[[], web.Response]) -> Fault:
    """Return a fault that meets one in n requests, at random: every n-th one may always be the same of a repeated sequence."""
    random = Random(0)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        return answer() if random.random() < 1 / every else None

    return fault


def when(is_meant: Callable[[web.Request], bool], act: Callable[[], None]) -> Fault:
    """Return a fault that acts once, before the first request that is meant is forwarded."""
    acted = False

    async def fault(request: web.Request) -> None:
        nonlocal acted
        if not acted and is_meant(request):
            acted = True
            await asyncio.to_thread(act)

    return fault


def slow_down() -> web.Response:
    """Return S3's answer to too many requests."""
    body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    return web.Response(status=503, text=body, content_type="application/xml")


def throttled() -> web.Response:
    """Return EMR's answer to too many requests."""
    return web.json_response({"__type": "ThrottlingException", "message": "Rate exceeded"}, status=400)


def internal_error() -> web.Response:
    """Return EMR's answer when it fails itself."""
    return web.json_response({"__type": "InternalServerException", "message": "try again"}, status=500)
