"""The layers hold over every import, no modules import each other in a circle, and nothing grows too large to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools import layers

#: What is longer or wider than the rest may be; the lists may only shrink.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
WIDE_SIGNATURES = {"from_pretrained": 12, "explain_recording": 13, "Score.__init__": 11}
FILE, FUNCTION, SIGNATURE = 400, 60, 10


@pytest.fixture
def package(root: Path) -> Path:
    return root / layers.PACKAGE


def made(folder: Path, **files: str) -> Path:
    """A package of the same name with these modules ("results_table" is results/table.py)."""
    for name, text in files.items():
        path = folder / layers.PACKAGE / f"{name.replace('_', '/', 1)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_imports_point_downwards(root: Path) -> None:
    assert not layers.upward(root)


def test_no_modules_import_each_other(root: Path) -> None:
    assert not layers.circles(root)


def test_libraries_are_imported_where_they_belong(root: Path) -> None:
    assert not layers.libraries(root)


@pytest.mark.parametrize(
    "text",
    [
        "from hf_fourier.engine import Engine",
        "import hf_fourier.engine",
        "from .. import engine",
        "from ..engine import Engine",
        "def late():\n    from hf_fourier import engine",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hf_fourier.engine import Engine",
        "from hf_fourier.scoring import score",
        "from hf_fourier.demo import get",
    ],
)
def test_an_import_that_points_upwards_is_seen(text: str, tmp_path: Path) -> None:
    made(tmp_path, engine="", results_table=text, scoring_score="", demo_build="")
    assert [line.split(" ")[0].partition(":")[0] for line in layers.upward(tmp_path)] == ["results.table"]


def test_the_demo_is_for_the_shell_alone(tmp_path: Path) -> None:
    text = "from hf_fourier.demo import build"
    assert layers.upward(made(tmp_path / "a", demo_build="", cli_app=text)) == []
    assert layers.upward(made(tmp_path / "b", demo_build="", report_page=text)) == ["report.page:1 imports demo.build"]


def test_a_circle_is_seen(tmp_path: Path) -> None:
    made(
        tmp_path,
        results_a="from hf_fourier.results import b",
        results_b="def late():\n    from hf_fourier.results.c import X",
        results_c="from .a import Y",
        results_d="from .a import Y",
    )
    assert layers.circles(tmp_path) == [["results.a", "results.b", "results.c"]]


def test_a_library_in_the_wrong_place_is_seen(tmp_path: Path) -> None:
    made(tmp_path, results_a="def draw():\n    import matplotlib.pyplot as plt", cli_app="import typer")
    assert layers.libraries(tmp_path) == ["results.a:2 imports matplotlib.pyplot"]


def test_few_rooms(package: Path) -> None:
    loose = [path.name for path in package.glob("*.py") if not path.name.startswith("__")]
    packages = [path.name for path in package.iterdir() if (path / "__init__.py").is_file()]
    assert len(loose) <= 8, loose
    assert len(packages) <= 10, packages


def test_files_can_be_read_in_one_go(package: Path) -> None:
    lines = {str(p.relative_to(package)): len(p.read_text().splitlines()) for p in sorted(package.rglob("*.py"))}
    assert {name: n for name, n in lines.items() if n > LONG_FILES.get(name, FILE)} == {}


def test_functions_are_short_and_narrow(package: Path) -> None:
    long, wide = [], []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text())
        owners = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            owner = owners[node]
            name = (
                f"{owner.name}.{node.name}"
                if isinstance(owner, ast.ClassDef) and node.name == "__init__"
                else node.name
            )
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([p for p in parameters if p.arg not in ("self", "cls")])
            size = (node.end_lineno or 0) - node.lineno + 1
            if size > LONG_FUNCTIONS.get(name, FUNCTION):
                long.append((path.name, name, size))
            if count > WIDE_SIGNATURES.get(name, SIGNATURE):
                wide.append((path.name, name, count))
    assert long == []
    assert wide == []


def test_contributors_see_the_layers(root: Path) -> None:
    assert f"```text\n{layers.picture()}\n```" in (root / "CONTRIBUTING.md").read_text()
