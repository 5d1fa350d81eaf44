"""The Fourier heat map of a model: what it answers when a single wave is added, for each frequency and direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.domains.bands import frequency_text
from hf_fourier.errors import InputError, whole_number
from hf_fourier.evaluation.metrics.statistics import MeanInterval, mean_interval
from hf_fourier.evaluation.studies import heat_file
from hf_fourier.evaluation.studies.reading_columns import VALUE, classes_known, percent, right
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.table import Table, table_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class WaveAxis:
    """One axis along which waves run.

    Attributes:
        name: What lies along it ("height", "time").
        unit: The unit of frequencies along it ("cycles/picture", "Hz").
    """

    name: str
    unit: str


@dataclass(frozen=True, eq=False)
class HeatMap:
    """What a model answers when one wave of fixed size is added to its inputs, for each frequency and direction.

    Made by `FourierExplainer.heat_map`, after Yin et al. 2019 (arXiv 1906.08988). All numbers are kept by example.

    Attributes:
        model: The model's name.
        axes: The axes along which waves run.
        frequencies: The frequency of each wave along each axis, shape `(waves, axes)`, in the axes' units. A wave at k
            is one at -k: of both one stands here, frequency 0 among them.
        readings: Shape `(examples, waves, 4)`: the score, the confidence, the agreement with the clean prediction, and
            the predicted class; NaN where an example has no such frequency or the head no such number.
        clean: The same of the clean examples, shape `(examples, 4)`.
        labels: The true class of each example, NaN where it is not known; shape `(examples,)`.
        clusters: Examples of one cluster are not independent; empty for independent ones.
        class_names: The names of the model's classes.
        made_by: The level, the phases, the seed and the head.
        failures: How many examples could not be read.
    """

    model: str
    axes: tuple[WaveAxis, ...]
    frequencies: np.ndarray
    readings: np.ndarray
    clean: np.ndarray
    labels: np.ndarray
    clusters: tuple[str, ...]
    class_names: Mapping[int, str]
    made_by: Mapping[str, Any]
    failures: int = 0

    def __len__(self) -> int:
        return len(self.readings)

    def __repr__(self) -> str:
        return f"HeatMap({self.model}: {len(self)} examples, {len(self.frequencies)} waves)"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:spectrum", self))

    def __str__(self) -> str:
        return "\n".join([repr(self), *self.summary()])

    @property
    def quantity(self) -> str:
        """What `rates` counts: "error rate", or "decisions changed" where no true class is known."""
        return "error rate" if classes_known(self.labels, self.clean) else "decisions changed"

    @property
    def radii(self) -> np.ndarray:
        """The frequency of each wave over all axes, shape `(waves,)`: the length of its row of `frequencies`.

        NaN for all waves where the axes have different units, such as Hz and cycles per picture.
        """
        if self.unit is None:
            return np.full(len(self.frequencies), math.nan)
        return np.linalg.norm(self.frequencies, axis=1)

    @property
    def unit(self) -> str | None:
        """The unit of frequencies along all axes; None where they differ."""
        units = {axis.unit for axis in self.axes}
        return units.pop() if len(units) == 1 else None

    def wrong(self) -> np.ndarray:
        """Whether each example is classified wrongly with each wave added (or otherwise than without it).

        Returns:
            Shape `(examples, waves)`: 0 or 1, of masks and tags also between; NaN where it is not known.
        """
        return self._wrong(self.readings)

    def rates(self) -> list[MeanInterval]:
        """The error rate (or the share of decisions changed) with each wave added, with 95 % intervals."""
        return self._means(self.wrong(), proportion=True)

    def clean_rate(self) -> MeanInterval:
        """The same of the clean examples; 0 where no true class is known."""
        return self._means(self._wrong(self.clean[:, None]), proportion=True)[0]

    def losses(self) -> list[MeanInterval]:
        """By how much each wave lowers the score of the clean prediction on average, with 95 % intervals."""
        return self._means(self.clean[:, None, VALUE] - self.readings[..., VALUE])

    def by_radius(self, rings: int = 8) -> Table:
        """The rate of waves of about one frequency, whatever their direction, with 95 % intervals.

        Args:
            rings: How many ranges of frequency above 0 there are at most: equally wide, or along a single axis of as
                many waves.

        Returns:
            A row for frequency 0 and for each range: its lowest and highest frequency, the rate with its interval, by
            how much it exceeds that of the clean examples, with the interval of that, and the number of waves.

        Raises:
            InputError: If `rings` is no whole number of at least 1, or the axes have different units.
        """
        rings = whole_number("rings", rings, 1, "a whole number of at least 1")
        if self.unit is None:
            got = f"axes in {' and '.join(axis.unit for axis in self.axes)}"
            raise InputError(got, "frequencies in one unit", "look at `table`, which has those along each axis")
        wrong, clean = self.wrong(), self._wrong(self.clean[:, None])[:, 0]
        rows = []
        for members in self._rings(rings):
            known = np.isfinite(wrong[:, members])
            sums = np.where(known, wrong[:, members], 0).sum(1)
            own = np.divide(sums, known.sum(1), out=np.full(len(self), math.nan), where=known.any(1))
            rate, increase = self._means(own[:, None], True)[0], self._means((own - clean)[:, None])[0]
            rows.append({
                "from": float(self.radii[members].min()), "to": float(self.radii[members].max()),
                "mean": rate.mean, "low": rate.low, "high": rate.high, "increase": increase.mean,
                "increase_low": increase.low, "increase_high": increase.high, "waves": len(members),
            })  # fmt: skip
        return table_of(rows)

    def _rings(self, rings: int) -> list[np.ndarray]:
        """The numbers of the waves of each range of frequency, frequency 0 first."""
        radii = self.radii
        moving = np.flatnonzero(radii > 0)
        order = moving[np.argsort(radii[moving], kind="stable")]
        if len(self.axes) == 1:
            found = np.array_split(order, max(1, min(rings, len(order))))
        else:
            ring = np.ceil(radii[order] / radii.max(initial=1e-9) * rings - 1e-9)
            found = [order[ring == number] for number in np.unique(ring)]
        return [members for members in (np.flatnonzero(radii == 0), *found) if len(members)]

    def table(self) -> Table:
        """A row for each wave: its frequencies, the rate and the mean loss of the score, each with its interval.

        The column "frequency" holds `radii`.
        """
        columns: dict[str, list[Any]] = {
            f"{axis.name} [{axis.unit}]": self.frequencies[:, place].tolist() for place, axis in enumerate(self.axes)
        }
        columns["frequency"] = self.radii.tolist()
        columns["quantity"] = [self.quantity] * len(self.frequencies)
        for name, intervals in (("", self.rates()), ("loss_", self.losses())):
            for end in ("mean", "low", "high"):
                columns[f"{name}{end}"] = [getattr(one, end) for one in intervals]
            columns.setdefault("n", [one.n for one in intervals])
        return Table(columns)

    def to_pandas(self) -> pd.DataFrame:
        """`table` as a `pandas.DataFrame`."""
        return self.table().to_pandas()

    def name_of(self, wave: int) -> str:
        """One wave in words: "250 Hz", "height 3, width -8 cycles/picture", "frequency 0"."""
        places = self.frequencies[wave]
        if not places.any():
            return "frequency 0"
        if len(self.axes) == 1:
            return frequency_text(self.axes[0].unit, float(places[0]))
        if self.unit is not None:
            parts = (f"{axis.name} {place:g}" for axis, place in zip(self.axes, places, strict=True))
            return f"{', '.join(parts)} {self.unit}"
        return ", ".join(f"{a.name} {place:.3g} {a.unit}" for a, place in zip(self.axes, places, strict=True))

    def summary(self) -> list[str]:
        """What was found, in sentences with intervals."""
        rates = self.rates()
        known = [i for i, one in enumerate(rates) if one.n]
        if not known:
            return [f"{self.quantity.capitalize()}: not known."]
        most, least = (pick(known, key=lambda i: rates[i].mean) for pick in (max, min))
        rings = [] if self.unit is None else [ring for ring in self.by_radius(2).rows() if ring["to"] > 0]
        lines = [
            f"{self.quantity.capitalize()}: {percent(self.clean_rate())} of the clean examples; of {len(known)} waves "
            f"the most with {self.name_of(most)}, {percent(rates[most])}, the least with {self.name_of(least)}, "
            f"{percent(rates[least])}."
        ]
        if len(rings) == 2 and self.unit is not None:
            slow, fast = (
                MeanInterval(ring["increase"], ring["increase_low"], ring["increase_high"], 1) for ring in rings
            )
            edge = frequency_text(self.unit, rings[0]["to"])
            lines.append(
                f"Waves up to {edge} raise it by {_points(slow)} on average, faster ones by {_points(fast)} percentage "
                "points."
            )
        return lines

    def plot(self, path: str | PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw it, a `matplotlib.figure.Figure`; see `hf_fourier.report.figures.heat_map.plot_heat_map`."""
        return drawn_by("figures.heat_map:plot_heat_map", self, path, ax)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write one file (safetensors), whole or not at all. It holds numbers by example, and no example.

        Args:
            path: The file.

        Raises:
            StorageError: If it cannot be written.
        """
        values = {
            "model": self.model, "axes": [asdict(axis) for axis in self.axes], "clusters": self.clusters,
            "made_by": dict(self.made_by), "failures": self.failures,
            "class_names": {str(number): name for number, name in self.class_names.items()},
        }  # fmt: skip
        return heat_file.FILE.write(Path(path), values, {name: getattr(self, name) for name in heat_file.ARRAYS})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> HeatMap:
        """Read what `save` wrote.

        Raises:
            InputError: If it is no such file, or one of a newer format.
            DamagedFile: If it is not as it was written.
        """
        values, arrays = heat_file.FILE.read(Path(path))
        return cls(
            model=values["model"], axes=tuple(WaveAxis(**axis) for axis in values["axes"]),
            clusters=tuple(values["clusters"]), made_by=values["made_by"], failures=values["failures"],
            class_names={int(number): name for number, name in values["class_names"].items()}, **arrays,
        )  # fmt: skip

    def _wrong(self, readings: np.ndarray) -> np.ndarray:
        """Whether another class than the true one is predicted; without true classes, one minus the agreement."""
        return 1 - right(readings, self.labels if self.quantity == "error rate" else None)

    def _means(self, values: np.ndarray, proportion: bool = False) -> list[MeanInterval]:
        clusters: Sequence[str] | None = self.clusters or None
        return [mean_interval(column, clusters, proportion) for column in values.T]


def _points(one: MeanInterval) -> str:
    return f"{100 * one.mean:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"
