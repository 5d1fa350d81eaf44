"""A model's spectrum as a report writes it: means without any single example, as plain values of `report.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hf_fourier.domains import Band
from hf_fourier.evaluation.metrics.statistics import MeanInterval
from hf_fourier.evaluation.studies.spectrum_means import ALL, CUTS, QUANTITIES, SHAPLEY, SpectrumSummary
from hf_fourier.methods.filters import FILTERS
from hf_fourier.report import privacy
from hf_fourier.results.schema import NUMBER, OPTIONAL, Malformed, check

if TYPE_CHECKING:
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans

#: Digits of what is shared: more than are shown, so that nothing is rounded twice to another number.
SHARED_DIGITS = 6
_INTERVAL = {"mean": OPTIONAL, "low": OPTIONAL, "high": OPTIONAL, "n": int}
_BAND = {"name": str, "low": NUMBER, "high": NUMBER, "unit": str}
SPECTRUM = {
    "model": str, "bands": [_BAND], "filters": [str], "made_by": dict, "class_names": dict,
    "failures": int, "examples": int,
    "counted": str, "means": dict, "gaps": [_INTERVAL], "clean": _INTERVAL, "empty": _INTERVAL, "half": dict,
}  # fmt: skip


def spectrum_to(spectrum: SpectrumMeans, shared: bool) -> dict[str, Any]:
    """Plain values without NaN.

    A group's name is shared if it is one of the model's own classes; a folder, a speaker or a patient is none, and gets
    a number.

    Args:
        spectrum: As given.
        shared: Number the groups that are no classes of the model, and round.
    """
    found, digits = spectrum.summarized(), SHARED_DIGITS if shared else 17
    worded = privacy.public_text if shared else privacy.scrubbed
    specs = {name: str(found.made_by[name]) for name in ("method", "domain") if found.made_by.get(name)}
    seed = found.made_by.get("seed")
    known = set(found.class_names.values()) if shared else set(found.means)
    names = _group_names([group for group in found.means if group != ALL], known)
    values = {
        "model": privacy.model_of(found.model),
        "bands": [{**asdict(band), "name": worded(band.name), "unit": worded(band.unit)} for band in found.bands],
        "filters": list(found.filters),
        "made_by": {name: privacy.public_spec(spec) if shared else spec for name, spec in specs.items()}
        | ({"seed": seed} if isinstance(seed, int) else {}),
        "class_names": {str(number): names[name] for number, name in found.class_names.items()},
        "failures": found.failures,
        "examples": len(found),
        "counted": found.counted,
        "means": {names[group]: {name: [asdict(one) for one in column] for name, column in columns.items()}
                  for group, columns in found.means.items()},
        "gaps": [asdict(one) for one in found.gaps],
        "clean": asdict(found.clean),
        "empty": asdict(found.empty),
        "half": {name: asdict(one) for name, one in found.half.items()},
    }  # fmt: skip
    rounded: dict[str, Any] = privacy.rounded(values, digits)
    return {**rounded, "bands": values["bands"]}


def _group_names(groups: Sequence[str], known: set[str]) -> dict[str, str]:
    """The name under which each group is written."""
    taken, names = {ALL, *known.intersection(groups)}, {ALL: ALL}
    for number, group in enumerate(groups, 1):
        name = privacy.scrubbed(group) if group in known else f"group {number}"
        while name != group and name in taken:
            name += "'"
        names[group] = name
        taken.add(name)
    return names


def spectrum_from(values: Mapping[str, Any]) -> SpectrumSummary:
    """The spectrum that `spectrum_to` wrote.

    Raises:
        Malformed: If it is none.
    """
    check(values, SPECTRUM, "the spectrum")
    bands = tuple(Band(**{name: one[name] for name in _BAND}) for one in values["bands"])
    filters = tuple(values["filters"])
    if not bands or set(FILTERS) - set(filters) or values["counted"] not in QUANTITIES:
        raise Malformed("the spectrum has no bands, lacks filters, or counts something else")
    if ALL not in values["means"] or set(values["half"]) != set(CUTS):
        raise Malformed("the spectrum has no means of all examples, or other cut-offs")
    means = {}
    for group, columns in values["means"].items():
        check(columns, {name: [_INTERVAL] for name in (*filters, SHAPLEY)}, "the means of a spectrum")
        means[group] = {name: _intervals(columns[name], len(bands)) for name in (*filters, SHAPLEY)}
    check(list(values["half"].values()), [_INTERVAL], "the cut-offs of a spectrum")
    return SpectrumSummary(
        model=values["model"], bands=bands, filters=filters, made_by=values["made_by"],
        class_names={int(number): str(name) for number, name in values["class_names"].items()},
        failures=values["failures"],
        examples=values["examples"], counted=values["counted"], means=means,
        gaps=_intervals(values["gaps"], len(bands)), clean=_interval(values["clean"]),
        empty=_interval(values["empty"]), half={name: _interval(values["half"][name]) for name in CUTS},
    )  # fmt: skip


def _intervals(values: Sequence[Mapping[str, Any]], count: int) -> list[MeanInterval]:
    if len(values) != count:
        raise Malformed(f"{len(values)} intervals for {count} bands")
    return [_interval(one) for one in values]


def _interval(values: Mapping[str, Any]) -> MeanInterval:
    low, mean, high = (math.nan if values[name] is None else float(values[name]) for name in ("low", "mean", "high"))
    return MeanInterval(mean, low, high, values["n"])
