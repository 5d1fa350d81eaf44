"""Word and character error rates of a transcript along its perturbation curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table
from hf_fourier.scoring.heads import Transcript
from hf_fourier.scoring.perturb_results import answer_name
from hf_fourier.scoring.targets import IGNORED

if TYPE_CHECKING:
    from hf_fourier.engine import Engine


def transcript_errors(explainer: Engine, result: Attribution) -> Table:
    """The transcript at each point of the curve against the one that is explained. No model passes.

    Args:
        explainer: That made the result.
        result: Of a CTC model, perturbed.

    Returns:
        One row per point: `mode`, `fraction`, `transcript`, `wer` and `cer`: the fewest words (characters) to insert,
        delete and replace, per word (character) explained. Both are 0 for the same transcript and have no upper bound.

    Raises:
        InputError: If the result is of another head, or has no curve.
    """
    head = explainer.wrapper.head()
    if not isinstance(head, Transcript) or result.provenance.get("head") != Transcript.name:
        raise InputError(
            f"a result of {result.provenance.get('head')!r}", "a CTC model's", "pass a transcript's result"
        )
    if result.curve is None or result.frozen_target is None:
        raise InputError("a result without a curve", "a perturbed one", "call explainer.perturb(result)")
    clean = _text(head, result.frozen_target)
    rows: dict[str, list[Any]] = {name: [] for name in ("mode", "fraction", "transcript", "wer", "cer")}
    for point in result.curve.points:
        ids = result.extras.get(answer_name(point.mode, point.fraction))
        text = clean if ids is None else _text(head, ids)  # the whole signal is not evaluated again
        row = (point.mode, point.fraction, text, error_rate(clean.split(), text.split()), error_rate(clean, text))
        for column, value in zip(rows.values(), row, strict=True):
            column.append(value)
    return Table(rows)


def error_rate(expected: Sequence[Any], predicted: Sequence[Any]) -> float:
    """The edit distance (insertions, deletions, replacements cost 1 each) per entry expected, of at least one."""
    costs = list(range(len(predicted) + 1))
    for i, entry in enumerate(expected, 1):
        diagonal, costs[0] = costs[0], i
        for j, other in enumerate(predicted, 1):
            diagonal, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, diagonal + (entry != other))
    return costs[-1] / max(1, len(expected))


def _text(head: Transcript, ids: torch.Tensor) -> str:
    return head.text([int(i) for i in ids if i != IGNORED])
