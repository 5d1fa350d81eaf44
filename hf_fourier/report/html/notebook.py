"""What a notebook shows of results: self-contained HTML without scripts, every text of others escaped.

Results show their examples (a picture, a text, a clip), so clear a notebook's outputs before sharing private ones;
`Report` shows none.
"""

from __future__ import annotations

import html as escaping
import importlib.util
import io
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import MissingExtraError
from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.html import media
from hf_fourier.report.visible_text import escape_invisible
from hf_fourier.results import words
from hf_fourier.results.estimate import Estimate
from hf_fourier.results.relevance import default_relevance
from hf_fourier.results.table import table_of

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.evaluation.studies.heat_map import HeatMap
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.audio import AudioClip
    from hf_fourier.results.gene_scores import GeneScores
    from hf_fourier.results.relevance import Relevance
    from hf_fourier.results.spectrum import Spectrum
    from hf_fourier.results.table import Table
    from hf_fourier.runs.recording import Recording
    from hf_fourier.runs.results import Results

#: Rows of a table, tokens of a text and seconds of a clip, at most.
MOST_ROWS, MOST_TOKENS, MOST_SECONDS = 60, 600, 20
#: Dots per inch of figures, which are 11 inches wide.
DPI = 80
_CELL = "padding:2px 10px;border-bottom:1px solid #8884;vertical-align:top;"
_SMALL = "font-size:smaller;opacity:.8;margin:.3em 0"
#: Rows of the table below an explanation, of a run, and of words.
FEATURES, RUN_ROWS, WORDS = 5, 10, 8
#: Red, green and blue of full support and full opposition.
SUPPORTING, OPPOSING = (244, 160, 58), (127, 184, 230)


def escaped(value: Any) -> str:
    """A value as text inside an element or a quoted attribute."""
    return escaping.escape(escape_invisible(str(value)), quote=True)


def table(table: Table, most: int = MOST_ROWS) -> str:
    """A table with its notes; numbers flush right, the best of a column bold."""
    rows = [list(row.values()) for row in table[:most]]
    sides = [f"{_CELL}text-align:{'right' if flush else 'left'}" for flush in table.right]
    head = "".join(
        f'<th style="{side}">{escaped(title)}</th>' for side, title in zip(sides, table.columns, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, sides, row))}</tr>" for row in rows)
    more = [f"{len(table) - most} more rows"] if len(table) > most else []
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{_notes([*more, *table.notes])}"
    )


def _cell(side: str, value: Any) -> str:
    if isinstance(value, Estimate):
        number = escaped(value.number)
        text = f"{f'<b>{number}</b>' if value.best else number}{escaped(value.interval)}{escaped(value.mark)}"
        side += ";white-space:nowrap"
    else:
        text = escaped(wording.number(value))
    return f'<td style="{side}">{text}</td>'


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p style="{_SMALL}">{escaped(note)}</p>' for note in notes)


def attribution(result: Attribution) -> str:
    """What was explained, the example with its top features, and the features of highest score.

    A text, a protein, a DNA sequence or a cell is shown by its tokens, coloured in place, a text's words before its
    frequencies; anything else as the figure of `plot`, a sound with players. A compact result and one without the extra
    `report` show their table alone.
    """
    record = record_of(result)
    head = "<br>".join(escaped(line) for line in wording.header_lines(record, record.displayed_fraction))
    figure = "" if result.signal is None or _has_tokens(result) else _figure_of(result)  # which has its own head
    parts = [figure or f"<p><b>{head}</b></p>"]
    if result.signal is not None:
        parts += [_tokens_of(result) if _has_tokens(result) else "", _players(result)]
    if words.is_text(result):
        shown = result.words()
        titles = [title for title in shown.columns if title not in ("rank", "measure")]
        parts += [_notes(words.summary(result)), table(shown[:WORDS][titles]), f"<p><b>{words.BY_FREQUENCY}</b></p>"]
    parts.append(table(result.top_features(FEATURES)))
    conclusion = [] if figure else [wording.conclusion(record, record.displayed_fraction)]
    return _whole(parts, [*conclusion, *result.provenance.get("notes", ())])


def relevance(relevance: Relevance) -> str:
    """Tokens in their colours, or a map; a line of numbers where it is neither."""
    if relevance.names:
        return _whole([_tokens(relevance, relevance.names)], [f"{relevance.description}; {relevance.sense}"])
    if relevance.values.ndim < 2:
        return table(relevance.top(RUN_ROWS))
    values = np.asarray(relevance.values, dtype=float)
    values = values.sum(axis=tuple(range(values.ndim - 2)))
    picture = media.picture(media.image_of((_colours(values) * 1.0).round().astype(np.uint8)))
    image = f'<img src="{picture}" alt="map" style="min-width:16rem;max-width:100%;image-rendering:pixelated">'
    return _whole([image], [f"{relevance.description}; {relevance.sense}"])


def evaluation(evaluation: Evaluation) -> str:
    """All quantities by method, with intervals, marks and what they mean."""
    found = evaluation.printed_table()
    return _titled(repr(evaluation), table(found), [text for text in evaluation.remarks if text not in found.notes])


def sanity(result: SanityResult) -> str:
    """The verdict, and a row for each check."""
    rows = [{"verdict": check.verdict, "check": check.name, "in words": check.words} for check in result.checks]
    return _titled(result.headline, table(table_of(rows, result.notes)))


def spectrum(found: SpectrumMeans | HeatMap) -> str:
    """The figure, and what was found in sentences."""
    try:
        shown = _figure(found.plot())
    except MissingExtraError:
        shown = table(found.table())
    return _titled(repr(found), shown, found.summary())


def run(results: Results) -> str:
    """The run, its first results and how many examples failed."""
    columns = ("index", "name", "label", "confidence", "failed")
    first = [{title: row[title] for title in columns} for row in islice(results.rows(1), RUN_ROWS)]
    more = [f"{results.done} of {len(results)} examples are done; the first {len(first)} are shown"]
    return _titled(repr(results), table(table_of(first)), more)


def recording(found: Recording) -> str:
    """What was heard when."""
    return _titled(repr(found), table(found.decisions()), found.notes)


def merged_spectrum(found: Spectrum) -> str:
    """The entries of highest score."""
    return _titled(repr(found), table(found.top(RUN_ROWS)))


def ranked(found: GeneScores) -> str:
    """The first rows of its table."""
    return _titled(repr(found), table(found.table(), RUN_ROWS))


def clip(sound: AudioClip) -> str:
    """A player of a sound, its beginning where it is long."""
    samples = np.asarray(sound.samples, dtype=np.float32)
    scale = max(1.0, float(np.abs(samples).max(initial=0.0)))
    return _whole([_player("", samples / scale, sound.rate)])


def lines(value: Any) -> str:
    """The text of a result as it is printed, its lines kept."""
    text = "\n".join(escaped(line) for line in str(value).split("\n"))
    return f'<pre style="white-space:pre-wrap">{text}</pre>'


def _whole(parts: Sequence[str], notes: Sequence[str] = ()) -> str:
    return f'<div style="max-width:72rem">{"".join(parts)}{_notes(notes)}</div>'


def _titled(title: str, part: str, notes: Sequence[str] = ()) -> str:
    return _whole([f"<p><b>{escaped(title)}</b></p>", part], notes)


def _has_tokens(result: Attribution) -> bool:
    return bool(result.names) and len(result.layout.signal.ordered_axes) == 1


def _tokens_of(result: Attribution) -> str:
    found = default_relevance(result, record_of(result).displayed_fraction)
    colours = wording.colours(record_of(result), found)
    return _tokens(found, result.names) + _notes([f"At each token: {found.description} ({colours})"])


def _tokens(found: Relevance, names: Sequence[str]) -> str:
    """Tokens in their places, behind each its relevance as a colour, and as a number where the pointer rests."""
    from hf_fourier.report.figures.fonts import right_to_left, token_texts

    values = np.asarray(found.values, dtype=float).reshape(len(names), -1).sum(axis=1)
    tokens, colours = token_texts(names), _colours(values)
    spans = []
    for token, value, (red, green, blue) in list(zip(tokens, values, colours, strict=True))[:MOST_TOKENS]:
        style = f"background:rgb({red:.0f},{green:.0f},{blue:.0f});color:#222;border-radius:3px;padding:0 2px"
        gap = " " if token.starts else ""
        spans.append(f'{gap}<span style="{style}" title="{value:.4g}">{escaped(token.text)}</span>')
    more = f" … {len(names) - MOST_TOKENS} more" if len(names) > MOST_TOKENS else ""
    direction = "rtl" if right_to_left("".join(token.text for token in tokens)) else "ltr"
    return f'<p dir="{direction}" style="line-height:2;overflow-wrap:anywhere">{"".join(spans)}{more}</p>'


def _colours(values: np.ndarray) -> np.ndarray:
    """Red, green and blue, 0 to 255: white for 0, orange for the largest size above it, blue for that below."""
    strength = values / (float(np.abs(values).max(initial=0.0)) or 1.0)
    ends = np.where(strength[..., None] > 0, np.array(SUPPORTING), np.array(OPPOSING))
    return 255 + np.abs(strength)[..., None] * (ends - 255.0)


def _figure_of(result: Attribution) -> str:
    from hf_fourier.report.figures.plot import plot

    try:
        return _figure(plot(result))
    except MissingExtraError:
        return ""


def _figure(figure: Any) -> str:
    """A matplotlib figure as a picture in the page, in 256 colours where Pillow is there, which keeps pages small."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    data = buffer.getvalue()
    if importlib.util.find_spec("PIL") is not None:
        from PIL import Image

        small = io.BytesIO()
        Image.open(buffer).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
        data = min(data, small.getvalue(), key=len)
    return f'<img src="{media.uri(data, "image/png")}" alt="figure" style="max-width:100%">'


def _players(result: Attribution) -> str:
    """The clip, its top features and the rest, all on one scale; nothing where it is no sound."""
    from hf_fourier.report.audio_files import is_audio, scaled_clips

    if not is_audio(result):
        return ""
    parts, rate = scaled_clips(result)
    top = wording.format_fraction(record_of(result).displayed_fraction)
    names = ("the clip", f"the top {top} alone", "without them")
    return "".join(_player(name, part, rate) for name, part in zip(names, parts, strict=True))


def _player(name: str, samples: np.ndarray, rate: int) -> str:
    file = media.uri(media.wav(samples[: MOST_SECONDS * rate], rate), "audio/wav")
    player = f'<audio controls src="{file}"></audio><figcaption>{escaped(name)}</figcaption>'
    return f'<figure style="display:inline-block;margin:.3em 1em .3em 0">{player}</figure>'
