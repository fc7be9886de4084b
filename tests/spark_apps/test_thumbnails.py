"""Thumbnails are small and hold no EXIF."""

import contextlib
import io

import boto3
import pytest
from PIL import Image
from pyspark import SparkContext

from fruits.errors import UnreadableImage
from fruits.storage import Storage
from fruits.thumbnails import SIZE_PX, thumbnail, thumbnails_of
from tests.fixtures.packed_drop import put_shard
from tests.spark_apps.report_inputs import photo


@pytest.fixture
def bucket(storage: Storage) -> Storage:
    s3 = boto3.Session().client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket="thumbnails")
    return Storage("thumbnails")


def test_a_thumbnail_is_small_upright_and_without_exif() -> None:
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (200, 0, 400, 200))
    exif = Image.Exif()
    exif[271] = "PhoneMaker"
    exif[274] = 6  # to be turned by 90 degrees: the left half is above
    content = io.BytesIO()
    picture.save(content, "JPEG", exif=exif)
    assert b"PhoneMaker" in content.getvalue()

    made = thumbnail(content.getvalue())
    assert b"PhoneMaker" not in made and len(made) < 1000
    with Image.open(io.BytesIO(made)) as small:
        assert (small.format, small.size, len(small.getexif())) == ("WEBP", (SIZE_PX, SIZE_PX), 0)
        red, _, blue = small.convert("RGB").getpixel((24, 4))
        assert red > 200 > 60 > blue


def test_what_is_no_photo_has_no_thumbnail() -> None:
    with pytest.raises(UnreadableImage):
        thumbnail(b"no photo")


@pytest.mark.slow
@pytest.mark.spark4
def test_a_missing_or_spoilt_photo_has_none(context: SparkContext, bucket: Storage) -> None:
    bucket.write("raw/first/a/1.jpg", photo((200, 0, 0)))
    bucket.write("raw/first/a/2.jpg", b"spoilt")
    paths = [f"raw/first/a/{number}.jpg" for number in (1, 2, 3)]
    found = thumbnails_of(context, paths, bucket="thumbnails", max_bytes=10_000)
    assert found == {paths[0]: thumbnail(photo((200, 0, 0)))}
    assert thumbnails_of(context, [], bucket="thumbnails", max_bytes=10_000) == {}


@pytest.mark.slow
@pytest.mark.spark4
def test_all_together_are_bounded(context: SparkContext, bucket: Storage) -> None:
    paths = [f"raw/first/many/{number}.jpg" for number in range(5)]
    for path in paths:
        bucket.write(path, photo((0, 200, 0)))
    size = len(thumbnail(photo((0, 200, 0))))
    assert list(thumbnails_of(context, paths, bucket="thumbnails", max_bytes=3 * size)) == paths[:3]


@pytest.mark.slow
@pytest.mark.spark4
def test_photos_of_shards_have_thumbnails_and_an_object_of_its_own_counts_more(context: SparkContext, bucket: Storage) -> None:
    red, green, blue = photo((200, 0, 0)), photo((0, 200, 0)), photo((0, 0, 200))
    put_shard(bucket, "packed", "a", {"Apple/1.jpg": red, "Apple/2.jpg": red, "Cherry/1.jpg": red, "loose.jpg": blue})
    put_shard(bucket, "packed", "b", {"Apple/2.jpg": green})
    bucket.write("raw/packed/Cherry/1.jpg", green)
    names = ["Apple/1.jpg", "Apple/2.jpg", "Cherry/1.jpg", "loose.jpg", "Apple/none.jpg"]
    found = thumbnails_of(context, [f"raw/packed/{name}" for name in names], bucket="thumbnails", max_bytes=10_000)
    assert found == {
        "raw/packed/Apple/1.jpg": thumbnail(red),
        "raw/packed/Apple/2.jpg": thumbnail(green),
        "raw/packed/Cherry/1.jpg": thumbnail(green),
        "raw/packed/loose.jpg": thumbnail(blue),
    }
