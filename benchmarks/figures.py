"""The figures of the documents: one per method, of one photograph, all with the same share of features chosen.

Of methods that rank bands, the least number that keeps the decision is shown.

FreqX is shown on the e-mails' model as well, whose layers are alike. Colours are reduced to keep the files small.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.real import MODELS
from hf_fourier.methods import METHODS

SHARE = 0.04
KEPT = (0.01, 0.02, SHARE, 0.1, 0.3)


def write(name: str, folder: Path) -> Path:
    """Explain the photograph by one method and draw it."""
    real = MODELS["efficientnet-lite0"]
    explainer, path = real.explainer(), folder / f"{name}.png"
    result = explainer.explain(real.examples(1)[0], method=name)
    bands = len(result.layout.bands)
    kept = [k / bands for k in range(1, bands)] if bands else KEPT  # of bands every number
    explainer.perturb(result, kept).plot(path, None if bands else SHARE)
    small = Image.open(path).convert("RGB").quantize(96, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, optimize=True)
    return path


def write_readme(path: Path) -> Path:
    """Draw what the demo finds out about the photograph's octaves, as `hf-fourier demo` does."""
    from hf_fourier.cli.demo import explain

    bands = explain("picture").bands
    assert bands is not None
    bands.plot(path)
    Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    return path


def main(arguments: Sequence[str]) -> None:
    """Write the figures and print their paths; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks figures", description=__doc__)
    parser.add_argument(
        "--methods", nargs="*", default=[name for name in METHODS if name != "zennit"], choices=list(METHODS)
    )
    parser.add_argument("--folder", type=Path, default=Path("docs/methods"))
    parser.add_argument("--readme", action="store_true", help="the README's figure alone")
    chosen = parser.parse_args(arguments)
    if chosen.readme:
        print(write_readme(Path("docs/figures/readme.png")))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.methods:
        print(write(name, chosen.folder), flush=True)
