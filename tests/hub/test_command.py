"""`hf-fourier push` in a process of its own, against a Hub on this machine."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from hf_fourier.cli.help_text import EXAMPLES
from tests.hub import reports
from tests.hub.fake_hub.repositories import Repo
from tests.hub.fake_hub.requests import environment


@pytest.fixture
def command(hub, saved, tmp_path):
    """Runs `hf-fourier push REPORT …`; returns exit code, standard output and standard error."""

    def run(*words, token="hf_good"):
        code = "import time; time.sleep = lambda s: None\nfrom hf_fourier.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "push", str(saved), *words], cwd=tmp_path, capture_output=True, text=True,
            env={**environment(hub.address, tmp_path, token), "COLUMNS": "200"},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_push_and_say_where_it_is(hub, command):
    code, said, _ = command(*shlex.split(EXAMPLES["push"][1])[3:])
    assert code == 0
    assert f"without inputs, for only you and those with access: {hub.address}/datasets/ada/cups" in said
    assert hub.repo("ada/cups", "dataset").private


def test_as_json_a_public_space_and_a_pull_request(hub, command):
    hub.add(Repo("model", reports.MODEL))
    code, said, errors = command("ada/page", "--space", "--public", "--model-card", reports.MODEL, "--json")
    assert code == 0, errors
    found = json.loads(said)
    assert found["url"] == f"{hub.address}/spaces/ada/page"
    assert found["commit"] == hub.repo("ada/page", "space").head
    assert found["pull_request"] == f"{hub.address}/{reports.MODEL}/discussions/1"
    assert not found["private"]


def test_a_dry_run_asks_nobody(hub, command):
    code, said, _ = command("ada/cups", "--dry-run", "--json", "--model-card", reports.MODEL, token=None)
    assert code == 0
    found = json.loads(said)
    assert not hub.asked
    assert found["files"]["report.json"] > 1000
    assert "What you may conclude" in found["section"]
    assert not any(name.startswith("results/") for name in found["files"])


@pytest.mark.parametrize(
    ("words", "token", "code", "told"),
    [
        (["ada/cups"], None, 1, "got no token"),
        ([], "hf_good", 2, "got no repository"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(hub, command, words, token, code, told):
    came, said, errors = command(*words, token=token)
    assert came == code
    assert said == ""
    assert told in errors.splitlines()[-1]
    assert "Traceback" not in errors
