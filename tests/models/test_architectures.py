"""Every architecture answers as it does without us, has a gradient at its signal, and moves its content tokens
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import ModelError
from hf_fourier.seeding import ExampleRng
from tests.models import laws, tiny_models

TEXT = tiny_models.everything("text-classification", "fill-mask", "text-generation")
VISION = [name for _, name in tiny_models.everything("image-classification")]
PADDINGS = ("none", "right", "left")
#: What has to be said of rows that are padded on the right: a decoder that is fed the ids once more, a classifier that
#: reads the last place whatever is there.
SAID = {
    "bart": "a second way",
    "t5": "a second way",
    "xlnet": "the padding changes the output",
    "gpt2-unpadded": "the padding changes the output",
}


@cache
def explainer(task: str, name: str) -> FourierExplainer:
    model = tiny_models.build(task, name)
    if task == "fill-mask":
        model.config.mask_token_id = tiny_models.MASK
    return FourierExplainer(model)


def own_inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in batch.items() if key != "special_tokens_mask"}


def own_row(task: str, batch: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    """What the model gets of one row: all of it, of a prompt what generation counts."""
    places = batch["attention_mask"][row].bool() if task == "text-generation" else slice(None)
    return {key: tensor[row : row + 1, places] for key, tensor in batch.items()}


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


def heard(module: torch.nn.Module, run: Callable[[], Any]) -> torch.Tensor:
    """What the rest of the model hears from `module` when it is first asked, after all other hooks."""
    said: list[torch.Tensor] = []
    handles: list[Any] = []

    def listen(module: torch.nn.Module, args: Any, output: torch.Tensor) -> None:
        said.append(output.detach().clone())

    def last(module: torch.nn.Module, args: Any) -> None:
        handles.append(module.register_forward_hook(listen))

    handles.append(module.register_forward_pre_hook(last))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return said[0]


@pytest.mark.parametrize("padded", PADDINGS)
@pytest.mark.parametrize(("task", "name"), TEXT)
def test_the_clean_forward_is_the_models_own(task: str, name: str, padded: str) -> None:
    explain = explainer(task, name)
    batch = tiny_models.batch(padded, masks=task == "fill-mask")
    for i, example in enumerate(explain.wrapper.encode_batch(batch)):
        own = own_inputs(own_row(task, batch, i))
        with torch.no_grad():
            theirs = explain.model(**own).logits
            block = explain.wrapper.example_batch([example], ExampleRng(0, [example.key]))
            ours = block.forward(block.signal, torch.tensor([0])).logits
        close(ours, theirs[:, -ours.shape[1] :] if ours.ndim == 3 else theirs)


@pytest.mark.parametrize(("task", "name"), TEXT)
def test_rows_of_one_shape_share_a_forward(task: str, name: str) -> None:
    explain = explainer(task, name)
    batch = tiny_models.batch(masks=task == "fill-mask")
    examples = explain.wrapper.encode_batch(batch)
    assert len({example.batch_key for example in examples}) == 1
    block = explain.wrapper.example_batch(examples, ExampleRng(0, [example.key for example in examples]))
    order = torch.tensor([2, 0, 1, 0])
    if explain.wrapper.max_rows == 1:  # and rightly so: the model refuses more
        with pytest.raises(ModelError, match="batch sizes > 1"), torch.no_grad():
            block.forward(block.signal[order], order)
        return
    with torch.no_grad():
        ours = block.forward(block.signal[order], order).logits
        theirs = explain.model(**{key: tensor[order] for key, tensor in own_inputs(batch).items()}).logits
    close(ours, theirs[:, -ours.shape[1] :] if ours.ndim == 3 else theirs)


@pytest.mark.parametrize(("task", "name"), TEXT)
def test_a_dict_is_explained_without_a_processor(task: str, name: str) -> None:
    batch = tiny_models.batch("right", masks=task == "fill-mask")
    results = explainer(task, name).explain(batch)
    assert len(results) == len(batch["input_ids"])
    for row, result in enumerate(results):
        content = int((batch["special_tokens_mask"][row] == 0).sum())
        assert result.signal.shape[0] == content
        assert result.gradient.isfinite().all()
        assert result.gradient.abs().max() > 0
        assert result.scores.isfinite().all()
        padded = not bool(batch["attention_mask"][row].all())
        expected = SAID.get(name, "") if padded or name in ("bart", "t5") else ""
        assert [expected in note for note in result.provenance["notes"]] == ([True] if expected else [])
        atol = 1e-5 * result.signal.abs().max().item()
        torch.testing.assert_close(result.keep_top(1.0), result.signal, rtol=0, atol=atol)
        torch.testing.assert_close(result.keep_top(0.1) + result.delete_top(0.1), result.signal, rtol=0, atol=atol)


@pytest.mark.parametrize("padded", PADDINGS)
@pytest.mark.parametrize(("task", "name"), TEXT)
def test_special_padding_and_mask_tokens_never_move(task: str, name: str, padded: str) -> None:
    explain = explainer(task, name)
    batch = tiny_models.batch(padded, masks=task == "fill-mask")
    module = explain.wrapper.swap._module
    for row, (example, result) in enumerate(
        zip(explain.wrapper.encode_batch(batch), explain.explain(batch), strict=True)
    ):
        whole = own_row(task, batch, row)
        own, special = own_inputs(whole), whole["special_tokens_mask"][0]
        block = explain.wrapper.example_batch([example], ExampleRng(0, [example.key]))
        clean = heard(module, lambda own=own: explain.model(**own))
        clean = clean.transpose(0, 1) if name == "xlnet" else clean
        moves = torch.ones(clean.shape[1], dtype=torch.bool)  # what Longformer appends is not among them
        moves[: len(special)] = special == 0
        moves[len(special) :] = False
        for signal in (result.keep_top(0.2), result.delete_top(0.2)):
            other = heard(module, lambda block=block, signal=signal: block.forward(signal[None], torch.tensor([0])))
            other = other.transpose(0, 1) if name == "xlnet" else other
            assert torch.equal(other[0, ~moves], clean[0, ~moves])
            torch.testing.assert_close(other[0, moves], signal)
            assert not torch.equal(other[0, moves], clean[0, moves])


@pytest.mark.parametrize(("task", "name"), TEXT)
def test_without_a_special_tokens_mask_it_is_said_aloud(task: str, name: str) -> None:
    whole = tiny_models.batch("right", rows=2, masks=task == "fill-mask")
    batch = own_inputs(whole)
    explainer(task, name).explain(
        whole
    )  # whether ids are also read outside the embedding is asked here, and not of padding
    result = explainer(task, name).explain(batch)[1]
    note, *others = result.provenance["notes"]
    assert "special tokens were transformed" in note
    assert len(others) == (name in SAID)
    masks = int((batch["input_ids"][1] == tiny_models.MASK).sum())
    assert result.signal.shape[0] == int(batch["attention_mask"][1].sum()) - masks


@pytest.mark.parametrize("name", VISION)
def test_pictures_are_answered_as_without_us(name: str) -> None:
    explain = explainer("image-classification", name)
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    examples = explain.wrapper.encode_batch({"pixel_values": pixels})
    block = explain.wrapper.example_batch(examples, ExampleRng(0, [example.key for example in examples]))
    with torch.no_grad():
        theirs = explain.model(pixel_values=laws.laid_out(explain, pixels)).logits
        close(block.forward(block.signal, torch.arange(3)).logits, theirs)
    for result in explain.explain({"pixel_values": pixels}):
        assert result.gradient.isfinite().all()
        assert result.gradient.abs().max() > 0
        atol = 1e-5 * result.signal.abs().max().item()
        torch.testing.assert_close(result.keep_top(1.0), result.signal, rtol=0, atol=atol)


def test_a_model_that_hashes_its_characters_is_refused_in_one_line() -> None:
    from transformers import CanineConfig, CanineForSequenceClassification

    config = CanineConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, num_hash_buckets=64,
        max_position_embeddings=64, local_transformer_stride=16, upsampling_kernel_size=2, downsampling_rate=2,
    )  # fmt: skip
    with pytest.raises(ModelError, match="no embedding module takes the input ids") as caught:
        FourierExplainer(CanineForSequenceClassification(config)).explain({"input_ids": torch.arange(65, 81)[None]})
    assert "attribute(forward, x)" in str(caught.value)
    assert "\n" not in str(caught.value)
