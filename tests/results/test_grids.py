"""Grids of fractions, the names of their ends, and areas under curves."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hf_fourier.errors import InputError
from hf_fourier.results.curve import (
    DEFAULT_GRID,
    PAPER_GRID,
    SMALL_FRACTIONS,
    TENTHS,
    Curve,
    CurvePoint,
    FractionGrid,
    Mode,
    canonical_perturbation,
    log_spaced,
    maintained,
    reaches_label,
    trapezoid,
)


def point(mode: Mode, fraction: float, agreement: float = 1.0, actual: float | None = None) -> CurvePoint:
    return CurvePoint(mode, fraction, fraction if actual is None else actual, 0.0, 0.5, agreement)


@pytest.mark.parametrize(
    ("mode", "fraction", "expected"),
    [
        ("keep", 0.0, ("keep", 0.0)),
        ("keep", 1.0, ("keep", 1.0)),
        ("keep", 0.3, ("keep", 0.3)),
        ("delete", 0.3, ("delete", 0.3)),
        ("delete", 0.0, ("keep", 1.0)),
        ("delete", 1.0, ("keep", 0.0)),
        ("delete", 0, ("keep", 1.0)),
        ("delete", 1, ("keep", 0.0)),
    ],
)
def test_ends_have_one_name(mode: Mode, fraction: float, expected: tuple[str, float]) -> None:
    assert canonical_perturbation(mode, fraction) == expected
    assert point(mode, 0.5, actual=fraction).key == expected  # by what the prefix held, not by what was asked


def test_a_grid_goes_fraction_by_fraction() -> None:
    grid = FractionGrid((0.5, 0.1, 0.5), (0.2, 0.1))
    assert grid.keep == (0.5, 0.1)
    assert list(grid) == [("keep", 0.5), ("keep", 0.1), ("delete", 0.1), ("delete", 0.2)]
    assert FractionGrid((0, 1)).keep == (0.0, 1.0)
    both = FractionGrid((0.5,)) | FractionGrid((0.1, 0.5), (0.3,))
    assert (both.keep, both.delete) == ((0.5, 0.1), (0.3,))
    assert list(FractionGrid(delete=(0.4,))) == [("delete", 0.4)]


def test_passes_of_a_grid() -> None:
    """The whole example is known, and deleting all is keeping none."""
    assert FractionGrid((1.0,)).passes == 0
    assert FractionGrid(delete=(0.0,)).passes == 0
    assert FractionGrid((0.0,), (1.0,)).passes == 1
    assert FractionGrid((0.5,), (0.5,)).passes == 2
    assert PAPER_GRID.passes == 19
    assert DEFAULT_GRID.passes == 24
    assert PAPER_GRID.keep == PAPER_GRID.delete == tuple(i / 10 for i in range(11)) == TENTHS
    assert DEFAULT_GRID.keep == (*TENTHS, 0.01, 0.02, 0.04, 0.08, 0.16)
    assert DEFAULT_GRID.delete == TENTHS
    assert SMALL_FRACTIONS == (0.01, 0.02, 0.04, 0.08, 0.16, 0.3)


@pytest.mark.parametrize("mode", ["keep", "delete"])
@pytest.mark.parametrize("wrong", [-0.01, 1.01, True, math.nan, math.inf])
def test_what_is_no_fraction(mode: str, wrong: float) -> None:
    with pytest.raises(InputError, match=f"correct `{mode}`"):
        FractionGrid(**{mode: (0.5, wrong)})
    with pytest.raises(InputError, match="no fractions"):
        FractionGrid()


def test_logarithmic_steps() -> None:
    assert log_spaced(0.01, 1.0, 3) == pytest.approx((0.01, 0.1, 1.0))
    assert log_spaced(0.25, 0.5, 2) == (0.25, 0.5)
    eight = log_spaced(0.01)
    assert len(eight) == 8
    assert (eight[0], eight[-1]) == (0.01, 1.0)
    assert [b / a for a, b in pairwise(eight)] == pytest.approx([100 ** (1 / 7)] * 7)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 3), (0.5, 0.5, 3), (0.5, 0.1, 3), (0.1, 1.1, 3), (0.1, 1.0, 1)])
def test_steps_that_are_none(wrong: tuple[float, float, int]) -> None:
    with pytest.raises(InputError, match="0 < least < most"):
        log_spaced(*wrong)


def test_fractions_are_equal_up_to_rounding() -> None:
    curve = Curve((point("keep", 3 * 0.1),), 0.9)
    assert curve.find("keep", 0.3) is curve.points[0]
    assert curve.find("keep", 0.3 + 5e-9) is None
    assert curve.find("delete", 0.3) is None


def test_wrong_labels_that_are_reached() -> None:
    curves = [Curve((point("keep", 0.1, agreement),), 0.9) for agreement in (1.0, 0.99, 1.0, 0.0)]
    assert [maintained(curve, 0.1) for curve in curves] == [1.0, 0.0, 1.0, 0.0]
    assert reaches_label(curves, 0.1) == 0.5
    assert reaches_label(curves[:1], 0.1) == 1.0


def test_the_area_under_a_curve() -> None:
    assert trapezoid([1, 0], [0, 1]) == 0.5
    assert trapezoid([0, 1, 1], [0, 0.5, 1]) == 0.75
    assert trapezoid([2, 2], [0.25, 0.5]) == 0.5
