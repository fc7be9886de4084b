"""Why a step failed, in words a person can act on: the end of its stderr, EMR's own reason, the cluster's state."""

import gzip
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from fruits_contract import layout

LINES = 40
LOG_WAIT = {"Delay": 5, "MaxAttempts": 24}  # EMR copies a step's log to S3 up to two minutes after the step has ended


def explain_step(emr: Any, s3: Any, *, bucket: str, cluster: str, step: str) -> tuple[str, list[str]]:
    """Return one line that names the cause, and the last lines of the step's stderr (empty when there is no log).

    `emr` and `s3` are boto3 clients.
    """
    status = emr.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]
    details = status.get("FailureDetails", {})
    log = _tail(s3, bucket=bucket, key=layout.step_log(cluster, step, "stderr")) if status["State"] == "FAILED" else []
    cause = details.get("Message") or details.get("Reason") or status.get("StateChangeReason", {}).get("Message", "")
    if not log:
        reason = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"].get("StateChangeReason", {})
        cause = "; ".join(filter(None, [cause, f"cluster: {reason.get('Code', '')} {reason.get('Message', '')}".strip()]))
    return f"step {step} on cluster {cluster} is {status['State']}: {cause or 'EMR gives no reason'}", log


def _tail(s3: Any, *, bucket: str, key: str) -> list[str]:
    try:
        s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig=LOG_WAIT)
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (WaiterError, ClientError) as error:
        return [f"(s3://{bucket}/{key} cannot be read: {error})"]
    return gzip.decompress(content).decode(errors="replace").splitlines()[-LINES:]
