"""One example of a report in plain numbers: what was said of it and how sure, the curve, and features by band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import privacy
from hf_fourier.report.figures.spectrum import Profile, binned
from hf_fourier.results import formats
from hf_fourier.results.curve import Curve, CurvePoint

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

#: Bands of a record, at most: few enough that nobody finds a text or a picture from their power.
BANDS = 16


@dataclass(frozen=True)
class Bands:
    """Features by frequency (or by wavelet level), all places and channels together.

    Attributes:
        title: What the coordinate is, with its unit.
        centres: The coordinate of each band, ascending.
        power: Each band's share of all power, 0 to 1.
        chosen: The share of each band's features that are on top at `share`, 0 to 1.
        share: The share of all features that counts as the top.
    """

    title: str
    centres: Sequence[float]
    power: Sequence[float]
    chosen: Sequence[float]
    share: float


@dataclass(frozen=True)
class ExampleRecord:
    """One example without its input.

    Attributes:
        label: What was explained; `privacy.WITHHELD` where that is a part of the example.
        target: Its class index; None where there is none, or it is withheld.
        confidence: In it, on the clean example.
        value: The score that was explained.
        agreement: The share of the clean example's own decisions that are the frozen ones; None if not known.
        top_predictions: The model's likeliest classes with their probabilities; empty where they are withheld.
        kind: Of the signal.
        shape: The signal's axes with their lengths.
        features: How many there are.
        completeness_error: How far complete methods' scores are from the sum that they should have.
        curve: What was played; the classes that were said at each stop are withheld with the label.
        bands: Features by frequency; None where they have a place only.
        extras: What the method tells beside its scores, summed over places.
        provenance: How the result was made.
        name: What the example is called; empty in what is shared.
        contested: Whether the explained label is another one than the model's own decision.
        noun: What the features are called.
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

    def holds(self, stop: CurvePoint) -> bool:
        """Whether the decision is kept at a stop; of a mask a Dice of at least `wording.SAME_MASK`."""
        return stop.agreement >= (SAME_MASK if self.head == "mask" else 1)

    @property
    def least_fraction(self) -> float | None:
        """The least played share whose top features alone keep the decision; None where none does."""
        stops = self.curve.of("keep") if self.curve else []
        return next((stop.fraction for stop in stops if self.holds(stop) and 0 < stop.fraction < 1), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        own["curve"] = None if self.curve is None else self.curve.to_dict()
        own["bands"] = None if self.bands is None else dict(vars(self.bands))
        own["top_predictions"] = [list(pair) for pair in self.top_predictions]
        return {**own, "shape": dict(self.shape), "extras": dict(self.extras), "provenance": dict(self.provenance)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExampleRecord:
        """The record that `to_dict` wrote; what a newer minor version added is not read."""
        values = formats.renamed(values, formats.RECORD)
        own = {name: value for name, value in values.items() if name in cls.__dataclass_fields__}
        own["curve"] = None if own["curve"] is None else Curve.from_dict(own["curve"])
        own["bands"] = None if own["bands"] is None else Bands(**own["bands"])
        own["top_predictions"] = [(str(label), p) for label, p in own["top_predictions"]]
        return cls(**own)


def record_of(attribution: Attribution, name: str = "", shared: bool = True) -> ExampleRecord:
    """What a report says of one result.

    Args:
        attribution: The result; compact ones will do.
        name: What the example is called.
        shared: Leave out what belongs to the example, and round what is left; see `privacy`.
    """
    told = not shared or privacy.shareable(attribution)
    digits = privacy.DIGITS if shared else 17
    extras = {n: v for n, v in attribution.extras.items() if n in privacy.SUMMARIES}
    target = attribution.target
    return ExampleRecord(
        label=attribution.label if told else privacy.WITHHELD,
        target=target if told and isinstance(target, int) else None,
        confidence=privacy.rounded(attribution.confidence, digits),
        value=privacy.rounded(float(attribution.value), digits),
        agreement=privacy.rounded(attribution.agreement, digits),
        top_predictions=[(n, privacy.rounded(p, digits)) for n, p in attribution.top_predictions] if told else [],
        kind=attribution.layout.signal.kind,
        shape={axis.name: axis.length for axis in attribution.layout.signal.axes},
        features=len(attribution.scores),
        completeness_error=privacy.rounded(attribution.completeness_error, digits),
        curve=_curve(attribution.curve, told, digits),
        bands=_bands(attribution),
        extras=privacy.rounded(extras, privacy.DIGITS),
        provenance=privacy.rounded(privacy.provenance_of(attribution, shared), 6),
        name="" if shared else name,
        contested=explains_other_label(attribution),
        noun=feature_noun(attribution),
    )


def _curve(curve: Curve | None, told: bool, digits: int) -> Curve | None:
    if curve is None:
        return None
    stops = [
        CurvePoint(s.mode, s.fraction, privacy.rounded(s.actual_fraction, 6), privacy.rounded(s.value, digits),
             privacy.rounded(s.confidence, digits), privacy.rounded(s.agreement, digits),
             s.predicted_class if told else None)
        for s in curve.points
    ]  # fmt: skip
    return Curve(tuple(stops), privacy.rounded(curve.clean, digits))


def _bands(attribution: Attribution) -> Bands | None:
    """Features by frequency or level; None where they have places only, or the result is compact."""
    layout = attribution.layout
    if attribution.signal is None or not (layout.with_role("frequency") or layout.with_role("level")):
        return None
    share = displayed_fraction(attribution)
    found: Profile | None = binned(attribution, attribution.mask(share).numpy(), BANDS)
    if found is None:
        return None
    columns = (np.asarray(values, dtype=float).tolist() for values in (found.centres, found.power, found.chosen))
    centres, power, chosen = (privacy.rounded(list(values), privacy.BAND_DIGITS) for values in columns)
    return Bands(found.title, centres, power, chosen, share)


DEFAULT_FRACTION = 0.04
#: From this Dice with the clean mask on, a predicted mask counts as kept.
SAME_MASK = 0.9


def displayed_fraction(attribution: Attribution) -> float:
    """The least played share whose top features alone keep the decision, or 0.04."""
    stops = attribution.curve.of("keep") if attribution.curve else []
    holding = [stop.fraction for stop in stops if holds(attribution, stop) and 0 < stop.fraction < 1]
    return holding[0] if holding else DEFAULT_FRACTION


def is_mask(attribution: Attribution) -> bool:
    """Whether a mask was explained: its decision is kept as Dice."""
    return attribution.provenance.get("head") == "mask"


def holds(attribution: Attribution, stop: CurvePoint) -> bool:
    """Whether the decision is kept: all of it, of a mask a Dice of at least `SAME_MASK`."""
    return stop.agreement >= (SAME_MASK if is_mask(attribution) else 1)


def explains_other_label(attribution: Attribution) -> bool:
    """Whether the explained label is another one than the model's own decision."""
    if attribution.confidence is None or not attribution.top_predictions or isinstance(attribution.target, list):
        return False
    if is_mask(attribution):  # its alternatives are the classes' shares of the picture
        return False
    best, probability = attribution.top_predictions[0]
    return attribution.label != best and attribution.confidence < min(probability, 0.5)


def feature_noun(attribution: Attribution) -> str:
    """What the features are called."""
    return "frequencies" if attribution.layout.with_role("frequency") else "features"
