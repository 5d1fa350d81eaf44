"""Advice about what results can be shown as, and what metrics need."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from hf_fourier import FourierExplainer
from hf_fourier.evaluation import random_perturbations, wrong_labels
from hf_fourier.evaluation.metrics import columns, load
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.studies.class_swap import class_swap
from hf_fourier.results import curve
from hf_fourier.results.curve import FractionGrid
from tests.advice.case import Case, played, read, reader, seer
from tests.advice.letters import DNA, cells, test_dna
from tests.advice.metrics import valued
from tests.advice.sight import FRAMES, PICTURE, videos
from tests.advice.texts import TEXT
from tests.models import test_segmentation, tiny_models, tiny_models_audio, tiny_tokenizers
from tests.models.test_single_cell import cell

TEXTS = tiny_tokenizers.texts(4, lengths=(7,))


class _Inverted:
    """An image processor that inverts colours where they are bright: nothing undoes that."""

    def __call__(self, images: Any, return_tensors: str = "pt") -> Any:
        pixels = seer().processor(images, return_tensors="pt")["pixel_values"]
        return {"pixel_values": pixels.square()}


def _pixels(processor: Any) -> Any:
    pixels = seer().processor(PICTURE, return_tensors="pt")["pixel_values"]
    return FourierExplainer(seer().model, processor).explain({"pixel_values": pixels})[0]


def _strange() -> Any:
    return FourierExplainer(seer().model, _Inverted()).explain(PICTURE)


def _spectrogram() -> Any:
    name = "wav2vec2-bert"
    return FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name)).explain(
        tiny_models_audio.clip(8000)
    )


def _bases() -> Any:
    return test_dna.explainer("bases").explain(DNA)


def _computed(name: str, kept: Any = curve.PAPER_GRID, **asked: Any) -> Any:
    results = reader().explain(TEXTS)
    if kept is not None:
        reader().perturb(results, kept)
    table = columns(results, **{key: ask(results) for key, ask in asked.items()})
    return load(name).compute(**table)


def _asked(name: str, ask: Any) -> Any:
    return load(name).compute(**ask(reader(), reader().explain(TEXTS[:1])))


def _dice() -> Any:
    explain = test_segmentation.explainer("upernet")
    from tests.models.tiny_models_segmentation import inputs

    results = explain.explain({"pixel_values": inputs("upernet")[:1]})
    explain.perturb(results, curve.PAPER_GRID)
    return load("dice_retention").compute(**columns(results))


def _topped(name: str, top: float | None) -> Any:
    results = [reader().explain(text, target) for text in TEXTS for target in ("ham", "spam")]
    return load(name).compute(
        **(
            columns(reader().perturb(results, curve.DEFAULT_GRID))
            if top is None
            else columns(reader().perturb(results, curve.DEFAULT_GRID), top=top)
        )
    )


def _wrong(**options: Any) -> Any:
    return lambda results: wrong_labels.wrong_labels(reader(), results, **options)


def _regression(task: str) -> Any:
    """What only classifiers do, of a model of values."""
    model = tiny_models.build("text-classification", "bert", id2label={0: "value"}, problem_type="regression")
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    match task:
        case "wrong":
            return wrong_labels.wrong_labels(explain, [valued()])
        case "rectify":
            return explain.rectify([TEXT], [0])
        case "swap":
            return class_swap(explain, [TEXT], ["w9 w8 w7"])
    return explain.evaluate([TEXT], metrics=["selectivity"])


@cache
def _pair() -> tuple[str, str]:
    """A text and a label that deleting features leads to."""
    for text in TEXTS:
        for label in ("ham", "spam", "neither"):
            if label != reader().predict(text).label and _rectified(text, label, 1.0).features is not None:
                return text, label
    raise AssertionError("no such text")


def _rectified(text: str, label: str, budget: float) -> Any:
    return reader().rectify(text, label, budget=budget)


def _corrected(budget: float) -> Any:
    return _rectified(*_pair(), budget).signal()


def _swapped(other: str) -> Any:
    return class_swap(reader(), [TEXTS[0]], [other])


def _different() -> str:
    label = reader().predict(TEXTS[0]).label
    return next(
        text for text in tiny_tokenizers.texts(60, seed=4, lengths=(7,)) if reader().predict(text).label != label
    )


def _concentration(sizes: list[int]) -> Any:
    return load("concentration").compute(top=[[0, 1]] * len(sizes), features=sizes, label=["a"] * len(sizes))


CASES = [
    Case(
        "call input_relevance() for one number per token",
        lambda: read()[0].render(0.1),
        lambda: read()[0].input_relevance(),
    ),
    Case(
        "call input_relevance()",
        lambda: reader().explain({"input_ids": torch.tensor([[1, 7, 2]])})[0].genes(),
        lambda: read()[0].input_relevance(),
    ),
    Case(
        "call genes() for one number per gene",
        lambda: cells().explain(cell(5)).render(0.1),
        lambda: cells().explain(cell(5)).genes(),
    ),
    Case("call bases() for one number per base", lambda: _bases().render(0.1), lambda: _bases().bases()),
    Case(
        "use keep(), or call input_relevance()",
        lambda: videos().explain(FRAMES).render(0.1),
        lambda: [videos().explain(FRAMES).keep_top(0.1), videos().explain(FRAMES).input_relevance()],
    ),
    Case(
        "use keep(), or call input_relevance()",
        lambda: _spectrogram().audio(0.1),
        lambda: [_spectrogram().keep_top(0.1), _spectrogram().input_relevance()],
    ),
    Case(
        "pass the image processor, or use keep()",
        lambda: _pixels(None).render(0.1),
        lambda: [_pixels(seer().processor).render(0.1), _pixels(None).keep_top(0.1)],
    ),
    Case("use keep()", lambda: _strange().render(0.1), lambda: _strange().keep_top(0.1)),
    Case(
        "perturb with `metrics.PAPER_GRID`: 19 forward passes per example",
        lambda: METRICS["dig"].compute({}),
        lambda: _computed("dig", curve.PAPER_GRID),
    ),
    Case(
        "perturb with some kept fractions, such as those of `metrics.DEFAULT_GRID`",
        lambda: METRICS["maintain_rate"].compute({}),
        lambda: _computed("maintain_rate", curve.DEFAULT_GRID),
    ),
    Case(
        "perturb with some deleted fractions, such as those of `metrics.PAPER_GRID`",
        lambda: METRICS["r_flip"].compute({}),
        lambda: _computed("r_flip", curve.PAPER_GRID),
    ),
    Case(
        "perturb with `metrics.PAPER_GRID` on a segmentation model",
        lambda: METRICS["dice_retention"].compute({}),
        _dice,
    ),
    Case(
        "perturb with `curve.SMALL_FRACTIONS` among the kept fractions, and pass `wrong_labels.wrong_labels` to "
        "`columns`",
        lambda: _computed("selectivity"),
        lambda: _computed(
            "selectivity",
            FractionGrid(curve.SMALL_FRACTIONS, ()),
            wrong=_wrong(grid=FractionGrid(curve.SMALL_FRACTIONS, ())),
        ),
    ),
    Case(
        "perturb with 0.5 (or the `fraction` that you pass) among the deleted fractions, as in `metrics.PAPER_GRID`",
        lambda: METRICS["faithfulness_of_spectra"].compute({}),
        lambda: _computed("faithfulness_of_spectra", curve.PAPER_GRID),
    ),
    Case(
        "perturb with 0.5 (or the `fraction` that you pass) among the kept fractions, as in `metrics.PAPER_GRID`",
        lambda: METRICS["input_fidelity"].compute({}),
        lambda: _computed("input_fidelity", curve.PAPER_GRID),
    ),
    Case(
        "pass the columns of `random_perturbations.delete_random_subsets`: 200 forward passes per example",
        lambda: load("mu_fidelity").compute(**columns(played())),
        lambda: _asked("mu_fidelity", random_perturbations.delete_random_subsets),
    ),
    Case(
        "pass the columns of `random_perturbations.add_feature_noise`: 100 forward passes per example",
        lambda: load("infidelity").compute(**columns(played())),
        lambda: _asked("infidelity", random_perturbations.add_feature_noise),
    ),
    Case(
        "pass the columns of `random_perturbations.explain_perturbed_inputs`: ten explanations per example",
        lambda: load("sensitivity_max").compute(**columns(played())),
        lambda: _asked("sensitivity_max", random_perturbations.explain_perturbed_inputs),
    ),
    Case(
        "pass the columns of `random_perturbations.swap_values`: 8 forward passes per example",
        lambda: load("encoding").compute(**columns(played())),
        lambda: _asked("encoding", random_perturbations.swap_values),
    ),
    Case(
        "make the table with `columns(results, content=True)`",
        lambda: load("sparseness").compute(**columns(played())),
        lambda: _computed("sparseness", content=bool),
    ),
    Case(
        "perturb with replacement='zero' and with 0.04 (or the `fraction` that you pass) among the kept fractions; "
        "make the table with `columns(results, content=True)`",
        lambda: load("conciseness").compute(**columns(played())),
        lambda: _computed("conciseness", curve.DEFAULT_GRID, content=bool),
    ),
    Case(
        "make the table with `columns(results, content=True, truth=…)`, with a mask of the true features for each "
        "result",
        lambda: load("pointing_game").compute(**columns(played())),
        lambda: _computed("pointing_game", content=bool, truth=lambda results: [a.mask(0.1) for a in results]),
    ),
    Case(
        "make the table with `columns(results, top=0.04)`, several examples of a class",
        lambda: _topped("concentration", None),
        lambda: _topped("concentration", 0.04),
    ),
    Case(
        "make the table with `columns(results, top=0.04)`, examples of several classes",
        lambda: _topped("specificity", None),
        lambda: _topped("specificity", 0.04),
    ),
    Case("compare signals of one shape", lambda: _concentration([9, 8]), lambda: _concentration([9, 9])),
    Case(
        "choose results of a classifier",
        lambda: _regression("wrong"),
        lambda: wrong_labels.wrong_labels(reader(), read()),
    ),
    Case(
        "rectify a classifier's mistakes",
        lambda: _regression("rectify"),
        lambda: reader().rectify([TEXT], ["ham"], budget=0.1),
    ),
    Case("swap features of a classifier", lambda: _regression("swap"), lambda: _swapped(_different())),
    Case("cut or resize the examples", lambda: _swapped("w9 w8"), lambda: _swapped(_different())),
    Case(
        "leave it out",
        lambda: _regression("evaluate"),
        lambda: reader().evaluate([TEXT], metrics=["dig"]),
    ),
    Case("raise `budget`, or skip it", lambda: _corrected(0.0001), lambda: _corrected(1.0)),
    Case(
        "pass the examples themselves, in a list",
        lambda: reader().rectify({"input_ids": torch.tensor([[1, 7, 2]])}, ["ham"]),
        lambda: reader().rectify([TEXT], ["ham"], budget=0.1),
    ),
    Case(
        "call explain first, and pass what it returns",
        lambda: reader().perturb(TEXT),
        lambda: reader().perturb(reader().explain(TEXT)),
    ),
]
