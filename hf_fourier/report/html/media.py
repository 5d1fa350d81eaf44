"""Pictures and sounds as data URIs: what a page holds instead of files beside it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

    Array = np.ndarray[Any, np.dtype[Any]]

#: Pictures with no side longer than this are stored without loss.
SMALL = 64
#: Pictures with a longer side are made smaller.
LARGE = 448
#: Qualities, and fractions of the sides, from the best on.
LOOKS = ((88, 1.0), (75, 1.0), (60, 1.0), (45, 1.0), (45, 0.7), (40, 0.5), (40, 0.25))


def uri(data: bytes, kind: str) -> str:
    """Bytes as a data URI of a MIME type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def size(count: float) -> float:
    """Characters that so many bytes take in a data URI."""
    return 4 * count / 3


def pictures(images: list[Image], budget: float) -> list[str]:
    """Pictures of one example as data URIs, all at the best quality (and size) with which they fit together.

    Args:
        images: Grey or RGB.
        budget: Characters for all of them; the last look is taken where it goes beyond.
    """
    encoded: list[str] = []
    for quality, fraction in LOOKS:
        encoded = [picture(smaller(image, fraction), quality) for image in images]
        if sum(map(len, encoded)) <= budget:
            break
    return encoded


def smaller(image: Image, fraction: float) -> Image:
    """A picture scaled down to a fraction of its size, as far as its sides stay above `SMALL`."""
    longest = max(image.size)
    if fraction == 1 or longest <= SMALL:
        return image
    fraction = max(fraction, (SMALL + 1) / longest)  # below it would be stored without loss again
    return image.resize((max(1, round(fraction * image.width)), max(1, round(fraction * image.height))))


def picture(image: Image, quality: int = LOOKS[0][0]) -> str:
    """One picture: without loss where it is small, as WebP where Pillow can, else as JPEG."""
    from PIL import features

    if max(image.size) <= SMALL or image.mode == "P":
        return _encoded(image, "PNG", "image/png", optimize=True)
    if max(image.size) > LARGE:
        image = image.copy()
        image.thumbnail((LARGE, LARGE))
    if features.check("webp"):
        return _encoded(image, "WEBP", "image/webp", quality=quality, method=4)
    return _encoded(image, "JPEG", "image/jpeg", quality=quality)


def shaded(values: Array, low: float, high: float, shades: Any) -> Image:
    """Numbers as a picture in the colours of a matplotlib map; rows run downwards."""
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return image_of((np.asarray(shades(scaled))[..., :3] * 255).round().astype(np.uint8))


def image_of(pixels: Array) -> Image:
    """Bytes `(height, width)` or `(height, width, 3)` as a picture.

    Raises:
        MissingExtraError: If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("PIL", "report", "pictures") from error
    return Image.fromarray(np.ascontiguousarray(pixels))


def pooled(values: Array, most: int) -> Array:
    """A map with at most `most` rows and columns: the largest of each block."""
    for axis in (0, 1):
        step = -(-values.shape[axis] // most)
        if step > 1:
            starts = np.arange(0, values.shape[axis], step)
            values = np.maximum.reduceat(values, starts, axis=axis)
    return values


def wav(samples: Array, rate: int) -> bytes:
    """A WAV file of 16-bit mono samples; those beyond ±1 are clipped."""
    from scipy.io import wavfile

    buffer = io.BytesIO()
    wavfile.write(buffer, rate, np.round(np.clip(samples, -1, 1) * 32767).astype("<i2"))
    return buffer.getvalue()


def _encoded(image: Image, form: str, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return uri(buffer.getvalue(), kind)
