"""S3, YARN and EMR, really started without Airflow, for tests that run steps on them."""

import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fruits_contract import layout
from fruits_contract.features_pipeline import FeaturesRunParams
from local import REPO
from local.client import synthetic_photos
from local.client.upload import upload_drop
from local.stack import jars, programs, readiness, spark, spark_history, yarn
from local.stack.stack import Secrets, Stack
from local.stack.supervision import Supervisor
from release import contents
from release.extractor import Extractor
from release.upload import ReleaseCard

REAL_PHOTOS = REPO.parent / "shared" / "fruits-360"
VARIETIES, PER_VARIETY = 4, 72  # enough photos for a task on each of two executors
STEP_LIMIT_S = 600
EXECUTOR = "CoarseGrainedExecutorBackend"

# Both run in executors and import the package there: in a container it can only come from the zip.
FAILS = """
from pyspark.sql import SparkSession

def work(_):
    import fruits
    raise ValueError(f"no photo, says {fruits.__file__}")

SparkSession.builder.getOrCreate().sparkContext.parallelize([1], 1).foreach(work)
"""
NEVER_ENDS = FAILS.replace("raise ValueError", "__import__('time').sleep(3600)  #")


def make_stack(state: Path, master: str) -> Stack:
    stack = Stack(state, Secrets.generate(), programs.choose_ports(master), master)
    stack.make_folders()
    return stack


def write_configs(stack: Stack) -> None:
    spark.write_config(stack.spark_conf, s3_endpoint=stack.url("s3"))
    spark_history.prepare(stack)
    if stack.master == "yarn":
        yarn.prepare(stack)


@dataclass
class YarnStack:
    """S3, YARN and EMR, without Airflow, and what was seen of their processes while steps ran."""

    stack: Stack
    settings: Any
    s3: Any
    emr: Any
    listening: set[tuple[str, str]] = field(default_factory=set)
    command_lines: set[str] = field(default_factory=set)

    def plan(self, run: str) -> tuple[FeaturesRunParams, dict[str, Any]]:
        """Plan a run as the DAG does; returns its parameters and its cluster, without bootstrap actions."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.planning import plan_run

        bucket = Bucket(Stack.bucket, session=boto3.Session(), client=self.s3)
        plan = plan_run(bucket, self.settings, dag_run_id=run, drop="photos", requested={"mode": "fit"})
        return plan.params, plan.job_flow | {"BootstrapActions": []}

    def start(self, cluster: dict[str, Any], *steps: dict[str, Any], **spark_defaults: str) -> str:
        more = {
            "Classification": "spark-defaults",
            "Properties": {key.replace("_", "."): spark_defaults[key] for key in spark_defaults},
        }
        request = cluster | {"Steps": list(steps), "Configurations": [*cluster["Configurations"], more]}
        return str(self.emr.run_job_flow(**request)["JobFlowId"])

    def wait(self, cluster: str, until: Callable[[list[str]], bool]) -> None:
        """Wait until the states of the cluster's steps are what is expected, and look at all processes meanwhile."""
        deadline = time.monotonic() + STEP_LIMIT_S
        while True:
            states = [step["Status"]["State"] for step in self.emr.list_steps(ClusterId=cluster)["Steps"]]
            if until(states):
                return
            assert time.monotonic() < deadline, f"{cluster}: steps are {states}"
            self.look()
            time.sleep(2)

    def look(self) -> None:
        for process in Supervisor(self.stack).processes():
            line = command_line(process)
            self.command_lines.add(line)
            with contextlib.suppress(psutil.Error):
                found = (each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN)
                self.listening |= {(line, address.removeprefix("::ffff:")) for address in found}

    def logs(self, cluster: str) -> str:
        files = sorted((self.stack.emr / cluster / "steps").rglob("std*"))
        return "\n".join(f"{file}:\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    def read(self, key: str) -> io.BytesIO:
        return io.BytesIO(self.s3.get_object(Bucket=Stack.bucket, Key=key)["Body"].read())

    def features(self, params: FeaturesRunParams) -> dict[str, np.ndarray]:
        """Return each photo's features by its path."""
        prefix = layout.features_part(params.drop, params.run)
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=Stack.bucket, Prefix=prefix)["Contents"]]
        table = pa.concat_tables(pq.ParquetFile(self.read(key)).read() for key in keys if key.endswith(".parquet"))
        values = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        return dict(zip(table["path"].to_pylist(), values, strict=True))

    def pca(self, params: FeaturesRunParams) -> dict[str, np.ndarray]:
        with np.load(self.read(layout.pca_arrays(params.pca)), allow_pickle=False) as arrays:
            return dict(arrays)


@pytest.fixture(scope="module")
def yarn_stack(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Iterator[YarnStack]:
    stack = make_stack(tmp_path_factory.mktemp("yarn") / "state", "yarn")
    try:
        jars.fetch("spark35")
        jars.fetch("yarn")
    except jars.JarsUnobtainable as error:
        pytest.skip(f"the jars of YARN cannot be fetched here: {error}")
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))  # made by importing it
    from fruits_airflow.settings import Settings

    write_configs(stack)
    table = [program for program in programs.table(stack) if program.group != "airflow"]
    without_airflow = replace(stack, ports={name: port for name, port in stack.ports.items() if name != "airflow"})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.env.items():
            patch.setenv(name, value)
        try:
            Supervisor(stack).start(programs.supervisord_config(stack, table), stack.services_env)
            readiness.wait(without_airflow)
            session = boto3.Session()
            s3 = session.client("s3")
            release = publish(s3, extractor)
            upload_drop(few_photos(tmp_path_factory), bucket=Stack.bucket, drop="photos")
            settings = Settings(bucket=Stack.bucket, region=Stack.region, release=release, node_python=str(Path(sys.prefix)))
            yield YarnStack(stack, settings, s3, session.client("emr"))
        finally:
            Supervisor(stack).stop()


def publish(s3: Any, extractor: Extractor) -> str:
    """Put a release into the bucket, without wheels: the nodes' Python is this one."""
    release = contents.collect(extractor.digest)
    card = ReleaseCard(release.release, extractor.digest, {})
    files = release.files | {
        layout.extractor(extractor.digest): extractor.path().read_bytes(),
        layout.release_card(release.release): card.to_json().encode(),
        "code/fails.py": FAILS.encode(),
        "code/never_ends.py": NEVER_ENDS.encode(),
    }
    for key, content in files.items():
        s3.put_object(Bucket=Stack.bucket, Key=key, Body=content)
    return release.release


def few_photos(factory: pytest.TempPathFactory) -> Path:
    """Return a folder with some dozens of photos: real ones if present, synthetic ones otherwise."""
    source, folder = REAL_PHOTOS, factory.mktemp("photos")
    if not source.is_dir():
        source = factory.mktemp("synthetic")
        synthetic_photos.generate(source, per_variety=PER_VARIETY)
    for variety in islice(sorted(path for path in source.iterdir() if path.is_dir()), VARIETIES):
        (folder / variety.name).mkdir()
        for photo in islice(sorted(variety.glob("*.jpg")), PER_VARIETY):
            shutil.copy(photo, folder / variety.name)
    return folder


def command_line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def script_step(stack: YarnStack, name: str) -> dict[str, Any]:
    package = layout.uri(stack.settings.bucket, layout.package_zip(stack.settings.release))
    line = [
        "spark-submit",
        "--deploy-mode",
        "client",
        "--py-files",
        package,
        layout.uri(stack.settings.bucket, f"code/{name}.py"),
    ]
    return {"Name": name, "HadoopJarStep": {"Jar": "command-runner.jar", "Args": line}}
