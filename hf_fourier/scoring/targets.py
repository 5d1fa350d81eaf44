"""Targets of explanations. Each is resolved once, on the clean example, and stays frozen."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, SupportsIndex

from hf_fourier.errors import TargetError
from hf_fourier.typing import Tensor

#: In frozen classes, positions that do not count.
IGNORED = -1


@dataclass(frozen=True)
class Position:
    """One position alone: of a content token, a frame, a mask token or a detection's query.

    Attributes:
        position: Its index, counted from 0; or the text of a token, whose first occurrence is meant.
        label: The class to explain there, by index or name; None for the prediction.
    """

    position: int | str
    label: int | str | None = None


@dataclass(frozen=True)
class AnswerSpan:
    """An answer: the content tokens from `start` to `end`, the last one included."""

    start: int
    end: int


@dataclass(frozen=True)
class Continuation:
    """The next tokens of a language model.

    Attributes:
        text: A text, taken as it is (with the space that it begins with), or token ids.
    """

    text: Any


@dataclass(frozen=True)
class Contrast:
    """One answer rather than another: `log p(this) - log p(other)`, of several tokens the sum over them.

    Attributes:
        this: A class by index or name; for a language model a continuation: its text, its token ids, a `Continuation`.
        other: Likewise.
    """

    this: Any
    other: Any
    #: The head that reads it.
    head: ClassVar[str] = "contrast"


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in embedding space: the score is the cosine with it.

    Attributes:
        vector: As long as the embedding, such as `explainer.predict(other).logits`; never the example's own.
        threshold: The cosine that separates the two decisions; None where there is no decision.
    """

    vector: Any = field(repr=False)
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A given mask instead of the predicted one.

    Attributes:
        classes: The class of each position, −1 where it does not count, in the shape of the predicted mask.
    """

    classes: Any = field(repr=False)


#: Class indices lie below this.
_LARGEST = 2**63
#: Targets that are more than a class.
TargetSpec = Position | AnswerSpan | Continuation | Contrast | Direction | Region
#: A user's target: None for the prediction, a class index (of any kind of whole number), a label's name, one of
#: these for each of several masks, one of the objects above, or a callable `outputs -> (rows,)`.
Target = int | str | SupportsIndex | Sequence[int | str] | TargetSpec | Callable[[Any], Tensor] | None
#: A target after `Head.check`: what a head can freeze.
ResolvedTarget = int | Tensor | TargetSpec | None


class Typed(int):
    """A whole number as it was typed in a shell, where it is not yet known whether a number or a text is meant.

    Attributes:
        text: What was typed.
    """

    text: str

    def __new__(cls, text: str | int) -> Typed:
        """The number in a text."""
        made = super().__new__(cls, text)
        made.text = str(text)
        return made


def as_index(target: Any) -> int:
    """A class index from any kind of whole number (numpy's, a tensor's).

    Raises:
        TargetError: If it is no whole number.
    """
    try:
        if not isinstance(target, bool):
            index = operator.index(target)
            if abs(index) < _LARGEST:
                return index
    except TypeError:
        pass
    raise TargetError(f"target {target!r}", "a class index, a label, a callable or None", _instead(target))


def in_python(target: Any) -> Any:
    """Several targets in one array or tensor as a list, a single one in it as a number; anything else as it is."""
    try:
        found = target.tolist() if hasattr(target, "tolist") and hasattr(target, "ndim") else target
    except (RuntimeError, NotImplementedError):  # a sparse tensor, or one without numbers
        return target
    return found[0] if found is not target and isinstance(found, list) and len(found) == 1 else found


def token_ids(given: Any) -> list[int]:
    """The ids of a continuation or an output that is given by numbers: one, or several in a list, an array, a tensor.

    Raises:
        TargetError: If it is none of these.
    """
    ids = in_python(given)
    if isinstance(ids, (list, tuple, range)):
        return [as_index(one) for one in ids]
    if isinstance(ids, (str, Mapping, TargetSpec)):
        got = f"a {type(ids).__name__} within another target" if isinstance(ids, TargetSpec) else f"target {ids!r}"
        raise TargetError(got, "a text or token ids", "pass ' a text' or its ids")
    return [as_index(ids)]


def _instead(target: Any) -> str:
    """What to pass in place of something that is no target."""
    if isinstance(target, Mapping):
        return "pass one target, or with targets= one for each example in a list"
    if isinstance(target, (list, tuple)) or bool(getattr(target, "ndim", False)):
        return "for one target per example pass targets="
    if isinstance(target, bool):
        return "for the class index pass 0 or 1"
    if isinstance(target, float):
        return "for a class index pass a whole number, without a decimal point"
    return "correct `target`"


def checked_index(target: Any, classes: int, labels: Mapping[int, str], what: str = "class index") -> int:
    """One class index (or another number, as `what` says), checked.

    Raises:
        TargetError: If there is no such class, or several were asked for.
    """
    if isinstance(target, TargetSpec):
        raise TargetError(f"{target} for a head without positions", "a class", "correct `target`")
    if isinstance(target, Tensor) and target.ndim:
        raise TargetError(f"{target.numel()} targets", "one", "for one target per example pass targets=")
    target = as_index(target)
    if 0 <= target < classes:
        return target
    named = f" ({', '.join(list(labels.values())[:4])}, …)" if labels else ""
    raise TargetError(f"{what} {target}", f"0 to {classes - 1}{named}", "correct `target`")
