"""Measurements that need a process of their own: peaks of memory, and runs of several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.cost import bare, packed
from benchmarks.performance.whole import EXAMPLES, MOST
from benchmarks.real import MODELS
from hf_fourier import FourierExplainer
from hf_fourier.models.inspection import eval_mode

#: A model that is so small that only the run itself is seen: two layers of width 32, texts of 5 to 20 words.
WORDS, LENGTHS = 60, (7, 12, 5, 20, 9)


def peak(work: Callable[[], Any]) -> tuple[int, int]:
    """Bytes of this process in memory before, and at most beyond those while `work` runs."""
    process, done = psutil.Process(), threading.Event()
    before, most = process.memory_info().rss, 0

    def look() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, process.memory_info().rss - before)

    watcher = threading.Thread(target=look)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return before, most


def here(part: str, name: str, n: int) -> dict[str, Any]:
    """One measurement in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        if part == "tiny":
            explainer, texts = tiny(), Texts(n)
            start = time.perf_counter()
            before, most = peak(
                lambda: explainer.explain_dataset(texts, Path(place) / "run", method="ffc", progress=False)
            )
            return {"examples": n, "seconds": time.perf_counter() - start, "before": before, "peak": before + most}
        explainer = MODELS[name].explainer()
        examples = list(islice(cycle(MODELS[name].examples(min(n, MOST))), n))
        batches = packed([explainer.wrapper.encode(example) for example in examples]) if part == "bare" else []

        def work() -> None:
            if part == "run":
                explainer.explain_dataset(examples, Path(place) / "run", method="ffc", progress=False, chunk=n)
            with eval_mode(explainer.model):
                for batch in batches:
                    bare(explainer.model, batch)

        before, most = peak(work)
    return {"before": before, "peak": most}


def ask(part: str, name: str, n: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "performance", "--here", part, name, str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def memory(name: str) -> dict[str, Any]:
    """The peak of a run beside that of the model's own forward and backward passes on the same batches."""
    n = max(16, min(64, EXAMPLES[name]))
    own, least = ask("run", name, n), ask("bare", name, n)
    return {
        "model": name,
        "examples": n,
        "loaded, MB": own["before"] / 1e6,
        "bare, MB more": least["peak"] / 1e6,
        "run, MB more": own["peak"] / 1e6,
        "run ÷ bare": own["peak"] / least["peak"],
        "with the loaded model": (own["before"] + own["peak"]) / (least["before"] + least["peak"]),
    }


def growth(n: int) -> dict[str, Any]:
    """Time and memory of a run of so many short texts by a model that is nearly nothing."""
    found = ask("tiny", "", n)
    return {
        "examples": n,
        "s": found["seconds"],
        "ms per example": 1000 * found["seconds"] / n,
        "peak, MB": found["peak"] / 1e6,
    }


class Texts(Sequence[str]):
    """So many texts of several lengths, made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.many = count

    def __len__(self) -> int:
        return self.many

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(self.many))

    def __getitem__(self, index: Any) -> Any:
        draw = torch.Generator().manual_seed(index)
        numbers = torch.randint(5, WORDS, (LENGTHS[index % len(LENGTHS)],), generator=draw)
        return " ".join(f"w{number}" for number in numbers.tolist())


def tiny() -> FourierExplainer:
    """A classifier of such texts with fresh weights."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.BertConfig(vocab_size=WORDS, max_position_embeddings=32, num_labels=3, **shape)
    backend = Tokenizer(models.WordLevel({"[PAD]": 0} | {f"w{i}": i for i in range(1, WORDS)}, unk_token="[PAD]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]")
    return FourierExplainer(transformers.BertForSequenceClassification(config), tokenizer, name="tiny")


def _worked(log: Sequence[dict[str, Any]]) -> float:
    """Processor seconds of a process for all its chunks, by those after the first, before which it also started."""
    examples = [line["examples"] for line in log]
    return (log[-1]["cpu"] - log[0]["cpu"]) / sum(examples[1:]) * sum(examples)


def processes(name: str, n: int, folder: Path) -> dict[str, Any]:
    """The rate of two processes of one thread beside that of one: from their first chunk to their last.

    By CPU time, it is that of two processes that have a core each, whatever else the machine does.
    """
    data = folder / f"{name}.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    texts = list(islice(cycle(MODELS[name].examples(MOST)), n))
    data.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    from benchmarks import assets

    spans, worked, bytes_of = {}, {}, {}
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as place:
            command = [
                sys.executable,
                "-m",
                "hf_fourier",
                "explain-dataset",
                str(assets.get(name)),
                str(data),
                "--output",
            ]
            command += [f"{place}/run", "--chunk", "16", "--processes", str(count)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": f"{place}/cache"}
            subprocess.run(command, check=True, env=environment, capture_output=True)
            logs = [[json.loads(line) for line in path.open()] for path in Path(place).glob("run/log-*.jsonl")]
            chunks = [[line for line in log if "chunk" in line] for log in logs]
            begun = min(log[0]["at"] - log[0]["explain"] for log in chunks)
            spans[count] = max(log[-1]["at"] for log in chunks) - begun
            worked[count] = max(map(_worked, chunks))
            shards = sorted(Path(place).glob("run/shards/*/*"))
            bytes_of[count] = [path.read_bytes() for path in shards]
    return {
        "model": name,
        "examples": n,
        "1 process, s": spans[1],
        "2 processes, s": spans[2],
        "times the rate": spans[1] / spans[2],
        "by CPU time of the busier process": worked[1] / worked[2],
        "same bytes": bytes_of[1] == bytes_of[2],
        "load of the machine": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }
