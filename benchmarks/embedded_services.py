"""The embedded services that benchmarks run on, with a temporary state folder; no other module here imports `local.stack`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from local.client.airflow_api import AirflowApi, AirflowRefused
from local.client.pack import CannotPack
from local.client.upload import CannotUpload
from local.deploy import deploy
from local.stack import StackError, jars, ports, programs, readiness, services, spark
from local.stack.stack import Secrets, Stack
from local.stack.supervision import Supervisor
from release.contents import MissingSource
from release.extractor import BadExport
from release.weights import WrongWeights
from release.wheelhouse import WheelsMissing

BUCKET = Stack.bucket
SPARK_HOME = spark.spark_home()
# what can go wrong at the start of the services and while the code is uploaded; their messages say what to do
ERRORS = (StackError, AirflowRefused, BadExport, CannotPack, CannotUpload, MissingSource, WheelsMissing, WrongWeights)


@contextmanager
def s3_only() -> Iterator[Path]:
    """Run the S3 server and configure Spark in the body; yield the temporary folder.

    The environment of this process is replaced: whatever it starts reaches the server, sees nothing of the user's own set-up,
    and is ended with the server.
    """
    with tempfile.TemporaryDirectory(prefix="fruits-bench-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder) / "state", Secrets.generate(), programs.choose_ports("local"))
        stack.make_folders()
        jars.fetch("spark35")
        spark.write_config(stack.spark_conf, s3_endpoint=stack.url("s3"))
        s3 = [program for program in programs.table(stack) if program.name == "s3"]
        os.environ.clear()
        os.environ.update(stack.services_env | stack.env | {"SPARK_LOCAL_DIRS": folder, "RAY_TMPDIR": folder})
        supervisor = Supervisor(stack)
        try:
            supervisor.start(programs.supervisord_config(stack, s3), dict(os.environ))
            readiness.wait(replace(stack, ports={"s3": stack.ports["s3"]}))
            yield Path(folder)
        finally:
            supervisor.stop()


def free_port() -> int:
    """Return a port on which nothing listens."""
    return ports.choose({"service": 8000})["service"]


@contextmanager
def all_services() -> Iterator[AirflowApi]:
    """Run S3, EMR and Airflow in the body, with this checkout's code published; boto3 and obstore of this process reach them."""
    with (
        tempfile.TemporaryDirectory(prefix="fruits-bench-", ignore_cleanup_errors=True) as folder,
        services.session(Stack.load(Path(folder))) as running,
    ):
        yield deploy(running).api()
