"""DNA through the two real ways of reading k-mers, and base by base: names, places, relevance for each base."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.dna import DNAWrapper, words_of
from hf_fourier.models.protein import ProteinWrapper
from hf_fourier.models.text import TextWrapper
from tests.models import laws, tiny_models, tiny_tokenizers
from tests.models.tiny_models import enliven

ESM_MARKS = ("<cls>", "<pad>", "<eos>", "<unk>")
SIX = ["".join(word) for word in itertools.product("ATCG", repeat=6)]
SEQUENCE = "ATTCCGATTCCGGGATCCTTAGCA"  # 24 bases
TWO = {"id2label": {0: "other", 1: "promoter"}, "label2id": {"other": 0, "promoter": 1}}


@cache
def tokenizer(kind: str) -> Any:
    """The vocabularies as the models ship them: all 6-mers, with single letters or without; or bases."""
    if kind == "nucleotide-transformer":
        marks = ("<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>")
        return esm((*marks, *SIX, *"ATCGN"), bos_token="<bos>", eos_token=None)
    marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    content = SIX if kind == "dnabert" else list("ACGTN")
    made = transformers.BertTokenizer(
        vocab={token: i for i, token in enumerate((*marks, *content))}, do_lower_case=False, model_max_length=512
    )
    if kind == "bases":
        from tokenizers import Regex, pre_tokenizers

        made.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[ACGTN]"), "isolated")
    return made


def esm(tokens: Any, **options: Any) -> Any:
    """`EsmTokenizer` reads its vocabulary from a file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(tokens))
        return transformers.EsmTokenizer(str(path), model_max_length=64, **options)


@cache
def explainer(kind: str, task: str = "SequenceClassification") -> FourierExplainer:
    read = tokenizer(kind)
    size = {
        "vocab_size": len(read.get_vocab()), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 66, "pad_token_id": read.pad_token_id, **TWO,
    }  # fmt: skip
    family = "Esm" if kind == "nucleotide-transformer" else "Bert"
    extra = {"mask_token_id": read.mask_token_id, "token_dropout": True} if family == "Esm" else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(**size, **extra)
        model = getattr(transformers, f"{family}For{task}")(config).eval()
        enliven(model)
    return FourierExplainer(model, read)


KINDS = ("nucleotide-transformer", "dnabert", "bases")
OVERLAPPING = [SEQUENCE[i : i + 6] for i in range(19)]
NAMES = {
    "nucleotide-transformer": ["ATTCCG", "ATTCCG", "GGATCC", "TTAGCA"],
    "dnabert": OVERLAPPING,
    "bases": list(SEQUENCE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_models_and_lie_where_they_are(kind: str) -> None:
    explain = explainer(kind)
    assert type(explain.wrapper) is DNAWrapper
    result = explain.explain(SEQUENCE)
    assert list(result.names) == NAMES[kind]
    view: Any = result.view
    assert view.sequence == SEQUENCE
    assert [SEQUENCE[a:b] for a, b in zip(view.starts, view.stops, strict=True)] == NAMES[kind]
    text = " ".join(OVERLAPPING) if kind == "dnabert" else SEQUENCE
    with torch.no_grad():
        theirs = explain.model(**explain.processor(text, return_tensors="pt")).logits
    laws.close(laws.own_forward(explain, explain.wrapper.encode(SEQUENCE)), theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_frequencies_are_in_cycles_per_base(kind: str) -> None:
    """A 6-mer a token: the fastest frequency is half a cycle per 6 bases; one base a step: half a cycle per base."""
    result = explainer(kind).explain(SEQUENCE)
    (column,) = result.layout.with_role("frequency")
    assert column.unit == "cycles/base"
    step = 6 if kind == "nucleotide-transformer" else 1
    tokens = len(NAMES[kind])
    expected = torch.arange(tokens // 2 + 1) / tokens / step
    torch.testing.assert_close(column.values.unique(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_relevance_for_each_base_adds_up(kind: str) -> None:
    result = explainer(kind).explain(SEQUENCE)
    table, by_token = result.bases(0.2), result.input_relevance(0.2).values
    assert table["place"] == list(range(1, 25))
    assert "".join(table["base"]) == SEQUENCE
    assert sum(table["relevance"]) == pytest.approx(float(by_token.sum()), rel=1e-5)
    whole = float((result.signal * result.gradient).sum())
    assert sum(table["gradient_input"]) == pytest.approx(whole, rel=1e-4)
    if kind == "nucleotide-transformer":
        np.testing.assert_allclose(table["relevance"][6:12], [by_token[1] / 6] * 6, rtol=1e-6)
    if kind == "dnabert":  # base 2 lies in the first three words
        assert table["relevance"][2] == pytest.approx(float(by_token[:3].sum()) / 6, rel=1e-5)
    own = explainer(kind).explain(SEQUENCE, method="integrated_gradients:steps=4", domain="identity")
    assert sum(own.bases()["relevance"]) == pytest.approx(float(own.scores.sum()), rel=1e-4)
    assert set(own.bases()["measure"]) == {"score of integrated_gradients"}
    power = explainer(kind).explain(SEQUENCE, method="magnitude").bases()
    assert min(power["relevance"]) >= 0
    assert "gradient_input" not in power.columns


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_whole_come_back_and_are_drawn(kind: str, tmp_path: Path) -> None:
    explain = explainer(kind)
    result = explain.explain(SEQUENCE)
    laws.whole(result)
    laws.comes_back(explain, result, tmp_path)
    laws.batch_and_order_are_no_matter(explain, [SEQUENCE, "GATTACAGATTACA", SEQUENCE[::-1]])
    figure = result.plot(tmp_path / "figure.png")
    if kind == "bases":
        assert any("codon" in text.get_text() for text in figure.findobj() if hasattr(text, "get_text"))


def test_what_is_left_over_is_single_letters_and_said() -> None:
    result = explainer("nucleotide-transformer").explain(SEQUENCE + "AC")
    assert list(result.names) == [*NAMES["nucleotide-transformer"], "A", "C"]
    assert result.bases()["place"][-1] == 26
    assert result.layout.with_role("frequency")[0].unit == "cycles/k-mer"
    assert any("tokens of several lengths" in note for note in result.provenance["notes"])


@pytest.mark.parametrize("kind", KINDS)
def test_ways_to_write_a_sequence(kind: str) -> None:
    explain = explainer(kind)
    result = explain.explain(SEQUENCE)
    for written in (f" {SEQUENCE[:7]}\n{SEQUENCE[7:]} ", " ".join(SEQUENCE)):
        laws.same(explain.explain(written), result)
    small, rna = explain.explain(SEQUENCE.lower()), explain.explain(SEQUENCE.replace("T", "U"))
    laws.same(small, result)
    laws.same(rna, result)
    assert small.provenance["notes"] == ["lowercase letters were read as bases"]
    assert rna.provenance["notes"] == ["U was read as T"]
    if kind == "dnabert":
        laws.same(explain.explain(" ".join(OVERLAPPING)), result)
        with pytest.raises(InputError, match="at least one 6-mer"):
            explain.explain("ACGT")
        with pytest.raises(InputError, match="letters R in a sequence"):
            explain.explain(SEQUENCE + "R")
    else:
        unsure = explain.explain(SEQUENCE + "RRACGT")
        assert "N" in unsure.view.sequence
        assert "ambiguous letters were read as N" in unsure.provenance["notes"]
    for wrong in ("ACGTACGT!", 3, ("ACGTTT", "ACGTTT"), ""):
        with pytest.raises(InputError):
            explain.explain(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_word(kind: str) -> None:
    explain = explainer(kind, "MaskedLM")
    mask = explain.processor.mask_token
    text = f"ATTCCG{mask}GGATCC"
    if kind == "dnabert":
        text = " ".join([*OVERLAPPING[:4], mask, *OVERLAPPING[5:8]])
    result = explain.explain(text)
    assert result.label in explain.processor.get_vocab()
    view: Any = result.view
    expected = {"nucleotide-transformer": "ATTCCG??????GGATCC", "dnabert": SEQUENCE[:13], "bases": "ATTCCG?GGATCC"}
    assert view.sequence == expected[kind]
    assert len(result.bases()) == len(view.sequence)
    assert view.starts[0] == 0
    laws.whole(result)


def test_words_that_contradict_each_other_are_refused() -> None:
    explain = explainer("dnabert", "MaskedLM")
    with pytest.raises(InputError, match=r"'GGATCC' at base 2, where 'TTCCG\?' was read"):
        explain.explain("ATTCCG GGATCC")
    with pytest.raises(InputError, match="6-mers one by one"):
        explain.explain("ATTCCGA[MASK]GGATCC")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokenizers_own_output(kind: str) -> None:
    explain = explainer(kind)
    text = " ".join(OVERLAPPING) if kind == "dnabert" else SEQUENCE
    (row,) = explain.explain(explain.processor([text], return_tensors="pt"))
    laws.same(row, explain.explain(SEQUENCE))
    assert row.bases()["base"] == list(SEQUENCE)


def test_only_vocabularies_of_bases_are_dna() -> None:
    assert not words_of(tiny_tokenizers.tokenizer("bert"))
    model = tiny_models.build("text-classification", "bert")
    assert type(FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).wrapper) is TextWrapper
    with pytest.raises(InputError, match="the result of a DNA model"):
        FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(tiny_tokenizers.text(6, 7)).bases()


def test_esm_itself_reads_proteins_per_residue() -> None:
    """The real `EsmTokenizer` with ESM-2's vocabulary, token dropout and rotary positions."""
    tokens = (*ESM_MARKS, *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")
    config = transformers.EsmConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=66, position_embedding_type="rotary", pad_token_id=1, mask_token_id=len(tokens) - 1,
        token_dropout=True, **TWO,
    )  # fmt: skip
    model = transformers.EsmForSequenceClassification(config).eval()
    explain = FourierExplainer(model, esm(tokens))
    assert type(explain.wrapper) is ProteinWrapper
    sequence = "MKTAYIAKQRQISFVKSHFSRQ"
    result = explain.explain(sequence)
    assert list(result.names) == list(sequence)
    assert result.layout.with_role("frequency")[0].unit == "cycles/residue"
    with torch.no_grad():
        theirs = model(**explain.processor(sequence, return_tensors="pt")).logits
    laws.close(laws.own_forward(explain, explain.wrapper.encode(sequence)), theirs)
    laws.whole(result)
