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
        typer.Argument(help="A table of cells: .h5ad, .loom, .zarr, Cell Ranger's; or a .dataset.", show_default=False),
    ]
    output: Annotated[Path, typer.Option(help="The folder of the tables.")]
    by: Annotated[
        str, typer.Option(help="contributions, deletion, mask, or a method; see docs/genes.md for what each answers.")
    ] = "contributions"
    target: TargetText = None
    groupby: Annotated[str | None, typer.Option(help="A column of obs: groups that are tested, or states.")] = None
    fraction: Annotated[
        str | None, typer.Option(help="Fractions of genes to keep and to delete, such as .04,.1; none by default.")
    ] = None
    check: Annotated[int, typer.Option(help="Genes of each cell that are deleted alone besides.", min=0)] = 5
    perturb: Annotated[
        str | None, typer.Option(help="In place of scores: delete or overexpress, and measure how cells shift.")
    ] = None
    gene: Annotated[
        list[str] | None,
        typer.Option(help="A gene to perturb, A+B for two together; more than once for several.", show_default="all"),
    ] = None
    states: Annotated[
        str | None, typer.Option(help="START,GOAL of --groupby, and alternatives behind: shifts towards the goal.")
    ] = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False
