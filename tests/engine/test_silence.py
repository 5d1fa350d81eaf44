"""A gradient that is not finite: whose it is and where, what helps, and that no other example is lost for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hf_fourier import FourierExplainer, attribute
from hf_fourier.errors import InputError, ModelError, NotFinite
from hf_fourier.results.remarks import DITHERED, NOT_FINITE_HINT
from tests.toy_scores import METHOD_SPECS, noise

RATE, SAMPLES = 16000, 800


class ListenerConfig(PreTrainedConfig):
    model_type = "toy-listener"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(num_labels=3, **kwargs)


class Listener(PreTrainedModel):
    """Classes by the moduli of frames' spectra, written as sqrt(re² + im²)."""

    config_class = ListenerConfig

    def __init__(self, config: ListenerConfig) -> None:
        super().__init__(config)
        self.out = torch.nn.Linear(21, 3)
        self.post_init()

    def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        spectrum = torch.fft.rfft(input_values.unflatten(1, (-1, 40)))
        moduli = (spectrum.real**2 + spectrum.imag**2).sqrt()
        return SequenceClassifierOutput(logits=self.out(moduli.mean(1)))


def listener(**options: Any) -> FourierExplainer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Listener(ListenerConfig()).eval()
        torch.nn.init.normal_(model.out.weight)
    return FourierExplainer(model, task="audio-classification", method="saliency", **options)


def sounds(*silent: int) -> dict[str, torch.Tensor]:
    """Three sounds, of which some are silent for their first 400 samples."""
    values = noise(3, SAMPLES, dtype=torch.float32)
    values[list(silent), :400] = 0
    return {"input_values": values, "attention_mask": torch.ones(3, SAMPLES)}


def test_the_error_says_where_and_whose_and_its_advice_works() -> None:
    explain = listener()
    with pytest.raises(NotFinite) as told:
        explain.explain(sounds(1))
    said = str(told.value)
    assert "not finite at 400 of 800 entries (time 0 to 399, where the example is 0) of example 1" in said
    assert "dither=1e-6" in said
    assert "float32" not in said
    done = told.value.completed  # type: ignore[attr-defined]
    assert sorted(done) == [0, 2]
    explain.dither = 1e-6
    results = explain.explain(sounds(1))
    assert all(r.scores.isfinite().all() and r.gradient.isfinite().all() for r in results)
    assert [note for note in results[1].provenance["notes"] if note.startswith(DITHERED)]
    whole = listener().explain({n: t[[0, 2]] for n, t in sounds(1).items()})
    assert torch.equal(done[0].scores, whole[0].scores)
    assert torch.equal(done[2].scores, whole[1].scores)


def test_several_are_named_and_one_alone_is_not_numbered() -> None:
    with pytest.raises(NotFinite, match=r"of example 0 \(likewise 2\)") as told:
        listener().explain(sounds(0, 2))
    assert list(told.value.completed) == [1]  # type: ignore[attr-defined]
    with pytest.raises(NotFinite) as told:
        listener().explain({n: t[:1] for n, t in sounds(0).items()})
    assert "of example" not in str(told.value)


@pytest.mark.parametrize("method", METHOD_SPECS)
def test_dither_reaches_every_method(method: str) -> None:
    if method.startswith("given"):
        return
    explain = listener(dither=1e-6)
    row = {n: t[:1] for n, t in sounds(0).items()}
    (result,) = explain.explain(row, method=method)
    assert bool(result.scores.isfinite().all())
    assert result.provenance["dither"] == 1e-6


def test_dither_signals_the_example_and_is_the_same_wherever_the_model_is_asked() -> None:
    explain, batch = listener(dither=0.1), sounds(1)
    results, again = explain.explain(batch), explain.explain({n: t[1:2] for n, t in batch.items()})
    assert torch.equal(results[1].signal, batch["input_values"][1])
    assert torch.allclose(results[1].scores, again[0].scores, rtol=1e-4)
    explain.dither = 0.0  # results bring their own
    logits = explain.predict(results[1]).logits
    assert results[1].value == pytest.approx(float(logits.log_softmax(0)[results[1].target]), abs=1e-5)
    explain.perturb(results, fractions=[0.5, 1.0], overwrite=True)
    assert results[1].curve.at("keep", 1.0).value == pytest.approx(results[1].value, abs=1e-5)
    (redone,) = explain.re_explain([results[1]], [results[1].target])
    assert torch.allclose(redone.scores, results[1].scores, rtol=1e-4)
    assert redone.value != pytest.approx(
        explain.explain(batch, results[1].target, method="magnitude")[1].value, abs=1e-4
    )


def test_dither_is_in_proportion_and_absolute_for_a_silent_example() -> None:
    seen = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach().clone())
        return torch.stack([x.sum(1), 2 * x.sum(1)], 1)

    x = torch.stack([torch.zeros(4000), 50 * noise(4000, dtype=torch.float32)])
    attribute(forward, x, method="saliency", dither=0.01)
    moved = (seen[0] - x).std(1)
    assert float(moved[0]) == pytest.approx(0.01, rel=0.1)
    assert float(moved[1]) == pytest.approx(0.01 * float(x[1].abs().max()), rel=0.1)


@pytest.mark.parametrize("share", [-1e-6, math.nan, math.inf])
def test_a_dither_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="dither"):
        listener(dither=share).explain(sounds())


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: torch.stack([x.abs().log().sum(1), x.sum(1)], 1),  # −inf at 0 already forward
        lambda x: torch.stack([(x / x.norm(dim=1, keepdim=True)).sum(1), x[:, 0]], 1),  # 0 / 0
        lambda x: torch.stack([x.norm(dim=1).sqrt(), x[:, 0]], 1),
        lambda x: torch.stack([x.square().sqrt().sum(1), x[:, 0]], 1),
    ],
)
@pytest.mark.parametrize("method", ["ffc", "saliency", "integrated_gradients:steps=4"])
def test_logarithms_divisions_norms_and_roots_of_zeros(forward: Any, method: str) -> None:
    x = torch.stack([noise(16, dtype=torch.float32), torch.zeros(16), noise(16, seed=2, dtype=torch.float32)])
    with pytest.raises(NotFinite, match="of example 1") as told:
        attribute(forward, x, target=0, method=method)
    assert NOT_FINITE_HINT in str(told.value)
    assert sorted(told.value.completed) == [0, 2]  # type: ignore[attr-defined]
    results = attribute(forward, x, target=0, method=method, dither=1e-3)
    assert all(bool(result.scores.isfinite().all()) for result in results)


def test_where_dither_is_on_and_does_not_help_the_advice_is_another() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([(x.square().detach() * 0 + (0 * x).sqrt()).sum(1), x.sum(1)], 1)

    with pytest.raises(ModelError, match="raise `dither`"):
        attribute(forward, noise(1, 8, dtype=torch.float32), method="saliency", dither=1e-6)


def test_scores_without_the_gradient_are_kept_and_said() -> None:
    explain, row = listener(), {n: t[:1] for n, t in sounds(0).items()}
    (result,) = explain.explain(row, method="smoothgrad:samples=3")  # whose own noise is dither enough
    (note,) = result.provenance["notes"]
    assert "not finite at 400 of 800 entries (time 0 to 399" in note
    assert bool(result.gradient.isfinite().all())
    assert not bool(result.gradient[:400].any())
    assert bool(result.scores.isfinite().all())


def test_predictions_that_are_no_numbers_are_refused() -> None:
    explain = listener()
    explain.model.out.bias.data[0] = math.nan
    with pytest.raises(NotFinite, match="NaN"):
        explain.predict({n: t[:1] for n, t in sounds().items()})


def test_a_run_loses_the_silent_example_alone(tmp_path: Path) -> None:
    explain = listener()
    found: list[int] = []
    explain.model.register_forward_pre_hook(lambda m, a, k: found.append(len(k["input_values"])), with_kwargs=True)
    explain.wrapper.processor = _extractor()
    clips = [(row.numpy(), RATE) for row in sounds(1)["input_values"]]
    results = explain.explain_dataset(clips, tmp_path / "run", progress=False, chunk=3)
    assert list(results.failures()["index"]) == [1]
    assert "time 0 to 399" in results.failures()["failed"][0]
    explain.dither = 1e-6
    with pytest.raises(InputError, match="dither"):
        explain.explain_dataset(clips, tmp_path / "run", progress=False, chunk=3)
    again = explain.explain_dataset(clips, tmp_path / "other", progress=False, chunk=3)
    assert len(again.failures()) == 0
    assert any(note.startswith(DITHERED) for note in again[1].provenance["notes"])


def _extractor() -> Any:
    from transformers import Wav2Vec2FeatureExtractor

    return Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=False, return_attention_mask=True)
