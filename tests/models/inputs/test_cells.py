"""Cells out of files, and their tokens against a second computation in exact fractions, written otherwise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from hf_fourier.errors import InputError
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.models.inputs.cells import read_cells

anndata = pytest.importorskip("anndata")
pd = pytest.importorskip("pandas")

GENES = [f"ENSG{i:011d}" for i in range(400)]
#: Known to the vocabulary; the others are missing from it.
KNOWN = GENES[:350]
LIMITS = {"V1": 100, "V2": 120}


def tokenizer(version: str) -> GeneTokenizer:
    specials = ["<pad>", "<mask>"] + (["<cls>", "<eos>"] if version == "V2" else [])
    places = np.random.default_rng(1).permutation(len(KNOWN)) + len(specials)
    tokens = {name: i for i, name in enumerate(specials)} | dict(zip(KNOWN, map(int, places), strict=True))
    # Few medians, each a power of two times another: ranks tie within and across counts.
    medians = np.random.default_rng(2).choice([0.5, 1.0, 2.0, 3.0, 6.0], len(KNOWN))
    return GeneTokenizer(tokens, dict(zip(KNOWN, medians.tolist(), strict=True)), limit=LIMITS[version])


def second(own: GeneTokenizer, version: str, genes: list[str], counts: np.ndarray) -> list[int]:
    """Published rules in exact numbers: count / total × 10,000 / median, descending, ties by column, cut, marked."""
    total = Fraction(int(counts.sum()))
    ranks: dict[Fraction, list[int]] = {}
    for gene, count in zip(genes, counts.tolist(), strict=True):
        if count and gene in own.tokens and gene in own.medians:
            rank = Fraction(int(count)) / total * 10_000 / Fraction(own.medians[gene])
            ranks.setdefault(rank, []).append(own.tokens[gene])
    tokens = [token for rank in sorted(ranks, reverse=True) for token in ranks[rank]]
    assert len(ranks) < len(tokens)  # there are ties
    return tokens[: LIMITS["V1"]] if version == "V1" else [2, *tokens[: LIMITS["V2"] - 2], 3]


@pytest.fixture
def counts() -> np.ndarray:
    numbers = np.random.default_rng(0)
    shares = numbers.uniform(0.05, 0.9, (9, 1))  # a few cells with few genes, others with more than fit
    return (numbers.poisson(3, (9, len(GENES))) * (numbers.random((9, len(GENES))) < shares)).astype(np.float32)


def write(path: Path, counts: Any, index: list[str] | None = None, **more: Any) -> Path:
    totals = np.asarray(counts.sum(1)).ravel()
    obs = pd.DataFrame({"n_counts": totals}, index=[f"cell{i}" for i in range(len(totals))])
    var = pd.DataFrame({"ensembl_id": GENES}, index=index or [f"gene{i}" for i in range(len(GENES))])
    table = anndata.AnnData(counts, obs=obs, var=var)
    for name, value in more.items():
        setattr(table, name, value(table))
    table.write_h5ad(path)
    return path


@pytest.mark.parametrize("version", LIMITS)
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_tokens_agree_with_a_second_computation(tmp_path: Path, counts: np.ndarray, version: str, form: Any) -> None:
    own = tokenizer(version)
    cells = read_cells(write(tmp_path / "cells.h5ad", form(counts)))
    assert [cell["name"] for cell in cells] == [f"cell{i}" for i in range(9)]
    lengths = set()
    for cell, row in zip(cells, counts, strict=True):
        ids, notes = own.encode(cell["genes"], cell["values"])
        assert ids == second(own, version, GENES, row)
        missing = int((row[len(KNOWN) :] > 0).sum())
        expressed = int((row > 0).sum())
        unknown = [gene for gene, count in zip(GENES[len(KNOWN) :], row[len(KNOWN) :], strict=True) if count > 0]
        said = f"{missing} of {expressed} expressed genes are not in the model's vocabulary: "
        assert notes[0] == said + ", ".join(unknown[:8]) + (", …" if missing > 8 else "")
        cut = expressed - missing > LIMITS[version] - 2 * (version == "V2")
        assert len(notes) == 1 + cut
        lengths.add(len(ids) == LIMITS[version])
    assert lengths == {True, False}


@pytest.mark.parametrize("version", LIMITS)
def test_a_dataset_in_geneformers_form_says_the_same(tmp_path: Path, counts: np.ndarray, version: str) -> None:
    datasets = pytest.importorskip("datasets")
    own = tokenizer(version)
    rows = [second(own, version, GENES, row) for row in counts]
    columns = {"input_ids": rows, "cell_type": ["B"] * len(rows), "length": [len(row) for row in rows]}
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "cells.dataset"))
    stored = read_cells(tmp_path / "cells.dataset")
    raw = read_cells(write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts)))
    for one, other in zip(stored, raw, strict=True):
        assert one["input_ids"] == own.encode(other["genes"], other["values"])[0]
    assert read_cells(tmp_path / "cells.dataset", [4, 1])[1] == {"name": "cell-00001", "input_ids": rows[1]}
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "texts"))
    with pytest.raises(InputError, match="'input_ids' among them"):
        read_cells(tmp_path / "texts")


@pytest.mark.parametrize("column", ["ensembl_id", "gene_ids", "index"])
def test_ensembl_ids_from_where_they_are(tmp_path: Path, counts: np.ndarray, column: str) -> None:
    def var(table: Any) -> Any:
        symbols = [f"SYM{i}" for i in range(len(GENES))]
        versioned = [f"{gene}.{i % 20}" for i, gene in enumerate(GENES)]
        if column == "index":
            return pd.DataFrame({"feature_name": symbols}, index=versioned)
        return pd.DataFrame({column: versioned}, index=symbols)

    (cell,) = read_cells(write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts), var=var), [8])
    assert tokenizer("V1").encode(cell["genes"], cell["values"])[0] == second(tokenizer("V1"), "V1", GENES, counts[8])


def test_symbols_need_a_map(tmp_path: Path, counts: np.ndarray) -> None:
    symbols = [f"SYM{i}" for i in range(len(GENES))]
    path = write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts), var=lambda t: pd.DataFrame(index=symbols))
    (cell,) = read_cells(path, ["cell8"])
    own = tokenizer("V2")
    with pytest.raises(InputError, match="map symbols to Ensembl ids"):
        own.encode(cell["genes"], cell["values"])
    mapped = GeneTokenizer(own.tokens, own.medians, limit=own.limit, aliases=dict(zip(symbols, KNOWN, strict=False)))
    ids, notes = mapped.encode(cell["genes"], cell["values"])
    assert ids == second(own, "V2", GENES, counts[8])
    assert any("by their symbols" in note for note in notes)


def test_counts_from_where_they_are(tmp_path: Path, counts: np.ndarray) -> None:
    raw = sparse.csr_matrix(counts)
    logs = raw.copy()
    logs.data = np.log1p(logs.data)
    scaled = anndata.AnnData(raw, var=pd.DataFrame({"ensembl_id": GENES}, index=GENES))
    paths = {
        "layer": write(tmp_path / "layer.h5ad", logs, layers=lambda table: {"counts": raw}),
        "raw": write(tmp_path / "raw.h5ad", logs, raw=lambda table: scaled),
    }
    expected = read_cells(write(tmp_path / "plain.h5ad", raw))
    for path in paths.values():
        for one, other in zip(read_cells(path), expected, strict=True):
            assert one["genes"] == other["genes"]
            assert one["values"].tolist() == other["values"].tolist()
    with pytest.raises(InputError, match=r"logarithms.*layer='counts'") as caught:
        read_cells(paths["layer"], [0], layer="X")
    assert caught.value.hint == "pass layer='counts'"
    assert read_cells(paths["layer"], layer="counts")[0]["genes"] == expected[0]["genes"]
    with pytest.raises(InputError, match="one of X, counts"):
        read_cells(paths["layer"], layer="spliced")
    with pytest.raises(InputError, match="not whole numbers"):
        read_cells(write(tmp_path / "logs.h5ad", logs))


def test_cells_that_did_not_pass_are_left_out(tmp_path: Path, counts: np.ndarray) -> None:
    def obs(table: Any) -> Any:
        return table.obs.assign(filter_pass=[1, 0, 1, 1, 0, 1, 1, 1, 1])

    path = write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts), obs=obs)
    cells = read_cells(path)
    assert [cell["name"] for cell in cells] == [f"cell{i}" for i in (0, 2, 3, 5, 6, 7, 8)]
    assert cells[1]["values"].sum() == counts[2].sum()
    assert read_cells(path, [1])[0]["name"] == "cell2"


@pytest.mark.parametrize("form", ["log1p", "log1p of shares", "log2", "float64", "shifted"])
def test_logarithms_are_not_taken_for_counts(tmp_path: Path, counts: np.ndarray, form: str) -> None:
    shares = counts / counts.sum(1, keepdims=True) * 1e4
    logs = {
        "log1p": np.log1p(counts), "log1p of shares": np.log1p(shares), "log2": np.log2(1 + shares),
        "float64": np.log1p(shares.astype(np.float64)), "shifted": np.log1p(shares) - 1,
    }[form]  # fmt: skip
    path = write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts), layers=lambda table: {"logs": logs})
    for where in ({"layer": "logs"}, {"layer": "logs", "cells": ["cell8"]}):
        with pytest.raises(InputError, match=r"layer 'logs' of .*layer='X'"):
            read_cells(path, **where)
    own, row = tokenizer("V1"), logs[8][logs[8] != 0]
    genes = [gene for gene, value in zip(GENES, logs[8], strict=True) if value]
    with pytest.raises(InputError, match=r"negative|np.expm1\(values\)"):
        own.encode(genes, row)
    if form in ("log1p", "log1p of shares", "float64"):  # the advice gives the ranks of the counts, rounding aside
        advised, _ = own.encode(genes, np.expm1(row))
        assert set(advised[:50]) <= set(own.encode(genes, counts[8][counts[8] != 0])[0])


@pytest.mark.parametrize("factor", [0.5, 1e4 / 3217, 1 / 7])
def test_scaled_counts_are_counts_without_a_word(tmp_path: Path, counts: np.ndarray, factor: float) -> None:
    scaled = (counts * np.float32(factor)).astype(np.float32)
    path = write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts), layers=lambda table: {"scaled": scaled})
    cells = zip(read_cells(path, layer="scaled"), read_cells(path), strict=True)
    for one, other in cells:
        assert one["genes"] == other["genes"]
        notes = tokenizer("V1").encode(one["genes"], one["values"])[1]
        assert notes == tokenizer("V1").encode(other["genes"], other["values"])[1]


def test_values_that_are_neither_are_said() -> None:
    values = np.random.default_rng(0).uniform(0.1, 5, 40)
    _, notes = tokenizer("V1").encode(KNOWN[:40], values)
    assert "neither counts nor counts times a factor" in notes[0]


PASSES: dict[str, Any] = {
    "numbers": [1, 0, 1, 1, 0, 1, 1, 1, 1],
    "real": [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    "truth values": [True, False, True, True, False, True, True, True, True],
    "texts of truth": ["True", "False", "True", "True", "False", "True", "True", "True", "True"],
    "texts of numbers": ["1", "0", "1", "1", "0", "1", "1", "1", "1"],
    "texts of real numbers": ["1.0", "0.0", "1.0", "1.0", "nan", "1.0", "1.0", "1.0", "1.0"],
}


@pytest.mark.parametrize("categories", [False, True])
@pytest.mark.parametrize("form", PASSES)
def test_cells_pass_in_every_form(tmp_path: Path, counts: np.ndarray, form: str, categories: bool) -> None:
    given = pd.Categorical(PASSES[form]) if categories else PASSES[form]
    path = write(tmp_path / "a.h5ad", sparse.csr_matrix(counts), obs=lambda t: t.obs.assign(filter_pass=given))
    assert [cell["name"] for cell in read_cells(path)] == [f"cell{i}" for i in (0, 2, 3, 5, 6, 7, 8)]


@pytest.mark.parametrize(("given", "said"), [(["good"] * 9, "'good'"), ([0] * 9, "none has 'filter_pass' 1")])
def test_checks_that_nobody_passed_or_understands(tmp_path: Path, counts: np.ndarray, given: Any, said: str) -> None:
    path = write(tmp_path / "a.h5ad", sparse.csr_matrix(counts), obs=lambda t: t.obs.assign(filter_pass=given))
    with pytest.raises(InputError) as caught:
        read_cells(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("asked", [["cell3", 5], (3, "cell5"), [-6, -4], np.array([3, 5])])
def test_some_cells(tmp_path: Path, counts: np.ndarray, asked: Any) -> None:
    path = write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts))
    assert [cell["name"] for cell in read_cells(path, asked)] == ["cell3", "cell5"]
    assert [cell["name"] for cell in read_cells(path, slice(2))] == ["cell0", "cell1"]
    for wrong in ([9], ["cell9"], [True], [-10]):
        with pytest.raises(InputError, match="0 to 8, or one of cell0"):
            read_cells(path, wrong)


@pytest.mark.parametrize("form", ["array", "series", "list", "objects"])
def test_a_mask_of_truth_values_chooses_cells(tmp_path: Path, counts: np.ndarray, form: str) -> None:
    path = write(tmp_path / "cells.h5ad", sparse.csr_matrix(counts))
    mask = np.arange(9) % 4 == 3
    forms = {"array": mask, "series": pd.Series(mask), "list": mask.tolist(), "objects": pd.array(mask)}
    assert [cell["name"] for cell in read_cells(path, forms[form])] == ["cell3", "cell7"]
    with pytest.raises(InputError, match=r"`cells`, a mask of shape \(8,\); expected 9 truth values"):
        read_cells(path, mask[:8])
    for wrong in ([np.True_], [1.5], np.array([2.0])):
        with pytest.raises(InputError, match="0 to 8, or one of cell0"):
            read_cells(path, wrong)


def test_a_name_of_several_cells_chooses_none(tmp_path: Path, counts: np.ndarray) -> None:
    table = anndata.AnnData(counts[:3].astype(np.float32), pd.DataFrame(index=["a", "b", "a"]))
    table.var_names = [f"ENSG{i:011d}" for i in range(table.n_vars)]
    table.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InputError, match="cell 'a', the name of 2 cells; expected a name of its own, or its number"):
        read_cells(tmp_path / "cells.h5ad", ["a"])
    assert [cell["name"] for cell in read_cells(tmp_path / "cells.h5ad", ["b", 2])] == ["b", "a"]


def test_what_is_no_file_of_cells(tmp_path: Path) -> None:
    (tmp_path / "broken.h5ad").write_bytes(b"no HDF5")
    for path, said in (("broken.h5ad", "cannot be read"), ("none.h5ad", "a table of cells"), (".", "a table of cells")):
        with pytest.raises(InputError, match=said) as caught:
            read_cells(tmp_path / path)
        assert str(tmp_path) not in str(caught.value)
