"""Saved results by folder, for a report: single ones, folders of them, runs over data sets, and earlier reports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.errors import InputError
from hf_fourier.results import storage

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
    from hf_fourier.results.attribution import Attribution

#: Results that are read of each folder, unless the caller says how many.
MAX_RESULTS = 50
#: The file of a model's spectrum in the folder of its run.
SPECTRUM = "spectrum.safetensors"


@dataclass
class CollectedResults:
    """Saved results of one model.

    Attributes:
        results: The attributions.
        names: What each is called: its folder, or its name in the run.
        evaluation: Of an earlier report.
        sanity: Of earlier reports.
        spectrum: Of an earlier report.
        notes: What was left out.
    """

    results: list[Attribution] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None
    sanity: list[SanityResult] = field(default_factory=list)
    spectrum: SpectrumMeans | None = None
    notes: list[str] = field(default_factory=list)


def collect(folders: Sequence[str | PathLike[str]], max_examples: int = MAX_RESULTS) -> CollectedResults:
    """Read saved results.

    Args:
        folders: Each a result, a folder with results in it at any depth, a run's folder, or a report with its inputs.
        max_examples: Results of each folder, at most; the first are taken.

    Raises:
        InputError: If a folder holds none, or a report without inputs.
    """
    collected = CollectedResults()
    for folder in map(Path, folders):
        before = len(collected.results)
        if os.path.isfile(folder / "report.json"):
            _report(folder, collected)
        elif os.path.isfile(folder / "manifest.json"):
            _run(folder, collected, max_examples)
        else:
            _saved(folder, collected, max_examples)
        if len(collected.results) == before:
            got = f"the folder {folder.name!r} without results"
            raise InputError(got, f"{storage.VALUES} in it or below it, a run, or a report", "pass one that has some")
    return collected


def read_spectrum(path: str | PathLike[str]) -> SpectrumMeans:
    """The spectrum of a model that was saved.

    Args:
        path: The folder that `hf-fourier spectrum` wrote, the file in it, or one that `ModelSpectrum.save` wrote.

    Raises:
        InputError: If there is none.
    """
    from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum

    where = Path(path)
    if where.is_dir():
        if not os.path.isfile(where / SPECTRUM):
            got = f"the folder {where.name!r} without a spectrum"
            raise InputError(got, f"{SPECTRUM} in it", "pass what `hf-fourier spectrum` wrote")
        where = where / SPECTRUM
    return ModelSpectrum.load(where)


def _report(folder: Path, collected: CollectedResults) -> None:
    from hf_fourier.report.content import ReportContent
    from hf_fourier.report.folder import load

    report = load(folder, ReportContent)
    if not report.results:
        expected = "one with its inputs, or the folders that it was made of"
        raise InputError(f"the report {folder.name!r}, which has no inputs", expected, "pass those")
    collected.results += report.results
    collected.names += report.names
    collected.evaluation = report.evaluation or collected.evaluation
    collected.sanity += report.sanity
    collected.spectrum = report.spectrum or collected.spectrum


def _run(folder: Path, collected: CollectedResults, max_examples: int) -> None:
    from hf_fourier.runs import Results

    run, failed, taken = Results(folder), 0, 0
    for row in sorted(run.rows(top=0), key=lambda row: int(row["index"])):
        if row["failed"] is not None:
            failed += 1
            continue
        if taken == max_examples:
            note = f"only the first results of the run {folder.name!r} were taken; --max-examples takes more"
            collected.notes.append(note)
            break
        taken += 1
        collected.results.append(run[int(row["index"])])
        collected.names.append(str(row["name"] or f"example {row['index']}"))
    if failed:
        collected.notes.append(f"{failed} examples of the run {folder.name!r} failed and are left out")


def _saved(folder: Path, collected: CollectedResults, max_examples: int) -> None:
    from hf_fourier.results.attribution import Attribution

    paths = list(_results(folder))
    for path in paths[:max_examples]:
        collected.results.append(Attribution.load(path))
        collected.names.append(path.name)
    if len(paths) > max_examples:
        note = f"of {folder.name!r} only the first {max_examples} results were taken; --max-examples takes more"
        collected.notes.append(note)


def _results(folder: Path) -> Iterator[Path]:
    """The folders of results, in the order of their names."""
    if os.path.isfile(folder / storage.VALUES):
        yield folder
    elif os.path.isdir(folder):
        yield from sorted(path.parent for path in folder.rglob(storage.VALUES))
