"""The Fourier domain against the plain full complex FFT, by what its layout says alone."""

import math

import numpy as np
import pytest
import torch

from hf_fourier.domains import DOMAINS, Axis, Fourier, SignalShape, base
from hf_fourier.errors import SpecError
from tests.toy_scores import DOMAIN_SPECS, LEAVES, bound, full_bins, full_spectrum, noise, signal

SPECS = [spec for spec in DOMAIN_SPECS if spec.startswith("fourier")]
WHOLE = {name: shape for name, shape in LEAVES.items() if not shape.segments}
CASES = [(spec, name) for spec in SPECS for name in WHOLE if bound(spec, WHOLE[name])]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def basis(request):
    spec, name = request.param
    return DOMAINS.parse(spec).bind(WHOLE[name])


def transformed(layout):
    names = {column.axis for column in layout.with_role("frequency")}
    return [d for d, axis in enumerate(layout.signal.axes) if axis.name in names]


@pytest.mark.parametrize("name", list(LEAVES))
def test_every_signal_suits(name):
    assert bound("fourier", LEAVES[name]) is not None


def test_features_partition_the_full_spectrum_into_pairs(basis):
    """Every bin has one owner, and the owner of k is the owner of −k."""
    shape, dims = basis.signal.shape, transformed(basis.layout)
    features = full_bins(basis.layout)
    owner = np.full(math.prod(shape), -1)
    for k, bins in enumerate(features):
        assert (owner[bins] == -1).all()
        owner[bins] = k
    assert (owner >= 0).all()
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, len(shape))
    for d in dims:
        grid[:, d] = -grid[:, d] % shape[d]
    assert (owner[np.ravel_multi_index(grid.T, shape)] == owner).all()
    assert [len(bins) for bins in features] == basis.multiplicity.tolist()


def test_scores_and_masks_are_those_of_the_full_spectrum(basis):
    layout, dims = basis.layout, transformed(basis.layout)
    x, y = noise(1, *basis.signal.shape, seed=0), noise(1, *basis.signal.shape, seed=1)
    full, other = (full_spectrum(t[0].numpy(), layout) for t in (x, y))
    features = full_bins(layout)
    f, g = basis.forward(x), basis.forward(y)
    inner = [(full[bins].conj() * other[bins]).real.sum() for bins in features]
    np.testing.assert_allclose(basis.inner(f, g)[0].numpy(), inner, rtol=1e-9, atol=1e-10)
    rms = [np.sqrt((np.abs(full[bins]) ** 2).mean()) for bins in features]
    np.testing.assert_allclose(basis.magnitude(f)[0].numpy(), rms, rtol=1e-9, atol=1e-10)
    mask = noise(1, len(basis), seed=2) > 0
    wide = np.zeros(full.size)
    for bins, on in zip(features, mask[0].tolist(), strict=True):
        wide[bins] = on
    rebuilt = np.fft.ifftn((wide * full).reshape(basis.signal.shape), axes=dims, norm="ortho")
    assert np.abs(rebuilt.imag).max() < 1e-12
    np.testing.assert_allclose(basis.keep_features(f, mask)[0].numpy(), rebuilt.real, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 12, 13])
def test_a_tone_is_its_own_feature(length):
    """Every frequency, DC and Nyquist among them, at two phases, in hertz."""
    rate = 100.0
    basis = Fourier().bind(SignalShape("waveform", (Axis("sample", length, "Hz", rate),)))
    t = torch.arange(length, dtype=torch.float64) / rate
    for k in range(length // 2 + 1):
        hertz = k * rate / length
        for phase in (0.0, 0.7):
            tone = torch.cos(2 * math.pi * hertz * t + phase).unsqueeze(0)
            m = basis.magnitude(basis.forward(tone))[0]
            assert m.argmax() == k
            assert m.sum() - m[k] < 1e-9
            assert basis.layout["frequency"][k].item() == pytest.approx(hertz)
            expected = abs(math.cos(phase)) * length**0.5 if 2 * k % length == 0 else length**0.5 / 2
            assert m[k].item() == pytest.approx(expected)
    assert basis.layout.columns[0].unit == "Hz"
    torch.testing.assert_close(basis.layout.radius, torch.arange(length // 2 + 1) / length)


@pytest.mark.parametrize("sizes", [(6, 8), (5, 8), (6, 7), (4, 4), (3, 4, 6)])
def test_a_plane_wave_is_its_own_feature_with_its_sign(sizes):
    """All signed wave vectors: one feature each, which reports the wave vector or its negative, the last axis ≥ 0."""
    basis = Fourier().bind(signal(*sizes))
    places = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in sizes), indexing="ij"))
    columns = [c.values for c in basis.layout.with_role("frequency")]
    for k in np.ndindex(*sizes):
        signed = [i - n if i > n // 2 else i for i, n in zip(k, sizes, strict=True)]
        phase = sum(2 * math.pi * i / n * p for i, n, p in zip(signed, sizes, places, strict=True))
        m = basis.magnitude(basis.forward(torch.cos(phase + 0.4).unsqueeze(0)))[0]
        at = int(m.argmax())
        assert m.sum() - m[at] < 1e-9
        told = [round(c[at].item() / 10 * n) for c, n in zip(columns, sizes, strict=True)]
        assert any(all((s * a - b) % n == 0 for a, b, n in zip(told, signed, sizes, strict=True)) for s in (1, -1))
        assert all(abs(a) <= n // 2 for a, n in zip(told, sizes, strict=True))
        assert told[-1] >= 0
        cycles = [min(i, n - i) / n for i, n in zip(k, sizes, strict=True)]
        assert basis.layout.radius[at].item() == pytest.approx(math.hypot(*cycles), abs=1e-6)


def test_a_diagonal_stripe_and_its_mirror_are_two_features():
    basis = Fourier().bind(signal(8, 8))
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    told = []
    for sign in (1, -1):
        stripes = torch.cos(2 * math.pi * (sign * 2 * y + x) / 8).unsqueeze(0)
        at = int(basis.magnitude(basis.forward(stripes)).argmax())
        told.append((basis.layout["frequency_axis0"][at].item() / 10, basis.layout["frequency_axis1"][at].item() / 10))
    assert told == [pytest.approx((0.25, 0.125)), pytest.approx((-0.25, 0.125))]


def test_the_size_of_an_image():
    shape = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 224), Axis("width", 224)))
    basis = Fourier().bind(shape)
    assert len(basis) == 75_270
    assert basis.forward(torch.zeros(1, 3, 224, 224)).shape == (1, 75_936)
    assert basis.layout.total == 3 * 224 * 224
    assert len(Fourier(grain="frequency").bind(shape)) == 75_270 // 3


def test_a_frequency_takes_all_channels_along():
    basis = Fourier(grain="frequency").bind(signal(3, 8, channels=(0,)))
    assert len(basis) == 5
    assert basis.multiplicity.tolist() == [3, 6, 6, 6, 3]
    assert [column.role for column in basis.layout.columns] == ["frequency"]
    x = noise(1, 3, 8)
    f = basis.forward(x)
    without = basis.keep_features(f, torch.tensor([[True, True, False, True, True]]))
    spectrum = np.fft.fft(without[0].numpy(), axis=1)
    assert np.abs(spectrum[:, [2, 6]]).max() < 1e-12
    assert np.abs(spectrum[:, [0, 1, 3, 4, 5, 7]]).min() > 1e-3


def test_channels_are_apart_by_default():
    layout = Fourier().bind(signal(3, 8, channels=(0,))).layout
    assert layout["axis0"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert layout.with_role("channel")[0].name == "axis0"


def test_segments_are_transformed_apart():
    whole, first, second = (signal(n, 2, channels=(1,), segments=s) for n, s in ((12, (7, 5)), (7, ()), (5, ())))
    basis = Fourier().bind(whole)
    x = noise(2, 12, 2)
    parts = [Fourier().bind(first).forward(x[:, :7]), Fourier().bind(second).forward(x[:, 7:])]
    magnitudes = torch.cat([Fourier().bind(s).magnitude(f) for s, f in zip((first, second), parts, strict=True)], 1)
    torch.testing.assert_close(basis.magnitude(basis.forward(x)), magnitudes)
    assert basis.layout["segment"].tolist() == [0] * 8 + [1] * 6
    cycles = basis.layout["frequency"] / 10
    expected = [k / n for n in (7, 5) for k in range(n // 2 + 1) for _ in range(2)]
    torch.testing.assert_close(cycles, torch.tensor(expected))
    torch.testing.assert_close(basis.layout.radius, torch.tensor(expected))
    changed = x.clone()
    changed[:, 7:] += 1
    assert torch.equal(basis.forward(changed)[:, : parts[0].shape[1]], basis.forward(x)[:, : parts[0].shape[1]])


@pytest.mark.parametrize("spec", ["fourier:grain=frequency", "identity", "identity:grain=position"])
def test_segments_in_other_domains_and_grains(spec):
    whole = signal(12, 2, channels=(1,), segments=(7, 5))
    basis = DOMAINS.parse(spec).bind(whole)
    pieces = [DOMAINS.parse(spec).bind(signal(n, 2, channels=(1,))) for n in (7, 5)]
    x = noise(2, 12, 2)
    expected = [p.magnitude(p.forward(part)) for p, part in zip(pieces, x.split([7, 5], 1), strict=True)]
    torch.testing.assert_close(basis.magnitude(basis.forward(x)), torch.cat(expected, 1))
    assert len(basis) == sum(len(p) for p in pieces)


@pytest.mark.parametrize(("axes", "dims"), [(("height",), [1]), ((-1,), [2]), ((2, 1), [1, 2]), ((0,), [0]), (1, [1])])
def test_axes_by_name_and_number(axes, dims):
    shape = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 4), Axis("width", 5)))
    basis = Fourier(axes=axes).bind(shape)
    assert transformed(basis.layout) == dims
    full = full_spectrum(noise(3, 4, 5).numpy(), basis.layout)
    power = basis.inner(basis.forward(noise(1, 3, 4, 5)), basis.forward(noise(1, 3, 4, 5)))[0]
    np.testing.assert_allclose(power, [(np.abs(full[b]) ** 2).sum() for b in full_bins(basis.layout)])


def test_axes_may_be_a_list():
    assert Fourier(axes=[0, 1]) == Fourier(axes=(0, 1))
    assert len(Fourier(axes=[0, 1]).bind(signal(3, 4))) == len(Fourier().bind(signal(3, 4)))
    assert DOMAINS.parse("fourier:axes=1") == Fourier(axes=(1,))


@pytest.mark.parametrize("axes", [("depth",), (3,), (-4,), (1, 1), (1, "height"), ()])
def test_axes_that_are_none(axes):
    shape = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 4), Axis("width", 5)))
    with pytest.raises(SpecError):
        Fourier(axes=axes).bind(shape)


def test_a_signal_without_an_order_is_refused():
    with pytest.raises(SpecError, match="channels only"):
        Fourier().bind(signal(4, channels=(0,)))


def test_an_unknown_grain_is_refused():
    with pytest.raises(SpecError, match="grain"):
        Fourier(grain="octave")


@pytest.mark.parametrize("sizes", [(16, 15), (8, 9, 10), (7, 16), (12,)])
def test_the_inverse_is_the_same_where_a_gradient_is_taken(sizes):
    """Of some sizes scipy inverts, unless a gradient has to come back."""
    basis = DOMAINS.parse("fourier").bind(signal(*sizes))
    coefficients = basis.forward(noise(3, *sizes))
    plain, taken = basis.inverse(coefficients), basis.inverse(coefficients.clone().requires_grad_(True))
    assert taken.requires_grad
    torch.testing.assert_close(plain, taken.detach())
    torch.testing.assert_close(plain, noise(3, *sizes))
    assert basis.inverse(basis.forward(noise(1, *sizes).float())).dtype == torch.float32


@pytest.mark.parametrize(("length", "axes"), [(7, "token"), (8, "token"), (6, "hidden"), (1, "token")])
def test_one_axis_is_bound_as_several_are(length, axes):
    """The short way for one axis has the features, counts and columns of the general one."""
    shape = SignalShape("tokens", (Axis("token", length), Axis("hidden", 5, channel=True)))
    short = Fourier(axes=axes).build(shape)
    index = torch.arange(torch.Size(short._stored).numel()).view(short._stored)
    partner = short._partners(index)
    assert torch.equal(short.bin_multiplicity, torch.where(partner == index, 1, 2).flatten())
    assert not ((partner >= 0) & (partner != index)).any()
    for one, other in zip(short._bins, torch.unravel_index(index.flatten(), short._stored), strict=True):
        assert torch.equal(one, other)


def test_bases_are_kept_by_their_bytes(monkeypatch):
    def of_length(length):
        return Fourier().bind(SignalShape("series", (Axis("time", length), Axis("channel", 64, channel=True))))

    base._bind.cache_clear()
    one = of_length(100)
    one.layout  # noqa: B018  # grows
    assert of_length(100) is one
    size = base._bytes(one, set())
    assert size >= 8 * len(one)
    shared, other = torch.zeros(3, dtype=torch.float64), torch.zeros(5, dtype=torch.int32)
    assert base._bytes([shared, {"again": shared}, (other,), "no tensor"], set()) == 3 * 8 + 5 * 4
    monkeypatch.setattr(base, "CACHE_BYTES", 3 * size)
    for length in range(100, 109):
        assert len(of_length(length).layout) == 64 * (length // 2 + 1)
    assert 2 <= len(base._bind._known) <= 4
    assert of_length(108) is of_length(108)
    assert of_length(100) is not one
    monkeypatch.setattr(base, "CACHE_BYTES", 0)
    assert of_length(50) is of_length(50), "the last one stays in any case"
