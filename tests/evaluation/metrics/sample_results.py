"""Curves and results made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_fourier.results.curve import TENTHS, Curve, CurvePoint, Mode

Heights = Mapping[float, float] | Sequence[float]


def stops(part: Mode, heights: Heights, decisions: bool = False, sure: bool = True) -> list[CurvePoint]:
    """Stops of one part: by share, or on the tenths in order; heights are confidences or decisions."""
    pairs = heights.items() if isinstance(heights, Mapping) else zip(TENTHS, heights, strict=False)
    return [
        CurvePoint(part, r, r, h, (0.5 if decisions else h) if sure else None, h if decisions else 1.0)
        for r, h in pairs
    ]


def curve(keep: Heights = (), delete: Heights = (), clean: float = 1.0, **kinds: bool) -> Curve:
    return Curve((*stops("keep", keep, **kinds), *stops("delete", delete, **kinds)), clean)


def kept(decisions: Mapping[float, float]) -> Curve:
    """A curve of decisions by kept share."""
    return curve(keep=decisions, decisions=True)
