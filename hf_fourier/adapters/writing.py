"""What a decoder is made to say: the output of a sequence-to-sequence model, generated once or given."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hf_fourier.adapters.base import Adapter, Encoded
from hf_fourier.adapters.models import dtype_of
from hf_fourier.adapters.tokens import OUTPUT
from hf_fourier.batching import is_out_of_memory
from hf_fourier.errors import ModelError, TargetError
from hf_fourier.modes import theirs
from hf_fourier.targets import Continuation, whole
from hf_fourier.turns import taken
from hf_fourier.typing import Tensor

#: The most tokens of an output, with what it begins with.
MOST_WRITTEN = 64


def encodes(model: Any) -> bool:
    """Whether a decoder of its own writes the output; otherwise it is a language model, and the output follows on."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def written(adapter: Adapter, example: Encoded) -> dict[str, Tensor]:
    """What the model says of the clean example, greedily, as inputs of its decoder and what follows them.

    Tokens that are not of the model's choice (where an output starts, its language, its task) do not follow. Of a
    language model there are no inputs of a decoder: the output follows the example's own ids.

    Raises:
        ModelError: If the model cannot generate, or says nothing.
    """
    model: Any = adapter.model
    if not hasattr(model, "generate"):
        got = f"{type(model).__name__}, which cannot generate"
        raise ModelError(got, "a model that generates", "pass the output as the target")
    inputs = {n: t for n, t in example.inputs.items() if n not in (OUTPUT, "decoder_input_ids")}
    rows = {  # copies, which a model may work on in place
        n: t.to(adapter.device, dtype_of(model) if t.is_floating_point() else t.dtype, copy=True)[None]
        for n, t in inputs.items()
    }
    how = copy.deepcopy(model.generation_config)
    own = 0 if encodes(model) or "input_ids" not in inputs else len(inputs["input_ids"])
    how.update(do_sample=False, num_beams=1, max_length=own + _room(model.config), max_new_tokens=None)
    how.update(return_dict_in_generate=True, output_scores=True)
    try:
        with torch.no_grad(), theirs():
            said = model.generate(**rows, generation_config=how)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        words = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        got = f"{type(model).__name__}, which does not generate from this example ({words})"
        raise ModelError(got, "a model that generates", "pass the output as the target") from error
    ids, free = said.sequences[0].cpu(), [int(scores[0].isfinite().sum()) > 1 for scores in said.scores]
    if not encodes(model):
        output = ids[len(ids) - len(free) :]
        if not len(output):
            raise ModelError("an empty output", "at least one token", "pass the output as the target")
        return {OUTPUT: output.clone()}
    first = free.index(True) if True in free else len(free)
    return _forced(ids, len(ids) - len(free) + first)


def given_output(adapter: Adapter, tokenizer: Any, target: Any) -> dict[str, Tensor]:
    """A given output, a text or token ids, as inputs of the decoder and what follows them.

    Raises:
        TargetError: If it is neither, or there is no tokenizer.
    """
    if isinstance(target, Continuation):
        target = target.text
    if isinstance(target, str):
        if tokenizer is None:
            raise TargetError(f"output {target!r} without a tokenizer", "token ids", "pass the tokenizer")
        with taken(tokenizer):
            target = tokenizer(text_target=target)["input_ids"]
    if not isinstance(target, Sequence) or not target:
        raise TargetError(f"target {target!r} for an output", "its text, its token ids, or None", "correct `target`")
    model: Any = adapter.model
    ids = [whole(one) for one in target]
    if not encodes(model):
        return {OUTPUT: torch.tensor(ids)}
    starts = [getattr(one, "decoder_start_token_id", None) for one in (model.generation_config, model.config)]
    start = next((one for one in starts if one is not None), None)
    if start is None:
        raise ModelError("a model without decoder_start_token_id", "one in its config", "set it")
    if ids[0] != start:
        return _forced(torch.tensor([start, *ids]), 1)
    special = set(getattr(tokenizer, "all_special_ids", [start]))  # a tokenizer that writes the whole beginning
    return _forced(torch.tensor(ids), next((i for i, one in enumerate(ids) if one not in special), len(ids)))


def followed(inputs: Mapping[str, Tensor], output: Tensor) -> dict[str, Tensor]:
    """The inputs of a language model, `(rows, length)`, with all but the last of an output's tokens behind its ids."""
    tail = output[:, :-1]
    longer = {"input_ids": torch.cat([inputs["input_ids"], tail.to(inputs["input_ids"])], dim=1)}
    mask = inputs.get("attention_mask")
    if mask is not None and mask.shape == inputs["input_ids"].shape:
        longer["attention_mask"] = torch.cat([mask, torch.ones_like(tail).to(mask)], dim=1)
    return {**inputs, **longer}


def _room(config: Any) -> int:
    """How long an output may be."""
    inner = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    limits = [getattr(inner, name, None) for name in ("max_target_positions", "max_position_embeddings")]
    return min([MOST_WRITTEN, *(limit for limit in limits if limit)])


def _forced(said: Tensor, prefix: int) -> dict[str, Tensor]:
    if len(said) <= prefix:
        raise ModelError("an empty output", "at least one token", "pass the output as the target")
    return {"decoder_input_ids": said[:-1].clone(), OUTPUT: said[prefix:].clone()}
