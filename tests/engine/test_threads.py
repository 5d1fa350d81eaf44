"""Threads that share a model get the answers that each gets alone, bit for bit, and leave the model as it was."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, attribute
from hf_fourier.models import inspection
from hf_fourier.models.inspection import alone, eval_mode, reachable_modules
from hf_fourier.runs import encoding
from hf_fourier.runs import run as runs
from tests.engine.test_untouched import same, state_of
from tests.models import tiny_models, tiny_models_audio, tiny_tokenizers
from tests.runs import sample_results
from tests.toy_scores import Linear, Smooth, noise

THREADS = 4
PATIENCE = 120
Job = Callable[[], Any]


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads get in each other's way as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def told(answer: Any) -> Any:
    """What is to be the same, whoever else asks at the time."""
    if isinstance(answer, Attribution):
        stops = [] if answer.curve is None else list(answer.curve.points)
        gradient = None if answer.gradient is None else answer.gradient.tolist()
        return answer.label, answer.value, answer.scores.tolist(), gradient, stops
    if isinstance(answer, (list, tuple)):
        return [told(one) for one in answer]
    return answer.tolist() if isinstance(answer, torch.Tensor) else answer


def at_once(jobs: list[Job], rounds: int) -> list[list[Any]]:
    """Each job's answers, asked by as many threads as there are jobs, all from the same moment on."""
    start, answers = threading.Barrier(len(jobs)), [list[Any]() for _ in jobs]

    def work(place: int) -> None:
        start.wait()
        for _ in range(rounds):
            try:
                answers[place].append(told(jobs[place]()))
            except Exception as error:
                answers[place].append(repr(error))

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "threads wait for each other"
    return answers


def check(jobs: list[Job], rounds: int = 6) -> None:
    """The answers are those of one thread."""
    assert len(jobs) >= THREADS
    expected = [told(job()) for job in jobs]
    for place, answers in enumerate(at_once(jobs, rounds)):
        wrong = sum(answer != expected[place] for answer in answers)
        assert not wrong, f"job {place}: {wrong} of {rounds} answers differ"


def training(model: torch.nn.Module) -> torch.nn.Module:
    """A model as it is in the middle of training, with dropout."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    return model.train()


def of_texts(explain: FourierExplainer, seed: int = 0) -> list[Job]:
    """All that one asks an explainer of texts."""
    texts = tiny_tokenizers.texts(4, seed)
    known = explain.explain(texts[0])
    return [
        lambda: explain.explain(texts[0]),
        lambda: explain.explain(texts[1], method="integrated_gradients:steps=4"),
        lambda: explain.explain(texts[2], method="freqx"),
        lambda: explain.predict(texts[3]).logits,
        lambda: explain.perturb(explain.explain(texts[:2], method="magnitude"), fractions=[0.1, 0.5]),
        lambda: explain.predict(known, signal=known.keep_top(0.5)).logits,
        lambda: explain.re_explain([known], [0]),
    ]


def test_one_explainer() -> None:
    model = training(tiny_models.build("text-classification", "bert"))
    before = state_of(model)
    check(of_texts(FourierExplainer(model, tiny_tokenizers.tokenizer())))
    assert same(state_of(model), before)


def test_studies_of_one_explainer() -> None:
    """Those that ask the model many times."""
    explain = FourierExplainer(training(tiny_models.build("text-classification", "bert")), tiny_tokenizers.tokenizer())
    texts = tiny_tokenizers.texts(3)
    table = lambda found: {name: list(column) for name, column in found.columns.items()}  # noqa: E731
    jobs: list[Job] = [
        lambda: table(explain.evaluate(texts, methods=["ffc"], metrics=["dig"]).summary(["dig"])),
        lambda: [(c.name, c.value) for c in explain.sanity_check(texts[:2], method="saliency").checks],
        lambda: str(explain.rectify(texts, [0, 1, 2], budget=0.05, random_orders=1)),
        lambda: explain.explain(texts),
    ]
    repeated = [repr(told(job())) for job in jobs]
    for place, answers in enumerate(at_once(jobs, 1)):
        assert [repr(answer) for answer in answers] == [repeated[place]], place


def test_explainers_of_models_that_share_modules() -> None:
    """Two explainers on one model, another head on its encoder, a PEFT wrapper and what it wraps."""
    model: Any = training(tiny_models.build("text-classification", "bert"))
    other: Any = training(tiny_models.build("token-classification", "bert"))
    other.bert = model.bert
    config = peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], r=4)
    tuned = training(peft.get_peft_model(tiny_models.build("text-classification", "bert"), config))
    below = tuned.get_base_model()
    before = [state_of(one) for one in (model, other, below)]
    explainers = [FourierExplainer(one, tiny_tokenizers.tokenizer()) for one in (model, model, other, tuned, below)]
    text = tiny_tokenizers.texts(1)[0]
    jobs = [functools.partial(explain.explain, text, 0) for explain in explainers]
    check(jobs, 12)
    assert all(same(state_of(one), known) for one, known in zip((model, other, below), before, strict=True))


def test_pictures() -> None:
    model = training(tiny_models.build("image-classification", "resnet"))
    before = state_of(model)
    explain = FourierExplainer(model)
    batch = {"pixel_values": noise(2, 3, 32, 32, dtype=torch.float32)}
    known = explain.explain(batch)
    jobs: list[Job] = [
        lambda: explain.explain(batch),
        lambda: explain.explain(batch, method="smoothgrad:samples=3"),
        lambda: explain.predict(known[0]).logits,
        lambda: FourierExplainer(model).explain(batch, method="saliency"),
    ]
    check(jobs)
    assert same(state_of(model), before)


class Norms(torch.nn.Module):
    """A net with dropout and batch norm whose running statistics stay."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm, self.drop = Smooth(5, 12), torch.nn.BatchNorm1d(5, momentum=0.0), torch.nn.Dropout(0.5)
        self.norm.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(self.body(x)))

    def again(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self(x)


def test_callables() -> None:
    """A module, its methods, and functions that run it, which leave its train mode alone."""
    net, x = Norms().train(), noise(6, 12)
    net.drop.p = net.body.drop.p = 0.0  # what functions run draws nothing
    jobs: list[Job] = [
        lambda: attribute(net, x),
        lambda: attribute(net.forward, x),
        lambda: attribute(net.again, x, method="saliency"),
        lambda: attribute(lambda rows: net(rows), x, method="saliency"),
        lambda: attribute(functools.partial(lambda one, rows: one(rows), net), x),
    ]
    check(jobs, 20)
    assert net.training
    assert net.norm.training
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_method_of_a_module_is_explained_as_the_module() -> None:
    net, x = Norms().train(), noise(4, 12)
    assert told(attribute(net.forward, x)) == told(attribute(net, x))


def test_a_function_and_an_explainer_of_one_model() -> None:
    """A hook that an explainer has set for a moment is none of the function's."""
    model: Any = tiny_models.build("text-classification", "bert")
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer())
    text = tiny_tokenizers.texts(1)[0]
    ids = explain.explain(text).inputs["input_ids"][None]
    x, weights = noise(1, 8, dtype=torch.float32), noise(8, 3, dtype=torch.float32)
    function = lambda rows: rows @ weights * model(input_ids=ids).logits  # noqa: E731
    more = lambda: explain.explain(text, method="integrated_gradients:steps=4")  # noqa: E731
    check([more, more, lambda: attribute(function, x), lambda: attribute(function, x)], 10)


def test_what_a_callable_reaches() -> None:
    net, other = Linear(2, 3), Linear(2, 3)

    class Holder:
        def __init__(self) -> None:
            self.parts = {"net": net}

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return self.parts["net"](x)

    def by_default(x: torch.Tensor, one: Any = net) -> torch.Tensor:
        return one(x)

    nested = lambda x: (lambda: net(x))()  # noqa: E731
    for function in (net, net.forward, Holder(), by_default, nested, functools.partial(by_default, one=net)):
        assert net in reachable_modules(function)
        assert other not in reachable_modules(function)
    assert reachable_modules(torch.tanh) == []


def test_a_data_set_beside_a_model_is_not_searched_through(monkeypatch: pytest.MonkeyPatch) -> None:
    net, looked, parts = Linear(2, 3), list[Any](), inspection._parts
    monkeypatch.setattr(inspection, "_parts", lambda thing: looked.append(thing) or parts(thing))
    texts, rows = ["w"] * 10**6, [(i, "w") for i in range(10**5)]
    kept = {"texts": texts, "rows": rows, "model": net}
    assert reachable_modules(lambda x: kept["model"](x)) == [net]
    assert len(looked) <= 10**4


def test_turns_are_taken_whole() -> None:
    """A thread that has a part of a model gets the rest before one that waits for all of it."""
    model = tiny_models.build("text-classification", "bert")
    parts = list(model.children())
    order: list[str] = []
    waits = threading.Event()

    def whole() -> None:
        waits.set()
        with eval_mode(model):
            order.append("whole")

    with alone(parts[-1]):
        thread = threading.Thread(target=whole, daemon=True)
        thread.start()
        assert waits.wait(PATIENCE)
        with eval_mode(model):
            order.append("part")
    thread.join(PATIENCE)
    assert order == ["part", "whole"]


def test_runs_beside_each_other(tmp_path: Path) -> None:
    """A run encodes in a thread of its own; two of them and an explainer share a model."""
    explain = sample_results.explainer()
    data = sample_results.texts(12)
    alone_ = sample_results.digests(sample_results.run(data, tmp_path / "alone", explain).folder)
    single = told(explain.explain(data[0]))
    jobs: list[Job] = [
        lambda: list(sample_results.digests(sample_results.run(data, tmp_path / "a", explain).folder).items()),
        lambda: list(sample_results.digests(sample_results.run(data, tmp_path / "b", explain).folder).items()),
        lambda: explain.explain(data[0]),
        lambda: explain.explain(data[0]),
    ]
    interval = sys.getswitchinterval()
    answers = at_once(jobs, 1)
    assert answers[0] == answers[1] == [[list(pair) for pair in alone_.items()]]
    assert answers[2] == answers[3] == [single]
    assert sys.getswitchinterval() == interval


def test_the_next_examples_are_encoded_while_the_model_runs(tmp_path: Path, monkeypatch: Any) -> None:
    """Which a thread does that has not the model."""
    explain = sample_results.explainer()
    load, explained = runs.Run._load, runs.Worker._outcomes
    loads, has_model, encoded, met = list[Any](), threading.Event(), threading.Event(), list[bool]()

    def loading(self: Any, source: Any) -> Any:
        loads.append(source)
        if len(loads) == 2:
            has_model.wait(PATIENCE)
        chunk = load(self, source)
        if len(loads) == 2:
            encoded.set()
        return chunk

    def explaining(self: Any, chunk: Any) -> Any:
        if loads and not met:
            has_model.set()
            met.append(encoded.wait(PATIENCE))
        return explained(self, chunk)

    monkeypatch.setattr(runs.Run, "_load", loading)
    monkeypatch.setattr(runs.Worker, "_outcomes", explaining)
    monkeypatch.setattr(encoding, "KEPT", 0)
    sample_results.run(sample_results.texts(16), tmp_path, explain)
    assert met == [True]


def test_a_tokenizer_is_one_threads_at_a_time() -> None:
    """Its length limit is set for all who call it."""
    model, tokenizer = tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer(model_max_length=12)
    explain = FourierExplainer(model, tokenizer)
    long, short = tiny_tokenizers.text(*range(5, 40)), tiny_tokenizers.text(*range(5, 10))

    def encoded(text: str) -> Any:
        return [len(explain.wrapper.encode(text).inputs["input_ids"]) for _ in range(50)]

    check([lambda: encoded(long), lambda: encoded(short), lambda: encoded(long), lambda: encoded(short)], 6)


def test_warnings_are_heard_again_afterwards() -> None:
    """Filters that are set for a moment are a process's."""
    explain = FourierExplainer(tiny_models_audio.build("wav2vec2"), tiny_models_audio.extractor("wav2vec2"))
    before = list(warnings.filters)
    clip = tiny_models_audio.clip(900)
    check([lambda: explain.wrapper.encode((clip, tiny_models_audio.RATE)).signal.shape] * 4, 60)
    assert list(warnings.filters) == before
    assert np.isfinite(clip).all()
