"""Heads turn a model's logits into a score, a confidence and a decision, for resolved targets.

Scores are on log-probabilities or on values, confidences are positive. Gradients are taken of `logit_margin`: for a
softmax it is the log-odds `z_y - logsumexp_{j != y} z_j`, whose gradient has the direction of that of `log p_y` without
its cancellation, and `dvalue_dmargin = d value / d logit_margin` converts one into the other.
"""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from hf_fourier.errors import ModelError, TargetError
from hf_fourier.scoring.pending import Pending
from hf_fourier.scoring.targets import (
    Contrast,
    Position,
    ResolvedTarget,
    Target,
    TargetSpec,
    Typed,
    as_index,
    in_python,
)
from hf_fourier.typing import Float, Int, Num, Tensor


@dataclass(frozen=True)
class Reading:
    """The readings of a batch of outputs for the frozen targets, one row each.

    Attributes:
        value: The score s, shape `(rows,)`.
        logit_margin: The number whose gradient is taken, shape `(rows,)`.
        dvalue_dmargin: `d value / d logit_margin`, shape `(rows,)`.
        confidence: A positive number for the curves, shape `(rows,)`; None where the head has none (regression).
        agreement: The fraction of the row's decisions that are the frozen ones, shape `(rows,)`.
        predicted_mask: The prediction where it is a mask or a sequence, shape `(rows, ...)`; None elsewhere.
        predicted_class: The predicted class of each row, shape `(rows,)`; None unless it is one class of a softmax.
        log_odds: `log p - log(1 - p)` of what is explained, shape `(rows,)`, where the score is the log-probability p
            of one thing; `logit_margin` is then the same number. None elsewhere.
    """

    value: Float[Tensor, " rows"]
    logit_margin: Float[Tensor, " rows"]
    dvalue_dmargin: Float[Tensor, " rows"]
    confidence: Float[Tensor, " rows"] | None
    agreement: Float[Tensor, " rows"]
    predicted_mask: Int[Tensor, "rows ..."] | None = None
    predicted_class: Int[Tensor, " rows"] | None = None
    log_odds: Float[Tensor, " rows"] | None = None

    @property
    def evidence(self) -> Float[Tensor, " rows"]:
        """What contributions add up to: the log-odds where there are any, else the score."""
        return self.value if self.log_odds is None else self.log_odds


class Head(ABC):
    """Reads one kind of logits. `labels` names the classes where they have names."""

    name: str = ""
    labels: Mapping[int, str] = {}
    #: The kinds of targets that it reads, besides classes and callables.
    target_types: ClassVar[tuple[type, ...]] = ()

    def check(self, target: Any) -> Target:
        """A user's target in the form of this head: None, a class index, several, a target object, or a callable.

        Raises:
            TargetError: If the head has no such class, or does not read such targets.
        """
        if target is None or callable(target):
            return target
        if isinstance(target, TargetSpec):
            return self._checked_target(target)
        target = in_python(target)
        if isinstance(target, (list, tuple)):
            return [self._class(one) for one in target]
        return self._class(target)

    def _checked_target(self, target: TargetSpec) -> TargetSpec:
        if not isinstance(target, self.target_types):
            others = "".join(f", {kind.__name__}" for kind in self.target_types)
            got = f"a target of type {type(target).__name__} for a head of kind {self.name!r}"
            raise TargetError(got, f"None, a class, a callable{others}", "choose one of them")
        if isinstance(target, Contrast):
            for one in (target.this, target.other):
                if isinstance(one, (TargetSpec, Mapping, list, tuple)) or one is None or callable(one):
                    got = f"a contrast with a {type(one).__name__} in it for a head of kind {self.name!r}"
                    raise TargetError(got, "two classes, each by index or label", "pass Contrast('this', 'other')")
            return Contrast(self._class(target.this), self._class(target.other))
        if isinstance(target, Position):
            return Position(as_index(target.position), None if target.label is None else self._class(target.label))
        return target

    def _class(self, target: Any) -> int:
        if isinstance(target, Typed):
            return self._typed(target)
        return self._index(target) if isinstance(target, str) else as_index(in_python(target))

    def _typed(self, number: Typed) -> int:
        """A number from a shell: a class index, or a label where that is unambiguous."""
        try:
            named = self._index(number.text)
        except TargetError:
            return int(number)
        if named == number or (self.labels and number not in self.labels):
            return named
        got = f"{number.text}, which is a class index, and the name of {named} too"
        raise TargetError(got, "one of the two", f"write index:{number.text} or label:{number.text}")

    def _index(self, label: str) -> int:
        indices: list[int] = []
        for spelling in (str, str.casefold, _folded):  # as it is, in any case, with any spaces between its words
            spelled = spelling(label)
            indices = indices or [index for index, name in self.labels.items() if spelling(name) == spelled]
        if len(indices) > 1:
            raise TargetError(
                f"label {label!r} of the classes {indices}", "the label of one class", "pass a class index"
            )
        if indices:
            return indices[0]
        folded = {name.casefold(): name for name in self.labels.values()}
        near = difflib.get_close_matches(label.casefold(), folded, n=1, cutoff=0.5)
        some = ", ".join(repr(name) for name in list(self.labels.values())[:8]) or "no named classes"
        more = ", …" if len(self.labels) > 8 else ""
        hint = f"did you mean {folded[near[0]]!r}?" if near else "choose one of them or a class index"
        if re.fullmatch(r"\s*-?\d+\s*", label):
            hint = f"for the class index pass {int(label)}, a number and no text"
        raise TargetError(f"label {label!r}", f"one of {some}{more}", hint)

    def label(self, index: int) -> str:
        """The name of a class, or its number as text."""
        return self.labels.get(index, str(index))

    def fits(self, logits: Float[Tensor, "rows ..."]) -> tuple[str, ...]:
        """Check that the classes that have names are those of the logits, which are known with the first outputs.

        Args:
            logits: The clean logits.

        Returns:
            Remarks: classes without a name.

        Raises:
            ModelError: If there are names for other classes than the logits', or for a few of them alone.
        """
        return self._named(logits.shape[-1]) if self.labels else ()

    def _named(self, classes: int) -> tuple[str, ...]:
        names = len(self.labels)
        counted = names < classes and all(name == f"LABEL_{index}" for index, name in self.labels.items())
        if max(self.labels) != classes - 1 and not counted:
            raise misnamed(f"{names} class{'es' * (names != 1)}", classes)
        if names == classes:
            return ()
        return (f"the config names {names} of the model's {classes} classes: the others are shown by their number",)

    @abstractmethod
    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Num[Tensor, "rows ..."]:
        """Resolve the targets on clean logits, in the form that `read` takes."""

    def doubts(
        self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]
    ) -> list[tuple[Tensor, Callable[[Tensor], None]]]:
        """Checks of targets that depend on the logits: what is checked, and what raises if it is not as it should be.

        On the CPU `freeze` makes them; of an accelerator's logits the tensors are fetched with the results.
        """
        return []

    @abstractmethod
    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """Score rows of logits for frozen targets."""

    def read_pending(self, logits: Any, frozen: Num[Tensor, "rows ..."], pending: Pending) -> Reading:
        """The same with no more waits for an accelerator than `pending` asks for."""
        return self.read(logits, frozen)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """How far answers are from reference answers, 0 where they are the same; differentiable.

        For a softmax it is the Kullback-Leibler divergence `KL(p_reference || p)`, for a sigmoid that of its two sides,
        the mean over the positions that count; for values the mean of the squared differences.

        Args:
            logits: The answers, in the form that `read` takes.
            reference: Those of the reference.
            frozen: The resolved targets, which say what positions count.
        """
        return (logits - reference).square().flatten(1).mean(1)

    def with_decision(
        self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, "rows ..."]:
        """Answers that name the frozen targets, as sure as these are of their own.

        Raises:
            TargetError: If the head does not name one class of several.
        """
        got = f"another label as the goal, of a head of kind {self.name!r}"
        raise TargetError(got, "one class of a softmax", "choose a classifier, or leave `as_goals` out")

    @abstractmethod
    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """One row's frozen target as `(index, label)`."""

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's most probable classes with their probabilities."""
        return self._most_probable(logits.reshape(-1, logits.shape[-1])[0].softmax(-1), most)

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """What `name_best` makes names of, on the logits' device: of a head's own softmax the best of each row."""
        if type(self).ranked is not Head.ranked or type(self)._most_probable is not Head._most_probable:
            return (logits,)
        best = logits.reshape(len(logits), -1, logits.shape[-1])[:, 0].softmax(-1).topk(min(most, logits.shape[-1]))
        return best.values, best.indices

    def name_best(self, *best: Tensor) -> list[list[tuple[str, float]]]:
        """The most probable classes of each row, with their probabilities, from what `best` returned."""
        if len(best) == 1:
            return [self.ranked(row) for row in best[0]]
        pairs = zip(best[0].tolist(), best[1].tolist(), strict=True)
        return [[(self.label(i), p) for p, i in zip(*row, strict=True)] for row in pairs]

    def _most_probable(self, p: Float[Tensor, " classes"], most: int) -> list[tuple[str, float]]:
        best = p.topk(min(most, p.numel()))
        return [(self.label(i), v) for v, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


@lru_cache(maxsize=2**16)  # a target by name is looked up for each example
def _folded(name: str) -> str:
    """A label without differences in case and in the separators of its words."""
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip(" _-\t\n")))


def misnamed(named: str, logits: int) -> ModelError:
    """The error for names that cannot be assigned to the logits."""
    if logits == 1:
        do = (
            "set `model.config.id2label = {0: 'yes'}`, with `model.config.problem_type = 'multi_label_classification'` "
            "for a sigmoid or 'regression' for a value"
        )
    else:
        do = (
            f"set `model.config.id2label = {{i: str(i) for i in range({logits})}}`, or their real names (and "
            "`model.config.problem_type = 'regression'` if they are values)"
        )
    got = f"{logits} logit{'s' * (logits != 1)} of a model whose config names {named}"
    return ModelError(got, "a name for each logit", do)
