"""Why a step failed, in words a person can act on: the end of its output, EMR's own reason, the cluster's state."""

import gzip
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from fruits_contract import layout

LINES = 40
LOG_WAIT = {"Delay": 5, "MaxAttempts": 24}  # EMR copies a step's log to S3 up to two minutes after the step has ended


def explain_step(emr: Any, s3: Any, *, bucket: str, cluster: str, step: str) -> tuple[str, list[str]]:
    """Return one line that names the cause, and the last lines of the step's stderr and stdout (none when there is no log).

    Both, because spark-submit in client mode puts the JVM's messages on stderr and all that Python prints, a traceback
    included, on stdout. `emr` and `s3` are boto3 clients.
    """
    status = emr.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]
    details = status.get("FailureDetails", {})
    causes = [details.get("Message") or details.get("Reason") or status.get("StateChangeReason", {}).get("Message", "")]
    log: list[str] = []
    if status["State"] == "FAILED":
        stderr, stdout = (_tail(s3, bucket, layout.step_log(cluster, step, stream)) for stream in ("stderr", "stdout"))
        log = [*stderr, *stdout]
        if any(line.startswith("Traceback ") for line in stdout):
            causes.insert(0, stdout[-1])
    else:
        reason = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"].get("StateChangeReason", {})
        causes.append(reason and f"cluster: {reason.get('Code', '')} {reason.get('Message', '')}")
    named = "; ".join(dict.fromkeys(cause for cause in causes if cause)) or "EMR gives no reason"
    return f"step {step} on cluster {cluster} is {status['State']}: {named}", log


def _tail(s3: Any, bucket: str, key: str) -> list[str]:
    try:
        s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig=LOG_WAIT)
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (WaiterError, ClientError) as error:
        return [f"(s3://{bucket}/{key} cannot be read: {error})"]
    lines = gzip.decompress(content).decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-LINES:]
