"""make bench-scale: seconds per image and peak memory, from a thousand photos to fifty thousand."""

import argparse
import shutil
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks import rig
from benchmarks.measuring import Outcome, Samples, add_counts, add_images, alternate, main, parser
from benchmarks.memory import ALL, KINDS, Peaks
from benchmarks.rig import CORES, CannotMeasure, Code, Photo, Rig
from local.stack import spark

SIZES = "1000,5000,20000,50000"
SMALL, LARGE = 5_000, 50_000
# A Spark of one machine whose executor is a process of its own, as on a cluster; local[*] has it inside the driver.
CLUSTER = {"spark.master": f"local-cluster[1,{CORES},4096]", "spark.executor.cores": str(CORES)}


def measure(arguments: argparse.Namespace) -> Outcome:
    """Run the stage on more and more of the same photos."""
    sizes = sorted(int(word) for word in arguments.sizes.split(","))
    if len(sizes) < 2:
        raise CannotMeasure("a growth needs two sizes: give SIZES=1000,5000 or more")
    with rig.open_rig() as opened, _folder_of_workers():
        photos = rig.upload(opened, arguments.images, count=sizes[-1])
        code = rig.publish(opened)
        runs = {size: partial(_featurize, opened, code, photos[:size], arguments.engine) for size in sizes}
        # large sizes take minutes and vary little: each runs once, and more often only while that costs no more photos
        rounds = {size: max(1, min(arguments.repetitions, arguments.photos_per_size // size)) for size in sizes}
        figures = None
        for number in range(max(rounds.values())):
            due = {f"{size:,} photos": runs[size] for size in sizes if number < rounds[size]}
            figures = alternate(due, repetitions=1, figures=figures)
    assert figures is not None
    medians = {
        size: {what: statistics.median(values) for what, values in figures.samples[f"{size:,} photos"].items()} for size in sizes
    }
    small, large = (size if size in sizes else other for size, other in ((SMALL, sizes[0]), (LARGE, sizes[-1])))
    growth = {what: medians[large][what] / medians[small][what] for what in medians[small] if medians[small][what]}
    return Outcome(
        figures=figures,
        ratios={"time_growth": growth["seconds per image"], "memory_growth": growth[f"memory, {ALL}"]},
        units={"seconds per image": "s", **{f"memory, {kind}": "MB" for kind in (*KINDS, ALL)}, "files": ""},
        settings={
            "sizes": {str(size): rounds[size] for size in sizes},
            "growth": f"{large:,} photos over {small:,}",
            "engine": arguments.engine,
            "spark": CLUSTER,
        },
        checks={"growth of each": growth},
    )


@contextmanager
def _folder_of_workers() -> Iterator[None]:
    """Delete what local-cluster leaves beside Spark itself: its workers know no other place."""
    try:
        yield
    finally:
        shutil.rmtree(spark.spark_home() / "work", ignore_errors=True)


def _featurize(opened: Rig, code: Code, photos: list[Photo], engine: str) -> Samples:
    peaks = Peaks()
    done = rig.featurize(opened, code, photos, run="scale", engine=engine, conf=CLUSTER, watch=peaks.watch)
    rig.delete(opened, done.folder)
    return {
        "seconds per image": done.manifest.seconds / len(photos),
        **{f"memory, {kind}": value for kind, value in peaks.mb.items()},
        "files": float(len(done.manifest.files)),
    }


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this benchmark."""
    made = parser("scale", __doc__)
    add_images(made)
    add_counts(made, photos_per_size=(25_000, "photos that the rounds of one size have together at most, a first round aside"))
    made.add_argument("--sizes", default=SIZES, metavar="N,N", help="photos (default: %(default)s)")
    made.add_argument("--engine", default="litert", metavar="NAME", help="default: %(default)s")
    return made


if __name__ == "__main__":
    sys.exit(main("scale", arguments().parse_args(), measure))
