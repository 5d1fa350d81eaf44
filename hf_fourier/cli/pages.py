"""The pages of the documentation as text. They come with the package; in a checkout they are those of its folder docs.

`read("genes")` and `read("genes#which-question-each-score-answers")` return Markdown. Neither Typer nor Rich is needed.
"""

from __future__ import annotations

import difflib
import fnmatch
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hf_fourier.errors import InputError, StorageError

PACKAGE = Path(__file__).parents[1]
#: Folders of a checkout that building the site fills.
MADE = ("_build", "reference", "metrics")
_CONTENTS = re.compile(r"^```\{toctree\}\n(.*?)^```\n?", re.M | re.S)
_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\((?!\))([\w./-]+\.(?:md|png|py|csv|ipynb))?(#[\w-]+)?\)")


@dataclass(frozen=True)
class Section:
    """A heading with the text down to the next heading.

    Attributes:
        level: 1 for the title of the page.
        title: The heading without markup.
        anchor: What follows `#` in a link to it.
        markdown: The heading and the text.
    """

    level: int
    title: str
    anchor: str
    markdown: str


def pages() -> dict[str, str]:
    """The Markdown of every page by its name, such as "howto/my-network"; "metrics/NAME" is the card of a metric.

    Raises:
        StorageError: If the pages are missing.
    """
    here = next((one for one in (PACKAGE / "docs", PACKAGE.parent / "docs") if (one / "index.md").is_file()), None)
    if here is None:
        raise StorageError(f"no pages in {str(PACKAGE)!r}", "those that come with the package", "install it again")
    paths = {path.relative_to(here).with_suffix("").as_posix(): path for path in sorted(here.rglob("*.md"))}
    found = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if name.split("/")[0] not in MADE}
    return {**found, **cards()}


def cards() -> dict[str, str]:
    """The cards of the metrics without their front matter, by the names of pages, and the list of them."""
    paths = sorted((PACKAGE / "evaluation/metrics/modules").glob("*/README.md"))
    texts = {one.parent.name: re.sub(r"\A---\n.*?\n---\n+", "", one.read_text("utf-8"), flags=re.S) for one in paths}
    rows = [f"| [{name}]({name}.md) | {text.split(chr(10) * 2)[1]} |" for name, text in texts.items()]
    listed = "\n".join(["# Metrics", "", "| metric | what it measures |", "|---|---|", *rows, ""])
    return {"metrics/index": listed, **{f"metrics/{name}": text for name, text in texts.items()}}


def groups() -> dict[str, dict[str, str]]:
    """The titles of all pages by their names, in the groups and the order of the site; folders follow."""
    known = pages()
    titles = {name: next(sections(text)).title for name, text in known.items()}
    titles |= {name: known[name].split("\n\n")[1] for name, title in titles.items() if name == f"metrics/{title}"}
    found: dict[str, dict[str, str]] = {}
    for block in _CONTENTS.findall(known["index"]):
        (caption,) = re.findall(r'^:caption: "?(.*?)"?$', block, re.M)
        listed = [one for line in block.splitlines() if line[:1] != ":" for one in fnmatch.filter(titles, line)]
        found[caption] = {name: titles.pop(name) for name in (listed if found else ["index", *listed])}
    for name, title in titles.items():
        folder = name.rpartition("/")[0]
        found.setdefault(next(iter(sections(known[f"{folder}/index"]))).title, {})[name] = title
    return found


def sections(text: str) -> Iterator[Section]:
    """The sections of a page in their order."""
    starts, fenced, lines = [], False, text.splitlines()
    for i, line in enumerate(lines):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and (heading := re.match(r"(#{1,6}) +(.+)", line)):
            starts.append((i, len(heading[1]), re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading[2])))
    ends = [*(i for i, _, _ in starts[1:]), len(lines)]
    for (i, level, title), end in zip(starts, ends, strict=True):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        yield Section(level, title, anchor, "\n".join(lines[i:end]).strip() + "\n")


def find(name: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The page and the anchor that a name means: `genes`, `genes.md`, `genes#atlases`, `my-network`.

    Raises:
        InputError: If there is no such page or section; close names are listed.
    """
    page, _, anchor = name.strip().partition("#")
    bare = posixpath.normpath(page.casefold().replace("\\", "/")).removeprefix("docs/").removesuffix(".md")
    full = {one.casefold(): one for one in known}
    short = {one.rpartition("/")[2]: one for one in sorted(full, reverse=True)}  # the last stays: methods, not metrics
    found = next((one for one in (bare, f"{bare}/index", short.get(bare)) if one in full), None)
    if found is None:
        last = bare.rpartition("/")[2]
        near = [full[short[one]] for one in difflib.get_close_matches(last, short, n=3)]
        titled = {one: f"{next(sections(text)).title} {one}".casefold() for one, text in known.items()}
        near += [one for one in known if len(last) > 2 and last in titled[one] and one not in near]
        near = near[:7]
        expected = f"one of {', '.join(near)}" if near else "the name of a page, such as genes"
        raise InputError(f"the page {name!r}", expected, "`hf-fourier docs` lists all pages")
    there = [one.anchor for one in sections(known[full[found]])]
    if anchor and anchor.casefold() not in there:
        asked = anchor.casefold()
        near = [one for one in there if asked in one] or difflib.get_close_matches(asked, there, 3, 0.4) or there
        expected = f"one of {', '.join(near)}"
        raise InputError(
            f"the section {anchor!r} of the page {full[found]}", expected, "or leave out # and the section"
        )
    return full[found], anchor.casefold()


def read(name: str) -> str:
    """A page, or one section of it with its subsections, as Markdown without pictures; links name pages.

    Raises:
        InputError: If there is no such page or section; close names are listed.
        StorageError: If the pages are missing.
    """
    known = pages()
    page, anchor = find(name, known)
    return _plain(page, _part(known[page], anchor))


def search(word: str, name: str | None = None) -> list[tuple[str, str, str]]:
    """The sections with a word in the heading or the text: `page#anchor`, the heading, the first line with the word.

    Raises:
        InputError: If no section has it, or there is no page of that name.
        StorageError: If the pages are missing.
    """
    known, found = pages(), []
    for page in known if name is None else [find(name, known)[0]]:
        for one in sections(_plain(page, known[page])):
            line = next((line for line in one.markdown.splitlines() if word.casefold() in line.casefold()), None)
            if line is not None:
                found.append((f"{page}#{one.anchor}", one.title, line.strip()))
    if not found:
        where = "a page" if name is None else f"the page {find(name, known)[0]}"
        raise InputError(f"the word {word!r}", f"one that {where} contains", "search for a part of it, or a synonym")
    return found


def _part(text: str, anchor: str) -> str:
    """The section of an anchor with those below it; without an anchor all of the page."""
    if not anchor:
        return text
    every = list(sections(text))
    start = next(i for i, one in enumerate(every) if one.anchor == anchor)
    after = [i for i, one in enumerate(every) if i > start and one.level <= every[start].level]
    return "\n".join(one.markdown for one in every[start : after[0] if after else None])


def _plain(page: str, text: str) -> str:
    """Markdown without comments, contents of the site and pictures, whose links begin at the folder of all pages."""

    def link(match: re.Match[str]) -> str:
        picture, shown, target, anchor = match.groups(default="")
        if picture:
            return f"[figure: {shown}]"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else f"{page}.md"
        return f"[{shown}]({path.removeprefix('../')}{anchor})"

    text = re.sub(r"^<!--.*?-->\n+", "", _CONTENTS.sub("", text), flags=re.M | re.S)
    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(link, text)).strip() + "\n"
