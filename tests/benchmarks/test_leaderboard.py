"""The leaderboard: its page holds what its cells say, a run goes on where it stopped, and your own method enters."""

import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks import leaderboard
from benchmarks.leaderboard import board, cells
from benchmarks.leaderboard.cells import COLUMNS, Bench, Size, passes_over, valid
from benchmarks.planted.subjects import Subject
from hf_fourier.errors import MissingExtraError, SpecError
from hf_fourier.methods import METHODS
from tests.benchmarks.own_method import source_of

NUMBERS = dict.fromkeys(COLUMNS, 0.5)


def cell(method, model="a", n=4, **changes):
    return {"model": model, "method": method, "n": n, **NUMBERS, **changes}


def test_the_page_holds_what_the_cells_say(root):
    kept = board.read(root / "docs/leaderboard.csv")
    page = (root / "docs/leaderboard.md").read_text()
    for name, block in board.blocks(kept).items():
        assert board.START.format(name) + block + "\n" + board.END.format(name) in page


def test_every_method_stands_on_every_model_with_numbers_or_a_reason(root):
    kept = {(one["model"], one["method"]): one for one in board.read(root / "docs/leaderboard.csv")}
    models = {model for model, _ in kept}
    assert len(models) >= 5
    assert models <= {subject.name for subject in valid(root / "docs/planted.md")}
    names = {*METHODS, *METHODS.missing}
    missing = [(model, name) for model in sorted(models) for name in sorted(names) if (model, name) not in kept]
    assert not missing
    assert all(one.get("reason") or one["n"] > 0 for one in kept.values())


def test_the_best_stands_first_with_means_over_models():
    found = [cell("b", first=0.25), cell("a", first=1.0), cell("a", model="z", n=2, first=0.5), cell("c", first=0.5)]
    found += [cell("b", model="z", first=0.25), cell("c", model="z", first=0.5)]
    rows = board.by_method(found)
    assert [row["method"] for row in rows] == ["a", "c", "b"]
    assert (rows[0]["models"], rows[0]["examples"]) == (2, 6)
    assert rows[0]["first"].startswith("0.750 [")
    assert rows[0]["mean"] == pytest.approx((0.5 + 0.75 + 0.5 + 0.5) / 4)
    ((name, table), _) = board.by_model(found)
    assert name == "a"
    assert [row["method"] for row in table] == ["a", "c", "b"]


def test_a_method_that_lacks_a_model_stands_below_those_that_ran_on_all():
    found = [cell("a", first=0.1), cell("a", model="z", first=0.1), cell("easy", first=1.0)]
    found += [{"model": "z", "method": "easy", "reason": "slow"}, cell("worse", first=0.0)]
    assert [(row["method"], row["models"]) for row in board.by_method(found)] == [("a", 2), ("easy", 1), ("worse", 1)]


def test_intervals_draw_the_variants_of_one_network_together():
    variants = [cell("a", model=f"vit-{kind}", first=value) for kind, value in (("x", 0.0), ("y", 1.0))]
    (row,) = board.by_method(variants)
    assert row["first"] == "0.500 [0.500, 0.500]"
    (row,) = board.by_method([*variants, cell("a", model="wav-x", first=1.0)])
    assert row["first"] == "0.667 [0.500, 1.000]"


def test_what_the_model_says_to_whole_inputs_without_evidence_enters_each_cell(tmp_path, monkeypatch):
    bench = Bench(Subject("fashion-vit", "phase"), Size(24, 2), tmp_path)
    said = [SimpleNamespace(target=label) for label in (1, 0, 3, 3)]
    monkeypatch.setattr(Bench, "_ranked_noise", said)
    monkeypatch.setattr(Bench, "wrong", [1, 2, 3, 4])
    numbers = {name: value for name, value in NUMBERS.items() if name != "whole"}
    monkeypatch.setattr(Bench, "_asked", lambda bench, method, n: {"n": n, **numbers})
    assert bench.cell("fampe")["whole"] == 0.5  # of the first two
    assert bench.cell("saliency")["whole"] == 0.5
    assert Bench(bench.subject, bench.size, tmp_path).whole == [1, 0, 1, 0]
    (row,) = board.by_method([cell("a", whole=0.25), cell("a", model="z", whole=0.75)])
    assert row["whole"] == 0.5


def test_a_method_that_cannot_run_stands_with_its_reason():
    found = [cell("a"), cell("a", model="z"), {"model": "a", "method": "x", "reason": "no layer"}]
    found += [{"model": "z", "method": "x", "reason": "no layer"}, {"model": "z", "method": "y", "reason": "slow"}]
    assert board.reasons(found) == ["- `x` on all: no layer", "- `y` on z: slow"]
    assert [row["method"] for row in board.by_method(found)] == ["a"]


def test_cells_come_back_from_the_file(tmp_path):
    found = [cell("a", seconds=0.1234), {"model": "z", "method": "x", "reason": "no, a layer"}]
    board.write(tmp_path / "cells.csv", found)
    assert board.read(tmp_path / "cells.csv") == found
    assert board.read(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("1 + 0, and 1 + 0 per feature", 101),
        ("9 + 0 per feature, about", 900),
        ("2^K + 0 for K features up to 10, then 32 + 0 per feature", 3200),
        ("1 + 1, and 17 per layer", 19),
        ("1 + 0, and up to 1024 + 0", 1025),
    ],
)
def test_the_passes_of_a_text_over_a_hundred_features(text, passes):
    assert passes_over(text, 100) == passes
    assert passes_over("2^K + 0 for K features up to 10, then 32 + 0 per feature", 8) == 256


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    asked = []

    def measured(bench, method):
        asked.append(method)
        return cell(method)

    monkeypatch.setattr(Bench, "_measured", measured)
    bench = Bench(Subject("fashion-vit", "phase"), Size(), tmp_path)
    first, left = leaderboard.measured([bench], ["magnitude", "tracking:kappa=0"], 0)
    assert (first, left, asked) == ([], 2, [])
    bench.cell("magnitude")
    second, left = leaderboard.measured([bench], ["magnitude", "tracking:kappa=0"], 1)
    assert ([one["method"] for one in second], left) == (["magnitude", "tracking:kappa=0"], 0)
    assert asked == ["magnitude", "tracking:kappa=0"]


def test_a_missing_library_is_no_reason_to_keep(tmp_path, monkeypatch, capsys):
    def absent(bench, method, n):
        raise MissingExtraError("zennit", "peers", "LRP")

    monkeypatch.setattr(Bench, "_asked", absent)
    bench = Bench(Subject("fashion-vit", "phase"), Size(), tmp_path)
    assert leaderboard.measured([bench], ["saliency"], 1) == ([], 0)
    assert "saliency is not measured" in capsys.readouterr().err
    monkeypatch.setattr(Bench, "_asked", lambda bench, method, n: {"n": n, **NUMBERS})
    ((found,), _) = leaderboard.measured([bench], ["saliency"], 1)
    assert found["n"] == 24


def test_again_measures_what_is_kept(tmp_path, monkeypatch):
    bench = Bench(Subject("fashion-vit", "phase"), Size(), tmp_path)
    for n in (4, 5):
        monkeypatch.setattr(Bench, "_measured", lambda bench, method, n=n: cell(method, n=n))
        ((found,), _) = leaderboard.measured([bench], ["saliency"], 1, again=True)
        assert found["n"] == n
    ((found,), _) = leaderboard.measured([bench], ["saliency"], 1)
    assert found["n"] == 5


def test_a_page_keeps_what_was_not_measured(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(board.START.format("methods") + board.END.format("methods"))
    first, second = [subject.name for subject in valid(leaderboard.PLANTED)][:2]
    board.write(page.with_suffix(".csv"), [cell("saliency", first), cell("saliency", second), cell("wam", second)])
    monkeypatch.setattr(Bench, "_measured", lambda bench, method: cell(method, bench.subject.name, n=9))
    monkeypatch.setattr(leaderboard, "methods", lambda: ["saliency"])
    leaderboard.main(["--page", str(page), "--models", second, "--folder", str(tmp_path / "kept")])
    found = {(one["model"], one["method"]): one["n"] for one in board.read(page.with_suffix(".csv"))}
    assert found == {(first, "saliency"): 4, (second, "saliency"): 9, (second, "wam"): 4}
    leaderboard.main(["--page", str(page), "--minutes", "0", "--folder", str(tmp_path / "none")])
    assert len(board.read(page.with_suffix(".csv"))) == 3
    assert "| saliency | 2 | 13 |" in page.read_text()


def test_a_refusal_is_kept_as_a_reason_and_dear_methods_get_fewer_examples(tmp_path, monkeypatch):
    counts = {}

    def asked(bench, method, n):
        counts[method] = n
        if method == "saliency":
            raise SpecError("this", "that", "do so")
        return {"n": n, **NUMBERS}

    monkeypatch.setattr(Bench, "_asked", asked)
    monkeypatch.setattr(Bench, "features", 5000)
    bench = Bench(Subject("fashion-vit", "phase"), Size(24, 8), tmp_path)
    assert bench.cell("saliency")["reason"] == "got this; expected that; do so"
    assert "limit" in bench.cell("occlusion")["reason"]
    bench.cell("fampe")
    bench.cell("tracking")
    assert counts == {"saliency": 24, "fampe": 8, "tracking": 24}


def test_what_holds_no_evidence_has_the_same_power_or_the_same_tokens():
    x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    made = cells.without_evidence(x, 1)
    assert not torch.allclose(made, x, atol=0.1)
    torch.testing.assert_close(torch.fft.rfft(made).abs(), torch.fft.rfft(x).abs(), rtol=1e-4, atol=1e-4)
    tokens = torch.arange(40).reshape(2, 20)
    shuffled = cells.without_evidence(tokens, 1)
    assert not torch.equal(shuffled, tokens)
    assert torch.equal(shuffled.sort(1).values, tokens)


MINE = source_of("mine_of_a_test")


def test_a_method_of_ones_own_in_one_line_beside_the_published_ones(tmp_path, monkeypatch, root, capsys):
    monkeypatch.chdir(root)
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.setattr(Bench, "_measured", lambda bench, method: cell(method, bench.subject.name))
    line = ["--load", str(tmp_path / "mine.py"), "--methods", "mine_of_a_test", "--folder", str(tmp_path / "kept")]
    try:
        leaderboard.main(line)
    finally:
        METHODS.remove("mine_of_a_test")
    printed = capsys.readouterr().out
    assert "| mine_of_a_test | 10 |" in printed
    assert "| tracking | " in printed
    assert json.loads(next((tmp_path / "kept").rglob("*mine*.json")).read_text())["method"] == "mine_of_a_test"


def test_a_changed_method_of_ones_own_is_measured_again(tmp_path, monkeypatch, root, capsys):
    monkeypatch.chdir(root)
    file, asked = tmp_path / "mine.py", []

    def measured(bench, method):
        asked.append(method)
        return cell(method, bench.subject.name)

    monkeypatch.setattr(Bench, "_measured", measured)
    line = ["--load", str(file), "--methods", "mine_of_a_test", "--folder", str(tmp_path / "kept")]
    counts = []
    for text in (MINE, MINE, MINE.replace("basis.forward(x)", "basis.forward(-x)")):
        file.write_text(text)
        try:
            leaderboard.main([*line, "--models", "fashion-vit-phase"])
        finally:
            METHODS.remove("mine_of_a_test")
        counts.append(len(asked))
    assert counts == [1, 1, 2]


def test_valid_models_are_those_whose_gate_passes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("| model | valid |\n|---|---|\n| fashion-vit-phase | True |\n| fashion-vit-first | False |\n")
    assert [subject.name for subject in cells.valid(page)] == ["fashion-vit-phase"]
