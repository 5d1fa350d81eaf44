"""The part of `generate` beyond the model's logits: suppressed tokens, and settings that are not applied here."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hf_fourier.models.inspection import unwrap_peft
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.torch_state import theirs
from hf_fourier.typing import Int, Tensor

#: Settings that change greedy generation depending on the output so far, with the values that have no effect.
UNAPPLIED = {
    "repetition_penalty": 1.0, "encoder_repetition_penalty": 1.0, "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0, "sequence_bias": None, "guidance_scale": 1.0, "watermarking_config": None,
    "exponential_decay_length_penalty": None,
}  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """Tokens that generation suppresses.

    Attributes:
        always: At any place.
        first: At the first place of an output.
        end: Marks of the end, suppressed at the first `least` places.
        least: The least length of an output.
    """

    always: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    least: int = 0

    def __bool__(self) -> bool:
        return bool(self.always or self.first or (self.end and self.least > 0))

    def applied(self, logits: Tensor, target: Int[Tensor, "..."] | None = None) -> Tensor:
        """The logits with −inf where generation has no choice.

        Args:
            logits: Of shape `(rows, vocabulary)` or `(rows, places, vocabulary)`.
            target: The explained tokens, which keep their logits, in the shape of the logits without the vocabulary.
        """
        if not self:
            return logits
        size, allowed = logits.shape[-1], logits.clone()
        places = allowed.unsqueeze(1) if logits.ndim == 2 else allowed
        places[..., [i for i in self.always if i < size]] = -torch.inf
        places[:, 0, [i for i in self.first if i < size]] = -torch.inf
        places[:, : self.least, [i for i in self.end if i < size]] = -torch.inf
        if target is None:
            return allowed
        index = target.to(logits.device).unsqueeze(-1)
        return allowed.scatter(-1, index, logits.gather(-1, index))


def rules_of(model: Any, before: int) -> Rules:
    """The tokens that a model's `generation_config` suppresses.

    Args:
        model: The model.
        before: How many tokens precede the first place, as generation counts them.
    """
    config = getattr(model, "generation_config", None)
    if config is None:
        return Rules()
    single = [words[0] for words in getattr(config, "bad_words_ids", None) or () if len(words) == 1]
    least = max(getattr(config, "min_new_tokens", None) or 0, (getattr(config, "min_length", None) or 0) - before)
    return Rules(
        _ids([*_ids(getattr(config, "suppress_tokens", None)), *single]),
        _ids(getattr(config, "begin_suppress_tokens", None)),
        _ids(getattr(config, "eos_token_id", None)) if least > 0 else (),
        max(0, least),
    )


def unapplied(model: Any) -> tuple[str, ...]:
    """A note on settings of a `generation_config` that change the output and are not applied here."""
    config = getattr(model, "generation_config", None)
    changed = {n: v for n, usual in UNAPPLIED.items() if (v := getattr(config, n, None)) is not None and v != usual}
    if any(len(words) > 1 for words in getattr(config, "bad_words_ids", None) or ()):
        changed["bad_words_ids"] = "of several tokens"
    if not changed:
        return ()
    named = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return (f"the generation_config's {named} changes generate(), and is not part of the probabilities here",)


def next_log_p(model: Any, inputs: Mapping[str, Tensor], token: int) -> tuple[float, int] | None:
    """The log p of a next token according to `generate`, and the likeliest one; None where it fails.

    Args:
        model: The model.
        inputs: One prompt, without a batch axis.
        token: The token.
    """
    model = unwrap_peft(model)  # whose generate leaves marks on the model below
    if not callable(getattr(model, "generate", None)):
        return None
    how = copy.deepcopy(model.generation_config)
    how.update(do_sample=False, num_beams=1, max_length=None, max_new_tokens=1, min_length=0, min_new_tokens=None)
    how.update(return_dict_in_generate=True, output_logits=True, output_scores=False)
    how.pad_token_id = 0 if how.pad_token_id is None else how.pad_token_id
    rows = {name: tensor.to(model.device)[None] for name, tensor in inputs.items()}
    try:
        with torch.no_grad(), theirs():
            logits = model.generate(**rows, generation_config=how).logits[0][:1].float()
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        return None
    allowed = rules_of(model, len(inputs["input_ids"])).applied(logits, torch.tensor([token]))[0]
    return float(allowed.log_softmax(-1)[token]), int(allowed.argmax())


def _ids(given: Any) -> tuple[int, ...]:
    """Token ids out of None, one or several; negative ones stand for no token."""
    several: Iterable[Any] = () if given is None else given if isinstance(given, Iterable) else (given,)
    return tuple(sorted({int(one) for one in several if int(one) >= 0}))
