"""From the bytes of a photo to the extractor's input.

It must not know Spark, S3 or the network: the prediction service uses it too, so training and serving cannot differ.
"""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fruits.errors import UnreadableImage

SIZE_PX = 224
MAX_PIXELS = 100_000_000


def decode(content: bytes, *, size_px: int = SIZE_PX) -> tuple[np.ndarray, int, int]:
    """Decode one photo into the extractor's input.

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
    docs/decisions/0003: bicubic, because the reference features use Pillow's default.
    """
    if not content:
        raise UnreadableImage("empty", "the object has 0 bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as photo:
                if photo.width * photo.height > MAX_PIXELS:
                    raise UnreadableImage("too_many_pixels", f"{photo.width} x {photo.height} is over {MAX_PIXELS:,} pixels")
                upright = _rgb(ImageOps.exif_transpose(photo))
    except UnidentifiedImageError as error:
        raise UnreadableImage("not_an_image", f"{len(content)} bytes that begin with {content[:8]!r}") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage("too_many_pixels", str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as error:
        # Pillow raises all five for damaged data, depending on the format and on where the damage is.
        raise UnreadableImage("truncated", f"{type(error).__name__}: {error}") from error
    resized = upright.resize((size_px, size_px), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.float32) / np.float32(127.5) - np.float32(1), upright.width, upright.height


def _rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I;16"):  # Pillow cuts 16-bit grey off at 255, which makes a white picture of it
        photo = Image.fromarray((np.asarray(photo) >> 8).astype(np.uint8))
    return photo.convert("RGB")
