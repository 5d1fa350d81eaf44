"""What reaches an answer beside the signal: chance, the rest of a batch, ids that are read a second way, and padding.

A model whose answer moves by itself (dropout that stays on, noise in the forward) or with its batch (norms by the
batch's statistics) is no function of its input. So the first example is asked once more, beside another input: one pass
of two rows. A signal that is made of ids carries everything only where the model reads them nowhere else: per-layer
embeddings, hashed n-grams, experts that are chosen by token, or a decoder that is fed the ids once more go around it.
So the ids are exchanged under a fixed signal: one pass of one row. Both are asked once for each explainer. Rows that
arrive padded are asked once more without their padding, one pass each. A language model is asked once whether its
`generate` sees a prompt as its plain forward pass does: some set a mask behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.inspection import dtype_of
from hf_fourier.models.padding import LOOKS
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import BYPASS_BEGINNING, MOVING, PADDED, UNASKED
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.example_batch import (
    BatchSource,
    EncodedExample,
    ExampleBatch,
    ExplanationRequest,
    batch_of,
    score_of,
)
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng, fingerprint
from hf_fourier.torch_state import casting
from hf_fourier.typing import Tensor

#: A score that moves by less, of itself or of 1, has not moved.
TOLERANCE = 1e-4
#: The same for answers of one row in batches of two sizes, on an accelerator (TF32), and in half precision.
STILL_ELSEWHERE, STILL_IN_HALF = 2e-3, 5e-2
#: A question counts where its answer moves by so many times what moves by itself.
BEYOND = 3
#: A log-probability that differs by more, or by so many roundings of the model's type, is that of another question.
OTHER, ROUNDINGS = 0.05, 64
#: What is said where the signal does not carry everything.
BYPASS_NOTE = f"{BYPASS_BEGINNING}what goes that way is held constant, and no feature stands for it"


@dataclass
class SideInputCheck:
    """What was found of one model so far.

    Attributes:
        own: What has to be said of answers that move by themselves or with the batch, "" for nothing; None while it was
            not asked.
        moving: By how much they do, of themselves or of 1.
        alone: Whether an example was asked again alone, and its answer stayed.
        ids_bypass: Whether its ids reach the answer beside the signal; None while no example could tell.
        generates: Whether `generate` reads prompts in another way; None while no example could tell.
        padding: How far the score and its log-odds move without padding, by the fingerprints of the example and its
            settled target.
    """

    own: str | None = None
    moving: float = 0.0
    alone: bool = False
    ids_bypass: bool | None = None
    generates: bool | None = None
    padding: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said of every result."""
        return (*([self.own] if self.own else []), *([BYPASS_NOTE] if self.ids_bypass else []))

    def known(self) -> dict[str, Any]:
        """What was found of the model, as plain values; what is not known yet is not asked by whoever reads them."""
        return {
            "own": self.own or "",
            "moving": self.moving,
            "ids_bypass": bool(self.ids_bypass),
            "generates": bool(self.generates),
        }

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> SideInputCheck:
        """What `known` told."""
        return cls(**known)

    def tell(self, host: BatchSource, requests: Sequence[ExplanationRequest], results: Sequence[Attribution]) -> None:
        """Add what has to be said to the notes of results, asking the model where it is not known yet.

        What that costs is kept in their provenance, as `checks`.
        """
        for request, result in zip(requests, results, strict=True):
            if result.signal is None or result.frozen_target is None:
                continue
            asking = _Question(host, request, result)
            if self.own is None:
                self._ask_again(asking)
            said = [self.own] if self.own else []
            if isinstance(host, ModelWrapper):
                said += self._of_ids(host, asking)
                said += [] if self.generates is False else self._of_generation(host, request.example, result)
                said += self._of_padding(host, asking)
            if said:
                result.provenance = {**result.provenance, "notes": [*result.provenance["notes"], *said]}

    def _ask_again(self, asking: _Question) -> None:
        """Ask an example once more, beside another input, and if its answer moved, a third time.

        Where batches of one were asked for, or the model takes no other, it is asked alone; then nothing is known of
        other batches.
        """
        value = asking.result.value
        clean = log_odds(asking.result, value)
        rows = 1 if asking.host.max_rows == 1 or asking.result.provenance.get("batch") == 1 else 2
        if rows == 1 and self.alone:
            return
        first = asking.beside(rows, 1)
        if first is None and rows == 2:
            rows, first = 1, asking.beside(1, 1)
        self.alone = True
        if first is None or not far(first.odds, clean) > first.still:
            self.own = "" if first is None or rows == 2 or asking.host.max_rows == 1 else None
            return
        second = asking.beside(rows, 2) or first
        again = far(second.odds, first.odds)
        self.moving = max(again, far(first.odds, clean), far(second.odds, clean))
        if again > first.still:
            passes = f"{value:.4g}, {first.value:.4g} and {second.value:.4g}"
            self.own = (
                f"{MOVING}it differs from call to call (dropout that stays on, noise in the forward): one example "
                f"scored {passes} in three passes; what is ranked is the answers of single passes"
            )
            return
        self.own = (
            f"{MOVING}it differs with the rest of the batch (norms by the batch's statistics): one example scored "
            f"{value:.4g}, and {first.value:.4g} beside another input; batch_size=1 asks about each input alone"
        )

    def _of_ids(self, wrapper: ModelWrapper, asking: _Question) -> list[str]:
        if self.ids_bypass is None and (other := wrapper.with_permuted_ids(asking.request.example)) is not None:
            own, still = asking.result.value, TOLERANCE
            if self.own:  # the same question twice, by the same draws, as far as these are torch's
                own, again = (asking.value(asking.request.example) or math.nan for _ in range(2))
                left = asking.far(again, own)
                still = TOLERANCE if left <= TOLERANCE else BEYOND * max(left, self.moving)
            there = asking.value(other)
            if there is not None:
                self.ids_bypass = asking.far(there, own) > still
        return [BYPASS_NOTE] if self.ids_bypass else []

    def _of_generation(self, wrapper: ModelWrapper, example: EncodedExample, result: Attribution) -> list[str]:
        single = (
            result.frozen_target is not None
            and result.frozen_target.ndim == 0
            and not result.frozen_target.is_floating_point()
        )
        found = (
            wrapper.generated(example, int(result.frozen_target))
            if single and result.frozen_target is not None
            else None
        )
        if found is None:
            return []
        _counted(result, 1)
        log_p, other = found
        rounding = ROUNDINGS * torch.finfo(dtype_of(wrapper.model)).eps
        self.generates = abs(log_p - result.value) > max(OTHER, BEYOND * self.moving, rounding)
        if not self.generates:
            return []
        p, own = math.exp(log_p), math.exp(result.value)
        said = f"generate() reads a prompt in another way than the forward pass that is explained: it expects {other!r}"
        return [f"{said}, and {result.label!r} with p = {p:.2g}, not {own:.2g}"]

    def _of_padding(self, wrapper: ModelWrapper, asking: _Question) -> list[str]:
        stripped = wrapper.without_padding(asking.request.example)
        if stripped is None:
            return []
        frozen = asking.result.frozen_target
        asked = asking.result.key, fingerprint([] if frozen is None else [frozen])
        moved = self.padding.get(asked)
        if moved is None:
            there = asking.value(stripped)
            if there is None:
                return [UNASKED]
            value = asking.result.value
            moved = self.padding[asked] = (far(there, value), asking.far(there, value))
        if moved[1] <= max(TOLERANCE, BEYOND * self.moving):
            return []
        sure = f", its log-odds by {moved[1]:.2g}" if moved[0] <= TOLERANCE else ""
        guessed = "".join(f" ({note})" for note in stripped.notes if note.startswith(LOOKS))
        return [f"{PADDED}without it the score moves by {moved[0]:.2g}{sure}; explained as given{guessed}"]


@dataclass(frozen=True)
class _Answer:
    """One example's score in another pass, the same as log-odds, and how far these may be off by rounding."""

    value: float
    odds: float
    still: float


@dataclass(frozen=True)
class _Question:
    """One example that was explained, to be asked about again."""

    host: BatchSource
    request: ExplanationRequest
    result: Attribution

    def beside(self, rows: int, seed: int) -> _Answer | None:
        """The example's answer beside another input, or (of one row) alone; None if the model refuses that.

        Args:
            rows: How many the model gets.
            seed: Of torch's random numbers.
        """

        def ask(score: Score, x: Tensor, block: ExampleBatch) -> _Answer:
            both = torch.cat([x, x / 2 + 0.1])[:rows]  # the same place with other content
            score.batcher.size = rows
            value = float(score.value(both, torch.zeros(rows, dtype=torch.long, device=x.device)).value[0])
            return _Answer(value, log_odds(self.result, value), _still(block))

        return self._asked(self.request.example, ask, seed)

    def value(self, example: EncodedExample) -> float | None:
        """The score of an example in other surroundings, at its own signal where that is as large; None if refused."""

        def ask(score: Score, x: Tensor, block: ExampleBatch) -> float:
            return float(score.value(x).value)

        return self._asked(example, ask, 0)

    def far(self, a: float, b: float) -> float:
        """How far two scores are apart, or where it is more, their log-odds."""
        return max(far(a, b), far(log_odds(self.result, a), log_odds(self.result, b)))

    def _asked(self, example: EncodedExample, ask: Any, seed: int) -> Any:
        result = self.result
        assert result.signal is not None
        assert result.frozen_target is not None
        rng = ExampleRng(int(result.provenance["seed"]), [result.key])
        try:
            block = batch_of(self.host, [example], rng, float(result.provenance.get("dither", 0.0)))
            score = score_of(
                block, [self.request.target], MicroBatcher(1), [result.frozen_target.to(block.signal.device)]
            )
            own = result.signal.unsqueeze(0).to(block.signal)
            with _drawn(block.signal, seed):
                found = ask(score, own if own.shape == block.signal.shape else block.signal, block)
        except Exception:  # an explanation is not lost because of a question beside it
            return None
        _counted(result, score.passes.forward)
        return found


def logits_at(block: ExampleBatch, x: Tensor) -> Tensor:
    """What a block's head reads at one signal, `(1, *signal)`, as float32 on the CPU."""
    rows = torch.zeros(1, dtype=torch.long, device=x.device)
    with torch.no_grad():
        return block.logits(block.forward(x, rows), rows).to("cpu", torch.float32, copy=True)[0]


def padded(wrapper: ModelWrapper, bare: EncodedExample, logits: Tensor) -> list[str]:
    """What has to be said of logits of an example with padding, given the same example without it."""
    try:
        block = wrapper.example_batch([bare], ExampleRng(0, [bare.key]))
        there = logits_at(block, block.signal)
    except Exception:  # a prediction is not lost because of a question beside it
        return [UNASKED]
    if there.shape != logits.shape:
        return [UNASKED]
    apart, size = (one.abs().nan_to_num(0.0, 0.0, 0.0).max() for one in (there - logits, logits))
    moved = float(apart / size.clamp(min=1))
    return [f"{PADDED}without it the logits move by {moved:.2g}"] if moved > TOLERANCE else []


@contextmanager
def _drawn(x: Tensor, seed: int) -> Iterator[None]:
    """Inside, torch's random numbers begin anew by a seed; the user finds them as they were."""
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        yield


def _still(block: ExampleBatch) -> float:
    """How far the answer to one row may be off in a batch of another size, of itself or of 1."""
    parameters = () if block.model is None else block.model.parameters()
    kinds = {p.dtype for p in parameters if p.is_floating_point()} | {block.input_dtype}
    if casting() or kinds & {torch.float16, torch.bfloat16}:
        return STILL_IN_HALF
    return TOLERANCE if block.signal.device.type == "cpu" else STILL_ELSEWHERE


def log_odds(result: Attribution, value: float) -> float:
    """A log-probability as log-odds, which move visibly also where the model is sure; any other score as it is."""
    known = result.confidence
    sure = known is not None and value <= 0 and math.isclose(known, math.exp(result.value), rel_tol=1e-3)
    return value - math.log(-math.expm1(min(value, -1e-30))) if sure else value


def far(a: float, b: float) -> float:
    """How far two scores are apart, of the second or of 1."""
    return abs(a - b) / max(1.0, abs(b))


def _counted(result: Attribution, forward: int) -> None:
    """Add passes to what the questions beside a result cost."""
    checks = result.provenance.get("checks", {"forward": 0})
    result.provenance = {**result.provenance, "checks": {"forward": checks["forward"] + forward}}
