"""Requests of the tests to a running EMR emulator, checks of its answers, and waiting for its clusters."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

BUCKET = "logs"


@dataclass(frozen=True)
class Service:
    """A running emulator and a client of it."""

    process: subprocess.Popen[bytes]
    url: str
    state: Path
    emr: Any

    def run(self, **changes: Any) -> str:
        """Start a cluster; return its id."""
        return str(self.emr.run_job_flow(**cluster_request(**changes))["JobFlowId"])

    def describe(self, cluster_id: str) -> dict[str, Any]:
        return dict(self.emr.describe_cluster(ClusterId=cluster_id)["Cluster"])

    def step_states(self, cluster_id: str) -> list[str]:
        """Return the states of all steps, the oldest first."""
        return [step["Status"]["State"] for step in self.emr.list_steps(ClusterId=cluster_id)["Steps"]][::-1]

    def wait_for_state(self, cluster_id: str, *states: str) -> dict[str, Any]:
        """Wait for a cluster to enter one of the states; return its description."""
        return poll(lambda: self.describe(cluster_id), lambda cluster: cluster["Status"]["State"] in states, limit_s=60)

    def wait_for_end(self, cluster_id: str) -> dict[str, Any]:
        return self.wait_for_state(cluster_id, "TERMINATED", "TERMINATED_WITH_ERRORS")

    def wait_for_step(self, cluster_id: str, step_id: str) -> dict[str, Any]:
        """Wait for the end of a step; boto3's own waiter raises where a step fails."""
        with contextlib.suppress(WaiterError):
            waiter = self.emr.get_waiter("step_complete")
            waiter.wait(ClusterId=cluster_id, StepId=step_id, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
        return dict(self.emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"])

    def stop(self, signum: int = signal.SIGTERM) -> None:
        self.process.send_signal(signum)
        self.process.wait(12)


def poll(read: Callable[[], Any], is_done: Callable[[Any], bool], *, limit_s: float = 10) -> Any:
    """Read until the result is as expected; tenacity's RetryError names the last one."""
    is_open = retry_if_result(lambda result: not is_done(result))
    return Retrying(retry=is_open, stop=stop_after_delay(limit_s), wait=wait_fixed(0.1))(read)


def bash(name: str, script: str, action: str = "CONTINUE") -> dict[str, Any]:
    """Describe a step that runs a line of bash."""
    jar = {"Jar": "command-runner.jar", "Args": ["bash", "-c", script]}
    return {"Name": name, "ActionOnFailure": action, "HadoopJarStep": jar}


def cluster_request(**changes: Any) -> dict[str, Any]:
    """Describe a cluster of one instance that stays up without steps."""
    instances = {
        "InstanceGroups": [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}],
        "KeepJobFlowAliveWhenNoSteps": True,
    } | changes.pop("Instances", {})
    return {"Name": "test", "ReleaseLabel": "emr-7.14.0", "Instances": instances, **changes}


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """Return code and message of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def check_answer(http_response: Any, model: Any, **_: Any) -> None:
    """Compare an answer with botocore's model of the service. boto3 itself ignores members that it does not know."""
    if http_response.status_code == 200:
        answer = json.loads(http_response.content)
        gaps = find_gaps(answer, model.output_shape, model.name) if model.output_shape else answer
        assert list(gaps) == []


def find_gaps(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Name the members of a value that the model requires or does not know, all the way down."""
    if shape.type_name == "structure":
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, member in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is unknown"
            else:
                yield from find_gaps(member, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from find_gaps(member, shape.member, f"{path}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path} is {value}; expected one of {shape.enum}"
