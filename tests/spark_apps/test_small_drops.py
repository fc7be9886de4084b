"""Drops with next to nothing in them, planned and taken through the stages: a result, or a refusal that says what is missing."""

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from pyspark import SparkContext

pytest.importorskip("airflow", reason="the environment of Spark 4 has no Airflow to plan a run with")

from tests.fixtures import airflow_home  # noqa: F401

# isort: split
from airflow.providers.common.compat.sdk import AirflowSkipException

from fruits.errors import TooFewImages
from fruits_airflow.bucket import Bucket
from fruits_airflow.publishing import publish_run
from fruits_contract import layout
from fruits_contract.features_pipeline import (
    FEATURES_PIPELINE,
    FEATURIZE,
    FIT_PCA,
    REPORT,
    TRANSFORM_PCA,
    VALIDATE,
    FeaturesRunParams,
)
from release.extractor import Extractor
from tests.fixtures.photo_bytes import encode, noise, scene
from tests.spark_apps.planned_drop import Deployment

pytestmark = pytest.mark.slow

GOOD = [encode(scene()), encode(noise()), encode(scene().convert("L")), encode(scene(40, 60))]
TRANSFORM_STAGES = (FEATURIZE, TRANSFORM_PCA, VALIDATE, REPORT)


@pytest.fixture
def deployment(s3: S3Client, bucket: str, context: SparkContext, extractor: Extractor) -> Deployment:
    return Deployment.of(s3, Bucket(bucket, session=boto3.Session(), client=s3), context, extractor)


@pytest.mark.parametrize(
    ("contents", "requested", "refusal"),
    [
        (GOOD[:1], {}, "a PCA needs at least 2 different photos; found 1"),
        (GOOD[:1] * 5, {}, "a PCA needs at least 2 different photos; found 5 without variance between them"),
        (GOOD[:3], {"components": 3}, "3 components were requested; 3 photos have at most 2"),
        ([b"", b"no photo"], {}, "there is not one photo with features to fit a PCA on"),
    ],
    ids=["one photo", "identical photos", "fewer photos than components", "all rejected"],
)
def test_a_drop_that_no_pca_can_be_fitted_on_is_refused(
    deployment: Deployment, contents: list[bytes], requested: dict[str, int], refusal: str
) -> None:
    for number, content in enumerate(contents):
        deployment.put(f"Apple/{number}.jpg", content)
    params = deployment.plan("r1", **requested)
    deployment.run(params, [FEATURIZE])
    with pytest.raises(TooFewImages, match=refusal):
        deployment.run(params, [FIT_PCA])


def published(deployment: Deployment) -> FeaturesRunParams:
    """Publish a drop of two photos of one variety."""
    for number, content in enumerate(GOOD[:2]):
        deployment.put(f"Apple/{number}.jpg", content)
    params = deployment.plan("r1")
    deployment.run(params, FEATURES_PIPELINE.stages)
    publish_run(deployment.bucket, params)
    return params


def test_two_photos_of_one_variety_are_enough_and_then_one_photo_and_then_none(deployment: Deployment) -> None:
    first = published(deployment)
    assert deployment.manifest(first, FIT_PCA).figures["k"] == 1
    assert deployment.manifest(first, TRANSFORM_PCA).rows_out == 2
    assert deployment.bucket.read(layout.report_page("r1"))

    deployment.put("Apple/2.jpg", GOOD[2])
    second = deployment.plan("r2")
    deployment.run(second, TRANSFORM_STAGES)
    publish_run(deployment.bucket, second)
    assert deployment.manifest(second, TRANSFORM_PCA).rows_out == 1

    with pytest.raises(AirflowSkipException, match="nothing new"):
        deployment.plan("r3")


def test_a_drop_of_rejects_alone_has_a_report_and_is_not_published(deployment: Deployment) -> None:
    published(deployment)
    deployment.put("Apple/3.jpg", b"no photo")
    params = deployment.plan("r2")
    deployment.run(params, TRANSFORM_STAGES)
    (red,) = deployment.manifest(params, VALIDATE).red
    assert red.message.startswith("1 of 1 photos rejected (100.0%; 1 not_an_image)")
    assert b"not_an_image" in deployment.bucket.read(layout.report_page("r2"))
