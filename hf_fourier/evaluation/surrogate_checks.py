"""Whether a surrogate may be used, and its curves next to those of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import group_names, summarise
from hf_fourier.evaluation.surrogates import KINDS, Answers, Surrogate, answers_of, masked_signals
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.encoding import encode
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import FractionGrid
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize, batch_of
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: What a surrogate should reach before it is used: agreement on whole examples, and calibration error on masked ones.
LEAST_AGREEMENT, MOST_ERROR = 0.98, 0.05
_BINS = 10


@exact
def check_surrogate(
    surrogate: Surrogate, explainer: Engine, examples: Any, fractions: Sequence[float] = (0.01, 0.04, 0.1, 0.3, 1.0),
    *, seed: int = 1, batch_size: BatchSize = 32,
) -> Table:  # fmt: skip
    """Test a surrogate on examples that it was not fine-tuned on, with random masks of all kinds.

    Args:
        surrogate: The surrogate.
        explainer: Of the model itself.
        examples: Raw examples.
        fractions: Fractions of the features that are kept.
        seed: Of the masks.
        batch_size: Rows in a batch; "auto" for 32.

    Returns:
        A row a fraction: "surrogate" and "model", how often each gives the model's answer to the whole example, and
        "calibration error" of the surrogate's confidence in its own answer, against the probability that the model
        gives this answer on the whole example, which is what it was trained towards (10 bins of equal width; NaN
        unless the answer is one class of a softmax). A note says whether it may be used: agreement of at least .98 on
        whole examples, and a calibration error of at most .05 at every fraction. It says what was not tested.

    Raises:
        InputError: If there are no examples or one cannot be encoded, or a fraction is not above 0 and at most 1.
    """
    if not len(fractions) or not all(0 < fraction <= 1 for fraction in fractions):
        raise InputError(f"fractions {list(fractions)}", "fractions above 0 and at most 1", "leave the others out")
    size = 32 if batch_size == "auto" else batch_size
    groups = answers_of(explainer, encode(explainer.wrapper, examples)[1], size)
    table: dict[str, list[float]] = {"kept": list(fractions), "surrogate": [], "model": [], "calibration error": []}
    for fraction in fractions:
        agreed: dict[str, list[float]] = {"surrogate": [], "model": []}
        sure: list[tuple[float, float]] = []
        for group in groups:
            masked = masked_signals(group, surrogate.domain, lambda g: fraction, KINDS, seed, 0)  # noqa: B023
            for name, one in (("surrogate", surrogate.explainer), ("model", explainer)):
                for part in torch.arange(len(masked)).split(size):
                    logits, agreement = _answer(one.wrapper, group, masked[part], part)
                    agreed[name] += agreement.tolist()
                    if name == "surrogate" and logits.ndim == 2 and group.frozen.ndim == 1:
                        sure += _beside(logits, group.logits[part.to(group.logits.device)])
        for name, values in agreed.items():
            table[name].append(math.fsum(values) / len(values))
        table["calibration error"].append(_calibration_error(sure))
    return Table(table, [_verdict(table)])


def _verdict(table: dict[str, list[float]]) -> str:
    """Whether a surrogate with these numbers may be used, and what of that was not tested."""
    agreements = [a for kept, a in zip(table["kept"], table["surrogate"], strict=True) if kept == 1]
    errors = [error for error in table["calibration error"] if not math.isnan(error)]
    untested = []
    if not agreements:
        untested.append("agreement on whole examples was not tested (pass a fraction of 1)")
    if not errors:
        untested.append("calibration was not tested (the predictions are not one class of a softmax)")
    if not all(a >= LEAST_AGREEMENT for a in agreements) or any(error > MOST_ERROR for error in errors):
        answer = "it is not to be used as it is: fine-tune on more examples"
    elif untested:
        answer = "whether it may be used is not known"
    else:
        answer = "it may be used"
    required = f"agreement of {LEAST_AGREEMENT:g} on whole examples, calibration error of {MOST_ERROR:g} at most"
    return "; ".join([f"{answer} ({required})", *untested])


@exact
def compare_curves(
    surrogate: Surrogate, explainer: Engine, attributions: Sequence[Attribution],
    fractions: Sequence[float] = (0.01, 0.02, 0.04, 0.1, 0.3), *, groups: Sequence[Any] | None = None,
    batch_size: BatchSize = "auto",
) -> Table:  # fmt: skip
    """Curves of a model and of its surrogate on the top features alone: how much of the confidence is persuasion.

    A label that the surrogate also gives is in what the kept features contain, or in which ones they are, which
    `mask_probe` measures. One that only the model gives comes from the choice of features, on inputs that it was not
    trained on. Both hold as far as the surrogate meets `check_surrogate`. Pass results for wrong labels to see how
    often a method brings those about in either.

    Args:
        surrogate: Fine-tuned with masks="any" in the domain of the results.
        explainer: Of the model itself, which made the results.
        attributions: Results with their examples, which are not changed.
        fractions: Kept fractions of the features, above 0 and below 1.
        groups: The source of each example; the bootstrap draws whole groups. None for a group each.
        batch_size: Rows in a batch, at most.

    Returns:
        A row a fraction: "model" and "surrogate", the mean confidence in the explained label; "gap", the model's minus
        the surrogate's, with its 95 % interval "low" and "high"; "model decides" and "surrogate decides", how often
        each gives the label.

    Raises:
        InputError: If there are no results, a fraction is out of range, the domain of a result is not the
            surrogate's, or there is not one group for each result.
    """
    _check_comparison(surrogate, attributions, fractions)
    named = None if groups is None else group_names(groups, len(attributions))
    grid = FractionGrid(keep=tuple(sorted(fractions)))
    curves = []
    for one in (explainer, surrogate.explainer):
        copies = [replace(result, curve=None) for result in attributions]
        one.perturb(copies, grid, batch_size=batch_size)
        curves.append([result.curve for result in copies if result.curve is not None])
    table: dict[str, list[float]] = {"kept": list(grid.keep)}
    confidences, decisions = (
        [[[*read(curve)] for curve in own] for own in curves]
        for read in (
            lambda curve: curve.confidences("keep", grid.keep),
            lambda curve: curve.decisions("keep", grid.keep),
        )
    )
    for place in range(len(grid.keep)):
        model, other = ([row[place] for row in own] for own in confidences)
        gap = summarise([a - b for a, b in zip(model, other, strict=True)], named)
        row = {
            "model": math.fsum(model) / len(model), "surrogate": math.fsum(other) / len(other),
            "gap": gap.mean, "low": gap.interval[0], "high": gap.interval[1],
        }  # fmt: skip
        for name, own in zip(("model decides", "surrogate decides"), decisions, strict=True):
            row[name] = math.fsum(values[place] for values in own) / len(own)
        for name, value in row.items():
            table.setdefault(name, []).append(value)
    return Table(table)


def _check_comparison(surrogate: Surrogate, attributions: Sequence[Attribution], fractions: Sequence[float]) -> None:
    """Raise `InputError` where curves cannot be compared."""
    if not len(attributions):
        raise InputError("no results", "at least one", "pass results of `explain`")
    if not len(fractions) or not all(0 < fraction < 1 for fraction in fractions):
        raise InputError(f"fractions {list(fractions)}", "fractions above 0 and below 1", "leave the others out")
    for result in attributions:
        if DOMAINS.parse(result.layout.domain) != surrogate.domain:
            got, expected = f"a result in {result.layout.domain}", f"results in {DOMAINS.spec(surrogate.domain)}"
            raise InputError(got, expected, "fine-tune a surrogate in the domain of the results")


def _answer(wrapper: ModelWrapper, group: Answers, masked: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Logits at masked signals, and the fraction of the frozen decisions that they have."""
    some = [group.examples[i] for i in rows.tolist()]
    with eval_mode(wrapper.model), torch.no_grad():
        batch = batch_of(wrapper, some, ExampleRng(0, [example.key for example in some]), group.dither)
        places = torch.arange(len(some), device=masked.device)
        logits = batch.logits(batch.forward(masked, places), places)
        return logits, batch.head.read(logits, group.frozen[rows.to(group.frozen.device)]).agreement


def _beside(logits: Tensor, whole: Tensor) -> list[tuple[float, float]]:
    """The confidence in the likeliest class, and the model's probability of this class given the whole example."""
    own = logits.double().softmax(-1).max(-1)
    wanted = whole.double().softmax(-1).gather(-1, own.indices.to(whole.device)[:, None])[:, 0]
    return list(zip(own.values.tolist(), wanted.tolist(), strict=True))


def _calibration_error(pairs: Sequence[tuple[float, float]]) -> float:
    """The expected calibration error: |mean confidence − mean wanted|, averaged over bins of equal width by counts."""
    if not pairs:
        return math.nan
    values = torch.tensor(pairs, dtype=torch.float64)
    bins = (values[:, 0] * _BINS).long().clamp(max=_BINS - 1)
    sums = torch.zeros(_BINS, dtype=torch.float64).index_add_(0, bins, values[:, 0] - values[:, 1])
    return float(sums.abs().sum()) / len(values)
