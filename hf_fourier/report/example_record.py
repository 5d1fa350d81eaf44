"""One explained example in plain numbers: label, confidence, perturbation curve, and features by band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.methods import METHODS
from hf_fourier.report import privacy
from hf_fourier.report.band_scores import BandScores, band_scores_of
from hf_fourier.report.figures.spectrum import binned
from hf_fourier.results import formats
from hf_fourier.results.curve import Curve, CurvePoint, Mode
from hf_fourier.results.integrity import readable
from hf_fourier.results.remarks import IN_PLACE, INCOMPLETE

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

#: Bands of a record, at most: few enough that nobody finds a text or a picture from their power.
BANDS = 16
#: The fraction of features that is shown where no curve suggests another.
DEFAULT_FRACTION = 0.04
#: From this Dice with the clean mask on, a predicted mask counts as kept.
SAME_MASK = 0.9


@dataclass(frozen=True)
class Bands:
    """Features by frequency (or by wavelet level), all places and channels together.

    Attributes:
        title: What the coordinate is, with its unit.
        centres: The coordinate of each band, ascending.
        power: Each band's share of all power, 0 to 1.
        chosen: The fraction of each band's features that are on top at `share`, 0 to 1.
        share: The fraction of all features that counts as the top.
    """

    title: str
    centres: Sequence[float]
    power: Sequence[float]
    chosen: Sequence[float]
    share: float


@dataclass(frozen=True)
class ExampleRecord:
    """One example without its input: what texts, tables and figures read of a result.

    Attributes:
        label: The explained label; `privacy.WITHHELD` where that is a part of the example.
        target: Its class index; None where there is none, or it is withheld.
        confidence: In it, on the clean example; None for heads that have none.
        value: The explained score.
        agreement: The fraction of the clean example's own decisions that are the frozen ones; None if not known.
        top_predictions: The model's likeliest classes with their probabilities; empty where they are withheld.
        kind: Of the signal.
        shape: The signal's axes with their lengths.
        features: The number of features.
        completeness_error: How far complete methods' scores are from the sum that they should have.
        curve: The perturbation curve; the predicted classes of its points are withheld with the label.
        bands: Features by frequency; None where they have a place only.
        extras: What the method computes beside its scores, summed over places.
        provenance: How the result was made.
        name: The example's name; empty in what is shared.
        contested: Whether the explained label is another one than the model's own decision.
        noun: What the features are called: "frequencies", "bands" or "features".
        magnitude_overlap: The fraction of the top features that are also the strongest ones; None if not known.
        band_scores: Where the features are bands, what each is worth; `bands` is None then.
        example: The number of the example in its report, equal for results of the same example; 0 if not known.
    """

    label: str
    target: int | None
    confidence: float | None
    value: float
    agreement: float | None
    top_predictions: Sequence[tuple[str, float]]
    kind: str
    shape: Mapping[str, int]
    features: int
    completeness_error: float | None
    curve: Curve | None
    bands: Bands | None
    extras: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    contested: bool = False
    noun: str = "features"
    magnitude_overlap: float | None = None
    band_scores: BandScores | None = None
    example: int = 0

    @property
    def in_place(self) -> str:
        """What replaced deleted features along the curve, in words; nothing for zero."""
        return "" if self.curve is None else IN_PLACE[self.curve.replacement]

    @property
    def seen(self) -> str:
        """A remark where the model saw something else than the parts that figures draw; nothing for zero."""
        return f"The model saw {self.in_place}; parts that are drawn have zero there." if self.in_place else ""

    @property
    def head(self) -> str:
        """The kind of what is explained."""
        return str(self.provenance.get("head") or "")

    @property
    def method(self) -> str:
        """The method's spec."""
        return str(self.provenance.get("method") or "?")

    @property
    def domain(self) -> str:
        """The domain's spec."""
        return str(self.provenance.get("domain") or "?")

    @property
    def is_mask(self) -> bool:
        """Whether a mask was explained: its agreement is a Dice."""
        return self.head == "mask"

    @property
    def incomplete(self) -> list[str]:
        """Notes on scores that miss the sum that a complete method promises."""
        return [note for note in self.provenance.get("notes", ()) if note.startswith(INCOMPLETE)]

    def points(self, mode: Mode) -> list[CurvePoint]:
        """The curve's points of one mode by fraction, ascending; empty without a curve."""
        return self.curve.of(mode) if self.curve else []

    def find(self, mode: Mode, fraction: float) -> CurvePoint | None:
        """The curve's point at a fraction; None where the model was not evaluated."""
        return self.curve.find(mode, fraction) if self.curve else None

    def holds(self, point: CurvePoint) -> bool:
        """Whether the decision is kept at a point: all of it, of a mask a Dice of at least `SAME_MASK`."""
        return point.agreement >= (SAME_MASK if self.is_mask else 1)

    @property
    def least_fraction(self) -> float | None:
        """The least fraction whose top features alone keep the decision; None where none does."""
        holding = (point.fraction for point in self.points("keep") if self.holds(point) and 0 < point.fraction < 1)
        return next(holding, None)

    def top(self, fraction: float) -> str:
        """The first features of the ranking in words: "top 2 bands", "top 4 % of frequencies"."""
        if self.noun != "bands":
            return f"top {100 * fraction:.3g} % of {self.noun}"
        count = self.count(fraction)
        return "top band" if count == 1 else f"top {count} bands"

    def count(self, fraction: float) -> int:
        """How many bands are kept or deleted at a fraction: at least one, unless it is 0."""
        return max(1, round(fraction * self.features)) if fraction else 0

    @property
    def displayed_fraction(self) -> float:
        """The fraction that figures and sounds show: `least_fraction`, or 0.04."""
        return DEFAULT_FRACTION if self.least_fraction is None else self.least_fraction

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["curve"] = None if self.curve is None else self.curve.to_dict()
        values["bands"] = None if self.bands is None else dict(vars(self.bands))
        values["band_scores"] = None if self.band_scores is None else dict(vars(self.band_scores))
        values["top_predictions"] = [list(pair) for pair in self.top_predictions]
        return {**values, "shape": dict(self.shape), "extras": dict(self.extras), "provenance": dict(self.provenance)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExampleRecord:
        """The record that `to_dict` wrote; what a newer minor version added is not read."""
        values = formats.record(values)
        known = {name: value for name, value in values.items() if name in cls.__dataclass_fields__}
        known["curve"] = None if known["curve"] is None else Curve.from_dict(known["curve"])
        known["bands"] = None if known["bands"] is None else Bands(**known["bands"])
        known["band_scores"] = BandScores(**known["band_scores"]) if known.get("band_scores") else None
        known["top_predictions"] = [(str(label), p) for label, p in known["top_predictions"]]
        return cls(**known)


def is_control(method: str) -> bool:
    """Whether a method's spec is that of a control, which ranks without using the model."""
    name = method.partition(":")[0]
    return name in METHODS and METHODS[name].control


def overlap_text(overlap: float, method: str) -> str:
    """In words: how much of the top of a method's ranking the strongest features are."""
    rest = "" if is_control(method) else "; the others depend on the model"
    return f"{100 * overlap:.0f} % of the top {100 * DEFAULT_FRACTION:g} %{rest}"


def record_of(attribution: Attribution) -> ExampleRecord:
    """The record of one result as it is: nothing rounded or withheld, without name, extras, bands and overlap."""
    layout, target = attribution.layout, attribution.target
    return ExampleRecord(
        label=attribution.label,
        target=target if isinstance(target, int) else None,
        confidence=attribution.confidence,
        value=float(attribution.value),
        agreement=attribution.agreement,
        top_predictions=list(attribution.top_predictions),
        kind=layout.signal.kind,
        shape={axis.name: axis.length for axis in layout.signal.axes},
        features=len(attribution.scores),
        completeness_error=attribution.completeness_error,
        curve=attribution.curve,
        bands=None,
        provenance=attribution.provenance,
        contested=_contested(attribution),
        noun="bands" if layout.bands else "frequencies" if layout.with_role("frequency") else "features",
    )


def report_record(attribution: Attribution, name: str = "", shared: bool = True, example: int = 0) -> ExampleRecord:
    """The record that a report holds of one result, rounded and scrubbed.

    Args:
        attribution: The result; compact ones will do.
        name: The example's name.
        shared: Leave out what belongs to the example, and round what is left; see `privacy`.
        example: The number of its example in the report.
    """
    record = record_of(attribution)
    labelled = not shared or privacy.shareable(attribution)
    digits = privacy.DIGITS if shared else 17
    extras = {n: v for n, v in attribution.extras.items() if n in privacy.SUMMARIES}
    if "layers" not in extras:
        extras.pop("standard_error", None)  # of each feature
    scores = band_scores_of(attribution, shared)
    return replace(
        record,
        label=readable(record.label) if labelled else privacy.WITHHELD,
        target=record.target if labelled else None,
        top_predictions=[(readable(n), privacy.rounded(p, digits)) for n, p in record.top_predictions if labelled],
        curve=_rounded_curve(record.curve, labelled, digits),
        magnitude_overlap=None if scores or attribution.signal is None else attribution.magnitude_overlap(
            DEFAULT_FRACTION
        ),
        bands=None if scores else bands_of(attribution, record.displayed_fraction),
        band_scores=scores,
        example=example,
        extras=privacy.rounded(extras, privacy.DIGITS),
        provenance=privacy.rounded(privacy.provenance_of(attribution, shared), 6),
        name="" if shared else name,
        **{field: privacy.rounded(getattr(record, field), digits)
           for field in ("confidence", "value", "agreement", "completeness_error")},
    )  # fmt: skip


def _rounded_curve(curve: Curve | None, labelled: bool, digits: int) -> Curve | None:
    if curve is None:
        return None
    points = [
        CurvePoint(p.mode, p.fraction, privacy.rounded(p.actual_fraction, 6), privacy.rounded(p.value, digits),
             privacy.rounded(p.confidence, digits), privacy.rounded(p.agreement, digits),
             p.predicted_class if labelled else None)
        for p in curve.points
    ]  # fmt: skip
    return Curve(tuple(points), privacy.rounded(curve.clean, digits), curve.replacement)


def bands_of(attribution: Attribution, fraction: float) -> Bands | None:
    """Features by frequency or level; None where they have places only, or the result is compact."""
    layout = attribution.layout
    if attribution.signal is None or not (layout.with_role("frequency") or layout.with_role("level")):
        return None
    profile = binned(attribution, attribution.mask(fraction).numpy(), BANDS)
    if profile is None:
        return None
    columns = (np.asarray(values, dtype=float).tolist() for values in (profile.centres, profile.power, profile.chosen))
    centres, power, chosen = (privacy.rounded(values, privacy.BAND_DIGITS) for values in columns)
    return Bands(profile.title, centres, power, chosen, fraction)


def _contested(attribution: Attribution) -> bool:
    """Whether the explained label is another one than the model's own decision."""
    if attribution.confidence is None or not attribution.top_predictions or isinstance(attribution.target, list):
        return False
    if attribution.provenance.get("head") == "mask":  # its alternatives are the classes' fractions of the picture
        return False
    best, probability = attribution.top_predictions[0]
    return attribution.label != best and attribution.confidence < min(probability, 0.5)
