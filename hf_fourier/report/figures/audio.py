"""The figures of explained sounds: a spectrogram as the model gets it, or a waveform with its spectrum in Hz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import panels, style
from hf_fourier.report.figures.feature_map import features
from hf_fourier.report.figures.spectrum import decibels, profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.audio import AudioClip

    Array = np.ndarray[Any, np.dtype[Any]]

DEPTH = 80.0  # dB that spectrograms reach below the loudest place of the clean one
HERTZ = (0, 100, 250, 500, 1000, 2000, 4000, 8000, 16000)
SHADES = "magma"


def draw_spectrogram(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """Fill `figure`: clean, kept and removed log-mel above; modulations, where they act and the curve below."""
    above, below = style.stack(figure, [1.0, 1.15])
    levels = panels.renders(attribution, fraction)
    record, view = record_of(attribution), cast(Any, attribution.view)
    seconds = (0.0, levels[0].shape[1] * view.hop)
    titles = wording.panel_titles(record, fraction, "The clip as the model gets it")
    shown = _spectrograms(above, levels, titles, seconds)
    for axes in shown:
        _mel_ticks(axes, attribution, len(levels[0]))
    style.label(shown[0], y=f"Hz ({len(levels[0])} mel bands)")
    mask = attribution.mask(fraction).numpy()
    flat = features(attribution, mask)
    grid = below.add_gridspec(2, 3)
    if flat is not None:
        flat = flat if view.mel_first else flat.turned()
        place = below.add_subplot(grid[:, 0])
        panels.spectrum(
            place, flat, "How the spectrogram is modulated:\npower in grey, top features in yellow", upward=True
        )
        if attribution.layout.with_role("frequency"):
            style.label(place, x=f"{flat.titles[1]}\n(1 cycle/frame = {1 / view.hop:.4g} Hz)")
    else:
        text = f"Power of the {record.noun},\nand the fraction in the top"
        panels.by_frequency(below, grid, 0, attribution, fraction, text)
    where = below.add_subplot(grid[:, 1])
    panels.relevance(where, attribution, fraction, turn=not view.mel_first, extent=(*seconds, 0, len(levels[0])))
    _mel_ticks(where, attribution, len(levels[0]))
    style.label(where, x="seconds", y="Hz")
    panels.model(below.add_subplot(grid[:, 2]), record, fraction)


def remark(attribution: Attribution) -> str:
    """What the levels and sounds of a spectrogram's parts are; empty for other views."""
    if attribution.view.kind != "spectrogram":
        return ""
    zero = getattr(attribution.view, "offset", 0.0)
    return (
        f"A bin without power has the level that the model reads as zero ({zero:.3g} dB). For listening, "
        "the clip is filtered with the change in each band; its phase stays."
    )


def draw_waveform(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """Fill `figure`: the waveform; clean, kept and removed spectrograms; the spectrum in Hz, the choice, the curve."""
    sounds = panels.renders(attribution, fraction)
    above, middle, below = style.stack(figure, [0.62, 1.0, 1.15])
    record = record_of(attribution)
    _waveform(above.add_subplot(), sounds[0], sounds[1], wording.format_fraction(fraction))
    shown = _spectrograms(
        middle, [levels(sound) for sound in sounds], wording.panel_titles(record, fraction, "The clip"),
        (0.0, sounds[0].seconds), (0.0, sounds[0].rate / 2),
    )  # fmt: skip
    style.label(shown[0], y="Hz")
    mask, layout = attribution.mask(fraction).numpy(), attribution.layout
    frequency, line = layout.with_role("frequency"), profile(attribution, mask)
    if not frequency or layout.with_role("position") or layout.bands or line is None:
        panels.features(below, attribution, fraction, features(attribution, mask), "", upward=bool(frequency),
                        power_text="Power, and the fraction in the top")  # fmt: skip
        return
    grid = below.add_gridspec(2, 3)  # one feature per frequency
    upper, lower = below.add_subplot(grid[0, :2]), below.add_subplot(grid[1, :2])
    panels.show_chosen(lower, line)
    _magnitudes(upper, attribution, fraction)
    upper.sharex(lower)
    upper.tick_params(labelbottom=False)
    panels.model(below.add_subplot(grid[:, 2]), record, fraction)


def _spectrograms(
    figure: FigureBase, levels: Sequence[Array], titles: Sequence[str], seconds: tuple[float, float],
    hertz: tuple[float, float] | None = None,
) -> list[Axes]:  # fmt: skip
    """Levels in dB, low frequencies at the bottom, all on the scale of the first."""
    top = float(levels[0].max())
    low = max(float(levels[0].min()), top - DEPTH)
    shown: list[Axes] = []
    for i, (level, text) in enumerate(zip(levels, titles, strict=True)):
        axes = figure.add_subplot(1, 3, i + 1)
        image = axes.imshow(
            level, origin="lower", aspect="auto", cmap=SHADES, vmin=min(low, top - 1), vmax=top,
            extent=(*seconds, *(hertz or (0, len(level)))), interpolation="nearest", gid=f"spectrogram-{i}",
        )  # fmt: skip
        style.label(axes, text, x="seconds")
        if i:
            axes.tick_params(labelleft=False)
        shown.append(axes)
    bar = figure.colorbar(image, ax=shown, extend="both", pad=0.01, aspect=30)
    bar.set_label("dB")
    return shown


def _mel_ticks(axes: Axes, attribution: Attribution, bands: int) -> None:
    """Round frequencies at the height of the mel bands that they fall into."""
    centres = band_centres(attribution, bands)
    ticks = [hertz for hertz in HERTZ if centres[0] <= hertz <= centres[-1]]
    axes.set_yticks(np.interp(ticks, centres, np.arange(bands) + 0.5), [f"{hertz:g}" for hertz in ticks])


def band_centres(attribution: Attribution, bands: int) -> Array:
    """The middle of each mel band in Hz: of its own filter where that is known, else even steps on the mel scale."""
    view: Any = attribution.view
    filters = attribution.raw_input.get("mel_filters")
    if filters is not None and filters.shape[1] == bands:
        weights = filters.double().numpy()
        hertz = np.linspace(0, view.rate / 2, len(weights))
        total = weights.sum(0)
        centres = (weights * hertz[:, None]).sum(0) / np.where(total > 0, total, 1)
        known = np.flatnonzero(total > 0)
        return np.maximum.accumulate(np.interp(np.arange(bands), known, centres[known]))
    low, high = (np.log1p(edge / 700) for edge in (view.low, view.high))
    return np.asarray(700 * np.expm1(np.linspace(low, high, bands + 2)[1:-1]))


def _waveform(axes: Axes, clean: AudioClip, kept: AudioClip, share: str) -> None:
    places = np.arange(len(clean.samples)) / clean.rate
    axes.plot(places, clean.samples, color=style.SOFT, linewidth=0.6, label="the clip", gid="clean")
    axes.plot(places, kept.samples, color=style.KEPT, linewidth=0.6, label=f"top {share} alone", gid="kept")
    axes.set_xlim(0, clean.seconds)
    text = f"The waveform (grey), and what the top {share} of its frequencies rebuild (blue)"
    style.label(axes, text, x="seconds", y="amplitude")


def _magnitudes(axes: Axes, attribution: Attribution, fraction: float) -> None:
    """The level of every frequency in dB, the chosen ones marked."""
    column = attribution.layout.with_role("frequency")[0]
    power = (attribution.power / attribution.layout.multiplicity).double().numpy()
    level, hertz = decibels(power, 100.0), column.values.double().numpy()
    mask = attribution.mask(fraction).numpy()
    order = np.argsort(hertz)
    axes.plot(hertz[order], level[order], color=style.SOFT, linewidth=0.5, gid="magnitude")
    axes.plot(hertz[mask], level[mask], linestyle="", marker=".", markersize=4, markeredgewidth=0.3,
              color=style.CHOSEN, markeredgecolor=style.INK, gid="chosen")  # fmt: skip
    text = "Magnitude of each frequency (grey; 0 dB: the strongest), top ones in yellow,\nand the fraction in the top"
    style.label(axes, text, y="dB")


def levels(sound: AudioClip) -> Array:
    """A short-time spectrum in dB, windows of 25 ms."""
    from scipy.signal import stft

    length = min(len(sound.samples), max(8, round(0.025 * sound.rate)))
    found = stft(sound.samples, nperseg=length, noverlap=length - max(1, length // 4), window="hann")[2]
    return np.asarray(20 * np.log10(np.abs(found) + 1e-7))
