"""The output of a sequence-to-sequence model, generated once or given, for teacher forcing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from hf_fourier.errors import ModelError, TargetError
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.generation import Rules, rules_of
from hf_fourier.models.inspection import dtype_of, has_prompt_tuning, unwrap_peft
from hf_fourier.models.token_batches import OUTPUT
from hf_fourier.models.tokenization import known_words, spellings
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.failures import Failure, advice, error_text
from hf_fourier.scoring.pending import fetch, to_device
from hf_fourier.scoring.targets import Continuation, Contrast, Typed, as_index, in_python
from hf_fourier.torch_state import taken, theirs
from hf_fourier.typing import Tensor

#: The most tokens of an output, its prefix included.
MOST_WRITTEN = 64
#: Tokens that are generated to find an output's prefix.
BEGINNING = 8


def is_encoder_decoder(model: Any) -> bool:
    """Whether a decoder of its own writes the output; otherwise it is a language model, and the output follows on."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def generate(wrapper: ModelWrapper, example: EncodedExample) -> dict[str, Tensor]:
    """The greedy output for the clean example, as inputs of the decoder and the tokens that follow them.

    Tokens that are not of the model's choice (where an output starts, its language, its task) do not follow. Of a
    language model there are no inputs of a decoder: the output follows the example's own ids.

    Raises:
        ModelError: If the model cannot generate, or its output is empty.
    """
    ids, prefix = _generated(wrapper, example, MOST_WRITTEN)
    if is_encoder_decoder(wrapper.model):
        return _forced_tokens(ids, prefix)
    if len(ids) <= prefix:
        raise ModelError("an empty output", "at least one token", "pass the output as the target")
    return {OUTPUT: ids[prefix:].clone()}


def cut_short(wrapper: ModelWrapper, output: Tensor) -> tuple[str, ...]:
    """A note on an output that generation did not end by itself."""
    room, config = _free_length(wrapper.model.config, MOST_WRITTEN), getattr(wrapper.model, "generation_config", None)
    end: Any = getattr(config, "eos_token_id", None)
    ends = set(end) if isinstance(end, (list, tuple)) else {end}
    if end is None or len(output) < room - 4 or int(output[-1]) in ends:
        return ()
    return (f"the generated output was cut at {room} tokens before its end",)


def given_output(wrapper: ModelWrapper, example: EncodedExample, tokenizer: Any, target: Any) -> dict[str, Tensor]:
    """A given output, text or token ids, as inputs of the decoder and the tokens that follow them.

    A text begins as generation lets outputs begin: with the language that is set, or that the model hears.

    Raises:
        TargetError: If it is neither, or there is no tokenizer.
    """
    target = target.text if isinstance(target, (Continuation, Typed)) else in_python(target)
    is_text = isinstance(target, str)
    if is_text:
        target = _ids(tokenizer, target)
    if not isinstance(target, (list, tuple)) or not target:
        got = f"target {target!r} for an output"
        do = "explain each output by itself" if isinstance(target, Contrast) else "correct `target`"
        raise TargetError(got, "its text, its token ids, or None", do)
    model: Any = wrapper.model
    ids = [as_index(one) for one in target]
    if not is_encoder_decoder(model):
        return {OUTPUT: torch.tensor(ids)}
    start = _setting(model, "decoder_start_token_id")
    if start is None:
        raise ModelError(
            "a model without decoder_start_token_id", "one in its config", "set `model.config.decoder_start_token_id`"
        )
    special, end = set(getattr(tokenizer, "all_special_ids", [start])), getattr(tokenizer, "eos_token_id", None)
    if is_text and end in ids and set(ids[ids.index(end) :]) <= special:  # behind which some tokenizers set a language
        ids = ids[: ids.index(end) + 1]
    forced = _setting(model, "forced_bos_token_id")
    if ids[0] == start and len(ids) > 1:  # a tokenizer that writes the whole beginning
        first = next((i for i, one in enumerate(ids) if one not in special), len(ids))
        begun = _begun(wrapper, example) if is_text else None
        begun = ids[:first] if begun is None else begun
        return _forced_tokens(torch.tensor([*begun, *ids[first:]]), len(begun))
    if forced is None:
        return _forced_tokens(torch.tensor([start, *ids]), 1)
    first = next((i for i, one in enumerate(ids) if one not in special), 0)  # behind a language or another beginning
    return _forced_tokens(torch.tensor([start, int(forced), *ids[first:]]), 2)


def _begun(wrapper: ModelWrapper, example: EncodedExample) -> list[int] | None:
    """The prefix of a multilingual model's output for the example; None for other models."""
    if not getattr(getattr(wrapper.model, "generation_config", None), "is_multilingual", False):
        return None
    try:
        ids, prefix = _generated(wrapper, example, BEGINNING)
    except ModelError:
        return None
    return ids[:prefix].tolist()


def output_forms(tokenizer: Any, target: Any, output: Tensor) -> tuple[tuple[int, ...], ...]:
    """Other spellings of the first word of an output that was given as text, as `EncodedExample.spellings` has them."""
    text = target.text if isinstance(target, Continuation) else target
    if not isinstance(text, str) or tokenizer is None:
        return ()
    special = set(getattr(tokenizer, "all_special_ids", ()))
    return () if int(output[0]) in special else (spellings(tokenizer, output[:1].tolist()),)


def output_rules(model: Any, inputs: Mapping[str, Tensor]) -> Rules:
    """The tokens that generation suppresses after some inputs."""
    if "decoder_input_ids" in inputs and OUTPUT in inputs:
        return rules_of(model, len(inputs["decoder_input_ids"]) - len(inputs[OUTPUT]) + 1)
    return rules_of(model, len(inputs.get("input_ids", ())))


def _generated(wrapper: ModelWrapper, example: EncodedExample, most: int) -> tuple[Tensor, int]:
    """The greedy output of the model, and the length of its forced prefix.

    Raises:
        ModelError: If it cannot generate.
    """
    model: Any = wrapper.model if has_prompt_tuning(wrapper.model) else unwrap_peft(wrapper.model)
    if not hasattr(model, "generate"):
        got = f"{type(model).__name__}, which cannot generate"
        raise ModelError(got, "a model that generates", "pass the output as the target")
    inputs = {n: t for n, t in example.inputs.items() if n not in (OUTPUT, "decoder_input_ids")}
    rows = {  # copies, which a model may work on in place
        n: to_device(t.to(dtype_of(model) if t.is_floating_point() else t.dtype, copy=True), wrapper.device)[None]
        for n, t in inputs.items()
    }
    how = copy.deepcopy(model.generation_config)
    prompt = 0 if is_encoder_decoder(model) or "input_ids" not in inputs else len(inputs["input_ids"])
    how.update(do_sample=False, num_beams=1, max_length=prompt + _free_length(model.config, most), max_new_tokens=None)
    how.update(return_dict_in_generate=True, output_scores=True)
    try:
        with torch.no_grad(), theirs():
            output = model.generate(**rows, generation_config=how)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        failure = Failure(error_text(error), model, rows)
        hints = advice(failure) or ("a model that generates", "pass the output as the target")
        got = f"{type(model).__name__}, which does not generate from this example ({failure.message})"
        raise ModelError(got, *hints) from error
    counts = torch.stack([scores[0].isfinite().sum() for scores in output.scores]) if output.scores else None
    ids, choices = fetch([output.sequences[0], counts])
    assert ids is not None
    free = [] if choices is None else (choices > 1).tolist()
    if not is_encoder_decoder(model):
        return ids, len(ids) - len(free)
    return ids, len(ids) - len(free) + (free.index(True) if True in free else len(free))


def _ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of an output that is given as text, as the tokenizer writes targets."""
    if tokenizer is None:
        raise TargetError(f"output {text!r} without a tokenizer", "token ids", "pass the tokenizer")
    with taken(tokenizer):
        ids = list(tokenizer(text_target=text)["input_ids"])
    known_words(tokenizer, text, ids)
    return ids


def _setting(model: Any, name: str) -> int | None:
    """A setting of the generation config, or else of the config."""
    values = [getattr(config, name, None) for config in (getattr(model, "generation_config", None), model.config)]
    return next((value for value in values if value is not None), None)


def teacher_forced(inputs: Mapping[str, Tensor], output: Tensor) -> dict[str, Tensor]:
    """The inputs of a language model, `(rows, length)`, with all but the last of an output's tokens behind its ids."""
    tail = output[:, :-1]
    longer = {"input_ids": torch.cat([inputs["input_ids"], tail.to(inputs["input_ids"])], dim=1)}
    mask = inputs.get("attention_mask")
    if mask is not None and mask.shape == inputs["input_ids"].shape:
        longer["attention_mask"] = torch.cat([mask, torch.ones_like(tail).to(mask)], dim=1)
    return {**inputs, **longer}


def _free_length(config: Any, most: int) -> int:
    """The longest output, its prefix included."""
    inner = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    limits = [getattr(inner, name, None) for name in ("max_target_positions", "max_position_embeddings")]
    return min([most, *(limit for limit in limits if limit)])


def _forced_tokens(ids: Tensor, prefix: int) -> dict[str, Tensor]:
    if len(ids) <= prefix:
        raise ModelError("an empty output", "at least one token", "pass the output as the target")
    return {"decoder_input_ids": ids[:-1].clone(), OUTPUT: ids[prefix:].clone()}
