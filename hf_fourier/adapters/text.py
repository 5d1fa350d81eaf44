"""Text models: classifiers of texts, pairs and tokens, question answering, language models, encoders, embeddings.

The leaf is the embedded content tokens, `(tokens, hidden)`. Special, padding and mask tokens never enter a transform:
the content tokens of each segment are taken out in order, transformed, and put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import torch

from hf_fourier.adapters.base import Block, Encoded, Task
from hf_fourier.adapters.models import classification_head, held, labels_of
from hf_fourier.adapters.strings import text_of
from hf_fourier.adapters.strings import whole as whole_text
from hf_fourier.adapters.tokens import (
    CONTINUATIONS,
    OUTPUT,
    AnswerBlock,
    ContinuedBlock,
    MaskedBlock,
    NextBlock,
    OutputBlock,
    PooledBlock,
    TagBlock,
    TextBlock,
    TokenAdapter,
)
from hf_fourier.adapters.writing import encodes, given_output, written
from hf_fourier.domains import Axis, LeafShape
from hf_fourier.errors import InputError, TargetError
from hf_fourier.heads import Answer, Categorical, Head, Similarity
from hf_fourier.seeding import Draw, fingerprint
from hf_fourier.targets import At, Continuation, Contrast, Span, Target, whole
from hf_fourier.turns import taken
from hf_fourier.typing import Tensor
from hf_fourier.views import NoView

#: A tokenizer without a limit of its own says so with a number above this.
NO_LIMIT = 10**6

#: What a tokenizer says of each token, beside the ids.
_PER_TOKEN = ("attention_mask", "token_type_ids", "special_tokens_mask", "position_ids")

TEXT_VIEW = NoView("embedded tokens are not text any more", "call input_relevance() for one number per token")


class TokenHead(Categorical):
    """A softmax over the vocabulary; tokens are named by the tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__({}, "token")
        self.tokenizer = tokenizer

    def fits(self, logits: Tensor) -> tuple[str, ...]:
        """Say where the tokenizer knows more tokens than the model; that a model has room for more is usual."""
        known = len(self.tokenizer) if hasattr(self.tokenizer, "__len__") else 0
        if known <= logits.shape[-1]:
            return ()
        said = f"the tokenizer knows {known} tokens and the model {logits.shape[-1]}"
        return (f"{said}: the last ones cannot be read or said, and if it is another model's, the names are wrong",)

    def _index(self, label: str) -> int:
        if self.tokenizer is None:
            raise TargetError(f"token {label!r} without a tokenizer", "a token's index", "pass the tokenizer")
        with unchanged(self.tokenizer):
            ids = self.tokenizer(whole_text(label), add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) != 1:
            known = self.tokenizer.get_vocab().get(label)
            if known is not None:
                return int(known)
            pieces = [self.label(i) for i in ids]
            raise TargetError(f"{label!r}, which is {len(ids)} tokens {pieces}", "one token", "name one of them")
        return int(ids[0])

    def label(self, index: int) -> str:
        """The token as text."""
        return str(index) if self.tokenizer is None else readable(self.tokenizer, [index])[0]


class OutputHead(TokenHead):
    """The tokens of an output, named as one text."""

    def name_target(self, frozen: Tensor) -> tuple[Any, str]:
        """The ids and the text."""
        ids = [int(i) for i in frozen]
        if self.tokenizer is None:
            return ids, " ".join(map(str, ids))
        words = self.tokenizer.decode(ids, skip_special_tokens=True) or self.tokenizer.decode(ids)
        return ids, str(words).strip()

    def ranked(self, logits: Tensor, most: int = 5) -> list[tuple[str, float]]:
        """What the model says at each place, given what came before, with the mean probability of a token."""
        best = logits.log_softmax(-1).max(-1)
        return [(self.name_target(best.indices.reshape(-1))[1], float(best.values.mean().exp()))]


class TextAdapter(TokenAdapter):
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
        # Only where it is asked for: every model has an embedding, but that is seldom what is meant.
        "feature-extraction": Task("AutoModel", "", (), "AutoTokenizer"),
    }
    blocks: ClassVar[Mapping[str, type[TextBlock]]] = {
        "text2text-generation": OutputBlock,
        "fill-mask": MaskedBlock,
        "text-generation": NextBlock,
        "token-classification": TagBlock,
        "question-answering": AnswerBlock,
        "feature-extraction": PooledBlock,
    }
    leaf_kinds: ClassVar[tuple[str, ...]] = ("tokens",)
    main_input: ClassVar[str] = "input_ids"
    unit: ClassVar[str] = "token"

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, processor, task)
        self._width: int | None = None
        tables = [m for name, m in model.named_modules() if name.rpartition(".")[2] == "position_embeddings"]
        self._positions = next((n for n in map(_positions, tables) if n is not None), None)

    def head(self) -> Head:
        """Classes for classifiers, tokens for language models."""
        match self.task:
            case "text-classification":
                return classification_head(self.config)
            case "token-classification":
                return Categorical(labels_of(self.config))
            case "question-answering":
                return Answer()
            case "feature-extraction":
                return Similarity()
            case "text2text-generation":
                return OutputHead(self.processor)
        return TokenHead(self.processor)

    @property
    def rows_limit(self) -> int | None:
        """One, where a classifier without a padding token refuses batches."""
        text = self.config.get_text_config() if hasattr(self.config, "get_text_config") else self.config
        unpadded = getattr(text, "pad_token_id", None) is None and getattr(self.config, "pad_token_id", None) is None
        return 1 if self.task == "text-classification" and unpadded else None

    def encode(self, example: Any) -> Encoded:
        """A text, or a tuple of two."""
        texts = example if isinstance(example, tuple) else (example,)
        if len(texts) not in (1, 2):
            got = f"a tuple of {len(texts)}"
            raise InputError(got, "a str, or a tuple of two (a pair of texts)", "several examples go in a list")
        said = text_of(texts[0])[1] if len(texts) == 1 else ()
        for text in texts:
            whole_text(text)
        if self.processor is None:
            raise self.no_processor(example)
        limit = self.limit
        notes: tuple[str, ...] = said
        options = {"return_special_tokens_mask": True, "verbose": False}
        with unchanged(self.processor):
            encoding = self.processor(*texts, **options)
            length = len(encoding["input_ids"])
            if limit is not None and length > limit:
                encoding = self.processor(*texts, truncation=True, max_length=limit, **options)
                notes += (f"a text of {length} tokens was cut to the model's {limit}",)
        added = torch.tensor(encoding["special_tokens_mask"], dtype=torch.bool)
        if len(added) != len(encoding["input_ids"]):  # EsmTokenizer counts an end mark also where it has none
            added = torch.zeros(len(encoding["input_ids"]), dtype=torch.bool)
        names = self.processor.model_input_names
        row = {n: torch.tensor(v, dtype=torch.long) for n, v in encoding.items() if n in names}
        if self._accepted and "kwargs" not in self._accepted and not self.accepts("token_type_ids"):
            row.pop("token_type_ids", None)
        segments = _sequences(encoding, 0) if len(texts) == 2 else None
        return self._encoded(row, added, segments if segments is not None else row.get("token_type_ids"), notes)

    def encode_batch(self, batch: Mapping[str, Any]) -> list[Encoded]:
        """Rows of `input_ids` (with `attention_mask`, `special_tokens_mask`, …), padded or not."""
        tensors = self.rows_of(batch, dimensions=2)
        if tensors["input_ids"].is_floating_point() or tensors["input_ids"].dtype == torch.bool:
            raise InputError(
                f"input_ids of {tensors['input_ids'].dtype}", "whole numbers", "pass the tokenizer's output"
            )
        tensors["input_ids"] = tensors["input_ids"].long()
        length = tensors["input_ids"].shape[1]
        for name in _PER_TOKEN:
            if name in tensors and tensors[name].ndim == 2 and tensors[name].shape[1] != length:
                got = f"{name!r} of {tensors[name].shape[1]} tokens"
                raise InputError(got, f"{length}, as 'input_ids'", "pass the tokenizer's own output")
        added = tensors.pop("special_tokens_mask", None)
        notes: tuple[str, ...] = ()
        if added is None and self.processor is None:
            padding = "" if "attention_mask" in tensors else ", and padding too (no attention_mask)"
            notes = (f"no special_tokens_mask and no tokenizer: special tokens were transformed like content{padding}",)
        examples = []
        for i in range(len(tensors["input_ids"])):
            row = {name: tensor[i].cpu() for name, tensor in tensors.items()}
            fixed = torch.zeros_like(row["input_ids"], dtype=torch.bool) if added is None else added[i].bool().cpu()
            segments = _sequences(batch, i)
            fits = segments is not None and len(segments) == length
            examples.append(self._encoded(row, fixed, segments if fits else row.get("token_type_ids"), notes))
        return examples

    @property
    def limit(self) -> int | None:
        """The longest input that model and tokenizer take, in tokens; None if neither says."""
        text = self.config.get_text_config() if hasattr(self.config, "get_text_config") else self.config
        limits = [getattr(self.processor, "model_max_length", None), getattr(text, "max_position_embeddings", None)]
        limits.append(self._positions)
        stated = [limit for limit in limits if limit is not None and 0 < limit < NO_LIMIT]
        return min(stated) if stated else None

    @property
    def special_ids(self) -> set[int]:
        """The tokenizer's special tokens, but for an unknown token that is nothing else; at least the mask."""
        if self.processor is None:
            return set() if self.mask_id is None else {self.mask_id}
        t = self.processor
        named = {t.pad_token_id, t.mask_token_id, t.bos_token_id, t.eos_token_id, t.cls_token_id, t.sep_token_id}
        unknown = {t.unk_token_id} - named
        return set(t.all_special_ids) - unknown

    def group(self, inputs: Mapping[str, Tensor]) -> int:
        """How many masks a text for a masked language model has, or which two continuations: they are read together."""
        if CONTINUATIONS[1] in inputs:
            return fingerprint([inputs[name] for name in CONTINUATIONS])
        if self.task != "fill-mask" or self.mask_id is None:
            return 0
        return int((inputs["input_ids"] == self.mask_id).sum())

    def _encoded(
        self, row: dict[str, Tensor], added: Tensor, segments: Tensor | None, notes: tuple[str, ...]
    ) -> Encoded:
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
        shape = LeafShape("tokens", axes, lengths)
        view, group = TEXT_VIEW, self.group(row)
        return Encoded(shape, row, content=content, names=names, view=view, notes=notes, group=group)

    def name_tokens(self, ids: Sequence[int]) -> list[str]:
        """Each token in readable form."""
        return readable(self.processor, ids)

    def _check_ids(self, ids: Tensor) -> None:
        size = self.swap.entries or getattr(self.config, "vocab_size", None)
        if ids.numel() and (int(ids.min()) < 0 or (size is not None and int(ids.max()) >= size)):
            got = f"token ids from {int(ids.min())} to {int(ids.max())}"
            raise InputError(
                got, f"0 to {(size or 0) - 1}" if size else "none below 0", "use the model's own tokenizer"
            )

    def _hidden(self, row: Mapping[str, Tensor]) -> int:
        """The embedding's width, asked of the module once; a model that declares none runs once to show it."""
        if self._width is None:
            with held(self.model):
                if not self.swap.known:
                    self._check_ids(row["input_ids"])
                    inputs = {name: tensor.unsqueeze(0).to(self.device, copy=True) for name, tensor in row.items()}
                    self.swap.locate(lambda: self.run(**inputs), inputs["input_ids"])
                ids = torch.zeros(1, 1, dtype=torch.long, device=self.device)
                self._width = self.swap.embed(ids).shape[-1]
        return self._width

    def block(self, examples: Sequence[Encoded], draw: Draw) -> Block:
        """Texts of one length and one pattern of segments."""
        if CONTINUATIONS[0] not in examples[0].inputs:
            return self.blocks.get(self.task, TextBlock)(self, examples, draw)
        block = ContinuedBlock(self, examples, draw)
        if block.truth is not None:
            block.head = OutputHead(self.processor)
        return block

    def aim(self, example: Encoded, target: Target) -> tuple[Encoded, Target]:
        """An example with the continuation or the output that is explained; tokens and answers found by their text.

        Raises:
            TargetError: If the head has no such target, or the text does not have these tokens.
        """
        if isinstance(target, At) and isinstance(target.position, str):
            if target.position not in example.names:
                some = ", ".join(map(repr, example.names[:8])) or "no named tokens"
                raise TargetError(f"token {target.position!r}", f"one of {some}", "correct `target`, or pass a number")
            target = replace(target, position=example.names.index(target.position))
        if self.task == "question-answering" and isinstance(target, str):
            return example, self._found(example, target)
        if self.task == "text2text-generation" and not callable(target):
            added = written(self, example) if target is None else given_output(self, self.processor, target)
            if not encodes(self.model):
                return self._continued(example, added[OUTPUT].tolist()), None
            return replace(example, inputs={**example.inputs, **added}), None
        if self.task == "text-generation":
            own = {name: tensor for name, tensor in example.inputs.items() if name not in CONTINUATIONS}
            example = replace(example, inputs=own, group=0)
            if isinstance(target, Continuation):
                return self._continued(example, target.text), None
            if isinstance(target, Contrast):
                return self._continued(example, target.this, target.other), Contrast(0, 1)
        return super().aim(example, target)

    def _found(self, example: Encoded, answer: str) -> Span:
        """The first place where the content has the tokens of an answer, the question left aside."""
        content = example.inputs["input_ids"][example.content].tolist()
        first = sum(example.leaf.segments[:-1])
        for form in (answer, f" {answer}"):
            ids = self._ids(form)
            for start in range(first, len(content) - len(ids) + 1):
                if ids and content[start : start + len(ids)] == ids:
                    return Span(start, start + len(ids) - 1)
        raise TargetError(f"the answer {answer!r}", "words of the context", "correct `target`, or pass a Span")

    def _continued(self, example: Encoded, *texts: Any) -> Encoded:
        """An example that continues, its filling on the right left out: it would come in between."""
        ids, mask = example.inputs["input_ids"], example.inputs.get("attention_mask")
        end = len(ids) if mask is None or mask.ndim != 1 else int(mask.nonzero().max()) + 1
        inputs = {n: t[:end] if n in ("input_ids", *_PER_TOKEN) else t for n, t in example.inputs.items()}
        for name, text in zip(CONTINUATIONS, texts, strict=False):
            tail = self._following(ids[example.content].tolist(), text)
            if not tail or (self.limit is not None and end + len(tail) > self.limit):
                got = f"a continuation of {len(tail)} tokens behind {end}"
                raise TargetError(got, f"at least one, at most {self.limit} in all", "change the continuation")
            inputs[name] = torch.tensor(tail, dtype=torch.long)
            self._check_ids(inputs[name])
        return replace(example, inputs=inputs, group=self.group(inputs))

    def _following(self, content: list[int], text: Any) -> list[int]:
        """The ids of a continuation: what it adds to the text's own where the tokenizer keeps those."""
        if not isinstance(text, str):
            return [whole(one) for one in ([text] if isinstance(text, int) else text)]
        if self.processor is None:
            raise TargetError(f"continuation {text!r} without a tokenizer", "token ids", "pass the tokenizer")
        together = self._ids(self.processor.decode(content) + text)
        return together[len(content) :] if together[: len(content)] == content else self._ids(text)

    def _ids(self, text: str) -> list[int]:
        """A text's ids without special tokens."""
        if self.processor is None:
            raise TargetError(f"{text!r} without a tokenizer", "token numbers", "pass the tokenizer")
        with unchanged(self.processor):
            return list(self.processor(whole_text(text), add_special_tokens=False, verbose=False)["input_ids"])


def readable(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Each token as text: byte-level pieces decoded, with the tokenizer's own form where a piece is not whole."""
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    decoded = [tokenizer.decode([i]) for i in ids]
    named = [str(i) if token is None else str(token) for i, token in zip(ids, tokens, strict=True)]
    return [token if not text or "\ufffd" in text else text for token, text in zip(named, decoded, strict=True)]


@contextmanager
def unchanged(tokenizer: Any) -> Iterator[None]:
    """Inside, a tokenizer may be called, by no other thread; its backend's truncation and padding are then as before.

    A call sets both for the tokenizer as a whole: a text could be cut as another thread's is.
    """
    with taken(tokenizer):
        backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if not hasattr(backend, "enable_truncation"):
            yield
            return
        truncation, padding = backend.truncation, backend.padding
        try:
            yield
        finally:
            if backend.truncation != truncation:
                backend.no_truncation() if truncation is None else backend.enable_truncation(**truncation)
            if backend.padding != padding:
                backend.no_padding() if padding is None else backend.enable_padding(**padding)


def _sequences(encoding: Any, row: int) -> Tensor | None:
    """Which text of a pair each token belongs to, −1 for special tokens; None where the tokenizer cannot say."""
    try:
        numbers = encoding.sequence_ids(row)
    except (AttributeError, ValueError, IndexError):
        return None
    return torch.tensor([-1 if number is None else number for number in numbers])


def _positions(module: torch.nn.Module) -> int | None:
    """How many positions a table has for tokens that are counted from behind the padding's index (RoBERTa's kin)."""
    if not isinstance(module, torch.nn.Embedding) or module.padding_idx is None:
        return None
    return module.num_embeddings - module.padding_idx - 1
