"""Every odd object of a drop becomes a row of features or a reject with its reason."""

import numpy as np
import pytest
from obstore.store import MemoryStore

from fruits import vision
from fruits.errors import REASONS, UnreadableImage
from fruits.photo_reader import read_photo
from fruits.vision import decode
from tests.fixtures.odd_photo import FEATURES, NO_PHOTO, OddPhoto
from tests.fixtures.odd_photos import ODD_PHOTOS
from tests.fixtures.packed_drop import single_photo

NOT_DECODED = {"unreadable_key", "missing", "too_many_bytes", NO_PHOTO}
# The one of 100 megapixels is in the drop.
DECODED = [photo for photo in ODD_PHOTOS if photo.outcome not in NOT_DECODED and photo.name != "Sizes/limit.png"]
UNREADABLE_KEYS = [photo for photo in ODD_PHOTOS if photo.outcome == "unreadable_key"]


def test_names_differ() -> None:
    assert len({photo.name for photo in ODD_PHOTOS}) == len(ODD_PHOTOS) >= 40


OF_SHARDS = {"damaged_shard", "wrong_digest"}  # tests/spark_apps/test_packed_drop.py


@pytest.mark.parametrize("photo", DECODED, ids=lambda photo: photo.what)
def test_its_bytes_are_decoded_or_refused(photo: OddPhoto, monkeypatch: pytest.MonkeyPatch) -> None:
    if photo.outcome == "too_slow_to_decode":
        monkeypatch.setattr(vision, "MAX_CPU_S", 0.5)
    content = (photo.then or photo.make)()
    if photo.outcome != FEATURES:
        with pytest.raises(UnreadableImage) as refused:
            decode(content)
        assert (refused.value.reason, str(refused.value) != "") == (photo.outcome, True)
        return
    image, width, height = decode(content)
    assert np.isfinite(image).all()
    assert (width, height) == (photo.size or (width, height))


@pytest.mark.parametrize("photo", UNREADABLE_KEYS, ids=lambda photo: photo.what)
def test_a_key_that_no_client_can_read_is_refused(photo: OddPhoto) -> None:
    with pytest.raises(UnreadableImage, match="rename it") as refused:
        read_photo(MemoryStore(), single_photo(f"raw/odd/{photo.name}"))  # type: ignore[arg-type]
    assert refused.value.reason == "unreadable_key"


def test_every_reason_has_an_example_but_one() -> None:
    assert {photo.outcome for photo in ODD_PHOTOS} - {FEATURES, NO_PHOTO} == set(REASONS) - {"too_much_memory", *OF_SHARDS}
