"""make bench-publish: memory and time of publishing a run in which one photo is replaced, 20,000 and 200,000 rows."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial

import boto3
import numpy as np
import pyarrow as pa

from benchmarks import command_line, commands
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from fruits.colors import COLOR_COUNT
from fruits.engines import FEATURE_COUNT
from fruits.features import ROWS_OUT
from fruits.storage import Storage
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import make_current
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, TRANSFORM_PCA, VALIDATE, FeaturesRunParams
from fruits_contract.manifest import Manifest, WrittenFile

SIZES = "20000,200000"
MERGED_ROWS = 20_000  # the merge's memory grows with the rows: 200,000 of them do not fit into this machine
FILE_ROWS = 25_000
K = 41
EXTRACTOR = "e" * 64
OURS, MERGE = "ours", "merge"
SECONDS, MEMORY = "publish (s)", "peak memory (MB)"


def rows_of(names: range, *, drop: str, etag: str) -> Iterator[dict[str, pa.RecordBatch]]:
    """Yield features and projections of synthetic photos, `ROWS_OUT` at a time, by table."""
    random = np.random.default_rng(0)
    for first in range(names.start, names.stop, ROWS_OUT):
        count = min(ROWS_OUT, names.stop - first)
        known = {
            "path": [layout.raw_image(drop, _variety(number), f"{number:07}.jpg") for number in range(first, first + count)],
            "label": [_variety(number) for number in range(first, first + count)],
        }
        features = {
            **known,
            "etag": [etag] * count,
            "contributor": [""] * count,
            "width": [100] * count,
            "height": [100] * count,
            "extractor": [EXTRACTOR] * count,
            "features": list(random.random((count, FEATURE_COUNT), np.float32)),
            "colors": list(random.random((count, COLOR_COUNT), np.float32)),
        }
        projected = {**known, "projected": list(random.random((count, K), np.float32))}
        yield {
            layout.FEATURES_TABLE: _batch(features, columns.FEATURES),
            layout.PROJECTED_TABLE: _batch(projected, columns.PROJECTED),
        }


def _variety(number: int) -> str:
    return f"Variety {number // 500:04}"


def _batch(values: Mapping[str, object], kinds: dict[str, str]) -> pa.RecordBatch:
    schema = columns.arrow_schema(kinds)
    return pa.RecordBatch.from_pydict({name: values[name] for name in schema.names}, schema=schema)


def write_run(storage: Storage, names: range, *, drop: str, run: str) -> FeaturesRunParams:
    """Write what the stages leave of a run of synthetic photos."""
    params = FeaturesRunParams(
        bucket=BUCKET, run=run, release="bench", drop=drop, extractor=EXTRACTOR, pca="bench", mode="transform"
    )
    folders = {
        layout.FEATURES_TABLE: layout.features_part(drop, run),
        layout.PROJECTED_TABLE: layout.projected_part(params.pca, drop, run),
    }
    written: dict[str, list[WrittenFile]] = {table: [] for table in folders}
    for start in range(names.start, names.stop, FILE_ROWS):
        part = range(start, min(start + FILE_ROWS, names.stop))
        for table, folder in folders.items():
            batches = (tables[table] for tables in rows_of(part, drop=drop, etag=run))
            file = storage.write_parquet(
                f"{folder}part-{start:07}.parquet", batches, columns.arrow_schema(columns.TABLES[table].columns)
            )
            assert file, "there are rows"
            written[table].append(file)
    by_stage = {FEATURIZE: written[layout.FEATURES_TABLE], TRANSFORM_PCA: written[layout.PROJECTED_TABLE], VALIDATE: []}
    for stage, files in by_stage.items():
        manifest = Manifest(stage.name, run, "2026-11-22T03:00:00+00:00", 1.0, files=tuple(files))
        storage.write(layout.manifest(run, stage.name), manifest.to_json())
    return params


def measure(arguments: argparse.Namespace) -> Results:
    """Publish, for each size, a run that shares one photo with a published run of the same size."""
    sizes: list[int] = arguments.sizes
    if len(sizes) < 2:
        raise CannotMeasure("growth needs two sizes, e.g. OPTIONS='--sizes 1000,5000'")
    with s3_only():
        storage = Storage(BUCKET)
        bucket = Bucket(BUCKET, session=boto3.Session(), client=boto3.client("s3"))
        make_current(bucket, kind="pca", model={"model_id": "bench", "extractor": EXTRACTOR, "run": "bench"})
        contenders = {}
        for rows in sizes:
            drop = str(rows)
            old = write_run(storage, range(rows), drop=drop, run=f"old-{rows}")
            new = write_run(storage, range(rows - 1, 2 * rows - 1), drop=drop, run=f"new-{rows}")
            contenders[_name(OURS, rows)] = partial(_publish, bucket, old, new, OURS)
            if rows <= arguments.merged_rows:
                contenders[_name(MERGE, rows)] = partial(_publish, bucket, old, new, MERGE)
        rounds = alternate(contenders, repetitions=arguments.repetitions)
    small, large = sizes[0], sizes[-1]
    ratios = {
        "peak_memory_mb": rounds.median(_name(OURS, large), MEMORY),
        "memory_growth": rounds.median(_name(OURS, large), MEMORY) / rounds.median(_name(OURS, small), MEMORY),
    }
    merged = [rows for rows in sizes if _name(MERGE, rows) in contenders]
    if merged:
        ours, merge = _name(OURS, merged[-1]), _name(MERGE, merged[-1])
        ratios["merge_memory"] = rounds.ratio((merge, MEMORY), (ours, MEMORY))
        ratios["merge_time"] = rounds.ratio((merge, SECONDS), (ours, SECONDS))
    return Results(rounds, ratios=ratios, settings={"sizes": sizes, "features": FEATURE_COUNT, "rows of a file": FILE_ROWS})


def _name(how: str, rows: int) -> str:
    return f"{how}, {rows:,} rows"


def _publish(bucket: Bucket, old: FeaturesRunParams, new: FeaturesRunParams, how: str) -> Samples:
    """Publish the old run in this process, into empty tables, and the new one in a process of its own."""
    for key in columns.TABLES:
        Storage(BUCKET).delete_folder(f"{key}/_delta_log/")
    manifests = {
        layout.FEATURES_TABLE: bucket.read(layout.manifest(old.run, FEATURIZE.name)),
        layout.PROJECTED_TABLE: bucket.read(layout.manifest(old.run, TRANSFORM_PCA.name)),
    }
    for key, content in manifests.items():
        PublishedTable(bucket, key).publish(Manifest.from_json(content).files, run=old.run)
    argv = [sys.executable, "-m", "benchmarks.contenders.published_run", BUCKET, json.dumps(asdict(new)), how]
    done = commands.run(argv).result
    features = PublishedTable(bucket, layout.FEATURES_TABLE)
    expected = 2 * len(range(int(new.drop))) - 1
    if features.count_rows() != expected:
        raise CannotMeasure(f"{how} left {features.count_rows()} rows of features instead of {expected}")
    return {SECONDS: done["seconds"], MEMORY: done["peak_mb"]}


if __name__ == "__main__":
    parser = command_line.parser("publish", __doc__, repetitions=3)
    parser.add_argument("--sizes", type=command_line.sizes, default=SIZES, metavar="N,N", help="rows (default: %(default)s)")
    parser.add_argument(
        "--merged-rows", type=int, default=MERGED_ROWS, metavar="N", help="largest size for the merge (default: %(default)s)"
    )
    sys.exit(command_line.main("publish", parser.parse_args(), measure))
