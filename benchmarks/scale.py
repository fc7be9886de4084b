"""make bench-scale: seconds per image and peak memory, from a thousand photos to fifty thousand."""

import argparse
import sys
from functools import partial

from benchmarks import command_line
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import s3_only
from benchmarks.featurize_step import PhotoRow, run_step, upload_code, upload_photos
from benchmarks.memory import TOTAL, sampled_peaks
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from benchmarks.spark_step import LOCAL_CLUSTER, clean_worker_files
from fruits_contract.features_pipeline import FeaturesRunParams

SIZES = "1000,5000,20000,50000"
SMALL, LARGE = 5_000, 50_000
SECONDS, MEMORY = "seconds per image", f"memory, {TOTAL} (MB)"


def measure(arguments: argparse.Namespace) -> Results:
    """Run the step on more and more of the same photos."""
    sizes: list[int] = arguments.sizes
    if len(sizes) < 2:
        raise CannotMeasure("growth needs two sizes, e.g. OPTIONS='--sizes 1000,5000'")
    with clean_worker_files(), s3_only():
        photos = upload_photos(arguments.images, count=sizes[-1])
        code = upload_code()
        contenders = {_name(size): partial(_run, code, photos[:size]) for size in sizes}
        rounds = alternate(contenders, repetitions=arguments.repetitions)
    small = _name(SMALL if SMALL in sizes else sizes[0])
    large = _name(LARGE if LARGE in sizes else sizes[-1])
    quantities = [quantity for quantity in rounds.samples[small] if rounds.median(small, quantity)]
    growth = {quantity: rounds.median(large, quantity) / rounds.median(small, quantity) for quantity in quantities}
    return Results(
        rounds,
        ratios={"time_growth": growth[SECONDS], "memory_growth": growth[MEMORY]},
        settings={"growth": f"{large} over {small}", "spark": LOCAL_CLUSTER},
        checks={"growth of each": growth},
    )


def _name(size: int) -> str:
    return f"{size:,} photos"


def _run(code: FeaturesRunParams, photos: list[PhotoRow]) -> Samples:
    with sampled_peaks() as peaks:
        done = run_step(code, photos, run="scale", conf=LOCAL_CLUSTER)
    return {
        SECONDS: done.manifest.seconds / len(photos),
        **{f"memory, {kind} (MB)": peak_mb for kind, peak_mb in peaks.items()},
        "files": float(len(done.manifest.files)),
    }


if __name__ == "__main__":
    parser = command_line.parser("scale", __doc__, images=True, repetitions=1)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="photos (default: %(default)s)")
    sys.exit(command_line.main("scale", parser.parse_args(), measure))
