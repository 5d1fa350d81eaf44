"""The file of a model's spectrum: its arrays, its plain values, and how they fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.methods.filters import MEASURES
from hf_fourier.results.integrity import damaged
from hf_fourier.results.schema import NUMBER, Malformed
from hf_fourier.results.sealed_values import SealedValues, check_class_names, check_present, check_shapes

ARRAYS = ("readings", "empty", "clean", "shapley", "labels")
_HINT = "restore it from a copy, or make the spectrum again"


def _fits(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Check that arrays and values fit each other.

    Raises:
        Malformed: If they do not.
    """
    check_class_names(values["class_names"])
    check_present(arrays, ARRAYS)
    examples, filters, bands = len(arrays["clean"]), len(values["filters"]), len(values["bands"])
    shapes = {
        "readings": (examples, filters, bands, len(MEASURES)),
        "empty": (examples, len(MEASURES)),
        "clean": (examples, len(MEASURES)),
        "shapley": (examples, bands),
        "labels": (examples,),
    }
    check_shapes(arrays, shapes)
    for name in ("by", "clusters"):
        if len(values[name]) not in (0, examples):
            raise Malformed(f"{len(values[name])} entries of {name!r} for {examples} examples")


def _metadata(path: Path) -> str | None:
    """The plain values of a file of format 1; None where there are none.

    Raises:
        DamagedFile: If the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            text: str | None = (file.metadata() or {}).get("spectrum")
            return text
    except (SafetensorError, ValueError) as error:
        raise damaged(path, f"it is not a file of tensors ({error})", _HINT) from error


#: In format 1 the plain values stood in the file's metadata, and nothing had a digest.
FILE = SealedValues(
    name="values",
    saved_by="ModelSpectrum.save",
    format=2,
    schema={
        "model": str,
        "bands": [{"name": str, "low": NUMBER, "high": NUMBER, "unit": str}],
        "filters": [str],
        "by": [str],
        "clusters": [str],
        "made_by": dict,
        "class_names": dict,
        "failures": int,
    },
    hint=_HINT,
    fits=_fits,
    earlier=_metadata,
)
