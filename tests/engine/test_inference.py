"""Models that were made or loaded in inference mode are explained, and stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.models.inspection import eval_mode
from tests.contracts.test_modes import plain, told
from tests.models import tiny_models, tiny_tokenizers
from tests.toy_scores import noise

METHODS = ["ffc", "integrated_gradients:steps=2", "freqx"]


def answers(explain: FourierExplainer, example: Any) -> list[Any]:
    found = [explain.explain(example, method=method) for method in METHODS]
    results = [one for some in found for one in (some if isinstance(some, list) else [some])]
    explain.perturb(results, fractions=[0.3])
    return [*map(told, results), plain(explain.predict(results[0]).logits)]


@pytest.mark.parametrize(("task", "name"), [("text-classification", "bert"), ("image-classification", "resnet")])
def test_a_model_that_was_made_in_inference_mode(task: str, name: str) -> None:
    processor = tiny_tokenizers.tokenizer() if name == "bert" else None
    example = (
        tiny_tokenizers.texts(1)[0] if name == "bert" else {"pixel_values": noise(2, 3, 32, 32, dtype=torch.float32)}
    )
    expected = answers(FourierExplainer(tiny_models.build(task, name), processor), example)
    with torch.inference_mode():
        model = tiny_models.build(task, name).train()
    before = {n: (id(t), t.requires_grad, t.data_ptr()) for n, t in [*model.named_parameters(), *model.named_buffers()]}
    assert all(parameter.is_inference() for parameter in model.parameters())
    explain = FourierExplainer(model, processor)
    assert answers(explain, example) == expected
    with torch.inference_mode():
        assert answers(explain, example) == expected
    after = {n: (id(t), t.requires_grad, t.data_ptr()) for n, t in [*model.named_parameters(), *model.named_buffers()]}
    assert after == before
    assert model.training
    assert all(parameter.is_inference() for parameter in model.parameters())


def test_a_model_that_is_loaded_in_inference_mode(tmp_path: Path) -> None:
    text, model = tiny_tokenizers.texts(1)[0], tiny_models.build("text-classification", "bert")
    model.save_pretrained(tmp_path)
    tiny_tokenizers.tokenizer().save_pretrained(tmp_path)
    expected = answers(FourierExplainer.from_pretrained(tmp_path), text)
    with torch.inference_mode():
        explain = FourierExplainer.from_pretrained(tmp_path)
    assert answers(explain, text) == expected
    assert not any(parameter.is_inference() for parameter in explain.model.parameters())


class Partly(torch.nn.Module):
    """Tied weights, a buffer and a plain tensor, some of them made in inference mode; keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        with torch.inference_mode():
            self.second = torch.nn.Linear(6, 6)
            self.register_buffer("scale", torch.ones(6))
            self.shift = torch.zeros(6)
        self.third = torch.nn.Linear(6, 6)
        self.third.weight = self.second.weight
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = torch.ones(())
        return self.third(torch.tanh(self.second(torch.tanh(self.first(x)) * self.scale + self.shift)))


def test_parts_of_a_model() -> None:
    model = Partly()
    tensors = model.second.weight, model.scale, model.shift
    (result,) = attribute(model, noise(1, 6, dtype=torch.float32))
    assert result.gradient is not None
    assert bool(result.gradient.any())
    now = model.second.weight, model.scale, model.shift
    assert all(a is b for a, b in zip(now, tensors, strict=True))
    assert model.third.weight is model.second.weight
    assert float(model.seen) == 1  # what the model itself puts down stays


def test_a_failure_part_way_signals_all_flags_as_they_were() -> None:
    class Stubborn(torch.nn.Linear):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "training" and value is False:
                raise RuntimeError("I always train")
            super().__setattr__(name, value)

    model = torch.nn.Sequential(torch.nn.Linear(3, 3), Stubborn(3, 3), torch.nn.Linear(3, 3)).train()
    with pytest.raises(RuntimeError, match="always"), eval_mode(model):
        pass
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(RuntimeError, match="always"), eval_mode(model):  # nobody waits for it either
        pass
