"""Each cause of a failing model: its advice is about it, and what it advises leads to a result."""

from __future__ import annotations

import functools
import re
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import ModelError
from hf_fourier.scoring.failures import CAUSES, Failure, advice, differentiate, refusal, undifferentiable
from tests.models import tiny_models, tiny_models_audio
from tests.models.laws import own_outputs

PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def text(name: str = "bert", **changes: Any) -> torch.nn.Module:
    return tiny_models.build("text-classification", name, **changes)


def sight(change: Callable[..., Any] | None = None) -> torch.nn.Module:
    """A model of pictures, with `change(outputs, pixels)` behind it."""
    model = tiny_models.build("image-classification", "vit")
    if change is not None:
        own = model.forward

        @functools.wraps(own)
        def forward(pixel_values: torch.Tensor, **given: Any) -> Any:
            return change(own(pixel_values, **given), pixel_values)

        model.forward = forward
    return model


def look(model: torch.nn.Module, pixels: torch.Tensor = PIXELS, **options: Any) -> Any:
    more = {name: options.pop(name) for name in ("scale",) if name in options}
    return FourierExplainer(model, task="image-classification").explain({"pixel_values": pixels, **more}, **options)


def read(model: torch.nn.Module, **changes: Any) -> Any:
    return FourierExplainer(model, task="text-classification").explain({**tiny_models.batch(), **changes})


class Scaled(torch.nn.Module):
    """Wants another argument."""

    def __init__(self) -> None:
        super().__init__()
        self.model = sight()
        self.config = self.model.config

    def forward(self, pixel_values: torch.Tensor, scale: torch.Tensor) -> Any:
        return self.model(pixel_values * scale.view(-1, 1, 1, 1))


def missing(do: str | None) -> Any:
    if do is None:
        return look(Scaled())
    assert "{'pixel_values': …, 'scale': …}" in do
    return look(Scaled(), scale=torch.ones(2))


def unexpected(do: str | None) -> Any:
    class Loose(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = sight()
            self.config = self.model.config

        def forward(self, pixel_values: torch.Tensor, **given: Any) -> Any:
            return self.own(pixel_values, **given)

        def own(self, pixel_values: torch.Tensor) -> Any:
            return self.model(pixel_values)

    if do is None:
        return look(Loose(), scale=torch.ones(2))
    assert "leave 'scale' out of the dict" in do
    return look(Loose())


def attention(do: str | None) -> Any:
    if do is None:
        return read(text(attn_implementation="flex_attention"))
    model = text(attn_implementation="flex_attention")
    exec(re.search(r"model\.set_attn_implementation\(\"\w+\"\)", do)[0])
    return read(model)


def package(do: str | None) -> Any:
    def change(outputs: Any, pixels: Any) -> Any:
        import einfold  # type: ignore[import-not-found]

        return einfold.same(outputs)

    if do is None:
        return look(sight(change))
    assert "`pip install einfold`" in do
    sys.modules["einfold"] = types.SimpleNamespace(same=lambda outputs: outputs)  # type: ignore[assignment]
    try:
        return look(sight(change))
    finally:
        del sys.modules["einfold"]


def tuples(do: str | None) -> Any:
    model = sight()
    model.config.return_dict = False
    if do is not None:
        exec(do.removeprefix("set "))
    return look(model)


def ids(do: str | None) -> Any:
    if do is None:
        return read(text(), token_type_ids=torch.full((3, 9), 7))
    assert "leave token_type_ids out" in do
    return read(text())


def length(do: str | None) -> Any:
    batch = tiny_models.batch(length=60)
    if do is not None:
        most = int(re.search(r"truncation=True, max_length=(\d+)", do)[1])
        batch = {name: tensor[:, :most] for name, tensor in batch.items()}
    return FourierExplainer(text("roberta"), task="text-classification").explain(batch)


def devices(do: str | None) -> Any:
    model = text()
    if do is None:
        model.classifier.to("meta")
    else:
        assert "from_pretrained" in do
    return read(model)


def kinds(do: str | None) -> Any:
    model = text()
    model.classifier.half()
    if do is not None:
        exec(re.search(r"model\.float\(\)", do)[0])
    return read(model)


def in_place(do: str | None) -> Any:
    class Tail(torch.nn.Module):
        inplace = True

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            e = z.exp()
            return (e.add_(1) if self.inplace else e + 1) * z

    tail = Tail()

    def change(outputs: Any, pixels: Any) -> Any:
        outputs.logits = tail(outputs.logits)
        return outputs

    model = sight(change)
    model.tail = tail
    if do is not None:
        exec(re.search(r"for m in model\.modules\(\): m\.inplace = False", do)[0])
    return look(model)


def inference(do: str | None) -> Any:
    with torch.inference_mode(do is None):
        scale = torch.ones(1)

    def change(outputs: Any, pixels: Any) -> Any:
        outputs.logits = outputs.logits * scale
        return outputs

    return look(sight(change))


class NoBackward(torch.autograd.Function):
    """A kernel without a gradient."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:
        return z * 2


def without(do: str | None, words: str | None = None) -> Any:
    def change(outputs: Any, pixels: Any) -> Any:
        outputs.logits = NoBackward.apply(outputs.logits)
        return outputs

    if do is None:
        return look(sight(change), method="ffc")
    names, domain = re.search(r"\(([^)]+)\), with domain='([^']+)'", do).groups()
    found = [look(sight(change), method=name, domain=domain) for name in re.findall(r"\w+", names.replace(" or ", " "))]
    assert len(found) == 4
    return [one for results in found for one in results]


def raised(error: Exception, fix: str) -> Callable[[str | None], Any]:
    """What only accelerators say: the words are theirs, and it works where `fix` was done."""

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:
            return z.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            raise error

    def case(do: str | None) -> Any:
        def change(outputs: Any, pixels: Any) -> Any:
            if not (do is not None and fix in do):
                outputs.logits = Backward.apply(outputs.logits)
            return outputs

        return look(sight(change))

    return case


def shapes(do: str | None) -> Any:
    return look(sight(), PIXELS if do is not None else torch.randn(2, 3, 40, 40))


#: By cause: what of the message is about it, and what fails without its advice and works with it.
CASES: dict[str, tuple[str, Callable[[str | None], Any]]] = {
    "attention": ("attention", attention),
    "package": ("'einfold'", package),
    "tuples": ("names", tuples),
    "missing argument": ("scale as well", missing),
    "unexpected argument": ("without 'scale'", unexpected),
    "ids": ("from 0 to 1; the largest is 7", ids),
    "length": ("at most 47 tokens", length),
    "devices": ("weights that hold numbers", devices),
    "types": ("not of float16 and float32", kinds),
    "in place": ("overwrite", in_place),
    "inference mode": ("weights that can be differentiated", inference),
    "recurrent": ("recurrent", raised(RuntimeError("cudnn RNN backward can only be called in training mode"),
                                      "torch.backends.cudnn.enabled = False")),
    "fused attention": (
        "attention", raised(RuntimeError("derivative for aten::_scaled_dot_product_efficient_attention_backward is not "
                                         "implemented"), 'attn_implementation="eager"')),
    "no backward": ("have a gradient", without),
    "shapes": ("image_size 32, num_channels 3", shapes),
}  # fmt: skip


@pytest.mark.parametrize("used", ["flex_attention", "sdpa"])
def test_a_compiler_that_fails_at_attention_need_not_name_it(used: str) -> None:
    class Compiled(torch.nn.Module):
        config = types.SimpleNamespace(_attn_implementation=used)

    failure = Failure("BackendCompilerFailed: backend='inductor' raised: CppCompileError", Compiled())
    found = advice(failure)
    assert (found is not None and "attn_implementation" in found[1]) == (used == "flex_attention")


@pytest.mark.parametrize("name", [cause.name for cause in CAUSES])
def test_its_advice_leads_to_a_result(name: str) -> None:
    words, case = CASES[name]
    with pytest.raises(ModelError) as caught:
        case(None)
    assert words in caught.value.expected
    results = case(caught.value.hint)
    assert all(one.scores.isfinite().all() for one in results)


def test_ids_beyond_the_vocabulary_are_named_wherever_they_go_in() -> None:
    model = tiny_models.build("text2text-generation", "bart")
    given = {"decoder_input_ids": torch.tensor([[1, 5, 99]]), "input_ids": torch.tensor([[1, 2]])}
    with pytest.raises(IndexError) as own:
        model(**given)
    told = refusal(own.value, model, given)
    assert "decoder_input_ids from 0 to 63, the model's vocabulary; the largest is 99" in told.expected
    exec(re.search(r"model\.resize_token_embeddings\(\d+\)", told.hint)[0])
    model(**given)


def test_raw_ids_beyond_the_vocabulary_say_how_to_go_on() -> None:
    model, batch = text(), tiny_models.batch()
    batch["input_ids"][0, 3] = 99
    with pytest.raises(ValueError, match="from 1 to 99; expected 0 to 63") as caught:
        FourierExplainer(model, task="text-classification").explain(batch)
    exec(re.search(r"model\.resize_token_embeddings\(\d+\)", caught.value.hint)[0])
    assert len(FourierExplainer(model, task="text-classification").explain(batch)) == 3


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2"])
def test_limits_are_those_of_the_positions(name: str) -> None:
    batch, explain = tiny_models.batch(length=60), FourierExplainer(text(name), task="text-classification")
    with pytest.raises(ModelError) as caught:
        explain.explain(batch)
    most = int(re.search(r"max_length=(\d+)", caught.value.hint)[1])
    assert len(explain.explain({name: tensor[:, :most] for name, tensor in batch.items()})) == 3
    with pytest.raises(ModelError, match=f"at most {most} tokens"):
        explain.explain({name: tensor[:, : most + 1] for name, tensor in batch.items()})


@pytest.mark.parametrize("shape", [(2, 50, 16), (2, 98, 20)])
def test_sounds_of_another_size(shape: tuple[int, ...]) -> None:
    explain = FourierExplainer(tiny_models_audio.build("ast"), task="audio-classification")
    with pytest.raises(ModelError, match=r"num_mel_bins 16, max_length 98") as caught:
        explain.explain({"input_values": torch.randn(shape)})
    assert "processor" in caught.value.hint
    assert len(explain.explain({"input_values": torch.randn(2, 98, 16)})) == 2


class LanguageError(Exception):
    """Of code from a repository; no built-in kind."""


@pytest.mark.parametrize("kind", [ValueError, LanguageError, KeyError])
def test_what_a_model_says_itself_is_passed_on(kind: type[Exception]) -> None:
    language: list[str] = []

    def change(outputs: Any, pixels: Any) -> Any:
        if not language:
            raise kind("the language is not set.\n  Call set_language('en') first")
        return outputs

    with pytest.raises(ModelError, match=r"the language is not set\.") as caught:
        look(sight(change))
    assert "set_language('en') first" in caught.value.got
    assert "do what it says" in caught.value.hint
    language.append("en")
    assert len(look(sight(change))) == 2


def test_no_refusal_speaks_of_processors_whatever_failed() -> None:
    for said in ("strange", "NotImplementedError: nothing", ""):
        told = refusal(RuntimeError(said), sight(), {"pixel_values": PIXELS})
        assert "processor" not in f"{told.expected} {told.hint}"


@pytest.mark.parametrize("method", ["ffc", "freqx"])
def test_layers_are_differentiated_with_the_same_words(method: str) -> None:
    def change(outputs: Any, pixels: Any) -> Any:
        outputs.logits = NoBackward.apply(outputs.logits)
        return outputs

    with pytest.raises(ModelError, match="backward pass fails") as caught:
        look(sight(change), method=method)
    assert "needs no gradient" in caught.value.hint


def test_devices_are_named() -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Linear(1, 1)

    error = RuntimeError("Expected all tensors to be on the same device, but found at least two devices")
    assert "model.to('cpu')" in undifferentiable(error, Two()).hint


def test_ids_that_stop_an_accelerator() -> None:
    told = refusal(RuntimeError("CUDA error: device-side assert triggered"), text(), tiny_models.batch())
    assert "device='cpu'" in told.hint


def test_memory_that_runs_out_is_no_fault_of_the_model() -> None:
    class Full(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:
            return z.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("out of memory")

    x = torch.ones(2, requires_grad=True)
    with pytest.raises(torch.OutOfMemoryError):
        differentiate(None, Full.apply(x).sum(), [x])


def test_outputs_of_models_without_a_fault_are_unchanged() -> None:
    explain = FourierExplainer(sight(), task="image-classification")
    encoded = explain.wrapper.encode_batch({"pixel_values": PIXELS})[0]
    assert own_outputs(explain, encoded).logits.shape == (1, 3)


def test_checkpoints_say_it_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    text().save_pretrained(tmp_path)
    monkeypatch.setattr(transformers.utils.import_utils, "is_flash_attn_2_available", lambda: False)
    with pytest.raises(ModelError, match="sdpa") as caught:
        FourierExplainer.from_pretrained(tmp_path, attn_implementation="flash_attention_2")
    assert "check the name" not in caught.value.hint
    assert FourierExplainer.from_pretrained(tmp_path, attn_implementation="sdpa").model is not None


def test_numbers_beyond_a_table_are_named_with_what_it_has() -> None:
    def expected(name: str, number: int) -> str:
        inputs = {**tiny_models.batch(), name: torch.full((3, 9), number)}
        return refusal(IndexError("index out of range in self"), text(), inputs).expected

    config = text().config
    types, places = config.type_vocab_size, config.max_position_embeddings
    assert expected("token_type_ids", types) == f"token_type_ids from 0 to {types - 1}; the largest is {types}"
    assert expected("position_ids", places) == f"position_ids from 0 to {places - 1}; the largest is {places}"


def test_types_of_weights_are_named_where_there_are_several() -> None:
    error = RuntimeError("mat1 and mat2 must have the same dtype, but got Half and Float")
    assert refusal(error, text(), tiny_models.batch()).expected == "weights of one type"
    mixed = text()
    mixed.classifier.half()
    assert refusal(error, mixed, tiny_models.batch()).expected == "weights of one type, not of float16 and float32"
