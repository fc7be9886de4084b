"""Every readable photo becomes the extractor's input; every other one is refused with a reason."""

import contextlib
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image, WebPImagePlugin

from fruits import vision
from fruits.engines import open_engine
from fruits.errors import UnreadableImage
from fruits.vision import decode
from release.extractor import Extractor


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """A photo without any symmetry: red grows to the right, green downwards, and one corner is blue."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 200, height)[:, None]
    pixels[: height // 4, : width // 4, 2] = 255
    return Image.fromarray(pixels)


def encode(photo: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    content = io.BytesIO()
    photo.save(content, kind, **options)
    return content.getvalue()


def reason(content: bytes) -> str:
    with pytest.raises(UnreadableImage) as refused:
        decode(content)
    assert str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("size", [(60, 40), (1, 1), (1, 300), (500, 3)])
def test_a_photo_becomes_a_square_of_float32_in_minus_1_to_1(kind: str, size: tuple[int, int]) -> None:
    image, width, height = decode(encode(scene(*size), kind))
    assert image.shape == (224, 224, 3)
    assert image.dtype == np.float32
    assert image.min() >= -1
    assert image.max() <= 1
    assert (width, height) == size


def test_black_is_minus_1_and_white_is_1() -> None:
    assert (decode(encode(Image.new("RGB", (9, 9), "black"), "PNG"))[0] == -1).all()
    assert (decode(encode(Image.new("RGB", (9, 9), "white"), "PNG"))[0] == 1).all()


def test_channels_are_red_green_blue() -> None:
    image, _, _ = decode(encode(Image.new("RGB", (9, 9), (255, 0, 51)), "PNG"))
    assert image[0, 0] == pytest.approx([1, -1, -0.6], abs=1e-6)


def test_another_size_can_be_requested() -> None:
    assert decode(encode(scene()), size_px=32)[0].shape == (32, 32, 3)


def test_resized_as_pillow_does_by_default() -> None:
    photo = scene()
    expected = np.asarray(photo.resize((224, 224)), dtype=np.float32) / 127.5 - 1
    assert np.abs(decode(encode(photo, "PNG"))[0] - expected).max() <= 1e-6


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("P", "PNG"), ("P", "GIF"), ("RGBA", "PNG"), ("LA", "PNG")],
)
def test_other_colour_modes_become_rgb(mode: str, kind: str) -> None:
    grey = scene().convert("L")
    photo = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image, width, height = decode(encode(photo, kind))
    assert image.shape == (224, 224, 3)
    assert (width, height) == photo.size
    assert image.std() > 0.1, "the picture is gone"


def test_grey_has_three_equal_channels() -> None:
    image, _, _ = decode(encode(scene().convert("L"), "PNG"))
    assert (image == image[..., :1]).all()


def test_16_bit_grey_looks_like_8_bit_grey() -> None:
    grey = np.asarray(scene().convert("L"))
    deep, _, _ = decode(encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"))
    plain, _, _ = decode(encode(Image.fromarray(grey), "PNG"))
    assert np.abs(deep - plain).mean() < 0.02


def test_cmyk_looks_like_its_rgb() -> None:
    cmyk, _, _ = decode(encode(scene().convert("CMYK"), quality=95))
    rgb, _, _ = decode(encode(scene(), quality=95))
    assert np.abs(cmyk - rgb).mean() < 0.05


def test_a_palette_keeps_its_colours() -> None:
    photo = Image.new("RGB", (9, 9), (255, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert decode(encode(photo, "PNG"))[0][5, 5] == pytest.approx([1, -1, -1], abs=0.02)


ROTATED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize(
    "tag",
    [
        (0x11A, 2, 3, b"72\0\0"),  # XResolution as text
        (0x131, 3, 1, b"\1\0\0\0"),  # Software as a number
        (0x10F, 5, 1, b"\x28\0\0\0"),  # Make as a fraction
        (0x8769, 4, 1, b"\x0f\x27\0\0"),  # the EXIF directory beyond the end
        (0x8825, 2, 4, b"abc\0"),  # the GPS directory as text
    ],
)
def test_odd_exif_is_no_reason_to_refuse_a_photo(tag: tuple[int, int, int, bytes]) -> None:
    tags = sorted([(0x112, 3, 1, b"\6\0\0\0"), tag])
    directory = b"".join(struct.pack("<HHI", *item[:3]) + item[3] for item in tags)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(64)
    photo = encode(Image.new("RGB", (8, 4), "red"))
    image, width, height = decode(photo[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + photo[2:])
    assert (width, height) == (4, 8)
    assert image[..., 0].min() > 0.9


@pytest.mark.parametrize("orientation", ROTATED)
def test_a_photo_is_turned_upright_as_its_exif_says(orientation: int) -> None:
    upright = scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encode(upright.transpose(ROTATED[orientation]), exif=exif, quality=95)
    with Image.open(io.BytesIO(turned)) as stored:
        assert stored.getexif()[0x0112] == orientation
    image, width, height = decode(turned)
    expected, _, _ = decode(encode(upright, quality=95))
    assert (width, height) == upright.size
    assert np.abs(image - expected).mean() < 0.03


def test_no_bytes_are_empty() -> None:
    assert reason(b"") == "empty"


@pytest.mark.parametrize("content", [b"hello", b"\0" * 4096, b"<html></html>", b"%PDF-1.7\n" * 50])
def test_other_data_is_not_an_image(content: bytes) -> None:
    assert reason(content) == "not_an_image"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_cut_off_is_truncated(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), kind)
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


def test_a_photo_of_a_phone_with_several_pictures_is_a_jpeg() -> None:
    content = encode(scene(), "MPO", save_all=True, append_images=[scene()])
    with Image.open(io.BytesIO(content)) as photo:
        assert photo.format == "MPO"
    assert decode(content)[1:] == (60, 40)


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


def tiff_of_compression(number: int) -> bytes:
    content = encode(scene(), "TIFF", compression="tiff_adobe_deflate")
    entry = struct.pack("<HHII", 259, 3, 1, 8)  # tag Compression, SHORT, one value
    assert content.count(entry) == 1
    return content.replace(entry, struct.pack("<HHII", 259, 3, 1, number))


@pytest.mark.parametrize("number", [34892, 32809], ids=["unknown to Pillow", "not in its libtiff"])
def test_a_tiff_whose_compression_cannot_be_decoded_is_no_damage(number: int) -> None:
    assert reason(tiff_of_compression(number)) == "decoder_missing"


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_a_damaged_tiff_lacks_no_decoder(compression: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), "TIFF", compression=compression)
    (offset,) = Image.open(io.BytesIO(content)).tag_v2[273]  # type: ignore[attr-defined]
    assert reason(content[: offset + 40]) == "truncated"


def test_a_bmp_of_an_unknown_compression_is_no_damage() -> None:
    content = bytearray(encode(scene(), "BMP"))
    content[30:34] = struct.pack("<I", 5)  # a PNG inside
    assert reason(bytes(content)) == "decoder_missing"


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


def phone_photo(seed: int, size: tuple[int, int] = (4000, 3000), **options: object) -> bytes:
    """A JPEG as a phone's: large shapes, fine structure down to two pixels, and noise."""
    draw = np.random.default_rng(seed)
    width, height = size
    layers = [
        np.asarray(Image.fromarray(draw.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC))
        for side in (5, 60, 1000)
    ]
    mixed = layers[0] * 0.6 + layers[1] * 0.3 + layers[2] * 0.1 + draw.normal(0, 6, (height, width, 1))
    return encode(Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8)), quality=90, **options)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=["4:2:0", "4:4:4", "progressive"])
def test_a_large_jpeg_by_scaled_dct_is_within_the_stated_bound(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch, extractor: Extractor
) -> None:
    # docs/decisions/0003 states the bound.
    content = phone_photo(3, **options)
    scaled, *size = decode(content)
    monkeypatch.setattr(vision, "SCALED_DCT_MARGIN", 1000)
    whole, *same = decode(content)
    assert size == same == [4000, 3000]
    difference = np.abs(scaled - whole)
    assert 0 < difference.mean() <= 0.005
    assert difference.max() <= 0.05
    engine = open_engine("litert", extractor.path().read_bytes())
    one, other = engine.features(scaled[None])[0], engine.features(whole[None])[0]
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) >= 0.999


@pytest.mark.parametrize("size", [(895, 895), (600, 2000), (100, 100)])
def test_a_jpeg_of_less_than_four_times_the_input_is_decoded_whole(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(scene(*size))
    image, *_ = decode(content)
    monkeypatch.setattr(vision, "SCALED_DCT_MARGIN", 1000)
    assert (image == decode(content)[0]).all()


@pytest.mark.parametrize("orientation", ROTATED)
def test_a_large_turned_jpeg_keeps_the_size_of_the_stored_photo(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    _, width, height = decode(encode(scene(2001, 2000), exif=exif))
    assert (width, height) == ((2000, 2001) if orientation >= 5 else (2001, 2000))


def test_the_image_is_put_where_the_caller_says() -> None:
    batch = np.full((3, 224, 224, 3), 7, dtype=np.float32)
    image, _, _ = decode(encode(scene()), out=batch[1])
    assert np.shares_memory(image, batch)
    assert (batch[1] == decode(encode(scene()))[0]).all()
    assert (batch[[0, 2]] == 7).all()
