"""Recordings of a smartwatch, out of seglearn's wheel."""

from __future__ import annotations

import io
import json
import pickle
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from .files import readme

_FILE = "seglearn/data/watch_dataset.npy"
_CHANNELS = {
    "ax": "acceleration x", "ay": "acceleration y", "az": "acceleration z",
    "wx": "rotation x", "wy": "rotation y", "wz": "rotation z",
}  # fmt: skip
_EXERCISES = {
    "PEN": "pendulum", "ABD": "abduction", "FEL": "forward elevation", "IR": "internal rotation",
    "ER": "external rotation", "TRAP": "trapezius extension", "ROW": "upright row",
}  # fmt: skip
#: Participants whose recordings are for testing.
TEST = (8, 9, 10)


class _Arrays(pickle.Unpickler):
    """Reads arrays of numbers and plain objects, and nothing that runs."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) in (("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 2's bytes are written
            return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"{module}.{name}")


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write each recording as an array of `recordings.npz`, and what is known of them as `recordings.json`."""
    with ZipFile(inputs["seglearn"]) as archive:
        data = io.BytesIO(archive.read(_FILE))
    np.lib.format.read_magic(data)
    np.lib.format.read_array_header_1_0(data)
    table = _Arrays(data).load().item()
    rows = [
        {"name": f"{number:03d}", "label": _EXERCISES[table["y_labels"][int(label)]], "subject": int(subject)}
        for number, (label, subject) in enumerate(zip(table["y"], table["subject"], strict=True))
    ]
    channels = [_CHANNELS[name] for name in table["X_labels"]]
    arrays = {str(row["name"]): one.astype(np.float32) for row, one in zip(rows, table["X"], strict=True)}
    np.savez_compressed(folder / "recordings.npz", **arrays)
    about = {"rate": 50.0, "channels": channels, "recordings": rows}
    (folder / "recordings.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
    count = Counter("test" if row["subject"] in TEST else "train" for row in rows)
    readme(
        folder,
        "Exercises of the shoulder, recorded by a smartwatch",
        "Acceleration (in g) and rotation (in radians per second) along three axes of a watch, 50 samples per second, "
        "while ten people did sets of seven exercises of physiotherapy (Burns et al. 2018, arXiv 1802.01489), as they "
        "ship with seglearn.",
        f"Participants {', '.join(map(str, TEST))} are for testing: {count['train']} recordings of seven people for "
        f"training, {count['test']} of three for testing. One recording is one set on one side of the body.",
    )
