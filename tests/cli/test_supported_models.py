"""`hf-fourier models`."""

from __future__ import annotations

import json

from tools.coverage.pairs import pairs


def test_looked_up(run) -> None:
    import transformers

    done = run("models", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    if told["transformers"] == transformers.__version__:
        assert {(one["task"], one["model_type"]) for one in told["pairs"]} == {(p.task, p.model_type) for p in pairs()}
    one = run("models", "bart")
    assert "ids are also read outside the embedding" in " ".join(one.output.split())
    assert "text-classification" in run("models").output


def test_what_is_not_known_is_one_message(run) -> None:
    for arguments in (("models", "no-such"), ("models", "bert", "--task", "no-such")):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "Traceback" not in done.output
