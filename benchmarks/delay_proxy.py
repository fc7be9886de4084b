"""A proxy on the loopback interface that delays each GET: the latency of an S3 that is not on this machine."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

CHUNK = 2**16


@contextmanager
def delay_proxy(target_port: int, *, delay_s: float) -> Iterator[str]:
    """Run the proxy in a thread while the body runs; yield its URL.

    All bytes are passed on unchanged, the Host header with its port included: it is part of what an S3 client signs.
    """

    async def connect(reader: StreamReader, writer: StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target_port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_forward(reader, server_writer, delay_s=delay_s), _forward(server_reader, writer))

    with asyncio.Runner() as runner:  # cancels what is left of the connections
        loop = runner.get_loop()
        server = loop.run_until_complete(asyncio.start_server(connect, "127.0.0.1", 0))
        thread = Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()


async def _forward(reader: StreamReader, writer: StreamWriter, *, delay_s: float = 0.0) -> None:
    """Forward one direction; a GET has no body and its client waits for the response, so a chunk begins with its request line."""
    try:
        while content := await reader.read(CHUNK):
            if delay_s and content.startswith(b"GET "):
                await asyncio.sleep(delay_s)
            writer.write(content)
            await writer.drain()
    finally:
        writer.close()
