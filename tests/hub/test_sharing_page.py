"""The page on sharing: its code runs, as it is printed, against a Hub on this machine."""

from __future__ import annotations

import re

from tests.cli.test_help_text import parsed
from tests.hub import reports
from tests.hub.fake_hub.repositories import Repo

BLOCK = re.compile(r"^<!-- not run: [^\n]* -->\n```(python|sh)\n(.*?)^```$", re.M | re.S)


def blocks(root):
    return BLOCK.findall((root / "docs/sharing.md").read_text(encoding="utf-8"))


def test_the_code_runs(hub, ask, saved, root):
    hub.add(Repo("model", reports.MODEL))
    code = "\n".join(text for kind, text in blocks(root) if kind == "python")
    assert code.count("report.") >= 3
    code = code.replace('"report"', repr(str(saved))).replace('"you/', '"ada/')
    code = code.replace('"google/vit-base-patch16-224"', repr(reports.MODEL))
    shown = ask(
        f"import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as said:\n"
        f"{''.join(f'    {line}' for line in code.splitlines(True))}\nresult = said.getvalue()"
    )
    lines = shown.splitlines()
    assert lines[0].startswith(f"{hub.address}/datasets/ada/cups {hub.repo('ada/cups', 'dataset').head} ")
    assert lines[1] == f"{hub.address}/{reports.MODEL}/discussions/1"
    assert "espresso" in shown
    assert set(hub.repos) == {("dataset", "ada/cups"), ("space", "ada/cups-page"), ("model", reports.MODEL)}
    assert all(repo.private for (kind, _), repo in hub.repos.items() if kind != "model")


def test_the_commands_are_commands(root):
    lines = [line for kind, text in blocks(root) if kind == "sh" for line in text.splitlines()]
    assert len(lines) == 2
    for line in lines:
        parsed(line)
