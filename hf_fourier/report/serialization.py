"""An evaluation and sanity checks as plain values of `report.json`, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.report import privacy
from hf_fourier.results import formats

if TYPE_CHECKING:
    from hf_fourier.report.content import ReportContent


def as_shared(report: ReportContent, shared: bool) -> tuple[Evaluation | None, list[SanityResult]]:
    """A report's evaluation and checks as they are written: scrubbed, with `shared` their groups numbered."""
    evaluation = None if report.evaluation is None else evaluation_from(evaluation_to(report.evaluation, shared))
    return evaluation, [sanity_from(sanity_to(one, shared)) for one in report.sanity]


def evaluation_to(found: Evaluation, shared: bool) -> dict[str, Any]:
    """Plain values without NaN; with `shared` groups are numbered."""
    digits = privacy.DIGITS if shared else 17
    return {
        "model": privacy.model_of(found.model),
        "cells": [privacy.rounded(asdict(cell), digits) for cell in found.cells],
        "groups": privacy.pseudonyms(found.groups) if shared else [str(group) for group in found.groups],
        "better": dict(found.better),
        "excluded": [[privacy.scrubbed(part) for part in one] for one in found.excluded],
        "notes": [privacy.scrubbed(note) for note in found.notes],
    }


def evaluation_from(values: Mapping[str, Any]) -> Evaluation:
    """The evaluation that `evaluation_to` wrote."""
    values = formats.renamed(values, formats.EVALUATION)
    cells = [
        MethodResult(cell["method"], cell["domain"], cell["control"], (cell["passes"][0], cell["passes"][1]),
             {name: [_real(v) for v in column] for name, column in cell["values"].items()}, _real(cell["seconds"]))
        for cell in values["cells"]
    ]  # fmt: skip
    excluded = [(method, domain, reason) for method, domain, reason in values["excluded"]]
    return Evaluation(values["model"], cells, values["groups"], values["better"], excluded, values["notes"])


def sanity_to(found: SanityResult, shared: bool) -> dict[str, Any]:
    """Plain values without NaN; with `shared` groups are numbered."""
    return {
        "model": privacy.model_of(found.model),
        "method": found.method,
        "domain": found.domain,
        "head": found.head,
        "groups": privacy.pseudonyms(found.groups) if shared else [str(group) for group in found.groups],
        "checks": [{**privacy.rounded(privacy.scrub(asdict(check)), 6)} for check in found.checks],
        "notes": [privacy.scrubbed(note) for note in found.notes],
    }


def sanity_from(values: Mapping[str, Any]) -> SanityResult:
    """The checks that `sanity_to` wrote."""
    values = formats.renamed(values, formats.EVALUATION)
    checks = []
    for check in values["checks"]:
        low, high = check["interval"]
        checks.append(Check(**{**check, "value": _real(check["value"]), "interval": (_real(low), _real(high))}))
    named = {name: values[name] for name in ("model", "method", "domain", "head", "groups", "notes")}
    return SanityResult(**named, checks=checks)


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)
