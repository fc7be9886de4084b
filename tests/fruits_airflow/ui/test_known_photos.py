"""Photos to compare with are of the newest drops, and nobody's contribution."""

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.ui.known_photos import KnownPhotos, is_known_photo, known_photos
from tests.fixtures.contributed import add_accepted, id_of
from tests.fixtures.published_run import add_photos


@pytest.mark.slow
def test_the_newest_photos_that_nobody_contributed_are_shown(bucket: Bucket, s3: S3Client) -> None:
    add_photos(s3, bucket, "training", ["Apple/t.jpg"])
    add_photos(s3, bucket, "new\nline", ["Apple/n.jpg"])
    add_photos(s3, bucket, "2026-11-20", ["Apple/0.jpg", "Apple/1.jpg", "Apple Red/0.jpg"])
    add_photos(s3, bucket, "2026-11-21", ["_READY", "Apple/a b?.JPEG", "Apple/notes.txt", "Apple/tab\t.jpg"])
    add_photos(s3, bucket, "2026-11-21", ["Apple/large.jpg"], content=b"0" * 2_000_001)
    add_accepted(bucket, "2026-11-21", "Apple")
    assert known_photos(bucket, ["Apple", "Cherry"]) == [
        KnownPhotos(
            "Apple",
            (
                "review/known/2026-11-21/Apple/a%20b%3F.JPEG",
                "review/known/2026-11-20/Apple/0.jpg",
                "review/known/2026-11-20/Apple/1.jpg",
            ),
        ),
        KnownPhotos("Cherry", ()),
    ]


@pytest.mark.parametrize(
    "key",
    [
        "raw/first/_READY",
        "raw/first/0.jpg",
        "raw/first/Apple/x/0.jpg",
        "raw/../Apple/0.jpg",
        f"raw/d/A/contributed-{id_of(1)}.jpg",
    ],
)
def test_other_keys_are_no_known_photos(key: str) -> None:
    assert not is_known_photo(key)
