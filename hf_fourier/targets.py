"""What is explained: targets that a user names, and heads that turn logits into a score, a confidence and a decision.

A target is settled once, on the clean example, and stays frozen. Scores are on log-probabilities or on values,
confidences are positive. `drive` is what a gradient is taken of: for a softmax it is the log-odds
`z_y - logsumexp_{j != y} z_j`, whose gradient has the direction of that of `log p_y` without its cancellation, and
`slope = d value / d drive` turns one into the other.
"""

from __future__ import annotations

import difflib
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

from hf_fourier.errors import ModelError, TargetError
from hf_fourier.typing import Bool, Float, Int, Num, Tensor

#: Above it softplus is the identity, in float64 too.
SURE = 40
#: Log-odds beyond it are as good as infinite.
BOUND = 1e30
#: In frozen classes, positions that do not count.
OUTSIDE = -1


@dataclass(frozen=True)
class At:
    """One position alone: of a content token, a frame, a mask token or a detection's query.

    Attributes:
        position: Its number, counted from 0; a token may be named by its text instead, the first of that name is meant.
        label: The class to explain there, by index or name; None for what the model says.
    """

    position: int | str
    label: int | str | None = None


@dataclass(frozen=True)
class Span:
    """An answer: the content tokens from `start` to `end`, the last one included."""

    start: int
    end: int


@dataclass(frozen=True)
class Continuation:
    """What a language model is to say next: a text (with the space it begins with), or token ids."""

    text: str | Sequence[int]


@dataclass(frozen=True)
class Contrast:
    """One answer rather than another: `log p(this) - log p(other)`.

    Attributes:
        this: A class by index or name; for a language model a continuation, by text or token ids.
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
        threshold: The cosine on whose sides lie the two decisions; None where there is no decision.
    """

    vector: Any = field(repr=False)
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A mask of one's own instead of the clean one.

    Attributes:
        classes: The class of each place, −1 where it does not count, in the shape of the predicted mask.
    """

    classes: Any = field(repr=False)


#: Targets that are more than a class.
Aim = At | Span | Continuation | Contrast | Direction | Region
#: A user's target: None for what the model says, a class index, a label's name, one index for each of several masks,
#: one of the objects above, or a callable `outputs -> (rows,)`.
Target = int | str | Sequence[int] | Aim | Callable[[Any], Tensor] | None
#: A target after `Head.check`: what a head can freeze.
Settled = int | Tensor | Aim | None


@dataclass(frozen=True)
class Reading:
    """What a batch of outputs says about the frozen targets, one row each.

    Attributes:
        value: The score s, shape `(rows,)`.
        drive: What the gradient is taken of, shape `(rows,)`.
        slope: `d value / d drive`, shape `(rows,)`.
        confidence: A positive number for the curves, shape `(rows,)`; None where the head has none (regression).
        agrees: The share of the row's decisions that are the frozen ones, shape `(rows,)`.
        answer: The decision itself where it can be looked at (a mask), shape `(rows, ...)`; None elsewhere.
        said: The class that each row is decided for, shape `(rows,)`; None where that is not one class of a softmax.
    """

    value: Float[Tensor, " rows"]
    drive: Float[Tensor, " rows"]
    slope: Float[Tensor, " rows"]
    confidence: Float[Tensor, " rows"] | None
    agrees: Float[Tensor, " rows"]
    answer: Int[Tensor, "rows ..."] | None = None
    said: Int[Tensor, " rows"] | None = None


class Head(ABC):
    """Reads one kind of logits. `labels` names the classes where they have names."""

    name: str = ""
    labels: Mapping[int, str] = {}
    #: The kinds of targets that it reads beside classes and callables.
    takes: ClassVar[tuple[type, ...]] = ()

    def check(self, target: Any) -> Target:
        """A user's target as this head understands it: None, a class index, several, a target object, or a callable.

        Raises:
            TargetError: If the head has no such class, or does not read such targets.
        """
        if target is None or callable(target):
            return target
        if isinstance(target, Aim):
            return self._aim(target)
        if isinstance(target, (list, tuple)):
            return [whole(one) for one in target]
        return self._class(target)

    def _aim(self, target: Aim) -> Aim:
        if not isinstance(target, self.takes):
            others = "".join(f", {kind.__name__}" for kind in self.takes)
            got = f"a target of type {type(target).__name__} for a head that reads a {self.name}"
            raise TargetError(got, f"None, a class, a callable{others}", "choose one of them")
        if isinstance(target, Contrast):
            return Contrast(self._class(target.this), self._class(target.other))
        if isinstance(target, At):
            return At(whole(target.position), None if target.label is None else self._class(target.label))
        return target

    def _class(self, target: Any) -> int:
        return self._index(target) if isinstance(target, str) else whole(target)

    def _index(self, label: str) -> int:
        exact = [index for index, name in self.labels.items() if name == label]
        found = exact or [index for index, name in self.labels.items() if name.casefold() == label.casefold()]
        if len(found) > 1:
            raise TargetError(f"label {label!r} of the classes {found}", "the label of one class", "pass a class index")
        if found:
            return found[0]
        folded = {name.casefold(): name for name in self.labels.values()}
        near = difflib.get_close_matches(label.casefold(), folded, n=1, cutoff=0.5)
        some = ", ".join(repr(name) for name in list(self.labels.values())[:8]) or "no named classes"
        more = ", …" if len(self.labels) > 8 else ""
        hint = f"did you mean {folded[near[0]]!r}?" if near else "choose one of them or a class index"
        raise TargetError(f"label {label!r}", f"one of {some}{more}", hint)

    def label(self, index: int) -> str:
        """The name of a class, or its number as text."""
        return self.labels.get(index, str(index))

    @abstractmethod
    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[Settled]) -> Num[Tensor, "rows ..."]:
        """Settle the targets on clean logits; what comes back is all that `read` needs to know of them."""

    @abstractmethod
    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """Score rows of logits for targets that were frozen before."""

    @abstractmethod
    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """One row's frozen target as `(index, label)`."""

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's likeliest classes with their probabilities."""
        return self._likeliest(logits.reshape(-1, logits.shape[-1])[0].softmax(-1), most)

    def rankings(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> list[list[tuple[str, float]]]:
        """`ranked` of each row; all at once where that is the head's own softmax."""
        if type(self).ranked is not Head.ranked or type(self)._likeliest is not Head._likeliest:
            return [self.ranked(row, most) for row in logits]
        best = logits.reshape(len(logits), -1, logits.shape[-1])[:, 0].softmax(-1).topk(min(most, logits.shape[-1]))
        pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [[(self.label(i), p) for p, i in zip(*row, strict=True)] for row in pairs]

    def _likeliest(self, p: Float[Tensor, " classes"], most: int) -> list[tuple[str, float]]:
        best = p.topk(min(most, p.numel()))
        return [(self.label(i), v) for v, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


def whole(target: Any) -> int:
    """A class index from any kind of whole number (numpy's, a tensor's)."""
    try:
        if not isinstance(target, bool):
            return operator.index(target)
    except TypeError:
        pass
    raise TargetError(f"target {target!r}", "a class index, a label, a callable or None", "correct `target`")


def in_range(target: Any, classes: int, labels: Mapping[int, str], what: str = "class index") -> int:
    """One class index (or another number, as `what` says), checked.

    Raises:
        TargetError: If there is no such class, or several were asked for.
    """
    if isinstance(target, Aim):
        raise TargetError(f"{target} for a head without positions", "a class", "correct `target`")
    if isinstance(target, Tensor) and target.ndim:
        raise TargetError(f"{target.numel()} targets", "one", "correct `target`")
    target = int(target)
    if 0 <= target < classes:
        return target
    named = f" ({', '.join(list(labels.values())[:4])}, …)" if labels else ""
    raise TargetError(f"{what} {target}", f"0 to {classes - 1}{named}", "correct `target`")


def compared(how: Callable[[Any, Any], Any], a: Num[Tensor, "..."], b: Tensor | float) -> Bool[Tensor, "..."]:
    """`how(a, b)`, an operator of comparison, entry by entry; on the CPU numpy is many times faster."""
    if a.device.type != "cpu" or a.dtype == torch.bfloat16:
        return torch.as_tensor(how(a, b))
    return torch.as_tensor(how(a.detach().numpy(), b.detach().numpy() if isinstance(b, Tensor) else b))


def all_of(flags: Bool[Tensor, "..."]) -> bool:
    """`flags.all()`; on the CPU numpy's is many times faster."""
    return bool(flags.numpy().all() if flags.device.type == "cpu" else flags.all())


def mean_log_p(
    odds: Float[Tensor, "rows places"], counts: Bool[Tensor, "rows places"]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Value, drive and slope of the mean of log p = log σ(odds) over the places that count, at least one in each row.

    d log p / d odds = σ(−odds) is taken relative to the row's largest: of a sure model all of them underflow. Where no
    gradient is taken, the value is its own drive.
    """
    # With β = −1 softplus is log σ, and of many places many times faster than logsigmoid.
    if counts.shape[1] == 1:  # that counts; a dozen operations fewer, which small models notice
        own = odds[:, 0]
        return softplus(own, -1, SURE), own, softplus(own.detach(), threshold=SURE).neg_().exp_()
    lengths = None
    if not all_of(counts):
        lengths = counts.sum(1)
        odds = odds.reshape(-1).index_select(0, _places(counts))
    log_p = softplus(odds, -1, SURE)
    value = _by_row(torch.mean, log_p, lengths)
    if not torch.is_grad_enabled():
        return value, value, torch.ones_like(value)
    # log σ(−odds) = log σ(odds) − odds; where odds are −∞, both are cut off alike.
    steepness = log_p.detach().clamp(min=-BOUND).sub_(odds.detach().clamp(min=-BOUND))
    steepest = _by_row(torch.amax, steepness, lengths)
    relative_to = steepest.unsqueeze(1) if lengths is None else steepest.repeat_interleave(lengths)
    weights = steepness.sub_(relative_to).exp_()
    return value, _by_row(torch.mean, weights * odds, lengths), steepest.exp()


def _places(counts: Bool[Tensor, "rows places"]) -> Int[Tensor, " counted"]:
    """Where all rows' counted places lie, row after row; on the CPU numpy finds them several times faster."""
    if counts.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(counts.numpy()))
    return counts.reshape(-1).nonzero()[:, 0]


def _by_row(
    reduce: Callable[[Tensor, int], Tensor], values: Float[Tensor, "..."], lengths: Int[Tensor, " rows"] | None
) -> Float[Tensor, " rows"]:
    """One number for each row: of a matrix, or of rows of those lengths that lie one behind the other."""
    if lengths is None:
        return reduce(values, 1)
    return torch.stack([reduce(row, 0) for row in values.split(lengths.tolist())])


@dataclass
class Categorical(Head):
    """A softmax over classes, or a mean over several (masked positions, tokens, frames): s = mean of log p_y.

    Attributes:
        labels: The classes' names.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    name: str = "softmax"
    takes: ClassVar[tuple[type, ...]] = (At, Contrast)

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[Settled]) -> Int[Tensor, "rows ..."]:
        """The class of each softmax: the target, or what the model says; `OUTSIDE` where it does not count."""
        if logits.shape[-1] < 2:
            raise TargetError("a softmax over one class", "at least two", "explain the logit by a callable target")
        said = logits.argmax(-1)
        for row, target in enumerate(targets):
            if target is not None:
                said[row] = self._classes(target, said[row], logits.shape[-1]).to(said)
        return said

    def _classes(self, target: Any, said: Tensor, classes: int) -> Tensor:
        """One class for each softmax of a row."""
        if isinstance(target, At):
            if said.ndim != 1:
                raise TargetError(f"{target}, but there is one answer", "a class", "leave `At` out")
            place = in_range(target.position, len(said), {}, "position")
            own = said[place] if target.label is None else in_range(target.label, classes, self.labels)
            alone = torch.full_like(said, OUTSIDE)
            alone[place] = own
            return alone
        chosen = torch.as_tensor(target)
        if chosen.ndim and chosen.shape != said.shape:
            raise TargetError(
                f"{chosen.numel()} targets", f"one, or {said.numel()} (one per position)", "correct `target`"
            )
        for index in chosen.reshape(-1).tolist():
            in_range(index, classes, self.labels)
        return chosen

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """log p of the frozen classes, through their log-odds."""
        index = frozen.clamp(min=0).unsqueeze(-1)
        own = logits.gather(-1, index).squeeze(-1)
        others = logits.scatter(-1, index, -torch.inf).logsumexp(-1)
        counts = compared(operator.ne, frozen, OUTSIDE).reshape(len(logits), -1)
        value, drive, slope = mean_log_p((own - others).reshape(counts.shape), counts)
        said = logits.argmax(-1)
        same = (said == frozen).reshape(counts.shape)
        one = said if said.ndim == 1 else None
        return Reading(value, drive, slope, value.exp(), same.sum(1) / counts.sum(1), said=one)

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The class (or the classes) and its name."""
        indices = [i for i in frozen.reshape(-1).tolist() if i != OUTSIDE]
        if len(indices) == 1:
            return indices[0], self.label(indices[0])
        return indices, " ".join(self.label(i) for i in indices)


@dataclass
class Binary(Head):
    """One sigmoid per label: s = log of the probability of what the clean model says of one label, yes or no."""

    labels: Mapping[int, str] = field(default_factory=dict)
    name: str = "sigmoid"

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[Settled]) -> Int[Tensor, "rows 2"]:
        """The label (the likeliest, or the target) and the side that the clean model takes on it (±1)."""
        index = logits.argmax(-1)
        for row, target in enumerate(targets):
            if target is not None:
                index[row] = in_range(target, logits.shape[-1], self.labels)
        side = torch.where(logits.gather(-1, index.unsqueeze(-1)).squeeze(-1) > 0, 1, -1)
        return torch.stack([index, side], dim=-1)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """log σ(±z) of the frozen label and side."""
        index, side = frozen[:, :1].long(), frozen[:, 1]
        z = logits.gather(-1, index).squeeze(-1)
        drive = side * z
        value = logsigmoid(drive)
        return Reading(value, drive, torch.sigmoid(-drive), value.exp(), ((z > 0) == (side > 0)).float())

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The label, with "not" before it where the model says no."""
        index, side = int(frozen[0]), int(frozen[1])
        return index, self.label(index) if side > 0 else f"not {self.label(index)}"

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's likeliest labels with their probabilities."""
        return self._likeliest(logits.reshape(-1).sigmoid(), most)


@dataclass
class Regression(Head):
    """A value: s is one output, or the mean over all. A decision is kept while it moves by at most `tolerance`."""

    labels: Mapping[int, str] = field(default_factory=dict)
    tolerance: float = 0.1
    name: str = "value"

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[Settled]) -> Float[Tensor, "rows 2"]:
        """The output's index (−1 for the mean over all) and its clean value."""
        flat = logits.flatten(1)
        chosen = [-1 if t is None else in_range(t, flat.shape[1], self.labels) for t in targets]
        index = torch.tensor(chosen, device=logits.device)
        return torch.stack([index.to(flat.dtype), self._value(flat, index)], dim=-1)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The value, without a confidence."""
        value = self._value(logits.flatten(1), frozen[:, 0].long())
        near = (value - frozen[:, 1]).abs() <= self.tolerance * frozen[:, 1].abs()
        return Reading(value, value, torch.ones_like(value), None, near.float())

    @staticmethod
    def _value(flat: Tensor, index: Tensor) -> Tensor:
        picked = flat.gather(-1, index.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return torch.where(index < 0, flat.mean(-1), picked)

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The output's index and name."""
        index = int(frozen[0])
        return (None, "value") if index < 0 else (index, self.label(index))

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's values."""
        return [(self.label(i) if self.labels else "value", float(v)) for i, v in enumerate(logits.reshape(-1)[:most])]


@dataclass
class Custom(Head):
    """A score that the user wrote: any callable from the model's outputs to `(rows,)` real numbers."""

    function: Callable[[Any], Tensor]
    name: str = "callable"

    def freeze(self, logits: Any, targets: Sequence[Settled]) -> Float[Tensor, "rows 1"]:
        """The clean values."""
        value = self._value(logits).detach()
        if len(value) != len(targets):
            raise TargetError(
                f"{len(value)} values from the target", f"{len(targets)}, one per row", "correct `target`"
            )
        return value.unsqueeze(-1)

    def read(self, logits: Any, frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The callable's value; without a confidence."""
        value = self._value(logits)
        if len(value) != len(frozen):
            raise TargetError(f"{len(value)} values from the target", f"{len(frozen)}, one per row", "correct `target`")
        near = (value - frozen[:, 0]).abs() <= 0.1 * frozen[:, 0].abs()
        return Reading(value, value, torch.ones_like(value), None, near.float())

    def _value(self, outputs: Any) -> Tensor:
        value = self.function(outputs)
        if not isinstance(value, Tensor) or value.ndim != 1 or not value.is_floating_point():
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise TargetError(f"{got} from the target", "a real tensor of shape (rows,)", "correct the callable")
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The callable's name."""
        return None, getattr(self.function, "__name__", type(self.function).__name__)


def logits_of(outputs: Any) -> Tensor:
    """The logits among a model's outputs: a tensor, `outputs.logits`, or the first of a tuple.

    Raises:
        ModelError: If there are none.
    """
    if isinstance(outputs, Tensor):
        return outputs
    logits = getattr(outputs, "logits", None)
    if logits is None and isinstance(outputs, tuple) and outputs:
        logits = outputs[0]
    if not isinstance(logits, Tensor):
        got = f"outputs {type(outputs).__name__} without logits"
        raise ModelError(
            got, "a tensor or outputs with `logits`", "explain a model with a head, or pass a callable target"
        )
    return logits
