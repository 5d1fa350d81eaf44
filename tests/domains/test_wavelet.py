"""The wavelet domain against pywt, against its own dense synthesis, and by what its layout says."""

import itertools
import sys

import numpy as np
import pytest
import pywt
import torch

from hf_fourier.domains import DOMAINS, Axis, SignalShape, Wavelet, filterbank
from hf_fourier.errors import MissingExtraError, SpecError
from tests.toy_scores import noise, signal

DISCRETE = pywt.wavelist(kind="discrete")
ORTHOGONAL = [name for name in DISCRETE if pywt.Wavelet(name).orthogonal]
SOME = ["haar", "db2", "db4", "db7", "sym5", "coif1"]
PADDED = [
    ("bior2.2", "symmetric"),
    ("bior4.4", "reflect"),
    ("rbio3.1", "zero"),
    ("bior1.3", "constant"),
    ("db4", "reflect"),
    ("haar", "symmetric"),
    ("sym4", "periodic"),
]
SIZES = [(1,), (2,), (13,), (16,), (33,), (6, 8), (5, 7), (1, 9), (9, 16), (3, 5, 4), (4, 6, 8), (5, 3, 7)]
TIGHT = {"rtol": 1e-9, "atol": 1e-10}
pytestmark = pytest.mark.filterwarnings("ignore:Level value of:UserWarning")


def eye(n):
    return torch.eye(n, dtype=torch.float64)


def in_order(coefficients, dims):
    """What `pywt.wavedecn` returns, in the order in which a basis stores it."""
    keys = ["".join(word) for word in itertools.product("ad", repeat=dims)][1:]
    bands = [coefficients[0], *(level[key] for level in coefficients[1:] for key in keys)]
    return np.concatenate([band.ravel() for band in bands])


def pywt_synthesis(sizes, family, mode, level):
    """The dense synthesis matrix of the padded form, column by column from `pywt.waverecn`, in float64."""
    dims = len(sizes)
    empty = pywt.wavedecn(np.zeros(sizes), family, mode=mode, level=level)
    keys = ["".join(word) for word in itertools.product("ad", repeat=dims)][1:]
    bands = [empty[0], *(one[key] for one in empty[1:] for key in keys)]
    columns = []
    for band in bands:
        for place in np.ndindex(*band.shape):
            band[place] = 1.0
            columns.append(pywt.waverecn(empty, family, mode=mode)[tuple(slice(n) for n in sizes)].ravel())
            band[place] = 0.0
    return torch.from_numpy(np.stack(columns, 1))


# --- the orthonormal form


@pytest.mark.parametrize("family", ORTHOGONAL)
def test_every_orthogonal_family_is_orthonormal_at_every_size(family):
    """WᵀW = I, also where the filter is many times as long as the axis."""
    for size in (1, 2, 3, 5, 8, 13, 31):
        basis = Wavelet(family, level=None).bind(signal(size))
        w = basis.forward(eye(size))
        assert w.shape == (size, size)
        torch.testing.assert_close(w.T @ w, eye(size), rtol=0, atol=1e-12)
        torch.testing.assert_close(basis.inverse(eye(size)), w.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", SOME)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_orthonormal_in_more_dimensions_and_deeper(family, sizes):
    """The adjoint is the transpose of the domain's own synthesis, column by column."""
    n = int(np.prod(sizes))
    for level in (1, 3, None):
        basis = Wavelet(family, level).bind(signal(*sizes))
        assert basis.parseval
        assert len(basis) == n
        synthesis = basis.inverse(eye(n)).flatten(1).T
        torch.testing.assert_close(synthesis.T @ synthesis, eye(n), rtol=0, atol=1e-12)
        x = noise(2, *sizes)
        torch.testing.assert_close(basis.pullback(x), x.flatten(1) @ synthesis, **TIGHT)
        torch.testing.assert_close(basis.forward(x), x.flatten(1) @ synthesis, **TIGHT)


@pytest.mark.parametrize("family", [name for name in ORTHOGONAL if name != "dmey"])
def test_even_sizes_agree_with_pywt(family):
    """Its mode "periodization", which is orthonormal there. (Its "dmey" is truncated, and orthonormal to 2e-3 only.)"""
    taps = pywt.Wavelet(family).dec_len
    for size in (8, 4 * taps):
        basis = Wavelet(family, 2).bind(signal(size))
        x = noise(1, size)
        expected = in_order(pywt.wavedecn(x[0].numpy(), family, mode="periodization", level=basis.levels), 1)
        np.testing.assert_allclose(basis.forward(x)[0].numpy(), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sizes", [(16,), (8, 24), (8, 16, 8)])
@pytest.mark.parametrize("mode", ["symmetric", "reflect", "periodization"])
def test_haar_agrees_with_pywt_in_every_dimension(sizes, mode):
    """At sizes that can be halved three times the mode is without effect."""
    basis = Wavelet().bind(signal(*sizes))
    assert (basis.domain.family, basis.levels) == ("haar", 3)
    x = noise(1, *sizes)
    expected = in_order(pywt.wavedecn(x[0].numpy(), "haar", mode=mode, level=3), len(sizes))
    np.testing.assert_allclose(basis.forward(x)[0].numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", ["db2", "db4", "sym5"])
def test_db_agrees_with_pywt_in_two_dimensions(family):
    basis = Wavelet(family, 2).bind(signal(40, 64))
    x = noise(1, 40, 64)
    expected = in_order(pywt.wavedecn(x[0].numpy(), family, mode="periodization", level=2), 2)
    np.testing.assert_allclose(basis.forward(x)[0].numpy(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("family", SOME)
@pytest.mark.parametrize("size", [8, 9, 15, 64, 65])
def test_a_constant_has_no_detail(family, size):
    """At the first level also at odd sizes."""
    basis = Wavelet(family, 1).bind(signal(size))
    f = basis.forward(torch.ones(1, size, dtype=torch.float64))[0]
    assert f[basis.layout["orientation"] == 1].abs().max() < 1e-10


def test_an_odd_size_is_mended_near_its_ends_only():
    """Away from the seam an odd axis has the same waves as an even one."""
    odd, even = (Wavelet("db4", 1).bind(signal(n)).inverse(eye(n)) for n in (101, 100))
    torch.testing.assert_close(odd[15:35, :100], even[15:35], rtol=0, atol=1e-13)
    assert odd[15:35, 100].abs().max() < 1e-13


# --- long axes


@pytest.mark.parametrize("family", ["haar", "db4", "sym8"])
@pytest.mark.parametrize("size", [257, 300, 385, 1022])
def test_a_long_axis_is_the_same_map_as_its_matrix(family, size):
    bank = filterbank.filters(family)
    long = filterbank.step(family, None, size).analysis
    assert isinstance(long, filterbank.LongBands)
    dense = filterbank._orthonormal(bank, size)
    assert (long.lows, long.highs) == (dense.lows, dense.highs)
    torch.testing.assert_close(long.apply(eye(size), 1).T, dense.matrix, rtol=0, atol=1e-12)
    torch.testing.assert_close(long.transpose(eye(size), 1), dense.matrix, rtol=0, atol=1e-12)
    x = noise(2, size, 3)
    torch.testing.assert_close(long.apply(x, 1), dense.apply(x, 1), **TIGHT)
    torch.testing.assert_close(long.transpose(x, 1), dense.transpose(x, 1), **TIGHT)


@pytest.mark.parametrize(("family", "mode"), PADDED)
@pytest.mark.parametrize("size", [1000, 1001])
def test_a_long_padded_axis_agrees_with_pywt(family, mode, size):
    basis = Wavelet(family, 3, mode=mode).bind(signal(size))
    x = noise(1, size)
    expected = in_order(pywt.wavedecn(x[0].numpy(), family, mode=mode, level=3), 1)
    np.testing.assert_allclose(basis.forward(x)[0].numpy(), expected, **TIGHT)
    torch.testing.assert_close(basis.inverse(basis.forward(x)), x, **TIGHT)
    a, c = noise(1, size, seed=1), noise(1, len(basis), seed=2)
    torch.testing.assert_close((basis.pullback(a) * c).sum(), (a * basis.inverse(c)).sum(), **TIGHT)


# --- the padded form


@pytest.mark.parametrize(("family", "mode"), PADDED)
@pytest.mark.parametrize("sizes", [size for size in SIZES if min(size) > 1], ids=str)
def test_the_padded_form_is_that_of_pywt(family, mode, sizes):
    """Analysis, synthesis from any coefficients, and the pullback as the transposed dense synthesis."""
    basis = Wavelet(family, 2, mode=mode).bind(signal(*sizes))
    assert not basis.parseval
    x = noise(2, *sizes)
    level = basis.levels
    expected = [in_order(pywt.wavedecn(one.numpy(), family, mode=mode, level=level), len(sizes)) for one in x]
    np.testing.assert_allclose(basis.forward(x).numpy(), np.stack(expected), **TIGHT)
    synthesis = pywt_synthesis(sizes, family, mode, level)
    c = noise(2, len(basis), seed=1)
    torch.testing.assert_close(basis.inverse(c).flatten(1), c @ synthesis.T, **TIGHT)
    torch.testing.assert_close(basis.pullback(x), x.flatten(1) @ synthesis, **TIGHT)
    assert basis.redundancy == len(basis) / np.prod(sizes)


@pytest.mark.parametrize("family", [name for name in DISCRETE if name not in ORTHOGONAL])
def test_every_other_family_reconstructs(family):
    basis = Wavelet(family).bind(signal(37))
    assert basis.mode == "symmetric"
    assert basis.redundancy > 1
    x = noise(1, 37)
    torch.testing.assert_close(basis.inverse(basis.forward(x)), x, rtol=1e-9, atol=1e-9)


def test_analysis_is_no_adjoint_there():
    """Why the pullback is its own map: with the analysis the sum of gradient × input is not <g, x>."""
    basis = Wavelet("bior2.2").bind(signal(37))
    x, g = noise(1, 37), noise(1, 37, seed=1)
    f = basis.forward(x)
    torch.testing.assert_close((basis.pullback(g) * f).sum(), (g * x).sum(), **TIGHT)
    assert ((basis.forward(g) * f).sum() - (g * x).sum()).abs() > 0.1


def test_redundancy_of_padded_db4():
    for size, expected in ((32, 1.718), (64, 1.412), (224, 1.105)):
        assert Wavelet("db4", 3, mode="reflect").bind(signal(size, size)).redundancy == pytest.approx(
            expected, abs=1e-3
        )
    assert Wavelet("db4", 2).bind(signal(33, 35)).redundancy == 1


# --- the layout


@pytest.mark.parametrize(
    "spec", ["wavelet", "wavelet:db4", "wavelet:sym5,level=2", "wavelet:bior2.2", "wavelet:db4,mode=zero"]
)
@pytest.mark.parametrize("size", [128, 129])
def test_place_and_frequency_of_every_wave(spec, size):
    """Of each feature's own signal: the centre of its energy, and its mean frequency."""
    basis = DOMAINS.parse(spec).bind(signal(size))
    waves = basis.inverse(eye(len(basis)))
    energy = waves.square() / waves.square().sum(1, keepdim=True)
    places = torch.arange(size, dtype=torch.float64)
    centre = energy @ places
    spread = (energy @ places.square() - centre.square()).sqrt()
    inner = (centre > 45) & (centre < size - 45) & (spread < 30)
    assert inner.sum() > 0.2 * size
    torch.testing.assert_close(basis.layout["axis0"][inner], centre[inner], rtol=0, atol=1e-6)
    power = torch.fft.rfft(waves, 4096).abs().square()
    mean = power @ torch.linspace(0, 0.5, power.shape[1], dtype=torch.float64) / power.sum(1)
    torch.testing.assert_close(basis.layout.radius[inner].double(), mean[inner], rtol=0, atol=2e-3)


@pytest.mark.parametrize("family", ["db4", "sym8", "coif3", "bior4.4"])
def test_a_tone_is_in_the_band_of_its_frequency(family):
    basis = Wavelet(family, 4).bind(signal(512))
    level, detail = basis.layout["level"], basis.layout["orientation"]
    for expected in (1, 2, 3, 4):
        tone = torch.sin(2 * torch.pi * 0.375 * 2.0 ** (1 - expected) * torch.arange(512, dtype=torch.float64) + 0.3)
        power = basis.forward(tone.unsqueeze(0))[0].square()
        energy = {(j, d): power[(level == j) & (detail == d)].sum().item() for j in range(1, 5) for d in (0, 1)}
        assert max(energy, key=energy.get) == (expected, 1)
        assert energy[expected, 1] > 0.7 * power.sum()
    slow = torch.cos(2 * torch.pi * 4 * torch.arange(512, dtype=torch.float64) / 512).unsqueeze(0)
    power = basis.forward(slow)[0].square()
    assert power[(level == 4) & (detail == 0)].sum() > 0.95 * power.sum()


def test_the_frequency_of_a_band_is_near_that_of_pywt():
    """Its `central_frequency` is where the spectrum peaks, so a little off its mean."""
    for family in ("db4", "sym5", "coif2"):
        layout = Wavelet(family, 3).bind(signal(256)).layout
        for level in (1, 2, 3):
            here = layout.radius[(layout["level"] == level) & (layout["orientation"] == 1)]
            assert here.unique().numel() == 1
            assert here[0].item() == pytest.approx(pywt.central_frequency(family) / 2**level, rel=0.2)


@pytest.mark.parametrize(("axis", "name"), [("height", "da"), ("width", "ad")])
@pytest.mark.parametrize("spec", ["wavelet", "wavelet:db2", "wavelet:bior2.2"])
def test_the_orientation_is_the_axis_that_varies(axis, name, spec):
    """A picture that varies along its height alone has detail along the height alone."""
    shape = SignalShape("pixels", (Axis("channel", 2, channel=True), Axis("height", 32), Axis("width", 48)))
    layout = DOMAINS.parse(spec).bind(shape).layout
    n = 32 if axis == "height" else 48
    x = noise(1, 2, n, 1).expand(1, 2, n, 48) if axis == "height" else noise(1, 2, 1, n).expand(1, 2, 32, n)
    power = DOMAINS.parse(spec).bind(shape).forward(x.contiguous())[0].square()
    (column,) = layout.with_role("orientation")
    assert column.names == ("aa", "ad", "da", "dd")
    for code in (1, 2, 3):
        energy = power[column.values == code].sum()
        assert energy > 1 if column.names[code] == name else energy < 1e-18
    assert "height, width" in layout.notes[0]


def test_columns_and_words():
    shape = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 8), Axis("width", 8)))
    layout = Wavelet("haar", 2).bind(shape).layout
    assert [(c.name, c.role) for c in layout.columns] == [
        ("channel", "channel"),
        ("level", "level"),
        ("orientation", "orientation"),
        ("height", "position"),
        ("width", "position"),
    ]
    assert layout.describe(0) == {"channel": 0, "level": 2, "orientation": "aa", "height": 2.5, "width": 2.5}
    assert layout.label(len(layout) - 1) == "channel 2, level 1, orientation dd, height 7.5, width 7.5"
    assert layout["level"].tolist() == [2] * 48 + [1] * 144
    assert (layout.radius[layout["orientation"] == 0].max() < layout.radius[layout["orientation"] > 0].min()).item()


def test_segments_of_different_depth():
    whole = signal(20, 2, channels=(1,), segments=(3, 17))
    basis = Wavelet("haar", 3).bind(whole)
    assert basis.layout["level"][basis.layout["segment"] == 0].max() == 1
    assert basis.layout["level"][basis.layout["segment"] == 1].max() == 3
    assert basis.layout.with_role("orientation")[0].names == ("a", "d")
    assert any("1 of 3 levels" in note for note in basis.layout.notes)


# --- parameters


@pytest.mark.parametrize(
    ("spec", "sizes", "levels"),
    [
        ("wavelet", (224, 224), 3),
        ("wavelet:haar,level=none", (224, 224), 7),
        ("wavelet:db4,level=none", (224, 224), 5),
        ("wavelet:db4", (224, 20), 1),
        ("wavelet:db4,axes=0+", (224, 20), 3),
        ("wavelet", (3,), 1),
        ("wavelet", (1, 1), 0),
        ("wavelet", (1, 16), 3),
    ],
)
def test_levels_are_as_many_as_the_filter_fits(spec, sizes, levels):
    basis = DOMAINS.parse(spec).bind(signal(*sizes))
    assert basis.levels == levels
    asked = DOMAINS.parse(spec).level
    assert bool([note for note in basis.layout.notes if "levels" in note]) == (asked is not None and levels < asked)


@pytest.mark.parametrize(
    "spec", ["wavelet:morl", "wavelet:db99", "wavelet:level=0", "wavelet:level=x", "wavelet:mode=smooth"]
)
def test_what_is_refused(spec):
    with pytest.raises(SpecError):
        DOMAINS.parse(spec)


def test_without_pywt(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    filterbank.filters.cache_clear()
    with pytest.raises(MissingExtraError, match=r"hf_fourier\[wavelet\]"):
        Wavelet("db4")


def test_an_image_is_bound_quickly_and_holds_no_more_than_its_matrices():
    shape = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 225), Axis("width", 224)))
    basis = Wavelet("db4").bind(shape)
    held = [bands for steps in basis._steps for one in steps for bands in (one.analysis, one.synthesis)]
    assert all(bands.matrix.shape == (bands.size, bands.size) for bands in held)
    long = Wavelet("db4").bind(signal(160_001))._steps[0][0].analysis
    assert long.ends.numel() + long.block.numel() < 30_000
