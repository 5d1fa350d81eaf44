"""Advice about users' own networks and functions: how examples are read, what outputs are, and what has no gradient."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.evaluation.randomized_model import randomize
from hf_fourier.results.remarks import WITHOUT_GRADIENTS
from tests.advice.case import PICTURES, Case, net
from tests.models import tiny_models

SPACE = ("height", "width")
WEIGHTS = np.random.default_rng(0).normal(size=(16, 3))
SERIES = np.random.default_rng(1).normal(size=(5, 16))


def _own(**options: Any) -> Any:
    return FourierExplainer(net(), **{"axes": SPACE, **options}).explain(PICTURES[0])


def _arrays(x: Any) -> Any:
    if x.ndim != 2:
        raise ValueError("no matrix")
    return x @ WEIGHTS


def _array_results(example: Any = SERIES[0], **options: Any) -> Any:
    return FourierExplainer(_arrays, axes="time", arrays=True).explain(example, **options)


def _run(**options: Any) -> Any:
    explainer = FourierExplainer(_arrays, axes="time", arrays=True, **options)
    return explainer.explain_dataset(list(SERIES), Path(tempfile.mkdtemp()) / "run", progress=False)


def _locked(**options: Any) -> Any:
    lock = threading.Lock()
    explainer = FourierExplainer(_Held(None), lambda x: (lock, x)[1], axes="time", **options)
    return explainer.explain_dataset(list(SERIES), Path(tempfile.mkdtemp()) / "run", progress=False)


def _sigmoid(x: Any) -> Any:
    return torch.sigmoid(x[:, :3] + 3)


def _of_transformers() -> tuple[Any, Any]:
    from transformers import ViTImageProcessor

    return tiny_models.build("image-classification", "vit"), ViTImageProcessor(size={"height": 32, "width": 32})


class _Words(torch.nn.Module):
    """A network on whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = torch.nn.Embedding(10, 4), torch.nn.Linear(4, 3)

    def rest(self, e: Any) -> Any:
        return self.layer(e.mean(1))

    def forward(self, x: Any) -> Any:
        return self.rest(self.embedding(x))


class _Session:
    """As one of onnxruntime, with so many inputs."""

    def __init__(self, inputs: int) -> None:
        self.inputs = [SimpleNamespace(name=f"x{i}", type="tensor(float)") for i in range(inputs)]

    def get_inputs(self) -> Any:
        return self.inputs

    def get_outputs(self) -> Any:
        return [SimpleNamespace(name="y", type="tensor(float)")]

    def run(self, names: Any, given: Any) -> Any:
        return [next(iter(given.values())) @ WEIGHTS.astype(np.float32)]


class _Held(torch.nn.Module):
    """A network that keeps what cannot be copied."""

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self.layer, self.kept = torch.nn.Linear(16, 3), kept

    def forward(self, x: Any) -> Any:
        return self.layer(x)


def _pipeline() -> Any:
    from transformers import pipeline

    from tests.models import tiny_models, tiny_tokenizers

    model, tokenizer = tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("wordpiece")
    return pipeline("text-classification", model=model, tokenizer=tokenizer)


def _maps(x: Any) -> Any:
    return net()[:2](x)


def _twin(network: Any) -> Any:
    explainer = FourierExplainer(network, axes="time")
    return randomize(explainer, [explainer.explain(SERIES[0])])


def _carried(preprocess: Any) -> Any:
    """An attack on a network, put before another that reads pictures through `preprocess`."""
    from hf_fourier.models.network_units import as_network_reads

    return as_network_reads(torch.rand(3, 8, 8), preprocess)


def _scaled(picture: Any) -> Any:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255


def _refusing(picture: Any) -> Any:
    raise InputError("a picture", "a table", "pass a table")


CASES = [
    Case(
        "leave padding and equalising out of `preprocess`",
        lambda: _carried(lambda one: _scaled(one).square()),
        lambda: _carried(_scaled),
    ),
    Case(
        "crop pictures before `preprocess`",
        lambda: _carried(lambda one: _scaled(one).flip(-1)),
        lambda: _carried(_scaled),
    ),
    Case("give such a `preprocess`", lambda: _carried(_refusing), lambda: _carried(_scaled)),
    Case("name each once, as axes=('height', 'width')", lambda: _own(axes=("width", "width")), _own),
    Case(
        "name it, as axes=('channel', 'time')",
        lambda: FourierExplainer(net(), axes="channel"),
        lambda: FourierExplainer(net(), axes=("channel", "time")),
    ),
    Case(
        "call it that in `axes`",
        lambda: FourierExplainer(net(), axes="seconds", sampling_rate=10),
        lambda: FourierExplainer(net(), axes="time", sampling_rate=10),
    ),
    Case(
        "correct `sampling_rate`",
        lambda: FourierExplainer(net(), sampling_rate=0),
        lambda: FourierExplainer(net(), sampling_rate=10),
    ),
    Case(
        "correct `axes`, or let `preprocess` return such an array; several examples go in a list",
        lambda: FourierExplainer(net(), axes=("depth", *SPACE)).explain(PICTURES[0, 0]),
        lambda: FourierExplainer(net(), axes=SPACE).explain([PICTURES[0]]),
    ),
    Case("correct `preprocess`", lambda: _own(preprocess="none"), lambda: _own(preprocess=lambda x: x)),
    Case("correct `preprocess`", lambda: _own(preprocess=str), lambda: _own(preprocess=lambda x: x)),
    Case("correct `version`", lambda: _own(version=3), lambda: _own(version="3")),
    Case(
        "pass preprocess=, which converts it to one",
        lambda: FourierExplainer(net(), axes=SPACE).explain("0"),
        lambda: FourierExplainer(net(), axes=SPACE, preprocess=lambda i: PICTURES[int(i)]).explain("0"),
    ),
    Case(
        "correct one of the two",
        lambda: FourierExplainer(net(), axes=SPACE, preprocess=lambda i: PICTURES[i]).explain("none"),
        lambda: FourierExplainer(net(), axes=SPACE, preprocess=lambda i: PICTURES[int(i)]).explain("0"),
    ),
    Case(
        "pass one with at least one number",
        lambda: _array_results(np.zeros(0)),
        lambda: _array_results(np.zeros(16)),
    ),
    Case(
        "pass preprocess=lambda example: example['…'], or that itself",
        lambda: FourierExplainer(net(), axes=SPACE).explain({"x": PICTURES[0]}),
        lambda: FourierExplainer(net(), axes=SPACE, preprocess=lambda x: x["x"]).explain({"x": PICTURES[0]}),
    ),
    Case(
        "correct `axes` or `preprocess` if it is not one example of shape (5, 16) (channel 5, time 16); "
        "pass list(x) if it is 5 examples of shape (16,)",
        lambda: _array_results(SERIES),
        lambda: _array_results(list(SERIES)),
    ),
    Case(
        "correct `axes` or `preprocess` if it is not one example of shape (17,) (time 17)",
        lambda: _array_results(np.zeros(17)),
        lambda: FourierExplainer(_arrays, axes="time", arrays=True, preprocess=lambda x: x[:16]).explain(np.zeros(17)),
    ),
    Case(
        "explain one number of each row, as by target=lambda out: out[:, 0, 0, 0]; or pass outputs='masks' for a class "
        "at each place; correct `axes` or `preprocess` if "
        "it is not one example of shape (1, 8, 8) (channel 1, height 8, width 8)",
        lambda: FourierExplainer(_maps, axes=SPACE).explain(PICTURES[0]),
        lambda: [
            FourierExplainer(_maps, axes=SPACE).explain(PICTURES[0], target=lambda out: out[:, 0, 0, 0]),
            FourierExplainer(_maps, axes=SPACE, outputs="masks").explain(PICTURES[0]),
        ],
    ),
    Case(
        WITHOUT_GRADIENTS,
        lambda: _array_results(method="tracking"),
        lambda: [
            _array_results(method=method, domain="fourier:bands=octave")
            for method in ("random_masks", "shapley", "occlusion", "filters")
        ],
    ),
    Case("correct `labels`, which has 2 names", lambda: _own(labels=["a", "b"]), lambda: _own(labels=["a", "b", "c"])),
    Case("leave `outputs` out", lambda: _own(outputs="masks"), _own),
    Case(
        "pass ['cat', 'dog'] or {0: 'cat', 1: 'dog'}",
        lambda: _own(labels={2: "cat"}),
        lambda: [FourierExplainer(net(), labels=labels) for labels in (["cat", "dog"], {0: "cat", 1: "dog"})],
    ),
    Case(
        "name them: FourierExplainer(function, version='2026-01', …)",
        _run,
        lambda: _run(version="2026-01"),
    ),
    Case(
        "name both: FourierExplainer(model, preprocess, version='2026-01', …), and change the name when they change",
        lambda: _locked(),
        lambda: _locked(version="2026-01"),
    ),
    Case(
        "pass lambda e: net.rest(e) with preprocess=lambda ids: net.embedding(ids), or the like",
        lambda: FourierExplainer(_Words(), axes="time").explain([1, 2, 3]),
        lambda: FourierExplainer(
            lambda e: _Words().rest(e), preprocess=lambda ids: _Words().embedding(torch.tensor(ids)).detach()
        ).explain([[1, 2, 3]]),
    ),
    Case(
        "leave `labels` out; FourierExplainer.from_pretrained(name, id2label={0: 'cat', …}) names classes",
        lambda: FourierExplainer(*_of_transformers(), labels=["cat", "dog"]),
        lambda: FourierExplainer(*_of_transformers()),
    ),
    Case(
        "pass outputs='logits', or 'sigmoid_probabilities' if the labels are independent",
        lambda: FourierExplainer(_sigmoid, axes="time", outputs="probabilities").explain(SERIES[0]),
        lambda: [
            FourierExplainer(_sigmoid, axes="time", outputs=outputs).explain(SERIES[0])
            for outputs in ("logits", "sigmoid_probabilities")
        ],
    ),
    Case(
        "pass a function of that input, which calls session.run, with arrays=True",
        lambda: FourierExplainer(_Session(2), axes="time"),
        lambda: FourierExplainer(
            lambda rows: _Session(2).run(None, {"x0": rows.astype(np.float32)})[0], axes="time", arrays=True
        ).explain(SERIES[0]),
    ),
    Case(
        "call FourierExplainer.from_pipeline(pipeline)",
        lambda: FourierExplainer(_pipeline()),
        lambda: FourierExplainer.from_pipeline(_pipeline()),
    ),
    Case(
        "pass the module itself, if there is one",
        lambda: _twin(lambda x: _Held(None)(x.float())),
        lambda: _twin(_Held(None)),
    ),
    Case(
        "remove what is not part of it",
        lambda: _twin(_Held(x for x in "generators are not copied")),
        lambda: _twin(_Held(None)),
    ),
    Case(
        "use keep_top(), which returns an array like it",
        lambda: _wavelengths().render(),
        lambda: _wavelengths().keep_top(0.1),
    ),
]


def _wavelengths() -> Any:
    return FourierExplainer(_Held(None), axes="wavelength").explain(SERIES[0])
