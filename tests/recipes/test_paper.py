"""The papers' experiments: every table and figure is accounted for, the page is what the numbers make, and they run."""

import importlib
import json
import math
import pkgutil
import re

import pytest
import torch

import recipes.paper
from recipes.paper.__main__ import SHARED, main
from recipes.paper.base import EXPERIMENTS
from recipes.paper.page import RESULTS, anchor, page, published

for module in pkgutil.iter_modules(recipes.paper.__path__):
    if module.name not in SHARED:
        importlib.import_module(f"recipes.paper.{module.name}")


def test_every_experiment_stands_for_what_is_published():
    for name, one in EXPERIMENTS.items():
        assert one.items, name
        assert set(one.items) <= set(published()), name


def test_everything_published_has_an_experiment_or_says_why_not():
    covered = {item for one in EXPERIMENTS.values() for item in one.items}
    for item, about in published().items():
        assert about["shows"]
        assert item in covered or about.get("status"), item


def test_published_curves_are_consistent():
    """What was copied adds up: a row's ten points are its sum, and least minus most is its AUC."""
    for item in ("FFC Figure 5a", "FFC Figure 5b", "FFC Figure 5c", "FFC Figure 5d"):
        (rows,) = published()[item]["tables"].values()
        for row in rows:
            points = [value for title, value in row.items() if re.fullmatch(r"0\.\d", title)]
            assert len(points) == 10
            assert math.isclose(sum(points), row["sum"], abs_tol=2e-3), (item, row["method"])
        for least, most in zip(rows[::2], rows[1::2], strict=True):
            assert (least["direction"], most["direction"]) == ("least first", "most first")
            assert math.isclose(least["sum"] - most["sum"], least["AUC"], abs_tol=2e-3), (item, least["method"])


def test_page_is_what_the_kept_numbers_make(root):
    assert (root / "docs/reproduction.md").read_text() == page(RESULTS)


def test_page_names_everything_and_its_links_lead_to_a_heading(root):
    text = page(RESULTS)
    headings = {anchor(title) for title in re.findall(r"^## (.*)$", text, re.M)}
    for item in published():
        assert f"| {item} |" in text
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= headings


@pytest.mark.parametrize("name", ["freqx_privacy", "ground_truth", "swap", "wam_minimal"])
def test_experiment_runs_and_keeps_its_numbers(name, asset, tmp_path, monkeypatch, capsys):
    for needed in ("fashion-vit", "fashion-mnist", "spam-emails"):
        asset(needed)
    monkeypatch.setattr("sys.argv", ["paper", name, "--small", "--folder", str(tmp_path)])
    assert main() == 0
    numbers = json.loads((tmp_path / f"{name}.json").read_text())
    assert numbers["tables"]
    assert all(rows for rows in numbers["tables"].values())
    assert EXPERIMENTS[name].title in capsys.readouterr().out


def test_a_spectrum_with_its_phase_gives_the_example_away(asset):
    from recipes.paper.freqx import likest, phases

    x = torch.randn(3, 57, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(x, norm="ortho")
    assert likest(torch.fft.irfft(spectrum, n=57, norm="ortho"), x) > 0.999
    assert likest(phases(spectrum[0].abs(), 57, 20)[None], x[:1]) < 0.999


def test_unknown_experiments_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["paper", "nothing"])
    with pytest.raises(SystemExit):
        main()
    assert "no experiment nothing" in capsys.readouterr().err
