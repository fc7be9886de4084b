"""make bench-latency: the speed that is left when each GET takes 30 ms longer."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import urlsplit

import tenacity

from benchmarks import children, rig
from benchmarks.measuring import Outcome, Samples, add_counts, add_images, alternate, main, parser, ratio
from benchmarks.rig import Code, Photo, Rig

DELAYS_MS = {"0 ms": 0, "30 ms": 30}
UNITS = {"images/s": "1/s", "stage": "s"}
START_LIMIT_S = 20


@contextmanager
def behind_proxy(opened: Rig, delay_ms: float) -> Iterator[Rig]:
    """Have the server reachable through a proxy only; without a delay as well, so that the proxy itself is in both figures."""
    port = urlsplit(opened.env["AWS_ENDPOINT_URL_S3"]).port
    words = [sys.executable, "-m", "benchmarks.proxy", "--to", str(port), "--delay-ms", str(delay_ms)]
    folder = opened.scratch("proxy")
    with children.started(words, env=opened.env, folder=folder):
        said = tenacity.Retrying(
            stop=tenacity.stop_after_delay(START_LIMIT_S),
            wait=tenacity.wait_fixed(0.1),
            retry=tenacity.retry_if_result(lambda text: not text.endswith("\n")),
        )((folder / "stdout").read_text)
        yield opened.behind(f"http://127.0.0.1:{said.strip()}")


def measure(arguments: argparse.Namespace) -> Outcome:
    """Run the stage with and without delay, in turns."""
    with rig.open_rig() as opened, ExitStack() as stack:
        photos = rig.upload(opened, arguments.images, count=arguments.photos)
        code = rig.publish(opened)
        runs = {
            name: partial(_featurize, stack.enter_context(behind_proxy(opened, delay_ms)), code, photos, arguments.engine)
            for name, delay_ms in DELAYS_MS.items()
        }
        figures = alternate(runs, repetitions=arguments.repetitions)
    with_delay, without = figures.of("30 ms", "images/s"), figures.of("0 ms", "images/s")
    return Outcome(
        figures=figures,
        ratios={"kept": ratio(with_delay, without)},
        units=UNITS,
        settings={"photos": arguments.photos, "engine": arguments.engine},
    )


def _featurize(seen: Rig, code: Code, photos: list[Photo], engine: str) -> Samples:
    done = rig.featurize(seen, code, photos, run="latency", engine=engine)
    rig.delete(seen, done.folder)
    return {"images/s": done.images_per_s, "stage": done.manifest.seconds}


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this benchmark."""
    made = parser("latency", __doc__)
    add_images(made)
    add_counts(made, photos=(4_320, "photos of each run"))
    made.add_argument("--engine", default="litert", metavar="NAME", help="default: %(default)s")
    return made


if __name__ == "__main__":
    sys.exit(main("latency", arguments().parse_args(), measure))
