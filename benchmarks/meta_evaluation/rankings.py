"""Rankings that are put to the metrics: a method's, the true one, and rankings spoilt step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.planted.ranking import members
from benchmarks.planted.subjects import Examples, frequencies
from hf_fourier import FourierExplainer
from hf_fourier.results.attribution import Attribution
from hf_fourier.seeding import ExampleRng

Rescore = Callable[[int, Attribution], Tensor]
"""From the number of an example among the chosen ones and its result to other scores, shape `(K,)`."""
REST = 1e-3
"""The sum of the true ranking's scores over all that is neither planted nor a decoy, beside 1 for what is planted."""


@dataclass(frozen=True)
class Ranker:
    """How examples are ranked: by a method, whose scores may be replaced.

    Attributes:
        name: In tables.
        method: The method's spec.
        rescore: What replaces its scores; None for the method as it is.
    """

    name: str
    method: str
    rescore: Rescore | None = None

    def explain(self, explainer: FourierExplainer, inputs: dict[str, Tensor]) -> list[Attribution]:
        """The ranking of each example for the model's own prediction, in the Fourier domain."""
        return self._rescored(explainer.explain(inputs, method=self.method, domain=frequencies(explainer)))

    def for_labels(
        self, explainer: FourierExplainer, results: Sequence[Attribution], labels: Sequence[int]
    ) -> list[Attribution]:
        """The ranking for other labels; a method that follows no label gets an answer with that label as its goal."""
        return self._rescored(explainer.re_explain(results, labels, as_goals=True))

    def _rescored(self, results: list[Attribution]) -> list[Attribution]:
        if self.rescore is None:
            return results
        return [replace(result, scores=self.rescore(number, result)) for number, result in enumerate(results)]


def true_scores(examples: Examples, chosen: Sequence[int]) -> Rescore:
    """What is planted first, then all the rest by its magnitude, the decoys last; the same for every label.

    Args:
        examples: What is planted in which example.
        chosen: The numbers of the examples that are ranked.
    """

    def scores(number: int, magnitude: Attribution) -> Tensor:
        index, layout = chosen[number], magnitude.layout
        planted, decoys = members(layout, examples.planted(index)), members(layout, examples.decoys(index))
        rest = magnitude.scores * ~(planted | decoys)
        return planted / planted.sum() + REST * rest / rest.sum()

    return scores


def spoilt(ranker: Ranker, share: float, seed: int = 0) -> Ranker:
    """A ranking in which a random share of the features exchange their scores (Zheng et al. 2025, arXiv 2410.02970).

    The features that are exchanged at a smaller share are among those of a larger one.

    Args:
        ranker: What is spoilt.
        share: Of the features, 0 to 1.
        seed: Of the choice, by example.
    """

    def scores(number: int, result: Attribution) -> Tensor:
        values = (result if ranker.rescore is None else replace(result, scores=ranker.rescore(number, result))).scores
        generator = ExampleRng(seed, [result.key]).generator(0, "spoilt")
        chosen = torch.randperm(len(values), generator=generator)[: round(share * len(values))]
        exchanged = values.clone()
        exchanged[chosen] = values[chosen[torch.randperm(len(chosen), generator=generator)]]
        return exchanged

    return Ranker(f"{ranker.name}, {share:.0%} spoilt", ranker.method, scores)
