"""Bands: which features belong to which, what they are called, and what is refused."""

import math

import pytest
import torch

from hf_fourier.domains import DOMAINS, Axis, Fourier, SignalShape, Stft, Wavelet
from hf_fourier.domains.bands import frequency_text
from hf_fourier.errors import SpecError
from tests.toy_scores import noise

COLOURS = Axis("channel", 3, channel=True)


def sound(length=16000, rate=16000.0):
    return SignalShape("waveform", (Axis("time", length, "Hz", rate),))


def picture(height, width=None):
    sides = (Axis("height", height, "cycles/pixel"), Axis("width", width or height, "cycles/pixel"))
    return SignalShape("pixels", (COLOURS, *sides))


def text(tokens, segments=()):
    return SignalShape("tokens", (Axis("token", tokens, "cycles/token"), Axis("hidden", 4, channel=True)), segments)


def volume(*sizes):
    axes = (Axis(name, size, "cycles/voxel") for name, size in zip("zyx", sizes, strict=True))
    return SignalShape("volume", (Axis("channel", 1, channel=True), *axes))


def names(spec, signal):
    layout = DOMAINS.parse(spec).bind(signal).layout
    assert [layout.label(i) for i in range(len(layout))] == [band.name for band in layout.bands]
    assert [layout.describe(i)["band"] for i in range(len(layout))] == [band.name for band in layout.bands]
    return [band.name for band in layout.bands]


def test_octaves_of_a_sound():
    """Edges are 1000 Hz times powers of 2, from the top, at most 8 bands; 0 Hz belongs to the lowest."""
    found = ["0–62.5", "62.5–125", "125–250", "250–500", "500–1000", "1000–2000", "2000–4000", "4000–8000"]
    assert names("fourier:bands=octave", sound()) == [f"{ends} Hz" for ends in found]
    assert names("fourier:bands=octave-3", sound()) == ["0–2000 Hz", "2000–4000 Hz", "4000–8000 Hz"]


def test_the_top_band_is_no_sliver():
    """A third of an octave at least: 4000 to 4096 Hz stays with the octave below."""
    assert names("fourier:bands=octave-3", sound(8192, 8192.0)) == ["0–1000 Hz", "1000–2000 Hz", "2000–4096 Hz"]
    assert names("fourier:bands=octave-3", sound(11025, 11025.0))[-1] == "4000–5512 Hz"


def test_thirds_lie_within_octaves():
    thirds = DOMAINS.parse("fourier:bands=third-octave").bind(sound()).layout.bands
    octaves = DOMAINS.parse("fourier:bands=octave").bind(sound()).layout.bands
    lows = [band.low for band in thirds]
    assert all(any(math.isclose(band.low, low) for low in lows) for band in octaves)
    assert all(math.isclose(band.high / band.low, 2 ** (1 / 3)) for band in thirds[1:])


def test_octaves_of_a_picture():
    """Frequency 0 is apart; the corners, beyond the highest frequency along an axis, belong to the top band."""
    found = ["below 2", "2–4", "4–8", "8–16", "16–32", "32–64"]
    ends = [f"{end} cycles/picture" for end in found]
    assert names("fourier:bands=octave", picture(224)) == ["mean (frequency 0)", *ends, "from 64 cycles/picture"]
    bands = DOMAINS.parse("fourier:bands=octave").bind(picture(224)).layout.bands
    assert bands[0].low == bands[0].high == 0
    assert math.isclose(bands[-1].high, 112 * math.sqrt(2), rel_tol=1e-4)
    assert names("fourier:bands=octave", picture(28)) == [
        "mean (frequency 0)", "1–2 cycles/picture", "2–4 cycles/picture", "4–8 cycles/picture", "from 8 cycles/picture",
    ]  # fmt: skip


def test_cycles_a_picture_count_along_the_shorter_side():
    shape = picture(32, 64)
    basis = DOMAINS.parse("fourier:bands=octave").bind(shape)
    x = torch.arange(64, dtype=torch.float64)
    wave = torch.cos(2 * math.pi * x * 6 / 64).expand(1, 3, 32, 64)  # 6 along the longer side, 3 along the shorter
    power = basis.magnitude(basis.forward(wave))[0]
    assert basis.layout.label(int(power.argmax())) == "2–4 cycles/picture"


def test_bands_of_a_text_are_periods():
    assert names("fourier:bands=octave", text(50)) == [
        "mean (frequency 0)", "every 32–64 tokens", "every 16–32 tokens", "every 8–16 tokens", "every 4–8 tokens",
        "every 2–4 tokens",
    ]  # fmt: skip
    long = names("fourier:bands=octave", text(512))
    assert len(long) == 8
    assert long[1] == "every 128 tokens and slower"
    assert set(names("fourier:bands=octave", text(100))[1:]) < set(long) | {"every 64–128 tokens"}


def test_a_band_spans_all_segments():
    apart = DOMAINS.parse("fourier").bind(text(50, (20, 30)))
    basis = DOMAINS.parse("fourier:bands=octave").bind(text(50, (20, 30)))
    assert names("fourier:bands=octave", text(50, (20, 30)))[0] == "mean (frequency 0)"
    assert len(basis) == 5
    assert int(basis.multiplicity[0]) == 2 * 4  # the mean of each text
    x = noise(2, 50, 4)
    torch.testing.assert_close(basis.forward(x), apart.forward(x))


def test_rhythms():
    signal = SignalShape("series", (Axis("time", 500, "Hz", 250.0), Axis("channel", 2, channel=True)))
    found = names("fourier:bands=eeg", signal)
    assert found[:3] == ["below delta (0–0.5 Hz)", "delta (0.5–4 Hz)", "theta (4–8 Hz)"]
    assert found[-1] == "above gamma (100–125 Hz)"
    basis = DOMAINS.parse("fourier:bands=eeg").bind(signal)
    t = torch.arange(500, dtype=torch.float64) / 250
    tone = torch.cos(2 * math.pi * 10 * t).view(1, 500, 1).expand(1, 500, 2)
    assert basis.layout.label(int(basis.magnitude(basis.forward(tone)).argmax())) == "alpha (8–13 Hz)"


def test_rhythms_end_at_the_highest_frequency():
    """At 200 Hz the Nyquist bin belongs to gamma, and nothing lies above."""
    signal = SignalShape("series", (Axis("time", 400, "Hz", 200.0),))
    assert names("fourier:bands=eeg", signal)[-1] == "gamma (30–100 Hz)"


def test_diagonals_between_two_directions_are_apart():
    """Of two directions neither is owed what lies at 45°; both have as many waves."""
    basis = Fourier(bands="octave", directions=2).bind(picture(32))
    sizes = {band.name: int(size) for band, size in zip(basis.layout.bands, basis.multiplicity, strict=True)}
    octave = "4–8 cycles/picture, "
    assert sizes[octave + "waves at 0°"] == sizes[octave + "waves at 90°"]
    assert sizes[octave + "between two directions"] > 0


def test_mel_bands_are_equally_wide_in_mel():
    bands = DOMAINS.parse("fourier:bands=mel-10").bind(sound()).layout.bands
    mel = [2595 * math.log10(1 + band.high / 700) for band in bands]
    steps = [high - low for low, high in zip([0.0, *mel], mel, strict=False)]
    assert len(bands) == 10
    assert all(math.isclose(step, steps[0], rel_tol=1e-9) for step in steps)


def test_given_edges():
    assert names("fourier:bands=0-200+200-4000", sound()) == ["0–200 Hz", "200–4000 Hz", "4000–8000 Hz"]
    assert Fourier(bands="0-200,200-4000 Hz").bands == ("0-200", "200-4000 Hz")
    assert [b.name for b in Fourier(bands=".2–4 kHz").bind(sound()).layout.bands] == [
        "0–200 Hz", "200–4000 Hz", "4000–8000 Hz",
    ]  # fmt: skip
    basis = Fourier(bands="0-200,200-4000 Hz").bind(sound())
    assert basis.multiplicity.tolist() == [399, 7600, 8001]  # 0 to 199 Hz; 200 to 3999; 4000 to 8000
    assert Fourier(bands="50-50.5").bind(sound()).multiplicity.tolist() == [99, 2, 15899]
    apart = Fourier(bands="100-200,1000-2000").bind(sound()).layout.bands
    assert [(band.low, band.high) for band in apart] == [
        (0, 100), (100, 200), (200, 1000), (1000, 2000), (2000, 8000),
    ]  # fmt: skip
    lows = Fourier(bands="2-4").bind(picture(16)).layout.bands
    assert [band.name for band in lows] == [
        "mean (frequency 0)", "below 2 cycles/picture", "2–4 cycles/picture", "4–11.3 cycles/picture",
    ]  # fmt: skip


def test_a_unit_holds_for_the_edges_before_it():
    bands = Fourier(bands="0-1,1-4 kHz").bind(sound()).layout.bands
    assert [(band.low, band.high) for band in bands] == [(0, 1000), (1000, 4000), (4000, 8000)]
    assert Fourier(bands="0-1 kHz,1-4").bind(sound()).layout.bands[1].high == 4000


def test_bands_of_equal_width():
    assert names("fourier:bands=4", sound()) == ["0–2000 Hz", "2000–4000 Hz", "4000–6000 Hz", "6000–8000 Hz"]
    assert DOMAINS.parse("fourier:bands=4").bind(sound()).multiplicity.sum() == 16000


def test_directions_of_a_picture():
    """0° changes along the width alone; the mean has no direction."""
    basis = Fourier(bands="octave", directions=4).bind(picture(16))
    x, y = torch.arange(16.0), torch.arange(16.0).view(-1, 1)
    waves = {"waves at 0°": x + 0 * y, "waves at 90°": y + 0 * x, "waves at 45°": x + y, "waves at 135°": x - y}
    for name, phase in waves.items():
        wave = torch.cos(2 * math.pi * 2 * phase / 16).expand(1, 3, 16, 16)
        best = int(basis.magnitude(basis.forward(wave)).argmax())
        assert basis.layout.label(best) == f"2–4 cycles/picture, {name}"
    assert basis.layout.label(0) == "mean (frequency 0)"


def test_directions_of_a_volume():
    basis = Fourier(bands="octave", directions=3).bind(volume(16, 17, 18))
    z = torch.arange(16.0).view(16, 1, 1)
    wave = torch.cos(2 * math.pi * 2 * z / 16).expand(1, 1, 16, 17, 18)
    best = basis.layout.label(int(basis.magnitude(basis.forward(wave)).argmax()))
    assert best == "2–4 cycles/volume, mostly along z"
    assert any(band.name.endswith("as fast along several axes") for band in basis.layout.bands)


def test_levels_of_wavelets():
    basis = Wavelet("haar", 2, bands="level").bind(sound(64, 64.0))
    assert [band.name for band in basis.layout.bands] == [
        "smooth part", "level 2 (about 8–16 Hz)", "level 1 (about 16–32 Hz)",
    ]  # fmt: skip
    assert basis.multiplicity.tolist() == [16, 16, 32]
    turned = Wavelet("haar", 1, bands="level", directions=True).bind(picture(8))
    assert len(turned) == 4
    assert turned.layout.label(0) == "smooth part"


def test_cells_of_time_and_frequency():
    basis = Stft(64, bands="octave-3", times=2).bind(sound(8000))
    t = torch.arange(8000, dtype=torch.float64) / 16000
    tone = (torch.cos(2 * math.pi * 3000 * t) * (t > 0.25)).unsqueeze(0)
    best = basis.layout.label(int(basis.magnitude(basis.forward(tone)).argmax()))
    assert best == "2000–4000 Hz, 0.25–0.5 s"
    assert len(basis) == 6


def test_the_layout_of_bands():
    fine, basis = Fourier().bind(sound()), Fourier(bands="octave").bind(sound())
    layout = basis.layout
    assert layout.total == 16000
    assert not layout.by_place
    middle = layout["frequency"]
    assert all(band.low <= f <= band.high for band, f in zip(layout.bands, middle.tolist(), strict=True))
    assert (layout.radius.diff() > 0).all()
    x = noise(2, 16000)
    torch.testing.assert_close(basis.forward(x), fine.forward(x))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fourier:bands=octaves", "octave, third-octave"),
        ("fourier:bands=octave-2", "3 to 4096"),
        ("fourier:bands=eeg-3", "without a number"),
        ("fourier:bands=0", "0"),
        ("fourier:bands=100000", "1 to 4096"),
        ("fourier:bands=200-100", "below the upper"),
        ("fourier:bands=1..2-4", "two numbers"),
        ("fourier:bands=level", "octave"),
        ("fourier:directions=2", "bands, which they cut"),
        ("fourier:bands=octave,directions=0", "at least 1"),
        ("wavelet:bands=octave,directions=true", "level"),
        ("wavelet:bands=level-3", "without a number"),
        ("stft:times=2", "bands, which they cut"),
        ("stft:bands=octave,times=0", "at least 1"),
    ],
)
def test_what_is_refused_when_it_is_named(spec, words):
    with pytest.raises(SpecError) as error:
        DOMAINS.parse(spec)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("domain", "signal", "words"),
    [
        (Fourier(bands="mel"), picture(8), "a signal in Hz"),
        (Fourier(bands="eeg"), text(9), "a signal in Hz"),
        (Fourier(bands="0-100,50-200"), sound(), "do not overlap"),
        (Fourier(bands="1-2 Hz"), picture(8), "cycles/picture"),
        (Fourier(bands="4-8"), text(50), "from 0 to 0.5 cycles/token"),
        (Fourier(bands="octave", directions=2), sound(), "two frequency axes"),
        (Fourier(bands="octave", directions=2), volume(4, 4, 4), "as many directions as axes"),
    ],
)
def test_what_does_not_suit_a_signal(domain, signal, words):
    with pytest.raises(SpecError) as error:
        domain.bind(signal)
    assert words in str(error.value)


def test_frequencies_in_words():
    assert frequency_text("Hz", 62.5) == "62.5 Hz"
    assert frequency_text("Hz", 2000.4, 891.3, 3480.6) == "2000 [891, 3481] Hz"
    assert frequency_text("cycles/token", 1 / 64, 1 / 70, 1 / 60) == "1 per 64 [60, 70] tokens"
    assert frequency_text("cycles/picture", 2.25, 2, 3) == "2.25 [2, 3] cycles/picture"
    assert frequency_text("Hz", 999.7) == "1000 Hz"
    assert frequency_text("cycles/token", 0.0) == "0 cycles/token"


@pytest.mark.parametrize(
    ("spec", "first", "edge"),
    [
        ("wavelet:bands=octave", "below 14 cycles/picture", 14.0),  # a band of its own
        ("wavelet:level=none,bands=octave", "below 2 cycles/picture", 2.0),  # 1.75 and less: in the octave from 0
        ("wavelet:db4,bands=4", "below 28 cycles/picture", 28.0),
    ],
)
def test_the_smooth_part_of_wavelets_is_in_a_band_from_zero(spec, first, edge):
    axes = (Axis("height", 224, "cycles/pixel"), Axis("width", 224, "cycles/pixel"))
    basis = DOMAINS.parse(spec).bind(SignalShape("pixels", axes))
    band = basis.layout.bands[0]
    assert (band.name, band.low, band.high) == (first, 0.0, edge)
    fine = basis.fine.layout
    orientation = fine.with_role("orientation")[0]
    smooth = torch.tensor([orientation.names[code] == "aa" for code in orientation.values.tolist()])
    assert set(basis.split.band_of_feature[smooth].tolist()) == {0}
    flat = basis.inner(*[basis.forward(torch.ones(1, 224, 224))] * 2)[0]  # frequency 0 lies there
    assert float(flat[0]) > 0.9 * float(flat.sum())
