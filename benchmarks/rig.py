"""What the benchmarks run on: the embedded S3 server with photos in it, and the embedded Spark, in a folder deleted afterwards.

It must not know what is measured.
"""

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import S3Store

from benchmarks import children
from fruits_airflow.emr.steps import step
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE, FeaturesRunParams
from fruits_contract.manifest import Manifest
from local import REPO
from local.client.upload import find_photos
from local.console import say
from local.stack import programs, spark
from local.stack.stack import Secrets, Stack, kept_variables
from release import contents, extractor

BUCKET = Stack.bucket
DROP = "bench"
CORES = len(os.sched_getaffinity(0))
START_LIMIT_S = 60
AT_ONCE = 16
PEERS_PYTHON = REPO / ".venv-peers" / "bin" / "python"

Photo = dict[str, Any]


class CannotMeasure(Exception):
    """Something that a benchmark needs is missing, or a contender computed something else; the message says what to do."""


@dataclass(frozen=True)
class Rig:
    """The running S3 server and the variables by which programs reach it."""

    folder: Path
    stack: Stack
    env: dict[str, str]

    @property
    def store(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.env["AWS_ENDPOINT_URL_S3"],
            access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            region=self.env["AWS_REGION"],
            client_options={"allow_http": True},
        )

    def behind(self, url: str) -> "Rig":
        """Return the same server as programs see it through another address."""
        conf = Path(tempfile.mkdtemp(prefix="behind-", dir=self.folder))
        spark.write_config(conf, s3_endpoint=url)
        return replace(self, env={**self.env, "AWS_ENDPOINT_URL_S3": url, "SPARK_CONF_DIR": str(conf)})

    def scratch(self, name: str) -> Path:
        """Return a new folder for one child."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def put(self, key: str, content: bytes) -> str:
        """Put an object and return its ETag."""
        return str(obstore.put(self.store, key, content)["e_tag"]).strip('"')

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(obstore.get(self.store, key).bytes())


@contextmanager
def open_rig() -> Iterator[Rig]:
    """Start the S3 server; it is stopped, and all that it holds deleted, when the body is left."""
    with tempfile.TemporaryDirectory(prefix="fruits-bench-", ignore_cleanup_errors=True) as name:
        stack = Stack(Path(name) / "state", Secrets.generate(), programs.choose_ports("local"))
        stack.make_folders()
        spark.fetch_jars()
        env = {
            **kept_variables(),
            **stack.env,
            "PYTHONUNBUFFERED": "1",
            "SPARK_LOCAL_DIRS": name,
            "RAY_TMPDIR": name,
        }
        rig = Rig(Path(name), stack, env)
        spark.write_config(stack.spark_conf, s3_endpoint=env["AWS_ENDPOINT_URL_S3"])
        (server,) = (program for program in programs.table(stack) if program.name == "s3")
        with children.started(server.command, env=env, folder=stack.logs) as process:
            _wait_until_ready(rig, psutil.Process(process.pid))
            yield rig


def _wait_until_ready(rig: Rig, server: psutil.Process) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        try:
            rig.put("ready", b"")
        except Exception:  # obstore has its own for each stage of a start; only the deadline matters
            time.sleep(0.2)
        else:
            return
    said = (rig.stack.logs / "stderr").read_text()[-2000:]
    raise CannotMeasure(f"the embedded S3 server did not answer within {START_LIMIT_S} s; it said:\n{said}")


def upload(rig: Rig, folder: Path, *, count: int, drop: str = DROP) -> list[Photo]:
    """Upload `count` of the photos below `folder`, again under further variety names where it holds fewer.

    Returns
    -------
    list of dict
        One row of `columns.BATCH` per photo, in an order in which varieties alternate.

    Raises
    ------
    local.client.upload.CannotUpload
        When the folder is not one folder of photos per variety.
    """
    found, _ = find_photos(folder, drop=drop)
    contents_of = {key: path.read_bytes() for key, path in found.items()}
    keys = sorted(contents_of, key=lambda key: (Path(key).name, key))
    wanted = [(key, number // len(keys)) for number, key in zip(range(count), _cycle(keys), strict=False)]
    say(f"uploading {count:,} photos ({len(keys):,} different ones)")

    def send(wish: tuple[str, int]) -> Photo:
        key, copy = wish
        label = layout.variety_of(key) + (f" copy {copy}" if copy else "")
        path = layout.raw_image(drop, label, Path(key).name)
        content = contents_of[key]
        return {
            "path": path,
            "etag": str(obstore.put(store, path, content)["e_tag"]).strip('"'),
            "size_bytes": len(content),
            "label": label,
            "contributor": "",
        }

    store = rig.store
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(send, wanted))


def _cycle(keys: Sequence[str]) -> Iterator[str]:
    while True:
        yield from keys


def write_list(rig: Rig, photos: Sequence[Photo], *, run: str) -> str:
    """Put the list of photos that all contenders read (`columns.BATCH` and `url`) and return its key."""
    rows = [photo | {"url": layout.uri(BUCKET, photo["path"])} for photo in photos]
    kinds = {"string": pa.string(), "bigint": pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.BATCH.items()] + [("url", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), content := io.BytesIO())
    rig.put(layout.batch(run), content.getvalue())
    return layout.batch(run)


@dataclass(frozen=True)
class Code:
    """A release of the code in the bucket, and the digest of its extractor."""

    release: str
    extractor: str


def publish(rig: Rig) -> Code:
    """Put the code as it stands in this checkout, and the extractor."""
    network = extractor.ensure()
    release = contents.collect(network.digest)
    for key, content in release.files.items():
        rig.put(key, content)
    rig.put(layout.extractor(network.digest), network.path().read_bytes())
    return Code(release.release, network.digest)


def submit_words(words: Sequence[str], *, conf: Mapping[str, str] | None = None) -> list[str]:
    """Return the words of a step's `spark-submit` with this environment's Python and further settings, which win."""
    settings = {"spark.pyspark.python": sys.executable, **(conf or {})}
    end = words.index("--py-files") if "--py-files" in words else 1
    return [*words[:end], *(part for item in settings.items() for part in ("--conf", "=".join(item))), *words[end:]]


@dataclass(frozen=True)
class Featurized:
    """One run of the stage: what its manifest says, and how long the whole process took."""

    manifest: Manifest
    whole_s: float
    folder: str

    @property
    def images_per_s(self) -> float:
        """Photos by the manifest's seconds: the start of Spark is left out."""
        return self.manifest.rows_out / self.manifest.seconds


def featurize(
    rig: Rig,
    code: Code,
    photos: Sequence[Photo],
    *,
    run: str,
    engine: str = "litert",
    conf: Mapping[str, str] | None = None,
    watch: children.Watch | None = None,
) -> Featurized:
    """Run the very step that EMR is given, by the embedded Spark."""
    write_list(rig, photos, run=run)
    params = FeaturesRunParams(
        bucket=BUCKET,
        run=run,
        drop=DROP,
        release=code.release,
        extractor=code.extractor,
        pca=run,
        engine=engine,
    )
    words = submit_words(step(FEATURIZE, params)["HadoopJarStep"]["Args"], conf=conf)
    done = children.run(words, env=rig.env, folder=rig.scratch(f"featurize-{engine}"), watch=watch)
    manifest = Manifest.from_json(rig.get(layout.manifest(run, FEATURIZE.name)))
    if manifest.rows_out != len(photos):
        raise CannotMeasure(f"{manifest.rows_out} of {len(photos)} photos have features; use photos that can all be read")
    return Featurized(manifest, done.seconds, layout.features_part(DROP, run))


def read_features(rig: Rig, folder: str) -> dict[str, np.ndarray]:
    """Return the features that a contender wrote below `folder`, by the photo's key."""
    tables = []
    for page in obstore.list(rig.store, prefix=folder):
        for item in page:
            if item["path"].endswith(".parquet"):
                tables.append(pq.read_table(io.BytesIO(rig.get(item["path"])), columns=["path", "features"]))
    table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    keys = ["raw/" + path.split("/raw/", 1)[-1].removeprefix("raw/") for path in table["path"].to_pylist()]
    values = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return dict(zip(keys, values.reshape(len(keys), -1), strict=True))


def delete(rig: Rig, folder: str) -> None:
    """Delete what a contender wrote."""
    for page in obstore.list(rig.store, prefix=folder):
        obstore.delete(rig.store, [item["path"] for item in page])


def largest_difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Return the largest difference of any feature of any photo; raise `CannotMeasure` when the photos differ."""
    if missing := found.keys() ^ expected.keys():
        raise CannotMeasure(f"{len(missing)} photos are in one result only, e.g. {min(missing)}")
    return max(float(np.abs(found[key] - expected[key]).max()) for key in found)
