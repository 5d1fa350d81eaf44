"""Curves by hand: which point answers a question, and both names of their ends."""

from __future__ import annotations

import math

import pytest

from hf_fourier.errors import InputError
from hf_fourier.results.curve import Curve, CurvePoint, Mode, common_fractions, maintained


def point(mode: Mode, fraction: float, confidence: float | None, agreement: float) -> CurvePoint:
    return CurvePoint(mode, fraction, fraction, 0.0, confidence, agreement)


#: Nothing is kept under the name of deleting all, and the whole example under no name.
CURVE = Curve((point("keep", 0.1, 0.6, 1.0), point("delete", 0.1, 0.3, 0.0), point("delete", 1.0, 0.05, 0.5)), 0.9)


def test_an_end_is_known_by_the_other_modes_name() -> None:
    assert CURVE.confidences("keep", [0, 0.1]) == [0.05, 0.6]
    assert CURVE.decisions("keep", [0]) == [0.5]
    other = Curve((point("keep", 0, 0.07, 0.0), point("keep", 1.0, 0.9, 1.0)), 0.9)
    assert other.confidences("delete", [1.0]) == [0.07]
    assert other.decisions("delete", [0, 1.0]) == [1.0, 0.0]


def test_inner_fractions_have_one_name() -> None:
    lone = Curve((point("delete", 0.9, 0.3, 1.0),), 0.9)
    with pytest.raises(InputError, match=r"without keep 0\.1"):
        lone.confidences("keep", [0.1])
    with pytest.raises(InputError, match=r"without delete 0\.1"):
        Curve((point("keep", 0.9, 0.3, 1.0),), 0.9).decisions("delete", [0.1])


def test_the_whole_example_needs_no_point() -> None:
    assert CURVE.confidences("keep", [1.0]) == [0.9]
    assert CURVE.confidences("delete", [0]) == [0.9]
    values = Curve((point("keep", 0.1, None, 1.0),), 0.9)  # a head without a confidence
    with pytest.raises(InputError, match="without keep 1"):
        values.confidences("keep", [1.0])


def test_a_decision_is_kept_from_the_least_agreement_on() -> None:
    assert [maintained(CURVE, 0, least) for least in (0.5, 0.51)] == [1.0, 0.0]
    assert maintained(CURVE, 0.1) == 1.0


def test_fractions_in_common() -> None:
    other = Curve((point("keep", 0.2, 0.5, 1.0), point("keep", 0.1, 0.5, 1.0)), 0.9)
    assert common_fractions([CURVE, other]) == [0.1]
    assert common_fractions([other]) == [0.1, 0.2]
    assert common_fractions([]) == []


def test_points_of_another_curve_come_first() -> None:
    newer = Curve((point("keep", 0.1, 0.7, 0.0), point("keep", 0.3, 0.8, 1.0)), 0.95)
    merged = CURVE.merged(newer)
    assert merged.clean == 0.95
    assert merged.at("keep", 0.1).confidence == 0.7
    assert [p.fraction for p in merged.of("keep")] == [0.1, 0.3]
    assert [p.fraction for p in merged.of("delete")] == [0.1, 1.0]
    assert math.isclose(sum(p.agreement for p in merged.points), 1.5)
