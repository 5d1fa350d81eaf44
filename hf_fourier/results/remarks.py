"""Remarks on results in words, and which of many remarks are the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from hf_fourier.domains import SignalShape
from hf_fourier.typing import Bool, Tensor

#: The largest completeness error, relative to the explained difference, as Sundararajan et al. 2017 recommend.
MAX_COMPLETENESS_ERROR = 0.05
#: A difference that is smaller, relative to the scores that it compares, counts as this large.
LEAST = 1e-3
#: The part of all scores' sizes that rounding may leave of a sum.
ROUNDING = 1e-5
#: Prefix of notes on a complete method whose scores miss their sum.
INCOMPLETE = "not complete: "
#: Prefix of notes on predictions that are no function of their input.
MOVING = "the model's output is not a function of its input: "
#: Prefix of notes on padding that counts.
PADDED = "the padding changes the output: "
#: Note where that could not be tested.
UNASKED = "whether the padding changes the output could not be tested: the model rejects the row without it"
#: Prefix of the note on inputs that bypass the signal.
BYPASS_BEGINNING = "the model reads its token ids in a second way, besides the embedding that is transformed: "
#: Prefix of notes on dither.
DITHERED = "dither: "
#: How to explain without gradients: methods that use only forward passes, on few features.
WITHOUT_GRADIENTS = (
    "use a method that needs no gradient (random_masks, shapley, occlusion or filters), with "
    "domain='fourier:bands=octave'"
)
#: What to do about a gradient or an output that is not finite.
NOT_FINITE_HINT = (
    "pass dither=1e-6 to FourierExplainer or attribute (--dither 1e-6 in a shell), which adds seeded noise of that "
    "share of the example's largest entry to what the model reads, or put a floor under the root, the logarithm, the "
    "norm or the divisor in the model"
)
#: What to do about it where dither was added already.
FURTHER_HINT = (
    "raise `dither`, put a floor under the root, the logarithm, the norm or the divisor in the model, or "
    f"{WITHOUT_GRADIENTS}"
)
#: How the note on an all-zero gradient begins; what follows differs between versions.
NO_GRADIENT_BEGINNING = "the gradient of the score is zero everywhere at the "
NO_GRADIENT = (
    f"{NO_GRADIENT_BEGINNING}signal: the model does not read it here, or is so confident "
    "that the gradient underflows; input relevance and contributions from this gradient are zero, too"
)
#: How earlier versions began such notes, which saved results have.
EARLIER = (
    "the model's answer is not a function of its input: ",
    "the padding changes the answer: ",
    "whether the padding changes the answer could not be tested: ",
)
#: Prefixes of notes that reveal nothing of an example but its score, and may be shared without it.
FREE = (INCOMPLETE, MOVING, PADDED, UNASKED, BYPASS_BEGINNING, DITHERED, NO_GRADIENT_BEGINNING, *EARLIER)
#: Runs of positions that are named one by one.
_RUNS = 3
#: What replaces deleted features along a perturbation curve, in words; nothing for zero.
IN_PLACE = {
    "zero": "",
    "noise": "deleted features replaced by noise of their power",
    "phase": "deleted features replaced by scrambled phases",
    "band": "deleted features replaced by scrambled phases with the power around them",
    "reference": "deleted features replaced by a reference",
    "example": "deleted features replaced by another example's",
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?|\bnan\b|-?\binf\b")


def incomplete(total: float, error: float, size: float, value: float, reference: float | None) -> str | None:
    """The note if scores miss the sum that their method promises; None if they do not.

    They miss it by more than `MAX_COMPLETENESS_ERROR` of it; a sum below `LEAST` of the scores at both ends counts as
    that, and rounding is no miss.

    Args:
        total: The scores' sum.
        error: That sum minus the promised one.
        size: The sum of the scores' sizes.
        value: The example's score.
        reference: The score at the other end of the path, where the promise is the difference to it.
    """
    promised = total - error
    ends = ""
    if reference is not None:
        ends = f" (the example scores {value:.4g}, the other end of the path {reference:.4g})"
    if not math.isfinite(promised):
        return f"{INCOMPLETE}the scores should sum to {promised:.4g}{ends}, against which they cannot be checked"
    least = LEAST * max(abs(value), abs(reference or 0.0))
    if abs(error) <= max(MAX_COMPLETENESS_ERROR * max(abs(promised), least), ROUNDING * size):
        return None
    share = f", {abs(error / promised):.0%} of it away" if promised else ""
    return f"{INCOMPLETE}the scores sum to {total:.4g} in place of {promised:.4g}{share}{ends}"


def no_contributions(references: Iterable[str]) -> str:
    """The note where contributions are not finite."""
    some = "; ".join(references)
    return f"no contributions: the score or its gradient is not finite on the way from the reference ({some})"


def places(bad: Bool[Tensor, "..."], signal: SignalShape) -> str:
    """Where entries of a signal are, by the axes that have an order: "time 0 to 400"."""
    found = []
    for i in signal.ordered_axes:
        others = [d for d in range(bad.ndim) if d != i]
        hit = (bad.any(dim=others) if others else bad).nonzero().flatten().tolist()
        if not hit:
            continue
        starts = [place for j, place in enumerate(hit) if j == 0 or hit[j - 1] != place - 1]
        ends = [place for j, place in enumerate(hit) if j == len(hit) - 1 or hit[j + 1] != place + 1]
        runs = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
        if len(runs) > _RUNS:
            runs = [f"{hit[0]} to {hit[-1]}, with gaps"]
        found.append(f"{signal.axes[i].name} {', '.join(runs)}")
    return "; ".join(found)


def unfinished(gradient: Tensor, example: Tensor, signal: SignalShape) -> str:
    """A gradient that is not finite in words: how many of its entries, where, and whether the example is 0 there.

    Args:
        gradient: In the signal's shape.
        example: The signal itself.
        signal: Its axes.
    """
    bad = ~gradient.isfinite()
    where = places(bad, signal)
    zero = ", where the example is 0" if not bool(example[bad].any()) else ""
    return f"a gradient that is not finite at {int(bad.sum())} of {bad.numel()} entries ({where}{zero})"


def dithered(share: float) -> str:
    """The note on dither."""
    return f"{DITHERED}seeded noise of {share:g} of the example's largest entry was added to what the model reads"


def once(notes: Iterable[str]) -> list[str]:
    """The first of the notes that differ in their numbers alone, in the order they came."""
    found: dict[str, str] = {}
    for note in notes:
        found.setdefault(_NUMBER.sub("#", note), note)
    return list(found.values())
