"""The options of a run, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from hf_fourier.domains import Domain
from hf_fourier.errors import CHECKS, InputError, brief, whole_number
from hf_fourier.methods import Method
from hf_fourier.methods.contributions import checked_points
from hf_fourier.results.curve import FractionGrid
from hf_fourier.results.relevance import SEQUENTIAL
from hf_fourier.runs.packing import STORES
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.replacements import checked_replacement
from hf_fourier.scoring.targets import Target

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class RunKeywords(TypedDict, total=False):
    """The fields of `RunOptions` as keywords, for editors and type checkers."""

    target: Target
    targets: Sequence[Target] | None
    column: str | Sequence[str] | None
    split: str | None
    streaming: bool
    method: str | Method | None
    domain: str | Domain | None
    contributions: int | None
    gene_scores: str | None
    fractions: Sequence[float] | FractionGrid | None
    replacement: str
    store: str
    budget: str | int
    top: int
    seed: int
    batch_size: BatchSize
    chunk: int | None
    processes: int | None
    workers: int
    progress: bool


@dataclass(frozen=True)
class RunOptions:
    """How a data set is explained.

    Attributes:
        target: The target of every example, as for `explain`; None for the prediction.
        targets: One for each example instead (a list, a column of a data set).
        column: The column of a data set that holds the examples; two for pairs of texts.
        split: The split of a data set that has several.
        streaming: Whether a Hub id is streamed, and not downloaded first.
        method: A method other than the explainer's default.
        domain: A domain other than the explainer's default.
        contributions: Points on the path from each reference for evidence for or against the answer, 0 for none;
            None for the method's own choice, and four where `store="genes"` ranks genes by them.
        gene_scores: With `store="genes"`: "sequential_contributions", as by that name in `FourierExplainer.genes`;
            None for contributions, or for the scores of a method that ranks places.
        fractions: Fractions of features to keep and to delete (or a `FractionGrid`), for perturbation curves; None for
            no curves.
        replacement: What replaces deleted features along the curves, as for `perturb`.
        store: How much of each result: "everything" (it can be perturbed again), "scores" (all features' scores,
            without the example), "genes" (of cells a number for each gene), "top" (the top features and the
            curves), or "auto": the first of these that fits the budget.
        budget: Bytes that the results may take ("20GB"); only "auto" reads it.
        top: How many top features, where they alone are stored.
        seed: Seed of all random numbers.
        batch_size: Rows in a batch, at most; "auto" for a size that suits the signal and the device.
        chunk: Examples in a chunk, the most that an interruption loses; None for a size that suits the results.
        processes: Expected number of processes; None for as many as were started.
        workers: Worker processes that read, decode and encode the examples beside each process (on Linux); 0 for none.
        progress: Whether to print the plan and the progress on standard error.

    Raises:
        InputError: If one of them is out of range.
        SpecError: If there is no such replacement.
    """

    target: Target = None
    targets: Sequence[Target] | None = None
    column: str | Sequence[str] | None = None
    split: str | None = None
    streaming: bool = False
    method: str | Method | None = None
    domain: str | Domain | None = None
    contributions: int | None = None
    gene_scores: str | None = None
    fractions: Sequence[float] | FractionGrid | None = None
    replacement: str = "zero"
    store: str = "auto"
    budget: str | int = "20GB"
    top: int = 100
    seed: int = 0
    batch_size: BatchSize = "auto"
    chunk: int | None = None
    processes: int | None = None
    workers: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if self.store not in ("auto", *STORES):
            raise InputError(f"store {self.store!r}", f"one of auto, {', '.join(STORES)}", "choose one of them")
        for name in ("top", "chunk", "processes"):
            if getattr(self, name) is not None:
                self._set(name, whole_number(name, getattr(self, name), 1, "a whole number of at least 1"))
        self._set("workers", whole_number("workers", self.workers, 0, "a whole number of at least 0"))
        for name in ("seed", "batch_size", "targets", "method", "domain", "replacement"):
            self._set(name, CHECKS[name](name, getattr(self, name)))
        for name in ("streaming", "progress"):
            self._set(name, CHECKS["streaming"](name, getattr(self, name)))
        if self.targets is not None:
            self._set("targets", list(self.targets))  # by place, whatever the rows of a series are called
        if self.fractions is not None and not isinstance(self.fractions, FractionGrid):
            self._set("fractions", CHECKS["fractions"]("fractions", self.fractions))
        if self.target is not None and self.targets is not None:
            raise InputError("target and targets", "one of the two", "leave one out")
        self._set("contributions", checked_points(self.contributions))
        self._check_gene_scores()
        checked_replacement(self.replacement)
        _ = self.budget_bytes

    def _set(self, name: str, value: Any) -> None:
        """Put the plain form of an option in its place, before anybody has read it."""
        object.__setattr__(self, name, value)

    def _check_gene_scores(self) -> None:
        """Refuse a way of scoring genes that does not fit the other options."""
        if self.gene_scores not in (None, SEQUENTIAL):
            expected = f"{SEQUENTIAL}, or None for contributions or a method's scores"
            raise InputError(
                f"gene_scores {brief(self.gene_scores)}", expected, "correct `gene_scores`, or call `explainer.genes`"
            )
        if self.gene_scores is not None and self.store != "genes":
            raise InputError(
                f"gene_scores {self.gene_scores!r} with store={self.store!r}", "store='genes'", "pass store='genes'"
            )
        others = [
            name for name in ("method", "domain", "contributions", "fractions") if getattr(self, name) is not None
        ]
        if self.gene_scores is not None and others:
            raise InputError(f"gene_scores {self.gene_scores!r} with `{others[0]}`", "one of the two", "leave one out")

    @property
    def grid(self) -> FractionGrid | None:
        """The fractions to keep and to delete; None for no curves."""
        if self.fractions is None or isinstance(self.fractions, FractionGrid):
            return self.fractions
        return FractionGrid(tuple(self.fractions), tuple(self.fractions))

    @property
    def budget_bytes(self) -> int:
        """The budget as a number."""
        if isinstance(self.budget, int) and not isinstance(self.budget, bool) and self.budget > 0:
            return self.budget
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", str(self.budget).lower())
        if match is None or float(match[1]) <= 0:
            raise InputError(f"budget {self.budget!r}", "a size such as '500MB' or '20GB'", "correct `budget`")
        return int(float(match[1]) * _UNITS[match[2]])

    def to_manifest(self) -> dict[str, Any]:
        """The options that the results depend on, as plain values."""
        grid = self.grid
        return {
            "target": _named(self.target),
            "fractions": None if grid is None else {"keep": list(grid.keep), "delete": list(grid.delete)},
            "replacement": self.replacement,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "top": self.top,
        }


def _named(target: Any) -> Any:
    """A target in a form that can be compared with that of another run."""
    if callable(target):
        return f"a callable {getattr(target, '__qualname__', type(target).__name__)}"
    return target if isinstance(target, (int, str, type(None))) else repr(target)
