"""Whether a planted model does what it was planted for; a model that does not is void as ground truth.

Clean accuracy within a point of the original's; the trigger works on held-out examples; without the planted features
the label is lost (necessity); these features alone bring it about in another example (sufficiency); without the decoys
nothing changes. How wide a planted frequency is for the model: the trigger's success one bin away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.assets.triggers import Frequency, shifted
from benchmarks.planted.ranking import members, transformed
from benchmarks.planted.subjects import Examples, Subject, answers, answers_at
from hf_fourier.domains.base import Basis
from hf_fourier.results.attribution import Attribution

LOSS, SUCCESS, NECESSITY, MOVED, NEAR = 0.01, 0.99, 0.95, 0.02, 0.5
"""Largest loss of accuracy; least success, least loss of the label; most decoys that matter; success of a neighbour."""


def valid(row: dict[str, Any]) -> bool:
    """Whether a gate's row passes."""
    return bool(
        row["clean accuracy"] >= row["original"] - LOSS
        and row["success"] >= SUCCESS
        and row["turns"] >= NECESSITY
        and row["decoys move"] <= MOVED
    )


def without(basis: Basis, signal: Tensor, features: Tensor) -> Tensor:
    """A signal without some features, in its own shape."""
    return basis.keep_features(basis.forward(signal[None]), ~features[None])[0]


def exchanged(basis: Basis, signal: Tensor, other: Tensor, features: Tensor) -> Tensor:
    """Another signal with some of its features replaced by this signal's."""
    coefficients = basis.forward(torch.stack([signal, other]))
    stay, come = basis.scale_features(coefficients, torch.stack([features, ~features]).to(signal.dtype))
    return basis.inverse((stay + come)[None])[0]


def tests(
    ask: Callable[[Sequence[int], Sequence[Tensor]], Tensor],
    results: Sequence[Attribution],
    others: Sequence[Attribution],
    labels: tuple[Tensor, Tensor, Tensor],
    sets: Sequence[tuple[Tensor, Tensor]],
) -> dict[str, float]:
    """What deleting and exchanging features does.

    Args:
        ask: From the numbers of examples and a signal for each to the model's labels.
        results: Any explanation of each triggered example, for its signal.
        others: The same of the same examples without a trigger.
        labels: For each example the trigger's label, the model's, and the model's without the trigger.
        sets: For each example which features are planted and which are decoys.
    """
    targets, predicted, bare = labels
    n = len(results)
    bases = [result.basis for result in results]
    signals = [_signal(result) for result in results]
    plain = [_signal(other) for other in others]
    gone = ask(range(n), [without(b, x, g) for b, x, (g, _) in zip(bases, signals, sets, strict=True)])
    quiet = ask(range(n), [without(b, x, d) for b, x, (_, d) in zip(bases, signals, sets, strict=True)])
    hosts = [(index + 1) % n for index in range(n)]
    moved = ask(
        hosts,
        [exchanged(bases[i], signals[i], plain[host], sets[i][0]) for i, host in enumerate(hosts)],
    )
    fresh = bare[torch.tensor(hosts)] != targets
    return {
        "turns": float((gone != targets).double().mean()),
        "back": float((gone == bare).double().mean()),
        "suffices": float((moved == targets)[fresh].double().mean()),
        "decoys move": float((quiet != predicted).double().mean()),
    }


def _signal(result: Attribution) -> Tensor:
    if result.signal is None:
        raise ValueError("a compact result has no signal")
    return result.signal


def neighbours(axes: int) -> list[Frequency]:
    """Steps to the bins around one."""
    return [step for step in itertools.product((-1, 0, 1), repeat=axes) if any(step)]


def spread(examples: Examples, ask: Callable[[dict[str, Tensor]], Tensor]) -> dict[str, float]:
    """The trigger's success with its frequency one bin away, by step; a rhythm of tokens has no such neighbours."""
    if isinstance(examples.trigger, TokenTrigger):
        return {}
    found = {}
    for step in neighbours(len(examples.material.lengths)):
        inputs = examples.inputs(trigger=shifted(examples.trigger, step))
        found[str(list(step))] = float((ask(inputs) == examples.targets).double().mean())
    return found


def agree(results: Sequence[Attribution], examples: Examples) -> None:
    """Make sure that the waves have whole cycles in what the library transforms.

    Raises:
        ValueError: A signal is longer or shorter than what was planted in, as where special tokens are left out of it.
    """
    for result in results:
        lengths = tuple(axis.length for axis in transformed(result.layout))
        if lengths != examples.material.lengths:
            raise ValueError(
                f"the library transforms signals of {lengths} entries, but waves were planted in "
                f"{examples.material.lengths}; plant in what is transformed"
            )


def measure(subject: Subject, examples: Examples) -> dict[str, Any]:
    """The gate's row of one planted model."""
    held_out = subject.held_out
    explainer = subject.explainer("planted")
    accuracy = {
        role: float((answers(subject.explainer(role), held_out.inputs) == held_out.labels).double().mean())
        for role in ("planted", "clean", "original")
    }
    inputs, bare = examples.inputs(), examples.inputs(examples.drawn.without_trigger())
    predicted, before = answers(explainer, inputs), answers(explainer, bare)
    control = answers(subject.explainer("clean"), inputs)
    results, others = (explainer.explain(x, method="magnitude") for x in (inputs, bare))
    agree(results, examples)
    sets = [
        (members(result.layout, examples.planted(i)), members(result.layout, examples.decoys(i)))
        for i, result in enumerate(results)
    ]
    row: dict[str, Any] = {
        "model": subject.name,
        "n": len(examples),
        "original": accuracy["original"],
        "clean accuracy": accuracy["planted"],
        "control's accuracy": accuracy["clean"],
        "success": float((predicted == examples.targets).double().mean()),
        "without trigger": float((before == examples.targets).double().mean()),
        "control's success": float((control == examples.targets).double().mean()),
    }
    row |= tests(
        lambda chosen, signals: answers_at(explainer, [results[i] for i in chosen], signals),
        results,
        others,
        (examples.targets, predicted, before),
        sets,
    )
    near = spread(examples, lambda x: answers(explainer, x))
    row["admitted"] = [step for step, success in near.items() if success > NEAR]
    return row | {"valid": valid(row), "spread": near}
