"""Many explanations of one signal's shape as one spectrum: segments of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_fourier.domains import Layout
from hf_fourier.errors import InputError, checked
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.table import Table
from hf_fourier.typing import Float, Int, Tensor


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Features of several examples, merged over examples and places; what is left is frequency, level, channel.

    Attributes:
        coordinates: The coordinates of each entry, by title with unit; shape `(entries,)` each.
        score: The weighted mean of the examples' scores, each example's divided by the sum of their sizes.
        power: The weighted mean power.
        chosen: The weighted fraction of the examples in whose top it is.
        contribution: The weighted mean of gradient × input `<G, F>`, in units of the score: above 0 for the label,
            below 0 against it. None where a method takes no gradient.
        weight: The sum of the weights (seconds).
        examples: How many examples were merged.
    """

    coordinates: dict[str, np.ndarray]
    score: np.ndarray
    power: np.ndarray
    chosen: np.ndarray
    contribution: np.ndarray | None
    weight: float
    examples: int

    def __repr__(self) -> str:
        return f"Spectrum({len(self)} entries of {self.examples} examples: {', '.join(self.coordinates)})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:merged_spectrum", self))

    def __len__(self) -> int:
        return len(self.score)

    def table(self, order: Any = slice(None)) -> Table:
        """All entries, or those at some indices, in that order; `power` as a fraction of all power."""
        whole = self.power.sum() or 1.0
        columns = {title: values[order].tolist() for title, values in self.coordinates.items()}
        columns |= {"score": self.score[order].tolist(), "power": (self.power[order] / whole).tolist()}
        columns |= {"chosen": self.chosen[order].tolist()}
        if self.contribution is not None:
            columns["contribution"] = self.contribution[order].tolist()
        return Table(columns)

    @checked
    def top(self, n: int = 20) -> Table:
        """The `n` entries of highest score."""
        best = np.argsort(-self.score, kind="stable")[:n]
        ranked = self.table(best)
        return Table({"rank": range(1, len(best) + 1), **ranked.columns})


def merged(examples: Iterable[tuple[Attribution, float]], fraction: float) -> Spectrum:
    """One spectrum of examples with their weights; they are read one at a time.

    Args:
        examples: Attributions of one layout, each with its weight.
        fraction: The fraction of features that counts as chosen in each.

    Raises:
        InputError: If there are none, or their layouts differ.
    """
    total, entry, layout = torch.zeros(0), torch.zeros(0, dtype=torch.long), None
    coordinates: dict[str, np.ndarray] = {}
    weight, count, graded = 0.0, 0, True
    for example, own in examples:
        if layout is None:
            layout = example.layout
            entry, coordinates = _entries(layout)
            total = torch.zeros(4, int(entry.max()) + 1, dtype=torch.float64)
        elif len(example.layout) != len(layout) or example.layout.domain != layout.domain:
            raise InputError(
                "examples of different domains or input shapes", "one domain and one shape", "explain them alike"
            )
        rows, known = _rows(example, fraction)
        graded, weight, count = graded and known, weight + own, count + 1
        total.index_add_(1, entry, own * rows)
    if layout is None or weight <= 0:
        raise InputError("no examples to merge", "at least one", "explain some")
    members = torch.zeros(total.shape[1], dtype=torch.float64).index_add_(0, entry, layout.multiplicity.double())
    score, power, chosen, contribution = (total / weight).numpy()
    chosen = chosen / members.numpy()
    return Spectrum(coordinates, score, power, chosen, contribution if graded else None, weight, count)


def _rows(example: Attribution, fraction: float) -> tuple[Float[Tensor, "4 features"], bool]:
    """Relative score, power, choice and gradient × input of each feature, and whether there is a gradient."""
    scores = example.scores.double()
    relative = scores / scores.abs().sum().clamp(min=torch.finfo(scores.dtype).tiny)
    chosen = example.mask(fraction) * example.layout.multiplicity
    contribution = torch.zeros_like(scores)
    if example.gradient is not None:
        basis = example.basis
        gradient = basis.pullback(example.gradient.unsqueeze(0))
        contribution = basis.inner(gradient, example.coefficients.unsqueeze(0))[0].double()
    return torch.stack([relative, example.power.double(), chosen.double(), contribution]), example.gradient is not None


def _entries(layout: Layout) -> tuple[Int[Tensor, " features"], dict[str, np.ndarray]]:
    """The entry of each feature, all positions together, and the coordinates of the entries."""
    columns = [column for column in layout.columns if column.role != "position"]
    if not columns:
        return torch.zeros(len(layout), dtype=torch.long), {"features": np.array(["all"])}
    keys = torch.stack([column.values.double() for column in columns], 1)
    kinds, entry = torch.unique(keys, dim=0, return_inverse=True)
    coordinates = {}
    for column, values in zip(columns, kinds.T, strict=True):
        title = f"{column.name} [{column.unit}]" if column.unit else column.name
        named = [column.names[int(value)] for value in values] if column.names else None
        coordinates[title] = values.numpy() if named is None else np.array(named)
    return entry, coordinates
