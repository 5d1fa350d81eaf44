"""The documents tell the truth: their code runs, and CI runs their commands."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest


def import_path(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def marked(document: Path) -> dict[str, list[str]]:
    """The fenced blocks after `<!-- ci: NAME -->`, which `.ci/run` runs."""
    blocks = re.findall(r"^<!-- ci: (\w+) -->\n+```\w*\n(.*?)^```$", document.read_text(), re.M | re.S)
    return {name: block.splitlines() for name, block in blocks}


def test_ci_runs_what_the_documents_print(root):
    script = (root / ".ci/run").read_text()
    runs = re.findall(r"^run (\S+) (\w+)$", script, re.M)
    printed = {(name, block) for name in ("README.md", "CONTRIBUTING.md") for block in marked(root / name)}
    assert set(runs) == printed
    for tool in ("pytest", "ruff", "mypy", "pip"):
        assert not re.search(rf"^[^#]*\b{tool} ", script, re.M), f".ci/run has a {tool} command of its own"


def test_readme_has_two_commands(root):
    blocks = marked(root / "README.md")
    assert list(blocks) == ["demo", "test"]
    for lines in blocks.values():
        assert len(lines) == 1
        assert lines[0].startswith("python3 -m venv .venv && .venv/bin/pip install -c .ci/constraints.txt -e ")
    assert blocks["test"][0].endswith(" && .venv/bin/python -m pytest -n auto --dist loadfile")


def test_ci_fails_when_a_command_fails(root, tmp_path):
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_text((root / ".ci/run").read_text())
    for document in ("README.md", "CONTRIBUTING.md"):
        blocks = (
            f"<!-- ci: {name} -->\n```sh\nfalse && touch chained\ntouch {name}\n```\n"
            for name in marked(root / document)
        )
        (tmp_path / document).write_text("".join(blocks))
    done = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    blocks = [block for document in ("README.md", "CONTRIBUTING.md") for block in marked(root / document)]
    assert done.stderr.count("failed: false") == len(blocks) > 3
    assert {*blocks} <= {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / "chained").exists()


@pytest.mark.assets
def test_readme_code_runs(root, asset, tmp_path, monkeypatch, capsys):
    """Each block of code runs, and prints what stands below it: the same words, numbers within 2 %."""
    asset("efficientnet-lite0")
    monkeypatch.chdir(tmp_path)
    text = (root / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", text, re.M | re.S)
    assert [bool(printed) for _, printed in blocks].count(True)
    names: dict[str, object] = {}
    for number, (block, expected) in enumerate(blocks):
        capsys.readouterr()
        exec(compile(block, f"README.md, block {number}", "exec"), names)
        printed = capsys.readouterr().out
        if expected:
            assert re.sub(r"[\d.]+", "#", printed).split() == re.sub(r"[\d.]+", "#", expected).split()
            numbers = [[float(one) for one in re.findall(r"\d+\.?\d*", each)] for each in (printed, expected)]
            assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.01)


def test_every_error_has_a_section(root):
    from hf_fourier import errors
    from hf_fourier.demo import errors as of_assets

    text = (root / "docs/errors.md").read_text()
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.FourierError):
            assert f"\n## {name}\n" in text
    for name, value in vars(of_assets).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert f"**{name}**" in text


def test_every_page_is_listed(root):
    """On the site by a table of contents, on a forge by the list of documents."""
    docs = root / "docs"
    listed = (docs / "README.md").read_text()
    made = {"_build", "reference", "metrics"}
    for page in docs.rglob("*.md"):
        name = page.relative_to(docs)
        if name.parts[0] not in made and name.name not in ("README.md", "index.md"):
            assert f"]({name.as_posix()})" in listed, name


class TestBlocks:
    """The runner of the documents' code fails when their code does."""

    @pytest.fixture
    def run(self, root, tmp_path, monkeypatch):
        module = import_path(root / "docs/blocks.py")
        project = tmp_path / "project"
        project.mkdir()
        subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
        (project / "notes.txt").write_text("here")
        monkeypatch.setattr(module, "ROOT", project)

        def run(text, *options):
            page = tmp_path / "page.md"
            page.write_text(text)
            monkeypatch.setattr("sys.argv", ["blocks.py", "--env", sys.prefix, *options, str(page)])
            return module.main()

        return run

    def test_blocks_share_names_and_a_folder(self, run):
        python = "```python\n{}\n```\n"
        page = python.format("x = 3\nopen('made', 'w').write('y')")
        page += "```sh\ntest -f made && test -f notes.txt && test -x .venv/bin/python\n```\n"
        assert run(page + python.format("assert x == 3 and open('made').read() == 'y'")) == 0

    @pytest.mark.parametrize("code", ["```python\nassert False\n```\n", "```sh\nfalse\ntrue\n```\n"])
    def test_failures_fail(self, run, code, capfd):
        assert run(code) == 1
        assert run("<!-- not run: it would fail -->\n" + code) == 0
        assert "it would fail" in capfd.readouterr().out

    def test_a_reason_is_that_of_the_next_block_alone(self, run):
        failing = "```python\nassert False\n```\n"
        assert run("<!-- not run: first -->\n" + failing + failing + "<!-- not run: third -->\n" + failing) == 1

    def test_time_is_held_to(self, run):
        assert run("```python\nimport time; time.sleep(.2)\n```\n", "--within", "0.1") == 1
        assert run("```python\nimport time; time.sleep(.2)  # pip install\n```\n", "--within", "0.1") == 0


def cells(line: str) -> int:
    """How many cells a row of a Markdown table has; a bar that is escaped separates none."""
    return len(re.split(r"(?<!\\)\|", line.strip().strip("|")))


def test_rows_of_tables_have_as_many_cells_as_their_heads(root):
    """Otherwise Markdown shows no table at all."""
    heads = 0
    for page in [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "hf_fourier").rglob("*.md")]:
        lines = page.read_text().split("\n")
        for i, line in enumerate(lines):
            if not re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+", line):
                continue
            heads += 1
            body = next((k for k in range(i + 1, len(lines)) if not lines[k].startswith("|")), len(lines))
            counts = {cells(row) for row in lines[i - 1 : body]}
            assert counts == {cells(line)}, f"{page.relative_to(root)}, line {i}"
    assert heads > 100


def test_a_bar_in_a_title_of_a_table_is_escaped():
    from benchmarks.tables import markdown

    title, line, row = markdown([{"largest |ρ|": 0.5, "n": 3}]).split("\n")
    assert cells(title) == cells(line) == cells(row) == 2


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["pygments_style", "pygments_dark_style"])
def test_code_of_the_site_is_legible_in_both_themes(root, theme):
    styles = pytest.importorskip("pygments.styles")
    assert contrast("000000", "ffffff") == pytest.approx(21)
    style = styles.get_style_by_name(re.search(rf'^{theme} = "(.*)"$', (root / "docs/conf.py").read_text(), re.M)[1])
    ground = style.background_color.removeprefix("#")
    parts = [(str(part), look["color"]) for part, look in style if look["color"]]
    kinds = ("Comment", "Keyword", "Literal", "Name", "Operator")
    faint = {part for part, ink in parts if part.split(".")[1:2] and part.split(".")[1] in kinds
             and contrast(ink, ground) < 4.5}  # fmt: skip
    assert len(parts) > 20
    assert faint == set()


@pytest.fixture
def site(root, monkeypatch):
    """The site's configuration, the kinds of nodes of a page, and an empty page."""
    nodes = pytest.importorskip("docutils.nodes")
    utils = pytest.importorskip("docutils.utils")
    monkeypatch.syspath_prepend(root / "docs")
    return import_path(root / "docs/conf.py"), nodes, utils.new_document("page")


def test_numbers_of_the_site_stay_in_one_line(site):
    conf, nodes, document = site
    cells = ["3.39e-05 [-0.000478, 0.000546]", "52 + 51", "efficientnet-lite0", "62.5–125 Hz", "one e-mail"]
    entries = [nodes.entry("", nodes.paragraph("", cell)) for cell in cells]
    prose = nodes.paragraph("", "up to 500 Hz keep 50 % [40, 60] of 3 sounds")
    code, option = nodes.literal("", "sleep 5 s"), nodes.literal("", "--gene-scores")
    document.extend([*entries, prose, code, option])
    conf.shape_lines(None, document)
    assert [entry["classes"] for entry in entries] == [["whole"], ["whole"], ["whole"], ["whole"], []]
    assert prose.astext() == "up to 500\xa0Hz keep 50\xa0%\xa0[40,\xa060] of 3 sounds"
    assert code.astext() == "sleep 5 s"
    assert (code["classes"], option["classes"]) == ([], ["whole"])


def test_columns_of_the_site_are_as_wide_as_their_texts_need(site):
    conf, nodes, document = site
    cells = ["κ = 0.03", "further masks are drawn until two halves agree", "one of many sentences in a cell, " * 3]
    entries = [nodes.entry("", nodes.paragraph("", cell)) for cell in cells]
    document.extend(entries)
    conf.shape_lines(None, document)
    assert [entry["classes"] for entry in entries] == [["whole"], ["phrase"], ["long"]]


def written(task: str | None = None, unit: str = "", mode: str = "keep", scale: "float" = 1.0) -> "list[str]": ...


def test_the_reference_shows_defaults_as_they_are_written(root):
    reference = import_path(root / "docs/reference.py")
    shown = "f(task: str | None = None, unit: str = '', mode: str = 'keep', scale: float = 1.0) -> list[str]"
    assert reference.signature("f", written) == shown
    lines = reference.signature("written_with_a_long_name", written).splitlines()
    assert lines[2:3] == ["    unit: str = '',"]
    assert lines[-1] == ") -> list[str]"
