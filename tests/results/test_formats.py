"""What 0.1 stored is read under today's names: results, runs, curves. `saved/1` is never written again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from hf_fourier import Attribution
from hf_fourier.results import formats
from hf_fourier.runs import Results
from tests.runs.sample_results import PLAY, explainer, texts

SAVED = Path(__file__).parent / "saved" / "1"


def test_a_result_of_format_1() -> None:
    old = Attribution.load(SAVED / "attribution")
    explain = explainer()
    new = explain.explain(texts()[0], method="integrated_gradients:steps=2")
    explain.perturb(new, PLAY)
    for name in ("scores", "signal", "gradient"):
        torch.testing.assert_close(getattr(old, name), getattr(new, name), rtol=1e-4, atol=1e-6)
    assert torch.equal(old.frozen_target, new.frozen_target)
    assert (old.target, old.label, old.key, old.agreement) == (new.target, new.label, new.key, new.agreement)
    assert old.completeness_error == pytest.approx(new.completeness_error, abs=1e-5)
    assert [name for name, _ in old.top_predictions] == [name for name, _ in new.top_predictions]
    assert old.provenance["passes"] == new.provenance["passes"]
    points = [(p.mode, p.fraction, p.actual_fraction, p.agreement, p.predicted_class) for p in old.curve.points]
    assert points == [(p.mode, p.fraction, p.actual_fraction, p.agreement, p.predicted_class) for p in new.curve.points]
    assert old.input_relevance().description == new.input_relevance(0.04, kind="gradient").description
    assert old.contributions is None
    assert new.contributions is not None


def test_a_run_of_format_1_is_read_and_goes_on(tmp_path: Path) -> None:
    shutil.copytree(SAVED / "run", tmp_path / "run")
    old = Results(tmp_path / "run")
    assert (len(old), old.finished) == (6, True)
    explain = explainer()
    for result, text in zip(old, texts()[:6], strict=True):
        new = explain.explain(text, method="gradient_input")
        torch.testing.assert_close(result.scores, new.scores, rtol=1e-4, atol=1e-6)
        assert [point.fraction for point in result.curve.of("keep")] == list(PLAY)
        assert result.provenance["passes"]["perturbed"] == 2 * len(PLAY)
    again = explain.explain_dataset(
        texts()[:6], tmp_path / "run", fractions=PLAY, method="gradient_input", progress=False
    )
    assert len(again) == 6
    rows = list(old.rows(3))
    assert {"agreement", "completeness_error"} <= set(rows[0])
    assert {"mode", "fraction", "actual_fraction"} <= set(rows[0]["curve"][0])


def test_top_features_of_format_1() -> None:
    (row, *_) = Results(SAVED / "top").rows(3)
    assert len(row["top_feature"]) == 3
    assert row["top_where"][0].startswith("frequency")


def test_new_files_have_no_old_names(tmp_path: Path) -> None:
    result = explainer().explain(texts()[0])
    folder = explainer().perturb(result, PLAY).save(tmp_path / "a")
    values = json.loads((folder / "attribution.json").read_text())
    assert not set(formats.ATTRIBUTION) & set(values)
    assert not set(formats.POINT) & set(values["curve"]["points"][0])


def test_renaming_leaves_todays_names_alone() -> None:
    values = {"signal": 1, "source.sound": 2, "raw_input.mel": 3, "other": 4}
    expected = {"signal": 1, "raw_input.sound": 2, "raw_input.mel": 3, "other": 4}
    assert formats.renamed(values, formats.TENSORS) == expected
    assert formats.renamed(expected, formats.TENSORS) == expected


def test_settings_and_records_of_format_1() -> None:
    before = {"target": "Contrast(target=At(position=1, label='a'), other=Span(0, 2))", "play": None, "leaf": None}
    now = {"target": "Contrast(target=Position(position=1, label='a'), other=AnswerSpan(0, 2))"}
    assert formats.settings(before) == {**now, "fractions": None, "signal": None}
    assert formats.settings({**now, "fractions": 1})["target"] == now["target"]
    assert formats.settings({"target": 3}) == {"target": 3}
    provenance = {"leaf": "tokens", "passes": {"forward": 1, "played": 10, "asked": 3}}
    for read, name in ((formats.record, "gap"), (formats.attribution, "leaf")):
        found = read({name: 0, "provenance": provenance})["provenance"]
        assert found == {"signal": "tokens", "passes": {"forward": 1, "perturbed": 10, "evaluated": 3}}
    assert formats.attribution({"provenance": {"leaf": "tokens"}})["provenance"] == {"signal": "tokens"}
