"""The report as one HTML page: no network, no framework; every text of a user's is escaped."""

from __future__ import annotations

import html as escaping
import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError
from hf_fourier.report import band_wording, example_record, privacy, wording
from hf_fourier.report.band_means import band_means
from hf_fourier.report.band_scores import in_score_units
from hf_fourier.report.examples import ExampleParts, example_parts
from hf_fourier.report.html import media
from hf_fourier.report.mean_curves import CHARTS, averages
from hf_fourier.report.tables import tables as tables_of
from hf_fourier.report.visible_text import escape_invisible
from hf_fourier.results.schema import finite_values
from hf_fourier.results.table import table_of

if TYPE_CHECKING:
    from markupsafe import Markup

    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
    from hf_fourier.report.content import ReportContent
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.table import Table

#: Characters of all pictures and sounds of a page: what is left for the rest keeps it below 10 MB.
MAX_MEDIA_CHARS = 8_000_000
#: Examples that are shown one by one, and rows of a table, at most: beyond that a page is no page any more.
MAX_EXAMPLES, MAX_ROWS = 200, 1000
#: The space of "4 %", at which a line of a sentence must not break.
PER_CENT = re.compile(r"(?<=\d) (?=%)")
#: Characters of one example, at most.
MAX_EXAMPLE_CHARS = 1_200_000


def page(report: ReportContent, include_inputs: bool) -> str:
    """The page; see `Report.html`."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "report", "HTML pages") from error
    from hf_fourier.report.content import require_inputs

    if include_inputs:
        require_inputs(report)
    loader = PackageLoader("hf_fourier.report.html", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined,  # whatever the file's ending
                              trim_blocks=True, lstrip_blocks=True,
                              finalize=_visible)  # fmt: skip
    environment.filters["number"] = wording.number
    environment.filters["embedded"] = embedded
    environment.filters["tied"] = lambda text: PER_CENT.sub("\N{NO-BREAK SPACE}", text)
    return environment.get_template("report.html").render(_context(report, include_inputs))


def embedded(value: Any) -> Markup:
    """Plain values as JSON inside a script element, which nothing in them can end."""
    from markupsafe import Markup

    plain = privacy.each_text(finite_values(value), escape_invisible)
    text = json.dumps(plain, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _visible(value: Any) -> Any:
    """A template's values: texts with invisible characters written out; markup as it is."""
    return escape_invisible(value) if type(value) is str else value


def framed(page: str) -> str:
    """The page in a frame of its own, which no script leaves."""
    return (
        f'<iframe srcdoc="{escaping.escape(page)}" title="Report" sandbox="allow-scripts allow-downloads" '
        'style="width:100%;height:48rem;border:1px solid #8888"></iframe>'
    )


def _context(report: ReportContent, include_inputs: bool) -> dict[str, Any]:
    from hf_fourier.report.html import bands

    found, tables = report.written(include_inputs), tables_of(report, include_inputs)
    records, evaluation, spectrum = found.records, found.evaluation, found.spectrum
    views = example_parts(records)
    examples = [_example(found, view, include_inputs) for view in views[:MAX_EXAMPLES]]
    ranked = [one for one in records if one.band_scores is None or one.curve is not None]
    means = band_means(records)
    in_bands = spectrum is not None or len(ranked) < len(records)
    leads = [*(spectrum.summary()[:1] if spectrum else ()), *map(band_wording.mean_sentence, means)]
    first = next((i for i, one in enumerate(records) if one.band_scores), None)
    if not leads and first is not None:
        leads = band_wording.single(records[first], first + 1, len(views))
    only_bands = in_bands and not ranked and evaluation is None
    return {
        "title": found.title,
        "model": privacy.model_of(found.model),
        "inputs": include_inputs,
        "count": len(records),
        "shows": _shows(len(records), spectrum),
        "views": len(views),
        "leads": leads,
        "spectrum": None if spectrum is None else bands.model_spectrum(spectrum),
        "bands": [bands.mean_bands(one) for one in means],
        "in_bands": in_bands,
        "only_bands": only_bands,
        "counts": wording.kept_counts(ranked),
        "headlines": _columns(table_of(wording.summary_rows(evaluation))) if evaluation else None,
        "beside": [] if only_bands else wording.missing_controls(evaluation),
        "charts": _charts(records),
        "examples": examples,
        "data": [one["data"] for one in examples],
        "tables": [_table(name, tables[name]) for name in _TABLES if name in tables],
        "sanity": [(one.headline, one.checks) for one in found.sanity],
        "may": [*band_wording.MAY_CONCLUDE[:in_bands], *(() if only_bands else wording.MAY_CONCLUDE)],
        "may_not": [
            *band_wording.MAY_NOT_CONCLUDE[:in_bands],
            *(() if only_bands else wording.MAY_NOT_CONCLUDE[:2]),
            *wording.MAY_NOT_CONCLUDE[2:],
        ],
        "provenance": wording.provenance(records),
        "cost": wording.cost_lines(records),
        "notes": wording.notes(records, evaluation, found.sanity),
    }


def _shows(count: int, spectrum: SpectrumMeans | None) -> str:
    """What the page is of, in words."""
    parts = [f"{count} explanation{'s' * (count != 1)}"] if count or spectrum is None else []
    parts += [] if spectrum is None else [f"the model’s bands over {len(spectrum)} examples"]
    return " · ".join(parts)


_TABLES = {
    "examples": "Examples",
    "band_scores": "Bands of each example",
    "classes": "Classes",
    "evaluation": "Evaluation",
    "sanity": "Sanity checks",
}


def _table(name: str, table: Table) -> dict[str, Any]:
    titles = [title.replace("_", " ") for title in table.columns]
    return {**_columns(table[:MAX_ROWS]), "id": name, "caption": _TABLES[name], "count": len(table), "titles": titles}


def _columns(table: Table) -> dict[str, Any]:
    """A table for the templates: its titles, its rows, and which columns hold numbers."""
    rows = [list(row.values()) for row in table]
    return {"titles": list(table.columns), "rows": rows, "numeric": table.right}


def _charts(records: Sequence[ExampleRecord]) -> list[Markup]:
    """The curves of all methods, the controls dashed."""
    from hf_fourier.report.html.charts import Series, lines

    found = []
    for part, quantity, title, y_label in CHARTS:
        series = [
            Series(escape_invisible(one.name), one.fractions, one.means,
                   () if math.isnan(one.low[0]) else one.low, () if math.isnan(one.low[0]) else one.high,
                   example_record.is_control(one.method))
            for one in averages(records, part, quantity)
        ]  # fmt: skip
        found.append(lines(series, title, "features kept" if part == "keep" else "features removed", y_label))
    return [chart for chart in found if chart]


def _example(report: ReportContent, view: ExampleParts, include_inputs: bool) -> dict[str, Any]:
    """One example: its bands, its facts, charts, the slider's texts, and with inputs its pictures and sounds."""
    from hf_fourier.report.html import bands

    number, record = view.record, report.records[view.record]
    stops = wording.slider_stops(record)
    data: dict[str, Any] = {"stops": stops}
    if include_inputs:
        from hf_fourier.report.html.example_view import example_view, slider_fractions

        result = report.results[number]
        stops = [wording.slider_stop(record, share) for share in slider_fractions(result)]
        budget = min(MAX_EXAMPLE_CHARS, MAX_MEDIA_CHARS / min(MAX_EXAMPLES, len(report.results)))
        data = {"stops": stops, **example_view(result, budget)}
    if record.band_scores and record.curve is None and in_score_units(record.method):
        for stop in stops[:-1]:
            stop["conclusion"] = band_wording.ASKED
    initial = wording.initial_fraction(record)
    start = next((i for i, stop in enumerate(stops) if abs(stop["share"] - initial) < 1e-9), 0)
    return {
        "number": number + 1,
        "name": record.name or f"example {number + 1}",
        "label": record.label.strip() or "␣",
        "withheld": record.label == privacy.WITHHELD,
        "says": wording.headline(record),
        "contested": record.contested,
        "method": record.method,
        "control": example_record.is_control(record.method),
        "noun": record.noun,
        "facts": wording.example_facts(record),
        "charts": _example_charts(record),
        "start": start,
        "data": {**data, "start": start},
        "stops": stops,
        "bands": [bands.example_bands(report.records[i]) for i in view.bands],
        "in_bands": record.band_scores is not None,
        "unasked": "see the bands above" if record.band_scores else "the model was not evaluated",
        "layers": _layers(record),
        "energy": _energy(record),
    }


def _example_charts(record: ExampleRecord) -> list[Markup]:
    from hf_fourier.report.html.charts import Series, bars, lines

    found = []
    if record.curve is not None:
        series = []
        for part, name in (("keep", f"top {record.noun} alone"), ("delete", "without them")):
            stops = [stop for stop in record.points(part) if 0 < stop.fraction < 1]  # type: ignore[arg-type]
            values = [wording.plotted_value(record, stop) for stop in stops]
            lost = [not record.holds(stop) for stop in stops]
            series.append(Series(name, [stop.fraction for stop in stops], values, hollow=lost))
        top = 1.0 if record.is_mask or record.confidence is not None else None
        title, y_label = "The model's prediction (hollow: decision lost)", wording.plotted_quantity(record)
        found.append(lines(series, title, f"{record.noun} kept or removed", y_label, top))
    if record.bands is not None:
        title = f"Power, and the top {wording.format_fraction(record.bands.share)}"
        found.append(bars(record.bands.centres, record.bands.power, record.bands.chosen, title, record.bands.title))
    return [chart for chart in found if chart]


def _layers(record: ExampleRecord) -> list[Sequence[Any]]:
    """FreqX's layers, from the input downwards: name, whether all of the score passes, and the spread."""
    extras = record.extras
    if "layers" not in extras or "effective" not in extras:
        return []
    return list(zip(extras["layers"], extras["is_cut"], extras["effective"], strict=True))


def _energy(record: ExampleRecord) -> str:
    """FreqX's energy by layer and band, each layer's largest share darkest."""
    import numpy as np

    energy = np.asarray(record.extras.get("energy", []), dtype=float)
    if energy.ndim != 2 or not energy.size:
        return ""
    share = energy / np.maximum(energy.max(axis=1, keepdims=True), 1e-12)
    grey = (255 * (1 - 0.92 * np.sqrt(share))).round().astype(np.uint8)
    return media.picture(media.image_of(grey.repeat(8, 0).repeat(24, 1)))
