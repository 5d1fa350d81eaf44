"""A report as tables, and those as Parquet and CSV files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError
from hf_fourier.results.table import Table, table_of

if TYPE_CHECKING:
    from hf_fourier.report.content import ReportContent
    from hf_fourier.report.example_record import ExampleRecord


def tables(report: ReportContent, include_inputs: bool = False) -> dict[str, Table]:
    """By name, all tables that have rows; see `Report.tables`."""
    found = report.written(include_inputs)
    records = list(enumerate(found.records, 1))
    rows_of = {
        "examples": [_example(i, one, include_inputs) for i, one in records],
        "curves": [row for i, one in records for row in _stops(i, one)],
        "bands": [row for i, one in records for row in _bands(i, one)],
        "band_scores": [
            {**_named(i, one), **row} for i, one in records if one.band_scores for row in one.band_scores.rows()
        ],
        "classes": [_class(one) for one in found.classes],
        "evaluation": [] if found.evaluation is None else list(found.evaluation.table()),
        "spectrum": [] if found.spectrum is None else list(found.spectrum.table()),
        "sanity": [row for one in found.sanity for row in one.table()],
    }
    return {name: table_of(rows) for name, rows in rows_of.items() if rows}


def to_csv(report: ReportContent, folder: str | PathLike[str], include_inputs: bool = False) -> dict[str, Path]:
    """One CSV file per table; see `Report.to_csv`."""
    where = _made_folder(folder)
    return {name: table.to_csv(where / f"{name}.csv") for name, table in tables(report, include_inputs).items()}


def to_parquet(report: ReportContent, folder: str | PathLike[str], include_inputs: bool = False) -> dict[str, Path]:
    """One Parquet file per table; see `Report.to_parquet`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "report", "Parquet files") from error
    where, written = _made_folder(folder), {}
    for name, table in tables(report, include_inputs).items():
        written[name] = where / f"{name}.parquet"
        parquet.write_table(pa.table({title: _plain(values) for title, values in table.columns.items()}), written[name])
    return written


def _example(number: int, one: ExampleRecord, named: bool) -> dict[str, Any]:
    passes: Mapping[str, Any] = one.provenance.get("passes") or {}
    row: dict[str, Any] = {"example": number}
    row |= {"name": one.name} if named else {}
    return {
        **row,
        "label": one.label,
        "confidence": one.confidence,
        "value": one.value,
        "contested": one.contested,
        "least_fraction_kept": one.least_fraction,
        "method": one.method,
        "domain": one.domain,
        "features": one.features,
        "completeness_error": one.completeness_error,
        "kind": one.kind,
        "shape": " × ".join(f"{name} {length}" for name, length in one.shape.items()),
        "forward": passes.get("forward"),
        "backward": passes.get("backward"),
        "perturbed": passes.get("perturbed"),
        "seconds": one.provenance.get("seconds"),
        "seed": one.provenance.get("seed"),
    }


def _named(number: int, one: ExampleRecord) -> dict[str, Any]:
    """What begins the rows of an example."""
    return {"example": number, "label": one.label, "method": one.method, "domain": one.domain}


def _stops(number: int, one: ExampleRecord) -> list[dict[str, Any]]:
    if one.curve is None:
        return []
    names = ("mode", "fraction", "actual_fraction", "value", "confidence", "agreement")
    return [
        {**_named(number, one), **{name: getattr(stop, name) for name in names}, "replacement": one.curve.replacement}
        for stop in one.curve.points
    ]


def _bands(number: int, one: ExampleRecord) -> list[dict[str, Any]]:
    if one.bands is None:
        return []
    columns = zip(one.bands.centres, one.bands.power, one.bands.chosen, strict=True)
    return [
        {**_named(number, one), "coordinate": one.bands.title, "centre": centre, "power": power, "chosen": chosen,
         "fraction": one.bands.share}
        for centre, power, chosen in columns
    ]  # fmt: skip


def _class(one: Any) -> dict[str, Any]:
    row = one.to_dict()
    kept = row.pop("kept")
    return {**row, **{f"decisions_kept_at_{share}": value for share, value in kept.items()}}


def _plain(values: Sequence[Any]) -> list[Any]:
    """A column of one type: missing numbers as nulls."""
    plain = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in plain]
    return plain if len(kinds) < 2 else [None if value is None else str(value) for value in plain]


def _made_folder(folder: str | PathLike[str]) -> Path:
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    return where
