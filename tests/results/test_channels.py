"""Scores by channel and band: planted rhythms are found where they are, and drawn where the electrode is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, SpecError
from hf_fourier.models.inputs.channel_series import ChannelSeries
from hf_fourier.report.figures.scalp import position
from hf_fourier.results.channels import channel_scores

NAMES = ("Fp1", "Fp2", "Cz", "O1", "O2")
RATE, SIZE, APART = 128.0, 256, "fourier:bands=eeg,channels=apart"


class AlphaAt(torch.nn.Module):
    """Reads the energy at 10 Hz of two channels, one of them twice as much; nothing else counts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        energy = torch.fft.rfft(x, dim=-1, norm="ortho")[..., 20].abs().square()
        own = energy[:, 3] + 2 * energy[:, 4]
        return torch.stack([own, torch.zeros_like(own)], 1)


def recordings(names: tuple[str, ...] = NAMES, count: int = 4) -> list[ChannelSeries]:
    draw, time = np.random.default_rng(0), np.arange(SIZE) / RATE
    made = []
    for _ in range(count):
        noise = draw.normal(size=(len(names), SIZE)) + np.sin(2 * np.pi * 10 * time + draw.uniform(0, 6))
        made.append(ChannelSeries(noise.astype(np.float32) * 1e-1, RATE, names, ("",) * len(names)))
    return made


def results(names: tuple[str, ...] = NAMES, domain: str = APART, **options: Any) -> Any:
    return FourierExplainer(AlphaAt(), labels=["alpha", "none"]).explain(
        recordings(names), method="occlusion", domain=domain, **options
    )


def test_the_rhythm_is_found_at_its_electrodes() -> None:
    found = channel_scores(results())
    assert found.channels == NAMES
    assert found.bands[2:4] == ("theta (4–8 Hz)", "alpha (8–13 Hz)")
    best = np.unravel_index(np.argsort(-found.values, axis=None)[:2], found.values.shape)
    assert [found.channels[i] for i in best[0]] == ["O2", "O1"]
    assert {found.bands[i] for i in best[1]} == {"alpha (8–13 Hz)"}
    others = np.delete(found.values, 3, axis=1)
    assert np.abs(others).max() < 1e-4 * found.values.max()
    table = found.table()
    assert table["sum"] == pytest.approx(found.values.sum(1))
    assert table[4]["channel"] == "O2"
    assert found.count == 4


def test_values_are_the_mean_of_the_scores() -> None:
    made = results()
    found = channel_scores(made)
    for one in range(len(made[0].layout)):
        place = made[0].layout.describe(one)
        cell = found.values[NAMES.index(place["channel"]), found.bands.index(place["band"])]
        assert cell == pytest.approx(np.mean([float(r.scores[one]) for r in made]), rel=1e-6)


def test_channels_apart_split_the_bands_exactly() -> None:
    together, apart = results(domain="fourier:bands=eeg")[0], results()[0]
    assert len(apart.layout) == len(NAMES) * len(together.layout)
    power = channel_scores(apart)  # of the same shape as the power
    grid = np.zeros_like(power.values)
    for i in range(len(apart.layout)):
        place = apart.layout.describe(i)
        grid[NAMES.index(place["channel"]), power.bands.index(place["band"])] = apart.power[i]
    np.testing.assert_allclose(grid.sum(0), together.power.numpy(), rtol=1e-4)
    each = np.square(np.asarray(recordings()[0])).sum(1)
    np.testing.assert_allclose(grid.sum(1), each, rtol=1e-4)


def test_what_has_no_channels_apart_is_refused() -> None:
    with pytest.raises(InputError, match="channels=apart"):
        channel_scores(results(domain="fourier:bands=eeg"))
    with pytest.raises(InputError, match="at least one"):
        channel_scores([])
    with pytest.raises(InputError, match="one of each"):
        channel_scores([results()[0], results(("F3", "F4", "Cz", "O1", "O2"))[0]])
    for spec, said in (("fourier:channels=apart", "without bands"), ("fourier:bands=eeg,channels=x", "'x'")):
        with pytest.raises(SpecError, match=said):
            results(domain=spec)
    with pytest.raises(SpecError, match="grain=bin"):
        results(domain="fourier:bands=eeg,grain=frequency,channels=apart")


def test_electrodes_lie_where_the_system_has_them() -> None:
    assert position("Cz") == (0.0, 0.0)
    assert position("eeg Oz") == position("Eeg OZ") == position("EEG Oz") == position("oz")
    assert position("EEG Fpz-Cz") == pytest.approx((0, 0.8))
    assert position("Oz.") == pytest.approx((0, -0.8))
    assert position("T7") == pytest.approx((-0.8, 0), abs=1e-9)
    assert position("T4") == position("t8")
    for left, right in (("F3", "F4"), ("PO7", "PO8"), ("CP5", "CP6")):
        (x, y), (other_x, other_y) = position(left), position(right)  # type: ignore[misc]
        assert x < 0 < other_x
        assert (x, y) == pytest.approx((-other_x, other_y))
    assert math.hypot(*position("AF7")) == pytest.approx(0.8)  # type: ignore[misc]
    assert position("acceleration x") is None


def test_they_are_in_the_order_of_a_measured_montage() -> None:
    import mne

    known = mne.channels.make_standard_montage("standard_1020").get_positions()["ch_pos"]
    names = [name for name in known if position(name) is not None and name not in ("T3", "T4", "T5", "T6")]
    assert len(names) > 60
    ours, theirs = np.array([position(name) for name in names]), np.array([known[name] for name in names])
    for axis in (0, 1):
        assert np.corrcoef(ours[:, axis], theirs[:, axis])[0, 1] > 0.95


@pytest.mark.parametrize("names", [NAMES, ("wrist x", "wrist y", "wrist z", "ankle x", "ankle y")])
def test_it_is_drawn(names: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = channel_scores(results(names))
    figure = found.plot(tmp_path / "channels.png")
    assert (tmp_path / "channels.png").stat().st_size > 10_000
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    ticks = {label.get_text() for axes in figure.axes for label in axes.get_yticklabels()}
    assert set(names) <= texts | ticks
    titles = {axes.get_title(loc="left").replace("\n", " ").strip() for axes in figure.axes}
    assert ("alpha (8–13 Hz)" in titles) == (names == NAMES)


def test_names_of_channels_are_shared_only_where_they_are_of_the_system(tmp_path: Path) -> None:
    from hf_fourier import Report

    Report(results(("Fp1", "Fp2", "Cz", "Ann Quux", "O2"))).save(tmp_path / "report")
    text = "".join(file.read_text(errors="ignore") for file in (tmp_path / "report").rglob("*.*") if file.is_file())
    assert "Quux" not in text
    assert "Fp1" in text
