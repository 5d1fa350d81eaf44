"""Surrogates: copies of a model that are fine-tuned on masked inputs, whose masks no method has chosen.

A perturbed input is out of the model's distribution, so its prediction from a few features may come from the choice of
the features and not from what they contain. A surrogate has learnt what the model answers given part of the features
(EVAL-X: Jethani et al. 2021, arXiv 2103.01890, who train on labels and on masks that keep each feature with probability
one half). Here the targets are the model's own outputs, and the masks have all sizes and six kinds.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import DOMAINS, Basis, Domain, Fourier
from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.calls import FunctionModule
from hf_fourier.models.encoding import encode
from hf_fourier.models.inspection import eval_mode
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, batch_of, grouped, score_of
from hf_fourier.scoring.representation import OUTPUT
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact
from hf_fourier.typing import Bool, Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: "any": every size from `SMALLEST` to all, of every kind. "few": at most a tenth is removed, at random (F-Fidelity).
MASKS = ("any", "few")
#: How features are chosen: at random, in runs of neighbours, by frequency from both ends, by the magnitude of this
#: example and by that of another one.
KINDS = ("random", "runs", "low", "high", "magnitude", "other")
#: The smallest fraction that is kept, the fraction of examples that stay whole, and what "few" removes at most.
SMALLEST, WHOLE, FEW = 0.01, 0.1, 0.1


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fine-tuned copy of a model.

    Attributes:
        explainer: Of the copy.
        domain: The domain in which features were masked.
        masks: One of `MASKS`.
        loss: By epoch, the mean divergence of its answers from the model's.
    """

    explainer: Engine
    domain: Domain
    masks: str
    loss: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Answers:
    """Examples of one batch key, with the model's answers to them, given with noise of relative size `dither`."""

    examples: list[EncodedExample]
    signal: Tensor
    logits: Tensor
    frozen: Tensor
    dither: float = 0.0


@exact
def fine_tune_surrogate(
    explainer: Engine,
    examples: Any,
    domain: str | Domain | None = None,
    *,
    masks: str = "any",
    epochs: int = 3,
    rate: float = 1e-4,
    batch_size: BatchSize = 32,
    seed: int = 0,
    progress: Callable[[int, int], None] | bool | None = None,
) -> Surrogate:
    """Fine-tune a copy of a model so that it answers masked inputs as the model answers the whole ones.

    The loss is the divergence from the model's own outputs (for a softmax the Kullback-Leibler divergence), minimised
    by AdamW without weight decay; labels are not used. The copy has float32 weights where the model's are narrower, and
    stays in evaluation mode (no dropout, fixed statistics of norms). Signals and answers are kept in memory. Each
    example takes 1 + epochs forward passes, and epochs backward passes.

    Args:
        explainer: Of the model, which is not changed.
        examples: Raw examples, as for `explain`; not those on which methods are compared.
        domain: The domain whose features are masked; None for the explainer's, or the Fourier transform.
        masks: "any" keeps a log-uniform fraction from 1 % of six kinds, one example in ten whole, for curves; "few"
            removes at most a tenth at random, for F-Fidelity.
        epochs: How often each example is seen, at least 1.
        rate: The learning rate, above 0 and at most 1: about 1e-4 for small networks, 1e-5 for large transformers.
        batch_size: Examples in a step; "auto" for 32.
        seed: Of the masks and the order of examples.
        progress: True for a bar, or a function that is called with (steps done, steps in all).

    Raises:
        InputError: If an argument is out of range, or an example cannot be encoded.
        ModelError: If the model has no parameters or cannot be copied or trained, or the weights overflow.
        SpecError: If the domain is unknown or does not suit the signals.
    """
    if masks not in MASKS or not isinstance(epochs, int) or epochs < 1 or not 0 < rate <= 1:
        got = f"masks {masks!r}, {epochs!r} epochs and rate {rate!r}"
        raise InputError(
            got, "'any' or 'few', at least 1, above 0 and at most 1", "correct `masks`, `epochs` or `rate`"
        )
    chosen = DOMAINS.parse(domain or explainer.domain or Fourier())
    size = 32 if batch_size == "auto" else batch_size
    groups = answers_of(explainer, encode(explainer.wrapper, examples)[1], size)
    model = _copied(explainer.model)
    student = explainer.wrapper.of_model(model)
    losses = _train(student, groups, chosen, masks, epochs, rate, size, seed, progress or (lambda done, whole: None))
    if not all(math.isfinite(loss) for loss in losses) or not all(p.isfinite().all() for p in model.parameters()):
        got = f"weights or losses that are not finite after fine-tuning at rate {rate:g}"
        raise ModelError(got, "finite ones", "choose a lower `rate`")
    model.requires_grad_(False)
    name = f"{explainer.name}, fine-tuned on masked inputs"
    tuned = type(explainer)(
        student, method=explainer._method, domain=explainer.domain, name=name, dither=explainer.dither
    )
    tuned.donors = explainer.donors
    return Surrogate(tuned, chosen, masks, tuple(losses))


def answers_of(explainer: Engine, encoded: list[EncodedExample], size: int) -> list[Answers]:
    """The model's answers to whole examples, those of one batch key together."""
    found: list[Answers] = []
    with eval_mode(explainer.model), torch.no_grad():
        for members in grouped(encoded, lambda example: example.batch_key):
            signals, logits, frozen = [], [], []
            for start in range(0, len(members), size):
                some = [encoded[i] for i in members[start : start + size]]
                rng = ExampleRng(0, [example.key for example in some])
                batch = batch_of(explainer.wrapper, some, rng, explainer.dither)
                score = score_of(batch, [None] * len(some), MicroBatcher(len(some)))
                logits += score.represent(score.signal, lambda part: part.values.detach().clone(), OUTPUT)
                signals.append(batch.signal.detach().clone())
                frozen.append(score.frozen_targets)
            examples = [encoded[i] for i in members]
            known = torch.cat(signals), torch.cat(logits), torch.cat(frozen)
            found.append(Answers(examples, *known, explainer.dither))
    return found


def _train(
    student: ModelWrapper, groups: Sequence[Answers], domain: Domain, masks: str, epochs: int, rate: float, size: int,
    seed: int, report: Any,
) -> list[float]:  # fmt: skip
    """The mean loss of each epoch, before its steps."""
    optimizer = torch.optim.AdamW([p for p in student.model.parameters() if p.requires_grad], lr=rate, weight_decay=0)
    losses, done = [], 0
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(seed + epoch)
        shuffled = [torch.randperm(len(group.signal), generator=generator) for group in groups]
        parts = [(group, part) for group, own in zip(groups, shuffled, strict=True) for part in own.split(size)]
        total = 0.0
        for number in torch.randperm(len(parts), generator=generator).tolist():
            group, rows = parts[number]
            total += _step(student, optimizer, group, rows, domain, masks, seed, epoch) * len(rows)
            done += 1
            report(done, len(parts) * epochs)
        losses.append(total / sum(len(group.signal) for group in groups))
    return losses


def _step(
    student: ModelWrapper, optimizer: torch.optim.Optimizer, group: Answers, rows: Tensor, domain: Domain,
    masks: str, seed: int, epoch: int,
) -> float:  # fmt: skip
    """One step of the optimizer; returns the mean loss before it."""
    examples = [group.examples[i] for i in rows.tolist()]
    part = Answers(examples, group.signal[rows], group.logits[rows], group.frozen[rows], group.dither)
    kinds = KINDS if masks == "any" else ("random",)
    masked = masked_signals(part, domain, _any_size if masks == "any" else _few, kinds, seed, epoch)
    rng = ExampleRng(0, [example.key for example in part.examples])
    with torch.enable_grad():
        batch = batch_of(student, part.examples, rng, part.dither)
        places = torch.arange(len(rows), device=masked.device)
        logits = batch.logits(batch.forward(masked, places), places)
        loss = batch.head.divergence(logits, part.logits, part.frozen).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def _any_size(generator: torch.Generator) -> float:
    """A fraction that is kept: log-uniform from `SMALLEST`, for some examples all."""
    whole, place = torch.rand(2, generator=generator).tolist()
    return 1.0 if whole < WHOLE else SMALLEST ** (1 - place)


def _few(generator: torch.Generator) -> float:
    """A fraction that is kept: all but at most a tenth."""
    return 1.0 - FEW * float(torch.rand((), generator=generator))


def masked_signals(
    group: Answers, domain: Domain, share: Callable[[torch.Generator], float], kinds: Sequence[str], seed: int,
    epoch: int,
) -> Float[Tensor, "rows *signal"]:  # fmt: skip
    """The signals with random masks, each by its example, the seed and the epoch alone but for kind "other"."""
    basis = domain.bind(group.examples[0].signal)
    coefficients = basis.forward(group.signal)
    magnitude, rows = basis.magnitude(coefficients).cpu(), []
    for row, example in enumerate(group.examples):
        generator = ExampleRng(seed, [example.lazy_key]).generator(0, "surrogate", epoch)
        fraction = share(generator)
        kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
        other = magnitude[int(torch.randint(len(magnitude), (), generator=generator))]
        rows.append(draw_mask(basis, kind, fraction, other if kind == "other" else magnitude[row], generator))
    return basis.keep_features(coefficients, torch.stack(rows).to(coefficients.device))


def draw_mask(
    basis: Basis, kind: str, fraction: float, magnitude: Float[Tensor, " features"], generator: torch.Generator
) -> Bool[Tensor, " features"]:
    """A mask that no method has chosen: whole features, at least one, and at most a fraction of all.

    Args:
        basis: Whose features are kept.
        kind: One of `KINDS`.
        fraction: Of the features (degrees of freedom) that are kept.
        magnitude: That the features are ranked by for "magnitude" and "other".
        generator: Of what is random.
    """
    layout, features = basis.layout, len(basis)
    place = torch.arange(features, dtype=torch.float32) if layout.radius is None else layout.radius
    along = place + 1e-6 * torch.rand(features, generator=generator) * float(place.max() + 1)
    if kind == "random":
        key = torch.rand(features, generator=generator)
    elif kind == "runs":
        rank, runs = along.argsort().argsort(), int(torch.randint(1, 5, (), generator=generator))
        starts = torch.randint(features, (runs,), generator=generator)
        key = ((rank[:, None] - starts) % features).amin(1).float()
    else:
        key = {"low": along, "high": -along}.get(kind, -magnitude)
    order = key.argsort(stable=True)
    counts = layout.counts[order]
    mask = torch.zeros(features, dtype=torch.bool)
    mask[order[counts.cumsum(0) <= fraction * float(counts.sum()) + 1e-6]] = True
    if not mask.any():
        mask[order[0]] = True
    return mask


def _copied(trained: torch.nn.Module) -> torch.nn.Module:
    """A copy in evaluation mode, all of whose real parameters may be trained, in float32 at least.

    Half precision rounds small steps away, and overflows in the optimizer's squares.

    Raises:
        ModelError: If it has no parameters of its own, or cannot be copied or widened.
    """
    if isinstance(trained, FunctionModule) or next(trained.parameters(), None) is None:
        got = "a function, which has no weights to fine-tune"
        raise ModelError(got, "a torch module with parameters", "pass the module itself, if there is one")
    try:
        model = copy.deepcopy(trained).eval()
        if any(p.is_floating_point() and p.dtype.itemsize < 4 for p in model.parameters()):
            model.float()
    except Exception as error:  # of what others keep in their modules
        got = f"a {type(trained).__name__} that cannot be copied in float32 ({type(error).__name__}: {error})"
        raise ModelError(
            got, "a module that copy.deepcopy takes, and its float()", "remove what is not part of it"
        ) from error
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return model
