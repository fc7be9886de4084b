"""A run that cannot succeed ends before it costs anything."""

import json
from dataclasses import replace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from fruits_airflow.bucket import Bucket
from fruits_airflow.planning import plan_run
from fruits_airflow.settings import Settings
from fruits_contract import layout

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(settings: Settings, bucket: Bucket) -> Settings:
    return replace(settings, bucket=bucket.name)


def add_release(bucket: Bucket, release: str) -> None:
    card = {"release": release, "extractor": "e" * 64, "files": {}, "tensorflow": False}
    bucket.write(layout.release_card(release), json.dumps(card).encode())


def test_tensorflow_is_refused_where_the_release_lacks_it(bucket: Bucket, settings: Settings) -> None:
    add_release(bucket, "v1")
    with pytest.raises(AirflowFailException, match=r"release v1 has no TensorFlow .* `make release TENSORFLOW=1`"):
        plan_run(bucket, settings, dag_run_id="r", drop="d", requested={"engine": "tensorflow"})


def test_a_release_that_does_not_exist_is_named_with_those_that_do(bucket: Bucket, settings: Settings) -> None:
    add_release(bucket, "v0")
    with pytest.raises(AirflowFailException, match=r"release 'v1' is not in .*/code/; existing: v0"):
        plan_run(bucket, settings, dag_run_id="r", drop="d", requested={})
