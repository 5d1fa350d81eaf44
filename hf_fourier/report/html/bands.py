"""Bands on the page: what each is worth in an example and on average, and the spectrum of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.evaluation.studies.spectrum_means import ALL
from hf_fourier.report import band_wording
from hf_fourier.report.html.charts import SHAPES, BandAxis, Series, by_band
from hf_fourier.report.visible_text import escape_invisible

if TYPE_CHECKING:
    from hf_fourier.evaluation.metrics.statistics import MeanInterval
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumSummary
    from hf_fourier.report.band_means import BandMeans
    from hf_fourier.report.band_scores import BandScores
    from hf_fourier.report.example_record import ExampleRecord

#: Half a 95 % interval in standard errors.
WIDTH = 1.96


def example_bands(record: ExampleRecord) -> dict[str, Any]:
    """The bands of one example: sentences, a chart, and a table."""
    found = record.band_scores
    assert found is not None
    columns = _columns(found, record.method)
    title = "What each band is worth"
    return {
        "title": f"{record.method} in {record.domain}",
        "sentences": band_wording.sentences(record),
        "chart": by_band(_shown(found.names), _bars(found, record.method), title, "score", BandAxis()),
        "caption": f"{title}, in units of the score" if len(columns) > 2 else title,
        "titles": ["band", *columns],
        "rows": [
            [name, *(column[i] for column in columns.values())] for i, name in enumerate(_shown(found.names))
        ],
        "left_out": found.left_out,
        "few": "",
    }  # fmt: skip


def _columns(found: BandScores, method: str) -> dict[str, list[str]]:
    """The columns of a table by their titles; the score is left out where what is lost is the same."""
    columns: dict[str, list[str]] = {}
    if found.power is not None:
        columns["% of power"] = [f"{100 * share:.3g}" for share in found.power]
    if found.deleted is None or list(found.deleted) != list(found.scores):
        errors = found.standard_error or [0.0] * len(found.scores)
        columns[band_wording.score_title(method)] = [
            f"{score:.3g} ± {error:.2g}" if error else f"{score:.3g}"
            for score, error in zip(found.scores, errors, strict=True)
        ]
    for title, values in ((band_wording.DELETED, found.deleted), (band_wording.ALONE, found.alone)):
        if values is not None:
            columns[title] = [f"{value:.3g}" for value in values]
    return columns


def _bars(found: BandScores, method: str) -> list[Series]:
    """The score with its interval, what is lost without a band, and what it brings alone."""
    places = range(len(found.names))
    bars = []
    if found.deleted is None or list(found.deleted) != list(found.scores):
        ends: tuple[list[float], list[float]] = ([], [])
        if found.standard_error is not None:
            pairs = list(zip(found.scores, found.standard_error, strict=True))
            ends = [s - WIDTH * e for s, e in pairs], [s + WIDTH * e for s, e in pairs]
        bars.append(Series(band_wording.score_title(method), places, found.scores, *ends))
    for title, values in ((band_wording.DELETED, found.deleted), (band_wording.ALONE, found.alone)):
        if values is not None:
            bars.append(Series(title, places, values))
    return bars


def mean_bands(found: BandMeans) -> dict[str, Any]:
    """Means over examples: a chart and a table; their sentence opens the page."""
    same = found.means.get("deleted") == found.means["scores"] or (
        "deleted" not in found.means and found.means.get("alone") == found.means["scores"]
    )
    titles = {"scores": band_wording.score_title(found.method), "deleted": band_wording.DELETED,
              "alone": band_wording.ALONE}  # fmt: skip
    columns = {titles[name]: means for name, means in found.means.items() if not (same and name == "scores")}
    names = _shown([band.name for band in found.bands])
    title = f"Mean over {found.examples} examples, with 95 % intervals"
    counts = [one.n for one in found.means["scores"]]
    uneven = len(set(counts)) > 1
    return {
        "title": f"{found.method} in {found.domain}",
        "sentences": [],
        "few": band_wording.few(found.examples),
        "chart": by_band(names, _series(columns), title, "score", BandAxis()),
        "caption": title,
        "titles": ["band", *columns, *(["examples"] if uneven else [])],
        "rows": [
            [name, *(str(column[i]) for column in columns.values()), *([str(counts[i])] if uneven else [])]
            for i, name in enumerate(names)
        ],
        "left_out": 0,
    }  # fmt: skip


def model_spectrum(spectrum: SpectrumSummary) -> dict[str, Any]:
    """The spectrum of the model: sentences (the first one opens the page), four charts, and a table."""
    names = _shown([band.name for band in spectrum.bands])
    overview = spectrum.overview()
    levels = [name for name in spectrum.filters if name.startswith("noise")]
    clean, empty = 100 * spectrum.clean_accuracy().mean, 100 * spectrum.empty_accuracy().mean
    axis = BandAxis(100.0, ((clean, "clean examples", "mark"), (empty, "no band left", "mark dashed")))
    panels: tuple[tuple[str, dict[str, str]], ...] = (
        ("Which bands are needed, which suffice?", {"without this band": "band-stop", "this band alone": "band-pass"}),
        ("How far can the spectrum be cut?",
         {"only up to this band, and with it": "low-pass", "only from this band on": "high-pass"}),
        ("In which bands does noise hurt?",
         {f"noise of {name.removeprefix('noise ')} × the signal’s norm": name for name in levels[: len(SHAPES)]}),
    )  # fmt: skip
    charts = [
        by_band(names, _series({words: spectrum.accuracy(name) for words, name in lines.items()}, 100.0), title,
                f"{spectrum.quantity} [%]", axis)
        for title, lines in panels
    ]  # fmt: skip
    groups = list(spectrum.groups) if 1 < len(spectrum.groups) <= len(SHAPES) else [ALL]
    values = {"mean" if group == ALL else escape_invisible(group): spectrum.shapley_values(group) for group in groups}
    worth = "What is each band worth for the explained label?"
    charts.insert(0, by_band(names, _series(values), worth, "mean Shapley value [score]", BandAxis()))
    failed = f"; {spectrum.failures} could not be explained" if spectrum.failures else ""
    return {
        "sentences": spectrum.summary()[1:],
        "charts": [chart for chart in charts if chart],
        "caption": f"{len(spectrum)} examples{failed}. {spectrum.quantity.capitalize()} in percent under filters; "
        "intervals: 95 %",
        "titles": list(overview.columns),
        "rows": overview.formatted(),
        "made_by": " in ".join(str(spectrum.made_by[n]) for n in ("method", "domain") if spectrum.made_by.get(n)),
        "groups": len(spectrum.groups) if groups == [ALL] and len(spectrum.groups) > 1 else 0,
        "few": band_wording.few(len(spectrum)),
        "limits": band_wording.LIMITS,
    }


def _series(columns: dict[str, Sequence[MeanInterval]] | dict[str, list[MeanInterval]], times: float = 1.0
            ) -> list[Series]:  # fmt: skip
    """Bars of means with their intervals."""
    return [
        Series(
            name, range(len(means)), [times * one.mean for one in means], [times * one.low for one in means],
            [times * one.high for one in means],
        )
        for name, means in columns.items()
    ]  # fmt: skip


def _shown(names: Sequence[str]) -> list[str]:
    return [escape_invisible(name) for name in names]
