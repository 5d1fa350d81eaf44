"""Wrong target labels, to test whether a method explains the prediction or can produce any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import SMALL_FRACTIONS, FractionGrid, common_replacement
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.heads import Categorical
from hf_fourier.seeding import ExampleRng

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

Kind = Literal["random", "runner_up", "all"]


def assign_wrong_labels(
    predicted: Sequence[int], labels: Sequence[int], keys: Sequence[int], seed: int = 0
) -> tuple[list[int], int]:
    """Permute the predicted labels over the examples so that none keeps its own.

    Wrong labels drawn without regard to how often a label occurs flatter: a model that predicts one label for every
    degraded input would keep that label's examples and seldom reach the others, and any ranking of it, a random one
    too, would look selective. Where more than half have one label, the rest of them get a random other one, and the
    balance is lost.

    Args:
        predicted: The predicted label of each example.
        labels: All classes.
        keys: The examples' fingerprints, which seed the draws.
        seed: Of the draws.

    Returns:
        The labels, and how many were drawn at random.
    """
    order = sorted(
        range(len(predicted)),
        key=lambda i: (predicted[i], ExampleRng(seed, [keys[i]]).generator(0, "dealt").initial_seed()),
    )
    shift = max(Counter(predicted).values())
    wrong, drawn = list(predicted), 0
    for place, i in enumerate(order):
        wrong[i] = predicted[order[(place + shift) % len(order)]]
        if wrong[i] == predicted[i]:
            others = [label for label in labels if label != predicted[i]]
            index = torch.randint(len(others), (1,), generator=ExampleRng(seed, [keys[i]]).generator(0, "wrong label"))
            wrong[i], drawn = others[int(index)], drawn + 1
    return wrong, drawn


def has_other_classes(explainer: Engine, result: Attribution) -> bool:
    """Whether a result is for one class of a softmax over several named ones, so that there are wrong labels."""
    labels = explainer.wrapper.head().labels
    return result.provenance.get("head") == Categorical.name and isinstance(result.target, int) and len(labels) > 1


def wrong_labels_of(explainer: Engine, result: Attribution, kind: Kind, seed: int = 0) -> list[int]:
    """The wrong labels of one example by itself.

    Args:
        explainer: Of the model that made the result.
        result: For one class of a softmax, with its example.
        kind: "random" for a random other class (see `assign_wrong_labels` for its bias); "runner_up" for the likeliest
            other class; "all" for all of them.
        seed: Of the draw.

    Raises:
        InputError: If the result is not for one class of several.
    """
    labels = explainer.wrapper.head().labels
    if not has_other_classes(explainer, result):
        got = f"a result for {result.label!r} of a head {result.provenance.get('head')!r}"
        raise InputError(got, "one class of a softmax with named classes", "choose results of a classifier")
    others = [index for index in sorted(labels) if index != result.target]
    if kind == "all":
        return others
    if kind == "random":
        drawn = torch.randint(len(others), (1,), generator=ExampleRng(seed, [result.key]).generator(0, "wrong label"))
        return [others[int(drawn)]]
    for name, _ in result.top_predictions:
        named = [index for index, label in labels.items() if label == name]
        if len(named) != 1:
            break  # several classes share the name
        if named[0] != result.target:
            return named
    logits = explainer.predict(result).logits.reshape(-1).clone()
    logits[result.target] = -torch.inf
    return [int(logits.argmax())]


_SMALL = FractionGrid(keep=SMALL_FRACTIONS)


def wrong_labels(
    explainer: Engine,
    attributions: Sequence[Attribution],
    *,
    kind: Kind = "random",
    grid: FractionGrid = _SMALL,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> list[list[Attribution]]:
    """Explain wrong labels by the same method and perturb by these rankings, for selectivity.

    Costs an explanation and one forward pass per kept fraction, for each wrong label.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples, each for one class of a softmax.
        kind: "random" for one other class drawn per example, for which no evidence is expected; "runner_up" for the
            likeliest other class, for which there may be some; "all" for all other classes.
        grid: What to perturb; selectivity reads its kept fractions.
        seed: Of the random classes.
        batch_size: Rows in a batch, at most.

    Returns:
        For each result, the perturbed results of its example for the wrong labels; with what stood in the place of
        deleted features along the curves that the results have.

    Raises:
        InputError: If `kind` is unknown, or a result is not for one class of several, or curves differ in that.
    """
    if kind not in ("random", "runner_up", "all"):
        raise InputError(f"kind {kind!r}", "'random', 'runner_up' or 'all'", "choose one of them")
    wrong = [wrong_labels_of(explainer, result, kind, seed) for result in attributions]
    examples = [result for result, targets in zip(attributions, wrong, strict=True) for _ in targets]
    results = explainer.re_explain(
        examples, [target for targets in wrong for target in targets], as_goals=True, batch_size=batch_size
    )
    replacement = common_replacement([result.curve for result in attributions if result.curve is not None])
    explainer.perturb(results, grid, replacement=replacement, batch_size=batch_size)
    remaining = iter(results)
    return [[next(remaining) for _ in targets] for targets in wrong]
