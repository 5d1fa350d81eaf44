"""A sample of every head and every kind of signal is built small and explained; the whole sweep is run on demand."""

from __future__ import annotations

import pytest

from hf_fourier.models.loading import heads
from tools.coverage.checks import check, in_one_line
from tools.coverage.pairs import pairs

#: By head, architectures that differ in how they read: two towers, a batch that comes second, windows, state spaces,
#: experts, prompts of their own, ids that are read twice.
SAMPLE = {
    "text-classification": ["bert", "bart", "gpt2", "ibert", "xlnet", "zamba"],
    "token-classification": ["deberta-v2", "mistral"],
    "question-answering": ["roberta", "t5"],
    "multiple-choice": ["albert"],
    "fill-mask": ["modernbert", "esm"],
    "text-generation": ["llama", "mamba", "mixtral", "gemma4_text", "qwen3_next", "cpmant"],
    "text2text-generation": ["mt5"],
    "image-classification": ["vit", "resnet", "swiftformer", "pvt"],
    "image-segmentation": ["segformer"],
    "universal-segmentation": ["mask2former"],
    "object-detection": ["yolos", "detr"],
    "depth-estimation": ["glpn"],
    "video-classification": ["timesformer"],
    "zero-shot-image-classification": ["clip", "siglip"],
    "audio-classification": ["audio-spectrogram-transformer", "hubert"],
    "audio-frame-classification": ["wavlm"],
    "audio-xvector": ["unispeech-sat"],
    "automatic-speech-recognition": ["whisper"],
    "ctc": ["wav2vec2"],
    "time-series-classification": ["patchtsmixer"],
    "time-series-regression": ["patchtst"],
    "time-series-forecasting": ["timesfm"],
}
#: Those whose ids reach the answer beside the signal.
SECOND = {("text-classification", "bart"), ("question-answering", "t5"), ("text-generation", "gemma4_text")}


def test_every_head_that_transformers_lists_is_here() -> None:
    listed = {pair.task for pair in pairs()}
    assert set(SAMPLE) == listed
    assert listed == {task for task, head in heads().items() if head.mapping}


@pytest.mark.parametrize(("task", "model_type"), [(task, kind) for task, kinds in SAMPLE.items() for kind in kinds])
def test_a_small_model_is_explained(task: str, model_type: str) -> None:
    (pair,) = pairs(task, model_type)
    told = check(pair)
    assert (told["status"], told.get("why")) == ("works", None)
    assert told["second"] == ((task, model_type) in SECOND)
    assert all(far <= 1e-5 for far in told["swap"].values())


def test_a_long_reason_is_cut_after_a_word_and_shows_it() -> None:
    assert in_one_line(ValueError("no\nsuch  head")) == "ValueError: no such head"
    cut = in_one_line(ValueError("restart the runtime " * 30))
    assert len(cut) <= 300
    assert cut.endswith((" restart …", " the …", " runtime …"))
