"""Bands on the page: what each is worth in an example and on average, and the spectrum of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.evaluation.studies.spectrum_means import ALL
from hf_fourier.report import band_wording
from hf_fourier.report.html.charts import SHAPES, BandAxis, Series, by_band
from hf_fourier.report.visible_text import escape_invisible

if TYPE_CHECKING:
    from markupsafe import Markup

    from hf_fourier.evaluation.metrics.statistics import MeanInterval
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
    from hf_fourier.report.band_means import BandMeans
    from hf_fourier.report.band_scores import BandScores
    from hf_fourier.report.example_record import ExampleRecord

#: Half a 95 % interval in standard errors.
WIDTH = 1.96


def example_bands(record: ExampleRecord) -> dict[str, Any]:
    """The bands of one example: sentences, a chart, and a table."""
    found = record.band_scores
    assert found is not None
    columns, title = _columns(found, record.method), "What each band is worth"
    caption = f"{title}, in units of the score" if len(columns) > 2 else title
    chart = by_band(_shown(found.names), _bars(found, record.method), title, "score", BandAxis())
    part = _part(f"{record.method} in {record.domain}", chart, caption, found.names, columns)
    return {**part, "sentences": band_wording.sentences(record), "left_out": found.left_out}


def _part(
    title: str, chart: Markup, caption: str, names: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Bands for the template: a chart and a table, without sentences, a caution, and bands that are left out."""
    rows = [[name, *(column[i] for column in columns.values())] for i, name in enumerate(_shown(names))]
    return {"title": title, "chart": chart, "caption": caption, "titles": ["band", *columns], "rows": rows,
            "sentences": [], "few": "", "left_out": 0}  # fmt: skip


def _columns(found: BandScores, method: str) -> dict[str, list[str]]:
    """The columns of a table by their titles; the score is left out where what is lost is the same."""
    columns = {} if found.power is None else {"% of power": [f"{100 * share:.3g}" for share in found.power]}
    for title, values, errors in _quantities(found, method):
        columns[title] = [
            f"{value:.3g} ± {error:.2g}" if error else f"{value:.3g}"
            for value, error in zip(values, errors or [0.0] * len(values), strict=True)
        ]
    return columns


def _bars(found: BandScores, method: str) -> list[Series]:
    """Bars of the quantities, with intervals where there are standard errors."""
    bars = []
    for title, values, errors in _quantities(found, method):
        pairs = zip(values, errors or (), strict=bool(errors))
        ends = [(value - WIDTH * error, value + WIDTH * error) for value, error in pairs]
        bars.append(Series(title, range(len(values)), values, [low for low, _ in ends], [high for _, high in ends]))
    return bars


def _quantities(found: BandScores, method: str) -> Iterator[tuple[str, Sequence[float], Sequence[float] | None]]:
    """Title, numbers and standard errors of the score, of what is lost without a band, and of what it brings alone."""
    if not found.scores_are_losses:
        yield band_wording.score_title(method), found.scores, found.standard_error
    for title, values in ((band_wording.DELETED, found.deleted), (band_wording.ALONE, found.alone)):
        if values is not None:
            yield title, values, None


def mean_bands(found: BandMeans) -> dict[str, Any]:
    """Means over examples: a chart and a table; their sentence opens the page."""
    same = found.means.get("deleted") == found.means["scores"] or (
        "deleted" not in found.means and found.means.get("alone") == found.means["scores"]
    )
    titles = {"scores": band_wording.score_title(found.method), "deleted": band_wording.DELETED,
              "alone": band_wording.ALONE}  # fmt: skip
    columns = {titles[name]: means for name, means in found.means.items() if not (same and name == "scores")}
    names = [band.name for band in found.bands]
    title = f"Mean over {found.examples} examples, with 95 % intervals"
    chart = by_band(_shown(names), _series(columns), title, "score", BandAxis())
    cells = {name: list(map(str, means)) for name, means in columns.items()}
    counts = [str(one.n) for one in found.means["scores"]]
    if len(set(counts)) > 1:
        cells["examples"] = counts
    part = _part(f"{found.method} in {found.domain}", chart, title, names, cells)
    return {**part, "few": band_wording.few(found.examples)}


def model_spectrum(spectrum: SpectrumMeans) -> dict[str, Any]:
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
