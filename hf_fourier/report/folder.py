"""A report as a folder (`docs/reports.md` gives the layout), written whole, and read back across versions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier import __version__
from hf_fourier.errors import InputError
from hf_fourier.report import privacy
from hf_fourier.report.class_summary import ClassSummary
from hf_fourier.report.content import ContentT, ReportContent, require_inputs
from hf_fourier.report.example_record import ExampleRecord
from hf_fourier.report.html.page import page
from hf_fourier.report.serialization import evaluation_from, evaluation_to, sanity_from, sanity_to
from hf_fourier.report.tables import to_parquet

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution


#: Raised when an older version could not read what is written any more.
FORMAT = 1
VALUES, PAGE = "report.json", "index.html"
RESULTS, SOUNDS, FIGURES, DATA = "results", "sounds", "figures", "data"


def save(
    report: ReportContent, folder: str | PathLike[str], include_inputs: bool = False, figures: bool = True
) -> Path:
    """Write a report; see `Report.save`."""
    if include_inputs:
        require_inputs(report)
    where = _emptied(Path(folder))
    (where / PAGE).write_text(page(report, include_inputs), encoding="utf-8")
    to_parquet(report, where / DATA, include_inputs)
    if figures:
        from hf_fourier.report.figures.overview import save_figures

        save_figures(report, where / FIGURES, include_inputs, endings=(".png",))
    if include_inputs:
        _save_examples(report, where)
    records = report._records(shared=not include_inputs)
    values = {
        "format": FORMAT,
        "hf_fourier": __version__,
        "title": privacy.scrubbed(report.title),
        "inputs": include_inputs,
        "model": privacy.model_of(report.model),
        "names": list(report.names) if include_inputs else [],
        "examples": [one.to_dict() for one in records],
        "classes": [one.to_dict() for one in report._classes(records)],
        "evaluation": None if report.evaluation is None else evaluation_to(report.evaluation, not include_inputs),
        "sanity": [sanity_to(one, not include_inputs) for one in report.sanity],
    }
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    part = where / f"{VALUES}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(where / VALUES)  # last: a folder with it is whole
    return where


def load(folder: str | PathLike[str], cls: type[ContentT]) -> ContentT:
    """Read a report; see `Report.load`."""
    where = Path(folder)
    if not (where / VALUES).is_file():
        raise InputError(f"{where.name!r}", f"a folder with {VALUES}", "pass a folder that `Report.save` wrote")
    values: dict[str, Any] = json.loads((where / VALUES).read_text(encoding="utf-8"))
    if values["format"] > FORMAT:
        raise InputError(f"a report of format {values['format']}", f"at most {FORMAT}", "install a newer hf_fourier")
    evaluation = None if values["evaluation"] is None else evaluation_from(values["evaluation"])
    sanity = [sanity_from(one) for one in values["sanity"]]
    if values["inputs"] and (where / RESULTS).is_dir():
        results = [_result(path) for path in sorted((where / RESULTS).iterdir()) if path.is_dir()]
        return cls(results, evaluation, sanity, values["title"], values["names"] or None)
    records = [ExampleRecord.from_dict(one) for one in values["examples"]]
    classes = [ClassSummary(**one) for one in values["classes"]]
    return cls._of(records, classes, evaluation, sanity, values["title"])


def _save_examples(report: ReportContent, where: Path) -> None:
    """The results, and of sounds WAV files."""
    from hf_fourier.report.audio_files import is_audio, save_clips

    for number, result in enumerate(report.results, 1):
        made = privacy.provenance_of(result, shared=False)
        replace(result, provenance=made).save(where / RESULTS / f"{number:04d}")
        if is_audio(result):
            save_clips(result, where / SOUNDS / f"{number:04d}")


def _result(folder: Path) -> Attribution:
    from hf_fourier.results.attribution import Attribution

    return Attribution.load(folder)


def _emptied(where: Path) -> Path:
    """The folder, without what an earlier report left in it: inputs must not stay behind.

    Raises:
        InputError: If it is a file, or holds something that is no report.
    """
    if where.exists() and not where.is_dir():
        raise InputError(f"the file {where.name!r}", "a folder, or a name that does not exist yet", "choose a folder")
    where.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in where.iterdir()}
    if there and VALUES not in there and not there <= {PAGE, RESULTS, SOUNDS, FIGURES, DATA}:
        got = f"the folder {where.name!r}, which holds {', '.join(sorted(there)[:3])}"
        raise InputError(got, "an empty folder or an earlier report", "choose another")
    (where / VALUES).unlink(missing_ok=True)  # first: what is half written is no report
    (where / PAGE).unlink(missing_ok=True)
    for name in (RESULTS, SOUNDS, FIGURES, DATA):
        shutil.rmtree(where / name, ignore_errors=True)
    return where
