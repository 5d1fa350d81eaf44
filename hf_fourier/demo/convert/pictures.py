"""The photographs in scikit-image's wheel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .files import extract, readme

_PICTURES = {
    "coffee": ("coffee.png", "CC0, Rachel Michetti"),
    "camera": ("camera.png", "CC0, Lav Varshney"),
    "cat": ("chelsea.png", "CC0, Stefan van der Walt"),
    "motorcycle": ("motorcycle_left.png", "none stated of its own; Middlebury 2014 stereo benchmark"),
    "rocket": ("rocket.jpg", "public domain, SpaceX"),
    "astronaut": ("astronaut.png", "public domain, NASA"),
}
"""File and license as scikit-image states it; the easiest to recognise first. The cameraman is grey."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the pictures as they are, and list them in order in `pictures.json`."""
    files = {name: file for name, (file, _) in _PICTURES.items()}
    extract(inputs["scikit-image"], {f"skimage/data/{file}": file for file in files.values()}, folder)
    (folder / "pictures.json").write_text(json.dumps(files, indent=2) + "\n", encoding="utf-8")
    readme(
        folder,
        "Photographs from scikit-image",
        "As shipped; `pictures.json` gives their names in order. Licenses, as scikit-image states them:",
        "\n".join(f"- {name}: {license}" for name, (_, license) in _PICTURES.items()),
    )
