"""Tiny audio classifiers with fresh weights beside their own feature extractors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.models.tiny_models import enliven

RATE = 16_000
_LABELS = {"id2label": {0: "drum", 1: "flute", 2: "voice"}, "label2id": {"drum": 0, "flute": 1, "voice": 2}}
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, **_LABELS}
_WAVE = {
    **_SMALL, "conv_dim": (16, 16, 16), "conv_kernel": (10, 3, 2), "conv_stride": (5, 2, 2),
    "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16, "vocab_size": 64, "tdnn_dim": (16, 16, 16, 16, 24), "xvector_output_dim": 12,
}  # fmt: skip
_WHISPER = {
    "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_layers": 1,
    "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "num_mel_bins": 16, "max_source_positions": 50,
    "vocab_size": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
    "classifier_proj_size": 16, **_LABELS,
}  # fmt: skip
_AST = {**_SMALL, "num_mel_bins": 16, "max_length": 98, "patch_size": 8, "frequency_stride": 6, "time_stride": 6}
_CONFORMER = {
    **_SMALL, "feature_projection_input_dim": 32, "conv_depthwise_kernel_size": 5, "classifier_proj_size": 16,
    "vocab_size": 64, "tdnn_dim": (16, 16, 16, 16, 24), "xvector_output_dim": 12,
}  # fmt: skip
_SEW = {**_WAVE, "squeeze_factor": 2}

#: name: (class stem, what its config differs in, feature extractor, its options)
MODELS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", _WAVE, "Wav2Vec2", {"return_attention_mask": False}),
    "wav2vec2-layer": (
        "Wav2Vec2",
        {**_WAVE, "feat_extract_norm": "layer", "do_stable_layer_norm": True},
        "Wav2Vec2",
        {"return_attention_mask": True},
    ),
    "wav2vec2-plain": ("Wav2Vec2", _WAVE, "Wav2Vec2", {"do_normalize": False}),
    "hubert": ("Hubert", _WAVE, "Wav2Vec2", {"return_attention_mask": True}),
    "wavlm": ("WavLM", {**_WAVE, "num_buckets": 20, "max_bucket_distance": 40}, "Wav2Vec2", {}),
    "sew": ("SEW", _SEW, "Wav2Vec2", {"return_attention_mask": True}),
    "unispeech-sat": ("UniSpeechSat", _WAVE, "Wav2Vec2", {}),
    "data2vec": ("Data2VecAudio", {**_WAVE, "num_conv_pos_embeddings": 2}, "Wav2Vec2", {}),
    "whisper": ("Whisper", _WHISPER, "Whisper", {"feature_size": 16, "chunk_length": 1}),
    "ast": ("AST", _AST, "AST", {"num_mel_bins": 16, "max_length": 98}),
    "wav2vec2-bert": ("Wav2Vec2Bert", _CONFORMER, "SeamlessM4T", {"feature_size": 16, "num_mel_bins": 16}),
}
_SPEECH = {
    **{key: value for key, value in _WHISPER.items() if key != "num_mel_bins"}, "input_feat_per_channel": 16,
    "conv_channels": 16, "max_source_positions": 200, "max_target_positions": 40,
}  # fmt: skip
#: Models that only write.
WRITERS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "speech-to-text": ("Speech2Text", _SPEECH, "Speech2Text", {"feature_size": 16, "num_mel_bins": 16}),
    "moonshine": (
        "Moonshine",
        {"vocab_size": 32, "hidden_size": 32, "intermediate_size": 48, "encoder_num_hidden_layers": 2,
         "decoder_num_hidden_layers": 1, "encoder_num_attention_heads": 4, "decoder_num_attention_heads": 4,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
        "Wav2Vec2",
        {"do_normalize": False, "return_attention_mask": True},
    ),
}  # fmt: skip
#: head: (how its classes end, models)
HEADS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ctc": ("ForCTC", ("wav2vec2", "wav2vec2-layer", "hubert", "wavlm", "sew", "data2vec", "wav2vec2-bert")),
    "audio-frame-classification": ("ForAudioFrameClassification", ("wav2vec2", "wavlm", "data2vec", "wav2vec2-bert")),
    "audio-xvector": ("ForXVector", ("wav2vec2", "wavlm", "unispeech-sat", "data2vec", "wav2vec2-bert")),
    "automatic-speech-recognition": ("ForConditionalGeneration", ("whisper", *WRITERS)),
    "audio-feature-extraction": ("Model", ("wav2vec2", "ast")),
}
WAVEFORMS = [name for name, entry in MODELS.items() if entry[2] == "Wav2Vec2"]
#: Those whose window is of a fixed length.
WINDOWS = ["whisper", "ast"]


def extractor(name: str) -> Any:
    """The feature extractor of one model."""
    import transformers

    _, _, stem, options = {**MODELS, **WRITERS}[name]
    return getattr(transformers, f"{stem}FeatureExtractor")(sampling_rate=RATE, **options)


def build(name: str, seed: int = 0, task: str = "audio-classification") -> torch.nn.Module:
    """One model in evaluation mode, its weights drawn from `seed` without touching the global generator."""
    import transformers

    stem, options, _, _ = {**MODELS, **WRITERS}[name]
    config = getattr(transformers, f"{stem}Config")(**options)
    own = "ForAudioClassification" if stem in ("Whisper", "AST") else "ForSequenceClassification"
    ending = HEADS[task][0] if task in HEADS else own
    made: Callable[..., torch.nn.Module] = getattr(transformers, stem + ending)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = made(config).eval()
        enliven(model)
    return model


def clip(samples: int, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A tone, its octave and some noise, float32."""
    numbers = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    pitch = numbers.uniform(200, 2000)
    sound = 0.4 * np.sin(2 * np.pi * pitch * time) + 0.2 * np.sin(4 * np.pi * pitch * time)
    return (sound + 0.05 * numbers.standard_normal(samples)).astype(np.float32)
