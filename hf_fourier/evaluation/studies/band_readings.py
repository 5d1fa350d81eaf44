"""Puts the results of the method `filters` together to the spectrum of a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.domains import DOMAINS, Band
from hf_fourier.errors import InputError, SpecError, TargetError, lone
from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
from hf_fourier.methods import METHODS
from hf_fourier.methods.filters import FILTERS, MEASURES, Filters
from hf_fourier.models.distributed import current
from hf_fourier.models.inputs.dataset_sources import column_values
from hf_fourier.results.attribution import Attribution

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Groups that are no column: the model's own prediction, and the folder of a file.
PREDICTION, FOLDER = "prediction", "folder"


def spectrum_of(
    results: Iterable[Attribution],
    by: Sequence[Any] | None = None,
    labels: Sequence[float] | None = None,
    clusters: Sequence[Any] | None = None,
    class_names: Mapping[int, str] | None = None,
    failures: int = 0,
) -> ModelSpectrum:
    """Put the results of the method `filters` together.

    Examples of different lengths have different bands; those of one name are the same band.

    Args:
        results: Results by "filters" in one domain with bands.
        by: The group of each; None for one group.
        labels: The true class of each, NaN for unknown; None for the clean predictions.
        clusters: Results of one cluster are not independent; None for independent ones.
        class_names: The names of the model's classes.
        failures: How many examples could not be explained.

    Raises:
        InputError: If there are none, or they are by another method, or of features that are no bands.
    """
    rows, layouts = [], dict[tuple[Band, ...], None]()
    made: Mapping[str, Any] = {}
    for result in results:
        if "readings" not in result.extras or not result.layout.bands:
            got = f"a result of {result.provenance.get('method')} in {result.layout.domain}"
            raise InputError(got, "results of method 'filters' in a domain with bands", "explain by that")
        made = made or result.provenance
        layouts[result.layout.bands] = None
        rows.append((result.layout.bands, _array(result, "readings"), _array(result, "nothing"), result.scores.numpy()))
    if not rows:
        raise InputError("no results", "at least one", "see the failures of the run")
    bands = all_bands(list(layouts))
    place = {band.name: i for i, band in enumerate(bands)}
    readings = np.full((len(rows), rows[0][1].shape[0], len(bands), len(MEASURES)), math.nan, dtype=np.float32)
    shapley = np.full((len(rows), len(bands)), math.nan, dtype=np.float32)
    for number, (own, some, _, scores) in enumerate(rows):
        places = [place[band.name] for band in own]
        readings[number][:, places], shapley[number, places] = some, scores
    levels = [f"noise {level:g}" for level in getattr(METHODS.parse(made["method"]), "levels", ())]
    return ModelSpectrum(
        model=str(made.get("model", "?")), bands=tuple(bands), filters=(*FILTERS, *levels), readings=readings,
        empty=np.stack([nothing for _, _, nothing, _ in rows]),
        clean=np.stack([some[FILTERS.index("low-pass"), -1] for _, some, _, _ in rows]), shapley=shapley,
        by=() if by is None else tuple(str(one) for one in by),
        labels=np.full(len(rows), math.nan) if labels is None else np.asarray(labels, dtype=float),
        clusters=() if clusters is None else tuple(cluster_name(i, one) for i, one in enumerate(clusters)),
        class_names=dict(class_names or {}), failures=failures,
        made_by={name: made.get(name) for name in ("method", "domain", "seed", "head")},
    )  # fmt: skip


def all_bands(layouts: Sequence[tuple[Band, ...]]) -> list[Band]:
    """The bands of several layouts, each name once, with the widest edges that it has.

    They stand in the order of a layout that has them all, or else by their edges.
    """
    merged: dict[str, Band] = {}
    for band in (band for layout in layouts for band in layout):
        known = merged.get(band.name, band)
        merged[band.name] = Band(band.name, min(known.low, band.low), max(known.high, band.high), band.unit)
    whole = next((layout for layout in layouts if len(layout) == len(merged)), None)
    if whole is not None:
        return [merged[band.name] for band in whole]
    return sorted(merged.values(), key=lambda band: (band.low, band.high, band.name))


def cluster_name(place: int, name: Any) -> str:
    """The name of an example's cluster; an unknown one is its own."""
    return f"example {place}" if _unknown(name) else str(name)


def one_each(given: Iterable[Any]) -> list[Any]:
    """The values of a list, an array, a tensor or a series, numbers as those of Python."""
    return [lone(value) for value in given]


def _unknown(value: Any) -> bool:
    """Whether a value is None, NaN, or the `NA` of pandas."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # `NA != NA` is neither true nor false
        return True


def _array(result: Attribution, name: str) -> np.ndarray:
    return result.extras[name].numpy().astype(np.float32)


@dataclass(frozen=True)
class Grouping:
    """What is known of each example of a data set, read before the model runs.

    Attributes:
        by: The group of each; "prediction" or "folder", which results tell; None for one group.
        labels: The true class of each; "folder"; None for `by`, where all of it names classes.
        clusters: The cluster of each; None for independent examples.
    """

    by: str | list[Any] | None
    labels: str | list[Any] | None
    clusters: str | list[Any] | None


def grouping(
    data: Any, options: Mapping[str, Any], temporary: bool, by: Any = None, labels: Any = None, clusters: Any = None
) -> Grouping:
    """Read the columns of a data set, and check what can be checked before the model runs.

    Args:
        data: The data set.
        options: Of the run: `method`, `domain` and `split` are looked at.
        temporary: Whether the run has no folder of its own.
        by: A column of the data set, "prediction", "folder", or one value for each example; None for one group.
        labels: A column, "folder", or one class for each example; None: see `Grouping`.
        clusters: A column, or one value for each example; None for independent examples.

    Raises:
        InputError: If there is no such column, several processes have no folder, or the method is not `filters`.
        SpecError: If the domain has no bands.
    """
    method, domain = METHODS.parse(options["method"]), DOMAINS.parse(options["domain"])
    if not isinstance(method, Filters):
        raise InputError(f"method {METHODS.spec(method)!r}", "'filters', with any settings", "explain by that")
    if getattr(domain, "bands", None) is None:
        raise SpecError(f"domain {DOMAINS.spec(domain)!r}", "a domain with bands", "give `bands` too")
    if temporary and current().processes > 1:
        raise InputError("several processes without a folder", "one that all of them see", "pass `output_dir`")

    def values(which: Any) -> Any:
        if isinstance(which, str) and which not in (FOLDER, PREDICTION):
            return column_values(data, which, options.get("split"))
        return which if which is None or isinstance(which, str) else one_each(which)

    return Grouping(values(by), values(labels), values(clusters))


def spectrum_of_run(explainer: Engine, results: Any, known: Grouping) -> ModelSpectrum:
    """Put the results of a run together with the groups and the true classes of its examples.

    Args:
        explainer: Of the model.
        results: The run's (`hf_fourier.runs.results.Results`).
        known: The groups, classes and clusters.

    Raises:
        InputError: If there is not one value for each example.
        TargetError: If one of `known.labels` is no class of the model.
    """
    failed = set(results.failures()["index"])
    kept = [i for i in range(len(results)) if i not in failed]

    def values(which: str | list[Any] | None) -> list[Any] | None:
        if which is None:
            return None
        if which == PREDICTION:
            return [result.label for result in results]
        if which == FOLDER:
            names = [str(results.row(i, top=1)["name"]) for i in range(len(results))]
            which = [name.rpartition("/")[0].rpartition("/")[2] for name in names]
        if len(which) != len(results):
            raise InputError(f"{len(which)} values for {len(results)} examples", "one for each", "pass one for each")
        return [which[i] for i in kept]

    groups, head = values(known.by), explainer.wrapper.head()
    named = groups is not None and known.by != PREDICTION and all(isinstance(name, str) for name in groups)
    truth = groups if known.labels is None and named else values(known.labels)
    try:
        classes = None if truth is None else [class_of(head, value) for value in truth]
    except TargetError:
        if known.labels is not None:
            raise
        classes = None
    return spectrum_of(results, groups, classes, values(known.clusters), dict(head.labels), len(failed))


def class_of(head: Any, value: Any) -> float:
    """The index of a class that is named by its label or its index; NaN where it is not known."""
    if _unknown(value):
        return math.nan
    if isinstance(value, float) and value.is_integer():  # of a column with missing values
        value = int(value)
    checked = head.check(value)
    if not isinstance(checked, int) or (head.labels and checked not in head.labels):
        raise TargetError(f"label {value!r}", f"one of {len(head.labels)} classes", "pass class indices or labels")
    return float(checked)
