"""Explains a failed step: the end of its output, EMR's reason, the cluster's state."""

import gzip
from typing import Any

from obstore.exceptions import BaseError as StorageError

from fruits_airflow.bucket import Bucket
from fruits_contract import layout

LINES = 40
LOG_WAIT_S = 330  # EMR archives the logs of steps every five minutes


def explain_step(emr: Any, bucket: Bucket, *, cluster: str, step: str, trigger_message: str) -> tuple[str, list[str]]:
    """Return one line that names the cause, and the last lines of the step's stderr and stdout (none when there is no log).

    Both, because spark-submit in client mode puts the JVM's messages on stderr and all that Python prints, a traceback
    included, on stdout. `emr` is a boto3 client; `trigger_message` says why the wait for the step ended.
    """
    status = emr.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]
    details = status.get("FailureDetails", {})
    causes = [details.get("Message") or details.get("Reason") or status.get("StateChangeReason", {}).get("Message", "")]
    log: list[str] = []
    if status["State"] == "FAILED":
        stderr = _tail(bucket, layout.step_log(cluster, step, "stderr"), timeout_s=LOG_WAIT_S)
        stdout = _tail(bucket, layout.step_log(cluster, step, "stdout"), timeout_s=0)  # archived together with stderr
        log = [*stderr, *stdout]
        if any(line.startswith("Traceback ") for line in stdout):
            causes.insert(0, stdout[-1])
    elif status["State"] in ("PENDING", "RUNNING"):
        causes.insert(0, f"the wait for it ended (stage_limit_s, or EMR cannot be reached): {trigger_message}")
    else:
        reason = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"].get("StateChangeReason", {})
        if reason:
            causes.append(f"cluster: {reason.get('Code', '')} {reason.get('Message', '')}")
    distinct = [cause for cause in dict.fromkeys(causes) if cause]
    return f"step {step} on cluster {cluster} is {status['State']}: {'; '.join(distinct) or 'EMR gives no reason'}", log


def _tail(bucket: Bucket, key: str, *, timeout_s: float) -> list[str]:
    try:
        content = bucket.wait_and_read(key, timeout_s=timeout_s)
    except (FileNotFoundError, StorageError) as error:
        return [f"({bucket.uri(key)} cannot be read: {error})"]
    lines = gzip.decompress(content).decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-LINES:]
