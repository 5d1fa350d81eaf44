"""Subsets of features against one subset at a time, and what they cost."""

import pytest
import torch

from hf_fourier.domains import DOMAINS
from hf_fourier.scoring import subsets
from hf_fourier.scoring.heads import Binary, Categorical, Regression
from hf_fourier.scoring.subsets import subset_readings
from tests.toy_scores import DOMAIN_SPECS, Guard, Smooth, bound, noise, score_of, signal

SHAPE = signal(4, 3)
HEADS = pytest.mark.parametrize("head", [Categorical(), Binary(), Regression()], ids=lambda head: head.name)


@pytest.fixture(params=[spec for spec in DOMAIN_SPECS if bound(spec, SHAPE) is not None])
def basis(request):
    return DOMAINS.parse(request.param).bind(SHAPE)


@pytest.fixture(params=[True, False], ids=["summed", "inverted"])
def summed(request, monkeypatch):
    """Either way of making signals, whatever the number of features."""
    monkeypatch.setattr(subsets, "MOST_PARTS", 10**9 if request.param else 0)


def drawn_masks(*sizes, seed=0):
    return noise(*sizes, seed=seed) > 0


def one_at_a_time(score, basis, masks, replacement):
    """Values of `(batch, subsets, K)` masks, from scaled coefficients and one pass per example, subset and draw."""
    c = basis.forward(score.signal)
    v = torch.zeros_like(c).unsqueeze(1) if replacement is None else replacement
    values = torch.zeros(masks.shape[:2], dtype=torch.float64)
    for i, rows in enumerate(masks):
        for s, mask in enumerate(rows):
            weights = mask.double().unsqueeze(0)
            for other in v[i]:
                mixed = basis.scale_features(c[i : i + 1], weights) + basis.scale_features(other[None], 1 - weights)
                values[i, s] += score.value(basis.inverse(mixed), torch.tensor([i])).value[0] / len(v[i])
    return values


@pytest.mark.usefixtures("summed")
@pytest.mark.parametrize("draws", [0, 1, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_subsets_are_one_at_a_time(basis, shared, draws):
    score = score_of(Smooth(3, 4, 3).eval(), noise(2, 4, 3))
    masks = drawn_masks(len(basis) + 2, len(basis)) if shared else drawn_masks(2, len(basis) + 2, len(basis))
    replacement = torch.stack([basis.forward(noise(2, 4, 3, seed=9 + d)) for d in range(draws)], 1) if draws else None
    got = subset_readings(score, basis, masks, replacement)
    each = masks.expand(2, *masks.shape[-2:])
    expected = one_at_a_time(score, basis, each, replacement)
    torch.testing.assert_close(got.value, expected, rtol=1e-9, atol=1e-12)


@HEADS
@pytest.mark.usefixtures("summed")
@pytest.mark.parametrize("size", [1, 3, 100])
def test_equal_subsets_run_once_and_the_whole_is_the_clean_reading(head, size):
    basis = DOMAINS.parse("fourier").bind(SHAPE)
    guard = Guard(Smooth(3, 4, 3).eval())
    score = score_of(guard, noise(3, 4, 3), head, size=size)
    clean = score.clean_reading()
    masks = drawn_masks(6, len(basis)).repeat(2, 1)
    masks[0] = True
    distinct = {tuple(row) for row in masks.tolist()} - {(True,) * len(basis)}
    got = subset_readings(score, basis, masks)
    assert guard.forward_rows == 3 + 3 * len(distinct)
    assert guard.backward_rows == 0
    assert got.value.shape == (3, 12)
    assert torch.equal(got.value[:, 0], clean.value)
    assert torch.equal(got.agreement[:, 0], clean.agreement)
    assert torch.equal(got.value[:, 1:6], got.value[:, 7:])
    assert (got.confidence is None) == (clean.confidence is None)
    assert (got.predicted_class is None) == (clean.predicted_class is None)
    if got.predicted_class is not None:
        assert torch.equal(got.predicted_class[:, 0], clean.predicted_class)
        assert torch.equal((got.predicted_class == clean.predicted_class[:, None]).double(), got.agreement)
    if got.confidence is not None:
        torch.testing.assert_close(got.confidence.log(), got.value)


def test_only_the_whole_takes_no_pass_beside_the_clean_one():
    basis = DOMAINS.parse("cosine").bind(SHAPE)
    guard = Guard(Smooth(3, 4, 3).eval())
    got = subset_readings(score_of(guard, noise(2, 4, 3)), basis, torch.ones(2, 5, len(basis), dtype=torch.bool))
    assert guard.forward_rows == 2
    assert got.value.shape == (2, 5)


@pytest.mark.usefixtures("summed")
def test_nothing_left_is_exactly_zero():
    basis = DOMAINS.parse("fourier").bind(SHAPE)
    seen = []

    def forward(x):
        seen.append(x.clone())
        return x.flatten(1)[:, :3]

    masks = torch.zeros(1, len(basis), dtype=torch.bool)
    subset_readings(score_of(forward, noise(2, 4, 3)), basis, masks)
    assert torch.equal(seen[-1], torch.zeros(2, 4, 3, dtype=torch.float64))


@pytest.mark.usefixtures("summed")
@pytest.mark.parametrize("most", [1, 2, 5])
def test_running_out_of_memory_changes_nothing(most):
    basis, x = DOMAINS.parse("fourier").bind(SHAPE), noise(3, 4, 3)
    masks = drawn_masks(3, 9, len(basis))
    expected = subset_readings(score_of(Smooth(3, 4, 3).eval(), x, size=8), basis, masks)
    score = score_of(Guard(Smooth(3, 4, 3).eval(), most=most), x, size=8)
    got = subset_readings(score, basis, masks)
    torch.testing.assert_close(got.value, expected.value, rtol=1e-12, atol=1e-14)
    assert score.batcher.splits > 0


@pytest.mark.usefixtures("summed")
def test_an_example_gets_the_same_alone(monkeypatch):
    basis, x = DOMAINS.parse("fourier").bind(SHAPE), noise(4, 4, 3)
    masks = drawn_masks(4, 9, len(basis))
    replacement = basis.forward(noise(4, 4, 3, seed=3)).unsqueeze(1)
    together = subset_readings(score_of(Smooth(3, 4, 3).eval(), x), basis, masks, replacement)
    monkeypatch.setattr(subsets, "ENTRIES", 1)  # batches of their own
    for i in range(4):
        one = slice(i, i + 1)
        alone = subset_readings(score_of(Smooth(3, 4, 3).eval(), x[one]), basis, masks[one], replacement[one])
        torch.testing.assert_close(alone.value, together.value[one], rtol=1e-12, atol=1e-14)


def test_draws_are_averaged_and_the_class_is_the_most_frequent():
    basis = DOMAINS.parse("identity").bind(signal(3))
    x = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    other = torch.tensor([[[0.0, 5, 0], [0, 0, 5], [0, 0, 6]]], dtype=torch.float64)
    got = subset_readings(score_of(lambda v: v, x), basis, torch.zeros(1, 3, dtype=torch.bool), other)
    logs = other[0].log_softmax(-1)[:, 0]
    torch.testing.assert_close(got.value[0, 0], logs.mean())
    torch.testing.assert_close(got.confidence[0, 0], logs.exp().mean())
    assert got.predicted_class.tolist() == [[2]]
    assert got.agreement.tolist() == [[0.0]]
