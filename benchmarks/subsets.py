"""What methods without gradients cost beside the bare forward passes, and what stands well in a deleted band's place.

The first table: all subsets of the octave bands of each example (64 of them evenly, where there are more) through
`subset_readings`, with zero in the place of deleted bands, against the model alone on the same rows, ready-made, in
batches of the same size, written without the library, as for `benchmarks.game`. Both run in turn in one process; the
gate is the same.

The second: planted models, whose deciding frequency is known. Its band, one of fourteen of equal width, should come
first, and the decoys' bands should not; nor should it come first on the control, which is
deaf to it. Each method is asked with each replacement.

The third: how far the ranking of real models' octave bands by occlusion depends on the replacement: the rank
correlation with zero, and how often the first band is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.cost import GATE, keep_memory, laid_out, timed
from benchmarks.keeping import cell_file, kept
from benchmarks.planted.ranking import members
from benchmarks.planted.subjects import CODE as PLANTED_CODE
from benchmarks.planted.subjects import Role, Subject, frequencies, triggered
from benchmarks.real import MODELS
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError
from hf_fourier.methods.shapley import all_subsets
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.curve import REPLACEMENTS
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch, rows_for, score_of
from hf_fourier.scoring.subsets import subset_readings
from hf_fourier.seeding import ExampleRng

OCTAVES = "fourier:bands=octave"
#: Bands of equal width on the planted models: wide enough to be few, narrow enough to tell waves apart.
BANDS = 14
#: Subsets of an example in the first table, at most.
SUBSETS = 64
#: Examples of the first table.
EXAMPLES = {"fashion-vit": 8, "ast-languages": 4, "wav2vec2-languages": 4, "pbmc-geneformer": 2}
PLANTED = ("fashion-vit-amplitude", "fashion-vit-phase", "fashion-vit-first", "fashion-vit-second")
METHODS = ("occlusion", "occlusion:mode=alone", "shapley")
ROLES: tuple[Role, Role] = ("planted", "clean")


def encoded_alike(name: str, n: int) -> tuple[FourierExplainer, list[EncodedExample]]:
    """A model, and those of its first n examples that share a batch with the first."""
    explainer = MODELS[name].explainer()
    encoded = [explainer.wrapper.encode(example) for example in MODELS[name].examples(n)]
    return explainer, [example for example in encoded if example.batch_key == encoded[0].batch_key]


def bare_batches(
    explainer: FourierExplainer, examples: Sequence[EncodedExample], signals: Tensor, size: int
) -> list[tuple[Tensor, Any]]:
    """The rows that the subsets ask for, ready-made, with the model's own forward pass for each batch."""
    rows = [example for example in examples for _ in range(len(signals) // len(examples))]
    batches = []
    for start in range(0, len(rows), size):
        signal, forward = laid_out(explainer.model, rows[start : start + size])
        own = signals[start : start + size]
        batches.append((own if own.shape == signal.shape else signal.detach(), forward))
    return batches


def against_bare(name: str, n: int, runs: int) -> dict[str, Any]:
    """One row of the first table."""
    explainer, examples = encoded_alike(name, n)
    basis = DOMAINS.parse(OCTAVES).bind(examples[0].signal)
    masks = all_subsets(len(basis))[:-1]
    masks = masks[:: max(1, -(-len(masks) // SUBSETS))]
    with eval_mode(explainer.model):
        batch = explainer.wrapper.example_batch(examples, ExampleRng(0, [example.key for example in examples]))
        size = rows_for(batch, "auto")
        coefficients = basis.forward(batch.signal).repeat_interleave(len(masks), 0)
        signals = basis.keep_features(coefficients, masks.repeat(len(examples), 1))
        batches = bare_batches(explainer, examples, signals, size)

        def bare() -> None:
            with torch.inference_mode():
                for signal, forward in batches:
                    forward(signal)

        taken = []
        for _ in range(runs + 1):
            score = fresh_score(batch, size)
            taken.append((timed(bare), timed(lambda: subset_readings(score, basis, masks))))  # noqa: B023
    taken = taken[1:]
    ratio = statistics.median(own.cpu / alone.cpu for alone, own in taken)
    return {
        "model": name,
        "examples": len(examples),
        "bands": len(basis),
        "rows": len(signals),
        "batches": len(batches),
        "bare, s": statistics.median(alone.wall for alone, _ in taken),
        "subsets, s": statistics.median(own.wall for _, own in taken),
        "ratio": statistics.median(own.wall / alone.wall for alone, own in taken),
        "ratio of CPU time": ratio,
        "gate": "met" if ratio <= GATE else "missed",
    }


def fresh_score(batch: ExampleBatch, size: int) -> Any:
    """A score whose clean evaluation is known."""
    score = score_of(batch, [None] * len(batch.signal), MicroBatcher(size))
    score.clean_reading()
    return score


def on_planted(subject: Subject, role: Role, method: str, n: int, half: Any) -> dict[str, Any]:
    """How often the planted band comes first, and how often a decoy's band, by replacement; a list per example.

    Of the planted model only examples count that have the trigger's label; of the control, all.
    """
    explainer, examples = subject.explainer(role), subject.examples(n, half)
    chosen = triggered(explainer, examples) if role == "planted" else list(range(len(examples)))
    inputs = examples.inputs(rows=chosen)
    explainer.donors = examples.material.inputs  # which carry nothing
    fine = frequencies(explainer)
    bands: Any = replace(fine, bands=BANDS)  # type: ignore[type-var]
    found: dict[str, Any] = {}
    for name in REPLACEMENTS:
        spec = f"{method}{',' if ':' in method else ':'}replacement={name}"
        results = explainer.explain(inputs, method=spec, domain=bands)
        layout = fine.bind(results[0].layout.signal).layout
        owner: Tensor = results[0].basis.split.band_of_feature  # type: ignore[attr-defined]
        planted = [set(owner[members(layout, examples.planted(i))].tolist()) for i in chosen]
        decoys = [set(owner[members(layout, examples.decoys(i))].tolist()) for i in chosen]
        first = [int(result.order[0]) for result in results]
        found[f"{name}: planted"] = [float(top in right) for top, right in zip(first, planted, strict=True)]
        found[f"{name}: decoys"] = [
            float(top in wrong - right) for top, right, wrong in zip(first, planted, decoys, strict=True)
        ]
    return found


def planted_cell(subject: Subject, role: Role, method: str, n: int, half: str) -> str:
    """The file of the numbers of one method on one planted model or its control."""
    code, models = (__name__, *PLANTED_CODE), [subject.asset(role)]
    return cell_file(f"{subject.name}-{role}", methods=[method], models=models, code=code, examples=n, half=half)


def real_cell(name: str, what: str, n: int, **settings: Any) -> str:
    """The file of a row of a real model in the first table ("cost") or the third ("replacements")."""
    code = (__name__, "benchmarks.real", "benchmarks.cost")
    return cell_file(f"{name}-{what}", methods=["occlusion"], models=[name], code=code, examples=n, **settings)


def planted_rows(subject: Subject, folder: Path, n: int, half: str) -> list[dict[str, Any]]:
    """The rows of one planted model in the second table."""
    rows = []
    for method in METHODS:
        own, control = (
            kept(
                folder / planted_cell(subject, role, method, n, half),
                lambda: on_planted(subject, role, method, n, half),  # noqa: B023
            )
            for role in ROLES
        )
        row: dict[str, Any] = {"model": subject.name, "method": method, "n": len(own["zero: planted"])}
        for name in REPLACEMENTS:
            wrong, deaf = (statistics.mean(values) for values in (own[f"{name}: decoys"], control[f"{name}: planted"]))
            row[name] = f"{described(own[f'{name}: planted'])}; {wrong:.2f}; {deaf:.2f}"
        rows.append(row)
    return rows


def between_replacements(name: str, n: int) -> dict[str, Any]:
    """One row of the third table."""
    explainer, examples = MODELS[name].explainer(), MODELS[name].examples(n)
    explainer.donors = examples
    scores: dict[str, list[Tensor]] = {}
    for replacement in REPLACEMENTS:
        method = f"occlusion:replacement={replacement}"
        try:
            results = explainer.explain(examples, method=method, domain=OCTAVES)
        except InputError:  # no other example has the same length
            continue
        scores[replacement] = [result.scores for result in results]
    row: dict[str, Any] = {"model": name, "n": len(examples)}
    for replacement in REPLACEMENTS[1:]:
        if replacement not in scores:
            row[replacement] = "–"
            continue
        pairs = list(zip(scores["zero"], scores[replacement], strict=True))
        rho = [float(spearmanr(a.numpy(), b.numpy()).statistic) for a, b in pairs]
        same = statistics.mean(float(int(a.argmax()) == int(b.argmax())) for a, b in pairs)
        row[replacement] = f"{statistics.mean(rho):.2f}; {same:.2f}"
    return row


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks subsets", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--planted", nargs="*", default=list(PLANTED), choices=PLANTED)
    parser.add_argument("--examples", type=int, default=30, help="of each planted model")
    parser.add_argument("--real", type=int, default=8, help="examples of each real model in the third table")
    parser.add_argument("--half", choices=("tuning", "test"), default="test", help="of the planted models' examples")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--folder", type=Path, default=Path("subsets"), help="where numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch; on a busy machine one is steadier than all")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    keep_memory()
    folder, costs = given.folder, []
    for name in given.models:
        n = EXAMPLES.get(name, 1)
        path = folder / real_cell(name, "cost", n, runs=given.runs)
        costs.append(kept(path, lambda: against_bare(name, n, given.runs)))  # noqa: B023
        print(costs[-1], file=sys.stderr, flush=True)
    subjects = [Subject(*name.rsplit("-", 1)) for name in given.planted]
    planted = [row for subject in subjects for row in planted_rows(subject, folder, given.examples, given.half)]
    between = [
        kept(folder / real_cell(name, "replacements", given.real), lambda: between_replacements(name, given.real))  # noqa: B023
        for name in given.models
    ]
    for table in (costs, planted, between):
        if table:
            print(markdown(table) + "\n")
