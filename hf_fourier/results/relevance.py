"""A result in input space: one number per token, residue, base, gene, pixel or sample, and what it measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch

from hf_fourier.domains import Basis, Layout
from hf_fourier.errors import InputError
from hf_fourier.results.table import Table
from hf_fourier.results.views import BaseView, GeneView, View

Kind = Literal["scores", "gradient", "power"]
#: The default fraction of features that is mapped to input space.
USUAL = 0.04
#: The measure of each kind, in a table.
MEASURE_TEXT = {"scores": "score of {method}", "gradient": "gradient × input", "power": "power"}
FOR, MORE, SIZE = (
    "above 0: for the decision, below: against",
    "higher: more important, neither for nor against",
    "neither for nor against",
)


@runtime_checkable
class Explained(Protocol):
    """The parts of an `Attribution` that are read here."""

    scores: torch.Tensor
    layout: Layout
    gradient: torch.Tensor | None
    completeness_error: float | None
    provenance: dict[str, Any]
    names: Sequence[str]
    view: View

    @property
    def basis(self) -> Basis:
        """The domain, bound."""

    def mask(self, fraction: float | None = None, *, k: int | None = None) -> torch.Tensor:
        """Whether each feature is in the top."""

    def keep_top(self, fraction: float | None = None, *, k: int | None = None) -> torch.Tensor:
        """The example rebuilt from the top features."""


@dataclass(frozen=True, eq=False)
class Relevance:
    """Numbers in input space, one per position.

    Attributes:
        values: Relevance per position, one dimension per ordered axis of the signal.
        axes: The axes' names.
        names: The positions' names along the first axis (tokens), or empty.
        kind: "scores" (the method's own), "gradient" (gradient × input of features) or "power" (theirs).
        description: The numbers in words ("gradient × input of the top 4 % of frequencies, not scores of
            ffc").
        measure: One number in words, for tables.
        signed: Whether above 0 is for the decision and below against it.
    """

    values: np.ndarray
    axes: tuple[str, ...]
    names: tuple[str, ...]
    kind: str
    description: str = ""
    measure: str = ""
    signed: bool = True

    @property
    def sense(self) -> str:
        """The meaning of the sign."""
        return FOR if self.signed else SIZE if self.kind == "power" else MORE

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.values, dtype=dtype)

    def top(self, n: int = 20) -> Table:
        """The `n` positions of largest absolute relevance; places are counted from 1, `values` from 0."""
        flat = self.values.ravel()
        best = np.argsort(-np.abs(flat), kind="stable")[:n]
        places = np.unravel_index(best, self.values.shape)
        columns: dict[str, Sequence[Any]] = {"rank": range(1, len(best) + 1)}
        if self.names:
            columns["name"] = [self.names[i] for i in places[0]]
        columns.update({axis: (place + 1).tolist() for axis, place in zip(self.axes, places, strict=True)})
        columns["relevance"] = flat[best].astype(float).tolist()
        columns["measure"] = [self.measure] * len(best)
        return Table(columns)

    def __repr__(self) -> str:
        shape = f"{' × '.join(map(str, self.values.shape))} over {', '.join(self.axes)}"
        return f"Relevance({shape}: {self.description or self.kind})"


def relevance(
    attribution: Explained, fraction: float | None = None, k: int | None = None, kind: Kind | None = None
) -> Relevance:
    """See `Attribution.input_relevance`."""
    kind = kind or ("scores" if attribution.layout.by_place else "gradient")
    if kind not in MEASURE_TEXT:
        raise InputError(f"kind {kind!r}", f"one of {', '.join(MEASURE_TEXT)}", "choose one of them")
    name = method_name(attribution)
    if kind == "scores":
        values, description, signed = _scores(attribution, fraction, k), f"scores of {name}", contributes(attribution)
        description += "" if fraction is None and k is None else f", the {_top(attribution, fraction, k)} alone"
    else:
        fraction = USUAL if fraction is None and k is None else fraction
        kept = attribution.keep_top(None if k is not None else fraction, k=k)
        if kind == "gradient" and attribution.gradient is None:
            raise InputError(f"no gradient: {name} takes none", "a signed gradient", "pass kind='power'")
        values = kept * (attribution.gradient if kind == "gradient" and attribution.gradient is not None else kept)
        description = f"{MEASURE_TEXT[kind]} of the {_top(attribution, fraction, k)}, not scores of {name}"
        signed = kind == "gradient"
    signal = attribution.layout.signal
    channels = [i for i, axis in enumerate(signal.axes) if axis.channel]
    pooled = values.sum(dim=channels) if channels else values
    axes = tuple(signal.axes[i].name for i in signal.ordered_axes)
    measure = MEASURE_TEXT[kind].format(method=name)
    return Relevance(pooled.numpy(), axes, tuple(attribution.names), kind, description, measure, signed)


def default_relevance(attribution: Explained, fraction: float) -> Relevance:
    """The relevance in figures, pages and the shell: all scores where features are positions, else of the top ones.

    Args:
        attribution: The result.
        fraction: The fraction of features that is mapped to input space where features are no positions.
    """
    kind = _usual(attribution)
    return relevance(attribution, None if kind == "scores" else fraction, kind=kind)


def method_name(attribution: Explained) -> str:
    """The method's name without its parameters; of a map of another library, that library."""
    name, _, rest = str(attribution.provenance.get("method", "this method")).partition(":")
    origin = next((part[7:] for part in rest.split(",") if part.startswith("origin=")), "elsewhere")
    return f"the map by {origin}" if name == "given" else name


def contributes(attribution: Explained) -> bool:
    """Whether the scores are contributions: they have a sum, above 0 is for the decision and below against it.

    Only complete methods have a completeness error.
    """
    spec = str(attribution.provenance.get("method", ""))
    if spec.partition(":")[0] == "given":  # a map with negative numbers is one of contributions
        return bool((attribution.scores < 0).any())
    return attribution.completeness_error is not None


def genes(attribution: Explained, fraction: float | None, k: int | None, kind: Kind | None) -> Table:
    """See `Attribution.genes`."""
    view = attribution.view
    if not isinstance(view, GeneView):
        raise InputError(f"genes() of {attribution.layout.signal.kind}", "a cell's result", "call input_relevance()")
    found = relevance(attribution, fraction, k, kind or _usual(attribution))
    best = np.argsort(-np.abs(found.values), kind="stable")
    columns: dict[str, Sequence[Any]] = {
        "rank": range(1, len(best) + 1),
        "symbol": [attribution.names[i] for i in best],
        "ensembl_id": [view.genes[i] for i in best],
        "place": (best + 1).tolist(),
        "relevance": found.values[best].astype(float).tolist(),
        "measure": [found.measure] * len(best),
    }
    if found.kind != "power" and attribution.gradient is not None:
        whole = relevance(attribution, 1.0, kind="gradient").values
        columns["gradient_input"] = whole[best].astype(float).tolist()
    return Table(columns)


def bases(attribution: Explained, fraction: float | None, k: int | None, kind: Kind | None) -> Table:
    """See `Attribution.bases`."""
    view = attribution.view
    if not isinstance(view, BaseView):
        got = f"bases() of {attribution.layout.signal.kind}"
        raise InputError(got, "the result of a DNA model", "call input_relevance()")
    found = relevance(attribution, fraction, k, kind or _usual(attribution))

    def spread(words: np.ndarray) -> list[float]:
        values = np.zeros(len(view.sequence))
        for start, stop, value in zip(view.starts, view.stops, words, strict=True):
            values[start:stop] += value / (stop - start)
        return [float(value) for value in values]

    columns: dict[str, Sequence[Any]] = {
        "place": range(1, len(view.sequence) + 1),
        "base": list(view.sequence),
        "relevance": spread(found.values),
        "measure": [found.measure] * len(view.sequence),
    }
    if found.kind != "power" and attribution.gradient is not None:
        columns["gradient_input"] = spread(relevance(attribution, 1.0, kind="gradient").values)
    return Table(columns)


def _usual(attribution: Explained) -> Kind:
    """Scores where features are positions, else the gradient's where the method takes one, else the power."""
    if attribution.layout.by_place:
        return "scores"
    return "power" if attribution.gradient is None else "gradient"


def _scores(attribution: Explained, fraction: float | None, k: int | None) -> torch.Tensor:
    """Each feature's score divided evenly among its entries; 0 outside of the top, if a top is given."""
    if not attribution.layout.by_place:
        got = f"scores in {attribution.layout.domain}, whose features are no places"
        raise InputError(got, "kind 'gradient' or 'power'", "choose one of them, or explain with domain='identity'")
    scores = attribution.scores.double()
    if fraction is not None or k is not None:
        scores = scores * attribution.mask(None if k is not None else fraction, k=k)
    basis = attribution.basis
    return basis.inverse(basis.expand_to_bins((scores / attribution.layout.multiplicity).unsqueeze(0)))[0]


def _top(attribution: Explained, fraction: float | None, k: int | None) -> str:
    noun = "frequencies" if attribution.layout.with_role("frequency") else "features"
    return f"top {k} {noun}" if k is not None or fraction is None else f"top {100 * fraction:.3g} % of {noun}"
