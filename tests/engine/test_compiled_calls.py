"""Compiled calls: which passes run them, of models of one's own and of torch's, and with calls inside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hf_fourier import FourierExplainer
from hf_fourier.models.inspection import eval_mode, unwrap
from hf_fourier.scoring.compiled_calls import compiled_calls


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.linear(x).relu()


class OwnSequential(nn.Sequential):
    """Whose `forward` is torch's."""


MODELS: dict[str, Callable[[], nn.Module]] = {
    "own": Own,
    "sequential": lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
    "own sequential": lambda: OwnSequential(nn.Linear(4, 4), nn.ReLU()),
    "one layer": lambda: nn.Linear(4, 4),
}


def compiled(model: nn.Module, ran: list[int]) -> nn.Module:
    def backend(graph: Any, examples: Any) -> Any:
        return lambda *given: ran.append(1) or graph.forward(*given)

    whole: nn.Module = torch.compile(model, backend=backend)
    return whole


@pytest.mark.parametrize("name", MODELS)
def test_passes_without_hooks_run_the_compiled_call(name: str) -> None:
    ran, model, x = list[int](), MODELS[name](), torch.randn(2, 4)
    given = compiled(model, ran)  # holds the compiled call
    assert unwrap(given) is model
    expected = model(x)
    with eval_mode(model):
        model(x)
        assert not ran
        with compiled_calls.used(model):
            assert torch.equal(model(x), expected)
        assert len(ran) == 1
        model(x)
    model(x)
    assert len(ran) == 1
    given(x)
    assert len(ran) == 2, "the user's own calls are compiled as before"


@pytest.mark.parametrize("name", MODELS)
def test_passes_may_lie_inside_each_other(name: str) -> None:
    ran, model, x = list[int](), MODELS[name](), torch.randn(2, 4)
    given = compiled(model, ran)
    unwrap(given)
    with eval_mode(model):
        with compiled_calls.used(model):
            with eval_mode(model):
                model(x)
                assert not ran
                with compiled_calls.used(model):
                    model(x)
                assert len(ran) == 1
            with compiled_calls.used(model):
                model(x)
            model(x)
            assert len(ran) == 3
        model(x)
        assert len(ran) == 3
        with compiled_calls.used(model):
            model(x)
        assert len(ran) == 4, "what was set aside is not lost"
    assert vars(model).get("_compiled_call_impl") is None


def test_a_compiled_sequential_network_is_explained_in_compiled_passes() -> None:
    ran, model = list[int](), nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    signals = list(torch.randn(2, 1, 8, 8))
    expected = FourierExplainer(model, axes=("height", "width")).explain(signals, method="ffc:steps=2")
    found = FourierExplainer(compiled(model, ran), axes=("height", "width")).explain(signals, method="ffc:steps=2")
    assert ran
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one.scores, other.scores)


def test_a_model_that_was_explained_in_compiled_form_runs_with_later_hooks_as_it_is_written() -> None:
    torch._dynamo.reset()  # which compiles no function more than eight times
    ran, model = list[int](), nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    signal = torch.randn(1, 8, 8)
    given = compiled(model, ran)
    FourierExplainer(given, axes=("height", "width")).explain(signal, method="magnitude")
    assert ran
    ran.clear()
    model[0].register_forward_hook(lambda module, inputs, output: 3 * output)
    found = FourierExplainer(model, axes=("height", "width")).explain(signal, method="magnitude")
    expected = model(signal.unsqueeze(0))[0].log_softmax(-1)
    assert found.value == pytest.approx(float(expected[found.target].detach()), rel=1e-4)
    assert not ran
