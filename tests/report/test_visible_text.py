"""Text of others is shown as it is, and nothing in it acts."""

import unicodedata

import pytest

from hf_fourier.report.visible_text import escape_invisible


@pytest.mark.parametrize(
    "text", ["", "cat", "a [bold]b[/bold] <script>`|", "grün 猫 🐈‍⬛ नमस्ते می‌خواهم", "ä combining a\u0308", "x\u00a0y"]
)
def test_what_can_be_seen_stays(text):
    assert escape_invisible(text) is text or escape_invisible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("tab\tnew\nline\r", "tab\\tnew\\nline\\r"),
        ("exe\u202egnp.", "exe\\u202egnp."),
        ("\u2066x\u2069\u200f", "\\u2066x\\u2069\\u200f"),
        ("\u2028", "\\u2028"),
        ("\x9b31m\x00\x7f", "\\x9b31m\\x00\\x7f"),
        ("\udcff", "\\udcff"),
        ("a\U000e0041", "a\\U000e0041"),
    ],
)
def test_what_acts_is_written_out(text, shown):
    assert escape_invisible(text) == shown


def test_lines_stay_where_they_are_meant():
    assert escape_invisible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_nothing_that_moves_the_reading_direction_is_left():
    directed = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    every = [chr(code) for code in range(0x110000)]
    acting = [c for c in every if unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in directed]
    assert len(acting) > 70
    assert all(escape_invisible(c) != c for c in [*acting, "\u200e", "\u200f", "\u061c"])
