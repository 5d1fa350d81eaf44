"""Markdown from templates: whatever a template prints is text, unless it was marked as Markdown on purpose."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError
from hf_fourier.report.visible_text import escape_invisible

if TYPE_CHECKING:
    import jinja2

    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans

FOLDER = Path(__file__).parent / "templates"
#: Punctuation that means nothing inside a line. All other ASCII punctuation is written as a character reference, which
#: is never structure: no tag, emphasis, code, link, cell border, heading, comment, emoji or formula comes of it.
_MEANS_NOTHING = frozenset(" ,-'()/.;%?")
#: What begins a list where it begins a line.
_BEGINS = re.compile(r"(\d+(?=[.)](?:\s|$))|)([.)]|[ -])")
#: Punctuation that means something at the edge of a word only, inside one.
_INSIDE = re.compile(r"(?<=[A-Za-z0-9])(?:_(?=[A-Za-z0-9])|=)|(?<=[A-Za-z0-9)]):(?=\s|$)")


class Markdown(str):
    """Text that is Markdown on purpose."""

    __slots__ = ()


def text(value: Any) -> Markdown:
    """A value as one line of Markdown that shows just this text, in a paragraph as well as in a table's cell."""
    if isinstance(value, Markdown):
        return value
    given = escape_invisible(str(value))
    begins = _BEGINS.match(given)
    head = f"{begins[1]}&#{ord(begins[2])};" if begins else ""
    harmless = {found.start() for found in _INSIDE.finditer(given)}
    rest = range(begins.end() if begins else 0, len(given))
    shown = head + "".join(given[i] if i in harmless else _reference(given[i]) for i in rest)
    return Markdown(shown.replace("www.", "www&#46;"))  # which would become a link


def number(value: float | None, digits: int = 3) -> Markdown:
    """A measured number; a dash where there is none."""
    return Markdown("–" if value is None or value != value else f"{value:.{digits}f}".replace("-", "−"))


def interval(middle: float | None, low: float | None, high: float | None, signed: bool = False) -> Markdown:
    """A number with its 95 % interval."""
    shown = number(middle)
    if signed and middle is not None and middle > 0:
        shown = Markdown(f"+{shown}")
    known = low is not None and high is not None and low == low and high == high
    return Markdown(f"{shown} [{number(low)}, {number(high)}]" if known else shown)


def rendered(template: str, **values: Any) -> str:
    """A template of this folder, filled in.

    Raises:
        MissingExtraError: If Jinja2 is not installed.
    """
    return environment().get_template(template).render(**values)


def render_spectrum(spectrum: SpectrumMeans) -> str:
    """The section of a model's card on its spectrum; see `SpectrumMeans.to_markdown`.

    Sentences and cells are the library's own words and numbers, in which brackets are intervals; names of bands, which
    may come from a file, are text.
    """
    found = spectrum.summarized()
    bands = [replace(band, name=str(text(band.name)), unit=str(text(band.unit))) for band in found.bands]
    found = replace(found, bands=tuple(bands))
    lines, table = [Markdown(line) for line in found.summary()], found.overview()
    cells = [[Markdown(cell) for cell in row] for row in table.formatted()]
    titles = ["band", *found.filters, "Shapley value"]
    return rendered("spectrum.md", spectrum=found, lines=lines, titles=titles, cells=cells)


@lru_cache
def environment() -> jinja2.Environment:
    """Of the templates; an unknown name in one is an error."""
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("jinja2", "report", "cards") from error
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, finalize=text,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    made.filters |= {"number": number}
    made.globals |= {"interval": interval}
    return made


def _reference(one: str) -> str:
    if one.isalnum() or one in _MEANS_NOTHING or not one.isascii():
        return one
    return f"&#{ord(one)};"
