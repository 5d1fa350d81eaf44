"""Models that come in a pipeline, off-loaded, compiled, checkpointed or in train mode answer as plain ones do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import ModelError
from tests.models import tiny_models, tiny_models_audio, tiny_tokenizers

TEXTS = tiny_tokenizers.texts(3)


def same(a: Attribution, b: Attribution) -> None:
    assert a.target == b.target
    assert torch.equal(a.signal, b.signal)
    torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=1e-4 * a.scores.abs().max().item())


@pytest.fixture(scope="module")
def plain() -> list[Attribution]:
    return FourierExplainer(
        tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert")
    ).explain(TEXTS, method="ffc")


def test_a_text_pipeline(plain: list[Attribution]) -> None:
    from transformers import pipeline

    model, tokenizer = tiny_models.build("text-classification", "bert").train(), tiny_tokenizers.tokenizer("bert")
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    explain = FourierExplainer.from_pipeline(pipe, method="ffc", name="mine")
    assert (explain.processor, explain.name) == (tokenizer, "mine")
    training = [module.training for module in model.modules()]
    for one, other in zip(plain, explain.explain(TEXTS, method="ffc"), strict=True):
        same(one, other)
    assert training == [module.training for module in model.modules()]
    model.eval()  # a pipeline leaves that to its user
    assert pipe(TEXTS[0])[0]["label"] == explain.predict(TEXTS[0]).label


def test_a_picture_pipeline() -> None:
    from PIL import Image
    from transformers import ViTImageProcessor, pipeline

    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    model = tiny_models.build("image-classification", "vit")
    pipe = pipeline("image-classification", model=model, image_processor=processor, device="cpu")
    explain, picture = FourierExplainer.from_pipeline(pipe), Image.linear_gradient("L").convert("RGB")
    (first, *_) = pipe(picture)
    result = explain.explain(picture)
    assert result.label == first["label"]
    assert result.confidence == pytest.approx(first["score"], rel=1e-4)


def test_a_pipeline_of_two_processors() -> None:
    from transformers import AutomaticSpeechRecognitionPipeline

    model, tokenizer = tiny_models_audio.build("wav2vec2", task="ctc"), tiny_tokenizers.tokenizer("gpt")
    pipe = AutomaticSpeechRecognitionPipeline(
        model=model, tokenizer=tokenizer, feature_extractor=tiny_models_audio.extractor("wav2vec2"), device="cpu"
    )
    explain = FourierExplainer.from_pipeline(pipe)
    assert explain.wrapper.task == "ctc"
    result = explain.explain((tiny_models_audio.clip(8009), tiny_models_audio.RATE))
    assert result.label == tokenizer.decode(result.target)


def off_loaded(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    from accelerate import cpu_offload

    return cpu_offload(model, execution_device=torch.device("cpu"))


def on_disk(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    from accelerate import disk_offload

    return disk_offload(model, str(folder), execution_device=torch.device("cpu"))


def dispatched(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    from accelerate import dispatch_model

    places = {"bert.embeddings": "cpu", "bert.encoder": "disk", "bert.pooler": "cpu", "classifier": "cpu"}
    return dispatch_model(model, places, main_device="cpu", offload_dir=str(folder), force_hooks=True)


@pytest.mark.parametrize("place", [off_loaded, on_disk, dispatched])
def test_off_loaded_models(place: Callable[..., Any], plain: list[Attribution], tmp_path: Path) -> None:
    model = place(tiny_models.build("text-classification", "bert"), tmp_path)
    devices = [parameter.device for parameter in model.parameters()]
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    results = explain.explain(TEXTS, method="ffc")
    for one, other in zip(plain, results, strict=True):
        same(one, other)
    explain.perturb(results, fractions=[0.1])
    assert devices == [parameter.device for parameter in model.parameters()]


def test_a_device_map(plain: list[Attribution], tmp_path: Path) -> None:
    tiny_models.build("text-classification", "bert").save_pretrained(tmp_path)
    tiny_tokenizers.tokenizer("bert").save_pretrained(tmp_path)
    explain = FourierExplainer.from_pretrained(str(tmp_path), device_map="cpu")
    for one, other in zip(plain, explain.explain(TEXTS, method="ffc"), strict=True):
        same(one, other)


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_gradient_checkpointing_and_train_mode(name: str) -> None:
    kind = "bert" if name == "bert" else "roberta"
    one = FourierExplainer(tiny_models.build("text-classification", name), tiny_tokenizers.tokenizer(kind)).explain(
        TEXTS[0], method="ffc"
    )
    model = tiny_models.build("text-classification", name).train()
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    same(one, FourierExplainer(model, tiny_tokenizers.tokenizer(kind)).explain(TEXTS[0], method="ffc"))
    assert all(module.training for module in model.modules())
    assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


@pytest.mark.parametrize("in_place", [False, True])
def test_compiled_models_are_explained_uncompiled(in_place: bool, plain: list[Attribution]) -> None:
    model = tiny_models.build("text-classification", "bert")

    def never(*args: Any) -> Any:
        raise AssertionError("a compiled call does not see hooks")

    if in_place:
        model.compile(backend=never)
        call, given = model._compiled_call_impl, model
    else:
        given = torch.compile(model, backend=never)
    explain = FourierExplainer(given, tiny_tokenizers.tokenizer("bert"))
    for one, other in zip(plain, explain.explain(TEXTS, method="ffc"), strict=True):
        same(one, other)
    if in_place:
        assert model._compiled_call_impl is call


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_compiled_models_stay_so_where_no_hook_is_needed(kind: str, in_place: bool) -> None:
    ran = list[int]()

    def backend(graph: Any, examples: Any) -> Any:
        return lambda *given: ran.append(1) or graph.forward(*given)

    def build() -> torch.nn.Module:
        if kind == "texts":  # whose embeddings are replaced by a hook
            return tiny_models.build("text-classification", "bert")
        return tiny_models.build("image-classification", "vit")

    given = model = build()
    if in_place:
        model.compile(backend=backend)
    else:
        given = torch.compile(model, backend=backend)
    own = (tiny_tokenizers.tokenizer("bert"),) if kind == "texts" else ()
    one, other = FourierExplainer(build(), *own), FourierExplainer(given, *own)
    examples = TEXTS if kind == "texts" else {"pixel_values": torch.randn(2, 3, 32, 32)}
    explained = []
    for explain in (one, other):
        results = explain.explain(examples, method="ffc")
        after_explaining = len(ran)
        explain.perturb(results, fractions=[0.1, 0.5])
        explained.append(results)
    assert (after_explaining > 0, len(ran) > after_explaining) == (kind == "pictures",) * 2
    for a, b in zip(*explained, strict=True):
        same(a, b)
        assert a.curve.at("keep", 0.1).value == pytest.approx(b.curve.at("keep", 0.1).value, rel=1e-4, abs=1e-6)
    ran.clear()
    other.explain(examples, method="freqx:samples=4")  # looks into all layers
    assert not ran
    if kind == "pictures":
        given(**examples)
        assert ran, "the user's own calls are compiled as before"


def test_data_parallelism_is_looked_through(plain: list[Attribution]) -> None:
    model = torch.nn.DataParallel(tiny_models.build("text-classification", "bert"))
    same(plain[0], FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(TEXTS[0], method="ffc"))


def test_hooks_of_the_users_own_are_heard(plain: list[Attribution]) -> None:
    model = tiny_models.build("text-classification", "bert")
    model.enable_input_require_grads()
    same(plain[0], FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(TEXTS[0], method="ffc"))
    other = tiny_models.build("text-classification", "bert")
    other.get_input_embeddings().register_forward_hook(lambda module, args, output: 2 * output)
    doubled = FourierExplainer(other, tiny_tokenizers.tokenizer("bert")).explain(TEXTS[0], method="ffc")
    torch.testing.assert_close(doubled.signal, 2 * plain[0].signal)


@pytest.mark.parametrize(("task", "example"), [("text-classification", TEXTS[0]), ("fill-mask", TEXTS[1])])
def test_a_result_is_played_again_after_it_was_saved(task: str, example: str, tmp_path: Path) -> None:
    explain = FourierExplainer(tiny_models.build(task, "bert"), tiny_tokenizers.tokenizer("bert"))
    result = explain.explain(example, seed=3)
    explain.perturb(result, fractions=[0.1, 1.0])
    back = Attribution.load(result.save(tmp_path))
    before = {(stop.mode, stop.fraction): stop.value for stop in result.curve.points}
    explain.perturb(back, fractions=[0.1, 0.5, 1.0], overwrite=True)
    assert {(stop.mode, stop.fraction) for stop in back.curve.points} == {*before, ("keep", 0.5), ("delete", 0.5)}
    for part in ("keep", "delete"):
        assert back.curve.at(part, 0.1).value == pytest.approx(before[part, 0.1], rel=1e-4, abs=1e-5)
    assert back.curve.at("keep", 1.0).value == pytest.approx(result.value, rel=1e-4, abs=1e-5)
    assert explain.predict(back).logits.shape == explain.predict(result).logits.shape


class Int8Linear(torch.nn.Module):
    """Weights of 8 bits with a scale a row, as 8-bit libraries keep them: multiplied out in each pass."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        scale = linear.weight.detach().abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("weight", (linear.weight.detach() / scale).round().to(torch.int8))
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight.to(x.dtype) * self.scale.to(x.dtype), self.bias)


def test_weights_of_8_bits() -> None:
    quantised, rounded = (tiny_models.build("text-classification", "bert") for _ in range(2))
    for name, module in list(rounded.named_modules()):
        if isinstance(module, torch.nn.Linear):
            small = Int8Linear(module)
            quantised.set_submodule(name, small)
            with torch.no_grad():
                module.weight.copy_(small.weight * small.scale)
    before = {name: buffer.clone() for name, buffer in quantised.named_buffers()}
    tokenizer = tiny_tokenizers.tokenizer("bert")
    ours, theirs = (FourierExplainer(model, tokenizer).explain(TEXTS, method="ffc") for model in (quantised, rounded))
    for one, other in zip(ours, theirs, strict=True):
        same(one, other)
    assert all(torch.equal(buffer, before[name]) for name, buffer in quantised.named_buffers())
    assert {buffer.dtype for buffer in before.values()} >= {torch.int8}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_weights_that_let_no_gradient_through_are_refused_in_words() -> None:
    quantise = torch.ao.quantization.quantize_dynamic
    model = quantise(tiny_models.build("text-classification", "bert"), {torch.nn.Linear}, dtype=torch.qint8)
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    assert explain.predict(TEXTS[0]).label
    with pytest.raises(ModelError, match="quantised"):
        explain.explain(TEXTS[0], method="ffc")
    assert explain.explain(TEXTS[0], method="magnitude").label == explain.predict(TEXTS[0]).label
