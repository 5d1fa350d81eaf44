"""Example batches of masked language models: scores at the masks, or at some positions masked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.token_batches import TextBatch, TokenWrapper, at
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.heads import logits_of
from hf_fourier.scoring.pending import to_device
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import carried
from hf_fourier.typing import Int, Tensor

#: How many positions are masked in turn where a masked language model gets a text without a mask.
MASKED_IN_TURN = 8
#: Signal entries of the rows that are masked in turn and run at once; with more, they run one after the other.
IN_TURN_AT_ONCE = 2**24


@dataclass(frozen=True)
class SelectedPositions:
    """The logits at the masked positions, of passes that ran one after the other."""

    logits: Tensor


class MaskedLMBatch(TextBatch):
    """Texts for a masked language model.

    Where a text has masks, the score is the mean log-probability of their tokens. Where it has none, some content
    positions, seeded per example, are masked in turn, and it is the mean log-probability of the true tokens.
    """

    def __init__(self, wrapper: TokenWrapper, examples: Sequence[EncodedExample], rng: ExampleRng) -> None:
        super().__init__(wrapper, examples, rng)
        ids, device = self.inputs_here["input_ids"], self.inputs["input_ids"].device
        self.mask_id: Any = wrapper.mask_id
        masked = ids == self.mask_id if self.mask_id is not None else torch.zeros_like(ids, dtype=torch.bool)
        counts = set(masked.sum(1).tolist())
        if len(counts) > 1:
            raise ModelError("texts with different numbers of masks in one batch", "one number", "report this as a bug")
        self.in_turn = counts == {0}
        if self.in_turn:
            positions = self._draw_positions(rng)
            self.known_targets = list(ids.gather(1, positions))
            self.positions = to_device(positions, device)
            self.rows_per_signal = self.positions.shape[1]
        else:
            self.positions = to_device(masked.nonzero()[:, 1].view(len(ids), -1), device)

    @property
    def entries(self) -> int:
        """The signal's size, or an eighth of the logits where those are what fills the memory."""
        logits = self.inputs["input_ids"].shape[1] * int(getattr(self.wrapper.config, "vocab_size", 0))
        return max(self.signal[0].numel(), logits // 8)

    def _draw_positions(self, rng: ExampleRng) -> Int[Tensor, "batch masks"]:
        if self.mask_id is None:
            raise InputError(
                "a text for a masked language model, without a tokenizer that names its mask",
                "a tokenizer",
                "pass the tokenizer to FourierExplainer",
            )
        tokens = self.content_here.shape[1]
        chosen = [
            torch.randperm(tokens, generator=rng.generator(i, "masked"))[: min(MASKED_IN_TURN, tokens)].sort().values
            for i in range(len(self.content_here))
        ]
        return self.content_here.gather(1, torch.stack(chosen))

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs, `rows_per_signal` rows for each signal row."""
        if not self.in_turn:
            return super().forward(x, rows)
        inputs = {n: tensor[rows].repeat_interleave(self.rows_per_signal, dim=0) for n, tensor in self.inputs.items()}
        position = self.positions[rows].reshape(-1, 1)
        inputs["input_ids"] = inputs["input_ids"].scatter(1, position, self.mask_id)
        fixed = torch.zeros_like(inputs["input_ids"], dtype=torch.bool).scatter(1, position, True)
        repeated, content = (t.repeat_interleave(self.rows_per_signal, dim=0) for t in (x, self.content[rows]))
        max_rows = max(1, IN_TURN_AT_ONCE // self.entries)
        if len(repeated) <= max_rows:
            return self._run(inputs, repeated, content, fixed)

        @carried  # on an accelerator it runs again in a thread of its own
        def pick(part: Tensor, start: int) -> Tensor:
            rows = slice(start, start + max_rows)
            outputs = self._run({n: t[rows] for n, t in inputs.items()}, part, content[rows], fixed[rows])
            return _rows_at(logits_of(outputs), position[rows, 0])

        picked = []
        for start in range(0, len(repeated), max_rows):
            part = repeated[start : start + max_rows]
            # Of a part only its logits are kept; the backward pass runs it again.
            again = torch.is_grad_enabled() and part.requires_grad
            picked.append(checkpoint(pick, part, start, use_reentrant=False) if again else pick(part, start))
        return SelectedPositions(torch.cat(picked))

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """Logits at the masked positions, `(rows, vocabulary)`, or `(rows, masks, vocabulary)` for several."""
        if isinstance(outputs, SelectedPositions):
            return outputs.logits.view(*self.positions[rows].shape, -1)
        logits = logits_of(outputs)
        positions = self.positions[rows].to(logits.device)
        if self.in_turn:
            return _rows_at(logits, positions.reshape(-1)).view(*positions.shape, -1)
        picked = at(logits, positions)
        return picked[:, 0] if picked.shape[1] == 1 else picked


def _rows_at(logits: Tensor, positions: Int[Tensor, " rows"]) -> Tensor:
    """Each row's logits at one position, `(rows, vocabulary)`."""
    return logits[torch.arange(len(logits), device=logits.device), positions.to(logits.device)]
