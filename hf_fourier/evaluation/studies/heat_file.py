"""The file of a Fourier heat map: its arrays, its plain values, and how they fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hf_fourier.methods.filters import MEASURES
from hf_fourier.results.schema import Malformed
from hf_fourier.results.sealed_values import SealedValues, check_class_names, check_present, check_shapes

ARRAYS = ("frequencies", "readings", "clean", "labels")


def _fits(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Check that arrays and values fit each other.

    Raises:
        Malformed: If they do not.
    """
    check_class_names(values["class_names"])
    check_present(arrays, ARRAYS)
    examples, waves, axes = len(arrays["clean"]), len(arrays["frequencies"]), len(values["axes"])
    shapes = {
        "frequencies": (waves, axes),
        "readings": (examples, waves, len(MEASURES)),
        "clean": (examples, len(MEASURES)),
        "labels": (examples,),
    }
    check_shapes(arrays, shapes)
    if not axes or not waves or len(values["clusters"]) not in (0, examples):
        raise Malformed("no axis, no wave, or not one cluster for each example")


FILE = SealedValues(
    name="heat map",
    saved_by="HeatMap.save",
    format=1,
    schema={
        "model": str,
        "axes": [{"name": str, "unit": str}],
        "clusters": [str],
        "made_by": dict,
        "class_names": dict,
        "failures": int,
    },
    hint="restore it from a copy, or make the heat map again",
    fits=_fits,
)
