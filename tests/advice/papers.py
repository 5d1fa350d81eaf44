"""Advice about tables and figures for papers, methods of other libraries, and a trainer's callback."""

from __future__ import annotations

import torch

from hf_fourier import Attribution, FourierExplainer, SpectrumCallback, attribute, plot_summary
from hf_fourier.evaluation.options import EvaluationOptions
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.methods import METHODS, GradCam
from hf_fourier.report.hub.repository import sdk_of
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


def _without_layers(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x.sum(1), x[:, 0]], 1)


def _normed() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2)).eval()


def _of_two_sizes() -> list[Attribution]:
    """Results of texts of two lengths."""
    texts = [text for length in (5, 7) for text in tiny_tokenizers.texts(1, lengths=(length,))]
    found: list[Attribution] = reader().explain(texts, method="ffc")
    return found


CASES = [
    Case("correct `as_space`", lambda: sdk_of("streamlit"), lambda: sdk_of("gradio")),
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
        "compute its maps with zennit, and pass them to `explainer.from_maps`, with lift='magnitude'",
        lambda: METHODS.parse("zennit:GuidedBackprop"),
        _maps_instead,
    ),
    Case(
        "pass a torch module made of them, or take method='gradient_input'",
        lambda: attribute(_without_layers, torch.rand(1, 8), method="lrp"),
        lambda: attribute(_without_layers, torch.rand(1, 8), method="gradient_input"),
    ),
    Case(
        "explain the logits of a network of convolutions, linear layers, ReLU and pooling, batch norms fused into them "
        "(torch.nn.utils.fusion.fuse_conv_bn_eval), or take method='integrated_gradients'",
        lambda: attribute(_normed(), torch.rand(1, 8), method="lrp"),
        lambda: attribute(_normed(), torch.rand(1, 8), method="integrated_gradients"),
    ),
    Case("correct `epsilon`", lambda: METHODS.parse("lrp:epsilon=0"), lambda: METHODS.parse("lrp:epsilon=.1")),
    Case(
        "correct `samples`",
        lambda: METHODS.parse("shap:GradientExplainer,samples=0"),
        lambda: METHODS.parse("shap:GradientExplainer,samples=1"),
    ),
    Case(
        "make the maps with that library and pass them to `explainer.from_maps`, with lift='transport' where they are "
        "contributions (gradient × input, LRP), else lift='magnitude'",
        lambda: METHODS.parse("inseq:saliency"),
        _maps_instead,
    ),
    Case(
        "make the maps with another library (Captum) and pass them to `explainer.from_maps`, with lift='magnitude'",
        lambda: METHODS.parse("scorecam"),
        _maps_instead,
    ),
    Case(
        "write its class after 'gradcam:', as in 'gradcam:HiResCAM' (extra `peers`)",
        lambda: METHODS.parse("hirescam"),
        lambda: METHODS.parse("gradcam:HiResCAM"),
    ),
    Case(
        "compute its maps with pytorch-grad-cam, and pass them to `explainer.from_maps`, with lift='magnitude'",
        lambda: METHODS.parse("gradcam:ScoreCAM"),
        _maps_instead,
    ),
    Case(
        "pass a torch module, or take method='gradient_input'",
        lambda: attribute(_without_layers, torch.rand(1, 8), method="gradcam"),
        lambda: attribute(_without_layers, torch.rand(1, 8), method="gradient_input"),
    ),
    Case(
        "name another `layer`, or take method='gradient_input'",
        lambda: attribute(torch.nn.Linear(8, 2), torch.rand(1, 8), method="gradcam"),
        lambda: attribute(torch.nn.Linear(8, 2), torch.rand(1, 8), method="gradient_input"),
    ),
    Case(
        "correct `layer`",
        lambda: attribute(torch.nn.Linear(8, 2), torch.rand(1, 8), method="gradcam:layer=none"),
        lambda: GradCam(layer=""),
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
