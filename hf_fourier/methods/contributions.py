"""Evidence for or against the target: path-integrated contributions that any method's results can carry.

The gradient is averaged along the straight path from a reference to the example (integrated gradients, Sundararajan et
al. 2017, arXiv 1703.01365), and over references where there are several (expected gradients, Erion et al. 2021, arXiv
1906.10670). What is integrated is the log-odds of the answer where there are any, else the score: the log-probability
of a sure answer is flat near the example, and its gradient there is that of the few points where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

import torch

from hf_fourier.errors import InputError, whole_number
from hf_fourier.methods.path_gradients import Path, Quantity, gradients_at
from hf_fourier.registry import SPEC_NUMBER
from hf_fourier.results.contributions import Contributions
from hf_fourier.results.remarks import no_contributions
from hf_fourier.scoring.score import Score
from hf_fourier.torch_state import has_float64
from hf_fourier.typing import Float, Tensor


def checked_points(points: SupportsIndex | None) -> int | None:
    """The points of the option `contributions`, as a plain number.

    Raises:
        InputError: If it is no whole number from 0 to `registry.SPEC_NUMBER`, or None.
    """
    if points is None:
        return None
    expected = "a number of gradients along the path, such as 4, 0 for none, or None for the method's own"
    number = whole_number("contributions", points, 0, expected)
    if number > SPEC_NUMBER:
        raise InputError(f"contributions {number}", expected, "correct `contributions`")
    return number


def integrate(score: Score, x: Float[Tensor, "batch *signal"], points: int) -> tuple[Path, ...]:
    """One path from each reference of a batch; their mean `(x - start) * mean` are the contributions.

    For each reference it takes a forward and a backward pass at each point, the midpoints of equal pieces of the path,
    and one forward pass at the reference.

    Args:
        score: The batch, whose clean evaluation is used where there is one.
        x: The clean signals.
        points: Points on each path, at least 1.
    """
    clean = score.clean_reading()
    references = [(reference.signal.to(x), reference.words) for reference in score.references()]
    starts = [signal.expand_as(x) for signal, _ in references]
    quantity: Quantity = "score" if clean.log_odds is None else "log-odds"

    def point(j: int) -> Tensor:
        start = starts[j // points]
        return start + (j % points + 0.5) / points * (x - start)

    means = [torch.zeros_like(x) for _ in starts]
    for j, (gradient, slope) in enumerate(gradients_at(score, point, points * len(starts))):
        weight = slope / points if quantity == "score" else torch.full_like(slope, 1 / points)
        means[j // points] += gradient * weight.view(-1, *[1] * (x.ndim - 1))
    paths = []
    for (signal, text), start, mean in zip(references, starts, means, strict=True):
        difference = clean.evidence - score.value(start).evidence
        paths.append(Path(signal, mean, difference, text, quantity, points))
    return tuple(paths)


def of_each(
    paths: Sequence[Path], x: Float[Tensor, "batch *signal"]
) -> tuple[list[Contributions | None], list[list[str]]]:
    """The contributions of each example of a batch, None where they are not finite, with a note on that.

    Args:
        paths: One per reference.
        x: The clean signals.
    """
    if not paths:
        return [None] * len(x), [[]] * len(x)
    elements = torch.stack([(x - path.start) * path.mean for path in paths]).mean(0)
    totals = torch.stack([path.difference for path in paths]).mean(0)
    errors = elements.flatten(1).sum(1, dtype=_exact(x)) - totals
    starts = [path.start.detach().cpu() for path in paths]
    means = [path.mean.detach().cpu() for path in paths]
    contributions: list[Contributions | None] = []
    notes: list[list[str]] = []
    for i, (total, error) in enumerate(zip(totals.tolist(), errors.tolist(), strict=True)):
        finite = torch.tensor([total, error]).isfinite().all() and all(bool(mean[i].isfinite().all()) for mean in means)
        notes.append([] if finite else [no_contributions([path.words for path in paths])])
        contributions.append(
            Contributions(
                gradient=torch.stack([mean[i] for mean in means]),
                reference=tuple(start[i].clone() for start in starts),
                total=total,
                completeness_error=error,
                quantity=paths[0].quantity,
                references=tuple(path.words for path in paths),
                points=sum(path.points for path in paths),
            )
            if finite
            else None
        )
    return contributions, notes


def _exact(x: Tensor) -> torch.dtype:
    return torch.float64 if has_float64(x.device) else torch.float32
