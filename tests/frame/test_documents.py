"""The documents tell the truth: their code runs, and CI runs their commands."""

import re
import subprocess
from pathlib import Path

import pytest


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
    assert done.stderr.count("failed: false") == 3
    assert {"test", "lint", "demo"} <= {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / "chained").exists()


@pytest.mark.assets
def test_readme_code_runs(root, asset, tmp_path, monkeypatch):
    asset("efficientnet-lite0")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (root / "README.md").read_text(), re.M | re.S)
    assert blocks
    names: dict[str, object] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
