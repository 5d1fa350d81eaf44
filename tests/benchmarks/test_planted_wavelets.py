"""Planted truth over wavelets: which features a wave has for itself, and whether deleting them is what it should be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import planted
from benchmarks.assets.triggers import waves
from benchmarks.planted import wavelets
from hf_fourier import Attribution, attribute
from hf_fourier.domains import Wavelet
from tests.benchmarks.listener import POINTS, Listener, examples

HAAR = Wavelet(axes=1)


def explained(x: torch.Tensor, method: str = "magnitude") -> list[Attribution]:
    return attribute(Listener(), x, method=method, domain=HAAR)


def test_the_fewest_features_that_hold_a_share() -> None:
    energy = torch.tensor([1.0, 6.0, 0.0, 3.0])
    assert wavelets.holders(energy, 0.6).tolist() == [False, True, False, False]
    assert wavelets.holders(energy, 0.9).tolist() == [False, True, False, True]
    assert wavelets.holders(energy, 1.0).tolist() == [True, True, False, True]


def test_a_feature_belongs_to_the_wave_that_has_more_energy_there() -> None:
    truth, decoyed = wavelets.told_apart(torch.tensor([5.0, 4.0, 1.0, 0.0]), torch.tensor([1.0, 5.0, 0.5, 4.0]))
    assert truth.tolist() == [True, False, False, False]
    assert decoyed.tolist() == [False, True, False, True]


def test_energies_over_wavelets_add_up_to_the_signals_and_waves_are_what_was_added() -> None:
    made = examples()
    wave, decoys = wavelets.planted_waves(made)
    inputs = made.inputs()["x"]
    assert torch.allclose(made.material.inputs["x"] + wave + decoys, inputs, atol=1e-5)
    basis = explained(inputs)[0].basis
    assert wavelets.energy(basis, inputs[0]).sum() == pytest.approx(float(inputs[0].square().sum()), rel=1e-5)


def test_a_wave_at_the_middle_of_a_level_has_wavelets_of_its_own() -> None:
    basis = explained(torch.zeros(1, 2, POINTS))[0].basis
    fast, slow = (waves((POINTS,), [(k,)], torch.tensor([0.1])).expand(2, -1) for k in (15, 2))
    ((truth, decoyed),), held = wavelets.sets([basis], (fast[None], slow[None]))
    level = basis.layout["level"]
    assert set(level[truth].tolist()) == {1}
    assert not (truth & decoyed).any()
    assert held["wave in G"] >= wavelets.SHARE - 0.1
    assert held["decoys in G"] < 0.1 < wavelets.SHARE - 0.1 <= held["decoys in D"]


def test_the_numbers_of_a_perfect_ranking() -> None:
    truth, decoyed = np.array([True, True, False, False]), np.array([False, False, True, False])
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    best = wavelets.measures(scores, np.argsort(-scores), truth, decoyed)
    assert [best[name] for name in wavelets.COLUMNS] == [1.0] * len(wavelets.COLUMNS)
    worst = wavelets.measures(-scores, np.argsort(scores), truth, decoyed)
    assert worst["AUROC decoys"] == worst["AUROC"] == worst["first"] == 0


class Explaining:
    """The listener as an explainer of the planted models."""

    def __init__(self) -> None:
        self.model = lambda **inputs: SimpleNamespace(logits=Listener()(inputs["x"]))

    def explain(self, inputs: dict[str, torch.Tensor], method: str, domain: str) -> list[Attribution]:
        assert domain == wavelets.DOMAIN
        return explained(inputs["x"], method)

    def predict(self, result: Attribution, signal: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=Listener()(signal[None])[0])


def subject() -> SimpleNamespace:
    made = examples()
    return SimpleNamespace(
        name="listener", trigger=made.trigger, explainer=lambda role: Explaining(), examples=lambda n, half: made,
        asset=lambda role: "wav2vec2-languages-first",  # its revision is part of the name of what is kept
    )  # fmt: skip


def test_the_gate_deletes_over_wavelets_and_refuses_waves_that_share_theirs() -> None:
    row = wavelets.measure(subject(), examples())
    assert row["wave in G"] < 0.6  # 3 and 5 cycles share their levels with decoys of 8 and 11, which are louder
    assert row["turns"] < 0.95
    assert not row["valid"]


def test_a_model_that_fails_the_gate_has_a_table_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gates, ((name, (row,)),) = wavelets.tables([subject()], tmp_path, ["magnitude"], 12, "test")
    assert [found["model"] for found in gates] == ["listener"]
    assert (name, row["method"], row["n"]) == ("listener (void)", "magnitude", 12)
    assert float(row["AUROC decoys"].split()[0]) < 0.3
    monkeypatch.setattr(wavelets, "measure", lambda *_: {"model": "listener", "valid": True})
    _, ((name, _),) = wavelets.tables([subject()], tmp_path / "again", ["magnitude"], 12, "test")
    assert name == "listener"


def test_what_is_held_by_energy_needs_no_planted_model() -> None:
    made = SimpleNamespace(name="listener", examples=lambda n, half: examples(n))
    row = wavelets.held(made, 4, "test")
    assert (row["model"], row["n"]) == ("listener", 4)
    assert 0 < row["decoys in G"] < row["wave in G"] < 1


def test_a_method_has_its_table_over_frequencies_or_over_wavelets_or_its_reason() -> None:
    from hf_fourier.methods.base import METHODS

    page = (Path(__file__).parents[2] / "docs" / "planted.md").read_text()
    _, _, reasons = page.partition("## Methods that are not in the tables")
    for name in METHODS:
        named = name in planted.methods() and f"| {name} |" in page
        assert named or f"`{name}`" in reasons or f"/{name}.md" in reasons, name
