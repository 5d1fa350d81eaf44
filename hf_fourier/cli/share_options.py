"""The options of `hf-fourier report` and `push`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hf_fourier.cli.options import Json, WithInputs


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """The options of `hf-fourier report`."""

    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULTS]...",
            help="Folders of one model, written by `explain`, `bands`, `explain-dataset` or `Attribution.save`.",
            show_default=False,
        ),
    ] = None
    spectrum: Annotated[Path | None, typer.Option(help="Folder or file that `spectrum` wrote for the same model.")] = (
        None
    )
    output: Annotated[Path, typer.Option(help="Folder of the report: new, empty, or an earlier report.")]
    include_inputs: WithInputs = False
    title: Annotated[str | None, typer.Option(help="Title; by default it names the model.", show_default=False)] = None
    max_examples: Annotated[int, typer.Option(min=1, help="Largest number of results from each folder.")] = 50
    figures: Annotated[
        bool,
        typer.Option(
            "--figures", help="With --include-inputs, also write a figure of each example, in light and dark colours."
        ),
    ] = False
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """The options of `hf-fourier push`."""

    report: Annotated[Path, typer.Argument(help="Folder that `report` or `Report.save` wrote.", show_default=False)]
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[USER/NAME]", help="Name of the data set or Space on the Hub.", show_default=False),
    ] = None
    space: Annotated[bool, typer.Option("--space", help="Push a static Space that shows the page.")] = False
    include_inputs: WithInputs = False
    public: Annotated[bool, typer.Option("--public", help="Make the repository public; by default it is private.")] = (
        False
    )
    license: Annotated[str | None, typer.Option(help="License by the Hub's identifier, such as cc-by-4.0.")] = None
    model_card: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Open a pull request on the card of this model.")
    ] = None
    dataset: Annotated[str | None, typer.Option(help="Description of the examples for the model card.")] = None
    dataset_id: Annotated[str | None, typer.Option(help="Hub id of that data set.", show_default="custom")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be written; use no network.")] = False
    as_json: Json = False
