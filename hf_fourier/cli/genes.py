"""`hf-fourier genes`: scores of genes over many cells, or cells with perturbed genes, as tables and an .h5ad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.cli.console import (
    parse_batch_size,
    parse_fractions,
    print_json,
    print_line,
    progress,
    result_console,
    table,
    writable,
    writing,
)
from hf_fourier.cli.explain import load
from hf_fourier.cli.gene_options import GenesRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import InputError
from hf_fourier.registry import DEFAULT_METHOD

if TYPE_CHECKING:
    from hf_fourier.evaluation.studies.gene_shifts import GeneShifts
    from hf_fourier.explainer import FourierExplainer
    from hf_fourier.results.gene_scores import GeneScores
    from hf_fourier.results.table import Table

#: Genes that are printed.
PRINTED = 20
#: Options of scores, which a perturbation does not read.
SCORED = ("by", "target", "fraction", "check", "seed")


def run(request: GenesRequest) -> None:
    """Score or perturb the genes of a file of cells; write the tables and print the first genes.

    Raises:
        FourierError: If something that was typed cannot be done.
    """
    _check_options(request)
    options = _parsed(request)
    folder = writable(request.output)
    if not request.cells.exists():
        expected = "a table of cells (.h5ad, .loom, .zarr, 10x), or a .dataset folder"
        raise InputError(f"{str(request.cells)!r}, which does not exist", expected, "correct the path")
    explainer = load(request.model, [DEFAULT_METHOD], [], request.loading)
    scores: GeneScores | None = None
    if request.perturb is None:
        _check_groups(explainer, request)
        scores = _scored(explainer, request, options)
        first, name = scores.table(), "genes"
    else:
        first, name = _perturbed(explainer, request, request.perturb, options["batch_size"]).table(), "perturbation"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        written = {name: str(first.to_csv(folder / f"{name}.csv"))}
        if scores is not None:
            written |= {name: str(one.to_csv(folder / f"{name}.csv")) for name, one in _further_tables(scores)}
            written["cells"] = str(_write_cells(scores, request.cells, folder / "cells.h5ad"))
    if request.as_json:
        print_json({"model": explainer.name, "rows": list(first.rows()), "notes": list(first.notes), "files": written})
        return
    best = first[:PRINTED]
    result_console().print(table(explainer.name, list(best.columns), best.formatted(), left=2))
    for note in first.notes:
        print_line(result_console(), note)
    for name, path in written.items():
        print_line(result_console(), f"{name}: {path}")


def _check_options(request: GenesRequest) -> None:
    """Refuse options that do not fit together.

    Raises:
        InputError: If one of them would be ignored, or `--states` is not what it should be.
    """
    if request.perturb is None and (request.gene or request.states):
        raise InputError("--gene or --states without --perturb", "what is done to the genes", "add --perturb delete")
    if request.states is not None and (request.groupby is None or "," not in request.states):
        got = f"--states {request.states}" + ("" if request.groupby else " without --groupby")
        raise InputError(got, "START,GOAL of a column", "pass --groupby COLUMN --states START,GOAL")
    if request.perturb is not None:
        scored = [name for name in SCORED if getattr(request, name) != getattr(GenesRequest, name)]
        if request.groupby is not None and request.states is None:
            scored.append("groupby")
        if scored:
            got = f"--{scored[0]} with --perturb" + (", without --states" if scored[0] == "groupby" else "")
            raise InputError(got, "options that apply to a perturbation", "leave out the options of scores")


def _check_groups(explainer: FourierExplainer, request: GenesRequest) -> None:
    """Refuse groups that cannot be tested, before anything is scored."""
    from hf_fourier.evaluation.studies.score_genes import cells_and_groups
    from hf_fourier.results.gene_groups import comparable

    if request.groupby is not None:
        _, groups, _ = cells_and_groups(explainer, request.cells, request.groupby)
        comparable(Counter(filter(None, groups)))


def _parsed(request: GenesRequest) -> dict[str, Any]:
    """The options that are read from text, before the model is loaded."""
    return {
        "target": None if request.target is None else parse_targets(request.target),
        "fractions": None if request.fraction is None else parse_fractions(request.fraction),
        "batch_size": parse_batch_size(request.batch_size),
    }


def _scored(explainer: FourierExplainer, request: GenesRequest, options: dict[str, Any]) -> GeneScores:
    with progress("scoring genes") as update:
        return explainer.genes(
            request.cells, by=request.by, groupby=request.groupby, check=request.check, seed=request.seed,
            progress=update, **options,
        )  # fmt: skip


def _perturbed(explainer: FourierExplainer, request: GenesRequest, by: str, size: Any) -> GeneShifts:
    """The shifts; what is done lies in a folder beside the tables, where the same command goes on."""
    states: dict[str, Any] | None = None
    if request.states is not None:
        start, goal, *others = (name.strip() for name in request.states.split(","))
        states = {"state_key": request.groupby, "start_state": start, "goal_state": goal, "alt_states": others}
    genes = None if request.gene is None else [[name.strip() for name in one.split("+")] for one in request.gene]
    with progress("perturbing genes") as update:
        return explainer.perturb_genes(
            request.cells, genes, by, states=states, output_dir=request.output / "perturbation",
            batch_size=size, progress=update,
        )  # fmt: skip


def _further_tables(scores: GeneScores) -> Iterator[tuple[str, Table]]:
    """The test of the groups, and the curves, where they were asked for."""
    if scores.groups:
        yield "groups", scores.compare()
    if scores.curves:
        yield "curves", scores.curve_table()


def _write_cells(scores: GeneScores, cells: Path, path: Path) -> Path:
    """The table of cells with the scores in a layer; of cells that came as tokens a new one."""
    from hf_fourier.models.inputs.cell_tables import kind_of_table, open_table

    filled = scores.to_anndata(None if kind_of_table(cells) is None else open_table(cells))
    filled.write_h5ad(path)
    return path
