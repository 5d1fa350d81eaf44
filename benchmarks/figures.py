"""The figures of the documents: one per method, of one photograph, all with the same share of features chosen.

Of methods that rank bands, the least number that keeps the decision is shown. Layer-wise relevance propagation, which
the photograph's model is refused for, is shown on a picture of clothes and a small network of convolutions that is
trained first, in less than a minute. Colours are reduced to keep the files small.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import assets
from benchmarks.real import MODELS
from hf_fourier import FourierExplainer
from hf_fourier.methods import METHODS

SHARE = 0.04
KEPT = (0.01, 0.02, SHARE, 0.1, 0.3)
#: Methods that need a network of plain layers, and the pictures it is trained on.
PLAIN, PICTURES = ("zennit",), 12_000


def plain_network() -> tuple[FourierExplainer, Any]:
    """A network of convolutions, ReLU, pooling and a linear layer that tells clothes apart, and a picture for it."""
    train, (shown, *test) = assets.fashion("train", PICTURES), assets.fashion("test", 1000)
    names = sorted({row["label"] for row in train})

    def pixels(rows: list[dict[str, Any]]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(np.array(row["picture"].convert("L")))[None] / 255 for row in rows])

    def labels(rows: list[dict[str, Any]]) -> torch.Tensor:
        return torch.tensor([names.index(row["label"]) for row in rows])

    x, y = pixels(train), labels(train)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = [torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        second = [torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        net = torch.nn.Sequential(*first, *second, torch.nn.Flatten(), torch.nn.Linear(32 * 7 * 7, len(names)))
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(3):
            for batch in torch.randperm(len(x)).split(64):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimiser.step()
    with torch.no_grad():
        right = (net.eval()(pixels(test)).argmax(-1) == labels(test)).float().mean()
    print(f"the network of plain layers is right on {right:.3f} of {len(test)} other pictures")
    return FourierExplainer(net, labels=names, axes=("height", "width")), pixels([shown])[0]


def write(name: str, folder: Path) -> Path:
    """Explain the photograph by one method and draw it."""
    path = folder / f"{name}.png"
    if name in PLAIN:
        explainer, example = plain_network()
    else:
        real = MODELS["efficientnet-lite0"]
        explainer, example = real.explainer(), real.examples(1)[0]
    result = explainer.explain(example, method=name)
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
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--folder", type=Path, default=Path("docs/methods"))
    parser.add_argument("--readme", action="store_true", help="the README's figure alone")
    chosen = parser.parse_args(arguments)
    if chosen.readme:
        print(write_readme(Path("docs/figures/readme.png")))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.methods:
        print(write(name, chosen.folder), flush=True)
