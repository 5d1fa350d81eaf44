"""What clients may tell each other of their models' frequencies: mean magnitudes, no phase.

Shared is one number per feature, the mean of |S(k)| over several examples. One example's spectrum with its phase can
be turned back into the example; a mean of magnitudes cannot be turned back by a transform. That is no privacy
guarantee: nothing here bounds what a profile gives away about an example, least of all with few of them. For a bound,
add noise to the profile by a mechanism of differential privacy before it leaves the client.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.class_filters import of_one_layout
from hf_fourier.results.attribution import Attribution
from hf_fourier.typing import Float, Tensor

#: Fewer examples than this make no profile.
LEAST = 10


def profile(results: Sequence[Attribution], least: int = LEAST) -> Float[Tensor, " features"]:
    """A client's profile: the mean over its examples of |S(k)|, each example's first scaled to sum 1, shape `(K,)`.

    Args:
        results: The client's examples, explained by one method in one layout.
        least: The fewest examples that may be averaged.

    Raises:
        InputError: If there are fewer, or their features differ.
    """
    if len(results) < max(1, least):
        raise InputError(f"{len(results)} examples", f"at least {max(1, least)}", "explain more, or share nothing")
    of_one_layout(results)
    magnitudes = torch.stack([result.scores.abs() for result in results])
    total = magnitudes.sum(1, keepdim=True)
    return (magnitudes / torch.where(total > 0, total, 1)).mean(0)


def contributions(
    profiles: Float[Tensor, "clients features"], examples: Sequence[int] | None = None
) -> Float[Tensor, " clients"]:
    """How much each client's profile is like that of all others: the cosine with their mean, 0 to 1.

    Likeness to the others is no proof of use to the model: hold it against what accuracy loses without the client.

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
