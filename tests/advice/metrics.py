"""Advice about metrics, evaluations, rectification, swapping and recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hf_fourier.evaluation.metrics import columns, hf_evaluate, load
from hf_fourier.evaluation.metrics.content import hallucination
from hf_fourier.evaluation.metrics.localisation import pointing_game
from hf_fourier.evaluation.metrics.r_flip import flipped
from hf_fourier.evaluation.metrics.torch_metrics import TorchMetric
from hf_fourier.evaluation.random_perturbations import swap_values
from hf_fourier.evaluation.randomized_model import randomize_layers
from hf_fourier.evaluation.studies.class_swap import class_swap
from hf_fourier.evaluation.studies.low_pass_maps import choose_low_pass
from hf_fourier.results.curve import DEFAULT_GRID, SAME_FRACTIONS, FractionGrid, log_spaced
from tests.advice.case import Case, played, read, reader, seer
from tests.models import tiny_tokenizers

TEXTS = tiny_tokenizers.texts(4, lengths=(7,))


def _games(*grids: FractionGrid) -> list[Any]:
    results = reader().explain(TEXTS[: len(grids)])
    for result, grid in zip(results, grids, strict=True):
        reader().perturb(result, grid)
    return list(results)


def valued() -> Any:
    """A result of a head that has no confidence."""
    from hf_fourier import FourierExplainer
    from tests.models import tiny_models

    model = tiny_models.build("text-classification", "bert", id2label={0: "value"}, problem_type="regression")
    explainer = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    result = explainer.explain(TEXTS[0])
    return explainer.perturb(result, DEFAULT_GRID)


def _collected(rows: int) -> Any:
    metric = TorchMetric("dig")
    for _ in range(rows):
        metric.update(played())
    return metric.compute()


CASES = [
    Case("call `update` first", lambda: _collected(0), lambda: _collected(1)),
    Case("call explainer.perturb(results, metrics.DEFAULT_GRID)", lambda: columns(read()), lambda: columns(played())),
    Case("correct `groups`", lambda: columns(played(), groups=["a"]), lambda: columns(played(), groups=list("abcd"))),
    Case("correct `truth`", lambda: pointing_game([1, 2], [2]), lambda: pointing_game([1, 2], [1])),
    Case(
        "pass a picture and its part",
        lambda: hallucination(np.ones((4, 4)), np.ones((3, 4))),
        lambda: hallucination(np.ones((4, 4)), np.ones((4, 4))),
    ),
    Case(
        "correct `side`",
        lambda: read()[0].input_relevance().low_pass(0),
        lambda: read()[0].input_relevance().low_pass(1),
    ),
    Case(
        "pass the results of these examples",
        lambda: choose_low_pass(reader(), TEXTS[:1], read()[:1]),
        lambda: choose_low_pass(reader(), TEXTS[:2], reader().explain(TEXTS[:2]), sides=(3,)),
    ),
    Case(
        "correct `sides`",
        lambda: choose_low_pass(reader(), TEXTS[:2], read()[:2], sides=(0,)),
        lambda: choose_low_pass(reader(), TEXTS[:2], reader().explain(TEXTS[:2]), sides=(3,)),
    ),
    Case(
        "correct `draws` or `fraction`",
        lambda: swap_values(reader(), read()[:2], draws=0),
        lambda: swap_values(reader(), read()[:2], draws=1),
    ),
    Case(
        "correct `order` or `stages`",
        lambda: randomize_layers(reader(), read()[:1], "sideways"),
        lambda: randomize_layers(reader(), read()[:1], stages=1),
    ),
    Case(
        "read the curve's values",
        lambda: valued().curve.confidences("keep", [0.04]),
        lambda: [s.value for s in valued().curve.of("keep")],
    ),
    Case("pass the `curve` of perturbed results", lambda: flipped([]), lambda: flipped([r.curve for r in played()])),
    Case(
        SAME_FRACTIONS,
        lambda: flipped([r.curve for r in _games(FractionGrid((), (0.1,)), FractionGrid((), (0.2,)))]),
        lambda: flipped([r.curve for r in _games(DEFAULT_GRID, DEFAULT_GRID)]),
    ),
    Case("pass some to keep or to delete", lambda: FractionGrid((), ()), lambda: FractionGrid((0.1,), ())),
    Case("correct `keep`", lambda: FractionGrid((2.0,), ()), lambda: FractionGrid((1.0,), ())),
    Case("correct `least`, `most` or `points`", lambda: log_spaced(0.5, 0.1, 3), lambda: log_spaced(0.1, 0.5, 3)),
    Case("choose one of them", lambda: hf_evaluate.path("zzz"), lambda: hf_evaluate.path("dig")),
    Case("did you mean 'dig'?", lambda: hf_evaluate.path("digg"), lambda: hf_evaluate.path("dig")),
    Case(
        "make the table with `columns`",
        lambda: load("dig").add_batch(shares=[[1.0]]),
        lambda: load("dig").compute(**columns(played())),
    ),
    Case(
        "correct `metrics`",
        lambda: reader().evaluate(TEXTS, metrics=["zzz"]),
        lambda: reader().evaluate(TEXTS, metrics=["dig"]),
    ),
    Case("pass examples", lambda: reader().evaluate([]), lambda: reader().evaluate(TEXTS[:1])),
    Case("pass examples", lambda: reader().sanity_check([]), lambda: reader().sanity_check(TEXTS[:1])),
    Case(
        "correct `groups`",
        lambda: reader().evaluate(TEXTS, groups=[1]),
        lambda: reader().evaluate(TEXTS, groups="aabb"),
    ),
    Case(
        "correct `true_label`", lambda: reader().rectify(TEXTS, ["ham"]), lambda: reader().rectify(TEXTS, ["ham"] * 4)
    ),
    Case(
        "correct `budget` or `random_orders`",
        lambda: reader().rectify(TEXTS, ["ham"] * 4, budget=0),
        lambda: reader().rectify(TEXTS, ["ham"] * 4, budget=0.1),
    ),
    Case("pass another one", lambda: _mistaken(read()[0].label), lambda: _mistaken(_other())),
    Case("pair them", lambda: class_swap(reader(), TEXTS[:1], TEXTS), lambda: class_swap(reader(), *_pair())),
    Case("pair others", lambda: class_swap(reader(), TEXTS[:1], TEXTS[:1]), lambda: class_swap(reader(), *_pair())),
    Case(
        "choose one of them",
        lambda: class_swap(reader(), *_pair(), unit="both"),
        lambda: class_swap(reader(), *_pair(), unit="recipient"),
    ),
    Case(
        "explain texts; of other inputs call explain",
        lambda: seer().words(torch.rand(3, 32, 32)),
        lambda: [reader().words(TEXTS[:1]), seer().explain(torch.rand(3, 32, 32))],
    ),
    Case(
        "call explain",
        lambda: seer().explain_recording(torch.rand(3, 32, 32)),
        lambda: seer().explain(torch.rand(3, 32, 32)),
    ),
]


def _other() -> str:
    return next(label for label in ("ham", "spam") if label != read()[0].label)


def _mistaken(label: str) -> Any:
    return reader().rectify(TEXTS[0], label, budget=0.5)


def _pair() -> tuple[list[str], list[str]]:
    """Two texts of one length that are of different classes."""
    texts = tiny_tokenizers.texts(40, seed=4, lengths=(7,))
    labels = [reader().predict(text).label for text in texts]
    other = next(i for i, label in enumerate(labels) if label != labels[0])
    return [texts[0]], [texts[other]]
