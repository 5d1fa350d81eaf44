"""What is asked of each pair: its own answer at the clean signal, a gradient, an explanation, a game, a single path."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping
from typing import Any

import torch

from hf_fourier.errors import FourierError, ModelError
from hf_fourier.explainer import FourierExplainer
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.side_inputs import BYPASS_NOTE, TOLERANCE, distance, log_odds
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import NO_GRADIENT
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.targets import Direction, Target
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor
from tools.coverage.inputs import inputs_for
from tools.coverage.models import Made, make
from tools.coverage.pairs import Pair

#: How far our outputs may be from the model's own, of the largest number of each.
SAME = 1e-5
#: Rows that are explained.
EXPLAINED = 2
#: Heads whose output is written by the model itself: what a decoder would be fed is left to it.
WRITTEN = ("text2text-generation", "automatic-speech-recognition")
ROW = torch.tensor([0])


class Differs(Exception):
    """Something that has to agree does not, or a gradient is no gradient."""


def check(pair: Pair) -> dict[str, Any]:
    """What came of one pair.

    Returns:
        `status`: "works"; "refused", with what the library said in one line; "failed", with what was raised and should
        have been said better; "not built", with what `transformers` raised. Beside it `why`, and what was measured.
    """
    start = time.perf_counter()
    told: dict[str, Any] = {"task": pair.task, "model_type": pair.model_type, "cls": pair.cls}
    try:
        made = make(pair)
    except Exception as error:  # whatever configs and models raise
        return {**told, "status": "not built", "why": in_one_line(error), "seconds": time.perf_counter() - start}
    told |= {"status": "works", "how": made.how, "weights": sum(p.numel() for p in made.model.parameters())}
    try:
        told |= asked(pair, made)
    except FourierError as error:
        told |= {"status": "refused", "why": in_one_line(error)}
    except Exception as error:  # which is what is looked for
        told |= {"status": "failed", "why": in_one_line(error)}
    return {**told, "seconds": round(time.perf_counter() - start, 2)}


def in_one_line(error: Exception) -> str:
    """An error's kind and text, a long one cut after a word."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" …")


def asked(pair: Pair, made: Made) -> dict[str, Any]:
    """All questions to one model.

    Raises:
        Differs: If an answer is wrong.
        FourierError: If the library refuses the model.
    """
    explainer = FourierExplainer(made.model, task=pair.task)
    told: dict[str, Any] = {"swap": {}, "padding": {}}
    texts = "input_ids" in made.inputs and not {"pixel_values", "pixel_values_videos"} & set(made.inputs)
    paddings = ("none", "right", "left") if texts and pair.task not in WRITTEN[1:] else ("none",)
    target = aim(pair, explainer, made)
    for padded in paddings:
        batch = own_inputs(pair, made.inputs if padded == "none" else inputs_for(made.model, pair, padded))
        try:
            told["swap"][padded] = furthest(explainer, batch, target)
            if padded != "none":
                results = explainer.explain(batch, target, method="magnitude")
                told["padding"][padded] = any("padding" in note for r in results for note in r.provenance["notes"])
        except FourierError as error:
            if padded == "none":
                raise
            told["swap"][padded] = in_one_line(error)
    wrong = {padded: far for padded, far in told["swap"].items() if not isinstance(far, str) and far > SAME}
    if wrong:
        raise Differs(f"ours differs from the model's own answer by {max(wrong.values()):.2g} (padding: {list(wrong)})")
    return told | explained(explainer, few(own_inputs(pair, made.inputs)), target)


def aim(pair: Pair, explainer: FourierExplainer, made: Made) -> Target:
    """What is explained: what the model says; of an embedding, its cosine with a direction."""
    if pair.task != "audio-xvector":
        return None
    with torch.no_grad():
        size = made.model(**made.inputs).embeddings.shape[-1]
    return Direction(torch.randn(size, generator=torch.Generator().manual_seed(1)))


def own_inputs(pair: Pair, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs without what the model writes itself."""
    return {n: t for n, t in inputs.items() if not (pair.task in WRITTEN and n.startswith("decoder"))}


def few(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first rows; texts beside a picture belong to all of them."""
    beside = "pixel_values" in inputs
    return {n: t if beside and not n.startswith("pixel") else t[:EXPLAINED] for n, t in inputs.items()}


def explained(explainer: FourierExplainer, batch: dict[str, Tensor], target: Target) -> dict[str, Any]:
    """An explanation with its gradient, a game, and whether the ids reach the answer beside the signal."""
    results = explainer.explain(batch, target)
    for result in results:
        gradient = result.gradient
        if gradient is None or not bool(gradient.isfinite().all()):
            raise Differs("a gradient that is not finite")
        if not bool(gradient.any()):
            if NO_GRADIENT not in result.provenance["notes"]:
                raise Differs("a gradient of zero, and no note of it")
            do = "as the result's note says; fresh weights may be surer than trained ones"
            raise ModelError("a gradient of zero", "a signal that is read, and an answer that is not too sure", do)
    result = results[0]
    explainer.perturb(result, fractions=[0.1, 0.5])
    told: dict[str, Any] = {"signal": [result.layout.signal.kind, *result.layout.signal.shape], "second": False}
    beside = exchanged(explainer, explainer.wrapper.encode_batch(batch)[0], target, result)
    if beside is not None:
        noted = BYPASS_NOTE in result.provenance["notes"]
        if noted != (beside > TOLERANCE):
            raise Differs(f"exchanged ids move the score by {beside:.2g}, and the note says {noted}")
        told["second"] = noted
    return told


def exchanged(
    explainer: FourierExplainer, example: EncodedExample, target: Target, result: Attribution
) -> float | None:
    """How far the score moves when the content's ids are turned under a fixed signal; None without ids.

    By hand, through the model's own forward: what the library found is held against it.
    """
    if "input_ids" not in example.inputs or example.values is not None or example.signal.kind != "tokens":
        return None
    wrapper = explainer.wrapper
    ids, content = example.inputs["input_ids"].flatten(), example.content
    turned = ids.clone()
    turned[content] = ids[content].roll(1)
    other = {**example.inputs, "input_ids": turned.view(example.inputs["input_ids"].shape)}
    values = []
    with eval_mode(explainer.model), torch.no_grad():
        aimed, _ = wrapper.prepare_target(example, target)
        for inputs in (aimed.inputs, {**aimed.inputs, "input_ids": other["input_ids"]}):
            one = EncodedExample(aimed.signal, inputs, content=aimed.content, batch_group=aimed.batch_group)
            block = wrapper.example_batch([one], ExampleRng(0, [result.key]))
            x = wrapper.example_batch([aimed], ExampleRng(0, [result.key])).signal
            logits = block.logits(block.forward(x, ROW), ROW).double()
            values.append(block.head.read(logits, result.frozen_target.unsqueeze(0)).value)  # type: ignore[union-attr]
    own, there = map(float, values)
    return max(distance(there, own), distance(log_odds(result, there), log_odds(result, own)))


def furthest(explainer: FourierExplainer, batch: Mapping[str, Tensor], target: Target) -> float:
    """The largest difference of our outputs at the clean signal from the model's own on the very same arguments."""
    wrapper, worst = explainer.wrapper, 0.0
    for example in wrapper.encode_batch(dict(batch)):
        with eval_mode(explainer.model), torch.no_grad():
            aimed, _ = wrapper.prepare_target(example, target)
            block = wrapper.example_batch([aimed], ExampleRng(0, [aimed.key]))
            given: list[dict[str, Any]] = []
            ours = _listened(explainer.model, given, lambda block=block: block.forward(block.signal, ROW))
            theirs = explainer.model(**given[-1])
        for mine, own in zip(numbers(ours), numbers(theirs), strict=True):
            if mine.shape != own.shape:
                raise Differs(f"ours has the shape {tuple(mine.shape)}, the model's own {tuple(own.shape)}")
            worst = max(worst, float((mine - own).abs().max() / own.abs().max().clamp(min=1e-12)))
    return worst


def _listened(model: torch.nn.Module, given: list[dict[str, Any]], run: Any) -> Any:
    """What `run` returns; the arguments that the model is called with go to `given`."""

    def listen(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        given.append(dict(kwargs))

    handle = model.register_forward_pre_hook(listen, with_kwargs=True)
    try:
        return run()
    finally:
        handle.remove()


def numbers(outputs: Any) -> list[Tensor]:
    """The logits of outputs, or else the first tensors of real numbers among them."""
    logits = getattr(outputs, "logits", None)
    if isinstance(logits, Tensor):
        return [logits.double()]
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, tuple) else [outputs]
    return [part.double() for part in parts if isinstance(part, Tensor) and part.is_floating_point()][:4]
