"""Padding that changes the output is said for every kind of input, and padding that is not is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput, SequenceClassifierOutput

from hf_fourier import FourierExplainer
from hf_fourier.models.padding import LOOKS
from hf_fourier.results.remarks import PADDED, UNASKED
from tests.models import tiny_models_audio, tiny_models_vision
from tests.toy_scores import noise


def told(result: Any) -> list[str]:
    """What is said of a result's padding."""
    return [note for note in result.provenance["notes"] if note.startswith((PADDED, UNASKED))]


def listener(name: str) -> FourierExplainer:
    return FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name))


def padded(explain: FourierExplainer, lengths: tuple[int, ...] = (4003, 2400, 3001)) -> dict[str, torch.Tensor]:
    clips = [tiny_models_audio.clip(n, i) for i, n in enumerate(lengths)]
    return dict(explain.processor(clips, sampling_rate=tiny_models_audio.RATE, padding=True, return_tensors="pt"))


@pytest.mark.parametrize("name", ["hubert", "sew"])
def test_sounds_of_a_model_that_norms_over_time(name: str) -> None:
    explain = listener(name)
    batch = padded(explain)
    results = explain.explain(batch)
    assert told(results[0]) == []
    for i in (1, 2):
        (note,) = told(results[i])
        length = int(batch["attention_mask"][i].sum())
        bare = explain.explain({n: t[i : i + 1, :length] for n, t in batch.items()}, target=results[i].target)[0]
        assert told(bare) == []
        moved = abs(bare.value - results[i].value) / max(1, abs(results[i].value))
        assert f"changes by {moved:.2g}" in note
        assert torch.equal(bare.signal, results[i].signal)
    turned = explain.explain({n: t.flip(1) for n, t in batch.items()})
    assert [len(told(result)) for result in turned] == [0, 1, 1]


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-plain"])
def test_sounds_that_are_padded_without_a_mask(name: str) -> None:
    explain = listener(name)
    batch = {"input_values": padded(explain)["input_values"]}
    results = explain.explain(batch)
    assert told(results[0]) == []
    for result, length in zip(results[1:], (2400, 3001), strict=True):
        (note,) = told(result)
        assert LOOKS in note
        assert f"the last {4003 - length} of 4003 entries along time, which are equal" in note


@pytest.mark.parametrize("name", ["wav2vec2-layer", "wav2vec2-bert", "data2vec"])
def test_sounds_of_a_model_that_signals_padding_out(name: str) -> None:
    explain = listener(name)
    batch = padded(explain)
    if "attention_mask" in batch:
        for result in explain.explain(batch):
            assert told(result) == []


@pytest.mark.parametrize("name", ["whisper", "ast"])
def test_what_fills_a_window_is_no_padding(name: str) -> None:
    explain = listener(name)
    clips = [tiny_models_audio.clip(n) for n in (4003, 2400)]
    batch = dict(explain.processor(clips, sampling_rate=tiny_models_audio.RATE, return_tensors="pt"))
    for result in [*explain.explain(batch), *FourierExplainer(explain.model).explain(batch)]:
        assert told(result) == []
        assert result.provenance.get("checks", {"forward": 2}) == {"forward": 2}


@pytest.mark.parametrize("name", list(tiny_models_audio.MODELS))
def test_a_raw_sound_needs_no_note(name: str) -> None:
    assert told(listener(name).explain([(tiny_models_audio.clip(4003), tiny_models_audio.RATE)])[0]) == []


class ToyConfig(PreTrainedConfig):
    model_type = "toy-padding"

    def __init__(self, filling: float = 0.0, **kwargs: Any) -> None:
        super().__init__(num_labels=3, **kwargs)
        self.filling = filling


class Toy(PreTrainedModel):
    """A mean over the places that a mask lets through; `filling` is the weight of the others."""

    config_class = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.out = torch.nn.Linear(4, 3)
        self.post_init()

    def weighted(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Of `(rows, …, places, …, 4)` the mean over all between."""
        weights = (mask + self.config.filling * (1 - mask)).to(values).unsqueeze(-1)
        flat = tuple(range(1, values.ndim - 1))
        return self.out(((values + 1) * weights).sum(flat) / weights.sum(flat))


class Features(Toy):
    def forward(self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        return SequenceClassifierOutput(logits=self.weighted(input_features, attention_mask))


class OtherFeatures(Toy):
    def forward(self, input_features: torch.Tensor, feature_attention_mask: torch.Tensor | None = None) -> Any:
        return SequenceClassifierOutput(logits=self.weighted(input_features, feature_attention_mask))


class Pictures(Toy):
    def forward(self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor | None = None) -> Any:
        channels = torch.cat([pixel_values, pixel_values[:, :1]], 1).movedim(1, -1)
        return ImageClassifierOutput(logits=self.weighted(channels, pixel_mask))


class Series(Toy):
    def forward(self, past_values: torch.Tensor, past_observed_mask: torch.Tensor, past_extra: torch.Tensor) -> Any:
        assert past_extra.shape[1] == past_values.shape[1]
        return SimpleNamespace(prediction_logits=self.weighted(past_values, past_observed_mask[..., 0]))


def toy(kind: type[Toy], task: str, filling: float, **config: Any) -> FourierExplainer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(ToyConfig(filling, **config)).eval()
        torch.nn.init.normal_(model.out.weight)
    return FourierExplainer(model, task=task)


def frames(name: str = "attention_mask") -> dict[str, torch.Tensor]:
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[1, 9:] = 0
    return {"input_features": noise(2, 12, 4, dtype=torch.float32), name: mask}


def pictures() -> dict[str, torch.Tensor]:
    mask = torch.ones(2, 10, 8, dtype=torch.long)
    mask[1, 7:] = 0
    mask[1, :, 6:] = 0
    return {"pixel_values": noise(2, 3, 10, 8, dtype=torch.float32), "pixel_mask": mask}


def series() -> dict[str, torch.Tensor]:
    mask = torch.ones(2, 12, 4)
    mask[1, :3] = 0
    values = noise(2, 12, 4, dtype=torch.float32)
    return {"past_values": values, "past_observed_mask": mask, "past_extra": torch.zeros(2, 12, 1)}


KINDS = [
    (Features, "audio-classification", frames, {"num_mel_bins": 4}),
    (OtherFeatures, "audio-classification", lambda: frames("feature_attention_mask"), {"num_mel_bins": 4}),
    (Pictures, "image-classification", pictures, {"num_channels": 3}),
    (Series, "time-series-classification", series, {}),
]


@pytest.mark.parametrize(("kind", "task", "batch", "config"), KINDS)
def test_every_kind_is_asked(kind: type[Toy], task: str, batch: Any, config: dict[str, Any]) -> None:
    whole = toy(kind, task, 0.0, **config).explain(batch())
    assert [told(result) for result in whole] == [[], []]
    assert [r.provenance.get("checks") for r in whole] == [{"forward": 2}, {"forward": 1}]
    counted = toy(kind, task, 0.1, **config).explain(batch())
    assert told(counted[0]) == []
    (note,) = told(counted[1])
    assert LOOKS not in note
    assert "without it the score changes by" in note


def test_another_mask_than_attention_masks_is_taken_for_one() -> None:
    result = toy(OtherFeatures, "audio-classification", 0.0, num_mel_bins=4).explain(frames("feature_attention_mask"))[
        1
    ]
    assert result.signal.shape == (9, 4)
    assert not any("no attention_mask" in note for note in result.provenance["notes"])


def test_series_of_a_fixed_context_are_not_asked() -> None:
    for config in ({"context_length": 12}, {"context_length": 9, "lags_sequence": [1, 3]}):
        results = toy(Series, "time-series-classification", 0.1, **config).explain(series())
        assert all(told(result) == [] for result in results)


def test_detections_of_padded_pictures() -> None:
    explain = FourierExplainer(tiny_models_vision.build("object-detection", "detr"), task="object-detection")
    pixels = noise(2, 3, 64, 64, dtype=torch.float32)
    mask = torch.ones(2, 64, 64, dtype=torch.long)
    mask[1, :, 32:] = 0
    results = explain.explain({"pixel_values": pixels, "pixel_mask": mask})
    assert [len(told(result)) for result in results] == [0, 1]


def test_predictions_of_padded_examples_say_so() -> None:
    explain = listener("hubert")
    batch = padded(explain)
    said = [explain.predict({n: t[i : i + 1] for n, t in batch.items()}).notes for i in range(2)]
    assert not any(note.startswith(PADDED) for note in said[0])
    assert any(note.startswith(PADDED) for note in said[1])
