"""One run of the featurize step by the embedded Spark: its photos and code are uploaded, its features are read back."""

import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.commands import CannotMeasure
from benchmarks.embedded_services import BUCKET
from benchmarks.spark_step import run_stage
from fruits.storage import Storage
from fruits_airflow.bucket import Bucket
from fruits_airflow.drops import photos_of
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, FeaturesRunParams
from fruits_contract.manifest import Manifest
from local.client.upload import find_photos, upload_drop
from local.console import say
from release import contents, extractor

DROP = "bench"
# the list of photos as the stage reads it, and the URL, which Ray Data and Daft read
PHOTO_LIST = columns.arrow_schema(columns.BATCH).append(pa.field("url", pa.string()))

PhotoRow = dict[str, Any]


def upload_photos(images: Path, *, count: int, drop: str = DROP, is_packed: bool = False) -> list[PhotoRow]:
    """Upload `count` photos; where the folder has fewer, copies under further variety names.

    Returns
    -------
    list of dict
        One row of `PHOTO_LIST` per photo, in an order in which varieties alternate; packed ones in the order of their shards.
    """
    files, _ = find_photos(images, drop=drop)
    originals = [files[key] for key in sorted(files, key=lambda key: (files[key].name, key))]
    say(f"uploading {count:,} photos ({min(count, len(files)):,} different ones)")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            copy, position = divmod(number, len(originals))
            original = originals[position]
            variety = Path(folder, f"{original.parent.name} copy {copy}" if copy else original.parent.name)
            variety.mkdir(exist_ok=True)
            (variety / original.name).symlink_to(original)
        upload_drop(Path(folder), bucket=BUCKET, drop=drop, is_packed=is_packed)
    bucket = Bucket(BUCKET, session=boto3.Session(), client=boto3.client("s3"))
    photos = [photo | {"url": layout.uri(BUCKET, photo["path"])} for photo in photos_of(bucket, drop).to_pylist()]
    return photos if is_packed else sorted(photos, key=lambda photo: (Path(photo["path"]).name, photo["path"]))


def write_photo_list(photos: Sequence[PhotoRow], *, run: str) -> str:
    """Write the list of photos that the stage and the peers read; return its key."""
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(photos), schema=PHOTO_LIST), content)
    Storage(BUCKET).write(layout.batch(run), content.getvalue())
    return layout.batch(run)


def upload_code() -> FeaturesRunParams:
    """Upload the code of this checkout, without wheels, and the extractor; return the parameters that name them."""
    network = extractor.ensure()
    release = contents.collect(network.digest)
    storage = Storage(BUCKET)
    for key, content in release.files.items():
        storage.write(key, content)
    storage.upload(layout.extractor(network.digest), str(network.path()))
    storage.upload(layout.extractor_keras(network.digest), str(network.keras_path()))
    return FeaturesRunParams(
        bucket=BUCKET, run="bench", drop=DROP, release=release.release, extractor=network.digest, pca="bench"
    )


@dataclass(frozen=True)
class StepRun:
    """A finished step: its manifest, the duration of the whole process, and the folder of its features."""

    manifest: Manifest
    process_s: float
    folder: str

    @property
    def images_per_s(self) -> float:
        """Photos by the manifest's seconds, which do not include the start of Spark."""
        return self.manifest.rows_out / self.manifest.seconds


def run_step(
    code: FeaturesRunParams,
    photos: Sequence[PhotoRow],
    *,
    run: str,
    engine: str = "litert",
    conf: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> StepRun:
    """Run the step that EMR receives, with further settings and environment variables.

    A step with the same `run` as an earlier one replaces its features.
    """
    write_photo_list(photos, run=run)
    params = replace(code, run=run, pca=run, engine=engine)
    done = run_stage(FEATURIZE, params, conf=conf, env=env)
    featurized = done.manifest.rows_out
    if featurized != len(photos):
        raise CannotMeasure(f"{featurized} of {len(photos)} photos have features; use photos that can all be read")
    return StepRun(done.manifest, done.process_s, layout.features_part(DROP, run))


def features_by_photo(folder: str) -> dict[str, np.ndarray]:
    """Return the features below a folder of the bucket, by the key of the photo."""
    storage = Storage(BUCKET)
    tables = []
    for page in obstore.list(storage.store, prefix=folder):
        for item in page:
            if item["path"].endswith(".parquet"):
                tables.append(pq.read_table(io.BytesIO(storage.read(item["path"])), columns=["path", "features"]))
    if not tables:
        return {}
    table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    keys = [path.removeprefix(layout.uri(BUCKET, "")) for path in table["path"].to_pylist()]
    values = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return dict(zip(keys, values.reshape(len(keys), -1), strict=True))
