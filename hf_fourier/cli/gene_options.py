"""The options of `hf-fourier genes`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hf_fourier.cli.options import Json, LoadOptions, Model, Rows, Seed, TargetText


@dataclass(frozen=True, kw_only=True)
class GenesRequest:
    """The options of `hf-fourier genes`."""

    model: Model
    cells: Annotated[
        Path,
        typer.Argument(help="Cells: .h5ad, .loom, .zarr, Cell Ranger output, or .dataset.", show_default=False),
    ]
    output: Annotated[Path, typer.Option(help="Folder for the tables.")]
    by: Annotated[
        str,
        typer.Option(
            help="What the score of a gene is (not a grouping; see --groupby): contributions (evidence for, above 0, "
            "or against the target), sequential_contributions (computed again each time that top genes are deleted), "
            "deletion or mask (one gene at a time, deleted or replaced by `<mask>`), or a method (see `hf-fourier "
            "methods`)."
        ),
    ] = "sequential_contributions"
    target: TargetText = None
    groupby: Annotated[
        str | None, typer.Option(help="Column of the cells (obs of AnnData) with groups to compare, or states.")
    ] = None
    fraction: Annotated[
        str | None, typer.Option(help="Fractions of genes to keep and to delete, such as .04,.1. By default none.")
    ] = None
    check: Annotated[
        int,
        typer.Option(
            help="Also delete each of this many top genes of a cell by itself, and measure the effect.", min=0
        ),
    ] = 5
    perturb: Annotated[
        str | None,
        typer.Option(
            help="Measure how cells shift in the model's embedding instead of scoring genes: delete or overexpress."
        ),
    ] = None
    gene: Annotated[
        list[str] | None,
        typer.Option(help="A gene to perturb, or A+B for a combination. Repeat it for several.", show_default="all"),
    ] = None
    states: Annotated[
        str | None,
        typer.Option(
            help="START,GOAL[,OTHER…]: values of --groupby. Perturb the cells of START; measure their shift towards "
            "GOAL and each OTHER."
        ),
    ] = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False
