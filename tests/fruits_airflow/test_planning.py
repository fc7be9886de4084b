"""A run that cannot succeed ends before it costs anything."""

import json
from dataclasses import replace

import pytest
from airflow.sdk.exceptions import AirflowFailException
from mypy_boto3_s3 import S3Client

from fruits_airflow.planning import plan_run
from fruits_airflow.settings import Settings
from fruits_contract import layout


def test_tensorflow_is_refused_where_the_release_does_not_have_it(s3: S3Client, bucket: str, settings: Settings) -> None:
    card = {"release": "v1", "extractor": "e" * 64, "files": {}, "tensorflow": False}
    s3.put_object(Bucket=bucket, Key=layout.release_card("v1"), Body=json.dumps(card).encode())
    with pytest.raises(AirflowFailException, match=r"release v1 has no TensorFlow .* `make release TENSORFLOW=1`"):
        plan_run(s3, replace(settings, bucket=bucket), dag_run_id="r", drop="d", asked={"engine": "tensorflow"})


def test_a_release_that_is_not_there_is_named_with_those_that_are(s3: S3Client, bucket: str, settings: Settings) -> None:
    s3.put_object(Bucket=bucket, Key=layout.release_card("v0"), Body=b"{}")
    with pytest.raises(AirflowFailException, match=r"release 'v1' is not in .*; there are: v0"):
        plan_run(s3, replace(settings, bucket=bucket), dag_run_id="r", drop="d", asked={})
