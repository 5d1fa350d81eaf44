"""Surrogates with known answers: what the kept features say of the label, and no more."""

from __future__ import annotations

import copy

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError, ModelError
from hf_fourier.evaluation import random_removals, surrogates
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.surrogate_checks import check_surrogate, compare_curves
from hf_fourier.evaluation.surrogates import KINDS, Surrogate, draw_mask, fine_tune_surrogate
from tests.models import tiny_models, tiny_models_audio, tiny_tokenizers
from tests.toy_scores import noise, signal

EXAMPLES = 512


class Reader(torch.nn.Module):
    """Reads the sign of the first entry; where it is absent, it is almost sure of "yes"."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = torch.nn.Linear(4, 32), torch.nn.Linear(32, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(0.3)
            self.hidden.weight[:2], self.hidden.bias[:2] = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]), 0.3
            self.out.weight.zero_()
            self.out.weight[0, :2], self.out.bias[:] = torch.tensor([12.0, -12.0]), 4.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = self.out(torch.relu(self.hidden(x)))
        return torch.cat([torch.zeros_like(margin), margin], 1)


def data(seed: int = 0, examples: int = EXAMPLES) -> list[torch.Tensor]:
    """The second entry has the sign of the first, the others are independent; none is near 0."""
    x = noise(examples, 4, seed=seed, dtype=torch.float32)
    x = x.sign() * (1 + x.abs())
    x[:, 1] = x[:, 0].sign() * x[:, 1].abs()
    return list(x)


@pytest.fixture(scope="module")
def explainer() -> FourierExplainer:
    torch.manual_seed(0)
    return FourierExplainer(Reader(), labels=["no", "yes"], axes=("time",), outputs="logits", domain="identity")


@pytest.fixture(scope="module")
def surrogate(explainer: FourierExplainer) -> Surrogate:
    before = copy.deepcopy(explainer.model.state_dict())
    tuned = fine_tune_surrogate(explainer, data(), epochs=40, rate=1e-2)
    for name, value in explainer.model.state_dict().items():
        assert torch.equal(value, before[name])
    return tuned


def confidences(explainer: FourierExplainer, kept: int, x: list[torch.Tensor]) -> torch.Tensor:
    """The probability of "yes" from one entry alone."""
    alone = torch.zeros(len(x), 4)
    alone[:, kept] = torch.stack(x)[:, kept]
    with torch.no_grad():
        return explainer.model(alone).softmax(1)[:, 1]


def test_a_surrogate_answers_from_what_the_kept_features_say(explainer, surrogate):
    """From the second entry the label follows; from an independent one only how often it occurs."""
    assert surrogate.loss[-1] < 0.7 * surrogate.loss[0]
    x = data(seed=1)
    yes = torch.stack(x)[:, 0] > 0
    for kept in (0, 1):
        assert ((confidences(surrogate.explainer, kept, x) > 0.5) == yes).float().mean() > 0.97
    independent = confidences(surrogate.explainer, 3, x)
    assert float((independent - 0.5).abs().mean()) < 0.12
    assert float(confidences(explainer, 3, x).min()) > 0.95  # the model itself is sure


def test_the_gap_is_the_persuasion(explainer, surrogate):
    """A ranking with an independent entry first: the model is sure of "yes", the surrogate is not."""
    x = [one for one in data(seed=1) if one[0] > 0][:64]
    read, other = (
        explainer.from_maps(x, [torch.eye(4)[first]] * len(x), "by hand", domain="identity") for first in (0, 3)
    )
    gaps = {}
    for name, results in (("read", read), ("other", other)):
        table = compare_curves(surrogate, explainer, results, (0.25,))
        gaps[name] = table["gap"][0]
        assert table["low"][0] <= table["gap"][0] <= table["high"][0]
        assert table["gap"][0] == pytest.approx(table["model"][0] - table["surrogate"][0])
        assert table["model decides"] == [1.0]
    assert abs(gaps["read"]) < 0.05
    assert gaps["other"] == pytest.approx(0.48, abs=0.12)
    assert all(result.curve is None for result in read)


def test_the_check_finds_what_the_model_cannot(explainer, surrogate):
    table = check_surrogate(surrogate, explainer, data(seed=2), (0.25, 0.5, 1.0))
    assert table["surrogate"][2] > 0.98
    assert table["model"] == pytest.approx([*table["model"][:2], 1.0])
    assert all(error < 0.12 for error in table["calibration error"])
    assert table["surrogate"][0] > table["model"][0] + 0.05
    untrained = Surrogate(explainer, surrogate.domain, "any", ())
    worse = check_surrogate(untrained, explainer, data(seed=2), (0.25, 1.0))
    assert worse["calibration error"][0] > 0.15
    assert "not to be used" in worse.notes[0]


def soft(outputs: str = "logits") -> FourierExplainer:
    """A network that is seldom sure, of three answers."""
    torch.manual_seed(0)
    return FourierExplainer(torch.nn.Linear(4, 3), axes=("time",), outputs=outputs, domain="identity")


def test_a_model_is_its_own_calibrated_surrogate():
    """It gives its own probabilities, which are far from 1: the calibration is against them, not the hard answer."""
    explainer = soft()
    own = Surrogate(explainer, DOMAINS.parse("identity"), "any", ())
    table = check_surrogate(own, explainer, data(examples=64), (1.0,))
    assert table["surrogate"] == [1.0]
    assert table["calibration error"][0] == pytest.approx(0, abs=1e-6)
    assert table.notes[0].startswith("it may be used")


def test_the_check_says_what_it_did_not_test():
    """Values have no calibration, and without whole examples there is no agreement on them."""
    for outputs, fractions, untested in (
        ("values", (0.5, 1.0), "calibration was not tested"),
        ("sigmoid", (0.5, 1.0), "calibration was not tested"),
        ("logits", (0.9999,), "agreement on whole examples was not tested"),
    ):
        explainer = soft(outputs)
        own = Surrogate(explainer, DOMAINS.parse("identity"), "any", ())
        table = check_surrogate(own, explainer, data(examples=16), fractions)
        (note,) = table.notes
        assert untested in note
        assert not note.startswith("it may be used")


def test_what_is_out_of_range_is_refused(explainer, surrogate):
    x = data(examples=4)
    for fractions in ((), (-1.0, 2.0, 1.0), (0.0, 1.0), (float("nan"),)):
        with pytest.raises(InputError, match="fractions"):
            check_surrogate(surrogate, explainer, x, fractions)
    with pytest.raises(InputError, match="no results"):
        compare_curves(surrogate, explainer, [])
    with pytest.raises(InputError, match="groups for 4 examples"):
        compare_curves(surrogate, explainer, explainer.explain(x, method="magnitude"), groups=["a"])


def test_results_are_not_changed(explainer, surrogate):
    results = explainer.explain(data(examples=4), method="magnitude")
    before = copy.deepcopy([result.provenance for result in results])
    compare_curves(surrogate, explainer, results, (0.25,))
    assert [result.provenance for result in results] == before


def test_intervals_draw_whole_groups(explainer, surrogate):
    """Each example four times, as a group: the interval is that of the examples once."""
    x = data(seed=1)[:12]
    single, fourfold = (explainer.explain(x * count, method="magnitude") for count in (1, 4))
    names = [str(i) for i in range(len(x))]
    once = compare_curves(surrogate, explainer, single, (0.25,), groups=names)
    grouped = compare_curves(surrogate, explainer, fourfold, (0.25,), groups=names * 4)
    alone = compare_curves(surrogate, explainer, fourfold, (0.25,))
    width = [table["high"][0] - table["low"][0] for table in (once, grouped, alone)]
    assert width[1] == pytest.approx(width[0], rel=1e-3)
    assert width[2] < 0.7 * width[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_weights_are_trained_in_float32(dtype):
    """In float16 AdamW's squares underflow, and the weights end as NaN."""
    torch.manual_seed(0)
    trained = {}
    for kind in (dtype, torch.float32):
        model = torch.nn.Linear(12, 3).to(dtype)
        with torch.no_grad():
            model.weight.copy_(0.1 * noise(3, 12, seed=3))
            model.bias.zero_()
        narrow = FourierExplainer(model.to(kind), axes=("time",), outputs="logits")
        tuned = fine_tune_surrogate(narrow, list(noise(40, 12, dtype=torch.float32)), epochs=3, rate=1e-3)
        trained[kind] = tuned.explainer.model.weight
        assert model.weight.dtype == kind
    assert trained[dtype].dtype == torch.float32
    torch.testing.assert_close(trained[dtype], trained[torch.float32], rtol=0, atol=3e-3)


class Steep(torch.nn.Module):
    """Overflows after large steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (5 * self.layer(3 * x)).exp()


def test_weights_that_overflow_are_refused():
    torch.manual_seed(0)
    steep = FourierExplainer(Steep(), axes=("time",), outputs="logits", domain="identity")
    with pytest.raises(ModelError, match="not finite"):
        fine_tune_surrogate(steep, data(examples=8), rate=1.0, batch_size=2)
    with pytest.raises(InputError, match="rate inf"):
        fine_tune_surrogate(steep, data(examples=8), rate=float("inf"))


def test_a_surrogate_is_read_as_the_model_is():
    """Noise on the input, donors and the chosen representation are those of the model's explainer."""
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    noisy = FourierExplainer(
        network, axes=("time",), outputs="logits", domain="identity", dither=0.5, representation="0"
    )
    noisy.donors = data(examples=3, seed=4)
    tuned = fine_tune_surrogate(noisy, data(examples=64), epochs=1, rate=1e-9)
    other = tuned.explainer
    assert (other.dither, len(other.donors), other.wrapper.representation) == (0.5, 3, "0")
    assert check_surrogate(tuned, noisy, data(examples=64, seed=2), (1.0,))["surrogate"] == [1.0]


def test_a_surrogate_of_a_waveform_reads_waveforms():
    name = "ast"
    explainer = FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name), signal="waveform")
    other = explainer.wrapper.of_model(explainer.model)
    assert (other.chosen_signal, other.front is None) == ("waveform", False)


def test_it_depends_on_the_seed_alone(explainer):
    first, again, other = (fine_tune_surrogate(explainer, data()[:64], epochs=1, seed=seed) for seed in (0, 0, 1))
    weights = [one.explainer.model.state_dict()["hidden.weight"] for one in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.loss == again.loss


def test_masks_have_all_sizes_and_are_whole_features():
    """EVAL-X as published keeps each feature with probability one half, so it never sees the few that methods keep."""
    sizes = torch.tensor([surrogates._any_size(torch.Generator().manual_seed(i)) for i in range(2000)])
    assert 0.07 < float((sizes == 1).float().mean()) < 0.13
    assert float((sizes < 0.05).float().mean()) > 0.25
    assert float(sizes.min()) >= 0.01
    basis = DOMAINS.parse("fourier").bind(signal(64))
    frequency = basis.layout["frequency"]
    strength = torch.arange(33.0).flip(0) % 7
    for kind in KINDS:
        masks = [draw_mask(basis, kind, 0.2, strength, torch.Generator().manual_seed(i)) for i in range(50)]
        held = torch.stack([(mask * basis.multiplicity).sum() for mask in masks])
        assert int(held.max()) <= 0.2 * 64
        assert int(held.min()) >= 10
        if kind == "low":
            assert all(frequency[mask].max() < frequency[~mask].min() for mask in masks)
        if kind == "high":
            assert all(frequency[mask].min() > frequency[~mask].max() for mask in masks)
        if kind in ("magnitude", "other"):
            assert all(strength[mask].min() >= strength[~mask].max() for mask in masks)
        if kind == "random":
            assert len({tuple(mask.tolist()) for mask in masks}) > 45
        if kind == "runs":
            turns = [int((mask ^ mask.roll(1)).sum()) for mask in masks]
            assert max(turns) <= 8
            assert min(turns) == 2
    assert int(draw_mask(basis, "random", 0.0, strength, torch.Generator().manual_seed(0)).sum()) == 1


def test_few_are_removed_at_any_place_with_all_their_channels(monkeypatch):
    """F-Fidelity's published fine-tuning sets entries of the first colour alone to zero."""
    explainer = FourierExplainer(tiny_models.build("image-classification", "vit"))
    seen: list[torch.Tensor] = []
    original = surrogates.masked_signals

    def recorded(*args):
        seen.append(original(*args))
        return seen[-1]

    monkeypatch.setattr(surrogates, "masked_signals", recorded)
    pixels = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.1
    fine_tune_surrogate(explainer, {"pixel_values": pixels}, "identity:grain=position", masks="few", epochs=2)
    gone = torch.cat(seen) == 0
    assert torch.equal(gone.any(1), gone.all(1))
    removed = gone.all(1).flatten(1)
    shares = removed.float().mean(1)
    assert float(shares.max()) <= 0.1
    assert float(shares.max()) > 0.07
    assert float(shares.min()) < 0.03
    assert bool(removed.any(0).view(32, 32)[16:].any())


def test_texts_are_masked_at_their_embeddings():
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(6, lengths=(5, 7))
    tuned = fine_tune_surrogate(explainer, texts, epochs=2, rate=1e-3)
    results = explainer.explain(texts, method="magnitude")
    table = compare_curves(tuned, explainer, results, (0.1, 0.5))
    assert table["kept"] == [0.1, 0.5]
    removed = random_removals.remove_parts(tuned.explainer, results, draws=2)
    assert set(METRICS["f_fidelity"].compute(removed)) >= {"f_fidelity", "f_fidelity_of_rest"}
