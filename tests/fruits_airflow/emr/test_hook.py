"""What an earlier try has started is found on a real emulator, and started again only where that is right."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.exceptions import ClientError

from fruits_airflow.emr import tags
from fruits_airflow.emr.hook import ReattachingHook, no_retry_if_refused
from fruits_airflow.settings import Settings
from tests.local.emr.emr_client import Service, bash, cluster_request, poll

pytestmark = pytest.mark.slow

FOREVER = "sleep 600"


def request(settings: Settings, *, run: str, **changes: Any) -> dict[str, Any]:
    values = tags.of_deployment(settings) | tags.of_dag_run("fruits_features", run)
    return cluster_request(Name=f"fruits {run}", Tags=[{"Key": key, "Value": values[key]} for key in values], **changes)


@pytest.fixture
def hook(emulated_account: Service) -> ReattachingHook:
    return ReattachingHook(emr_conn_id=None, aws_conn_id=None)


def create(hook: ReattachingHook, job_flow: dict[str, Any]) -> str:
    return str(hook.create_job_flow(job_flow)["JobFlowId"])


def test_a_repeated_request_finds_the_cluster_of_a_lost_response(
    hook: ReattachingHook, emulator: Service, settings: Settings
) -> None:
    lost = emulator.emr.run_job_flow(**request(settings, run="lost"))["JobFlowId"]
    assert create(hook, request(settings, run="lost")) == lost


def test_a_cluster_of_another_run_deployment_or_name_is_not_taken(hook: ReattachingHook, settings: Settings) -> None:
    elsewhere = Settings(bucket="another", region="eu-north-1", release="v1")
    requests = [
        request(settings, run="one"),
        request(settings, run="two"),
        request(elsewhere, run="one"),
        request(settings, run="three") | {"Name": "somebody's"},
        request(settings, run="three"),
    ]
    assert len({create(hook, job_flow) for job_flow in requests}) == len(requests)


def test_a_cluster_that_ends_is_replaced(hook: ReattachingHook, emulator: Service, settings: Settings) -> None:
    first = create(hook, request(settings, run="ended"))
    emulator.emr.terminate_job_flows(JobFlowIds=[first])
    assert create(hook, request(settings, run="ended")) != first


def test_the_request_is_not_repeated_by_botocore(hook: ReattachingHook) -> None:
    assert hook.conn.meta.config.retries["total_max_attempts"] == 1


def test_the_rest_of_the_connections_configuration_stays(emulated_account: Service) -> None:
    assert ReattachingHook(aws_conn_id=None, config={"read_timeout": 7}).conn.meta.config.read_timeout == 7


@pytest.fixture
def cluster(emulator: Service) -> str:
    return emulator.run()


def reach(emulator: Service, cluster: str, state: str) -> str:
    """Add a step named `featurize` and bring it into the state."""
    script = {"COMPLETED": "true", "FAILED": "false"}.get(state, FOREVER)
    if state == "PENDING":
        emulator.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[bash("before", FOREVER)])
    (step,) = emulator.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[bash("featurize", script)])["StepIds"]
    if state == "CANCELLED":
        emulator.emr.cancel_steps(ClusterId=cluster, StepIds=[step])
    poll(lambda: emulator.step_states(cluster)[-1], lambda found: found == state, limit_s=30)
    return str(step)


@pytest.mark.parametrize(
    ("state", "is_retry", "is_found"),
    [
        ("PENDING", False, True),
        ("RUNNING", False, True),
        ("COMPLETED", False, False),
        ("COMPLETED", True, True),
        ("FAILED", False, False),
        ("FAILED", True, True),
        ("CANCELLED", True, False),
    ],
)
def test_a_step_is_found_by_its_name(
    hook: ReattachingHook, emulator: Service, cluster: str, state: str, is_retry: bool, is_found: bool
) -> None:
    earlier = reach(emulator, cluster, state)
    hook.is_retry = is_retry
    (step,) = hook.add_job_flow_steps(cluster, [bash("featurize", FOREVER)])
    assert (step == earlier) is is_found
    assert (hook.step_created_at is not None) is is_found
    assert emulator.emr.list_steps(ClusterId=cluster)["Steps"][0]["Id"] == step, "the newest is the one that is waited for"


def test_the_step_of_another_stage_is_not_taken(hook: ReattachingHook, emulator: Service, cluster: str) -> None:
    earlier = reach(emulator, cluster, "RUNNING")
    assert hook.add_job_flow_steps(cluster, [bash("fit_pca", FOREVER)]) != [earlier]


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("AccessDeniedException", 400, AirflowFailException),
        ("ValidationException", 400, AirflowFailException),
        ("ThrottlingException", 400, ClientError),
        ("InternalServerException", 500, ClientError),
    ],
)
def test_only_a_refusal_is_final(code: str, status: int, raised: type[Exception]) -> None:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(raised, match=code), no_retry_if_refused():
        raise ClientError(response, "RunJobFlow")
