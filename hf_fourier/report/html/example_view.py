"""Pictures, sounds, tokens and series of one example at each stop of the page's slider, by the kind of the example.

The stops are the fractions of the perturbation curve and the whole input: between them the prediction is not known, so
there is nothing to show either. Pictures are stored at every stop; sounds at as many as fit the page, the
shown one first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import mask_contours, wavelet_scales
from hf_fourier.report.figures.feature_map import features
from hf_fourier.report.figures.fonts import right_to_left, token_texts
from hf_fourier.report.figures.spectrum import decibels
from hf_fourier.report.html import media
from hf_fourier.results import relevance, words

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.table import Table

    Array = np.ndarray[Any, np.dtype[Any]]

#: Stops of a result without a curve.
DEFAULT_STOPS = (0.01, 0.02, 0.04, 0.1, 0.3)
#: Rows and columns of a spectrum's picture, points of a line, genes, and words, at most.
PLANE, POINTS, GENES, WORDS = 112, 400, 300, 12
#: Stops with sound, at most, and seconds of an excerpt, at least.
HEARD, SHORTEST = 3, 0.5
DEPTH = 80.0
#: Edge that pictures with outlines are brought to, so that the lines are fine.
DRAWN = 192


def slider_fractions(attribution: Attribution) -> list[float]:
    """The stops of the slider, ascending, the whole input last."""
    fractions = [point.fraction for point in attribution.curve.of("keep")] if attribution.curve else []
    if not fractions and attribution.layout.bands:  # the first bands, one after the other
        count = len(attribution.layout.bands)
        fractions = [number / count for number in range(1, min(count, len(DEFAULT_STOPS) + 1))]
    return [share for share in sorted(set(fractions or DEFAULT_STOPS)) if 0 < share < 1] + [1.0]


def example_view(attribution: Attribution, budget: float) -> dict[str, Any]:
    """Pictures, sounds and values of a result, as plain values.

    Args:
        attribution: The result, with its example.
        budget: Characters that its pictures and sounds may take.

    Returns:
        `kind` ("pictures", "tokens", "genes", "line"), what that kind needs, and under `sounds`, if there are any, the
        players' files.
    """
    stops = slider_fractions(attribution)
    kind = attribution.view.kind
    makers: dict[str, Callable[[Attribution, list[float], float], dict[str, Any]]] = {
        "image": _image, "volume": _volume, "spectrogram": _spectrogram, "sound": _waveform, "genes": _genes,
    }  # fmt: skip
    if kind in makers:
        found = makers[kind](attribution, stops, budget)
    elif attribution.names and len(attribution.layout.signal.ordered_axes) == 1:
        unit = attribution.layout.signal.axes[0].name
        found = _genes(attribution, stops, budget) if unit == "gene" else _tokens(attribution, stops)
    elif len(attribution.layout.signal.ordered_axes) == 1:
        found = _line(attribution, stops)
    else:
        found = _map(attribution, stops, budget)
    return {**found, "plane": _planes(attribution, stops, budget / 8), "scales": _scales(attribution, budget / 8)}


def _image(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    return _pictures(*_with_masks(attribution, stops, _outlined), 0.75 * budget)


def _with_masks(
    attribution: Attribution, stops: list[float], draw: Callable[[Any, Array | None, Array | None], Any]
) -> tuple[list[Any], list[Any]]:
    """What is drawn of the kept and the removed part at each stop, with the clean mask and the part's own."""
    kept, removed = [], []
    for share in stops[:-1]:
        clean, of_kept, of_removed = mask_contours.predicted(attribution, share)
        kept.append(draw(attribution.render(share), clean, of_kept))
        removed.append(draw(attribution.render(share, delete=True), clean, of_removed))
    clean = mask_contours.predicted(attribution, 1.0)[0]
    return [*kept, draw(attribution.render(), clean, None)], [*removed, None]


def _outlined(image: Any, clean: Array | None, mask: Array | None) -> Any:
    """A picture with the outlines of a mask in colour, and those of the clean one in white."""
    if clean is None:
        return image
    pixels = np.asarray(image.convert("RGB"))
    times = max(1, DRAWN // max(pixels.shape[:2]))
    pixels = pixels.repeat(times, 0).repeat(times, 1).copy()
    classes = mask_contours.classes_of(clean)[: mask_contours.MOST]
    for one, colours in ((clean, None), (mask, mask_contours.COLOURS)):
        if one is None:
            continue
        rows, columns = (np.arange(n) * m // n for n, m in zip(pixels.shape[:2], one.shape, strict=True))
        large = one[np.ix_(rows, columns)]
        for rank, label in enumerate(classes):
            colour = "#ffffff" if colours is None and mask is not None else mask_contours.COLOURS[rank]
            pixels[_edge(large == label)] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return media.image_of(pixels)


def _edge(inside: Array) -> Array:
    """Places inside whose neighbour below or beside is not, or the other way round."""
    edge = np.zeros_like(inside)
    edge[:-1] |= inside[:-1] != inside[1:]
    edge[:, :-1] |= inside[:, :-1] != inside[:, 1:]
    return edge


def _pictures(kept: list[Any], removed: list[Any], budget: float, **others: Any) -> dict[str, Any]:
    """Kept and removed pictures at each stop; nothing is removed at the last."""
    encoded = media.pictures([*kept, *(image for image in removed if image is not None)], budget)
    width, height = kept[0].size
    small = max(width, height) <= media.SMALL
    return {
        "kind": "pictures",
        "kept": encoded[: len(kept)],
        "removed": [*encoded[len(kept) :], *[None for image in removed if image is None]],
        "width": width,
        "height": height,
        "pixelated": small,
        **others,
    }


def _volume(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    """Three slices side by side, through the middle of the largest mask."""
    from hf_fourier.report.figures import volume as volumes

    def flat(volume: Any) -> Array:
        return np.asarray(volume if volume.ndim == 3 else volume[0])

    clean = flat(attribution.render())
    places = volumes.middles(mask_contours.predicted(attribution, stops[0])[0], clean.shape)
    low, high = np.percentile(clean, [1, 99.5])

    def strip(rendered: Any, known: Array | None, mask: Array | None) -> Any:
        volume = flat(rendered)
        shift = float(np.median(volume) - np.median(clean))
        grey = np.clip((volume - low - shift) / max(high - low, 1e-6), 0, 1)
        tiles = []
        for axis in range(3):
            pixels = (np.take(grey, places[axis], axis).T[::-1] * 255).round().astype(np.uint8)
            cut = [None if m is None else np.take(m, places[axis] * m.shape[axis] // clean.shape[axis], axis).T[::-1]
                   for m in (known, mask)]  # fmt: skip
            tiles.append(np.asarray(_outlined(media.image_of(pixels), cut[0], cut[1]).convert("RGB")))
        tall = max(tile.shape[0] for tile in tiles)
        return media.image_of(np.concatenate(
            [np.pad(tile, ((tall - tile.shape[0], 0), (0, 4), (0, 0))) for tile in tiles], axis=1)
        )  # fmt: skip

    kept, removed = _with_masks(attribution, stops, strip)
    names = [axis.name for axis in attribution.layout.signal.axes if not axis.channel]
    places_text = ", ".join(f"{name} {at + 1} of {n}" for name, at, n in zip(names, places, clean.shape, strict=True))
    return _pictures(kept, removed, 0.75 * budget, caption=f"Slices: {places_text}")


def _spectrogram(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    view: Any = attribution.view
    seconds = attribution.render().shape[1] * view.hop
    where = f"{seconds:.2f} s; upwards: {view.low:g} to {view.high:g} Hz (mel)"
    return _levels(attribution, stops, budget, where, lambda level: level)


def _waveform(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    from hf_fourier.report.figures.audio import levels

    sound = attribution.render()
    where = f"{sound.seconds:.2f} s; upwards: 0 to {sound.rate / 2:g} Hz"
    return _levels(attribution, stops, budget, where, levels)


def _levels(
    attribution: Attribution, stops: list[float], budget: float, where: str, levels: Callable[[Any], Array]
) -> dict[str, Any]:
    """Levels in dB as pictures, all on the scale of the whole input's, with players."""
    from matplotlib import colormaps

    from hf_fourier.report.figures.audio import SHADES

    kept = [levels(attribution.render(share)) for share in stops]
    gone = [levels(attribution.render(share, delete=True)) for share in stops[:-1]]
    top = float(kept[-1].max())
    low = min(max(float(kept[-1].min()), top - DEPTH), top - 1)
    images = [
        media.shaded(media.pooled(level, media.LARGE)[::-1], low, top, colormaps[SHADES]) for level in (*kept, *gone)
    ]
    caption = f"Left to right: {where}; brighter is louder"
    found = _pictures(images[: len(kept)], [*images[len(kept) :], None], 0.2 * budget, caption=caption)
    return {**found, "stretched": True, "pixelated": False, **_sounds(attribution, stops, 0.7 * budget)}


def _sounds(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    """The clip, and at as many stops as fit what is kept and what is removed, all on one scale."""
    from hf_fourier.report.audio_files import clips, is_audio

    if not is_audio(attribution):
        return {}
    usual = record_of(attribution).displayed_fraction
    inner = sorted(stops[:-1], key=lambda share: (share != usual, abs(np.log(share / usual))))
    clean, rate = clips(attribution)
    cost = media.size(2 * len(clean))
    count = int(min(HEARD, len(inner), (budget / cost - 1) // 2))
    length = len(clean)
    if count < 1:
        count, length = 1, int(max(SHORTEST * rate, budget / media.size(2) / 3))
    chosen = sorted(inner[:count])
    parts = {share: [clips(attribution, share)[0], clips(attribution, share, delete=True)[0]] for share in chosen}
    peak = max(
        1.0, float(np.abs(clean).max(initial=0)), *(float(np.abs(p).max()) for two in parts.values() for p in two)
    )
    scale = 1 / peak

    def file(samples: Array) -> str:
        return media.uri(media.wav(samples[:length] * scale, rate), "audio/wav")

    return {
        "sounds": {
            "clean": file(clean),
            "stops": [
                {"share": share, "kept": file(parts[share][0]), "removed": file(parts[share][1])} for share in chosen
            ],
            "seconds": length / rate,
            "cut": length < len(clean),
            "additive": attribution.view.kind == "sound",
        }
    }


def _relevance(attribution: Attribution, stops: list[float]) -> tuple[list[Array], dict[str, Any]]:
    """Relevance per position at each stop, and its description: measure, signs, and the meaning of colours."""
    found = [relevance.default_relevance(attribution, share) for share in stops]
    one = found[0]
    whose = (
        one.description
        if relevance.of_all(attribution)
        else re.sub(r"\btop (?:[\d.e-]+ % of |\d+ (?=bands\b)|(?=band\b))", "chosen ", one.description, count=1)
    )
    word = "score" if one.kind == "scores" else one.measure
    texts = {
        "signed": one.signed,
        "description": whose,
        "word": word,
        "sense": wording.colours(record_of(attribution), one),
    }
    return [np.asarray(each.values, dtype=float) for each in found], texts


def _tokens(attribution: Attribution, stops: list[float]) -> dict[str, Any]:
    values, texts = _relevance(attribution, stops)
    unit = attribution.layout.signal.axes[0].name
    tokens = token_texts(attribution.names)
    letters = unit in ("residue", "base")
    shown = attribution.words()[:WORDS] if words.is_text(attribution) else None
    return {
        "kind": "tokens",
        "unit": unit,
        **texts,
        "texts": list(attribution.names) if letters else [piece.text for piece in tokens],
        "starts": [i % 10 == 0 for i in range(len(tokens))] if letters else [piece.starts for piece in tokens],
        "rtl": right_to_left("".join(piece.text for piece in tokens)),
        "segments": list(attribution.layout.signal.segments),
        "values": [_digits(row) for row in values],
        "words": None if shown is None else _word_rows(shown),
        "sentences": [] if shown is None else words.summary(attribution),
        "heading": words.BY_FREQUENCY,
    }


def _word_rows(table: Table) -> dict[str, list[Any]]:
    """The table of words as titles and rows of texts."""
    titles = [title for title in table.columns if title not in ("rank", "measure")]
    rows = [[row[title] for title in titles] for row in table]
    return {
        "titles": titles,
        "rows": [[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row] for row in rows],
    }


def _genes(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    rows, texts = _relevance(attribution, stops)
    values = np.stack(rows)
    strongest = np.argsort(-np.abs(values).max(axis=0), kind="stable")[:GENES]
    ids = getattr(attribution.view, "genes", ()) or [""] * values.shape[1]
    return {
        "kind": "genes",
        **texts,
        "names": [attribution.names[i] for i in strongest],
        "ids": [ids[i] for i in strongest],
        "places": (strongest + 1).tolist(),
        "count": values.shape[1],
        "values": [_digits(row[strongest]) for row in values],
    }


def _line(attribution: Attribution, stops: list[float]) -> dict[str, Any]:
    """A series: its channels' mean, whole, kept and removed."""

    def flat(signal: Any) -> list[float]:
        axes = [i for i, axis in enumerate(attribution.layout.signal.axes) if axis.channel]
        line = (signal.mean(dim=axes) if axes else signal).double().numpy().ravel()
        return _digits(line[:: -(-len(line) // POINTS)])

    kept = [flat(attribution.keep_top(share)) for share in stops]
    axis = attribution.layout.signal.axes[attribution.layout.signal.ordered_axes[0]]
    channels = sum(axis.channel for axis in attribution.layout.signal.axes)
    return {
        "kind": "line",
        "kept": kept,
        "removed": [flat(attribution.delete_top(share)) for share in stops],
        "axis": axis.name,
        "length": axis.length,
        "mean": bool(channels),
    }


def _map(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any]:
    """Anything else: its relevance, the first axes summed."""
    from hf_fourier.report.figures.style import diverging

    images, names = [], [attribution.layout.signal.axes[i].name for i in attribution.layout.signal.ordered_axes]
    maps, texts = _relevance(attribution, stops)
    for values in maps:
        while values.ndim > 2:
            values = values.sum(axis=0)
        top = float(np.abs(values).max(initial=0)) or 1.0
        images.append(media.shaded(np.atleast_2d(values), -top, top, diverging()))
    summed = f", summed over {', '.join(names[:-2])}" if len(names) > 2 else ""
    where = f"{names[-2]} downwards, {names[-1]} to the right{summed}" if names else "all entries together"
    caption = f"{texts['description'][0].upper()}{texts['description'][1:]} ({texts['sense']}); {where}"
    found = _pictures(images, [None] * len(stops), 0.75 * budget, caption=caption)
    return {**found, "relevance": True}


def _scales(attribution: Attribution, budget: float) -> dict[str, Any] | None:
    """WAM's maps, the smooth part first: where each scale speaks for the decision and where against it."""
    from hf_fourier.report.figures.style import diverging

    if not wavelet_scales.height(attribution):
        return None
    maps, names, worth = wavelet_scales.maps(attribution)
    top, shades = float(np.abs(maps).max(initial=0)) or 1.0, diverging()
    images = [media.shaded(media.pooled(one, PLANE) - media.pooled(-one, PLANE), -top, top, shades) for one in maps]
    encoded = zip(names, media.pictures(images, budget), worth, strict=True)
    figures = [{"name": name, "picture": picture, "importance": share} for name, picture, share in encoded]
    return {"flat": maps.shape[1] == 1, "maps": figures}


def _planes(attribution: Attribution, stops: list[float], budget: float) -> dict[str, Any] | None:
    """The spectrum (or the bands) at each stop: power in grey, what is chosen in yellow."""
    images, legend = [], ("", "", "")
    across = None
    if len(attribution.layout.with_role("frequency")) == 3:
        across = attribution.layout.with_role("frequency")[0].axis
    for share in stops:
        flat = features(attribution, attribution.mask(share).numpy(), across)
        if flat is None:
            return None
        upward = attribution.view.kind in ("spectrogram", "volume", "sound")
        if attribution.view.kind == "volume" or not getattr(attribution.view, "mel_first", True):
            flat = flat.turned()
        level = media.pooled(decibels(flat.power), PLANE)
        on = media.pooled((flat.chosen > 0).astype(float), PLANE) > 0
        floor, top = np.percentile(level, [2, 99.8]) if level.max() > level.min() else (-80.0, 0.0)
        grey = (255 * (0.03 + 0.59 * np.clip((level - floor) / max(top - floor, 1), 0, 1))).astype(np.uint8)
        pixels = np.stack([grey] * 3, axis=-1)
        pixels[on] = (255, 210, 31)
        images.append(media.image_of(pixels[::-1] if upward else pixels))
        legend = (flat.legend, *flat.titles)
    times = [
        image.resize((2 * image.width, 2 * image.height), 0) if max(image.size) <= 32 else image for image in images
    ]
    return {"pictures": media.pictures(times, budget), "legend": legend[0], "down": legend[1], "right": legend[2]}


def _digits(values: Array) -> list[float]:
    return [float(f"{value:.3g}") for value in np.asarray(values, dtype=float)]
