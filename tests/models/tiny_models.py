"""Tiny models of many architectures with fresh weights, built from transformers' own config classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

VOCABULARY = 64
#: The ids of the tokenizers in `words.py`.
PAD, BEGIN, END, UNKNOWN, MASK = 0, 1, 2, 3, 4

_SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_ENCODER = {**_SMALL, "intermediate_size": 48, "max_position_embeddings": 48, "pad_token_id": PAD, "num_labels": 3}
_MARKS = {"bos_token_id": BEGIN, "eos_token_id": END}
_LLAMA = {**_ENCODER, **_MARKS, "num_key_value_heads": 2, "head_dim": 8}
_BART = {
    **_MARKS, "vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "pad_token_id": PAD,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
    "max_position_embeddings": 48, "num_labels": 3, "decoder_start_token_id": END, "forced_eos_token_id": END,
}  # fmt: skip
_T5 = {
    "vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "num_labels": 3,
    "pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD,
}  # fmt: skip
_GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 48,
    "num_labels": 3,
    **_MARKS,
}
_ESM = {**_ENCODER, "mask_token_id": MASK, "token_dropout": True}
_OPT = {**_ENCODER, **_MARKS, "ffn_dim": 48, "word_embed_proj_dim": 16}
_VIT = {
    "image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "num_labels": 3,
}  # fmt: skip

#: name: (class stem, what its config differs in)
CLASSIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", _ENCODER),
    "roberta": ("Roberta", _ENCODER),
    "xlm-roberta": ("XLMRoberta", _ENCODER),
    "camembert": ("Camembert", _ENCODER),
    "mpnet": ("MPNet", _ENCODER),
    "distilbert": (
        "DistilBert",
        {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "num_labels": 3},
    ),
    "albert": ("Albert", {**_ENCODER, "embedding_size": 16}),
    "deberta-v2": ("DebertaV2", {**_ENCODER, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    "electra": ("Electra", {**_ENCODER, "embedding_size": 16}),
    "esm": ("Esm", {**_ESM, "position_embedding_type": "absolute"}),
    "esm-rotary": ("Esm", {**_ESM, "position_embedding_type": "rotary"}),
    "longformer": ("Longformer", {**_ENCODER, "attention_window": 4, "sep_token_id": END}),
    "xlnet": (
        "XLNet",
        {"vocab_size": VOCABULARY, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "num_labels": 3},
    ),
    "gpt2": ("GPT2", {**_GPT2, "pad_token_id": PAD}),
    "gpt2-unpadded": ("GPT2", {**_GPT2, "pad_token_id": None}),
    "llama": ("Llama", _LLAMA),
    "qwen2": ("Qwen2", _LLAMA),
    "gemma": ("Gemma", _LLAMA),
    "bart": ("Bart", _BART),
    "t5": ("T5", _T5),
}
TAGGERS: dict[str, tuple[str, dict[str, Any]]] = {
    name: CLASSIFIERS[name]
    for name in ("bert", "roberta", "distilbert", "deberta-v2", "longformer", "xlnet", "esm", "gpt2", "llama")
}
ANSWERERS: dict[str, tuple[str, dict[str, Any]]] = {
    name: CLASSIFIERS[name]
    for name in ("bert", "roberta", "mpnet", "longformer", "xlnet", "gpt2", "llama", "bart", "t5")
}
WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bart": ("Bart", {**_BART, "forced_eos_token_id": None}),
    "t5": ("T5", _T5),
    "pegasus": ("Pegasus", {**_BART, "forced_eos_token_id": None}),
    "mt5": ("MT5", _T5),
}
EMBEDDERS: dict[str, tuple[str, dict[str, Any]]] = {name: CLASSIFIERS[name] for name in ("bert", "mpnet", "llama")}
CHOOSERS: dict[str, tuple[str, dict[str, Any]]] = {
    name: CLASSIFIERS[name] for name in ("bert", "roberta", "distilbert", "albert", "longformer", "xlnet")
}
MASKED: dict[str, tuple[str, dict[str, Any]]] = {
    name: CLASSIFIERS[name] for name in ("bert", "roberta", "esm", "esm-rotary")
}
CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": CLASSIFIERS["gpt2"],
    "llama": CLASSIFIERS["llama"],
    "llama-tied": ("Llama", {**_LLAMA, "tie_word_embeddings": True}),
    "opt": ("OPT", _OPT),
    "bloom": ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4, "pad_token_id": PAD}),
    "gpt-neox": ("GPTNeoX", _ENCODER),
}
VISION: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("ViT", _VIT),
    "beit": ("Beit", _VIT),
    "resnet": (
        "ResNet",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "num_labels": 3},
    ),
    "convnext": ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "num_labels": 3}),
    "swin": (
        "Swin",
        {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4,
         "num_labels": 3},
    ),
    "mobilenet-v2": ("MobileNetV2", {"image_size": 32, "depth_multiplier": 0.25, "num_labels": 3}),
    "efficientnet": (
        "EfficientNet",
        {"image_size": 32, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 128, "num_labels": 3},
    ),
}  # fmt: skip

_HEADS = {
    "text-classification": ("ForSequenceClassification", CLASSIFIERS),
    "fill-mask": ("ForMaskedLM", MASKED),
    "text-generation": ("ForCausalLM", CAUSAL),
    "token-classification": ("ForTokenClassification", TAGGERS),
    "question-answering": ("ForQuestionAnswering", ANSWERERS),
    "text2text-generation": ("ForConditionalGeneration", WRITERS),
    "feature-extraction": ("Model", EMBEDDERS),
    "multiple-choice": ("ForMultipleChoice", CHOOSERS),
    "image-classification": ("ForImageClassification", VISION),
}
_NAMES = {
    ("GPT2", "ForCausalLM"): "GPT2LMHeadModel",
    ("XLNet", "ForQuestionAnswering"): "XLNetForQuestionAnsweringSimple",
}


def build(task: str, name: str, seed: int = 0, **changes: Any) -> torch.nn.Module:
    """One model in evaluation mode, its weights drawn from `seed` without touching the global generator."""
    import transformers

    ending, table = _HEADS[task]
    stem, options = table[name]
    two = {"num_labels": 2} if task == "question-answering" else {}
    config = getattr(transformers, f"{stem}Config")(**{**options, **two, **changes})
    made: Callable[..., torch.nn.Module] = getattr(transformers, _NAMES.get((stem, ending), stem + ending))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = made(config).eval()
        enliven(model)
    return model


def enliven(model: torch.nn.Module) -> None:
    """Weights with which outputs differ visibly and no gradient underflows.

    Default weights are so small that deep convolutional nets say the same of every picture: Kaiming weights, and batch
    norms that have seen the signal, do not.
    """
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and norms:
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, torch.nn.Embedding):
            with torch.no_grad():
                module.weight.normal_(std=0.5)
                if module.padding_idx is not None:
                    module.weight[module.padding_idx].zero_()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model(pixel_values=torch.randn(8, 3, 32, 32))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def everything(*tasks: str) -> list[tuple[str, str]]:
    """All (task, name) of these heads."""
    return [(task, name) for task in tasks for name in _HEADS[task][1]]


def batch(padded: str = "none", rows: int = 3, length: int = 9, masks: bool = False) -> dict[str, torch.Tensor]:
    """Ids with marks at both ends as a tokenizer makes them, rows of several lengths padded "right" or "left"."""
    numbers = torch.Generator().manual_seed(3)
    ids = torch.randint(MASK + 1, VOCABULARY, (rows, length), generator=numbers)
    attended = torch.ones_like(ids)
    for row in range(rows):
        short = 0 if padded == "none" else 2 * row
        text = ids[row, : length - short].clone()
        text[0], text[-1] = BEGIN, END
        if masks:
            text[2] = MASK
        filling = torch.full((short,), PAD)
        ids[row] = torch.cat([filling, text] if padded == "left" else [text, filling])
        attended[row] = (torch.arange(length) >= short) if padded == "left" else (torch.arange(length) < length - short)
    return {"input_ids": ids, "attention_mask": attended, "special_tokens_mask": (ids <= MASK).long()}
