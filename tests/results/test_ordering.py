"""Orders, cuts and random numbers that belong to an example."""

import math
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_fourier.errors import InputError
from hf_fourier.results.ordering import SHORT, _along_rows, cut, descending, descending_rows
from hf_fourier.seeding import ExampleRng, LazyFingerprint, fingerprint
from tests.toy_scores import noise

MULTIPLICITIES = st.lists(st.integers(1, 3), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(multiplicity=MULTIPLICITIES, fraction=st.floats(0, 1))
def test_a_cut_is_the_longest_prefix_that_fits(multiplicity, fraction):
    most = round(fraction * sum(multiplicity))
    fits = [n for n in range(len(multiplicity) + 1) if sum(multiplicity[:n]) <= most]
    expected = max(fits) if fraction == 0 else max(1, *fits)
    assert cut(torch.tensor(multiplicity), fraction) == expected


@settings(max_examples=100, deadline=None)
@given(multiplicity=MULTIPLICITIES, fractions=st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_cuts_grow(multiplicity, fractions):
    low, high = sorted(fractions)
    assert cut(torch.tensor(multiplicity), low) <= cut(torch.tensor(multiplicity), high)


def test_the_ends_of_a_cut():
    multiplicity = torch.tensor([2, 1, 2, 1])
    assert cut(multiplicity, 0) == cut(multiplicity, 0.0) == 0
    assert cut(multiplicity, 1.0) == cut(multiplicity, 1) == 4
    assert cut(multiplicity, 1e-9) == 1
    assert cut(multiplicity, 0.5) == 2
    assert cut(multiplicity, 4 / 6) == 2
    assert [cut(multiplicity, k=k) for k in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"fraction": 0.5, "k": 2},
        {"fraction": -0.1},
        {"fraction": 1.1},
        {"fraction": math.nan},
        {"fraction": 20},
        {"k": -1},
        {"k": 4},
        {"k": True},
    ],
)
def test_arguments_of_a_cut(arguments):
    with pytest.raises(InputError):
        cut(torch.ones(3, dtype=torch.long), **arguments)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=50), seed=st.integers(0, 99))
def test_an_order_is_descending_and_its_ties_are_seeded(values, seed):
    scores = torch.tensor(values, dtype=torch.float32)
    order = descending(scores, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(len(values)))
    assert torch.equal(scores[order], scores.sort(descending=True).values)
    assert torch.equal(order, descending(scores, torch.Generator().manual_seed(seed)))
    assert torch.equal(descending(scores), scores.sort(descending=True, stable=True).indices)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distinct_scores_need_no_ties(dtype):
    scores = noise(1000, dtype=dtype)
    expected = scores.argsort(descending=True)
    assert torch.equal(descending(scores, torch.Generator().manual_seed(1)), expected)
    assert torch.equal(descending(scores, torch.Generator().manual_seed(2)), expected)


def test_ties_are_fair():
    """Each of four equal features is first about as often; a distinct one keeps its place."""
    firsts = [0] * 5
    for seed in range(400):
        order = descending(torch.tensor([0.0, 0.0, 5.0, 0.0, -0.0]), torch.Generator().manual_seed(seed))
        assert order[0] == 2
        firsts[int(order[1])] += 1
    assert all(60 < n < 140 for i, n in enumerate(firsts) if i != 2)


def test_more_runs_of_ties_than_sixteen_bits_count():
    """Of so many runs the radix sort of 16-bit numbers would mix up distant ones."""
    scores = torch.arange(2**16 + 9, dtype=torch.float32).repeat_interleave(2)
    found = descending(scores, torch.Generator().manual_seed(1))
    assert torch.equal(scores[found], scores.flip(0))
    assert torch.equal(found, by_lexsort(scores, torch.Generator().manual_seed(1)))


def test_other_examples_have_other_ties():
    rng = ExampleRng(0, [1, 2])
    scores = torch.zeros(50)
    orders = [descending(scores, rng.generator(i, "ties")) for i in range(2)]
    assert not torch.equal(*orders)
    assert torch.equal(orders[1], descending(scores, ExampleRng(0, [2]).generator(0, "ties")))


def test_draws_belong_to_the_example():
    both, swapped, alone = ExampleRng(3, [11, 22]), ExampleRng(3, [22, 11]), ExampleRng(3, [22])
    a = both.uniform((4, 5), "noise", 1)
    assert a.shape == (2, 4, 5)
    assert torch.equal(a.flip(0), swapped.uniform((4, 5), "noise", 1))
    assert torch.equal(a[1:], alone.uniform((4, 5), "noise", 1))
    assert 0 <= a.min() < a.max() < 1
    others = [ExampleRng(4, [11, 22]).uniform((4, 5), "noise", 1), both.uniform((4, 5), "path", 1)]
    others.append(both.uniform((4, 5), "noise", 2))
    assert all(not torch.equal(a, other) for other in others)
    assert not torch.equal(a[0], a[1])


def test_draws_are_the_same_everywhere():
    """Known numbers: another process, machine or default dtype must not change them."""
    expected = ExampleRng(0, [7]).uniform((3,), "random")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        again = ExampleRng(0, [7]).uniform((3,), "random")
    finally:
        torch.set_default_dtype(before)
    assert again.dtype == torch.float32
    assert torch.equal(again, expected)
    state = torch.get_rng_state()
    ExampleRng(0, [7]).uniform((3,), "random")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool]
)
def test_a_fingerprint_is_of_the_contents(dtype):
    x = (noise(4, 6) * 3).to(dtype)
    key = fingerprint([x])
    assert key == fingerprint([x.clone()]) == fingerprint([x.T.contiguous().T])
    assert 0 <= key < 2**64
    changed = x.clone()
    changed[3, 5] = 1 - changed[3, 5].float() if dtype != torch.bool else ~changed[3, 5]
    assert key != fingerprint([changed])
    assert key != fingerprint([x.T])
    assert key != fingerprint([x.flatten()])
    assert key != fingerprint([x, x])


def test_fingerprints_of_odd_tensors():
    keys = {fingerprint([torch.tensor(1.0)]), fingerprint([torch.tensor([1.0])]), fingerprint([torch.zeros(0)])}
    keys |= {fingerprint([]), fingerprint([torch.zeros(1)]), fingerprint([torch.zeros(1, dtype=torch.int32)])}
    assert len(keys) == 6
    assert fingerprint([torch.tensor(1.0, requires_grad=True)]) == fingerprint([torch.tensor(1.0)])


def test_orders_of_single_and_double_precision_agree():
    scores = torch.cat([noise(500, dtype=torch.float32), torch.tensor([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38])])
    assert torch.equal(descending(scores), descending(scores.double()))


def test_a_key_is_taken_when_it_is_asked_for():
    x = noise(3)
    key = LazyFingerprint([x])
    x.zero_()
    assert ExampleRng(0, [key]).generator(0, "ties").initial_seed() == (
        ExampleRng(0, [fingerprint([torch.zeros_like(x)])]).generator(0, "ties").initial_seed()
    )


@pytest.mark.parametrize("features", [1, 2, 37, SHORT, SHORT + 1])
def test_rows_that_are_sorted_together_are_sorted_like_each_by_itself(features):
    scores = torch.randint(-3, 4, (5, features), generator=torch.Generator().manual_seed(features)).float()
    scores[0] = torch.randn(features, generator=torch.Generator().manual_seed(1))  # a row without ties
    scores[1] = -0.0
    seeds = [partial(torch.Generator().manual_seed, row) for row in range(5)]
    found = descending_rows(scores, seeds)
    for row, order in enumerate(found):
        assert torch.equal(order, descending(scores[row], torch.Generator().manual_seed(row)))
        assert torch.equal(order, by_lexsort(scores[row], torch.Generator().manual_seed(row)))


def by_lexsort(scores, ties):
    """Descending scores, then the random key of each tied feature, drawn in the order of indices."""
    values = scores.tolist()
    often = Counter(values)
    tied = torch.tensor([i for i, one in enumerate(values) if often[one] > 1], dtype=torch.long)
    keys = torch.zeros(len(scores), dtype=torch.long)
    keys[tied] = torch.randperm(len(tied), generator=ties)
    return torch.from_numpy(np.lexsort((keys.numpy(), -scores.numpy())))


@pytest.mark.parametrize("shape", [(1260,), (0, 5), (1, 7), (82, 1260), (3, 0)])
def test_entries_along_rows_are_those_that_numpy_takes(shape):
    numbers = np.random.default_rng(0)
    values, order = numbers.random(shape).astype(np.float32), numbers.random(shape).argsort(axis=-1)
    for held in (values, values[..., ::-1], np.asfortranarray(values)):
        assert np.array_equal(_along_rows(held, order), np.take_along_axis(held, order, axis=-1))
