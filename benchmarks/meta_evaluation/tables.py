"""The tables of the four questions, from what was measured on each model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.meta_evaluation.columns import Values, summarised
from benchmarks.meta_evaluation.correlation import pooled, spearman
from benchmarks.statistics import described
from hf_fourier.evaluation.metrics.statistics import paired_interval

#: The quantities that are asked, with the direction that is better (where a metric has none, more of it).
SHOWN = {
    "dig": 1,
    "insertion": 1,
    "deletion": -1,
    "faithfulness_of_spectra": 1,
    "input_fidelity": 1,
    "maintain_rate": 1,
    "maintain_rate_at_0.04": 1,
    "kept, 1 to 30 %": 1,
    "r_flip": -1,
    "flipped_at_0.01": 1,
    "flipped_at_0.04": 1,
    "flipped, 1 to 30 %": 1,
    "mu_fidelity": 1,
    "infidelity": -1,
    "sensitivity_max": -1,
    "selectivity (random)": 1,
    "selectivity (runner-up)": 1,
    "wrong_reached_at_0.04 (random)": -1,
    "net evidence (phase-scrambled)": 1,
    "net evidence (noise)": 1,
    "f_fidelity": 1,
    "f_fidelity_of_rest": -1,
    "f_fidelity (fine-tuned)": 1,
    "f_fidelity_of_rest (fine-tuned)": -1,
    "mask_probe": 1,
    "mask_probe (assigned)": -1,
    "concentration": 1,
    "specificity": 1,
    "magnitude overlap": -1,
}
NEVER = {"r_flip": 1.0}
"""The value of a metric that found no answer: no fraction changes half of the predictions."""

TRUE = "the true ranking"
NOISE = (
    "kept",
    *(f"{what} ({name})" for name in ("phase-scrambled", "noise") for what in ("reached", "whole", "net evidence")),
)
"""The columns of net evidence."""

Rows = list[dict[str, Any]]
Measured = Sequence[Mapping[str, Any]]


def worth(values: Mapping[str, Sequence[float]], name: str) -> float:
    """A metric's mean, signed so that more is better; NaN where it was not measured."""
    if name not in values:
        return math.nan
    mean = summarised(values[name])
    return SHOWN[name] * (NEVER.get(name, mean) if math.isnan(mean) else mean)


def correlations(measured: Measured) -> Rows:
    """A metric a row: ρ over methods by model, and the mean over models with its interval."""
    rows = []
    for name in SHOWN:
        row: dict[str, Any] = {"metric": name}
        for title, column in (("AUROC decoys", "AUROC decoys"), ("AP", "AP")):
            pairs = []
            for one in measured:
                metric = {method: worth(values, name) for method, values in one["methods"].items()}
                true = {method: summarised(values[column]) for method, values in one["methods"].items()}
                pairs.append((metric, true))
                row[f"{one['model']}, {title}"] = _number(spearman([*metric.values()], [*true.values()]))
            row[f"mean, {title}"] = _with_interval(*pooled(pairs, list(measured[0]["methods"])))
        rows.append(row)
    return rows


def gaps(measured: Measured) -> Rows:
    """A metric a row: the true ranking less the magnitude by model, and on how many models it is above."""
    rows = []
    for name in SHOWN:
        row: dict[str, Any] = {"metric": name}
        signs = []
        for one in measured:
            true, magnitude = one["true"], one["methods"]["magnitude"]
            gap = worth(true, name) - worth(magnitude, name)
            low, high = _paired(true, magnitude, name)
            row[one["model"]] = _with_interval(gap, low, high)
            signs.append(0 if math.isnan(gap) else _sign(gap, low, high))
        row["right, wrong"] = f"{signs.count(1)}, {signs.count(-1)} of {len(signs)}"
        rows.append(row)
    return rows


def _sign(gap: float, low: float, high: float) -> int:
    """1 or −1 where the interval excludes 0 (or, without an interval, where the gap is not 0), else 0."""
    if math.isnan(low):
        return (gap > 0) - (gap < 0)
    return (low > 0) - (high < 0)


def _paired(true: Values, magnitude: Values, name: str) -> tuple[float, float]:
    """The interval of the signed gap over examples; NaN for a number over all examples or one per class."""
    both = [true.get(name, []), magnitude.get(name, [])]
    if any(len(side) != len(true["AP"]) for side in both):
        return math.nan, math.nan
    pairs = [(a, b) for a, b in zip(*both, strict=True) if not math.isnan(a + b)]
    if not pairs:
        return math.nan, math.nan
    low, high = paired_interval(*(list(side) for side in zip(*pairs, strict=True)))
    return (low, high) if SHOWN[name] > 0 else (-high, -low)


def spoilt_rows(measured: Measured) -> Rows:
    """A metric a row: ρ between it and the share of the ranking that is left, and how many steps it falls."""
    rows = []
    for name in SHOWN:
        row: dict[str, Any] = {"metric": name}
        for ranking in measured[0]["spoilt"]:
            found = []
            for one in measured:
                heights = [worth(values, name) for values in one["spoilt"][ranking]]
                found.append((spearman(heights, [1 - share for share in one["shares"]]), heights))
            rho = [value for value, _ in found if not math.isnan(value)]
            falls = [a > b for _, heights in found for a, b in itertools.pairwise(heights)]
            row[f"{ranking}: ρ, mean"] = _number(math.fsum(rho) / len(rho) if rho else math.nan)
            row[f"{ranking}: least"] = _number(min(rho, default=math.nan))
            row[f"{ranking}: steps that fall"] = f"{sum(falls)} of {len(falls)}" if rho else ""
        rows.append(row)
    return rows


def noise_rows(measured: Measured) -> Rows:
    """A method a row: decisions kept, and labels reached without evidence, over the examples of all models."""
    rows = []
    for method in (*measured[0]["methods"], TRUE):
        found = [one["true"] if method == TRUE else one["methods"][method] for one in measured]
        joined = {name: [value for values in found for value in values[name]] for name in found[0] if name in NOISE}
        rows.append({"method": method, "n": len(joined["kept"])} | {name: described(joined[name]) for name in NOISE})
    return rows


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def _with_interval(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return ""
    value, low, high = (round(number, 2) + 0.0 for number in (value, low, high))  # no −0
    return f"{value:.2f}" if math.isnan(low) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
