"""The init job: migrates the database, deploys infra/, uploads the release, writes connection and Variable; idempotent."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.deploy import Dialog, airflow_variable, check, deploy_stacks
from infra.stacks import Deployment, DeploymentError
from local import AIRFLOW_USER
from local.compose import EMR_STATE
from release.upload import upload_release

STACK = "fruits"
EMAIL = "nobody@example.org"  # LocalStack has no budgets
POLL_S = 0.5


def main() -> None:
    """Do it all, each step after those that it needs."""
    region = os.environ["AWS_REGION"]
    deployment = Deployment(stack=STACK, region=region, values={"BucketName": os.environ["BUCKET"], "Email": EMAIL})
    try:
        check(deployment)
    except DeploymentError as error:
        sys.exit(f"deploy: {error}. Change it in .env")
    _say("migrating Airflow's database")
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    _write_password()
    _say(f"deploying infra/ into {region}, as `make deploy` does on AWS")
    outputs = deploy_stacks(deployment, Dialog(say=_say, confirm=lambda question: True, poll_s=POLL_S))
    release = upload_release(outputs["BucketName"], say=_say).release
    _write_connection_and_variable(region, json.loads(airflow_variable(deployment, outputs, release)))
    _say("done")


def _write_password() -> None:
    path = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    path.touch(mode=0o600)
    path.write_text(json.dumps({AIRFLOW_USER: os.environ["AIRFLOW_PASSWORD"]}))


def _write_connection_and_variable(region: str, deployed: dict[str, Any]) -> None:
    from airflow.models import Connection, Variable
    from airflow.utils.session import create_session

    # keys and endpoints come from the environment, as on an instance with a role
    with create_session() as session:
        if not session.query(Connection).filter_by(conn_id="aws_default").count():
            session.add(Connection(conn_id="aws_default", conn_type="aws", extra={"region_name": region}))
    # changes made in the UI are kept, except to what was deployed
    known = json.loads(Variable.get("fruits", default_var="{}"))
    ours = {**deployed, "node_python": str(EMR_STATE / "node")}
    Variable.set("fruits", json.dumps({"wait_for_drop_s": 60, "poll_s": 1} | known | ours, indent=1))


def _say(text: str) -> None:
    print(f"deploy: {text}", flush=True)


if __name__ == "__main__":
    main()
