"""Heads against direct formulas in float64."""

import math

import numpy as np
import pytest
import torch

from hf_fourier.errors import ModelError, TargetError
from hf_fourier.scoring.heads import Binary, Categorical, CustomTarget, Regression, logits_of
from hf_fourier.scoring.heads.log_odds import mean_log_probability
from hf_fourier.scoring.targets import Typed
from tests.toy_scores import noise

LABELS = {0: "Cat", 1: "dog", 2: "Great dane", 3: "crane", 4: "crane"}


def gradients(head, logits, frozen):
    """The drive's gradient at the logits, and the score's, which is the slope times it."""
    z = logits.clone().requires_grad_(True)
    reading = head.read(z, frozen)
    (drive,) = torch.autograd.grad(reading.logit_margin.sum(), z, retain_graph=True)
    (value,) = torch.autograd.grad(reading.value.sum(), z)
    through = drive * reading.dvalue_dmargin.detach().view(-1, *[1] * (z.ndim - 1))
    return drive, value, through


def log_p(z):
    z = np.asarray(z, dtype=np.longdouble)
    top = z.max(-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 5), (4, 1, 5)])
def test_categorical_is_the_mean_log_probability(shape):
    z = noise(*shape)
    head = Categorical()
    frozen = head.freeze(z, [None] * 4)
    assert torch.equal(frozen, z.argmax(-1))
    reading = head.read(z, frozen)
    own = np.take_along_axis(log_p(z), frozen.unsqueeze(-1).numpy(), -1)[..., 0].reshape(4, -1)
    np.testing.assert_allclose(reading.value, own.mean(1).astype(float), rtol=1e-12)
    np.testing.assert_allclose(reading.confidence, np.exp(own.mean(1)).astype(float), rtol=1e-12)
    assert reading.agreement.tolist() == [1.0] * 4
    _, value, through = gradients(head, z, frozen)
    p = np.exp(log_p(z)).astype(float)
    one_hot = np.eye(5)[frozen.numpy()]
    np.testing.assert_allclose(value, (one_hot - p) / own.shape[1], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(through, value, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("gap", [20.0, 80.0, 300.0])
@pytest.mark.parametrize("masks", [0, 1, 3])
def test_a_saturated_softmax_keeps_its_direction_in_float32(gap, masks):
    """The direction of −CE's gradient in long double, where float32's own has cancelled or vanished."""
    z = noise(1, *[masks] * bool(masks), 4, dtype=torch.float32)
    z[..., 2] += gap
    head = Categorical()
    frozen = head.freeze(z, [None])
    assert (frozen == 2).all()
    drive, _, _ = gradients(head, z, frozen)
    wide = z.numpy().astype(np.longdouble)
    others = np.delete(np.arange(4), 2)
    p = np.exp(log_p(wide))
    expected = p.copy()
    expected[..., others] *= -1
    expected[..., 2] = p[..., others].sum(-1)
    expected /= np.abs(expected).max()
    told = drive.numpy() / np.abs(drive.numpy()).max()
    np.testing.assert_allclose(told, expected.astype(float), rtol=1e-4, atol=1e-6)


def test_categorical_in_several_rows_of_one_example():
    head = Categorical()
    frozen = head.freeze(torch.tensor([[0.0, 3.0, 1.0]]), [None])
    other = torch.tensor([[5.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    reading = head.read(other, frozen.expand(2))
    np.testing.assert_allclose(reading.value, log_p(other)[:, 1].astype(float), rtol=1e-6)
    assert reading.agreement.tolist() == [0.0, 1.0]


def test_a_share_of_masks_agrees():
    head = Categorical()
    frozen = head.freeze(noise(1, 4, 5), [torch.tensor([0, 1, 2, 3])])
    z = torch.full((1, 4, 5), -1.0)
    z[0, [0, 1, 2, 3], [0, 1, 2, 0]] = 1.0
    assert head.read(z, frozen).agreement.tolist() == [0.75]


def test_given_targets_are_frozen():
    z = noise(3, 5)
    head = Categorical()
    assert head.freeze(z, [4, None, torch.tensor(0)]).tolist() == [4, int(z[1].argmax()), 0]
    masks = noise(2, 3, 5)
    assert head.freeze(masks, [2, torch.tensor([0, 1, 4])]).tolist() == [[2, 2, 2], [0, 1, 4]]
    assert head.name_target(torch.tensor(3)) == (3, "3")
    assert Categorical(LABELS).name_target(torch.tensor([0, 1])) == ([0, 1], "Cat dog")


@pytest.mark.parametrize("target", [5, -1, torch.tensor([0, 1]), torch.tensor(9)])
def test_targets_out_of_range(target):
    with pytest.raises(TargetError):
        Categorical(LABELS).freeze(noise(1, 5), [target])
    with pytest.raises(TargetError):
        Binary(LABELS).freeze(noise(1, 5), [target])
    with pytest.raises(TargetError):
        Regression().freeze(noise(1, 5), [target])


def test_a_softmax_over_one_class_is_refused():
    with pytest.raises(TargetError, match="one class"):
        Categorical().freeze(noise(2, 1), [None, None])


def test_binary_takes_the_side_of_the_model():
    z = torch.tensor([[2.0, -1.0, 0.5], [-3.0, -1.0, -2.0], [2.0, -1.0, 0.5]], dtype=torch.float64)
    head = Binary(LABELS)
    frozen = head.freeze(z, [None, None, 1])
    assert frozen.tolist() == [[0, 1], [1, -1], [1, -1]]
    reading = head.read(z, frozen)
    expected = np.log([1 / (1 + np.exp(-2)), 1 - 1 / (1 + np.exp(1)), 1 - 1 / (1 + np.exp(1))])
    np.testing.assert_allclose(reading.value, expected, rtol=1e-12)
    np.testing.assert_allclose(reading.confidence, np.exp(expected), rtol=1e-12)
    assert reading.agreement.tolist() == [1.0, 1.0, 1.0]
    _, value, through = gradients(head, z, frozen)
    torch.testing.assert_close(through, value)
    assert value[0, 0] > 0 > value[1, 1]
    assert head.read(-z, frozen).agreement.tolist() == [0.0, 0.0, 0.0]
    assert [head.name_target(row)[1] for row in frozen] == ["Cat", "not dog", "not dog"]


@pytest.mark.parametrize("z", [20.0, 80.0, 300.0, -300.0])
def test_a_saturated_sigmoid_keeps_its_direction_in_float32(z):
    head = Binary()
    logits = torch.tensor([[z]])
    drive, _, _ = gradients(head, logits, head.freeze(logits, [None]))
    assert drive.item() == (1.0 if z > 0 else -1.0)


def test_an_undecided_sigmoid_agrees_with_itself():
    z = torch.zeros(1, 2)
    head = Binary()
    reading = head.read(z, head.freeze(z, [None]))
    assert reading.agreement.tolist() == [1.0]
    assert reading.confidence.tolist() == [0.5]


def test_regression_is_the_value():
    z = noise(2, 3)
    head = Regression()
    frozen = head.freeze(z, [None, 2])
    reading = head.read(z, frozen)
    torch.testing.assert_close(reading.value, torch.stack([z[0].mean(), z[1, 2]]))
    assert reading.confidence is None
    assert reading.agreement.tolist() == [1.0, 1.0]
    assert head.read(z * 1.09, frozen).agreement.tolist() == [1.0, 1.0]
    assert head.read(z * 1.11, frozen).agreement.tolist() == [0.0, 0.0]
    _, value, through = gradients(head, z, frozen)
    torch.testing.assert_close(value, torch.tensor([[1 / 3] * 3, [0, 0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(through, value)
    assert [head.name_target(row) for row in frozen] == [(None, "value"), (2, "2")]


def test_a_custom_score():
    head = CustomTarget(lambda z: z[:, 0] - z[:, 1])
    z = noise(3, 2)
    frozen = head.freeze(z, [None] * 3)
    reading = head.read(z, frozen)
    torch.testing.assert_close(reading.value, z[:, 0] - z[:, 1])
    assert reading.confidence is None
    assert reading.agreement.tolist() == [1.0] * 3
    assert CustomTarget(lambda z: z.half()[:, 0]).freeze(z, [None] * 3).dtype == torch.float32


@pytest.mark.parametrize("wrong", [lambda z: z, lambda z: z.sum(), lambda z: 1.0, lambda z: z[:, 0].long()])
def test_a_custom_score_of_a_wrong_kind(wrong):
    with pytest.raises(TargetError, match="real tensor"):
        CustomTarget(wrong).freeze(noise(3, 2), [None] * 3)


def test_a_custom_score_of_a_wrong_length():
    head = CustomTarget(lambda z: z[:1, 0])
    with pytest.raises(TargetError, match="one per row"):
        head.read(noise(3, 2), torch.zeros(3, 1))


def test_labels_are_found():
    head = Categorical(LABELS)
    assert head.check("dog") == 1
    assert head.check("DOG") == head.check("dog")
    assert head.check("cat") == 0
    assert head.check(3) == 3
    assert head.check(np.int64(3)) == 3
    assert head.check(None) is None
    assert head.label(2) == "Great dane"
    assert head.label(77) == "77"


@pytest.mark.parametrize("label", ["great_dane", "GREAT-DANE", " Great  dane ", "great dane"])
def test_case_and_spaces_of_labels_are_no_matter(label):
    assert Categorical(LABELS).check(label) == 2
    assert Categorical({0: "spam", 1: "SPAM"}).check("SPAM") == 1
    with pytest.raises(TargetError, match=r"\[0, 1\]"):
        Categorical({0: "spam", 1: "SPAM"}).check("Spam")


@pytest.mark.parametrize(("classes", "more"), [(7, ""), (8, ""), (9, ", …")])
def test_an_unknown_label_lists_the_first_eight(classes, more):
    with pytest.raises(TargetError) as caught:
        Categorical({i: f"name {i}" for i in range(classes)}).check("zebra")
    assert caught.value.expected == "one of " + ", ".join(f"'name {i}'" for i in range(min(classes, 8))) + more


def test_numbers_as_labels():
    stars = Categorical({0: "1", 1: "2", 2: "3"})
    assert [stars.check(target) for target in ("1", "3", 1, Typed("3"), Typed("0"))] == [0, 2, 1, 2, 0]
    with pytest.raises(TargetError, match="write index:1 or label:1"):
        stars.check(Typed("1"))
    assert Categorical({0: "0", 1: "1"}).check(Typed("1")) == Regression().check(Typed("1")) == 1
    with pytest.raises(TargetError, match="pass 1, a number and no text"):
        Categorical(LABELS).check("1")


@pytest.mark.parametrize(("target", "says"), [("dgo", "dog"), ("great dan", "Great dane"), ("xyzzy", "Cat")])
def test_unknown_labels_name_the_nearest(target, says):
    with pytest.raises(TargetError, match=says):
        Categorical(LABELS).check(target)


def test_a_label_of_two_classes_is_ambiguous():
    with pytest.raises(TargetError, match=r"\[3, 4\]"):
        Categorical(LABELS).check("crane")


@pytest.mark.parametrize("target", [True, 1.5, {"a": 1}, [0.5]])
def test_targets_that_are_none(target):
    with pytest.raises(TargetError):
        Categorical(LABELS).check(target)


def test_alternatives():
    z = torch.tensor([1.0, 3.0, 2.0])
    ranked = Categorical(LABELS).ranked(z)
    assert [name for name, _ in ranked] == ["dog", "Great dane", "Cat"]
    assert sum(p for _, p in ranked) == pytest.approx(1.0)
    assert Binary(LABELS).ranked(z)[0] == ("dog", pytest.approx(1 / (1 + np.exp(-3))))
    assert Regression().ranked(torch.tensor([4.0])) == [("value", 4.0)]


def test_logits_among_outputs():
    z = noise(1, 2)
    assert logits_of(z) is z
    assert logits_of((z, None)) is z
    assert logits_of(type("Output", (), {"logits": z})()) is z
    with pytest.raises(ModelError):
        logits_of({"a": 1})


def test_an_answer_that_is_ruled_out_signals_the_gradient_finite():
    odds = torch.tensor([[-torch.inf, 1.0, torch.inf], [-50.0, 0.0, 50.0]], requires_grad=True)
    value, drive, slope = mean_log_probability(odds, torch.ones_like(odds, dtype=torch.bool))
    assert value.tolist() == [-torch.inf, pytest.approx((-50 - math.log(2)) / 3)]
    (weights,) = torch.autograd.grad(drive.sum(), odds)
    steepness = 3 * weights * slope.unsqueeze(1)  # d log p / d odds = σ(−odds), whatever it is relative to
    torch.testing.assert_close(steepness, torch.sigmoid(-odds.detach()), rtol=1e-5, atol=1e-12)


def test_the_best_classes_are_found_where_the_logits_are():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]])
    values, indices = Categorical(LABELS).best(logits, most=2)
    assert indices.tolist() == [[1, 2], [0, 2]]
    torch.testing.assert_close(values, logits.softmax(-1).gather(1, indices))
    assert len(Binary().best(logits)) == 1, "a head of another kind names what it reads from the logits"
