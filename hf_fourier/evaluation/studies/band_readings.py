"""Puts the results of the method `filters` together to the spectrum of a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.domains import Band
from hf_fourier.errors import InputError, TargetError
from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
from hf_fourier.methods import METHODS
from hf_fourier.methods.filters import FILTERS, MEASURES
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
    rows, known = [], dict[Band, None]()
    made: Mapping[str, Any] = {}
    for result in results:
        if "readings" not in result.extras or not result.layout.bands:
            got = f"a result of {result.provenance.get('method')} in {result.layout.domain}"
            raise InputError(got, "results of method 'filters' in a domain with bands", "explain by that")
        made = made or result.provenance
        known.update(dict.fromkeys(result.layout.bands))
        rows.append((result.layout.bands, _array(result, "readings"), _array(result, "nothing"), result.scores.numpy()))
    if not rows:
        raise InputError("no results", "at least one", "see the failures of the run")
    bands = sorted(known, key=lambda band: (band.low, band.high, band.name))
    place = {band: i for i, band in enumerate(bands)}
    readings = np.full((len(rows), rows[0][1].shape[0], len(bands), len(MEASURES)), math.nan, dtype=np.float32)
    shapley = np.full((len(rows), len(bands)), math.nan, dtype=np.float32)
    for number, (own, some, _, scores) in enumerate(rows):
        places = [place[band] for band in own]
        readings[number][:, places], shapley[number, places] = some, scores
    levels = [f"noise {level:g}" for level in getattr(METHODS.parse(made["method"]), "levels", ())]
    return ModelSpectrum(
        model=str(made.get("model", "?")), bands=tuple(bands), filters=(*FILTERS, *levels), readings=readings,
        empty=np.stack([nothing for _, _, nothing, _ in rows]),
        clean=np.stack([some[FILTERS.index("low-pass"), -1] for _, some, _, _ in rows]), shapley=shapley,
        by=() if by is None else tuple(str(one) for one in by),
        labels=np.full(len(rows), math.nan) if labels is None else np.asarray(labels, dtype=float),
        clusters=() if clusters is None else tuple(str(one) for one in clusters),
        class_names=dict(class_names or {}), failures=failures,
        made_by={name: made.get(name) for name in ("method", "domain", "seed", "head")},
    )  # fmt: skip


def _array(result: Attribution, name: str) -> np.ndarray:
    return result.extras[name].numpy().astype(np.float32)


def spectrum_of_run(
    explainer: Engine,
    results: Any,
    data: Any,
    by: str | Sequence[Any] | None,
    labels: str | Sequence[Any] | None,
    clusters: str | Sequence[Any] | None,
    split: str | None = None,
) -> ModelSpectrum:
    """Put the results of a run together with the groups and the true classes of its examples.

    Args:
        explainer: Of the model.
        results: The run's (`hf_fourier.runs.results.Results`).
        data: Its data set.
        by: A column of it, "prediction", "folder", or one value for each example; None for one group.
        labels: A column, "folder", or one class for each example; None for `by`, where all of it names classes of the
            model, or else for the clean predictions.
        clusters: A column, or one value for each example; None for independent examples.
        split: The split of a data set that has several.

    Raises:
        InputError: If there is no such column, or not one value for each example.
        TargetError: If a label in `labels` is no class of the model.
    """
    failed = set(results.failures()["index"])
    kept = [i for i in range(len(results)) if i not in failed]

    def values(which: str | Sequence[Any] | None) -> list[Any] | None:
        if which is None:
            return None
        if which == FOLDER:
            every: Sequence[Any] = [str(results.row(i, top=1)["name"]).rpartition("/")[0] for i in range(len(results))]
        elif which == PREDICTION:
            return [result.label for result in results]
        else:
            every = column_values(data, which, split) if isinstance(which, str) else list(which)
        if len(every) != len(results):
            raise InputError(f"{len(every)} values for {len(results)} examples", "one for each", "pass one for each")
        return [every[i] for i in kept]

    groups, head = values(by), explainer.wrapper.head()
    truth = values(labels) if labels is not None or by == PREDICTION else groups
    try:
        classes = None if truth is None else [_class_of(head, value) for value in truth]
    except TargetError:
        if labels is not None:
            raise
        classes = None
    names = dict(head.labels)
    return spectrum_of(results, groups, classes, values(clusters), names, len(failed))


def _class_of(head: Any, value: Any) -> float:
    """The index of a class that is named by its label or its index."""
    if value is None:
        return math.nan
    checked = head.check(value)
    if not isinstance(checked, int):
        raise TargetError(f"label {value!r}", "one class", "pass class indices or labels")
    if head.labels and checked not in head.labels:
        raise TargetError(f"class {checked}", f"one of {len(head.labels)} classes", "pass class indices or labels")
    return float(checked)
