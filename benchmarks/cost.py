"""What an explanation costs beside the least it can: one forward and one input-backward pass per example.

Both sides run the same examples in the same batches with the same threads, in one process and in turn, batch by batch,
so that what else the machine does falls on both; a run is the sum over all batches. The bare side is
written without the library: the model, a scalar, `torch.autograd.grad` at the input. The other side is one-step FFC
with its two transforms, its scores and the descending order of all features, from encodings that are ready.
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

import torch

from benchmarks.real import MODELS, Real
from benchmarks.tables import markdown
from hf_fourier.adapters import Encoded
from hf_fourier.adapters.base import held
from hf_fourier.batching import suggested_rows
from hf_fourier.domains import Fourier
from hf_fourier.engine import Job, Request, explain_all
from hf_fourier.methods import FFC
from hf_fourier.typing import Tensor

#: Models whose bare pass takes less than this, in seconds a batch, are reported but not held to the gate.
TOO_SMALL = 0.005
GATE = 1.10


def laid_out(model: torch.nn.Module, batch: Sequence[Encoded]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A batch as the model takes it: its leaf, and the way from there to the logits."""
    inputs = {name: torch.stack([e.inputs[name] for e in batch]) for name in batch[0].inputs}
    sound = next((name for name in ("input_features", "input_values") if name in inputs), None)
    if batch[0].values is not None:
        leaf = torch.stack([e.values for e in batch if e.values is not None])
        return leaf, lambda x: model(pixel_values=x).logits
    if sound is not None:
        return inputs.pop(sound), lambda x: model(**{sound: x}, **inputs).logits
    with torch.no_grad():
        leaf = model.get_input_embeddings()(inputs.pop("input_ids"))  # type: ignore[operator]
    keep = {"logits_to_keep": 1, "use_cache": False} if "CausalLM" in type(model).__name__ else {}
    return leaf, lambda x: model(inputs_embeds=x, **inputs, **keep).logits


def bare(model: torch.nn.Module, batch: Sequence[Encoded]) -> None:
    """Forward and input gradient of the likeliest class of each example."""
    leaf, forward = laid_out(model, batch)
    leaf.requires_grad_(True)
    logits = forward(leaf)
    if logits.ndim == 3:
        logits = logits[:, -1]
    if logits.ndim > 3:  # a mask of one class or two: the mean over its places
        margin = logits[:, 0] if logits.shape[1] == 1 else torch.sub(*logits.unbind(1))
        said = torch.nn.functional.logsigmoid(margin.abs())
        torch.autograd.grad(said.flatten(1).mean(1).sum(), leaf)
        return
    torch.autograd.grad(logits.log_softmax(-1).amax(-1).sum(), leaf)


def packed(encoded: Sequence[Encoded]) -> list[list[Encoded]]:
    """The batches that the library makes of these examples."""
    groups: dict[Any, list[Encoded]] = {}
    for example in encoded:
        groups.setdefault(example.signature, []).append(example)
    batches = []
    for group in groups.values():
        rows = suggested_rows(torch.Size(group[0].leaf.shape).numel(), torch.device("cpu"))
        batches += [group[i : i + rows] for i in range(0, len(group), rows)]
    return batches


@dataclass(frozen=True)
class Seconds:
    """What one run took: by the clock, and of the processors, which other work on the machine disturbs less."""

    wall: float
    cpu: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)


def timed(run: Callable[[], None]) -> Seconds:
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
    adapter = explainer.adapter
    encoded = [adapter.encode(example) for example in real.examples(examples)]
    batches = packed(encoded)
    job = Job(FFC(), Fourier(), 0, {"name": real.name, "task": adapter.task, "revision": None})

    def ours(batch: Sequence[Encoded]) -> None:
        for result in explain_all([Request(e, None) for e in batch], job, adapter.block):
            _ = result.order

    pairs = []
    with held(explainer.model):
        for _ in range(runs + 1):
            both = [(timed(lambda: bare(explainer.model, b)), timed(lambda: ours(b))) for b in batches]  # noqa: B023
            pairs.append(tuple(sum(side, Seconds(0, 0)) for side in zip(*both, strict=True)))
    pairs = pairs[1:]
    ratios = [own.wall / least.wall for least, own in pairs]
    least, own = (statistics.median(side.wall for side in sides) for sides in zip(*pairs, strict=True))
    per_batch = least / len(batches)
    return {
        "model": real.name,
        "examples": examples,
        "batches": len(batches),
        "bare, s": least,
        "explain, s": own,
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "ratio of CPU time": statistics.median(own.cpu / least.cpu for least, own in pairs),
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
