"""`hf-fourier coverage`: looked up, and checked now."""

from __future__ import annotations

import json

from tools.coverage.pairs import pairs


def test_one_architecture_checked_now(run) -> None:
    done = run("coverage", "vit", "--run", "--json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["pairs"]
    assert (told["task"], told["model_type"], told["status"]) == ("image-classification", "vit", "works")


def test_looked_up(run) -> None:
    import transformers

    done = run("coverage", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    if told["transformers"] == transformers.__version__:
        assert {(one["task"], one["model_type"]) for one in told["pairs"]} == {(p.task, p.model_type) for p in pairs()}
    one = run("coverage", "bart")
    assert "ids are read a second way" in " ".join(one.output.split())
    assert "text-classification" in run("coverage").output


def test_what_is_not_known_is_one_message(run) -> None:
    for arguments in (("coverage", "no-such"), ("coverage", "no-such", "--run"), ("coverage", "--run")):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "Traceback" not in done.output
