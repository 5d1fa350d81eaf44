"""Reports that earlier versions wrote are read for ever. `saved/1` was written by 0.1.0 from what `written` makes.

A new format gets a folder of its own; those that are here are never written again.
"""

from pathlib import Path

import pytest
import torch

from hf_fourier import Report
from hf_fourier.report import wording
from hf_fourier.report.example_record import ExampleRecord
from hf_fourier.report.hub import repository
from tests.report.sample_results import PLAYED, picture, text
from tests.report.test_report import EVALUATION, SANITY

SAVED = Path(__file__).parent / "saved"


def written():
    """A report as it was when format 1 was."""
    results = [picture(6, 5, played=PLAYED, label="cup", extras={"scale_importance": torch.tensor([0.5, 0.25])}),
               text(("good", "coffee", "##s"), played=PLAYED, gradient=False, label="praise", target=1)]  # fmt: skip
    for result, task in zip(results, ("image-classification", "text-classification"), strict=True):
        result.provenance["task"] = task
    return Report(results, EVALUATION, SANITY, title="Two examples", names=["cup.png", "a text"])


@pytest.mark.parametrize("kind", ["inputs", "shared"])
def test_a_report_of_format_1_is_read_shown_and_saved_again(kind, tmp_path):
    report = Report.load(SAVED / "1" / kind)
    assert report.title == "Two examples"
    assert [(one.label, one.method, one.domain, one.confidence) for one in report.records] == [
        ("cup", "ffc", "fourier", 0.95), ("praise", "ffc", "fourier", 0.95)]  # fmt: skip
    assert report.records[0].least_fraction == 0.1
    assert report.records[0].extras["scale_importance"] == [0.5, 0.25]
    assert report.records[0].bands.power[0] == pytest.approx(0.0305, abs=0.02)
    assert report.records[1].curve.at("delete", 0.04).confidence == 0.22
    assert report.evaluation.of("ffc").values["dig"][0] == 0.3
    assert report.sanity[0].of("fresh weights").passed
    assert {one.label: one.examples for one in report.classes} == {"cup": 1, "praise": 1}
    assert set(report.tables()) == {"examples", "curves", "bands", "classes", "evaluation", "sanity"}
    again = Report.load(report.save(tmp_path / "r", include_inputs=kind == "inputs", figures=False))
    assert again.records == report.records


def test_inputs_of_format_1_are_those_that_were_written():
    report, own = Report.load(SAVED / "1" / "inputs"), written()
    assert report.names == own.names
    for result, made in zip(report.results, own.results, strict=True):
        assert torch.equal(result.signal, made.signal)
        assert torch.equal(result.mask(0.1), made.mask(0.1))
    assert list(report.results[1].names) == ["good", "coffee", "##s"]


def test_a_pulled_report_of_format_1_has_its_shapes_checked(tmp_path):
    sizes = {
        str(p.relative_to(SAVED / "1" / "inputs")): p.stat().st_size for p in (SAVED / "1" / "inputs").rglob("*.*")
    }
    repository._check_size(SAVED / "1" / "inputs", sizes)


def test_passes_of_format_1_are_counted():
    values = {**written().records[0].to_dict()}
    values["provenance"] = {**values["provenance"], "passes": {"forward": 1, "backward": 1, "played": 10, "asked": 3}}
    record = ExampleRecord.from_dict(values)
    (words, *_) = wording.cost_lines([record])
    assert "10 forward to perturb" in words
    assert "3 to evaluate" in words
