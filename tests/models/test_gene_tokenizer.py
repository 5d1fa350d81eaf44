"""Rank-value tokens against a second computation, written otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.gene_tokenizer import MEDIANS, SYMBOLS, TOKENS, GeneTokenizer

GENES = [f"ENSG{i:011d}" for i in range(60)]
V1 = {"<pad>": 0, "<mask>": 1}
V2 = {**V1, "<cls>": 2, "<eos>": 3}


def tokenizer(specials: dict[str, int] = V1, known: int = 50, **options: Any) -> GeneTokenizer:
    """Tokens of the first `known` genes, in another order than the genes'."""
    numbers = np.random.default_rng(0)
    places = numbers.permutation(known) + len(specials)
    tokens = {**specials, **{gene: int(t) for gene, t in zip(GENES, places, strict=False)}}
    medians = dict(zip(GENES[:known], numbers.uniform(0.5, 20, known).tolist(), strict=True))
    symbols = {gene: f"G{i}" for i, gene in enumerate(GENES)}
    return GeneTokenizer(tokens, medians, symbols, **options)


def by_hand(own: GeneTokenizer, genes: list[str], counts: np.ndarray) -> list[int]:
    """Ranks by sorting tuples, largest first; ties by place."""
    total = counts.sum()
    entries = []
    for place, (gene, count) in enumerate(zip(genes, counts, strict=True)):
        if count == 0 or gene not in own.tokens or gene not in own.medians:
            continue
        entries.append((-(10_000 * count / total) / own.medians[gene], place, own.tokens[gene]))
    return [token for _, _, token in sorted(entries)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("specials", [V1, V2])
def test_ranks_against_a_second_computation(specials: dict[str, int], seed: int) -> None:
    own, numbers = tokenizer(specials), np.random.default_rng(seed)
    genes = [GENES[i] for i in numbers.permutation(60)[:40]]
    counts = numbers.poisson(3, 40).astype(float)
    ids, notes = own.encode(genes, counts)
    expected = by_hand(own, genes, counts)
    assert ids == ([2, *expected, 3] if specials is V2 else expected)
    expressed, read = int((counts > 0).sum()), len(expected)
    said = f"{expressed - read} of {expressed} expressed genes are not in the model's vocabulary: "
    assert len(notes) == (read < expressed)
    assert all(note.startswith(said) for note in notes)
    assert own.encode(genes, counts / 7.5)[0] == ids  # whatever the cell's total


def test_ties_stay_in_the_order_they_came() -> None:
    own = GeneTokenizer({**V1, **{gene: 10 + i for i, gene in enumerate(GENES)}}, dict.fromkeys(GENES, 2.0))
    assert own.encode(GENES[:5], [1, 2, 1, 2, 1])[0] == [11, 13, 10, 12, 14]
    assert own.encode(GENES[4::-1], [1, 2, 1, 2, 1])[0] == [13, 11, 14, 12, 10]


def test_a_gene_that_comes_twice_is_added_up() -> None:
    own = tokenizer()
    once, _ = own.encode(GENES[:4], [3, 1, 2, 5])
    assert own.encode([*GENES[:4], GENES[0]], [1, 1, 2, 5, 2])[0] == once


def test_one_gene_and_zeros() -> None:
    own = tokenizer(V2)
    assert own.encode([GENES[7]], [0.25])[0] == [2, own.tokens[GENES[7]], 3]
    assert own.encode(GENES[:9], np.eye(9)[7])[0] == [2, own.tokens[GENES[7]], 3]


@pytest.mark.parametrize(("own_limit", "models", "room"), [(10, None, 8), (None, 10, 8), (12, 10, 8), (10, 99, 8)])
def test_the_lowest_ranks_are_cut_and_the_marks_stay(own_limit: int | None, models: int | None, room: int) -> None:
    own = tokenizer(V2, limit=own_limit)
    counts = np.random.default_rng(1).permutation(30) + 1.0
    ids, notes = own.encode(GENES[:30], counts, models)
    assert ids == [2, *by_hand(own, GENES[:30], counts)[:room], 3]
    assert notes == (f"a cell of 30 genes was cut to the first {room}",)
    assert (
        tokenizer(V1, limit=own_limit).encode(GENES[:30], counts, models)[0]
        == by_hand(tokenizer(V1), GENES[:30], counts)[: room + 2]
    )


def test_a_median_of_zero_is_none() -> None:
    own = GeneTokenizer({"a": 1, "b": 2}, {"a": 0.0, "b": 1.0})
    assert own.encode(["a", "b"], [5, 1]) == ([2], ("1 of 2 expressed genes are not in the model's vocabulary: a",))


class Sparse:
    """A row of a sparse matrix, as cells of AnnData have it."""

    def toarray(self) -> np.ndarray:
        return np.array([[3.0, 1.0, 2.0]])


@pytest.mark.parametrize(
    "values", [[3, 1, 2], (3, 1, 2), np.array([3, 1, 2], np.int16), np.array([[3, 1, 2]]), Sparse()]
)
def test_counts_in_every_form(values: Any) -> None:
    own = tokenizer()
    assert own.encode(list(np.array(GENES[:3])), values)[0] == own.encode(GENES[:3], [3.0, 1.0, 2.0])[0]


@pytest.mark.parametrize(
    ("genes", "values", "said"),
    [
        (GENES[:3], [1, 2], "3 genes and 2 values"),
        (GENES[:2], [1, -2], "negative or NaN"),
        (GENES[:2], [1, np.nan], "negative or NaN"),
        (GENES[:2], [1, np.inf], "negative or NaN"),
        (GENES[:2], [0, 0], "expresses no gene"),
        ([], [], "expresses no gene"),
        (["CD3D", "LYZ"], [1, 2], "none of 2 expressed genes is known (CD3D, …)"),
        (GENES[50:], np.ones(10), "none of 10 expressed genes"),
        (GENES[:2], ["many", "few"], "one number per gene"),
        (["<pad>", "<cls>"], [1, 2], "none of 2 expressed genes"),
    ],
)
def test_what_is_no_cell_is_refused(genes: list[str], values: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        tokenizer(V2).encode(genes, values)
    assert said in str(caught.value)


def test_names_and_specials() -> None:
    own = tokenizer(V2)
    assert own.name(own.tokens[GENES[5]]) == "G5"
    assert own.name(1) == "<mask>"
    assert own.name(999) == "999"
    assert own.special_ids == {0, 1, 2, 3}
    assert own.mask_token_id == 1


def test_dictionaries_come_from_a_folder(tmp_path: Path) -> None:
    own = tokenizer(V2)
    with pytest.raises(ModelError, match=TOKENS):
        GeneTokenizer.from_folder(tmp_path)
    for name, values in ((TOKENS, own.tokens), (MEDIANS, own.medians), (SYMBOLS, own.symbols)):
        (tmp_path / name).write_text(json.dumps(values))
    back = GeneTokenizer.from_folder(tmp_path, limit=6)
    assert (back.tokens, back.medians, back.symbols, back.limit) == (own.tokens, own.medians, own.symbols, 6)
    (tmp_path / SYMBOLS).unlink()
    assert GeneTokenizer.from_folder(tmp_path).name(own.tokens[GENES[5]]) == GENES[5]


def test_genes_by_their_other_names() -> None:
    own = tokenizer(V2)
    aliases = {"ENSG00000099999": GENES[3], "G4": GENES[4], "GENE.7": GENES[7]}
    named = GeneTokenizer(own.tokens, own.medians, own.symbols, aliases=aliases)
    once, notes = own.encode([GENES[3], GENES[4], GENES[5], GENES[6], GENES[7]], [5, 2, 3, 9, 1])
    assert not notes
    other = [f"{GENES[3]}.14", "G4", GENES[5].lower(), GENES[6], "GENE.7", "ENSG00000099999.2"]
    found, notes = named.encode(other, [3, 2, 3, 9, 1, 2])  # the retired id's counts are added
    assert found == once
    assert notes == ("2 of 6 expressed genes were read by their symbols",)
    assert named.gene("g4") is None  # a mouse's gene has its name in small letters
    assert named.gene("ENSG00000077777") is None


def test_ties_may_be_left_to_numpy_as_geneformer_signals_them() -> None:
    """`rank_genes` of its tokenizer calls `argsort` without a kind."""
    numbers = np.random.default_rng(2)
    tokens = {**V1, **{gene: 10 + i for i, gene in enumerate(GENES)}}
    own = GeneTokenizer(tokens, dict.fromkeys(GENES, 2.0), ties="numpy")
    counts = numbers.integers(1, 4, 60).astype(float)
    vector = counts / counts.sum() * 10_000 / 2.0
    assert own.encode(GENES, counts)[0] == [tokens[GENES[i]] for i in np.argsort(-vector)]


def test_equal_ratios_are_ties_whatever_the_total() -> None:
    """3 counts at a median of 3 are 1 at a median of 1: divided by a total first, rounding would part them."""
    tokens = {**V1, **{gene: 10 + i for i, gene in enumerate(GENES)}}
    own = GeneTokenizer(tokens, {gene: 1.0 + i for i, gene in enumerate(GENES)})
    for more in range(50):
        assert own.encode([*GENES[:40], "ENSG9"], [*range(1, 41), more])[0] == [10 + i for i in range(40)]
