"""Fast log-odds and decisions of many positions at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from hf_fourier.torch_state import has_float64
from hf_fourier.typing import Bool, Float, Int, Num, Tensor

#: Above it softplus is the identity, in float64 too.
SURE = 40
#: Log-odds beyond it are as good as infinite.
BOUND = 1e30
#: A reference that is surer than these log-odds is softened to them, since the gradient of its divergence underflows.
SUREST_REFERENCE = 10.0
#: Logits of at most so many numbers a row are compared in float64: of a mask over many classes that would fill memory.
EXACT_LOGITS = 2**20


def count_where(how: Callable[[Any, Any], Any], a: Num[Tensor, "..."], b: Tensor | float) -> Bool[Tensor, "..."]:
    """`how(a, b)`, an operator of comparison, entry by entry; on the CPU numpy is many times faster."""
    if a.device.type != "cpu" or a.dtype == torch.bfloat16:
        return torch.as_tensor(how(a, b))
    return torch.as_tensor(how(a.detach().numpy(), b.detach().numpy() if isinstance(b, Tensor) else b))


def all_true(flags: Bool[Tensor, "..."]) -> bool:
    """`flags.all()`; on the CPU numpy's is many times faster."""
    return bool(flags.numpy().all() if flags.device.type == "cpu" else flags.all())


def mean_log_probability(
    odds: Float[Tensor, "rows places"], counts: Bool[Tensor, "rows places"]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """The value, the margin and the slope d value / d margin of the mean of log p = log σ(odds) over counted positions.

    Each row counts at least one. d log p / d odds = σ(−odds) is taken relative to the row's largest: of a sure model
    all of them underflow. Where no gradient is taken, the margin is the value.
    """
    # With β = −1 softplus is log σ, and of many places many times faster than logsigmoid.
    if counts.shape[1] == 1:  # that counts; a dozen operations fewer, which small models notice
        own = odds[:, 0]
        return softplus(own, -1, SURE), own, softplus(own.detach(), threshold=SURE).neg_().exp_()
    if counts.device.type != "cpu":
        return _masked_mean(odds, counts)
    lengths = None
    if not all_true(counts):
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


def _masked_mean(
    odds: Float[Tensor, "rows places"], counts: Bool[Tensor, "rows places"]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """The same on an accelerator, where to pick out the counted positions would be waited for."""
    odds, number = torch.where(counts, odds, 0), counts.sum(1)
    log_p = softplus(odds, -1, SURE)
    value = torch.where(counts, log_p, 0).sum(1) / number
    if not torch.is_grad_enabled():
        return value, value, torch.ones_like(value)
    steepness = log_p.detach().clamp(min=-BOUND).sub_(odds.detach().clamp(min=-BOUND))
    steepest = steepness.masked_fill(~counts, -torch.inf).amax(1)
    weights = torch.where(counts, (steepness - steepest.unsqueeze(1)).exp(), 0)
    return value, (weights * odds).sum(1) / number, steepest.exp()


def softmax_divergence(
    logits: Float[Tensor, "rows places classes"],
    reference: Float[Tensor, "rows places classes"],
    counts: Bool[Tensor, "rows places"] | None = None,
) -> Float[Tensor, " rows"]:
    """`KL(softmax(reference) || softmax(logits))`, the mean over counted places, in float64 up to `EXACT_LOGITS`.

    Where the likeliest class of every counted place is further than `SUREST_REFERENCE` above the next one, both are
    divided by a temperature that brings the least sure place there: their divergence would be at rounding level.
    """
    wide = has_float64(logits.device) and logits[0].numel() <= EXACT_LOGITS
    kind = torch.float64 if wide else logits.dtype
    z, r = (part.to(kind).clamp(min=-BOUND) for part in (logits, reference.detach()))
    lead = r.topk(2, dim=-1).values
    margin = lead[..., 0] - lead[..., 1]
    if counts is not None:
        margin = margin.masked_fill(~counts, torch.inf)
    temperature = (margin.amin(1) / SUREST_REFERENCE).clamp(min=1).view(-1, 1, 1)
    log_p, log_q = (z / temperature).log_softmax(-1), (r / temperature).log_softmax(-1)
    places = (log_q.exp() * (log_q - log_p)).sum(-1)
    if counts is None:
        return places.mean(1)
    return (places * counts).sum(1) / counts.sum(1)


def of_two_sides(logits: Float[Tensor, "..."]) -> Float[Tensor, "... 2"]:
    """A sigmoid's logits as those of a softmax over no and yes."""
    return torch.stack([torch.zeros_like(logits), logits], dim=-1)


def _places(counts: Bool[Tensor, "rows places"]) -> Int[Tensor, " counted"]:
    """The flat indices of all rows' counted positions, row by row; on the CPU numpy finds them several times faster."""
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
