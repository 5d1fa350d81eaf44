"""Heads of classes and values, and scores that a user wrote."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch.nn.functional import logsigmoid

from hf_fourier.errors import TargetError
from hf_fourier.scoring.heads.base import Head, Reading, misnamed
from hf_fourier.scoring.heads.log_odds import count_where, mean_log_probability, of_two_sides, softmax_divergence
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.targets import IGNORED, Contrast, Position, ResolvedTarget, checked_index
from hf_fourier.typing import Float, Int, Num, Tensor

#: Note on a single output whose kind the config does not give.
ASSUMED_VALUE = (
    "the model has one output and its config no problem_type: it is explained as a value; to explain a sigmoid's "
    "probability, set model.config.problem_type = 'multi_label_classification'"
)


@dataclass
class Categorical(Head):
    """A softmax over classes, or a mean over several (masked positions, tokens, frames): s = mean of log p_y.

    Attributes:
        labels: The classes' names.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    name: str = "softmax"
    target_types: ClassVar[tuple[type, ...]] = (Position, Contrast)

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Int[Tensor, "rows ..."]:
        """The class of each softmax: the target, or the prediction; `IGNORED` where it does not count."""
        if logits.shape[-1] < 2:
            raise TargetError("a softmax over one class", "at least two", "explain the logit by a callable target")
        predicted = logits.argmax(-1)
        for row, target in enumerate(targets):
            if target is not None:
                classes = self._classes(target, predicted[row], logits.shape[-1])
                predicted[row] = to_device(classes.to(predicted.dtype), predicted.device)
        return predicted

    def _classes(self, target: Any, predicted: Tensor, classes: int) -> Tensor:
        """One class for each softmax of a row."""
        if isinstance(target, Position):
            if predicted.ndim != 1:
                got = f"{target} for a model with one prediction per example"
                raise TargetError(got, "a class", "leave `Position` out")
            place = checked_index(target.position, len(predicted), {}, "position")
            index = predicted[place] if target.label is None else checked_index(target.label, classes, self.labels)
            alone = torch.full_like(predicted, IGNORED)
            alone[place] = index
            return alone
        chosen = torch.as_tensor(target)
        if chosen.ndim and chosen.shape != predicted.shape:
            expected = f"one, or {predicted.numel()} (one per position)" if predicted.ndim else "one"
            raise TargetError(f"{chosen.numel()} targets", expected, "for one target per example pass targets=")
        for index in chosen.reshape(-1).tolist():
            checked_index(index, classes, self.labels)
        return chosen

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """log p of the frozen classes, through their log-odds."""
        index = frozen.clamp(min=0).unsqueeze(-1)
        logit = logits.gather(-1, index).squeeze(-1)
        others = logits.scatter(-1, index, -torch.inf).logsumexp(-1)
        predicted, odds = logits.argmax(-1), logit - others
        if frozen.ndim == 1:  # one softmax, which counts
            value, margin, dvalue_dmargin = mean_log_probability(odds.unsqueeze(1), index >= 0)
            agreement = (predicted == frozen).float()
            return Reading(value, margin, dvalue_dmargin, value.exp(), agreement, None, predicted, margin)
        counts = count_where(operator.ne, frozen, IGNORED).reshape(len(logits), -1)
        value, margin, dvalue_dmargin = mean_log_probability(odds.reshape(counts.shape), counts)
        agreement = (predicted == frozen).reshape(counts.shape).sum(1).float() / counts.sum(1)
        log_odds = margin if counts.shape[1] == 1 else None
        return Reading(value, margin, dvalue_dmargin, value.exp(), agreement, None, None, log_odds)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The Kullback-Leibler divergence, the mean over the softmaxes that count."""
        rows, classes = len(logits), logits.shape[-1]
        counts = count_where(operator.ne, frozen, IGNORED).reshape(rows, -1).to(logits.device)
        return softmax_divergence(logits.reshape(rows, -1, classes), reference.reshape(rows, -1, classes), counts)

    def with_decision(
        self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, "rows ..."]:
        """The logits with those of the likeliest class and the target exchanged, at each place that counts."""
        predicted, wanted = logits.argmax(-1), frozen.to(logits.device).long()
        pair = torch.stack([predicted, torch.where(wanted == IGNORED, predicted, wanted)], dim=-1)
        return logits.scatter(-1, pair, logits.gather(-1, pair.flip(-1)))

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The class (or the classes) and its name."""
        indices = [i for i in frozen.reshape(-1).tolist() if i != IGNORED]
        if len(indices) == 1:
            return indices[0], self.label(indices[0])
        return indices, " ".join(self.label(i) for i in indices)


@dataclass
class Binary(Head):
    """One sigmoid per label: s = log of the probability of the clean prediction for one label, yes or no."""

    labels: Mapping[int, str] = field(default_factory=dict)
    name: str = "sigmoid"

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Int[Tensor, "rows 2"]:
        """The label (the most probable one, or the target) and the side of the clean prediction (±1)."""
        index = logits.argmax(-1)
        for row, target in enumerate(targets):
            if target is not None:
                index[row] = checked_index(target, logits.shape[-1], self.labels)
        side = torch.where(logits.gather(-1, index.unsqueeze(-1)).squeeze(-1) > 0, 1, -1)
        return torch.stack([index, side], dim=-1)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """log σ(±z) of the frozen label and side."""
        index, side = frozen[:, :1].long(), frozen[:, 1]
        z = logits.gather(-1, index).squeeze(-1)
        margin = side * z
        value = logsigmoid(margin)
        agreement = ((z > 0) == (side > 0)).float()
        return Reading(value, margin, torch.sigmoid(-margin), value.exp(), agreement, log_odds=margin)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The mean over all labels of the divergence of yes and no."""
        return softmax_divergence(of_two_sides(logits), of_two_sides(reference))

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The label, with "not" before it where the prediction is no."""
        index, side = int(frozen[0]), int(frozen[1])
        return index, self.label(index) if side > 0 else f"not {self.label(index)}"

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's most probable labels with their probabilities."""
        return self._most_probable(logits.reshape(-1).sigmoid(), most)


@dataclass
class Regression(Head):
    """A value: s is one output, or the mean over all. A decision is kept while it moves by at most `tolerance`.

    Attributes:
        labels: The outputs' names.
        tolerance: The change, relative to the clean value, up to which a decision is kept.
        outputs: The number of outputs in the config; 0 where it has none (a map, a forecast).
        assumed: Whether only the number of outputs suggests that they are values.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    tolerance: float = 0.1
    name: str = "value"
    outputs: int = 0
    assumed: bool = False

    def fits(self, logits: Float[Tensor, "rows ..."]) -> tuple[str, ...]:
        """Check that there are as many outputs as in the config; note the assumption on a single one."""
        outputs = logits[0].numel()
        if self.outputs and outputs != self.outputs:
            raise misnamed(f"{self.outputs} output{'s' * (self.outputs != 1)}", outputs)
        return (ASSUMED_VALUE,) if self.assumed else ()

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Float[Tensor, "rows 2"]:
        """The output's index (−1 for the mean over all) and its clean value."""
        flat = logits.flatten(1)
        chosen = [-1 if t is None else checked_index(t, flat.shape[1], self.labels) for t in targets]
        index = to_device(torch.tensor(chosen), logits.device)
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

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """The first values of each row."""
        return (logits.reshape(len(logits), -1)[:, :most],)

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's values."""
        return [(self.label(i) if self.labels else "value", float(v)) for i, v in enumerate(logits.reshape(-1)[:most])]


@dataclass
class CustomTarget(Head):
    """A custom score: any callable from the model's outputs to `(rows,)` real numbers."""

    function: Callable[[Any], Tensor]
    name: str = "callable"

    def freeze(self, logits: Any, targets: Sequence[ResolvedTarget]) -> Float[Tensor, "rows 1"]:
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
