"""`hf-fourier docs`: every page and section can be printed offline, and what messages name is there."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_fourier.cli import pages

DOCS = [sys.executable, "-m", "hf_fourier", "docs"]


def written(root: Path) -> dict[str, Path]:
    """The pages that people write, by name."""
    paths = {path.relative_to(root / "docs"): path for path in (root / "docs").rglob("*.md")}
    return {name.with_suffix("").as_posix(): path for name, path in paths.items() if name.parts[0] not in pages.MADE}


def texts(root: Path) -> dict[str, str]:
    """Whatever the package can print: literals and docstrings, tables and templates."""
    found = {}
    for path in sorted((root / "hf_fourier").rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix == ".py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            literals = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            found[name] = "\n".join(" ".join(one.split()) for one in literals)
        elif path.suffix in (".json", ".md", ".html", ".jinja", ".js"):
            found[name] = path.read_text(encoding="utf-8")
    return found


def test_all_pages_are_listed_in_the_groups_of_the_site(run, root):
    lines = run("docs").stdout.splitlines()
    rows = dict(line.split(maxsplit=1) for line in lines if line.startswith("  "))
    assert set(written(root)) < set(rows)
    assert rows["genes"] == "Cells and genes"
    assert rows["metrics/sparseness"] == "The Gini index of the absolute scores."
    captions = re.findall(r'^:caption: "?(.*?)"?$', (root / "docs/index.md").read_text(), re.M)
    assert [line for line in lines[1:] if line and line[0] != " "] == [*captions, "Methods", "Metrics"]
    assert (
        lines.index("Look up")
        < lines.index(next(one for one in lines if one.startswith("  genes ")))
        < lines.index(captions[-1])
    )


@pytest.mark.parametrize("name", ["genes", "genes.md", "docs/genes.md", "./docs/genes.md", "Genes", "docs\\genes.md"])
def test_a_page_is_printed(run, root, name):
    done = run("docs", name)
    assert done.exit_code == 0, done.output
    assert done.stdout == pages.read("genes")
    page = (root / "docs/genes.md").read_text()
    code = re.findall(r"^```python\n.*?^```$", page, re.M | re.S)
    assert code
    assert all(block in done.stdout for block in code)
    assert "<!--" in page
    assert "<!--" not in done.stdout


@pytest.mark.parametrize(
    ("name", "page"),
    [("my-network", "howto/my-network"), ("howto/my-network", "howto/my-network"), ("dig", "metrics/dig"),
     ("methods", "methods/index"), ("metrics/index.md", "metrics/index"), ("selectivity", "selectivity"),
     ("index", "index"), ("readme", "README")],
)  # fmt: skip
def test_a_name_means_one_page(name, page):
    assert pages.find(name, pages.pages()) == (page, "")


def test_a_section_is_printed_with_those_below_it(run):
    done = run("docs", "docs/errors.md#ModelError")
    assert done.stdout.startswith("## ModelError\n")
    assert re.findall("^#+ .*", done.stdout, re.M) == ["## ModelError"]
    whole = run("docs", "errors#errors").stdout
    assert whole.count("\n## ") > 8
    comment = "```sh\n# no heading\n```"
    assert [one.title for one in pages.sections(f"# A `b` [c](d.md)\n{comment}\n## E\n")] == ["A b c", "E"]


def test_links_name_pages_and_pictures_their_captions():
    text = pages._plain(
        "methods/ffc", "![A map](ffc.png) [x](../bands.md#one) [y](wam.md) [z](#two) a[0]() [u](https://v)"
    )
    assert text == (
        "[figure: A map] [x](bands.md#one) [y](methods/wam.md) [z](methods/ffc.md#two) a[0]() [u](https://v)\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gens"], "got the page 'gens'; expected one of genes"),
        (["howto"], "howto/my-data, howto/my-model, howto/my-network"),
        (["cell"], "expected one of shell, genes;"),
        (["traking"], "expected one of methods/tracking"),
        (["../../passwd"], "expected the name of a page, such as genes; `hf-fourier docs` lists all pages"),
        (["genes#which"], "expected one of which-question-each-score-answers; or leave out # and the section"),
        (["genes#xyz"], "of the page genes; expected one of cells-and-genes, which-question"),
        (["--search", "qwertz"], "got the word 'qwertz'; expected one that a page contains"),
        (["genes", "--search", "qwertz"], "expected one that the page genes contains"),
        (["gens", "--search", "cell"], "got the page 'gens'"),
        (["a\x1b[31m"], "\\x1b[31m"),
    ],
)
def test_a_wrong_name_is_one_message_with_close_names(run, words, told):
    done = run("docs", *words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_search_lists_sections(run):
    found = run("docs", "--search", "Dither").stdout
    assert "errors#notfinite  NotFinite\n  " in found
    assert "glossary#glossary  Glossary\n" in found
    heads = [line.split()[0] for line in found.splitlines() if line and line[0] != " "]
    assert heads == [name for name, _, _ in pages.search("dither")]
    assert all("dither" in pages.read(name).casefold() for name in heads)
    (only,) = pages.search("dither", "errors")
    assert only[0] == "errors#notfinite"
    assert all(len(line) < 170 for line in found.splitlines())
    assert all("dither" in line.casefold() for line in found.splitlines() if line.startswith("  "))


def test_json(run):
    listed = json.loads(run("docs", "--json").stdout)
    assert {"group": "Look up", "page": "genes", "title": "Cells and genes"} in listed
    assert json.loads(run("docs", "genes", "--json").stdout)["markdown"] == pages.read("genes")
    rows = json.loads(run("docs", "errors", "--search", "dither", "--json").stdout)
    assert [row["page"] for row in rows] == ["errors#notfinite"]


def test_a_pipe_gets_plain_text_and_may_end_early():
    code = "import sys; from hf_fourier.cli import main\nsys.argv[1:] = ['docs', 'comparison']\ntry:\n    main()\n"
    code += "finally:\n    assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, pages.read("comparison")), done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*DOCS, "comparison"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == ""


def test_a_terminal_gets_a_drawn_page_in_a_pager():
    """In the program that PAGER names; headings and names are styled, and no cell of a wide table is cut off."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PAGER": "sed 's/^/|/'", "TERM": "xterm-256color", "COLUMNS": "60", "LINES": "20"}
    environment.pop("NO_COLOR", None)
    child = subprocess.Popen([*DOCS, "shell"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux's end of a terminal
        pass
    assert child.wait() == 0
    os.close(ours)
    assert b"\x1b[1" in shown
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()
    assert lines
    assert all(line.startswith("|") and len(line) <= 61 for line in lines)
    text = "\n".join(lines)
    assert "From a shell" in text
    assert "**" not in text
    assert "explain MODEL INPUT…" in text
    assert text.count("…") <= pages.read("shell").count("…")


def test_messages_and_help_name_pages_that_can_be_printed(root):
    named, files = set(), []
    for place, text in texts(root).items():
        named |= set(re.findall(r"hf-fourier docs (\w[\w/#-]*)", text))
        files += [f"{place}: {one}" for one in re.findall(r"docs/[\w/-]+\.md", text)]
    assert files == [], "say `hf-fourier docs PAGE`, which an installation without the repository has"
    assert {"genes", "howto/my-network", "metrics", "methods/NAME", "howto/my-network#one-call"} <= named
    for name in named - {"PAGE", "PAGE#SECTION"}:
        assert pages.read(name.replace("NAME", "tracking"))


def test_commands_that_are_printed_exist(root):
    from hf_fourier.cli.app import app
    from hf_fourier.cli.help_text import commands

    known = {name.split()[0] for name in commands(app)}
    everywhere = {**texts(root), **pages.pages(), "README.md": (root / "README.md").read_text()}
    named = {word for text in everywhere.values() for word in re.findall(r"hf-fourier ([a-z][a-z-]*)", text)}
    assert named - {"needs"} == known


def test_links_and_their_anchors_resolve():
    known, count = pages.pages(), 0
    for page, text in known.items():
        anchors = [one.anchor for one in pages.sections(text)]
        assert text.startswith("# "), page
        assert len(anchors) == len(set(anchors)), page
        for target in re.findall(r"\]\(([\w./-]+\.md(?:#[\w-]+)?)\)", pages._plain(page, text)):
            name, _, anchor = target.partition("#")
            assert name.removesuffix(".md") in known, f"{page}: {target}"
            assert pages.find(target, known) == (name.removesuffix(".md"), anchor)
            count += 1
    assert count > 300


def test_missing_pages_are_one_message(run, monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "PACKAGE", tmp_path / "hf_fourier")
    done = run("docs", "genes")
    assert done.exit_code == 1
    assert "no pages in" in done.stderr


def test_python_reads_pages_without_the_extra():
    code = "import sys; sys.modules.update(typer=None, rich=None)\nfrom hf_fourier.cli import pages"
    code += "\nassert pages.read('genes#atlases').startswith('## Atlases')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
