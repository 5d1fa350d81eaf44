"""The head of mricron's templates."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from .files import readme


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the volume of the whole head, and the one with the brain alone, which gives the mask."""
    for file, name in {"ch2": "head", "ch2bet": "brain"}.items():
        source = inputs["mricron-data"] / "usr/share/mricron/templates" / f"{file}.nii.gz"
        shutil.copyfile(source, folder / f"{name}.nii.gz")
    readme(
        folder,
        "A human head, T1-weighted",
        "Colin Holmes's head, the mean of many scans of one man, 1 mm, as it ships with MRIcron (`ch2`, and `ch2bet`, "
        "the same with everything but the brain blackened by a brain extraction program).",
    )
