"""A real YARN, really started: steps of the EMR service run in its containers, and nothing of it is left afterwards."""

from dataclasses import dataclass

import numpy as np
import psutil
import pytest

from fruits_contract.features_pipeline import FEATURIZE, FIT_PCA, FeaturesRunParams
from local.stack import ports
from local.stack.supervision import Supervisor
from tests.local.stack.yarn_stack import EXECUTOR, PER_VARIETY, VARIETIES, YarnStack, command_line, script_step, yarn_stack

__all__ = ["yarn_stack"]

pytestmark = [pytest.mark.slow, pytest.mark.separate]


@dataclass(frozen=True)
class Ran:
    """A run on YARN and the same run in one process."""

    stack: YarnStack
    on_yarn: FeaturesRunParams
    in_one: FeaturesRunParams
    events: str


@pytest.fixture(scope="module")
def ran(yarn_stack: YarnStack, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    from fruits_airflow.emr.steps import step

    events = tmp_path_factory.mktemp("events")
    on_yarn, cluster = yarn_stack.plan("on-yarn")
    in_one, _ = yarn_stack.plan("in-one")
    record_events = {
        "spark_eventLog_enabled": "true",
        "spark_eventLog_dir": f"file://{events}",
        "spark_eventLog_compress": "false",
    }
    started = [
        yarn_stack.start(cluster, step(FEATURIZE, on_yarn), step(FIT_PCA, on_yarn), **record_events),
        yarn_stack.start(cluster, step(FEATURIZE, in_one), step(FIT_PCA, in_one), spark_master="local[*]"),
    ]
    for each in started:
        yarn_stack.wait(each, lambda states: not {"PENDING", "RUNNING"} & set(states))
        states = [each["Status"]["State"] for each in yarn_stack.emr.list_steps(ClusterId=each)["Steps"]]
        assert states == ["COMPLETED", "COMPLETED"], yarn_stack.logs(each)
    yarn_stack.emr.terminate_job_flows(JobFlowIds=started)
    written = [path.read_text() for path in sorted(events.iterdir())]
    assert len(written) == 2, "one application per stage, both on YARN"
    return Ran(yarn_stack, on_yarn, in_one, written[0])


def test_both_executors_took_part(ran: Ran) -> None:
    ends = [line for line in ran.events.splitlines() if '"SparkListenerTaskEnd"' in line]
    assert {executor for executor in ("1", "2", "driver") if any(f'"Executor ID":"{executor}"' in end for end in ends)} == {
        "1",
        "2",
    }


def test_features_of_two_executors_are_those_of_one_process(ran: Ran) -> None:
    ours, theirs = ran.stack.features(ran.on_yarn), ran.stack.features(ran.in_one)
    assert len(ours) == VARIETIES * PER_VARIETY
    assert ours.keys() == theirs.keys()
    for path, values in ours.items():
        np.testing.assert_allclose(values, theirs[path], rtol=0, atol=1e-6, err_msg=path)


def test_pca_of_two_executors_is_that_of_one_process(ran: Ran) -> None:
    ours, theirs = ran.stack.pca(ran.on_yarn), ran.stack.pca(ran.in_one)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=0, atol=1e-6, err_msg=name)


def test_everything_listened_on_loopback_only(ran: Ran) -> None:
    seen = ran.stack.listening
    assert any(EXECUTOR in line for line, _ in seen)
    assert {address for _, address in seen} == {"127.0.0.1"}, seen


def test_a_failing_step_shows_its_traceback_and_where_the_package_came_from(yarn_stack: YarnStack) -> None:
    _, cluster = yarn_stack.plan("fails")
    failing = yarn_stack.start(cluster, script_step(yarn_stack, "fails"), spark_executor_instances="1")
    yarn_stack.wait(failing, lambda states: not {"PENDING", "RUNNING"} & set(states))
    (ended,) = yarn_stack.emr.list_steps(ClusterId=failing)["Steps"]
    assert ended["Status"]["State"] == "FAILED"
    assert ended["Status"]["FailureDetails"]["Reason"] == "spark-submit ended with exit code 1"
    stdout = (yarn_stack.stack.emr / failing / "steps" / ended["Id"] / "stdout").read_text()
    assert "Traceback (most recent call last)" in stdout
    assert "ValueError: no photo, says ./fruits.zip/fruits/__init__.py" in stdout  # below the container's own folder
    yarn_stack.emr.terminate_job_flows(JobFlowIds=[failing])


def test_down_ends_containers_that_run_and_keeps_no_key(yarn_stack: YarnStack) -> None:
    """Last of those that share the services, because it ends them."""
    _, cluster = yarn_stack.plan("never-ends")
    endless = yarn_stack.start(cluster, script_step(yarn_stack, "never_ends"))

    def containers() -> list[psutil.Process]:
        return [each for each in Supervisor(yarn_stack.stack).processes() if EXECUTOR in command_line(each)]

    yarn_stack.wait(endless, lambda states: states == ["RUNNING"] and len(containers()) >= 2)
    before = Supervisor(yarn_stack.stack).processes()
    Supervisor(yarn_stack.stack).stop()
    assert Supervisor(yarn_stack.stack).processes() == []
    assert {command_line(each) for each in before if each.is_running()} <= {""}  # "" is a zombie that nobody waits for
    assert [name for name, port in yarn_stack.stack.ports.items() if not ports.is_free(port)] == []

    secret = yarn_stack.stack.secrets.s3_secret_key
    assert not [line for line in yarn_stack.command_lines if secret in line]
    for folder in (yarn_stack.stack.yarn, yarn_stack.stack.spark_conf, yarn_stack.stack.emr, yarn_stack.stack.logs):
        held = [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert held == []
