"""In-silico mutagenesis against a model whose effects are known, variants explained one by one, and what is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.evaluation.studies.mutations import Mutations, _chosen, write_motif_arrays
from hf_fourier.models.side_inputs import log_odds
from tests.models import test_dna
from tests.models.test_dna import SEQUENCE

BASES = "ACGT"


class LinearConfig(PreTrainedConfig):
    model_type = "toy-linear"


class Linear(PreTrainedModel):
    """The logit of "promoter" is `Σ place × weight of the base there`; that of "other" is 0."""

    config_class = LinearConfig

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.embedding = torch.nn.Embedding(10, 1)
        self.post_init()

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        states = self.embedding(input_ids)[..., 0]
        score = (states * torch.arange(input_ids.shape[1])).sum(1)
        return SequenceClassifierOutput(logits=torch.stack([torch.zeros_like(score), score], 1))


@cache
def linear() -> FourierExplainer:
    read = test_dna.tokenizer("bases")
    model = Linear(LinearConfig(num_labels=2, id2label={0: "other", 1: "promoter"})).eval()
    with torch.no_grad():
        model.embedding.weight.zero_()
        for weight, base in enumerate(BASES, 1):
            model.embedding.weight[read.convert_tokens_to_ids(base)] = weight
    return FourierExplainer(model, read, task="text-classification")


@cache
def words() -> FourierExplainer:
    """A model of byte-pair words: substitutions change how a sequence is cut."""
    from tokenizers import Tokenizer, models, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACGTN", "AT", "GG", "CC", "ATCC")
    merges = [("A", "T"), ("G", "G"), ("C", "C"), ("AT", "CC")]
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges, unk_token="[UNK]"))
    backend.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), tokens, strict=False))
    read = PreTrainedTokenizerFast(tokenizer_object=backend, **marks)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokens), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            max_position_embeddings=32, **test_dna.TWO,
        )  # fmt: skip
        model = BertForSequenceClassification(config).eval()
        test_dna.enliven(model)
    return FourierExplainer(model, read)


@cache
def mapped() -> Mutations:
    return linear().mutations("ACGTT", "promoter")


def test_effects_of_a_linear_model_are_its_weights() -> None:
    found = mapped()
    weights, own = np.arange(1.0, 5), np.array([1.0, 2, 3, 4, 4])
    places = np.arange(1, 6)  # the mark in front is at 0
    np.testing.assert_allclose(found.effects, places[:, None] * (weights - own[:, None]), atol=1e-5)
    assert (found.letters, found.alphabet, found.label) == (tuple("ACGTT"), tuple(BASES), "promoter")
    assert (found.unit, found.quantity) == ("base", "log-odds")
    others = (weights.sum() - own) / 3
    np.testing.assert_allclose(found.track().values, places * (own - others), atol=1e-5)
    np.testing.assert_allclose(found.contributions.sum(1), 0, atol=1e-5)
    table = found.table()
    assert (len(table), table["place"][0], table["letter"][0], table["substitution"][0]) == (15, 5, "T", "A")
    assert table["effect"][0] == pytest.approx(-15)
    assert repr(found) == "Mutations('promoter': 5 of 5 bases × 4 letters)"


def test_places_alone_are_asked_and_a_mask_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    found = linear().mutations("ac[MASK]gT", "promoter", places=[1, 4])
    assert found.letters == ("A", "C", "[MASK]", "G", "T")
    np.testing.assert_allclose(found.effects[[1, 4]], [[-2, 0, 2, 4], [-15, -10, -5, 0]], atol=1e-5)
    assert np.isnan(found.effects[[0, 2, 3]]).all()
    track = found.track()
    assert track.letters == "AC?GT"
    assert np.isnan(track.values[[0, 2, 3]]).all()
    from hf_fourier.evaluation.studies import mutations

    monkeypatch.setattr(mutations, "AT_ONCE", 10)  # two variants in one go
    calls: list[tuple[int, int]] = []
    again = linear().mutations("ac[MASK]gT", "promoter", places=[1, 4], progress=lambda *done: calls.append(done))
    np.testing.assert_array_equal(again.effects, found.effects)
    assert calls == [(2, 6), (4, 6), (6, 6)]


@pytest.mark.parametrize("kind", [*test_dna.KINDS, "masked", "words"])
def test_each_effect_is_that_of_the_variant_alone(kind: str) -> None:
    if kind == "words":
        explain = words()
        lengths = {len(explain.explain(one).names) for one in (SEQUENCE, f"{SEQUENCE[:3]}A{SEQUENCE[4:]}")}
        assert len(lengths) == 2
    else:
        explain = test_dna.explainer("bases", "MaskedLM") if kind == "masked" else test_dna.explainer(kind)
    sequence = f"{SEQUENCE[:20]}[MASK]" if kind == "masked" else SEQUENCE
    found = explain.mutations(sequence, places=[3, 8])
    clean = explain.explain(sequence, method="magnitude")
    assert found.value == pytest.approx(log_odds(clean, clean.value), abs=2e-5)
    for place, letter in ((3, "A"), (8, "G")):
        variant = f"{sequence[:place]}{letter}{sequence[place + 1 :]}"
        other = explain.explain(variant, found.label, method="magnitude")
        effect = found.effects[place, BASES.index(letter)]
        assert effect == pytest.approx(log_odds(other, other.value) - found.value, abs=2e-5)


@pytest.mark.assets
def test_a_real_antibody_model(asset: Callable[[str], Path]) -> None:
    from hf_fourier import demo

    explain = FourierExplainer.from_pretrained(str(asset("antiberty-species")), device="cpu", dtype=torch.float32)
    sequence = demo.antibodies()[2]["sequence"][:40]
    found = explain.mutations(sequence, places=[21])
    assert (found.label, len(found.alphabet), found.unit) == ("Mouse", 20, "residue")
    assert np.isfinite(found.effects[21]).all()
    other = explain.explain(f"{sequence[:21]}W{sequence[22:]}", "Mouse", method="magnitude")
    effect = found.effects[21, found.alphabet.index("W")]
    assert effect == pytest.approx(log_odds(other, other.value) - found.value, abs=1e-3)


def test_motif_arrays_are_as_modisco_reads_them(tmp_path: Path) -> None:
    found = [mapped(), linear().mutations("TTGCA", "promoter")]
    sequences, contributions = (np.load(path)["arr_0"] for path in write_motif_arrays(found, tmp_path / "motifs"))
    assert sequences.shape == contributions.shape == (2, 4, 5)
    assert "".join(BASES[i] for i in sequences[1].argmax(0)) == "TTGCA"
    np.testing.assert_allclose(contributions[0].T, found[0].contributions, rtol=1e-6)
    with pytest.raises(InputError, match="2 lengths"):
        write_motif_arrays([found[0], linear().mutations("TTGC", "promoter")], tmp_path)


def test_the_figure_draws_letters_as_high_as_their_numbers(tmp_path: Path) -> None:
    figure = mapped().plot(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000
    above, below = figure.axes[:2]
    heights = {}
    for patch in above.patches:
        box = patch.get_path().get_extents()
        heights[round(box.x0 + 0.46)] = box.y1 if box.y1 > 1e-6 else box.y0
    np.testing.assert_allclose([heights[place] for place in range(1, 6)], mapped().track().values, atol=1e-5)
    np.testing.assert_array_equal(below.images[0].get_array(), mapped().effects.T)
    part = linear().mutations("ACGTT", "promoter", places=[2, 3]).plot()
    assert part.axes[0].get_xlim() == (2.5, 4.5)


def test_places_are_looked_up_not_searched_for() -> None:
    compared: list[int] = []

    class Place(int):
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return int(self) == other

    assert _chosen("A" * 500, [Place(one) for one in range(500)]) == list(range(500))
    assert len(compared) < 5 * 500


def test_a_mask_of_truth_values_chooses_places() -> None:
    mask = np.array([False, True, False, False, True])
    expected = linear().mutations("ACGTT", "promoter", places=[1, 4])
    for form in (mask, mask.tolist(), torch.from_numpy(mask)):
        found = linear().mutations("ACGTT", "promoter", places=form)
        np.testing.assert_array_equal(found.effects, expected.effects)
    with pytest.raises(InputError, match=r"`places`, a mask of shape \(4,\)"):
        linear().mutations("ACGTT", "promoter", places=mask[:4])
    with pytest.raises(InputError, match=r"place .*True"):
        linear().mutations("ACGTT", "promoter", places=[np.True_])


def test_what_cannot_be_substituted_is_said() -> None:
    with pytest.raises(InputError, match="place 9 of a sequence of 5"):
        linear().mutations("ACGTT", places=[9])
    with pytest.raises(InputError, match="without spaces"):
        test_dna.explainer("dnabert").mutations("ATTCCG TTCCGG")
    with pytest.raises(TargetError, match="token-classification"):
        test_dna.explainer("bases", "TokenClassification").mutations(SEQUENCE)


def test_places_that_the_model_does_not_read_have_no_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(linear().wrapper), "limit", 5)
    found = linear().mutations("ACGTT", "promoter")
    assert list(np.isnan(found.effects).all(1)) == [False, False, False, True, True]
    assert np.isfinite(found.effects[:3]).all()
    assert "the model does not read 2 of 5 bases: their effects are NaN" in found.notes
    assert any("was cut to the model's 5" in note for note in found.table().notes)
