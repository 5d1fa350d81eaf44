"""Heads of dense predictions: a class for every pixel or voxel, explained as a whole mask."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.errors import TargetError
from hf_fourier.scoring.heads import Head, Reading
from hf_fourier.scoring.heads.log_odds import count_where, mean_log_probability, of_two_sides, softmax_divergence
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.targets import IGNORED, Region, ResolvedTarget, checked_index
from hf_fourier.typing import Float, Int, Num, Tensor, tensor_of

#: So few classes are counted one by one, which is faster than a histogram.
FEW_CLASSES = 8


@dataclass
class Mask(Head):
    """A mask: s is the mean over the clean mask's positions of log p of their class; its agreement is Dice.

    With several classes and no target every place counts, with the class the clean model gives it; a target counts
    the places of that class alone, or, where the clean model gives it to none, all of them. With one logit per place (a
    sigmoid) the foreground counts, or, where the clean model finds none, the whole background; its decision is then
    kept, with a Dice of 1, as long as no foreground is found.

    Attributes:
        labels: The classes' names.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    name: str = "mask"
    target_types: ClassVar[tuple[type, ...]] = (Region,)

    def fits(self, logits: Float[Tensor, "rows classes ..."]) -> tuple[str, ...]:
        """Check that the classes that have names are those of the logits; one logit stands for two."""
        return self._named(max(2, logits.shape[1])) if self.labels else ()

    def freeze(
        self, logits: Float[Tensor, "rows classes ..."], targets: Sequence[ResolvedTarget]
    ) -> Int[Tensor, "rows ..."]:
        """The class of each position that counts, −1 elsewhere."""
        frozen, classes = _predicted(logits), max(2, logits.shape[1])
        for row, target in zip(frozen, targets, strict=True):
            if isinstance(target, Region):
                row.copy_(_from_region(target, row, classes))
                continue
            wanted: Any = None if target is None else checked_index(target, classes, self.labels)
            if wanted is None and logits.shape[1] == 1:
                wanted = (row == 1).any().to(row.dtype)
            if wanted is not None:
                others = row != wanted
                row.copy_(torch.where(others, torch.where(others.all(), wanted, IGNORED).to(row.dtype), row))
        return frozen

    def read(self, logits: Float[Tensor, "rows classes ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The mean log-probability over the positions that count, and the Dice of their mask."""
        odds, predicted = _log_odds(logits, frozen)
        value, margin, dvalue_dmargin = mean_log_probability(
            odds.flatten(1), count_where(operator.ne, frozen, IGNORED).flatten(1)
        )
        if predicted.device.type != "cpu":
            agreement = _dice_there(predicted, frozen.to(predicted.device), max(2, logits.shape[1]))
            if logits.shape[1] == 1:
                now, then = ((mask != 0).flatten(1).any(1) for mask in (predicted, frozen.to(predicted.device)))
                agreement = torch.where(then, agreement, (~now).float())
        else:
            agreement = _foreground_dice(predicted, frozen) if logits.shape[1] == 1 else dice(predicted, frozen)
        return Reading(value, margin, dvalue_dmargin, value.exp(), agreement, predicted)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The mean of the Kullback-Leibler divergence over the positions that count."""
        both = [of_two_sides(z[:, 0]) if z.shape[1] == 1 else z.movedim(1, -1) for z in (logits, reference)]
        z, r = (part.flatten(1, -2) for part in both)
        return softmax_divergence(z, r, count_where(operator.ne, frozen, IGNORED).flatten(1).to(z.device))

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The class, where one alone counts, and its name."""
        classes = sorted(class_areas(frozen))
        if len(classes) == 1:
            return classes[0], self.label(classes[0])
        return None, f"mask of {len(classes)} classes"

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """On an accelerator the positions of each class, shape `(rows, classes)`, and how many there are in all."""
        if logits.device.type == "cpu":
            return (logits,)
        predicted = _predicted(logits).flatten(1).long()
        areas = predicted.new_zeros(len(logits), max(2, logits.shape[1]))
        areas.scatter_add_(1, predicted, torch.ones_like(predicted))
        return areas, areas.sum(1)

    def name_best(self, *best: Tensor) -> list[list[tuple[str, float]]]:
        """The largest classes of each row."""
        if len(best) == 1:
            return super().name_best(*best)
        rows = zip(best[0].tolist(), best[1].tolist(), strict=True)
        return [self._largest({c: n for c, n in enumerate(areas) if n}, total) for areas, total in rows]

    def _largest(self, areas: Mapping[int, int], total: int, most: int = 5) -> list[tuple[str, float]]:
        largest = sorted(areas.items(), key=lambda pair: -pair[1])[:most]
        return [(self.label(c), count / total) for c, count in largest]

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The largest classes, with their fractions of all positions."""
        predicted = _predicted(logits.unsqueeze(0))
        return self._largest(class_areas(predicted), predicted.numel(), most)


def _from_region(target: Region, predicted: Int[Tensor, "..."], classes: int) -> Int[Tensor, "..."]:
    """A given mask, checked."""
    given = tensor_of(target.classes)
    if given.is_floating_point() or given.is_complex() or given.shape != predicted.shape:
        got = f"a region of {given.dtype} and shape {tuple(given.shape)}"
        raise TargetError(got, f"whole numbers of shape {tuple(predicted.shape)}", "resize it to the model's own mask")
    given = given.to(predicted.dtype)
    if int(given.min()) < IGNORED or int(given.max()) >= classes or not bool((given != IGNORED).any()):
        got = f"a region of classes {int(given.min())} to {int(given.max())}"
        raise TargetError(got, f"0 to {classes - 1}, or −1 where it does not count", "correct `target`")
    return to_device(given, predicted.device)


def decisions(logits: Float[Tensor, "rows classes ..."]) -> Int[Tensor, "rows ..."]:
    """The class of each position: the largest logit, or with one logit its side of 0."""
    return _predicted(logits).long()


def _predicted(logits: Float[Tensor, "rows classes ..."]) -> Int[Tensor, "rows ..."]:
    """The same in the smallest integer type, for results."""
    if logits.shape[1] > 2:
        return logits.argmax(1).to(torch.int16)
    return _positive(_margin(logits))


def _positive(margin: Float[Tensor, "rows ..."]) -> Int[Tensor, "rows ..."]:
    """Class 1 where the margin is above 0, else 0."""
    return count_where(operator.gt, margin, 0).to(torch.int16)


def _margin(logits: Float[Tensor, "rows few ..."]) -> Float[Tensor, "rows ..."]:
    """The log-odds of class 1 where there are two classes, or one logit."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    zero, one = logits.unbind(1)
    return one - zero


def _log_odds(
    logits: Float[Tensor, "rows classes ..."], frozen: Num[Tensor, "rows ..."]
) -> tuple[Float[Tensor, "rows ..."], Int[Tensor, "rows ..."]]:
    """The log-odds of each position's frozen class (arbitrary where it does not count), and its predicted class."""
    if logits.shape[1] > 2:
        index = frozen.clamp(min=0).long().unsqueeze(1)
        others = logits.scatter(1, index, -torch.inf).logsumexp(1)
        return logits.gather(1, index).squeeze(1) - others, _predicted(logits.detach())
    margin = _margin(logits)
    signs = frozen.to(margin.dtype).mul_(2).sub_(1)
    odds = margin * signs if margin.requires_grad else signs.mul_(margin)
    return odds, _positive(margin.detach())


def class_areas(classes: Int[Tensor, "..."]) -> dict[int, int]:
    """The number of counted positions of each class that has any."""
    low, high = (int(end) for end in torch.aminmax(classes))
    if classes.device.type == "cpu" and high - low < FEW_CLASSES:
        values = classes.numpy()
        found = {c: int(np.count_nonzero(values == c)) for c in range(max(0, low), high + 1)}
    else:
        found = dict(enumerate(torch.bincount(classes.reshape(-1) - IGNORED)[1:].tolist()))
    return {c: count for c, count in found.items() if count}


def _foreground_dice(predicted: Int[Tensor, "rows ..."], frozen: Int[Tensor, "rows ..."]) -> Float[Tensor, " rows"]:
    """Dice of masks of a sigmoid: of the foreground even if the clean mask has none."""
    scores = dice(predicted, frozen)
    for row, (now, then) in enumerate(zip(predicted, frozen, strict=True)):
        if not _foreground(then):
            scores[row] = float(not _foreground(now))
    return scores


def _foreground(classes: Int[Tensor, "..."]) -> bool:
    """Whether any position is not 0; on the CPU numpy is several times faster."""
    return bool((classes.numpy() if classes.device.type == "cpu" else classes).any())


def dice(predicted: Int[Tensor, "rows ..."], frozen: Int[Tensor, "rows ..."]) -> Float[Tensor, " rows"]:
    """Dice of the predicted mask against the frozen one, 0 to 1, the mean over the classes that count.

    For a class c it is `2 |A and B| / (|A| + |B|)`; two empty masks score 1. Where only some places counted, the
    frozen mask is those places and everything else is outside of it.
    """
    scores = []
    for now, then in zip(predicted, frozen, strict=True):
        if torch.equal(now, then):
            scores.append(torch.ones((), device=predicted.device, dtype=torch.float32))
            continue
        a, b, both = _shared(now, then)
        parts = ((2 * both).float() / (a + b))[b > 0]
        scores.append(parts.mean() if len(parts) else torch.ones((), device=predicted.device, dtype=torch.float32))
    return torch.stack(scores).float()


def _dice_there(
    predicted: Int[Tensor, "rows ..."], frozen: Int[Tensor, "rows ..."], classes: int
) -> Float[Tensor, " rows"]:
    """`dice` on an accelerator, of all rows at once, so that no row's masks have to be looked at by the host."""
    now, then = (mask.flatten(1).long() for mask in (predicted, frozen))
    pairs = (then - IGNORED) * classes + now
    table = pairs.new_zeros(len(pairs), (classes + 1) * classes).scatter_add_(1, pairs, torch.ones_like(pairs))
    table = table.unflatten(1, (classes + 1, classes))  # the first line is of positions that do not count
    a, b, both = table.sum(1), table[:, 1:].sum(2), table[:, 1:].diagonal(dim1=1, dim2=2)
    parts = torch.where(b > 0, (2 * both).float() / (a + b).clamp(min=1), 0)
    counted = (b > 0).sum(1)
    return torch.where(counted > 0, parts.sum(1) / counted.clamp(min=1), 1.0)


def _shared(now: Int[Tensor, "..."], then: Int[Tensor, "..."]) -> tuple[Tensor, Tensor, Tensor]:
    """The number of positions of each class in the predicted mask, in the frozen one, and in both."""
    classes = 1 + int(torch.maximum(now.amax(), then.amax()))
    if now.device.type == "cpu" and classes <= FEW_CLASSES:
        now_has, then_had, both_have = torch.tensor(_counted(now.numpy(), then.numpy(), classes)).unbind(1)
        return now_has, then_had, both_have
    pairs_seen = (then.flatten().int() - IGNORED) * classes + now.flatten()
    both = torch.bincount(pairs_seen, minlength=(classes + 1) * classes).view(classes + 1, classes)
    return both.sum(0), both[1:].sum(1), both[1:].diagonal()


def _counted(now: np.ndarray, then: np.ndarray, classes: int) -> list[list[int]]:
    """The same for each of a few classes."""
    shared = classes == 2 and int(then.min()) > IGNORED  # then the first class is what the second leaves
    pairs = [(now == c, then == c) for c in range(int(shared), classes)]
    counts = [[int(np.count_nonzero(part)) for part in (a, b, a & b)] for a, b in pairs]
    if shared:
        a, b, both = counts[0]
        counts = [[now.size - a, now.size - b, now.size - a - b + both], *counts]
    return counts
