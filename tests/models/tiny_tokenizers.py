"""Tiny fast tokenizers over words "w5" to "w63", one id each, with the special tokens' ids of `zoo`."""

from __future__ import annotations

from typing import Any

from tests.models.tiny_models import BEGIN, END, MASK, PAD, UNKNOWN, VOCABULARY

#: Special tokens of a kind of tokenizer, in the order of their ids: pad, begin, end, unknown, mask.
_BERT = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
_ROBERTA = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
_TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
}


def tokenizer(kind: str = "bert", **options: Any) -> Any:
    """A tokenizer that puts its pairs together as BERT does, as RoBERTa does, or adds nothing ("gpt")."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = _BERT if kind == "bert" else _ROBERTA
    places = dict(zip((PAD, BEGIN, END, UNKNOWN, MASK), special, strict=True))
    vocabulary = {places.get(i, f"w{i}"): i for i in range(VOCABULARY)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=special[UNKNOWN]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if kind in _TEMPLATES:
        single, pair = _TEMPLATES[kind]
        marks = [(special[BEGIN], BEGIN), (special[END], END)]
        backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=marks)
    roles = ("pad_token", "bos_token" if kind == "gpt" else "cls_token", "eos_token" if kind == "gpt" else "sep_token")
    named = dict(zip((*roles, "unk_token", "mask_token"), special, strict=True))
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if kind == "bert" else [])
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named, model_input_names=names, **options)


def text(*ids: int) -> str:
    """The text whose content tokens have these ids."""
    return " ".join(f"w{i}" for i in ids)


def texts(count: int, seed: int = 0, lengths: tuple[int, ...] = (7, 12, 5)) -> list[str]:
    """Texts of several lengths, in turn."""
    import torch

    numbers = torch.Generator().manual_seed(seed)
    return [
        text(*torch.randint(MASK + 1, VOCABULARY, (lengths[i % len(lengths)],), generator=numbers).tolist())
        for i in range(count)
    ]


#: What the tokenizers below are trained on.
CORPUS = ["the capital of France is Paris", "is Paris Paris", "is paris in France", "London is not Paris", "Paris"] * 9


def spaced(kind: str = "bytes", **options: Any) -> Any:
    """A tokenizer whose tokens hold the space in front of a word: byte-level BPE ("bytes"), or SentencePiece's "▁"."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    if kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    else:
        backend = Tokenizer(models.BPE(unk_token="<unk>"))
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        backend.decoder = decoders.Metaspace(prepend_scheme="always")
        trainer = trainers.BpeTrainer(vocab_size=80, special_tokens=special)
    backend.train_from_iterator(CORPUS, trainer)
    named = dict(zip(("pad_token", "bos_token", "eos_token"), special, strict=False))
    if kind != "bytes":
        named["unk_token"] = "<unk>"
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named, model_input_names=names, **options)
