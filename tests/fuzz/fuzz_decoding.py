"""Feeds `fruits.vision.decode` with mutated photos for as long as it has not seen `--runs` of them (`make fuzz`).

Guided by the coverage of `fruits` and of Pillow's Python code; Pillow's decoders in C run, but are not instrumented. `decode` may
return a picture or raise `UnreadableImage`. Anything else stops the run, and the input is kept in `out/fuzz/`; so does an input
that takes longer than `INPUT_LIMIT_S`. Seeds are `corpus/` and the small photos of `tests.fixtures.odd_photos`. What raises the
coverage is kept in `out/fuzz/corpus/`, so that the next run goes on from there.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "fruits"]):
    from PIL import Image

    from fruits import vision
    from fruits.errors import UnreadableImage

    Image.init()  # imports the plugins

import numpy as np

from tests.fixtures.odd_photos import ODD_PHOTOS

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).with_name("corpus")
FOUND = ROOT / "out" / "fuzz"
GROWN = FOUND / "corpus"
MAX_INPUT_BYTES = 4096
MAX_PIXELS = 1_000_000  # instead of 100 million: larger ones only take longer
INPUT_LIMIT_S = 20


class Fuzzed:
    """Decodes the inputs, and counts what became of them.

    Parameters
    ----------
    runs
        After so many inputs the figures are printed, as a line of JSON: libFuzzer ends the process without leaving `main`.
    """

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._outcomes: Counter[str] = Counter()
        self._slowest_ms = 0.0

    def check(self, content: bytes) -> None:
        """Decode an input; raise whatever is neither a picture nor a refusal."""
        began = time.thread_time()
        try:
            image, _, _ = vision.decode(content)
        except UnreadableImage as error:
            self._outcomes[error.reason] += 1
        else:
            assert np.isfinite(image).all()
            self._outcomes["features"] += 1
        cpu_ms = 1000 * (time.thread_time() - began)
        if cpu_ms > self._slowest_ms:
            self._slowest_ms = cpu_ms
            (FOUND / "slowest").write_bytes(content)
        if self._outcomes.total() == self._runs:
            figures = {
                "inputs": self._runs,
                "outcomes": dict(self._outcomes.most_common()),
                "slowest_cpu_ms": round(self._slowest_ms),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
            print(json.dumps(figures), flush=True)


def main() -> None:
    """Run libFuzzer; other arguments are its own, e.g. -seed=1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    arguments, others = parser.parse_known_args()
    vision.MAX_PIXELS = MAX_PIXELS
    GROWN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as seeds:
        for number, photo in enumerate(photo for photo in ODD_PHOTOS if photo.stored and not photo.name.startswith("Sizes/")):
            content = photo.make()
            if len(content) <= MAX_INPUT_BYTES:
                Path(seeds, f"{number}").write_bytes(content)
        limits = [f"-runs={arguments.runs}", f"-max_len={MAX_INPUT_BYTES}", f"-timeout={INPUT_LIMIT_S}"]
        folders = [str(GROWN), str(CORPUS), seeds]  # libFuzzer writes what is new into the first
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={FOUND}/", *others, *folders], Fuzzed(arguments.runs).check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
