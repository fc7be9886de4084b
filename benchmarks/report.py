"""make bench-report: seconds and peak memory of the report, and the size of its page, from 22,688 to 100,000 photos."""

import argparse
import hashlib
import io
import sys
from functools import partial

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks import command_line
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.memory import TOTAL, sampled_peaks
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from benchmarks.spark_step import LOCAL_CLUSTER, clean_worker_files, run_stage
from fruits.pca import Pca
from fruits.saved_pca import PcaCard, save_pca
from fruits.storage import CHUNK_ROWS, Storage
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, REPORT, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile
from release import contents

SIZES = "22688,100000"
VARIETIES = 131
K = 41
PHOTO_PX = 100
PICTURES = 2500  # photos that are in the bucket: those that the report shows
FILE_ROWS = 25_000
EXTRACTOR = "e" * 64
SECONDS, MEMORY = "report (s)", f"memory, {TOTAL} (MB)"
SCHEMA = columns.arrow_schema(columns.PROJECTED)


def write_run(storage: Storage, photos: int, *, release: str) -> FeaturesRunParams:
    """Write what the stages before the report leave of a run of synthetic photos, and the photos that the report shows."""
    params = FeaturesRunParams(
        bucket=BUCKET, run=str(photos), release=release, drop="bench", extractor=EXTRACTOR, pca="bench", mode="transform"
    )
    random = np.random.default_rng(0)
    centers = random.normal(scale=2, size=(VARIETIES, K))
    scales = np.linspace(2, 0.5, K)
    paths = [layout.raw_image("bench", f"Variety {row % VARIETIES}", f"{row}_100.jpg") for row in range(photos)]
    projected = []
    for first in range(0, photos, FILE_ROWS):
        part = paths[first : first + FILE_ROWS]
        varieties = (first + np.arange(len(part))) % VARIETIES
        vectors = (centers[varieties] + random.normal(size=(len(part), K)) * scales).astype(np.float32)
        labels = [f"Variety {variety}" for variety in varieties]
        rows = pa.table({"path": part, "label": labels, "projected": list(vectors)}, schema=SCHEMA)
        key = f"{layout.projected_part(params.pca, 'bench', params.run)}part-{first:06}.parquet"
        projected.append(storage.write_parquet(key, rows.to_batches(CHUNK_ROWS), SCHEMA))
    for path in sorted(paths, key=lambda path: hashlib.blake2b(path.encode(), digest_size=8).digest())[:PICTURES]:
        storage.write(path, _photo(random))
    written = {
        FEATURIZE.name: [],  # the report reads its rejects, of which there are none
        TRANSFORM_PCA.name: [file for file in projected if file],
        VALIDATE.name: [],
    }
    for stage, files in written.items():
        storage.write(layout.manifest(params.run, stage), _manifest(params, stage, files, photos).to_json())
    return params


def _photo(random: np.random.Generator) -> bytes:
    coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    out = io.BytesIO()
    coarse.resize((PHOTO_PX, PHOTO_PX), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


def _manifest(params: FeaturesRunParams, stage: str, files: list[WrittenFile], photos: int) -> Manifest:
    figures = {"reasons": {}, "explained_variance": 0.7}
    started = "2026-11-22T03:00:00+00:00"
    return Manifest(stage, params.run, started, 1.0, rows_in=photos, rows_out=photos, files=tuple(files), figures=figures)


def _write_pca(storage: Storage) -> None:
    spectrum = np.linspace(2, 0, 1280)
    pca = Pca(np.zeros(1280), np.eye(1280)[:K], spectrum / spectrum.sum(), 22_688)
    card = PcaCard("bench", EXTRACTOR, K, pca.explained, pca.count, 0.7, 0, "2026-11-22T03:00:00+00:00")
    save_pca(storage, pca, card)


def measure(arguments: argparse.Namespace) -> Results:
    """Run the report on each number of photos."""
    sizes: list[int] = arguments.sizes
    if len(sizes) < 2:
        raise CannotMeasure("growth needs two sizes, e.g. OPTIONS='--sizes 1000,5000'")
    with clean_worker_files(), s3_only():
        release = contents.collect(EXTRACTOR)
        storage = Storage(BUCKET)
        for key, content in release.files.items():
            storage.write(key, content)
        _write_pca(storage)
        runs = {photos: write_run(storage, photos, release=release.release) for photos in sizes}
        contenders = {_name(photos): partial(_run, params) for photos, params in runs.items()}
        rounds = alternate(contenders, repetitions=arguments.repetitions)
    small, large = _name(sizes[0]), _name(sizes[-1])
    return Results(
        rounds,
        ratios={
            "seconds": rounds.median(large, SECONDS),
            "memory_growth": rounds.median(large, MEMORY) / rounds.median(small, MEMORY),
        },
        settings={"sizes": sizes, "varieties": VARIETIES, "components": K, "spark": LOCAL_CLUSTER},
    )


def _name(photos: int) -> str:
    return f"{photos:,} photos"


def _run(params: FeaturesRunParams) -> Samples:
    with sampled_peaks() as peaks:
        done = run_stage(REPORT, params, conf=LOCAL_CLUSTER)
    return {
        SECONDS: done.manifest.seconds,
        "whole process (s)": done.process_s,
        "page (MB)": done.manifest.figures["page_bytes"] / 1e6,
        "thumbnails": done.manifest.figures["thumbnails"],
        **{f"memory, {kind} (MB)": peak_mb for kind, peak_mb in peaks.items()},
    }


if __name__ == "__main__":
    parser = command_line.parser("report", __doc__, repetitions=1)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="photos (default: %(default)s)")
    sys.exit(command_line.main("report", parser.parse_args(), measure))
