"""Load from programs that hardly compute: wrk for as many requests as possible, hey for a fixed rate."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import commands
from benchmarks.commands import CannotMeasure

BOUNDARY = "fruits"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
SCRIPT = """
local requests, number = {{}}, 0
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
"""


def write_requests(photos: Sequence[Path], folder: Path) -> None:
    """Write the body of one request per photo, and the script with which wrk sends them in turns."""
    for program in ("wrk", "hey"):
        if shutil.which(program) is None:
            raise CannotMeasure(f"{program} is not installed; on Debian: apt-get install wrk hey")
    for number, photo in enumerate(photos):
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n\r\n'
        (folder / str(number)).write_bytes(head.encode() + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode())
    (folder / "script.lua").write_text(SCRIPT.format(type=TYPE, count=len(photos), folder=folder))


def requests_per_s(url: str, folder: Path, *, clients: int, seconds: int) -> float:
    """Send requests without a pause from `clients` clients, and return how many a second were answered, all with success."""
    argv = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(folder / "script.lua"), f"{url}/predict"]
    output = commands.run(argv).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise CannotMeasure(f"{url} did not answer every request:\n{output}")
    return float(_found(r"Requests/sec:\s+([\d.]+)", output))


def latency_ms(url: str, folder: Path, *, clients: int, rate_per_s: float, seconds: int) -> tuple[float, float]:
    """Send requests at a fixed rate, and return the median and the 99th percentile of their milliseconds."""
    argv = ["hey", "-z", f"{seconds}s", "-c", str(clients), "-q", f"{rate_per_s / clients:.3f}"]
    output = commands.run([*argv, "-m", "POST", "-T", TYPE, "-D", str(folder / "0"), f"{url}/predict"]).stdout
    if re.search(r"\[[345]\d\d\]\s+\d+ responses", output) or "Error distribution" in output:
        raise CannotMeasure(f"{url} did not answer every request:\n{output}")
    return float(_found(r"50% in ([\d.]+) secs", output)) * 1000, float(_found(r"99% in ([\d.]+) secs", output)) * 1000


def _found(pattern: str, output: str) -> str:
    match = re.search(pattern, output)
    if match is None:
        raise CannotMeasure(f"the load generator printed no {pattern}:\n{output}")
    return match[1]
