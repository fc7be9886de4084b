"""Free TCP ports on this machine; a preferred one when it is free."""

import contextlib
import random
import socket
from collections.abc import Iterable

GRPC_OFFSET = 10_000
# with the offset added still below the ports that the kernel gives to clients
RANGE = range(12_000, 22_000)


def is_free(port: int) -> bool:
    """Return whether a server could listen on 127.0.0.1 at `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
            return True
    return False


def choose(preferred: dict[str, int], *, with_grpc: Iterable[str] = ()) -> dict[str, int]:
    """Return a free port for every name.

    Parameters
    ----------
    with_grpc
        Names of servers that also listen on their port + 10,000 (SeaweedFS); both must be free.
    """
    chosen: dict[str, int] = {}
    taken: set[int] = set()
    for name, first_choice in preferred.items():
        offsets = (0, GRPC_OFFSET) if name in with_grpc else (0,)
        for port in (first_choice, *random.sample(RANGE, 500)):
            wanted = {port + offset for offset in offsets}
            if not wanted & taken and all(is_free(each) for each in wanted):
                chosen[name] = port
                taken |= wanted
                break
        else:
            raise OSError(f"no free port for {name}: tried {first_choice} and 500 between {RANGE.start} and {RANGE.stop}")
    return chosen
