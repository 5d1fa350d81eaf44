"""Evidence for or against the target: path-integrated contributions that any method's results can carry.

The gradient is averaged along the straight path from a reference to the example (integrated gradients, Sundararajan et
al. 2017, arXiv 1703.01365), and over references where there are several (expected gradients, Erion et al. 2021, arXiv
1906.10670). What is integrated is the log-odds of the answer where there are any, else the score: the log-probability
of a sure answer is flat near the example, and its gradient there is that of the few points where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Quarters:
    """Where `integrate_few` takes gradients, if the gradient at the example is known already.

    Attributes:
        mix: Weights of the two references of tokens (masked or padding; the average token) in the one where the path
            begins.
        weights: Of the gradients at the quarters of the path, from the reference to the example.
    """

    mix: tuple[float, float]
    weights: tuple[float, float, float, float, float]


#: By name of a signal's first axis, what agrees with leaving single entries out on examples for tuning
#: (`python -m benchmarks contribution_points`); residues and bases, which were not measured, have that of texts.
TEXTS = Quarters((0.5, 0.5), (1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8))
GENES = Quarters((0.4, 0.6), (0, 1 / 6, 1 / 3, 1 / 3, 1 / 6))
QUARTERS = {"gene": GENES}
#: Points on the path from each reference where contributions are a ranking of genes (`FourierExplainer.genes`, runs
#: with `store="genes"`): the top genes of `integrate_few` change as many answers when deleted together, and keep fewer.
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


def contributions_of(score: Score, points: int | None, few: Quarters | None) -> tuple[Path, ...]:
    """The paths of a batch's contributions; none where none are asked for.

    Args:
        score: The batch.
        points: Points on the path from each reference; None for the method's own way.
        few: Of that way, which is `integrate_few`; None for none.
    """
    if points is None:
        return () if few is None else (integrate_few(score, score.signal, few),)
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


def integrate_few(score: Score, x: Float[Tensor, "batch *signal"], few: Quarters) -> Path:
    """One path from a mix of the references: 4 forward and at most 4 backward passes, if the clean gradient is known.

    Half of what `integrate` takes with four points on each of two paths; the sum lies further from the total.

    Args:
        score: The batch, whose clean gradient is used where there is one.
        x: The clean signals.
        few: Which gradients count how much.
    """
    clean, references = score.clean(), score.references()
    mix = few.mix if len(references) == len(few.mix) else (1 / len(references),) * len(references)
    parts = list(zip(mix, references, strict=True))
    mixed = torch.stack([weight * one.signal.to(x).expand_as(x) for weight, one in parts]).sum(0)
    quantity: Quantity = "score" if clean.reading.log_odds is None else "log-odds"
    first, *inner, last = few.weights
    mean = last * _weighed(clean.margin_gradient, clean.reading.dvalue_dmargin, quantity)
    found = gradients_at(score, lambda j: mixed + (j + 1) / 4 * (x - mixed), len(inner))
    for weight, (gradient, slope) in zip(inner, found, strict=True):
        mean += weight * _weighed(gradient, slope, quantity)
    if first:
        start = score.value_and_gradient(mixed)
        mean += first * _weighed(start.margin_gradient, start.reading.dvalue_dmargin, quantity)
    before = start.reading if first else score.value(mixed)
    mixture = " and ".join(f"{100 * weight:.0f} % {one.words}" for weight, one in parts)
    words = references[0].words if len(parts) == 1 else f"a mix of {mixture}"
    points = sum(weight > 0 for weight in few.weights)
    return Path(mixed, mean, clean.reading.evidence - before.evidence, words, quantity, points)


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
