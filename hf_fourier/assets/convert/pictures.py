"""The photographs in scikit-image's wheel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .files import extract, readme

_PICTURES = {
    "coffee": "coffee.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
    "astronaut": "astronaut.png",
}
"""The easiest to recognise first; the cameraman is grey."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the pictures as they are, and list them in order in `pictures.json`."""
    extract(inputs["scikit-image"], {f"skimage/data/{file}": file for file in _PICTURES.values()}, folder)
    (folder / "pictures.json").write_text(json.dumps(_PICTURES, indent=2) + "\n", encoding="utf-8")
    readme(folder, "Photographs from scikit-image", "As shipped; `pictures.json` gives their names in order.")
