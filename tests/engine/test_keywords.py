"""Keywords that are typed beside the calls that take them have the names and types of these calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from hf_fourier.engine import Engine
from hf_fourier.explainer import FourierExplainer
from hf_fourier.methods.apply import ExplainOptions, MapOptions
from hf_fourier.runs.options import RunKeywords, RunOptions


def written(options: type) -> dict[str, str]:
    """The types of a TypedDict as they are written, inherited ones too."""
    bases = [base for base in getattr(options, "__orig_bases__", ()) if hasattr(base, "__total__")]
    found = {name: value for base in bases for name, value in written(base).items()}
    own = {name: getattr(t, "__forward_arg__", t) for name, t in options.__annotations__.items()}
    return found | own


@pytest.mark.parametrize(("options", "call"), [(ExplainOptions, Engine.explain), (MapOptions, Engine.from_maps)])
def test_overloads_take_the_keywords_of_the_call(options: type, call: Callable[..., Any]) -> None:
    keywords = [p for p in inspect.signature(call).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert written(options) == {p.name: p.annotation for p in keywords}


def test_a_run_takes_the_keywords_of_its_options() -> None:
    assert written(RunKeywords) == {field.name: field.type for field in fields(RunOptions)}


def test_every_option_of_a_run_is_explained() -> None:
    text = inspect.getdoc(FourierExplainer.explain_dataset) or ""
    assert [field.name for field in fields(RunOptions) if f"`{field.name}`" not in text] == []


def test_progress_can_be_true(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.models import tiny_models, tiny_tokenizers

    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    explain.explain(tiny_tokenizers.texts(3), progress=False)
    assert "3/3" not in capsys.readouterr().err
    explain.explain(tiny_tokenizers.texts(3), progress=True)
    assert "3/3" in capsys.readouterr().err
