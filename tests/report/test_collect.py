"""Results are found by folder: single ones, many, runs over data sets, and earlier reports."""

import pytest

from hf_fourier import Report
from hf_fourier.errors import InputError
from hf_fourier.report.collect import collect
from tests.report.sample_results import PLAYED, picture
from tests.report.test_report import EVALUATION, SANITY
from tests.runs.sample_results import explainer, run, texts


def saved(folder, *labels):
    for label in labels:
        picture(played=PLAYED, label=label).save(folder / label)
    return folder


def test_a_result_and_folders_of_results_keep_their_names(tmp_path):
    saved(tmp_path / "many" / "deep", "b", "a")
    found = collect([tmp_path / "many", tmp_path / "many" / "deep" / "a"])
    assert found.names == ["a", "b", "a"]
    assert [result.label for result in found.results] == found.names
    assert collect([tmp_path / "many"], max_examples=1).names == ["a"]
    assert "--max-examples" in collect([tmp_path / "many"], max_examples=1).notes[0]


def test_a_run_gives_its_results_in_the_data_sets_order_and_tells_of_failures(tmp_path):
    explain = explainer()
    data = texts(9)
    results = run([*data[:4], "", *data[4:]], tmp_path / "run", explain)
    found = collect([tmp_path / "run"])
    assert [result.key for result in found.results] == [result.key for result in explain.explain(data)]
    assert "1 examples of the run 'run' failed and are left out" in " ".join(found.notes)
    assert len(collect([tmp_path / "run"], max_examples=3).results) == 3
    report = Report.load(
        Report(found.results, names=found.names).save(tmp_path / "report", include_inputs=True, figures=False)
    )
    assert [one.label for one in report.records] == [result.label for result in results]


def test_a_report_with_inputs_gives_all_it_has_and_one_without_says_so(tmp_path):
    report = Report([picture(played=PLAYED)], EVALUATION, SANITY, names=["x"])
    found = collect([report.save(tmp_path / "r", include_inputs=True, figures=False)])
    assert found.names == ["x"]
    assert str(found.evaluation) == str(EVALUATION)
    assert [str(one) for one in found.sanity] == [str(SANITY)]
    with pytest.raises(InputError, match="no inputs"):
        collect([report.save(tmp_path / "s", figures=False)])


def test_a_folder_without_results_is_named(tmp_path):
    saved(tmp_path / "a", "a")
    with pytest.raises(InputError, match="'empty' without results"):
        collect([tmp_path / "a", tmp_path / "empty"])
