"""What a decoder is made to say: the output of a sequence-to-sequence model, generated once or given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hf_fourier.adapters.base import Adapter, Encoded
from hf_fourier.adapters.tokens import OUTPUT
from hf_fourier.errors import ModelError, TargetError
from hf_fourier.targets import Continuation, whole
from hf_fourier.typing import Tensor

#: The most tokens that are generated.
MOST_WRITTEN = 64
#: Positions that are left for what an output begins with (a start, a language, a task).
PROMPT = 8


def written(adapter: Adapter, example: Encoded, **leaf: Tensor) -> dict[str, Tensor]:
    """What the model says of the clean example, greedily, as inputs of its decoder and what follows them.

    Args:
        adapter: Holds the model.
        example: The clean example.
        **leaf: The leaf, where it is an input of the model.

    Raises:
        ModelError: If the model cannot generate.
    """
    model: Any = adapter.model
    if not hasattr(model, "generate"):
        got = f"{type(model).__name__}, which cannot generate"
        raise ModelError(got, "a model that generates", "pass the output as the target")
    inputs = {n: t for n, t in {**example.inputs, **leaf}.items() if n not in (OUTPUT, "decoder_input_ids")}
    rows = {name: tensor.unsqueeze(0).to(adapter.device) for name, tensor in inputs.items()}
    with torch.no_grad():
        said = model.generate(**rows, do_sample=False, num_beams=1, max_new_tokens=_room(model.config))[0].cpu()
    return _forced(said, _prefix(model))


def given_output(adapter: Any, target: Any) -> dict[str, Tensor]:
    """A given output, a text or token ids, as inputs of the decoder and what follows them.

    Raises:
        TargetError: If it is neither, or there is no tokenizer.
    """
    if isinstance(target, Continuation):
        target = target.text
    tokenizer = getattr(adapter.processor, "tokenizer", adapter.processor)
    if isinstance(target, str):
        if tokenizer is None:
            raise TargetError(f"output {target!r} without a tokenizer", "token ids", "pass the tokenizer")
        target = tokenizer(text_target=target)["input_ids"]
    if not isinstance(target, Sequence) or not target:
        raise TargetError(f"target {target!r} for an output", "its text, its token ids, or None", "correct `target`")
    config = adapter.model.config
    start = getattr(adapter.model.generation_config, "decoder_start_token_id", None)
    start = getattr(config, "decoder_start_token_id", None) if start is None else start
    if start is None:
        raise ModelError("a model without decoder_start_token_id", "one in its config", "set it")
    return _forced(torch.tensor([start, *map(whole, target)]), 1)


def _room(config: Any) -> int:
    """How many tokens are generated, at most."""
    inner = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    limits = [getattr(inner, name, None) for name in ("max_target_positions", "max_position_embeddings")]
    return min([MOST_WRITTEN, *(limit - PROMPT for limit in limits if limit)])


def _prefix(model: Any) -> int:
    """How many tokens of an output are not of the model's choice: where it starts, and a forced first token."""
    return 1 + (getattr(model.generation_config, "forced_bos_token_id", None) is not None)


def _forced(said: Tensor, prefix: int) -> dict[str, Tensor]:
    if len(said) <= prefix:
        raise ModelError("an empty output", "at least one token", "pass the output as the target")
    return {"decoder_input_ids": said[:-1].clone(), OUTPUT: said[prefix:].clone()}
