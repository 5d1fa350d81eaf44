"""In-silico perturbation: embeddings against formulas and the bare model, states, tests, controls, interruptions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from hf_fourier import FourierExplainer
from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.evaluation.studies import perturb_genes as work
from hf_fourier.evaluation.studies.gene_effects import gene_effects
from hf_fourier.evaluation.studies.gene_shift_files import NAME, piece_path, write_settings
from hf_fourier.evaluation.studies.gene_shifts import GeneShifts
from hf_fourier.evaluation.studies.gene_variants import Cell, random_genes
from tests.models import test_single_cell as cells

MANY = [{**cells.cell(7 + i % 3, i), "name": f"c{i}"} for i in range(8)]
TYPES = ["ill", "well", "ill", "well", "ill", "other", "ill", "other"]
STATES = {"state_key": TYPES, "start_state": "ill", "goal_state": "well", "alt_states": ["other"]}


def tokens(explain: FourierExplainer, cell: Any) -> list[int]:
    return [int(token) for token in explain.wrapper.encode(cell).inputs["input_ids"]]


def hidden(explain: FourierExplainer, ids: list[int], layer: int = -1) -> np.ndarray:
    with torch.no_grad():
        out = explain.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    return out.hidden_states[layer - 1][0].double().numpy()


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@cache
def shifts(task: str, version: str, by: str, embedding: str) -> GeneShifts:
    return cells.explainer(task, version).perturb_genes(MANY[:2], by=by, embedding=embedding)


@pytest.mark.parametrize("by", ["delete", "overexpress"])
@pytest.mark.parametrize(("task", "version", "embedding"), [
    ("fill-mask", "V1", "mean"), ("fill-mask", "V2", "cls"), ("text-classification", "V2", "mean"),
])  # fmt: skip
def test_a_shift_is_that_of_the_bare_model(task: str, version: str, embedding: str, by: str) -> None:
    explain, found = cells.explainer(task, version), shifts(task, version, by, embedding)
    marks = 1 if version == "V2" else 0
    for number, cell in enumerate(MANY[:2]):
        ids = tokens(explain, cell)
        genes = ids[marks : len(ids) - marks]
        rows = np.flatnonzero(found.cell == number)
        assert len(rows) == len(genes)
        assert found.rank[rows].tolist() == list(range(len(genes)))
        for rank, row in enumerate(rows):
            assert found.perturbed[found.perturbation[row]] == (explain.processor.ensembl(genes[rank]),)
            raised = [genes[rank]] if by == "overexpress" else []
            left = [*ids[:marks], *raised, *genes[:rank], *genes[rank + 1 :], *ids[len(ids) - marks :]]
            before, after = hidden(explain, ids), hidden(explain, left)
            if embedding == "cls":
                expected = cosine(before[0], after[0])
            else:
                places = [marks + i for i in range(len(genes)) if i != rank]
                start = marks + len(raised)
                expected = cosine(before[places].mean(0), after[start : start + len(places)].mean(0))
            assert found.cosine[row] == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_where_embeddings_are_words_and_places_shifts_are_those_of_the_formula() -> None:
    """The layer below all attention: the normed sum of a gene's vector and its rank's."""
    explain = cells.explainer("fill-mask", "V1")
    found = explain.perturb_genes(MANY[:1], layer=-2, downstream=False)
    table = explain.model.bert.embeddings
    ids = tokens(explain, MANY[0])

    def embedded(genes: list[int], first: int) -> torch.Tensor:
        places = torch.arange(first, first + len(genes))
        whole = table.word_embeddings.weight[genes] + table.position_embeddings.weight[places]
        return table.LayerNorm(whole + table.token_type_embeddings.weight[0]).detach().double()

    for rank in range(len(ids)):
        kept, moved = embedded(ids[:rank], 0), embedded(ids[rank + 1 :], rank)
        stayed = embedded(ids[rank + 1 :], rank + 1)
        before, after = (torch.cat([kept, rest]).mean(0).numpy() for rest in (stayed, moved))
        assert found.cosine[rank] == pytest.approx(cosine(before, after), abs=1e-6)
    assert found.cosine[-1] == pytest.approx(1, abs=1e-7)  # no gene below the last one moves
    assert found.table().notes[0].startswith("cosines of the mean of the genes in the layer 2 before")


def test_a_gene_that_moves_nothing_shifts_nothing() -> None:
    explain = cells.explainer("fill-mask", "V2")
    first = explain.processor.ensembl(tokens(explain, MANY[0])[1])
    again = explain.perturb_genes(MANY[:1], [first], "overexpress", downstream=True)  # it is first already
    assert again.cosine[~again.control] == pytest.approx([1], abs=1e-12)
    table = again.downstream_table(first)
    assert len(table) == len(MANY[0]["genes"]) - 1
    assert table["Cosine_sim_mean"] == pytest.approx([1] * len(table), abs=1e-12)
    assert set(table["Cosine_sim_random"]) == {None}  # no other gene is of like rank
    assert first not in table["Affected_Ensembl_ID"]
    fourth = explain.processor.ensembl(tokens(explain, MANY[0])[4])
    moved = explain.perturb_genes(MANY[:1], [fourth], "overexpress", downstream=True).downstream_table()
    assert min(filter(None, moved["Cosine_sim_random"])) < 1 - 1e-6


@pytest.mark.parametrize("version", cells.SPECIALS)
def test_the_score_of_a_classifier_falls_as_deletion_says(version: str) -> None:
    explain = cells.explainer("text-classification", version)
    found, results = shifts("text-classification", version, "delete", "mean"), explain.explain(MANY[:2])
    for number, effects in enumerate(gene_effects(explain, results)):
        assert -found.score[found.cell == number] == pytest.approx(effects, rel=1e-3, abs=1e-5)
    assert np.isnan(shifts("fill-mask", "V2", "delete", "cls").score).all()


def test_version_one_reads_the_same_gene_when_another_is_raised() -> None:
    explain = cells.explainer("text-classification", "V1")
    ids, found = tokens(explain, MANY[0]), shifts("text-classification", "V1", "overexpress", "mean")
    rows = np.flatnonzero(found.cell == 0)

    def value(genes: list[int], label: int) -> float:
        with torch.no_grad():
            return float(explain.model(input_ids=torch.tensor([genes])).logits[0].double().log_softmax(0)[label])

    with torch.no_grad():
        label = int(explain.model(input_ids=torch.tensor([ids])).logits.argmax())
    raised = [ids[0], ids[4], *ids[1:4], *ids[5:]]
    assert found.score[rows[4]] == pytest.approx(value(raised, label) - value(ids, label), abs=1e-5)
    assert found.score[rows[0]] == pytest.approx(0, abs=1e-7)  # it is read second in the exchanged cell, too


@cache
def towards() -> GeneShifts:
    return cells.explainer("fill-mask", "V2").perturb_genes(MANY, states=STATES, embedding="mean", layer=0)


def test_the_shift_to_the_goal_is_that_of_mean_embeddings() -> None:
    found, explain = towards(), cells.explainer("fill-mask", "V2")
    assert found.cells == ("c0", "c2", "c4", "c6")  # of the start state alone
    assert found.ends == ("well", "other")
    assert repr(found).endswith("deleted in 4 cells, towards well)")

    def mean(name: str) -> np.ndarray:
        own = [cell for cell, state in zip(MANY, TYPES, strict=True) if state == name]
        return np.mean([hidden(explain, tokens(explain, cell), 0)[1:-1].mean(0) for cell in own], axis=0)

    ids = tokens(explain, MANY[2])
    rank, row = 3, np.flatnonzero(found.cell == 1)[3]
    left = [*ids[: 1 + rank], *ids[2 + rank :]]
    places = [1 + i for i in range(len(ids) - 2) if i != rank]
    before, after = hidden(explain, ids, 0)[places].mean(0), hidden(explain, left, 0)[1:-1].mean(0)
    for end, shift in zip(("well", "other"), found.shifts[row], strict=True):
        assert shift == pytest.approx(cosine(after, mean(end)) - cosine(before, mean(end)), abs=1e-6)


def test_the_table_is_tested_and_sorted() -> None:
    found, table = towards(), towards().table()
    assert list(table.columns)[:3] == ["Gene", "Gene_name", "Ensembl_ID"]
    known = cells.explainer("fill-mask", "V2").processor.tokens
    assert table["Gene"] == [known[gene] for gene in table["Ensembl_ID"]]
    assert {
        "Shift_to_goal_end", "Shift_to_alt_end_other", "Goal_end_vs_random_pval", "Alt_end_vs_random_pval_other",
        "Goal_end_FDR", "Alt_end_FDR_other", "N_Detections", "Sig",
    } <= set(table.columns)  # fmt: skip
    assert sum(table["N_Detections"]) == len(found.cell)
    order = list(zip(table["Sig"], table["Shift_to_goal_end"], strict=True))
    assert order == sorted(order, reverse=True)
    last = [found.rank[found.cell == cell].max() for cell in range(4)]
    for row in list(table.rows())[::5]:
        number = found.perturbed.index((row["Ensembl_ID"],))
        rows = np.flatnonzero(found.perturbation == number)
        near = [
            i for one in rows for i in range(len(found.cell))
            if found.cell[i] == found.cell[one]
            and 0 < abs(found.rank[i] - found.rank[one])
            <= min(2, found.rank[one], last[found.cell[one]] - found.rank[one])
        ]  # fmt: skip
        inner = [i for i in rows if 0 < found.rank[i] < last[found.cell[i]]]
        assert row["Shift_to_goal_end"] == pytest.approx(found.shifts[rows, 0].mean())
        if not inner:
            assert row["Goal_end_vs_random_pval"] is row["Goal_end_FDR"] is None
            continue
        p = stats.ranksums(found.shifts[inner, 0], found.shifts[near, 0]).pvalue
        assert row["Goal_end_vs_random_pval"] == pytest.approx(p)
    p, adjusted = (
        [one for one in table[name] if one is not None] for name in ("Goal_end_vs_random_pval", "Goal_end_FDR")
    )
    assert adjusted == pytest.approx(stats.false_discovery_control(p))


def test_named_genes_and_combinations_have_controls_of_like_rank() -> None:
    explain = cells.explainer("fill-mask", "V2")
    many = [{**cells.cell(40, i), "name": f"c{i}"} for i in range(5)]
    inner = [set(tokens(explain, cell)[5:-5]) for cell in many]  # not at the ends of the ranking
    both = [explain.processor.ensembl(token) for token in sorted(set.intersection(*inner))][:2]
    assert len(both) == 2
    symbols = [explain.processor.symbols[gene] for gene in both]
    found = explain.perturb_genes(many, [symbols[0], both], downstream=True)
    assert found.perturbed == ((both[0],), tuple(both))
    assert found.control.sum() == len(found.control) / 2 == 10
    own = found.table()
    assert set(own["Gene_name"]) == {symbols[0], " + ".join(symbols)}
    assert own["N_Detections"] == [5, 5]
    one, other = (explain.processor.tokens[gene] for gene in both)
    assert dict(zip(own["Gene_name"], own["Gene"], strict=True)) == {
        symbols[0]: one, " + ".join(symbols): f"({one}, {other})"
    }  # fmt: skip
    for number, cell in enumerate(many):
        for control in (False, True):
            rows = np.flatnonzero((found.cell == number) & (found.control == control) & (found.perturbation == 0))
            ids = tokens(explain, cell)[1:-1]
            rank = ids.index(explain.processor.tokens[both[0]])
            assert abs(found.rank[rows[0]] - rank) <= (4 if control else 0)
            assert (found.rank[rows[0]] == rank) != control
    table = found.downstream_table(symbols[0])
    assert list(table.columns)[:6] == [
        "Perturbed", "Gene_name", "Ensembl_ID", "Affected", "Affected_gene_name", "Affected_Ensembl_ID"
    ]  # fmt: skip
    assert set(table["Perturbed"]) == {one}
    assert table["Affected"] == [explain.processor.tokens[gene] for gene in table["Affected_Ensembl_ID"]]
    # The mean over cells of the cosine of a gene's embedding, by the bare model.
    gaps = [a - b for a, b in zip(table["Cosine_sim_mean"], table["Cosine_sim_random"], strict=True) if b is not None]
    assert gaps == sorted(gaps)
    place = next(i for i, count in enumerate(table["N_Detections"]) if count > 2)
    affected, cosines = table["Affected_Ensembl_ID"][place], []
    for cell in many:
        ids = tokens(explain, cell)
        gone, token = explain.processor.tokens[both[0]], explain.processor.tokens[affected]
        if token in ids:
            left = [one for one in ids if one != gone]
            cosines.append(cosine(hidden(explain, ids)[ids.index(token)], hidden(explain, left)[left.index(token)]))
    assert table["N_Detections"][place] == len(cosines)
    assert table["Cosine_sim_mean"][place] == pytest.approx(np.mean(cosines), abs=1e-6)
    assert table["Cosine_sim_stdev"][place] == pytest.approx(np.std(cosines, ddof=1), abs=1e-5)
    missing = next(gene for gene in cells.GENES if not any(gene in cell["genes"] for cell in many[:1]))
    raised = explain.perturb_genes(many[:1], [missing], "overexpress")
    assert raised.rank.tolist() == [-1, -1]  # it was not there, nor was the control
    assert raised.cosine[0] < 1


def test_an_interrupted_one_goes_on_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "AT_ONCE", 1)
    explain, seen = cells.explainer("fill-mask", "V2"), []
    whole = explain.perturb_genes(MANY[:4], output_dir=tmp_path / "a", batch_size=3)
    for number in (1, 2):
        piece_path(tmp_path / "a", number).unlink()
    last = piece_path(tmp_path / "a", 3).stat().st_mtime_ns
    again = explain.perturb_genes(
        MANY[:4], output_dir=tmp_path / "a", batch_size=3, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(i, 4) for i in range(1, 5)]
    assert piece_path(tmp_path / "a", 3).stat().st_mtime_ns == last
    assert again.table().columns == whole.table().columns
    loaded = GeneShifts.load(tmp_path / "a")
    assert (loaded.cosine == whole.cosine).all()
    assert repr(loaded) == repr(whole)
    in_memory = explain.perturb_genes(MANY[:4])
    assert in_memory.cosine == pytest.approx(whole.cosine, abs=1e-6)
    with pytest.raises(InputError, match="differs in layer"):
        explain.perturb_genes(MANY[:4], layer=0, output_dir=tmp_path / "a")
    other = cells.explainer.__wrapped__("fill-mask", "V2")
    with torch.no_grad():
        other.model.bert.embeddings.word_embeddings.weight *= 1.3
    with pytest.raises(InputError, match="weights"):
        other.perturb_genes(MANY[:4], output_dir=tmp_path / "a")


def test_wrong_arguments_say_so(tmp_path: Path) -> None:
    explain = cells.explainer("fill-mask", "V2")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("delete or overexpress", {"by": "silence"}), ("mean, geneformer, or cls", {"embedding": "median"}),
        ("down to -2", {"layer": -3}), ("some genes", {"downstream": True}), ("of the vocabulary", {"genes": ["x"]}),
        ("different ones", {"genes": [[cells.GENES[0]] * 2]}), ("start_state, goal_state", {"states": {"a": 1}}),
        ("one of ill, other, well", {"states": {**STATES, "goal_state": "dead"}}), ("got no gene", {"genes": []}),
        ("genes 3", {"genes": [3]}), ("different ones", {"states": {**STATES, "goal_state": "ill"}}),
        ("different ones", {"states": {**STATES, "alt_states": "well"}}),
        ("alt_states 3", {"states": {**STATES, "alt_states": 3}}),
    ]  # fmt: skip
    for message, options in wrong:
        with pytest.raises(InputError, match=message):
            explain.perturb_genes(MANY, **options)
    with pytest.raises(InputError, match="without <cls>"):
        cells.explainer("fill-mask", "V1").perturb_genes(MANY, embedding="cls")
    absent = next(gene for gene in cells.GENES if gene not in MANY[0]["genes"])
    with pytest.raises(InputError, match="cells without any of the genes"):
        explain.perturb_genes(MANY[:1], [absent])
    with pytest.raises(InputError, match="those of genes too"):
        towards().downstream_table()
    with pytest.raises(InputError, match="without perturbation"):
        GeneShifts.load(tmp_path)


def test_other_cells_into_the_same_folder_are_refused(tmp_path: Path) -> None:
    explain, gene = cells.explainer("fill-mask", "V2"), cells.GENES[0]

    def perturb(many: Any = MANY, states: Any = STATES, folder: str = "a") -> GeneShifts:
        return explain.perturb_genes(many, [gene], "overexpress", states=states, output_dir=tmp_path / folder)

    whole = perturb()
    assert (perturb().shifts == whole.shifts).all()
    with pytest.raises(InputError, match="differs in ends, tokens of ends;"):
        perturb(states={**STATES, "goal_state": "other", "alt_states": "well"})
    with pytest.raises(InputError, match="differs in tokens of ends;"):
        perturb(states={**STATES, "state_key": [{"well": "other", "other": "well"}.get(one, one) for one in TYPES]})
    turned = [{**cell, "values": cell["values"][::-1]} if i == 4 else cell for i, cell in enumerate(MANY)]
    with pytest.raises(InputError, match="differs in tokens of cells;"):
        perturb(turned)
    before = (tmp_path / "a" / NAME).read_bytes()
    (tmp_path / "a" / NAME).write_bytes(before[:-9])
    with pytest.raises(DamagedFile, match="delete the folder"):
        perturb()


def test_a_damaged_piece_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "AT_ONCE", 1)
    explain = cells.explainer("fill-mask", "V2")
    whole = explain.perturb_genes(MANY[:3], "G3", "overexpress", output_dir=tmp_path)
    assert whole.symbols == (("G3",),)
    piece = piece_path(tmp_path, 1)
    good = piece.read_bytes()
    for bad in (b"", good[:-3], piece_path(tmp_path, 0).read_bytes()):
        piece.write_bytes(bad)
        again = explain.perturb_genes(MANY[:3], "G3", "overexpress", output_dir=tmp_path)
        assert piece.read_bytes() == good
        assert again.table().columns == whole.table().columns
    piece.unlink()
    some = GeneShifts.load(tmp_path)
    assert "unfinished, 2 of 3 pieces" in some.table().notes[-1]
    assert "in 2 of 3 cells" in repr(some)
    assert "unfinished" not in " ".join(whole.table().notes)
    for number in (0, 2):
        piece_path(tmp_path, number).unlink()
    with pytest.raises(InputError, match="without a finished cell"):
        GeneShifts.load(tmp_path)


def test_genes_at_the_ends_of_the_ranking_have_no_controls() -> None:
    cell = Cell(list(range(10, 90)), list(range(80)), None)
    for rank in (0, 1, 2, 40, 78, 79):
        drawn = {one for number in range(60) for one in random_genes(cell, [10 + rank], [], number)}
        width = min(4, rank, 79 - rank)
        assert drawn == {10 + rank + step for step in range(-width, width + 1) if step}
    assert random_genes(cell, [40, 41], [], 0)[0] not in (40, 41)
    explain = cells.explainer("fill-mask", "V2")
    firsts = [explain.processor.ensembl(tokens(explain, one)[1]) for one in MANY[:2]]
    found = explain.perturb_genes(MANY[:2], firsts)
    first = next(row for row in explain.perturb_genes(MANY[:1], firsts[:1]).table().rows())
    assert first["Cosine_vs_random_pval"] is None
    for number, rows, tested, others in found._compared():
        assert set(found.cell[tested]) == set(found.cell[others])
        assert len(tested) == len(rows) - np.isin(found.rank[rows], 0).sum()
        assert found.control[others].all()
        assert (found.perturbation[others] == number).all()


def test_notes_on_the_input_are_counted() -> None:
    explain, gene = cells.explainer("fill-mask", "V2"), cells.GENES[0]
    strange = [
        {**cell, "genes": [*cell["genes"], *[f"X{j}" for j in range(i)]], "values": [*cell["values"], *[1.0] * i]}
        for i, cell in enumerate(MANY[:3])
    ]
    notes = explain.perturb_genes(strange, gene, "overexpress").table().notes
    assert notes[1:] == ("2 of 3 cells, such as c1: 1 of 9 expressed genes are not in the model's vocabulary: X0",)
    ids = tokens(explain, MANY[0])
    with pytest.raises(InputError, match=r"cell 'b'.*without the <cls>"):
        explain.perturb_genes([MANY[0], {"name": "b", "input_ids": ids[1:]}], gene, "overexpress")
    plain = explain.perturb_genes([{"input_ids": ids[1:]}], gene, "overexpress", embedding="mean")
    assert "1 of 1 cells: tokens without the <cls>" in plain.table().notes[1]
    with pytest.raises(InputError, match=r"cell 'cell-00001'.*negative"):
        explain.perturb_genes([MANY[0], {"genes": cells.GENES[:2], "values": [-1, 2]}], gene, "overexpress")


def test_padding_behind_a_cell_is_not_read() -> None:
    explain = cells.explainer("fill-mask", "V2")
    ids = tokens(explain, MANY[0])
    found = [explain.perturb_genes([{"input_ids": one}], downstream=False) for one in (ids, [*ids, 0, 0])]
    assert (found[0].cosine == found[1].cosine).all()


def test_a_folder_that_is_there_may_be_taken(tmp_path: Path) -> None:
    write_settings(tmp_path, {"by": "delete"}, [1.0])
    write_settings(tmp_path, {"by": "delete"}, [1.0])
    with pytest.raises(InputError, match="differs in by"):
        write_settings(tmp_path, {"by": "overexpress"}, [1.0])
