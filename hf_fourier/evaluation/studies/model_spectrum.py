"""The spectrum of a model: how its accuracy over a data set depends on each band of frequencies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.domains import Band
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import MeanInterval, mean_interval
from hf_fourier.evaluation.studies import spectrum_file
from hf_fourier.evaluation.studies.cutoffs import bootstrap_sums, crossing
from hf_fourier.evaluation.studies.reading_columns import AGREEMENT, CLASS, classes_known, right
from hf_fourier.evaluation.studies.spectrum_means import ALL, CUTS, SpectrumMeans
from hf_fourier.results.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class ModelSpectrum(SpectrumMeans):
    """What a model answers when bands of its inputs are filtered out, left alone, or drowned in noise.

    Made by `FourierExplainer.spectrum`. All numbers are kept by example, so that groups, intervals and figures are
    made without a model.

    Attributes:
        model: The model's name.
        bands: The bands, in ascending order of frequency.
        filters: The names of the filters: "band-pass", "band-stop", "low-pass", "high-pass", then "noise 1" and so on.
        readings: Shape `(examples, filters, bands, 4)`: the score, the confidence, the agreement with the clean
            prediction, and the predicted class; NaN where an example has no such band or the head no such number.
        empty: The same with no band left, shape `(examples, 4)`.
        clean: The same of the clean example, shape `(examples, 4)`.
        shapley: The Shapley value of each band, shape `(examples, bands)`.
        by: The group of each example, which figures draw apart; empty for one group. "all" names all examples: a group
            of that name becomes "all (group)".
        labels: The true class of each example, NaN where it is not known; shape `(examples,)`.
        clusters: Examples of one cluster are not independent; empty for independent ones.
        class_names: The names of the model's classes.
        made_by: Method, domain and seed.
        failures: How many examples could not be explained.
    """

    model: str
    bands: tuple[Band, ...]
    filters: tuple[str, ...]
    readings: np.ndarray
    empty: np.ndarray
    clean: np.ndarray
    shapley: np.ndarray
    by: tuple[str, ...]
    labels: np.ndarray
    clusters: tuple[str, ...]
    class_names: Mapping[int, str]
    made_by: Mapping[str, Any]
    failures: int = 0

    def __post_init__(self) -> None:
        name = ALL
        while name in self.by:
            name += " (group)"
        object.__setattr__(self, "by", tuple(name if group == ALL else group for group in self.by))

    def __len__(self) -> int:
        return len(self.readings)

    @property
    def groups(self) -> list[str]:
        """The groups in the order in which they came, or "all"."""
        return list(dict.fromkeys(self.by)) or [ALL]

    @property
    def quantity(self) -> str:
        """What `accuracy` counts: "accuracy", "decisions kept" without true classes, or "target predicted"."""
        if classes_known(self.labels, self.clean):
            return "accuracy"
        agreements = self.clean[:, AGREEMENT]
        agreements = agreements[np.isfinite(agreements)]
        return "decisions kept" if agreements.size and agreements.min() == 1 else "target predicted"

    def right(self, name: str) -> np.ndarray:
        """Whether each example is classified rightly (or as without the filter) in each band of a filter.

        Args:
            name: One of `filters`.

        Returns:
            Shape `(examples, bands)`: 0 or 1, for masks and tags also between; NaN where it is not known.
        """
        return self._right(self.readings[:, self.filters.index(name)])

    def clean_right(self) -> np.ndarray:
        """The same of the clean examples, shape `(examples,)`."""
        return self._right(self.clean[:, None])[:, 0]

    def accuracy(self, name: str, group: str = ALL) -> list[MeanInterval]:
        """The accuracy under one filter, by band, with 95 % intervals.

        Args:
            name: One of `filters`.
            group: One of `groups`, or "all".
        """
        return self._by_band(self.right(name), group, proportion=True)

    def shapley_values(self, group: str = ALL) -> list[MeanInterval]:
        """The mean signed Shapley value of each band, in units of the score, with 95 % intervals.

        Their sum is the mean of the clean score minus the score with no band left, where every example has all bands.
        """
        return self._by_band(self.shapley, group)

    def differences(self, other: str, group: str = ALL) -> list[MeanInterval]:
        """By how much each band's Shapley value exceeds that of the band `other`, example by example.

        Args:
            other: The name of a band.
            group: One of `groups`, or "all".
        """
        place = [band.name for band in self.bands].index(other)
        return self._by_band(self.shapley - self.shapley[:, place, None], group)

    def half_point(self, name: str, group: str = ALL, seed: int = 0) -> MeanInterval:
        """The cut-off at which half of the accuracy is lost (f50), in the bands' unit.

        Half-way from the accuracy with no band left, which is what guessing brings, to that of the clean examples.
        Between the edges of bands it is interpolated on a logarithmic axis. Where the outermost band alone keeps more,
        or all cut-offs less, it is the outermost cut-off, a bound; NaN where the clean examples do no better than
        nothing, and of bands that are cut by direction or time.

        Args:
            name: "low-pass" or "high-pass".
            group: One of `groups`, or "all".
            seed: Of the bootstrap.

        Raises:
            InputError: If it is another filter.
        """
        if name not in CUTS:
            raise InputError(f"the cut-off of filter {name!r}", "'low-pass' or 'high-pass'", "choose one of them")
        if len({(band.low, band.high) for band in self.bands}) < len(self.bands):  # cut by direction or time
            return MeanInterval(math.nan, math.nan, math.nan, 0)
        rows, upward = self._rows(group), name == "low-pass"
        edges = np.array([band.high if upward else band.low for band in self.bands])
        ends = np.stack([self._right(one[:, None])[:, 0] for one in (self.empty, self.clean)], 1)[rows]
        right = np.concatenate([ends, self.right(name)[rows]], 1)
        known, clusters = np.isfinite(right), [self.clusters[i] for i in rows] if self.clusters else None
        sums = bootstrap_sums(np.concatenate([np.where(known, right, 0), known], 1), clusters, seed)
        means = sums[:, : right.shape[1]] / np.maximum(sums[:, right.shape[1] :], 1e-12)
        goals = np.where(means[:, 1] > means[:, 0], means[:, :2].mean(1), math.nan)
        point, *drawn = crossing(means[:, 2:], goals, edges, upward)
        low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (math.nan, math.nan)
        return MeanInterval(float(point), float(low), float(high), len(rows))

    def shortcuts(self) -> Table:
        """How often one band alone leads to each class: among its own examples, and among all others.

        A band is a shortcut to a class where both rates are high: what is left of other classes becomes it too (Wang
        et al. 2023, arXiv 2307.09829). Without true classes, the clean predictions stand for them.

        Raises:
            InputError: If the head predicts no class.
        """
        predicted = self.readings[:, self.filters.index("band-pass"), :, CLASS]
        truth = np.where(np.isfinite(self.labels), self.labels, self.clean[:, CLASS])
        if not np.isfinite(truth).any():
            raise InputError("a head that predicts no class", "a classifier", "look at `accuracy`")
        columns: dict[str, list[Any]] = {"class": [], "band": [], "true_positive_rate": [], "false_positive_rate": []}
        for label in np.unique(truth[np.isfinite(truth)]):
            for place, band in enumerate(self.bands):
                known = np.isfinite(predicted[:, place])
                named = predicted[:, place] == label
                columns["class"].append(self.class_names.get(int(label), str(int(label))))
                columns["band"].append(band.name)
                columns["true_positive_rate"].append(_share(named[known & (truth == label)]))
                columns["false_positive_rate"].append(_share(named[known & (truth != label)]))
        return Table(columns)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write one file (safetensors), whole or not at all. It holds numbers by example, and no example.

        Args:
            path: The file.

        Raises:
            StorageError: If it cannot be written.
        """
        values = {
            "model": self.model, "bands": [asdict(band) for band in self.bands], "filters": self.filters,
            "by": self.by, "clusters": self.clusters, "made_by": dict(self.made_by), "failures": self.failures,
            "class_names": {str(number): name for number, name in self.class_names.items()},
        }  # fmt: skip
        arrays = {name: getattr(self, name) for name in spectrum_file.ARRAYS}
        return spectrum_file.FILE.write(Path(path), values, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> ModelSpectrum:
        """Read what `save` wrote.

        Raises:
            InputError: If it is no such file, or one of a newer format.
            DamagedFile: If it is not as it was written.
        """
        values, arrays = spectrum_file.FILE.read(Path(path))
        return cls(
            model=values["model"], bands=tuple(Band(**band) for band in values["bands"]),
            filters=tuple(values["filters"]), by=tuple(values["by"]), clusters=tuple(values["clusters"]),
            class_names={int(number): name for number, name in values["class_names"].items()},
            made_by=values["made_by"], failures=values["failures"], **arrays,
        )  # fmt: skip

    def grouped(self, by: Sequence[Any] | None) -> ModelSpectrum:
        """The same numbers with other groups.

        Args:
            by: The group of each example; None for one group.

        Raises:
            InputError: If there is not one for each example.
        """
        names = () if by is None else tuple(str(one) for one in by)
        if by is not None and len(names) != len(self):
            raise InputError(f"{len(names)} groups for {len(self)} examples", "one for each", "correct `by`")
        return replace(self, by=names)

    def clean_accuracy(self) -> MeanInterval:
        """The accuracy without a filter."""
        return mean_interval(self.clean_right(), self.clusters or None, proportion=True)

    def empty_accuracy(self) -> MeanInterval:
        """The accuracy with no band left: what guessing brings."""
        return mean_interval(self._right(self.empty[:, None])[:, 0], self.clusters or None, proportion=True)

    def _right(self, readings: np.ndarray) -> np.ndarray:
        """Whether the true class is predicted, NaN where it is not known; without any, the agreement."""
        return right(readings, self.labels if self.quantity == "accuracy" else None)

    def _rows(self, group: str) -> list[int]:
        """The examples of a group."""
        if not self.by or group == ALL:
            return list(range(len(self)))
        rows = [i for i, name in enumerate(self.by) if name == group]
        if not rows:
            raise InputError(f"group {group!r}", f"one of {', '.join(self.groups)}", "choose one of them")
        return rows

    def _by_band(self, values: np.ndarray, group: str, proportion: bool = False) -> list[MeanInterval]:
        rows = self._rows(group)
        clusters = [self.clusters[i] for i in rows] if self.clusters else None
        return [mean_interval(values[rows, place], clusters, proportion) for place in range(len(self.bands))]


def _share(named: np.ndarray) -> float:
    return float(named.mean()) if len(named) else math.nan
