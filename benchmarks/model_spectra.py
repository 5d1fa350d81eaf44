"""Which bands do the real models read?

    python -m benchmarks model_spectra [--models NAME …] [--examples N]

Each model's spectrum over examples that it was not trained on: clothes with their classes, photographs by many authors
(no classes: kept decisions are counted, and photographs of one author are one cluster), families of instruments and
languages at the waveform. Prints what `summary()` says and a table of the bands, and writes
`docs/figures/spectrum-MODEL.png`.

With `--heat-map`: the Fourier heat map of each model instead, at three sizes of the wave, with the increase by
frequency, and `docs/figures/heat-map-MODEL.png` of the middle one.

With `--pair`: two models of clothes that read the same pictures with two gratings, each decided by another one
(`benchmarks.planted`), in octaves cut by direction.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import assets
from benchmarks.planted.subjects import Subject, triggered
from benchmarks.real import authors, pictures
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer, demo
from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.evaluation.studies.band_readings import spectrum_of
from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum

#: Bands of the pair of models.
BY_DIRECTION = "fourier:bands=octave,directions=4"
#: Sizes of the waves of heat maps, the middle one drawn, and frequencies along each axis of small and large pictures.
LEVELS, SIZES = (0.25, 0.5, 1.0), {"fashion-vit": 27, "efficientnet-lite0": 9}
FIGURES = Path(__file__).parents[1] / "docs" / "figures"


@dataclass(frozen=True)
class Data:
    """Examples of one model.

    Attributes:
        examples: The examples.
        by: What figures draw apart; None for one line.
        labels: The true classes; None where they are not known.
        clusters: The source of each; None for independent examples.
    """

    examples: Sequence[Any]
    by: Sequence[str] | None = None
    labels: Sequence[Any] | None = None
    clusters: Sequence[Any] | None = None


def _clothes(n: int) -> Data:
    entries = assets.fashion("test", n)
    names = [entry["label"] for entry in entries]
    return Data([entry["picture"] for entry in entries], names, names)


def _photographs(n: int) -> Data:
    return Data(pictures(n), clusters=authors(n))


def _clips(read: Callable[[str], list[dict[str, Any]]]) -> Callable[[int], Data]:
    def data(n: int) -> Data:
        clips = read("test")
        clips = clips[:: max(1, len(clips) // n)][:n]  # they are sorted by class
        names = [clip["label"] for clip in clips]
        return Data([(clip["audio"], clip["rate"]) for clip in clips], names, names)

    return data


DATA: dict[str, tuple[Callable[[int], Data], int]] = {
    "fashion-vit": (_clothes, 1000),
    "efficientnet-lite0": (_photographs, 117),
    "whisper-instruments": (_clips(demo.instruments), 60),
    "wav2vec2-languages": (_clips(demo.prompts), 60),
}


def main(words: Sequence[str]) -> None:
    """Print and draw the spectra."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--examples", type=int)
    parser.add_argument("--pair", action="store_true", help="two models on the same pictures, and nothing else")
    parser.add_argument("--heat-map", action="store_true", help="add single waves, and nothing else")
    typed = parser.parse_args(words)
    if typed.pair:
        print(markdown(two_models(typed.examples or 120)))
        return
    for name in typed.models:
        make, usual = DATA[name]
        data = make(typed.examples or usual)
        show_heat_map(name, data) if typed.heat_map else show(name, data)


def show(name: str, data: Data) -> None:
    """One model's spectrum."""
    signal = "waveform" if "whisper" in name or "wav2vec2" in name else None
    explainer = FourierExplainer.from_pretrained(str(assets.get(name)), device="cpu", signal=signal)
    start = time.perf_counter()
    found = explainer.spectrum(data.examples, data.by, labels=data.labels, clusters=data.clusters)
    took = time.perf_counter() - start
    print(f"\n### {name}\n")
    for line in found.summary():
        print(f"- {line}")
    print(f"\n{len(found)} examples, {found.quantity} in percent; {took:.0f} s.\n")
    print(markdown(list(found.overview().rows())))
    found.plot(FIGURES / f"spectrum-{name}.png")


def show_heat_map(name: str, data: Data) -> None:
    """One model's Fourier heat map."""
    signal = "waveform" if "whisper" in name or "wav2vec2" in name else None
    explainer = FourierExplainer.from_pretrained(str(assets.get(name)), device="cpu", signal=signal)
    print(f"\n### {name}\n")
    rows: list[dict[str, Any]] = []
    for level in LEVELS:
        start = time.perf_counter()
        found = explainer.heat_map(data.examples, data.labels, data.clusters, level=level, size=SIZES.get(name))
        took = time.perf_counter() - start
        print(
            f"{len(found)} examples, {len(found.frequencies)} waves of {level:g} × the signal's norm; {took:.0f} s.\n"
        )
        for line in found.summary():
            print(f"- {line}")
        for ring in found.by_radius(6).rows():
            ends = f"{ring['from']:.3g}–{ring['to']:.3g} {found.axes[-1].unit}"
            raised = [f"{100 * ring[f'increase{end}']:.1f}" for end in ("", "_low", "_high")]
            cell = f"{raised[0]} [{raised[1]}, {raised[2]}]"
            row = next((row for row in rows if row["frequency"] == ends), None)
            if row is None:
                row = {"frequency": ends, "waves": ring["waves"]}
                rows.append(row)
            row[f"{level:g}"] = cell
        if level == LEVELS[1]:
            found.plot(FIGURES / f"heat-map-{name}.png")
    print(f"\nIncrease of the {found.quantity} in percentage points; clean: {100 * found.clean_rate().mean:.0f} %.\n")
    print(markdown(rows))


def two_models(n: int) -> list[dict[str, Any]]:
    """The band that each of two models reads, for each class of the gratings.

    Args:
        n: Pictures, before those are left out for which a model says something else than the grating's label.
    """
    rows = []
    for kind in ("first", "second"):
        subject = Subject("fashion-vit", kind)
        explainer, examples = subject.explainer("planted"), subject.examples(n, "test")
        index = triggered(explainer, examples)
        config: Any = explainer.model.config
        labels = [config.id2label[int(examples.targets[i])] for i in index]
        method = "filters:permutations=8,noise=none"
        results = explainer.explain(examples.inputs(rows=index), method=method, domain=BY_DIRECTION)
        found = spectrum_of(results, labels)
        for label in found.groups:
            example = index[labels.index(label)]
            shape = examples.material.inputs[examples.material.signal].shape[2:]
            own = band_at(found, shape, examples.planted(example)[0])
            values, gaps = found.shapley_values(label), found.differences(found.bands[own].name, label)
            rest = [gap for i, gap in enumerate(gaps) if i != own]
            rows.append({
                "model": kind, "label": label, "n": values[own].n, "its grating lies in": found.bands[own].name,
                "Shapley value there": str(values[own]),
                "largest gap of any other band": str(max(rest, key=lambda gap: gap.high)),
                "named": all(gap.high < 0 for gap in rest),
            })  # fmt: skip
    return rows


def band_at(found: ModelSpectrum, shape: Sequence[int], frequency: Sequence[int]) -> int:
    """The number of the band in which a grating of so many cycles along height and width has its power."""
    places = [2 * math.pi * k * torch.arange(size) / size for k, size in zip(frequency, shape, strict=True)]
    wave = torch.cos(places[0][:, None] + places[1][None, :])[None, None]
    axes = tuple(Axis(name, size, "cycles/pixel") for name, size in zip(("height", "width"), shape, strict=True))
    basis = DOMAINS.parse(BY_DIRECTION).bind(SignalShape("pixels", (Axis("channel", 1, channel=True), *axes)))
    best = int((basis.magnitude(basis.forward(wave)) ** 2 * basis.multiplicity).argmax())
    return [band.name for band in found.bands].index(basis.layout.bands[best].name)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
