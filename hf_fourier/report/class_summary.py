"""Summaries by class: mean confidence, decisions kept, concentration and specificity of the top features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hf_fourier.evaluation.metrics.structure import chance_concentration, concentration, specificity

if TYPE_CHECKING:
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.attribution import Attribution

#: Method, domain, label and replacement.
Key = tuple[str, str, str, str]
#: The fraction of features whose overlap within a class is measured.
TOP = 0.04


@dataclass(frozen=True)
class ClassSummary:
    """The examples of one label, explained by one method in one domain.

    Attributes:
        method: The method's spec.
        domain: The domain's spec.
        label: The label.
        examples: How many there are.
        confidence: The mean confidence; None where there is none.
        kept: By fraction of the curve, the mean fraction of decisions that the top features alone keep.
        concentration: Of the top 4 % of features (`metrics.structure.concentration`); None where the examples have
            different features (texts of different lengths), or there is one only.
        chance: What concentration is for as many random rankings.
        specificity: The fraction of the class's usual features that are usual for no other class; None likewise, or
            where there is one class only.
        replacement: What replaced deleted features, for `kept`.
    """

    method: str
    domain: str
    label: str
    examples: int
    confidence: float | None
    kept: dict[str, float]
    concentration: float | None = None
    chance: float | None = None
    specificity: float | None = None
    replacement: str = "zero"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the class is made from them again by its fields."""
        values = asdict(self)
        if self.replacement == "zero":
            del values["replacement"]
        return values


def summaries(records: Sequence[ExampleRecord], results: Sequence[Attribution] = ()) -> list[ClassSummary]:
    """One summary per method, domain, label and replacement, the labels in the order they come.

    Args:
        records: All examples.
        results: Their attributions, which concentration and specificity are taken of.
    """
    groups: dict[Key, list[int]] = {}
    for i, one in enumerate(records):
        replacement = "zero" if one.curve is None else one.curve.replacement
        groups.setdefault((one.method, one.domain, one.label, replacement), []).append(i)
    structure = _structure(groups, results) if results else {}
    found = []
    for key, members in groups.items():
        method, domain, label, replacement = key
        own = [records[i] for i in members]
        sure = [one.confidence for one in own if one.confidence is not None]
        alike, chance, special = structure.get(key, (None, None, None))
        found.append(
            ClassSummary(
                method, domain, label, len(own), math.fsum(sure) / len(sure) if sure else None, _kept_rates(own),
                alike, chance, special, replacement,
            )
        )  # fmt: skip
    return found


def _kept_rates(records: Sequence[ExampleRecord]) -> dict[str, float]:
    """The mean fraction of decisions kept, by fraction of features, where all curves have it."""
    curves = [{f"{s.fraction:g}": s for s in one.curve.of("keep")} if one.curve else {} for one in records]
    shared = [share for share in curves[0] if all(share in curve for curve in curves)]
    return {share: math.fsum(curve[share].agreement for curve in curves) / len(curves) for share in shared}


def _structure(
    groups: dict[Key, list[int]], results: Sequence[Attribution]
) -> dict[Key, tuple[float | None, float | None, float | None]]:
    """Concentration, what it is by chance, and specificity, where all examples of a method have the same features."""
    found: dict[Key, tuple[float | None, float | None, float | None]] = {}
    for how in dict.fromkeys((method, domain, replacement) for method, domain, _, replacement in groups):
        own = {key: members for key, members in groups.items() if (key[0], key[1], key[3]) == how}
        signals = {results[i].layout.signal.shape for members in own.values() for i in members}
        if len(signals) != 1:
            continue
        tops = {
            key[2]: [results[i].mask(TOP).nonzero().squeeze(1).numpy() for i in members] for key, members in own.items()
        }
        features = len(results[next(iter(own.values()))[0]].scores)
        special = specificity(tops, features) if len(tops) > 1 else {}
        for key, members in own.items():
            several = len(members) > 1
            alike = concentration(tops[key[2]], features) if several else None
            chance = chance_concentration(len(members), TOP) if several else None
            share = special[key[2]][0] if key[2] in special and all(len(m) > 1 for m in own.values()) else None
            found[key] = _number(alike), chance, _number(share)
    return found


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
