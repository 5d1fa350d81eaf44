"""What a perturbation curve costs beside the forward passes that it needs, and beside the published way to get one.

The first table: `explainer.perturb(results, DEFAULT_GRID)`, results with their orders ready, gives DIG with both
directions, the maintain rate on the fine grid, insertion and deletion. The bare side is written without the library:
the model under `torch.inference_mode` on the rows that the game asks, ready-made (where the model reads more than the
signal, such as special tokens, the examples' own, repeated), in batches of the same size. Both sides run in turn, one
group of examples of one shape after the other, in one process with the same threads; a run is the sum over the groups.
`least` is the bare side with the arithmetic of the game added and nothing else, again without the library: half spectra
times ready-made masks and their inverse transforms; the rows that are the rest of another one are taken off the example
instead. Where it is above the gate already, the gate cannot be met on that model. Freed memory stays with the process,
as in `benchmarks.cost`.

The second table: one DIG from raw example to area, ours (one attribution of T steps, both directions from one order)
and the published way in our own words (`published`), at the same T, on the same batch.

The third: the mean DIG after T steps, and what it took. The published rule is that of the paper's ImageNet curves,
an effective step of 5 per example; ours is FFC as it comes.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cost import GATE, TOO_SMALL, Seconds, keep_memory, laid_out, timed
from benchmarks.keeping import kept
from benchmarks.real import CLASSIFIERS, MODELS
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.evaluation.metrics.dig import dig
from hf_fourier.methods import FFC
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import DEFAULT_GRID, PAPER_GRID, TENTHS
from hf_fourier.scoring.batching import suggested_rows
from hf_fourier.scoring.example_batch import EncodedExample, grouped, rows_for
from hf_fourier.scoring.perturbation import perturbations
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor

#: Examples of the slow models.
FEWER = {"efficientnet-lite0": 4, "minilm-spam": 4, "antiberty-species": 2, "antiberty-mlm": 2, "smollm2": 2}
FEWER |= {"deepbet": 2}
#: At the same T, the published way has to take this many times as long.
FASTER = 1.3
#: The published effective step of the ImageNet curves.
STEP = 5.0
WALKS = (1, 2, 5, 10, 20, 40)


def played(explainer: FourierExplainer, results: Sequence[Attribution]) -> list[Attribution]:
    """Copies of results, orders kept, with the standard grid played afresh."""
    fresh = [copy.copy(result) for result in results]
    for result in fresh:
        result.curve, result.provenance = None, {**result.provenance}
    return explainer.perturb(fresh, DEFAULT_GRID)


def asked(x: Tensor, results: Sequence[Attribution]) -> tuple[Tensor, float]:
    """What the curve leaves of the examples, row after row, and the share of rows that are the rest of another one."""
    rows, rest = [], 0
    for i, result in enumerate(results):
        coefficients = result.basis.forward(x[i : i + 1])
        own = {move.key: move for move in perturbations(i, result.order, result.layout.multiplicity, DEFAULT_GRID)}
        del own["keep", 1.0]
        rows += [result.basis.keep_features(coefficients, move.mask.unsqueeze(0)) for move in own.values()]
        rest += sum(part == "keep" and ("delete", share) in own for part, share in own)
    return torch.cat(rows), rest / len(rows)


def ready(
    explainer: FourierExplainer, group: Sequence[EncodedExample], results: Sequence[Attribution]
) -> list[tuple[Callable[[], Tensor], ...]]:
    """The forward passes that a group needs, and its inverse transforms, in batches of the library's size."""
    block = explainer.wrapper.example_batch(group, ExampleRng(0, [e.key for e in group]))
    left, rest = asked(block.signal, results)
    rows, width = [e for e in group for _ in range(len(left) // len(group))], rows_for(block, "auto")
    batches = [laid_out(explainer.model, rows[i : i + width]) for i in range(0, len(rows), width)]
    dims = tuple(d + 1 for d in group[0].signal.ordered_axes)

    def made(signal: Tensor, own: Tensor, forward: Callable[[Tensor], Tensor]) -> tuple[Callable[[], Tensor], ...]:
        signal = own if own.shape == signal.shape else signal.detach()
        direct = len(signal) - round(rest * len(signal))
        spectrum = torch.fft.rfftn(signal[:direct], dim=dims, norm="ortho")
        mask = torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(0)) < 0.5
        sizes = [signal.shape[d] for d in dims]

        def filtered() -> Tensor:
            found = torch.fft.irfftn(spectrum * mask, s=sizes, dim=dims, norm="ortho")
            return torch.cat([found, signal[direct:] - found[: len(signal) - direct]])

        return lambda: forward(signal), filtered

    return [made(signal, own, forward) for (signal, forward), own in zip(batches, left.split(width), strict=True)]


def against_bare(name: str, n: int, runs: int) -> dict[str, Any]:
    """One row of the first table."""
    explainer = MODELS[name].explainer()
    examples = MODELS[name].examples(n)
    results = explainer.explain(examples, method="ffc")
    for result in results:
        _ = result.order
    encoded = [explainer.wrapper.encode(example) for example in examples]
    shapes = grouped(encoded, lambda e: e.batch_key)
    with eval_mode(explainer.model):
        groups = []
        for shape in shapes:
            some = [results[i] for i in shape]
            groups.append((ready(explainer, [encoded[i] for i in shape], some), some))

    def run(passes: Sequence[tuple[Callable[[], Tensor], ...]], part: int) -> None:
        with torch.inference_mode():
            for parts in passes:
                parts[part]()

    taken = []
    for _ in range(runs + 1):
        each = []
        for passes, own in groups:
            with eval_mode(explainer.model):
                bare, inverse = timed(lambda: run(passes, 0)), timed(lambda: run(passes, 1))  # noqa: B023
            each.append((bare, bare + inverse, timed(lambda: played(explainer, own))))  # noqa: B023
        taken.append([sum(side, Seconds(0, 0)) for side in zip(*each, strict=True)])
    asked = sum(result.provenance["passes"]["perturbed"] for result in played(explainer, results))
    taken = taken[1:]
    ratios = [own.wall / bare.wall for bare, _, own in taken]
    bare, _, own = (statistics.median(one.wall for one in side) for side in zip(*taken, strict=True))
    batches = sum(len(passes) for passes, _ in groups)
    small = bare / batches < TOO_SMALL
    return {
        "model": name,
        "examples": n,
        "rows": asked,
        "batches": batches,
        "bare, s": bare,
        "perturb, s": own,
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "ratio of CPU time": statistics.median(own.cpu / bare.cpu for bare, _, own in taken),
        "least, CPU time": statistics.median(least.cpu / bare.cpu for bare, least, _ in taken),
        "gate": "not gated" if small else ("met" if statistics.median(ratios) <= GATE else "missed"),
    }


def published(model: torch.nn.Module, batch: Sequence[EncodedExample], steps: int) -> list[float]:
    """DIG as the released code gets it, in our own words: everything twice, once for each direction.

    A walk down the cross-entropy with gradients of the weights as well; the score of every bin of the full complex
    spectrum; for each share one full sort for its threshold, and a forward pass that keeps its graph.
    """
    signal, forward = laid_out(model, batch)
    dims = [d + 1 for d in batch[0].signal.ordered_axes]
    areas = []
    for least_first in (True, False):
        x, label = signal.clone(), None
        for _ in range(steps):
            x.requires_grad_(True)
            logits = forward(x)
            label = logits.argmax(-1) if label is None else label
            loss = torch.nn.functional.cross_entropy(logits, label, reduction="sum")
            model.zero_grad()
            loss.backward()
            x = (x - STEP * x.grad).detach()  # type: ignore[operator]
        whole, moved = torch.fft.fftn(signal, dim=dims), torch.fft.fftn(x, dim=dims)
        modulus = whole.abs().clamp(min=torch.finfo(signal.dtype).tiny)
        scores = (2 * (moved.conj() * whole).real / modulus - modulus).flatten(1)
        sure = []
        for share in TENTHS:
            mask = torch.ones_like(scores, dtype=torch.bool)
            if 0 < share < 1:
                at = min(int(share * scores.shape[1]), scores.shape[1] - 1)
                threshold = scores.sort(descending=not least_first).values[:, at : at + 1]
                mask = scores > threshold if least_first else scores < threshold
            if share == 1:
                mask = ~mask
            left = torch.fft.ifftn(whole * mask.view(whole.shape), dim=dims).real
            sure.append(forward(left).softmax(-1).gather(1, label.unsqueeze(1))[:, 0])  # type: ignore[union-attr]
        curve = torch.stack(sure).detach()
        areas.append(np.trapezoid((curve / curve[0]).numpy(), TENTHS, axis=0))
    return list(areas[0] - areas[1])


def ours(explainer: FourierExplainer, examples: Sequence[Any], steps: int) -> list[float]:
    """DIG from raw examples."""
    results = explainer.explain(list(examples), method=FFC(steps=steps))
    explainer.perturb(results, PAPER_GRID)
    return [dig(result.curve) for result in results]


def both_ways(name: str, n: int, steps: int, runs: int) -> dict[str, Any]:
    """DIG of a batch by both ways in turn: what they took and what came out."""
    explainer = CLASSIFIERS[name].explainer()
    examples = CLASSIFIERS[name].examples(n)
    encoded = [explainer.wrapper.encode(example) for example in examples]
    (first, *_) = grouped(encoded, lambda e: e.batch_key)
    width = suggested_rows(torch.Size(encoded[first[0]].signal.shape).numel(), torch.device("cpu"))
    some = [examples[i] for i in first[:width]]
    found: dict[str, list[float]] = {}

    def theirs() -> None:
        batch = [explainer.wrapper.encode(example) for example in some]
        found["published"] = published(explainer.model.eval(), batch, steps)

    def own() -> None:
        found["ours"] = ours(explainer, some, steps)

    pairs = [(timed(theirs), timed(own)) for _ in range(runs)]
    ratios = [a.wall / b.wall for a, b in pairs]
    return {
        "model": name,
        "examples": len(some),
        "T": steps,
        "published, s": statistics.median(a.wall for a, _ in pairs),
        "ours, s": statistics.median(b.wall for _, b in pairs),
        "times as long": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "DIG published": float(np.mean(found["published"])),
        "DIG ours": float(np.mean(found["ours"])),
    }


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks game", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--walks", nargs="*", default=["fashion-vit", "efficientnet-lite0"], choices=list(CLASSIFIERS))
    parser.add_argument("--examples", type=int, default=8, help="at most; fewer of the slow models")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path("game"), help="where numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch; on a busy machine one is steadier than all")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    keep_memory()
    n, runs, folder = given.examples, given.runs, given.folder / f"n{given.examples}"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {runs} alternating runs\n")
    tables: list[list[dict[str, Any]]] = [[], [], []]

    def few(name: str) -> int:
        return min(n, FEWER.get(name, n))

    for name in given.models:
        tables[0].append(kept(folder / f"{name}-bare.json", lambda: against_bare(name, few(name), runs)))  # noqa: B023
        print(tables[0][-1], file=sys.stderr, flush=True)
    for name in (name for name in given.models if name in CLASSIFIERS):
        row = kept(folder / f"{name}-published.json", lambda: both_ways(name, few(name), 1, 3))  # noqa: B023
        tables[1].append({**row, "gate": "met" if row["times as long"] >= FASTER else "missed"})
    for name in given.walks:
        for steps in WALKS:
            row = kept(folder / f"{name}-T{steps}.json", lambda: both_ways(name, few(name), steps, 1))  # noqa: B023
            tables[2].append({key: row[key] for key in row if key not in ("lowest", "highest")})
    for table in tables:
        if table:
            print(markdown(table) + "\n")
