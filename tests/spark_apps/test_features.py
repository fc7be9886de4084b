"""Photos keep their order, few are in memory at a time, and a photo that cannot be read stops nobody."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyspark import SparkContext

from fruits import features
from fruits.colors import COLOR_COUNT
from fruits.errors import UnreadableImage
from fruits.features import BroadcastExtractor, EngineChoice, choose_engine, features_of
from fruits.photo_reader import AHEAD_PHOTOS, read_ahead
from fruits.storage import Storage
from fruits_contract import columns
from release.extractor import Extractor
from tests.fixtures.packed_drop import single_photo

DIGEST = "e" * 64
BATCH_IMAGES = 8


class MeanColour:
    """An engine that says what it saw: the first feature is the image's mean red."""

    name = "mean-colour"
    batch_images = BATCH_IMAGES

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def features(self, images: np.ndarray) -> np.ndarray:
        assert images.shape[1:] == (224, 224, 3)
        assert images.dtype == np.float32
        self.sizes.append(len(images))
        vectors = np.zeros((len(images), 1280), dtype=np.float32)
        vectors[:, 0] = images[..., 0].mean(axis=(1, 2))
        vectors[:, 1] = 1
        return vectors


def photo(number: int) -> dict[str, Any]:
    return {**single_photo(f"raw/first/Apple/{number}.png", size_bytes=100), "etag": f"planned-{number}"}


def number_of(row: dict[str, Any]) -> int:
    return int(row["path"].rsplit("/", 1)[1].removesuffix(".png"))


def read(row: dict[str, Any]) -> tuple[bytes, str]:
    """A grey photo of 3 x 2 pixels, darker or lighter by its number."""
    content = io.BytesIO()
    Image.new("RGB", (3, 2), (number_of(row) % 256,) * 3).save(content, "PNG")
    return content.getvalue(), f"read-{number_of(row)}"


def reading(reader: Any) -> Callable[[list[dict[str, Any]]], list[tuple[bytes, str] | UnreadableImage]]:
    """Let a reader of one photo read a group."""

    def read_one(row: dict[str, Any]) -> tuple[bytes, str] | UnreadableImage:
        try:
            found: tuple[bytes, str] = reader(row)
        except UnreadableImage as error:
            return error
        return found

    return lambda group: [read_one(row) for row in group]


def run(photos: list[dict[str, Any]], *, reader: Any = read) -> tuple[list[dict[str, Any]], list[dict[str, Any]], MeanColour]:
    rejects: list[dict[str, Any]] = []
    engine = MeanColour()
    batches = list(features_of(read_ahead(photos, reading(reader)), engine=engine, digest=DIGEST, reject=rejects.append))
    return [row for batch in batches for row in batch.to_pylist()], rejects, engine


@pytest.mark.parametrize("count", [1, BATCH_IMAGES - 1, BATCH_IMAGES, BATCH_IMAGES + 1, features.ROWS_OUT, 3 * AHEAD_PHOTOS + 5])
def test_every_photo_has_its_own_features_in_the_order_of_the_batch(count: int) -> None:
    rows, rejects, engine = run([photo(number) for number in range(count)])
    assert [number_of(row) for row in rows] == list(range(count))
    assert rejects == []
    for number, row in enumerate(rows):
        assert row["features"][0] == pytest.approx((number % 256) / 127.5 - 1, abs=1e-5)
    assert sum(engine.sizes) == count
    assert max(engine.sizes) == min(count, BATCH_IMAGES)
    assert len(engine.sizes) <= count // BATCH_IMAGES + 2, "the network is called with full batches but for the last of a chunk"


def test_rows_have_the_columns_of_the_contract() -> None:
    engine = MeanColour()
    (batch,) = features_of(read_ahead([photo(7)], reading(read)), engine=engine, digest=DIGEST, reject=lambda row: None)
    assert batch.schema == columns.arrow_schema(columns.FEATURES)
    (row,) = batch.to_pylist()
    assert len(row.pop("features")) == 1280
    assert len(row.pop("colors")) == COLOR_COUNT
    assert row == {
        "path": "raw/first/Apple/7.png",
        "etag": "read-7",
        "label": "Apple",
        "contributor": "",
        "width": 3,
        "height": 2,
        "extractor": DIGEST,
    }


def test_no_photos_give_no_batches() -> None:
    rows, rejects, engine = run([])
    assert rows == rejects == engine.sizes == []


def test_many_photos_come_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "ROWS_OUT", 16)
    engine = MeanColour()
    photos = [photo(number) for number in range(50)]
    batches = list(features_of(read_ahead(photos, reading(read)), engine=engine, digest=DIGEST, reject=lambda row: None))
    assert [len(batch) for batch in batches] == [16, 16, 16, 2]


@settings(max_examples=20)
@given(st.sets(st.integers(0, 39)))
def test_photos_are_features_or_rejects_and_never_lost(broken: set[int]) -> None:
    def reader(row: dict[str, Any]) -> tuple[bytes, str]:
        return (b"" if number_of(row) in broken else read(row)[0]), "read"

    rows, rejects, _ = run([photo(number) for number in range(40)], reader=reader)
    assert {number_of(row) for row in rejects} == broken
    assert [number_of(row) for row in rows] == [number for number in range(40) if number not in broken]


def test_a_reject_says_why_and_which_bytes_it_was() -> None:
    def reader(row: dict[str, Any]) -> tuple[bytes, str]:
        if number_of(row) == 1:
            raise UnreadableImage("missing", "it was deleted")
        return (b"hello" if number_of(row) == 2 else read(row)[0]), f"read-{number_of(row)}"

    rows, rejects, _ = run([photo(number) for number in range(4)], reader=reader)
    assert [number_of(row) for row in rows] == [0, 3]
    missing, text = sorted(rejects, key=number_of)
    assert missing == {
        "path": "raw/first/Apple/1.png",
        "etag": "planned-1",
        "label": "Apple",
        "contributor": "",
        "extractor": DIGEST,
        "reason": "missing",
        "detail": "it was deleted",
    }
    assert (text["etag"], text["reason"]) == ("read-2", "not_an_image")
    assert set(text) == set(columns.REJECTS)


def test_any_other_error_is_passed_on() -> None:
    def reader(row: dict[str, Any]) -> tuple[bytes, str]:
        if number_of(row) == 20:
            raise ConnectionError("S3 is gone")
        return read(row)

    with pytest.raises(ConnectionError, match="S3 is gone"):
        run([photo(number) for number in range(40)], reader=reader)


def test_an_error_of_the_network_is_passed_on() -> None:
    class Broken(MeanColour):
        def features(self, images: np.ndarray) -> np.ndarray:
            raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        list(features_of(read_ahead([photo(1)], reading(read)), engine=Broken(), digest=DIGEST, reject=lambda row: None))


def test_a_slow_network_does_not_let_photos_pile_up() -> None:
    taken = 0
    seen: list[int] = []

    def photos() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for number in range(3 * AHEAD_PHOTOS):
            taken += 1
            yield photo(number)

    class Counting(MeanColour):
        def features(self, images: np.ndarray) -> np.ndarray:
            seen.append(taken - sum(self.sizes))
            return super().features(images)

    rejects: list[dict[str, Any]] = []
    list(features_of(read_ahead(photos(), reading(read)), engine=Counting(), digest=DIGEST, reject=rejects.append))
    assert max(seen) <= AHEAD_PHOTOS + BATCH_IMAGES


def test_rows_that_were_handed_on_are_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "ROWS_OUT", 16)
    batches = features_of(
        read_ahead([photo(n) for n in range(40)], reading(read)), engine=MeanColour(), digest=DIGEST, reject=lambda row: None
    )
    first = next(batches)
    before = first.to_pylist()
    list(batches)
    assert first.to_pylist() == before


@pytest.mark.slow
@pytest.mark.spark4
def test_auto_tries_the_engines_on_photos_of_the_batch(context: SparkContext, storage: Storage, extractor: Extractor) -> None:
    photos = [photo(number) for number in range(40)]
    for row in photos[1:]:  # the first one was deleted in the meantime
        storage.write(row["path"], read(row)[0])
    schema = columns.arrow_schema(columns.BATCH)
    storage.write_parquet("runs/auto/batch.parquet", pa.Table.from_pylist(photos, schema=schema).to_batches(), schema)
    model = context.broadcast(extractor.path().read_bytes())

    def choose(engine: str) -> EngineChoice:
        requested = BroadcastExtractor(extractor.digest, model, engine)
        return choose_engine(context, storage, "runs/auto/batch.parquet", photo_count=40, extractor=requested)

    choice = choose("auto")
    assert choice.extractor.engine in ("litert", "openvino")
    assert choice.name.startswith(f"{choice.extractor.engine}-")
    assert [trial.engine for trial in choice.trials] == ["litert", "openvino"]
    assert all(trial.min_cosine >= 0.999 and trial.images_per_second > 0 for trial in choice.trials), choice.trials
    assert choice.as_figures()["trials"][0]["refused"] == ""
    assert (choose("litert").why, choose("litert").trials) == ("requested", ())
