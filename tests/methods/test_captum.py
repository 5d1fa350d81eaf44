"""Captum's methods by name: equal to our own where both are one formula, in any domain, and seeded."""

import threading

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import MissingExtraError, SpecError
from hf_fourier.methods import METHODS
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import taken
from tests.toy_scores import LEAVES, Smooth, bound, noise, score_of

DOMAINS_HERE = ("fourier", "cosine", "identity", "fourier:bands=3")
SHAPES = ("16", "6x7", "c3x4x6", "12c2 in 7+5")
CASES = [(spec, name) for spec in DOMAINS_HERE for name in SHAPES if bound(spec, LEAVES[name]) is not None]
DRAW = ExampleRng(0, [0, 1, 2])


def ranked(method, x, basis):
    score = score_of(Smooth(3, *x.shape[1:]).eval(), x)
    return METHODS.parse(method).attribute(score, x, basis, DRAW)


@pytest.mark.parametrize(("spec", "name"), CASES)
@pytest.mark.parametrize(
    ("captum", "own"),
    [("captum:InputXGradient", "gradient_input"), ("captum:Saliency", "saliency")],
)
def test_one_formula_gives_one_ranking(captum, own, spec, name):
    """Captum's input × gradient over places, transported, is ours in the domain; its gradient, carried back, too."""
    basis = bound(spec, LEAVES[name])
    x = noise(3, *basis.signal.shape)
    found, expected = ranked(captum, x, basis), ranked(own, x, basis)
    scores = expected.scores
    if own == "saliency" and basis.layout.by_place:  # which Captum ranks with its sign by place
        torch.testing.assert_close(found.scores.double().abs(), scores, rtol=1e-5, atol=1e-7)
        return
    scale = float(scores.abs().max())
    torch.testing.assert_close(found.scores.double(), scores, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("domain", DOMAINS_HERE)
def test_integrated_gradients_converge_to_ours(domain):
    basis = DOMAINS.parse(domain).bind(LEAVES["6x7"])
    x = noise(3, *basis.signal.shape)
    found = ranked("captum:steps=60", x, basis).scores
    expected = ranked("integrated_gradients:steps=400,baseline=zero", x, basis).scores
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


def test_both_lifts():
    """The sizes of a map's own coefficients rank otherwise than the transported contributions, and have no sum."""
    basis = DOMAINS.parse("fourier").bind(LEAVES["16"])
    x = noise(3, 16)
    score = score_of(Smooth(3, 16).eval(), x)
    maps = score.clean().gradient * x
    found = ranked("captum:InputXGradient,lift=magnitude", x, basis)
    torch.testing.assert_close(
        found.scores.double(), basis.magnitude(basis.forward(maps)).double(), rtol=1e-5, atol=1e-7
    )
    assert found.completeness_error is None
    carried = ranked("captum:InputXGradient", x, basis)
    torch.testing.assert_close(carried.scores.double().sum(1), maps.sum(1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("domain", ["fourier", "identity"])
def test_the_completeness_error_is_to_the_difference_from_zero(domain):
    """With two points the sum misses s(x) - s(0), and the error says by how much."""
    basis = DOMAINS.parse(domain).bind(LEAVES["6x7"])
    x = 3 * noise(3, *basis.signal.shape)
    score = score_of(Smooth(3, *x.shape[1:]).eval(), x)
    found = METHODS.parse("captum:IntegratedGradients,steps=2").attribute(score, x, basis, DRAW)
    difference = score.value(x).value - score.value(torch.zeros_like(x)).value
    torch.testing.assert_close(found.scores.sum(1) - found.completeness_error, difference, rtol=1e-6, atol=1e-9)
    assert float((found.completeness_error / difference).abs().max()) > 0.01
    for other in ("InputXGradient", "GradientShap", "Saliency", "IntegratedGradients,lift=magnitude"):
        assert ranked(f"captum:{other}", x, basis).completeness_error is None


def test_noise_waits_while_another_thread_has_the_global_streams():
    """Captum draws from torch's global stream, which two threads would otherwise seed and restore in turns."""
    model, x, done = Smooth(3, 9).eval(), noise(1, 9), threading.Event()

    def explain():
        attribute(model, x, method="captum:GradientShap,steps=4")
        done.set()

    attribute(model, x, method="captum:GradientShap,steps=4")
    with taken(torch.random):
        thread = threading.Thread(target=explain)
        thread.start()
        assert not done.wait(0.5)
    thread.join(30)
    assert done.is_set()


@pytest.mark.parametrize("name", ["GradientShap", "NoiseTunnel"])
def test_noise_belongs_to_the_example_and_the_seed(name):
    model, x = Smooth(3, 9).eval(), noise(4, 9)
    method = f"captum:{name},steps=4"
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first = [one.scores for one in attribute(model, x, method=method)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # noqa: NPY002
    alone = [attribute(model, row[None], method=method)[0].scores for row in x]
    torch.testing.assert_close(first, alone, rtol=1e-9, atol=1e-12)
    other = [one.scores for one in attribute(model, x, method=method, seed=1)]
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", ["IntegratedGradients", "InputXGradient", "Saliency", "GradientShap", "NoiseTunnel"])
def test_passes_are_counted(name):
    (one,) = attribute(Smooth(3, 9).eval(), noise(1, 9), method=f"captum:{name},steps=5", contributions=0)
    counted = one.provenance["passes"]
    assert (counted["forward"], counted["backward"]) == METHODS.parse(f"captum:{name},steps=5").passes


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("captum:IntegratedGradient", "did you mean 'IntegratedGradients'"),
        ("captum:DeepLift", "explainer.from_maps"),
        ("captum:Saliency,lift=other", "choose one of them"),
        ("captum:steps=1", "correct `steps`"),
    ],
)
def test_what_there_is_not_is_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        METHODS.parse(spec)


@pytest.mark.parametrize("spec", ["captum:integrated_gradients", "captum:integratedgradients,steps=20"])
def test_names_answer_in_any_case(spec):
    assert METHODS.spec(METHODS.parse(spec)) == "captum:IntegratedGradients"


def test_without_captum_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"hf_fourier\[captum\]"):
        attribute(Smooth(3, 9).eval(), noise(1, 9), method="captum")


def test_an_evaluation_has_columns_of_captum_by_name():
    from hf_fourier import FourierExplainer
    from tests.models import tiny_models, tiny_tokenizers

    text = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    methods = ["gradient_input", "captum:InputXGradient", "captum:InputXGradient,lift=magnitude"]
    found = text.evaluate(tiny_tokenizers.texts(3), methods, metrics=["dig", "selectivity"])
    own, transported = (found.of(method).values["dig"] for method in methods[:2])
    assert transported == pytest.approx(own, abs=1e-4)
    assert found.table(["dig"])["method"][-1] == "captum:InputXGradient,lift=magnitude"
