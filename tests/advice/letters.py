"""Advice about proteins, DNA and cells: their letters, genes, files and dictionaries."""

from __future__ import annotations

import gzip
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier import FourierExplainer
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.evaluation.studies.mutations import write_motif_arrays
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.models.inputs.cells import read_cells
from hf_fourier.models.inputs.files import read_example, read_sequences
from hf_fourier.models.inputs.pickles import read_float_dict
from hf_fourier.results.curve import DEFAULT_GRID
from tests.advice.case import Case, read, reader
from tests.models import test_dna, test_protein, tiny_geneformer
from tests.models.test_single_cell import GENES, cell
from tests.models.test_single_cell import explainer as genes_of

PROTEIN = "EVQLVESGG"
DNA = test_dna.SEQUENCE


@cache
def proteins() -> FourierExplainer:
    """A tiny reader of residues."""
    return test_protein.explainer("text-classification", "esm")


@cache
def cells(task: str = "text-classification") -> FourierExplainer:
    """A tiny reader of cells."""
    return genes_of(task, "V2")


def _bases(kind: str, sequence: str) -> Any:
    return test_dna.explainer(kind).explain(sequence)


def _written(text: str, name: str) -> str:
    path = Path(tempfile.mkdtemp()) / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def _fasta(*sequences: str) -> str:
    return "".join(f">one of them\n{letters}\n" for letters in sequences)


def _letters(text: str) -> list[str]:
    return [letters for _, letters in read_sequences(text)]


def _structure(residue: str) -> str:
    """The text of a PDB file of one residue."""
    return f"ATOM      1  CA  {residue} A   1       1.000   2.000   3.000  1.00  0.00           C\n"


def _colour(text: str, name: str = "one.pdb", chain: str | None = None) -> Any:
    out = Path(tempfile.mkdtemp()) / "out.pdb"
    return proteins().explain(PROTEIN).track().to_pdb(_written(text, name), out, chain)


def _map(sequence: str, places: Any = None) -> Any:
    return test_dna.explainer("bases").mutations(sequence, places=places)


def _typed(*words: str) -> Any:
    """`hf-fourier mutations` of one sequence, or of two, as it is typed; an error of it is raised."""
    from typer.testing import CliRunner

    from hf_fourier.cli.app import app

    folder = Path(tempfile.mkdtemp())
    proteins().model.save_pretrained(folder / "model")
    proteins().processor.save_pretrained(folder / "model")
    asked = [PROTEIN, *words, "--output", str(folder / "out"), "--debug"]
    done = CliRunner().invoke(app, ["mutations", str(folder / "model"), *asked])
    if done.exception is not None:
        raise done.exception


def _browsed(chrom: str, **options: Any) -> Any:
    return proteins().explain(PROTEIN).track().to_bed(Path(tempfile.mkdtemp()) / "a.bed", chrom, **options)


def _cell(values: Any, genes: Any = None) -> Any:
    return cells().explain({"genes": GENES[: len(values)] if genes is None else genes, "values": values})


def _table(values: Any, **parts: Any) -> Path:
    """Cells in an `.h5ad` file."""
    import anndata
    import pandas as pd

    layers, passed = parts.get("layers", {}), parts.get("passed")
    obs = pd.DataFrame(index=[f"c{i}" for i in range(len(values))])
    if passed is not None:
        obs["filter_pass"] = passed
    table = anndata.AnnData(np.asarray(values, dtype=np.float32), obs, pd.DataFrame(index=GENES[: len(values[0])]))
    for name, layer in layers.items():
        table.layers[name] = np.asarray(layer, dtype=np.float32)
    path = Path(tempfile.mkdtemp()) / "cells.h5ad"
    table.write_h5ad(path)
    return path


def _data_set(**columns: Any) -> Path:
    from datasets import Dataset

    path = Path(tempfile.mkdtemp()) / "cells.dataset"
    Dataset.from_dict(columns).save_to_disk(path)
    return path


def _dictionaries(complete: bool) -> Any:
    folder = Path(tempfile.mkdtemp())
    tiny_geneformer.write_dictionaries(folder, "V2")
    place, tag = tiny_geneformer.PLACES["V2"]
    if not complete:
        (folder / place / f"gene_median_dictionary_{tag}.pkl").unlink()
    return GeneTokenizer.from_folder(folder / place)


COUNTS = [[1, 0, 7, 2], [3, 5, 0, 9]]
LOGS = np.log1p(np.asarray(COUNTS) / np.sum(COUNTS, axis=1, keepdims=True) * 1e4)

CASES = [
    Case("correct --places", lambda: _typed("--places", "0"), lambda: _typed("--places", "1-2")),
    Case("correct --strand", lambda: _typed("--strand", "x"), lambda: _typed("--places", "1", "--strand", "-")),
    Case("leave out --places", lambda: _typed("--motifs", "--places", "1"), lambda: _typed("--motifs")),
    Case(
        "cut the sequences to one length",
        lambda: _typed(PROTEIN[1:], "--motifs"),
        lambda: _typed(PROTEIN[::-1], "--motifs"),
    ),
    Case("leave out --motifs", lambda: _typed("EVQ[MASK]VESGG", "--motifs"), lambda: _typed("EVQ[MASK]VESGG")),
    Case(
        "leave out numbers, marks and names",
        lambda: proteins().explain("1 EVQLV 5"),
        lambda: proteins().explain("EVQLV"),
    ),
    Case(
        "pass the letters themselves, or correct the path",
        lambda: proteins().explain("nowhere.fasta"),
        lambda: [proteins().explain(PROTEIN), proteins().explain(_written(_fasta(PROTEIN), "there.fasta"))],
    ),
    Case(
        "pass the file alone, or [letters for _, letters in hf_fourier.models.inputs.files.read_sequences(path)]",
        lambda: proteins().explain([_written(_fasta(PROTEIN, PROTEIN), "two.fasta")]),
        lambda: [
            proteins().explain(_written(_fasta(PROTEIN, PROTEIN), "two.fasta")),
            proteins().explain(_letters(_written(_fasta(PROTEIN, PROTEIN), "two.fasta"))),
        ],
    ),
    Case(
        "pass [letters for _, letters in hf_fourier.models.inputs.files.read_sequences(text)]",
        lambda: proteins().explain(_fasta(PROTEIN, PROTEIN)),
        lambda: proteins().explain(_letters(_fasta(PROTEIN, PROTEIN))),
    ),
    Case(
        "pass the sequence alone, or with its header in the line above",
        lambda: proteins().explain(f">{PROTEIN}"),
        lambda: [proteins().explain(PROTEIN), proteins().explain(f">spike\n{PROTEIN}")],
    ),
    Case(
        "write them out",
        lambda: _bases("dnabert", f"{DNA} [MASK]"),
        lambda: _bases("dnabert", "ATTCCG TTCCGA [MASK] CCGATT"),
    ),
    Case("pass a longer one", lambda: _bases("dnabert", "ATT"), lambda: _bases("dnabert", DNA)),
    Case("pass the sequence itself", lambda: _bases("dnabert", "ATTCCG GGGGGG"), lambda: _bases("dnabert", DNA)),
    Case(
        "cut them, or write N for what is not known",
        lambda: _bases("bases", "ACGT!ACGT"),
        lambda: [_bases("bases", "ACGTACGT"), _bases("bases", "ACGTNACGT")],
    ),
    Case(
        "cut or replace them",
        lambda: _bases("dnabert", f"{DNA}N"),
        lambda: [_bases("dnabert", DNA), _bases("dnabert", f"{DNA}A")],
    ),
    Case(
        "pass one cell, or a list of cells",
        lambda: cells().explain(3),
        lambda: [cells().explain(cell(4)), cells().explain([cell(4), cell(5)])],
    ),
    Case(
        "correct the path, and pass it alone: one file holds several cells",
        lambda: cells().explain([str(_table(COUNTS))]),
        lambda: cells().explain(str(_table(COUNTS))),
    ),
    Case("add the counts as 'values'", lambda: cells().explain({"genes": GENES[:2]}), lambda: _cell([1.0, 2.0])),
    Case("add this file to their folder", lambda: _dictionaries(complete=False), lambda: _dictionaries(complete=True)),
    Case(
        "take it from the model's own repository",
        lambda: read_float_dict(_written('{"ENSG1": "three"}', "numbers.json")),
        lambda: _dictionaries(complete=True),
    ),
    Case(
        "do not load it elsewhere either; take it from the model's own repository",
        lambda: read_float_dict(_written("not a pickle", "numbers.pkl")),
        lambda: _dictionaries(complete=True),
    ),
    Case(
        "pass counts, not logarithms or z-scores",
        lambda: _cell([-1.0, 2.0]),
        lambda: _cell([1.0, 2.0]),
    ),
    Case(
        "pass np.expm1(values), or the counts themselves",
        lambda: _cell(np.log1p([1.0, 7.0, 2.0, 5.0, 3.0])),
        lambda: [_cell(np.expm1(np.log1p([1.0, 7.0, 2.0, 5.0, 3.0]))), _cell([1.0, 7.0, 2.0, 5.0, 3.0])],
    ),
    Case(
        "map symbols to Ensembl ids",
        lambda: _cell([1.0, 2.0], ["TP53", "BRCA1"]),
        lambda: _cell([1.0, 2.0], [{"TP53": GENES[3], "BRCA1": GENES[4]}[one] for one in ("TP53", "BRCA1")]),
    ),
    Case("correct the cell", lambda: _cell([1.0, 2.0], GENES[:1]), lambda: _cell([1.0, 2.0], GENES[:2])),
    Case("write it again", lambda: read_cells(_written("no table", "cells.h5ad")), lambda: read_cells(_table(COUNTS))),
    Case("correct the path", lambda: read_cells("nowhere.h5ad"), lambda: read_cells(_table(COUNTS))),
    Case("save it again", lambda: read_example(_written("no numbers", "x.npy")), lambda: read_example(_numbers())),
    Case(
        "leave the cell out",
        lambda: cells().explain([cell(3), {"genes": GENES[:2], "values": [0, 0]}]),
        lambda: cells().explain([cell(3)]),
    ),
    Case(
        "call their layer 'counts' in the file, or name it with `layer`",
        lambda: read_cells(_table(np.asarray(COUNTS) / 3, layers={"spliced": COUNTS})),
        lambda: read_cells(_table(np.asarray(COUNTS) / 3, layers={"spliced": COUNTS}), layer="spliced"),
    ),
    Case(
        "correct `layer`",
        lambda: read_cells(_table(COUNTS), layer="raw counts"),
        lambda: read_cells(_table(COUNTS), layer="X"),
    ),
    Case(
        "pass layer='counts'",
        lambda: read_cells(_table(LOGS, layers={"counts": COUNTS}), layer="X"),
        lambda: read_cells(_table(LOGS, layers={"counts": COUNTS}), layer="counts"),
    ),
    Case(
        "undo the logarithm (np.expm1), and write the file again",
        lambda: read_cells(_table(LOGS), layer="X"),
        lambda: read_cells(_table(np.expm1(LOGS)), layer="X"),
    ),
    Case(
        "set obs['filter_pass'] to these, or delete the column",
        lambda: read_cells(_table(COUNTS, passed=["good", "bad"])),
        lambda: [read_cells(_table(COUNTS, passed=[1, 0])), read_cells(_table(COUNTS))],
    ),
    Case(
        "correct obs['filter_pass'], or delete the column",
        lambda: read_cells(_table(COUNTS, passed=[0, 0])),
        lambda: [read_cells(_table(COUNTS, passed=[1, 0])), read_cells(_table(COUNTS))],
    ),
    Case("correct `cells`", lambda: read_cells(_table(COUNTS), ["c9"]), lambda: read_cells(_table(COUNTS), ["c1", 0])),
    Case(
        "tokenise the cells",
        lambda: read_cells(_data_set(genes=[["ENSG1"]])),
        lambda: cells().explain(read_cells(_data_set(input_ids=[_tokens(), _tokens()]))),
    ),
    Case(
        "tokenise again",
        lambda: cells().explain([{"input_ids": [3.5, 4.5]}]),
        lambda: cells().explain([{"input_ids": _tokens()}]),
    ),
    Case(
        "write one cell, or one chat, per file",
        lambda: read_example(_written('[{"genes": ["ENSG1"], "values": [1]}]', "cell.json")),
        lambda: [
            read_example(_written('{"genes": ["ENSG1"], "values": [1]}', "cell.json")),
            read_example(_written('[{"role": "user", "content": "Hello."}]', "chat.json")),
        ],
    ),
    Case(
        "call explainer.perturb",
        lambda: delete_genes(reader(), read()),
        lambda: reader().perturb(reader().explain(["w7 w8 w9"]), DEFAULT_GRID),
    ),
    Case(
        "explain the cell",
        lambda: delete_genes(cells("fill-mask"), [cells("fill-mask").explain(cell(5))]),
        lambda: delete_genes(cells(), [cells().explain(cell(5))]),
    ),
    Case("correct `orders`", lambda: _knocked([]), lambda: _knocked([[5, 4, 3, 2, 1]])),
    Case("correct `orders`", lambda: _knocked([[1, 2]]), lambda: _knocked([[5, 4, 3, 2, 1]])),
    Case(
        "pass another structure, or its `chain`",
        lambda: _colour(_structure("TRP")),
        lambda: [_colour(_structure("GLU")), _colour(_structure("GLU"), chain="A")],
    ),
    Case("convert it, as from mmCIF", lambda: _colour("data_1ABC\n"), lambda: _colour(_structure("GLU"))),
    Case(
        "write the structure again",
        lambda: _colour(_structure("GLU") + "ATOM      2  CA  GLU\n"),
        lambda: _colour(_structure("GLU")),
    ),
    Case("call explainer.explain", lambda: cells().mutations(cell(4)), lambda: cells().explain(cell(4))),
    Case(
        "load a head of whole sequences",
        lambda: test_dna.explainer("bases", "TokenClassification").mutations(DNA),
        lambda: test_dna.explainer("bases").mutations(DNA, places=[0]),
    ),
    Case(
        "pass the sequence itself, without spaces",
        lambda: test_dna.explainer("dnabert").mutations("ATTCCG TTCCGG"),
        lambda: test_dna.explainer("dnabert").mutations("ATTCCGG", places=[0]),
    ),
    Case("correct `places`", lambda: _map("ACG", [3]), lambda: _map("ACG", [2])),
    Case(
        "correct `start` or `strand`",
        lambda: _browsed("chr1", start=-1),
        lambda: [_browsed("chr1", start=1), _browsed("chr1", strand="-")],
    ),
    Case("correct `chrom`", lambda: _browsed("chr 1"), lambda: _browsed("chr1")),
    Case(
        "cut the sequences to one length",
        lambda: write_motif_arrays([_map("ACG"), _map("ACGT")], tempfile.mkdtemp()),
        lambda: write_motif_arrays([_map("ACG"), _map("CGT")], tempfile.mkdtemp()),
    ),
    Case(
        "ask all places of sequences without masks that the model reads whole",
        lambda: write_motif_arrays([_map("ACG", [1])], tempfile.mkdtemp()),
        lambda: write_motif_arrays([_map("ACG")], tempfile.mkdtemp()),
    ),
]


def _knocked(orders: Any) -> Any:
    return delete_genes(cells(), [cells().explain(cell(5))], orders=orders)


def _numbers() -> str:
    path = Path(tempfile.mkdtemp()) / "x.npy"
    np.save(path, np.ones(4))
    return str(path)


def _tokens() -> list[int]:
    found = cells().processor.encode(GENES[:4], [1.0, 2.0, 3.0, 4.0])[0]
    return [int(token) for token in found]
