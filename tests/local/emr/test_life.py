"""What clusters do: programs run and are killed, failures are told, logs arrive."""

import gzip
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.emr.cluster import Cluster
from local.emr.logs import LogStore, find_cause
from tests.local.emr.emr_client import BUCKET, Service, bash, cluster_request, wait_for_end, wait_for_step


def read_log(s3: Any, key: str) -> str:
    return gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).decode()


def wait_for_pid(path: Path) -> psutil.Process:
    """Wait for a step to write its process id."""
    for _ in range(100):
        if path.exists() and (text := path.read_text().strip()):
            return psutil.Process(int(text))
        threading.Event().wait(0.1)
    raise AssertionError(f"{path} was not written within 10 s")


def is_running(process: psutil.Process) -> bool:
    """A zombie waits for this container's init only, and runs no more."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def assert_dies(process: psutil.Process) -> None:
    """Only its death is asked for; a zombie of another parent stays until that parent looks."""
    for _ in range(50):
        if not is_running(process):
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"{process} still runs")


@pytest.mark.slow
def test_logs_and_failure_details_are_in_s3_when_the_step_has_ended(service: Service, s3: Any) -> None:
    failing = """echo printed; python -c 'raise ValueError("no photo")'"""
    request = cluster_request(LogUri=f"s3://{BUCKET}/emr", Steps=[bash("works", "echo hello; pwd"), bash("fails", failing)])
    cluster_id = service.emr.run_job_flow(**request)["JobFlowId"]
    fails, works = service.emr.list_steps(ClusterId=cluster_id)["Steps"]

    assert wait_for_step(service, cluster_id, works["Id"])["Status"]["State"] == "COMPLETED"
    prefix = f"emr/{cluster_id}/steps"
    assert read_log(s3, f"{prefix}/{works['Id']}/stdout.gz") == f"hello\n{service.state / cluster_id / 'node'}\n"

    status = wait_for_step(service, cluster_id, fails["Id"])["Status"]
    assert "ValueError: no photo" in read_log(s3, f"{prefix}/{fails['Id']}/stderr.gz")
    assert "exit code 1" in read_log(s3, f"{prefix}/{fails['Id']}/controller.gz")
    assert status["State"] == "FAILED"
    assert status["FailureDetails"] == {
        "Reason": "bash ended with exit code 1",
        "Message": "ValueError: no photo",
        "LogFile": f"s3://{BUCKET}/{prefix}/{fails['Id']}/stderr.gz",
    }
    service.emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "next_state", "end_state", "code"),
    [
        ("CONTINUE", "COMPLETED", "TERMINATED", "STEP_FAILURE"),
        ("CANCEL_AND_WAIT", "CANCELLED", "TERMINATED", "STEP_FAILURE"),
        ("TERMINATE_CLUSTER", "CANCELLED", "TERMINATED_WITH_ERRORS", "STEP_FAILURE"),
        ("TERMINATE_JOB_FLOW", "CANCELLED", "TERMINATED_WITH_ERRORS", "STEP_FAILURE"),
    ],
)
def test_action_on_failure(service: Service, action: str, next_state: str, end_state: str, code: str) -> None:
    request = cluster_request(
        Instances={"KeepJobFlowAliveWhenNoSteps": False}, Steps=[bash("fails", "exit 3", action), bash("next", "true")]
    )
    cluster_id = service.emr.run_job_flow(**request)["JobFlowId"]
    status = wait_for_end(service, cluster_id)["Status"] if end_state == "TERMINATED" else None
    if status is None:
        status = wait_for_errors(service, cluster_id)
    following, failed = service.emr.list_steps(ClusterId=cluster_id)["Steps"]
    assert (failed["Status"]["State"], following["Status"]["State"]) == ("FAILED", next_state)
    assert (status["State"], status["StateChangeReason"]["Code"]) == (end_state, code)


def wait_for_errors(service: Service, cluster_id: str) -> dict[str, Any]:
    for _ in range(100):
        status: dict[str, Any] = service.emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]
        if status["State"] == "TERMINATED_WITH_ERRORS":
            return status
        threading.Event().wait(0.1)
    raise AssertionError(f"{cluster_id} is {status}; expected TERMINATED_WITH_ERRORS within 10 s")


@pytest.mark.slow
def test_terminating_leaves_no_process(service: Service) -> None:
    left = "setsid sleep 1000 & echo $! > left-group; sleep 1001 & echo $! > sleeper"
    stubborn = f"trap '' TERM; {left}; echo $$ > main; wait"
    cluster_id = service.emr.run_job_flow(**cluster_request(Steps=[bash("a", stubborn), bash("b", "true")]))["JobFlowId"]
    node = service.state / cluster_id / "node"
    processes = [wait_for_pid(node / name) for name in ("main", "left-group", "sleeper")]
    service.emr.terminate_job_flows(JobFlowIds=[cluster_id])

    cluster = wait_for_end(service, cluster_id)
    assert cluster["Status"]["StateChangeReason"] == {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
    for process in processes:
        assert_dies(process)
    states = [step["Status"]["State"] for step in service.emr.list_steps(ClusterId=cluster_id)["Steps"]]
    assert states == ["CANCELLED", "CANCELLED"]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_stopping_the_service_leaves_no_process(own_service: Service, signum: int) -> None:
    script = "sleep 1000 & echo $! > sleeper; echo $$ > main; wait"
    cluster_id = own_service.emr.run_job_flow(**cluster_request(Steps=[bash("a", script)]))["JobFlowId"]
    node = own_service.state / cluster_id / "node"
    processes = [wait_for_pid(node / name) for name in ("main", "sleeper")]
    began = time.monotonic()
    own_service.stop(signum)
    assert time.monotonic() - began < 10
    for process in processes:
        assert_dies(process)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["SEND_INTERRUPT", "TERMINATE_PROCESS"])
def test_cancel(service: Service, option: str) -> None:
    steps = [bash("runs", "echo $$ > main; exec sleep 1000"), bash("waits", "touch never"), bash("last", "true")]
    cluster_id = service.emr.run_job_flow(**cluster_request(Steps=steps))["JobFlowId"]
    process = wait_for_pid(service.state / cluster_id / "node" / "main")
    last, waits, runs = (step["Id"] for step in service.emr.list_steps(ClusterId=cluster_id)["Steps"])
    answer = service.emr.cancel_steps(ClusterId=cluster_id, StepIds=[waits, runs, "s-NO"], StepCancellationOption=option)
    assert [each["Status"] for each in answer["CancelStepsInfoList"]] == ["SUBMITTED", "SUBMITTED", "FAILED"]

    assert wait_for_step(service, cluster_id, last)["Status"]["State"] == "COMPLETED"
    assert_dies(process)
    states = [step["Status"]["State"] for step in service.emr.list_steps(ClusterId=cluster_id)["Steps"]]
    assert states == ["COMPLETED", "CANCELLED", "CANCELLED"]
    assert not (service.state / cluster_id / "node" / "never").exists()
    service.emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.mark.slow
def test_bootstrap_actions_run_in_order_and_their_failure_ends_the_cluster(service: Service, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="boot/one.sh", Body=b'echo "one $1" >> seen')
    s3.put_object(Bucket=BUCKET, Key="boot/two.sh", Body=b"cat seen; echo gone wrong >&2; exit 7")
    actions = [
        {"Name": name, "ScriptBootstrapAction": {"Path": f"s3://{BUCKET}/boot/{name}.sh", "Args": ["a b"]}}
        for name in ("one", "two")
    ]
    request = cluster_request(LogUri=f"s3://{BUCKET}/emr/", BootstrapActions=actions, Steps=[bash("a", "true")])
    cluster_id = service.emr.run_job_flow(**request)["JobFlowId"]
    status = wait_for_errors(service, cluster_id)
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    message = status["StateChangeReason"]["Message"]
    assert "bootstrap action 2 returned a non-zero return code: bash ended with exit code 7" in message
    log = message.split(f"s3://{BUCKET}/")[1]
    assert read_log(s3, log) == "gone wrong\n"
    assert read_log(s3, log.replace("stderr", "stdout")) == "one a b\n"
    [step] = service.emr.list_steps(ClusterId=cluster_id)["Steps"]
    assert step["Status"]["State"] == "CANCELLED"


@pytest.mark.slow
def test_only_command_runner_runs(service: Service) -> None:
    jar = {"Name": "jar", "HadoopJarStep": {"Jar": "s3://somewhere/job.jar"}}
    unknown = {"Name": "unknown", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["no-such-program"]}}
    cluster_id = service.emr.run_job_flow(**cluster_request(Steps=[jar, unknown]))["JobFlowId"]
    second, first = service.emr.list_steps(ClusterId=cluster_id)["Steps"]
    details = wait_for_step(service, cluster_id, first["Id"])["Status"]["FailureDetails"]
    assert "expected command-runner.jar" in details["Reason"]
    details = wait_for_step(service, cluster_id, second["Id"])["Status"]["FailureDetails"]
    assert "Cannot run program 'no-such-program'" in details["Message"]
    service.emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.mark.slow
def test_steps_run_side_by_side_up_to_the_concurrency_asked_for(service: Service) -> None:
    meet = "touch {0}; for _ in $(seq 100); do [ -e {1} ] && exit 0; sleep 0.1; done; exit 1"
    steps = [bash("a", meet.format("a", "b")), bash("b", meet.format("b", "a"))]
    request = cluster_request(Instances={"KeepJobFlowAliveWhenNoSteps": False}, StepConcurrencyLevel=2, Steps=steps)
    status = wait_for_end(service, service.emr.run_job_flow(**request)["JobFlowId"])["Status"]
    assert status["StateChangeReason"] == {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed"}


@pytest.mark.slow
def test_spark_submit_runs_with_the_clusters_configuration(service: Service, tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import os\n"
        "from pyspark import SparkContext\n"
        "spark = SparkContext.getOrCreate()\n"
        "print(spark.parallelize(range(10), 1).count(), spark.appName, os.environ['COLOUR'])\n"
    )
    step = {"Name": "spark", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", str(script)]}}
    configurations = [
        {"Classification": "spark-defaults", "Properties": {"spark.app.name": "pear"}},
        {
            "Classification": "spark-env",
            "Configurations": [{"Classification": "export", "Properties": {"COLOUR": "green"}}],
        },
    ]
    request = cluster_request(Steps=[step], Configurations=configurations)
    cluster_id = service.emr.run_job_flow(**request)["JobFlowId"]
    [listed] = service.emr.list_steps(ClusterId=cluster_id)["Steps"]
    done = wait_for_step(service, cluster_id, listed["Id"])
    folder = service.state / cluster_id / "steps" / listed["Id"]
    assert done["Status"]["State"] == "COMPLETED", (folder / "stderr").read_text()[-2000:]
    assert (folder / "stdout").read_text() == "10 pear green\n"
    service.emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.fixture
def idle_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    (tmp_path / "conf").mkdir()
    request = cluster_request(AutoTerminationPolicy={"IdleTimeout": 0.3})
    return Cluster(request, folder=tmp_path / "state", spark_conf=tmp_path / "conf", region="r", logs=LogStore())


def test_idle_cluster_ends_by_itself(idle_cluster: Cluster) -> None:
    idle_cluster.thread.start()
    idle_cluster.thread.join(10)
    assert idle_cluster.state == "TERMINATED"
    assert "idle" in idle_cluster.reason["Message"]
    assert idle_cluster.timeline["EndDateTime"] - idle_cluster.timeline["ReadyDateTime"] > 0.25


def test_an_error_of_the_stand_in_ends_the_cluster_and_is_told(idle_cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "conf").rmdir()
    idle_cluster.thread.start()
    idle_cluster.thread.join(10)
    assert idle_cluster.state == "TERMINATED_WITH_ERRORS"
    assert idle_cluster.reason["Code"] == "INTERNAL_ERROR"
    assert "conf" in idle_cluster.reason["Message"]


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        ("", ""),
        ("starting\nlast words\n\n", "last words"),
        (
            'INFO a\nException in thread "main" java.io.IOException: full\n\tat x.y(Z)\nINFO b\n',
            "java.io.IOException: full",
        ),
        (
            "Traceback (most recent call last):\n  File x\nUnreadable: photo\n24/01/01 INFO ShutdownHook\n",
            "Unreadable: photo",
        ),
    ],
)
def test_the_cause_of_a_failure_is_found(tmp_path: Path, stderr: str, cause: str) -> None:
    (tmp_path / "stderr").write_text(stderr)
    assert find_cause(tmp_path / "stderr").endswith(cause)
    assert bool(find_cause(tmp_path / "stderr")) == bool(cause)
