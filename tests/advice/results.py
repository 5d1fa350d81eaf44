"""Advice about results: ranking, rebuilding, playing, merging, saving."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hf_fourier import Attribution
from hf_fourier.evaluation.studies.class_filters import class_filter, contributions, federated_profile
from tests.advice.case import Case, explained, read, reader, seer
from tests.models import tiny_tokenizers


def _compact() -> Attribution:
    folder = Path(tempfile.mkdtemp())
    return Attribution.load(read()[0].save(folder, compact=True))


def _whole() -> Attribution:
    folder = Path(tempfile.mkdtemp())
    return Attribution.load(read()[0].save(folder))


def _not_finite() -> Attribution:
    return replace(read()[0], scores=torch.full_like(read()[0].scores, torch.nan))


def _file(folder: Path) -> Path:
    path = folder / "explained"
    path.write_text("no folder")
    return path


def _adopted(**options: Any) -> Any:
    picture = torch.rand(3, 32, 32)
    result = seer().explain(picture)
    return seer().from_maps(picture, torch.rand(options.pop("side", 32), 32), **options), result


CASES = [
    Case(
        "explain it with contributions=4",
        lambda: explained()[0].input_relevance(kind="contribution"),
        lambda: explained(contributions=4)[0].input_relevance(kind="contribution"),
    ),
    Case(
        "correct `contributions`",
        lambda: explained(contributions=-1),
        lambda: explained(contributions=1),
    ),
    Case(
        "pass kind='power'",
        lambda: explained("magnitude")[0].input_relevance(kind="gradient"),
        lambda: explained("magnitude")[0].input_relevance(kind="power"),
    ),
    Case(
        "call input_relevance()",
        lambda: explained()[0].genes(),
        lambda: explained()[0].input_relevance(),
    ),
    Case("save it without compact=True", lambda: _compact().keep_top(0.04), lambda: _whole().keep_top(0.04)),
    Case(
        "save it without compact=True",
        lambda: reader().perturb(_compact()),
        lambda: reader().perturb(_whole()),
    ),
    Case(
        "give a fraction of features or a count",
        lambda: explained()[0].keep_top(),
        lambda: explained()[0].keep_top(0.04),
    ),
    Case(
        "give a fraction of features or a count",
        lambda: explained()[0].keep_top(0.1, k=3),
        lambda: explained()[0].keep_top(k=3),
    ),
    Case("for a count of features use `k=`", lambda: explained()[0].keep_top(3), lambda: explained()[0].keep_top(k=3)),
    Case("correct `k`", lambda: explained()[0].keep_top(k=1000), lambda: explained()[0].keep_top(k=10)),
    Case("call render()", lambda: seer().explain(torch.rand(3, 32, 32)).audio(), lambda: _rebuilt()),
    Case("correct what made them", lambda: _not_finite().save(tempfile.mkdtemp()), lambda: _whole()),
    Case("choose a folder", lambda: read()[0].save(_file(Path(tempfile.mkdtemp()))), lambda: _whole()),
    Case("pass a folder that `save` wrote", lambda: Attribution.load(tempfile.mkdtemp()), lambda: _whole()),
    Case(
        "explain the example again with such a target",
        lambda: reader().perturb(
            reader().explain(tiny_tokenizers.text(7, 8, 9), target=lambda outputs: outputs.logits[:, 0])
        ),
        lambda: reader().perturb(reader().explain(tiny_tokenizers.text(7, 8, 9), target=0)),
    ),
    Case(
        "pass it to its own model",
        lambda: reader().perturb(seer().explain(torch.rand(3, 32, 32))),
        lambda: seer().perturb(seer().explain(torch.rand(3, 32, 32))),
    ),
    Case(
        "explain by another method",
        lambda: class_filter(explained("magnitude", target=0)),
        lambda: class_filter(explained("ffc", target=0)),
    ),
    Case("pass explained examples", lambda: class_filter([]), lambda: class_filter(explained(target=0))),
    Case(
        "pass one class at a time",
        lambda: class_filter([*explained(target=0), *explained(target=1)]),
        lambda: [class_filter(explained(target=label)) for label in (0, 1)],
    ),
    Case(
        "cut inputs to one size",
        lambda: class_filter([*explained(target=0), *explained(target=0, domain="fourier:axes=-1")]),
        lambda: class_filter(explained(target=0)),
    ),
    Case(
        "explain more examples; a profile of fewer must not be shared",
        lambda: federated_profile(explained(target=0), least=9),
        lambda: federated_profile(explained(target=0), least=3),
    ),
    Case(
        "explain with method='attexplore' or 'fampe'",
        lambda: seer().transfer(seer().explain(torch.rand(3, 32, 32)), seer()),
        lambda: [
            seer().transfer(seer().explain(torch.rand(3, 32, 32), method=f"{method}:steps=1,copies=1"), seer())
            for method in ("attexplore", "fampe")
        ],
    ),
    Case(
        "pass one number of examples per profile",
        lambda: contributions(torch.rand(3, 5), [1, 2]),
        lambda: contributions(torch.rand(3, 5), [1, 2, 3]),
    ),
    Case("interpolate or crop the map to its signal first", lambda: _adopted(side=8), lambda: _adopted(side=32)),
]


def _rebuilt() -> Any:
    return seer().explain(torch.rand(3, 32, 32)).render(0.1)
