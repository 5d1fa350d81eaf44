"""The options of `hf-fourier mutations`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hf_fourier.cli.options import Json, LoadOptions, Model, Rows, TargetText


@dataclass(frozen=True, kw_only=True)
class MutationsRequest:
    """The options of `hf-fourier mutations`."""

    model: Model
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="SEQUENCE...",
            help="Files of sequences (.fasta .fa .fastq …, also with .gz), or proteins, DNA or RNA themselves.",
            show_default=False,
        ),
    ]
    output: Annotated[Path, typer.Option(help="The folder of the tables, tracks and figures.")]
    target: TargetText = None
    places: Annotated[
        str | None,
        typer.Option(
            help="Positions to substitute, counted from 1 (in Python from 0): 98-101,120.", show_default="all letters"
        ),
    ] = None
    start: Annotated[int, typer.Option(help="Where the sequence begins on its chromosome, from 0.", min=0)] = 0
    strand: Annotated[
        str, typer.Option(help="- if the sequence is the reverse complement of this part of the chromosome.")
    ] = "+"
    motifs: Annotated[
        bool,
        typer.Option("--motifs", help="Also write ohe.npz and shap.npz, from which tfmodisco-lite finds motifs (DNA)."),
    ] = False
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False
