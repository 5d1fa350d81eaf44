"""Text models: classifiers of texts, pairs and tokens, question answering, language models, encoders, embeddings.

The signal is the embedded content tokens, `(tokens, hidden)`. Special, padding and mask tokens never enter a transform:
the content tokens of each segment are taken out in order, transformed, and put back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.models.base import Task
from hf_fourier.models.generation import unapplied
from hf_fourier.models.inputs.containers import is_chat
from hf_fourier.models.inputs.text import text_of
from hf_fourier.models.inputs.text import whole as whole_text
from hf_fourier.models.inspection import classification_head, eval_mode, labels_of
from hf_fourier.models.masked_lm_batches import MaskedLMBatch
from hf_fourier.models.prompts import ended, kept_part, not_begun, written_out
from hf_fourier.models.seq2seq_outputs import output_rules
from hf_fourier.models.text_targets import TargetedWrapper
from hf_fourier.models.token_batches import (
    CONTINUATIONS,
    PER_TOKEN,
    ContinuationBatch,
    NextTokenBatch,
    PooledBatch,
    QuestionAnsweringBatch,
    Seq2SeqBatch,
    TextBatch,
    TokenClassificationBatch,
)
from hf_fourier.models.tokenization import OutputHead, TokenHead, decode_tokens, restored, token_names, unknown_note
from hf_fourier.results.views import NoView
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.heads import AnswerSpanHead, Categorical, Head, Similarity
from hf_fourier.seeding import ExampleRng, fingerprint
from hf_fourier.typing import Tensor

#: What to do about a target of several tokens.
SEVERAL = {
    "text-generation": "pass Continuation(…) for all of them, or name one",
    "fill-mask": "put a mask for each into the text, and pass their tokens in a list",
}
TEXT_VIEW = NoView("embedded tokens cannot be turned back into text", "call input_relevance() for one number per token")


class TextWrapper(TargetedWrapper):
    """Embedded tokens behind the ids."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "text2text-generation": Task(
            "AutoModelForSeq2SeqLM", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", (), "AutoTokenizer"
        ),
        "text-classification": Task(
            "AutoModelForSequenceClassification",
            "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
            ("ForSequenceClassification",),
            "AutoTokenizer",
        ),
        "fill-mask": Task(
            "AutoModelForMaskedLM", "MODEL_FOR_MASKED_LM_MAPPING_NAMES", ("ForMaskedLM",), "AutoTokenizer"
        ),
        "text-generation": Task(
            "AutoModelForCausalLM",
            "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
            ("ForCausalLM", "LMHeadModel"),
            "AutoTokenizer",
        ),
        "token-classification": Task(
            "AutoModelForTokenClassification",
            "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
            ("ForTokenClassification",),
            "AutoTokenizer",
        ),
        "question-answering": Task(
            "AutoModelForQuestionAnswering",
            "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",
            ("ForQuestionAnswering",),
            "AutoTokenizer",
        ),
        # Only on request: every model has an embedding, but that is seldom meant.
        "feature-extraction": Task("AutoModel", "", (), "AutoTokenizer"),
    }
    batches: ClassVar[Mapping[str, type[TextBatch]]] = {
        "text2text-generation": Seq2SeqBatch,
        "fill-mask": MaskedLMBatch,
        "text-generation": NextTokenBatch,
        "token-classification": TokenClassificationBatch,
        "question-answering": QuestionAnsweringBatch,
        "feature-extraction": PooledBatch,
    }
    signal_kinds: ClassVar[tuple[str, ...]] = ("tokens",)
    main_input: ClassVar[str] = "input_ids"
    unit: ClassVar[str] = "token"

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, processor, task)
        self._width: int | None = None
        tables = [m for name, m in model.named_modules() if name.rpartition(".")[2] == "position_embeddings"]
        self.positions = next((n for n in map(_max_positions, tables) if n is not None), None)

    def head(self) -> Head:
        """Classes for classifiers, tokens for language models."""
        match self.task:
            case "text-classification":
                return classification_head(self.config)
            case "token-classification":
                return Categorical(labels_of(self.config))
            case "question-answering":
                return AnswerSpanHead()
            case "feature-extraction":
                return Similarity()
            case "text2text-generation":
                return OutputHead(self.processor)
        return TokenHead(self.processor, SEVERAL.get(self.task, "name one of them"))

    @property
    def max_rows(self) -> int | None:
        """One, where a classifier without a padding token refuses batches."""
        text = self.config.get_text_config() if hasattr(self.config, "get_text_config") else self.config
        unpadded = getattr(text, "pad_token_id", None) is None and getattr(self.config, "pad_token_id", None) is None
        return 1 if self.task == "text-classification" and unpadded else None

    @property
    def keeps_end(self) -> bool:
        """Whether the end of a text is kept where it is too long, and not its beginning."""
        return self.task == "text-generation" or getattr(self.processor, "truncation_side", "right") == "left"

    def is_example(self, mapping: Mapping[str, Any]) -> bool:
        """Whether a mapping is one chat, `{"messages": [...]}`, and not a batch."""
        return is_chat(mapping)

    def is_conversation(self, several: Sequence[Any]) -> bool:
        """Whether a list is one chat, and not several examples."""
        return is_chat(several)

    def encode(self, example: Any) -> EncodedExample:
        """A text, or a tuple of two; for a language model a chat too: messages with `role` and `content`."""
        if is_chat(example):
            return self._encode_chat(example)
        texts = example if isinstance(example, tuple) else (example,)
        if len(texts) not in (1, 2):
            got = f"a tuple of {len(texts)}"
            raise InputError(got, "a str, or a tuple of two (a pair of texts)", "several examples go in a list")
        notes: tuple[str, ...] = text_of(texts[0])[1] if len(texts) == 1 else ()
        for text in texts:
            whole_text(text)
        if self.processor is None:
            raise self.missing_processor_error(example)
        limit, prompt = self.limit, self.task == "text-generation"
        options = {"return_special_tokens_mask": True, "verbose": False}
        with restored(self.processor):
            encoding = self._tokens_of(*texts, **options)
            length = len(encoding["input_ids"])
            if limit is not None and length > limit and not prompt:
                encoding = self._tokens_of(*texts, truncation=True, max_length=limit, **options)
                notes += (f"a text of {length} tokens was cut to the model's {limit}",)
        added = torch.tensor(encoding["special_tokens_mask"], dtype=torch.bool)
        if len(added) != len(encoding["input_ids"]):  # EsmTokenizer counts an end mark also where it has none
            added = torch.zeros(len(encoding["input_ids"]), dtype=torch.bool)
        segments = _sequences(encoding, 0) if len(texts) == 2 else None
        notes += unknown_note(self.processor, encoding["input_ids"], texts)
        return self._tokenized(encoding, added, segments, notes, limit)

    def _tokens_of(self, *texts: str, **options: Any) -> Any:
        """What the tokenizer makes of a text, or of a pair.

        Raises:
            InputError: If it refuses it.
        """
        try:
            return self.processor(*texts, **options)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            got = f"a text, which {type(self.processor).__name__} refuses ({reason})"
            do = "check the tokenizer, or pass {'input_ids': tensor}"
            raise InputError(got, "a text that the model's own tokenizer takes", do) from error

    def _encode_chat(self, chat: Any) -> EncodedExample:
        if self.task != "text-generation":
            got = f"a chat for {self.task}"
            raise InputError(got, "a text", "pass what is to be read as one str, such as the last message's content")
        if self.processor is None:
            raise self.missing_processor_error(chat)
        encoding, added, message, notes = written_out(self.processor, chat)
        return self._tokenized(encoding, added, message, notes, self.limit, closed=False)

    def _tokenized(
        self,
        encoding: Any,
        added: Tensor,
        segments: Tensor | None,
        notes: tuple[str, ...],
        limit: int | None,
        closed: bool = True,
    ) -> EncodedExample:
        """The tokenizer's output for one example, as the model takes it."""
        names = self.processor.model_input_names
        row = {n: torch.tensor(v, dtype=torch.long) for n, v in encoding.items() if n in names}
        if self._accepted and "kwargs" not in self._accepted and not self.accepts("token_type_ids"):
            row.pop("token_type_ids", None)
        if self.task == "text-generation":
            places, prompt_notes = kept_part(self.processor, encoding["input_ids"], added, limit, closed)
            if len(places) < len(added):
                row, added = {n: t[places] for n, t in row.items()}, added[places]
                segments = None if segments is None else segments[places]
            notes += (*prompt_notes, *unapplied(self.model))
        return self._encoded(row, added, segments if segments is not None else row.get("token_type_ids"), notes)

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `input_ids` (with `attention_mask`, `special_tokens_mask`, …), padded or not."""
        tensors = self.checked_batch(batch, dimensions=2)
        if tensors["input_ids"].is_floating_point() or tensors["input_ids"].dtype == torch.bool:
            raise InputError(
                f"input_ids of {tensors['input_ids'].dtype}", "whole numbers", "pass the tokenizer's output"
            )
        tensors["input_ids"] = tensors["input_ids"].long()
        length = tensors["input_ids"].shape[1]
        for name in PER_TOKEN:
            if name in tensors and tensors[name].ndim == 2 and tensors[name].shape[1] != length:
                got = f"{name!r} of {tensors[name].shape[1]} tokens"
                raise InputError(got, f"{length}, as 'input_ids'", "pass the tokenizer's own output")
        added = tensors.pop("special_tokens_mask", None)
        notes: tuple[str, ...] = ()
        if self.task == "text-generation" and "attention_mask" not in tensors:
            tensors |= self._filling(tensors["input_ids"])
        if added is None and self.processor is None:
            padding = "" if "attention_mask" in tensors else ", and padding too (no attention_mask)"
            notes = (f"no special_tokens_mask and no tokenizer: special tokens were transformed like content{padding}",)
        examples = []
        for i in range(len(tensors["input_ids"])):
            row = {name: tensor[i].cpu() for name, tensor in tensors.items()}
            fixed = torch.zeros_like(row["input_ids"], dtype=torch.bool) if added is None else added[i].bool().cpu()
            segments = _sequences(batch, i)
            fits = segments is not None and len(segments) == length
            parts = segments if fits else row.get("token_type_ids")
            row_notes = unknown_note(self.processor, row["input_ids"])
            if self.task == "text-generation":
                row, fixed, parts = _unpadded(row, fixed, parts)
                ids = row["input_ids"].tolist()
                row_notes += (*not_begun(self.processor, ids), *ended(self.processor, ids), *unapplied(self.model))
            examples.append(self._encoded(row, fixed, parts, notes + row_notes))
        return examples

    def _filling(self, ids: Tensor) -> dict[str, Tensor]:
        """The attention mask that `generate` derives from ids without one; empty where it derives none."""
        config = getattr(self.model, "generation_config", None)
        pad, end = getattr(config, "pad_token_id", None), getattr(config, "eos_token_id", None)
        pad = getattr(self.processor, "pad_token_id", None) if pad is None else pad
        ends = set(end) if isinstance(end, (list, tuple)) else {end, getattr(self.processor, "eos_token_id", None)}
        filled = pad is not None and pad not in ends and bool((ids == pad).any())
        return {"attention_mask": torch.ne(ids, int(pad or 0)).long()} if filled else {}

    @property
    def special_ids(self) -> set[int]:
        """The tokenizer's special tokens, but for an unknown token that is nothing else; at least the mask."""
        if self.processor is None:
            return set() if self.mask_id is None else {self.mask_id}
        t = self.processor
        named = {t.pad_token_id, t.mask_token_id, t.bos_token_id, t.eos_token_id, t.cls_token_id, t.sep_token_id}
        unknown = {t.unk_token_id} - named
        return set(t.all_special_ids) - unknown

    def batch_group(self, inputs: Mapping[str, Tensor]) -> int:
        """The number of masks of a masked language model's text, or a digest of two continuations."""
        if CONTINUATIONS[1] in inputs:
            return fingerprint([inputs[name] for name in CONTINUATIONS])
        if self.task != "fill-mask" or self.mask_id is None:
            return 0
        return int((inputs["input_ids"] == self.mask_id).sum())

    def _encoded(
        self, row: dict[str, Tensor], added: Tensor, segments: Tensor | None, notes: tuple[str, ...]
    ) -> EncodedExample:
        ids = row["input_ids"]
        hidden = self._hidden(row) if ids.numel() else 0
        self._check_ids(ids)
        special = torch.tensor(sorted(self.special_ids), dtype=torch.long)
        fixed = added | torch.isin(ids, special)
        if "attention_mask" in row and row["attention_mask"].ndim == 1:
            fixed = fixed | (row["attention_mask"] == 0)
        content = (~fixed).nonzero().flatten()
        if content.numel() == 0:
            raise InputError(
                "a text without content tokens", "at least one token that is not special", "pass a longer text"
            )
        lengths: tuple[int, ...] = ()
        if segments is not None:
            _, counts = torch.unique_consecutive(segments[content], return_counts=True)
            lengths = tuple(counts.tolist()) if len(counts) > 1 else ()
        axes = (Axis(self.unit, content.numel(), f"cycles/{self.unit}"), Axis("hidden", hidden, channel=True))
        names = tuple(self.name_tokens(ids[content].tolist())) if self.processor is not None else ()
        shape = SignalShape("tokens", axes, lengths)
        view, group = TEXT_VIEW, self.batch_group(row)
        return EncodedExample(shape, row, content=content, names=names, view=view, notes=notes, batch_group=group)

    def name_tokens(self, ids: Sequence[int]) -> list[str]:
        """Each token in readable form."""
        return (token_names if self.unit == "token" else decode_tokens)(self.processor, ids)

    def _hidden(self, row: Mapping[str, Tensor]) -> int:
        """The embedding's width, measured once; a model that declares no embedding runs once to find it."""
        if self._width is None:
            with eval_mode(self.model):
                if not self.swap.known:
                    self._check_ids(row["input_ids"])
                    inputs = {name: tensor.unsqueeze(0).to(self.device, copy=True) for name, tensor in row.items()}
                    self.swap.locate(lambda: self.call_model(**inputs), inputs["input_ids"])
                ids = torch.zeros(1, 1, dtype=torch.long, device=self.device)
                self._width = self.swap.embed(ids).shape[-1]
        return self._width

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Texts of one length and one pattern of segments."""
        inputs = examples[0].inputs
        if CONTINUATIONS[0] not in inputs:
            batch = self.batches.get(self.task, TextBatch)(self, examples, rng)
        else:
            batch = ContinuationBatch(self, examples, rng)
            if batch.known_targets is not None:
                batch.head = OutputHead(self.processor)
        if self.task in ("text-generation", "text2text-generation") and isinstance(batch.head, TokenHead):
            batch.head.rules = output_rules(self.model, inputs)
        return batch


def _unpadded(
    row: dict[str, Tensor], fixed: Tensor, parts: Tensor | None
) -> tuple[dict[str, Tensor], Tensor, Tensor | None]:
    """A prompt without its padding, where generation would count no positions."""
    mask = row.get("attention_mask")
    if mask is None or mask.ndim != 1 or not bool(mask.any()):
        return row, fixed, parts
    attended = mask.nonzero().flatten()
    kept = slice(int(attended[0]), int(attended[-1]) + 1)
    short = {n: t[kept] if n in ("input_ids", *PER_TOKEN) else t for n, t in row.items()}
    return short, fixed[kept], None if parts is None else parts[kept]


def _sequences(encoding: Any, row: int) -> Tensor | None:
    """Which text of a pair each token belongs to, −1 for special tokens; None where the tokenizer does not know."""
    try:
        numbers = encoding.sequence_ids(row)
    except (AttributeError, ValueError, IndexError):
        return None
    return torch.tensor([-1 if number is None else number for number in numbers])


def _max_positions(module: torch.nn.Module) -> int | None:
    """How many positions a table has for tokens that are counted from behind the padding's index (RoBERTa's kin)."""
    if not isinstance(module, torch.nn.Embedding) or module.padding_idx is None:
        return None
    return module.num_embeddings - module.padding_idx - 1
