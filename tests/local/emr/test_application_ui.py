"""Persistent application UIs: of running and ended clusters, with and without a Spark history server."""

import socket
from pathlib import Path

import pytest

from local.emr.application_ui import ApplicationUis
from local.emr.model import ApiError
from local.emr.operations import Emr
from tests.local.emr.emr_client import Service, refusal

ARN = "arn:aws:elasticmapreduce:eu-north-1:000000000000:cluster/j-1"
UI = {"PersistentAppUIId": "p-1"}


@pytest.fixture
def uis() -> ApplicationUis:
    return ApplicationUis("http://127.0.0.1:1/")


def test_a_ui_belongs_to_a_cluster(uis: ApplicationUis) -> None:
    created = uis.answer("CreatePersistentAppUI", {"TargetResourceArn": ARN}, cluster_ids={"j-1"})
    assert created == {**UI, "RuntimeRoleEnabledCluster": False}
    described = uis.answer("DescribePersistentAppUI", UI, cluster_ids={"j-1"})["PersistentAppUI"]
    assert described["PersistentAppUIStatus"] == "ATTACHED"
    with pytest.raises(ApiError, match="cluster/j-1 does not exist"):
        uis.answer("CreatePersistentAppUI", {"TargetResourceArn": ARN}, cluster_ids={"j-2"})
    with pytest.raises(ApiError, match="p-1 does not exist"):
        uis.answer("DescribePersistentAppUI", UI, cluster_ids={"j-2"})


def test_the_address_is_ready_when_the_history_server_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        uis = ApplicationUis(address)
        answer = uis.answer("GetPersistentAppUIPresignedURL", UI, cluster_ids={"j-1"})
        assert answer == {"PresignedURLReady": True, "PresignedURL": address}
    assert uis.answer("GetPersistentAppUIPresignedURL", UI, cluster_ids={"j-1"}) == {"PresignedURLReady": False}


def test_other_types_are_refused(uis: ApplicationUis) -> None:
    with pytest.raises(ApiError, match="type SHS only"):
        uis.answer("GetPersistentAppUIPresignedURL", {**UI, "PersistentAppUIType": "TEZ"}, cluster_ids={"j-1"})


@pytest.mark.slow
def test_without_a_history_server_the_refusal_says_so(service: Service) -> None:
    arn = service.describe(service.run())["ClusterArn"]
    code, message = refusal(service.emr.create_persistent_app_ui, TargetResourceArn=arn)
    assert code == "ValidationException"
    assert "without a Spark history server" in message


@pytest.mark.slow
def test_a_restarted_service_still_knows_the_clusters_that_had_ended(own_service: Service, tmp_path: Path) -> None:
    cluster_id = own_service.run()
    own_service.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    before = own_service.wait_for_end(cluster_id)
    own_service.stop()
    restarted = Emr(own_service.state, spark_conf=tmp_path, spark_history="http://127.0.0.1:1/")
    after = restarted.answer("DescribeCluster", {"ClusterId": cluster_id})["Cluster"]
    assert (after["ClusterArn"], after["Status"]["State"]) == (before["ClusterArn"], "TERMINATED")
    created = restarted.answer("CreatePersistentAppUI", {"TargetResourceArn": after["ClusterArn"]})
    assert created["PersistentAppUIId"] == f"p-{cluster_id[2:]}"
    with pytest.raises(ApiError, match="not valid"):
        restarted.answer("ListSteps", {"ClusterId": cluster_id})
