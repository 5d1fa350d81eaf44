"""An evaluation and sanity checks as plain values of `report.json`, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.report import privacy
from hf_fourier.report.band_scores import COLUMNS
from hf_fourier.report.class_summary import ClassSummary
from hf_fourier.report.example_record import ExampleRecord
from hf_fourier.report.spectrum_values import SPECTRUM
from hf_fourier.results import formats, parts
from hf_fourier.results.schema import NUMBER, OPTIONAL, Malformed, check

_NUMBERS = [OPTIONAL]
#: `report.json`, which has no NaN: an undefined number is null.
REPORT = {
    "title": str,
    "inputs": bool,
    "names": [str],
    "examples": [dict],
    "classes": [dict],
    "evaluation": (None, dict),
    "sanity": [dict],
    "results?": [str],
    "spectrum?": (None, SPECTRUM),
    "files?": dict,
}
_POINT = {**parts.POINT, "value": OPTIONAL, "agreement": OPTIONAL}
_BANDS = {"title": str, "centres": _NUMBERS, "power": _NUMBERS, "chosen": _NUMBERS, "share": NUMBER}
_EACH = (None, [NUMBER])
_BAND_SCORES = {
    "names": [str], "low": [NUMBER], "high": [NUMBER], "unit": str, "scores": [NUMBER], "power": _EACH,
    "standard_error": _EACH, "deleted": _EACH, "alone": _EACH, "left_out": int,
}  # fmt: skip
_RECORD = {
    "label": str,
    "target": (int, type(None)),
    "confidence": OPTIONAL,
    "value": OPTIONAL,
    "agreement": OPTIONAL,
    "top_predictions": [[(str, *OPTIONAL)]],
    "kind": str,
    "shape": dict,
    "features": int,
    "completeness_error": OPTIONAL,
    "curve": (None, dict),
    "bands": (None, _BANDS),
    "extras?": dict,
    "provenance?": {"notes?": [str], "passes?": dict},
    "name?": str,
    "contested?": bool,
    "noun?": str,
    "magnitude_overlap?": OPTIONAL,
    "band_scores?": (None, _BAND_SCORES),
    "example?": int,
}
_CLASS = {
    "method": str, "domain": str, "label": str, "examples": int, "confidence": OPTIONAL, "kept": dict,
    "replacement?": str, "concentration?": OPTIONAL, "chance?": OPTIONAL, "specificity?": OPTIONAL,
}  # fmt: skip
_CELL = {
    "method": str, "domain": str, "control": bool, "passes": _NUMBERS, "values": dict, "seconds": OPTIONAL,
}  # fmt: skip
_EVALUATION = {
    "model": str,
    "cells": [_CELL],
    "groups": [str],
    "better": dict,
    "excluded": [[str]],
    "notes": [str],
    "replacement?": str,
}
_CHECK = {"name": str, "passed": (bool, type(None)), "words": str, "value": OPTIONAL, "interval": _NUMBERS}
_SANITY = {
    "model": str, "method": str, "domain": str, "head": str, "groups": [str], "checks": [_CHECK], "notes": [str],
}  # fmt: skip


def record_from(values: Mapping[str, Any]) -> ExampleRecord:
    """The record that `ExampleRecord.to_dict` wrote, checked.

    Raises:
        Malformed: If it is none.
    """
    named = formats.record(values)
    check(named, _RECORD, "an example")
    parts.curve_from(named["curve"], {"clean": OPTIONAL, "points": [_POINT], "replacement?": str})
    for counted in (named["shape"], named.get("provenance", {}).get("passes", {})):
        check(list(counted.values()), [NUMBER], "an example's shape or passes")
    bands = named["bands"]
    if bands is not None and len({len(bands[name]) for name in ("centres", "power", "chosen")}) > 1:
        raise Malformed("bands with more of one column than of another")
    scores = named.get("band_scores")
    if scores and {len(scores[name]) for name in COLUMNS if scores[name] is not None} != {len(scores["names"]) or -1}:
        raise Malformed("no bands, or scores of other bands than there are")
    return ExampleRecord.from_dict(values)


def class_from(values: Mapping[str, Any]) -> ClassSummary:
    """The summary that `ClassSummary.to_dict` wrote, checked.

    Raises:
        Malformed: If it is none.
    """
    check(values, _CLASS, "a class")
    check(list(values["kept"].values()), _NUMBERS, "what is kept of a class")
    return ClassSummary(**values)


def evaluation_to(found: Evaluation, shared: bool) -> dict[str, Any]:
    """Plain values without NaN; with `shared` groups are numbered."""
    digits, worded = privacy.DIGITS if shared else 17, _worded(shared)
    return {
        "model": privacy.model_of(found.model),
        "cells": [privacy.rounded({**asdict(cell), **_specs(cell, shared)}, digits) for cell in found.cells],
        "groups": privacy.pseudonyms(found.groups) if shared else [str(group) for group in found.groups],
        "better": dict(found.better),
        "excluded": [[worded(part) for part in one] for one in found.excluded],
        "notes": [worded(note) for note in found.notes],
        **({} if found.replacement == "zero" else {"replacement": found.replacement}),
    }


def _worded(shared: bool) -> Callable[[str], str]:
    """What is left of a free text: with `shared` the library's own words, else all but known secrets."""
    return privacy.public_text if shared else privacy.scrubbed


def _specs(of: Any, shared: bool) -> dict[str, str]:
    """The method and the domain of something as they are written."""
    return {
        name: privacy.public_spec(getattr(of, name)) if shared else getattr(of, name) for name in ("method", "domain")
    }


def evaluation_from(values: Mapping[str, Any]) -> Evaluation:
    """The evaluation that `evaluation_to` wrote.

    Raises:
        Malformed: If it is none.
    """
    values = formats.renamed(values, formats.EVALUATION)
    check(values, _EVALUATION, "the evaluation")
    check(list(values["better"].values()), [int], "the direction of a quantity")
    for cell in values["cells"]:
        check(list(cell["values"].values()), [_NUMBERS], "the values of a method")
        lengths = {len(column) for column in cell["values"].values()}
        if not lengths <= {len(values["groups"])} or not cell["values"].keys() <= values["better"].keys():
            raise Malformed(f"{sorted(lengths)} values of {cell['method']} for {len(values['groups'])} groups")
    cells = [
        MethodResult(cell["method"], cell["domain"], cell["control"], (cell["passes"][0], cell["passes"][1]),
             {name: [_real(v) for v in column] for name, column in cell["values"].items()}, _real(cell["seconds"]))
        for cell in values["cells"]
    ]  # fmt: skip
    excluded = [(method, domain, reason) for method, domain, reason in values["excluded"]]
    return Evaluation(
        values["model"], cells, values["groups"], values["better"], excluded, values["notes"],
        values.get("replacement", "zero"),
    )  # fmt: skip


def sanity_to(found: SanityResult, shared: bool) -> dict[str, Any]:
    """Plain values without NaN; with `shared` groups are numbered."""
    worded = _worded(shared)
    return {
        "model": privacy.model_of(found.model),
        **_specs(found, shared),
        "head": worded(found.head),
        "groups": privacy.pseudonyms(found.groups) if shared else [str(group) for group in found.groups],
        "checks": [{**privacy.rounded(privacy.each_text(asdict(check), worded), 6)} for check in found.checks],
        "notes": [worded(note) for note in found.notes],
    }


def sanity_from(values: Mapping[str, Any]) -> SanityResult:
    """The checks that `sanity_to` wrote.

    Raises:
        Malformed: If they are none.
    """
    values = formats.renamed(values, formats.EVALUATION)
    check(values, _SANITY, "the checks")
    checks = []
    for one in values["checks"]:
        low, high = one["interval"]
        checks.append(Check(**{**one, "value": _real(one["value"]), "interval": (_real(low), _real(high))}))
    named = {name: values[name] for name in ("model", "method", "domain", "head", "groups", "notes")}
    return SanityResult(**named, checks=checks)


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)
