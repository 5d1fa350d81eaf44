"""Which metrics know a true ranking? Every metric of the library beside the truth of models with planted features.

On each planted model that passes its gate (`python -m benchmarks planted`), each method ranks held-out triggered
examples. The truth is how far up the planted features are: AUROC against the decoys, and average precision. Four
questions are put to each metric.

*Correlation*: Spearman's ρ over methods between the metric's mean and the truth's, signed so that 1 is a metric that
orders methods as the truth does; by model, and the mean over models with a 95 % bootstrap interval over families of
methods (variants of one method are drawn together).

*The true ranking beside the magnitude*: what is planted first, then the rest by magnitude, decoys last. The paired gap
of the metric between it and the magnitude, signed so that above 0 is right, with a 95 % bootstrap interval over
examples.

*Spoilt rankings*: a share of the features, from none to all, exchange their scores (Zheng et al. 2025, F-Fidelity,
arXiv 2410.02970). A metric should fall with every step: ρ between the metric and the share that is left as it was.

*Net evidence*: decisions kept on the top 4 %, less how often another example's label is reached on the top 4 % of an
input that has the same spectrum and no evidence: its phases are random (phase-scrambled), or its amplitudes as well
(noise). What a method reaches there, it would reach anywhere.

Metrics by random perturbations take half of their usual draws. F-Fidelity is also asked of a copy of the model that was
fine-tuned on small random removals, of pictures of the other half of the test split that carry triggers. The mask probe
is also asked for masks that were made for another example's label (*assigned*). Numbers are kept in the folder of
`benchmarks planted`: run the same command again to go on, or to print the tables. `--metrics` measures some metrics
alone, and prints their rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmarks.assets.planted import DATA
from benchmarks.keeping import cell_file, kept
from benchmarks.meta_evaluation import noise, tables
from benchmarks.meta_evaluation.columns import Asked, measured_metrics, measuring, quantities, truth, wrong_labels
from benchmarks.meta_evaluation.noise import net_evidence
from benchmarks.meta_evaluation.rankings import Ranker, spoilt, true_scores
from benchmarks.planted import gated, methods
from benchmarks.planted.subjects import CODE, Half, Subject, frequencies, triggered
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.evaluation.surrogates import fine_tune_surrogate

SPOILT = "integrated_gradients"
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TUNED = ("fashion-vit",)
"""The hosts whose planted models are fine-tuned on small random removals: on those of sounds it takes too long."""
PICTURES, EPOCHS, RATE = 5000, 4, 1e-3
"""How they are: so many examples of the half that nothing else is measured on, epochs and learning rate."""


class Trial:
    """All that is measured on one planted model.

    Args:
        subject: The model.
        folder: Where numbers are kept.
        n: Examples, before those are left out that have not the trigger's label.
        half: Of the test split.
        metrics: The names of the metrics.
    """

    def __init__(self, subject: Subject, folder: Path, n: int, half: Half, metrics: Sequence[str]) -> None:
        self.subject, self.n, self.half, self.metrics = subject, n, half, sorted(metrics)
        self.folder = folder / half / f"meta-n{n}"
        self.gate = gated(subject, folder, half)
        self.explainer, self.examples = subject.explainer("planted"), subject.examples(n, half)
        self.chosen = triggered(self.explainer, self.examples)
        self.inputs = self.examples.inputs(rows=self.chosen)
        self.wrong = wrong_labels(self.explainer, self.inputs)

    @cached_property
    def tuned(self) -> FourierExplainer | None:
        """A copy of the model that has seen small random removals, which F-Fidelity is asked of; None for none."""
        if self.subject.host not in TUNED or "f_fidelity" not in self.metrics:
            return None
        inputs = self.subject.examples(PICTURES, "tuning" if self.half == "test" else "test").inputs()
        domain = frequencies(self.explainer)
        made = fine_tune_surrogate(self.explainer, inputs, domain, masks="few", epochs=EPOCHS, rate=RATE)
        print(f"{self.subject.name}, fine-tuned: loss by epoch {made.loss}", file=sys.stderr, flush=True)
        return made.explainer  # type: ignore[return-value]

    @property
    def true_ranking(self) -> Ranker:
        """What is planted first, the decoys last."""
        return Ranker(tables.TRUE, "magnitude", true_scores(self.examples, self.chosen))

    def kept(self, ranker: Ranker) -> dict[str, list[float]]:
        """The truth and every metric of one ranking, kept."""
        found: dict[str, list[float]] = kept(self._path("metrics", ranker), lambda: self._measured(ranker))
        return found

    def kept_noise(self, ranker: Ranker) -> dict[str, list[float]]:
        """Net evidence of one ranking, kept."""
        material = self.examples.material
        found: dict[str, list[float]] = kept(
            self._path("noise", ranker),
            lambda: net_evidence(
                self.explainer, ranker, self.inputs, material.signal, len(material.lengths), self.wrong["random"]
            ),
        )
        return found

    def _measured(self, ranker: Ranker) -> dict[str, list[float]]:
        asked = Asked(self.explainer, self.tuned, self.inputs, self.wrong, self.metrics)
        results, values = quantities(asked, ranker)
        return truth(results, self.examples, self.chosen, self.gate["admitted"]) | values

    def _path(self, what: str, ranker: Ranker) -> Path:
        settings: dict[str, Any] = {"examples": self.n, "half": self.half, "ranker": ranker.name}
        code = (*CODE, noise.__name__, Ranker.__module__)
        if what == "metrics":
            settings |= {"admitted": self.gate["admitted"], "metrics": self.metrics}
            code = (*CODE, *measuring(self.metrics), __name__)
        name, models = f"{self.subject.name}-{what}-{ranker.name}", [self.subject.asset("planted")]
        return self.folder / cell_file(name, methods=[ranker.method], models=models, code=code, **settings)


def spoilt_values(trial: Trial, ranker: Ranker) -> list[dict[str, list[float]]]:
    """The metrics of a ranking as more and more of it is spoilt."""
    return [trial.kept(spoilt(ranker, share)) for share in SHARES]


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    kinds = list(dict.fromkeys(kind for _, names in DATA.values() for kind in names))
    parser = argparse.ArgumentParser(prog="python -m benchmarks meta_evaluation", description=__doc__)
    parser.add_argument("--models", nargs="*", default=["fashion-vit"], choices=list(DATA))
    parser.add_argument("--kinds", nargs="*", default=kinds, choices=kinds)
    parser.add_argument("--methods", nargs="*", default=methods(), help="specs; all that rank frequencies by default")
    known = measured_metrics()
    parser.add_argument("--metrics", nargs="*", choices=known, help="some metrics; all, and net evidence, by default")
    parser.add_argument("--examples", type=int, default=32, help="per model")
    parser.add_argument("--half", choices=("tuning", "test"), default="test", help="of the test split")
    parser.add_argument("--folder", type=Path, default=Path("planted"), help="where numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    subjects = [Subject(host, kind) for host in given.models for kind in DATA[host][1] if kind in given.kinds]
    chosen = given.metrics or known
    trials = [Trial(subject, given.folder, given.examples, given.half, chosen) for subject in subjects]
    valid = [trial for trial in trials if trial.gate["valid"]]
    for trial in trials:
        print(f"{trial.subject.name}: {len(trial.chosen)} examples" + ("" if trial in valid else ", void: left out"))
    measured: list[dict[str, Any]] = []
    for trial in valid:
        rankers = [Ranker(name, name) for name in given.methods]
        everything = trial.kept if given.metrics else lambda ranker: trial.kept(ranker) | trial.kept_noise(ranker)  # noqa: B023
        measured.append(
            {
                "model": trial.subject.name,
                "methods": {ranker.name: everything(ranker) for ranker in rankers},
                "true": everything(trial.true_ranking),
                "spoilt": {
                    ranker.name: spoilt_values(trial, ranker) for ranker in (trial.true_ranking, Ranker(SPOILT, SPOILT))
                },
                "shares": SHARES,
            }
        )
    for title, rows in (
        ("Correlation of each metric with the truth over methods", tables.correlations(measured)),
        ("The true ranking less the magnitude", tables.gaps(measured)),
        ("Degraded rankings", tables.spoilt_rows(measured)),
        ("Net evidence", [] if given.metrics else tables.noise_rows(measured)),
    ):
        there = [row for row in rows if "metric" not in row or row["metric"] in measured[0]["methods"]["magnitude"]]
        if there:
            print(f"\n{title}\n\n{markdown(there)}", flush=True)
