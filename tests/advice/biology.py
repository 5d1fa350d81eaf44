"""Advice about many cells: their tables, groups, gene scores, and a Geneformer's dictionaries."""

from __future__ import annotations

import copy
import pickle
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from hf_fourier import FourierExplainer
from hf_fourier.evaluation.studies.gene_effects import gene_effects
from hf_fourier.evaluation.studies.gene_shifts import GeneShifts
from hf_fourier.evaluation.studies.score_genes import score_genes
from hf_fourier.models.inputs import limits
from hf_fourier.models.inputs.cell_tables import open_table
from hf_fourier.models.inputs.cells import cells_and_column, read_cells
from hf_fourier.results.gene_scores import GeneScores
from hf_fourier.results.relevance import SEQUENTIAL
from hf_fourier.runs import Results
from hf_fourier.runs.options import RunOptions
from tests.advice.case import Case
from tests.advice.letters import cells
from tests.models import test_single_cell, tiny_geneformer, tiny_models
from tests.models.inputs import test_cell_tables as tables

MANY = [test_single_cell.cell(5, seed) for seed in range(4)]
GROUPS = ["a", "a", "b", "b"]


def _new() -> Path:
    return Path(tempfile.mkdtemp())


@cache
def _scores(groups: tuple[str, ...] | None = tuple(GROUPS), fractions: tuple[float, ...] | None = None) -> GeneScores:
    return score_genes(cells(), MANY, by="gradient_input", groupby=groups, check=0, fractions=fractions)


def _table(cells: int) -> Any:
    own = tables.table()
    own.obs_names = [f"cell-{i:05}" if i < cells else f"other{i}" for i in range(own.n_obs)]
    own.var["ensembl_gene_id"] = test_single_cell.GENES[: own.n_vars]
    return own


def _renamed(unique: bool) -> Any:
    """A table with two cells of one name, which is made two names or not."""
    own = _table(0)
    own.obs_names = ["a"] * own.n_obs
    if unique:
        own.obs_names_make_unique()
    return own


def _loom(most: int) -> Any:
    path, before = tables._loom(_new(), tables.table()), limits.ARRAY_BYTES
    limits.ARRAY_BYTES = most
    try:
        return open_table(path)
    finally:
        limits.ARRAY_BYTES = before


def _market(*missing: str) -> Any:
    place = tables._matrix_market(_new(), tables.table(), False)
    for name in missing:
        (place / name).unlink()
    return open_table(place)


@cache
def _repository() -> Path:
    return tiny_geneformer.snapshot(_new() / "Geneformer")


def _published(**options: Any) -> Any:
    """A classifier with as many tokens as a published vocabulary, whose dictionaries here are of another size."""
    import transformers

    settings = tiny_geneformer.config("V1", num_labels=2)
    settings.vocab_size = 25_426
    place = _new() / "ksplit1"
    transformers.BertForSequenceClassification(settings).save_pretrained(place)
    return FourierExplainer.from_pretrained(place, **options)


def _genes(count: int) -> Path:
    """Dictionaries of so many tokens."""
    place = _new()
    tokens = {"<pad>": 0, "<mask>": 1, **{f"ENSG{i:011d}": i + 2 for i in range(count - 2)}}
    (place / "token_dictionary_gc30M.pkl").write_bytes(pickle.dumps(tokens))
    (place / "gene_median_dictionary_gc30M.pkl").write_bytes(pickle.dumps(dict.fromkeys(tokens, 1.0)))
    return place


def _named(names: Any, **options: Any) -> Any:
    place = _new()
    folder = place / "1_geneformer_cellClassifier_own" / "ksplit1"
    tiny_geneformer.write_model(folder, "V1", "BertForSequenceClassification", num_labels=3)
    (place / "own_id_class_dict.pkl").write_bytes(pickle.dumps(names))
    return FourierExplainer.from_pretrained(folder, dictionaries=_repository(), **options)


def _genomes(count: int) -> Any:
    path = tables._ten_x(_new(), tables.table(), 2)
    with h5py.File(path, "a") as file:
        for number in range(1, count):
            file.copy("GRCh38", f"genome{number}")
    return open_table(path)


def _seen(**options: Any) -> Any:
    place = _new()
    tiny_models.build("image-classification", "vit").save_pretrained(place)
    return FourierExplainer.from_pretrained(place, **options)


def _kept(store: str, **options: Any) -> Results:
    """A run over four cells."""
    chosen = {"method": "gradient_input", "domain": "identity:grain=position", "contributions": 0, **options}
    return cells().explain_dataset(MANY, _new() / "run", store=store, progress=False, **chosen)


class _NoGradient(torch.autograd.Function):
    """The number itself, with a gradient that is none."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] * float("nan")


@cache
def _without_gradient() -> FourierExplainer:
    model = copy.deepcopy(cells().model)
    model.classifier.register_forward_pre_hook(lambda module, args: (_NoGradient.apply(args[0]),))
    return FourierExplainer(model, cells().processor)


def _perturbed(genes: Any = (test_single_cell.GENES[0],), cell: Any = MANY[0], **options: Any) -> Any:
    given = None if genes is None else list(genes)
    return cells().perturb_genes([cell], given, **{"by": "overexpress", **options})


def _states(goal: str = "b", **more: Any) -> Any:
    states = {"state_key": GROUPS, "start_state": "a", "goal_state": goal, **more}
    return cells().perturb_genes(MANY, [test_single_cell.GENES[0]], "overexpress", states=states)


def _twice(layer: int, folder: str = "one") -> Any:
    place = _new()
    _perturbed(output_dir=place / "one")
    return _perturbed(layer=layer, output_dir=place / folder)


def _begun(again: bool = False) -> GeneShifts:
    """A folder whose pieces are gone."""
    place = _new()
    _perturbed(output_dir=place)
    for piece in place.glob("piece-*"):
        piece.unlink()
    if again:
        _perturbed(output_dir=place)
    return GeneShifts.load(place)


def _typed(*words: str) -> Any:
    """`hf-fourier genes` as it is typed; an error of it is raised."""
    from typer.testing import CliRunner

    from hf_fourier.cli.app import app

    model = _repository() / "fine_tuned_models" / "Geneformer-V1-10M_CellClassifier"
    table = tables._h5ad(_new(), tables.table())
    done = CliRunner().invoke(app, ["genes", str(model), str(table), "--output", str(_new()), "--debug", *words])
    if done.exception is not None:
        raise done.exception


CASES = [
    Case(
        "add --perturb delete",
        lambda: _typed("--gene", test_single_cell.GENES[1]),
        lambda: _typed("--gene", test_single_cell.GENES[1], "--perturb", "overexpress"),
    ),
    Case(
        "leave out the options of scores",
        lambda: _typed("--perturb", "overexpress", "--gene", test_single_cell.GENES[1], "--check", "2"),
        lambda: _typed("--perturb", "overexpress", "--gene", test_single_cell.GENES[1]),
    ),
    Case(
        "call adata.obs_names_make_unique()",
        lambda: score_genes(cells(), _renamed(unique=False), check=0),
        lambda: score_genes(cells(), _renamed(unique=True), check=0),
    ),
    Case(
        "pass --groupby COLUMN --states START,GOAL",
        lambda: _typed("--perturb", "delete", "--states", "a,b"),
        lambda: _typed(
            "--perturb", "overexpress", "--gene", test_single_cell.GENES[1], "--groupby", "kind", "--states", "a,b"
        ),
    ),
    Case("correct `by`", lambda: _perturbed(by="silence"), lambda: _perturbed(by="overexpress")),
    Case(
        'tokenise again, or pass embedding="mean"',
        lambda: _perturbed(cell={"input_ids": [9, 8, 7]}, embedding="cls"),
        lambda: [_perturbed(cell={"input_ids": [9, 8, 7]}, embedding="mean"), _perturbed(embedding="cls")],
    ),
    Case("correct `embedding`", lambda: _perturbed(embedding="median"), lambda: _perturbed(embedding="mean")),
    Case("correct `layer`", lambda: _perturbed(layer=-9), lambda: _perturbed(layer=-1)),
    Case("correct `genes`", lambda: _perturbed(["none"]), _perturbed),
    Case(
        "pass `genes`, or leave `downstream` out",
        lambda: _perturbed(None, downstream=True),
        lambda: [_perturbed(downstream=True), _perturbed(None)],
    ),
    Case(
        "pass downstream=True to perturb_genes",
        lambda: _perturbed().downstream_table(),
        lambda: _perturbed(downstream=True).downstream_table(),
    ),
    Case(
        "correct `gene`",
        lambda: _perturbed(downstream=True).downstream_table("none"),
        lambda: _perturbed(downstream=True).downstream_table(test_single_cell.GENES[0]),
    ),
    Case("correct `states`", lambda: _states("c"), _states),
    Case(
        "call perturb_genes with the same folder again: it computes that part once more",
        _begun,
        lambda: _begun(again=True),
    ),
    Case("choose another folder", lambda: _twice(0), lambda: _twice(0, "two")),
    Case(
        "correct `gene_scores`, or call `explainer.genes`",
        lambda: RunOptions(gene_scores="deletion", store="genes"),
        lambda: [RunOptions(gene_scores=SEQUENTIAL, store="genes"), score_genes(cells(), MANY[:1], by="deletion")],
    ),
    Case(
        "pass store='genes'",
        lambda: RunOptions(gene_scores=SEQUENTIAL),
        lambda: RunOptions(gene_scores=SEQUENTIAL, store="genes"),
    ),
    Case(
        'pass by="deletion", which takes no gradient',
        lambda: score_genes(_without_gradient(), MANY[:1], by=SEQUENTIAL),
        lambda: score_genes(_without_gradient(), MANY[:1], by="deletion"),
    ),
    Case(
        "read genes(), or run it with store='scores'",
        lambda: _kept("genes")[0],
        lambda: [_kept("genes").genes(), _kept("scores")[0]],
    ),
    Case("run the cells again with store='genes'", lambda: _kept("scores").genes(), lambda: _kept("genes").genes()),
    Case("correct `groups`", lambda: _kept("genes").genes(["a"]), lambda: _kept("genes").genes(GROUPS)),
    Case(
        "leave `contributions` out, or store 'scores'",
        lambda: _kept("genes", domain="fourier", method="tracking"),
        lambda: [
            _kept("genes", domain="fourier", method="tracking", contributions=None),
            _kept("scores", domain="fourier", method="tracking"),
        ],
    ),
    Case(
        'pass by="deletion"',
        lambda: gene_effects(cells(), cells().explain(MANY[:1]), "silence"),
        lambda: gene_effects(cells(), cells().explain(MANY[:1]), by="deletion"),
    ),
    Case(
        "correct `groupby`",
        lambda: score_genes(cells(), MANY, groupby=["a"], check=0),
        lambda: score_genes(cells(), MANY, groupby=GROUPS, check=0),
    ),
    Case("correct `group`", lambda: _scores().table("c"), lambda: _scores().table("a")),
    Case("correct `group`", lambda: _scores().compare("c"), lambda: _scores().compare("a")),
    Case("leave the group out", lambda: _scores(("a", "b", "b", "b")).compare("a"), lambda: _scores().compare()),
    Case(
        "pass fractions= to explainer.genes",
        lambda: _scores().curve_table(),
        lambda: _scores(None, (0.5,)).curve_table(),
    ),
    Case("pass groupby= to explainer.genes", lambda: _scores(None).compare(), lambda: _scores().compare()),
    Case(
        "pass that, or None for a new one",
        lambda: _scores().to_anndata(_table(0)),
        lambda: (_scores().to_anndata(_table(4)), _scores().to_anndata(None)),
    ),
    Case(
        "pass a list of cells, or a table of them",
        lambda: score_genes(cells(), {"input_ids": np.ones((1, 3), int)}),
        lambda: score_genes(cells(), MANY[:1], check=0),
    ),
    Case(
        "pass a list with the group of each cell",
        lambda: score_genes(cells(), MANY, groupby="kind"),
        lambda: score_genes(cells(), MANY, groupby=GROUPS, check=0),
    ),
    Case(
        "correct `dictionaries`",
        lambda: _published(dictionaries=_repository()),
        lambda: _published(dictionaries=_genes(25_426)),
    ),
    Case(
        'pass dictionaries="ctheodoris/Geneformer", or a folder that holds them',
        _published,
        lambda: _published(dictionaries=_genes(25_426)),
    ),
    Case(
        "convert it to .h5ad, which is read cell by cell",
        lambda: _loom(10),
        lambda: open_table(tables._h5ad(_new(), tables.table())),
    ),
    Case("write the cells of one genome", lambda: _genomes(2), lambda: _genomes(1)),
    Case("leave `dictionaries` out", lambda: _seen(dictionaries="a/b"), _seen),
    Case("correct `samples`", lambda: _scores().averaged("ab"), lambda: _scores().averaged("abab")),
    Case("correct `samples`", lambda: _scores().averaged([None] * 4), lambda: _scores().averaged([*"aba", None])),
    Case(
        "correct `against`",
        lambda: _perturbed().table(against="all"),
        lambda: _perturbed(None, by="delete").table(against="all"),
    ),
    Case(
        "correct the name of the column",
        lambda: cells_and_column(_table(3), "nothing"),
        lambda: cells_and_column(_table(3), _table(3).obs.columns[0]),
    ),
    Case("add this file to the folder", lambda: _market("genes.tsv"), _market),
    Case(
        "correct `gene_ids`",
        lambda: read_cells(tables._h5ad(_new(), tables.table()), gene_ids="mine"),
        lambda: read_cells(tables._h5ad(_new(), tables.table()), gene_ids="ensembl_gene_id"),
    ),
    Case(
        "pass id2label= to from_pretrained",
        lambda: _named({0: "a", "one": "b", 2: "c"}),
        lambda: _named({0: "a", 1: "b", 2: "c"}, id2label=["a", "b", "c"]),
    ),
]
