"""Real models and data, unchanged: their own answers, whole signals, the same scores in any batch, one pass each
way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, demo
from hf_fourier.seeding import ExampleRng
from tests.models import laws

pytestmark = pytest.mark.assets
Asset = Callable[[str], Path]
#: Beside the model: the data asset that its examples come from.
DATA = {"efficientnet-lite0": "pictures", "minilm-spam": "spam-emails", "smollm2": "", "antiberty-mlm": ""}


@dataclass
class Case:
    """A real model, some of its examples, and those that are hard in their own way."""

    name: str
    explain: FourierExplainer
    examples: list[Any]
    odd: list[Any]

    def own_logits(self, example: Any) -> torch.Tensor:
        """What the model itself says, asked without us on what its processor makes."""
        model, processor = self.explain.model, self.explain.processor
        with torch.no_grad():
            if self.name == "efficientnet-lite0":
                return model(**processor(images=example, return_tensors="pt")).logits
            options = {"truncation": True, "max_length": 512} if self.name == "minilm-spam" else {}
            return model(**processor(example, return_tensors="pt", **options)).logits


def texts_of(name: str) -> tuple[list[Any], list[Any]]:
    if name == "minilm-spam":
        mails = [text[:200] for text, _ in demo.emails()[:3]]
        return mails, ["money", " ".join(["free"] * 31), " ".join(["meeting"] * 40)]
    if name == "smollm2":
        return (
            ["The capital of France is", "Two plus two equals", "The sun rises"],
            ["Hello", " one" * 13, " two" * 16],
        )
    sequences = [
        " ".join(one["sequence"][:length]) for one, length in zip(demo.antibodies(), (24, 20, 24), strict=False)
    ]
    masked = sequences[0].split()
    masked[3] = "[MASK]"
    return [*sequences[1:], " ".join(masked)], ["W", " ".join("EVQLVES"), " ".join("EVQLVESG")]


@pytest.fixture(scope="module", params=list(DATA))
def case(request: pytest.FixtureRequest, asset: Asset) -> Case:
    name = request.param
    folder = asset(name)
    if DATA[name]:
        asset(DATA[name])
    explain = FourierExplainer.from_pretrained(str(folder))
    if name == "efficientnet-lite0":
        import numpy as np

        examples: list[Any] = [picture for _, picture in demo.pictures(3)]
        odd: list[Any] = [
            np.zeros((64, 64, 3), np.uint8),
            np.full((1, 1, 3), 200, np.uint8),
            examples[0].resize((97, 31)),
        ]
    else:
        examples, odd = texts_of(name)
    return Case(name, explain, examples, odd)


@pytest.fixture(scope="module")
def alone(case: Case) -> list[Attribution]:
    return [case.explain.explain(example) for example in case.examples]


def whole(result: Attribution) -> None:
    atol = 1e-5 * result.signal.abs().max().item()
    torch.testing.assert_close(result.keep_top(1.0), result.signal, rtol=0, atol=atol)
    for share in (0.04, 0.5):
        torch.testing.assert_close(result.keep_top(share) + result.delete_top(share), result.signal, rtol=0, atol=atol)
    assert result.scores.isfinite().all()
    assert result.gradient.isfinite().all()
    assert result.gradient.abs().max() > 0


def test_the_clean_forward_is_the_models_own(case: Case) -> None:
    wrapper = case.explain.wrapper
    for example in (case.examples[-1], *case.odd):
        encoded = wrapper.encode(example)
        block = wrapper.example_batch([encoded], ExampleRng(0, [encoded.key]))
        rows = torch.tensor([0])
        theirs = case.own_logits(example)
        with torch.no_grad():
            if wrapper.task == "fill-mask" and block.in_turn:  # asked without masks, as the model was
                ours = block._run(block.inputs, block.signal, block.content).logits
            else:
                ours = block.forward(block.signal, rows).logits
        theirs = theirs[:, -ours.shape[1] :] if ours.ndim == 3 else theirs
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_results_are_whole(case: Case, alone: list[Attribution]) -> None:
    for result in alone:
        whole(result)


def test_the_clean_prediction_comes_back(case: Case, alone: list[Attribution]) -> None:
    for example, result in zip(case.examples[:2], alone[:2], strict=True):
        clean, again = case.explain.predict(example), case.explain.predict(example, signal=result.keep_top(1.0))
        assert again.label == clean.label
        assert again.confidence == pytest.approx(clean.confidence, rel=1e-3)


def test_what_is_hard_is_explained(case: Case) -> None:
    for example in case.odd:
        result = case.explain.explain(example)
        assert result.scores.isfinite().all()
        atol = 1e-5 * result.signal.abs().max().item()
        torch.testing.assert_close(result.keep_top(1.0), result.signal, rtol=0, atol=max(atol, 1e-12))


@pytest.mark.parametrize("size", ["auto", 2])
def test_batch_and_order_are_no_matter(case: Case, alone: list[Attribution], size: Any) -> None:
    turned = case.explain.explain(case.examples[::-1], batch_size=size)
    for one, other in zip(alone[::-1], turned, strict=True):
        laws.same(one, other)
    by_ffc = [case.explain.explain(example, method="ffc") for example in case.examples]
    turned = case.explain.explain(case.examples[::-1], batch_size=size, method="ffc")
    for one, other in zip(by_ffc[::-1], turned, strict=True):
        laws.same(one, other)


def test_one_forward_and_one_backward_per_example(case: Case) -> None:
    if case.explain.wrapper.task == "fill-mask":
        examples, cost = case.examples[:1], 8
    else:
        examples, cost = case.examples[:3], 1
    rows: list[int] = []
    backward: list[int] = []
    model = case.explain.model

    def count(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        rows.append(len(kwargs[case.explain.wrapper.main_input]))

    def went_back(module: torch.nn.Module, into: Any, out: Any) -> None:
        backward.append(len(out[0]))

    first = next(module for module in model.modules() if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)))
    handles = [
        model.register_forward_pre_hook(count, with_kwargs=True),
        first.register_full_backward_hook(went_back),
    ]
    results = case.explain.explain(examples, method="ffc")
    for handle in handles:
        handle.remove()
    assert sum(rows) == sum(backward) == cost * len(examples)
    assert all(result.provenance["passes"] == {"forward": cost, "backward": cost} for result in results)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_result_is_played_and_played_again_after_it_was_saved(
    case: Case, alone: list[Attribution], tmp_path: Path
) -> None:
    result = case.explain.explain(case.examples[0])
    case.explain.perturb(result, fractions=[0.04, 1.0], overwrite=True)
    assert result.curve.at("keep", 1.0).confidence == pytest.approx(result.confidence, rel=1e-3)
    back = Attribution.load(result.save(tmp_path))
    assert torch.equal(back.scores, result.scores)
    case.explain.perturb(back, fractions=[0.04], overwrite=True)
    for part in ("keep", "delete"):
        assert back.curve.at(part, 0.04).value == pytest.approx(result.curve.at(part, 0.04).value, rel=1e-4, abs=1e-5)


def test_a_picture_comes_back(asset: Asset) -> None:
    import numpy as np

    explain = FourierExplainer.from_pretrained(str(asset("efficientnet-lite0")))
    asset("pictures")
    ((_, picture),) = demo.pictures(1)
    result = explain.explain(picture)
    assert result.label == "espresso"
    pixels = explain.processor(images=picture, return_tensors="pt")["pixel_values"][0]
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (explain.processor.image_mean, explain.processor.image_std))
    shown = (pixels * std + mean).clamp(0, 1) * 255
    rebuilt = torch.from_numpy(np.asarray(result.render(1.0)).copy()).permute(2, 0, 1)
    assert (rebuilt - shown).abs().max() <= 1
