"""How far a ranking follows the model: against a random twin, and against the magnitude that asks no model.

The twin has the same config and fresh weights (for networks with batch norm: Kaiming weights, and statistics from the
same pictures, since default random weights underflow). It explains the class that the trained model named. For each
example the table gives Spearman's rank correlation over all features, and the share of the top 4 % that two rankings
have in common; brackets are 95 % bootstrap intervals of the mean, drawn by
sources: pictures, sequences and scans of which several examples were made stay together, and fewer than 30 sources are
anecdotal. Two seeds of `random` show the overlap that chance gives.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from typing import Any

import torch
from scipy import stats
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.real import MODELS, Real
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution, FourierExplainer

TOP = 0.04
METHODS = {"default": "ffc", "λ = 0": "ffc:lam=0"}


def twin(explainer: FourierExplainer, examples: Sequence[Any]) -> FourierExplainer:
    """The same architecture with fresh weights, seeded, with live activations."""
    adapter = explainer.adapter
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = type(explainer.model)(copy.deepcopy(explainer.model.config))
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
        if norms:
            for module in model.modules():
                if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)):
                    torch.nn.init.kaiming_normal_(module.weight)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    if norms:
        model.train()
        encoded = [adapter.encode(example).values for example in examples]
        with torch.no_grad():
            model(pixel_values=torch.stack([values for values in encoded if values is not None]))
    return FourierExplainer(model.eval(), explainer.processor, task=adapter.task)


def overlap(a: Attribution, b: Attribution) -> float:
    """The share of a's top features that are among b's."""
    mine, theirs = a.mask(TOP), b.mask(TOP)
    return float((mine & theirs).sum() / mine.sum())


def correlation(a: Attribution, b: Attribution) -> float:
    """Spearman's rank correlation over all features."""
    return float(stats.spearmanr(a.scores.numpy(), b.scores.numpy()).statistic)


def rows(real: Real, examples: int) -> list[dict[str, Any]]:
    """The table's rows for one model."""
    explainer = real.explainer()
    chosen = real.examples(examples)
    sources = real.sources(len(chosen))
    random_twin = twin(explainer, chosen)
    magnitude = explainer.explain(chosen, method="magnitude")
    seeds = [explainer.explain(chosen, method="random", seed=seed) for seed in (0, 1)]
    chance = described([overlap(a, b) for a, b in zip(*seeds, strict=True)], sources)
    table = []
    for title, method in METHODS.items():
        own = explainer.explain(chosen, method=method)
        targets = [a.target for a in own]
        fresh = random_twin.explain(chosen, targets=targets, method=method)
        twins, pairs = list(zip(own, fresh, strict=True)), list(zip(own, magnitude, strict=True))
        rho = [correlation(a, b) for a, b in twins]
        table.append(
            {
                "model": real.name,
                "FFC": title,
                "n (sources)": f"{len(own)} ({len(set(sources))})" + ("" if len(set(sources)) >= 30 else ", anecdotal"),
                "ρ with twin": described(rho, sources),
                "largest |ρ|": max(abs(r) for r in rho),
                "ρ with magnitude": described([correlation(a, b) for a, b in pairs], sources),
                "top 4 % shared with twin": described([overlap(a, b) for a, b in twins], sources),
                "shared with magnitude": described([overlap(a, b) for a, b in pairs], sources),
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
