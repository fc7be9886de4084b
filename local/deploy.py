"""Deploys this checkout's code to the embedded services: uploads the release and points Airflow's Variable at it."""

import json
import os

from local import AIRFLOW_USER, REPO
from local.client.run import Place
from local.console import say, working
from local.stack.stack import Stack
from release.upload import upload_release

OUT = REPO / "out"


def deploy(stack: Stack, *, tensorflow: bool = False) -> Place:
    """Upload the release that the source tree makes, write Airflow's Variable, and return where a run can happen.

    From now on boto3 and obstore of this process reach the services, by the environment.
    """
    os.environ.update(stack.env)
    with working("Providing the release of the code"):
        release = upload_release(stack.bucket, say=say, tensorflow=tensorflow).release
    place = Place(
        bucket=stack.bucket,
        airflow_url=stack.url("airflow"),
        shown_url=stack.url("airflow"),
        airflow_user=AIRFLOW_USER,
        airflow_password=stack.secrets.airflow_password,
        emr_folder=stack.emr,
        out=OUT,
    )
    place.api().write_variable("fruits", json.dumps(settings_of(stack, release)))
    return place


def settings_of(stack: Stack, release: str) -> dict[str, object]:
    """Return the Airflow Variable of a deployment to `stack`; fields of `Settings` that it lacks keep their defaults."""
    return {
        "bucket": stack.bucket,
        "region": stack.region,
        "release": release,
        "node_python": str(stack.state / "node"),
        "wait_for_drop_s": 60,
        "poll_s": 1,
    }
