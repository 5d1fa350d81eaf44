"""At which points of which paths should contributions take their gradients, if a default may cost 8 + 8 passes?

The default (tracking) takes 4 + 4 passes, its clean gradient among them, so 4 + 4 are left for the contributions of
tokens. The gradient of the log-odds is taken at many points of some paths of each example (from masked tokens, from the
average token, and from mixes of both), and each rule is a weighted sum of them. Passes are counted as they are beside
tracking's: the gradient at the example itself (point 1) is there, a gradient at the reference (point 0) gives the value
there too, and a rule without one takes a forward pass more. The table shows for each rule the mean over examples of
Spearman's ρ with leaving each word (gene) out, the paired gap to the midpoints of quarters from two references
(`contributions=4`), the examples below 0 (below by more than noise), as in `python -m benchmarks contributions`, the
median completeness error relative to the total, and the median total.

For cells a second table deletes the top genes together, and keeps them alone: the share of decisions that stay, by the
default and by four points from each reference, averaged over 4, 8, 16 and 30 % of the genes.

`--tune` shows examples of the training halves, on which a rule is chosen. Each example's numbers are kept in a folder:
run the same command again to go on, or to print the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.axes import LENGTH
from benchmarks.contributions import (
    WAYS,
    Numbers,
    below_noise,
    examples_of,
    folder_of,
    kept_left_out,
    parser_of,
    spearman,
    words,
)
from benchmarks.keeping import cell_file, kept
from benchmarks.real import CLASSIFIERS, TOKEN_CLASSIFIERS
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution, FourierExplainer
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.methods.contributions import GENES, TEXTS
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.curve import FractionGrid
from hf_fourier.scoring.example_batch import ExampleBatch
from hf_fourier.scoring.replay import reopen
from hf_fourier.scoring.score import Score

MASKED, AVERAGE, BOTH, MIXED, MORE = "masked", "average", "mean of both", "mix of 2 and 3", "mix of 1 and 3"
#: Shares of genes that are deleted together, and cells that are explained together.
SHARES, AT_ONCE = (0.04, 0.08, 0.16, 0.3), 16
#: By path, the share of the average token in the reference; the rest is the masked token.
AVERAGED = {MASKED: 0.0, AVERAGE: 1.0, BOTH: TEXTS.mix[1], MIXED: GENES.mix[1], MORE: 0.75}
#: Points of a path from 0, the reference, to 1, the example, with their weights.
Rule = Mapping[float, float]
MIDPOINTS_4: Rule = {(k + 0.5) / 4: 1 / 4 for k in range(4)}
MIDPOINTS_2: Rule = {0.25: 1 / 2, 0.75: 1 / 2}
GAUSS_2: Rule = {(1 - 3**-0.5) / 2: 1 / 2, (1 + 3**-0.5) / 2: 1 / 2}
#: Gauss–Radau with the reference, and with the example, among the points.
RADAU_2: Rule = {0.0: 1 / 4, 2 / 3: 3 / 4}
RADAU_2_END: Rule = {1 / 3: 3 / 4, 1.0: 1 / 4}
RADAU_4_END: Rule = {
    0.08858795951270395: 0.220462211176768, 0.4094668644407347: 0.388193468843171,
    0.7876594617608471: 0.32884431998006, 1.0: 1 / 16,
}  # fmt: skip
SIMPSON: Rule = {0.0: 1 / 6, 0.5: 4 / 6, 1.0: 1 / 6}
LOBATTO_5: Rule = {
    0.0: 1 / 20, (1 - (3 / 7) ** 0.5) / 2: 49 / 180, 0.5: 16 / 45, (1 + (3 / 7) ** 0.5) / 2: 49 / 180, 1.0: 1 / 20,
}  # fmt: skip
TRAPEZOIDS, LATE_TRAPEZOIDS = (
    {j / 4: weight for j, weight in enumerate(few.weights) if weight} for few in (TEXTS, GENES)
)
ENDS: Rule = {0.25: 1 / 4, 0.5: 1 / 4, 0.75: 1 / 4, 1.0: 1 / 4}
FOUR = "two references, midpoints of quarters"
WHOLE, LATE = (
    "trapezoids: the reference, 3 points, the example",
    "trapezoids from the first quarter on: 3 points, the example",
)
#: The defaults of texts and of cells, chosen on the training halves among those within 4 + 4: the one whose agreement
#: with masked words loses least; and, of the two that gain most with masked genes if the total is to be at least 1, the
#: one with fewer passes.
OF_TEXTS, OF_CELLS = f"mean reference, {WHOLE}", f"2 masked, 3 average, {LATE}"


@dataclass(frozen=True)
class Candidate:
    """Rules on some paths, whose contributions are averaged with equal weights."""

    rules: Mapping[str, Rule]

    @property
    def passes(self) -> tuple[int, int]:
        """Forward and backward passes beside those of tracking."""
        taken = sum(len(set(rule) - {1.0}) for rule in self.rules.values())
        return taken + sum(0.0 not in rule for rule in self.rules.values()), taken

    def of(self, one: dict[str, Any]) -> tuple[np.ndarray, float, float]:
        """Each word's contribution, their sum and the total of one example."""
        found, sums, totals = [], [], []
        for path, rule in self.rules.items():
            at = one["paths"][path]
            places = [at["points"].index(point) for point in rule]
            weights = np.array(list(rule.values()))
            found.append(weights @ np.array(at["words"])[places])
            sums.append(float(found[-1].sum()))
            totals.append(at["total"])
        return np.mean(found, 0), float(np.mean(sums)), float(np.mean(totals))


def two(rule: Rule) -> Candidate:
    """Masked tokens and the average token."""
    return Candidate({MASKED: rule, AVERAGE: rule})


CANDIDATES = {
    FOUR: two(MIDPOINTS_4),
    OF_TEXTS: Candidate({BOTH: TRAPEZOIDS}),
    OF_CELLS: Candidate({MIXED: LATE_TRAPEZOIDS}),
    f"mean reference, {LATE}": Candidate({BOTH: LATE_TRAPEZOIDS}),
    f"1 masked, 3 average, {LATE}": Candidate({MORE: LATE_TRAPEZOIDS}),
    f"average token alone, {LATE}": Candidate({AVERAGE: LATE_TRAPEZOIDS}),
    f"2 masked, 3 average, {WHOLE}": Candidate({MIXED: TRAPEZOIDS}),
    "two references, midpoints of halves": two(MIDPOINTS_2),
    "two references, Gauss, 2 points": two(GAUSS_2),
    "two references, Gauss–Radau: the reference and 1 point": two(RADAU_2),
    "two references, Gauss–Radau: 1 point and the example": two(RADAU_2_END),
    "two references, Simpson: the reference, the middle, the example": two(SIMPSON),
    "two references, the middle": two({0.5: 1.0}),
    "mean reference, midpoints of quarters": Candidate({BOTH: MIDPOINTS_4}),
    "mean reference, Gauss–Radau: 3 points and the example": Candidate({BOTH: RADAU_4_END}),
    "mean reference, Gauss–Lobatto: the reference, 3 points, the example": Candidate({BOTH: LOBATTO_5}),
    "mean reference, the ends of quarters, the example among them": Candidate({BOTH: ENDS}),
    "average token alone, Gauss–Radau: 3 points and the example": Candidate({AVERAGE: RADAU_4_END}),
    "masked tokens alone, Gauss–Radau: 3 points and the example": Candidate({MASKED: RADAU_4_END}),
}
#: By path, the points at which gradients are taken.
POINTS = {
    path: sorted({point for one in CANDIDATES.values() for point in one.rules.get(path, ())}) for path in AVERAGED
}


def of_paths(
    explainer: FourierExplainer, example: Any, truth_of: Callable[[Attribution, np.ndarray], Numbers]
) -> dict[str, Any]:
    """One example: what leaving each word out takes, and by path each point's contributions of words."""
    (result,) = explainer.explain([example], method="magnitude", contributions=0)
    groups = words(result)
    found: dict[str, Any] = {}

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        x = score.signal
        masked, average = (reference.signal.to(x).expand_as(x) for reference in batch.references)
        for path, share in AVERAGED.items():
            start, points = masked + share * (average - masked), POINTS[path]
            at = torch.cat([start + point * (x - start) for point in points])
            answers = score.value_and_gradient(at, torch.zeros(len(points), dtype=torch.long))
            by_token = ((x - start) * answers.margin_gradient).sum(-1).numpy()
            values, whole = answers.reading.evidence.tolist(), float(score.clean_reading().evidence)
            rows = [np.bincount(groups, weights=one).tolist() for one in by_token]
            total = whole - float(score.value(start).evidence)
            found[path] = {"total": total, "points": points, "values": values, "words": rows}

    wrapper: Any = explainer.wrapper
    with eval_mode(explainer.model):
        reopen([result], [wrapper.encode(example)], wrapper, visit)
    truth = truth_of(result, groups)
    return {"words": int(groups.max()) + 1, "label": result.label, "truth": truth, "paths": found}


def table(name: str, numbers: Sequence[dict[str, Any]], groups: Sequence[Any]) -> list[dict[str, Any]]:
    """A row for each candidate."""
    made = {title: [candidate.of(one) for one in numbers] for title, candidate in CANDIDATES.items()}
    rho = {
        title: {way: [spearman(of[0], one["truth"][way]) for of, one in zip(own, numbers, strict=True)] for way in WAYS}
        for title, own in made.items()
    }
    rows = []
    for title, own in made.items():
        forward, backward = CANDIDATES[title].passes
        row: dict[str, Any] = {"model": name, "n": len(numbers), "rule": title, "passes": f"{forward} + {backward}"}
        for way in WAYS:
            values = rho[title][way]
            gaps = (np.array(values) - rho[FOUR][way]).tolist()
            low = sum(below_noise(r, one["words"]) for r, one in zip(values, numbers, strict=True))
            row |= {way: described(values, groups), f"{way}: gap": "" if title == FOUR else described(gaps, groups)}
            row[f"{way}: below 0 (clearly)"] = f"{sum(r < 0 for r in values)} ({low})"
        row["error"] = f"{np.median([abs(total - sum_) / abs(total) for _, sum_, total in own]):.2f}"
        row["total"] = f"{np.median([total for *_, total in own]):.2f}"
        rows.append(row)
    return rows


def together(explainer: FourierExplainer, cells: Sequence[Any], groups: Sequence[Any]) -> list[dict[str, Any]]:
    """The table of deleting the top genes of each cell together, and of keeping them alone."""
    kept_shares = dict[str, dict[str, list[float]]]()
    for title, asked in (("the default", None), ("four points from each reference", 4)):
        found = kept_shares.setdefault(title, {"without the top genes": [], "on the top genes alone": []})
        for start in range(0, len(cells), AT_ONCE):
            results = explainer.explain(cells[start : start + AT_ONCE], contributions=asked)
            orders = [result.input_relevance().values for result in results]
            for curve in delete_genes(explainer, results, FractionGrid(SHARES, SHARES), orders=orders):
                for way, mode in zip(found, ("delete", "keep"), strict=True):
                    found[way].append(float(np.mean([curve.at(mode, share).agreement for share in SHARES])))
    rows = []
    for title, found in kept_shares.items():
        row: dict[str, Any] = {"ranking": title, "n": len(cells)}
        for way, values in found.items():
            gaps = np.array(values) - kept_shares["four points from each reference"][way]
            row |= {way: described(values, groups), f"{way}: gap": described(gaps.tolist(), groups)}
        rows.append(row)
    return rows


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    given = parser_of("contribution_points", __doc__, TOKEN_CLASSIFIERS).parse_args(arguments)
    torch.set_num_threads(given.threads)
    for name in given.models:
        explainer = CLASSIFIERS[name].explainer()
        if name == "minilm-spam":
            explainer.processor.model_max_length = LENGTH
        examples, groups = examples_of(name, given.examples, given.tune)
        numbers, folder = [], folder_of(given.folder, name, given.tune)
        for i, example in enumerate(examples):
            settings = {"points": POINTS, "shares": AVERAGED, "examples": given.examples}
            file = cell_file(f"points-{i}", models=[name], code=(__name__, "benchmarks.contributions"), **settings)
            truth_of = partial(kept_left_out, folder, name, given.examples, i, explainer)
            numbers.append(kept(folder / file, partial(of_paths, explainer, example, truth_of)))
        print(markdown(table(name, numbers, groups)) + "\n")
        if isinstance(explainer.processor, GeneTokenizer):
            print(markdown(together(explainer, examples, groups)) + "\n")
