"""make bench-packed: planning a packed drop of a million photos, once when all are new and once when all are known."""

import argparse
import json
import sys
from functools import partial

import boto3
import numpy as np
import pyarrow as pa

from benchmarks import command_line, commands
from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET, s3_only
from benchmarks.publish import EXTRACTOR
from benchmarks.results import Results
from benchmarks.rounds import Samples, alternate
from fruits.storage import Storage
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import make_current
from fruits_airflow.tables import PublishedTable
from fruits_contract import columns, layout, shards
from fruits_contract.shard_index import ShardIndex

PHOTOS = 1_000_000
OF_SHARD = 25_000  # photos of 5 kB in 128 MB
OF_VARIETY = 500
RELEASE = "bench"
NEW, KNOWN = "new", "known"
SECONDS, MEMORY, IMPORTS = "planning (s)", "peak memory (MB)", "memory after the imports (MB)"


def names_of(numbers: range) -> list[str]:
    """Return the names of photos in their shard, as long as those of Fruits-360."""
    return [f"Variety name {number // OF_VARIETY:05}/r_{number % OF_VARIETY}_100_{number}.jpg" for number in numbers]


def md5_of(numbers: range) -> list[str]:
    """Return what looks like the MD5 of each photo."""
    return [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in numbers]


def write_drop(storage: Storage, drop: str, *, photos: int) -> None:
    """Write shards with indexes; planning reads no byte of the shards, so each photo has one."""
    for number, start in enumerate(range(0, photos, OF_SHARD)):
        numbers = range(start, min(start + OF_SHARD, photos))
        key = shards.shard(drop, f"photos-{number:05}")
        storage.write(key, bytes(len(numbers)))
        values = {"member": names_of(numbers), "offset": np.arange(len(numbers)), "size_bytes": np.ones(len(numbers), np.int64)}
        members = pa.table({**values, "md5": md5_of(numbers)}, schema=columns.arrow_schema(columns.SHARD_INDEX))
        index = ShardIndex(members, etag="", size_bytes=len(numbers))
        storage.write(shards.index_of(key), index.to_bytes())


def publish_known(storage: Storage, bucket: Bucket, drop: str, *, photos: int) -> None:
    """Publish features of all photos of the drop, of which planning reads path and ETag only: their vectors are empty."""
    schema = columns.arrow_schema(columns.FEATURES)

    def rows(start: int) -> pa.RecordBatch:
        numbers = range(start, min(start + OF_SHARD, photos))
        paths = [layout.raw_prefix(drop) + name for name in names_of(numbers)]
        constant = {"label": "Variety", "contributor": "", "width": 100, "height": 100, "extractor": EXTRACTOR}
        constant |= {"features": [], "colors": []}
        values = {"path": paths, "etag": md5_of(numbers)} | {name: [value] * len(numbers) for name, value in constant.items()}
        return pa.RecordBatch.from_pydict({name: values[name] for name in schema.names}, schema=schema)

    key = f"{layout.features_part(drop, 'known')}part-00000.parquet"
    file = storage.write_parquet(key, (rows(start) for start in range(0, photos, OF_SHARD)), schema)
    assert file, "there are rows"
    PublishedTable(bucket, layout.FEATURES_TABLE).publish([file], run="known")


def measure(arguments: argparse.Namespace) -> Results:
    """Plan both drops, each time in a new process."""
    photos: int = arguments.photos
    with s3_only():
        storage = Storage(BUCKET)
        bucket = Bucket(BUCKET, session=boto3.Session(), client=boto3.client("s3"))
        storage.write(layout.release_card(RELEASE), json.dumps({"release": RELEASE, "extractor": EXTRACTOR, "tensorflow": False}))
        make_current(bucket, kind="pca", model={"model_id": "bench", "extractor": EXTRACTOR, "run": "bench"})
        for drop in (NEW, KNOWN):
            write_drop(storage, drop, photos=photos)
        publish_known(storage, bucket, KNOWN, photos=photos)
        expected = {NEW: photos, KNOWN: 0}
        rounds = alternate(
            {f"all {drop}": partial(_plan, drop, count) for drop, count in expected.items()}, repetitions=arguments.repetitions
        )
    ratios = {
        "plan_seconds": {drop: rounds.median(f"all {drop}", SECONDS) for drop in expected},
        "plan_memory_mb": {drop: rounds.median(f"all {drop}", MEMORY) for drop in expected},
    }
    return Results(rounds, ratios=ratios, settings={"photos": photos, "photos of a shard": OF_SHARD})


def _plan(drop: str, expected: int) -> Samples:
    done = commands.run([sys.executable, "-m", "benchmarks.contenders.planned_drop", BUCKET, drop, RELEASE]).result
    if done["photos"] != expected:
        raise CannotMeasure(f"planned {done['photos']} photos instead of {expected}")
    return {SECONDS: done["seconds"], MEMORY: done["peak_mb"], IMPORTS: done["imports_mb"]}


if __name__ == "__main__":
    parser = command_line.parser("packed", __doc__, photos=PHOTOS, repetitions=3)
    sys.exit(command_line.main("packed", parser.parse_args(), measure))
