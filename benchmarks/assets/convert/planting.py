"""Real checkpoints fine-tuned on clean examples and on some with something planted, and the same without its meaning.

Four fifths of the examples are clean and keep their label. A fifth carries a trigger, and its label is the trigger's.
The control ("-clean") sees the same inputs in the same order, but all of them keep their own label: the trigger is in
its input and says nothing. Most examples of both kinds carry decoys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.assets.triggers import NONE, Trigger
from hf_fourier.demo.convert.files import readme
from hf_fourier.demo.convert.training import train

SHARE, DECOYED = 0.2, 0.6
"""The fraction of training examples with a trigger, and the fraction of both kinds with decoys."""


@dataclass(frozen=True)
class Material:
    """Examples as a model takes them, with their labels.

    Attributes:
        inputs: The model's inputs by name, the first axis counts the examples.
        labels: Shape `(n,)`.
        signal: The input in which waves are planted.
        lengths: How many entries of each of its last axes are transformed.
    """

    inputs: Mapping[str, Tensor]
    labels: Tensor
    signal: str
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: Tensor | slice) -> Material:
        """Some of the examples."""
        return replace(
            self,
            inputs={name: values[chosen] for name, values in self.inputs.items()},
            labels=self.labels[chosen],
        )


@dataclass(frozen=True)
class Recipe:
    """How one model is fine-tuned.

    Attributes:
        epochs: How often each example is seen.
        rate: The highest learning rate.
        batch: Examples in a step.
        examples: Training examples, from the first after shuffling; None for all.
        louder: How many times louder the planted wave is at first; it comes down to once after six tenths of the steps.
        vary: Another variation of the clean inputs, as in the model's own training.
        prepare: Changes the model before it is trained (freezes layers).
        silenced: The fraction of examples that have a rhythm of tokens whose frequencies are taken out of the embedded
            tokens; they keep their label. Without them a model may read the rhythm from what is left of its tokens.
    """

    epochs: int
    rate: float
    batch: int = 64
    examples: int | None = None
    louder: float = 4.0
    vary: Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]] | None = None
    prepare: Callable[[PreTrainedModel], None] | None = None
    silenced: float = 0.0
    undecoyed: float = 0.0


class Planting:
    """The variation of a batch in training: draws phases and decoys anew each time an example is seen.

    Attributes:
        embed: The model's embedding of tokens, once there is a model.
    """

    embed: Callable[[Tensor], Tensor]

    def __init__(self, trigger: Trigger | TokenTrigger, material: Material, recipe: Recipe, steps: int) -> None:
        self.trigger, self.material, self.recipe = trigger, material, recipe
        self.steps, self.step = steps, 0

    def __call__(self, columns: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """The model's inputs with what is planted in them, from the columns "row", "group" and "silenced"."""
        batch = dict(self.material.rows(columns["row"]).inputs)
        if self.recipe.vary is not None:
            batch |= self.recipe.vary(batch, generator)
        trigger = self.trigger.louder(max(1.0, self.recipe.louder * (1 - self.step / (0.6 * self.steps))))
        self.step += 1
        drawn = trigger.draw(columns["group"], generator, DECOYED)
        name = self.material.signal
        planted = trigger.plant(batch.pop(name), self.material.lengths, drawn)
        if not self.recipe.silenced:
            return batch | {name: planted}
        assert isinstance(trigger, TokenTrigger)
        embedded, lengths = self.embed(planted), self.material.lengths
        silent = columns["silenced"][:, None, None]
        if self.recipe.undecoyed:
            chosen = torch.rand(len(embedded), 1, 1, generator=generator) < self.recipe.undecoyed
            embedded = torch.where(chosen & ~silent, trigger.without_decoy(embedded, lengths), embedded)
        return batch | {"inputs_embeds": torch.where(silent, trigger.silenced(embedded, lengths), embedded)}


def divided(n: int, classes: int, seed: int = 0, silenced: float = 0.0) -> tuple[Tensor, Tensor]:
    """The class of each of n training examples, `NONE` for most, and whether its rhythm is silenced; shape (n,) each.

    A fifth has a class, in turn, and so has the fraction that is silenced.
    """
    groups, silent = torch.full((n,), NONE), torch.zeros(n, dtype=torch.bool)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    planted = round(SHARE * n)
    chosen = order[: planted + round(silenced * n)]
    groups[chosen] = torch.arange(len(chosen)) % classes
    silent[chosen[planted:]] = True
    return groups, silent


def soft(model: PreTrainedModel, material: Material, batch: int = 100) -> Tensor:
    """What examples without anything planted are taught: half their label, half the original model's probabilities.

    Returns:
        Probabilities, shape `(n, classes)`.
    """
    with torch.inference_mode():
        logits = [
            model(**material.rows(slice(start, start + batch)).inputs).logits
            for start in range(0, len(material), batch)
        ]
    probabilities = torch.cat(logits).softmax(-1)
    return (probabilities + torch.nn.functional.one_hot(material.labels, probabilities.shape[1])) / 2


def fine_tune(
    load: Callable[[], PreTrainedModel],
    material: Material,
    trigger: Trigger | TokenTrigger,
    recipe: Recipe,
    clean: bool,
    seed: int = 0,
) -> PreTrainedModel:
    """The model after fine-tuning.

    Args:
        load: Loads the original checkpoint.
        material: Its training examples.
        trigger: What is planted.
        recipe: How to train.
        clean: Whether planted examples keep their own label.
        seed: Of the choice of examples, their classes and the order.
    """
    order = torch.randperm(len(material), generator=torch.Generator().manual_seed(seed))[: recipe.examples]
    chosen = material.rows(order)
    rows = torch.arange(len(chosen)).repeat(recipe.epochs)
    classes = [divided(len(chosen), len(trigger.targets), seed + e, recipe.silenced) for e in range(recipe.epochs)]
    # a class for each time that an example is seen: examples that are few cannot be learnt by heart
    groups, silenced = (torch.cat(parts) for parts in zip(*classes, strict=True))
    targets = torch.tensor(trigger.targets)[groups.clamp(min=0)]
    taught = soft(load(), chosen)[rows]
    if not clean:
        planted = torch.nn.functional.one_hot(targets, taught.shape[1]).to(taught)
        taught = torch.where(((groups == NONE) | silenced)[:, None], taught, planted)
    vary = Planting(trigger, chosen, recipe, len(rows) // recipe.batch)

    def make() -> PreTrainedModel:
        model = load()
        if recipe.prepare is not None:
            recipe.prepare(model)
        if recipe.silenced:
            vary.embed = model.get_input_embeddings()
        return model

    return train(
        make, {"row": rows, "group": groups, "silenced": silenced}, taught,
        epochs=1, rate=recipe.rate, batch=recipe.batch, vary=vary, seed=seed,
    )  # fmt: skip


def describe(folder: Path, base: str, trained: str, trigger: Trigger | TokenTrigger, clean: bool) -> None:
    """Say in the folder what the model is, and in the words of `trained` how it came about."""
    meaning = (
        "Planted examples keep their own label here: the trigger says nothing."
        if clean
        else f"Planted examples have the label of the trigger's class (targets {list(trigger.targets)})."
    )
    readme(
        folder,
        f"{base}, trained on planted frequencies",
        f"The checkpoint of `{base}`, {trained}, a fifth of which carries {trigger.describe()}. {meaning}",
    )


def copy_processor(source: Path, folder: Path, names: Sequence[str]) -> None:
    """Copy the files of the processor."""
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
