"""What the experiments share: what is asked, what is found, and the models and data they run on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.real import CLASSIFIERS, MODELS
from hf_fourier import Attribution, FourierExplainer
from hf_fourier.evaluation.metrics.dig import deletion_curve, insertion_curve
from hf_fourier.results.curve import PAPER_GRID, TENTHS, FractionGrid

Rows = list[dict[str, Any]]
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Ask:
    """What the command line asks for.

    Attributes:
        model: A Hub id or a folder instead of the offline model.
        data: A folder of examples instead of the offline ones: pictures, one sub-folder a class, or sounds.
        n: How many examples; None for the experiment's own number.
        small: As few as show that it runs.
    """

    model: str | None = None
    data: str | None = None
    n: int | None = None
    small: bool = False

    def many(self, default: int, small: int = 3) -> int:
        """How many examples."""
        return self.n or (small if self.small else default)


@dataclass(frozen=True)
class Found:
    """What an experiment found.

    Attributes:
        on: What it ran on, with the numbers of examples.
        tables: Rows by title.
    """

    on: str
    tables: dict[str, Rows]


@dataclass(frozen=True)
class Experiment:
    """One experiment of the papers.

    Attributes:
        title: What it asks, in words.
        items: The tables and figures that it stands for, by their names in `published.json`.
        differs: What differs from the published one: the faults of the released code, data, weights.
        full: The options that run it with the paper's own model and data, in words where they are not available.
        run: Runs it.
    """

    title: str
    items: tuple[str, ...]
    differs: str
    full: str
    run: Callable[[Ask], Found]


#: All experiments by name; modules add theirs.
EXPERIMENTS: dict[str, Experiment] = {}


def experiment(
    name: str, title: str, items: Sequence[str], differs: str, full: str
) -> Callable[[Callable[[Ask], Found]], Callable[[Ask], Found]]:
    """Add a function to the experiments."""

    def add(run: Callable[[Ask], Found]) -> Callable[[Ask], Found]:
        EXPERIMENTS[name] = Experiment(title, tuple(items), differs, full, run)
        return run

    return add


@dataclass(frozen=True)
class Setting:
    """A model with examples.

    Attributes:
        explainer: The model.
        examples: The examples.
        groups: The group of each.
        on: Both in words.
        labels: The true label of each, where it is known.
    """

    explainer: FourierExplainer
    examples: list[Any]
    groups: list[str]
    on: str
    labels: list[str] = field(default_factory=list)


def setting(ask: Ask, name: str, n: int, small: int = 3, task: str | None = None) -> Setting:
    """The offline model of this name with its examples, or what is asked for in their place."""
    real, many = CLASSIFIERS.get(name, MODELS.get(name)), ask.many(n, small)
    assert real is not None
    explainer = FourierExplainer.from_pretrained(ask.model, task=task) if ask.model else real.explainer()
    if ask.data is None:
        examples = real.examples(many)
        groups = [str(group) for group in real.groups(len(examples))]
        told = ask.model or name
        return Setting(explainer, examples, groups, f"{told}, {len(examples)} examples of {len(set(groups))} groups")
    files = sorted(path for path in Path(ask.data).rglob("*") if path.is_file())
    files = [path for path in files if path.suffix.lower() in PICTURES] or files
    chosen = [str(path) for path in files[:: max(1, len(files) // many)][:many]]
    labels = [Path(path).parent.name for path in chosen]
    on = f"{ask.model or name}, {len(chosen)} files of {Path(ask.data).name}"
    return Setting(explainer, list(chosen), [str(i) for i in range(len(chosen))], on, labels)


def played(explainer: FourierExplainer, examples: Sequence[Any], grid: FractionGrid = PAPER_GRID, **how: Any) -> Any:
    """Explain and play."""
    return explainer.perturb(explainer.explain(list(examples), **how), grid)


def sums(results: Sequence[Attribution]) -> tuple[float, float]:
    """The published sums over ten points of the mean curves: least important first, most important first."""
    curves = [result.curve for result in results if result.curve]
    return (
        float(sum(np.nanmean([insertion_curve(curve, TENTHS[:-1]) for curve in curves], axis=0))),
        float(sum(np.nanmean([deletion_curve(curve, TENTHS[:-1]) for curve in curves], axis=0))),
    )


def mean_curve(results: Sequence[Attribution], part: str) -> list[float]:
    """The mean relative confidence over the tenths 0, .1, … .9 of deleted features, "least" or "most" first."""
    read = insertion_curve if part == "least" else deletion_curve
    return [float(v) for v in np.nanmean([read(one.curve, TENTHS[:-1]) for one in results if one.curve], axis=0)]


def kept(results: Sequence[Attribution], shares: Sequence[float]) -> list[float]:
    """The share of decisions kept with the top shares alone."""
    return [float(np.mean([one.curve.at("keep", share).agreement for one in results if one.curve])) for share in shares]


def train(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, rate: float = 1e-3) -> torch.nn.Module:
    """Adam in batches of 64, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        model.train()
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(64):
                optimiser.zero_grad()
                out = model(x[batch])
                torch.nn.functional.cross_entropy(getattr(out, "logits", out), y[batch]).backward()
                optimiser.step()
    return model.eval()


def clothes(split: str, n: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Fashion-MNIST as numbers from 0 to 1, `(n, 28, 28)`, with labels and their names."""
    from benchmarks import assets

    rows = assets.fashion(split, n)
    names = sorted({row["label"] for row in assets.fashion("test", 400)})
    pixels = torch.stack([torch.from_numpy(np.array(row["picture"].convert("L"))) / 255 for row in rows])
    return pixels, torch.tensor([names.index(row["label"]) for row in rows]), names
