"""The lifecycle of clusters: programs run and are killed, failures are reported, logs are uploaded."""

import gzip
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.emr.cluster import Cluster
from local.emr.logs import LogStore
from tests.local.emr.emr_client import BUCKET, Service, bash, cluster_request, poll

NOT_KEPT = {"KeepJobFlowAliveWhenNoSteps": False}


def read_log(s3: Any, key: str) -> str:
    return gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).decode()


def wait_for_process(path: Path) -> psutil.Process:
    """Wait for a step to write its process id."""
    text = poll(lambda: path.read_text().strip() if path.exists() else "", bool)
    return psutil.Process(int(text))


def assert_dies(process: psutil.Process) -> None:
    poll(lambda: is_running(process), lambda running: not running, limit_s=5)


def is_running(process: psutil.Process) -> bool:
    """A zombie runs no more; it stays until its parent reads its exit code."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_logs_and_failure_details_are_in_s3_when_the_step_has_ended(service: Service, s3: Any) -> None:
    failing = """echo printed; python -c 'raise ValueError("no photo")'"""
    cluster_id = service.run(LogUri=f"s3://{BUCKET}/emr", Steps=[bash("works", "echo hello; pwd"), bash("fails", failing)])
    fails, works = service.emr.list_steps(ClusterId=cluster_id)["Steps"]

    assert service.wait_for_step(cluster_id, works["Id"])["Status"]["State"] == "COMPLETED"
    prefix = f"emr/{cluster_id}/steps"
    assert read_log(s3, f"{prefix}/{works['Id']}/stdout.gz") == f"hello\n{service.state / cluster_id / 'node'}\n"

    status = service.wait_for_step(cluster_id, fails["Id"])["Status"]
    assert "ValueError: no photo" in read_log(s3, f"{prefix}/{fails['Id']}/stderr.gz")
    assert "exit code 1" in read_log(s3, f"{prefix}/{fails['Id']}/controller.gz")
    assert status["State"] == "FAILED"
    assert status["FailureDetails"] == {
        "Reason": "bash ended with exit code 1",
        "Message": "ValueError: no photo",
        "LogFile": f"s3://{BUCKET}/{prefix}/{fails['Id']}/stderr.gz",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "next_state", "end_state"),
    [
        ("CONTINUE", "COMPLETED", "TERMINATED"),
        ("CANCEL_AND_WAIT", "CANCELLED", "TERMINATED"),
        ("TERMINATE_CLUSTER", "CANCELLED", "TERMINATED_WITH_ERRORS"),
        ("TERMINATE_JOB_FLOW", "CANCELLED", "TERMINATED_WITH_ERRORS"),
    ],
)
def test_action_on_failure(service: Service, action: str, next_state: str, end_state: str) -> None:
    cluster_id = service.run(Instances=NOT_KEPT, Steps=[bash("fails", "exit 3", action), bash("next", "true")])
    status = service.wait_for_end(cluster_id)["Status"]
    assert (status["State"], status["StateChangeReason"]["Code"]) == (end_state, "STEP_FAILURE")
    assert service.step_states(cluster_id) == ["FAILED", next_state]


@pytest.mark.slow
def test_terminating_leaves_no_process(service: Service) -> None:
    left = "setsid sleep 1000 & echo $! > left-group; sleep 1001 & echo $! > sleeper"
    stubborn = f"trap '' TERM; {left}; echo $$ > main; wait"
    cluster_id = service.run(Steps=[bash("a", stubborn), bash("b", "true")])
    node = service.state / cluster_id / "node"
    processes = [wait_for_process(node / name) for name in ("main", "left-group", "sleeper")]
    service.emr.terminate_job_flows(JobFlowIds=[cluster_id])

    cluster = service.wait_for_end(cluster_id)
    assert cluster["Status"]["StateChangeReason"] == {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
    for process in processes:
        assert_dies(process)
    assert service.step_states(cluster_id) == ["CANCELLED", "CANCELLED"]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_stopping_the_service_leaves_no_process(own_service: Service, signum: int) -> None:
    cluster_id = own_service.run(Steps=[bash("a", "sleep 1000 & echo $! > sleeper; echo $$ > main; wait")])
    node = own_service.state / cluster_id / "node"
    processes = [wait_for_process(node / name) for name in ("main", "sleeper")]
    began = time.monotonic()
    own_service.stop(signum)
    assert time.monotonic() - began < 10
    for process in processes:
        assert_dies(process)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["SEND_INTERRUPT", "TERMINATE_PROCESS"])
def test_cancel_steps(service: Service, option: str) -> None:
    steps = [bash("runs", "echo $$ > main; exec sleep 1000"), bash("waits", "touch never"), bash("last", "true")]
    cluster_id = service.run(Steps=steps)
    node = service.state / cluster_id / "node"
    process = wait_for_process(node / "main")
    last, waits, runs = (step["Id"] for step in service.emr.list_steps(ClusterId=cluster_id)["Steps"])
    answer = service.emr.cancel_steps(ClusterId=cluster_id, StepIds=[waits, runs, "s-NO"], StepCancellationOption=option)
    assert [info["Status"] for info in answer["CancelStepsInfoList"]] == ["SUBMITTED", "SUBMITTED", "FAILED"]

    service.wait_for_step(cluster_id, last)
    assert_dies(process)
    assert service.step_states(cluster_id) == ["CANCELLED", "CANCELLED", "COMPLETED"]
    assert not (node / "never").exists()


@pytest.mark.slow
def test_bootstrap_actions_run_in_order_and_their_failure_ends_the_cluster(service: Service, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="boot/one.sh", Body=b'echo "one $1" >> seen')
    s3.put_object(Bucket=BUCKET, Key="boot/two.sh", Body=b"cat seen; echo gone wrong >&2; exit 7")
    actions = [
        {"Name": name, "ScriptBootstrapAction": {"Path": f"s3://{BUCKET}/boot/{name}.sh", "Args": ["a b"]}}
        for name in ("one", "two")
    ]
    cluster_id = service.run(LogUri=f"s3://{BUCKET}/emr/", BootstrapActions=actions, Steps=[bash("a", "true")])
    status = service.wait_for_end(cluster_id)["Status"]
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    assert "ReadyDateTime" not in status["Timeline"]
    message = status["StateChangeReason"]["Message"]
    assert "bootstrap action 2 returned a non-zero return code: bash ended with exit code 7" in message
    log = message.split(f"s3://{BUCKET}/")[1]
    assert read_log(s3, log) == "gone wrong\n"
    assert read_log(s3, log.replace("stderr", "stdout")) == "one a b\n"
    assert service.step_states(cluster_id) == ["CANCELLED"]


@pytest.mark.slow
def test_a_cluster_without_steps_was_ready_before_it_ended(service: Service) -> None:
    status = service.wait_for_end(service.run(Instances=NOT_KEPT))["Status"]
    assert status["StateChangeReason"] == {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed"}
    timeline = status["Timeline"]
    assert timeline["CreationDateTime"] <= timeline["ReadyDateTime"] <= timeline["EndDateTime"]


@pytest.mark.slow
def test_only_command_runner_runs(service: Service) -> None:
    jar = {"Name": "jar", "HadoopJarStep": {"Jar": "s3://somewhere/job.jar"}}
    unknown = {"Name": "unknown", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["no-such-program"]}}
    cluster_id = service.run(Steps=[jar, unknown])
    second, first = service.emr.list_steps(ClusterId=cluster_id)["Steps"]
    details = service.wait_for_step(cluster_id, first["Id"])["Status"]["FailureDetails"]
    assert "expected command-runner.jar" in details["Reason"]
    details = service.wait_for_step(cluster_id, second["Id"])["Status"]["FailureDetails"]
    assert "Cannot run program 'no-such-program'" in details["Message"]


@pytest.mark.slow
def test_as_many_steps_run_side_by_side_as_requested(service: Service) -> None:
    meet = "touch {0}; for _ in $(seq 100); do [ -e {1} ] && exit 0; sleep 0.1; done; exit 1"
    steps = [bash("a", meet.format("a", "b")), bash("b", meet.format("b", "a"))]
    cluster_id = service.run(Instances=NOT_KEPT, StepConcurrencyLevel=2, Steps=steps)
    assert service.wait_for_end(cluster_id)["Status"]["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"


@pytest.mark.slow
def test_spark_submit_runs_with_the_configuration_of_the_cluster(service: Service, tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import os\n"
        "from pyspark import SparkContext\n"
        "spark = SparkContext.getOrCreate()\n"
        "print(spark.parallelize(range(10), 1).count(), spark.appName, os.environ['COLOUR'])\n"
    )
    step = {"Name": "spark", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", str(script)]}}
    exports = [{"Classification": "export", "Properties": {"COLOUR": "green"}}]
    configurations = [
        {"Classification": "spark-defaults", "Properties": {"spark.app.name": "pear"}},
        {"Classification": "spark-env", "Configurations": exports},
    ]
    cluster_id = service.run(Steps=[step], Configurations=configurations)
    [listed] = service.emr.list_steps(ClusterId=cluster_id)["Steps"]
    done = service.wait_for_step(cluster_id, listed["Id"])
    folder = service.state / cluster_id / "steps" / listed["Id"]
    assert done["Status"]["State"] == "COMPLETED", (folder / "stderr").read_text()[-2000:]
    assert (folder / "stdout").read_text() == "10 pear green\n"


@pytest.fixture
def idle_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster without a service, whose idle timeout is shorter than the API allows."""
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    (tmp_path / "conf").mkdir()
    request = cluster_request(AutoTerminationPolicy={"IdleTimeout": 0.3})
    return Cluster(request, folder=tmp_path / "state", spark_conf=tmp_path / "conf", region="r", logs=LogStore())


def test_an_idle_cluster_terminates(idle_cluster: Cluster) -> None:
    idle_cluster.thread.start()
    idle_cluster.thread.join(10)
    assert idle_cluster.state == "TERMINATED"
    assert "idle" in idle_cluster.reason["Message"]
    assert idle_cluster.timeline["EndDateTime"] - idle_cluster.timeline["ReadyDateTime"] > 0.25


def test_an_error_of_the_emulator_ends_the_cluster_and_is_reported(idle_cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "conf").rmdir()
    idle_cluster.thread.start()
    idle_cluster.thread.join(10)
    assert idle_cluster.state == "TERMINATED_WITH_ERRORS"
    assert idle_cluster.reason["Code"] == "INTERNAL_ERROR"
    assert "conf" in idle_cluster.reason["Message"]
