"""Curves made by hand, and a table of drawn numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_fourier.results.curve import SMALL_FRACTIONS, TENTHS, Curve, CurvePoint, Mode

Heights = Mapping[float, float] | Sequence[float]
KEPT = sorted({*TENTHS, *SMALL_FRACTIONS})


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


def drawn_table(rows: int = 12, seed: int = 0) -> dict[str, list[Any]]:
    """A table with every column, its numbers drawn."""
    numbers = np.random.default_rng(seed)

    def several(count: int, whole: bool = False) -> list[list[float]]:
        drawn = numbers.integers(0, 2, (rows, count)) if whole else numbers.uniform(size=(rows, count))
        return drawn.astype(float).tolist()

    return {
        "group": [f"picture {i % 5}" if i % 6 else "" for i in range(rows)],
        "label": [f"class {i % 3}" for i in range(rows)],
        "clean": numbers.uniform(0.2, 1, rows).tolist(),
        "kept": [KEPT] * rows,
        "kept_confidence": several(len(KEPT)),
        "kept_decision": several(len(KEPT), True),
        "deleted": [list(TENTHS)] * rows,
        "deleted_confidence": several(len(TENTHS)),
        "deleted_decision": several(len(TENTHS), True),
        "wrong_kept": [KEPT] * rows,
        "wrong_reached": several(len(KEPT)),
        "subset_scores": [numbers.normal(size=5 + i).tolist() for i in range(rows)],  # as ragged as can be
        "subset_drops": [numbers.normal(size=5 + i).tolist() for i in range(rows)],
        "noise_predicted": several(7),
        "noise_drops": several(7),
        "score_changes": several(10),
        "swapped_decision": several(4),
        "agreement": numbers.integers(0, 2, rows).astype(float).tolist(),
        "removed_sizes": [[0.05, 0.1, 0.2]] * rows,
        "removed_top_decision": several(3),
        "removed_rest_decision": several(3),
        "scores": [numbers.normal(size=5 + i).tolist() for i in range(rows)],
        "truth": [[i % 5, 3] if i % 5 != 3 else [3] for i in range(rows)],
        "kept_l1": several(len(KEPT)),
        "kept_signal_l1": several(len(KEPT)),
        "top": [sorted(numbers.choice(40, 8, replace=False).tolist()) for _ in range(rows)],
        "features": [40] * rows,
    }
