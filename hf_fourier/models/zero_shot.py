"""Zero-shot image classification: which of several texts describes a picture (CLIP, SigLIP and their kin)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from hf_fourier.errors import InputError
from hf_fourier.models.base import Task, checked_tensor
from hf_fourier.models.inputs.text import whole
from hf_fourier.models.tokenization import restored, unknown_note
from hf_fourier.models.vision import VisionBatch, VisionWrapper
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.heads import Binary, Categorical, Head, part_of
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng, fingerprint
from hf_fourier.typing import Tensor

#: The inputs of the texts.
TEXTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class ZeroShotWrapper(VisionWrapper):
    """The signal is `pixel_values`; the texts are given with each picture and stay as they are."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "zero-shot-image-classification": Task(
            "AutoModelForZeroShotImageClassification",
            "MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES",
            (),
            "AutoProcessor",
        )
    }

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, getattr(processor, "image_processor", processor), task)
        self.tokenizer = getattr(processor, "tokenizer", None)

    def encode(self, example: Any) -> EncodedExample:
        """A picture and its texts: `(picture, ["a photo of a cat", "a photo of a dog"])`."""
        texts = example[1] if isinstance(example, tuple) and len(example) == 2 else None
        if not isinstance(texts, (list, tuple)) or not texts or not all(isinstance(t, str) for t in texts):
            got = f"an example of type {type(example).__name__}"
            raise InputError(got, "a tuple of a picture and a list of texts", "pass (picture, ['…', '…'])")
        encoded = super().encode(example[0])
        siglip = getattr(self.config, "model_type", "").startswith("siglip")  # trained on texts of one length
        if self.tokenizer is None:
            raise self.missing_processor_error(example)
        with restored(self.tokenizer):
            rows = self.tokenizer(
                [whole(text) for text in texts], padding="max_length" if siglip else True, return_tensors="pt"
            )
        encoded.notes += unknown_note(self.tokenizer, rows["input_ids"], texts)
        return self._with(encoded, dict(rows))

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `pixel_values`; the texts, rows of `input_ids`, are those of every picture."""
        pictures = {name: value for name, value in batch.items() if name not in TEXTS}
        texts = {name: value for name, value in batch.items() if name in TEXTS}
        encoded = super().encode_batch(pictures)
        return [self._with(one, texts) for one in encoded] if texts else encoded

    def _with(self, encoded: EncodedExample, rows: Mapping[str, Any]) -> EncodedExample:
        texts = {n: checked_tensor(n, t).cpu() for n, t in rows.items() if n in TEXTS and self.accepts(n)}
        inputs = {**encoded.inputs, **texts}
        return replace(encoded, inputs=inputs, batch_group=self.batch_group(inputs))

    def batch_group(self, inputs: Mapping[str, Tensor]) -> int:
        """A digest of the texts, which pictures of one batch share."""
        return fingerprint([inputs[name] for name in sorted(inputs) if name in TEXTS])

    def prepare_target(self, example: EncodedExample, target: Target) -> tuple[EncodedExample, Target]:
        """The target by the place or the wording of its text."""
        return example, self.among(example).check(target)

    def among(self, example: EncodedExample) -> Head:
        """A softmax over an example's texts; with one text its sigmoid.

        Raises:
            InputError: If there are no texts.
        """
        ids = example.inputs.get("input_ids")
        if ids is None:
            raise InputError("a picture without texts", "input_ids, a row per text", "pass the processor's own output")
        tokenizer = self.tokenizer
        texts = (
            map(str, range(len(ids))) if tokenizer is None else tokenizer.batch_decode(ids, skip_special_tokens=True)
        )
        labels = dict(enumerate(texts))
        return Categorical(labels) if len(labels) > 1 else Binary(labels)

    def head(self) -> Head:
        """A softmax over texts that are not known yet."""
        return Categorical()

    def read(self, outputs: Any) -> Tensor:
        """The logits of a picture's texts."""
        return part_of(outputs, "logits_per_image")

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Pictures of one size with the same texts."""
        return ZeroShotBatch(self, examples)


class ZeroShotBatch(VisionBatch):
    """Pictures of one size and their common texts."""

    def __init__(self, wrapper: ZeroShotWrapper, examples: Sequence[EncodedExample]) -> None:
        super().__init__(wrapper, examples)
        self.head = wrapper.among(examples[0])
        self.texts = {name: self.others.pop(name)[0] for name in TEXTS if name in self.others}

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs at pixel rows, for each of the texts."""
        return self._run(
            x,
            {name: tensor[rows] for name, tensor in self.others.items()}
            | {n: t.clone() for n, t in self.texts.items()},
        )
