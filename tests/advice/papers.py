"""Advice about tables and figures for papers, methods of other libraries, and a trainer's callback."""

from __future__ import annotations

import torch

from hf_fourier import Attribution, FourierExplainer, SpectrumCallback, plot_summary
from hf_fourier.evaluation.options import EvaluationOptions
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.methods import METHODS
from tests.advice.case import Case, explained, reader
from tests.models import tiny_models, tiny_tokenizers

TEXTS = ["a", "b"]
MAGNITUDE = MethodResult("magnitude", "fourier", True, (1, 0), {"dig": [0.1, 0.2, 0.3]})
FOUND = Evaluation("toy", [MAGNITUDE], ["0", "1", "2"], {"dig": 1})
_OF_CAPTUM = "compute its maps with Captum, and pass them to `explainer.from_maps`"


def _maps_instead() -> object:
    """What the advice is about: maps that were made elsewhere become rankings."""
    explain = FourierExplainer(tiny_models.build("image-classification", "resnet"))
    batch = {"pixel_values": torch.rand(1, 3, 32, 32)}
    return explain.from_maps(batch, [torch.rand(3, 32, 32)], domain="fourier", lift="magnitude")


def _of_two_sizes() -> list[Attribution]:
    """Results of texts of two lengths."""
    texts = [text for length in (5, 7) for text in tiny_tokenizers.texts(1, lengths=(length,))]
    found: list[Attribution] = reader().explain(texts, method="ffc")
    return found


CASES = [
    Case("correct `preset`", lambda: EvaluationOptions(preset="slow"), lambda: EvaluationOptions(preset="fast")),
    Case(
        "evaluate it too (`metrics`), or choose one of them",
        lambda: FOUND.table(["insertion"]),
        lambda: FOUND.table(["dig"]),
    ),
    Case(
        "correct `filters`",
        lambda: SpectrumCallback(None, TEXTS, filters=["notch"]),  # type: ignore[arg-type]
        lambda: SpectrumCallback(None, TEXTS, filters=["band-stop"]),  # type: ignore[arg-type]
    ),
    Case(
        "correct `labels`",
        lambda: SpectrumCallback(None, TEXTS, [0]),  # type: ignore[arg-type]
        lambda: SpectrumCallback(None, TEXTS, [0, 1]),  # type: ignore[arg-type]
    ),
    Case(_OF_CAPTUM, lambda: METHODS.parse("captum:zzz"), _maps_instead),
    Case(
        f"did you mean 'IntegratedGradients'? Else {_OF_CAPTUM}",
        lambda: METHODS.parse("captum:IntegratedGradient"),
        lambda: METHODS.parse("captum:IntegratedGradients"),
    ),
    Case(
        "make the maps with another library (Captum) and pass them to `explainer.from_maps`, with lift='magnitude'",
        lambda: METHODS.parse("gradcam"),
        _maps_instead,
    ),
    Case(
        "explain in domain='fourier:bands=octave'",
        lambda: plot_summary(_of_two_sizes()),
        lambda: plot_summary(explained(domain="fourier:bands=octave")),
    ),
    Case(
        "pass those of one call of `explain`",
        lambda: plot_summary([*explained(), *explained("saliency")]),
        lambda: plot_summary(explained()),
    ),
]
