"""Publishes this checkout's code to the embedded default, so that a run uses it.

It must not know how a run is started or followed.
"""

import json
import os

from local import REPO
from local.client.run import Place
from local.console import open_console
from local.stack.services import Services
from release.upload import upload_release

OUT = REPO / "out"


def publish(services: Services, *, tensorflow: bool = False) -> Place:
    """Upload the release that the source tree makes, tell Airflow about it, and return where a run can happen.

    From now on boto3 and obstore of this process reach the services, by the environment.
    """
    os.environ.update(services.env)
    release = upload_release(services.bucket, say=open_console().print, tensorflow=tensorflow).release
    place = Place(
        bucket=services.bucket,
        airflow_url=services.airflow_url,
        shown_url=services.airflow_url,
        airflow_user=services.airflow_user,
        airflow_password=services.airflow_password,
        emr_folder=services.places.emr,
        out=OUT,
    )
    # The fields are those of plugins/fruits_airflow/settings.py; what is not here has its default.
    settings = {
        "bucket": services.bucket,
        "region": services.env["AWS_REGION"],
        "release": release,
        "node_python": str(services.places.node),
        "wait_for_drop_s": 60,
        "poll_s": 1,
    }
    place.api().write_variable("fruits", json.dumps(settings))
    return place
