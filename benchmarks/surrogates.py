"""Is a decision on the top features in what they contain, or in their choice? Surrogates, F-Fidelity, mask probes.

Fine-tunes two copies of the small vision transformer of clothes on masked inputs: one that answers from any part of
the frequencies (after EVAL-X), one that has seen small random removals (F-Fidelity). They see pictures of the train
split, methods are compared on the test split. Writes the figure, and prints the tables of `docs/surrogates.md`:

- the surrogate's check on held-out pictures;
- kept confidence of model and surrogate on each method's top features, for the own label and for an assigned one;
- F-Fidelity on the model as it is and on the fine-tuned copy, and the order of rankings that are degraded;
- how often a classifier reads the label off the masks alone.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.real import MODELS, clothes_apart
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.evaluation.degradation import check_degradation
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.mask_probe import probe_masks
from hf_fourier.evaluation.random_removals import remove_parts
from hf_fourier.evaluation.surrogate_checks import check_surrogate, compare_curves
from hf_fourier.evaluation.surrogates import Surrogate, fine_tune_surrogate
from hf_fourier.evaluation.wrong_labels import assign_wrong_labels
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table

METHODS = ("tracking", "gradient_input", "integrated_gradients:steps=16", "saliency", "magnitude", "random")
FRACTIONS = (0.01, 0.02, 0.04, 0.1, 0.3)
TOP = 0.04
PARTS = ("curves", "fidelity")
#: Methods whose rankings are degraded, and pictures for F-Fidelity, half of which are degraded.
DEGRADED, FEW = ("tracking", "integrated_gradients:steps=16"), 40


def explained(explainer: FourierExplainer, pictures: list[Any], method: str) -> dict[str, list[Attribution]]:
    """A method's rankings for the model's own answers, and for labels that are assigned to other pictures."""
    own = explainer.explain(pictures, method=method, domain="fourier")
    labels, _ = assign_wrong_labels(
        [int(result.target) for result in own],
        sorted(explainer.wrapper.head().labels),
        [result.key for result in own],
    )
    return {"own": own, "assigned": explainer.re_explain(own, labels, as_goals=True)}


def f_fidelity_row(name: str, explainer: FourierExplainer, results: list[Attribution]) -> dict[str, Any]:
    """F-Fidelity of one method on one model."""
    values = METRICS["f_fidelity"].compute({"group": [""] * len(results), **remove_parts(explainer, results)})
    row: dict[str, Any] = {"method": name, "model": explainer.name.removeprefix("fashion-vit, ")}
    for title, key in (("FFid⁺", "f_fidelity"), ("FFid⁻", "f_fidelity_of_rest")):
        row[title] = f"{values[key]:.3f} [{values[key + '_low']:.3f}, {values[key + '_high']:.3f}]"
    return row | {f"FFid⁺ at {s:g}": values[f"f_fidelity_at_{s:g}"] for s in (0.05, 0.1, 0.2, 0.4)}


def probe_row(name: str, kind: str, results: list[Attribution]) -> dict[str, Any]:
    """How often the label that was explained is read off the masks."""
    table = columns_of(results)
    found = probe_masks(table["top"], table["label"], table["features"][0])
    return {"method": name, "label": kind, "from the mask": found.accuracy, "shuffled": found.chance, "p": found.p}


def columns_of(results: list[Attribution]) -> dict[str, list[Any]]:
    """Labels and tops, without curves."""
    return {
        "label": [result.label for result in results],
        "top": [result.mask(TOP).nonzero().flatten().tolist() for result in results],
        "features": [len(result.scores) for result in results],
    }


def draw(curves: dict[tuple[str, str], Table], path: Path) -> None:
    """Confidence kept by model and surrogate, a panel a method."""
    import matplotlib.pyplot as plt

    methods = list(dict.fromkeys(name for name, _ in curves))
    figure, axes = plt.subplots(1, len(methods), figsize=(2.1 * len(methods), 2.7), sharey=True, layout="constrained")
    for axis, name in zip(axes, methods, strict=True):
        for kind, colour in (("own", "C0"), ("assigned", "C3")):
            table = curves[name, kind]
            axis.plot(table["kept"], table["model"], colour, label=f"model, {kind} label")
            axis.plot(table["kept"], table["surrogate"], colour, linestyle="--", label=f"surrogate, {kind} label")
        axis.set(title=name.partition(":")[0].replace("_", " "), xscale="log", ylim=(0, 1), xlabel="kept")
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("mean confidence")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print a table under its title."""
    print(f"\n### {title}\n\n{markdown(rows)}", flush=True)


def tuned(explainer: FourierExplainer, pictures: list[Any], masks: str, epochs: int) -> Surrogate:
    """A surrogate, and what it took."""
    start = time.perf_counter()
    made = fine_tune_surrogate(explainer, pictures, "fourier", masks=masks, epochs=epochs, rate=1e-3)
    losses = ", ".join(f"{loss:.3f}" for loss in made.loss)
    seconds = time.perf_counter() - start
    print(f"masks={masks}: {len(pictures)} pictures, {epochs} epochs in {seconds:.0f} s; loss by epoch {losses}")
    return made


def curves_part(explainer: FourierExplainer, train: list[Any], test: list[Any], epochs: int, figure: Path) -> None:
    """The surrogate's check, the curves of both, and the probes of masks."""
    surrogate, examples = tuned(explainer, train, "any", epochs), len(test) // 2
    check = check_surrogate(surrogate, explainer, test[examples:])
    show("Check", [dict(row) for row in check])
    print(f"\n{check.notes[0]}")
    curves, rows, probes = {}, [], []
    for name in METHODS:
        for kind, own in explained(explainer, test[:examples], name).items():
            curves[name, kind] = compare_curves(surrogate, explainer, own, FRACTIONS)
            rows += [{"method": name, "label": kind, **row} for row in curves[name, kind] if row["kept"] == TOP]
            probes.append(probe_row(name, kind, own))
    show(f"Kept confidence at {TOP:g}", rows)
    show("Mask probe", probes)
    draw(curves, figure)


def fidelity_part(explainer: FourierExplainer, train: list[Any], test: list[Any], epochs: int) -> None:
    """F-Fidelity with and without fine-tuning, and of rankings that are degraded."""
    both = explainer, tuned(explainer, train, "few", epochs).explainer
    rows = []
    for name in METHODS:
        results = explainer.explain(test[:FEW], method=name, domain="fourier")
        rows += [f_fidelity_row(name, one, results) for one in both]
        if name in DEGRADED:
            for one in both:
                degraded = check_degradation(one, results[: FEW // 2], draws=10)
                show(f"Degraded: {name}, {one.name}", [dict(row) for row in degraded])
                print(f"\n{degraded.notes[0]}", flush=True)
    show("F-Fidelity", rows)


def main(arguments: Sequence[str]) -> None:
    """Print the tables and write the figure; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks surrogates", description=__doc__)
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--train", type=int, default=10_000, help="pictures that surrogates are fine-tuned on")
    parser.add_argument("--epochs", type=int, default=6, help="for curves; a third of them for F-Fidelity")
    parser.add_argument("--examples", type=int, default=120, help="pictures that are explained for curves")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/surrogates.png"))
    chosen = parser.parse_args(arguments)
    explainer = MODELS["fashion-vit"].explainer()
    train, test = clothes_apart(chosen.train, max(FEW, 2 * chosen.examples))
    if "curves" in chosen.parts:
        curves_part(explainer, train, test, chosen.epochs, chosen.figure)
    if "fidelity" in chosen.parts:
        fidelity_part(explainer, train, test, math.ceil(chosen.epochs / 3))
