"""The version that stored files name, and names in files of earlier formats with today's for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

#: Of the library.
VERSION = "0.2.0"

#: `attribution.json` and the records of shards.
ATTRIBUTION: Mapping[str, str] = {
    "leaf": "signal",
    "alternatives": "top_predictions",
    "gap": "completeness_error",
    "agrees": "agreement",
    "key": "fingerprint",
}
#: Their provenance, and the passes that it counts.
PROVENANCE: Mapping[str, str] = {"leaf": "signal"}
PASSES: Mapping[str, str] = {"played": "perturbed", "asked": "evaluated"}
#: Tensors beside them; a name that ends with a dot is a prefix.
TENSORS: Mapping[str, str] = {"leaf": "signal", "frozen": "frozen_target", "source.": "raw_input."}
#: The points of a curve.
POINT: Mapping[str, str] = {
    "part": "mode",
    "asked": "fraction",
    "reached": "actual_fraction",
    "agrees": "agreement",
    "said": "predicted_class",
}
CURVE: Mapping[str, str] = {"stops": "points"}
#: `manifest.json` and its settings.
MANIFEST: Mapping[str, str] = {"said": "environment"}
PATHS: Mapping[str, str] = {"second": "ids_bypass"}
SETTINGS: Mapping[str, str] = {"play": "fractions", "leaf": "signal"}
TARGETS: Mapping[str, str] = {"At": "Position", "Span": "AnswerSpan"}
#: The segments of `recording.json`.
SEGMENT: Mapping[str, str] = {"own": "weight_seconds"}
#: The records of `report.json`.
RECORD: Mapping[str, str] = {
    "alternatives": "top_predictions",
    "gap": "completeness_error",
    "agrees": "agreement",
}
#: Evaluations and sanity checks in `report.json`.
EVALUATION: Mapping[str, str] = {"sources": "groups"}


def renamed(values: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """Values under today's names.

    Args:
        values: As they were read; nothing changes where they have today's names.
        names: Old name to new, one of the tables above.
    """
    prefixes = {old: new for old, new in names.items() if old.endswith(".")}
    found = {names.get(name, name): value for name, value in values.items()}
    for old, new in prefixes.items():
        found = {new + name.removeprefix(old) if name.startswith(old) else name: v for name, v in found.items()}
    return found


def attribution(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a stored attribution under today's names, those of its provenance too."""
    return _with_provenance(renamed(values, ATTRIBUTION))


def record(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a stored record of a report under today's names, those of its provenance too."""
    return _with_provenance(renamed(values, RECORD))


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stored run under today's names; a target object is stored as its `repr`."""
    found = renamed(values, SETTINGS)
    if isinstance(found.get("target"), str):
        for old, new in TARGETS.items():
            found["target"] = re.sub(rf"\b{old}\(", f"{new}(", found["target"])
    return found


def _with_provenance(values: dict[str, Any]) -> dict[str, Any]:
    if "provenance" in values:
        provenance = renamed(values["provenance"], PROVENANCE)
        if "passes" in provenance:
            provenance["passes"] = renamed(provenance["passes"], PASSES)
        values["provenance"] = provenance
    return values


def points(stored: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The points of a stored curve under today's names."""
    return [renamed(point, POINT) for point in stored]
