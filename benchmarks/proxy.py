"""A proxy on the loopback interface that holds each GET back: the latency of an S3 that is not on this machine.

It passes bytes on unchanged, the Host header with its port included, so what was signed stays true. It must not know S3.
"""

import argparse
import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter

CHUNK = 2**16


async def serve(target_port: int, delay_s: float) -> None:
    """Listen on a free port, say which, and serve until this process is ended."""

    async def connect(reader: StreamReader, writer: StreamWriter) -> None:
        above_reader, above_writer = await asyncio.open_connection("127.0.0.1", target_port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_pass(reader, above_writer, delay_s=delay_s), _pass(above_reader, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def _pass(reader: StreamReader, writer: StreamWriter, *, delay_s: float = 0.0) -> None:
    """Pass on what comes; a GET has no body and its sender waits, so its line is always the start of what is read."""
    try:
        while content := await reader.read(CHUNK):
            if delay_s and content.startswith(b"GET "):
                await asyncio.sleep(delay_s)
            writer.write(content)
            await writer.drain()
    finally:
        writer.close()


def main() -> None:
    """Run the proxy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--delay-ms", type=float, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.to, arguments.delay_ms / 1000))


if __name__ == "__main__":
    main()
