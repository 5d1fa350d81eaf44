"""An answer depends on its example alone: not on the batch, the order, the chunk size, nor on memory running out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from tests.models import tiny_models, tiny_tokenizers

MODELS = {
    "bert": ("text-classification", "bert"),
    "roberta": ("text-classification", "roberta"),
    "gpt2": ("text-classification", "gpt2"),
    "gpt2-unpadded": ("text-classification", "gpt2-unpadded"),
    "llama": ("text-generation", "llama"),
    "masked": ("fill-mask", "bert"),
    "vit": ("image-classification", "vit"),
    "resnet": ("image-classification", "resnet"),
}


def prepared(name: str, **changes: Any) -> tuple[FourierExplainer, list[Any]]:
    task, which = MODELS[name]
    model = tiny_models.build(task, which, **changes)
    if task != "image-classification":
        kind = {"bert": "bert", "roberta": "roberta"}.get(which, "gpt")
        return FourierExplainer(model, tiny_tokenizers.tokenizer(kind)), tiny_tokenizers.texts(7)
    from transformers import ViTImageProcessor

    numbers = torch.Generator().manual_seed(0)
    pictures = [torch.rand(3, 24 + i, 40 - i, generator=numbers) for i in range(6)]
    return FourierExplainer(model, ViTImageProcessor(size={"height": 32, "width": 32})), pictures


def same(a: Attribution, b: Attribution, overlap: float = 0.99) -> None:
    assert (a.target, a.label, a.key) == (b.target, b.label, b.key)
    assert torch.equal(a.signal, b.signal)
    assert (a.scores - b.scores).abs().max() <= 1e-4 * a.scores.abs().max()
    top, other = a.mask(0.04), b.mask(0.04)
    assert (top & other).sum() >= overlap * max(int(top.sum()), 1)


@pytest.mark.parametrize("method", ["ffc", "ffc:lam=0", "random", "magnitude"])
@pytest.mark.parametrize("name", MODELS)
def test_batch_order_and_chunks_are_no_matter(name: str, method: str) -> None:
    explain, examples = prepared(name)
    alone = [explain.explain(example, method=method) for example in examples]
    for size in ("auto", 1, 3):
        for one, other in zip(alone, explain.explain(examples, method=method, batch_size=size), strict=True):
            same(one, other)
    turned = explain.explain(examples[::-1] + examples[:2], method=method)
    for one, other in zip([*alone[::-1], *alone[:2]], turned, strict=True):
        same(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_many_steps_do_not_depend_on_the_batch_either(name: str) -> None:
    explain, examples = prepared(name)
    for example, result in zip(examples, explain.explain(examples, method="ffc:steps=4"), strict=True):
        same(explain.explain(example, method="ffc:steps=4"), result, overlap=0.95)


@pytest.mark.parametrize(("name", "fits"), [("bert", 1), ("llama", 1), ("vit", 2)])
def test_nor_does_it_matter_that_memory_runs_out(name: str, fits: int) -> None:
    explain, examples = prepared(name)
    examples = examples[:4]
    plain = explain.explain(examples, method="ffc")

    def refuse(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        if len(next(iter(kwargs.values()))) > fits:
            raise torch.OutOfMemoryError("simulated")

    handle = explain.model.register_forward_pre_hook(refuse, with_kwargs=True)
    results = explain.explain(examples, method="ffc")
    for one, other in zip(plain, results, strict=True):
        same(one, other)
    assert sum(result.provenance["halvings"] for result in results) > 0
    explain.perturb(results, fractions=[0.1, 0.5])
    handle.remove()
    explain.perturb(plain, fractions=[0.1, 0.5])
    for one, other in zip(plain, results, strict=True):
        for mine, theirs in zip(one.curve.points, other.curve.points, strict=True):
            assert (mine.mode, mine.fraction) == (theirs.mode, theirs.fraction)
            assert mine.confidence == pytest.approx(theirs.confidence, rel=1e-4)


def test_when_not_even_one_row_fits_what_is_done_is_not_lost() -> None:
    explain, examples = prepared("bert")
    seen = []

    def refuse(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        seen.append(kwargs["input_ids"].shape[1])
        if kwargs["input_ids"].shape[1] > 10:
            raise torch.OutOfMemoryError("simulated")

    handle = explain.model.register_forward_pre_hook(refuse, with_kwargs=True)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        explain.explain(examples)
    handle.remove()
    done = caught.value.completed
    assert 0 < len(done) < len(examples)
    for index, result in done.items():
        same(result, explain.explain(examples[index]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["bert", "roberta", "llama", "vit"])
def test_half_models_are_explained_in_single_precision(name: str, dtype: torch.dtype) -> None:
    explain, examples = prepared(name)
    full = explain.explain(examples)
    explain.model.to(dtype)
    for one, other in zip(full, explain.explain(examples), strict=True):
        assert other.scores.dtype == other.signal.dtype == other.gradient.dtype == torch.float32
        assert other.scores.isfinite().all()
        assert other.gradient.abs().max() > 0
        first, second = (p for _, p in [*one.top_predictions, ("", 0.0)][:2])
        if first - second > 0.1:  # an easy case
            assert one.target == other.target
        atol = 1e-5 * other.signal.abs().max().item()
        torch.testing.assert_close(other.keep_top(1.0), other.signal, rtol=0, atol=atol)
    assert next(explain.model.parameters()).dtype == dtype


def test_one_forward_and_one_backward_per_example() -> None:
    explain, examples = prepared("bert")
    explain.explain(examples[0])
    rows, gradients = [], []

    def count(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        rows.append(len(kwargs["input_ids"]))

    def heard(module: torch.nn.Module, args: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: gradients.append(len(gradient)))

    handles = [
        explain.model.register_forward_pre_hook(count, with_kwargs=True),
        explain.model.bert.encoder.layer[0].attention.self.query.register_forward_hook(heard),
    ]
    results = explain.explain(examples, method="ffc")
    for handle in handles:
        handle.remove()
    assert sum(rows) == sum(gradients) == len(examples)
    assert all(result.provenance["passes"] == {"forward": 1.0, "backward": 1.0} for result in results)
