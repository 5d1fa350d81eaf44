"""Free text that may be shared: words that stand in the library's own source, and numbers; nothing else.

A pattern finds only what somebody thought of; so this is the other way about. A path, a token of whatever service, a
user's or a patient's name is not among the words of a public source, and is withheld without being recognised.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

#: What stands where a word was withheld, and where a model's name was.
WITHHELD, LOCAL = "(withheld)", "(local model)"
_WORD = re.compile(r"[^\W\d_]+")
#: A number with up to nine digits before and after the point, its sign and its exponent.
_NUMBER = re.compile(r"\d{1,9}(?:[.,]\d{1,9})?(?:e[+-]?\d{1,3})?", re.IGNORECASE)
#: What begins a path or an address, or is part of a login; a slash between two words is none of these.
_PLACES = re.compile(r"^[/~]|[\\@]|//|:/|~|/$|/[./]|\./")
_AROUND = "()[]{}<>.,;:!?'\"`…–—“”‘’«»"
#: A plain word of a title, in any script; with digits and hyphens it is shorter than tokens are.
_LETTERS = re.compile(r"[^\W\d_]{1,30}(?:['’-][^\W\d_]{1,30})*")
_SHORT = re.compile(r"(?=[^\W_]*\D)[^\W_]{1,10}(?:[-.][^\W_]{1,10})?|\d{1,4}")


def public_text(text: str) -> str:
    """`text` with every word withheld that is not the library's own, and every number that is none of a measurement."""
    words = [word if _is_public(word) else WITHHELD for word in text.split()]
    return " ".join(word for i, word in enumerate(words) if word != WITHHELD or words[i - 1 : i] != [WITHHELD])


def public_spec(spec: str) -> str:
    """A method's or a domain's spec with each parameter withheld that says more than names and numbers."""
    name, colon, rest = spec.partition(":")
    parts = [part if not part.split()[1:] and _is_public(part) else WITHHELD for part in rest.split(",")]
    kept = [part for part in parts if part != WITHHELD] + ([WITHHELD] if WITHHELD in parts else [])
    return (name if _is_public(name) else WITHHELD) + (colon + ",".join(kept) if rest else "")


def is_public_title(title: str, model: str) -> bool:
    """Whether a title is words, short names and numbers, and the model's name; and no path, address or token."""
    words = title.replace(model, " ").split() if model else title.split()
    return all(_is_public(word) or _is_plain(word) for word in words)


def _is_plain(word: str) -> bool:
    core = word.strip(_AROUND)
    return not _PLACES.search(word) and (_LETTERS.fullmatch(core) or _SHORT.fullmatch(core)) is not None


def _is_public(word: str) -> bool:
    """Whether all letters of a text without blanks are words of the source, and no place is in it."""
    core = word.strip(_AROUND)
    if _PLACES.search(core) or word.startswith(("/", "~", "./", "../")):
        return False
    rest = _NUMBER.sub(" ", core)
    return not re.search(r"\d", rest) and all(part.lower() in _vocabulary() for part in _WORD.findall(rest))


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    """The words of the package's source and templates, in lower case; not those of the pages that come with it."""
    package = Path(__file__).parents[1]
    files = [path for path in package.rglob("*") if path.suffix in (".py", ".html", ".md", ".jinja")]
    files = [path for path in files if not path.is_relative_to(package / "docs")]
    return frozenset(
        word.lower() for path in files for word in _WORD.findall(path.read_text(encoding="utf-8", errors="ignore"))
    )
