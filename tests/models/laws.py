"""What holds for every model, whatever it reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.seeding import ExampleRng
from tests.engine.test_untouched import same as same_state
from tests.engine.test_untouched import state_of, state_of_torch

ROW = torch.tensor([0])


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


def laid_out(explain: FourierExplainer, pixels: torch.Tensor) -> torch.Tensor:
    """Pictures as they lie in memory when the model gets them: in another layout its own rounding differs."""
    return pixels.contiguous(memory_format=explain.wrapper.layout(pixels))


def own_outputs(explain: FourierExplainer, encoded: EncodedExample, signal: torch.Tensor | None = None) -> Any:
    """The outputs of the model behind its adapter, at the clean signal or another one."""
    block = explain.wrapper.example_batch([encoded], ExampleRng(0, [encoded.key]))
    with torch.no_grad():
        return block.forward(block.signal if signal is None else signal.unsqueeze(0).to(block.signal), ROW)


def own_forward(explain: FourierExplainer, encoded: EncodedExample, signal: torch.Tensor | None = None) -> torch.Tensor:
    """Their logits."""
    return own_outputs(explain, encoded, signal).logits


def whole(result: Attribution) -> None:
    """All features are the signal, what is kept and what is deleted are it together, and nothing is NaN."""
    atol = 1e-5 * result.signal.abs().max().item()
    torch.testing.assert_close(result.keep_top(1.0), result.signal, rtol=0, atol=atol)
    for share in (0.04, 0.5):
        torch.testing.assert_close(result.keep_top(share) + result.delete_top(share), result.signal, rtol=0, atol=atol)
    sure = 1.0 if result.confidence is None else result.confidence  # a value has none
    for numbers in (result.scores, result.gradient, torch.tensor([result.value, sure])):
        assert numbers.isfinite().all()


def same(a: Attribution, b: Attribution, overlap: float = 0.99) -> None:
    """Two results of one example.

    Tracking takes gradients where features are missing, and what is missing depends on the gradient before: there
    rounding moves more, most of all on deep networks with kinks and on random weights, whose answer hardly moves.
    """
    assert (a.target, a.label, a.key) == (b.target, b.label, b.key)
    assert torch.equal(a.signal, b.signal)
    if str(a.provenance["method"]).startswith("tracking"):
        overlap = min(overlap, 0.8)
        assert (a.scores - b.scores).norm() <= 0.5 * a.scores.norm()
    else:
        assert (a.scores - b.scores).abs().max() <= 1e-4 * a.scores.abs().max()
    top, other = a.mask(0.04), b.mask(0.04)
    assert (top & other).sum() >= overlap * max(int(top.sum()), 1)


def batch_and_order_are_no_matter(explain: FourierExplainer, examples: Sequence[Any]) -> None:
    for method, size in (("ffc", "auto"), ("ffc", 2), ("tracking", 2)):
        alone = [explain.explain(example, method=method) for example in examples]
        turned = explain.explain(list(examples)[::-1], batch_size=size, method=method)
        for one, other in zip(alone[::-1], turned, strict=True):
            same(one, other)


@contextmanager
def counted(explain: FourierExplainer) -> Iterator[tuple[list[int], list[int]]]:
    """Inside, the rows of each forward pass and of each gradient at the signal are counted."""
    rows: list[int] = []
    back: list[int] = []
    name = explain.wrapper.main_input

    def count(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        rows.append(len(kwargs[name]))
        if kwargs[name].requires_grad:
            kwargs[name].register_hook(lambda gradient: back.append(len(gradient)))

    handle = explain.model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield rows, back
    finally:
        handle.remove()


def one_pass_each_way(explain: FourierExplainer, examples: Sequence[Any]) -> None:
    """One forward and one backward row per example, and no gradient of any weight."""
    with counted(explain) as (rows, back):
        results = explain.explain(list(examples), method="ffc")
    assert sum(rows) == len(examples)
    assert sum(back) in (0, len(examples))  # 0 where the signal is no input of the model
    assert all(result.provenance["passes"] == {"forward": 1, "backward": 1} for result in results)
    assert all(parameter.grad is None for parameter in explain.model.parameters())


def draws_in_evaluation() -> bool:
    """Whether wav2vec2 and its kin draw a number in each forward, in evaluation mode too: in transformers 5.0."""
    from transformers.models.wav2vec2 import modeling_wav2vec2

    return "skip_the_layer = self.training and" in inspect.getsource(modeling_wav2vec2)


def nothing_is_changed(explain: FourierExplainer, example: Any) -> None:
    """Also where some modules train and some weights are frozen."""
    model = explain.model
    for i, module in enumerate(model.modules()):
        module.training = i % 3 == 0
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 2 == 0)
    try:
        before, random_state = (state_of(model), state_of_torch()), torch.get_rng_state()
        said = explain.explain(example, method="ffc:steps=2")
        result = said[0] if isinstance(said, list) else said
        explain.perturb(result, fractions=[0.1, 0.5])
        explain.predict(result, signal=result.keep_top(0.5))
        assert same_state(before[0], state_of(model))
        if draws_in_evaluation():
            torch.set_rng_state(random_state)
        assert same_state(before[1], state_of_torch())
    finally:
        model.eval()
        model.requires_grad_(True)


def half_precision_works(explain: FourierExplainer, halved: FourierExplainer, example: Any) -> None:
    """A bfloat16 model has a float32 signal, whole and finite, and says much the same."""
    result, wide = halved.explain(example), explain.explain(example)
    assert {t.dtype for t in (result.signal, result.scores, result.gradient)} == {torch.float32}
    whole(result)
    assert abs(result.confidence - wide.confidence) < 0.1


def comes_back(explain: FourierExplainer, result: Attribution, folder: Any) -> None:
    """A result that was saved is played like the one that was not, and all features give the clean answer."""
    explain.perturb(result, fractions=[0.1, 1.0])
    back = Attribution.load(result.save(folder))
    assert torch.equal(back.scores, result.scores)
    assert (back.label, back.confidence, back.layout.signal) == (result.label, result.confidence, result.layout.signal)
    back.curve = None
    explain.perturb(back, fractions=[0.1, 1.0], overwrite=True)
    for part in ("keep", "delete"):
        ours, theirs = back.curve.at(part, 0.1), result.curve.at(part, 0.1)
        assert abs(ours.value - theirs.value) <= 1e-5 * max(1.0, abs(theirs.value))
        assert ours.agreement == theirs.agreement
    full = back.curve.at("keep", 1.0)
    if result.confidence is not None:
        assert abs(full.confidence - result.confidence) <= 1e-4 * result.confidence
    assert full.agreement == 1.0 or isinstance(result.target, list)  # the true tokens are not what the model says
