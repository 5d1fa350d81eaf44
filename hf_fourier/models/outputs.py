"""What the outputs of a network without a config are: logits, probabilities, yes or no, values, an embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_fourier.errors import FourierError, InputError, ModelError, brief, is_list_like
from hf_fourier.scoring.heads import Binary, Categorical, Head, Regression, Similarity, by_class, logits_of, of_each
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.typing import Tensor

#: What outputs can be.
OUTPUTS = ("logits", "probabilities", "sigmoid", "values", "masks", "embedding")
#: How far the sum of a row of probabilities may be from 1.
ROUNDING = 1e-4
#: Probabilities below are read as this one, so that their logarithm is a number.
LEAST = 1e-7


@dataclass(frozen=True)
class OutputForm:
    """What a network's outputs are.

    Attributes:
        kind: One of `OUTPUTS`.
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
        return Binary(self.labels) if self.kind == "sigmoid" else Categorical(self.labels)


def form_of(outputs: Any, kind: str | None, labels: Mapping[int, str]) -> OutputForm:
    """What the outputs at one row are.

    Args:
        outputs: The outputs.
        kind: What the user says, one of `OUTPUTS`, or None.
        labels: The names that the user gives.

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
    row = by_class(read).float()
    count: int = row.shape[1] if row.ndim == 2 else 0
    notes: tuple[str, ...] = ()
    if kind is None and count == 1:
        kind = "sigmoid" if labels else "values"
        other = "outputs='values'" if labels else "labels=['yes']"
        what = "the logit of yes" if labels else "a value"
        notes = (f"one number for each example: read as {what}; {other} reads it otherwise",)
    elif kind is None and count > 1 and bool((row >= 0).all()) and abs(float(row.sum()) - 1) < ROUNDING:
        kind = "probabilities"
        notes = ("outputs from 0 to 1 with the sum 1: read as probabilities; outputs='logits' reads them otherwise",)
    kind = kind or "logits"
    if labels and count and count != len(labels) and not (count == 1 and len(labels) == 2 and kind == "sigmoid"):
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
