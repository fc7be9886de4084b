"""The init job: migrates the database, deploys the bucket, uploads the release, writes connection and Variable; idempotent."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from fruits_contract.regions import EU_REGIONS
from local import AIRFLOW_USER, REPO
from local.compose import EMR_STATE
from release.upload import upload_release

STACK = "fruits-storage"
TEMPLATE = REPO / "infra" / "storage.yaml"
CREATE_LIMIT_S = 120


def main() -> None:
    """Do it all, each step after those that it needs."""
    bucket, region = os.environ["BUCKET"], os.environ["AWS_REGION"]
    if region not in EU_REGIONS:
        sys.exit(f"deploy: AWS_REGION is {region!r}; expected one in the EU (GDPR): {', '.join(EU_REGIONS)}. Change it in .env")
    _say("migrating Airflow's database")
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    _write_password()
    _say(f"deploying {TEMPLATE.name}: bucket {bucket} in {region}")
    deploy_stack(bucket)
    release = upload_release(bucket, say=_say).release
    _write_connection_and_variable(bucket, region, release)
    _say("done")


def deploy_stack(bucket: str) -> None:
    """Create the stack of the bucket, or update it to the template.

    Raises
    ------
    WaiterError
        CloudFormation failed; the stack's events say why.
    """
    cloudformation = boto3.client("cloudformation")
    request: dict[str, Any] = {
        "StackName": STACK,
        "TemplateBody": TEMPLATE.read_text(),
        "Parameters": [{"ParameterKey": "BucketName", "ParameterValue": bucket}],
    }
    pace = {"Delay": 1, "MaxAttempts": CREATE_LIMIT_S}
    try:
        cloudformation.describe_stacks(StackName=STACK)
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        cloudformation.create_stack(**request)
        cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig=pace)
        return
    try:
        cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return
        raise
    cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig=pace)


def _write_password() -> None:
    path = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    path.touch(mode=0o600)
    path.write_text(json.dumps({AIRFLOW_USER: os.environ["AIRFLOW_PASSWORD"]}))


def _write_connection_and_variable(bucket: str, region: str, release: str) -> None:
    from airflow.models import Connection, Variable
    from airflow.utils.session import create_session

    # keys and endpoints come from the environment, as on an instance with a role
    with create_session() as session:
        if not session.query(Connection).filter_by(conn_id="aws_default").count():
            session.add(Connection(conn_id="aws_default", conn_type="aws", extra={"region_name": region}))
    # changes made in the UI are kept, except to these four, which follow the checkout
    known = json.loads(Variable.get("fruits", default_var="{}"))
    ours = {"bucket": bucket, "region": region, "release": release, "node_python": str(EMR_STATE / "node")}
    Variable.set("fruits", json.dumps({"wait_for_drop_s": 60, "poll_s": 1} | known | ours, indent=1))


def _say(text: str) -> None:
    print(f"deploy: {text}", flush=True)


if __name__ == "__main__":
    main()
