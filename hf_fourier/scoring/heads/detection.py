"""The head of object detection and universal segmentation: queries with a class and a box or a mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch

from hf_fourier.errors import ModelError
from hf_fourier.scoring.heads import Head, Reading, misnamed
from hf_fourier.scoring.heads.log_odds import mean_log_probability, of_two_sides, softmax_divergence
from hf_fourier.scoring.heads.matching import matched_rows, own_queries
from hf_fourier.scoring.pending import Pending, fetch, to_device
from hf_fourier.scoring.targets import IGNORED, Position, ResolvedTarget, checked_index
from hf_fourier.typing import Bool, Float, Int, Num, Tensor

#: The probability of a class from which a query counts as a detection.
FOUND = 0.5
#: Two boxes or masks that overlap by this much (intersection over union) match.
SAME_PLACE = 0.5


@dataclass(frozen=True)
class _Pairs:
    """Pairs of a query and a clean detection.

    Attributes:
        odds, p: The log-odds and the probability of the detection's class at the query, `(rows, queries, known)`.
        overlap: Intersection over union, `(rows, queries, known)`.
        best: The likeliest class of each query, `(rows, queries)`.
        classes, to_reach: The class of each detection, and the probability from which it is detected again,
            `(rows, known)`.
        real: Which of them there are, `(rows, known)`.
    """

    odds: Float[Tensor, "rows queries known"]
    p: Float[Tensor, "rows queries known"]
    overlap: Float[Tensor, "rows queries known"]
    best: Int[Tensor, "rows queries"]
    classes: Int[Tensor, "rows known"]
    to_reach: Float[Tensor, "rows known"]
    real: Bool[Tensor, "rows known"]

    @property
    def gain(self) -> Float[Tensor, "rows queries known"]:
        """What is largest in sum where they are matched."""
        return self.p + self.overlap

    def reading(self, query: Int[Tensor, "rows known"]) -> Reading:
        """The reading, given the query of each detection."""
        odds, p, overlap = (pairs.gather(1, query.unsqueeze(1))[:, 0] for pairs in (self.odds, self.p, self.overlap))
        same = (p >= self.to_reach) & (self.best.gather(1, query) == self.classes)
        agreement = (same & (overlap >= SAME_PLACE) & self.real).sum(1) / self.real.sum(1)
        rest = (0, self.best.shape[1] - query.shape[1])
        picked = torch.nn.functional.pad(torch.where(self.real, odds, 0), rest)
        value, margin, dvalue_dmargin = mean_log_probability(picked, torch.nn.functional.pad(self.real, rest))
        return Reading(value, margin, dvalue_dmargin, value.exp(), agreement.float())

    def fetched(self) -> Reading:
        """The reading on the CPU, with one wait and without a gradient."""
        parts = [
            part.clone()
            for part in fetch([getattr(self, one.name).detach() for one in fields(self)])
            if part is not None
        ]
        here = _Pairs(*parts)
        return here.reading(matched_rows(list(here.gain), list(here.real)))


@dataclass
class Detections(Head):
    """Detected objects: s is the mean over the clean detections of log p of their class, each at its matched query.

    Detections are queries with p ≥ 0.5, or, where there are none, the most probable one. They are matched one to one to
    queries of the filtered input, by the class's probability and by overlap. The agreement is the fraction of them
    that is detected again: matched with the same class and an overlap of at least 0.5.

    Logits have the shape `(rows, queries, classes + extent)`: behind the classes' logits lies the box, or the mask.

    Attributes:
        labels: The classes' names.
        classes: The number of classes.
        boxes: Whether extents are boxes (centre, width, height); otherwise they are masks' logits.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    classes: int = 1
    boxes: bool = True
    name: str = "detections"
    target_types: ClassVar[tuple[type, ...]] = (Position,)

    def _split(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each query's log-odds and probabilities of all classes (without "nothing"), and its extent."""
        width = logits.shape[-1] - 4 if self.boxes else self.classes + 1
        z, extent = logits[..., :width], logits[..., width:]
        if width == self.classes + 1:  # a softmax in which the last is "nothing"
            whole = z.logsumexp(-1, keepdim=True)
            p = (z - whole).exp()
            return _log_odds(z)[..., :-1], p[..., :-1].detach(), extent.detach()
        return z, z.sigmoid().detach(), extent.detach()

    def fits(self, logits: Float[Tensor, "rows ..."]) -> tuple[str, ...]:
        """Check that boxes have a logit for each class that has a name, and at most one more, for "nothing".

        The number of logits in front of a mask is checked where they are concatenated.
        """
        width = logits.shape[-1] - 4
        if self.boxes and self.labels and width not in (self.classes, self.classes + 1):
            raise misnamed(f"{self.classes} classes", width - 1)
        return ()

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Float[Tensor, "rows ..."]:
        """Of each query the class (`IGNORED` where it does not count), the probability to reach, and its extent."""
        _, p, extent = self._split(logits)
        best = p.max(-1)
        resolved = []
        for row, target in enumerate(targets):
            confidence, predicted = best.values[row], best.indices[row]
            found = confidence >= FOUND
            if isinstance(target, Position):
                query = checked_index(target.position, len(predicted), {}, "query")
                if target.label is not None:
                    predicted = torch.full_like(predicted, checked_index(target.label, p.shape[-1], self.labels))
                found = torch.arange(len(predicted), device=predicted.device) == query
            elif target is not None:
                wanted = checked_index(target, p.shape[-1], self.labels)
                found = found & (predicted == wanted)
                likeliest = torch.arange(len(predicted), device=predicted.device) == p[row, :, wanted].argmax()
                predicted = torch.where(found.any(), predicted, wanted)
                found = torch.where(found.any(), found, likeliest)
            else:
                found = torch.where(found.any(), found, confidence == confidence.max())
            own = p[row].gather(-1, predicted.unsqueeze(-1)).squeeze(-1)
            to_reach = (own * (1 - 1e-4)).clamp(max=FOUND)
            place = extent[row] if self.boxes else (extent[row] > 0).to(extent)
            classes = torch.where(found, predicted, IGNORED).to(extent)
            resolved.append(torch.cat([classes.unsqueeze(1), to_reach.to(extent).unsqueeze(1), place], dim=1))
        return torch.stack(resolved)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The mean log-probability at the matched queries, and the fraction that is detected again.

        They are matched on the host, which waits for an accelerator once.
        """
        pairs = self._pairs(logits, frozen)
        gains, real = fetch([pairs.gain.detach(), pairs.real])
        assert gains is not None
        assert real is not None
        return pairs.reading(to_device(matched_rows(list(gains), list(real)), pairs.real.device))

    def read_pending(
        self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."], pending: Pending
    ) -> Reading:
        """The same. Detections of clean inputs are matched with the queries that they were found at, without a wait.

        Where the reading may be made on the CPU, all that is needed comes at once.
        """
        if logits.device.type == "cpu" or not (pending.here or (pending.clean and pending.trusting)):
            return self.read(logits, frozen)
        pairs = self._pairs(logits, frozen)
        if pending.here:
            return pairs.fetched()
        query, settled = own_queries(pairs.p, pairs.overlap, pairs.best == pairs.classes, pairs.real)
        pending.trust(settled)
        return pairs.reading(query)

    def _pairs(self, logits: Tensor, frozen: Tensor) -> _Pairs:
        """All pairs of a query and a clean detection."""
        odds, p, extent = self._split(logits)
        known = frozen.to(extent)
        real = known[..., 0] != IGNORED
        if p.device.type == "cpu":
            known, real = _counted_first(known, real)
        classes = known[..., 0].long().clamp(min=0)
        at = classes.unsqueeze(1).expand(-1, p.shape[1], -1)
        overlap = torch.stack([self._overlap(own, wanted[:, 2:]) for own, wanted in zip(extent, known, strict=True)])
        return _Pairs(odds.gather(2, at), p.gather(2, at), overlap, p.argmax(-1), classes, known[..., 1], real)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The mean over the queries of the divergence of their classes, and of how far boxes or masks are apart.

        That is the mean squared difference of boxes, and the divergence of in and out of masks, over all their places.
        """
        width = logits.shape[-1] - 4 if self.boxes else self.classes + 1
        z, r = logits[..., :width], reference[..., :width]
        if width != self.classes + 1:
            z, r = of_two_sides(z).flatten(1, 2), of_two_sides(r).flatten(1, 2)
        distance = softmax_divergence(z, r)
        if self.boxes:
            return distance + (logits - reference)[..., width:].square().flatten(1).mean(1)
        masks = [of_two_sides(part[..., width:]).flatten(1, 2) for part in (logits, reference)]
        return distance + softmax_divergence(*masks)

    def _overlap(self, extent: Tensor, known: Tensor) -> Float[Tensor, "queries known"]:
        """Intersection over union of all pairs."""
        if not self.boxes:
            here = (extent > 0).to(extent)
            both = here @ known.T
            return both / (here.sum(1, keepdim=True) + known.sum(1) - both).clamp(min=1)
        a, b = _corners(extent).unsqueeze(1), _corners(known).unsqueeze(0)
        sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
        both = sides.prod(-1)
        areas = [(c[..., 2:] - c[..., :2]).clamp(min=0).prod(-1) for c in (a, b)]
        return both / (areas[0] + areas[1] - both).clamp(min=1e-9)

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The detected classes, and how many of each."""
        classes = [int(c) for c in frozen[:, 0].tolist() if c != IGNORED]
        counts = Counter(map(self.label, classes))
        named = ", ".join(name if n == 1 else f"{n} × {name}" for name, n in counts.items())
        return (classes[0] if len(classes) == 1 else classes), named

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """On an accelerator the most confident queries of each row: their probabilities and classes."""
        if logits.device.type == "cpu":
            return (logits,)
        best = self._split(logits)[1].max(-1)
        top = best.values.topk(min(most, best.values.shape[1]), dim=1)
        return top.values, best.indices.gather(1, top.indices)

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The most confident queries, by their class."""
        best = self._split(logits)[1].max(-1)
        order = best.values.argsort(descending=True)[:most]
        return [(self.label(int(best.indices[i])), float(best.values[i])) for i in order]


def _log_odds(z: Tensor) -> Tensor:
    """`z_c - logsumexp_{j != c} z_j` for all classes c, in the last dimension, without cancellation."""
    size = z.shape[-1]
    own = torch.eye(size, dtype=torch.bool, device=z.device)
    return z - z.unsqueeze(-2).masked_fill(own, -torch.inf).logsumexp(-1)


def _counted_first(
    known: Float[Tensor, "rows queries numbers"], real: Bool[Tensor, "rows queries"]
) -> tuple[Float[Tensor, "rows known numbers"], Bool[Tensor, "rows known"]]:
    """What counts of each row in front, and no more places than the longest row fills."""
    most = int(real.sum(1).max())
    order = (~real).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    return known.gather(1, order.unsqueeze(-1).expand(-1, -1, known.shape[2])), real.gather(1, order)


def _corners(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """Boxes by two corners."""
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat([middle - half, middle + half], dim=1)


def boxes_of(predicted: Float[Tensor, "rows queries numbers"]) -> Float[Tensor, "rows queries 4"]:
    """Boxes (centre, width, height) as a model returns them; of quadrilaterals the boxes around them.

    Raises:
        ModelError: If they are neither.
    """
    if predicted.shape[-1] == 4:
        return predicted
    if predicted.shape[-1] != 10:  # a centre and the four corners' distances from it, moved by a half
        got = f"boxes of {predicted.shape[-1]} numbers"
        raise ModelError(got, "4 (centre, width, height), or 10 (a quadrilateral)", "pass a callable target")
    corners = predicted[..., None, :2] + predicted[..., 2:].unflatten(-1, (4, 2)) - 0.5
    low, high = corners.amin(-2), corners.amax(-2)
    return torch.cat([(low + high) / 2, high - low], dim=-1)
