"""The real models with real examples that all benchmarks share; fetched once, then read from the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from benchmarks import assets
from benchmarks.assets.data import TRAINED_ON
from hf_fourier import FourierExplainer, demo

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
#: The numbers of sounds of which a half served to choose steps and defaults.
DRAWN = (64, 96)


@dataclass(frozen=True)
class Real:
    """One real model.

    Attributes:
        name: Its asset.
        examples: `n -> n examples`, the same ones each time.
        groups: `n -> the source of each example`: examples made from one source are not independent.
    """

    name: str
    examples: Callable[[int], list[Any]]
    groups: Callable[[int], list[Any]]

    def explainer(self) -> FourierExplainer:
        """The model in float32 on the CPU."""
        if self.name == "deepbet":
            from hf_fourier.demo.models import linknet3d

            linknet3d.register()
        return FourierExplainer.from_pretrained(str(assets.get(self.name)), device="cpu", dtype=torch.float32)


@cache
def _photographs() -> list[dict[str, Any]]:
    return assets.photographs()


def pictures(n: int) -> list[Any]:
    """Photographs, then crops of them: other places and mirror images of each in turn, seeded by their number."""
    whole = [entry["picture"] for entry in _photographs()]
    made = list(whole)
    for number in range(max(0, n - len(whole))):
        picture, draw = whole[number % len(whole)], torch.Generator().manual_seed(number)
        side = int(min(picture.size) * (0.6 + 0.4 * torch.rand((), generator=draw).item()))
        left, top = (int(torch.randint(0, size - side + 1, (), generator=draw).item()) for size in picture.size)
        crop = picture.crop((left, top, left + side, top + side))
        made.append(crop if number % 2 else crop.transpose(0))
    return made[:n]


def authors(n: int) -> list[str]:
    """Whose each of the pictures is, crops included."""
    sources = [entry["source"] for entry in _photographs()]
    return [sources[number % len(sources)] for number in range(n)]


@cache
def _emails() -> list[str]:
    return [text for text, _ in demo.emails(split="test")]


def emails(n: int) -> list[str]:
    """Whole e-mails of the test half; the tokenizer cuts them where the model does."""
    return _emails()[:n]


def ham_and_spam(n: int) -> list[str]:
    """E-mails of the test half, ham and spam in turn."""
    held_out = demo.emails(split="test")
    kinds = [[text for text, label in held_out if label == kind] for kind in (0, 1)]
    return [text for pair in zip(*kinds, strict=False) for text in pair][:n]


def openings(n: int) -> list[str]:
    """The first 160 characters of e-mails, cut at a space, for a language model to go on from."""
    return [text[:160].rsplit(" ", 1)[0] for text in _emails()[:n]]


def antibodies(n: int) -> list[str]:
    """Antibody sequences with one residue masked, at another place in each."""
    sequences = [str(entry["sequence"]) for entry in demo.antibodies()]
    made = []
    for number in range(n):
        residues = list(sequences[number % len(sequences)])
        draw = torch.Generator().manual_seed(number)
        residues[int(torch.randint(0, len(residues), (), generator=draw).item())] = "[MASK]"
        made.append(" ".join(residues))
    return made


def sequences(n: int) -> list[str]:
    """Antibody sequences, then variants of them with five residues replaced, seeded by their number."""
    whole = [str(entry["sequence"]) for entry in demo.antibodies()]
    made = list(whole)
    for number in range(max(0, n - len(whole))):
        residues, draw = list(whole[number % len(whole)]), torch.Generator().manual_seed(number)
        for place in torch.randperm(len(residues), generator=draw)[:5].tolist():
            residues[place] = RESIDUES[int(torch.randint(0, len(RESIDUES), (), generator=draw).item())]
        made.append("".join(residues))
    return made[:n]


def cells(n: int) -> list[Any]:
    """Cells of the test half."""
    return demo.cells("test")[:n]


def islets(n: int) -> list[Any]:
    """Cells of a pancreas, of the test half, in an order that is random and always the same."""
    held_out = assets.islets("test")
    return [held_out[i] for i in torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))[:n]]


def each(n: int) -> list[int]:
    """Every example is a source of its own."""
    return list(range(n))


def cycled(wholes: Callable[[], int]) -> Callable[[int], list[int]]:
    """Examples made in turn from a few groups."""
    return lambda n: [i % wholes() for i in range(n)]


def every_so_many(clips: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """Of some clips n, in equal steps."""
    return clips[:: max(1, len(clips) // n)][:n]


def clips(read: Callable[[str], list[dict[str, Any]]]) -> Callable[[int], list[Any]]:
    """Clips of the test half, every so many of them, as `datasets` gives sounds."""
    return lambda n: [
        {"array": clip["audio"], "sampling_rate": clip["rate"]} for clip in every_so_many(read("test"), n)
    ]


def seconds(n: int) -> list[Any]:
    """The first second of spoken prompts of the test half, filled up with silence where a prompt is shorter."""
    return _openings(every_so_many(demo.prompts("test"), n))


def other_seconds(n: int) -> list[Any]:
    """The same of at most n prompts that `seconds` gives for none of `DRAWN`: no method was chosen on any of them."""
    held_out = demo.prompts("test")
    drawn = {clip["name"] for count in DRAWN for clip in every_so_many(held_out, count)}
    return _openings([clip for clip in held_out if clip["name"] not in drawn][:n])


def _openings(prompts: list[dict[str, Any]]) -> list[Any]:
    from hf_fourier.demo.convert.hearing import RATE
    from hf_fourier.demo.convert.listening import opening

    return [{"array": opening(clip), "sampling_rate": RATE} for clip in prompts]


def heads(n: int) -> list[Any]:
    """One scan of a head at 64 voxels each way, shifted by a few voxels, seeded by its number."""
    from hf_fourier.demo import scans

    volume = scans.normalised(scans.at_size(torch.from_numpy(demo.head_mri()["volume"]), 64))
    made = []
    for number in range(n):
        draw = torch.Generator().manual_seed(number)
        shift = torch.randint(-4, 5, (3,), generator=draw).tolist() if number else [0, 0, 0]
        made.append(volume.roll(shift, (0, 1, 2)).numpy())
    return made


def clothes(n: int) -> list[Any]:
    """Fashion-MNIST's test half, every so many of it."""
    return [entry["picture"] for entry in assets.fashion("test", 10 * n)[::10]]


def clothes_apart(fitted: int, explained: int) -> tuple[list[Any], list[Any]]:
    """Pictures of the train half that `fashion-vit` was not trained on, to fit to, and the first of the test half."""
    train, test = assets.fashion("train", TRAINED_ON + fitted)[TRAINED_ON:], assets.fashion("test", explained)
    return [entry["picture"] for entry in train], [entry["picture"] for entry in test]


def one(n: int) -> list[int]:
    """All examples come from one source."""
    return [0] * n


_SEQUENCES = cycled(lambda: len(demo.antibodies()))
MODELS = {
    real.name: real
    for real in (
        Real("efficientnet-lite0", pictures, authors),
        Real("fashion-vit", clothes, each),
        Real("minilm-spam", emails, each),
        Real("smollm2", openings, each),
        Real("antiberty-mlm", antibodies, _SEQUENCES),
        Real("antiberty-species", sequences, _SEQUENCES),
        Real("pbmc-geneformer", cells, each),
        Real("whisper-instruments", clips(demo.instruments), each),
        Real("whisper-languages", clips(demo.prompts), each),
        Real("wav2vec2-languages", seconds, each),
        Real("ast-languages", seconds, each),
        Real("deepbet", heads, one),
    )
}
TOKEN_CLASSIFIERS = {
    "minilm-spam": Real("minilm-spam", ham_and_spam, each),
    "antiberty-species": MODELS["antiberty-species"],
    "pbmc-geneformer": MODELS["pbmc-geneformer"],
}
#: Models that say one of several named classes, so that a wrong one can be asked for.
CLASSIFIERS = {
    name: TOKEN_CLASSIFIERS.get(name, real)
    for name, real in MODELS.items()
    if name not in ("smollm2", "antiberty-mlm", "deepbet")
}
#: The models of cells by their data, beside `CLASSIFIERS` one on which no ranking was chosen.
CELLS = {"blood": MODELS["pbmc-geneformer"], "islets": Real("islets-geneformer", islets, each)}
#: Models with examples on which nothing was chosen: all of them are for the table.
OTHERS = {
    "wav2vec2-languages": Real("wav2vec2-languages", other_seconds, each),
    "ast-languages": Real("ast-languages", other_seconds, each),
    "islets-geneformer": CELLS["islets"],
}
