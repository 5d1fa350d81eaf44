"""What an explanation costs beside the least it can: one forward and one input-backward pass per example.

Both sides run the same examples in the same batches with the same threads, in one process and in turn, batch by batch,
so that what else the machine does falls on both; a run is the sum over all batches. The bare side is
written without the library: the model, a scalar, `torch.autograd.grad` at the input. The other side is one-step FFC
with its two transforms, its scores and the descending order of all features, from encodings that are ready.

`least` is the bare side with that arithmetic added and nothing else, again without the library: two half spectra, the
scores, one sort. Where it is above the gate already, only a better transform or sort could meet the gate.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.real import MODELS, Real
from benchmarks.tables import markdown
from hf_fourier.domains import Fourier
from hf_fourier.methods import FFC
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.models import inspection
from hf_fourier.models.inspection import eval_mode
from hf_fourier.scoring.batching import suggested_rows
from hf_fourier.scoring.example_batch import EncodedExample, ExplanationRequest
from hf_fourier.typing import Tensor

#: Models whose bare pass takes less than this, in seconds a batch, are reported but not held to the gate.
TOO_SMALL = 0.005
GATE = 1.10


def laid_out(model: torch.nn.Module, batch: Sequence[EncodedExample]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A batch as the model takes it: its signal, and the way from there to the logits."""
    inputs = {name: torch.stack([e.inputs[name] for e in batch]) for name in batch[0].inputs}
    sound = next((name for name in ("input_features", "input_values") if name in inputs), None)
    if batch[0].values is not None:
        signal = torch.stack([e.values for e in batch if e.values is not None])
        last = signal.ndim == 4 and inspection.is_convolutional(model)  # the faster layout, for both sides
        layout = torch.channels_last if last else torch.contiguous_format
        return signal, lambda x: model(pixel_values=x.contiguous(memory_format=layout)).logits
    if sound is not None:
        return inputs.pop(sound), lambda x: model(**{sound: x}, **inputs).logits
    with torch.no_grad():
        signal = model.get_input_embeddings()(inputs.pop("input_ids"))  # type: ignore[operator]
    keep = {"logits_to_keep": 1, "use_cache": False} if "CausalLM" in type(model).__name__ else {}
    return signal, lambda x: model(inputs_embeds=x, **inputs, **keep).logits


def bare(model: torch.nn.Module, batch: Sequence[EncodedExample]) -> tuple[Tensor, Tensor]:
    """Forward and input gradient of the likeliest class of each example: the signals, and that gradient."""
    signal, forward = laid_out(model, batch)
    signal.requires_grad_(True)
    logits = forward(signal)
    if logits.ndim == 3:
        logits = logits[:, -1]
    if logits.ndim > 3:  # a mask of one class or two: the mean over its places
        margin = logits[:, 0] if logits.shape[1] == 1 else torch.sub(*logits.unbind(1))
        score = torch.nn.functional.softplus(margin.abs(), -1).flatten(1).mean(1)
    else:
        score = logits.log_softmax(-1).amax(-1)
    return signal.detach(), torch.autograd.grad(score.sum(), signal)[0]


def ranked(signal: Tensor, gradient: Tensor, dims: Sequence[int]) -> np.ndarray:
    """FFC's arithmetic beside the passes: two half spectra, the scores of all stored bins, their descending order."""
    length = 0.01 * signal.flatten(1).norm(dim=1) / gradient.flatten(1).norm(dim=1)
    step = gradient * length.view(-1, *[1] * (gradient.ndim - 1))
    whole, moved = (torch.fft.rfftn(x, dim=tuple(dims), norm="ortho").flatten(1).numpy() for x in (signal, step))
    modulus = np.abs(whole)
    scores = modulus + 2 * (whole.real * moved.real + whole.imag * moved.imag) / (modulus + 1e-12)
    bits = (-scores).astype(np.float32).view(np.uint32)  # sorted by 16-bit digits, numpy's fastest here
    key = bits ^ ((bits.view(np.int32) >> 31).view(np.uint32) | np.uint32(1 << 31))
    low = key.astype(np.uint16).argsort(axis=1, kind="stable")
    high = np.take_along_axis((key >> np.uint32(16)).astype(np.uint16), low, axis=1)
    return np.take_along_axis(low, high.argsort(axis=1, kind="stable"), axis=1)


def packed(encoded: Sequence[EncodedExample]) -> list[list[EncodedExample]]:
    """The batches that the library makes of these examples."""
    groups: dict[Any, list[EncodedExample]] = {}
    for example in encoded:
        groups.setdefault(example.batch_key, []).append(example)
    batches = []
    for group in groups.values():
        rows = suggested_rows(torch.Size(group[0].signal.shape).numel(), torch.device("cpu"))
        batches += [group[i : i + rows] for i in range(0, len(group), rows)]
    return batches


@dataclass(frozen=True)
class Seconds:
    """What one run took: by the clock, and of the processors, which other work on the machine disturbs less."""

    wall: float
    cpu: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)


def timed(run: Callable[[], object]) -> Seconds:
    """Run once."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def keep_memory() -> None:
    """Let glibc keep what is freed: fresh pages cost milliseconds, and either side may get them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        mallopt(-4, 0)  # M_MMAP_MAX


def measure(real: Real, examples: int, runs: int) -> dict[str, Any]:
    """One row of the table."""
    explainer = real.explainer()
    wrapper = explainer.wrapper
    encoded = [wrapper.encode(example) for example in real.examples(examples)]
    batches = packed(encoded)
    job = MethodCall(FFC(), Fourier(), 0, {"name": real.name, "task": wrapper.task, "revision": None})

    def least(batch: Sequence[EncodedExample]) -> None:
        ranked(*bare(explainer.model, batch), [d + 1 for d in batch[0].signal.ordered_axes])

    def ours(batch: Sequence[EncodedExample]) -> None:
        for result in explain_all([ExplanationRequest(e, None) for e in batch], job, wrapper):
            _ = result.order

    sides = (lambda batch: bare(explainer.model, batch), least, ours)
    taken = []
    with eval_mode(explainer.model):
        for _ in range(runs + 1):
            each = [[timed(lambda: side(batch)) for side in sides] for batch in batches]  # noqa: B023
            taken.append([sum(side, Seconds(0, 0)) for side in zip(*each, strict=True)])
    taken = taken[1:]
    ratios = [own.wall / passes.wall for passes, _, own in taken]
    passes, _, own = (statistics.median(one.wall for one in side) for side in zip(*taken, strict=True))
    per_batch = passes / len(batches)
    return {
        "model": real.name,
        "examples": examples,
        "batches": len(batches),
        "bare, s": passes,
        "explain, s": own,
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "ratio of CPU time": statistics.median(own.cpu / bare.cpu for bare, _, own in taken),
        "least, CPU time": statistics.median(least.cpu / bare.cpu for bare, least, _ in taken),
        "gate": "not gated" if per_batch < TOO_SMALL else ("met" if statistics.median(ratios) <= GATE else "missed"),
    }


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cost", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, help="of torch; on a busy machine one is steadier than all")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    keep_memory()
    rows = []
    for name in chosen.models:
        rows.append(measure(MODELS[name], chosen.examples, chosen.runs))
        print(rows[-1], file=sys.stderr, flush=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {chosen.runs} alternating runs\n")
    print(markdown(rows))
