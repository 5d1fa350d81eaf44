"""A report comes back as it was saved, in both kinds, and refuses what it cannot be."""

import json

import pytest

from hf_fourier import Attribution, Report
from hf_fourier.errors import InputError
from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.results import integrity
from tests.report.sample_results import PLAYED, picture


def classified(**others):
    made = picture(played=PLAYED, **others)
    made.provenance["task"] = "image-classification"
    return made


EVALUATION = Evaluation(
    "toy", [MethodResult("magnitude", "fourier", True, (1, 0), {"dig": [0.1, 0.2]}),
            MethodResult("ffc", "fourier", False, (1, 1), {"dig": [0.3, float("nan")]})],
    ["patient-7.png", "patient-9.png"], {"dig": 1}, [("wam", "fourier", "has no scales")], ["told"],
)  # fmt: skip
SANITY = SanityResult(
    "toy", "ffc", "fourier", "softmax", ["patient-7.png"],
    [Check("fresh weights", True, "changes", "share", 0.2, (0.1, 0.3), "below .5", 4), Check("seeds", None, "n/a")],
)  # fmt: skip


@pytest.fixture
def report():
    return Report([classified(), classified(label="cup")], EVALUATION, SANITY, names=["a.png", "b.png"])


def test_a_report_with_inputs_gives_back_results_and_all_else(report, tmp_path):
    again = Report.load(report.save(tmp_path / "r", include_inputs=True, figures=False))
    assert again.names == ("a.png", "b.png")
    assert again.records == report.records
    assert (again.results[1].signal == report.results[1].signal).all()
    assert str(again.evaluation) == str(EVALUATION)
    assert str(again.sanity[0]) == str(SANITY)
    assert again.title == report.title


def test_a_report_without_inputs_gives_back_records_and_the_same_tables(report, tmp_path):
    again = Report.load(report.save(tmp_path / "r", figures=False))
    assert again.results == ()
    assert not again.has_inputs
    assert again.records == report.records
    assert again.classes == report.classes
    tables = report.tables()
    assert {name: str(table) for name, table in again.tables().items()} == {n: str(t) for n, t in tables.items()}
    once_more = Report.load(again.save(tmp_path / "s", figures=False))
    assert once_more.records == report.records


def test_saving_without_inputs_over_a_report_with_them_signals_none_behind(report, tmp_path):
    report.save(tmp_path / "r", include_inputs=True, figures=False)
    assert list((tmp_path / "r").rglob("*.safetensors"))
    report.save(tmp_path / "r", figures=False)
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names <= {"report.json", "index.html", "data", "figures"}


def test_a_folder_that_holds_something_else_is_left_alone(report, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        report.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_what_cannot_be_a_report_is_refused(report, tmp_path):
    with pytest.raises(InputError, match="nothing to report"):
        Report([])
    other = classified()
    other.provenance["model"] = "another"
    with pytest.raises(InputError, match="2 models"):
        Report([classified(), other])
    with pytest.raises(InputError, match="1 names for 2"):
        Report([classified(), classified()], names=["a"])
    compact = Attribution.load(classified().save(tmp_path / "c", compact=True))
    with pytest.raises(InputError, match="compact"):
        Report([compact]).save(tmp_path / "r", include_inputs=True, figures=False)
    assert not (tmp_path / "r").exists()
    Report([compact]).save(tmp_path / "r", figures=False)


def test_a_newer_format_is_refused(report, tmp_path):
    path = report.save(tmp_path / "r", figures=False) / "report.json"
    values = json.loads(path.read_text())
    newer = {name: value for name, value in values.items() if not name.startswith("digest")}
    path.write_bytes(integrity.sealed({**newer, "format": 99}))
    with pytest.raises(InputError, match="newer hf_fourier"):
        Report.load(tmp_path / "r")


def test_tables_are_written_as_they_are_made(report, tmp_path):
    from pyarrow import parquet

    written, csvs = report.to_parquet(tmp_path / "p"), report.to_csv(tmp_path / "c")
    assert set(written) == {"examples", "curves", "bands", "classes", "evaluation", "sanity"} == set(csvs)
    for name, table in report.tables().items():
        read = parquet.read_table(written[name]).to_pydict()
        assert list(read) == list(table.columns)
        assert len(csvs[name].read_text().splitlines()) == len(table) + 1
    assert parquet.read_table(written["curves"]).to_pydict()["confidence"][:2] == [0.11, 0.22]


def test_a_cell_that_looks_like_a_formula_is_no_formula_in_a_csv_file(tmp_path):
    report = Report([classified(label="=HYPERLINK(1)")])
    assert "'=HYPERLINK(1)" in report.to_csv(tmp_path)["examples"].read_text()


def test_classes_say_how_alike_their_examples_are():
    same, other = [classified() for _ in range(3)], [classified(label="cup") for _ in range(3)]
    own, cup = Report([*same, *other]).classes
    assert (own.examples, own.kept["0.1"], own.specificity) == (3, 1.0, 0.0)
    assert own.concentration > own.chance
    assert cup.confidence == pytest.approx(0.95)


def test_a_number_and_its_per_cent_sign_stay_in_one_line_of_what_was_found():
    page = Report([picture(played=PLAYED)]).html()
    short = page.partition('<section id="short"')[2].partition("</section>")[0]
    assert "4\N{NO-BREAK SPACE}%" in short
    assert " %" not in short


def test_titles_of_curves_are_words():
    page = Report([picture(played=PLAYED)]).html()
    assert "Decisions kept with the top features alone<" in page
    assert "Confidence with the top features alone<" in page
