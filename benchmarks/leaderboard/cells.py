"""What is measured of one method on one planted model."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from benchmarks.assets.planted import DATA
from benchmarks.keeping import cell_file, kept
from benchmarks.meta_evaluation.columns import SMALL, TOP, wrong_labels
from benchmarks.meta_evaluation.noise import SEED, without_phases
from benchmarks.planted import gate
from benchmarks.planted.ranking import measures
from benchmarks.planted.subjects import CODE, Examples, Subject, answers, frequencies, triggered
from hf_fourier.errors import FourierError, MissingExtraError
from hf_fourier.evaluation.metrics.selectivity import selectivity
from hf_fourier.methods import METHODS
from hf_fourier.models.encoding import restore_all
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve, maintained, reaches_label
from hf_fourier.scoring.example_batch import EncodedExample

Numbers = dict[str, Any]
DEAR = 110
"""Passes of one explanation, both kinds together, above which a method is dear and is asked for fewer examples."""
NEIGHBOURS = 60
"""Examples on which the model is asked about neighbouring frequencies."""
LIMIT = 4000
"""Passes above which a method is not run: one that asks about single frequencies by running the model without each."""
COLUMNS = (
    "AUROC decoys", "first", "kept", "wrong", "selectivity", "net evidence", "whole", "forward", "backward", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How many held-out examples are asked for.

    Attributes:
        examples: Of each model.
        dear: Of each model, for methods of more than `DEAR` passes.
    """

    examples: int = 24
    dear: int = 8


class Bench:
    """One planted model, and its held-out triggered examples.

    Args:
        subject: The model.
        size: How many examples.
        folder: Where numbers are kept.
    """

    def __init__(self, subject: Subject, size: Size, folder: Path) -> None:
        self.subject, self.size, self.folder = subject, size, folder

    def cell(self, method: str, again: bool = False) -> Numbers:
        """The numbers of one method, or the reason why there are none; kept.

        Args:
            method: Its spec.
            again: Measure it though its numbers are kept.

        Raises:
            MissingExtraError: If it needs a library that is not installed; nothing is kept then.
        """
        path = self._file(self.subject.name, method)
        if again:
            path.unlink(missing_ok=True)
        found: Numbers = kept(path, lambda: self._measured(method))
        if "n" in found and "whole" not in found:
            found["whole"] = fmean(self.whole[: found["n"]])
        return found

    def _measured(self, method: str) -> Numbers:
        row: Numbers = {"model": self.subject.name, "method": method}
        try:
            passes = self._passes(method)
            if passes > LIMIT:
                return row | {"reason": f"about {passes:,} passes for an example; the limit is {LIMIT:,}"}
            return row | self._asked(method, self.size.dear if passes > DEAR else self.size.examples)
        except MissingExtraError:
            raise
        except FourierError as error:
            return row | {"reason": str(error).partition("\n")[0]}

    def _passes(self, method: str) -> int:
        """About how many passes one explanation takes: of a method that asks about subsets, by its text."""
        parsed = METHODS.parse(method)
        if parsed.passes is not None:
            return sum(parsed.passes)
        return passes_over(parsed.passes_text, self.features)

    def _asked(self, method: str, n: int) -> Numbers:
        """All numbers of a method on the first n examples that have the trigger's label."""
        chosen = self.triggered[:n]
        inputs, wrong = self.examples.inputs(rows=chosen), self.wrong[:n]
        start = time.process_time()
        results = self.explainer.explain(inputs, method=method, domain=frequencies(self.explainer))
        seconds = (time.process_time() - start) / len(chosen)
        own = self._curves(results)
        others = self._curves(self.explainer.re_explain(results, wrong, as_goals=True))
        noise = self._curves(self._scrambled(method, n, wrong))
        truth = [
            measures(result, self.examples.planted(i), self.examples.beside(i, self.admitted), self.examples.decoys(i))
            for i, result in zip(chosen, results, strict=True)
        ]
        spent = [result.provenance["passes"] for result in results]
        decisions = fmean(maintained(curve, TOP) for curve in own)
        return {
            "n": len(chosen),
            "AUROC decoys": fmean(row["AUROC frequencies, decoys"] for row in truth),
            "first": fmean(row["first frequency"] for row in truth),
            "kept": decisions,
            "wrong": fmean(reaches_label([curve], TOP) for curve in others),
            "selectivity": fmean(selectivity(one, [other]) for one, other in zip(own, others, strict=True)),
            "net evidence": decisions - fmean(reaches_label([curve], TOP) for curve in noise),
            "forward": fmean(one["forward"] for one in spent),
            "backward": fmean(one["backward"] for one in spent),
            "seconds": seconds,
        }

    def _curves(self, results: Sequence[Attribution]) -> list[Curve]:
        self.explainer.perturb(results, SMALL)
        return [result.curve for result in results if result.curve is not None]

    def _scrambled(self, method: str, n: int, labels: Sequence[int]) -> list[Attribution]:
        """Explanations of the phase-scrambled examples for other examples' labels."""
        domain = frequencies(self.explainer)
        found: list[Attribution] = self.explainer.explain_encoded(
            self.noise[:n], labels, METHODS.parse(method), domain, goal_is_target=True
        )
        return found

    @cached_property
    def explainer(self) -> Any:
        """The model."""
        return self.subject.explainer("planted")

    @cached_property
    def examples(self) -> Examples:
        """Held-out examples, some more than are asked for."""
        return self.subject.examples(2 * self.size.examples, "test")

    @cached_property
    def triggered(self) -> list[int]:
        """The numbers of the examples that have the trigger's label."""
        return triggered(self.explainer, self.examples)[: self.size.examples]

    @cached_property
    def features(self) -> int:
        """How many frequencies there are."""
        (result,) = self._magnitudes(self.examples.inputs(rows=self.triggered[:1]))
        return len(result.layout)

    @cached_property
    def wrong(self) -> list[int]:
        """Another example's label for each; those of fewer examples are the first of these."""
        return wrong_labels(self.explainer, self.examples.inputs(rows=self.triggered))["random"]

    @cached_property
    def noise(self) -> list[EncodedExample]:
        """The examples with random phases, or with their tokens in random order."""
        return list(restore_all(self.explainer.wrapper, self._ranked_noise)[1])

    @cached_property
    def whole(self) -> list[float]:
        """Whether the model answers the other label for each whole one of these; kept.

        Then it is no wonder that the label is reached on the top features: nothing shows that the ranking made it up.
        """
        found: list[float] = kept(self._file(f"{self.subject.name}-whole-noise"), lambda: self._answered())
        return found

    def _answered(self) -> list[float]:
        pairs = zip(self._ranked_noise, self.wrong, strict=True)
        return [float(result.target == label) for result, label in pairs]

    @cached_property
    def _ranked_noise(self) -> list[Attribution]:
        material = self.examples.material
        inputs = self.examples.inputs(rows=self.triggered)
        inputs[material.signal] = without_evidence(inputs[material.signal], len(material.lengths))
        return self._magnitudes(inputs)

    @cached_property
    def admitted(self) -> list[str]:
        """Steps to neighbouring frequencies that the model takes for the planted one."""
        models, code = [self.subject.asset("planted")], (*CODE, gate.__name__)
        name = cell_file(f"{self.subject.name}-neighbours", models=models, code=code, examples=NEIGHBOURS)
        found: list[str] = kept(self.folder / name, lambda: self._neighbours())
        return found

    def _file(self, name: str, *methods: str) -> Path:
        """The file of the numbers of a method, or of what is the same for all."""
        code = (*CODE, gate.__name__, "benchmarks.meta_evaluation.noise", __name__)
        models, size = [self.subject.asset("planted")], {"examples": self.size.examples, "dear": self.size.dear}
        folder = self.folder / f"n{self.size.examples}-{self.size.dear}"
        return folder / cell_file(name, methods=methods, models=models, code=code, **size)

    def _neighbours(self) -> list[str]:
        examples = self.subject.examples(NEIGHBOURS, "test")
        near = gate.spread(examples, lambda inputs: answers(self.explainer, inputs))
        return [step for step, success in near.items() if success > gate.NEAR]

    def _magnitudes(self, inputs: Mapping[str, Tensor]) -> list[Attribution]:
        found: list[Attribution] = self.explainer.explain(
            dict(inputs), method="magnitude", domain=frequencies(self.explainer)
        )
        return found


def without_evidence(signals: Tensor, axes: int) -> Tensor:
    """Signals of the same spectrum with random phases; of tokens, the same tokens in random order."""
    if signals.is_floating_point():
        return without_phases(signals, axes, own_power=True)
    draw = torch.Generator().manual_seed(SEED)
    return torch.stack([row[torch.randperm(len(row), generator=draw)] for row in signals])


def passes_over(text: str, features: int) -> int:
    """About how many passes a text such as "1 + 0, and 1 + 0 per feature" means for so many features."""
    if text.startswith("2^K"):
        each = int(re.findall(r"(\d+) \+ \d+ per feature", text)[0])
        return 2**features if features <= 10 else each * features
    total = 0
    for part in text.split(","):
        numbers = [int(number) for number in re.findall(r"\d+", part)]
        total += sum(numbers) * (features if "per feature" in part else 1)
    return total


def tables(page: Path) -> Iterator[list[dict[str, str]]]:
    """The tables of a page, each as rows by title."""
    for block in re.findall(r"(?:^\|.*\|\n)+", page.read_text(), re.M):
        lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        yield [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def valid(page: Path) -> list[Subject]:
    """The planted models that pass their gate, by the gate's table on a page."""
    passed = {row["model"] for table in tables(page) for row in table if row.get("valid") == "True"}
    subjects = [Subject(host, kind) for host, (_, kinds) in DATA.items() for kind in kinds]
    return [subject for subject in subjects if subject.name in passed]
