"""The embedded services that benchmarks run on, with a temporary state folder; no other module here imports `local.stack`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import obstore
import tenacity
from obstore.store import S3Store

from local.client.airflow_api import AirflowApi, AirflowRefused
from local.client.upload import CannotUpload
from local.deploy import publish
from local.stack import environment, programs, readiness, services, spark, supervision
from local.stack.airflow import MigrationFailed
from local.stack.readiness import NotReady
from local.stack.services import OtherMaster
from local.stack.spark import JarsUnobtainable
from local.stack.state import Places, Record, Secrets
from local.stack.supervision import SupervisorFailed
from release.contents import MissingSource
from release.extractor import BadExport
from release.weights import WrongWeights
from release.wheelhouse import WheelsMissing

BUCKET = environment.BUCKET
SPARK_HOME = spark.spark_home()
# what can go wrong at the start of the services and while the code is uploaded; their messages say what to do
ERRORS = (
    AirflowRefused,
    BadExport,
    CannotUpload,
    JarsUnobtainable,
    MigrationFailed,
    MissingSource,
    NotReady,
    OtherMaster,
    SupervisorFailed,
    WheelsMissing,
    WrongWeights,
)


@contextmanager
def s3_only() -> Iterator[Path]:
    """Run the S3 server and configure Spark in the body; yield the temporary folder.

    The environment of this process is replaced: whatever it starts reaches the server, sees nothing of the user's own set-up,
    and is ended with the server.
    """
    with tempfile.TemporaryDirectory(prefix="fruits-bench-", ignore_cleanup_errors=True) as folder:
        places = Places(Places.default().cache, Path(folder) / "state")
        places.make()
        spark.fetch_jars(places)
        record = Record(programs.choose_ports("local"), Secrets.generate())
        env = environment.services(places, record) | {"SPARK_LOCAL_DIRS": folder, "RAY_TMPDIR": folder}
        spark.write_config(places, s3_endpoint=env["AWS_ENDPOINT_URL_S3"])
        os.environ.clear()
        os.environ.update(env)
        try:
            supervision.start(places, [program for program in programs.table(places, record) if program.name == "s3"], env)
            supervision.start_group(places, "s3")
            readiness.wait(places, replace(record, ports={"s3": record.ports["s3"]}))
            _write_first_object()
            yield Path(folder)
        finally:
            supervision.stop(places)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type((obstore.exceptions.BaseError, OSError)),
    stop=tenacity.stop_after_delay(60),
    wait=tenacity.wait_fixed(0.2),
    reraise=True,
)
def _write_first_object() -> None:
    """Wait for the bucket: on a busy machine the server answers before it has created it."""
    obstore.put(S3Store(BUCKET), "ready", b"")


@contextmanager
def all_services() -> Iterator[AirflowApi]:
    """Run S3, EMR and Airflow in the body, with this checkout's code published; boto3 and obstore of this process reach them."""
    with (
        tempfile.TemporaryDirectory(prefix="fruits-bench-", ignore_cleanup_errors=True) as folder,
        services.session(Places(Places.default().cache, Path(folder))) as running,
    ):
        yield publish(running).api()
