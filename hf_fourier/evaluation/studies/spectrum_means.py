"""The means of a model's spectrum over a data set, and the sentences, tables and figures that are made of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from hf_fourier.domains import Band
from hf_fourier.domains.bands import frequency_text
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import MeanInterval
from hf_fourier.evaluation.studies.reading_columns import percent
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.table import Table, table_of

if TYPE_CHECKING:
    import pandas as pd

#: The group of all examples.
ALL = "all"
#: The Shapley values among the filters of a table; and the filters whose cut-offs are found.
SHAPLEY, CUTS = "shapley", ("low-pass", "high-pass")
#: What an accuracy may count.
QUANTITIES = ("accuracy", "decisions kept", "target predicted")
#: What to do where a saved summary does not hold what is asked of it.
COMPUTE_AGAIN = "compute the spectrum again by explainer.spectrum(…), whose result has all of them"


class SpectrumMeans(ABC):
    """What a model answers under filters, as means with intervals.

    Attributes:
        model: The model's name.
        bands: The bands, in ascending order of frequency.
        filters: The names of the filters: "band-pass", "band-stop", "low-pass", "high-pass", then "noise 1" and so on.
        made_by: Method, domain and seed.
        class_names: The names of the model's classes.
        failures: How many examples could not be explained.
    """

    model: str
    bands: tuple[Band, ...]
    filters: tuple[str, ...]
    made_by: Mapping[str, Any]
    class_names: Mapping[int, str]
    failures: int

    @abstractmethod
    def __len__(self) -> int:
        """How many examples there are."""

    @property
    @abstractmethod
    def groups(self) -> Sequence[str]:
        """The groups, or "all"."""

    @property
    @abstractmethod
    def quantity(self) -> str:
        """What `accuracy` counts: one of `QUANTITIES`."""

    @abstractmethod
    def accuracy(self, name: str, group: str = ALL) -> Sequence[MeanInterval]:
        """The accuracy under one filter, by band."""

    @abstractmethod
    def shapley_values(self, group: str = ALL) -> Sequence[MeanInterval]:
        """The mean Shapley value of each band."""

    @abstractmethod
    def differences(self, other: str, group: str = ALL) -> Sequence[MeanInterval]:
        """By how much each band's Shapley value exceeds that of the band `other`."""

    @abstractmethod
    def half_point(self, name: str, group: str = ALL, seed: int = 0) -> MeanInterval:
        """The cut-off at which half of the accuracy is lost."""

    @abstractmethod
    def clean_accuracy(self) -> MeanInterval:
        """The accuracy without a filter."""

    @abstractmethod
    def empty_accuracy(self) -> MeanInterval:
        """The accuracy with no band left."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model}: {len(self)} examples, {len(self.bands)} bands)"

    def __str__(self) -> str:
        return "\n".join([repr(self), *self.summary()])

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:spectrum", self))

    @property
    def best(self) -> int:
        """The place of the band with the largest mean, of those that at least half of the examples have."""
        values = self.shapley_values()
        usual = [i for i, one in enumerate(values) if 2 * one.n >= len(self)] or range(len(values))
        return max(usual, key=lambda i: -math.inf if math.isnan(values[i].mean) else values[i].mean)

    def summary(self) -> list[str]:
        """What was found, in sentences with intervals."""
        values, best = self.shapley_values(), self.best
        name = self.bands[best].name
        rivals = [one for i, one in enumerate(self.differences(name)) if i != best]
        clear = bool(rivals) and all(one.high < 0 for one in rivals if one.n)
        stop, alone = self.accuracy("band-stop")[best], self.accuracy("band-pass")[best]
        lines = [
            f"{'The band that is worth most' if clear else 'No band is clearly worth most; the largest mean'} "
            f"is {name}: Shapley value {values[best]}.",
            f"{self.quantity.capitalize()}: {percent(self.clean_accuracy())} of the clean examples, "
            f"{percent(stop)} without that band, {percent(alone)} with it alone, "
            f"{percent(self.empty_accuracy())} with no band left.",
        ]
        for which, words in zip(CUTS, ("only frequencies up to", "only frequencies from"), strict=True):
            cut, unit = self.half_point(which), self.bands[0].unit
            ends = [band.high if which == "low-pass" else band.low for band in self.bands]
            outermost = min((end for end in ends if end > 0), default=0.0) if which == "low-pass" else max(ends)
            if cut.mean == outermost:
                lines.append(f"More than half is kept with {words} {frequency_text(unit, cut.mean)}.")
            elif math.isfinite(cut.mean):
                lines.append(f"Half is lost with {words} {frequency_text(unit, cut.mean, cut.low, cut.high)}.")
        return lines

    def table(self) -> Table:
        """All means with their intervals: a row for each group, filter and band; Shapley values as one more filter."""
        rows = []
        for group in dict.fromkeys([ALL, *self.groups]):
            found = [(name, self.quantity, self.accuracy(name, group)) for name in self.filters]
            for name, quantity, intervals in [*found, (SHAPLEY, "score", self.shapley_values(group))]:
                rows += [
                    {"group": group, "filter": name, "band": band.name, "from": band.low, "to": band.high,
                     "unit": band.unit, "quantity": quantity, **asdict(one)}
                    for band, one in zip(self.bands, intervals, strict=True)
                ]  # fmt: skip
        return table_of(rows)

    def to_pandas(self) -> pd.DataFrame:
        """`table` as a `pandas.DataFrame`."""
        return self.table().to_pandas()

    def overview(self) -> Table:
        """A row for each band: its accuracy under each filter in percent, and its Shapley value with the interval."""
        columns: dict[str, list[Any]] = {"band": [band.name for band in self.bands]}
        for name in self.filters:
            means = [one.mean for one in self.accuracy(name)]
            columns[name] = ["" if math.isnan(mean) else f"{100 * mean:.0f}" for mean in means]
        columns["Shapley value"] = [str(value) for value in self.shapley_values()]
        return Table(columns)

    def to_markdown(self) -> str:
        """A section for a model's card: what was found, a table of the bands, and what may be concluded.

        Raises:
            MissingExtraError: If Jinja2 is not installed.
        """
        return str(drawn_by("hub.markdown:render_spectrum", self))

    def plot(self, path: str | PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw it, a `matplotlib.figure.Figure`; see `hf_fourier.report.figures.model_spectrum.plot_spectrum`."""
        return drawn_by("figures.model_spectrum:plot_spectrum", self, path, ax)

    def summarized(self) -> SpectrumSummary:
        """The means alone, without a number of any single example."""
        groups = list(dict.fromkeys([ALL, *self.groups]))
        means = {
            group: {
                **{name: list(self.accuracy(name, group)) for name in self.filters},
                SHAPLEY: list(self.shapley_values(group)),
            }
            for group in groups
        }
        return SpectrumSummary(
            model=self.model, bands=self.bands, filters=self.filters, made_by=dict(self.made_by),
            class_names={number: name for number, name in self.class_names.items() if name in groups},
            failures=self.failures, examples=len(self), counted=self.quantity, means=means,
            gaps=list(self.differences(self.bands[self.best].name)), clean=self.clean_accuracy(),
            empty=self.empty_accuracy(), half={name: self.half_point(name) for name in CUTS},
        )  # fmt: skip


@dataclass(frozen=True, repr=False)
class SpectrumSummary(SpectrumMeans):
    """The means of a model's spectrum without a number of any single example, as reports store them.

    Attributes:
        class_names: The names of the classes that groups are called by.
        examples: How many there are.
        counted: What the accuracies count.
        means: By group ("all" among them) and filter (Shapley values as "shapley"): an interval for each band.
        gaps: By how much each band's Shapley value exceeds that of the best band, over all examples.
        clean: The accuracy without a filter.
        empty: The accuracy with no band left.
        half: By filter, "low-pass" and "high-pass", the cut-off at which half of the accuracy is lost.
    """

    model: str
    bands: tuple[Band, ...]
    filters: tuple[str, ...]
    made_by: Mapping[str, Any]
    class_names: Mapping[int, str]
    failures: int
    examples: int
    counted: str
    means: Mapping[str, Mapping[str, Sequence[MeanInterval]]]
    gaps: Sequence[MeanInterval]
    clean: MeanInterval
    empty: MeanInterval
    half: Mapping[str, MeanInterval]

    def __len__(self) -> int:
        return self.examples

    @property
    def groups(self) -> Sequence[str]:
        """The groups in the order in which they came, or "all"."""
        return [name for name in self.means if name != ALL] or [ALL]

    @property
    def quantity(self) -> str:
        """What `accuracy` counts."""
        return self.counted

    def accuracy(self, name: str, group: str = ALL) -> Sequence[MeanInterval]:
        """The accuracy under one filter, by band, with 95 % intervals."""
        return self._of(group)[name]

    def shapley_values(self, group: str = ALL) -> Sequence[MeanInterval]:
        """The mean signed Shapley value of each band, in units of the score, with 95 % intervals."""
        return self._of(group)[SHAPLEY]

    def differences(self, other: str, group: str = ALL) -> Sequence[MeanInterval]:
        """By how much each band's Shapley value exceeds that of the best band.

        Raises:
            InputError: If `other` is another band, or `group` not all examples.
        """
        best = self.bands[self.best].name
        if (other, group) != (best, ALL):
            expected = f"{best!r} in {ALL!r}, the only ones that a saved summary holds"
            raise InputError(f"differences to {other!r} in {group!r}", expected, COMPUTE_AGAIN)
        return self.gaps

    def half_point(self, name: str, group: str = ALL, seed: int = 0) -> MeanInterval:
        """The cut-off at which half of the accuracy is lost, in the bands' unit.

        Raises:
            InputError: If it is no filter with a cut-off, or `group` not all examples.
        """
        if name not in self.half or group != ALL:
            expected = f"{' or '.join(self.half)} in {ALL!r}, the only ones that a saved summary holds"
            raise InputError(f"the cut-off of {name!r} in {group!r}", expected, COMPUTE_AGAIN)
        return self.half[name]

    def clean_accuracy(self) -> MeanInterval:
        """The accuracy without a filter."""
        return self.clean

    def empty_accuracy(self) -> MeanInterval:
        """The accuracy with no band left: what guessing brings."""
        return self.empty

    def summarized(self) -> SpectrumSummary:
        """Itself."""
        return self

    def _of(self, group: str) -> Mapping[str, Sequence[MeanInterval]]:
        if group not in self.means:
            raise InputError(f"group {group!r}", f"one of {', '.join(self.groups)}", "choose one of them")
        return self.means[group]
