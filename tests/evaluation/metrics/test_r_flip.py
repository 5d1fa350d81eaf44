"""The least share of features that turns decisions, on curves made by hand."""

import pytest

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.r_flip import flipped, r_flip
from hf_fourier.results.curve import Curve, CurvePoint


def curve(turned_at, shares=(0.01, 0.1, 0.5), part="delete"):
    """A decision that is lost where this share or more is deleted."""
    return Curve(tuple(CurvePoint(part, r, r, -1.0, 0.5, float(r < turned_at)) for r in shares), 0.9)


def test_the_least_share_that_turns_enough():
    curves = [curve(0.01), curve(0.1), curve(0.1), curve(0.9)]
    assert flipped(curves) == {0.01: 0.25, 0.1: 0.75, 0.5: 0.75}
    assert [r_flip(curves, q) for q in (0.1, 0.25, 0.26, 0.75, 0.76, 1)] == [0.01, 0.01, 0.1, 0.1, None, None]


def test_decisions_that_turn_back_do_not_hide_the_first_share():
    stops = [CurvePoint("delete", r, r, -1.0, 0.5, agrees) for r, agrees in ((0.3, 1.0), (0.2, 0.0), (0.1, 1.0))]
    assert r_flip([Curve(tuple(stops), 0.9)], 1) == 0.2


def test_some_of_several_decisions_lost_is_turned():
    assert r_flip([Curve((CurvePoint("delete", 0.1, 0.1, -1.0, None, 0.75),), 0.9)], 1) == 0.1


def test_only_what_all_deleted_counts():
    curves = [curve(0.01), curve(0.01, shares=(0.1, 0.2))]
    assert flipped(curves) == {0.1: 1.0}


@pytest.mark.parametrize("curves", [[], [curve(0.1, part="keep")], [curve(0.1), curve(0.1, shares=(0.3,))]])
def test_nothing_in_common(curves):
    with pytest.raises(InputError):
        r_flip(curves)


@pytest.mark.parametrize("q", [0, 1.1, float("nan")])
def test_a_share_that_is_none(q):
    with pytest.raises(InputError, match="q "):
        r_flip([curve(0.1)], q)
