"""Remarks: when a sum is missed, which entries are not finite, and which notes are one and the same."""

import math

import pytest
import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.results.remarks import INCOMPLETE, dithered, incomplete, once, places, unfinished

SHAPE = SignalShape("tensor", (Axis("channel", 2, "", 1.0, True), Axis("time", 12, "Hz", 1.0), Axis("mel", 4, "", 1.0)))


def at(*times: int) -> torch.Tensor:
    bad = torch.zeros(2, 12, 4, dtype=torch.bool)
    for time in times:
        bad[1, time, 2] = True
    return bad


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ((3,), "time 3; mel 2"),
        ((0, 1, 2), "time 0 to 2; mel 2"),
        ((0, 2), "time 0, 2; mel 2"),
        ((0, 1, 4, 7, 8), "time 0 to 1, 4, 7 to 8; mel 2"),
        ((1, 3, 5, 9, 10), "time 1 to 10, with gaps; mel 2"),
        ((11,), "time 11; mel 2"),
        ((), ""),
    ],
)
def test_places_by_their_axes(times, words):
    """Runs of neighbours, three at most; channels have no order and are not named."""
    assert places(at(*times), SHAPE) == words


def test_places_of_one_axis():
    alone = SignalShape("waveform", (Axis("time", 5, "Hz", 1.0),))
    assert places(torch.tensor([True, True, False, False, True]), alone) == "time 0 to 1, 4"


def test_a_gradient_that_is_not_finite_in_words():
    example, gradient = torch.ones(2, 12, 4), torch.zeros(2, 12, 4)
    gradient[1, 3, 2], gradient[1, 4, 2] = torch.nan, torch.inf
    words = "a gradient that is not finite at 2 of 96 entries (time 3 to 4; mel 2"
    assert unfinished(gradient, example, SHAPE) == f"{words})"
    example[1, 3:5, 2] = 0
    assert unfinished(gradient, example, SHAPE) == f"{words}, where the example is 0)"
    example[1, 3, 2] = 1
    assert unfinished(gradient, example, SHAPE) == f"{words})"


@pytest.mark.parametrize(
    ("total", "error", "size", "value", "reference", "missed"),
    [
        (1.0, 0.0, 1.0, 2.0, 1.0, False),
        (1.05, 0.05, 1.0, 2.0, 1.0, False),  # a twentieth is allowed
        (1.051, 0.051, 1.0, 2.0, 1.0, True),
        (0.949, -0.051, 1.0, 2.0, 1.0, True),
        (-1.05, -0.05, 1.0, 2.0, 3.0, False),
        # A promised sum near 0 counts as a thousandth of the score at either end.
        (1e-4, 1e-4, 0.0, 2.0, 2.0, False),
        (1.01e-4, 1.01e-4, 0.0, 2.0, 2.0, True),
        (1e-4, 1e-4, 0.0, 0.0, -2.0, False),
        (1e-4, 1e-4, 0.0, 0.0, None, True),
        (1e-4, 1e-4, 0.0, -2.0, None, False),
        # Large scores that cancel leave rounding.
        (1e-3, 1e-3, 100.0, 0.0, None, False),
        (1.1e-3, 1.1e-3, 100.0, 0.0, None, True),
    ],
)
def test_when_a_sum_is_missed(total, error, size, value, reference, missed):
    note = incomplete(total, error, size, value, reference)
    assert (note is not None) == missed
    assert note is None or note.startswith(INCOMPLETE)


def test_the_words_of_a_missed_sum():
    assert incomplete(3.0, 1.0, 3.0, 5.0, None) == (f"{INCOMPLETE}the scores sum to 3 in place of 2, 50% of it away")
    assert incomplete(3.0, 1.0, 3.0, 5.0, 3.0) == (
        f"{INCOMPLETE}the scores sum to 3 in place of 2, 50% of it away (the example scores 5, the other end of the "
        "path 3)"
    )
    assert incomplete(1.0, 1.0, 1.0, 0.0, 0.0) == (
        f"{INCOMPLETE}the scores sum to 1 in place of 0 (the example scores 0, the other end of the path 0)"
    )
    assert incomplete(0.5, -1.0, 3.0, 5.0, None) == (
        f"{INCOMPLETE}the scores sum to 0.5 in place of 1.5, 67% of it away"
    )


@pytest.mark.parametrize("end", [math.inf, -math.inf, math.nan])
def test_a_sum_that_nothing_can_be_held_to(end):
    note = incomplete(1.0, 1.0 - end, 1.0, 2.0, 2.0 - end)
    assert note is not None
    assert note.startswith(f"{INCOMPLETE}the scores should sum to {end:.4g} (")
    assert note.endswith("against which they cannot be checked")


def test_notes_that_differ_in_their_numbers_alone_are_one():
    notes = ["cut at 512 tokens", "cut at -3.5e-07 tokens", "padded", "cut at 512 words", "cut at nan tokens", "padded"]
    assert once(notes) == ["cut at 512 tokens", "padded", "cut at 512 words"]
    assert once([]) == []
    assert once(["banana 1", "banana 2", "information inf", "information -inf"]) == ["banana 1", "information inf"]


def test_dither_is_named_with_its_share():
    assert (
        dithered(1e-6)
        == "dither: seeded noise of 1e-06 of the example's largest entry was added to what the model reads"
    )
