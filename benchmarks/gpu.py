"""What explanations cost on a GPU beside the passes that they need: one JSON, in at most six minutes.

Models of realistic sizes with random weights, so that nothing is fetched: ViT-B/16, BERT-base, a Whisper encoder with a
classifier, and wav2vec2. Both sides of each ratio run the same rows in the same process, in turn; the device is waited
for before each clock is read. Bare: the model's own forward and input-gradient passes, as many as the method takes.
`--small` runs all of it with tiny models, on a CPU too, where it says only that the script works.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.methods import METHODS
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.ordering import leading
from hf_fourier.typing import Tensor

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LABELS = 10
#: Fractions of the curves.
FRACTIONS = (0.01, 0.04, 0.1)
#: Features that are selected where not all are sorted.
TOP = 100


@dataclass(frozen=True)
class Case:
    """A model with its examples.

    Attributes:
        config: The name of its config class; the model's is `model`.
        model: The name of its class.
        sizes: What its config differs in, and with `--small`.
        small: What it differs in with `--small`.
        signal: The input that is explained; "input_ids" for their embeddings.
        shape: Of one example's input, and with `--small`.
        fixed: Examples in a batch of fixed size, and with `--small`.
    """

    config: str
    model: str
    sizes: dict[str, Any]
    small: dict[str, Any]
    signal: str
    shape: tuple[tuple[int, ...], tuple[int, ...]]
    fixed: tuple[int, int]


_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_WHISPER = {"encoder_layers": 2, "encoder_attention_heads": 2, "d_model": 32, "encoder_ffn_dim": 48}
CASES = {
    "vit-b/16": Case(
        "ViTConfig", "ViTForImageClassification", {}, {**_TINY, "image_size": 32, "patch_size": 16}, "pixel_values",
        ((3, 224, 224), (3, 32, 32)), (128, 2),
    ),
    "bert-base": Case(
        "BertConfig", "BertForSequenceClassification", {}, {**_TINY, "vocab_size": 64}, "input_ids",
        ((128,), (12,)), (128, 2),
    ),
    "whisper-small": Case(
        "WhisperConfig", "WhisperForAudioClassification",
        {"d_model": 768, "encoder_layers": 12, "encoder_attention_heads": 12, "encoder_ffn_dim": 3072,
         "decoder_layers": 1, "num_mel_bins": 80},
        {**_WHISPER, "decoder_layers": 1, "num_mel_bins": 8, "max_source_positions": 16}, "input_features",
        ((80, 3000), (8, 32)), (16, 2),
    ),
    "wav2vec2-base": Case(
        "Wav2Vec2Config", "Wav2Vec2ForSequenceClassification", {},
        {**_TINY, "conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2,
         "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 16},
        "input_values", ((80000,), (400,)), (32, 2),
    ),
}  # fmt: skip


@dataclass
class Bench:
    """Where it runs, how long it may take, and what was found.

    Attributes:
        device: The device.
        small: Whether models are tiny.
        end: When no new part begins, by `time.perf_counter`.
        runs: Runs of each side, of which the median counts.
    """

    device: torch.device
    small: bool
    end: float
    runs: int

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, *sides: Callable[[], Any]) -> list[float]:
        """The median time of each side, after one run of each that does not count."""
        taken: list[list[float]] = []
        for _ in range(self.runs + 1):
            row = []
            for side in sides:
                self.wait()
                start = time.perf_counter()
                side()
                self.wait()
                row.append(time.perf_counter() - start)
            taken.append(row)
        return [statistics.median(column) for column in zip(*taken[1:], strict=True)]

    def build(self, name: str, dtype: torch.dtype, device: torch.device | None = None) -> FourierExplainer:
        """An explainer of a model with random weights, the same ones on each device and in each type."""
        import transformers

        case = CASES[name]
        config = getattr(transformers, case.config)(num_labels=LABELS, **(case.small if self.small else case.sizes))
        torch.manual_seed(0)
        model = getattr(transformers, case.model)(config).eval().to(device or self.device, dtype)
        return FourierExplainer(model, name=name)

    def examples(self, name: str, count: int) -> dict[str, Tensor]:
        """Random inputs with a batch axis, on the CPU."""
        case = CASES[name]
        shape, numbers = case.shape[self.small], torch.Generator().manual_seed(1)
        if case.signal != "input_ids":
            return {case.signal: torch.randn(count, *shape, generator=numbers)}
        ids = torch.randint(5, 60, (count, *shape), generator=numbers)
        special = torch.zeros_like(ids)
        special[:, 0] = special[:, -1] = 1
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "special_tokens_mask": special}

    def bare(self, explainer: FourierExplainer, name: str, inputs: dict[str, Tensor], rows: int) -> Callable[[], None]:
        """Forward and input gradient of the likeliest class, in batches of so many rows, inputs on the device."""
        model, case = explainer.model, CASES[name]
        kind = next(model.parameters()).dtype
        given = inputs[case.signal].to(self.device)
        mask = inputs["attention_mask"].to(self.device) if case.signal == "input_ids" else None

        def passes() -> None:
            for start in range(0, len(given), rows):
                part = given[start : start + rows]
                if mask is None:
                    signal = part.to(kind).requires_grad_(True)
                    logits = model(**{case.signal: signal}).logits
                else:
                    with torch.no_grad():
                        embedded = model.get_input_embeddings()(part)  # type: ignore[operator]
                    signal = embedded.requires_grad_(True)
                    logits = model(inputs_embeds=signal, attention_mask=mask[start : start + rows]).logits
                torch.autograd.grad(logits.float().log_softmax(-1).amax(-1).sum(), signal)

        return passes


def main(arguments: Sequence[str]) -> None:
    """Print the JSON; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--small", action="store_true", help="tiny models: says only that the script works")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=330, help="no new part begins after that")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--pictures", type=int, help="of the data set; 4096, with --small 8")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cpu" and not chosen.small:
        parser.error("realistic sizes take a GPU; pass --small")
    bench = Bench(torch.device(chosen.device), chosen.small, time.perf_counter() + chosen.seconds, chosen.runs)
    found: dict[str, Any] = {"torch": torch.__version__, "device": device_name(bench.device), "small": chosen.small}
    found["parts"], found["skipped"] = {}, []
    for name, part in parts(bench, chosen.models, chosen.pictures or (8 if chosen.small else 4096)):
        if time.perf_counter() > bench.end:
            found["skipped"].append(name)
            continue
        start = time.perf_counter()
        try:
            found["parts"][name] = part()
        except Exception as error:  # one part that fails must not take the others' numbers with it
            found["parts"][name] = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
    print(json.dumps(found, indent=1))


def parts(bench: Bench, models: Sequence[str], pictures: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The parts by name: the models that the gates name come first, in bfloat16."""
    first = [name for name in ("vit-b/16", "bert-base") if name in models]
    order = [(name, "bfloat16") for name in first]
    order += [(name, kind) for kind in TYPES for name in models if (name, kind) not in order]
    for name, kind in order[: len(first)]:
        yield f"explain {name} {kind}", partial(explain, bench, name, TYPES[kind])
    for name in first:
        yield f"curves {name}", partial(curves, bench, name)
    for name in models:
        yield f"equality {name}", partial(equality, bench, name)
    if bench.device.type == "cuda":
        yield "memory cap", partial(capped, bench, models[0])
    if "vit-b/16" in models:
        yield "evaluation", partial(evaluation, bench)
        yield "data set", partial(data_set, bench, pictures)
    for name, kind in order[len(first) :]:
        yield f"explain {name} {kind}", partial(explain, bench, name, TYPES[kind])


def explain(bench: Bench, name: str, dtype: torch.dtype) -> dict[str, Any]:
    """Explaining ÷ bare by FFC and the default method, in fixed and automatic batches, with orders and with a top."""
    explainer = bench.build(name, dtype)
    fixed = CASES[name].fixed[bench.small]
    inputs = bench.examples(name, fixed)
    rows: dict[str, Any] = {}
    for method in ("ffc", "tracking"):
        forward, backward = METHODS.parse(method).passes or (1, 1)
        for batch_size in (fixed, "auto"):
            options: dict[str, Any] = {"method": method, "batch_size": batch_size, "contributions": 0}
            (result, *_) = explainer.explain(inputs, **options)  # the probe of the memory, and the model's checks
            (result, *_) = explainer.explain(inputs, **options)
            passes = bench.bare(explainer, name, inputs, int(result.provenance["batch"]))
            sides = (
                passes,
                partial(explainer.explain, inputs, **options),
                partial(ordered_by, explainer, inputs, options),
                partial(first_by, explainer, inputs, options),
            )
            with eval_mode(explainer.model):
                bare, plain, ordered, first = bench.seconds(*sides)
            needed = bare * (forward + backward) / 2
            rows[f"{method}, batch {batch_size}"] = {
                "examples": fixed, "rows in a batch": result.provenance["batch"], "bare pass, s": bare,
                "explain ÷ bare": plain / needed, "with orders ÷ bare": ordered / needed,
                f"with the first {TOP} ÷ bare": first / needed,
                **measured(bench, partial(explainer.explain, inputs, **options)),
            }  # fmt: skip
    return rows


def ordered_by(explainer: FourierExplainer, inputs: dict[str, Tensor], options: dict[str, Any]) -> list[Tensor]:
    """The order of all features of each example."""
    return [one.order for one in explainer.explain(inputs, **options)]


def first_by(explainer: FourierExplainer, inputs: dict[str, Tensor], options: dict[str, Any]) -> list[Tensor]:
    """The first features of each example, which the device selects; the others are not sorted."""
    explainer.sorted_features = TOP
    try:
        return [leading(one, TOP) for one in explainer.explain(inputs, **options)]
    finally:
        explainer.sorted_features = None


def curves(bench: Bench, name: str) -> dict[str, Any]:
    """Curves ÷ their forward passes."""
    explainer = bench.build(name, torch.bfloat16)
    fixed = CASES[name].fixed[bench.small]
    inputs = bench.examples(name, fixed)
    results = explainer.explain(inputs, method="ffc", contributions=0)
    rows = int(results[0].provenance["batch"])
    given, kind = inputs[CASES[name].signal].to(bench.device), torch.bfloat16
    mask = {name: value.to(bench.device) for name, value in inputs.items() if name == "attention_mask"}
    ready = given if mask else given.to(kind)
    points = 2 * len(FRACTIONS)

    def forward() -> None:
        with torch.no_grad():
            for start in range(0, len(ready) * points, rows):
                place = torch.arange(start, min(start + rows, len(ready) * points), device=bench.device) % len(ready)
                part = {CASES[name].signal: ready[place], **{key: value[place] for key, value in mask.items()}}
                explainer.model(**part)

    play = lambda: explainer.perturb(results, FRACTIONS, overwrite=True)  # noqa: E731
    with eval_mode(explainer.model):
        bare, ours = bench.seconds(forward, play)
    return {"points": points, "bare, s": bare, "curves ÷ bare": ours / bare, **measured(bench, play)}


def equality(bench: Bench, name: str) -> dict[str, Any]:
    """The scores and rankings on the device beside those on the CPU, in float32, of two examples."""
    inputs = bench.examples(name, 2)
    here, there = (bench.build(name, torch.float32, device) for device in (torch.device("cpu"), bench.device))
    found = {}
    for method in ("ffc", "tracking"):
        pairs = list(zip(*(one.explain(inputs, method=method, contributions=0) for one in (here, there)), strict=True))
        found[method] = {
            "scores differ by": max(apart(a, b) for a, b in pairs),
            "top 4 % shared, least": min(float(a.mask(0.04)[b.mask(0.04)].double().mean()) for a, b in pairs),
            "same labels": all(a.label == b.label for a, b in pairs),
        }
    return found


def capped(bench: Bench, name: str) -> dict[str, Any]:
    """Whether batches shrink, and results stay, where a cap leaves room for a quarter of the batch."""
    explainer = bench.build(name, torch.float32)
    inputs, fixed = bench.examples(name, CASES[name].fixed[bench.small]), CASES[name].fixed[bench.small]
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(bench.device)
    before = torch.cuda.memory_allocated(bench.device)
    whole = explainer.explain(inputs, method="ffc", batch_size=fixed, contributions=0)
    peak, total = torch.cuda.max_memory_allocated(bench.device), torch.cuda.mem_get_info(bench.device)[1]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((before + (peak - before) / 4) / total, bench.device)
    try:
        cut = explainer.explain(inputs, method="ffc", batch_size=fixed, contributions=0)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
    made, off = cut[-1].provenance, max(map(apart, whole, cut))
    return {"rows asked": fixed, "rows that fit": made["batch"], "halvings": made["halvings"], "scores differ by": off}


def apart(a: Attribution, b: Attribution) -> float:
    """The largest difference of two results' scores, relative to the largest score."""
    return float((a.scores - b.scores).abs().max() / a.scores.abs().max())


def pictures_of(bench: Bench, dtype: torch.dtype) -> FourierExplainer:
    """The ViT with a processor, which reads pictures."""
    from transformers import ViTImageProcessor

    side = CASES["vit-b/16"].shape[bench.small][1]
    processor = ViTImageProcessor(size={"height": side, "width": side})
    return FourierExplainer(bench.build("vit-b/16", dtype).model, processor, name="vit-b/16")


def drawn(count: int) -> Iterator[Any]:
    """Smooth random pictures of 500 × 375 pixels."""
    from PIL import Image

    numbers = np.random.default_rng(0)
    for _ in range(count):
        yield Image.fromarray(numbers.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))


def evaluation(bench: Bench) -> dict[str, Any]:
    """What an evaluation of FFC takes beside a bare forward pass of each of its pictures."""
    explainer, pictures = pictures_of(bench, torch.bfloat16), list(drawn(2 if bench.small else 16))
    inputs = bench.examples("vit-b/16", len(pictures))
    bare, whole = bench.seconds(
        bench.bare(explainer, "vit-b/16", inputs, len(pictures)),
        lambda: explainer.evaluate(pictures, methods=["ffc"]),
    )
    return {"pictures": len(pictures), "bare, s": bare, "evaluation, s": whole, "evaluation ÷ bare": whole / bare}


def data_set(bench: Bench, pictures: int) -> dict[str, Any]:
    """A run over JPEG files beside the bare passes of as many pictures, and the share of each stage."""
    explainer = pictures_of(bench, torch.bfloat16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for number, picture in enumerate(drawn(pictures)):
            picture.save(folder / "in" / f"{number:06d}.jpg", quality=90)
        start = time.perf_counter()
        options = {"method": "ffc", "store": "top", "progress": False}
        explainer.explain_dataset(str(folder / "in"), folder / "out", **options)
        whole = time.perf_counter() - start
        logs = [log.read_text(encoding="utf-8") for log in (folder / "out").glob("log-*.jsonl")]
    lines = [json.loads(line) for log in logs for line in log.splitlines()]
    inputs = bench.examples("vit-b/16", min(pictures, CASES["vit-b/16"].fixed[bench.small]))
    count = len(next(iter(inputs.values())))
    (bare,) = bench.seconds(bench.bare(explainer, "vit-b/16", inputs, count))
    needed = bare * pictures / count
    stages = {stage: sum(line.get(stage, 0.0) for line in lines) for stage in ("load", "explain", "write")}
    return {"pictures": pictures, "run, s": whole, "bare, s": needed, "run ÷ bare": whole / needed, "stages, s": stages}


def measured(bench: Bench, run: Callable[[], Any]) -> dict[str, Any]:
    """How often a run waits for the device, and its peak memory; nothing on a CPU."""
    if bench.device.type != "cuda":
        return {}
    torch.cuda.reset_peak_memory_stats(bench.device)
    with warnings.catch_warnings(record=True) as said, waits_said():
        warnings.simplefilter("always")
        run()
    waits = sum("synchronizing" in str(one.message) for one in said)
    return {"waits for the device": waits, "peak, MB": torch.cuda.max_memory_allocated(bench.device) / 1e6}


@contextlib.contextmanager
def waits_said() -> Iterator[None]:
    """Inside, torch warns of each operation that waits for the GPU."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def device_name(device: torch.device) -> str:
    """What it is called, and its memory."""
    if device.type != "cuda":
        return device.type
    return f"{torch.cuda.get_device_name(device)}, {torch.cuda.mem_get_info(device)[1] / 2**30:.0f} GiB"
