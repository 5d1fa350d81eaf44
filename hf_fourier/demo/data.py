"""The data assets as plain Python objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError

from .build import DEMO

if TYPE_CHECKING:
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
    folder = DEMO.get("pictures")
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
    return read_emails(DEMO.get("spam-emails"), split)


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
    return read_cells(DEMO.get("pbmc"), split)


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


def movements(split: str | None = None) -> list[dict[str, Any]]:
    """Recordings of a smartwatch, as `{"name", "values", "rate", "channels", "label", "subject"}`.

    `values` are float32, `(6, time)`: acceleration in g and rotation in radians per second, 50 samples per second;
    `label` is one of seven exercises, `subject` the number of the person.

    Args:
        split: "train" (seven people) or "test" (three others); both when None.

    Raises:
        ValueError: another split is asked for.
    """
    import numpy as np

    if split not in (None, "train", "test"):
        raise ValueError(f'split must be "train", "test" or None; got {split!r}')
    folder = DEMO.get("shoulder-exercises")
    about = json.loads((folder / "recordings.json").read_text(encoding="utf-8"))
    tested = {8, 9, 10}
    with np.load(folder / "recordings.npz", allow_pickle=False) as file:
        return [
            {**row, "values": file[row["name"]].T.copy(), "rate": about["rate"], "channels": about["channels"]}
            for row in about["recordings"]
            if split is None or (row["subject"] in tested) == (split == "test")
        ]


def antibodies() -> list[dict[str, str]]:
    """Variable domains of well-known antibodies; each has `name`, `species`, `chain` and `sequence`.

    `sequence` is in one-letter residues without spaces; `antiberty-species` wants `" ".join(sequence)`.
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
