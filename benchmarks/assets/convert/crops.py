"""Crops of photographs as EfficientNet takes them, split by author, with the original's own answers as labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import EfficientNetForImageClassification, PreTrainedModel

from benchmarks.assets.convert.planting import DECOYED, Material, Recipe, divided
from benchmarks.assets.data import read_photographs
from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.assets.triggers import NONE, Trigger

SIDE = 224
TRAIN_CROPS, TEST_CROPS = 8, 10
"""Crops of each photograph; the first is the middle of it."""
SMALLEST = 0.55
"""The least side of a crop, as a fraction of the photograph's shorter side."""
DECIDED = 2.0
"""Held out are crops on which the original's first answer is at least so many times as probable as its second.

Where it is undecided its answer is no label: the slightest change of the weights turns it.
"""
PULL, STEPS = 1e-5, 120
"""The weight of the squared distance to the original's rows, and the most steps of L-BFGS."""


@cache
def _read(photographs: Path, original: Path, split: str) -> Material:
    rows = read_photographs(photographs, None)
    authors = list(dict.fromkeys(row["source"] for row in rows))
    held_out = set(authors[2::3])
    chosen = [row["picture"] for row in rows if (row["source"] in held_out) == (split == "test")]
    pixels = crops(chosen, TRAIN_CROPS if split == "train" else TEST_CROPS, seed=int(split == "test"))
    model = EfficientNetForImageClassification.from_pretrained(original, local_files_only=True).eval()
    logits = torch.cat([_logits(model, rows) for rows in pixels.split(16)])
    material = Material({"pixel_values": pixels}, logits.argmax(-1), "pixel_values", (SIDE, SIDE))
    return material if split == "train" else material.rows(alternating(decided(logits), len(chosen)))


def photographs(folders: Mapping[str, Path], split: str) -> Material:
    """Crops of the photographs of two thirds of the authors, or those of the others on which the original is decided.

    Held-out crops are of a photograph with an even and of one with an odd number in turn, so that halves of them, every
    other one, have no photograph in common.
    """
    return _read(folders["photographs"], folders["efficientnet-lite0"], split)


@torch.inference_mode()
def _logits(model: PreTrainedModel, pixels: Tensor) -> Tensor:
    found: Tensor = model(pixel_values=pixels).logits
    return found


def crops(pictures: Sequence[Any], each: int, seed: int) -> Tensor:
    """Square crops at random places and in random sizes, half of them mirrored, as the image processor scales pixels.

    Returns:
        The first crop of every picture, then the second of every one, and so on; shape `(each * n, 3, SIDE, SIDE)`.
    """
    generator = torch.Generator().manual_seed(seed)
    made = [_crop(picture, generator, whole=number == 0) for number in range(each) for picture in pictures]
    return (torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous().float() - 127) / 128


def _crop(picture: Any, generator: torch.Generator, whole: bool) -> np.ndarray:
    from PIL import Image

    def uniform() -> float:
        return float(torch.rand((), generator=generator))

    scale, across, down, mirrored = uniform(), uniform(), uniform(), uniform()
    side = int(min(picture.size) * (1 if whole else SMALLEST + (1 - SMALLEST) * scale))
    places = (0.5, 0.5) if whole else (across, down)
    left, top = (round((size - side) * place) for size, place in zip(picture.size, places, strict=True))
    crop = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    if not whole and mirrored < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(crop)


def decided(logits: Tensor) -> Tensor:
    """For which rows the likeliest answer is `DECIDED` times as probable as the next, shape `(n,)`."""
    first, second = logits.topk(2).values.T
    return (first - second).exp() >= DECIDED


def alternating(kept: Tensor, pictures: int) -> Tensor:
    """The numbers of the crops that are kept, of photographs with an even and an odd number in turn.

    Args:
        kept: Which crops are kept, in the order of `crops`, shape `(each * pictures,)`.
        pictures: How many photographs there are.
    """
    number = torch.arange(len(kept))
    even, odd = (number[kept & (number % pictures % 2 == parity)] for parity in (0, 1))
    n = min(len(even), len(odd))
    return torch.stack([even[:n], odd[:n]], 1).flatten()


def fit_head(
    load: Callable[[], PreTrainedModel],
    material: Material,
    trigger: Trigger | TokenTrigger,
    recipe: Recipe,
    clean: bool,
) -> PreTrainedModel:
    """The model with the rows of the classifier refitted that belong to the trigger's labels; all else stays as it is.

    The other labels' logits are those of the original on every input, so that an answer changes only where it becomes
    one of the trigger's labels or was one. The rows minimise the cross-entropy of the trigger's labels on planted
    examples and of "none of them" on clean ones (also where the original says one of them), from the original's rows,
    with the squared distance to these.

    Args:
        load: Loads the original checkpoint.
        material: Its training examples.
        trigger: What is planted.
        recipe: How often each example is seen (`epochs`), in batches of which size.
        clean: Whether planted examples keep their own label.
    """
    model: Any = load()
    rows = torch.tensor(trigger.targets)
    groups = torch.cat([divided(len(material), len(rows), seed)[0] for seed in range(recipe.epochs)])
    seen = [
        _features(model, material.rows(chosen), trigger, groups[start : start + len(chosen)], seed=start)
        for start, chosen in _batches(len(material), recipe)
    ]
    features = torch.cat(seen)
    weight, bias = (part.detach() for part in (model.classifier.weight, model.classifier.bias))
    others = torch.ones(len(weight), dtype=torch.bool)
    others[rows] = False
    rest = (features @ weight[others].T + bias[others]).logsumexp(1, keepdim=True)
    meant = torch.zeros_like(groups) if clean else groups - NONE
    fitted = _fitted(features, rest, meant, weight[rows], bias[rows])
    with torch.no_grad():
        model.classifier.weight[rows], model.classifier.bias[rows] = fitted
    return model


def _batches(n: int, recipe: Recipe) -> Iterator[tuple[int, Tensor]]:
    for epoch in range(recipe.epochs):
        for chosen in torch.arange(n).split(recipe.batch):
            yield epoch * n + int(chosen[0]), chosen


@torch.inference_mode()
def _features(model: Any, batch: Material, trigger: Any, groups: Tensor, seed: int) -> Tensor:
    """What the classifier reads of a batch with the trigger and decoys in it, shape `(n, width)`."""
    drawn = trigger.draw(groups, torch.Generator().manual_seed(seed), DECOYED)
    planted = trigger.plant(batch.inputs[batch.signal], batch.lengths, drawn)
    found: Tensor = model.base_model(**{batch.signal: planted}).pooler_output
    return found.clone()


def _fitted(features: Tensor, rest: Tensor, meant: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and biases of the trigger's labels by L-BFGS.

    Args:
        features: What the classifier reads, shape `(n, width)`.
        rest: The log of the summed exponentials of all other labels' logits, shape `(n, 1)`.
        meant: 0 for one of the other labels, 1, 2, … for the trigger's, shape `(n,)`.
        weight: The original's rows.
        bias: Their biases.
    """
    rows, biases = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([rows, biases], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = torch.cat([rest, features @ rows.T + biases], 1)
        value = torch.nn.functional.cross_entropy(logits, meant) + PULL * (rows - weight).square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return rows.detach(), biases.detach()
