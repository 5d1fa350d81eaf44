"""Time series: the models' own answers, missing steps that stay, classes and values as targets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.time_series import ANSWERS
from hf_fourier.scoring.targets import Contrast, Position
from tests.models import laws, tiny_models

_TST = {
    "num_input_channels": 2, "context_length": 24, "patch_length": 4, "patch_stride": 4, "d_model": 16,
    "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 24, "prediction_length": 5, "num_targets": 3,
}  # fmt: skip
_MIXER = {**{k: v for k, v in _TST.items() if k not in ("num_attention_heads", "ffn_dim")}, "num_layers": 2}
_TIMES = {
    "patch_length": 4, "context_length": 24, "horizon_length": 8, "hidden_size": 16, "intermediate_size": 24,
    "head_dim": 8, "num_attention_heads": 2, "num_hidden_layers": 2,
}  # fmt: skip
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "PatchTSTForClassification": ("PatchTSTConfig", _TST),
    "PatchTSMixerForTimeSeriesClassification": ("PatchTSMixerConfig", _MIXER),
    "PatchTSTForRegression": ("PatchTSTConfig", _TST),
    "PatchTSTForPrediction": ("PatchTSTConfig", _TST),
    "PatchTSMixerForPrediction": ("PatchTSMixerConfig", _MIXER),
}
CLASSES = [name for name in MODELS if name.endswith("Classification")]


@cache
def explainer(name: str) -> FourierExplainer:
    import transformers

    config, options = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, name)(getattr(transformers, config)(**options)).eval()
        tiny_models.enliven(model)
    return FourierExplainer(model)


def series(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 24, 2, generator=torch.Generator().manual_seed(2)).cumsum(1)


def answer(outputs: Any) -> torch.Tensor:
    return next(found for name in ANSWERS if (found := getattr(outputs, name, None)) is not None)


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_without_us_and_comes_back(name: str, tmp_path: Path) -> None:
    explain, x = explainer(name), series()
    with torch.no_grad():
        theirs = answer(explain.model(past_values=x))
    for i, encoded in enumerate(explain.wrapper.encode_batch({"past_values": x})):
        laws.close(answer(laws.own_outputs(explain, encoded)), theirs[i : i + 1])
    results = explain.explain({"past_values": x})
    for i, result in enumerate(results):
        laws.whole(result)
        assert result.gradient.abs().max() > 0
        laws.same(result, explain.explain(x[i].numpy()))
        if name in CLASSES:
            assert result.value == pytest.approx(float(theirs[i].log_softmax(-1).max()), rel=1e-4)
        else:
            assert result.value == pytest.approx(float(theirs[i].mean()), rel=1e-3)
            assert result.confidence is None
        np.testing.assert_allclose(result.render(1.0), x[i], atol=1e-4)
    laws.comes_back(explain, results[0], tmp_path)
    laws.nothing_is_changed(explain, x[0])


@pytest.mark.parametrize("name", ["PatchTSTForClassification", "PatchTSTForPrediction"])
def test_steps_that_were_not_observed_never_move(name: str) -> None:
    explain, x = explainer(name), series(1)
    seen = torch.ones_like(x, dtype=torch.bool)
    seen[0, [3, 4, 20]] = False
    (result,) = explain.explain({"past_values": x, "past_observed_mask": seen})
    assert result.signal.shape == (21, 2)
    heard: list[torch.Tensor] = []
    handle = explain.model.register_forward_pre_hook(
        lambda module, args, kwargs: heard.append(kwargs["past_values"]), with_kwargs=True
    )
    explain.perturb(result, fractions=[0.1])
    handle.remove()
    kept = torch.cat(heard)
    assert torch.equal(kept[:, ~seen[0, :, 0]], x[:, ~seen[0, :, 0]].expand(len(kept), -1, -1))
    assert not torch.equal(kept[0], x[0])


def test_arrays_as_they_lie_in_memory() -> None:
    explain, x = explainer("PatchTSTForClassification"), series(1)[0].numpy()
    result, locked = explain.explain(x), x.copy()
    locked.setflags(write=False)
    for same in (x[::-1].copy()[::-1], x.astype(">f4"), np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], locked):
        laws.same(explain.explain(same), result)
        laws.same(explain.explain({"past_values": same[None]})[0], result)
    encoded, held = explain.wrapper.encode(locked), explain.wrapper.encode(x).inputs["past_values"]
    assert not np.shares_memory(x, held.numpy())  # whoever fills one buffer again and again
    assert torch.equal(encoded.inputs["past_values"], held)
    with pytest.raises(InputError, match="object"):
        explain.explain(x.astype(object))


def test_targets_and_bad_series() -> None:
    explain, x = explainer("PatchTSTForClassification"), series(1)[0].numpy()
    z = explain.predict(x).logits
    assert explain.explain(x, 2).target == 2
    assert explain.explain(x, Contrast(0, 2)).value == pytest.approx(float(z[0] - z[2]), rel=1e-3, abs=1e-5)
    for wrong in (3, "rise", Position(0)):
        with pytest.raises(TargetError):
            explain.explain(x, wrong)
    for bad in (x[:, :1], x[None], "a series", np.full_like(x, np.nan), x.astype(complex)):
        with pytest.raises(InputError):
            explain.explain(bad)
    with pytest.raises(InputError, match="without an observed step"):
        explain.explain({"past_values": x[None], "past_observed_mask": np.zeros_like(x[None])})


def test_a_folder_without_an_auto_class_is_loaded(tmp_path: Path) -> None:
    explain = explainer("PatchTSTForClassification")
    explain.model.save_pretrained(tmp_path)
    loaded = FourierExplainer.from_pretrained(str(tmp_path), device="cpu")
    assert loaded.wrapper.task == "time-series-classification"
    laws.same(loaded.explain(series(1)[0].numpy()), explain.explain(series(1)[0].numpy()))
