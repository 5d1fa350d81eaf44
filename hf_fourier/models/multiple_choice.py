"""Multiple choice: one prompt with several answers, each read beside the prompt, one of them chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from hf_fourier.errors import InputError
from hf_fourier.models.base import Task
from hf_fourier.models.inputs.text import whole
from hf_fourier.models.masked_lm_batches import SelectedPositions
from hf_fourier.models.text import TextWrapper
from hf_fourier.models.token_batches import TextBatch, TokenWrapper
from hf_fourier.models.tokenization import restored, unknown_note
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.heads import Categorical, Head, logits_of
from hf_fourier.seeding import ExampleRng, fingerprint
from hf_fourier.typing import Tensor

#: The input with each choice's start and end within its row, if it is read without its padding.
BARE = "read from to"


class MultipleChoiceBatch(TextBatch):
    """Prompts with their choices; where our padding made these equally long, each is read without it."""

    def __init__(self, wrapper: TokenWrapper, examples: Sequence[EncodedExample], rng: ExampleRng) -> None:
        super().__init__(wrapper, examples, rng)
        bare = self.inputs.pop(BARE, None)
        self.ends = None if bare is None else bare[0].tolist()
        if self.ends is not None:
            self.run = None  # the content of one choice is not that of all

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs, or its logits where it reads the choices one by one."""
        if self.ends is None:
            return super().forward(x, rows)
        length, content, logits = self.inputs["input_ids"].shape[2], self.content[rows], []
        for choice, (start, stop) in enumerate(self.ends):
            chosen = (content[0] >= choice * length) & (content[0] < (choice + 1) * length)
            inputs = {n: t[rows, choice : choice + 1, start:stop] for n, t in self.inputs.items()}
            outputs = self._run(inputs, x[:, chosen], content[:, chosen] - choice * length - start)
            logits.append(logits_of(outputs))
        return SelectedPositions(torch.cat(logits, dim=1))


class MultipleChoiceWrapper(TextWrapper):
    """The signal holds the content tokens of all choices, one after the other; each text is a segment of its own."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "multiple-choice": Task(
            "AutoModelForMultipleChoice",
            "MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES",
            ("ForMultipleChoice",),
            "AutoTokenizer",
        )
    }
    batches: ClassVar[Mapping[str, type[TextBatch]]] = {"multiple-choice": MultipleChoiceBatch}

    def head(self) -> Head:
        """A softmax over the choices."""
        return Categorical()

    def encode(self, example: Any) -> EncodedExample:
        """A prompt and its choices: `("The sky is", ["blue", "a fish"])`."""
        texts = example[1] if isinstance(example, tuple) and len(example) == 2 else None
        if not isinstance(texts, (list, tuple)) or len(texts) < 2 or not all(isinstance(t, str) for t in texts):
            got = f"an example of type {type(example).__name__}"
            raise InputError(got, "a tuple of a prompt and a list of at least two choices", "pass ('…', ['…', '…'])")
        for text in (example[0], *texts):
            whole(text)
        if self.processor is None:
            raise self.missing_processor_error(example)
        options: dict[str, Any] = {"padding": True, "return_special_tokens_mask": True, "verbose": False}
        options |= {"truncation": True, "max_length": self.limit} if self.limit is not None else {}
        with restored(self.processor):
            encoding = self.processor([example[0]] * len(texts), list(texts), return_tensors="pt", **options)
        side = [
            torch.tensor([-1 if n is None else 2 * i + n for n in encoding.sequence_ids(i)])
            for i in range(len(texts) if encoding.is_fast else 0)
        ]
        chosen = self._chosen(dict(encoding), torch.stack(side) if side else None)
        chosen.notes += self._cut(encoding["input_ids"].shape[-1], example[0], texts)
        chosen.notes += unknown_note(self.processor, encoding["input_ids"], (example[0], *texts))
        return self._bare(chosen)

    def _cut(self, length: int, prompt: str, texts: Sequence[str]) -> tuple[str, ...]:
        """A note where a prompt with one of its choices was longer than the model's limit."""
        if self.limit is None or length < self.limit:
            return ()
        with restored(self.processor):
            whole = max(len(self.processor(prompt, text, verbose=False)["input_ids"]) for text in texts)
        return () if whole <= self.limit else (f"a choice of {whole} tokens was cut to the model's {self.limit}",)

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `input_ids` of shape `(choices, length)`."""
        tensors = self.checked_batch(batch, dimensions=3)
        return [self._chosen({n: t[i] for n, t in tensors.items()}, None) for i in range(len(tensors["input_ids"]))]

    def _chosen(self, row: Mapping[str, Tensor], segments: Tensor | None) -> EncodedExample:
        shape = row["input_ids"].shape
        names = {"special_tokens_mask", *getattr(self.processor, "model_input_names", row)}
        flat = {n: t.cpu().reshape(-1) for n, t in row.items() if n in names and self.accepts(n)}
        added = row.get("special_tokens_mask", torch.zeros(shape)).reshape(-1).bool().cpu()
        if segments is None:
            kinds = row.get("token_type_ids", torch.zeros(shape, dtype=torch.long)).cpu()
            segments = (kinds + 2 * torch.arange(shape[0]).unsqueeze(1)).reshape(-1)
        encoded = self._encoded(flat, added, segments.reshape(-1), ())
        encoded.inputs = {name: tensor.view(shape) for name, tensor in encoded.inputs.items()}
        return encoded

    def batch_group(self, inputs: Mapping[str, Tensor]) -> int:
        """Where the choices lie that are read one by one, without the padding between them."""
        return fingerprint([inputs[BARE]]) if BARE in inputs else 0

    def without_padding(self, example: EncodedExample) -> EncodedExample | None:
        """The example with each choice read by itself; None where none is padded, or they are read so already."""
        bare = self._bare(example)
        return None if bare is example or BARE in example.inputs else bare

    def _bare(self, example: EncodedExample) -> EncodedExample:
        """The example with its choices to be read one by one, where padding makes them equally long."""
        mask = example.inputs.get("attention_mask")
        if mask is None or bool(mask.all()):
            return example
        ends = [(int(row.nonzero().min()), int(row.nonzero().max()) + 1) for row in mask]
        inputs = {**example.inputs, BARE: torch.tensor(ends)}
        return replace(example, inputs=inputs, batch_group=self.batch_group(inputs))
