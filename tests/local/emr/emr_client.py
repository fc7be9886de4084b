"""What the tests say to a running stand-in, and how they wait for it."""

import contextlib
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import WaiterError

BUCKET = "logs"
WAITER = {"Delay": 0.2, "MaxAttempts": 300}


@dataclass(frozen=True)
class Service:
    """A running stand-in and a client of it."""

    process: subprocess.Popen[bytes]
    url: str
    state: Path
    emr: Any

    def stop(self, signum: int = signal.SIGTERM) -> None:
        self.process.send_signal(signum)
        self.process.wait(12)


def bash(name: str, script: str, action: str = "CONTINUE") -> dict[str, Any]:
    """A step that runs a line of bash."""
    jar = {"Jar": "command-runner.jar", "Args": ["bash", "-c", script]}
    return {"Name": name, "ActionOnFailure": action, "HadoopJarStep": jar}


def cluster_request(**changes: Any) -> dict[str, Any]:
    instances = {
        "InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}],
        "KeepJobFlowAliveWhenNoSteps": True,
    } | changes.pop("Instances", {})
    return {"Name": "test", "ReleaseLabel": "emr-7.14.0", "Instances": instances, **changes}


def wait_for_end(service: Service, cluster_id: str) -> dict[str, Any]:
    service.emr.get_waiter("cluster_terminated").wait(ClusterId=cluster_id, WaiterConfig=WAITER)
    return dict(service.emr.describe_cluster(ClusterId=cluster_id)["Cluster"])


def wait_for_step(service: Service, cluster_id: str, step_id: str) -> dict[str, Any]:
    """Wait for a step's end, whichever; boto3's own waiter raises where a step fails."""
    with contextlib.suppress(WaiterError):
        service.emr.get_waiter("step_complete").wait(ClusterId=cluster_id, StepId=step_id, WaiterConfig=WAITER)
    return dict(service.emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"])
