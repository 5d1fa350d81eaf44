"""The short-time Fourier domain: a tight frame at every length, window and hop."""

import math

import numpy as np
import pytest
import torch

from hf_fourier.domains import DOMAINS, Axis, SignalShape, Stft
from hf_fourier.errors import SpecError
from tests.toy_scores import noise, signal

WINDOWS = [(8, None), (8, 2), (8, 4), (7, 3), (7, None), (8, 8), (5, 1), (1, None), (64, None), (8, 5)]
LENGTHS = [1, 2, 3, 7, 8, 9, 12, 16, 17, 31, 100]


def sound(length, rate=100.0):
    return SignalShape("waveform", (Axis("time", length, "Hz", rate),))


@pytest.mark.parametrize(("window", "hop"), WINDOWS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_frame_is_tight(window, hop, length):
    """Columns of the analysis in full-spectrum coordinates are orthonormal; synthesis is its transpose."""
    basis = Stft(window, hop).bind(sound(length))
    f = basis.forward(torch.eye(length, dtype=torch.float64))
    rows = torch.view_as_real(f * basis.bin_multiplicity.double().sqrt()).flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(length, dtype=torch.float64), rtol=0, atol=1e-13)
    torch.testing.assert_close(basis.inverse(f), torch.eye(length, dtype=torch.float64), rtol=0, atol=1e-13)
    c = torch.complex(noise(2, f.shape[1], seed=1), noise(2, f.shape[1], seed=2))
    a = noise(2, length, seed=3)
    torch.testing.assert_close(basis.inner(basis.pullback(a), c).sum(1), (a * basis.inverse(c)).sum(1))


@pytest.mark.parametrize(("window", "hop"), [(8, None), (8, 2), (7, 3)])
def test_each_number_is_that_of_a_windowed_fft(window, hop):
    """By the layout alone: the frame around `position`, at `frequency`."""
    length = 21
    basis = Stft(window, hop).bind(sound(length))
    step = hop or window // 2
    shape = np.sin(np.pi * (np.arange(window) + 0.5) / window)
    total = np.array([sum(shape[j] ** 2 for j in range(i % step, window, step)) for i in range(window)])
    shape = shape / np.sqrt(total)
    x = noise(1, length)
    f = basis.forward(x)[0].numpy()
    far = np.concatenate([np.zeros(window), x[0].numpy(), np.zeros(2 * window)])
    for k in range(len(basis)):
        start = round(basis.layout["time"][k].item() - (window - 1) / 2)
        hertz = basis.layout["frequency"][k].item()
        wave = np.exp(-2j * np.pi * hertz / 100 * np.arange(window)) / window**0.5
        assert f[k] == pytest.approx((far[start + window :][:window] * shape) @ wave, abs=1e-6)
    starts = basis.layout["time"].unique() - (window - 1) / 2
    assert starts[0] == step - window
    assert starts[-1] < length <= starts[-1] + step


def test_a_short_tone_is_found_where_and_what_it_is():
    rate, window = 8000.0, 256
    basis = Stft(window).bind(sound(8000, rate))
    t = torch.arange(8000, dtype=torch.float64) / rate
    tone = torch.cos(2 * math.pi * 1000 * t) * ((t > 0.5) & (t < 0.6))
    m = basis.magnitude(basis.forward(tone.unsqueeze(0)))[0]
    at = int(m.argmax())
    assert basis.layout["frequency"][at].item() == pytest.approx(1000)
    assert 4000 < basis.layout["time"][at].item() < 4800
    loud = m > 0.2 * m.max()
    assert (basis.layout["frequency"][loud] - 1000).abs().max() < 2.1 * rate / window
    assert basis.layout["time"][loud].min() > 4000 - window
    assert basis.layout["time"][loud].max() < 4800 + window
    assert basis.layout["frequency"].max() == rate / 2
    assert basis.layout.columns[0].unit == "Hz"


def test_redundancy_is_declared():
    assert Stft(64).bind(sound(6400)).redundancy == pytest.approx(2, rel=0.01)
    assert Stft(64, 16).bind(sound(6400)).redundancy == pytest.approx(4, rel=0.02)
    assert Stft(8, 8).bind(sound(16)).redundancy == 1
    assert Stft(1).bind(sound(16)).redundancy == 1


def test_the_axis():
    """The axis in Hz, or the last with an order, or the one that is named."""
    lead = Axis("lead", 3, channel=True)
    series = SignalShape("series", (Axis("time", 20, "Hz", 50.0), Axis("band", 4), lead))
    assert Stft(8).bind(series).layout.with_role("frequency")[0].axis == "time"
    assert Stft(4, axis="band").bind(series).layout.with_role("frequency")[0].axis == "band"
    assert Stft(4).bind(signal(5, 9, 2, channels=(2,))).layout.with_role("frequency")[0].axis == "axis1"
    assert DOMAINS.parse("stft:axis=0").bind(signal(5, 9)).layout.with_role("frequency")[0].axis == "axis0"
    x = noise(2, 20, 4, 3)
    basis = Stft(8).bind(series)
    one = Stft(8).bind(SignalShape("series", (series.axes[0],)))
    f = basis.forward(x).reshape(2, -1, 4, 3)
    torch.testing.assert_close(f[:, :, 1, 2], one.forward(x[..., 1, 2]))
    assert [(column.name, column.role) for column in basis.layout.columns] == [
        ("frequency", "frequency"),
        ("time", "position"),
        ("band", "position"),
        ("lead", "channel"),
    ]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("bad", ["stft:0", "stft:8,9", "stft:8,0", "stft:8.5"])
def test_what_is_refused(bad):
    with pytest.raises(SpecError, match="window"):
        DOMAINS.parse(bad)


def test_as_many_coefficients_per_entry_as_are_allowed():
    assert len(Stft(64, 1).bind(sound(100))) == 33 * (100 + 63)
    with pytest.raises(SpecError, match="65 coefficients per entry"):
        Stft(65, 1).bind(sound(100))
    assert Stft(65, 1).bind(sound(64)).size == 64, "no window is longer than the signal"
