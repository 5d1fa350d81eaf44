"""Attribution, the result: the ranked features, the explained output, the provenance, and the example itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from hf_fourier.domains import DOMAINS, Basis, Layout
from hf_fourier.errors import InputError
from hf_fourier.results import parts, storage
from hf_fourier.results.audio import AudioClip
from hf_fourier.results.contributions import Contributions
from hf_fourier.results.curve import Curve
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.integrity import parsing
from hf_fourier.results.ordering import SORTED, cut, descending, leading, ties_of
from hf_fourier.results.relevance import Kind, Relevance, bases, genes, relevance
from hf_fourier.results.remarks import IN_PLACE, INCOMPLETE
from hf_fourier.results.table import Table
from hf_fourier.results.tracks import Track, track_of
from hf_fourier.results.views import NoView, View
from hf_fourier.results.words import words
from hf_fourier.seeding import LazyFingerprint
from hf_fourier.torch_state import exact_class
from hf_fourier.typing import Bool, Float, Inexact, Int, Tensor

#: Extras that are examples themselves, and are left out of a compact result.
EXAMPLES = ("adversarial",)


@exact_class
@dataclass(eq=False)
class Attribution:
    """The explanation of one example. Tensors are on the CPU, float32 or better, detached; no model is needed.

    Attributes:
        scores: One number per feature, higher is more important, shape `(K,)`.
        layout: The coordinates of each feature.
        target: The explained class index (a list for several positions; None for a callable).
        label: Its name.
        confidence: The model's confidence in it on the clean example; None for heads that have none.
        value: The explained score s.
        signal: The model's input tensor, the part of it that is transformed; None after a compact save.
        gradient: The clean signed gradient `ds/dx` in the signal's shape; None for methods that take none.
        provenance: Model, method, domain, seed, versions, passes and seconds, and remarks (`notes`).
        top_predictions: The most probable classes with their probabilities.
        names: A name for each position along the signal's first ordered axis (tokens), or empty.
        view: How to show the signal (a picture, a sound, tokens).
        inputs: The model's other inputs for this example (ids, masks), without a batch axis.
        extras: Further output of the method.
        completeness_error: For complete methods, the sum of the scores minus the sum that they should have.
        curve: The perturbation curve, once `perturb` has run.
        fingerprint: The value of `key`, or its lazy form.
        frozen_target: The resolved target as the head reads it, for further passes.
        raw_input: The raw example, if it can be played or shown (the clip of a spectrogram).
        agreement: The fraction of the clean example's decisions that are the frozen ones, 0 to 1; None if not known.
        contributions: Signed contributions to the answer, their total and its error; None if they were not computed.
    """

    scores: Float[Tensor, " features"]
    layout: Layout
    target: Any
    label: str
    confidence: float | None
    value: float
    signal: Float[Tensor, "..."] | None
    gradient: Float[Tensor, "..."] | None
    provenance: dict[str, Any]
    top_predictions: Sequence[tuple[str, float]] = ()
    names: Sequence[str] = ()
    view: View = field(default_factory=NoView)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    completeness_error: float | None = None
    curve: Curve | None = None
    fingerprint: int | LazyFingerprint = 0
    frozen_target: Tensor | None = None
    raw_input: Mapping[str, Tensor] = field(default_factory=dict)
    agreement: float | None = None
    contributions: Contributions | None = None

    def __repr__(self) -> str:
        confidence = "" if self.confidence is None else f" ({self.confidence:.3f})"
        method, domain = self.provenance.get("method", "?"), self.layout.domain
        kind = f"{len(self.scores)} features, {method} in {domain}"
        notes = "".join(f", {note}" for note in self.incomplete)
        in_place = "" if self.curve is None else IN_PLACE[self.curve.replacement]
        return (
            f"Attribution({self.label!r}{confidence}, {kind}{f', perturbed with {in_place}' * bool(in_place)}{notes})"
        )

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:attribution", self))

    @property
    def incomplete(self) -> list[str]:
        """The notes, if a complete method's scores miss the sum that they should have."""
        return [note for note in self.provenance.get("notes", ()) if note.startswith(INCOMPLETE)]

    @cached_property
    def basis(self) -> Basis:
        """The domain bound to the signal's shape."""
        return DOMAINS.parse(self.layout.domain).bind(self.layout.signal)

    @property
    def key(self) -> int:
        """The example's fingerprint, which seeds ties."""
        return self.fingerprint.number if isinstance(self.fingerprint, LazyFingerprint) else self.fingerprint

    @cached_property
    def order(self) -> Int[Tensor, " features"]:
        """Feature indices from the most to the least important; ties by a seeded key of the example."""
        return descending(self.scores, lambda: ties_of(self.provenance, self.key), vars(self).pop(SORTED, None))

    @property
    def coefficients(self) -> Inexact[Tensor, " stored"]:
        """The clean coefficients F of the signal."""
        return self.basis.forward(self._signal("coefficients").unsqueeze(0))[0]

    def mask(self, fraction: float | None = None, *, k: int | None = None) -> Bool[Tensor, " features"]:
        """Mark the top features: the longest prefix of at most `fraction` of all, or `k` features."""
        top = self.order[: cut(self.layout.counts[self.order], fraction, k)]
        mask = torch.zeros(len(self.scores), dtype=torch.bool)
        mask[top] = True
        return mask

    def magnitude_overlap(self, fraction: float = 0.04) -> float:
        """Return the fraction of the top features that are also the strongest ones, 0 to 1; about `fraction` by chance.

        A ranking by magnitude does not use the model, so the shared part follows from the input alone. `fraction` is
        the size of both tops. Raises `InputError` after a compact save.
        """
        strongest = descending(self.basis.magnitude(self.coefficients.unsqueeze(0))[0])
        top = self.mask(fraction)
        return float(top[strongest[: cut(self.layout.counts[strongest], fraction)]].sum() / top.sum())

    def keep_top(self, fraction: float | None = None, *, k: int | None = None) -> Float[Tensor, "..."]:
        """Rebuild the signal from the top features alone; all others have zero power.

        Args:
            fraction: Fraction of features (of their degrees of freedom), 0 to 1.
            k: A number of features instead.

        Raises:
            InputError: If neither or both are given or one is out of range, or after a compact save.
        """
        return self._rebuilt(self.mask(fraction, k=k))

    def delete_top(self, fraction: float | None = None, *, k: int | None = None) -> Float[Tensor, "..."]:
        """Rebuild the signal without the top features: the signal minus `keep_top`; same arguments."""
        return self._rebuilt(~self.mask(fraction, k=k))

    def render(self, fraction: float | None = None, *, k: int | None = None, delete: bool = False) -> Any:
        """Render the top features, or the signal without them, as an image or a sound.

        Args:
            fraction: Fraction of features, 0 to 1; with neither it nor `k`, the clean signal.
            k: A number of features instead.
            delete: Render the signal without these features instead.

        Raises:
            InputError: If the signal cannot be rendered (text: see `input_relevance`), or after a compact save.
        """
        if isinstance(self.view, NoView):
            return self.view.show(torch.empty(0))
        if fraction is None and k is None and not delete:
            return self.view.show(self._signal("the clean signal"))
        return self.view.show(self.delete_top(fraction, k=k) if delete else self.keep_top(fraction, k=k))

    def audio(self, fraction: float | None = None, *, k: int | None = None, delete: bool = False) -> AudioClip:
        """Return the top features (or, with `delete`, the signal without them) as a sound.

        A waveform is rebuilt directly. For a spectrogram the clip is filtered: each band of the clip's short-time
        spectrum is scaled by the difference of the rebuilt log-mel to the clean one, and keeps its phase.

        Args:
            fraction: Fraction of features, 0 to 1; with neither it nor `k`, the clean sound.
            k: A number of features instead.
            delete: Return the signal without these features instead.

        Raises:
            InputError: If the signal is not a sound.
        """
        signal = self._signal("a sound")
        clean = fraction is None and k is None
        rebuilt = signal if clean else (self.delete_top(fraction, k=k) if delete else self.keep_top(fraction, k=k))
        return self.view.listen(signal, rebuilt, self.raw_input)

    def top_features(self, n: int = 20) -> Table:
        """List the `n` most important features: their coordinates with units, score and fraction of power.

        The fraction is that of the signal's total power (including the transform's constant term), 0 to 1. If the
        result has contributions, each feature's is listed too: above 0 for the target, below against it. The scores of
        a complete method are contributions themselves.
        """
        best = leading(self, min(n, len(self.scores)))[:n]
        columns: dict[str, Sequence[Any]] = {"rank": range(1, len(best) + 1)}
        for column in self.layout.columns:
            title = f"{column.name} [{column.unit}]" if column.unit else column.name
            columns[title] = [column.value(int(feature)) for feature in best]
        columns["score"] = self.scores[best].tolist()
        if self.contributions is not None and self.signal is not None and self.completeness_error is None:
            columns["contribution"] = self.contributions.by_feature(self.signal, self.basis)[best].tolist()
        if self.signal is not None:
            power = self.power
            columns["power"] = (power[best] / power.sum().clamp(min=torch.finfo(power.dtype).tiny)).tolist()
        return Table(columns, self.incomplete)

    @property
    def power(self) -> Float[Tensor, " features"]:
        """Each feature's power `<F, F>_k`, shape `(K,)`."""
        coefficients = self.coefficients.unsqueeze(0)
        return self.basis.inner(coefficients, coefficients)[0]

    def input_relevance(
        self, fraction: float | None = None, *, k: int | None = None, kind: Kind | None = None
    ) -> Relevance:
        """Compute one number per token, pixel or sample, with its meaning (`description`, `measure`).

        If the result has contributions, the numbers are these: `Σ_c (x - x0)(p, c) ḡ(p, c)` at position p over channels
        c (`Contributions`), positive for the answer and negative against it. They sum to the total but for a stated
        error. With a fraction, `P (x - x0)`, the part of the top features P, replaces `x - x0`.

        If the features are positions (the identity domain, either grain) and the method's scores are contributions or
        there are no others, the numbers are all of its scores. Otherwise they are not its scores but the effect of its
        top features at each position. With W⁻¹ the synthesis and g the clean signed gradient, this is
        `Σ_c (W⁻¹ P F)(p, c) g(p, c)`: signed, and its sum over positions is the kept features' gradient × input.

        Args:
            fraction: Fraction of features; ignored when `k` is given. None for all contributions or scores, and for
                0.04 of the features' gradient or power.
            k: A number of features instead.
            kind: "contribution", "scores", "gradient" as above, or "power" for `Σ_c (W⁻¹ P F)(p, c)²`, which needs no
                gradient; None for the first available one in this order, except "power".

        Raises:
            InputError: If there is no gradient and `kind` is "gradient", no score of a position and it is "scores", or
                no contributions and it is "contribution".
        """
        return relevance(self, fraction, k, kind)

    def genes(self, fraction: float | None = None, *, k: int | None = None, kind: Kind | None = None) -> Table:
        """List all genes of a cell, ranked by the absolute value of their `input_relevance`; same arguments.

        A `kind` of None is also "power" where the method takes no gradient.

        Returns:
            One row per gene, the largest relevance in size first: its symbol, its Ensembl id, its place in the cell's
            ranking (1 is the highest rank value), its relevance and the measure of that (a contribution, a score of
            the method, gradient × input or power), and its gradient × input for all features, where the method takes a
            gradient. Contributions and gradient × input are above 0 for the label and below against it.

        Raises:
            InputError: If the example is not a cell, or after a compact save.
        """
        return genes(self, fraction, k, kind)

    def bases(self, fraction: float | None = None, *, k: int | None = None, kind: Kind | None = None) -> Table:
        """List all bases of a DNA or RNA sequence, in order, with their `input_relevance`.

        A word's relevance is divided equally among its bases; where words overlap, a base gets a part of each. The sum
        over bases therefore equals the sum over words. Arguments as for `genes`.

        Returns:
            One row per base: its place (1 is the first), its letter, its relevance and the measure of that, and its
            gradient × input where the method takes a gradient; signs as for `genes`.

        Raises:
            InputError: If the example is not a sequence of bases, or after a compact save.
        """
        return bases(self, fraction, k, kind)

    def track(self, fraction: float | None = None, *, kind: Kind | None = None) -> Track:
        """The relevance of each residue or base, arguments as for `bases`; writes bedGraph, BED and PDB files.

        Raises:
            InputError: If the example is no sequence, or after a compact save.
        """
        return track_of(self, fraction, kind)

    def words(self) -> Table:
        """The words of a text, one per row, by size of relevance; after `explainer.words` with what each removal costs.

        Raises:
            InputError: If the example is no text, or after a compact save.
        """
        return words(self)

    def plot(self, path: str | PathLike[str] | None = None, fraction: float | None = None) -> Any:
        """Draw the explanation (see `hf_fourier.report.figures.plot.plot`).

        Args:
            path: Where to write it (PNG, SVG or PDF, by the ending); None only returns the figure.
            fraction: The fraction of features to show; None for the least one in the curve that keeps the decision, or
                0.04.

        Returns:
            The `matplotlib.figure.Figure`.
        """
        return drawn_by("figures.plot:plot", self, path, fraction)

    def save(self, folder: str | PathLike[str], compact: bool = False) -> Path:
        """Write `attribution.safetensors` and `attribution.json` into `folder`, and return it.

        Args:
            folder: Created if it does not exist.
            compact: Leave out the example itself (signal, gradient, inputs). The result can then still be ranked and
                listed, but not rebuilt, perturbed or mapped to input space.

        Raises:
            InputError: If `folder` is a file, or the scores are not finite and could not be loaded again.
        """
        return storage.write(folder, *self.to_parts(compact))

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Attribution:
        """Read what `save` wrote.

        Raises:
            InputError: If the folder holds no attribution, or one of a newer format.
            DamagedFile: If a file is not as it was written.
        """
        found = storage.read(folder)
        with parsing(Path(folder) / storage.VALUES):
            return cls.from_parts(*found)

    def to_parts(self, compact: bool = False) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Convert the result to plain values for JSON, and tensors by name; `compact` leaves the example out.

        Raises:
            InputError: If scores are not finite.
        """
        if not parts.all_finite(self.scores):
            raise InputError("scores that are not finite", "one number per feature", "correct what made them")
        tensors = {"scores": self.scores, **parts.fitted_tensors(self.layout.domain)}
        if not compact:
            example = {"signal": self.signal, "gradient": self.gradient, "frozen_target": self.frozen_target}
            tensors.update({name: tensor for name, tensor in example.items() if tensor is not None})
            tensors.update({f"inputs.{name}": tensor for name, tensor in self.inputs.items()})
            tensors.update({f"raw_input.{name}": tensor for name, tensor in self.raw_input.items()})
        kept = {name: v for name, v in self.extras.items() if not (compact and name in EXAMPLES)}
        extras = {name: v for name, v in kept.items() if isinstance(v, torch.Tensor)}
        tensors.update({f"extras.{name}": tensor for name, tensor in extras.items()})
        signed: dict[str, Any] | None = None
        if self.contributions is not None and not compact:
            signed, more = self.contributions.to_parts()
            tensors.update(more)
        values = {
            "format": parts.FORMAT,
            "domain": self.layout.domain,
            "signal": storage.signal_values(self.layout.signal),
            "target": self.target,
            "label": self.label,
            "confidence": self.confidence,
            "value": self.value,
            "provenance": self.provenance,
            "top_predictions": [list(pair) for pair in self.top_predictions],
            "names": [] if compact else list(self.names),
            "view": self.view.to_dict(),
            "extras": {name: v for name, v in kept.items() if name not in extras},
            "completeness_error": self.completeness_error,
            "curve": None if self.curve is None else self.curve.to_dict(),
            "fingerprint": self.key,
            "agreement": self.agreement,
            "contributions": signed,
        }
        return values, tensors

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Attribution:
        """The result that `to_parts` took apart.

        Raises:
            InputError: If it is of a newer format.
            Malformed: If they are not the parts of a result (`hf_fourier.results.schema`).
        """
        return cls(**parts.fields_of(values, tensors))

    def _rebuilt(self, mask: Bool[Tensor, " features"]) -> Float[Tensor, "..."]:
        self._signal("inputs with features kept or deleted")
        return self.basis.keep_features(self.coefficients.unsqueeze(0), mask.unsqueeze(0))[0]

    def _signal(self, purpose: str) -> Tensor:
        if self.signal is None:
            raise InputError(
                f"a compact result, from which {purpose} cannot be made",
                "one with its example",
                "save it without compact=True",
            )
        return self.signal
