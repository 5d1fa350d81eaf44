"""The cards of the recipes are what the command makes of the facts beside them, and the Hub takes them."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import ModelCard

from hf_fourier import Report
from hf_fourier.errors import InputError
from hf_fourier.report.hub.markdown import FOLDER
from tests.hub import reports
from tests.hub.metadata import judged
from tools import model_cards


@pytest.fixture(scope="module")
def there(request):
    root = request.config.rootpath
    return {path.relative_to(root): path for path in (root / "model_cards").rglob("*") if path.is_file()}


def test_all_that_lies_there_is_what_the_command_makes(root, there):
    made = model_cards.made(root / "model_cards")
    assert len(made) > len(model_cards.USED)
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"run python -m tools.model_cards for {path.name}"
    facts = {path.with_suffix(".json") for path in made if path.parent.name == "model_cards"} - {
        root / "model_cards" / "README.json"
    }
    assert set(there.values()) == {*made, *facts}


def test_each_card_is_of_a_recipe_and_valid(root):
    recipes = {path.stem for path in (root / "recipes").glob("*.py")} - {"options"}
    listed = (root / "model_cards/README.md").read_text(encoding="utf-8")
    for path in (root / "model_cards").glob("*.json"):
        assert path.stem in recipes
        assert f"({path.stem}.md)" in listed
        text = path.with_suffix(".md").read_text(encoding="utf-8")
        assert judged(text, "model") == ([], [])
        card, facts = ModelCard(text), model_cards.Recorded.read(path).facts
        assert bool(card.data.eval_results) == any(not one.control for one in facts.card_rows())
        for result in card.data.eval_results or ():
            assert result.metric_args["tool"].startswith("hf_fourier")
        assert "What you may conclude, and what not" in text
        if facts.measured and facts.groups < 30:
            assert "anecdotal and no claim is made" in text


def test_the_templates_are_the_librarys(root):
    for name in model_cards.USED:
        assert (root / "model_cards/templates" / name).read_text() == (FOLDER / name).read_text()


def test_a_report_is_taken_and_rendered(root, tmp_path, monkeypatch):
    folder = Report(reports.pictures(), reports.EVALUATION, reports.SANITY).save(tmp_path / "r")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/cups.py").write_text('"""Is it a cup?\n\nSo. Offline, MODEL is a toy\nof two cups.\n"""\n')
    model_cards.main([f"cups={folder}"])
    text = (tmp_path / "model_cards/cups.md").read_text(encoding="utf-8")
    assert "Is it a cup?\n\nOffline, MODEL is a toy of two cups." in text
    assert "| DIG | ffc | fourier | 0.300 [0.300, 0.300] | +0.200 [0.200, 0.200] | more |" in text
    assert [one.metric_type for one in ModelCard(text).data.eval_results] == ["maintain_rate", "selectivity", "dig"]
    values = json.loads((tmp_path / "model_cards/cups.json").read_text())
    values["facts"]["title"] = "Another"
    before = text
    model_cards.main([])
    assert (tmp_path / "model_cards/cups.md").read_text(encoding="utf-8") == before
    with pytest.raises(InputError, match="the recipe 'mugs'"):
        model_cards.main([f"mugs={folder}"])
    bare = Report(reports.pictures()).save(tmp_path / "bare")
    with pytest.raises(InputError, match="without an evaluation"):
        model_cards.main([f"cups={bare}"])
    with pytest.raises(SystemExit):
        model_cards.main(["cups"])
