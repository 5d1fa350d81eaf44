"""Answers that move by themselves, or with the rest of a batch, are said of every result; statistics stay."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers.modeling_outputs import ImageClassifierOutput, SequenceClassifierOutput

from hf_fourier import FourierExplainer, attribute
from hf_fourier.evaluation.studies.class_swap import class_swap
from hf_fourier.models.side_inputs import BYPASS_NOTE
from hf_fourier.results.remarks import MOVING
from tests.models import tiny_models, tiny_models_audio, tiny_tokenizers
from tests.models.test_side_inputs import Toy, ToyConfig, batch
from tests.toy_scores import noise


class Dropping(Toy):
    """Drops a tenth of what it embeds, in evaluation mode too."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        place = 1 / torch.arange(1, input_ids.shape[1] + 1).view(1, -1, 1)
        states = functional.dropout(self.embedding(input_ids), 0.1, training=True)
        states = states + self.config.beside * place * self.beside[input_ids]
        return SequenceClassifierOutput(logits=self.out(states.sum(1)))


class Batching(Toy):
    """Takes the mean of its batch away."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        states = self.embedding(input_ids).sum(1)
        return SequenceClassifierOutput(logits=self.out(states - states.mean(0, keepdim=True) / 2))


def built(kind: type[Toy], bias: float = 0.0, **options: float) -> FourierExplainer:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = kind(ToyConfig(pad_token_id=0, **options)).eval()
        torch.nn.init.normal_(model.embedding.weight)
        torch.nn.init.normal_(model.out.weight)
        model.out.bias.data[0] = bias
    return FourierExplainer(model, tiny_tokenizers.tokenizer(), task="text-classification")


def moving(notes: list[str]) -> str:
    """What is said of answers that move, which is said once."""
    (note,) = [one for one in notes if one.startswith(MOVING)]
    return note


@pytest.mark.parametrize("bias", [0.0, 30.0])
def test_dropout_that_stays_on_is_said_of_every_result_and_is_no_second_path(bias: float) -> None:
    explain = built(Dropping, bias)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    results = [*explain.explain(batch()), *explain.explain(batch(), target=1)]
    for result in results:
        assert "from call to call" in moving(result.provenance["notes"])
        assert BYPASS_NOTE not in result.provenance["notes"]
    assert results[0].provenance["checks"]["forward"] == 7  # twice beside another; own ids twice, and exchanged
    assert all("checks" not in result.provenance for result in results[1:])
    assert not torch.equal(state, torch.random.get_rng_state())  # what the model draws for its answers
    assert explain.side_inputs.instability > 0.001


def test_what_the_questions_draw_is_not_taken_from_the_user() -> None:
    def drawn(known: bool) -> torch.Tensor:
        explain = built(Dropping)
        if known:
            explain.explain(batch())
        torch.manual_seed(3)
        explain.explain(batch())
        return torch.rand(3)

    assert torch.equal(drawn(False), drawn(True))


def test_a_second_path_is_found_through_the_noise() -> None:
    for result in built(Dropping, beside=5.0).explain(batch()):
        assert moving(result.provenance["notes"])
        assert BYPASS_NOTE in result.provenance["notes"]


@pytest.mark.parametrize("rows", [1, 2])
def test_an_answer_that_depends_on_the_batch_is_said(rows: int) -> None:
    explain = built(Batching)
    for result in explain.explain({name: tensor[:rows] for name, tensor in batch().items()}):
        assert "on the rest of the batch" in moving(result.provenance["notes"])
        assert BYPASS_NOTE not in result.provenance["notes"]


def test_batches_of_one_ask_no_larger_ones() -> None:
    explain, rows = built(Batching), list[int]()
    explain.model.register_forward_pre_hook(lambda m, a, k: rows.append(len(k["input_ids"])), with_kwargs=True)
    for result in explain.explain(batch(), batch_size=1):
        assert not any(note.startswith(MOVING) for note in result.provenance["notes"])
    assert set(rows) == {1}
    assert moving(explain.explain(batch())[0].provenance["notes"])  # which was still an open question


class Norms(torch.nn.Module):
    """A network whose batch norm has no statistics of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.inner = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.BatchNorm1d(4, **options))
            self.out = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.inner(x.unsqueeze(1)).relu().mean(2))


def test_norms_by_the_batch_in_front_of_any_callable_are_said_each_time() -> None:
    net, x = Norms(track_running_stats=False).eval(), noise(3, 16, dtype=torch.float32)
    for _ in range(2):
        for result in attribute(net, x, method="saliency"):
            assert "on the rest of the batch" in moving(result.provenance["notes"])
    assert attribute(Norms().eval(), x, method="saliency")[0].provenance["notes"] == []


def test_a_callable_is_asked_once_as_long_as_it_is_there() -> None:
    net, x, rows = Norms().eval(), noise(4, 16, dtype=torch.float32), list[int]()

    def forward(v: torch.Tensor) -> torch.Tensor:
        rows.append(len(v))
        return net(v)

    first, second = attribute(forward, x, method="saliency"), attribute(forward, x, method="saliency")
    assert rows == [4, 2, 4]
    assert first[0].provenance["checks"] == {"forward": 2}
    assert "checks" not in second[0].provenance


def test_a_callable_that_takes_one_row_only_is_explained() -> None:
    net = Norms().eval()

    def forward(v: torch.Tensor) -> torch.Tensor:
        assert len(v) == 1
        return net(v)

    assert attribute(forward, noise(1, 16, dtype=torch.float32), method="saliency")[0].provenance["notes"] == []


NET = Norms()


class Caller:
    def __init__(self, net: torch.nn.Module) -> None:
        self.net = net

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def method(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: lambda x: net(x),
        lambda net: functools.partial(lambda n, x: n(x), net),
        lambda net: lambda x: NET(x),
        Caller,
        lambda net: Caller(net).method,
        lambda net: net.forward,
        lambda net: net,
    ],
)
def test_running_statistics_of_what_a_callable_runs_stay_and_it_is_read_in_evaluation_mode(wrap: Any) -> None:
    net, x = NET, noise(3, 16, dtype=torch.float32) + 2
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    results = attribute(wrap(net), x, method="saliency")
    assert net.training
    assert all(module.training for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with torch.no_grad():
        expected = net.eval()(x).log_softmax(1).amax(1)
    net.train()
    for result, value in zip(results, expected.tolist(), strict=True):
        assert result.value == pytest.approx(value, abs=1e-6)
        own = [note for note in result.provenance["notes"] if "in training mode inside `forward`" in note]
        assert len(own) == (0 if getattr(wrap(net), "__self__", wrap(net)) is net else 1)
        assert len(result.provenance["notes"]) == len(own)


def test_statistics_that_are_collected_in_evaluation_mode_are_put_back() -> None:
    class Collecting(Norms):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            norm, states = self.inner[1], self.inner[0](x.unsqueeze(1))
            states = functional.batch_norm(states, norm.running_mean, norm.running_var, training=True)
            return self.out(states.relu().mean(2))

    net, x = Collecting().eval(), noise(3, 16, dtype=torch.float32) + 2
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert moving(attribute(net, x, method="saliency")[0].provenance["notes"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_half_precision_is_no_movement() -> None:
    model = tiny_models.build("text-classification", "bert").to(torch.bfloat16)
    for result in FourierExplainer(model, tiny_tokenizers.tokenizer()).explain(tiny_tokenizers.texts(3)):
        assert result.provenance["notes"] == []


def test_evaluations_checks_corrections_and_runs_say_it_too(tmp_path: Path) -> None:
    explain, texts = built(Dropping), tiny_tokenizers.texts(4)
    assert moving(list(explain.evaluate(texts, "ffc", metrics=["dig"]).notes))
    assert moving(list(built(Batching).sanity_check(texts, "magnitude").notes))
    fixed = explain.rectify(texts, [(r.target + 1) % 3 for r in explain.explain(texts)], "magnitude", random_orders=1)
    assert moving(fixed.notes)
    assert moving(str(fixed).split("\nnote: ")[1:])
    alike = tiny_tokenizers.texts(8, lengths=(7,))
    pairs = class_swap(built(Batching), alike[:4], alike[4:], fractions=[0.5])
    assert moving(list(pairs.notes))
    assert MOVING in str(pairs)
    results = built(Batching).explain_dataset(texts, tmp_path / "run", chunk=2, progress=False)
    said = {moving(results[i].provenance["notes"]) for i in range(4)}
    assert len(said) == 1
    assert all("checks" not in results[i].provenance for i in range(4))


def test_a_run_of_a_second_path_says_so(tmp_path: Path) -> None:
    results = built(Toy, beside=0.5).explain_dataset(tiny_tokenizers.texts(3), tmp_path / "run", progress=False)
    assert [results[i].provenance["notes"] for i in range(3)] == [[BYPASS_NOTE]] * 3


def test_pictures_and_batches() -> None:
    class Noisy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny_models.build("image-classification", "vit")
            self.config = self.inner.config

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return ImageClassifierOutput(logits=self.inner(pixel_values + 0.3 * torch.randn_like(pixel_values)).logits)

    explain = FourierExplainer(Noisy(), task="image-classification")
    for result in explain.explain({"pixel_values": noise(2, 3, 32, 32, dtype=torch.float32)}):
        assert "from call to call" in moving(result.provenance["notes"])


def test_a_recording_says_it_once() -> None:
    class Hearing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny_models_audio.build("wav2vec2-plain")
            self.config = self.inner.config

        def forward(self, input_values: torch.Tensor) -> Any:
            return self.inner(input_values + 0.1 * torch.randn_like(input_values))

    explain = FourierExplainer(Hearing(), tiny_models_audio.extractor("wav2vec2-plain"), task="audio-classification")
    sound = (tiny_models_audio.clip(9000), tiny_models_audio.RATE)
    recording = explain.explain_recording(sound, seconds=0.25)
    assert len(recording) > 1
    assert "from call to call" in moving(list(recording.notes))
