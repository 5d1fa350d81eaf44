"""One-to-one matching of known detections with a model's queries, by the largest total gain."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hf_fourier.typing import Bool, Float, Int, Tensor


def matched(gain: Float[Tensor, "queries known"]) -> Int[Tensor, " known"]:
    """One query for each known detection, distinct, with the largest total gain; on the CPU."""
    from scipy.optimize import linear_sum_assignment

    queries, known = linear_sum_assignment(gain.numpy(), maximize=True)
    return torch.as_tensor(queries)[torch.as_tensor(known).argsort()]


def matched_rows(
    gains: Sequence[Float[Tensor, "queries known"]], real: Sequence[Bool[Tensor, " known"]]
) -> Int[Tensor, "rows known"]:
    """The matching of each row's real detections; the others get query 0. All on the CPU.

    Args:
        gains: Of each row, the gain of each pair.
        real: Of each row, which detections there are.
    """
    queries = torch.zeros(len(gains), gains[0].shape[1], dtype=torch.long)
    for row, (gain, own) in enumerate(zip(gains, real, strict=True)):
        queries[row, own] = matched(gain[:, own])
    return queries


def own_queries(
    p: Float[Tensor, "rows queries known"],
    overlap: Float[Tensor, "rows queries known"],
    is_best: Bool[Tensor, "rows known"],
    real: Bool[Tensor, "rows known"],
) -> tuple[Int[Tensor, "rows known"], Bool[Tensor, " rows"]]:
    """The matching of detections with the queries that they were found at, without a wait for an accelerator.

    Of the input that they were found in it is the best one. Let detection k be found at query k, p_qk be the
    probability of its class at query q, and o_qk the overlap, at most o_kk. Where k's class is the likeliest at its
    query, exchanging queries of detections cannot gain (p_qk ≤ p_qq); and giving one up for a query without a
    detection gains nothing if `p_qk + o_qk ≤ o_kk + p_jj` for all detections k and j and all such queries q. That is
    checked. A single detection takes the query with its largest gain.

    Args:
        p: The probability of each detection's class at each query.
        overlap: Their overlap.
        is_best: Whether each query's likeliest class is that of the detection of the same number.
        real: Which detections there are.

    Returns:
        The query of each detection; of each row, whether this is known to be the best matching.
    """
    gain, own = p + overlap, torch.arange(p.shape[2], device=p.device).expand(len(p), -1)
    alone = real.sum(1) == 1
    free = gain.masked_fill(real.unsqueeze(2), -torch.inf).amax(1)
    least = p.diagonal(dim1=1, dim2=2).masked_fill(~real, torch.inf).amin(1, keepdim=True)
    placed = overlap.diagonal(dim1=1, dim2=2)
    kept = is_best & (overlap.amax(1) <= placed) & (free - placed <= least)
    return torch.where(alone.unsqueeze(1), gain.argmax(1), own), alone | (kept | ~real).all(1)
