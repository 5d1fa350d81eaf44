"""A result in input space: one number per token, residue, base, gene, pixel or sample, and what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch

from hf_fourier.domains import Basis, Layout
from hf_fourier.errors import InputError, checked
from hf_fourier.results.contributions import Contributions
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.nifti_file import Grid, write_map
from hf_fourier.results.table import Table
from hf_fourier.results.views import BaseView, GeneView, View

Kind = Literal["scores", "contribution", "gradient", "power"]
#: The default fraction of features that is mapped to input space.
USUAL = 0.04
#: The measure of each kind, in a table.
MEASURE_TEXT = {
    "scores": "score of {method}",
    "contribution": "contribution to the {quantity}",
    "gradient": "gradient × input",
    "power": "power",
}
#: Methods whose scores are contributions, without a completeness error, where some are negative.
SIGNED_MAPS = ("given", "captum:InputXGradient", "captum:GradientShap", "shap_gradients", "zennit")
#: The method of results whose genes are scored as those above them are deleted, and what a score is.
SEQUENTIAL = "sequential_contributions"
SEQUENTIAL_MEASURE = "contribution in the cell without the genes that rank higher, at most that of the gene before it"
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
    contributions: Contributions | None
    signal: torch.Tensor | None
    provenance: dict[str, Any]
    extras: Mapping[str, Any]
    label: str
    confidence: float | None
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
        kind: "contribution" (evidence for or against the target), "scores" (the method's own), "gradient" (gradient
            × input of features) or "power" (theirs).
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

    @checked
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

    def to_nifti(self, path: str | PathLike[str], like: str | PathLike[str] | Grid, fit: str | None = None) -> Path:
        """Write this map of a volume as NIfTI on the grid and with the affine of its scan: a viewer overlays the two.

        Args:
            path: Where to write it, ".nii" or ".nii.gz".
            like: The scan's NIfTI file, or its grid (`read_dicom(folder).grid`).
            fit: How a map of another size lies on the scan, needed where the sizes differ: "stretch" (each axis was
                resized by its own factor, and is resized back, trilinearly) or "centre" (the scan was padded or cropped
                around its middle). Values are kept, so that a resized map has another sum.

        Returns:
            The path.

        Raises:
            InputError: If this is no map of a volume, the scan cannot be read or is oblique, or the sizes differ and
                `fit` does not say how.
            StorageError: If the file cannot be written.
        """
        return write_map(self.values, path, like, fit)

    def low_pass(self, side: int) -> Relevance:
        """This map without its fast changes, after FORGrad (Muzellec et al., arXiv 2307.09591).

        Of the map's Fourier coefficients along all of its axes those with frequencies below `side / 2` cycles over the
        axis are kept; the sum over positions stays the same. It needs no pass of the model. How low to cut is a
        property of the model: `hf_fourier.evaluation.studies.low_pass_maps.choose_low_pass` measures it.

        Args:
            side: At least 1, which leaves the mean alone.

        Raises:
            InputError: If it is less.
        """
        if not isinstance(side, int) or side < 1:
            raise InputError(f"side {side}", "a whole number of at least 1", "correct `side`")
        spectrum = np.fft.fftn(self.values)
        for axis, length in enumerate(self.values.shape):
            kept = (2 * np.abs(np.fft.fftfreq(length, 1 / length)) < side) | (side >= length)
            spectrum *= np.expand_dims(kept, [other for other in range(spectrum.ndim) if other != axis])
        smooth = np.fft.ifftn(spectrum).real.astype(self.values.dtype)
        return replace(self, values=smooth, description=f"{self.description}, below {side / 2:g} cycles over each axis")

    def __repr__(self) -> str:
        shape = f"{' × '.join(map(str, self.values.shape))} over {', '.join(self.axes)}"
        return f"Relevance({shape}: {self.description or self.kind})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:relevance", self))


def relevance(
    attribution: Explained, fraction: float | None = None, k: int | None = None, kind: Kind | None = None
) -> Relevance:
    """See `Attribution.input_relevance`."""
    if kind is None:
        kind = usual_kind(attribution)
        kind = "gradient" if kind == "power" else kind
    if kind not in MEASURE_TEXT:
        raise InputError(f"kind {kind!r}", f"one of {', '.join(MEASURE_TEXT)}", "choose one of them")
    name = method_name(attribution)
    if kind == "scores":
        values, description, signed = _scores(attribution, fraction, k), f"scores of {name}", contributes(attribution)
        description += "" if fraction is None and k is None else f", the {_top(attribution, fraction, k)} alone"
    elif kind == "contribution":
        values, description = _contributions(attribution, fraction, k)
        signed = True
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
    quantity = "" if attribution.contributions is None else attribution.contributions.quantity
    measure = MEASURE_TEXT[kind].format(method=name, quantity=quantity)
    measure = SEQUENTIAL_MEASURE if kind == "scores" and name == SEQUENTIAL else measure
    return Relevance(pooled.numpy(), axes, tuple(attribution.names), kind, description, measure, signed)


def default_relevance(attribution: Explained, fraction: float) -> Relevance:
    """The relevance in figures, pages and the shell: all contributions or scores, else that of the top features.

    Args:
        attribution: The result.
        fraction: The fraction of features that is mapped to input space where there are none.
    """
    return relevance(attribution, None if of_all(attribution) else fraction, kind=usual_kind(attribution))


def of_all(attribution: Explained) -> bool:
    """Whether figures, pages and the shell show the numbers of all features, and not of the top ones alone."""
    return usual_kind(attribution) in ("contribution", "scores")


def method_name(attribution: Explained) -> str:
    """The method's name without its parameters; of a map of another library, that library."""
    name, _, rest = str(attribution.provenance.get("method", "this method")).partition(":")
    origin = next((part[7:] for part in rest.split(",") if part.startswith("origin=")), "elsewhere")
    return f"the map by {origin}" if name == "given" else name


def contributes(attribution: Explained) -> bool:
    """Whether the scores are contributions: above 0 is for the decision and below against it.

    Only complete methods have a completeness error; of maps by `SIGNED_MAPS` those with negative numbers contribute.
    """
    if method_name(attribution) == SEQUENTIAL:
        return True
    if str(attribution.provenance.get("method", "")).startswith(SIGNED_MAPS):
        return bool((attribution.scores < 0).any())
    return attribution.completeness_error is not None


def genes(attribution: Explained, fraction: float | None, k: int | None, kind: Kind | None) -> Table:
    """See `Attribution.genes`."""
    view = attribution.view
    if not isinstance(view, GeneView):
        raise InputError(f"genes() of {attribution.layout.signal.kind}", "a cell's result", "call input_relevance()")
    found = relevance(attribution, fraction, k, kind or usual_kind(attribution))
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
    found = relevance(attribution, fraction, k, kind or usual_kind(attribution))

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


def usual_kind(attribution: Explained) -> Kind:
    """The kind that is shown: evidence for or against the target where the result has it, else what there is.

    Where features are positions a complete method's scores are contributions; others follow only if there are none.
    Elsewhere gradient × input of the top features, or their power where the method takes no gradient.
    """
    signed = attribution.contributions is not None and attribution.signal is not None
    if attribution.layout.by_place and (contributes(attribution) or not signed):
        return "scores"
    if signed:
        return "contribution"
    return "power" if attribution.gradient is None else "gradient"


def _contributions(attribution: Explained, fraction: float | None, k: int | None) -> tuple[torch.Tensor, str]:
    """The contribution of each entry of the signal, and its description."""
    signed = attribution.contributions
    if signed is None or attribution.signal is None:
        raise InputError("a result without contributions", "one with them", "explain it with contributions=4")
    basis, whole = attribution.basis, f"{signed.total:+.3g} that the example has above {signed.against}"
    if fraction is None and k is None:
        values = signed.by_entry(attribution.signal, basis)
        return values, f"contributions to the {signed.quantity}, in sum {signed.sum:+.3g} of the {whole}"
    mask = attribution.mask(None if k is not None else fraction, k=k)
    values = signed.by_entry(attribution.signal, basis, mask)
    noun = f"contributions of the {_top(attribution, fraction, k)} to the {signed.quantity}"
    return values, f"{noun}, in sum {float(values.sum()):+.3g} of {signed.sum:+.3g}, or of the {whole}"


def _scores(attribution: Explained, fraction: float | None, k: int | None) -> torch.Tensor:
    """Each feature's score divided evenly among its entries; 0 outside of the top, if a top is given."""
    if not attribution.layout.by_place:
        got = f"scores in {attribution.layout.domain}, whose features are not places"
        raise InputError(got, "kind 'gradient' or 'power'", "choose one of them, or explain with domain='identity'")
    scores = attribution.scores.double()
    if fraction is not None or k is not None:
        scores = scores * attribution.mask(None if k is not None else fraction, k=k)
    basis = attribution.basis
    return basis.inverse(basis.expand_to_bins((scores / attribution.layout.multiplicity).unsqueeze(0)))[0]


def _top(attribution: Explained, fraction: float | None, k: int | None) -> str:
    layout = attribution.layout
    if layout.bands:
        count = int(attribution.mask(None if k is not None else fraction, k=k).sum())
        return "top band" if count == 1 else f"top {count} bands"
    noun = "frequencies" if layout.with_role("frequency") else "features"
    return f"top {k} {noun}" if k is not None or fraction is None else f"top {100 * fraction:.3g} % of {noun}"
