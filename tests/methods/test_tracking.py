"""Tracking and response: closed forms, two models, decoys, and that neither follows a label."""

import math
from types import SimpleNamespace

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS, Tracking
from hf_fourier.methods.closed_loop import top_mask
from hf_fourier.methods.ffc import correlation_scores, scale_to_length
from hf_fourier.methods.tracking import UNMOVED, scaled_like, top_weights
from hf_fourier.seeding import ExampleRng
from tests.fake_device import THERE, counted
from tests.toy_scores import Linear, Smooth, noise, score_of, signal

POINTS = 64


class Bands(torch.nn.Module):
    """Reads the energy of some bins through a linear layer: class j is the loudest of them."""

    def __init__(self, bins, gain=3.0):
        super().__init__()
        time = torch.arange(POINTS) / POINTS
        self.register_buffer("waves", torch.stack([torch.exp(-2j * torch.pi * k * time) for k in bins]))
        self.head = torch.nn.Linear(len(bins), len(bins), bias=False)
        self.head.weight.data = gain * torch.eye(len(bins))

    def forward(self, x):
        energy = (x.to(self.waves.dtype) @ self.waves.T).abs().square() / POINTS
        return SimpleNamespace(logits=self.head(energy))


def tone(k, amplitude, phase=0.3):
    return amplitude * torch.cos(2 * torch.pi * k * torch.arange(POINTS) / POINTS + phase)


def first(result):
    return round(float(result.layout["frequency"][result.order[0]]) * POINTS)


@pytest.fixture
def mixture():
    """A quiet tone at 5, a louder one at 12, and the loudest at 20, in weak noise."""
    return (tone(5, 0.6) + tone(12, 0.8) + tone(20, 3.0) + 0.02 * noise(POINTS, dtype=torch.float32)).unsqueeze(0)


@pytest.mark.parametrize("method", ["tracking", "tracking:preset=fast", "response", "response:representation=logits"])
def test_two_models_are_explained_by_their_own_bins(mixture, method):
    low, high = Bands((5, 8)).eval(), Bands((12, 8)).eval()
    assert first(attribute(low, mixture, method=method)[0]) == 5
    assert first(attribute(high, mixture, method=method)[0]) == 12


@pytest.mark.parametrize("method", ["magnitude", "ffc"])
def test_the_loud_bin_that_no_model_reads_comes_first_by_magnitude(mixture, method):
    for bins in ((5, 8), (12, 8)):
        assert first(attribute(Bands(bins).eval(), mixture, method=method)[0]) == 20


@pytest.mark.parametrize("method", ["tracking", "response", "tracking:base=probes"])
def test_what_the_model_does_not_read_scores_zero(mixture, method):
    (result,) = attribute(Bands((5, 8)).eval(), mixture, method=f"{method}{',' if ':' in method else ':'}".rstrip(":,"))
    bins = (result.layout["frequency"] * POINTS).round().long()
    read = (bins == 5) | (bins == 8)
    assert float(result.scores[~read].abs().max()) < 1e-4 * float(result.scores.max())


@pytest.mark.parametrize("method", ["tracking", "response"])
def test_no_label_changes_the_ranking(mixture, method):
    assert not METHODS[method].follows_label, "and a check of labels leaves it out"
    model = Bands((5, 12, 8)).eval()
    results = [attribute(model, mixture, target, method=method)[0] for target in (None, 0, 1, 2)]
    for other in results[1:]:
        torch.testing.assert_close(other.scores, results[0].scores)
    assert [one.target for one in results[1:]] == [0, 1, 2]
    assert not torch.equal(results[1].gradient, results[2].gradient)  # which is that of the label


def test_tracking_follows_a_goal_that_it_is_given():
    """As its goal another label changes the ranking, unlike as a target."""
    model, x = Smooth(3, 12).eval(), noise(4, 12)
    own = ranked(score_of(model, x))
    score = score_of(model, x, targets=[2] * 4)
    score.goal_is_target = True
    other = ranked(score)
    wrong = model(x).argmax(-1) != 2
    assert bool(wrong.any())
    same = torch.isclose(own, other, rtol=1e-6).all(1)
    assert torch.equal(~same, wrong)


def ranked(score, spec="tracking", domain="fourier"):
    basis = DOMAINS.parse(domain).bind(score_signal(score))
    method = METHODS.parse(spec).resolve(basis.signal)
    return method.attribute(score, score.signal, basis, ExampleRng(0, range(len(score.signal)))).scores


def score_signal(score):
    from tests.toy_scores import signal

    return signal(*score.signal.shape[1:])


def test_scores_are_the_formula():
    """The loop written out: gradients of KL(p || p_S) of a linear softmax are known."""
    model, x = Linear(3, 10).eval(), noise(2, 10)
    weight = model.weight.reshape(3, -1).detach() if hasattr(model, "weight") else None
    score = score_of(model, x)
    basis = DOMAINS.parse("fourier").bind(score_signal(score))
    rng = ExampleRng(0, range(2))
    got = ranked(score)
    clean = model(x).detach().softmax(-1)
    coefficients, total, squared = basis.forward(x), torch.zeros_like(x), 0
    magnitude = scores = basis.magnitude(coefficients)
    for keep in Tracking().keeps:
        weights = top_weights(scores, basis, rng, keep)
        kept = basis.inverse(basis.scale_features(coefficients, weights)).requires_grad_(True)
        p = model(kept).softmax(-1)
        loss = (clean * (clean.log() - p.log())).sum()
        (gradient,) = torch.autograd.grad(loss, kept)
        if weight is not None:  # the textbook form
            torch.testing.assert_close(gradient, ((p - clean).detach() @ weight).view_as(x))
        total, squared = total - gradient, squared + basis.magnitude(basis.pullback(gradient)).square()
        step = 0.03 * x.norm(dim=1, keepdim=True) * scale_to_length(total)
        scores = scaled_like(magnitude * squared.sqrt(), magnitude)
        scores = scores + correlation_scores(basis, coefficients, basis.forward(step), 0.0)
    torch.testing.assert_close(got, scores.to(got.dtype), rtol=1e-6, atol=1e-9)
    assert (score.passes.forward, score.passes.backward) == (2 * 4, 2 * 4)


def test_weights_fall_around_the_fraction():
    basis = DOMAINS.parse("identity").bind(score_signal(score_of(Linear(3, 10).eval(), noise(1, 10))))
    scores = torch.arange(10.0).flip(0).unsqueeze(0)
    weights = top_weights(scores, basis, ExampleRng(0, [0]), 0.4)[0]
    torch.testing.assert_close(weights, torch.tensor([1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0, 0, 0]))


def test_response_of_a_linear_layer_is_the_norm_of_its_columns():
    """With h = A x, the mean over signs of |(Aᵀ v)_k|² is that of the columns; with many probes, within their error."""
    model, x = torch.nn.Sequential(torch.nn.Linear(6, 4, bias=False), torch.nn.Linear(4, 2)).eval(), torch.ones(1, 6)
    (result,) = attribute(model, x, method="response:probes=4000", domain="identity")
    expected = model[0].weight.detach().square().sum(0).sqrt()
    torch.testing.assert_close(result.scores, expected, rtol=0.1, atol=0)
    assert result.extras["representation"] == "the input of 1"


def test_a_sure_model_still_has_a_ranking(mixture):
    """At log-odds of hundreds the softmax is flat: its gradient underflows even in float64."""
    (result,) = attribute(Bands((5, 8), gain=400.0).eval(), mixture, method="tracking")
    assert result.confidence == pytest.approx(1)
    assert first(result) == 5


def test_passes_are_those_that_are_stated(mixture):
    for spec in ("tracking", "tracking:preset=fast", "tracking:base=probes", "response", "response:probes=2"):
        (result,) = attribute(Bands((5, 8)).eval(), mixture, method=spec)
        passes = result.provenance["passes"]
        assert (passes["forward"], passes["backward"]) == METHODS.parse(spec).passes


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tracking:base=loudness", "response, probes, magnitude"),
        ("tracking:keeps=.5+0", "fractions above 0"),
        ("tracking:kappa=-1", "at least 0"),
        ("response:probes=0", "at least 1"),
        ("response:representation=output", "choose another"),
    ],
)
def test_settings_that_make_no_sense(spec, message):
    with pytest.raises(SpecError, match=message):
        METHODS.parse(spec)


def test_a_representation_stays_the_goal_where_a_label_is_asked_for(mixture):
    model = Bands((5, 8)).eval()
    score = score_of(lambda x: model(x).logits, mixture, targets=[1])
    own = ranked(score, "tracking:goal=auto")
    score.goal_is_target = True
    assert torch.equal(ranked(score, "tracking:goal=auto"), own)


def test_overlap_with_the_magnitude_ranking(mixture):
    model = Bands((5, 8)).eval()
    assert attribute(model, mixture, method="magnitude")[0].magnitude_overlap() == 1
    strongest = attribute(model, mixture, method="magnitude")[0]
    weakest = attribute(model, mixture, method="magnitude")[0]
    weakest.scores = -strongest.scores
    assert weakest.magnitude_overlap(0.25) == 0
    assert math.isclose(weakest.magnitude_overlap(1.0), 1)


def test_an_answer_that_does_not_move_leaves_the_magnitudes_and_a_note():
    class Constant(torch.nn.Module):
        def forward(self, x):
            return torch.stack([0 * x.sum(1) + 1, 0 * x.sum(1)], dim=1)

    x = noise(2, 12, dtype=torch.float32)
    results, strongest = (attribute(Constant(), x, method=method) for method in ("tracking", "magnitude"))
    for one, other in zip(results, strongest, strict=True):
        assert torch.equal(one.order, other.order)
        assert UNMOVED in one.provenance["notes"]


def test_it_is_not_said_of_a_control_that_the_rest_is_the_models(mixture):
    from hf_fourier.report import wording
    from hf_fourier.report.example_record import report_record

    model, texts = Bands((5, 8)).eval(), {}
    for method in ("random", "tracking"):
        record = report_record(attribute(model, mixture, method=method)[0])
        texts[method] = wording.example_facts(record)["shared with the magnitude ranking"]
    assert texts["tracking"].endswith("; the others depend on the model")
    assert "the model" not in texts["random"]


def test_an_accelerator_keeps_the_same_top_features():
    basis, rng = DOMAINS.parse("fourier").bind(signal(9)), ExampleRng(0, [1, 2])
    scores = noise(2, len(basis))
    for keep in (0.01, 0.4, 1.0):
        here = top_mask(scores, basis, rng, keep)
        there, _ = counted(lambda keep=keep: top_mask(scores.to(THERE), basis, rng, keep).cpu())
        assert there.tolist() == here.tolist()
        assert here.any(1).all()
