"""Small configs of any architecture: its own defaults, with every field that looks like a size made small."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

#: Entries of each vocabulary.
VOCABULARY = 128
#: Sides of pictures.
SIDE = 64
#: What a field is made of its default, by its name; the first that fits. None leaves it alone.
_Rule = Callable[[int], int | None]


def _to(most: int) -> _Rule:
    return lambda value: min(value, most)


_WIDTH, _INNER, _HEADS, _HEAD = 32, 48, 4, 8
_KEYS = r"(num_)?(key_value|kv)_heads|.*num_key_value_heads|kv_n_heads|n_head_kv|n_kv_heads"
_RULES: tuple[tuple[str, _Rule], ...] = (
    (r"type_vocab_size|.*_type_vocab_size|entity_vocab_size", lambda value: None),
    (r".*vocab(_size)?|.*vocab_size.*|num_embeddings|num_hash_buckets|codebook_size|num_centroids", _to(VOCABULARY)),
    (_KEYS, _to(2)),
    (r"rotary_dim|partial_rotary_dim", _to(_HEAD)),
    (
        r".*attention_heads|num_heads|n_heads?|.*_n_heads|.*_num_heads|linear_num_key_heads|mamba_n(um)?_heads",
        _to(_HEADS),
    ),
    (r"linear_num_value_heads", _to(2 * _HEADS)),
    (r"qk_head_dim", _to(2 * _HEAD)),
    (r".*head_dim|d_kv|.*_head_size|head_size", _to(_HEAD)),
    (r"(kv|q|o)_lora_rank|.*lora_rank|.*_rank", _to(16)),
    (r"num_kv_shared_layers", _to(0)),
    (r"num_adapter_layers|num_feat_extract_layers|first_k_dense_replace|max_window_layers", lambda value: None),
    (r".*(hidden|encoder|decoder)_layers|n_layers?|num_layers|.*_layers|num_blocks|depth", _to(2)),
    (r"moe_intermediate_size|.*expert_intermediate_size|expert_ffn_hidden_size", _to(_WIDTH)),
    (r".*intermediate_size|.*ffn_dim|d_ff|dff|dim_ff|d_inner|n_inner|ffn_hidden_size|mlp_dim|.*_mlp_size", _to(_INNER)),
    (r"hidden_dim|intermediate_dim|ffn_embed_dim", _to(_INNER)),
    (r"num_experts_per_tok|moe_top_k|moe_k|num_experts_per_token|top_k_experts|moe_topk", _to(2)),
    (r"num_experts|num_local_experts|n_routed_experts|moe_num_experts|zero_expert_num", _to(4)),
    (r"n_group", _to(2)),
    (r"topk_group", _to(1)),
    (r"hidden_size|d_model|n_embd|dim|emb_dim|.*embed_dim|.*embedding_size|.*hidden_size|.*hidden_dim", _to(_WIDTH)),
    (r".*projection_dim|.*_proj_dim|.*proj_size|projection_size|feature_size|.*feature_dim", _to(_WIDTH)),
    (r"image_size|input_size|pretrain_image_size", _to(SIDE)),
    (r"num_queries|num_denoising|two_stage_num_proposals|num_query_tokens", _to(8)),
    (r"num_frames|max_num_frames", _to(8)),
    (r"max_source_positions", _to(100)),
)
#: Ids of tokens with a meaning, which are put in order where the vocabulary has become too small for them.
_MARKS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 3, "cls_token_id": 4}
#: What a config has that is no part of the architecture.
_PLAIN = {"transformers_version", "architectures", "model_type", "id2label", "label2id", "_name_or_path", "dtype"}


def small(config_class: type, changes: Mapping[str, Any], shallow: bool = False) -> Any:
    """A small config.

    Args:
        config_class: The architecture's.
        changes: Fields to set beside; `sub.field` for those of a sub-config.
        shallow: Leave the widths alone, and make only layers, vocabularies and pictures few and small.

    Raises:
        Exception: Whatever the config class raises.
    """
    config = config_class()
    return config_class(**_shrunk(config, dict(changes), shallow))


def _shrunk(config: Any, changes: dict[str, Any], shallow: bool) -> dict[str, Any]:
    """The arguments that make a config small."""
    own = {name: value for name, value in config.to_dict().items() if name not in _PLAIN}
    fields: dict[str, Any] = {}
    parts = {name: part for name, part in vars(config).items() if hasattr(part, "to_dict")}
    kept = _layers(own)
    shallow = shallow or any(isinstance(own.get(n), (list, tuple)) for n in _BY_STAGE)
    for name, value in own.items():
        if name in parts:
            inner = {n.partition(".")[2]: v for n, v in changes.items() if n.startswith(f"{name}.")}
            # Whole: the parent's defaults for it are not those of its class.
            fields[name] = {**parts[name].to_dict(), **_shrunk(parts[name], inner, shallow)}
            continue
        made = _field(name, value, own, kept, shallow)
        if made is not None:
            fields[name] = made
    _ids(own, fields)
    fields.update({name: value for name, value in changes.items() if "." not in name})
    for name in [n for n in changes if "." not in n and changes[n] is ...]:
        fields.pop(name)
    return fields


#: Where these are lists, widths grow from stage to stage and have to go with them.
_BY_STAGE = ("num_heads", "num_attention_heads", "depths", "hidden_sizes")


def _layers(own: Mapping[str, Any]) -> list[int] | None:
    """Which layers stay where each has a kind of its own: the first of each kind, at least two."""
    depth = _depth(own)
    lists = [v for n, v in own.items() if isinstance(v, (list, tuple)) and depth and len(v) == depth and _named(n)]
    if not lists or depth is None:
        return None
    kinds, chosen = set(), []
    for i, kind in enumerate(zip(*(map(str, one) for one in lists), strict=True)):
        if kind not in kinds:
            kinds.add(kind)
            chosen.append(i)
    rest = [i for i in range(depth) if i not in chosen]
    return sorted(chosen + rest[: max(0, 2 - len(chosen))])


#: Lists longer than this that are as long as there are layers have an entry for each layer.
_FEW = 8


def _depth(own: Mapping[str, Any]) -> int | None:
    return next((own[n] for n in ("num_hidden_layers", "num_layers", "n_layer") if isinstance(own.get(n), int)), None)


def _named(field: str) -> bool:
    return field.endswith(("types", "_layers", "per_layer", "pattern")) or "layer" in field


def _field(name: str, value: Any, own: Mapping[str, Any], kept: list[int] | None, shallow: bool) -> Any:
    """The small value of one field; None where it stays."""
    depth = _depth(own)
    if name == "head_dim" and value is None:  # some architectures compute it where they do not read it
        return None if shallow else _HEAD
    if name == "image_size" and "window_size" in own:
        return None  # windows have to fit at every stage
    if name == "num_key_value_heads" and value is None and not shallow:
        return _HEADS if isinstance(own.get("num_attention_heads"), int) else None
    if name == "per_layer_config" and isinstance(value, dict):
        moved = {old: new for new, old in enumerate(kept or range(2))}
        some = {moved[int(k)]: one for k, one in value.items() if int(k) in moved}
        return {k: {n: _scalar(n, v, shallow) for n, v in one.items()} for k, one in some.items()}
    if isinstance(value, (list, tuple)) and len(value) == depth and (depth > _FEW or (kept and _named(name))):
        return [_scalar(name, value[i], shallow) for i in kept or range(2)]
    if name in ("num_hidden_layers", "num_layers", "n_layer") and kept is not None:
        return len(kept)
    outputs = own.get("out_indices")
    if isinstance(outputs, (list, tuple)) and outputs and max(outputs) > 5:  # of a backbone whose stages are its layers
        taken = max(2, len(outputs))
        places = list(range(taken + 1 - len(outputs), taken + 1))
        if name in ("num_hidden_layers", "out_indices", "out_features"):
            return {"num_hidden_layers": taken, "out_indices": places}.get(name, [f"stage{i}" for i in places])
    if name in ("depths", "layers_per_stage", "num_blocks", "stage_num_blocks") and isinstance(value, (list, tuple)):
        return [1 if isinstance(one, int) else one for one in value]
    if name == "conv_dim" and isinstance(value, (list, tuple)):
        return [min(_WIDTH, one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool):
        if not shallow and re.fullmatch(_KEYS, name) and value == own.get("num_attention_heads", own.get("n_head")):
            return min(value, _HEADS)  # as many as there are heads, and some architectures take nothing else
        made = _scalar(name, value, shallow)
        return made if made != value else None
    return None


_DEEP = re.compile(
    r".*layers?|n_layers?|depth|.*vocab.*|image_size|num_queries|num_denoising|num_frames|.*experts.*|.*_positions"
)


def _scalar(name: str, value: Any, shallow: bool) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if shallow and not _DEEP.fullmatch(name):
        return value
    for pattern, rule in _RULES:
        if re.fullmatch(pattern, name):
            made = rule(value)
            return value if made is None else made
    return value


def _ids(own: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """Ids that lie beyond the small vocabulary, each on a place of its own."""
    if "vocab_size" not in own and not any(isinstance(v, dict) and "vocab_size" in v for v in own.values()):
        return
    free = iter(range(VOCABULARY - 1, 0, -1))
    for name, value in own.items():
        if not name.endswith(("_token_id", "_token_index", "_id")):
            continue
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], int):
            if max(value) >= VOCABULARY:
                fields[name] = _MARKS.get(name, next(free))
        elif isinstance(value, int) and not isinstance(value, bool) and value >= VOCABULARY:
            fields[name] = _MARKS.get(name, next(free))
