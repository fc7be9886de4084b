"""A task of a planned run, and an EMR that accepts exactly the requests that a test expects."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import botocore.session
import pytest
from airflow.providers.amazon.aws.hooks.emr import EmrHook
from botocore.stub import Stubber

from fruits_airflow import bucket, commits
from fruits_airflow.emr.operators import (
    RETRIES,
    StageOperator,
)
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FEATURES_PIPELINE, FEATURIZE, FeaturesRunParams
from fruits_contract.manifest import Finding, Manifest

OK = {"ResponseMetadata": {"HTTPStatusCode": 200}}
CLUSTER = {"Cluster": {"Id": "j-1", "LogUri": "s3n://photos/logs/"}}
TAG = {"Key": "project", "Value": "fruits"}
JOB_FLOW: dict[str, Any] = {"Name": "fruits r1", "Instances": {"KeepJobFlowAliveWhenNoSteps": True}, "Tags": [TAG]}
RUN_TAGS = [{"Key": "dag_id", "Value": FEATURES_PIPELINE.dag_id}, {"Key": "dag_run_id", "Value": "manual__1"}]
REQUEST = JOB_FLOW | {"Tags": [TAG, *RUN_TAGS]}
LIVE = {"ClusterStates": ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]}


class TaskInstance:
    """The XComs of a run: `plan_batch` has returned its plan."""

    dag_id = FEATURES_PIPELINE.dag_id
    run_id = "manual__1"
    try_number = 1
    max_tries = RETRIES["retries"]

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.pushed: dict[str, Any] = {}

    def xcom_pull(self, *, task_ids: str) -> Any:
        return {"plan_batch": self.plan}[task_ids]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    return settings


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """A client of EMR that accepts exactly the expected requests, and refuses what AWS's model does not know."""
    session = botocore.session.get_session()
    client = session.create_client("emr", "eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(EmrHook, "conn", client)
    monkeypatch.setattr(EmrHook, "conn_region_name", "eu-north-1")
    monkeypatch.setattr(EmrHook, "conn_partition", "aws")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


STAGE_LIMIT_S = 3600


@pytest.fixture
def task_instance(params: FeaturesRunParams) -> TaskInstance:
    return TaskInstance(
        {
            "pipeline": FEATURES_PIPELINE.dag_id,
            "params": asdict(params),
            "region": "eu-north-1",
            "job_flow": JOB_FLOW,
            "stage_limit_s": STAGE_LIMIT_S,
        }
    )


@pytest.fixture
def context(task_instance: TaskInstance) -> Any:
    return {"ti": task_instance}


class ManifestBucket:
    """A bucket that holds the manifest of featurize, and no tables."""

    manifest = Manifest(
        stage="featurize",
        run="r1",
        started_at="2026-11-22T00:00:00Z",
        seconds=4.0,
        rows_in=3,
        findings=(Finding("counts", "warning", "one is missing"),),
    )

    def read(self, key: str) -> bytes:
        return {"runs/r1/featurize.json": self.manifest.to_json().encode()}[key]


@pytest.fixture
def unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket.Bucket, "of", classmethod(lambda cls, *_, **__: ManifestBucket()))
    monkeypatch.setattr(commits, "open_table", lambda *_: None)


def stage_task(stage: Any = FEATURIZE) -> StageOperator:
    return StageOperator(stage=stage, job_flow_id="j-1")
