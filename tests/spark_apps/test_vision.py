"""Every readable photo becomes the extractor's input, however it is stored; tests.fixtures.odd_photos has more of them."""

import io

import numpy as np
import pytest
from PIL import Image

from fruits.vision import copy_of, decode
from tests.fixtures.photo_bytes import ORIENTATION, STORED_AS, encode, exif_with, grey_16_bit, jpeg_with_segment, scene, turned


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
    photo = grey_16_bit() if mode == "I;16" else scene().convert("L").convert(mode)
    image, width, height = decode(encode(photo, kind))
    assert image.shape == (224, 224, 3)
    assert (width, height) == photo.size
    assert image.std() > 0.1, "the picture is gone"


def test_grey_has_three_equal_channels() -> None:
    image, _, _ = decode(encode(scene().convert("L"), "PNG"))
    assert (image == image[..., :1]).all()


def test_16_bit_grey_looks_like_8_bit_grey() -> None:
    deep, _, _ = decode(encode(grey_16_bit(), "PNG"))
    plain, _, _ = decode(encode(scene().convert("L"), "PNG"))
    assert np.abs(deep - plain).mean() < 0.02


def test_cmyk_looks_like_its_rgb() -> None:
    cmyk, _, _ = decode(encode(scene().convert("CMYK"), quality=95))
    rgb, _, _ = decode(encode(scene(), quality=95))
    assert np.abs(cmyk - rgb).mean() < 0.05


def test_a_palette_keeps_its_colours() -> None:
    photo = Image.new("RGB", (9, 9), (255, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert decode(encode(photo, "PNG"))[0][5, 5] == pytest.approx([1, -1, -1], abs=0.02)


def transparent(mode: str) -> bytes:
    """Return a PNG whose left half is black and whose right half is transparent, with a red or grey that nobody sees."""
    alpha = Image.new("L", (40, 20), 255)
    alpha.paste(0, (20, 0, 40, 20))
    if mode == "P":
        photo = Image.new("P", alpha.size, 0)
        photo.putpalette([0, 0, 0, 255, 0, 0])
        photo.paste(1, (20, 0, 40, 20))
        return encode(photo, "PNG", transparency=b"\xff\0")
    photo = Image.new("RGBA", alpha.size, "black")
    photo.paste("red", (20, 0, 40, 20))
    if mode == "RGB":
        return encode(photo.convert("RGB"), "PNG", transparency=(255, 0, 0))
    photo.putalpha(alpha)
    return encode(photo.convert(mode), "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_a_photo_with_transparency_is_put_on_white(mode: str) -> None:
    image, _, _ = decode(transparent(mode))
    assert (image[:, :100] == -1).all()
    assert (image[:, -100:] == 1).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_a_copy_does_not_show_what_is_stored_under_transparent_pixels(mode: str) -> None:
    copy = np.asarray(copy_of(transparent(mode), longest_px=40))
    assert (copy[:, :20] == 0).all()
    assert (copy[:, 20:] == 255).all()


def test_half_transparent_black_is_grey() -> None:
    image, _, _ = decode(encode(Image.new("RGBA", (9, 9), (0, 0, 0, 128)), "PNG"))
    assert image[5, 5] == pytest.approx(0, abs=0.01)


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
    photo = encode(Image.new("RGB", (8, 4), "red"))
    image, width, height = decode(jpeg_with_segment(0xE1, exif_with(tag, orientation=6), photo=photo))
    assert (width, height) == (4, 8)
    assert image[..., 0].min() > 0.9


@pytest.mark.parametrize("orientation", STORED_AS)
def test_a_photo_is_turned_upright_as_its_exif_says(orientation: int) -> None:
    upright = scene()
    content = turned(orientation, upright, quality=95)
    with Image.open(io.BytesIO(content)) as stored:
        assert stored.getexif()[ORIENTATION] == orientation
    image, width, height = decode(content)
    expected, _, _ = decode(encode(upright, quality=95))
    assert (width, height) == upright.size
    assert np.abs(image - expected).mean() < 0.03


def test_the_image_is_put_where_the_caller_says() -> None:
    batch = np.full((3, 224, 224, 3), 7, dtype=np.float32)
    image, _, _ = decode(encode(scene()), out=batch[1])
    assert np.shares_memory(image, batch)
    assert (batch[1] == decode(encode(scene()))[0]).all()
    assert (batch[[0, 2]] == 7).all()
