"""What do digests cost: when a result is saved, a data set explained, and a finished run looked at again?

Real models explain real examples with the default method and a short perturbation curve, on one core. The digests
within each call that saves are timed, and their share taken of the processor's time and of the time that passes, in
which files are flushed to the disk. What a run adds once (weights, processor) and for each example is timed alone and
divided by that of the run, in time of the processor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.tables import markdown

#: Models with the number of examples that are explained.
MODELS = {
    "fashion-vit": 256, "efficientnet-lite0": 16, "minilm-spam": 16, "whisper-instruments": 12,
    "pbmc-geneformer": 128, "ast-languages": 128,
}  # fmt: skip
FRACTIONS = (0.01, 0.04, 0.1)
#: Calls that are timed, at most, and after how many seconds no more are made.
REPEATS, SECONDS = 301, 40.0


@dataclass(frozen=True)
class Cost:
    """What digests cost in a call.

    Attributes:
        call: Seconds that the processor takes for the whole call, and seconds that pass.
        shares: The shares of digests in both.
    """

    call: tuple[float, float]
    shares: tuple[float, float]

    def __str__(self) -> str:
        return f"{100 * self.shares[0]:.1f} %, {100 * self.shares[1]:.1f} %"


def seconds(call: Callable[[], Any]) -> float:
    """The processor's time for one call."""
    return _times(call)[0]


def _times(call: Callable[[], Any]) -> tuple[float, float]:
    """The processor's time for one call, and the time that passes."""
    start = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - start[0], time.perf_counter() - start[1]


@contextmanager
def timed_digests() -> Iterator[list[float]]:
    """Inside, the processor's seconds of all digests of what is saved, and those that pass, are added to a list."""
    from hf_fourier.results import integrity, tensor_files
    from hf_fourier.runs import packing

    spent, plain = [0.0, 0.0], integrity.digest

    def timed(data: Any) -> str:
        start = time.thread_time(), time.perf_counter()
        found = plain(data)
        end = time.thread_time(), time.perf_counter()
        spent[0] += end[0] - start[0]
        spent[1] += end[1] - start[1]
        return found

    with ExitStack() as stack:
        for module in (integrity, tensor_files, packing):
            stack.enter_context(mock.patch.object(module, "digest", timed))
        yield spent


def cost_of_digests(save: Callable[[], Any]) -> Cost:
    """The median times of a call, and the medians of the shares that digests take of them."""
    save()
    calls: list[tuple[float, float]] = []
    shares: list[tuple[float, float]] = []
    end = time.monotonic() + SECONDS
    while len(calls) < REPEATS and time.monotonic() < end:
        with timed_digests() as spent:
            calls.append(_times(save))
        shares.append((spent[0] / calls[-1][0], spent[1] / calls[-1][1]))
    call, share = ([statistics.median(column) for column in zip(*rows, strict=True)] for rows in (calls, shares))
    return Cost((call[0], call[1]), (share[0], share[1]))


def measure(name: str, count: int) -> dict[str, Any]:
    """One model: a run, its results saved again, and the run looked at again."""
    import torch

    from benchmarks import real
    from hf_fourier.models.inputs.dataset_sources import source_of
    from hf_fourier.results.atomic_writes import write_whole
    from hf_fourier.runs.fingerprint import digest_of, example_digest
    from hf_fourier.runs.packing import Outcome, pack_shard
    from hf_fourier.runs.resume import check_examples, set_damaged_aside
    from hf_fourier.runs.weights_digest import weights_digest

    torch.set_num_threads(1)
    model = real.MODELS[name]
    explainer, examples = model.explainer(), model.examples(count)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        results = explainer.explain_dataset(
            examples, Path(folder) / "run", fractions=FRACTIONS, store="everything", progress=False
        )
        run = time.process_time() - start
        first = results[0]
        save = cost_of_digests(lambda: first.save(Path(folder) / "one"))
        outcomes = [Outcome(i, "", result) for i, result in enumerate(results)]
        shard = Path(folder) / "shard"
        pack = cost_of_digests(lambda: write_whole(shard, pack_shard(outcomes, "everything", 100, False)))
        once = seconds(lambda: weights_digest(explainer.model)) + seconds(lambda: digest_of(explainer.processor))
        source = source_of(examples, is_example=explainer.wrapper.is_example)
        items = source.read(range(count))
        each = seconds(lambda: [example_digest(item) for item in items])
        numbers = list(range(results.manifest.chunks or 0))
        again = seconds(lambda: set_damaged_aside(results.chunks, numbers, results.manifest.identity))
        known, _ = set_damaged_aside(results.chunks, numbers, results.manifest.identity)
        again += seconds(lambda: check_examples(source, known, Path(folder)))
        megabytes = sum(path.stat().st_size for path in Path(folder, "one").iterdir()) / 1e6
    return {
        "model": name, "run": f"{count} examples, {run:.1f} s",
        "weights, processor": f"{1e3 * once:.0f} ms", "all examples": f"{1e3 * each:.1f} ms",
        "of the run": f"{100 * (once + each + pack.shares[0] * pack.call[0]) / run:.2f} %",
        "one result": f"{megabytes:.2f} MB, {1e3 * save.call[1]:.1f} ms",
        "of saving it (processor, passing)": str(save),
        "of writing a shard (processor, passing)": str(pack),
        "looked at again": f"{1e3 * again:.0f} ms, {100 * again / run:.2f} %",
    }  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks checking", description=__doc__)
    parser.add_argument("--model", action="append", choices=MODELS, help="only these; by default all")
    chosen = parser.parse_args(arguments).model or list(MODELS)
    print(markdown([measure(name, MODELS[name]) for name in chosen]))
