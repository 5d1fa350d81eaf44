"""Targets of token models: resolves tokens, continuations, outputs, answers and positions given as text."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from hf_fourier.errors import FourierError, InputError, TargetError
from hf_fourier.models.generation import next_log_p, unapplied
from hf_fourier.models.inspection import eval_mode, has_prompt_tuning
from hf_fourier.models.seq2seq_outputs import cut_short, generate, given_output, is_encoder_decoder, output_forms
from hf_fourier.models.token_batches import CONTINUATIONS, OUTPUT, PER_TOKEN, TokenWrapper
from hf_fourier.models.tokenization import TokenHead, ids_of, known_words, respelt, spellings
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.heads import logits_of
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Position, Target, Typed, token_ids
from hf_fourier.typing import Tensor

#: A tokenizer without a length limit has a number above this.
NO_LIMIT = 10**6
#: Logits that differ by less, of the largest or of 1, are the same.
SEEN = 1e-3


class TargetedWrapper(TokenWrapper, ABC):
    """A token model with a tokenizer, whose targets may be text.

    Attributes:
        positions: The size of the model's table of positions; None where it declares none.
    """

    positions: int | None = None

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, processor, task)
        self._causal: bool | None = None

    @property
    def limit(self) -> int | None:
        """The longest input that model and tokenizer take, in tokens; None if neither has a limit."""
        text = self.config.get_text_config() if hasattr(self.config, "get_text_config") else self.config
        limits = [getattr(self.processor, "model_max_length", None), getattr(text, "max_position_embeddings", None)]
        limits.append(self.positions)
        numbers = [limit for limit in limits if isinstance(limit, (int, float)) and not isinstance(limit, bool)]
        stated = [int(limit) for limit in numbers if 1 <= limit < NO_LIMIT]
        return min(stated) if stated else None

    def prepare_target(self, example: EncodedExample, target: Target) -> tuple[EncodedExample, Target]:
        """An example with the continuation or the output that is explained; tokens and answers found by their text.

        Raises:
            TargetError: If the head has no such target, or the text does not have these tokens.
        """
        if isinstance(target, Position) and isinstance(target.position, (str, Typed)):
            target = replace(target, position=self._token_number(example, target.position))
        if self.task in ("question-answering", "text2text-generation") and isinstance(target, Typed):
            target = target.text
        if self.task == "question-answering" and isinstance(target, str):
            span, notes = self._answer_span(example, target)
            return replace(example, notes=example.notes + notes), span
        if self.task == "text2text-generation" and not callable(target):
            added, forms = self._output(example, target)
            notes = (*unapplied(self.model), *(cut_short(self, added[OUTPUT]) if target is None else ()))
            example = replace(example, notes=example.notes + notes, spellings=forms)
            if not is_encoder_decoder(self.model):
                return self._continued(example, added[OUTPUT].tolist()), None
            return replace(example, inputs={**example.inputs, **added}), None
        if self.task == "text-generation":
            inputs = {name: tensor for name, tensor in example.inputs.items() if name not in CONTINUATIONS}
            example = replace(example, inputs=inputs, batch_group=0)
            if isinstance(target, Continuation):
                return self._continued(example, target.text), None
            if isinstance(target, Contrast):
                return self._continued(example, target.this, target.other), Contrast(0, 1)
        return self._with_spellings(example, target), super().prepare_target(example, target)[1]

    def generated(self, example: EncodedExample, token: int) -> tuple[float, str] | None:
        """As the base class, of a language model."""
        if self.task != "text-generation" or CONTINUATIONS[0] in example.inputs or has_prompt_tuning(self.model):
            return None
        prediction = next_log_p(self.model, example.inputs, token)
        return (math.nan, "") if prediction is None else (prediction[0], self.head().label(prediction[1]))

    def _output(self, example: EncodedExample, target: Any) -> tuple[dict[str, Tensor], tuple[tuple[int, ...], ...]]:
        """The output that is explained, and other spellings of its first token."""
        if target is None:
            return generate(self, example), ()
        added = given_output(self, example, self.processor, target)
        return added, output_forms(self.processor, target, added[OUTPUT])

    def _token_number(self, example: EncodedExample, position: str | Typed) -> int | str:
        """The number of a content token given by its text, or by a typed number."""
        text = position.text if isinstance(position, Typed) else position
        places = [i for i, name in enumerate(example.names) if name == text]
        places = places or [i for i, name in enumerate(example.names) if name.strip() == text.strip()]
        if isinstance(position, Typed):
            if places and places[0] != position:
                got = f"at:{text}, which is a token's number, and the text of token {places[0]} too"
                raise TargetError(got, "one of the two", f"write at:index:{text} or at:label:{text}")
            return int(position)
        if not places:
            names = ", ".join(map(repr, example.names[:8])) or "no named tokens"
            raise TargetError(f"token {text!r}", f"one of {names}", "correct `target`, or pass a number")
        return places[0]

    def _with_spellings(self, example: EncodedExample, target: Target) -> EncodedExample:
        """An example with notes on the spelling of the tokens that are its target."""
        texts: list[Any] = list(target) if isinstance(target, (list, tuple)) else [target]
        if isinstance(target, Contrast):
            texts = [target.this, target.other]
        if isinstance(target, Position):
            texts = [target.label]
        texts = [str(text) for text in texts if isinstance(text, str)]
        if not texts or type(self.head()) is not TokenHead or self.processor is None:
            return example
        ids = [ids_of(self.processor, text) for text in texts]
        return self._worded(example, [(text, one) for text, one in zip(texts, ids, strict=True) if len(one) == 1])

    def _worded(self, example: EncodedExample, words: Sequence[tuple[str, list[int]]]) -> EncodedExample:
        """An example with notes on how the tokenizer spells its targets, and with their other spellings."""
        notes = tuple(note for text, ids in words for note in respelt(self.processor, text, ids))
        forms = tuple(spellings(self.processor, ids) for _, ids in words)
        return replace(example, notes=example.notes + notes, spellings=forms)

    def _answer_span(self, example: EncodedExample, answer: str) -> tuple[AnswerSpan, tuple[str, ...]]:
        """The first span of an answer's tokens in the context, and a note where there are several."""
        content = example.inputs["input_ids"][example.content].tolist()
        first = sum(example.signal.segments[:-1])
        for form in (answer, f" {answer}"):
            ids = ids_of(self.processor, form)
            known_words(self.processor, form, ids)
            ends = list(range(first + len(ids), len(content) + 1)) if ids else []
            ends = [end for end in ends if content[end - len(ids) : end] == ids]
            if ends:
                note = f"the answer {answer!r} occurs {len(ends)} times in the context: the first is explained"
                return AnswerSpan(ends[0] - len(ids), ends[0] - 1), (note,) if len(ends) > 1 else ()
        raise TargetError(f"the answer {answer!r}", "words of the context", "correct `target`, or pass a Span")

    def _continued(self, example: EncodedExample, *texts: Any) -> EncodedExample:
        """An example with continuations, without padding on the right, which would come in between."""
        ids, mask = example.inputs["input_ids"], example.inputs.get("attention_mask")
        end = len(ids) if mask is None or mask.ndim != 1 else int(mask.nonzero().max()) + 1
        inputs = {n: t[:end] if n in ("input_ids", *PER_TOKEN) else t for n, t in example.inputs.items()}
        words, tails = [], []
        for text in texts:
            text = text.text if isinstance(text, Continuation) else text
            tail = self._following(ids[example.content].tolist(), text)
            if not tail or (self.limit is not None and end + len(tail) > self.limit):
                got = f"a continuation of {len(tail)} tokens after {end}"
                raise TargetError(got, f"at least one, at most {self.limit} in all", "change the continuation")
            tails.append(tail)
            words += [(text, tail)] if isinstance(text, str) else []
        if len(tails) == 2 and tails[0] == tails[1]:
            raise TargetError("a contrast of a continuation with itself", "two different ones", "correct `target`")
        if not self._looks_back():
            got = f"a continuation for {type(self.model).__name__}, whose attention is not causal"
            raise TargetError(got, "a causal language model", "load it with is_decoder=True, or ask for one next token")
        for name, tail in zip(CONTINUATIONS, tails, strict=False):
            inputs[name] = torch.tensor(tail, dtype=torch.long)
            self._check_ids(inputs[name])
        continued = replace(example, inputs=inputs, batch_group=self.batch_group(inputs))
        if len(tails) == 2 and len(tails[0]) != len(tails[1]):
            note = f"the two have {len(tails[0])} and {len(tails[1])} tokens: each has its summed log p"
            continued = replace(continued, notes=(*continued.notes, f"{note}, which falls with length"))
        return self._worded(continued, words) if words else continued

    def _check_ids(self, ids: Tensor) -> None:
        size = self.swap.entries or getattr(self.config, "vocab_size", None)
        if ids.numel() and (int(ids.min()) < 0 or (size is not None and int(ids.max()) >= size)):
            got, do = f"token ids from {int(ids.min())} to {int(ids.max())}", "use the model's own tokenizer"
            if int(ids.min()) >= 0:
                do += f", or model.resize_token_embeddings({int(ids.max()) + 1})"
            raise InputError(got, f"0 to {(size or 0) - 1}" if size else "none below 0", do)

    def _looks_back(self) -> bool:
        """Whether a token's logits do not depend on those that follow; one pass, once per model."""
        if self._causal is None:
            ids = torch.zeros(2, 3, dtype=torch.long, device=self.device)
            ids[1, 2] = 1
            try:
                with eval_mode(self.model), torch.no_grad():
                    logits = logits_of(self.call_model(input_ids=ids))[:, -3:-1].float()
            except FourierError:  # a model that does not take so short a text
                self._causal = True
                return True
            change = float((logits[0] - logits[1]).abs().max())
            self._causal = change <= SEEN * max(1.0, float(logits.abs().max()))
        return self._causal

    def _following(self, content: list[int], text: Any) -> list[int]:
        """The ids of a continuation: those it adds to the text's, where the tokenizer keeps these.

        Raises:
            TargetError: If it is neither a text nor ids, or has words that the tokenizer does not know.
        """
        if isinstance(text, Typed):
            got = f"{text.text}, which may be a text or a token's id"
            raise TargetError(got, "one of the two", f"write label:{text.text} or index:{text.text}")
        if not isinstance(text, str):
            return token_ids(text)
        alone = ids_of(self.processor, text)
        known_words(self.processor, text, alone)
        for start in dict.fromkeys((0, max(0, len(content) - 1))):  # the whole text, or its last token alone
            together = ids_of(self.processor, self.processor.decode(content[start:]) + text)
            if together[: len(content) - start] == content[start:]:
                return together[len(content) - start :]
        return alone
