"""The links of tasks."""

from unittest.mock import Mock

import pytest

from fruits_airflow.emr import operators
from fruits_airflow.emr.links import ClusterLogsLink, ModelCardLink, ReportLink
from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER
from fruits_contract.features_pipeline import FEATURIZE, REPORT
from fruits_contract.pipeline import Stage
from tests.fruits_airflow.emr.stubbed_emr import stage_task


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Airflow that shows the pages, also where the tests run on one that does not."""
    monkeypatch.setattr(operators, "HAS_PAGES", True)


@pytest.mark.parametrize(("stage", "first"), [(REPORT, "Report"), (EVALUATE_CLASSIFIER, "Model card"), (FEATURIZE, "Step log")])
def test_a_stage_links_to_what_it_has_written(stage: Stage, first: str) -> None:
    names = [link.name for link in stage_task(stage).operator_extra_links]
    assert names[0] == first
    assert names[-4:] == ["Step log", "Spark history", "EMR Cluster", "EMR Cluster Logs"]


def test_no_link_leads_to_a_page_that_airflow_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "HAS_PAGES", False)
    assert [link.name for link in stage_task(REPORT).operator_extra_links] == ["EMR Cluster", "EMR Cluster Logs"]


@pytest.mark.parametrize(
    ("base_url", "prefix"),
    [
        ("", "/plugin/fruits/fruits"),
        ("https://airflow.example.org", "https://airflow.example.org/plugin/fruits/fruits"),
        ("https://example.org/airflow/", "https://example.org/airflow/plugin/fruits/airflow/fruits"),
    ],
)
def test_links_open_the_pages_inside_airflow(monkeypatch: pytest.MonkeyPatch, base_url: str, prefix: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    key = Mock(run_id="scheduled__2026-11-22T03:00:00+00:00")
    run = layout.run_name(key.run_id)
    assert ReportLink().get_link(Mock(), ti_key=key) == f"{prefix}/runs/{run}"
    assert ModelCardLink().get_link(Mock(), ti_key=key) == f"{prefix}/trainings/{run}"


def test_the_link_opens_the_clusters_folder_below_the_prefix_of_the_logs() -> None:
    link = ClusterLogsLink().format_link(
        region_name="eu-north-1", aws_domain="aws.amazon.com", job_flow_id="j-1", log_uri="photos/logs/"
    )
    assert link == "https://console.aws.amazon.com/s3/buckets/photos?region=eu-north-1&prefix=logs/j-1/"


def test_a_cluster_without_logs_has_no_link() -> None:
    assert ClusterLogsLink().format_link(region_name="eu-north-1", aws_domain="aws.amazon.com", job_flow_id="j-1") == ""
