"""How far a ranking follows the model: against a randomized model, and against the magnitude without a model.

The randomized model has the same config and fresh weights (for networks with batch norm: Kaiming weights, and
statistics from the same pictures, since default random weights underflow). It explains the class that the trained model
named, of the very signal that the trained model read (`hf_fourier.evaluation.randomized_model`). For each example the
table gives Spearman's rank correlation over all features, and the share of the top 4 % that two rankings have in
common; brackets are 95 % bootstrap intervals of the mean, drawn by groups: pictures, sequences and scans of which
several examples were made stay together, and fewer than 30 groups are anecdotal. Two seeds of `random` show the overlap
that chance gives.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks.candidates import STEP
from benchmarks.real import MODELS, Real
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution
from hf_fourier.evaluation.metrics.robustness import rank_correlation
from hf_fourier.evaluation.metrics.structure import top_overlap
from hf_fourier.evaluation.randomized_model import randomize, re_rank
from hf_fourier.evaluation.sanity_checks import TOP


def overlap(a: Attribution, b: Attribution) -> float:
    """The share of a's top features that are among b's."""
    return top_overlap(a, b, TOP)


def correlation(a: Attribution, b: Attribution) -> float:
    """Spearman's rank correlation over all features."""
    return rank_correlation(a.scores.numpy(), b.scores.numpy())


def rows(real: Real, examples: int) -> list[dict[str, Any]]:
    """The table's rows for one model."""
    explainer = real.explainer()
    chosen = real.examples(examples)
    groups = real.groups(len(chosen))
    magnitude = explainer.explain(chosen, method="magnitude")
    random_twin = randomize(explainer, magnitude)
    seeds = [explainer.explain(chosen, method="random", seed=seed) for seed in (0, 1)]
    chance = described([overlap(a, b) for a, b in zip(*seeds, strict=True)], groups)
    table = []
    kappa = STEP.get(magnitude[0].layout.signal.kind, 0.1)
    for title, method in ((f"κ = {kappa:g}", f"ffc:kappa={kappa}"), ("λ = 0", "ffc:lam=0")):
        own = explainer.explain(chosen, method=method)
        fresh = re_rank(random_twin, own)
        twins, pairs = list(zip(own, fresh, strict=True)), list(zip(own, magnitude, strict=True))
        rho = [correlation(a, b) for a, b in twins]
        table.append(
            {
                "model": real.name,
                "FFC": title,
                "n (groups)": f"{len(own)} ({len(set(groups))})" + ("" if len(set(groups)) >= 30 else ", anecdotal"),
                "ρ with randomized": described(rho, groups),
                "largest |ρ|": max(abs(r) for r in rho),
                "ρ with magnitude": described([correlation(a, b) for a, b in pairs], groups),
                "top 4 % shared with randomized": described([overlap(a, b) for a, b in twins], groups),
                "shared with magnitude": described([overlap(a, b) for a, b in pairs], groups),
                "two seeds of random": chance,
            }
        )
    return table


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sanity", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--examples", type=int, default=30)
    chosen = parser.parse_args(arguments)
    print(markdown([row for name in chosen.models for row in rows(MODELS[name], chosen.examples)]))
