"""The real models with real examples that all benchmarks share; fetched once, then read from the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from hf_fourier import FourierExplainer, assets

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True)
class Real:
    """One real model.

    Attributes:
        name: Its asset.
        examples: `n -> n examples`, the same ones each time.
        sources: `n -> the source of each example`: examples made from one source are not independent.
    """

    name: str
    examples: Callable[[int], list[Any]]
    sources: Callable[[int], list[Any]]

    def explainer(self) -> FourierExplainer:
        """The model in float32 on the CPU."""
        return FourierExplainer.from_pretrained(str(assets.get(self.name)), device="cpu", dtype=torch.float32)


def pictures(n: int) -> list[Any]:
    """Photographs, then crops of them: eight places and mirror images of each, seeded by their number."""
    whole = [picture.convert("RGB") for _, picture in assets.pictures()]
    made = list(whole)
    for number in range(max(0, n - len(whole))):
        picture, draw = whole[number % len(whole)], torch.Generator().manual_seed(number)
        side = int(min(picture.size) * (0.6 + 0.4 * torch.rand((), generator=draw).item()))
        left, top = (int(torch.randint(0, size - side + 1, (), generator=draw).item()) for size in picture.size)
        crop = picture.crop((left, top, left + side, top + side))
        made.append(crop if number % 2 else crop.transpose(0))
    return made[:n]


@cache
def _emails() -> list[str]:
    return [text for text, _ in assets.emails(split="test")]


def emails(n: int) -> list[str]:
    """Whole e-mails of the test half; the tokenizer cuts them where the model does."""
    return _emails()[:n]


def openings(n: int) -> list[str]:
    """The first 160 characters of e-mails, cut at a space, for a language model to go on from."""
    return [text[:160].rsplit(" ", 1)[0] for text in _emails()[:n]]


def antibodies(n: int) -> list[str]:
    """Antibody sequences with one residue masked, at another place in each."""
    sequences = [str(entry["sequence"]) for entry in assets.antibodies()]
    made = []
    for number in range(n):
        residues = list(sequences[number % len(sequences)])
        draw = torch.Generator().manual_seed(number)
        residues[int(torch.randint(0, len(residues), (), generator=draw).item())] = "[MASK]"
        made.append(" ".join(residues))
    return made


def sequences(n: int) -> list[str]:
    """Antibody sequences, then variants of them with five residues replaced, seeded by their number."""
    whole = [str(entry["sequence"]) for entry in assets.antibodies()]
    made = list(whole)
    for number in range(max(0, n - len(whole))):
        residues, draw = list(whole[number % len(whole)]), torch.Generator().manual_seed(number)
        for place in torch.randperm(len(residues), generator=draw)[:5].tolist():
            residues[place] = RESIDUES[int(torch.randint(0, len(RESIDUES), (), generator=draw).item())]
        made.append("".join(residues))
    return made[:n]


def cells(n: int) -> list[Any]:
    """Cells of the test half."""
    return assets.cells("test")[:n]


def each(n: int) -> list[int]:
    """Every example is a source of its own."""
    return list(range(n))


def cycled(wholes: Callable[[], int]) -> Callable[[int], list[int]]:
    """Examples made in turn from a few sources."""
    return lambda n: [i % wholes() for i in range(n)]


MODELS = {
    real.name: real
    for real in (
        Real("efficientnet-lite0", pictures, cycled(lambda: len(assets.pictures()))),
        Real("minilm-spam", emails, each),
        Real("smollm2", openings, each),
        Real("antiberty-mlm", antibodies, cycled(lambda: len(assets.antibodies()))),
    )
}
TOKEN_CLASSIFIERS = {
    real.name: real
    for real in (
        MODELS["minilm-spam"],
        Real("antiberty-species", sequences, cycled(lambda: len(assets.antibodies()))),
        Real("pbmc-geneformer", cells, each),
    )
}
