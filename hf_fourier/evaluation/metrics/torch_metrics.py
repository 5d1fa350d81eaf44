"""The metrics as `torchmetrics.Metric`s, for training loops and trackers that collect those; needs torchmetrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.hf_evaluate import module_columns, path
from hf_fourier.evaluation.metrics.table import Table, columns
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.gene_groups import group_name
from hf_fourier.typing import Tensor

try:
    import torchmetrics
except ImportError as error:
    raise MissingExtraError("torchmetrics", "torchmetrics", "metrics as `torchmetrics`") from error


class TorchMetric(torchmetrics.Metric):
    """A metric of this package in the form of torchmetrics: `update` with results or tables, `compute` over them all.

    Its state is the table's rows, as JSON in bytes, which several processes gather like any other state.

        metric = TorchMetric("dig")
        metric.update(explainer.perturb(results, metrics.DEFAULT_GRID))
        metric.compute()["dig"]

    Attributes:
        measure: The name of the metric.

    Args:
        measure: One of `metrics.names()`.
        seed: Of the bootstrap.
        collected: Arguments of `torchmetrics.Metric` (`sync_on_compute`, `dist_sync_on_step`, …).
        **options: The reduction's own (`fraction=0.5`), as for `Metric.compute`.

    Raises:
        InputError: If there is no such metric.
    """

    is_differentiable = False
    full_state_update = False
    rows: list[Tensor]

    def __init__(
        self, measure: str, *, seed: int = 0, collected: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        path(measure)  # refuses unknown names
        super().__init__(**(collected or {}))
        self.measure, self.seed, self.options = measure, seed, options
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """Whether higher is better for a ranking; None for a metric without a direction."""
        better = METRICS[self.measure].better
        return None if better == "neither" else better == "higher"

    def update(self, results: Sequence[Attribution] | Table, **given: Any) -> None:
        """Add rows.

        Args:
            results: Perturbed results, or a table of `metrics.columns`, of which the metric's own columns are kept.
            **given: Arguments of `metrics.columns` (`groups`, `wrong`, `top`), for results.

        Raises:
            InputError: If a column is missing.
        """
        table = results if isinstance(results, Mapping) else columns(results, **given)
        read = module_columns(METRICS[self.measure], dict(table), many=True)
        read["group"] = [str(_plain(group)) if group_name(group) else "" for group in read["group"]]
        lines = [json.dumps(row, default=_plain) + "\n" for row in zip(*read.values(), strict=True)]
        self.rows.append(torch.frombuffer(bytearray("".join(lines).encode()), dtype=torch.uint8).to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """The numbers of `Metric.compute` over all rows, each a float64 tensor without dimensions.

        Raises:
            InputError: If there are no rows.
        """
        parts = self.rows if isinstance(self.rows, list) else [self.rows]  # one tensor, after processes gathered
        lines = b"".join(part.cpu().numpy().tobytes() for part in parts).decode().splitlines()
        if not lines:
            raise InputError(f"metric {self.measure!r} without rows", "results or a table", "call `update` first")
        metric = METRICS[self.measure]
        table = dict(zip(metric.columns, map(list, zip(*map(json.loads, lines), strict=True)), strict=True))
        numbers = metric.compute(table, seed=self.seed, **self.options)
        return {name: torch.tensor(number, dtype=torch.float64) for name, number in numbers.items()}


def _plain(value: Any) -> Any:
    """A value of numpy or torch as numbers and lists; any other, as a date, as a text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
