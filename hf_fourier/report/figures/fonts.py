"""Text as a figure can draw it: nothing is read as mathematics, and a glyph that no font has becomes a box."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hf_fourier.results.words import token_pieces, without_bytes

BASE = "DejaVu Sans"  # comes with matplotlib
WIDER = (  # asked for what the base font lacks, where one of them is installed
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Yu Gothic",
    "Segoe UI Symbol",
)
BOX = "□"
VISIBLE = {"\n": "⏎", "\r": "⏎", "\t": "⇥", "\u00a0": " "}

#: Keyword arguments that make matplotlib draw a text as it stands.
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}


@dataclass(frozen=True)
class TokenText:
    """One token as a person reads it.

    Attributes:
        text: The token without its tokenizer's marks, drawable.
        starts: Whether a new word begins with it.
    """

    text: str
    starts: bool


def drawable(text: str, most: int | None = None) -> str:
    """`text` on one line, with characters only that an installed font has; cut to `most` characters, if given."""
    shown = "".join(VISIBLE.get(character, character) for character in text)
    if most is not None and len(shown) > most:
        shown = shown[: most - 1] + "…"
    return "".join(_glyph(character) for character in shown)


def font_families(text: str) -> list[str]:
    """The font families that draw `text`, the usual one first."""
    missing = {ord(character) for character in text} - _glyphs(BASE)
    return [BASE, *(family for family in _installed() if missing & _glyphs(family))]


def plain(text: str) -> dict[str, Any]:
    """Keyword arguments for a matplotlib text that holds a drawable `text`."""
    return {**PLAIN, "fontfamily": font_families(text)}


def token_texts(names: Sequence[str]) -> list[TokenText]:
    """Tokens without the marks of byte-level BPE, SentencePiece, WordPiece and classic BPE.

    Byte-level tokens are turned back into characters; a token that holds a part of a character shows a box.
    """
    pieces = [(re.sub("\ufffd+", BOX, without_bytes(text)), start) for text, start in token_pieces(names)]
    return [TokenText(drawable(text, 40) or BOX, start) for text, start in pieces]


def right_to_left(text: str) -> bool:
    """Whether most letters of `text` are written from right to left."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    return sum(kind in ("R", "AL") for kind in kinds) > sum(kind == "L" for kind in kinds)


def _glyph(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Zl", "Zp"):
        return ""
    known = any(ord(character) in _glyphs(family) for family in (BASE, *_installed()))
    if known:
        return character
    return "" if category.startswith("M") else BOX


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(family for family in WIDER if family in there)


@lru_cache(maxsize=32)
def _glyphs(family: str) -> frozenset[int]:
    """The code points that a font has."""
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap())
