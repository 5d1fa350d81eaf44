"""Load metrics as modules of Hugging Face `evaluate`, from this package and not from the Hub."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.evaluation.metrics.table import COLUMNS


def names() -> list[str]:
    """The names that `load` takes."""
    return list(METRICS)


def path(name: str) -> Path:
    """The script of a module, which `evaluate.load` takes too.

    Raises:
        InputError: If there is no such metric.
    """
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of them"
        raise InputError(f"metric {name!r}", f"one of {', '.join(METRICS)}", hint)
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


class Module:
    """A mixin in front of `evaluate.Metric`: one table serves all modules, each reads its own columns of it.

    Attributes:
        measure: The name of the metric.
    """

    measure: ClassVar[str]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Not as methods: the base class copies those, and adds to docstrings that an optimised Python does not have.
        base: Any = self
        base.add_batch = partial(_add, base.add_batch, METRICS[self.measure], True)
        base.add = partial(_add, base.add, METRICS[self.measure], False)

    def _info(self) -> Any:
        import evaluate
        from datasets import Features

        from hf_fourier.evaluation.metrics.cards import body

        metric = METRICS[self.measure]
        return evaluate.MetricInfo(
            description=metric.description,
            citation=metric.reference,
            inputs_description=f"\n{body(metric)}",
            features=Features({name: _feature(COLUMNS[name][0]) for name in metric.columns}),
        )

    def _compute(self, **given: Any) -> dict[str, float]:
        table = {name: values for name, values in given.items() if name in COLUMNS}
        return METRICS[self.measure].compute(table, **{k: v for k, v in given.items() if k not in COLUMNS})


def _add(
    add: Callable[..., None],
    metric: Metric,
    many: bool,
    predictions: Any = None,
    references: Any = None,
    **columns: Any,
) -> None:
    """Add a table or, unless `many`, a row, without other metrics' columns; without groups each example is its own."""
    add(**module_columns(metric, columns, many))


def module_columns(metric: Metric, columns: dict[str, Any], many: bool) -> dict[str, Any]:
    """The columns of a table or a row that a metric reads.

    Raises:
        InputError: If a column is missing, or is none of the shared ones.
    """
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise InputError(f"columns {unknown}", f"some of {', '.join(COLUMNS)}", "make the table with `columns`")
    missing = [name for name in metric.reads if columns.get(name) is None]
    if missing:
        raise InputError(f"a table without {', '.join(missing)}", f"the columns of {metric.name!r}", metric.needs)
    read = {name: columns[name] for name in metric.reads}
    group = columns.get("group")
    if group is None:
        rows: Sequence[Any] = read[metric.reads[0]]
        group = [""] * len(rows) if many else ""
    return {"group": group, **read}


def _feature(kind: str) -> Any:
    from datasets import Sequence as Several
    from datasets import Value

    kinds = {"text": Value("string"), "number": Value("float64"), "index": Value("int64")}
    return kinds[kind] if kind in kinds else Several(kinds[{"numbers": "number", "indices": "index"}[kind]])
