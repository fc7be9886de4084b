"""One drop of all odd objects, planned and featurized: none is lost, none is counted twice, none stops the others."""

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from pyspark import SparkContext

pytest.importorskip("airflow", reason="the environment of Spark 4 has no Airflow to plan a run with")

from fruits_airflow.bucket import Bucket
from fruits_contract import columns, layout
from fruits_contract.features_pipeline import FEATURIZE
from release.extractor import Extractor
from tests.fixtures.odd_photo import FEATURES, NO_PHOTO
from tests.fixtures.odd_photos import ODD_PHOTOS
from tests.spark_apps.planned_drop import DROP, Deployment

pytestmark = pytest.mark.slow


def test_every_object_of_a_drop_is_features_or_a_reject(
    s3: S3Client, bucket: str, context: SparkContext, extractor: Extractor
) -> None:
    deployment = Deployment.of(s3, Bucket(bucket, session=boto3.Session(), client=s3), context, extractor)
    stored = {photo.name: photo for photo in ODD_PHOTOS if photo.stored}
    for photo in stored.values():
        deployment.put(photo.name, photo.make())
    listed = {item.key.removeprefix(layout.raw_prefix(DROP)) for item in deployment.bucket.objects(layout.raw_prefix(DROP))}
    assert listed == set(stored), "the S3 server keeps these names as they are"

    params = deployment.plan("r1")
    for photo in stored.values():
        if photo.meanwhile == "deleted":
            s3.delete_object(Bucket=bucket, Key=layout.raw_prefix(DROP) + photo.name)
        elif photo.then:
            deployment.put(photo.name, photo.then())
    deployment.run(params, [FEATURIZE])

    rows, rejects = deployment.rows(params, layout.FEATURES_TABLE), deployment.rows(params, layout.REJECTS_TABLE)
    outcomes = [(row["path"], FEATURES) for row in rows] + [(row["path"], row["reason"]) for row in rejects]
    outcomes += [(name, NO_PHOTO) for name in stored if name not in dict(outcomes)]
    assert sorted(outcomes) == sorted((photo.name, photo.outcome) for photo in stored.values())
    assert all(row["detail"] and set(row) == set(columns.REJECTS) for row in rejects)

    by_name = {row["path"]: row for row in rows}
    for name, row in by_name.items():
        size = (row["width"], row["height"])
        assert size == (stored[name].size or size)
    assert by_name["root.jpg"]["label"] == ""
    assert by_name["a/b/Apple/deep.jpg"]["label"] == "Apple"
    assert by_name["Places/copy_1.jpg"]["features"] == by_name["Places/copy_2.jpg"]["features"]
    head = s3.head_object(Bucket=bucket, Key=f"{layout.raw_prefix(DROP)}Changes/replaced.jpg")
    assert by_name["Changes/replaced.jpg"]["etag"] == head["ETag"].strip('"')
