"""The data assets as plain Python objects."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError

from . import build

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image


def pictures(n: int | None = None) -> list[tuple[str, "PIL.Image.Image"]]:
    """Photographs for an image classifier, as (name, RGB picture), the easiest to recognise first.

    Args:
        n: how many, from the first; all of them when None.

    Raises:
        ValueError: there are fewer than `n`, or `n` is negative.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as absent:
        raise MissingExtraError("pillow", "vision", "reading pictures") from absent
    folder = build.get("pictures")
    order = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    if n is not None and not 0 <= n <= len(order):
        raise ValueError(f"n must lie between 0 and {len(order)}, the number of pictures; got {n}")
    found = []
    for name, file in list(order.items())[:n]:
        with Image.open(folder / file) as picture:
            found.append((name, picture.convert("RGB")))
    return found


def emails(split: str = "test") -> list[tuple[str, int]]:
    """E-mails as (text, label): subject and body on one line, label 0 for ham and 1 for spam.

    The split is fixed by the texts themselves; the head of `minilm-spam` has seen `train` only.

    Args:
        split: "train" or "test".

    Raises:
        ValueError: another split is asked for.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; got {split!r}')
    return read_emails(build.get("spam-emails"), split)


def read_emails(folder: Path, split: str) -> list[tuple[str, int]]:
    """The e-mails of one split of a folder that `spam-emails` filled."""
    with (folder / f"{split}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["text"], row["label"]) for row in rows]


def cells(split: str | None = None) -> list[dict[str, Any]]:
    """Blood cells, as `{"name", "genes", "symbols", "values", "label"}`.

    `genes` are Ensembl ids and the same list for every cell, `symbols` their short names, `values` the counts
    (float32, most of them 0), `label` one of B, NK, T, dendritic, monocyte.

    Args:
        split: "train" or "test"; both when None. `pbmc-geneformer` has seen `train` only.

    Raises:
        ValueError: another split is asked for.
    """
    if split not in (None, "train", "test"):
        raise ValueError(f'split must be "train", "test" or None; got {split!r}')
    return read_cells(build.get("pbmc"), split)


def read_cells(folder: Path, split: str | None) -> list[dict[str, Any]]:
    """The cells of one split, or of both, of a folder that `pbmc` filled."""
    import numpy as np

    table = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
    with np.load(folder / "cells.npz", allow_pickle=False) as file:
        counts = file["counts"]
    shared = {"genes": table["genes"], "symbols": table["symbols"]}
    rows = zip(table["barcodes"], counts, table["labels"], table["splits"], strict=True)
    return [
        {"name": name, **shared, "values": values, "label": label}
        for name, values, label, side in rows
        if split in (None, side)
    ]


def fashion(split: str = "test", n: int | None = None) -> list[dict[str, Any]]:
    """Grey pictures of clothes, as `{"name", "picture", "label"}`: 28 × 28, in RGB for the image processors.

    Args:
        split: "train" (60,000) or "test" (10,000). `fashion-vit` has seen `train` only.
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
    raw, numbers, names = read_fashion(build.get("fashion-mnist"), split, n)
    return [
        {"name": f"{split}-{index:05}", "picture": Image.fromarray(grey).convert("RGB"), "label": names[number]}
        for index, (grey, number) in enumerate(zip(raw, numbers.tolist(), strict=True))
    ]


_CLOTHES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


def read_fashion(folder: Path, split: str, n: int | None) -> tuple["np.ndarray", "np.ndarray", list[str]]:
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


def antibodies() -> list[dict[str, str]]:
    """Variable domains of well-known antibodies; each has `name`, `species`, `chain` and `sequence`.

    `sequence` is in one-letter residues without spaces; the tokenizer of `antiberty-mlm` wants `" ".join(sequence)`.
    Nothing is fetched: the sequences are public and short.
    """
    return [dict(zip(("name", "species", "chain", "sequence"), row, strict=True)) for row in _ANTIBODIES]


_ANTIBODIES = (
    (
        "trastuzumab VH", "Human", "Heavy",  # humanised: human framework, mouse CDRs
        "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGT"
        "LVTVSS",
    ),
    (
        "trastuzumab VL", "Human", "Light",
        "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK",
    ),
    (
        "OKT3 VH", "Mouse", "Heavy",
        "QVQLQQSGAELARPGASVKMSCKASGYTFTRYTMHWVKQRPGQGLEWIGYINPSRGYTNYNQKFKDKATLTTDKSSSTAYMQLSSLTSEDSAVYYCARYYDDHYCLDYWGQGTTL"
        "TVSS",
    ),
    (
        "OKT3 VL", "Mouse", "Light",
        "QIVLTQSPAIMSASPGEKVTMTCSASSSVSYMNWYQQKSGTSPKRWIYDTSKLASGVPAHFRGSGSGTSYSLTISGMEAEDAATYYCQQWSSNPFTFGSGTKLEINR",
    ),
    (
        "camelid VHH", "Camel", "Heavy",
        "QVQLVESGGGLVQAGGSLRLSCAASGRTFSSYAMGWFRQAPGKEREFVAAISWSGGSTYYADSVKGRFTISRDNAKNTVYLQMNSLKPEDTAVYYCAADLYYYGSDYWGQGTQVTV"
        "SS",
    ),
)  # fmt: skip
