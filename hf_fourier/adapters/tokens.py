"""Blocks of token models: texts, proteins and cells of one length, with the output of their embedding replaced."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

import torch

from hf_fourier.adapters.base import Adapter, Block, Encoded
from hf_fourier.adapters.embedding import EmbeddingSwap
from hf_fourier.errors import InputError, ModelError
from hf_fourier.seeding import Draw
from hf_fourier.targets import logits_of
from hf_fourier.typing import Int, Tensor

#: How many positions are masked in turn where a masked language model gets a text without a mask.
MASKED_IN_TURN = 8


class TokenAdapter(Adapter, ABC):
    """What all token models share: an embedding that is swapped, and maybe a mask."""

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, processor, task)
        self.swap = EmbeddingSwap(model)

    @property
    def mask_id(self) -> int | None:
        """The mask token, by the tokenizer or else by the config."""
        own = getattr(self.processor, "mask_token_id", None)
        return getattr(self.config, "mask_token_id", None) if own is None else own


class TextBlock(Block):
    """Texts of one length on the model's device, read by a classifier or for their next token."""

    def __init__(self, adapter: TokenAdapter, examples: Sequence[Encoded]) -> None:
        self.adapter, self.head = adapter, adapter.head()
        self.model = adapter.model
        device = adapter.device
        self.inputs = {
            name: torch.stack([example.inputs[name] for example in examples]).to(device) for name in examples[0].inputs
        }
        contents = [example.content for example in examples if example.content is not None]
        self.content = torch.stack(contents).to(device)
        self.x = self._leaves(adapter.swap.embed(self.inputs["input_ids"]))
        self.last = self._last_attended()

    def _leaves(self, embedded: Tensor) -> Tensor:
        x = embedded.gather(1, self.content.unsqueeze(-1).expand(-1, -1, embedded.shape[-1]))
        return x if x.dtype == torch.float64 else x.float()

    @property
    def reference(self) -> Tensor | None:
        """The embedding of the mask, or of padding, at every content token; None for a model that has neither."""
        token = self.adapter.mask_id
        if token is None:
            token = getattr(self.adapter.config, "pad_token_id", None)
        if token is None:
            return None
        ids = self.inputs["input_ids"].scatter(1, self.content, int(token))
        return self._leaves(self.adapter.swap.embed(ids))

    def _last_attended(self) -> Int[Tensor, " batch"]:
        ids = self.inputs["input_ids"]
        positions = torch.arange(ids.shape[1], device=ids.device)
        mask = self.inputs.get("attention_mask")
        if mask is None or mask.ndim != 2:
            return positions[-1:].expand(len(ids))
        return (positions * (mask != 0)).amax(1)

    @property
    def _next_token(self) -> bool:
        return self.adapter.task == "text-generation"

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs with the content tokens' embeddings replaced by `x`."""
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return self._run(inputs, x, self.content[rows])

    def _run(self, inputs: dict[str, Tensor], x: Tensor, content: Tensor, fixed: Tensor | None = None) -> Any:
        """One forward pass on `inputs`; positions in `fixed` keep the model's own embedding."""
        ids = inputs["input_ids"]

        def replace(output: Tensor) -> Tensor:
            index = content.to(output.device).unsqueeze(-1).expand(-1, -1, output.shape[-1])
            swapped = output.detach().scatter(1, index, x.to(output))
            if fixed is None:
                return swapped
            own = torch.nn.functional.pad(fixed, (0, output.shape[1] - fixed.shape[1])).to(output.device)
            return torch.where(own.unsqueeze(-1), output, swapped)

        options = self._options()
        with self.adapter.swap.replaced(ids, replace) as calls:
            outputs = self.adapter.run(**inputs, **options)
        if len(calls) != 1:
            self.adapter.swap.locate(lambda: self.adapter.run(**inputs, **options), ids)
            with self.adapter.swap.replaced(ids, replace) as calls:
                outputs = self.adapter.run(**inputs, **options)
            if len(calls) != 1:
                name = type(self.adapter.model).__name__
                raise ModelError(
                    f"{name}, whose embedding was asked {len(calls)} times for the same ids",
                    "one embedding of the input ids per forward pass",
                    "explain it through attribute(forward, x)",
                )
        return outputs

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.adapter.accepts("use_cache"):
            options["use_cache"] = False
        if self._next_token and self.adapter.accepts("logits_to_keep") and self._ends_together():
            options["logits_to_keep"] = 1
        return options

    def _ends_together(self) -> bool:
        return bool((self.last == self.inputs["input_ids"].shape[1] - 1).all())

    def select(self, outputs: Any, rows: Tensor) -> Tensor:
        """Class logits `(rows, classes)`, or those of the next token `(rows, vocabulary)`."""
        logits = logits_of(outputs)
        if not self._next_token:
            return logits
        if logits.shape[1] == 1:
            return logits[:, 0]
        last = self.last[rows].to(logits.device)
        return logits[torch.arange(len(logits), device=logits.device), last]


class MaskedBlock(TextBlock):
    """Texts for a masked language model.

    Where a text has masks, the score is the mean log-probability of their tokens. Where it has none, some content
    positions, seeded per example, are masked in turn, and it is the mean log-probability of the true tokens.
    """

    def __init__(self, adapter: TokenAdapter, examples: Sequence[Encoded], draw: Draw) -> None:
        super().__init__(adapter, examples)
        ids = self.inputs["input_ids"]
        self.mask_id: Any = adapter.mask_id
        masked = ids == self.mask_id if self.mask_id is not None else torch.zeros_like(ids, dtype=torch.bool)
        counts = set(masked.sum(1).tolist())
        if len(counts) > 1:
            raise ModelError("texts with different numbers of masks in one block", "one number", "report this as a bug")
        self.in_turn = counts == {0}
        if self.in_turn:
            self.positions = self._draw_positions(draw)
            self.truth = list(ids.gather(1, self.positions).to("cpu"))
            self.cost = self.positions.shape[1]
        else:
            self.positions = masked.nonzero()[:, 1].view(len(ids), -1)

    @property
    def entries(self) -> int:
        """The leaf's size, or an eighth of the logits where those are what fills the memory."""
        logits = self.inputs["input_ids"].shape[1] * int(getattr(self.adapter.config, "vocab_size", 0))
        return max(self.x[0].numel(), logits // 8)

    def _draw_positions(self, draw: Draw) -> Int[Tensor, "batch masks"]:
        if self.mask_id is None:
            raise InputError(
                "a text for a masked language model, without a tokenizer that names its mask",
                "a tokenizer",
                "pass the tokenizer to FourierExplainer",
            )
        tokens = self.content.shape[1]
        chosen = [
            torch.randperm(tokens, generator=draw.generator(i, "masked"))[: min(MASKED_IN_TURN, tokens)].sort().values
            for i in range(len(self.content))
        ]
        return self.content.gather(1, torch.stack(chosen).to(self.content.device))

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs, `cost` rows for each leaf row."""
        if not self.in_turn:
            return super().forward(x, rows)
        inputs = {n: tensor[rows].repeat_interleave(self.cost, dim=0) for n, tensor in self.inputs.items()}
        position = self.positions[rows].reshape(-1, 1)
        inputs["input_ids"] = inputs["input_ids"].scatter(1, position, self.mask_id)
        fixed = torch.zeros_like(inputs["input_ids"], dtype=torch.bool).scatter(1, position, True)
        repeated = x.repeat_interleave(self.cost, dim=0)
        return self._run(inputs, repeated, self.content[rows].repeat_interleave(self.cost, dim=0), fixed)

    def select(self, outputs: Any, rows: Tensor) -> Tensor:
        """Logits at the masked positions, `(rows, vocabulary)`, or `(rows, masks, vocabulary)` for several."""
        logits = logits_of(outputs)
        positions = self.positions[rows].to(logits.device)
        if self.in_turn:
            flat = positions.reshape(-1)
            picked = logits[torch.arange(len(logits), device=logits.device), flat]
            return picked.view(*positions.shape, -1)
        picked = logits.gather(1, positions.unsqueeze(-1).expand(-1, -1, logits.shape[-1]))
        return picked[:, 0] if picked.shape[1] == 1 else picked
