"""Tables as CSV files: one writer, and no cell that a spreadsheet would run."""

from __future__ import annotations

import ast
import csv
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from hf_fourier.cli import explain, explain_recording
from hf_fourier.cli.evaluate import _write
from hf_fourier.results import latex
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


def small():
    return Table({"name": ["a", "b", "c"], "score": [0.5, -1.0, None]}, ["seen once"])


def test_a_table_is_a_sequence_of_rows():
    import pandas as pd

    table = small()
    assert len(table) == 3
    assert list(table) == list(table.rows())
    assert table[1] == table[-2] == {"name": "b", "score": -1.0}
    assert table[1:].columns == {"name": ["b", "c"], "score": [-1.0, None]}
    assert table[["score"]].columns == {"score": [0.5, -1.0, None]}
    assert table[:2].notes == table.notes
    pd.testing.assert_frame_equal(pd.DataFrame(table), table.to_pandas())
    with pytest.raises(IndexError, match="row 3 of 3"):
        table[3]
    with pytest.raises(KeyError):
        table["other"]


def test_markdown_shows_the_texts_themselves():
    lines = Table({"a|b": ["*x*", "y"], "n": [-1.23456, None]}, ["<i>"]).to_markdown().splitlines()
    assert lines[:4] == ["| a&#124;b | n |", "| --- | ---: |", "| &#42;x&#42; | -1.235 |", "| y |  |"]
    assert lines[-1] == "&#60;i&#62;"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ΩΦΑ", r"$\Omega$$\Phi$$\mathrm{A}$"),
        ("ςοά", r"$\varsigma$$\mathrm{o}$$\acute{\alpha}$"),
        ("Ώΐ", r"$\acute{\Omega}$$\acute{\ddot{\iota}}$"),
        ("≠∞₂²", r"$\neq$$\infty$$_2$$^2$"),
        ("é ü", "é ü"),
    ],
)
def test_letters_and_symbols_that_the_fonts_of_pdflatex_lack(text, expected):
    assert latex.escape(text) == expected


def test_pdflatex_prints_every_replaced_character(tmp_path):
    """Without errors, rows that begin with a star or a bracket too."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex here")
    greek = [chr(code) for code in range(0x388, 0x3CF) if unicodedata.category(chr(code)) in ("Lu", "Ll")]
    assert len(greek) > 60
    names = [*latex._REPLACED, *greek, "*a", "[2ex]", "é"]
    body = Table({"name": names, "n": [None] * len(names)}, names).to_latex()
    source = r"\documentclass[a0paper]{article}\usepackage{booktabs}\begin{document}%s\end{document}"
    (tmp_path / "t.tex").write_text(source % body, encoding="utf-8")
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "t.tex"],
        cwd=tmp_path, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]


def test_columns_are_flush_right_alike_in_every_form():
    table = Table({"name": ["a", "b"], "n": [1.5, None]})
    assert "| --- | ---: |" in table.to_markdown()
    assert r"{@{}lr@{}}" in table.to_latex()
    assert re.findall(r"<th style=\"[^\"]*text-align:(\w+)", table._repr_html_()) == ["left", "right"]


def test_latex_is_escaped_and_balanced():
    hostile = r"\input{/etc/passwd} 100 % & $x_1^2$ #1 {a} ~ -- <y> κ≥3"
    text = Table({"name_1": [hostile, "[2ex]", "*a"], "n": [1, 2, 3]}, [hostile]).to_latex(hostile, "tab:a_b}")
    body = text.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "")
    assert body.count("{") == body.count("}")
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"100 \% \& \$x\_1\textasciicircum{}2\$ \#1" in text
    assert r"-{}- \textless{}y\textgreater{} $\kappa$$\geq$3" in text
    assert r"\label{tab:ab}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1, 1]
    assert rows[2].startswith("{}[2ex]")  # not the length that a row's end takes
    assert rows[3].startswith("{}*a")  # nor its star


def test_blocks_are_as_wide_as_asked():
    table = Table({"method": ["ffc"], **{f"column {i}": [0.5] for i in range(6)}})
    blocks = table.blocks(30)
    assert max(map(len, blocks.splitlines())) <= 30
    assert blocks.count("ffc") == 3
    assert all(f"column {i}" in blocks for i in range(6))
