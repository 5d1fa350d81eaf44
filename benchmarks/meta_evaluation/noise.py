"""Net evidence: decisions kept on the top features, less labels reached on those of inputs without any evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.meta_evaluation.columns import SMALL, TOP, Values
from benchmarks.meta_evaluation.rankings import Ranker
from hf_fourier import FourierExplainer
from hf_fourier.results.curve import maintained, reaches_label

SEED = 22


def without_phases(signals: Tensor, axes: int, own_power: bool, seed: int = SEED) -> Tensor:
    """Signals of the same spectrum with a random angle added to each phase, the same for all channels of a signal.

    What channels have in common stays (Prichard and Theiler 1994, doi 10.1103/PhysRevLett.73.951).

    Args:
        signals: Shape `(n, *channels, *axes)`.
        axes: How many of the last axes are transformed.
        own_power: Keep each amplitude as it is (phase-scrambled); else filter white noise by the amplitudes, so that
            each is right on average alone.
        seed: Of the noise, which differs between examples.
    """
    places, lengths = tuple(range(-axes, 0)), signals.shape[-axes:]
    spectrum = torch.fft.rfftn(signals.double(), dim=places)
    draws = torch.randn(len(signals), *lengths, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    noise = torch.fft.rfftn(draws, dim=places) / math.sqrt(math.prod(lengths))
    if own_power:
        noise = noise / noise.abs().clamp(min=torch.finfo(torch.double).tiny)
    noise = noise.reshape(len(signals), *[1] * (signals.ndim - 1 - axes), *noise.shape[1:])
    made = spectrum * noise
    mean = (..., *[0] * axes)
    made[mean] = spectrum[mean]
    return torch.fft.irfftn(made, s=lengths, dim=places).to(signals)


def reach(
    explainer: FourierExplainer, ranker: Ranker, inputs: Mapping[str, Any], labels: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Whether the model says each assigned label on the top 4 % of the ranking for it, and on the whole input.

    Args:
        explainer: Of the model.
        ranker: How inputs are ranked; one that follows no label gets an answer with that label as its goal.
        inputs: The model's inputs, by name.
        labels: One per input.
    """
    results = ranker.explain(explainer, dict(inputs))
    asked = ranker.for_labels(explainer, results, labels)
    explainer.perturb(asked, SMALL)
    curves = [result.curve for result in asked if result.curve is not None]
    whole = [float(result.target == label) for result, label in zip(results, labels, strict=True)]
    return [float(reaches_label([curve], TOP)) for curve in curves], whole


def net_evidence(
    explainer: FourierExplainer, ranker: Ranker, inputs: Mapping[str, Any], signal: str, axes: int,
    labels: Sequence[int],
) -> Values:  # fmt: skip
    """What a ranking keeps of the decisions, and what it reaches where there is no evidence; a number per example.

    Args:
        explainer: Of the model.
        ranker: How inputs are ranked.
        inputs: The model's inputs, by name.
        signal: The input whose phases are scrambled.
        axes: How many of its last axes are transformed.
        labels: The label that is assigned to each scrambled input, another example's.
    """
    results = ranker.explain(explainer, dict(inputs))
    explainer.perturb(results, SMALL)
    values: Values = {"kept": [maintained(result.curve, TOP) for result in results if result.curve is not None]}
    for name, own_power in (("phase-scrambled", True), ("noise", False)):
        changed = {**inputs, signal: without_phases(inputs[signal], axes, own_power)}
        values[f"reached ({name})"], values[f"whole ({name})"] = reach(explainer, ranker, changed, labels)
        values[f"net evidence ({name})"] = [
            kept - reached for kept, reached in zip(values["kept"], values[f"reached ({name})"], strict=True)
        ]
    return values
