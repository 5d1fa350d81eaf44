"""Along which axis should embedded tokens be transformed?

Three ways: along the tokens, each hidden dimension by itself; over tokens and hidden dimensions at once, as the paper
does for Geneformer; along the tokens with one feature per frequency over all hidden dimensions. Each is asked for the
model's own label and for a wrong one. With the top 4 %
of features kept, `own` is the share of decisions that survive, `wrong` the share in which the model says the wrong
label, and selectivity is their difference. A ranking that reaches any label it is asked for explains nothing.

Wrong labels are dealt out among the examples of a half, so that every label is asked for as often as it is the model's
own (of a label that most examples have, only as many are taken as have another): a model that answers everything with
one label then scores 0, not the share of that label. E-mails are cut to 96 tokens.

Brackets are 95 % bootstrap intervals over examples (over groups, where several examples were made from one); the gap
to `magnitude` is paired. Examples were not used to choose anything but what the last line says: axes are chosen on
the tuning half, the table shows the other half.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.real import TOKEN_CLASSIFIERS, Real
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer

KEPT = 0.04
#: With fewer groups, none are set apart for tuning.
FEW = 10
#: Tokens of an e-mail, so that many share a batch.
LENGTH = 96
DOMAINS = {
    "along tokens": "fourier",
    "tokens × hidden": "fourier:axes=0+1",
    "frequency over all channels": "fourier:grain=frequency",
}
METHODS = ("ffc:kappa=.01", "ffc:lam=0", "magnitude", "low_frequency", "random")


@dataclass(frozen=True)
class Cell:
    """What one method in one domain reached, example by example."""

    own: np.ndarray
    wrong: np.ndarray
    reached: float

    @property
    def selectivity(self) -> np.ndarray:
        """Own decisions kept minus wrong labels reached."""
        return self.own - self.wrong


def wrong_labels(said: Sequence[int]) -> list[int]:
    """For each decision another example's, all of them dealt out once, none to an example that has it."""
    order = sorted(range(len(said)), key=lambda i: said[i])
    shift = max(Counter(said).values())
    wrong = list(said)
    for place, i in enumerate(order):
        wrong[i] = said[order[(place + shift) % len(order)]]
    return wrong


def measure(explainer: FourierExplainer, examples: Sequence[Any], method: str, domain: str, wrong: list[int]) -> Cell:
    """Explain own and wrong labels, keep the top, and see what the model says."""
    sides = []
    for targets in (None, wrong):
        results = explainer.explain(list(examples), targets=targets, method=method, domain=domain)
        explainer.perturb(results, [KEPT])
        sides.append([result.curve.at("keep", KEPT) for result in results])
    own, other = (np.asarray([stop.agreement for stop in stops]) for stops in sides)
    return Cell(own, other, float(np.mean([stop.actual_fraction for stop in sides[0]])))


def halves(said: Sequence[int], groups: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Indices for tuning and for the table, whole groups on one side; none for tuning where groups are few."""
    names = list(dict.fromkeys(groups))
    if len(names) < FEW:
        return [], mixed(said, range(len(said)))
    shuffled = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    order = dict(zip(names, shuffled, strict=True))
    tune, test = ([i for i, group in enumerate(groups) if order[group] % 2 == side] for side in (0, 1))
    return mixed(said, tune), mixed(said, test)


def mixed(said: Sequence[int], members: Sequence[int]) -> list[int]:
    """These examples without as many of the commonest label as leaves no label on more than half of them."""
    label, count = Counter(said[i] for i in members).most_common(1)[0]
    dropped = [i for i in members if said[i] == label][: max(0, 2 * count - len(members))]
    return [i for i in members if i not in set(dropped)]


def rows(real: Real, n: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The table's rows for one model, and each domain's selectivity of FFC on the tuning half."""
    explainer = real.explainer()
    if real.name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    examples = real.examples(n)
    groups = real.groups(len(examples))
    said = [int(a.target) for a in explainer.explain(examples, method="magnitude")]
    tune, test = halves(said, groups)
    wrong = [wrong_labels([said[i] for i in half]) if half else [] for half in (tune, test)]
    groups = [groups[i] for i in test]
    tuned, table = {}, []
    for title, domain in DOMAINS.items():
        if tune:
            half = measure(explainer, [examples[i] for i in tune], METHODS[0], domain, wrong[0])
            tuned[title] = float(half.selectivity.mean())
        cells = {
            method: measure(explainer, [examples[i] for i in test], method, domain, wrong[1]) for method in METHODS
        }
        anecdotal = ", anecdotal" if len(set(groups)) < 30 else ""
        for method, cell in cells.items():
            gap = cell.selectivity - cells["magnitude"].selectivity
            table.append(
                {
                    "model": real.name,
                    "transform": title,
                    "method": method,
                    "n (groups)": f"{len(test)} ({len(set(groups))}){anecdotal}",
                    "kept": cell.reached,
                    "own": described(cell.own, groups),
                    "wrong": described(cell.wrong, groups),
                    "selectivity": described(cell.selectivity, groups),
                    "gap to magnitude": described(gap, groups),
                }
            )
    return table, tuned


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks axes", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(TOKEN_CLASSIFIERS), choices=list(TOKEN_CLASSIFIERS))
    parser.add_argument("--examples", type=int, default=160, help="per model, half of them for tuning")
    chosen = parser.parse_args(arguments)
    table, tuned = [], []
    for name in chosen.models:
        own, half = rows(TOKEN_CLASSIFIERS[name], chosen.examples)
        table += own
        print(markdown(own), file=sys.stderr, flush=True)  # what is measured is not lost if a later model fails
        half = half or {"none set apart, too few groups": float("nan")}
        tuned.append(f"{name}: " + ", ".join(f"{title} {value:.2f}" for title, value in half.items()))
    print(markdown(table))
    print("\nSelectivity of `ffc:kappa=.01` on the tuning half, by which axes were chosen: " + "; ".join(tuned) + ".")
