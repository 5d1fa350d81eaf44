"""Planted truth over wavelets, in which a wave is many features and shares some with the decoys.

G are the features of an example in which its planted wave has more energy than all its decoys together; D those in
which the decoys have more. Only the features that hold `SHARE` of either's energy count, from the largest on; all
others are in neither. G therefore holds less than all of the wave, and a part of the decoys. Whether that is truth
enough is asked of the model, as the gate asks it over frequencies: without G its label must be lost on at least .95,
and without D at most .02 may change. The table of a model that fails this is marked as void.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.keeping import cell_file, kept
from benchmarks.planted import gate
from benchmarks.planted.ranking import area, average_precision
from benchmarks.planted.subjects import CODE, Examples, Half, Subject, answers, answers_at, triggered
from benchmarks.statistics import described
from hf_fourier import attribute
from hf_fourier.domains.base import Basis

SHARE = 0.9
"""Of the energy of a wave that the features which count hold."""
DOMAIN = "wavelet"
METHODS = ("wam", "wam:kind=ig", "tracking", "integrated_gradients", "smoothgrad", "magnitude", "random")
"""The method that ranks wavelets, and others that can."""
COLUMNS = ("AUROC decoys", "AUROC", "AP", "first")


def holders(energy: Tensor, share: float = SHARE) -> Tensor:
    """The fewest features that hold a share of the energy, shape `(K,)` as given."""
    values, order = energy.sort(descending=True)
    count = int((values.cumsum(0) < share * values.sum()).sum()) + 1
    chosen = torch.zeros(len(energy), dtype=torch.bool)
    chosen[order[:count]] = True
    return chosen


def told_apart(wave: Tensor, decoys: Tensor) -> tuple[Tensor, Tensor]:
    """G and D of one example, given the energy of its planted wave and of its decoys in each feature."""
    return holders(wave) & (wave > decoys), holders(decoys) & (decoys > wave)


def energy(basis: Basis, signal: Tensor) -> Tensor:
    """The energy of one signal in each feature, shape `(K,)`."""
    coefficients = basis.forward(signal[None])
    return basis.inner(coefficients, coefficients)[0]


def planted_waves(examples: Examples) -> tuple[Tensor, Tensor]:
    """The planted wave of each example and its decoys, without the example, in the shape of the signals."""
    plain = examples.material.inputs[examples.material.signal]
    drawn = examples.drawn
    wave, decoys = (
        examples.inputs(part)[examples.material.signal] - plain
        for part in (drawn.without_decoys(), drawn.without_trigger())
    )
    return wave, decoys


def sets(bases: Sequence[Basis], waves: tuple[Tensor, Tensor]) -> tuple[list[tuple[Tensor, Tensor]], dict[str, float]]:
    """G and D of each example, and the means of what they hold.

    Args:
        bases: Of each example.
        waves: As `planted_waves` gives them.
    """
    found, held = [], []
    for basis, wave, decoys in zip(bases, *waves, strict=True):
        own, other = energy(basis, wave), energy(basis, decoys)
        truth, decoyed = told_apart(own, other)
        found.append((truth, decoyed))
        held.append(
            [
                truth.double().mean(),
                own[truth].sum() / own.sum(),
                other[truth].sum() / other.sum(),
                other[decoyed].sum() / other.sum(),
            ]
        )
    names = ("features in G", "wave in G", "decoys in G", "decoys in D")
    return found, dict(zip(names, torch.tensor(held).mean(0).tolist(), strict=True))


def held(subject: Subject, n: int, half: Half) -> dict[str, Any]:
    """What G and D of the examples of one model hold, by energy alone: the planted model is not needed."""
    waves = planted_waves(subject.examples(n, half))
    results = attribute(_nothing, waves[0], method="magnitude", domain=DOMAIN)
    return {"model": subject.name, "n": n, **sets([result.basis for result in results], waves)[1]}


def _nothing(signals: Tensor) -> Tensor:
    return torch.stack([signals.flatten(1).sum(1), -signals.flatten(1).sum(1)], 1)


def measure(subject: Subject, examples: Examples) -> dict[str, Any]:
    """What G and D of one planted model hold, and what deleting them does."""
    explainer = subject.explainer("planted")
    inputs, bare = examples.inputs(), examples.inputs(examples.drawn.without_trigger())
    results, others = (explainer.explain(x, method="magnitude", domain=DOMAIN) for x in (inputs, bare))
    chosen, held = sets([result.basis for result in results], planted_waves(examples))
    labels = examples.targets, answers(explainer, inputs), answers(explainer, bare)
    row = gate.tests(
        lambda rows, signals: answers_at(explainer, [results[i] for i in rows], signals),
        results,
        others,
        labels,
        chosen,
    )
    passed = row["turns"] >= gate.NECESSITY and row["decoys move"] <= gate.MOVED
    return {"model": subject.name, "n": len(examples), **held, **row, "valid": passed}


def measures(scores: np.ndarray, order: np.ndarray, truth: np.ndarray, decoyed: np.ndarray) -> dict[str, float]:
    """All numbers of one example's ranking of its features, given G and D."""
    return {
        "AUROC decoys": area(scores, truth, decoyed),
        "AUROC": area(scores, truth, ~truth),
        "AP": average_precision(order, truth, np.zeros_like(truth)),
        "first": float(truth[order[0]]),
    }


def rank(subject: Subject, method: str, examples: Examples) -> dict[str, list[float]]:
    """All numbers of one method on one model, a list per column, of the examples that have the trigger's label."""
    explainer = subject.explainer("planted")
    index = triggered(explainer, examples)
    results = explainer.explain(examples.inputs(rows=index), method=method, domain=DOMAIN)
    waves = planted_waves(examples)
    chosen, _ = sets([result.basis for result in results], (waves[0][index], waves[1][index]))
    rows = [
        measures(result.scores.double().numpy(), result.order.numpy(), truth.numpy(), decoyed.numpy())
        for result, (truth, decoyed) in zip(results, chosen, strict=True)
    ]
    return {"index": [float(i) for i in index], **{name: [row[name] for row in rows] for name in COLUMNS}}


def cell_of(name: str, subject: Subject, methods: Sequence[str], n: int, half: Half) -> str:
    """The file of what is measured of one model, or of one method on it."""
    models = [subject.asset("planted")]
    return cell_file(name, methods=methods, models=models, code=(*CODE, __name__), examples=n, half=half)


def tables(
    subjects: Sequence[Subject], folder: Path, names: Sequence[str], n: int, half: Half
) -> tuple[list[dict[str, Any]], list[tuple[str, list[dict[str, Any]]]]]:
    """What G and D are for each model that waves are planted in, and a table of the methods for each."""
    gates, ranked = [], []
    for subject in subjects:
        where = folder / half / "wavelets"
        gate_file = cell_of(f"{subject.name}-gate", subject, [], n, half)
        found = kept(where / gate_file, lambda: measure(subject, subject.examples(n, half)))  # noqa: B023
        gates.append(found)
        examples, rows = subject.examples(n, half), []
        for name in names:
            path = where / f"n{n}" / cell_of(subject.name, subject, [name], n, half)
            numbers = kept(path, lambda: rank(subject, name, examples))  # noqa: B023
            row: dict[str, Any] = {"method": name, "n": len(numbers["index"])}
            row |= {column: described(numbers[column]) for column in COLUMNS}
            rows.append(row)
        ranked.append((subject.name + ("" if found["valid"] else " (void)"), rows))
    return gates, ranked
