"""The way to a cluster's Spark history, with EMR's answers by botocore's model of the service."""

from collections.abc import Iterator

import botocore.session
import pytest
import tenacity
from botocore.stub import Stubber

from fruits_airflow.emr.spark_history import NoSparkHistory, spark_history_address
from tests.fixtures import app_ui


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setattr(tenacity.nap, "sleep", lambda _: None)
    session = botocore.session.get_session()
    with Stubber(session.create_client("emr", "eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_the_address_comes_once_the_ui_is_attached_and_the_address_ready(emr: Stubber) -> None:
    app_ui.expect_creation(emr, bucket="photos")
    app_ui.expect_status(emr, "STARTING")
    app_ui.expect_status(emr, "ATTACHED")
    app_ui.expect_address(emr, {"PresignedURLReady": False})
    app_ui.expect_status(emr, "ATTACHED")
    app_ui.expect_address(emr, app_ui.READY)
    assert spark_history_address(emr.client, "j-1", bucket="photos") == app_ui.ADDRESS


def test_a_ui_that_is_not_ready_in_time_is_reported(emr: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fruits_airflow.emr.spark_history.READY_TIMEOUT_S", 0)
    app_ui.expect_creation(emr, bucket="photos")
    app_ui.expect_status(emr, "STARTING")
    with pytest.raises(NoSparkHistory, match="still preparing the history of cluster j-1"):
        spark_history_address(emr.client, "j-1", bucket="photos")


@pytest.mark.parametrize("log_uri", ["s3n://others/logs/", "s3n://photos/logs-of-others/", ""])
def test_clusters_of_others_are_not_shown(emr: Stubber, log_uri: str) -> None:
    app_ui.expect_cluster(emr, log_uri=log_uri)
    with pytest.raises(NoSparkHistory, match="not one of this project"):
        spark_history_address(emr.client, "j-1", bucket="photos")


def test_the_refusal_of_emr_is_passed_on(emr: Stubber) -> None:
    app_ui.expect_cluster(emr, log_uri="s3n://photos/logs/")
    emr.add_client_error("create_persistent_app_ui", "AccessDeniedException", "not authorized")
    with pytest.raises(NoSparkHistory, match=r"not authorized.*infra/access\.yaml"):
        spark_history_address(emr.client, "j-1", bucket="photos")
