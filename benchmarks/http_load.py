"""Load by wrk, which hardly computes: as many requests as possible, or clients that think between requests."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import commands
from benchmarks.commands import CannotMeasure

BOUNDARY = "fruits"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
SCRIPT = """
local requests, number = {{}}, 0
local pause_ms = tonumber(os.getenv("PAUSE_MS"))
wrk.method = "POST"
wrk.headers["Content-Type"] = "{type}"
function init()
  for index = 0, {count} - 1 do
    local file = io.open("{folder}/" .. index, "rb")
    requests[index + 1] = wrk.format("POST", "/predict", nil, file:read("*a"))
    file:close()
  end
end
function request()
  number = number % {count} + 1
  return requests[number]
end
if pause_ms then
  function delay()
    return math.floor(-pause_ms * math.log(1 - math.random()) + 0.5)
  end
end
"""


def write_requests(photos: Sequence[Path], folder: Path) -> None:
    """Write the body of one request per photo, and the script with which wrk sends them in turns."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed; on Debian: apt-get install wrk")
    for number, photo in enumerate(photos):
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n\r\n'
        (folder / str(number)).write_bytes(head.encode() + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode())
    (folder / "script.lua").write_text(SCRIPT.format(type=TYPE, count=len(photos), folder=folder))


@dataclass(frozen=True)
class Load:
    """What a service did under a load, all of whose requests it answered."""

    requests_per_s: float
    median_ms: float
    p99_ms: float


def send(url: str, folder: Path, *, clients: int, seconds: int, pause_ms: float | None = None) -> Load:
    """Send requests from `clients` clients, each when its last one is answered.

    Parameters
    ----------
    pause_ms
        Mean time that a client waits between an answer and its next request; distributed exponentially, so that clients do not
        fall into step. None: no wait.
    """
    environment = {} if pause_ms is None else {"PAUSE_MS": f"{pause_ms:.3f}"}
    script = str(folder / "script.lua")
    argv = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", script, f"{url}/predict"]
    output = commands.run(argv, environment).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise CannotMeasure(f"{url} did not answer every request:\n{output}")
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", output)[1])
    return Load(
        rate, _milliseconds(_found(r"50%\s+([\d.]+)(us|ms|s)", output)), _milliseconds(_found(r"99%\s+([\d.]+)(us|ms|s)", output))
    )


def _milliseconds(found: re.Match[str]) -> float:
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def _found(pattern: str, output: str) -> re.Match[str]:
    match = re.search(pattern, output)
    if match is None:
        raise CannotMeasure(f"wrk printed no {pattern}:\n{output}")
    return match
