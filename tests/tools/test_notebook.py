"""Notebooks run without Jupyter, and the one of the documents still shows what it shows."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tools import notebook


def made(*sources: str) -> dict[str, Any]:
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": [source]} for source in sources]
    return {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Title"]}, *cells], "nbformat": 4}


def outputs(found: dict[str, Any]) -> list[list[Any]]:
    """By code cell, the MIME types of each output, or the stream's name."""
    return [
        [sorted(one["data"]) if "data" in one else one["name"] for one in cell["outputs"]]
        for cell in found["cells"]
        if cell["cell_type"] == "code"
    ]


def test_cells_share_names_and_show_their_last_value() -> None:
    table = "from hf_fourier.results.table import Table\nTable({'a': [1]})"
    figure = "from matplotlib.figure import Figure\nFigure()"
    found = notebook.executed(made("x = 2", "print('printed')\nx * 3", table, figure, "x;", "None"))
    assert outputs(found) == [
        [], ["stdout", ["text/plain"]], [["text/html", "text/plain"]], [["image/png", "text/plain"]], [], [],
    ]  # fmt: skip
    printed, value = found["cells"][2]["outputs"]
    assert (printed["text"], value["data"]["text/plain"]) == (["printed\n"], ["6"])
    assert [cell.get("execution_count") for cell in found["cells"]] == [None, 1, 2, 3, 4, 5, 6]


def test_an_error_ends_the_run_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(made("1 / 0")))
    before = path.read_text()
    with pytest.raises(ZeroDivisionError):
        notebook.main([str(path)])
    assert path.read_text() == before


@pytest.fixture(scope="module")
def stored(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((request.config.rootpath / "docs/notebook.ipynb").read_text(encoding="utf-8"))
    return found


def test_the_stored_notebook_was_run_and_runs_nothing(stored: dict[str, Any]) -> None:
    cells = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    text = json.dumps(stored, ensure_ascii=False)
    assert len(text) < 1_500_000
    places = (str(Path.home()), str(Path(notebook.__file__).parents[1]), tempfile.gettempdir())
    for forbidden in ("<script", "javascript:", "http-equiv", " at 0x", *places):
        assert forbidden not in text, forbidden
    kinds = {kind for cell in outputs(stored) for one in cell if isinstance(one, list) for kind in one}
    assert kinds == {"text/plain", "text/html", "image/png"}
    shown = "".join(map(str, (cell["outputs"] for cell in cells)))
    for kind in ("Attribution", "Recording", "ModelSpectrum", "Evaluation", "SanityResult", "Results", "Contributions"):
        assert f"{kind}(" in shown, kind
    assert shown.count("<audio") == 3


@pytest.mark.assets
def test_the_notebook_runs_and_shows_the_same_kinds(stored: dict[str, Any]) -> None:
    found = notebook.executed(stored)
    assert outputs(found) == outputs(stored), "run python -m tools.notebook docs/notebook.ipynb"
    for new, old in zip(found["cells"], stored["cells"], strict=True):
        plain = ["".join(one["data"]["text/plain"]) for one in new.get("outputs", []) if "data" in one]
        before = ["".join(one["data"]["text/plain"]) for one in old.get("outputs", []) if "data" in one]
        assert [one.partition("(")[0] for one in plain] == [one.partition("(")[0] for one in before]
