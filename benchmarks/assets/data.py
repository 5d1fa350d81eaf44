"""The data assets that the demo does not use, as plain Python objects."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.demo.data import read_cells
from hf_fourier.demo.sounds import read_clips
from hf_fourier.errors import MissingExtraError

from .catalogue import CATALOGUE

if TYPE_CHECKING:
    import numpy as np

#: The first pictures of the train split, on which `fashion-vit` was trained.
TRAINED_ON = 30_000


def fashion(split: str = "test", n: int | None = None) -> list[dict[str, Any]]:
    """Grey pictures of clothes, as `{"name", "picture", "label"}`: 28 × 28, in RGB for the image processors.

    Args:
        split: "train" (60,000) or "test" (10,000). `fashion-vit` was trained on the first `TRAINED_ON` of `train`.
        n: how many, from the first; all of them when None.

    Raises:
        ValueError: another split is asked for, there are fewer than `n`, or `n` is negative.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as absent:
        raise MissingExtraError("pillow", "vision", "reading pictures") from absent
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; got {split!r}')
    raw, numbers, names = read_fashion(CATALOGUE.get("fashion-mnist"), split, n)
    return [
        {"name": f"{split}-{index:05}", "picture": Image.fromarray(grey).convert("RGB"), "label": names[number]}
        for index, (grey, number) in enumerate(zip(raw, numbers.tolist(), strict=True))
    ]


_CLOTHES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


def read_fashion(folder: Path, split: str, n: int | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The first `n` pictures of a split, uint8 of shape (n, 28, 28), their labels, and the names of the labels.

    Raises:
        ValueError: there are fewer than `n`, or `n` is negative.
    """
    import numpy as np

    stem = {"train": "train", "test": "t10k"}[split]
    raw = gzip.decompress((folder / f"{stem}-images-idx3-ubyte.gz").read_bytes())
    numbers = gzip.decompress((folder / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
    pictures = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    if n is not None and not 0 <= n <= len(pictures):
        raise ValueError(f"n must lie between 0 and {len(pictures)}, the number of pictures; got {n}")
    return pictures[:n], np.frombuffer(numbers, np.uint8, offset=8)[:n], list(_CLOTHES)


def islets(split: str | None = None) -> list[dict[str, Any]]:
    """Cells of a human pancreas, as `hf_fourier.demo.cells` gives blood cells; nine labels.

    Args:
        split: "train" or "test"; both when None. `islets-geneformer` has seen `train` only.

    Raises:
        ValueError: another split is asked for.
    """
    if split not in (None, "train", "test"):
        raise ValueError(f'split must be "train", "test" or None; got {split!r}')
    return read_cells(CATALOGUE.get("islets"), split)


def words() -> list[dict[str, Any]]:
    """Eight spoken names of loudspeakers, as `{"name", "audio", "rate", "label"}`, mono, 48 kHz; the label is the text.

    Raises:
        MissingExtraError: soundfile is not installed.
    """
    return read_clips(CATALOGUE.get("spoken-words"), None)


def photographs(n: int | None = None) -> list[dict[str, Any]]:
    """Photographs for an image classifier, as `{"name", "picture", "source"}`: RGB, shorter side 300 to 384 pixels.

    `source` is the author; two photographs of one source are not independent. The first photograph of every source
    comes before the second of any.

    Args:
        n: how many, from the first; all of them when None.

    Raises:
        ValueError: there are fewer than `n`, or `n` is negative.
        MissingExtraError: Pillow is not installed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as absent:
        raise MissingExtraError("pillow", "vision", "reading pictures") from absent
    return read_photographs(CATALOGUE.get("photographs"), n)


def read_photographs(folder: Path, n: int | None) -> list[dict[str, Any]]:
    """The first `n` photographs of a folder that `photographs` filled.

    Raises:
        ValueError: there are fewer than `n`, or `n` is negative.
    """
    from PIL import Image

    rows = json.loads((folder / "photographs.json").read_text(encoding="utf-8"))
    if n is not None and not 0 <= n <= len(rows):
        raise ValueError(f"n must lie between 0 and {len(rows)}, the number of photographs; got {n}")
    photographs = []
    for row in rows[:n]:
        with Image.open(folder / row["file"]) as picture:
            photographs.append({"name": row["name"], "picture": picture.convert("RGB"), "source": row["source"]})
    return photographs
