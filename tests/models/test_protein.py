"""Sequences of residues through ESM and BERT."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.methods.tracking import UNMOVED
from hf_fourier.models.protein import ProteinWrapper
from hf_fourier.models.text import TextWrapper
from hf_fourier.results.remarks import NO_GRADIENT
from tests.models import laws, tiny_models, tiny_tokenizers

RESIDUES = "LAGVSERTIDPKQNFYMHWC"
MODELS = [
    (task, name)
    for task in ("text-classification", "fill-mask")
    for name in ("esm", "esm-rotary", "bert")
]  # fmt: skip
SEQUENCES = ["EVQLVESGG", "QVQLQ", "DIQMTQSPS", "W"]


@cache
def tokenizer(name: str) -> Any:
    """ESM's own vocabulary as it ships, or the letters behind BERT's marks; ids of the marks are those of the zoo."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    esm = name.startswith("esm")
    marks = ("<pad>", "<cls>", "<eos>", "<unk>", "<mask>") if esm else ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
    vocabulary = {token: i for i, token in enumerate((*marks, *RESIDUES, *("XBUZO.-" if esm else "")))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=marks[3]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{marks[1]} $A {marks[2]}", special_tokens=[(marks[1], 1), (marks[2], 2)]
    )
    names = dict(zip(("pad_token", "cls_token", "sep_token", "unk_token", "mask_token"), marks, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names, model_input_names=["input_ids", "attention_mask"])


@cache
def explainer(task: str, name: str) -> FourierExplainer:
    return FourierExplainer(tiny_models.build(task, name), tokenizer(name))


def spaced(sequence: str) -> str:
    return " ".join(sequence)


@pytest.mark.parametrize(("task", "name"), MODELS)
def test_the_clean_forward_is_the_models_own(task: str, name: str) -> None:
    explain = explainer(task, name)
    assert isinstance(explain.wrapper, ProteinWrapper)
    for sequence in SEQUENCES:
        mask = explain.processor.mask_token
        text = spaced(sequence) if task == "text-classification" else spaced(sequence) + f" {mask} A"
        with torch.no_grad():
            theirs = explain.model(**explain.processor(text, return_tensors="pt")).logits
        laws.close(laws.own_forward(explain, explain.wrapper.encode(text)), theirs)


@pytest.mark.parametrize(("task", "name"), MODELS)
def test_results_are_whole_and_come_back(task: str, name: str, tmp_path: Path) -> None:
    explain = explainer(task, name)
    for sequence in SEQUENCES:
        result = explain.explain(sequence)
        laws.whole(result)
        assert list(result.names) == list(sequence)
        assert [axis.name for axis in result.layout.signal.axes] == ["residue", "hidden"]
        assert "frequency [cycles/residue]" in result.top_features(1).columns
        alone = task == "fill-mask" and len(sequence) == 1  # the one residue is masked, and nothing is read
        assert result.provenance["notes"] == ([UNMOVED, NO_GRADIENT] if alone else [])
    laws.comes_back(explain, explain.explain(SEQUENCES[0]), tmp_path)


@pytest.mark.parametrize(("task", "name"), MODELS)
def test_batch_order_passes_and_state(task: str, name: str) -> None:
    explain = explainer(task, name)
    laws.batch_and_order_are_no_matter(explain, SEQUENCES)
    if task == "text-classification":
        laws.one_pass_each_way(explain, SEQUENCES)
    laws.nothing_is_changed(explain, SEQUENCES[1])


@pytest.mark.parametrize(("task", "name"), MODELS)
def test_bfloat16(task: str, name: str) -> None:
    halved = FourierExplainer(tiny_models.build(task, name).bfloat16(), tokenizer(name))
    laws.half_precision_works(explainer(task, name), halved, SEQUENCES[0])


@pytest.mark.parametrize("name", ["esm", "bert"])
def test_ways_to_write_a_sequence(name: str) -> None:
    explain = explainer("text-classification", name)
    result = explain.explain("EVQLVESGG")
    for text in ("E V Q L V E S G G", " EVQLV\nESGG\n", "EVQ LVE SGG"):
        laws.same(explain.explain(text), result)
    small = explain.explain("evqlvesgg")
    laws.same(small, result)
    assert small.provenance["notes"] == ["lowercase letters were read as residues"]
    strange = explain.explain("EVQ*J")
    unknown = explain.processor.unk_token
    assert strange.provenance["notes"] == [f"not in the vocabulary, read as {unknown}: '*', 'J'"]
    laws.whole(strange)


@pytest.mark.parametrize("name", ["esm", "bert"])
def test_a_masked_residue(name: str) -> None:
    explain = explainer("fill-mask", name)
    mask = explain.processor.mask_token
    batch = explain.processor(f"E V {mask} L V", return_tensors="pt")
    with torch.no_grad():
        p = explain.model(**batch).logits[0, 3].softmax(-1)
    for text in (f"EV{mask}LV", f"E V {mask} L V"):
        result = explain.explain(text)
        assert result.target == int(p.argmax())
        assert result.confidence == pytest.approx(float(p.max()), rel=1e-4)
        assert list(result.names) == list("EVLV")
    assert explain.explain(f"EV{mask}LV", "W").target == explain.processor.get_vocab()["W"]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("example", ["", "  \n", 3, None, ("EVQ", "LVE"), b"EVQ", ["EVQ", ""]])
def test_what_is_no_sequence_is_refused(example: Any) -> None:
    with pytest.raises(InputError):
        explainer("text-classification", "bert").explain(example)


def test_a_long_sequence_is_cut_and_that_is_said() -> None:
    result = explainer("text-classification", "bert").explain("EVQLV" * 20)
    assert result.signal.shape[0] == 46
    assert "cut to the model's 48" in result.provenance["notes"][0]


def test_only_vocabularies_of_residues_are_proteins() -> None:
    model = tiny_models.build("text-classification", "bert")
    assert type(FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).wrapper) is TextWrapper
    assert type(FourierExplainer(model).wrapper) is TextWrapper
