"""Example batches of token models: texts, proteins or cells of one length, with their embedding's output replaced."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from hf_fourier.errors import ModelError
from hf_fourier.models.base import ModelWrapper, copies
from hf_fourier.models.embedding_hook import EmbeddingHook
from hf_fourier.models.inspection import has_prompt_tuning, hidden_states_of
from hf_fourier.models.tokenization import remarks_of
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch, common_slice
from hf_fourier.scoring.heads import Categorical, by_class, logits_of, part_of
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.references import Reference, compact
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Int, Tensor

#: Inputs that targets add to an example: one or two continuations, the output of a decoder.
CONTINUATIONS = ("continuation", "rather than")
OUTPUT = "output"
#: Inputs with one entry per token, beside the ids.
PER_TOKEN = ("attention_mask", "token_type_ids", "special_tokens_mask", "position_ids")
#: Inputs that have no entry per token, whatever their length.
ADDED = (*CONTINUATIONS, OUTPUT, "decoder_input_ids")


class TokenWrapper(ModelWrapper, ABC):
    """A model with a replaceable embedding, and maybe a mask token."""

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, processor, task)
        self.swap = EmbeddingHook(model)

    @property
    def mask_id(self) -> int | None:
        """The mask token, by the tokenizer or else by the config."""
        mask_id = getattr(self.processor, "mask_token_id", None)
        return getattr(self.config, "mask_token_id", None) if mask_id is None else mask_id

    def with_permuted_ids(self, example: EncodedExample) -> EncodedExample | None:
        """The content's ids rotated by one place; None where that changes none of them."""
        if example.content is None:
            return None
        ids = example.inputs["input_ids"]
        flat = ids.flatten()
        rotated = flat.scatter(0, example.content, flat[example.content].roll(1))
        if torch.equal(rotated, flat):
            return None
        return replace(example, inputs={**example.inputs, "input_ids": rotated.view(ids.shape)})

    def without_padding(self, example: EncodedExample) -> EncodedExample | None:
        """The row without the masked tokens at both ends, in all inputs per token."""
        mask = example.inputs.get("attention_mask")
        if mask is None or mask.ndim != 1 or example.content is None or bool(mask.all()):
            return None
        attended = mask.nonzero()
        start, stop = int(attended.min()), int(attended.max()) + 1
        if stop - start == len(mask):
            return None
        inputs = {
            name: tensor[start:stop] if tensor.ndim and len(tensor) == len(mask) and name not in ADDED else tensor
            for name, tensor in example.inputs.items()
        }
        return replace(example, inputs=inputs, content=example.content - start)


class TextBatch(ExampleBatch):
    """Texts of one length on the model's device, read by a classifier.

    Ids have the shape `(batch, length)`, or `(batch, choices, length)` where several texts make one example.
    """

    def __init__(self, wrapper: TokenWrapper, examples: Sequence[EncodedExample], rng: ExampleRng) -> None:
        self.wrapper, self.head = wrapper, wrapper.head()
        self.model = wrapper.model
        self.segments, self.unit = examples[0].signal.segments, examples[0].signal.axes[0].name
        device = wrapper.device
        #: The inputs on the CPU, where questions about them make nobody wait.
        self.inputs_here = {name: torch.stack([e.inputs[name] for e in examples]) for name in examples[0].inputs}
        self.inputs = {name: to_device(tensor, device) for name, tensor in self.inputs_here.items()}
        contents = [example.content for example in examples if example.content is not None]
        self.content_here = torch.stack(contents)
        self.run, self.content = common_slice(contents), to_device(self.content_here, device)
        self.signal = self._signals(self.inputs["input_ids"])
        self.spellings = [example.spellings for example in examples]

    def remarks(self, logits: Tensor, frozen: Tensor, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Notes where the model prefers another spelling of a target."""
        return remarks_of(self, self.wrapper.processor, logits, frozen, numbers)

    def _signals(self, ids: Tensor) -> Tensor:
        embedded = self.wrapper.swap.embed(ids.flatten(1))
        if self.run is not None:
            x = embedded[:, self.run].contiguous()
        else:
            x = embedded.gather(1, self.content.unsqueeze(-1).expand(-1, -1, embedded.shape[-1]))
        return x if x.dtype == torch.float64 else x.float()

    @property
    def baseline(self) -> Tensor | None:
        """The embedding of the mask, or of padding, at every content token; None for a model that has neither."""
        token = self.wrapper.mask_id
        if token is None:
            token = getattr(self.wrapper.config, "pad_token_id", None)
        if token is None:
            return None
        return self._signals(self.inputs["input_ids"].flatten(1).scatter(1, self.content, int(token)))

    @property
    def references(self) -> Sequence[Reference]:
        """Every content token the mask (or padding), and every content token their average; special tokens stay."""
        unit, baseline, average = self.unit, self.baseline, self.signal.mean(1, keepdim=True)
        if baseline is None:
            return (Reference(average, f"every {unit} the average {unit}"),)
        name = "padding" if self.wrapper.mask_id is None else "masked"
        absent = compact(baseline, f"every {unit} {name}", self.wrapper.swap.is_table)
        if self.signal.shape[1] == 1:  # which is its own average
            return (absent,)
        return absent, Reference(average, f"every {unit} the average {unit}")

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs with the content tokens' embeddings replaced by `x`."""
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return self._run(inputs, x, self.content[rows])

    def _run(self, inputs: dict[str, Tensor], x: Tensor, content: Tensor, fixed: Tensor | None = None) -> Any:
        """One forward pass on `inputs`; positions in `fixed` keep the model's own embedding."""

        def replace(embedded: Tensor) -> Tensor:
            flat = embedded.detach().reshape(len(x), -1, embedded.shape[-1])
            if self.run is not None:
                swapped = torch.cat([flat[:, : self.run.start], x.to(flat), flat[:, self.run.stop :]], dim=1)
            else:
                index = content.to(flat.device).unsqueeze(-1).expand(-1, -1, flat.shape[-1])
                swapped = flat.scatter(1, index, x.to(flat))
            swapped = swapped.view(embedded.shape)
            return swapped if fixed is None else torch.where(fixed.to(flat.device).unsqueeze(-1), embedded, swapped)

        def call() -> tuple[Any, int]:
            copied = copies(inputs)
            with self.wrapper.swap.replaced(copied["input_ids"].flatten(0, -2), replace) as calls:
                return self.wrapper.call_model(**copied, **options), len(calls)

        options = self._options()
        outputs, calls = call()
        if calls != 1:
            copied = copies(inputs)
            self.wrapper.swap.locate(
                lambda: self.wrapper.call_model(**copied, **options), copied["input_ids"].flatten(0, -2)
            )
            outputs, calls = call()
            if calls != 1:
                got = f"{type(self.wrapper.model).__name__}, whose embedding was called {calls} times for the same ids"
                do = "explain it through attribute(forward, x)"
                raise ModelError(got, "one embedding of the input ids per forward pass", do)
        return outputs

    def _options(self) -> dict[str, Any]:
        return {"use_cache": False} if self.wrapper.accepts("use_cache") else {}

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """Class logits, `(rows, classes)`."""
        return by_class(logits_of(outputs))

    def _of_text(self, logits: Tensor) -> Tensor:
        """The logits at the text's tokens, `(rows, tokens, …)`, without those of virtual tokens in front of them."""
        return logits[:, -self.inputs["input_ids"].shape[1] :] if has_prompt_tuning(self.wrapper.model) else logits


class TokenClassificationBatch(TextBatch):
    """Texts for token classification."""

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The tags' logits at the content tokens, `(rows, tokens, tags)`."""
        return at(self._of_text(logits_of(outputs)), self.content[rows])


class QuestionAnsweringBatch(TextBatch):
    """Questions with a context, or texts in which an answer is marked."""

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The logits of start and end at the content tokens, `(rows, 2, tokens)`; the question's are −inf."""
        both = torch.stack([part_of(outputs, "start_logits"), part_of(outputs, "end_logits")], dim=-1).float()
        logits = at(self._of_text(both), self.content[rows]).transpose(1, 2)
        question = sum(self.segments[:-1])
        return torch.cat([torch.full_like(logits[..., :question], -torch.inf), logits[..., question:]], dim=2)


class PooledBatch(TextBatch):
    """Texts for their embedding: the mean over all tokens that are attended to."""

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The embeddings, `(rows, hidden)`."""
        states = hidden_states_of(outputs)
        mask = self.inputs.get("attention_mask")
        if mask is None or mask[rows].shape != states.shape[:2]:
            return states.mean(1)
        weights = (mask[rows] != 0).to(states).unsqueeze(-1)
        return (states * weights).sum(1) / weights.sum(1)


class NextTokenBatch(TextBatch):
    """Texts for the prediction of the next token."""

    def __init__(self, wrapper: TokenWrapper, examples: Sequence[EncodedExample], rng: ExampleRng) -> None:
        super().__init__(wrapper, examples, rng)
        ids, mask = self.inputs_here["input_ids"], self.inputs_here.get("attention_mask")
        positions = torch.arange(ids.shape[1])
        whole = mask is None or mask.ndim != 2
        last = positions[-1:].expand(len(ids)) if whole or mask is None else (positions * (mask != 0)).amax(1)
        self.together = bool((last == ids.shape[1] - 1).all())
        self.last: Int[Tensor, " batch"] = last.to(wrapper.device)

    def _options(self) -> dict[str, Any]:
        keep = {"logits_to_keep": 1} if self.together and self.wrapper.accepts("logits_to_keep") else {}
        return {**super()._options(), **keep}

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The logits of the next token, `(rows, vocabulary)`."""
        logits = self._of_text(logits_of(outputs))
        if logits.shape[1] == 1:
            return logits[:, 0]
        last = self.last[rows].to(logits.device)
        return logits[torch.arange(len(logits), device=logits.device), last]


class ContinuationBatch(TextBatch):
    """Texts with a continuation that is explained, or with two, for their contrast.

    Continuations are appended to the ids and never change. With two, each signal row makes two rows of the model.
    """

    def __init__(self, wrapper: TokenWrapper, examples: Sequence[EncodedExample], rng: ExampleRng) -> None:
        super().__init__(wrapper, examples, rng)
        tails_here = [self.inputs_here[name] for name in CONTINUATIONS if name in self.inputs]
        tails = [self.inputs.pop(name) for name in CONTINUATIONS if name in self.inputs]
        self.rows_per_signal, self.lengths = len(tails), [tail.shape[1] for tail in tails]
        self.width = max(self.lengths)
        # The filling of the shorter one comes after it, where a causal model does not see it.
        filled = [torch.cat([t, t[:, -1:].expand(-1, self.width - t.shape[1])], dim=1) for t in tails]
        self.tails = torch.stack(filled, dim=1)
        if self.rows_per_signal == 1:
            self.known_targets = list(tails_here[0])
        else:
            names = [" ".join(map(str, t)) for t in (tail[0].tolist() for tail in tails_here)]
            if wrapper.processor is not None:
                names = [wrapper.processor.decode(tail[0]) for tail in tails_here]
            self.head = Categorical(dict(enumerate(names)))
        self._begun: Tensor | None = None

    def remarks(self, logits: Tensor, frozen: Tensor, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """As the base class; two continuations by their first tokens, in the last pass."""
        begun = logits if self._begun is None else self._begun
        return super().remarks(begun, frozen if self._begun is None else frozen[:, :1], numbers)

    @property
    def entries(self) -> int:
        """The signal's size, or an eighth of the logits where those fill the memory."""
        return max(self.signal[0].numel(), self.width * int(getattr(self.wrapper.config, "vocab_size", 0)) // 8)

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs, `rows_per_signal` rows for each signal row."""
        inputs = {n: tensor[rows].repeat_interleave(self.rows_per_signal, dim=0) for n, tensor in self.inputs.items()}
        tails = self.tails[rows].flatten(0, 1)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tails], dim=1)
        for name, step in (("attention_mask", 0), ("token_type_ids", 0), ("position_ids", 1)):
            if name in inputs:
                values = inputs[name]
                more = values[:, -1:] + step * torch.arange(1, self.width + 1, device=values.device)
                inputs[name] = torch.cat([values, more.expand(len(values), -1)], dim=1)
        content = self.content[rows].repeat_interleave(self.rows_per_signal, dim=0)
        return self._run(inputs, x.repeat_interleave(self.rows_per_signal, dim=0), content)

    def _options(self) -> dict[str, Any]:
        keep = {"logits_to_keep": self.width + 1} if self.wrapper.accepts("logits_to_keep") else {}
        return {**super()._options(), **keep}

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """Logits of each token, `(rows, tokens, vocabulary)`; of two continuations their log p, `(rows, 2)`."""
        logits = logits_of(outputs)[:, -self.width - 1 : -1]
        if self.rows_per_signal == 1:
            return logits
        wide = logits if logits.dtype == torch.float64 else logits.float()
        if self._begun is None and any(self.spellings):
            self._begun = wide[:: self.rows_per_signal, 0].detach()
        index = self.tails[rows].flatten(0, 1).unsqueeze(-1).to(wide.device)
        log_p = wide.log_softmax(-1).gather(-1, index).view(-1, self.rows_per_signal, self.width)
        return torch.stack([log_p[:, i, :n].sum(1) for i, n in enumerate(self.lengths)], dim=1)


class Seq2SeqBatch(TextBatch):
    """Texts for an encoder-decoder, the output teacher-forced."""

    def __init__(self, wrapper: TokenWrapper, examples: Sequence[EncodedExample], rng: ExampleRng) -> None:
        super().__init__(wrapper, examples, rng)
        self.output = self.inputs.pop(OUTPUT)
        self.known_targets = list(self.inputs_here[OUTPUT])

    @property
    def entries(self) -> int:
        """The signal's size, or an eighth of the logits where those fill the memory."""
        return max(
            self.signal[0].numel(), self.output.shape[1] * int(getattr(self.wrapper.config, "vocab_size", 0)) // 8
        )

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """Logits of each output token, `(rows, tokens, vocabulary)`."""
        return logits_of(outputs)[:, -self.output.shape[1] :]


def at(values: Tensor, positions: Int[Tensor, "rows places"]) -> Tensor:
    """`values`, `(rows, length, n)`, at some positions of each row."""
    return values.gather(1, positions.to(values.device).unsqueeze(-1).expand(-1, -1, values.shape[-1]))
