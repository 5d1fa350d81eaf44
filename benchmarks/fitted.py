"""Which directions of the data does a model read? Principal, independent and relevant components of clothes.

Fits the domains to pictures of the train split that the small vision transformer of clothes has not seen, explains
pictures of the test split, and prints the table of `docs/fitted.md`: decisions kept on the top components alone, the
rest ranked last. Writes the figure: the first components of each kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.real import MODELS, clothes_apart
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.domains import Fitted
from hf_fourier.evaluation.metrics.statistics import summarise
from hf_fourier.evaluation.studies.fit_domain import fit_domain
from hf_fourier.results.curve import FractionGrid

COMPONENTS = 64
METHODS = ("tracking", "integrated_gradients:steps=16", "gradient_input", "magnitude", "random")
KINDS = {"pca": "principal", "ica": "independent", "prca": "relevant"}
SHOWN = 8


def kept_row(
    explainer: FourierExplainer, pictures: list[Any], domain: Fitted, kind: str, method: str
) -> dict[str, Any]:
    """Decisions kept on the top 4, 8 and 16 components, the rest left out."""
    results = []
    for result in explainer.explain(pictures, method=method, domain=domain):
        scores = result.scores.clone()
        scores[-1] = scores.min() - 1
        results.append(replace(result, scores=scores))
    row: dict[str, Any] = {"components": KINDS[kind], "method": method}
    for count in (4, 8, 16):
        share = (count + 0.5) / results[0].layout.total
        explainer.perturb(results, FractionGrid(keep=(share,)))
        kept = summarise([result.curve.decisions("keep", [share])[0] for result in results if result.curve])
        row[f"top {count}"] = f"{kept.mean:.2f} [{kept.interval[0]:.2f}, {kept.interval[1]:.2f}]"
    return row


def picture(column: Tensor) -> Tensor:
    """A direction as a grey picture."""
    return column.view(3, 28, 28).mean(0)


def draw(domains: dict[str, Fitted], path: Path) -> None:
    """The first components of each kind, a row a kind."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(domains), SHOWN, figsize=(1.05 * SHOWN, 3.7), layout="constrained")
    for row, (kind, domain) in zip(axes, domains.items(), strict=True):
        for place, axis in enumerate(row):
            shown = picture(domain.directions.vectors[:, place])
            size = float(shown.abs().max())
            axis.imshow(shown, cmap="RdBu_r", vmin=-size, vmax=size)
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"{float(domain.directions.weights[place]):.2g}", fontsize=7)
        row[0].set_ylabel(KINDS[kind], fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str]) -> None:
    """Print the table and write the figure; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fitted", description=__doc__)
    parser.add_argument("--fit", type=int, default=2000, help="pictures that domains are fitted to")
    parser.add_argument("--examples", type=int, default=100, help="pictures that are explained")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/fitted.png"))
    chosen = parser.parse_args(arguments)
    explainer = MODELS["fashion-vit"].explainer()
    train, pictures = clothes_apart(chosen.fit, chosen.examples)
    domains = {kind: fit_domain(explainer, train, kind, components=COMPONENTS) for kind in KINDS}
    draw(domains, chosen.figure)
    rows = [kept_row(explainer, pictures, domains[kind], kind, method) for kind in KINDS for method in METHODS]
    print(markdown(rows), flush=True)
