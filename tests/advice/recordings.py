"""Advice about recordings of several channels: EDF files, rates, units, and scores by channel."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier import FourierExplainer
from hf_fourier.models.inputs.channel_series import ChannelSeries, read_edf, series_of
from hf_fourier.results.channels import channel_scores
from tests.advice.case import Case
from tools.fuzz.files import edf


def _series(rate: float, last: str = "V") -> ChannelSeries:
    values = np.random.default_rng(2).normal(size=(3, int(rate) // 2)).astype(np.float32) * 1e-5
    return ChannelSeries(values, float(rate), ("Cz", "Oz", "x"), ("V", "V", last))


def _channels(**options: Any) -> FourierExplainer:
    """A function of channels × time of any number of channels."""
    options = {"axes": ("time",), **options}
    return FourierExplainer(lambda x: torch.stack([x.mean((1, 2)), x.std((1, 2))], 1), **options)


def _by_channel(method: str) -> Any:
    return _channels().explain(_series(128), method=method, domain="fourier:bands=2,channels=apart")


def _edf_file() -> Path:
    path = Path(tempfile.mkdtemp()) / "a.edf"
    path.write_bytes(edf([("EEG Fpz-Cz", "uV", 64), ("Resp", "", 8)], 2, bytes(288)))
    return path


def _edf_recording() -> Path:
    path = _edf_file()
    path.write_bytes(edf([("EEG Fpz-Cz", "uV", 64)], 2, bytes(256)))
    return path


CASES = [
    Case(
        "resample it, as by series_of(recording).resample(128)",
        lambda: _channels(sampling_rate=128).explain(_series(256)),
        lambda: _channels(sampling_rate=128).explain(series_of(_series(256)).resample(128)),
    ),
    Case(
        "leave them out, as by series_of(recording).pick(['Cz', 'Oz'])",
        lambda: _channels(unit="uV").explain(_series(128, "%")),
        lambda: _channels(unit="uV").explain(series_of(_series(128, "%")).pick(["Cz", "Oz"])),
    ),
    Case(
        "pass axes=('channel', 'time') in the network's order",
        lambda: _channels(axes=("height", "width")).explain(_series(128)),
        lambda: _channels(axes=("channel", "time")).explain(_series(128)),
    ),
    Case(
        "choose those, as by read_edf(path, ['EEG Fpz-Cz'])",
        lambda: read_edf(_edf_file()),
        lambda: read_edf(_edf_file(), ["EEG Fpz-Cz"]),
    ),
    Case("correct `channels`", lambda: read_edf(_edf_file(), ["Pz"]), lambda: read_edf(_edf_file(), ["Resp"])),
    Case("correct `rate`", lambda: _series(128).resample(0), lambda: _series(128).resample(64)),
    Case("correct `seconds`", lambda: _series(128).windows(60), lambda: _series(128).windows(0.25)),
    Case("correct `overlap`", lambda: _series(128).windows(0.25, 1), lambda: _series(128).windows(0.25, 0.5)),
    Case("pass one recording", lambda: series_of("nowhere.edf"), lambda: series_of(_edf_recording())),
    Case(
        "explain with domain='fourier:bands=eeg,channels=apart'",
        lambda: channel_scores(_channels().explain(_series(128))),
        lambda: channel_scores(_channels().explain(_series(128), domain="fourier:bands=eeg,channels=apart")),
    ),
    Case(
        "pass those of one explain call",
        lambda: channel_scores([_by_channel("occlusion"), _by_channel("shapley")]),
        lambda: channel_scores([_by_channel("occlusion"), _by_channel("occlusion")]),
    ),
    Case("pass what explain returned", lambda: channel_scores([]), lambda: channel_scores(_by_channel("occlusion"))),
]
