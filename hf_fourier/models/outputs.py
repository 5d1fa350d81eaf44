"""What the outputs of a network without a config are: logits, probabilities, yes or no, values, an embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_fourier.errors import FourierError, InputError, ModelError, brief, is_list_like
from hf_fourier.scoring.heads import Binary, Categorical, Head, Regression, Similarity, by_class, logits_of, of_each
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.typing import Tensor

#: What outputs can be.
OUTPUTS = ("logits", "probabilities", "sigmoid", "sigmoid_probabilities", "values", "masks", "embedding")
#: How far the sum of a row of probabilities may be from 1, at least.
ROUNDING = 1e-4
#: Probabilities below are read as this one, so that their logarithm is a number.
LEAST = 1e-7
#: Steps of a graph that change shapes and types alone.
_SHAPING = ("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Alias", "T", "Permute")


@dataclass(frozen=True)
class OutputForm:
    """What a network's outputs are.

    Attributes:
        kind: One of `OUTPUTS`; "sigmoid_probabilities" are those of labels that are yes or no each.
        labels: The names of the classes or values.
        notes: How that was found out.
    """

    kind: str = "logits"
    labels: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def head(self) -> Head:
        """Reads them."""
        if self.kind == "embedding":
            return Similarity()
        if self.kind == "values":
            return Regression(self.labels)
        if self.kind == "masks":
            return Mask(self.labels)
        return Binary(self.labels) if self.kind.startswith("sigmoid") else Categorical(self.labels)

    def logits(self, outputs: Tensor, weights: torch.dtype | None) -> Tensor:
        """The logits of outputs `(rows, numbers)`, which are checked where they should be probabilities.

        Args:
            outputs: The outputs.
            weights: The type of the weights, as for `rounding`.

        Raises:
            ModelError: If a row is none of probabilities.
        """
        if self.kind not in ("probabilities", "sigmoid_probabilities"):
            return outputs
        p = outputs if outputs.dtype == torch.float64 else outputs.float()
        most, summed = rounding(outputs.dtype, weights), self.kind == "probabilities"
        wrong = (p < -most) | (p > 1 + most)
        wrong = wrong.any(1) | ((p.sum(1) - 1).abs() > most) if summed else wrong.any(1)
        if bool(wrong.any()):
            row = p[wrong.nonzero()[0, 0]].detach()
            got = f"a row of outputs from {float(row.min()):.4g} to {float(row.max()):.4g} with the sum"
            expected = "numbers from 0 to 1" + (" with the sum 1" if summed else "")
            do = "pass outputs='logits', or 'sigmoid_probabilities' if the labels are independent"
            raise ModelError(f"{got} {float(row.sum()):.4g}, read as {self.kind}", expected, do)
        return p.clamp(LEAST, 1).log() if summed else p.clamp(LEAST, 1 - LEAST).logit()

    def as_values(self) -> dict[str, Any]:
        """It as plain values, for a run's manifest."""
        return {"kind": self.kind, "labels": [*self.labels.values()], "notes": [*self.notes]}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> OutputForm:
        """What `as_values` returned.

        Raises:
            InputError: If it is none of `OUTPUTS`.
        """
        if values["kind"] not in OUTPUTS:
            got, expected = f"a run with outputs {brief(values['kind'])}", f"one of {', '.join(OUTPUTS)}"
            raise InputError(got, expected, "install a newer hf_fourier")
        return cls(values["kind"], dict(enumerate(values["labels"])), tuple(values["notes"]))


def rounding(*dtypes: torch.dtype | None) -> float:
    """How far the sum of a row of probabilities may be from 1: by the coarsest type that they were computed in."""
    found = [torch.finfo(dtype).eps for dtype in dtypes if dtype is not None and dtype.is_floating_point]
    return max(ROUNDING, *(4 * eps for eps in found), 0.0)


def ends_in_sigmoid(outputs: Any) -> bool:
    """Whether the last thing that made outputs is a sigmoid, by their graph; what changes shapes alone is passed by."""
    step: Any = getattr(logits_of(outputs), "grad_fn", None)
    while step is not None and step.name().startswith(_SHAPING) and step.next_functions:
        step = step.next_functions[0][0]
    return step is not None and step.name().startswith("SigmoidBackward")


def form_of(
    outputs: Any,
    kind: str | None,
    labels: Mapping[int, str],
    weights: torch.dtype | None = None,
    sigmoid: Callable[[], bool] = lambda: False,
) -> OutputForm:
    """What the outputs at one row are.

    Args:
        outputs: The outputs.
        kind: What the user says, one of `OUTPUTS`, or None.
        labels: The names that the user gives.
        weights: The type of the weights, None where there are none.
        sigmoid: Whether the network ends in a sigmoid; asked where outputs from 0 to 1 leave it open what they are.

    Raises:
        ModelError: If there is not one row of them, or they are not as many as the names.
    """
    try:
        read = logits_of(outputs).detach()
    except FourierError:  # a callable target may read them
        return OutputForm(kind or "logits", labels)
    of_each(read, 1)
    if kind == "masks":
        return _of_masks(read, labels)
    most, row = rounding(read.dtype, weights), by_class(read).float()
    count: int = row.shape[1] if row.ndim == 2 else 0
    within = count > 0 and bool((row >= 0).all() & (row <= 1).all())
    notes: tuple[str, ...] = ()
    if kind is None and within and (count > 1 or labels) and sigmoid():
        kind = "sigmoid_probabilities"
        notes = ("the network ends in a sigmoid: read as probabilities; outputs='logits' reads them otherwise",)
    elif kind is None and count == 1:
        kind = "sigmoid" if labels else "values"
        other = "outputs='values'" if labels else "labels=['yes']"
        what = "the logit of the label" if labels else "a value"
        notes = (f"one number for each example: read as {what}; {other} reads it otherwise",)
        if labels and within:
            notes = (*notes, "it is from 0 to 1: outputs='probabilities' reads it as the probability of the label")
    elif kind is None and count > 1 and within and abs(float(row.sum()) - 1) < most:
        kind = "probabilities"
        notes = ("outputs from 0 to 1 with the sum 1: read as probabilities; outputs='logits' reads them otherwise",)
    elif kind is None and within:
        notes = ("outputs from 0 to 1: read as logits; outputs='sigmoid_probabilities' reads independent labels",)
    kind = "sigmoid_probabilities" if kind == "probabilities" and count == 1 else kind or "logits"
    yes = count == 1 and len(labels) == 2 and kind.startswith("sigmoid")
    if labels and count and count != len(labels) and not yes:
        do = f"correct `labels`, which has {len(labels)} names"
        raise ModelError(f"{count} output{'s' * (count != 1)} of the network", "a name for each", do)
    if labels and count == 1:
        return OutputForm(kind, {0: list(labels.values())[-1]}, notes)
    if not labels and count > 1 and kind != "values":
        labels = {index: str(index) for index in range(count)}
    return OutputForm(kind, labels, notes)


def _of_masks(read: Tensor, labels: Mapping[int, str]) -> OutputForm:
    """Masks of so many classes; of a single logit at each place, what a sigmoid finds and what it is not.

    Raises:
        ModelError: If the outputs are no maps, or their classes not as many as the names.
    """
    if read.ndim < 3:
        got, do = f"outputs of shape {tuple(read.shape)}, read as masks", "leave `outputs` out"
        raise ModelError(got, "(rows, classes, height, width), or of other axes", do)
    count = read.shape[1]
    if labels and count == 1 and len(labels) == 1:
        return OutputForm("masks", {0: f"not {labels[0]}", 1: labels[0]})
    if labels and len(labels) != max(2, count):
        got, do = f"masks of {max(2, count)} classes", f"correct `labels`, which has {len(labels)} names"
        raise ModelError(got, "a name for each", do)
    return OutputForm("masks", labels or {index: str(index) for index in range(max(2, count))})


def labels_from(labels: Any) -> dict[int, str]:
    """The names of classes by index.

    Raises:
        InputError: If they are no list of names and no dict from class numbers to names.
    """
    if labels is None:
        return {}
    pairs = labels.items() if isinstance(labels, Mapping) else enumerate(labels) if is_list_like(labels) else ()
    try:
        found = {int(index): str(name) for index, name in pairs}
    except (TypeError, ValueError):
        found = {}
    if not found or set(found) != set(range(len(found))):
        do = "pass ['cat', 'dog'] or {0: 'cat', 1: 'dog'}"
        raise InputError(f"labels {brief(labels)}", "a name for each class number from 0 on", do)
    return dict(sorted(found.items()))
