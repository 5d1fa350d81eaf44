"""Saved results by folder, for a report: single ones, folders of them, runs over data sets, and earlier reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.errors import InputError
from hf_fourier.results import storage

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.results.attribution import Attribution

#: Examples of a run in a report, where nobody says how many.
MAX_RESULTS = 50


@dataclass
class CollectedResults:
    """What was found.

    Attributes:
        results: The attributions.
        names: What each is called: its folder, or its name in the run.
        evaluation: Of an earlier report.
        sanity: Of earlier reports.
        notes: What was left out.
    """

    results: list[Attribution] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None
    sanity: list[SanityResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collect(folders: Sequence[str | PathLike[str]], most: int = MAX_RESULTS) -> CollectedResults:
    """Read saved results.

    Args:
        folders: Each a result, a folder with results in it at any depth, a run's folder, or a report with its inputs.
        most: Results of each folder, at most; the first are taken.

    Raises:
        InputError: If a folder holds none, or a report without inputs.
    """
    found = CollectedResults()
    for folder in map(Path, folders):
        before = len(found.results)
        if (folder / "report.json").is_file():
            _report(folder, found)
        elif (folder / "manifest.json").is_file():
            _run(folder, found, most)
        else:
            _saved(folder, found, most)
        if len(found.results) == before:
            got = f"the folder {folder.name!r} without results"
            raise InputError(got, f"{storage.VALUES} in it or below it, a run, or a report", "pass one that has some")
    return found


def _report(folder: Path, found: CollectedResults) -> None:
    from hf_fourier.report.content import ReportContent
    from hf_fourier.report.folder import load

    report = load(folder, ReportContent)
    if not report.results:
        expected = "one with its inputs, or the folders that it was made of"
        raise InputError(f"the report {folder.name!r}, which has no inputs", expected, "pass those")
    found.results += report.results
    found.names += report.names
    found.evaluation = report.evaluation or found.evaluation
    found.sanity += report.sanity


def _run(folder: Path, found: CollectedResults, most: int) -> None:
    from hf_fourier.runs import Results

    run, failed = Results(folder), 0
    for row in sorted(run.rows(top=0), key=lambda row: int(row["index"])):
        if row["failed"] is not None:
            failed += 1
            continue
        if most <= 0:
            found.notes.append(f"of the run {folder.name!r} only the first results were taken; --most takes more")
            break
        most -= 1
        found.results.append(run[int(row["index"])])
        found.names.append(str(row["name"] or f"example {row['index']}"))
    if failed:
        found.notes.append(f"of the run {folder.name!r} {failed} examples failed and are left out")


def _saved(folder: Path, found: CollectedResults, most: int) -> None:
    for number, path in enumerate(_results(folder)):
        if number == most:
            found.notes.append(f"of {folder.name!r} only the first {most} results were taken; --most takes more")
            return
        from hf_fourier.results.attribution import Attribution

        found.results.append(Attribution.load(path))
        found.names.append(path.name)


def _results(folder: Path) -> Iterator[Path]:
    """The folders of results, in the order of their names."""
    if (folder / storage.VALUES).is_file():
        yield folder
    elif folder.is_dir():
        yield from sorted(path.parent for path in folder.rglob(storage.VALUES))
