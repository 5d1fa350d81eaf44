"""The `evaluate` modules by name, from this package: no Hub is asked."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.evaluation.metrics.base import MEASURES


def names() -> list[str]:
    """The names that `load` takes."""
    return list(MEASURES)


def path(name: str) -> Path:
    """The script of a module, which `evaluate.load` takes too.

    Raises:
        InputError: If there is no such metric.
    """
    if name not in MEASURES:
        near = difflib.get_close_matches(name, MEASURES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of them"
        raise InputError(f"metric {name!r}", f"one of {', '.join(MEASURES)}", hint)
    return Path(__file__).parent / "modules" / name / f"{name}.py"


def load(name: str, **options: Any) -> Any:
    """The `evaluate` module of a metric.

    Args:
        name: One of `names()`.
        **options: As for `evaluate.load` (`num_process`, `process_id`, `experiment_id`, `cache_dir`, `keep_in_memory`).

    Raises:
        InputError: If there is no such metric.
        MissingExtraError: If `evaluate` is not installed.
    """
    script = path(name)
    try:
        import evaluate
    except ImportError as error:
        raise MissingExtraError("evaluate", "metrics", "metrics as `evaluate` modules") from error
    return evaluate.load(str(script), **options)
