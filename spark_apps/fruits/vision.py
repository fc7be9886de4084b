"""From the bytes of a photo to the extractor's input.

It must not know Spark, S3 or the network: the prediction service uses it too, so training and serving cannot differ.
"""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fruits.errors import UnreadableImage

SIZE_PX = 224
MAX_PIXELS = 100_000_000
# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size (scaled DCT) as long as both sides stay this many times the input's.
SCALED_DCT_MARGIN = 2
QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


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
        With a reason code: empty, not_an_image, truncated, too_many_pixels. The caller records it as a reject and goes on.

    References
    ----------
    docs/decisions/0003: bicubic, because the reference features use Pillow's default; how far scaled DCT is from decoding whole.
    """
    if not content:
        raise UnreadableImage("empty", "the object has 0 bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as photo:
                if photo.width * photo.height > MAX_PIXELS:
                    raise UnreadableImage("too_many_pixels", f"{photo.width} x {photo.height} is over {MAX_PIXELS:,} pixels")
                width, height = photo.size
                photo.draft(None, (SCALED_DCT_MARGIN * size_px, SCALED_DCT_MARGIN * size_px))
                photo.load()
                if photo.getexif().get(ExifTags.Base.Orientation) in QUARTER_TURNS:
                    width, height = height, width
                ImageOps.exif_transpose(photo, in_place=True)
                upright = _rgb(photo)
    except UnidentifiedImageError as error:
        raise UnreadableImage("not_an_image", f"{len(content)} bytes that begin with {content[:8]!r}") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage("too_many_pixels", str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as error:
        # Pillow raises all five for damaged data, depending on the format and on where the damage is.
        raise UnreadableImage("truncated", f"{type(error).__name__}: {error}") from error
    image = np.empty((size_px, size_px, 3), np.float32) if out is None else out
    np.divide(np.asarray(upright.resize((size_px, size_px), Image.Resampling.BICUBIC)), np.float32(127.5), out=image)
    np.subtract(image, np.float32(1), out=image)
    return image, width, height


def _rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I;16"):  # Pillow cuts 16-bit grey off at 255, which makes a white picture of it
        photo = Image.fromarray((np.asarray(photo) >> 8).astype(np.uint8))
    return photo.convert("RGB")
