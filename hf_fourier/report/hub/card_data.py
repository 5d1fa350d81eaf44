"""The data of a report's cards, in plain values: they can be stored, and a card can be made of them again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from hf_fourier.report import privacy
from hf_fourier.report.spectrum_values import spectrum_from, spectrum_to
from hf_fourier.report.wording import HEADLINES
from hf_fourier.results.formats import VERSION

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
    from hf_fourier.report.content import ReportContent


#: Classes that a card lists, at most.
CLASSES = 12


@dataclass(frozen=True)
class MetricRow:
    """One quantity of one method: a row of `Evaluation.table`.

    Attributes:
        method: The method's spec.
        domain: The domain's spec.
        control: Whether it is a control, which ranks without the model.
        metric: The quantity.
        better: 1 where more is better, −1 where less is, 0 where neither.
        mean: Its mean over examples, with the ends of its 95 % interval.
        low: The lower end.
        high: The upper end.
        gap: The mean paired difference to `magnitude`, with the ends of its 95 % interval; None for `magnitude` itself.
        gap_low: The lower end.
        gap_high: The upper end.
    """

    method: str
    domain: str
    control: bool
    metric: str
    better: int
    mean: float | None
    low: float | None
    high: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None


@dataclass(frozen=True)
class CardData:
    """The data of one report's cards.

    Attributes:
        title: Its title.
        model: The model's name: a Hub id, or the last part of a path.
        revision: The model's commit; "" where it is not known.
        task: By the name of its pipeline.
        head: What is explained.
        methods: Specs, with the domain of each.
        examples: How many were explained.
        evaluated: How many were evaluated; 0 without an evaluation.
        groups: How many independent ones.
        measured: What was measured.
        checks: Of the sanity checks: method, domain, check, verdict, words.
        classes: Of the labels: method, label, examples, confidence, decisions that the top 4 % keep.
        excluded: Method, domain and reason of what could not be combined.
        notes: Remarks on the evaluation.
        versions: Of the packages.
        spectrum: The model's, as it is shared; None without one.
    """

    title: str
    model: str
    revision: str
    task: str
    head: str
    methods: Sequence[tuple[str, str]]
    examples: int
    evaluated: int
    groups: int
    measured: Sequence[MetricRow]
    checks: Sequence[tuple[str, str, str, str, str]] = ()
    classes: Sequence[tuple[str, str, int, float | None, float | None]] = ()
    excluded: Sequence[tuple[str, str, str]] = ()
    notes: Sequence[str] = ()
    versions: Mapping[str, str] | None = None
    spectrum: SpectrumMeans | None = None

    @property
    def has_enough_groups(self) -> bool:
        """Whether there are groups enough to claim anything."""
        from hf_fourier.evaluation.metrics.statistics import MIN_GROUPS

        return self.groups >= MIN_GROUPS

    @property
    def on_hub(self) -> bool:
        """Whether the model's name has the form of a Hub id with a namespace."""
        return re.fullmatch(r"[\w.-]+/[\w.-]+", self.model, re.ASCII) is not None

    def card_rows(self) -> list[MetricRow]:
        """What a card shows: by quantity (`HEADLINES`; the tables have all), the methods before the controls."""
        places = {name: place for place, name in enumerate(HEADLINES)}
        known = [one for one in self.measured if one.metric in places]
        return sorted(known, key=lambda one: (places[one.metric], one.control))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        found = asdict(replace(self, spectrum=None))
        return {**found, "spectrum": None if self.spectrum is None else spectrum_to(self.spectrum, shared=True)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CardData:
        """The facts that `to_dict` wrote."""
        pairs = {name: [tuple(one) for one in values[name]] for name in ("methods", "checks", "classes", "excluded")}
        spectrum = spectrum_from(values["spectrum"]) if values.get("spectrum") else None
        measured = [MetricRow(**one) for one in values["measured"]]
        return cls(**{**values, **pairs, "measured": measured, "spectrum": spectrum})


def facts(report: ReportContent) -> CardData:
    """The card data of a report, which belong to none of its examples."""
    report = report.written(include_inputs=False)
    first: Mapping[str, Any] = report.records[0].provenance if report.records else {}
    evaluation, sanity, spectrum = report.evaluation, report.sanity, report.spectrum
    versions = {str(name): str(version) for name, version in (first.get("versions") or {}).items()}
    methods = [(one.method, one.domain) for one in report.records]
    methods += [(cell.method, cell.domain) for cell in evaluation.cells if not cell.control] if evaluation else []
    methods += [(one.method, one.domain) for one in sanity]
    if spectrum is not None:
        methods.append((spectrum.made_by.get("method", "filters"), spectrum.made_by.get("domain", "")))
    return CardData(
        title=report.title,
        model=privacy.model_of(report.model),
        revision=str(first.get("revision") or ""),
        task=str(first.get("task") or ""),
        head=str(first.get("head") or (sanity[0].head if sanity else "")),
        methods=list(dict.fromkeys(methods)),
        examples=len(report.records),
        evaluated=len(evaluation.groups) if evaluation else 0,
        groups=len(set(evaluation.groups)) if evaluation else 0,
        measured=_measured(evaluation),
        checks=[
            (one.method, one.domain, check.name, check.verdict, check.words) for one in sanity for check in one.checks
        ],
        classes=_classes(report),
        excluded=list(evaluation.excluded) if evaluation else [],
        notes=list(evaluation.notes) if evaluation else [],
        versions={**versions, "hf_fourier": VERSION},
        spectrum=spectrum,
    )


def _measured(found: Evaluation | None) -> list[MetricRow]:
    if found is None:
        return []
    controls = {(cell.method, cell.domain) for cell in found.cells if cell.control}
    rows = []
    for row in found.table().rows():
        key = (row["method"], row["domain"])
        numbers = [_number(row[name]) for name in ("mean", "low", "high", "gap_magnitude", "gap_low", "gap_high")]
        if row["method"] == "magnitude":
            numbers[3:] = [None, None, None]
        better = found.better.get(row["metric"], 0)
        rows.append(MetricRow(*key, key in controls, row["metric"], better, *numbers))
    return rows


def _classes(report: ReportContent) -> list[tuple[str, str, int, float | None, float | None]]:
    """The labels with most examples; none where labels are withheld."""
    known = [one for one in report.classes if one.label != privacy.WITHHELD]
    known.sort(key=lambda one: -one.examples)
    return [
        (one.method, one.label, one.examples, _number(one.confidence), _number(one.kept.get("0.04")))
        for one in known[:CLASSES]
    ]


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 4)
