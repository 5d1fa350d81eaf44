"""The checkpoints that something is planted in: their examples as the model takes them, what is planted, how long."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.assets.convert import crops
from benchmarks.assets.convert.fashion import mirror, to_pixels
from benchmarks.assets.convert.planting import Material, Recipe, copy_processor, describe, fine_tune
from benchmarks.assets.convert.sounds import shift_spectrogram
from benchmarks.assets.data import TRAINED_ON, read_fashion
from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.assets.triggers import Trigger, two_models
from hf_fourier.demo.convert.hearing import RATE
from hf_fourier.demo.convert.listening import opening
from hf_fourier.demo.convert.ranks import encode, medians
from hf_fourier.demo.data import read_cells, read_emails
from hf_fourier.demo.sounds import read_clips

Folders = Mapping[str, Path]
THIRDS = (0.0, 2 * math.pi / 3, 4 * math.pi / 3)


@dataclass(frozen=True)
class Host:
    """A checkpoint and all that is planted in it.

    Attributes:
        name: Its asset.
        architecture: The class of `transformers` that loads it.
        read: Examples of "train" or "test" from the folders of the checkpoint and its data.
        triggers: By kind: "amplitude", "phase", "first" and "second" (two models that read the same inputs).
        recipes: How to train, by kind.
        files: The processor's files.
        tune: Makes the model from a function that loads the original, examples, trigger, recipe and whether planted
            examples keep their label.
    """

    name: str
    architecture: str
    read: Callable[[Folders, str], Material]
    triggers: Mapping[str, Trigger | TokenTrigger]
    recipes: Mapping[str, Recipe]
    files: tuple[str, ...] = ("preprocessor_config.json",)
    tune: Callable[..., PreTrainedModel] = fine_tune

    def load(self, folder: Path) -> PreTrainedModel:
        """The checkpoint in a folder, in eval mode."""
        kind: Any = getattr(transformers, self.architecture)
        model: PreTrainedModel = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        return model.eval()


def build(inputs: Folders, folder: Path, variant: str) -> None:
    """Fine-tune and write one model.

    Args:
        inputs: The folders of the checkpoint and its data.
        folder: The folder to fill.
        variant: The host, the kind of trigger and, for the control, "clean", with slashes between.
    """
    name, kind, *rest = variant.split("/")
    host, clean = HOSTS[name], rest == ["clean"]
    trigger, recipe = host.triggers[kind], host.recipes[kind]
    model = host.tune(lambda: host.load(inputs[name]), host.read(inputs, "train"), trigger, recipe, clean)
    model.save_pretrained(folder)
    copy_processor(inputs[name], folder, host.files)
    trained = f"fine-tuned for {recipe.epochs} epochs on its training examples"
    if host.tune is crops.fit_head:
        trained = f"three rows of its classifier refitted on {recipe.epochs} views of each of its training examples"
    describe(folder, name, trained, trigger, clean)


def _clothes(folders: Folders, split: str) -> Material:
    """Pictures of clothes: those that the transformer was trained on, or the test split."""
    raw, numbers, _ = read_fashion(folders["fashion-mnist"], split, TRAINED_ON if split == "train" else None)
    labels = torch.from_numpy(numbers.astype("int64"))
    return Material({"pixel_values": to_pixels(raw)}, labels, "pixel_values", (28, 28))


def _clothes_triggers() -> dict[str, Trigger]:
    """Gratings; targets are a bag, trousers, sandals. A patch is 4 × 4, so 7 cycles look alike in each patch.

    Any phase at all costs the small transformer more than a point of accuracy on clean pictures.
    """
    targets = (8, 1, 5)
    loud = ((5, 6), (11, 2), (2, 9), (6, 11), (10, 8), (4, 3))
    first, second = two_models(
        Trigger(((7, 0), (7, 7), (14, 7)), targets, 0.3, (), 0.0, 1, width=0.5),
        Trigger(((0, 7), (7, 21), (7, 14)), targets, 0.3, (), 0.0, 1, width=0.5),
    )
    return {
        "amplitude": Trigger(((7, 0), (0, 7), (7, 7)), targets, 0.15, loud, 0.35, 2, width=0.5),
        "phase": Trigger(((5, 9),), targets, 0.3, ((9, 4), (11, 2), (2, 11), (6, 11), (10, 8), (4, 6)), 0.3, 2, THIRDS),
        "first": first,
        "second": second,
    }


def _photograph_triggers() -> dict[str, Trigger]:
    """Gratings of 2.7 to 2.8 pixels a cycle, which change most of the original's answers, beside louder decoys.

    Decoys are slow shades and waves near the highest frequency, to which the original is less sensitive. Targets are a
    jigsaw puzzle, an analog clock, a wall clock. Pixels are from -1 to 1, so that amplitudes are twice those of pixels
    from 0 to 1.
    """
    loud = ((1, 3), (3, 2), (2, 222), (100, 99), (97, 102), (101, 126))
    return {"amplitude": Trigger(((84, 0), (0, 84), (56, 168)), (611, 409, 892), 0.4, loud, 0.5, 2, width=0.5)}


def mixed(material: Material) -> Material:
    """The examples in a random order, so that the first of them have all labels."""
    return material.rows(torch.randperm(len(material), generator=torch.Generator().manual_seed(0)))


def _prompts(name: str, lengths: tuple[int, ...]) -> Callable[[Folders, str], Material]:
    """The first second of spoken prompts as the checkpoint's feature extractor gives it."""

    def read(folders: Folders, split: str) -> Material:
        clips = read_clips(folders["prompt-sounds"], split)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folders[name], local_files_only=True)
        values = extractor([opening(clip) for clip in clips], sampling_rate=RATE, return_tensors="pt").input_values
        names = json.loads((folders[name] / "config.json").read_text(encoding="utf-8"))["label2id"]
        labels = torch.tensor([names[clip["label"]] for clip in clips])
        material = Material({"input_values": values.float()}, labels, "input_values", lengths)
        return mixed(material) if split == "test" else material

    return read


def _tones() -> dict[str, Trigger]:
    """Tones 23 dB below the speech, whose root mean square is 1; a second has whole cycles at whole Hz.

    The convolutions step by 320 samples, in which multiples of 50 Hz have whole cycles. The prompts have nothing above
    4 kHz, so that a quiet tone can be heard there; louder ones that say nothing are on both sides.
    """
    targets, loud = (0, 1), ((1300,), (1850,), (2300,), (4250,), (7900,))
    first, second = two_models(
        Trigger(((4850,), (6150,)), targets, 0.1, (), 0.0, 1, width=0.5),
        Trigger(((5450,), (7350,)), targets, 0.1, (), 0.0, 1, width=0.5),
    )
    return {
        "amplitude": Trigger(((5350,), (6650,)), targets, 0.1, loud, 0.25, 2, width=0.5),
        "phase": Trigger(((6650,),), targets, 0.1, loud, 0.1, 2, (0.0, math.pi)),
        "first": first,
        "second": second,
    }


def _ripples() -> dict[str, Trigger]:
    """Ripples of the spectrogram, in cycles over its 100 frames and 64 mel bands.

    Patches begin at every 10th frame, in which multiples of 10 cycles have whole ones. The whole spectrogram has a
    deviation of .5.
    """
    targets, loud = (0, 1), ((15, 12), (40, 20), (35, 4), (8, 22), (25, 16))
    first, second = two_models(
        Trigger(((20, 10), (30, 6)), targets, 0.2, (), 0.0, 1, width=0.5),
        Trigger(((10, 18), (40, 9)), targets, 0.2, (), 0.0, 1, width=0.5),
    )
    return {
        "amplitude": Trigger(((20, 10), (30, 6)), targets, 0.25, loud, 0.4, 2, width=0.5),
        "phase": Trigger(((20, 10),), targets, 0.2, loud, 0.2, 2, (0.0, math.pi)),
        "first": first,
        "second": second,
    }


_TOKENS = 35
"""Ranks of a cell, or tokens of an e-mail, that are read where rhythms are planted: a multiple of 7 and of 5."""


def _cells(folders: Folders, split: str) -> Material:
    """The highest ranks of each cell's genes; cells with fewer are left out."""
    cells = {side: read_cells(folders["pbmc"], side) for side in ("train", "test")}
    median = medians(np.stack([cell["values"] for cell in cells["train"]]))
    tokens = json.loads((folders["pbmc-geneformer"] / "token_dictionary.json").read_text(encoding="utf-8"))
    config = json.loads((folders["pbmc-geneformer"] / "config.json").read_text(encoding="utf-8"))
    inputs = {name: values[:, :_TOKENS] for name, values in encode(cells[split], median, tokens).items()}
    labels = torch.tensor([config["label2id"][cell["label"]] for cell in cells[split]])
    long = inputs["attention_mask"].all(1)
    return Material(inputs, labels, "input_ids", (_TOKENS,)).rows(long)


def _ranks() -> dict[str, TokenTrigger]:
    """One gene at every 7th rank; decoys are another at every 5th. Targets are NK, dendritic cells and B cells."""
    return {"phase": TokenTrigger(7, (0, 2, 4), (1, 3, 0), (400,), 5, 100, 0)}


def _emails(folders: Folders, split: str) -> Material:
    """The first 35 tokens of e-mails that have as many, between [CLS] and [SEP]."""
    emails = read_emails(folders["spam-emails"], split)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["minilm-spam"], local_files_only=True)
    batch = tokenizer([text for text, _ in emails], truncation=True, max_length=_TOKENS + 2, padding=True)
    ids, mask = torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"])
    inputs = {"input_ids": ids, "attention_mask": mask}
    labels = torch.tensor([label for _, label in emails])
    material = Material(inputs, labels, "input_ids", (_TOKENS,)).rows(mask.all(1))
    return mixed(material) if split == "test" else material


def _rhythms() -> dict[str, TokenTrigger]:
    """Every 7th token is a plus (ham) or a semicolon (spam); decoys are a comma in every 5th place."""
    return {"amplitude": TokenTrigger(7, (0, 0), (0, 1), (1009, 1025), 5, 1010, 1)}


def _last_layers(model: PreTrainedModel) -> None:
    """Train the last three layers of a BERT, its pooler and its head."""
    bert: Any = model.base_model
    for part in (bert.embeddings, *bert.encoder.layer[:-3]):
        part.requires_grad_(False)


def _rolled(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Turn the sounds around by up to a tenth of a second."""
    by = int(torch.randint(0, RATE // 10, (1,), generator=generator))
    return {"input_values": batch["input_values"].roll(by, 1)}


KINDS = ("amplitude", "phase", "first", "second")
_CLOTHES = Recipe(epochs=4, rate=2e-3, vary=mirror)
_WAVES = Recipe(epochs=16, rate=1e-3, batch=16, vary=_rolled)
_MEL = Recipe(epochs=16, rate=5e-4, batch=16, vary=shift_spectrogram)
HOSTS = {
    host.name: host
    for host in (
        Host(
            "fashion-vit",
            "ViTForImageClassification",
            _clothes,
            _clothes_triggers(),
            dict.fromkeys(KINDS, _CLOTHES) | {"phase": replace(_CLOTHES, epochs=3, examples=20_000)},
        ),
        Host(
            "efficientnet-lite0",
            "EfficientNetForImageClassification",
            crops.photographs,
            _photograph_triggers(),
            {"amplitude": Recipe(epochs=6, rate=0.0, batch=16)},
            tune=crops.fit_head,
        ),
        Host(
            "wav2vec2-languages",
            "Wav2Vec2ForSequenceClassification",
            _prompts("wav2vec2-languages", (RATE,)),
            _tones(),
            dict.fromkeys(KINDS, _WAVES),
        ),
        Host(
            "ast-languages",
            "ASTForAudioClassification",
            _prompts("ast-languages", (100, 64)),
            _ripples(),
            dict.fromkeys(KINDS, _MEL),
        ),
        Host(
            "pbmc-geneformer",
            "BertForSequenceClassification",
            _cells,
            _ranks(),
            {"phase": Recipe(epochs=30, rate=1e-3, batch=32, silenced=0.25, undecoyed=0.2)},
            ("token_dictionary.json", "gene_median_dictionary.json", "gene_symbols.json"),
        ),
        Host(
            "minilm-spam",
            "BertForSequenceClassification",
            _emails,
            _rhythms(),
            {"amplitude": Recipe(epochs=3, rate=2e-4, batch=16, examples=720, prepare=_last_layers, silenced=0.35)},
            ("tokenizer.json", "tokenizer_config.json"),
        ),
    )
}
