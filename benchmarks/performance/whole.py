"""A whole run beside the passes that it cannot do without: the model alone, in the same batches, one thread.

Decoding and tokenizing are apart: in the timed runs encodings are ready, and one run more has all.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost import Seconds, bare, keep_memory, packed, timed
from benchmarks.real import MODELS, emails
from hf_fourier import FourierExplainer
from hf_fourier.models.inspection import eval_mode
from hf_fourier.runs import Results
from hf_fourier.runs.worker import Worker
from hf_fourier.scoring.example_batch import EncodedExample

#: Examples of each model; with so few, the estimate before a run, of up to three examples, still weighs.
EXAMPLES = {
    "ast-languages": 2048,
    "fashion-vit": 8192,
    "pbmc-geneformer": 1024,
    "wav2vec2-languages": 512,
    "whisper-instruments": 128,
    "whisper-languages": 128,
    "minilm-spam": 192,
    "deepbet": 192,
    "efficientnet-lite0": 256,
    "antiberty-species": 96,
    "smollm2": 48,
    "antiberty-mlm": 96,
}
#: Examples that are made; more are these again.
MOST = 128
#: E-mails for models that read them beside padding: MiniLM cuts them at its longest, SmolLM2 does not.
PADDED = {"minilm-spam": 48, "smollm2": 48}
LONGEST = {"minilm-spam": 512}


def logged(folder: Path, *names: str) -> float:
    """Seconds of planning, loading or writing, by the threads' own clocks."""
    lines = [json.loads(line) for path in folder.glob("log-*.jsonl") for line in path.open()]
    return sum(line.get(name, 0.0) for line in lines for name in names)


def batches(results: Results, explainer: FourierExplainer, examples: Sequence[Any]) -> list[list[EncodedExample]]:
    """The batches that a run made of its examples."""
    found: list[list[EncodedExample]] = []
    for chunk in range(results.manifest.chunks or 0):
        found += packed([explainer.wrapper.encode(examples[i]) for i in results.chunks.indices(chunk)])
    return found


@contextmanager
def encodings_ready() -> Iterator[None]:
    """Inside, an example is encoded when it is met for the first time, and never again."""
    own, known = Worker._encoded, {}  # type: ignore[var-annotated]

    def remembered(worker: Worker, example: Any) -> EncodedExample:
        if id(example) not in known:
            known[id(example)] = example, own(worker, example)  # held, so that its number stays its own
        return known[id(example)][1]

    Worker._encoded = remembered  # type: ignore[method-assign]
    try:
        yield
    finally:
        Worker._encoded = own  # type: ignore[method-assign]


def beside_bare(name: str, n: int, runs: int) -> dict[str, Any]:
    """One row: bare passes, whole runs with encodings ready, and whole runs, in turn."""
    explainer, some = MODELS[name].explainer(), MODELS[name].examples(min(n, MOST))
    examples = list(islice(cycle(some), n))

    def run(folder: Path) -> Seconds:
        return timed(lambda: explainer.explain_dataset(examples, folder, method="ffc", progress=False))

    with tempfile.TemporaryDirectory() as place, encodings_ready():
        results = explainer.explain_dataset(examples, Path(place) / "first", method="ffc", progress=False)
        made = batches(results, explainer, examples)
        size = sum(path.stat().st_size for path in (Path(place) / "first").rglob("*.safetensors"))

        def least() -> None:
            with eval_mode(explainer.model):
                for batch in made:
                    bare(explainer.model, batch)

        rows = [(timed(least), run(Path(place) / f"ready-{i}")) for i in range(runs)]
        writing = logged(Path(place) / "ready-0", "write")
    with tempfile.TemporaryDirectory() as place:
        whole = run(Path(place) / "whole")
        decoding = logged(Path(place) / "whole", "plan", "load")
    alone, ready = (statistics.median(one.wall for one in side) for side in zip(*rows, strict=True))
    return {
        "model": name,
        "examples": n,
        "batches": len(made),
        "bare, s": alone,
        "run, s": ready,
        "run ÷ bare": statistics.median(r.wall / a.wall for a, r in rows),
        "lowest": min(r.wall / a.wall for a, r in rows),
        "highest": max(r.wall / a.wall for a, r in rows),
        "by CPU time": statistics.median(r.cpu / a.cpu for a, r in rows),
        "writing, s": writing,
        "MB": size / 1e6,
        "decoding, s": decoding,
        "with decoding, s": whole.wall,
    }


def beside_padding(name: str, n: int, runs: int) -> dict[str, Any]:
    """The e-mails, natural lengths against all padded to the longest: time, and whether the answers are the same."""
    explainer, examples = MODELS[name].explainer(), emails(n)
    explainer.processor.model_max_length = LONGEST.get(name, explainer.processor.model_max_length)
    texts = explainer.processor(examples, truncation=True)
    lengths = [len(ids) for ids in texts["input_ids"]]
    padded = explainer.processor(examples, truncation=True, padding="longest", return_tensors="pt")
    rows, found, theirs = [], None, []
    with tempfile.TemporaryDirectory() as place:
        for i in range(runs):
            folder = Path(place) / str(i)
            own = timed(lambda: explainer.explain_dataset(examples, folder, method="ffc", progress=False))  # noqa: B023
            found = Results(folder)
            start = Seconds(time.perf_counter(), time.process_time())
            theirs = explainer.explain(dict(padded), method="ffc")
            other = Seconds(time.perf_counter() - start.wall, time.process_time() - start.cpu)
            rows.append((own, other))
        assert found is not None
        pairs = list(zip(found, theirs, strict=True))
        same = [a.label == b.label for a, b in pairs]
        far = max(float((a.scores - b.scores).abs().max() / b.scores.abs().max()) for a, b in pairs)
        overlap = [float((a.mask(0.04) & b.mask(0.04)).sum() / a.mask(0.04).sum()) for a, b in pairs]
    return {
        "model": name,
        "e-mails": n,
        "tokens, mean": statistics.mean(lengths),
        "tokens, median": statistics.median(lengths),
        "longest": max(lengths),
        "packed, s": statistics.median(own.wall for own, _ in rows),
        "padded, s": statistics.median(other.wall for _, other in rows),
        "times as fast": statistics.median(other.wall / own.wall for own, other in rows),
        "by CPU time": statistics.median(other.cpu / own.cpu for own, other in rows),
        "same labels": statistics.mean(same),
        "scores differ by at most": f"{far:.1e}",
        "top 4 % shared, least": min(overlap),
    }


def prepared(threads: int) -> None:
    """One setting for all measurements."""
    torch.set_num_threads(threads)
    keep_memory()
