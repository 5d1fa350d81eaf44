"""Torch's ambient modes change nothing but what the model's own forward says."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, Report, attribute
from hf_fourier.domains import DOMAINS, base, cosine, filterbank
from hf_fourier.domains.layout import Layout
from hf_fourier.torch_state import carried, ours, theirs
from tests.models import tiny_models, tiny_tokenizers
from tests.models.kinds import KINDS, Kind
from tests.runs import sample_results
from tests.toy_scores import ALL_SPECS, LEAVES, METHOD_SPECS, bound, noise

HALF = torch.bfloat16


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


#: All of them but autocast, under which models of matrices say something else.
QUIET: dict[str, Callable[[], Any]] = {
    "default float64": lambda: default_dtype(torch.float64),
    "default bfloat16": lambda: default_dtype(HALF),
    "default device": lambda: default_device("meta"),
    "a device's context": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "deterministic": deterministic,
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
}
MODES = {
    **QUIET,
    "autocast bfloat16": lambda: torch.autocast("cpu", dtype=HALF),
    "autocast float16": lambda: torch.autocast("cpu", dtype=torch.float16),
}
every = pytest.mark.parametrize("mode", MODES)
quiet = pytest.mark.parametrize("mode", QUIET)


def plain(thing: Any) -> Any:
    """Everything in plain values, so that nothing is compared in a mode."""
    if isinstance(thing, torch.Tensor):
        assert thing.device.type == "cpu"
        assert not thing.is_inference()
        return str(thing.dtype), torch.view_as_real(thing).tolist() if thing.is_complex() else thing.tolist()
    if isinstance(thing, dict):
        return {name: plain(one) for name, one in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [plain(one) for one in thing]
    if isinstance(thing, Layout):
        return (
            [(c.name, c.role, plain(c.values)) for c in thing.columns],
            plain(thing.multiplicity),
            plain(thing.radius),
        )
    return thing.tolist() if hasattr(thing, "tolist") else thing


def told(a: Attribution) -> Any:
    """All numbers of a result, and what its methods make of them."""
    shown: dict[str, Any] = {
        "scores": a.scores, "gradient": a.gradient, "signal": a.signal, "value": a.value, "gap": a.completeness_error,
        "inputs": a.inputs,
        "label": a.label, "extras": a.extras, "alternatives": a.top_predictions, "layout": a.layout, "order": a.order,
        "coefficients": a.coefficients, "keep": a.keep_top(0.3), "delete": a.delete_top(0.3), "power": a.power,
        "mask": a.mask(0.2), "top": dict(a.top_features(5).columns),
        "said by power": a.input_relevance(kind="power").values,
        "notes": a.provenance["notes"], "passes": a.provenance["passes"], "frozen": a.frozen_target,
        "agrees": a.agreement,
    }  # fmt: skip
    if a.gradient is not None:
        shown["relevance"] = a.input_relevance(0.3).values
    if a.curve is not None:
        shown["curve"] = [(s.mode, s.fraction, s.value, s.confidence, s.agreement) for s in a.curve.points]
    return plain(shown)


def forget() -> None:
    """What is cached was made in some mode or other."""
    for cached in (base._bind, cosine._matrix, cosine._placed, filterbank.filters, filterbank.step, filterbank.atom):
        cached.cache_clear()


#: Signals of several shapes, made in no mode.
SOME = {name: noise(2, *LEAVES[name].shape, dtype=torch.float32) for name in ("13", "5x8", "12c2 in 7+5")}


def transformed(spec: str) -> list[Any]:
    """Everything that a domain makes of signals of several shapes."""
    made: list[Any] = []
    for name in SOME:
        if bound(spec, LEAVES[name]) is None:
            continue
        x = SOME[name]
        basis = DOMAINS.parse(spec).bind(LEAVES[name])
        f = basis.forward(x)
        mask = x.new_zeros(2, len(basis), dtype=torch.bool)
        mask[:, ::2] = True
        made += [
            f, basis.inverse(f), basis.pullback(x), basis.inner(f, f), basis.magnitude(f), basis.inner_mean(f, f),
            basis.keep_features(f, mask), basis.scale_features(f, mask.float() / 2), basis.multiplicity, basis.layout,
            basis.redundancy,
        ]  # fmt: skip
    return made


@every
@pytest.mark.parametrize("spec", ALL_SPECS)
def test_transforms(spec: str, mode: str) -> None:
    forget()
    expected = plain(transformed(spec))
    forget()
    with MODES[mode]():
        found = transformed(spec)
    forget()
    assert plain(found) == expected


class Entries(torch.nn.Module):
    """Logits of which no mode makes others: entry by entry, no products of matrices."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(noise(3, *sizes, dtype=torch.float32))
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop((torch.tanh(x).unsqueeze(1) * self.weight).flatten(2).sum(2))


def ranked(method: str, model: torch.nn.Module, x: torch.Tensor, everywhere: bool) -> list[Any]:
    """What a method says of two small examples, at home or also in domains of matrices."""
    home_alone = method.startswith(("wam", "phase_gradient")) or not everywhere
    domains = [None] if home_alone else [None, "cosine", "wavelet"]
    return [told(a) for domain in domains for a in attribute(model, x, method=method, domain=domain)]


@every
@pytest.mark.parametrize("method", METHOD_SPECS)
def test_methods(method: str, mode: str) -> None:
    model, x, everywhere = Entries(4, 5), noise(2, 4, 5, dtype=torch.float32), mode.startswith("autocast bf")
    forget()
    expected = ranked(method, model, x, everywhere)
    forget()
    with MODES[mode]():
        found = ranked(method, model, x, everywhere)
    forget()
    assert found == expected
    assert model.training
    assert model.weight.requires_grad


def questioned(explain: FourierExplainer, kind: Kind, example: Any) -> list[Any]:
    results = explain.explain(example, kind.target)
    explain.perturb(results, fractions=[0.3])
    return [told(a) for a in results]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_model(name: str) -> None:
    """In all of these modes the models here say the same."""
    kind = KINDS[name]
    expected = questioned(kind.make(), kind, kind.example())
    for mode in ("default float64", "default bfloat16", "a device's context", "inference mode"):
        if name == "speech" and "device" in mode:
            continue  # Whisper's generation makes tensors on the default device, where they say nothing
        explain, example = kind.make(), kind.example()
        forget()
        with MODES[mode]():
            found = questioned(explain, kind, example)
        forget()
        assert found == expected, mode


@every
def test_float64_is_kept(mode: str) -> None:
    x = noise(2, 8)
    model = Entries(8).double()
    expected = [told(a) for a in attribute(model, x)]
    with MODES[mode]():
        found = [told(a) for a in attribute(model, x)]
    assert found == expected


def asked(explain: FourierExplainer, texts: list[str], folder: Path) -> list[Any]:
    """What one asks an explainer, its results and their files."""
    results = explain.explain(texts, method="integrated_gradients:steps=3")
    explain.perturb(results, fractions=[0.1, 0.5])
    known = results[0]
    known.save(folder / "one")
    again = Attribution.load(folder / "one")
    known.plot(folder / "figure.png")
    Report(results).save(folder / "report", include_inputs=True)
    evaluation = explain.evaluate(texts, methods=["ffc"], metrics=["dig"])
    return [
        *map(told, results),
        told(again),
        plain(explain.predict(texts[0]).logits),
        plain(explain.predict(known, signal=known.keep_top(0.5)).logits),
        told(explain.re_explain([known], [0])[0]),
        told(explain.explain(texts[0], method="freqx")),
        plain(dict(evaluation.summary(["dig"]).columns)),
        plain(dict(explain.sanity_check(texts[:1], method="saliency").table().columns)),
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What is said in no mode."""
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer())
    return asked(explain, tiny_tokenizers.texts(2), tmp_path_factory.mktemp("plain"))


@quiet
def test_explainers(mode: str, expected: list[Any], tmp_path: Path) -> None:
    model, texts = tiny_models.build("text-classification", "bert"), tiny_tokenizers.texts(2)
    forget()
    with MODES[mode]():
        found = asked(FourierExplainer(model, tiny_tokenizers.tokenizer()), texts, tmp_path)
    forget()
    assert found == expected


def under_autocast(model: torch.nn.Module, dtype: torch.dtype = HALF) -> torch.nn.Module:
    """A model whose own forward enters autocast."""
    inner = model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype=dtype):
            return inner(*args, **kwargs)

    forward.__signature__ = inspect.signature(inner)  # type: ignore[attr-defined]
    model.forward = forward
    return model


@pytest.mark.parametrize(("task", "name"), [("text-classification", "bert"), ("fill-mask", "bert")])
def test_autocast_is_the_models_forward_alone(task: str, name: str, tmp_path: Path) -> None:
    """As torch says: the backward pass and everything that is not the model stay out of it."""
    texts = tiny_tokenizers.texts(2)
    itself = FourierExplainer(under_autocast(tiny_models.build(task, name)), tiny_tokenizers.tokenizer(), name="x")
    expected = asked(itself, texts, tmp_path / "own") if task != "fill-mask" else told(itself.explain(texts[0]))
    explain = FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer(), name="x")
    with torch.autocast("cpu", dtype=HALF):
        found = asked(explain, texts, tmp_path / "around") if task != "fill-mask" else told(explain.explain(texts[0]))
    assert found == expected
    without = told(FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer()).explain(texts[0]))
    assert without["value"] != told(itself.explain(texts[0]))["value"]


class Seen(torch.nn.Module):
    """Writes down which modes its forward and its backward run in."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(noise(8, 3, dtype=torch.float32))
        self.forwards: list[Any] = []
        self.backwards: list[Any] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forwards.append(
            (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), str(torch.get_default_device()))
        )
        out = _Watched.apply(x @ self.weight, self.backwards)
        return out


class _Watched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, seen: list[Any]) -> torch.Tensor:
        ctx.seen = seen
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        ctx.seen.append((torch.is_autocast_enabled("cpu"), str(torch.get_default_device())))
        return gradient, None


@pytest.mark.parametrize("whose", ["module", "method", "function"])
def test_what_a_callable_sees(whose: str) -> None:
    model, x = Seen(), noise(2, 8, dtype=torch.float32)
    forward: Any = {"module": model, "method": model.forward, "function": lambda rows: model(rows)}[whose]
    with torch.autocast("cpu", dtype=torch.float16), torch.device("meta"):
        attribute(forward, x)
        assert torch.is_autocast_enabled("cpu")
        assert str(torch.get_default_device()) == "meta"
    assert set(model.forwards) == {(True, torch.float16, "meta")}
    assert set(model.backwards) == {(False, "cpu")}


def test_modes_are_left_and_given_back() -> None:
    def state() -> tuple[Any, ...]:
        return torch.is_autocast_enabled("cpu"), str(torch.get_default_device()), torch.is_inference_mode_enabled()

    outside, theirs_ = (True, "meta", True), (True, "meta", False)
    with torch.autocast("cpu", dtype=HALF), torch.device("meta"), torch.inference_mode():
        with ours():
            assert state() == (False, "cpu", False)
            with ours():
                assert state() == (False, "cpu", False)
                with theirs():
                    assert state() == theirs_
                    with ours():
                        assert state() == (False, "cpu", False)
                    assert state() == theirs_
            assert state() == (False, "cpu", False)
        assert state() == outside
        with theirs():
            assert state() == outside


def test_the_threads_of_a_run_have_the_callers_modes(tmp_path: Path) -> None:
    explain, seen = sample_results.explainer(), list[bool]()

    def look(module: Any, args: Any) -> None:
        seen.append(torch.is_autocast_enabled("cpu"))

    explain.model.register_forward_pre_hook(look)
    with torch.autocast("cpu", dtype=HALF), torch.inference_mode():
        results = sample_results.run(sample_results.texts(8), tmp_path, explain)
        one, again = explain.explain(sample_results.texts(8)[0]), results[0]
    assert all(seen)
    assert told(again)["scores"] == told(one)["scores"]


def test_a_function_carries_modes_into_a_thread() -> None:
    found: list[Any] = []

    def look() -> None:
        found.append(torch.is_autocast_enabled("cpu"))
        with theirs():
            found.append(torch.is_autocast_enabled("cpu"))

    with torch.autocast("cpu", dtype=HALF), ours():
        thread = threading.Thread(target=carried(look))
        thread.start()
        thread.join()
    assert found == [False, True]
