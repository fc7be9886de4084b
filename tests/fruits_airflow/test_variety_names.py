"""Which names can be the folder of a variety."""

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings
from fruits_airflow.variety_names import InvalidVariety, check_variety, known_varieties
from tests.fixtures.published_run import add_photos, run_drop


@pytest.mark.parametrize("name", ["Apple 21", "Cherry Wax not ripe 2", "Pêche", "7", "a" * 120])
def test_a_name_that_can_be_a_folder_is_accepted(name: str) -> None:
    assert check_variety(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "_READY",
        " Apple",
        "Apple ",
        "a\nb",
        "a\x00",
        "a\u202eb",
        "a\u00a0b",
        "a" * 121,
        "é" * 61,
    ],
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidVariety):
        check_variety(name)


@pytest.mark.slow
def test_known_are_the_varieties_of_published_photos(bucket: Bucket, deployment: Settings, s3: S3Client) -> None:
    assert known_varieties(bucket) == []
    add_photos(s3, bucket, "first", ["Cherry 3/0.jpg", "Apple 21/0.jpg", "Apple 21/1.jpg", "loose.jpg"])
    run_drop(bucket, deployment, "r1", "first")
    assert known_varieties(bucket) == ["Apple 21", "Cherry 3"]
