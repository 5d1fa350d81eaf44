"""Models that read texts, sequences and cells, and the plain answers to those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hf_fourier import FourierExplainer
from tests.models import test_dna, test_protein, test_single_cell, tiny_models, tiny_tokenizers
from tests.sweep import forms as f
from tests.sweep import references as r
from tests.sweep.references import Plain
from tests.sweep.subject import MASKS, Batch, Subject

# Texts.


def _words(numbers: np.random.Generator, least: int = 1, most: int = 12) -> str:
    return tiny_tokenizers.text(
        *numbers.integers(tiny_models.MASK + 1, tiny_models.VOCABULARY, numbers.integers(least, most + 1)).tolist()
    )


def _masked(numbers: np.random.Generator) -> str:
    return f"{_words(numbers)} [MASK] {_words(numbers)}"


def _residues(numbers: np.random.Generator) -> str:
    return "".join(numbers.choice(list(test_protein.RESIDUES), numbers.integers(1, 20)))


def _bases(numbers: np.random.Generator) -> str:
    return "".join(numbers.choice(list("ACGT"), numbers.integers(1, 20)))


def _choices(numbers: np.random.Generator) -> Any:
    length = int(numbers.integers(1, 5))
    return _words(numbers), [_words(numbers, length, length) for _ in range(int(numbers.integers(2, 4)))]


def _read(tokenizer: Any, content: Any, limit: int = 48) -> dict[str, torch.Tensor]:
    texts = content if isinstance(content, tuple) else (content,)
    row = tokenizer(*texts, truncation=True, max_length=limit, return_tensors="pt")
    return {name: tensor.long() for name, tensor in row.items() if name in tokenizer.model_input_names}


def _content(tokenizer: Any, ids: torch.Tensor) -> torch.Tensor:
    """The places of ids that are no special tokens; an unknown token is content."""
    named = {tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id}
    named |= {tokenizer.bos_token_id, tokenizer.eos_token_id}
    return torch.tensor([i for i, one in enumerate(ids.tolist()) if one not in named])


def _of_row(
    explain: FourierExplainer,
    row: dict[str, torch.Tensor],
    places: torch.Tensor,
    read: Callable[[Any], torch.Tensor],
    settle: Callable[[torch.Tensor], Any] = r.best,
    score: Callable[[torch.Tensor, Any], torch.Tensor] = r.log_p,
    segments: tuple[int, ...] = (),
) -> Plain:
    """A row of ids: the signal is what the embedding makes of some of them."""
    table = explain.model.get_input_embeddings()

    def outputs(signal: torch.Tensor) -> torch.Tensor:
        with r.embedded(table, places, signal):
            return read(explain.model(**row))

    with torch.no_grad():
        signal = table(row["input_ids"][0, places]).clone()
    return Plain(signal, outputs, settle, score, segments)


def _text(read: Callable[[Any, dict[str, Any], torch.Tensor], torch.Tensor], joint: str = "") -> Any:
    """A text, or a pair of them; of a sequence its letters with something in between."""

    def plain(explain: FourierExplainer, content: Any) -> Plain:
        row = _read(explain.processor, joint.join(content) if joint else content)
        places = _content(explain.processor, row["input_ids"][0])
        counts: tuple[int, ...] = ()
        if isinstance(content, tuple):
            counts = tuple(row["token_type_ids"][0, places].unique(return_counts=True)[1].tolist())
        segments = counts if len(counts) > 1 else ()
        return _of_row(explain, row, places, lambda out: read(out, row, places), segments=segments)

    return plain


def _prompt(explain: FourierExplainer, content: Any) -> Plain:
    """A prompt, of which the end is kept: that is what goes on."""
    whole = explain.processor(content, return_tensors="pt")
    row = {name: whole[name][:, -48:] for name in ("input_ids", "attention_mask")}
    places = _content(explain.processor, row["input_ids"][0])
    return _of_row(explain, row, places, lambda out: out.logits[0, -1])


def _bases_read(explain: FourierExplainer, content: Any) -> Plain:
    row = _read(explain.processor, content, 66)
    places = _content(explain.processor, row["input_ids"][0])
    return _of_row(explain, row, places, lambda out: out.logits[0])


def _chosen(explain: FourierExplainer, content: Any) -> Plain:
    """A prompt beside each of several choices of one length."""
    prompt, choices = content
    tokenizer, table = explain.processor, explain.model.get_input_embeddings()
    rows = tokenizer(
        [prompt] * len(choices), choices, truncation=True, max_length=48, padding=True, return_tensors="pt"
    )
    ids, parts = rows["input_ids"], rows["token_type_ids"]
    places = [_content(tokenizer, row) for row in ids]
    segments = [
        int(n) for row, p in zip(parts, places, strict=True) for n in (row[p] == 0, row[p] == 1) for n in [n.sum()]
    ]
    index = torch.cat([torch.full_like(p, i) for i, p in enumerate(places)]), torch.cat(places)

    def outputs(signal: torch.Tensor) -> torch.Tensor:
        hook = table.register_forward_hook(lambda m, a, own: own.index_put(index, signal.to(own)))
        try:
            one = [explain.model(**{n: t[None] for n, t in rows.items()}).logits[0]]
        finally:
            hook.remove()
        return one[0]

    with torch.no_grad():
        signal = table(ids)[index].clone()
    return Plain(signal, outputs, r.best, r.log_p, tuple(n for n in segments if n))


def _classes(out: Any, row: Any, places: Any) -> torch.Tensor:
    return out.logits[0]


def _tags(out: Any, row: Any, places: Any) -> torch.Tensor:
    return out.logits[0, places]


def _at_the_mask(out: Any, row: Any, places: Any) -> torch.Tensor:
    return out.logits[0, row["input_ids"][0] == tiny_models.MASK]


def _answer(explain: FourierExplainer, content: Any) -> Plain:
    row = _read(explain.processor, content)
    ids = row["input_ids"][0]
    places, parts = _content(explain.processor, ids), row["token_type_ids"][0]
    context = [int(i) for i in places if parts[i] == 1]
    question = len(places) - len(context)

    def read(out: Any) -> torch.Tensor:
        return torch.stack([out.start_logits[0, context], out.end_logits[0, context]])

    def settle(outputs: torch.Tensor) -> Any:
        return [place + question for place in r.span(outputs)]

    def score(outputs: torch.Tensor, target: Any) -> torch.Tensor:
        return r.span_log_p(outputs, [place - question for place in target])

    segments = (question, len(context)) if question and context else ()
    return _of_row(explain, row, places, read, settle, score, segments)


def _batched(tokenizer: Any, contents: list[Any], how: str) -> Batch:
    """Rows that are padded right or left, with masks of several types."""
    texts = list(zip(*contents, strict=True)) if isinstance(contents[0], tuple) else [contents]
    side, kind = how.split()
    own = list(map(list, texts))
    batch = dict(tokenizer(*own, padding=True, padding_side=side, return_tensors="pt", truncation=True, max_length=48))
    return {name: tensor if name == "input_ids" else MASKS[kind](tensor) for name, tensor in batch.items()}


def _words_in(explain: FourierExplainer, contents: list[Any], how: str) -> Batch:
    return _batched(explain.processor, contents, how)


# Cells.


def _cell(numbers: np.random.Generator) -> dict[str, Any]:
    genes = [
        test_single_cell.GENES[i]
        for i in numbers.permutation(len(test_single_cell.GENES) - 1)[: numbers.integers(1, 30)]
    ]
    return {"genes": genes, "values": (numbers.permutation(100)[: len(genes)] + 1).astype(float).tolist()}


def _ranks(explain: FourierExplainer, cell: dict[str, Any]) -> Plain:
    """The genes by their share of the median, highest first."""
    tokens, medians = explain.processor.tokens, explain.processor.medians
    known = sorted(zip(cell["genes"], cell["values"], strict=True), key=lambda one: -one[1] / medians[one[0]])
    ids = torch.tensor([[tokens["<cls>"], *(tokens[gene] for gene, _ in known), tokens["<eos>"]]])
    row = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return _of_row(explain, row, torch.arange(1, ids.shape[1] - 1), lambda out: out.logits[0])


def _reader(task: str, name: str, kind: str = "bert") -> Callable[[], FourierExplainer]:
    return lambda: FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer(kind), task=task)


_ROWS = tuple(f"{side} {kind}" for side in ("right", "left") for kind in MASKS)
_WORDS = {"forms": f.TEXTS, "batch": _words_in, "hows": _ROWS}

SUBJECTS: dict[str, Subject] = {
    "text": Subject(_reader("text-classification", "bert"), _words, plain=_text(_classes), **_WORDS),
    "pairs": Subject(
        _reader("text-classification", "bert"), lambda n: (_words(n), _words(n)), plain=_text(_classes), **_WORDS
    ),
    "decoder": Subject(_reader("text-classification", "gpt2", "gpt"), _words, plain=_text(_classes), **_WORDS),
    "tags": Subject(_reader("token-classification", "bert"), _words, plain=_text(_tags), **_WORDS),
    "masked": Subject(_reader("fill-mask", "bert"), _masked, plain=_text(_at_the_mask), **_WORDS),
    "next": Subject(_reader("text-generation", "llama", "gpt"), _words, plain=_prompt, **_WORDS),
    "answers": Subject(
        _reader("question-answering", "bert"), lambda n: (_words(n), _words(n, 2)), plain=_answer, **_WORDS
    ),
    "choices": Subject(_reader("multiple-choice", "bert"), _choices, f.TEXTS, _chosen),
    "protein": Subject(
        lambda: test_protein.explainer("text-classification", "bert"), _residues, f.SEQUENCES, _text(_classes, " ")
    ),
    "dna": Subject(lambda: test_dna.explainer("bases"), _bases, f.SEQUENCES, _bases_read),
    "cells": Subject(lambda: test_single_cell.explainer("text-classification", "V2"), _cell, f.CELLS, _ranks),
}
