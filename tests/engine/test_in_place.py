"""A model may work on its input in place, and users on theirs: neither reaches a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.domains import DOMAINS
from tests.contracts.test_modes import plain, told
from tests.models import tiny_models, tiny_tokenizers
from tests.models.kinds import KINDS, Kind
from tests.toy_scores import FITTED, METHOD_SPECS, noise

#: Where `generate` runs the model on tensors of its own.
WRITTEN = ("text2text-generation", "speech")


def asked(explain: FourierExplainer, kind: Kind, example: Any) -> list[Any]:
    results = explain.explain(example, kind.target)
    explain.perturb(results, fractions=[0.3])
    said = plain(explain.predict(results[0]).logits) if kind.target is None else None
    path = explain.explain(example, kind.target, method="integrated_gradients:steps=2")
    return [*map(told, results), said, *map(told, path)]


def tensors(kwargs: dict[str, Any]) -> list[torch.Tensor]:
    return [value for value in kwargs.values() if isinstance(value, torch.Tensor)]


def trash(module: torch.nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
    """Leave nothing of what the model was given, once it has answered."""
    for tensor in tensors(kwargs):
        if not tensor.requires_grad:
            tensor.zero_()


def louder(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    return args, {n: v * 1.5 if torch.is_tensor(v) and v.is_floating_point() else v for n, v in kwargs.items()}


def louder_in_place(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
    for tensor in tensors(kwargs):
        if tensor.is_floating_point():
            tensor.mul_(1.5)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in WRITTEN])
def test_a_model_that_spoils_what_it_was_given(name: str) -> None:
    kind = KINDS[name]
    expected = asked(kind.make(), kind, kind.example())
    explain = kind.make()
    explain.model.register_forward_hook(trash, with_kwargs=True)
    assert asked(explain, kind, kind.example()) == expected


@pytest.mark.parametrize("name", [name for name in KINDS if name not in WRITTEN])
def test_a_hook_that_edits_the_input(name: str) -> None:
    kind, found = KINDS[name], []
    for hook in (louder, louder_in_place):
        explain = kind.make()
        explain.model.register_forward_pre_hook(hook, with_kwargs=True)
        found.append(asked(explain, kind, kind.example()))
    assert found[0] == found[1]


def test_ids_that_are_edited_where_they_are_embedded() -> None:
    """The embedding is still found by what the model was given."""

    def ruled_out(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        kwargs["input_ids"].clamp_(max=40)

    model: Any = tiny_models.build("text-classification", "bert")
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer())
    low = explain.explain(tiny_tokenizers.text(7, 30, 12))
    model.register_forward_pre_hook(ruled_out, with_kwargs=True)
    same = explain.explain(tiny_tokenizers.text(7, 30, 12))
    assert told(same) == told(low)
    high = explain.explain(tiny_tokenizers.text(7, 60, 12))
    assert high.inputs["input_ids"].tolist() == [1, 7, 60, 12, 2]


def spoilt(example: Any) -> None:
    """Everything of the user's is edited in place."""
    match example:
        case dict():
            for value in example.values():
                spoilt(value)
        case list() | tuple():
            for value in example:
                spoilt(value)
        case torch.Tensor():
            example.zero_()
        case np.ndarray():
            example[...] = 0


@pytest.mark.parametrize("name", KINDS)
def test_what_users_do_to_their_examples_afterwards(name: str) -> None:
    kind = KINDS[name]
    explain, example = kind.make(), kind.example()
    results = explain.explain(example, kind.target)
    logits = explain.predict(results[0]).logits if kind.target is None else None
    before = [told(a) for a in results], plain(logits), [plain(dict(a.raw_input)) for a in results]
    spoilt(example)
    assert ([told(a) for a in results], plain(logits), [plain(dict(a.raw_input)) for a in results]) == before
    explain.perturb(results, fractions=[0.3])
    assert [a.curve for a in results] == [a.curve for a in _played(kind)]


def _played(kind: Kind) -> Any:
    explain = kind.make()
    return explain.perturb(explain.explain(kind.example(), kind.target), fractions=[0.3])


@pytest.mark.parametrize("name", KINDS)
def test_what_users_do_to_results_afterwards(name: str) -> None:
    """Neither their examples nor other results change."""
    kind = KINDS[name]
    explain, example = kind.make(), kind.example()
    kept = plain(_numbers(kind.example()))
    first = explain.explain(example, kind.target)
    expected = [told(a) for a in first]
    again = explain.explain(example, kind.target)
    for a in first:
        for tensor in (a.scores, a.signal, a.gradient, a.frozen_target, *a.inputs.values(), *a.raw_input.values()):
            spoilt(tensor)
    assert plain(_numbers(example)) == kept
    assert [told(a) for a in again] == expected
    assert [told(a) for a in explain.explain(example, kind.target)] == expected


def _numbers(example: Any) -> Any:
    return example if isinstance(example, dict) else list(example)


class Net(torch.nn.Module):
    """A first layer that may work in place, and a net behind it."""

    def __init__(self, how: str, in_place: bool) -> None:
        super().__init__()
        self.how, self.in_place, self.relu = how, in_place, torch.nn.ReLU(inplace=in_place)
        self.out = torch.nn.Parameter(noise(20, 3, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "relu":
            x = self.relu(x)
        elif self.how == "clamp":
            x = x.clamp_(-1, 1) if self.in_place else x.clamp(-1, 1)
        elif self.in_place:
            x += 1
        else:
            x = x + 1
        return torch.tanh(x).flatten(1) @ self.out


@pytest.mark.parametrize("how", ["relu", "clamp", "add"])
@pytest.mark.parametrize("method", METHOD_SPECS)
def test_callables(method: str, how: str) -> None:
    x = noise(2, 4, 5, dtype=torch.float32)
    mine = x.clone()
    found = [[told(a) for a in attribute(Net(how, in_place), mine, method=method)] for in_place in (False, True)]
    assert found[0] == found[1]
    assert torch.equal(mine, x)
    net = Net(how, True).eval()
    assert [told(a) for a in attribute(lambda rows: net(rows), mine, method=method)] == found[0]
    assert torch.equal(mine, x)


@pytest.mark.parametrize("domain", [name for name in DOMAINS if name not in FITTED])
def test_results_of_callables_are_their_own(domain: str) -> None:
    x = noise(2, 4, 5, dtype=torch.float32)
    results = attribute(Net("relu", True), x, domain=domain)
    before = [told(a) for a in results]
    x.zero_()
    assert [told(a) for a in results] == before
