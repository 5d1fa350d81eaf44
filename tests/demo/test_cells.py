"""Blood cells, and the model that reads their genes in order of rank."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import demo
from hf_fourier.demo.convert import cells, ranks, training
from tests.demo.real import load


def test_counts_come_back_from_their_logarithms() -> None:
    counts = np.array([[1, 0, 7, 30], [2, 1, 0, 5], [0, 0, 1, 1]])
    totals = np.array([40.0, 10.0, 5.0])
    logs = np.log1p(counts * 17.3 / totals[:, None]).astype(np.float32)
    assert np.array_equal(cells.undo_normalisation(logs, totals), counts)
    with pytest.raises(ValueError, match="whole numbers"):
        cells.undo_normalisation(np.array([[0.5, 1.0], [0.7, 0.1]]), np.ones(2))


def test_a_fifth_of_each_label_is_for_testing() -> None:
    barcodes = [f"cell{index}" for index in range(40)]
    labels = ["a"] * 30 + ["b"] * 10
    sides = cells.split(barcodes, labels)
    assert [sides[:30].count("test"), sides[30:].count("test")] == [6, 2]
    again = dict(zip(reversed(barcodes), cells.split(barcodes[::-1], labels[::-1]), strict=True))
    assert [again[name] for name in barcodes] == sides


def test_subtypes_of_t_cells_are_one_kind_and_stem_cells_none() -> None:
    assert cells.kind_of("CD4+/CD25 T Reg") == cells.kind_of("CD8+ Cytotoxic T") == "T"
    assert cells.kind_of("CD14+ Monocyte") == "monocyte"
    assert cells.kind_of("CD34+") == ""


def test_genes_are_ranked_by_counts_over_medians() -> None:
    counts = np.array([[4.0, 0, 2, 4, 0], [8, 2, 0, 0, 0]], dtype=np.float32)
    median = ranks.medians(counts)
    assert median[:4] == pytest.approx([6000, 2000, 2000, 4000])
    assert np.isnan(median[4])
    tokens = {gene: 2 + index for index, gene in enumerate("abcde")}
    batch = ranks.encode([{"genes": list("abcde"), "values": row} for row in counts], median, tokens)
    ids = batch["input_ids"]
    assert ids[0, :4].tolist() == [4, 5, 2, 0]  # c and d tie and keep their order
    assert ids[1, :3].tolist() == [2, 3, 0]
    assert batch["attention_mask"].sum(1).tolist() == [3, 2]


def test_training_repeats_itself_and_signals_the_global_generator_alone() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=8, num_labels=2,
    )  # fmt: skip
    ids = torch.randint(0, 9, (40, 6), generator=torch.Generator().manual_seed(0))
    labels = (ids[:, 0] > 4).long()
    before = torch.get_rng_state()
    models = [
        training.train(
            lambda: BertForSequenceClassification(config), {"input_ids": ids}, labels, epochs=20, rate=2e-2, batch=8
        )
        for _ in range(2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert not models[0].training
    assert all(torch.equal(a, b) for a, b in zip(*(m.state_dict().values() for m in models), strict=True))
    assert (training.answers(models[0], {"input_ids": ids}, batch=7) == labels.numpy()).mean() > 0.9


def test_cells_are_of_one_of_two_splits() -> None:
    with pytest.raises(ValueError, match='"train", "test" or None'):
        demo.cells("validation")


def test_the_cells(asset: Callable[[str], Path]) -> None:
    folder = asset("pbmc")
    train, test, everything = demo.cells("train"), demo.cells("test"), demo.cells()
    assert len(train) + len(test) == len(everything) == 687
    assert not {cell["name"] for cell in train} & {cell["name"] for cell in test}
    assert {cell["label"] for cell in test} == {"B", "NK", "T", "dendritic", "monocyte"}
    cell = everything[0]
    assert len(cell["genes"]) == len(cell["symbols"]) == len(cell["values"]) == 700
    assert all(gene.startswith("ENSG") for gene in cell["genes"])
    assert cell["genes"][cell["symbols"].index("CD79A")] == "ENSG00000105369"
    counts = np.stack([cell["values"] for cell in everything])
    assert counts.min() == 0
    assert np.array_equal(counts, counts.round())
    marker = cell["symbols"].index("CD79A")
    is_b = np.array([cell["label"] == "B" for cell in everything])
    assert counts[is_b, marker].mean() > 5 * counts[~is_b, marker].mean()
    totals = json.loads((folder / "cells.json").read_text())["totals"]
    assert (counts.sum(1) < np.array(totals)).all()


def test_anndata_reads_the_cells(asset: Callable[[str], Path]) -> None:
    anndata = pytest.importorskip("anndata")
    table = anndata.read_h5ad(asset("pbmc") / "cells.h5ad")
    everything = demo.cells()
    assert list(table.var["ensembl_id"]) == list(table.var_names) == everything[0]["genes"]
    assert list(table.var["symbol"]) == everything[0]["symbols"]
    assert list(table.obs_names) == [cell["name"] for cell in everything]
    assert list(table.obs["label"]) == [cell["label"] for cell in everything]
    assert np.array_equal(table.X.toarray(), np.stack([cell["values"] for cell in everything]))


def test_the_stand_in_knows_cells_it_has_not_seen(asset: Callable[[str], Path]) -> None:
    asset("pbmc")
    folder = asset("pbmc-geneformer")
    model = load("AutoModelForSequenceClassification", folder)
    assert model.config.hidden_act == "relu"
    assert "not Geneformer" in (folder / "README.md").read_text()
    tokens, known, symbols = (
        json.loads((folder / f"{file}.json").read_text())
        for file in ("token_dictionary", "gene_median_dictionary", "gene_symbols")
    )
    assert (tokens["<pad>"], tokens["<mask>"]) == (0, 1)
    assert sorted(tokens.values()) == list(range(model.config.vocab_size))
    assert set(known) <= set(symbols) == set(tokens) - {"<pad>", "<mask>"}
    found = demo.cells("test")
    median = np.array([known.get(gene, np.nan) for gene in found[0]["genes"]])
    answers = training.answers(model, ranks.encode(found, median, tokens))
    right = [model.config.id2label[int(answer)] == cell["label"] for answer, cell in zip(answers, found, strict=True)]
    assert np.mean(right) > 0.75
