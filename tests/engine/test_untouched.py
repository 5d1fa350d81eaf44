"""Nothing of the user's is changed: not the model, not the tokenizer, not torch, also when a forward fails."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import ModelError
from tests.models import tiny_models, tiny_tokenizers

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")


def mixed(task: str, name: str) -> torch.nn.Module:
    """A model some of whose modules train and some of whose weights are frozen."""
    model = tiny_models.build(task, name)
    for i, module in enumerate(model.modules()):
        module.training = i % 3 == 0
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 2 == 0)
    return model


def state_of(model: torch.nn.Module) -> dict[str, Any]:
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict(keep_vars=False).items()},
        "buffers": {name: tensor.clone() for name, tensor in model.named_buffers()},
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "no grad": all(parameter.grad is None for parameter in model.parameters()),
        "training": [module.training for module in model.modules()],
        "hooks": [len(getattr(module, kind)) for module in model.modules() for kind in HOOKS],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "config": copy.deepcopy(model.config.to_dict()),
        "generation": copy.deepcopy(getattr(model, "generation_config", None) and model.generation_config.to_dict()),
    }


def state_of_torch() -> dict[str, Any]:
    return {
        "random": torch.random.get_rng_state(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
    }


def state_of_tokenizer(tokenizer: Any) -> dict[str, Any]:
    return {
        "padding": tokenizer.padding_side,
        "truncation": tokenizer.truncation_side,
        "limit": tokenizer.model_max_length,
        "special": tokenizer.special_tokens_map,
        "backend": tokenizer.backend_tokenizer.to_str(),
        "warned": dict(tokenizer.deprecation_warnings),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def everything(explain: FourierExplainer, example: Any) -> None:
    result = explain.explain(example)
    explain.perturb(result, fractions=[0.1, 0.5])
    explain.predict(result, signal=result.keep_top(0.5))
    explain.explain([example, example], method="ffc:steps=2")


CASES: list[tuple[str, str, str]] = [
    ("text-classification", "bert", "bert"),
    ("text-classification", "roberta", "roberta"),
    ("text-classification", "gpt2", "gpt"),
    ("text-classification", "t5", "roberta"),
    ("text-classification", "longformer", "roberta"),
    ("fill-mask", "bert", "bert"),
    ("text-generation", "llama", "gpt"),
]


@pytest.mark.parametrize(("task", "name", "kind"), CASES)
def test_a_text_model_and_its_tokenizer_stay_as_they_are(task: str, name: str, kind: str) -> None:
    model, tokenizer = mixed(task, name), tiny_tokenizers.tokenizer(kind, model_max_length=12)
    tokenizer.padding_side = "left"
    tokenizer.backend_tokenizer.enable_truncation(7, strategy="only_first")
    tokenizer.backend_tokenizer.enable_padding(length=9)
    before = (state_of(model), state_of_torch(), state_of_tokenizer(tokenizer))
    explain = FourierExplainer(model, tokenizer)
    everything(explain, tiny_tokenizers.texts(1, lengths=(8,))[0])
    everything(explain, tiny_tokenizers.texts(1, lengths=(30,))[0])  # longer than the limit
    assert same((before[0]), state_of(model))
    assert same(before[1], state_of_torch())
    assert same(before[2], state_of_tokenizer(tokenizer))


@pytest.mark.parametrize("name", ["vit", "resnet", "efficientnet"])
def test_a_picture_model_stays_as_it_is(name: str) -> None:
    model = mixed("image-classification", name)
    before = (state_of(model), state_of_torch())
    explain = FourierExplainer(model)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    kept = pixels.clone()
    results = explain.explain({"pixel_values": pixels})
    explain.perturb(results, fractions=[0.1])
    assert same(before[0], state_of(model))
    assert same(before[1], state_of_torch())
    assert torch.equal(pixels, kept)
    assert pixels.grad is None


@pytest.mark.parametrize("error", [RuntimeError, KeyError, torch.OutOfMemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_also_when_a_forward_fails(error: type[BaseException], after: int) -> None:
    model, tokenizer = mixed("text-classification", "bert"), tiny_tokenizers.tokenizer("bert")
    explain, calls = FourierExplainer(model, tokenizer), []
    explain.wrapper.encode("w10 w11")

    def fail(module: torch.nn.Module, args: Any, output: Any) -> None:
        calls.append(1)
        if len(calls) > after:
            raise error("on purpose")

    handle = model.classifier.register_forward_hook(fail)
    before = (state_of(model), state_of_torch())
    with pytest.raises((error, ModelError)):
        explain.explain(tiny_tokenizers.texts(3), method="ffc:steps=2")
    assert same(before[0], state_of(model))
    assert same(before[1], state_of_torch())
    handle.remove()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_grad_mode_does_not_matter(mode: Callable[[], Any]) -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", "llama"), tiny_tokenizers.tokenizer("gpt"))
    example = tiny_tokenizers.texts(1)[0]
    alone = explain.explain(example)
    with mode():
        before = state_of_torch()
        inside = explain.explain(example)
        explain.perturb(inside, fractions=[0.5])
        assert explain.predict(example).label == alone.label
        assert same(before, state_of_torch())
    torch.testing.assert_close(inside.scores, alone.scores)
    assert not inside.signal.is_inference()


def test_the_default_dtype_does_not_matter() -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    alone = explain.explain(tiny_tokenizers.texts(1)[0])
    torch.set_default_dtype(torch.float64)
    try:
        other = explain.explain(tiny_tokenizers.texts(1)[0])
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(other.scores, alone.scores)


def test_a_model_that_remembers_what_it_computed_can_be_explained_after_it_predicted() -> None:
    """Rotary tables, for one: made without gradients first, they are part of a gradient later."""
    model = tiny_models.build("text-classification", "bert")

    def remember(module: torch.nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        if "seen" not in vars(module):
            module.seen = output.detach() * 0 + 2
        return output * module.seen

    model.dropout.register_forward_hook(remember)
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    example = tiny_tokenizers.texts(1)[0]
    explain.predict(example)
    explain.perturb(explain.explain(example, method="magnitude"), fractions=[0.5])
    assert explain.explain(example).gradient.abs().max() > 0


def test_a_training_step_works_afterwards() -> None:
    model = tiny_models.build("text-classification", "roberta").train()
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("roberta"))
    everything(explain, tiny_tokenizers.texts(1)[0])
    batch = {key: tensor for key, tensor in tiny_models.batch().items() if key != "special_tokens_mask"}
    model(**batch, labels=torch.tensor([0, 1, 2])).loss.backward()
    assert all(parameter.grad is not None for parameter in model.classifier.parameters())


MEMORY = """
import gc, sys
sys.path.insert(0, {root!r})
import torch
torch.set_num_threads(1)
from hf_fourier import FourierExplainer
from tests.models import tiny_models, tiny_tokenizers

explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
examples = tiny_tokenizers.texts(4, lengths=(30, 40))

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1])

for call in range(1, 51):
    explain.perturb(explain.explain(examples), fractions=[0.1])
    if call == 10:
        early = resident()
print(resident() / early)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_calls(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY.format(root=str(root))], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) <= 1.02
