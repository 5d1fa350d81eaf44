"""Class filters and federated profiles: mean gradients and mean top features over the examples of a class."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.ordering import cut, descending
from hf_fourier.torch_state import exact
from hf_fourier.typing import Bool, Float, Tensor


@exact
def concept(results: Sequence[Attribution], fraction: float = 0.04) -> Bool[Tensor, " features"]:
    """The features on top of the mean ranking of several examples, each example's scores first scaled to length 1.

    Args:
        results: Examples of one class in one layout.
        fraction: Of the features (their degrees of freedom), 0 to 1.

    Raises:
        InputError: If there are none, or their layouts or targets differ.
    """
    first = _alike(results)
    scores = torch.stack([torch.nn.functional.normalize(result.scores, dim=0) for result in results]).mean(0)
    order = descending(scores)
    mask = torch.zeros(len(order), dtype=torch.bool)
    mask[order[: cut(first.layout.counts[order], fraction)]] = True
    return mask


@exact
def class_filter(results: Sequence[Attribution], fraction: float | None = None) -> Float[Tensor, "*signal"]:
    """The class's mean filter: the mean of the clean gradients, each of length 1, shape `(*signal,)`.

    For a layer's neurons with filters w_j it is the mean of Σ_j a_j w_j: what the model listens for, without any one
    example in it. Shown to a person it is a pattern of the signal's size. It is no input.

    Args:
        results: Examples of one class in one layout, by a method that takes a gradient.
        fraction: Only the part of it in the features of `concept`; None for all of it.

    Raises:
        InputError: If there are none, their layouts or targets differ, or they hold no gradient.
    """
    first = _alike(results)
    gradients = [result.gradient for result in results if result.gradient is not None]
    if len(gradients) != len(results):
        raise InputError(
            "results without a gradient", "results of a method that takes one", "explain by another method"
        )
    flat = torch.stack([torch.nn.functional.normalize(gradient.flatten(), dim=0) for gradient in gradients])
    mean = flat.mean(0).view_as(gradients[0])
    if fraction is None:
        return mean
    basis = first.basis
    return basis.keep_features(basis.forward(mean.unsqueeze(0)), concept(results, fraction).unsqueeze(0))[0]


def of_one_layout(results: Sequence[Attribution]) -> Attribution:
    """The first of several results, checked to have the features of all.

    Raises:
        InputError: If there are none, or their features differ.
    """
    if not results:
        raise InputError("no results", "at least one", "pass explained examples")
    first = results[0].layout
    if any((one.layout.domain, one.layout.signal) != (first.domain, first.signal) for one in results):
        raise InputError(
            "results of different domains or input shapes", "one domain and one shape", "cut inputs to one size"
        )
    return results[0]


def _alike(results: Sequence[Attribution]) -> Attribution:
    first = of_one_layout(results)
    other = next((one for one in results if one.target != first.target), None)
    if other is not None:
        raise InputError(f"results for {first.label!r} and {other.label!r}", "one class", "pass one class at a time")
    return first


#: Fewer examples than this make no profile.
LEAST = 10


def federated_profile(results: Sequence[Attribution], least: int = LEAST) -> Float[Tensor, " features"]:
    """A client's profile: the mean over its examples of |S(k)|, each example's first scaled to sum 1, shape `(K,)`.

    Args:
        results: The client's examples, explained by one method in one layout.
        least: The fewest examples that may be averaged.

    Raises:
        InputError: If there are fewer, or their features differ.
    """
    if len(results) < max(1, least):
        do = "explain more examples; a profile of fewer must not be shared"
        raise InputError(f"{len(results)} examples", f"at least {max(1, least)}", do)
    of_one_layout(results)
    magnitudes = torch.stack([result.scores.abs() for result in results])
    total = magnitudes.sum(1, keepdim=True)
    return (magnitudes / torch.where(total > 0, total, 1)).mean(0)


def contributions(
    profiles: Float[Tensor, "clients features"], examples: Sequence[int] | None = None
) -> Float[Tensor, " clients"]:
    """The agreement of each client's profile with those of all others: the cosine with their mean, 0 to 1.

    It is called a contribution in federated learning, and has nothing to do with contributions of features. Agreement
    with the others does not show that a client is of use to the model: compare it with the accuracy that is lost
    without the client.

    Args:
        profiles: One per client, at least two.
        examples: How many examples each stands for, which weigh the mean; None for all alike.

    Raises:
        InputError: If there is no other client, or the numbers do not fit.
    """
    clients = len(profiles)
    weights = profiles.new_ones(clients) if examples is None else profiles.new_tensor(list(examples))
    if clients < 2 or len(weights) != clients or not bool((weights > 0).all()):
        got = f"{clients} profiles with {len(weights)} weights"
        raise InputError(got, "at least two, each with a weight above 0", "pass one number of examples per profile")
    weighted = profiles * weights.unsqueeze(1)
    others = weighted.sum(0) - weighted
    return torch.nn.functional.cosine_similarity(profiles, others, dim=1)
