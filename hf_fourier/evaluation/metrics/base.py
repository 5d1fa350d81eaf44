"""What each metric is: what it reads, its range and direction, what it cannot tell, and the reduction that it wraps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics import (
    dice_retention,
    dig,
    fidelity,
    insertion_deletion,
    maintain_rate,
    r_flip,
    robustness,
    selectivity,
    structure,
)
from hf_fourier.evaluation.metrics.statistics import summarise
from hf_fourier.evaluation.metrics.structure import TopSet
from hf_fourier.evaluation.metrics.table import COLUMNS, Table, curves_of, wrong_reached
from hf_fourier.results.curve import SMALL_FRACTIONS, TENTHS, common_fractions, maintained

#: Numbers by name: one per example (or class), or a single one that is of them all.
Numbers = Mapping[str, Sequence[float] | float]
KEEP_COLUMNS, DELETED = ("kept", "kept_confidence"), ("deleted", "deleted_confidence")


@dataclass(frozen=True)
class Metric:
    """A metric as a reduction of columns.

    Attributes:
        name: Its name, which is that of its module's folder.
        description: What it measures, in one sentence.
        reads: The columns that it needs.
        range: Its range, in words.
        better: Which direction is better for a ranking.
        needs: What has to be played or asked before.
        limits: What it cannot tell.
        reference: Where it is defined.
        per_example: `(columns, **options) -> numbers by name`, the first of which is the metric itself.
        unit: What one number belongs to.
    """

    name: str
    description: str
    reads: tuple[str, ...]
    range: str
    better: Literal["higher", "lower", "neither"]
    needs: str
    limits: str
    reference: str
    per_example: Callable[..., Numbers]
    unit: Literal["example", "class"] = "example"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its table: those that it needs, and the groups that intervals draw."""
        return ("group", *self.reads)

    def compute(self, table: Table, *, seed: int = 0, **options: Any) -> dict[str, float]:
        """Mean, median, and the mean's and the median's 95 % bootstrap intervals, drawn by groups.

        Args:
            table: Its columns; others are not read.
            seed: Of the bootstrap.
            **options: The reduction's own (`paper=True`, `share=0.5`).

        Returns:
            By name: the mean, `_low` and `_high`, `_median`, `_median_low` and `_median_high`, `_n` (how many have a
            number) and `_undefined` (how many have none).

        Raises:
            InputError: If a column is missing, or does not hold what is needed.
        """
        missing = [name for name in self.reads if name not in table]
        if missing:
            raise InputError(f"a table without {', '.join(missing)}", f"the columns of {self.name!r}", self.needs)
        groups = [name or None for name in table["group"]] if self.unit == "example" and "group" in table else None
        found: dict[str, float] = {}
        for name, values in self.per_example(table, **options).items():
            if isinstance(values, (int, float)):
                found[name] = float(values)
                continue
            own = summarise(values, groups, seed)
            found[name], found[f"{name}_median"] = own.mean, own.median
            found[f"{name}_low"], found[f"{name}_high"] = own.interval
            found[f"{name}_median_low"], found[f"{name}_median_high"] = own.median_interval
            found[f"{name}_n"], found[f"{name}_undefined"] = float(own.examples), float(own.undefined)
        return found


def _dig(table: Table, *, paper: bool = False) -> Numbers:
    curves = curves_of(table)
    return {
        "dig": [dig.dig(curve, paper=paper) for curve in curves],
        "dig_normalised": [dig.dig_normalised(curve) for curve in curves],
    }


def _insertion(table: Table, *, shares: Sequence[float] = TENTHS) -> Numbers:
    return {"insertion": [insertion_deletion.insertion(curve, shares) for curve in curves_of(table)]}


def _deletion(table: Table, *, shares: Sequence[float] = TENTHS) -> Numbers:
    return {"deletion": [insertion_deletion.deletion(curve, shares) for curve in curves_of(table)]}


def _maintain_rate(
    table: Table, *, shares: Sequence[float] | None = None, rate: float = 0.8, least: float = 1.0
) -> Numbers:
    curves = curves_of(table)
    chosen = common_fractions(curves) if shares is None else list(shares)
    inner = [share for share in chosen if 0 < share < 1 or shares is not None]
    if not inner:
        raise InputError("curves without a kept share in common", "at least one between 0 and 1", "play one grid")
    by_share = {share: [maintained(curve, share, least) for curve in curves] for share in inner}
    mean = [math.fsum(row) / len(row) for row in zip(*by_share.values(), strict=True)]
    named = {f"maintain_rate_at_{share:g}": values for share, values in by_share.items()}
    return {"maintain_rate": mean, **named, "least_kept": maintain_rate.least_kept_fraction(curves, rate, least)}


def _r_flip(table: Table, *, q: float = 0.5) -> Numbers:
    curves = curves_of(table)
    shares = [share for share in r_flip.flipped(curves) if share > 0]
    turned = {share: [float(curve.decisions("delete", [share])[0] < 1) for curve in curves] for share in shares}
    least = r_flip.r_flip(curves, q)
    named = {f"flipped_at_{share:g}": values for share, values in turned.items()}
    return {"r_flip": math.nan if least is None else least, **named}


def _dice_retention(table: Table, *, shares: Sequence[float] = TENTHS, paper: bool = False) -> Numbers:
    return {"dice_retention": [dice_retention.dice_retention(c, shares, paper=paper) for c in curves_of(table)]}


def _selectivity(table: Table, *, shares: Sequence[float] = SMALL_FRACTIONS) -> Numbers:
    own = [[maintained(curve, share) for share in shares] for curve in curves_of(table)]
    wrong = [[wrong_reached(table, i, share) for share in shares] for i in range(len(own))]
    gaps = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(own, wrong, strict=True)]
    found: dict[str, Sequence[float]] = {"selectivity": [selectivity.log_area(gap, shares) for gap in gaps]}
    for i, share in enumerate(shares):
        found[f"own_kept_at_{share:g}"] = [row[i] for row in own]
        found[f"wrong_reached_at_{share:g}"] = [row[i] for row in wrong]
    return found


def _faithfulness_of_spectra(table: Table, *, share: float = 0.5) -> Numbers:
    return {"faithfulness_of_spectra": [fidelity.faithfulness_of_spectra(c, share) for c in curves_of(table)]}


def _input_fidelity(table: Table, *, share: float = 0.5) -> Numbers:
    return {"input_fidelity": [fidelity.input_fidelity(curve, share) for curve in curves_of(table)]}


def _mu_fidelity(table: Table) -> Numbers:
    pairs = zip(table["subset_scores"], table["subset_drops"], strict=True)
    return {"mu_fidelity": [robustness.mu_fidelity(*pair) for pair in pairs]}


def _infidelity(table: Table, *, scaled: bool = True) -> Numbers:
    pairs = zip(table["noise_predicted"], table["noise_drops"], strict=True)
    return {"infidelity": [robustness.infidelity(*pair, scaled=scaled) for pair in pairs]}


def _sensitivity_max(table: Table) -> Numbers:
    return {"sensitivity_max": [robustness.sensitivity_max(changes) for changes in table["score_changes"]]}


def _by_class(table: Table) -> tuple[dict[str, list[TopSet]], int]:
    """The top features of each class's examples, classes by name, and how many features there are."""
    sizes = set(table["features"])
    if len(sizes) != 1:
        raise InputError(f"examples of {sorted(sizes)} features", "one number for all", "compare signals of one shape")
    classes: dict[str, list[TopSet]] = {name: [] for name in sorted(set(table["label"]))}
    for name, top in zip(table["label"], table["top"], strict=True):
        classes[name].append(top)
    return classes, int(sizes.pop())


def _concentration(table: Table) -> Numbers:
    classes, features = _by_class(table)
    many = {name: tops for name, tops in classes.items() if len(tops) > 1}
    if not many:
        raise InputError("one example of each class", "several of at least one class", "explain more examples")
    chance = [structure.chance_concentration(len(tops), len(tops[0]) / features) for tops in many.values()]
    found = [structure.concentration(tops, features) for tops in many.values()]
    return {"concentration": found, "concentration_by_chance": chance}


def _specificity(table: Table) -> Numbers:
    classes, features = _by_class(table)
    found = list(structure.specificity(classes, features).values())
    return {"specificity": [share for share, _ in found], "specific_features": [float(count) for _, count in found]}


_PUBLISHED = "play `curve.PAPER_GRID`: 19 forward passes per example"
_OURS = "this library"
_FFC = "arXiv 2411.18343"

_ALL = (
    Metric(
        "dig",
        "The area between deleting the least and the most important features first, in relative confidence.",
        (*KEEP_COLUMNS, *DELETED, "clean"),
        "−0.9 to 0.9 while no confidence exceeds the clean one, unbounded above; with `paper=True` ten times that",
        "higher",
        _PUBLISHED,
        "whether the decision rested on the features: a ranking that follows the model's own gradient can raise its "
        "confidence by what it deletes, and that counts. A mean of ratios is led by examples of which the model is not "
        "sure: read the median too. Not comparable across domains of different redundancy.",
        f"{_FFC}; there the plain sum over ten points (`paper=True`); `dig_normalised` is that sum divided by 9",
        _dig,
    ),
    Metric(
        "insertion",
        "The area under the confidence as the most important features are put back into an example without power.",
        (*KEEP_COLUMNS, "clean"),
        "0 to 1",
        "higher",
        _PUBLISHED,
        "how far a small area is the ranking's fault: it is bounded by how sure the model was to begin with. What is "
        "partly put back is no input of the kind that the model was trained on.",
        "Petsiuk et al. 2018, arXiv 1806.07421, with a substrate without power",
        _insertion,
    ),
    Metric(
        "deletion",
        "The area under the confidence as the most important features lose their power.",
        (*DELETED, "clean"),
        "0 to 1",
        "lower",
        _PUBLISHED,
        "whether the features were needed or the damaged input is merely strange to the model: most rankings of strong "
        "features reach the floor at once.",
        "Petsiuk et al. 2018, arXiv 1806.07421, with a substrate without power",
        _deletion,
    ),
    Metric(
        "maintain_rate",
        "The share of decisions that survive when the top features alone are kept, at each played share.",
        ("kept", "kept_decision"),
        "0 to 1; `maintain_rate` is the mean over the kept shares, `least_kept` a share of the features",
        "higher",
        "play a grid that keeps some shares, such as `curve.DEFAULT_GRID`",
        "that a smaller share would not do: a kept decision is not monotone, so `least_kept` is an upper bound for the "
        "shares that were played. Nor that the features are evidence: a ranking asked for a wrong label may do as well "
        "(see `selectivity`).",
        _FFC,
        _maintain_rate,
    ),
    Metric(
        "r_flip",
        "The least share of top features whose deletion turns the decisions of a share `q` of the examples.",
        ("deleted", "deleted_decision"),
        "0 to 1, NaN where no played share turns so many; `flipped_at_` a share is the share of turned decisions",
        "lower",
        "play a grid that deletes some shares, such as `curve.PAPER_GRID`",
        "what the decision rested on: it says what turns it, and deleting what a signed gradient ranks first is a step "
        "down that gradient. It is an upper bound for the shares that were played. On natural pictures the strongest "
        "frequencies alone turn decisions as fast: compare with `magnitude`.",
        "this library, for FreqX",
        _r_flip,
    ),
    Metric(
        "dice_retention",
        "The Dice of the mask predicted from the kept features with the clean mask, on average over kept shares.",
        ("kept", "kept_decision"),
        "0 to 1; with `paper=True` a sum, at most the number of shares",
        "higher",
        "play `curve.PAPER_GRID` on a segmentation model",
        "whether either mask is right. Two empty masks score 1.",
        f"{_FFC}; there the plain sum over kept shares 0.05, 0.1, …, 1",
        _dice_retention,
    ),
    Metric(
        "selectivity",
        "Own decisions kept minus wrong labels reached by the same method, on average over the logarithm of shares.",
        ("kept", "kept_decision", "wrong_kept", "wrong_reached"),
        "−1 to 1",
        "higher",
        "play a grid that keeps `curve.SMALL`, and pass `wrong_labels.wrong_labels` to `columns`",
        "which part of a wrong label's success is evidence that is really in the input (a runner-up may be there too) "
        "and which the method's freedom to choose.",
        _OURS,
        _selectivity,
    ),
    Metric(
        "faithfulness_of_spectra",
        "The confidence that is lost with the top features.",
        (*DELETED, "clean"),
        "−1 to 1",
        "higher",
        "play a grid that deletes 0.5 (or the `share` that you pass), such as `curve.PAPER_GRID`",
        "anything about the order within the deleted part. The paper reports the median.",
        "Parekh et al. 2022 (Listen to Interpret); at half of the features as in the code of arXiv 2410.01482",
        _faithfulness_of_spectra,
    ),
    Metric(
        "input_fidelity",
        "The share of examples whose kept part alone is decided like the whole.",
        ("kept", "kept_decision"),
        "0 to 1",
        "higher",
        "play a grid that keeps 0.5 (or the `share` that you pass), such as `curve.PAPER_GRID`",
        "much at half of the features, where most rankings succeed: see `maintain_rate` for smaller shares.",
        "Paissan et al. (posthoc interpretation via quantization); at half as in the code of arXiv 2410.01482",
        _input_fidelity,
    ),
    Metric(
        "mu_fidelity",
        "Spearman's ρ between the scores' sum over random subsets of features and what deleting each subset costs.",
        ("subset_scores", "subset_drops"),
        "−1 to 1",
        "higher",
        "pass the columns of `model_queries.delete_random_subsets`: 200 forward passes per example",
        "whether the top features are right: random subsets hold few of them. It depends on the scores' sizes, not on "
        "their order alone.",
        "Bhatt et al. 2020, arXiv 2005.00631; ρ alone, not its mean with the p-value",
        _mu_fidelity,
    ),
    Metric(
        "infidelity",
        "The mean square of what the scores predict for random perturbations minus what these do to the score.",
        ("noise_predicted", "noise_drops"),
        "0 and above, in the square of the score's unit",
        "lower",
        "pass the columns of `model_queries.add_feature_noise`: 100 forward passes per example",
        "anything across models: it grows with the square of how much the score moves. With `scaled=True` the best "
        "factor is taken for each example, and scores that mean nothing come out as no worse than zeros.",
        "Yeh et al. 2019, arXiv 1901.09392, with multiplicative noise on the features",
        _infidelity,
    ),
    Metric(
        "sensitivity_max",
        "The largest relative change of the scores under small changes of the input.",
        ("score_changes",),
        "0 and above",
        "lower",
        "pass the columns of `model_queries.explain_perturbed_inputs`: ten explanations per example",
        "whether the scores are right: the magnitude of the features, which asks no model, hardly moves at all.",
        f"Yeh et al. 2019, arXiv 1901.09392; uniform ± 0.2 per entry, ten draws, relative, as in {_FFC}",
        _sensitivity_max,
    ),
    Metric(
        "concentration",
        "How much the examples of a class agree on their top features: the kurtosis of the counts per feature.",
        ("label", "top", "features"),
        "1 and above; `concentration_by_chance` for random features",
        "neither",
        "make the table with `columns(results, top=0.04)`, several examples of a class",
        "whether the shared features are the class's own: a fixed low-pass mask is as concentrated as can be. Compare "
        "with the magnitude.",
        f"after {_FFC}, whose code takes it of a 0/1 vector",
        _concentration,
        "class",
    ),
    Metric(
        "specificity",
        "The share of the features usual for a class that are usual for no other class.",
        ("label", "top", "features"),
        "0 to 1; `specific_features` counts them",
        "neither",
        "make the table with `columns(results, top=0.04)`, examples of several classes",
        "chance from meaning where examples are few: random features are specific too. Compare with `random`.",
        f"after {_FFC}, which counts them",
        _specificity,
        "class",
    ),
)
METRICS: dict[str, Metric] = {measure.name: measure for measure in _ALL}
assert all(name in COLUMNS for measure in _ALL for name in measure.columns)
