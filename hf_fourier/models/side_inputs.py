"""Checks whether a score depends on more than the signal: chance, the rest of the batch, the ids, padding.

A score that changes between passes (dropout that stays on, noise in the forward pass) or with the batch (norms by batch
statistics) is no function of the input: the first example is run again beside another input, one pass of two rows.
Embedded tokens carry everything only where the model reads the ids nowhere else (per-layer embeddings, hashed n-grams,
experts chosen by token, ids fed to a decoder): the ids are exchanged under a fixed signal, one pass of one row. Both
run once per explainer. An example that arrives padded is run without its padding, one pass each. A language model is
checked once for whether `generate` reads a prompt as its plain forward pass does: some set a mask behind it.
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

#: A score that changes by less, relative to itself or absolutely below 1, is unchanged.
TOLERANCE = 1e-4
#: The same for one row in batches of two sizes, on an accelerator (TF32), and in half precision.
ACCELERATOR_TOLERANCE, HALF_TOLERANCE = 2e-3, 5e-2
#: A check finds something where the score changes by this many times what it changes by itself.
BEYOND = 3
#: A log-probability that differs by more, or by so many roundings of the model's type, is of another distribution.
OTHER, ROUNDINGS = 0.05, 64
#: The note where the signal does not carry everything.
BYPASS_NOTE = f"{BYPASS_BEGINNING}this second path is held constant, and no feature represents it"
#: Attributes of a `SideInputCheck` by the names that manifests store them under.
_STORED = {"own": "unstable_note", "moving": "instability", "generates": "generation_differs"}


@dataclass
class SideInputCheck:
    """The checks of one model, and their results so far.

    Attributes:
        unstable_note: The note on scores that change by themselves or with the batch, "" if they do not; None while
            unchecked.
        instability: By how much they do, relative to themselves or to 1.
        checked_alone: Whether an example was run again alone, and its score stayed.
        ids_bypass: Whether ids reach the score beside the signal; None while no example could tell.
        generation_differs: Whether `generate` reads prompts in another way; None while no example could tell. Where the
            first example shows that it does, each has a note of its own, which depends on no other example.
        padding: By how much the score and its log-odds change without padding, by the fingerprints of the example and
            its resolved target.
    """

    unstable_note: str | None = None
    instability: float = 0.0
    checked_alone: bool = False
    ids_bypass: bool | None = None
    generation_differs: bool | None = None
    padding: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes that every result of the model gets."""
        return (*([self.unstable_note] if self.unstable_note else []), *([BYPASS_NOTE] if self.ids_bypass else []))

    def as_values(self) -> dict[str, Any]:
        """The results of the checks of the model as a run's manifest stores them; unchecked counts as not found."""
        return {
            "own": self.unstable_note or "",
            "moving": self.instability,
            "ids_bypass": bool(self.ids_bypass),
            "generates": bool(self.generation_differs),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SideInputCheck:
        """The checks that `as_values` stored."""
        return cls(**{_STORED.get(name, name): value for name, value in values.items()})

    def add_notes(
        self, host: BatchSource, requests: Sequence[ExplanationRequest], results: Sequence[Attribution]
    ) -> None:
        """Add the notes of the checks to results, running those that were not run yet.

        The passes are counted in the results' provenance, as `checks`.
        """
        for request, result in zip(requests, results, strict=True):
            if result.signal is None or result.frozen_target is None:
                continue
            rerun = _Rerun(host, request, result)
            if self.unstable_note is None:
                self._check_stability(rerun)
            notes = [self.unstable_note] if self.unstable_note else []
            if isinstance(host, ModelWrapper):
                notes += self._check_ids(host, rerun)
                notes += [] if self.generation_differs is False else self._check_generation(host, request, result)
                notes += self._check_padding(host, rerun)
            if notes:
                result.provenance = {**result.provenance, "notes": [*result.provenance["notes"], *notes]}

    def _check_stability(self, rerun: _Rerun) -> None:
        """Run an example again beside another input, and if its score changed, a third time.

        Alone where batches of one were requested or the model takes no other; other batches then stay unchecked.
        """
        value = rerun.result.value
        clean = log_odds(rerun.result, value)
        rows = 1 if rerun.host.max_rows == 1 or rerun.result.provenance.get("batch") == 1 else 2
        if rows == 1 and self.checked_alone:
            return
        first = rerun.beside(rows, 1)
        if first is None and rows == 2:
            rows, first = 1, rerun.beside(1, 1)
        self.checked_alone = True
        if first is None or not distance(first.odds, clean) > first.tolerance:
            complete = first is None or rows == 2 or rerun.host.max_rows == 1
            self.unstable_note = "" if complete else None
            return
        second = rerun.beside(rows, 2) or first
        again = distance(second.odds, first.odds)
        self.instability = max(again, distance(first.odds, clean), distance(second.odds, clean))
        if again > first.tolerance:
            passes = f"{value:.4g}, {first.value:.4g} and {second.value:.4g}"
            self.unstable_note = (
                f"{MOVING}it differs from call to call (dropout that stays on, noise in the forward pass): one example "
                f"scored {passes} in three passes; the ranking is that of single passes"
            )
            return
        self.unstable_note = (
            f"{MOVING}it depends on the rest of the batch (normalisation by batch statistics): one example scored "
            f"{value:.4g}, and {first.value:.4g} with another input in the batch; batch_size=1 runs each input alone"
        )

    def _check_ids(self, wrapper: ModelWrapper, rerun: _Rerun) -> list[str]:
        if self.ids_bypass is None and (permuted := wrapper.with_permuted_ids(rerun.request.example)) is not None:
            value, tolerance = rerun.result.value, TOLERANCE
            if self.unstable_note:  # the same example twice, by the same draws, as far as these are torch's
                value, again = (rerun.value(rerun.request.example) or math.nan for _ in range(2))
                noise = rerun.distance(again, value)
                tolerance = TOLERANCE if noise <= TOLERANCE else BEYOND * max(noise, self.instability)
            permuted_value = rerun.value(permuted)
            if permuted_value is not None:
                self.ids_bypass = rerun.distance(permuted_value, value) > tolerance
        return [BYPASS_NOTE] if self.ids_bypass else []

    def _check_generation(self, wrapper: ModelWrapper, request: ExplanationRequest, result: Attribution) -> list[str]:
        target = result.frozen_target
        if target is None or target.ndim or target.is_floating_point():
            return []
        generated = wrapper.generated(request.example, int(target))
        if generated is None:
            return []
        _add_passes(result, 1)
        log_p, likeliest = generated
        rounding = ROUNDINGS * torch.finfo(dtype_of(wrapper.model)).eps
        differs = abs(log_p - result.value) > max(OTHER, BEYOND * self.instability, rounding)  # not where it is NaN
        self.generation_differs = differs or bool(self.generation_differs)
        if not differs:
            return []
        p, explained_p = math.exp(log_p), math.exp(result.value)
        difference = "generate() reads the prompt differently from the explained forward pass"
        return [f"{difference}: it expects {likeliest!r}, and {result.label!r} with p = {p:.2g}, not {explained_p:.2g}"]

    def _check_padding(self, wrapper: ModelWrapper, rerun: _Rerun) -> list[str]:
        stripped = wrapper.without_padding(rerun.request.example)
        if stripped is None:
            return []
        target = rerun.result.frozen_target
        key = rerun.result.key, fingerprint([] if target is None else [target])
        change = self.padding.get(key)
        if change is None:
            stripped_value = rerun.value(stripped)
            if stripped_value is None:
                return [UNASKED]
            value = rerun.result.value
            change = self.padding[key] = (distance(stripped_value, value), rerun.distance(stripped_value, value))
        if change[1] <= max(TOLERANCE, BEYOND * self.instability):
            return []
        odds = f", its log-odds by {change[1]:.2g}" if change[0] <= TOLERANCE else ""
        guesses = "".join(f" ({note})" for note in stripped.notes if note.startswith(LOOKS))
        return [f"{PADDED}without it the score changes by {change[0]:.2g}{odds}; explained as given{guesses}"]


@dataclass(frozen=True)
class _RerunScore:
    """An example's score in another pass, the same as log-odds, and by how much rounding may change these."""

    value: float
    odds: float
    tolerance: float


@dataclass(frozen=True)
class _Rerun:
    """An explained example, to be run again under other conditions."""

    host: BatchSource
    request: ExplanationRequest
    result: Attribution

    def beside(self, rows: int, seed: int) -> _RerunScore | None:
        """The example's score beside another input, or (of one row) alone; None if the model refuses that.

        Args:
            rows: Rows of the batch.
            seed: Of torch's random numbers.
        """

        def run(score: Score, x: Tensor, batch: ExampleBatch) -> _RerunScore:
            both = torch.cat([x, x / 2 + 0.1])[:rows]  # the same place with other content
            score.batcher.size = rows
            value = float(score.value(both, torch.zeros(rows, dtype=torch.long, device=x.device)).value[0])
            return _RerunScore(value, log_odds(self.result, value), _batch_tolerance(batch))

        return self._run(self.request.example, run, seed)

    def value(self, example: EncodedExample) -> float | None:
        """The score of a variant of the example, at the example's signal if the size fits; None if refused."""

        def run(score: Score, x: Tensor, batch: ExampleBatch) -> float:
            return float(score.value(x).value)

        return self._run(example, run, 0)

    def distance(self, a: float, b: float) -> float:
        """The distance of two scores, or of their log-odds where that is larger."""
        return max(distance(a, b), distance(log_odds(self.result, a), log_odds(self.result, b)))

    def _run(self, example: EncodedExample, run: Any, seed: int) -> Any:
        result = self.result
        assert result.signal is not None
        assert result.frozen_target is not None
        rng = ExampleRng(int(result.provenance["seed"]), [result.key])
        try:
            batch = batch_of(self.host, [example], rng, float(result.provenance.get("dither", 0.0)))
            score = score_of(
                batch, [self.request.target], MicroBatcher(1), [result.frozen_target.to(batch.signal.device)]
            )
            signal = result.signal.unsqueeze(0).to(batch.signal)
            with _seeded(batch.signal, seed):
                output = run(score, signal if signal.shape == batch.signal.shape else batch.signal, batch)
        except Exception:  # an explanation is not lost because a check fails
            return None
        _add_passes(result, score.passes.forward)
        return output


def logits_at(batch: ExampleBatch, x: Tensor) -> Tensor:
    """The logits of a batch at one signal, `(1, *signal)`, as float32 on the CPU."""
    rows = torch.zeros(1, dtype=torch.long, device=x.device)
    with torch.no_grad():
        return batch.logits(batch.forward(x, rows), rows).to("cpu", torch.float32, copy=True)[0]


def padding_notes(wrapper: ModelWrapper, unpadded: EncodedExample, logits: Tensor) -> list[str]:
    """The note on the logits of an example with padding, where they change without it."""
    try:
        batch = wrapper.example_batch([unpadded], ExampleRng(0, [unpadded.key]))
        unpadded_logits = logits_at(batch, batch.signal)
    except Exception:  # a prediction is not lost because a check fails
        return [UNASKED]
    if unpadded_logits.shape != logits.shape:
        return [UNASKED]
    change, size = (x.abs().nan_to_num(0.0, 0.0, 0.0).max() for x in (unpadded_logits - logits, logits))
    moved = float(change / size.clamp(min=1))
    return [f"{PADDED}without it the logits change by {moved:.2g}"] if moved > TOLERANCE else []


@contextmanager
def _seeded(x: Tensor, seed: int) -> Iterator[None]:
    """Inside, torch's random numbers are seeded; their state is restored afterwards."""
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        yield


def _batch_tolerance(batch: ExampleBatch) -> float:
    """By how much a row's score may change in a batch of another size, relative to itself or to 1."""
    parameters = () if batch.model is None else batch.model.parameters()
    kinds = {p.dtype for p in parameters if p.is_floating_point()} | {batch.input_dtype}
    if casting() or kinds & {torch.float16, torch.bfloat16}:
        return HALF_TOLERANCE
    return TOLERANCE if batch.signal.device.type == "cpu" else ACCELERATOR_TOLERANCE


def log_odds(result: Attribution, value: float) -> float:
    """A log-probability as log-odds, which change visibly also near probability 1; any other score as it is."""
    known = result.confidence
    sure = known is not None and value <= 0 and math.isclose(known, math.exp(result.value), rel_tol=1e-3)
    return value - math.log(-math.expm1(min(value, -1e-30))) if sure else value


def distance(a: float, b: float) -> float:
    """The difference of two scores, relative to the second or to 1."""
    return abs(a - b) / max(1.0, abs(b))


def _add_passes(result: Attribution, forward: int) -> None:
    """Count forward passes of checks in a result's provenance."""
    checks = result.provenance.get("checks", {"forward": 0})
    result.provenance = {**result.provenance, "checks": {"forward": checks["forward"] + forward}}
