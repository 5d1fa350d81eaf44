"""A report as a folder (`hf-fourier docs reports` gives the layout), written whole, and read back across versions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import InputError
from hf_fourier.report import privacy
from hf_fourier.report.content import ContentT, ReportContent, require_inputs
from hf_fourier.report.html.page import page
from hf_fourier.report.serialization import (
    REPORT,
    class_from,
    evaluation_from,
    evaluation_to,
    record_from,
    sanity_from,
    sanity_to,
)
from hf_fourier.report.spectrum_values import spectrum_from, spectrum_to
from hf_fourier.report.tables import to_parquet
from hf_fourier.results import storage
from hf_fourier.results.atomic_writes import PART, write_whole
from hf_fourier.results.formats import VERSION
from hf_fourier.results.integrity import damaged, file_digest, parsing, read_json, sealed, stated_digest
from hf_fourier.results.schema import check

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution


#: Raised when an older version could not read what is written any more.
FORMAT = 1
VALUES, PAGE = "report.json", "index.html"
_PART = f"{VALUES}{PART}"
RESULTS, SOUNDS, FIGURES, DATA = "results", "sounds", "figures", "data"
_FILE_HINT = (
    f"restore it from a copy; or delete it, call Report.load, which needs {VALUES} and {RESULTS}/ alone, and save the "
    "report again"
)
_HINT = "restore it from a copy, or save the report again; index.html and data/*.parquet are files of their own"


def save(
    report: ReportContent, folder: str | PathLike[str], include_inputs: bool = False, figures: bool = True
) -> Path:
    """Write a report; see `Report.save`."""
    if include_inputs:
        require_inputs(report)
    where = _emptied(Path(folder))
    (where / PAGE).write_text(page(report, include_inputs), encoding="utf-8", errors="backslashreplace")
    to_parquet(report, where / DATA, include_inputs)
    if figures:
        from hf_fourier.report.figures.overview import save_figures

        save_figures(report, where / FIGURES, include_inputs, endings=(".png",))
    if include_inputs:
        _save_examples(report, where)
    found, shared = report.written(include_inputs), not include_inputs
    values = {
        "format": FORMAT,
        "hf_fourier": VERSION,
        "title": found.title,
        "inputs": include_inputs,
        "model": privacy.model_of(found.model),
        "names": list(report.names) if include_inputs else [],
        "examples": [one.to_dict() for one in found.records],
        "classes": [one.to_dict() for one in found.classes],
        "evaluation": None if found.evaluation is None else evaluation_to(found.evaluation, shared),
        "sanity": [sanity_to(one, shared) for one in found.sanity],
        "spectrum": None if found.spectrum is None else spectrum_to(found.spectrum, shared),
    }
    if include_inputs:
        values["results"] = [stated_digest(path / storage.VALUES) for path in _result_folders(where)]
    values["files"] = {path.relative_to(where).as_posix(): file_digest(path) for path in _other_files(where)}
    write_whole(where / VALUES, [sealed(values, allow_nan=False)])  # last: a folder with it is whole
    return where


def load(folder: str | PathLike[str], cls: type[ContentT]) -> ContentT:
    """Read a report; see `Report.load`.

    Raises:
        InputError: If the folder holds no report, or one of a newer format.
        DamagedFile: If a file is not as it was written.
    """
    where = Path(folder)
    if not os.path.isfile(where / VALUES):
        raise InputError(f"{where.name!r}", f"a folder with {VALUES}", "pass a folder that `Report.save` wrote")
    values = read_json(where / VALUES, _HINT)
    with parsing(where / VALUES, _HINT):
        check(values, {"format": int})
        if values["format"] > FORMAT:
            got = f"a report of format {values['format']}"
            raise InputError(got, f"at most {FORMAT}", "install a newer hf_fourier")
        check(values, REPORT)
        _check_files(where, values.get("files", {}))
        evaluation = None if values["evaluation"] is None else evaluation_from(values["evaluation"])
        sanity = [sanity_from(one) for one in values["sanity"]]
        spectrum = None if values.get("spectrum") is None else spectrum_from(values["spectrum"])
        if values["inputs"] and (where / RESULTS).is_dir():
            results = _results(where, values.get("results"))
            return cls(results, evaluation, sanity, values["title"], values["names"] or None, spectrum)
        records = [record_from(one) for one in values["examples"]]
        classes = [class_from(one) for one in values["classes"]]
        return cls._of(records, classes, evaluation, sanity, values["title"], spectrum)


def _other_files(where: Path) -> list[Path]:
    """The page, tables, figures and sounds of a report, as far as they are there."""
    below = (path for name in (DATA, FIGURES, SOUNDS) for path in (where / name).rglob("*"))
    return sorted(path for path in (where / PAGE, *below) if path.is_file())


def _check_files(where: Path, digests: Mapping[str, Any]) -> None:
    """Check that the files beside the values are those that were saved; one that is not there is not missed.

    Args:
        where: The report's folder.
        digests: Of each by its path in the folder; an earlier version states none.

    Raises:
        DamagedFile: If one is not as it was written.
    """
    check(list(digests.values()), [str], "files")
    for path in _other_files(where):
        stated = digests.get(path.relative_to(where).as_posix())
        if stated is not None and file_digest(path) != stated:
            raise damaged(path, "its bytes do not match its digest", _FILE_HINT)


def _save_examples(report: ReportContent, where: Path) -> None:
    """The results, and of sounds WAV files."""
    from hf_fourier.report.audio_files import is_audio, save_clips

    for number, result in enumerate(report.results, 1):
        made = privacy.provenance_of(result, shared=False)
        replace(result, provenance=made).save(where / RESULTS / f"{number:04d}")
        if is_audio(result):
            save_clips(result, where / SOUNDS / f"{number:04d}")


def _result_folders(where: Path) -> list[Path]:
    return sorted(path for path in (where / RESULTS).iterdir() if path.is_dir())


def _results(where: Path, digests: Sequence[str] | None) -> list[Attribution]:
    """The results of a report with its inputs.

    Args:
        where: The report's folder.
        digests: What each result's file states; None in a report of an earlier version.

    Raises:
        DamagedFile: If one is missing, of another report, or damaged.
    """
    from hf_fourier.results.attribution import Attribution

    paths = _result_folders(where)
    if digests is not None:
        if len(paths) != len(digests):
            what = f"{len(paths)} results lie in {RESULTS}/, not the {len(digests)} that it was saved with"
            raise damaged(where / VALUES, what, _HINT)
        for path, digest in zip(paths, digests, strict=True):
            file = path / storage.VALUES
            if not file.is_file() or stated_digest(file) != digest:
                raise damaged(file, "it is not the result that the report was saved with", _HINT)
    return [Attribution.load(path) for path in paths]


def _emptied(where: Path) -> Path:
    """The folder, without what an earlier report left in it: inputs must not stay behind.

    Raises:
        InputError: If it is a file, or holds something that is no report.
    """
    if where.exists() and not where.is_dir():
        raise InputError(f"the file {where.name!r}", "a folder, or a name that does not exist yet", "choose a folder")
    where.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in where.iterdir()}
    if there and VALUES not in there and not there <= {PAGE, RESULTS, SOUNDS, FIGURES, DATA, _PART}:
        got = f"the folder {where.name!r}, which holds {', '.join(sorted(there)[:3])}"
        raise InputError(got, "an empty folder or an earlier report", "choose another")
    (where / VALUES).unlink(missing_ok=True)  # first: what is half written is no report
    for name in (PAGE, _PART):
        (where / name).unlink(missing_ok=True)
    for name in (RESULTS, SOUNDS, FIGURES, DATA):
        shutil.rmtree(where / name, ignore_errors=True)
    return where
