"""Decodes the bytes of a photo into the extractor's input.

Imports neither Spark nor an S3 client, so that a service can decode exactly as the stages do; enforced by test_architecture.
"""

import contextlib
import io
import re
import struct
import time
import warnings
from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from fruits.errors import FruitsError, UnreadableImage
from fruits.large_photos import turn_of_large_photo

SIZE_PX = 224
# Pillow knows 40 more. Some open other programs (EPS starts Ghostscript), and their decoders are used and tested less.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 1_000_000  # resizing needs 32 bytes per pixel of a side; Pillow's MemoryError for 100 million of them
MAX_CPU_S = 10.0  # of the decoding thread; the slowest harmless photo of 100 megapixels takes 3 (docs/decisions/0025)
# Read by the decoder at a time, within which it cannot be stopped: Pillow's 64 kB of empty scans take 30 s.
PROGRESSIVE_BLOCK_BYTES = 4096
LARGE_PIXELS = 16_000_000  # more than this in memory at once, and a photo waits until no other such photo is being decoded
# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size (scaled DCT) as long as both sides stay this many times the input's.
SCALED_DCT_MARGIN = 2
HEIC = re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)  # what phones make; Pillow does not know it
# What makes a photo of each EXIF orientation upright; 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
TIFF_TILE = (322, 323)  # tags: width and length of a tile


def decode(content: bytes, *, size_px: int = SIZE_PX, out: np.ndarray | None = None) -> tuple[np.ndarray, int, int]:
    """Decode one photo into the extractor's input.

    Parameters
    ----------
    out : ndarray, shape (size_px, size_px, 3), float32, optional
        Where to put the image, e.g. a row of a batch: new memory for each photo costs more than decoding it.

    Returns
    -------
    image : ndarray, shape (size_px, size_px, 3), float32
        RGB in [-1, 1], upright (EXIF orientation applied), aspect ratio not kept.
    width, height : int
        Size of the stored photo, in pixels, upright.

    Raises
    ------
    UnreadableImage
        With a reason code of `fruits.errors.REASONS`. The caller records it as a reject and goes on.

    References
    ----------
    docs/decisions/0003: bicubic, because the reference features use Pillow's default; how far scaled DCT is from decoding whole.
    """

    def resize(upright: Image.Image) -> Image.Image:
        return upright.resize((size_px, size_px), Image.Resampling.BICUBIC)

    photo, width, height = _read(content, enough_px=SCALED_DCT_MARGIN * size_px, resize=resize)
    image = np.empty((size_px, size_px, 3), np.float32) if out is None else out
    np.divide(np.asarray(photo), np.float32(127.5), out=image)
    np.subtract(image, np.float32(1), out=image)
    return image, width, height


def copy_of(content: bytes, *, longest_px: int) -> Image.Image:
    """Return the pixels of a photo: upright, in RGB, no side longer than `longest_px`, and nothing else of the file.

    Pillow keeps comments, EXIF, XMP and ICC profiles of a photo with its pixels, and some of them are written into its copies.

    Raises
    ------
    UnreadableImage
        As `decode`.
    """

    def resize(upright: Image.Image) -> Image.Image:
        scale = min(1, longest_px / max(upright.size))
        width, height = (max(1, round(scale * side)) for side in upright.size)
        return upright.resize((width, height), Image.Resampling.BICUBIC)

    photo, _, _ = _read(content, enough_px=longest_px, resize=resize)
    return Image.fromarray(np.asarray(photo))


# Pillow's texts: "decoder jpeg not available", "Unsupported BMP compression (5)", "... not yet supported".
_NO_DECODER = re.compile(r"\bunsupported\b|\bnot available\b|\bnot yet supported\b", re.IGNORECASE)


class _LimitedFile(io.BytesIO):
    """The bytes of a photo, readable until its thread has used `MAX_CPU_S`.

    Pillow reads every header, chunk and block by `read`, so no loop over them lasts longer. Not a signal, which only a main
    thread can receive. CPU time, because a busy node is not the photo's fault.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._began_s = time.monotonic()
        self._began_cpu_s = time.thread_time()

    def read(self, size: int | None = -1, /) -> bytes:
        # No thread has used more CPU time than has passed, and the time that has passed costs less to read.
        if time.monotonic() - self._began_s > MAX_CPU_S and time.thread_time() - self._began_cpu_s > MAX_CPU_S:
            raise UnreadableImage("too_slow_to_decode", f"decoding took more than {MAX_CPU_S:g} s of CPU")
        return super().read(size)


def _read(content: bytes, *, enough_px: int, resize: Callable[[Image.Image], Image.Image]) -> tuple[Image.Image, int, int]:
    """Return the photo upright, in RGB and resized, and its stored width and height, upright.

    Parameters
    ----------
    enough_px
        A JPEG is decoded at the smallest size with both sides at least this long.
    """
    if not content:
        raise UnreadableImage("empty", "the object has 0 bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_any(content, enough_px=enough_px, resize=resize)


def _read_any(content: bytes, *, enough_px: int, resize: Callable[[Image.Image], Image.Image]) -> tuple[Image.Image, int, int]:
    try:
        with Image.open(_LimitedFile(content), formats=FORMATS) as photo:
            width, height = photo.size
            _check_pixels(photo)
            photo.draft(None, (enough_px, enough_px))
            in_memory = max(photo.width * photo.height, _tile_pixels(photo))
            if photo.info.get("progressive"):  # a JPEG that is kept whole, whatever the draft's size
                in_memory = width * height
                photo.decodermaxblock = PROGRESSIVE_BLOCK_BYTES
            with turn_of_large_photo() if in_memory > LARGE_PIXELS else contextlib.nullcontext():
                _load(photo)
                orientation = _orientation(photo)
                if orientation in QUARTER_TURNS:
                    width, height = height, width
                turn = TURNS.get(orientation)
                upright = _rgb(photo.transpose(turn) if turn is not None else photo)
                return resize(upright), width, height
    except FruitsError:
        raise
    except UnidentifiedImageError as error:
        raise _not_opened(content) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage("too_many_pixels", str(error)) from error
    except MemoryError as error:
        raise UnreadableImage("too_much_memory", "decoding needs more memory than there is") from error
    except Exception as error:
        # Whatever Pillow raises here is about these bytes: it reads nothing else. Damage raises errors of many types.
        reason = "decoder_missing" if _NO_DECODER.search(str(error)) else "truncated"
        raise UnreadableImage(reason, f"{type(error).__name__}: {error}") from error


def _check_pixels(photo: Image.Image) -> None:
    """Refuse a photo of too many pixels; the tiles of a TIFF may be larger than its picture, and are decoded whole."""
    for width, height in (photo.size, _tile(photo)):
        if width * height > MAX_PIXELS:
            raise UnreadableImage("too_many_pixels", f"{width} x {height} is over {MAX_PIXELS:,} pixels")
        if max(width, height) > MAX_SIDE_PX:
            raise UnreadableImage("too_many_pixels", f"{width} x {height} is over {MAX_SIDE_PX:,} pixels on a side")


def _tile(photo: Image.Image) -> tuple[int, int]:
    """Return width and height of the tiles of a TIFF; zeros for other photos."""
    tags = getattr(photo, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in TIFF_TILE)
    return width, height


def _tile_pixels(photo: Image.Image) -> int:
    width, height = _tile(photo)
    return width * height


def _not_opened(content: bytes) -> UnreadableImage:
    """Return why Pillow opened `content` as none of `FORMATS`, by its first 16 bytes; no other format's file is opened."""
    Image.init()
    for name, (open_file, accept) in Image.OPEN.items():
        try:
            recognised = accept(content[:16]) if accept else False
        except (IndexError, struct.error):  # fewer bytes than the format's signature has
            continue
        if not recognised:
            continue
        if name not in FORMATS:
            return UnreadableImage("format_not_allowed", f"{name}; allowed are {', '.join(FORMATS)}")
        if isinstance(recognised, str):  # Pillow's text for a format whose library this build lacks
            return UnreadableImage("decoder_missing", recognised)
        try:
            open_file(_LimitedFile(content), "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            # For a compression or pixel format that Pillow does not list, the cause is a KeyError.
            reason = "decoder_missing" if isinstance(error.__cause__, KeyError) else "truncated"
            return UnreadableImage(reason, f"{name}: {error}")
    if HEIC.match(content):
        return UnreadableImage("format_not_allowed", f"HEIC; allowed are {', '.join(FORMATS)}")
    return UnreadableImage("not_an_image", f"{len(content)} bytes that begin with {content[:8]!r}")


def _orientation(photo: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or EXIF cannot be read: the pixels are good all the same.

    Not `ImageOps.exif_transpose`: it also writes all EXIF anew, which fails for a tag of an unexpected type.
    """
    try:
        orientation = photo.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever Pillow raises for bytes that are no EXIF
        return 1
    return orientation if isinstance(orientation, int) else 1


def _load(photo: Image.Image) -> None:
    try:
        photo.load()
    except OSError as error:
        compression = str(photo.info.get("compression"))
        if photo.format == "TIFF" and not _can_encode(photo.mode, compression):
            raise UnreadableImage("decoder_missing", f"TIFF with compression {compression}, which this build lacks") from error
        raise


def _can_encode(mode: str, compression: str) -> bool:
    # libtiff reports damage and a missing codec alike, and does not list its codecs; a missing one cannot encode either.
    try:
        Image.new(mode, (16, 16)).save(io.BytesIO(), "TIFF", compression=compression)
    except OSError:
        return False
    return True


def _rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I;16"):  # Pillow cuts 16-bit grey off at 255, which makes a white picture of it
        photo = Image.fromarray((np.asarray(photo) >> 8).astype(np.uint8))
    if photo.has_transparency_data:
        return _on_white(photo)
    return photo if photo.mode == "RGB" else photo.convert("RGB")  # for RGB, Pillow would copy all pixels


def _on_white(photo: Image.Image) -> Image.Image:
    """Return the photo on white: without its transparency, what is stored under transparent pixels would be visible."""
    with_alpha = photo if photo.mode in ("LA", "RGBA") else photo.convert("RGBA")
    white = Image.new("RGB", photo.size, "white")
    white.paste(with_alpha, mask=with_alpha)
    return white
