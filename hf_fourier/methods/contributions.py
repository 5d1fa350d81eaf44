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

#: Weights of the two references of tokens (masked or padding; the average token) in the one that `integrate_few` takes.
MIX = (0.4, 0.6)
#: Its points on the path from 0, the reference, to 1, the example, with their weights: trapezoids over the last three
#: quarters of the path.
FEW = {0.25: 1 / 6, 0.5: 1 / 3, 0.75: 1 / 3, 1.0: 1 / 6}
#: Points on the path from each reference where contributions are a ranking of genes (`FourierExplainer.genes`, runs that
#: store genes): the top genes of `integrate_few` change as many answers when they are deleted together, and keep fewer.
GENE_POINTS = 4


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


def contributions_of(score: Score, points: int | None, few: bool) -> tuple[Path, ...]:
    """The paths of a batch's contributions; none where none are asked for.

    Args:
        score: The batch.
        points: Points on the path from each reference; None for the method's own way.
        few: Whether this is `integrate_few`; else there are none.
    """
    if points is None:
        return (integrate_few(score, score.signal),) if few else ()
    return integrate(score, score.signal, points) if points else ()


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
        means[j // points] += _weighed(gradient, slope, quantity) / points
    paths = []
    for (signal, text), start, mean in zip(references, starts, means, strict=True):
        difference = clean.evidence - score.value(start).evidence
        paths.append(Path(signal, mean, difference, text, quantity, points))
    return tuple(paths)


def integrate_few(score: Score, x: Float[Tensor, "batch *signal"]) -> Path:
    """One path from a mix of the references, for 4 forward and 3 backward passes where the clean gradient is known.

    The mean gradient is that at `FEW` points, the example itself among them. It agrees with leaving words and genes
    out as well as or better than `integrate` with four points on each path, for half of the passes, and its sum lies
    further from the total (`python -m benchmarks contribution_points`).

    Args:
        score: The batch, whose clean gradient is used where there is one.
        x: The clean signals.
    """
    clean = score.clean()
    references = score.references()
    weights = MIX if len(references) == len(MIX) else (1 / len(references),) * len(references)
    mixed = sum(weight * reference.signal.to(x) for weight, reference in zip(weights, references, strict=True))
    assert isinstance(mixed, Tensor)
    start = mixed.expand_as(x)
    quantity: Quantity = "score" if clean.reading.log_odds is None else "log-odds"
    *inner, end = FEW
    mean = FEW[end] * _weighed(clean.margin_gradient, clean.reading.dvalue_dmargin, quantity)
    found = gradients_at(score, lambda j: start + inner[j] * (x - start), len(inner))
    for place, (gradient, slope) in zip(inner, found, strict=True):
        mean += FEW[place] * _weighed(gradient, slope, quantity)
    parts = [f"{100 * weight:.0f} % {one.words}" for weight, one in zip(weights, references, strict=True)]
    words = references[0].words if len(parts) == 1 else f"a mix of {' and '.join(parts)}"
    return Path(mixed, mean, clean.reading.evidence - score.value(start).evidence, words, quantity, len(FEW))


def _weighed(gradient: Tensor, slope: Tensor, quantity: Quantity) -> Tensor:
    """The gradient of what is integrated, by that of the margin."""
    return gradient * slope.view(-1, *[1] * (gradient.ndim - 1)) if quantity == "score" else gradient


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
