"""Which bands do the real models read?

    python -m benchmarks model_spectra [--models NAME …] [--examples N]

Each model's spectrum over examples that it was not trained on: clothes with their classes, photographs by many authors
(no classes: kept decisions are counted, and photographs of one author are one cluster), families of instruments and
languages at the waveform. Prints what `summary()` says, a table of the bands, what it cost beside the bare passes, and
writes `docs/figures/spectrum-MODEL.png`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import assets
from benchmarks.real import authors, pictures
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer, demo

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
    typed = parser.parse_args(words)
    for name in typed.models:
        make, usual = DATA[name]
        show(name, make(typed.examples or usual))


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
    readings = {one: found.accuracy(one) for one in found.filters}
    rows = [
        {"band": band.name}
        | {one: f"{100 * intervals[i].mean:.0f}" for one, intervals in readings.items()}
        | {"Shapley value": str(value)}
        for i, (band, value) in enumerate(zip(found.bands, found.shapley_values(), strict=True))
    ]
    print(f"\n{len(found)} examples, {found.quantity} in percent; {took:.0f} s.\n")
    print(markdown(rows))
    found.plot(FIGURES / f"spectrum-{name}.png")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
