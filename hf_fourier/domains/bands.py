"""Bands: a domain's features taken together by frequency, so that each has a name and there are few enough to ask."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from hf_fourier.domains.base import Basis, Domain
from hf_fourier.domains.layout import Band, Column, Layout, SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Inexact, Int, Tensor

#: What `bands` takes: the name of a family, a number of equal bands, or edges.
Bands = str | int | tuple[str, ...] | None
#: Families of bands, and how many bands each has at most where no number is given; None for those that take none.
FAMILIES = {"octave": 8, "third-octave": 24, "mel": 16, "eeg": None, "level": None}
#: The most bands.
MOST = 4096
#: The rhythms of the electroencephalogram, in Hz.
RHYTHMS = {"delta": (0.5, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0), "gamma": (30.0, 100.0)}
#: Octaves of Hz begin at this frequency times a power of 2; those of other units at a power of 2.
REFERENCE_HZ = 1000.0
#: Units of frequency along axes that are counted over the whole shorter side.
WHOLE = {"cycles/pixel": "cycles/picture", "cycles/voxel": "cycles/volume"}
#: The name of the constant part.
MEAN = "mean (frequency 0)"
_EDGES = re.compile(r"\s*([0-9.]+)\s*[-–]\s*([0-9.]+)\s*([A-Za-z/].*?)?\s*")


@dataclass(frozen=True)
class Scale:
    """The frequencies of a basis' features as one number each, in the unit that people use.

    Attributes:
        values: Shape `(K,)`, float64; over several axes the radial frequency.
        unit: "Hz", "cycles/picture" (along its shorter side), "cycles/token", …
        limit: The highest frequency along one axis, in that unit.
    """

    values: Float[Tensor, " features"]
    unit: str
    limit: float

    @property
    def has_mean(self) -> bool:
        """Whether frequency 0 is a band by itself: of everything but sounds and other signals in Hz."""
        return self.unit != "Hz"


class Bandable(Domain):
    """A domain with the parameter `bands`, and those parameters of bands that suit it.

    `bands` merges the features into bands: `"octave"`, `"third-octave"`, `"mel"` (Hz only), `"eeg"` (Hz only), each
    with a number to change how many there are at most (`"octave-10"`); a whole number for bands of equal width; or
    edges in the input's own unit (`"0-200,200-4000 Hz"`, in specs `bands=0-200+200-4000`). Frequency 0 is a band by
    itself unless the unit is Hz.
    """

    bands: Bands
    #: Families of bands that suit the domain.
    families: tuple[str, ...] = ("octave", "third-octave", "mel", "eeg")

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", checked_bands(self.bands, self.families))

    def coarsen(self, basis: Basis) -> Basis:
        """The basis of the bands; the given one where no bands are asked for."""
        return basis if self.bands is None else BandBasis(basis, self.split(basis))

    def split(self, basis: Basis) -> Split:
        """The band of each feature of the fine basis."""
        return by_frequency(self.bands, scale_of(basis.layout))


@dataclass(frozen=True)
class Split:
    """Features sorted into bands.

    Attributes:
        band_of_feature: The band of each feature, shape `(K,)`; every band has one at least.
        bands: The bands, in ascending order of frequency.
        columns: Coordinates of the bands, where they have others than their names and frequencies.
    """

    band_of_feature: Int[Tensor, " features"]
    bands: tuple[Band, ...]
    columns: tuple[Column, ...] = ()

    def crossed(self, other: Int[Tensor, " features"], names: Sequence[str], apart: str = ", ") -> Split:
        """Bands split once more, by a code for each feature and the codes' names; "" keeps a band's own name."""
        code = self.band_of_feature * len(names) + other
        present, band_of_feature = code.unique(return_inverse=True)
        bands = []
        for number in present.tolist():
            band, name = self.bands[number // len(names)], names[number % len(names)]
            bands.append(Band(band.name + apart + name if name else band.name, band.low, band.high, band.unit))
        return Split(band_of_feature, tuple(bands))

    def by_channel(self, layout: Layout) -> Split:
        """Bands split once more, by the channel of each feature of `layout`; the columns say which band and channel.

        Raises:
            SpecError: If the features have no channel.
        """
        channels = layout.with_role("channel")
        if len(channels) != 1:
            got, do = f"channels=apart of {layout.signal.kind} in which features have no channel", "leave it out"
            raise SpecError(got, "a signal with one axis of channels, grain=bin", do)
        column = channels[0]
        count = int(column.values.max()) + 1
        names = column.names or tuple(f"{column.name} {i}" for i in range(count))
        split = self.crossed(column.values.long(), names)
        of_band = torch.zeros(2, len(split.bands), dtype=torch.long)
        of_band[:, split.band_of_feature] = torch.stack([self.band_of_feature.long(), column.values.long()])
        band = Column("band", "band", of_band[0], names=tuple(band.name for band in self.bands))
        channel = Column(column.name, "channel", of_band[1], axis=column.axis, names=column.names)
        return Split(split.band_of_feature, split.bands, (band, channel))


def checked_bands(bands: Bands, families: Sequence[str] = tuple(FAMILIES)) -> Bands:
    """`bands` as a domain keeps it: None, a family, a number, or a tuple of edges.

    Raises:
        SpecError: If it is none of these.
    """
    expected = f"{', '.join(families)}, a number of bands, or edges such as '0-200,200-4000'"
    if isinstance(bands, np.integer):
        bands = int(bands)
    if bands is None or (isinstance(bands, int) and not isinstance(bands, bool) and 1 <= bands <= MOST):
        return bands
    if isinstance(bands, str) and _family(bands)[0] in families:
        _family_count(bands)
        return bands
    if isinstance(bands, int):
        raise SpecError(f"{bands!r} bands", f"1 to {MOST}", "correct `bands`")
    parts = bands.split(",") if isinstance(bands, str) else list(bands) if isinstance(bands, (tuple, list)) else []
    edges = tuple(str(part).strip() for part in parts)
    if not edges or any(_EDGES.fullmatch(edge) is None for edge in edges):
        raise SpecError(f"bands {bands!r}", expected, "correct `bands`")
    for edge in edges:
        low, high, _ = _edge(edge)
        if not low < high:
            raise SpecError(f"band {edge!r}", "a lower edge below the upper one", "correct `bands`")
    return edges


def scale_of(layout: Layout) -> Scale:
    """The frequencies of a layout's features, which all have one, in the unit that people use."""
    assert layout.radius is not None
    named = {column.axis for column in layout.with_role("frequency")}
    axes = [axis for i, axis in enumerate(layout.signal.axes) if i in layout.signal.ordered_axes]
    axes = [axis for axis in axes if axis.name in named] or axes
    units = {(axis.unit, axis.rate) for axis in axes}
    unit, rate = units.pop() if len(units) == 1 else ("cycles/sample", 1.0)
    whole = WHOLE.get(unit)
    if whole is not None:
        unit, rate = whole, rate * min(axis.length for axis in axes)
    return Scale(layout.radius.double() * rate, unit, 0.5 * rate)


def by_frequency(bands: Bands, scale: Scale) -> Split:
    """Sort features into bands of frequency; bands without features are left out.

    Args:
        bands: As `checked_bands` returns it.
        scale: The features' frequencies.

    Raises:
        SpecError: If the bands are in another unit, or overlap.
    """
    named = _named_edges(bands, scale)
    inner = torch.tensor([low for low, _, _ in named[1:]], dtype=torch.float64)  # they lie side by side from 0 on
    # A frequency that rounding put below an edge belongs above it.
    band_of_feature = torch.bucketize(scale.values * (1 + 1e-6), inner, right=True)
    ends = [Band(name, low, high, scale.unit) for low, high, name in named]
    if scale.has_mean:
        band_of_feature = torch.where(scale.values == 0, 0, band_of_feature + 1)
        ends.insert(0, Band(MEAN, 0.0, 0.0, scale.unit))
    present, band_of_feature = band_of_feature.unique(return_inverse=True)
    return Split(band_of_feature, tuple(ends[number] for number in present.tolist()))


def _named_edges(bands: Bands, scale: Scale) -> list[tuple[float, float, str]]:
    """Lower edge, upper edge and name of each band, in ascending order."""
    if isinstance(bands, tuple):
        return _given_edges(bands, scale)
    highest = float(scale.values.max())
    if isinstance(bands, int):
        inner = [scale.limit * i / bands for i in range(1, bands)]
    else:
        family, most = _family(str(bands))[0], _family_count(str(bands))
        if family in ("mel", "eeg") and scale.unit != "Hz":
            hint = "use 'octave', a number of bands, or edges"
            raise SpecError(f"bands={family} of frequencies in {scale.unit}", "a signal in Hz", hint)
        if family == "eeg":
            return _rhythms(scale)
        inner = _mel_edges(scale.limit, most) if family == "mel" else _octave_edges(scale, family, most)
    edges = [0.0, *inner, max(highest, scale.limit)]
    corners = highest > scale.limit * (1 + 1e-6)
    return [
        (low, high, band_name(low, math.inf if corners and high == edges[-1] else high, scale.unit))
        for low, high in pairwise(edges)
    ]


def _octave_edges(scale: Scale, family: str, most: int) -> list[float]:
    """The inner edges of octaves or their thirds, as many as fit, from the top; the last band is a third at least."""
    parts = 3 if family == "third-octave" else 1
    reference = REFERENCE_HZ if scale.unit == "Hz" else 1.0
    steps = math.floor(parts * math.log2(scale.limit / reference) + 1e-9)
    edges: list[float] = [reference * 2 ** ((steps - i) / parts) for i in range(most + 2)]
    fitting = [edge for edge in edges if edge * 2 ** (1 / 3 - 1e-6) <= scale.limit]
    return fitting[: most - 1 - scale.has_mean][::-1]


def _mel_edges(limit: float, bands: int) -> list[float]:
    """The inner edges of bands that are equally wide in mel (O'Shaughnessy 1987)."""
    top = 2595 * math.log10(1 + limit / 700)
    return [700 * (10 ** (top * i / bands / 2595) - 1) for i in range(1, bands)]


def _rhythms(scale: Scale) -> list[tuple[float, float, str]]:
    """The rhythms up to the limit, with what lies below and above them."""
    named = [(0.0, 0.5, "below delta (0–0.5 Hz)")]
    named += [(low, high, f"{name} ({low:g}–{high:g} Hz)") for name, (low, high) in RHYTHMS.items()]
    return [*named, (100.0, scale.limit, f"above gamma (100–{scale.limit:g} Hz)")] if scale.limit > 100 else named


def _given_edges(bands: tuple[str, ...], scale: Scale) -> list[tuple[float, float, str]]:
    """Edges as they were given, in ascending order, with what lies below, between and above them."""
    named, units = [], [_edge(band)[2] for band in bands]
    for place, band in enumerate(bands):
        low, high, _ = _edge(band)
        unit = next((unit for unit in [*units[place:], *reversed(units[:place])] if unit), "")
        thousands = 1000.0 if unit == "kHz" else 1.0
        if unit and ("Hz" if unit == "kHz" else unit) != scale.unit:
            got, do = f"band {band!r}", "give the edges in that unit"
            raise SpecError(got, f"edges in {scale.unit}, the unit of this signal", do)
        named.append((low * thousands, high * thousands, band_name(low * thousands, high * thousands, scale.unit)))
    named.sort()
    for (_, high, name), (low, _, other) in pairwise(named):
        if low < high:
            raise SpecError(f"bands {name!r} and {other!r}", "bands that do not overlap", "correct `bands`")
    if not any(bool(((scale.values >= low) & (scale.values <= high)).any()) for low, high, _ in named):
        got = f"bands {', '.join(bands)} of frequencies from 0 to {number_text(scale.limit)} {scale.unit}"
        raise SpecError(got, "edges within them", "give the edges in that unit")
    top = max(float(scale.values.max()), scale.limit)
    ends = [0.0, *(end for low, high, _ in named for end in (low, high)), max(top, named[-1][1])]
    gaps = [(low, high) for low, high in zip(ends[::2], ends[1::2], strict=True) if low < high]
    return sorted([*named, *((low, high, band_name(low, high, scale.unit)) for low, high in gaps)])


def band_name(low: float, high: float, unit: str) -> str:
    """A band in words: "125–250 Hz", "2–4 cycles/picture", "every 4–8 tokens"."""
    thing = unit.removeprefix("cycles/")
    if unit == thing or thing in ("picture", "volume", "sample"):
        if math.isinf(high):
            return f"from {number_text(low)} {unit}"
        if low == 0 and unit != "Hz":
            return f"below {number_text(high)} {unit}"
        return f"{number_text(low)}–{number_text(high)} {unit}"
    if low == 0:
        return f"every {number_text(1 / high)} {thing}s and slower"
    if math.isinf(high):
        return f"every {number_text(1 / low)} {thing}s and faster"
    return f"every {number_text(1 / high)}–{number_text(1 / low)} {thing}s"


def number_text(value: float) -> str:
    """A number with three digits, whole numbers in full."""
    return f"{value:.0f}" if value >= 999.5 or value == round(value) else f"{value:.3g}"


def frequency_text(unit: str, value: float, *interval: float) -> str:
    """A frequency in words, with its interval if there is one: "62.5 [50, 70] Hz", "1 per 64 [60, 70] tokens".

    Args:
        unit: The frequencies' unit.
        value: The frequency.
        *interval: The ends of its interval, or nothing.
    """
    thing, numbers = unit.removeprefix("cycles/"), [value, *interval]
    period = unit != thing and thing not in ("picture", "volume", "sample") and all(number > 0 for number in numbers)
    if period:
        numbers = [1 / value, *sorted(1 / number for number in interval)]
    texts = [number_text(number) for number in numbers]
    words = f"{texts[0]} [{', '.join(texts[1:])}]" if interval else texts[0]
    return f"1 per {words} {thing}s" if period else f"{words} {unit}"


def _family(bands: str) -> tuple[str, str]:
    """The name of a family, and the number behind it."""
    match = re.fullmatch(r"(.*?)(?:-(\d+))?", bands)
    assert match is not None
    return match[1], match[2] or ""


def _family_count(bands: str) -> int:
    """How many bands there are at most."""
    family, number = _family(bands)
    usual = FAMILIES[family]
    if number and (usual is None or not 3 <= int(number) <= MOST):
        expected = f"{family!r} without a number" if usual is None else f"a number from 3 to {MOST}"
        raise SpecError(f"bands {bands!r}", expected, "correct `bands`")
    return int(number) if number else usual or 0


def _edge(text: str) -> tuple[float, float, str]:
    """Lower edge, upper edge and unit of one band."""
    match = _EDGES.fullmatch(text)
    assert match is not None
    try:
        return float(match[1]), float(match[2]), match[3] or ""
    except ValueError:
        raise SpecError(f"band {text!r}", "two numbers, such as '200-4000'", "correct `bands`") from None


class BandBasis(Basis):
    """A basis whose features are bands of another basis' features: the same transform, with fewer things to rank."""

    def __init__(self, fine: Basis, split: Split) -> None:
        self.fine, self.split, self.signal, self.parseval = fine, split, fine.signal, fine.parseval
        self.bin_multiplicity, self.representative_bins = fine.bin_multiplicity, fine.representative_bins
        owner = split.band_of_feature
        inner, stored = fine.feature_of_representative, fine.feature_of_bin
        self.feature_of_representative = owner if inner is None else owner[inner]
        self.feature_of_bin = owner if stored is None else owner[stored]

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The fine basis' analysis."""
        return self.fine.forward(x)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The fine basis' synthesis."""
        return self.fine.inverse(coefficients)

    def pullback(self, gradient: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The fine basis' pullback."""
        return self.fine.pullback(gradient)

    @cached_property
    def layout(self) -> Layout:
        """The bands by name, the middle of each on a logarithmic axis, and the mean radius of its members."""
        fine, bands = self.fine.layout, self.split.bands
        named = Column("band", "band", torch.arange(len(bands)), names=tuple(band.name for band in bands))
        columns = list(self.split.columns or (named,))
        radius = None
        if fine.radius is not None:
            scale, radius = scale_of(fine), self._mean(fine.radius)
            centres = torch.tensor([band.centre for band in bands], dtype=torch.float64)
            known = torch.where(centres.isfinite(), centres, self._mean(scale.values))
            columns.append(Column("frequency", "frequency", known.float(), scale.unit))
        return Layout(
            fine.domain, fine.signal, tuple(columns), self.multiplicity, radius, self.redundancy, fine.notes, bands
        )

    def _mean(self, values: Float[Tensor, " features"]) -> Float[Tensor, " bands"]:
        """The mean of the members' values, weighted by how many bins each stands for."""
        weights = self.fine.multiplicity.to(values.dtype)
        total = values.new_zeros(len(self.split.bands)).index_add(0, self.split.band_of_feature, values * weights)
        return total / self.multiplicity.to(values.dtype)


def directions(signal: SignalShape, columns: Sequence[Column], sectors: int) -> tuple[Int[Tensor, "_"], list[str]]:
    """The direction of each feature's wave: its sector, and the sectors' names ("" for frequency 0).

    Of two axes the half circle is cut into equal sectors, the first around waves along the last axis (vertical
    stripes), and waves on the line between two sectors are apart; of three axes a wave belongs to the axis along which
    it is fastest, if that is one.

    Raises:
        SpecError: If there are fewer than two frequency axes, or not one sector for each of three.
    """
    names = [column.axis for column in columns]
    if len(columns) < 2 or (len(columns) > 2 and sectors != len(columns)):
        expected = "two frequency axes, or as many directions as axes"
        raise SpecError(f"directions={sectors} over {len(columns)} frequency axes", expected, "correct `directions`")
    rates = {axis.name: axis.rate for axis in signal.axes}
    cycles = torch.stack([column.values.double() / rates[column.axis] for column in columns])
    if len(columns) == 2:
        turn = torch.atan2(cycles[0], cycles[1]) % math.pi / math.pi * sectors
        between = ((turn % 1) - 0.5).abs() < 1e-6
        code = torch.where(between, sectors, turn.round().long() % sectors)
        words = [*(f"waves at {180 * i / sectors:g}°" for i in range(sectors)), "between two directions"]
    else:
        fastest = cycles.abs() >= cycles.abs().amax(0) * (1 - 1e-6)
        code = torch.where(fastest.sum(0) == 1, fastest.long().argmax(0), len(names))
        words = [*(f"mostly along {name}" for name in names), "as fast along several axes"]
    return torch.where((cycles == 0).all(0), 0, code + 1), ["", *words]
