"""Heads of dense predictions: a class for every pixel or voxel, explained as a whole mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_fourier.targets import OUTSIDE, Head, Reading, Settled, in_range, mean_log_p
from hf_fourier.typing import Float, Int, Num, Tensor


@dataclass
class Mask(Head):
    """A mask: s is the mean over the clean mask's places of log p of their class; its decision is kept as Dice.

    With several classes and no target every place counts, with the class the clean model gives it; a target counts
    the places of that class alone, or, where the clean model gives it to none, all of them. With one logit per place (a
    sigmoid) the foreground counts, or, where the clean model finds none, the whole background; its decision is then
    kept, with a Dice of 1, as long as no foreground is found.

    Attributes:
        labels: The classes' names.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    name: str = "mask"

    def freeze(self, logits: Float[Tensor, "rows classes ..."], targets: Sequence[Settled]) -> Int[Tensor, "rows ..."]:
        """The class of each place that counts, −1 elsewhere."""
        said = decisions(logits)
        maps = []
        for row, target in zip(said, targets, strict=True):
            classes = max(2, logits.shape[1])
            wanted = None if target is None else in_range(target, classes, self.labels)
            if wanted is None and logits.shape[1] == 1:
                wanted = int(bool((row == 1).any()))
            counted = row if wanted is None else torch.where(row == wanted, row, OUTSIDE)
            if not bool((counted != OUTSIDE).any()):
                counted = torch.full_like(row, int(wanted or 0))
            maps.append(counted)
        return torch.stack(maps).to(torch.int16)

    def read(self, logits: Float[Tensor, "rows classes ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The mean log-probability over the places that count, and the Dice of their mask."""
        counts = (frozen != OUTSIDE).flatten(1)
        own = frozen.clamp(min=0).long()
        if logits.shape[1] == 1:
            z = logits[:, 0]
            odds = torch.where(own == 1, z, -z).flatten(1)
        else:
            index = own.unsqueeze(1)
            others = logits.scatter(1, index, -torch.inf).logsumexp(1)
            odds = (logits.gather(1, index).squeeze(1) - others).flatten(1)
        value, drive, slope = mean_log_p(odds, counts)
        said = decisions(logits.detach())
        if logits.shape[1] == 1:
            agrees = torch.stack([_overlap(*pair) for pair in zip(said, frozen.long(), strict=True)])
        else:
            agrees = dice(said, frozen.long())
        return Reading(value, drive, slope, value.exp(), agrees, said.to(torch.int16))

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The class, where one alone counts, and its name."""
        classes = sorted(areas(frozen))
        if len(classes) == 1:
            return classes[0], self.label(classes[0])
        return None, f"mask of {len(classes)} classes"

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The classes that cover most, with their shares of all places."""
        said = decisions(logits.unsqueeze(0))
        largest = sorted(areas(said).items(), key=lambda pair: -pair[1])[:most]
        return [(self.label(c), count / said.numel()) for c, count in largest]


def decisions(logits: Float[Tensor, "rows classes ..."]) -> Int[Tensor, "rows ..."]:
    """The class of each place: the largest logit, or with one logit its side of 0."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).long()
    if logits.shape[1] == 2:  # many times faster than argmax over a dimension that is not the last
        return (logits[:, 1] > logits[:, 0]).long()
    return logits.argmax(1)


def areas(classes: Int[Tensor, "..."]) -> dict[int, int]:
    """How many places each class has, where it has any and they count."""
    counts = torch.bincount(classes.reshape(-1).long() - OUTSIDE)[1:].tolist()
    return {c: count for c, count in enumerate(counts) if count}


def _overlap(said: Int[Tensor, "..."], frozen: Int[Tensor, "..."]) -> Float[Tensor, ""]:
    """Dice of one mask of a sigmoid: of the foreground also where the clean model finds none anywhere."""
    nothing = bool((frozen == 0).all())
    return _dice_of(said, frozen, 1) if nothing else dice(said.unsqueeze(0), frozen.unsqueeze(0))[0]


def _dice_of(now: Int[Tensor, "..."], then: Int[Tensor, "..."], of: int) -> Float[Tensor, ""]:
    """Dice of one class, 1 where neither has it."""
    a, b = now == of, then == of
    total = a.sum() + b.sum()
    return torch.where(total > 0, 2 * (a & b).sum() / total.clamp(min=1), 1.0).float()


def dice(said: Int[Tensor, "rows ..."], frozen: Int[Tensor, "rows ..."]) -> Float[Tensor, " rows"]:
    """Dice of the mask that is predicted against the frozen one, 0 to 1, the mean over the classes that count.

    For a class c it is `2 |A and B| / (|A| + |B|)`; two empty masks score 1. Where only some places counted, the
    frozen mask is those places and everything else is outside of it.
    """
    scores = []
    for now, then in zip(said, frozen, strict=True):
        parts = [_dice_of(now, then, c) for c in areas(then)]
        scores.append(torch.stack(parts).mean() if parts else torch.ones((), device=said.device))
    return torch.stack(scores).float()
