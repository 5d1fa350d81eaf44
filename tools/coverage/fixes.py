"""What the rules of `shrinking` do not settle, by architecture, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fix:
    """Fields of one architecture's config.

    Attributes:
        reason: Why the rules do not do.
        changes: The fields, `sub.field` for those of a sub-config.
    """

    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)


_RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "out_features": ["stage2", "stage3", "stage4"],
}
_TIMM = Fix(
    "the default backbone is of timm; another one stands in its place",
    {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None, "backbone_config": _RESNET},
)
_LAST = Fix(_TIMM.reason, {**_TIMM.changes, "backbone_config": {**_RESNET, "out_features": ["stage4"]}})
_MIXED = "kinds of layers follow a period; two of them have to hold both kinds"
_UNSET = "the default leaves open what every checkpoint sets"
_DERIVED = "sizes that have to agree with one another"
_FOUR = [f"stage{i}" for i in (1, 2, 3, 4)]
_ZAMBA = {
    "num_hidden_layers": 4,
    "layers_block_type": ["mamba", "hybrid"] * 2,
    "attention_head_dim": 16,
    "attention_hidden_size": 64,
}
_NGRAMS = {
    "ple_layer_ids": [1],
    "ple_embed_dim": 32,
    "heads_per_ngram": 2,
    "ngram_vocab_size_base": 200,
    "make_ngram_vocab_size_divisible_by": 8,
    "split_ngram_parts": 1,
    "indexer_n_heads": 4,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 8,
    "indexer_compress_ratio": 2,
}

FIXES: dict[str, Fix] = {
    "bamba": Fix(_MIXED, {"attn_layer_indices": [1], "mamba_n_heads": 4, "mamba_d_head": 16}),
    "beit": Fix(
        "four layers feed the decoder", {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4], "out_features": _FOUR}
    ),
    "conditional_detr": _LAST,
    "dab-detr": _LAST,
    "data2vec-vision": Fix(
        "four layers feed the decoder", {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4], "out_features": _FOUR}
    ),
    "dbrx": Fix("sub-configs of the default lack what the model reads", {"attn_config.rope_theta": 10000.0}),
    "deepseek_v2": Fix(_UNSET, {"num_experts_per_tok": 2, "topk_method": "greedy", "n_group": 1, "topk_group": 1}),
    "deformable_detr": _TIMM,
    "detr": _LAST,
    "dots1": Fix(_UNSET, {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1}),
    "dpt": Fix(
        "four layers feed the neck",
        {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16]},
    ),
    "esm": Fix(_UNSET, {"vocab_size": 128, "mask_token_id": 4, "pad_token_id": 0}),
    "fun_asr_nano": Fix(_DERIVED, {"adaptor_config.intermediate_size": 8}),
    "granitemoehybrid": Fix(_MIXED, {"layer_types": ["mamba", "attention"], "mamba_n_heads": 4, "mamba_d_head": 16}),
    "jamba": Fix(_MIXED, {"attn_layer_period": 2, "attn_layer_offset": 1}),
    "lfm2_moe": Fix(_UNSET, {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1}),
    "mamba2": Fix(_DERIVED, {"num_heads": 8, "head_dim": 8, "n_groups": 2}),
    "nemotron_h": Fix(_MIXED, {"layers_block_type": ["mamba", "attention"], "mamba_num_heads": 8, "n_groups": 2}),
    "patchtst": Fix("the default classifies into one class", {"num_targets": 3}),
    "patchtsmixer": Fix("as many classes as for the others", {"num_targets": 3}),
    "perceiver": Fix("widths with names of their own", {"num_latents": 8, "d_latents": 32, "num_blocks": 1}),
    "qwen4_exp": Fix(_UNSET, {f"text_config.{name}": value for name, value in _NGRAMS.items()}),
    "qwen4_exp_text": Fix(_UNSET, _NGRAMS),
    "recurrent_gemma": Fix(_MIXED, {"num_hidden_layers": 3, "num_key_value_heads": 1}),
    "table-transformer": _LAST,
    "wav2vec2-bert": Fix(_UNSET, {"vocab_size": 32}),
    "wav2vec2-conformer": Fix(_UNSET, {"vocab_size": 32}),
    "xmod": Fix(_UNSET, {"default_language": "en_XX"}),
    "zamba": Fix(_MIXED, _ZAMBA),
    "zamba2": Fix(_MIXED, {**_ZAMBA, "n_mamba_heads": 4}),
}
