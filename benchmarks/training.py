"""make bench-training: seconds and peak memory of train_classifier, from 22,688 to 67,692 photos of 131 varieties."""

import argparse
import json
import sys
from functools import partial

import numpy as np
import pyarrow as pa

from benchmarks import command_line
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.memory import TOTAL, sampled_peaks
from benchmarks.pca import synthetic_features
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from benchmarks.spark_step import LOCAL_CLUSTER, clean_worker_files, run_stage
from fruits.colors import COLOR_COUNT
from fruits.features import ROWS_OUT, SCHEMA
from fruits.storage import Storage
from fruits_contract import layout
from fruits_contract.classifier_pipeline import TRAIN_CLASSIFIER, ClassifierRunParams
from fruits_contract.manifest import Manifest
from release import contents, extractor

SIZES = "22688,67692"
VARIETIES = 131
AXES = ("", "r_", "r2_")
COLORS_OF_A_PHOTO = 20  # bins that are not empty
SECONDS, MEMORY = "train_classifier (s)", f"memory, {TOTAL} (MB)"


def write_features(rows: int, *, digest: str) -> list[str]:
    """Write synthetic features of `VARIETIES` varieties, which differ in their means, and return the keys of the files."""
    random = np.random.default_rng(0)
    shifts = random.normal(scale=0.2, size=(VARIETIES, 1280)).astype(np.float32)
    palettes = random.integers(0, COLOR_COUNT, (VARIETIES, COLORS_OF_A_PHOTO))
    storage, keys, first = Storage(BUCKET), [], 0
    for number, block in enumerate(synthetic_features(rows)):
        varieties = (first + np.arange(len(block))) % VARIETIES
        first += len(block)
        features = np.clip(block + shifts[varieties], 0, 6)
        colors = np.zeros((len(block), COLOR_COUNT), np.float32)
        np.put_along_axis(colors, palettes[varieties], random.dirichlet(np.ones(COLORS_OF_A_PHOTO), len(block)), axis=1)
        labels = [f"Variety {variety}" for variety in varieties]
        table = pa.table(
            {
                "path": [
                    layout.raw_image("bench", label, f"{AXES[row % 3]}{number * 10_000 + row}_100.jpg")
                    for row, label in enumerate(labels)
                ],
                "etag": [""] * len(block),
                "label": labels,
                "contributor": [""] * len(block),
                "width": [100] * len(block),
                "height": [100] * len(block),
                "extractor": [digest] * len(block),
                "features": list(features),
                "colors": list(colors),
            },
            schema=SCHEMA,
        )
        keys.append(f"{layout.features_part('bench', str(rows))}part-{number:03}.parquet")
        storage.write_parquet(keys[-1], table.to_batches(ROWS_OUT), SCHEMA)
    return keys


def measure(arguments: argparse.Namespace) -> Results:
    """Train on each number of photos."""
    sizes: list[int] = arguments.sizes
    if len(sizes) < 2:
        raise CannotMeasure("growth needs two sizes, e.g. OPTIONS='--sizes 1000,5000'")
    with clean_worker_files(), s3_only():
        network = extractor.ensure()
        release = contents.collect(network.digest)
        storage = Storage(BUCKET)
        for key, content in release.files.items():
            storage.write(key, content)
        for rows in sizes:
            storage.write(layout.retained(str(rows)), json.dumps(write_features(rows, digest=network.digest)))
        runs = {
            rows: ClassifierRunParams(bucket=BUCKET, run=str(rows), release=release.release, extractor=network.digest, current="")
            for rows in sizes
        }
        rounds = alternate(
            {_name(rows): partial(_train, params) for rows, params in runs.items()}, repetitions=arguments.repetitions
        )
        trained = Manifest.from_json(storage.read(layout.manifest(str(sizes[-1]), TRAIN_CLASSIFIER.name)))
    small, large = _name(sizes[0]), _name(sizes[-1])
    return Results(
        rounds,
        ratios={
            "seconds": rounds.median(large, SECONDS),
            "memory_growth": rounds.median(large, MEMORY) / rounds.median(small, MEMORY),
        },
        settings={"sizes": sizes, "varieties": VARIETIES, "features": 1280, "colors": COLOR_COUNT, "spark": LOCAL_CLUSTER},
        checks={"accuracy of each method": trained.figures["methods"]},
    )


def _name(rows: int) -> str:
    return f"{rows:,} photos"


def _train(params: ClassifierRunParams) -> Samples:
    with sampled_peaks() as peaks:
        done = run_stage(TRAIN_CLASSIFIER, params, conf=LOCAL_CLUSTER)
    return {
        SECONDS: done.manifest.seconds,
        "whole process (s)": done.process_s,
        **{f"memory, {kind} (MB)": peak_mb for kind, peak_mb in peaks.items()},
    }


if __name__ == "__main__":
    parser = command_line.parser("training", __doc__, repetitions=1)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="photos (default: %(default)s)")
    sys.exit(command_line.main("training", parser.parse_args(), measure))
