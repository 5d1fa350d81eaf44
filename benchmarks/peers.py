"""Attributions by other libraries, each through its own API, on the same signals and of the same score as ours.

A library that is not installed is left out. Maps go through `FourierExplainer.from_maps`: as they are in the identity
domain; in the Fourier domain contributions are transported, which keeps their sum, and any map is ranked by the sizes
of its own coefficients, as published. `freqig` and `cross-domain-saliency-maps` rank coefficients of a transform along
one axis, which are our features where the signal has one axis with an order (waveforms, embedded tokens).
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from hf_fourier import FourierExplainer
from hf_fourier.domains import SignalShape
from hf_fourier.evaluation.evaluate import PrecomputedMethod
from hf_fourier.methods.gradients import NOISE_STD, SPREAD_ELSEWHERE
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import ExampleBatch
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import Target
from hf_fourier.typing import Tensor

STEPS, SAMPLES, SEED = 20, 10, 0


class Scored(torch.nn.Module):
    """The score of one example as a module, `(rows, *signal) -> (rows, 1)`.

    Attributes:
        passes: Rows that went forward, and rows whose gradient came back.
        signal: The signal's shape.
        rows: How many of them fit into a batch.
        layer: The model's last convolution over pictures, or None.
    """

    def __init__(self, block: ExampleBatch, score: Score, row: int, signal: SignalShape) -> None:
        super().__init__()
        self.block, self.score, self.row, self.signal = block, score, row, signal
        self.rows, self.passes = score.batcher.size, [0, 0]
        layers = [m for m in block.model.modules() if isinstance(m, torch.nn.Conv2d)] if block.model else []
        self.layer = layers[-1] if layers and signal.kind == "pixels" else None

    def forward(self, x: Tensor) -> Tensor:
        """The score of each row, counted."""
        rows = torch.full((len(x),), self.row)
        self.passes[0] += len(x) * self.block.rows_per_signal
        if x.requires_grad:
            x.register_hook(self._came_back)
        logits = self.block.logits(self.block.forward(x, rows), rows)
        return self.score.head.read(logits.float(), self.score.frozen_targets[rows]).value.unsqueeze(1)

    def _came_back(self, gradient: Tensor) -> None:
        self.passes[1] += len(gradient) * self.block.rows_per_signal


def integrated_gradients(scored: Scored, x: Tensor, steps: int = STEPS) -> Tensor:
    """Captum's, from zero."""
    from captum.attr import IntegratedGradients

    return IntegratedGradients(scored).attribute(x, target=0, n_steps=steps, internal_batch_size=scored.rows)


def smoothgrad(scored: Scored, x: Tensor, samples: int = SAMPLES) -> Tensor:
    """Captum's noise tunnel over its saliency (absolute gradients, its default), with the noise of our SmoothGrad."""
    from captum.attr import NoiseTunnel, Saliency

    sigma = NOISE_STD.get(scored.signal.kind, SPREAD_ELSEWHERE) * float(x.detach().max() - x.detach().min())
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return NoiseTunnel(Saliency(scored)).attribute(
            x, nt_type="smoothgrad", nt_samples=samples, nt_samples_batch_size=scored.rows, stdevs=sigma, target=0
        )


def input_x_gradient(scored: Scored, x: Tensor) -> Tensor:
    """Captum's."""
    from captum.attr import InputXGradient

    return InputXGradient(scored).attribute(x, target=0)


def grad_cam(scored: Scored, x: Tensor) -> Tensor:
    """Captum's at the last convolution, interpolated to the picture."""
    from captum.attr import LayerAttribution, LayerGradCam

    coarse = LayerGradCam(scored, scored.layer).attribute(x, target=0)
    return LayerAttribution.interpolate(coarse, tuple(x.shape[2:]), interpolate_mode="bilinear")


def shap_gradients(scored: Scored, x: Tensor, samples: int = STEPS) -> Tensor:
    """shap's expected gradients, from zero."""
    import shap

    explainer = shap.GradientExplainer(scored, torch.zeros_like(x), batch_size=scored.rows)
    values = torch.as_tensor(explainer.shap_values(x.detach(), nsamples=samples, rseed=SEED))
    return values.reshape(x.shape)


def freqig(scored: Scored, x: Tensor) -> Tensor:
    """freqIG's attributions of the half spectrum's magnitudes, time last."""
    from scripts.freqIG import attribute

    module = Turned(scored)
    with contextlib.redirect_stdout(io.StringIO()):
        found = attribute(module.turned(x)[0], module, target=0, n_steps=STEPS)
    return torch.from_numpy(found).reshape((*module.turned(x).shape[1:-1], -1))


def cross_domain(scored: Scored, x: Tensor) -> Tensor:
    """Cross-domain integrated gradients of the whole spectrum, both partners of a pair added up, time last."""
    from cross_domain_saliency_maps.torch_ig.cross_domain_integrated_gradients import FourierIG

    module = Turned(scored)
    signal = module.turned(x).detach().numpy()
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():  # bars, and a cast that is meant
        warnings.simplefilter("ignore")
        found = FourierIG(module, STEPS, 0, torch.device("cpu")).run(signal, 0 * signal)[0].detach()
    length = found.shape[-1]
    half = found[..., : length // 2 + 1].clone()
    half[..., 1 : (length + 1) // 2] += found[..., length // 2 + 1 :].flip(-1)
    return half


class Turned(torch.nn.Module):
    """A score of signals whose ordered axis comes last, as libraries for time series have it."""

    def __init__(self, scored: Scored) -> None:
        super().__init__()
        self.scored, (axis,) = scored, scored.signal.ordered_axes
        self.axis = axis + 1

    def turned(self, x: Tensor) -> Tensor:
        """The ordered axis last; its own inverse for up to two axes."""
        return x.transpose(self.axis, -1)

    def forward(self, x: Tensor) -> Tensor:
        """The score of each row."""
        return self.scored(self.turned(x))


@dataclass(frozen=True)
class Peer:
    """One method of another library.

    Attributes:
        name: Its own.
        package: What has to be installed.
        make: One example's map, or its scores of Fourier coefficients.
        suits: Whether it can be asked about a signal of a model.
        coefficients: Whether it ranks coefficients.
        contributions: Whether its maps are contributions with a zero baseline, which can be transported.
    """

    name: str
    package: str
    make: Callable[[Scored, Tensor], Tensor]
    suits: Callable[[SignalShape, torch.nn.Module], bool] = lambda signal, model: True
    coefficients: bool = False
    contributions: bool = False


def _pictures(signal: SignalShape, model: torch.nn.Module) -> bool:
    """A network of convolutions over pictures, which a patch embedding alone does not make."""
    return signal.kind == "pixels" and sum(isinstance(m, torch.nn.Conv2d) for m in model.modules()) > 1


def _one_axis(signal: SignalShape, model: torch.nn.Module) -> bool:
    return len(signal.ordered_axes) == 1 and not signal.segments


def _even_sound(signal: SignalShape, model: torch.nn.Module) -> bool:
    """freqIG's inverse transform drops a sample of odd lengths, which texts have half of the time."""
    return signal.kind == "waveform" and signal.shape[0] % 2 == 0


PEERS = (
    Peer("captum.IntegratedGradients", "captum", integrated_gradients, contributions=True),
    Peer("captum.NoiseTunnel(Saliency)", "captum", smoothgrad),
    Peer("captum.InputXGradient", "captum", input_x_gradient, contributions=True),
    Peer("captum.LayerGradCam", "captum", grad_cam, _pictures),
    Peer("shap.GradientExplainer", "shap", shap_gradients, contributions=True),
    Peer("freqig", "scripts.freqIG", freqig, _even_sound, True),
    Peer("cross_domain_saliency_maps.FourierIG", "cross_domain_saliency_maps", cross_domain, _one_axis, True),
)


class Made:
    """What a peer makes of examples; made once for all domains."""

    def __init__(self, explainer: FourierExplainer, peer: Peer) -> None:
        self.explainer, self.peer = explainer, peer
        self.known: dict[Any, tuple[list[Tensor], list[dict[str, Any]]]] = {}

    def ready(self, domain: str, lift: str | None = None) -> PrecomputedMethod:
        """The peer among methods, its maps brought into a domain by a lift."""

        def make(examples: Sequence[Any], targets: Sequence[Target]) -> list[Attribution]:
            values, costs = self._values(examples, targets)
            if self.peer.coefficients:
                base = self.explainer.explain(list(examples), targets=targets, method="magnitude", domain=domain)
                # Features are numbered with frequency before channel, as the signal has its axes.
                scores = [_turned_back(one, r).flatten() for one, r in zip(values, base, strict=True)]
                results = [replace(r, scores=s) for r, s in zip(base, scores, strict=True)]
            else:
                results = self.explainer.from_maps(
                    list(examples), values, self.peer.name, targets=targets, domain=domain, lift=lift
                )
            for result, cost in zip(results, costs, strict=True):
                result.provenance |= cost
            return results

        return PrecomputedMethod(self.peer.name if lift is None else f"{self.peer.name}, {lift}", make, domain)

    def _values(self, examples: Sequence[Any], targets: Sequence[Target]) -> tuple[list[Tensor], list[dict[str, Any]]]:
        key = (tuple(map(id, examples)), tuple(targets))
        if key not in self.known:
            results = self.explainer.explain(list(examples), targets=targets, method="magnitude", domain="identity")
            values: list[Any] = [None] * len(results)
            costs: list[Any] = [None] * len(results)

            def work(places: list[int], block: ExampleBatch, score: Score) -> None:
                for row, place in enumerate(places):
                    scored = Scored(block, score, row, results[place].layout.signal)
                    start = time.perf_counter()
                    with torch.enable_grad():
                        x = block.signal[row : row + 1].detach().clone().requires_grad_(True)
                        values[place] = self.peer.make(scored, x).detach()
                    forward, backward = scored.passes
                    spent = time.perf_counter() - start
                    costs[place] = {"passes": {"forward": forward, "backward": backward}, "seconds": spent}

            self.explainer.replay(results, work)
            self.known[key] = values, costs
        return self.known[key]


def _turned_back(values: Tensor, result: Attribution) -> Tensor:
    """Scores of coefficients with the ordered axis back in its place."""
    (axis,) = result.layout.signal.ordered_axes
    turned = values.transpose(axis, -1)
    if turned.numel() != len(result.scores):
        raise ValueError(f"{turned.numel()} scores for {len(result.scores)} features")
    return turned


def peers(explainer: FourierExplainer, signal: SignalShape, among: Sequence[Peer] = PEERS) -> list[PrecomputedMethod]:
    """All peers that are installed and can be asked about this model, maps in both domains and by every lift."""
    found = []
    for peer in among:
        if importlib.util.find_spec(peer.package.partition(".")[0]) is None or not peer.suits(signal, explainer.model):
            continue
        made = Made(explainer, peer)
        if peer.coefficients:
            found.append(made.ready("fourier"))
            continue
        lifts = ("transport", "magnitude") if peer.contributions else ("magnitude",)
        found += [*(made.ready("fourier", lift) for lift in lifts), made.ready("identity")]
    return found
