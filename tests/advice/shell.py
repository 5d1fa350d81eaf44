"""Advice about what is typed in a shell."""

from __future__ import annotations

import io
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from hf_fourier.cli import console, evaluate, explain_recording, inputs, list, pages, push, supported_models
from hf_fourier.cli.share_options import PushRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.report.hub.repository import check_name
from tests.advice.case import Case
from tests.advice.letters import COUNTS, _table
from tests.advice.runs import _report, _saved
from tests.advice.sight import picture
from tests.models import tiny_models, tiny_tokenizers
from tools.coverage.pairs import pairs

TEXT = tiny_tokenizers.text(7, 8, 9)


@cache
def model() -> str:
    """A tiny text classifier in a folder."""
    folder = Path(tempfile.mkdtemp()) / "tiny-bert"
    tiny_models.build("text-classification", "bert").save_pretrained(folder)
    tiny_tokenizers.tokenizer("bert").save_pretrained(folder)
    return str(folder)


def typed(*arguments: Any, stdin: str | None = None) -> str:
    """What the command says; it has to work."""
    from typer.testing import CliRunner

    from hf_fourier.cli.app import app

    done = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
    assert done.exit_code == 0, done.output
    return done.output


def _explained(*arguments: Any, stdin: str | None = None) -> str:
    return typed("explain", model(), *arguments, "--output", tempfile.mkdtemp() + "/out", stdin=stdin)


def _piped(text: str, pair: bool = False) -> Any:
    with mock.patch.object(sys, "stdin", io.StringIO(text)):
        return inputs.read(["-"], pair)


def _array(name: str = "vector.npy") -> str:
    path = Path(tempfile.mkdtemp()) / name
    np.save(path, np.ones(4, np.float32))
    return str(path)


def _text() -> str:
    path = Path(tempfile.mkdtemp()) / "vector.npy"
    path.write_text("1 2 3")
    return str(path)


@cache
def _folder() -> Path:
    return _saved(_report())


def _parcel(repo: str | None = None, **options: Any) -> Any:
    return push.send(PushRequest(report=_folder(), repo=repo, dry_run=True, **options))


def _covered(architecture: str | None) -> Any:
    return supported_models.show_coverage(architecture=architecture, task=None, as_json=True)


def _written(place: Path) -> Any:
    with console.writing(place):
        place.write_text("told")
    return place


def _evaluated(metric: str, shell: bool = False) -> Any:
    if shell:
        return typed("evaluate", model(), TEXT, "--metric", metric, "--method", "magnitude")
    return evaluate.run_evaluate(SimpleNamespace(metrics=[metric]))  # type: ignore[arg-type]


def _run_with_donors(in_python: bool) -> Any:
    from hf_fourier.cli import run
    from hf_fourier.cli.options import LoadOptions, RunRequest
    from tests.advice.case import reader

    folder = Path(tempfile.mkdtemp())
    (folder / "texts.txt").write_text("\n".join([TEXT, f"{TEXT} w5"]))
    where: dict[str, Any] = {"dataset": str(folder / "texts.txt"), "output": folder / "run"}
    if not in_python:
        return run.run(RunRequest(model=model(), replacement="example", loading=LoadOptions(), **where))
    explainer = reader()
    explainer.donors = [f"{TEXT} w5", f"{TEXT} w6", f"{TEXT} w7 w8"]
    try:
        options: dict[str, Any] = {"fractions": (0.1,), "replacement": "example", "progress": False}
        return explainer.explain_dataset([f"{TEXT} w9"], folder / "run", method="magnitude", **options)
    finally:
        explainer.donors = None


def _without_pages() -> Any:
    """As if the package came without pages."""
    with mock.patch.object(pages, "PACKAGE", Path(tempfile.mkdtemp())):
        return pages.read("genes")


CASES = [
    Case(
        "set `explainer.donors` in Python, and call `explain_dataset` there",
        lambda: _run_with_donors(in_python=False),
        lambda: _run_with_donors(in_python=True),
    ),
    Case(
        "name a token or count it from 0",
        lambda: parse_targets("at:"),
        lambda: [parse_targets("at:w7"), parse_targets("at:0=spam")],
    ),
    Case("correct the name", lambda: check_name("cups"), lambda: check_name("ada/cups")),
    Case("correct --batch-size", lambda: console.parse_batch_size("x"), lambda: console.parse_batch_size("4")),
    Case("correct --seconds", lambda: explain_recording.check(-1, None), lambda: explain_recording.check(1, None)),
    Case("correct --overlap", lambda: explain_recording.check(None, 1.5), lambda: explain_recording.check(None, 0.5)),
    Case("count content tokens from 0", lambda: parse_targets("span:a-b"), lambda: parse_targets("span:0-1")),
    Case(
        "write the text that follows", lambda: parse_targets("continuation:"), lambda: parse_targets("continuation: w8")
    ),
    Case("put a | between the two", lambda: parse_targets("contrast:ham"), lambda: parse_targets("contrast:ham|spam")),
    Case("write the class index after it", lambda: parse_targets("index:ham"), lambda: parse_targets("index:1")),
    Case(
        "write the threshold, the cosine at which the decision changes, as in direction:VECTOR.npy@0.5",
        lambda: parse_targets(f"direction:{_array()}@half"),
        lambda: parse_targets(f"direction:{_array()}@.5"),
    ),
    Case(
        "save them with numpy.save",
        lambda: parse_targets(f"direction:{_text()}"),
        lambda: parse_targets(f"direction:{_array()}"),
    ),
    Case("leave --cells out", lambda: inputs.read([TEXT], False, "0"), lambda: _explained(TEXT)),
    Case("pipe texts in", lambda: _piped(""), lambda: _explained("-", stdin=f"{TEXT}\n{TEXT}\n")),
    Case("correct the line", lambda: _piped("w7 w8\n", pair=True), lambda: _piped("w7\tw8\n", pair=True)),
    Case(
        "leave --pair out: pictures, sounds and cells are taken one by one",
        lambda: inputs.read([str(picture()), TEXT], True),
        lambda: inputs.read([str(picture()), str(_table(COUNTS))], False),
    ),
    Case(
        "give both texts of each pair, in quotes",
        lambda: inputs.read([TEXT], True),
        lambda: _explained(TEXT, "w7 w8", "--pair"),
    ),
    Case(
        "for the lines of a text file: hf-fourier explain MODEL - < letters.txt",
        lambda: _in_folder(lambda: inputs.read_example("letters.txt")),
        lambda: _explained("-", stdin=TEXT),
    ),
    Case("see `hf-fourier assets list`", lambda: list.fetch([], False), lambda: typed("assets", "list")),
    Case("leave one out", lambda: list.fetch(["minilm"], True), lambda: typed("assets", "get", "--help")),
    Case("see `hf-fourier push --help`", lambda: _parcel(), lambda: typed("push", "--help")),
    Case(
        "add it, or leave --dataset out",
        lambda: _parcel("ada/cups", dataset="Cups"),
        lambda: [_parcel("ada/cups"), typed("push", _folder(), "ada/cups", "--dry-run")],
    ),
    Case(
        "add it, or leave --space out",
        lambda: _parcel(model_card="a/b", space=True),
        lambda: _parcel("ada/cups", space=True),
    ),
    Case(
        "separate them by commas, such as .01,.04",
        lambda: console.parse_fractions("a;b"),
        lambda: [console.parse_fractions(".01,.04"), _explained(TEXT, "--fraction", ".01,.04")],
    ),
    Case(
        "fix that, or choose another",
        lambda: _written(Path(tempfile.mkdtemp()) / "not" / "there"),
        lambda: _written(Path(tempfile.mkdtemp()) / "there"),
    ),
    Case("correct --metric", lambda: _evaluated("none"), lambda: _evaluated("dig", shell=True)),
    Case(
        "see `hf-fourier docs coverage`",
        lambda: _covered("of-tomorrow"),
        lambda: [_covered("vit"), typed("docs", "coverage")],
    ),
    Case("`hf-fourier docs` lists all pages", lambda: pages.read("gens"), lambda: typed("docs")),
    Case("or leave out # and the section", lambda: pages.read("genes#none"), lambda: pages.read("genes")),
    Case("search for a part of it, or a synonym", lambda: pages.search("ditherings"), lambda: pages.search("dither")),
    Case("install it again", _without_pages, lambda: pages.read("genes")),
    Case("correct its name", lambda: pairs(model_type="bret"), lambda: pairs(model_type="bert")),
]


def _in_folder(call: Any) -> Any:
    """In a folder with a file of letters."""
    import contextlib

    folder = Path(tempfile.mkdtemp())
    (folder / "letters.txt").write_text(TEXT)
    with contextlib.chdir(folder):
        return call()
