"""A training is the one that the publication has started, and the DAG is paused again whatever happens."""

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from mypy_boto3_s3 import S3Client
from rich.console import Console

from fruits_contract import layout
from fruits_contract.classifier_pipeline import EVALUATE_CLASSIFIER, TRAIN_CLASSIFIER
from fruits_contract.manifest import Finding, Manifest
from local.client import train
from local.client.airflow_api import AirflowApi, DagRun, TaskRun
from local.client.live_log import LiveLog

OLD, NEW, BY_HAND = "asset_triggered__1", "asset_triggered__2", "manual__1"


class Airflow:
    """What a training uses of Airflow's API; the publication has started `newest`."""

    def __init__(self, *, state: str = "success") -> None:
        self.newest, self.state = OLD, state
        self.is_paused = False
        self.triggered: list[str] = []

    def import_errors(self) -> dict[str, str]:
        return {}

    def has_dag(self, dag: str) -> bool:
        return True

    def newest_asset_run(self, dag: str) -> str | None:
        return self.newest

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        self.triggered.append(dag)
        return BY_HAND

    def set_paused(self, dag: str, *, is_paused: bool) -> None:
        self.is_paused = is_paused

    def task_order(self, dag: str) -> list[str]:
        return ["promote"]

    def dag_run(self, dag: str, run: str, *, order: list[str]) -> DagRun:
        return DagRun(dag, run, self.state, 3.0, (TaskRun("promote", self.state, 1.0, 1),))

    def log(self, run: DagRun, task: TaskRun) -> list[str]:
        return ["the reason"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def trained(s3: S3Client, bucket: str, dag_run_id: str) -> None:
    """Leave behind what a training does."""
    run = layout.run_name(dag_run_id)
    digests = {"classifier": "c1", "extractor": "e" * 64}
    figures = {"metrics": {"variety_accuracy": 0.91, "ece": 0.02}}
    findings = (Finding("not_worse", "info", "no worse"),)
    for manifest in (
        Manifest(TRAIN_CLASSIFIER.name, run, "2026-11-24", 1.0, digests=digests),
        Manifest(EVALUATE_CLASSIFIER.name, run, "2026-11-24", 1.0, digests=digests, figures=figures, findings=findings),
    ):
        s3.put_object(Bucket=bucket, Key=layout.manifest(run, manifest.stage), Body=manifest.to_json().encode())
    s3.put_object(Bucket=bucket, Key=layout.classifier_card_page("c1"), Body=b"<html>")
    s3.put_object(Bucket=bucket, Key=layout.classifier_card("c1"), Body=json.dumps({"metrics": {}}).encode())


def follow(airflow: Airflow, bucket: str, out: Path, *, is_published: bool = True) -> tuple[int, str]:
    printed = io.StringIO()
    api = cast(AirflowApi, airflow)
    with train.prepared(api) as training:
        airflow.newest = NEW if is_published else OLD
        code = train.run(
            bucket,
            api,
            training,
            is_published=is_published,
            console=Console(file=printed, width=200),
            log=LiveLog(api, out, bucket),
            out=out,
        )
    return code, printed.getvalue()


@pytest.mark.slow
def test_the_run_of_the_publication_is_followed_and_its_card_fetched(s3: S3Client, bucket: str, out: Path) -> None:
    trained(s3, bucket, NEW)
    airflow = Airflow()
    code, printed = follow(airflow, bucket, out)
    assert (code, airflow.triggered, airflow.is_paused) == (0, [], True)
    assert {"c1", "0.9100", "0.0200", "yes"} <= set(printed.split())
    assert (out / layout.run_name(NEW) / "card.html").read_bytes() == b"<html>"
    assert (out / layout.run_name(NEW) / "card.json").exists()


@pytest.mark.slow
def test_where_nothing_was_published_one_is_started_by_hand(s3: S3Client, bucket: str, out: Path) -> None:
    trained(s3, bucket, BY_HAND)
    airflow = Airflow()
    code, _ = follow(airflow, bucket, out, is_published=False)
    assert (code, airflow.triggered, airflow.is_paused) == (0, [train.DAG], True)


@pytest.mark.slow
def test_a_failed_training_says_why(s3: S3Client, bucket: str, out: Path) -> None:
    airflow = Airflow(state="failed")
    code, printed = follow(airflow, bucket, out)
    assert (code, airflow.is_paused) == (1, True)
    assert "the reason" in printed


def test_the_dag_is_paused_again_when_the_run_before_fails() -> None:
    airflow = Airflow()
    with pytest.raises(RuntimeError), train.prepared(cast(AirflowApi, airflow)):
        assert not airflow.is_paused
        raise RuntimeError("the features run failed")
    assert airflow.is_paused
