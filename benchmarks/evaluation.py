"""What `evaluate(preset="fast")` costs beside the passes that it makes.

One evaluation is recorded: every call of the model with the rows it had, and whether a gradient came back to the
input. The bare side makes the same calls again, written without the library: the model on recorded inputs of the same
shapes in the same order, forward under `torch.inference_mode`, or forward and the gradient of the likeliest class at
the input. Both sides alternate in one process with the same threads. The evaluation encodes its examples, ranks,
filters, reads the answers and counts; the bare side does none of that.

`with the processor` adds the seconds that the evaluation spent in the model's processor (resizing, spectrograms,
tokens) to the bare side, since whoever calls the model has to prepare its inputs too. The gate is that of `ratio`,
where only the evaluation pays for it.

The rows of the model are counted, forward and backward. `hf_fourier.scoring.clean_passes` says which are shared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.cost import GATE, Seconds, keep_memory, timed
from benchmarks.real import CLASSIFIERS
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.models.inspection import eval_mode
from hf_fourier.typing import Tensor

METHODS = ("tracking", "ffc")
#: The inputs that rows are counted by.
SIGNALS = ("pixel_values", "inputs_embeds", "input_features", "input_values", "input_ids")
#: Examples; a slow model has fewer.
EXAMPLES, FEWER = 32, {"efficientnet-lite0": 8, "minilm-spam": 4, "antiberty-species": 2}


@dataclass
class Call:
    """One call of the model: its inputs, its rows, and how many gradients came back to them."""

    inputs: Mapping[str, Any]
    rows: int
    name: str
    backward: int = 0


@dataclass
class Recorded:
    """The calls of the model in their order; inputs of equal shapes are kept once."""

    calls: list[Call] = field(default_factory=list)
    _kept: dict[Any, Mapping[str, Any]] = field(default_factory=dict)

    def add(self, given: Mapping[str, Any]) -> None:
        """Note a call about to be made."""
        tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
        signal = next(name for name in SIGNALS if name in tensors)
        shapes = tuple((name, tuple(value.shape), value.stride()) for name, value in tensors.items())
        held = {name: value.detach().clone() if isinstance(value, Tensor) else value for name, value in given.items()}
        self.calls.append(Call(self._kept.setdefault(shapes, held), len(tensors[signal]), signal))

    @property
    def rows(self) -> tuple[int, int]:
        """Rows that went forward, and rows whose gradient came back."""
        return sum(call.rows for call in self.calls), sum(call.rows * call.backward for call in self.calls)


@contextmanager
def recorded(model: torch.nn.Module) -> Iterator[Recorded]:
    """Inside, the calls of a model are noted, and the gradients that are taken after each."""
    found, differentiate = Recorded(), torch.autograd.grad

    def counted(*args: Any, **options: Any) -> Any:
        found.calls[-1].backward += 1
        return differentiate(*args, **options)

    hook = model.register_forward_pre_hook(lambda module, args, given: found.add(given), with_kwargs=True)
    try:
        with patch("torch.autograd.grad", counted):
            yield found
    finally:
        hook.remove()


def bare(model: torch.nn.Module, calls: Sequence[Call]) -> None:
    """The same calls without the library."""
    for call in calls:
        if not call.backward:
            with torch.inference_mode():
                model(**call.inputs)
            continue
        inputs, name = call.inputs, call.name
        if name == "input_ids":  # whose gradient is that at the embedded tokens
            name, inputs = "inputs_embeds", {key: value for key, value in inputs.items() if key != "input_ids"}
            embed: Any = model.get_input_embeddings
            signal = embed()(call.inputs["input_ids"]).detach().requires_grad_(True)
        else:
            signal = inputs[name].detach().requires_grad_(True)
        score = model(**{**inputs, name: signal}).logits.log_softmax(-1).amax(-1)
        for number in range(call.backward):
            torch.autograd.grad(score.sum(), signal, retain_graph=number + 1 < call.backward)


@contextmanager
def processing(processor: Any) -> Iterator[list[float]]:
    """Inside, the seconds of each call of a processor are collected."""
    seconds, own = list[float](), type(processor)
    call = own.__call__

    def timed_call(self: Any, *args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(self, *args, **options)
        finally:
            seconds.append(time.perf_counter() - start)

    with patch.object(own, "__call__", timed_call):
        yield seconds


def evaluation(name: str, n: int, methods: Sequence[str]) -> tuple[FourierExplainer, Callable[[], object]]:
    """An explainer, and its evaluation at the preset."""
    explainer, examples = CLASSIFIERS[name].explainer(), CLASSIFIERS[name].examples(n)
    explainer.explain(examples[:1])  # checks that are made once for a model
    return explainer, lambda: explainer.evaluate(examples, list(methods), preset="fast")


def measure(name: str, n: int, methods: Sequence[str], runs: int) -> dict[str, Any]:
    """One row of the table."""
    explainer, run = evaluation(name, n, methods)
    run()
    with recorded(explainer.model) as found:
        run()

    def passes() -> None:
        with eval_mode(explainer.model):
            bare(explainer.model, found.calls)

    passes()
    pairs: list[tuple[Seconds, Seconds]] = []
    prepared: list[float] = []
    for _ in range(runs):
        plain = timed(passes)
        with processing(explainer.wrapper.processor) as seconds:
            pairs.append((plain, timed(run)))
        prepared.append(sum(seconds))
    ratios = [own.wall / plain.wall for plain, own in pairs]
    with_processor = [own.wall / (plain.wall + more) for (plain, own), more in zip(pairs, prepared, strict=True)]
    forward, backward = found.rows
    return {
        "model": name,
        "examples": n,
        "forward rows an example": forward / n,
        "backward": backward / n,
        "calls": len(found.calls),
        "bare, s": statistics.median(plain.wall for plain, _ in pairs),
        "evaluate, s": statistics.median(own.wall for _, own in pairs),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "with the processor": statistics.median(with_processor),
        "ratio of CPU time": statistics.median(own.cpu / plain.cpu for plain, own in pairs),
        "gate": "met" if statistics.median(ratios) <= GATE else "missed",
    }


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks evaluation", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(CLASSIFIERS), choices=list(CLASSIFIERS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="at most; fewer of the slow models")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch; on a busy machine one is steadier than all")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    keep_memory()
    rows = []
    for name in chosen.models:
        n = min(chosen.examples, FEWER.get(name, chosen.examples))
        rows.append(measure(name, n, chosen.methods, chosen.runs))
        print(rows[-1], file=sys.stderr, flush=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {chosen.runs} alternating runs\n")
    print(markdown(rows))
