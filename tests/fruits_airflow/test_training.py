"""A training is planned on what is published, and on nothing else."""

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.current import make_current
from fruits_airflow.plan import Plan
from fruits_airflow.publishing import publish_run
from fruits_airflow.settings import Settings
from fruits_airflow.tables import PublishedTable
from fruits_airflow.training import plan_training
from fruits_contract import layout
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE, ClassifierRunParams
from fruits_contract.plan_summary import PlanSummary
from tests.fixtures import published_run

pytestmark = pytest.mark.slow


def planned(bucket: Bucket, settings: Settings, **requested: Any) -> Plan:
    return plan_training(bucket, settings, dag_run_id="training", requested=requested)


@pytest.fixture
def published(bucket: Bucket, s3: S3Client, deployment: Settings) -> Settings:
    published_run.add_photos(s3, bucket, "first", ["Apple/1.jpg", "Apple/2.jpg", "Cherry/1.jpg"])
    params = published_run.plan(bucket, deployment, "r1", "first")
    published_run.run_stages(bucket, params)
    publish_run(bucket, params)
    return deployment


def test_nothing_published_means_no_cluster(bucket: Bucket, deployment: Settings) -> None:
    with pytest.raises(AirflowSkipException, match="no features are published"):
        planned(bucket, deployment)


def test_the_plan_lists_the_published_files(bucket: Bucket, published: Settings) -> None:
    plan = planned(bucket, published, sure_above=0.9)
    assert isinstance(plan.params, ClassifierRunParams)
    files = PublishedTable(bucket, layout.FEATURES_TABLE).files()
    assert files
    assert json.loads(bucket.read(layout.retained("training"))) == files
    assert (plan.params.extractor, plan.params.current, plan.params.sure_above) == (published_run.EXTRACTOR, "", 0.9)
    assert plan.pipeline == CLASSIFIER_PIPELINE
    assert plan.job_flow["Instances"]["InstanceFleets"][1]["TargetOnDemandCapacity"] == 1
    assert PlanSummary.from_json(bucket.read(layout.plan_summary("training"))).nodes == 1
    assert Plan.from_xcom(json.loads(json.dumps(plan.to_xcom()))) == plan


def test_the_current_classifier_is_the_one_to_compare_with(bucket: Bucket, published: Settings) -> None:
    model = {"model_id": "c1", "extractor": published_run.EXTRACTOR, "run": "r0", "previous": ""}
    make_current(bucket, kind="classifier", model=model)
    assert planned(bucket, published).params.current == "c1"  # type: ignore[attr-defined]
    make_current(bucket, kind="classifier", model=model | {"extractor": "f" * 64})
    assert planned(bucket, published).params.current == ""  # type: ignore[attr-defined]


def test_an_unknown_release_fails(bucket: Bucket, published: Settings) -> None:
    with pytest.raises(AirflowFailException, match="release 'v9' is not in"):
        planned(bucket, published, release="v9")
