"""The cosine domain against scipy's DCT-II."""

import math

import pytest
import scipy.fft
import torch

from hf_fourier.domains import Axis, Cosine, Fourier, SignalShape
from hf_fourier.errors import SpecError
from tests.toy_scores import noise, signal


@pytest.mark.parametrize("sizes", [(1,), (2,), (7,), (16,), (5, 8), (3, 5, 4), (257,), (300,), (1001,), (2, 258, 3)])
def test_it_is_the_orthonormal_dct(sizes):
    """Also along axes that are too long to be written as a matrix."""
    basis = Cosine().bind(signal(*sizes))
    x = noise(2, *sizes)
    expected = scipy.fft.dctn(x.numpy(), type=2, norm="ortho", axes=range(1, x.ndim))
    f = basis.forward(x)
    torch.testing.assert_close(f, torch.from_numpy(expected).flatten(1), rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(basis.inverse(f), x, rtol=1e-10, atol=1e-11)
    single = basis.forward(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), f, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(basis.inverse(single).double(), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [8, 13, 259])
def test_a_wave_is_its_own_feature(length):
    shape = SignalShape("waveform", (Axis("time", length, "Hz", 100.0),))
    basis = Cosine().bind(shape)
    i = torch.arange(length, dtype=torch.float64)
    for k in (0, 1, length // 2, length - 1):
        hertz = 100 * k / (2 * length)
        m = basis.magnitude(basis.forward(torch.cos(2 * math.pi * hertz * (i + 0.5) / 100).unsqueeze(0)))[0]
        assert m.argmax() == k
        assert m.sum() - m[k] < 1e-9
        assert basis.layout["frequency"][k].item() == pytest.approx(hertz)
        assert basis.layout.radius[k].item() == pytest.approx(k / (2 * length))


def test_axes_and_grain():
    shape = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 4), Axis("width", 5)))
    assert Cosine(axes=["width"]) == Cosine(axes=("width",))
    layout = Cosine(axes="width").bind(shape).layout
    assert [(column.name, column.role) for column in layout.columns] == [
        ("channel", "channel"),
        ("height", "position"),
        ("frequency", "frequency"),
    ]
    basis = Cosine(grain="frequency").bind(shape)
    assert len(basis) == 20
    assert basis.multiplicity.tolist() == [3] * 20
    assert [column.name for column in basis.layout.columns] == ["frequency_height", "frequency_width"]
    x = noise(2, 3, 4, 5)
    kept = basis.keep_features(basis.forward(x), (torch.arange(20) != 7).expand(2, -1))
    spectrum = scipy.fft.dctn(kept.numpy(), norm="ortho", axes=(2, 3))
    assert abs(spectrum[:, :, 1, 2]).max() < 1e-12
    assert (basis.layout["frequency_height"][7].item(), basis.layout["frequency_width"][7].item()) == (
        pytest.approx(1 / 8),
        pytest.approx(2 / 10),
    )


def test_a_ramp_has_no_jump_at_its_ends():
    """What a cosine transform is for: the power of a ramp falls much faster than in the Fourier domain."""
    x = torch.linspace(-1, 1, 64, dtype=torch.float64).unsqueeze(0)
    rest = []
    for domain in (Cosine(), Fourier()):
        basis = domain.bind(signal(64))
        f = basis.forward(x)
        power = basis.inner(f, f)[0]
        rest.append((power[basis.layout.radius > 2.5 / 64].sum() / power.sum()).item())
    assert rest[0] < 0.001
    assert rest[1] > 0.2


def test_what_is_refused():
    with pytest.raises(SpecError, match="grain"):
        Cosine(grain="octave")
    with pytest.raises(SpecError, match="axis 'depth'"):
        Cosine(axes="depth").bind(signal(4))
    with pytest.raises(SpecError, match="channels only"):
        Cosine().bind(signal(4, channels=(0,)))
