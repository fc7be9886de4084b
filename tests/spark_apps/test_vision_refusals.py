"""A photo that cannot be read is refused with a reason, within limits; tests.fixtures.odd_photos has more of them."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image, WebPImagePlugin

from fruits import vision
from fruits.errors import TurnUnavailable, UnreadableImage
from fruits.vision import decode
from tests.fixtures.photo_bytes import encode, jpeg_of_scans, noise, png, png_chunk, scene, tiff_of_compression


def reason(content: bytes) -> str:
    with pytest.raises(UnreadableImage) as refused:
        decode(content)
    assert str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize("share", [0.3, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_cut_off_is_truncated(kind: str, share: float) -> None:
    content = encode(noise(), kind)
    assert reason(content[: int(share * len(content))]) == "truncated"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.97])
def test_a_real_photo_cut_off_is_truncated(reference_photos: Path, share: float) -> None:
    content = next(iter(sorted((reference_photos / "Cherry 3").glob("*.jpg")))).read_bytes()
    decode(content)
    assert reason(content[: int(share * len(content))]) == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_cut_off_in_its_header_is_truncated(kind: str) -> None:
    assert reason(encode(scene(), kind)[:20]) == "truncated"


@pytest.mark.parametrize("kind", ["AVIF", "ICO", "JPEG2000", "PCX", "PPM", "EPS", "SGI"])
def test_a_format_that_is_not_allowed_is_named(kind: str) -> None:
    with pytest.raises(UnreadableImage, match=f"^{kind}; allowed are JPEG, PNG, WEBP, GIF, BMP, TIFF$") as refused:
        decode(encode(scene(), kind))
    assert refused.value.reason == "format_not_allowed"


def test_an_eps_never_starts_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(scene(), "EPS")
    started = tmp_path / "started"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {started}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow searches the PATH once
    assert reason(content) == "format_not_allowed"
    assert not started.exists()
    with Image.open(io.BytesIO(content)) as photo, contextlib.suppress(OSError):
        photo.load()
    assert started.exists(), "Pillow by itself starts it"


def test_a_tiff_of_a_compression_that_libtiff_lacks_is_no_damage() -> None:
    assert reason(tiff_of_compression(32809)) == "decoder_missing"


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_a_damaged_tiff_lacks_no_decoder(compression: str) -> None:
    content = encode(noise(), "TIFF", compression=compression)
    (offset,) = Image.open(io.BytesIO(content)).tag_v2[273]  # type: ignore[attr-defined]
    assert reason(content[: offset + 40]) == "truncated"


def test_a_build_without_webp_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(scene(), "WEBP")
    monkeypatch.setattr(WebPImagePlugin, "SUPPORTED", False)
    assert reason(content) == "decoder_missing"


DAMAGEABLE = {kind: encode(scene(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")}


@given(st.sampled_from(sorted(DAMAGEABLE)), st.integers(0, 5000), st.binary(min_size=1, max_size=8))
def test_damage_anywhere_is_a_reason_or_a_picture_and_never_another_error(kind: str, place: int, damage: bytes) -> None:
    content = bytearray(DAMAGEABLE[kind])
    place %= len(content)
    content[place : place + len(damage)] = damage
    try:
        image, _, _ = decode(bytes(content))
    except UnreadableImage as error:
        assert error.reason in {"not_an_image", "format_not_allowed", "decoder_missing", "truncated", "too_many_pixels"}
    else:
        assert np.isfinite(image).all()


def test_a_photo_over_the_limit_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "MAX_PIXELS", 60 * 40)
    decode(encode(scene(60, 40)))
    cut = encode(scene(61, 40))[:-50]
    assert reason(cut) == "too_many_pixels"


def test_pillows_own_limit_has_the_same_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert reason(encode(scene())) == "too_many_pixels"


def test_the_limit_is_below_pillows_own() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert vision.MAX_PIXELS <= 2 * Image.MAX_IMAGE_PIXELS


ENDLESS = {
    "scans of a JPEG": lambda: jpeg_of_scans(2000, 5000),
    "chunks of a PNG": lambda: png(8, 8, before=100_000 * png_chunk(b"prVt", b"")),
    "segments of a JPEG": lambda: encode(scene())[:2] + 400_000 * b"\xff\xe5\0\2" + encode(scene())[2:],
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_photo_that_takes_too_long_is_refused(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "MAX_CPU_S", 0.1)
    assert reason(ENDLESS[what]()) == "too_slow_to_decode"


@pytest.mark.parametrize(
    ("error", "expected"), [(MemoryError(), "too_much_memory"), (KeyError("x"), "truncated"), (ZeroDivisionError(), "truncated")]
)
def test_whatever_the_decoder_raises_is_a_reason(error: Exception, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(photo: Image.Image) -> None:
        raise error

    monkeypatch.setattr(vision, "_load", fail)
    assert reason(encode(scene())) == expected


def test_a_machine_without_a_folder_for_the_lock_is_not_the_photos_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "LARGE_PIXELS", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(TurnUnavailable, match="TMPDIR must be writable"):
        decode(encode(scene()))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encode(scene(2000, 1000), "PNG"), True),
        (encode(scene(200, 100), "PNG"), False),
        (encode(scene(2000, 1000), progressive=True), True),
        (encode(scene(2000, 1000)), False),  # by scaled DCT
    ],
    ids=["large", "small", "progressive", "scaled"],
)
def test_a_photo_that_fills_the_memory_waits_for_its_turn(
    content: bytes, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = False

    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        nonlocal taken
        taken = True
        yield

    monkeypatch.setattr(vision, "LARGE_PIXELS", 1_500_000)
    monkeypatch.setattr(vision, "turn_of_large_photo", turn)
    decode(content)
    assert taken is expected
