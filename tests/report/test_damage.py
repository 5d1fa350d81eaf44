"""A damaged report is not believed: changed bytes, results that were swapped, values of no schema."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from hf_fourier import Report
from hf_fourier.errors import DamagedFile, FourierError, InputError
from tests.damage import changed_bytes, malformed
from tests.report.sample_results import PLAYED, waveform
from tests.report.test_report import EVALUATION, SANITY, classified

VALUES = "report.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with its inputs."""
    report = Report([classified(), classified(label="cup")], EVALUATION, SANITY, names=["a.png", "b.png"])
    return report.save(tmp_path_factory.mktemp("saved") / "report", include_inputs=True, figures=False)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "report"))


def test_every_changed_byte_is_noticed(folder: Path, tmp_path: Path) -> None:
    shared = Report.load(folder).save(tmp_path / "shared", figures=False)
    for path, sample in ((shared / VALUES, 800), (folder / VALUES, 100),
                         (folder / "results" / "0001" / "attribution.json", 40),
                         (folder / "results" / "0002" / "attribution.safetensors", 40)):  # fmt: skip
        top = shared if path.is_relative_to(shared) else folder
        for place in changed_bytes(path, sample):
            with pytest.raises(DamagedFile, match=path.name) as caught:
                Report.load(top)
            assert caught.value.path == path, place
        Report.load(top)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A report with figures and sounds."""
    return Report([waveform(played=PLAYED)], EVALUATION, SANITY).save(tmp_path / "drawn", include_inputs=True)


def test_every_changed_byte_of_page_tables_figures_and_sounds_is_noticed(drawn: Path) -> None:
    others = [path for path in drawn.rglob("*") if path.is_file() and "results" not in path.parts]
    assert {path.suffix for path in others} >= {".html", ".parquet", ".png", ".wav", ".json"}
    for path in others:
        for place in changed_bytes(path, 10):
            with pytest.raises(DamagedFile, match=path.name) as caught:
                Report.load(drawn)
            assert caught.value.path == path, place
        assert Report.load(drawn).records


def test_a_report_is_read_without_a_file_that_is_damaged(drawn: Path) -> None:
    page = drawn / "index.html"
    page.write_bytes(page.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match="delete it"):
        Report.load(drawn)
    page.unlink()
    again = Report.load(drawn)
    again.save(drawn, include_inputs=True, figures=False)
    assert page.is_file()
    assert len(Report.load(drawn).results) == 1


def test_results_that_were_swapped_or_lost_are_noticed(folder: Path) -> None:
    first, second = folder / "results" / "0001", folder / "results" / "0002"
    first.rename(folder / "results" / "0003")
    with pytest.raises(DamagedFile, match="not the result that the report was saved with"):
        Report.load(folder)
    shutil.rmtree(second)
    with pytest.raises(DamagedFile, match="1 results lie in results/, not the 2"):
        Report.load(folder)


@pytest.mark.parametrize("inputs", [True, False])
def test_no_values_raise_a_bare_error(folder: Path, inputs: bool) -> None:
    """Without a digest, as earlier versions wrote them; what is read can be shown."""
    values = json.loads((folder / VALUES).read_text())
    values = {name: value for name, value in values.items() if not name.startswith("digest") and name != "results"}
    values["inputs"], refused = inputs, 0
    shutil.rmtree(folder / "results")
    for other in malformed(values, random.Random(1), 400):
        (folder / VALUES).write_text(json.dumps(other))
        try:
            report = Report.load(folder)
        except FourierError:
            refused += 1
        else:
            report.tables()
    assert refused > 100
    for text in ("", "[]", "{", '{"format": 99}', '{"format": "x"}', '{"format": 1}', "[" * 100_000):
        (folder / VALUES).write_text(text)
        with pytest.raises((DamagedFile, InputError)):
            Report.load(folder)


def test_a_report_that_was_killed_while_it_was_saved_is_saved_again(folder: Path) -> None:
    report = Report.load(folder)
    (folder / VALUES).rename(folder / f"{VALUES}.part")
    with pytest.raises(InputError, match=r"a folder with report\.json"):
        Report.load(folder)
    report.save(folder, figures=False)
    assert sorted(path.name for path in folder.iterdir()) == ["data", "index.html", VALUES]


def test_half_characters_stop_no_report(tmp_path: Path) -> None:
    def broken(**more: Any) -> Any:
        return classified(label="caf\udce9", **more)

    report = Report([broken(), broken()], EVALUATION, SANITY, title="of \ud800", names=["\udcff.png", "b"])
    for inputs in (True, False):
        again = Report.load(report.save(tmp_path / f"{inputs}", include_inputs=inputs, figures=False))
        assert again.title == ("of \\ud800" if inputs else "Frequency explanations of toy")
        assert {record.label for record in again.records} == {"caf\\udce9"}
    report.html(tmp_path / "page.html", include_inputs=True)
    assert "\\udcff.png" in report.to_csv(tmp_path / "csv", include_inputs=True)["examples"].read_text(encoding="utf-8")
