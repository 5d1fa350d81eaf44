"""Calls of the library from Python with one argument of another type, out of range, or hostile."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tools.fuzz import models
from tools.fuzz.mutations import TEXTS

#: Specs of methods and domains, sound and not.
SPECS = (
    "ffc", "tracking", "magnitude", "saliency", "integrated_gradients", "smoothgrad", "freqx", "attexplore", "fampe",
    "wam", "response", "given", "random", "amplitude", "low_frequency", "fourier", "cosine", "wavelet", "stft",
    "identity", "nothing",
)  # fmt: skip
PARAMETERS = ("steps", "samples", "kappa", "lr", "lam", "rule", "preset", "axes", "grain", "window", "hop", "level",
              "family", "mode", "base", "probes", "bands", "times", "spread", "baseline", "path", "keeps", "lift",
              "axis",
              "representation", "smoothing", "epsilon", "sigma", "copies", "measure", "detail", "")  # fmt: skip
ARGUMENTS = ("0", "1", "-1", "2", "0.5", "nan", "inf", "-inf", "1e400", "none", "true", "a", "", "1+2", "a+b", "+",
             "99999999999999999999", "9" * 400, "1_0", "²", "[]", "0-200", "octave", "mel", "eeg", "haar", "db4",
             "db99", "x=y", "zero", "cpu", "\ud800", "\0")  # fmt: skip


class Thing:
    """What nobody meant."""


def values(rng: random.Random) -> Any:
    """A value that most arguments do not take."""
    return rng.choice((
        None, True, False, 0, -1, 3, 2**63, -(2**63) - 1, 10**30, 0.5, -0.5, 1.5, float("nan"), float("inf"), 1j,
        "", "a", "auto", *TEXTS, b"", b"x", [], [None], ["a"], [0.5], [2], (), (1, 2), {}, {"a": 1}, {1}, Thing(),
        print, np.float64(0.5), np.int64(1), np.array([]), np.array(["a"]), np.array(0.5), np.nan,
        np.zeros((2, 12), np.float32), torch.empty(0), torch.tensor(1), torch.tensor([0.5]), torch.zeros(2, 12),
        torch.zeros(2, 12, device="meta"), torch.zeros(2, 12).to_sparse(), torch.zeros(2, 12, dtype=torch.complex64),
        torch.zeros(2, 12, dtype=torch.int64), torch.full((2, 12), float("nan")),
        torch.zeros(2, 12, dtype=torch.bfloat16),
        torch.quantize_per_tensor(torch.zeros(2, 12), 0.1, 0, torch.qint8), Path("/proc/nowhere"), Path("."),
        range(3), iter([1]),
        slice(None), Ellipsis, NotImplemented, object(), lambda x: x, torch.float32, torch.device("cpu"),
    ))  # fmt: skip


def spec(rng: random.Random) -> str:
    """A spec of a method or a domain, mostly with parameters that it does not take."""
    text = rng.choice(SPECS)
    if rng.randrange(4):
        pairs = (f"{rng.choice(PARAMETERS)}={rng.choice(ARGUMENTS)}" for _ in range(rng.choice((1, 1, 2, 3))))
        text += ":" + ",".join(pairs)
    return rng.choice((text, text, text, text.replace("=", ""), text.replace(":", "::"), text + ",", "+" + text))


def cases(rng: random.Random, folder: Path) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Room, the call in words, and the call, without end."""
    while True:
        for room, make in ROOMS.items():
            text, call = make(rng, folder)
            yield room, text, call


def warm(folder: Path) -> None:
    """Load the models, and explain one example of each."""
    for kind in ("text", "picture", "sound"):
        result(kind, folder)
    _tensor_result()


@cache
def result(kind: str, folder: Path) -> Any:
    """A result with a perturbation curve."""
    explainer = models.explainer(kind, folder)
    return explainer.perturb(explainer.explain(models.example(kind)), [0.1])


@cache
def _tensor_result() -> Any:
    from hf_fourier import attribute

    return attribute(models.net(), torch.ones(2, 12), contributions=2)[0]


def _bad(rng: random.Random, name: str) -> Any:
    return spec(rng) if name in ("method", "domain", "methods", "domains") and rng.randrange(3) else values(rng)


def _shown(value: Any) -> str:
    return f"{value!r:.60}".encode("ascii", "backslashreplace").decode().replace("\n", " ")


def _attribute(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    from hf_fourier import attribute

    names = ("forward", "x", "target", "method", "domain", "axes", "contributions", "seed", "batch_size", "dither")
    name = rng.choice(names)
    given = {"forward": models.net(), "x": torch.ones(2, 12), name: _bad(rng, name)}
    return f"attribute({name}={_shown(given[name])})", lambda: attribute(**given)


def _explain(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    kind = rng.choice(("text", "picture", "sound"))
    names = ("example", "target", "targets", "method", "domain", "contributions", "seed", "batch_size", "progress")
    name = rng.choice(names)
    given = {"example": models.example(kind), "contributions": 0, name: _bad(rng, name)}
    if name == "example" and rng.randrange(2):
        main = {"text": "input_ids", "picture": "pixel_values", "sound": "input_values"}[kind]
        given["example"] = rng.choice(({main: values(rng)}, [values(rng)], (values(rng), values(rng))))
    explainer = models.explainer(kind, folder)
    return f"{kind} explain({name}={_shown(given[name])})", lambda: explainer.explain(**given)


def _explainer(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    kind = rng.choice(("text", "picture", "sound"))
    explainer, found = models.explainer(kind, folder), result(kind, folder)
    many = [models.example(kind)] * 2
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("perturb", {"attributions": found, "fractions": [0.1], "overwrite": True, "batch_size": 2}),
        ("predict", {"example": found, "signal": None}),
        ("from_maps", {"example": models.example(kind), "maps": found.signal, "made_by": "x", "target": None,
                       "domain": "identity", "lift": None, "seed": 0}),
        ("rectify", {"example": many, "true_label": [0, 1], "method": "magnitude", "domain": None, "budget": 0.01,
                     "random_orders": 1, "groups": None, "seed": 0, "batch_size": 2}),
        ("evaluate", {"examples": many, "methods": "magnitude", "domains": None, "metrics": ["dig"], "column": None,
                      "targets": None, "groups": None, "seed": 0, "batch_size": 2}),
        ("sanity_check", {"examples": many, "method": "magnitude", "domain": None, "targets": None, "groups": None,
                          "seed": 0, "batch_size": 2}),
        ("explain_recording", {"example": models.example("sound"), "target": None, "seconds": 0.1, "overlap": 0.25,
                               "fractions": (), "method": "magnitude", "domain": None, "seed": 0, "batch_size": 2}),
        ("transfer", {"attributions": found, "other": explainer, "batch_size": 2}),
        ("re_explain", {"attributions": [found], "targets": [0], "batch_size": 2}),
        ("estimate", {"dataset": many, "target": None, "column": None, "split": None, "method": "magnitude",
                      "fractions": None, "store": "auto", "budget": "1MB", "top": 3, "seed": 0, "chunk": None,
                      "processes": None, "contributions": None, "progress": False}),
    )  # fmt: skip
    method, arguments = rng.choice(calls)
    name = rng.choice(tuple(arguments))
    given = {**arguments, name: _bad(rng, name)}
    return f"{kind} {method}({name}={_shown(given[name])})", lambda: getattr(explainer, method)(**given)


def _run_options(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    names = ("dataset", "output_dir", "target", "targets", "column", "split", "streaming", "method", "domain",
             "contributions", "fractions", "store", "budget", "top", "seed", "batch_size", "chunk", "processes",
             "progress")  # fmt: skip
    name = rng.choice(names)
    given: dict[str, Any] = {
        "dataset": ["a good b", "bad", "c"],
        "output_dir": "run",
        "method": "magnitude",
        "progress": False,
    }
    given[name] = _bad(rng, name)
    explainer = models.explainer("text", folder)
    return f"explain_dataset({name}={_shown(given[name])})", lambda: explainer.explain_dataset(**given)


def _views(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    kind = rng.choice(("text", "picture", "sound", "tensor"))
    found = _tensor_result() if kind == "tensor" else result(kind, folder)
    name = rng.choice(("mask", "keep_top", "delete_top", "render", "audio", "top_features", "input_relevance", "genes",
                       "bases", "magnitude_overlap", "plot", "save", "load", "relevance.top", "curve.find",
                       "FractionGrid", "log_spaced"))  # fmt: skip
    value = values(rng)
    by_name = rng.randrange(3) == 0 and name in ("mask", "keep_top", "delete_top", "render", "audio", "input_relevance")
    given: dict[str, Any] = {rng.choice(("k", "fraction")): value} if by_name else {}

    def call() -> Any:
        from hf_fourier.results import curve

        match name:
            case "relevance.top":
                return found.input_relevance().top(value)
            case "curve.find":
                return getattr(found.curve or result("text", folder).curve, name.partition(".")[2])("keep", value)
            case "FractionGrid":
                return curve.FractionGrid(value, ())
            case "log_spaced":
                return curve.log_spaced(value, points=4)
            case "plot" | "save":
                place = folder / "taken"
                place.write_text("x", encoding="utf-8")
                return getattr(found, name)(place / "below" if rng.randrange(2) else value)
        return getattr(found, name)(**given) if by_name else getattr(found, name)(value)

    return f"{kind} {name}({given or _shown(value)})", call


def _report(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    name = rng.choice(("results", "evaluation", "sanity", "title", "names", "save", "html", "figures", "to_csv", "push",
                       "propose", "from_hub"))  # fmt: skip
    value = values(rng)

    def call() -> Any:
        from hf_fourier import Report

        given: dict[str, Any] = {"results": [result("text", folder)]}
        if name in ("results", "evaluation", "sanity", "title", "names"):
            return Report(**{**given, name: value}).tables()
        report = Report(**given)
        if name == "from_hub":
            return Report.from_hub(value)
        if name in ("push", "propose"):
            return (report.push_to_hub if name == "push" else report.propose_model_card)(value)
        return getattr(report, name)(value)

    return f"report {name}({_shown(value)})", call


def _specs(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    text = spec(rng)

    def call() -> Any:
        from hf_fourier import attribute
        from hf_fourier.domains import DOMAINS
        from hf_fourier.registry import DEFAULT_METHOD

        domain = text.partition(":")[0].strip("+") in DOMAINS
        chosen = {"domain": text} if domain else {"method": text}
        return attribute(models.net(), torch.ones(2, 12), **{"method": DEFAULT_METHOD, **chosen})

    return f"spec {_shown(text)}", call


def _targets(rng: random.Random, folder: Path) -> tuple[str, Callable[[], Any]]:
    kind = rng.choice(("at", "span", "continuation", "contrast", "direction", "region", "index", "label", "", "x"))
    text = f"{kind}:{rng.choice((*TEXTS, *ARGUMENTS, '1-2', '1|2', '0=x', '9' * 5000, '-1', '1-' + '9' * 5000))}"

    def call() -> Any:
        from hf_fourier.cli.targets import parse_targets

        return models.explainer("text", folder).explain("a good b", parse_targets(text), contributions=0)

    return f"target {_shown(text)}", call


ROOMS: dict[str, Callable[[random.Random, Path], tuple[str, Callable[[], Any]]]] = {
    "attribute": _attribute,
    "explain": _explain,
    "other methods of an explainer": _explainer,
    "methods of a result": _views,
    "reports": _report,
    "options of runs": _run_options,
    "specs": _specs,
    "targets": _targets,
}
