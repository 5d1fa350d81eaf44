"""Sanity checks: what follows no model fails and is told so, what follows it passes, and no head is asked in vain."""

import math

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.structure import top_overlap
from hf_fourier.evaluation.randomized_model import _has_state, randomize, randomize_layers, re_rank
from hf_fourier.evaluation.results import Check, SanityResult
from tests.engine.test_untouched import same, state_of, state_of_torch
from tests.models import test_text_heads as heads
from tests.models import tiny_models, tiny_models_segmentation, tiny_tokenizers
from tests.models.test_planted import TWO, WaveformReader, waves

TEXTS = tiny_tokenizers.texts(6)


def text_model(**changes):
    return FourierExplainer(
        tiny_models.build("text-classification", "bert", **changes), tiny_tokenizers.tokenizer("bert")
    )


@pytest.fixture(scope="module")
def text():
    return text_model()


@pytest.fixture(scope="module")
def checked(text):
    """Each method checked once."""
    known = {}

    def of(method):
        if method not in known:
            known[method] = text.sanity_check(TEXTS, method)
        return known[method]

    return of


@pytest.mark.parametrize("method", ["gradient_input", "integrated_gradients:steps=8"])
def test_gradients_follow_the_model_and_the_label(checked, method):
    found = checked(method)
    for name in ("model randomization", "target randomization", "batch invariance", "completeness"):
        assert found.of(name).passed, found
    assert found.of("model randomization").interval[0] > 0.5
    assert found.of("seed variance").passed is None


def test_a_method_that_follows_no_label_is_not_asked_to(checked):
    found = checked("tracking")
    labels = found.of("target randomization")
    assert labels.passed is None
    assert "does not depend on the label" in labels.words
    assert found.of("model randomization").passed
    assert found.of("wrong-label control").passed is not None


def test_the_magnitude_follows_neither(checked):
    """Also on embedded tokens, which a randomized model would embed otherwise: both rank one signal."""
    found = checked("magnitude")
    weights, labels = found.of("model randomization"), found.of("target randomization")
    assert (weights.passed, weights.value, labels.passed, labels.value) == (False, 0, False, 0)
    assert "with fresh weights, 1.00 of the top 4 % are the same" in weights.words
    assert "0.00 [0.00, 0.00] of the top depends on the weights; required: above 0.1" in weights.words
    assert weights.words.endswith("1.00 of the top is also in the magnitude's top")
    gain = found.of("gain over magnitude: maintain_rate")
    assert (gain.passed, gain.value, gain.interval) == (False, 0, (0, 0))
    assert not found.passed
    assert found.of("completeness").passed is None


def test_a_random_order_does_not_repeat(checked):
    found = checked("random")
    assert found.of("seed variance").passed is False
    assert found.of("seed variance").value < 0.2
    check = found.of("model randomization")
    assert check.passed is False
    assert "another seed gives a different top" in check.words


def test_seeds_are_compared_where_something_is_drawn(checked):
    assert checked("smoothgrad:samples=2").of("seed variance").passed is not None


def test_a_model_that_says_the_same_of_everything_explains_nothing():
    explainer = text_model()
    for parameter in explainer.model.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    found = explainer.sanity_check(TEXTS, "gradient_input")
    assert not found.passed
    assert "nothing is ranked" in found.of("model randomization").words
    assert "nothing is ranked" in found.of("target randomization").words
    assert found.of("completeness").words == "the difference to explain is 0 everywhere"
    found = explainer.sanity_check(TEXTS, "ffc")  # of no gradient the magnitude is left, whatever the label
    assert found.of("target randomization").value == 0
    assert found.of("target randomization").passed is False


def test_a_broken_promise_fails(text):
    """Two points of a path do not reach the difference."""
    found = text.sanity_check(TEXTS, "integrated_gradients:steps=2").of("completeness")
    exact = text.explain(TEXTS, method="integrated_gradients:steps=2")
    gaps = sorted(abs(a.completeness_error / (float(a.scores.double().sum()) - a.completeness_error)) for a in exact)
    assert found.value == pytest.approx((gaps[2] + gaps[3]) / 2)
    assert found.passed == (found.value <= 0.05)


def test_a_model_whose_answers_depend_on_the_batch_is_found(text, monkeypatch):
    forward = text.model.forward

    def leaking(*args, **kwargs):
        outputs = forward(*args, **kwargs)
        weight = 1 + outputs.logits[:, :1].detach() * len(outputs.logits)
        outputs.logits = outputs.logits * weight
        return outputs

    monkeypatch.setattr(text.model, "forward", leaking)
    check = text.sanity_check(TEXTS, "gradient_input").of("batch invariance")
    assert check.passed is False
    assert check.value > 0.01


HEADS = [("token-classification", "bert"), ("question-answering", "bert"), ("text2text-generation", "t5"),
         ("feature-extraction", "bert"), ("multiple-choice", "bert"), ("continuation", "gpt2"), ("contrast", "gpt2"),
         ("text-generation", "llama")]  # fmt: skip


@pytest.mark.parametrize(("task", "name"), HEADS)
def test_every_head_is_asked_what_it_can_be(task, name):
    explain, target = heads.explainer(task, name), heads.target(task, name)
    examples = heads.examples(task)
    found = explain.sanity_check(examples, "gradient_input", targets=[target] * len(examples))
    asked = {check.name for check in found.checks if check.passed is not None}
    assert {"model randomization", "batch invariance", "completeness"} <= asked
    assert any(name.startswith("gain over magnitude") for name in asked)
    if task != "multiple-choice":
        assert found.of("target randomization").passed is None
    assert found.of("batch invariance").passed, found


def test_a_value_and_a_callable(text):
    value = text_model(num_labels=1).sanity_check(TEXTS, "gradient_input")
    assert value.of("target randomization").passed is None
    assert "no other labels" in value.of("wrong-label control").words
    assert value.of("gain over magnitude: maintain_rate").passed is not None
    custom = text.sanity_check(TEXTS, "gradient_input", targets=[lambda outputs: outputs.logits[:, 0]] * 6)
    assert custom.of("model randomization").passed is None
    assert "callable" in custom.of("gain over magnitude").words
    assert custom.of("batch invariance").passed


def test_masks_and_yes_or_no():
    from transformers import SegformerImageProcessor

    processor = SegformerImageProcessor(size={"height": 47, "width": 33})
    mask = FourierExplainer(tiny_models_segmentation.build("segformer"), processor, task="image-segmentation")
    pictures = [torch.rand(3, 47, 33, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    found = mask.sanity_check(pictures, "gradient_input")
    assert found.head == "mask"
    assert found.of("model randomization").passed, found
    assert found.of("target randomization").passed is None
    assert found.of("gain over magnitude: dice_retention").passed is not None
    yes = text_model(problem_type="multi_label_classification").sanity_check(TEXTS, "gradient_input")
    assert (yes.head, yes.of("target randomization").passed) == ("sigmoid", None)
    assert yes.of("model randomization").passed
    assert yes.of("gain over magnitude: maintain_rate").passed is not None


def test_a_model_that_no_config_builds_is_not_randomized():
    explainer = sounds()
    found = explainer.sanity_check(
        [torch.randn(800, generator=torch.Generator().manual_seed(i)).numpy() for i in range(3)]
    )
    check = found.of("model randomization")
    assert check.passed is None
    assert "no randomized WaveformReader" in check.words
    assert "not applicable" in str(found)


def sounds():
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

    model = WaveformReader(Wav2Vec2Config(**TWO), waves(800, 50), gain=1e-3)
    return FourierExplainer(model, Wav2Vec2FeatureExtractor(), task="audio-classification")


def test_nothing_is_changed(text):
    model = text.model
    for i, module in enumerate(model.modules()):
        module.training = i % 3 == 0
    try:
        before = (state_of(model), state_of_torch())
        text.sanity_check(TEXTS[:2], "gradient_input")
        assert same(before[0], state_of(model))
        assert same(before[1], state_of_torch())
    finally:
        model.eval()


def test_randomized_batch_norms_are_alive():
    from transformers import ViTImageProcessor

    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    explainer = FourierExplainer(tiny_models.build("image-classification", "resnet"), processor)
    pictures = [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    own = explainer.explain(pictures, method="gradient_input")
    randomized = randomize(explainer, own)
    theirs = re_rank(randomized, own)
    assert not randomized.model.training
    for a, b in zip(own, theirs, strict=True):
        assert torch.equal(a.signal, b.signal)
        assert float(b.scores.std()) > 0
        assert top_overlap(a, b) < 0.5
    assert not same(randomized.model.state_dict(), explainer.model.state_dict())
    again = re_rank(randomize(explainer, own), own)
    assert all(torch.equal(a.scores, b.scores) for a, b in zip(theirs, again, strict=True))


def test_a_randomized_model_explains_the_same_output(text):
    """A ranking by a model with the same weights is the own one, whatever is explained."""
    own = text.explain(TEXTS, method="gradient_input", targets=[0, 1, 2, 0, 1, 2])
    for a, b in zip(own, re_rank(text, own), strict=True):
        assert torch.allclose(a.scores, b.scores, atol=1e-6)


def test_running_statistics_are_a_layer():
    assert _has_state(torch.nn.BatchNorm1d(3, affine=False))
    assert not _has_state(torch.nn.ReLU())


@pytest.mark.parametrize("order", ["top_down", "bottom_up"])
def test_layers_are_drawn_one_after_another(text, order):
    """What reads no model stays as it is; what does ends where all weights are fresh, and the model is as before."""
    before = {name: tensor.clone() for name, tensor in text.model.state_dict().items()}
    results = text.explain(TEXTS[:2], method="gradient_input", contributions=0)
    table = randomize_layers(text, results, order, stages=3)
    others = re_rank(randomize(text, results), results)
    expected = [top_overlap(a, b) for a, b in zip(results, others, strict=True)]
    assert table["drawn"][-1] == 1
    assert table["top"][-1] == pytest.approx(sum(expected) / 2)
    assert abs(table["rho"][-1]) < 0.5
    assert ("classifier" in table["layers"][0]) == (order == "top_down")
    same_by_all = randomize_layers(text, text.explain(TEXTS[:2], method="magnitude"), order, stages=1)
    assert (same_by_all["rho"], same_by_all["top"]) == ([pytest.approx(1)], [1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in text.model.state_dict().items())
    with pytest.raises(InputError, match="top_down or bottom_up"):
        randomize_layers(text, results, "sideways")


def test_what_is_printed():
    checks = [
        Check("one", True, "good", "q", 0.5, (0.4, 0.6), "above 0", 9),
        Check("two", None, "cannot be asked"),
    ]
    found = SanityResult("m", "ffc", "fourier", "softmax", ["a"] * 9, checks, ["said"])
    assert found.passed
    assert str(found).splitlines() == [
        "ffc in fourier on m, 9 examples (1 group, anecdotal): pass (1 passed, 0 failed, 1 not applicable)",
        "  pass            one: good",
        "  not applicable  two: cannot be asked",
        "  note: said",
    ]
    table = found.table()
    assert table["passed"] == [True, None]
    assert table["value"][0] == 0.5
    assert math.isnan(table["low"][1])
    assert len(found.to_pandas()) == 2
    assert not SanityResult("m", "ffc", "fourier", "softmax", ["a"], checks[1:]).passed
    with pytest.raises(KeyError, match="there are"):
        found.of("three")


def test_wrong_arguments(text):
    with pytest.raises(InputError, match="at least one"):
        text.sanity_check([])
    with pytest.raises(InputError, match="one for each"):
        text.sanity_check(TEXTS, groups=[1])


def test_one_example_can_be_checked(text):
    """It has no interval, so nothing is shown by a low end; what is counted is counted."""
    result = text.sanity_check(TEXTS[:1], method="gradient_input")
    assert {check.examples for check in result.checks if not math.isnan(check.value)} == {1}


def test_completeness_draws_whole_groups(text):
    """Examples of one source have no interval, as in the other checks."""
    found = text.sanity_check(TEXTS, "integrated_gradients:steps=2", groups=["a"] * len(TEXTS)).of("completeness")
    assert found.passed is not None
    assert all(map(math.isnan, found.interval))
