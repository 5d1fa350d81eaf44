"""What reaches an answer beside the signal is said aloud: ids that are read a second way, padding that counts."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hf_fourier import FourierExplainer
from hf_fourier.models.side_inputs import BYPASS_NOTE
from hf_fourier.scoring.targets import Contrast
from tests.models import tiny_models, tiny_tokenizers


class ToyConfig(PreTrainedConfig):
    model_type = "toy-paths"

    def __init__(self, beside: float = 0.0, filling: float = 0.0, **kwargs):
        super().__init__(num_labels=3, **kwargs)
        self.beside, self.filling = beside, filling


class Toy(PreTrainedModel):
    """The mean of embedded tokens that are attended to; `beside` adds the ids themselves, `filling` the others."""

    config_class = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.embedding = torch.nn.Embedding(64, 8)
        self.beside = torch.nn.Parameter(torch.randn(64, 8))  # read by index, as no module sees it
        self.out = torch.nn.Linear(8, 3)
        self.post_init()

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, attention_mask=None):
        place = 1 / torch.arange(1, input_ids.shape[1] + 1).view(1, -1, 1)
        states = self.embedding(input_ids) + self.config.beside * place * self.beside[input_ids]
        weights = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weights = weights + self.config.filling * (1 - weights)
        return SequenceClassifierOutput(logits=self.out(torch.einsum("bld,bl->bd", states, weights.float())))


def toy(**options: float) -> FourierExplainer:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Toy(ToyConfig(**options)).eval()
        torch.nn.init.normal_(model.embedding.weight)
        torch.nn.init.normal_(model.out.weight)
    return FourierExplainer(model, task="text-classification")


def batch(filling: int = 0) -> dict[str, torch.Tensor]:
    ids = torch.tensor([[3, 9, 5, 12, 7], [4, 4, 8, 15, 2]])
    mask = torch.ones_like(ids)
    return {
        "input_ids": torch.cat([ids, ids.new_zeros(2, filling)], 1),
        "attention_mask": torch.cat([mask, mask.new_zeros(2, filling)], 1),
        "special_tokens_mask": torch.cat([0 * mask, mask.new_ones(2, filling)], 1),
    }


def test_a_signal_that_carries_everything_needs_no_note() -> None:
    for result in toy().explain(batch()):
        assert result.provenance["notes"] == []


def test_ids_that_are_read_beside_the_embedding_are_said() -> None:
    for result in toy(beside=0.5).explain(batch()):
        assert result.provenance["notes"] == [BYPASS_NOTE]


def test_the_model_is_asked_once() -> None:
    explain = toy(beside=0.5)
    rows: list[int] = []
    handle = explain.model.register_forward_pre_hook(lambda m, a, k: rows.append(len(k["input_ids"])), with_kwargs=True)
    first = explain.explain(batch(), method="ffc")
    assert sum(rows) == 4  # two examples, one of them once more, and with exchanged ids
    rows.clear()
    second = explain.explain(batch(), target=Contrast(0, 1), method="ffc")
    handle.remove()
    assert sum(rows) == 2
    assert [r.provenance.get("checks") for r in (*first, *second)] == [{"forward": 2}, None, None, None]
    assert all(r.provenance["passes"]["forward"] == 1 for r in (*first, *second))
    assert all(BYPASS_NOTE in r.provenance["notes"] for r in (*first, *second))


def test_an_example_that_cannot_tell_signals_the_question_open() -> None:
    explain = toy(beside=0.5)
    one = explain.explain({"input_ids": torch.tensor([[4, 4, 4]]), "special_tokens_mask": torch.zeros(1, 3)})[0]
    assert BYPASS_NOTE not in one.provenance["notes"]
    assert BYPASS_NOTE in explain.explain(batch())[0].provenance["notes"]


@pytest.mark.parametrize("target", [None, 1, Contrast(0, 1), lambda outputs: outputs.logits[:, 0]])
def test_padding_that_the_model_signals_out_needs_no_note(target: object) -> None:
    first, second = toy(filling=0.0).explain(batch(filling=0)), toy(filling=1e-9).explain(batch(filling=3), target)
    assert [r.provenance["notes"] for r in second] == [[], []]
    assert [r.provenance["checks"]["forward"] for r in second] == [3, 1]  # each row's padding, and once all else
    assert first[0].signal.shape == second[0].signal.shape


@pytest.mark.parametrize("target", [None, 1, Contrast(0, 1), lambda outputs: outputs.logits[:, 0]])
def test_padding_that_is_part_of_the_answer_is_said(target: object) -> None:
    explain, given = toy(filling=0.1), batch(filling=3)
    results = explain.explain(given, target)
    for i, result in enumerate(results):
        (note,) = result.provenance["notes"]
        bare = explain.explain({name: tensor[i : i + 1, :5] for name, tensor in given.items()}, target)[0]
        if target is not None:  # of the same class
            moved = abs(bare.value - result.value) / max(1, abs(result.value))
            assert note.startswith("the padding changes the output")
            assert f"{moved:.2g}" in note
    again = explain.explain(given, target)
    assert [r.provenance["notes"] for r in again] == [r.provenance["notes"] for r in results]
    assert all("checks" not in r.provenance for r in again)


@pytest.mark.parametrize(("task", "name"), [("text-classification", "bart"), ("question-answering", "t5")])
def test_a_decoder_that_is_fed_the_ids_once_more_is_a_second_way(task: str, name: str) -> None:
    result = FourierExplainer(tiny_models.build(task, name)).explain(tiny_models.batch())[0]
    assert BYPASS_NOTE in result.provenance["notes"]


def test_a_raw_text_is_never_padded() -> None:
    explain = FourierExplainer(
        tiny_models.build("text-classification", "gpt2-unpadded"), tiny_tokenizers.tokenizer("gpt")
    )
    results = explain.explain(tiny_tokenizers.texts(3, lengths=(5, 9, 12)))
    assert all("padding" not in " ".join(r.provenance["notes"]) for r in results)
    assert [r.provenance.get("checks") for r in results] == [{"forward": 2}, None, None]
