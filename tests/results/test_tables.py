"""Tables as CSV files: one writer, and no cell that a spreadsheet would run."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import pytest

from hf_fourier.cli import explain, explain_recording
from hf_fourier.cli.evaluate import _write
from hf_fourier.results.table import Table
from hf_fourier.results.views import GeneView
from tests.report.sample_results import cell

FORMULAS = ("=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1+1", "＝1+1", "\ufeff=1")


def rows_of(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def inert(path):
    """No cell begins as a formula does."""
    cells = [text for row in rows_of(path) for text in row if not _is_number(text)]
    return all(not text.lstrip("\ufeff\t\r\n ").startswith(tuple("=+-@＝")) for text in cells)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_table_of_an_evaluation_runs_nothing(formula, tmp_path):
    path = _write(Table({formula: [formula, "plain"], "mean": [0.25, 1.0]}), tmp_path / "evaluation.csv")
    assert inert(path)
    assert rows_of(path)[2] == ["plain", "1.0"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_table_of_genes_runs_nothing(formula, tmp_path):
    genes = GeneView(genes=("ENSG1", "ENSG2", "ENSG3", "ENSG4"))
    result = cell((formula, "CD3D", "LYZ", "NKG7"), view=genes)
    path = explain.write_genes({formula: result}, tmp_path / "genes.csv")
    assert [row["symbol"] for row in result.genes().rows()].count(formula) == 1
    assert inert(path)


class Segments:
    """A recording whose labels are formulas."""

    label = "=1+1"

    def decisions(self):
        return Table({"segment": [0], "label": [self.label]})

    def spectrum(self, label):
        return self

    def table(self):
        return Table({"label": [self.label], "score": [-1.5]})

    def __getitem__(self, place):
        return cell(("a", "b", "c", "d"))

    def plot(self, path):
        Path(path).touch()


def test_the_tables_of_a_recording_run_nothing(tmp_path):
    written = explain_recording.write(Segments(), tmp_path)
    assert inert(written["segments"])
    assert rows_of(written["spectrum"]) == [["label", "score"], ["'=1+1", "-1.5"]]


def test_a_text_that_is_no_utf_8_is_written_with_escapes(tmp_path):
    path = _write(Table({"name": ["caf\udce9"]}), tmp_path / "names.csv")
    assert rows_of(path) == [["name"], ["caf\\udce9"]]


def test_numbers_stay_numbers(tmp_path):
    path = Table({"score": [-1.5, 2, True, None]}).to_csv(tmp_path / "t.csv")
    assert rows_of(path) == [["score"], ["-1.5"], ["2"], ["True"], [""]]


def test_nothing_else_writes_csv():
    import hf_fourier

    package, found = Path(hf_fourier.__file__).parent, set()
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            if name in ("writer", "DictWriter") and getattr(node.value, "id", "") == "csv":
                found.add(path.relative_to(package).as_posix())
    assert found == {"results/table.py"}
