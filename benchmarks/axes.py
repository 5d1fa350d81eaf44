"""Along which axis should embedded tokens be transformed?

Three ways: along the tokens, each hidden dimension by itself; over tokens and hidden dimensions at once, as the paper
does for Geneformer; along the tokens with one feature per frequency over all hidden dimensions. Each is asked for the
model's own label and for a wrong one (the runner-up of two classes, a seeded random other of more). With the top 4 %
of features kept, `own` is the share of decisions that survive, `wrong` the share in which the model says the wrong
label, and selectivity is their difference. A ranking that reaches any label it is asked for explains nothing.

Each half holds as many examples of every label that the model gives: a model that answers everything with one label
then scores 0, not the share of that label. E-mails are cut to 96 tokens.

Brackets are 95 % bootstrap intervals over examples (over sources, where several examples were made from one); the gap
to `magnitude` is paired. Examples were not used to choose anything but what the last line says: axes are chosen on
the tuning half, the table shows the other half.
"""

from __future__ import annotations

import argparse
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
#: Tokens of an e-mail, so that many share a batch.
LENGTH = 96
DOMAINS = {
    "along tokens": "fourier",
    "tokens × hidden": "fourier:axes=0+1",
    "frequency over all channels": "fourier:grain=frequency",
}
METHODS = ("ffc", "ffc:lam=0", "magnitude", "low_frequency", "random")


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


def wrong_labels(explainer: FourierExplainer, said: Sequence[int]) -> list[int]:
    """For each decision a seeded other class."""
    classes = len(explainer.model.config.id2label)
    draw = torch.Generator().manual_seed(0)
    return [(label + int(torch.randint(1, classes, (), generator=draw))) % classes for label in said]


def measure(explainer: FourierExplainer, examples: Sequence[Any], method: str, domain: str, wrong: list[int]) -> Cell:
    """Explain own and wrong labels, keep the top, and see what the model says."""
    sides = []
    for targets in (None, wrong):
        results = explainer.explain(list(examples), targets=targets, method=method, domain=domain)
        explainer.play(results, [KEPT])
        sides.append([result.curve.at("keep", KEPT) for result in results])
    own, other = (np.asarray([stop.agrees for stop in stops]) for stops in sides)
    return Cell(own, other, float(np.mean([stop.reached for stop in sides[0]])))


def balanced(said: Sequence[int], sources: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Indices for tuning and for the table: whole sources on one side, equally many of each label in each half."""
    order = {name: i for i, name in enumerate(dict.fromkeys(sources))}
    halves: list[list[int]] = []
    for side in (0, 1):
        members = [i for i, source in enumerate(sources) if order[source] % 2 == side]
        by_label = {label: [i for i in members if said[i] == label] for label in sorted(set(said))}
        each = min((len(own) for own in by_label.values() if own), default=0)
        halves.append(sorted(i for own in by_label.values() for i in own[:each]))
    return halves[0], halves[1]


def rows(real: Real, n: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The table's rows for one model, and each domain's selectivity of FFC on the tuning half."""
    explainer = real.explainer()
    if real.name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    examples = real.examples(n)
    sources = real.sources(n)
    said = [int(a.target) for a in explainer.explain(examples, method="magnitude")]
    tune, test = balanced(said, sources)
    wrong = wrong_labels(explainer, said)
    tuned, table = {}, []
    for title, domain in DOMAINS.items():
        chosen = [examples[i] for i in tune], [wrong[i] for i in tune]
        tuned[title] = float(measure(explainer, chosen[0], "ffc", domain, chosen[1]).selectivity.mean())
        cells = {
            method: measure(explainer, [examples[i] for i in test], method, domain, [wrong[i] for i in test])
            for method in METHODS
        }
        groups = [sources[i] for i in test]
        anecdotal = ", anecdotal" if len(set(groups)) < 30 else ""
        for method, cell in cells.items():
            gap = cell.selectivity - cells["magnitude"].selectivity
            table.append(
                {
                    "model": real.name,
                    "transform": title,
                    "method": method,
                    "n (sources)": f"{len(test)} ({len(set(groups))}){anecdotal}",
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
        tuned.append(f"{name}: " + ", ".join(f"{title} {value:.2f}" for title, value in half.items()))
    print(markdown(table))
    print("\nSelectivity of `ffc` on the tuning half, by which the default was chosen: " + "; ".join(tuned) + ".")
