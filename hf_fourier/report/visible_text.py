"""Text that others wrote (labels, tokens, file names, symbols) shown as it is: nothing in it acts on who shows it."""

from __future__ import annotations

import unicodedata

#: Format characters that reorder or hide what stands around them. Joiners stay: scripts and emoji need them.
_ORDERING = {0x061C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF}
_HIDDEN = {*range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)}
_LINES = ("Zl", "Zp")


def escape_invisible(text: str, keep: str = "") -> str:
    r"""The text with what nobody would see written out, such as `\x1b` or `\u202e`.

    Written out are control characters (an escape sequence can repaint a terminal), line and paragraph separators, marks
    that change the reading direction, invisible format characters and lone surrogates. A string without any is
    returned as it is.

    Args:
        text: Any text.
        keep: Characters to leave, such as "\\n" where lines are meant.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one if one in keep or not _acts(one) else one.encode("unicode_escape").decode("ascii") for one in text
    )


def _acts(one: str) -> bool:
    code = ord(one)
    return unicodedata.category(one) in ("Cc", "Cs", *_LINES) or code in _ORDERING or code in _HIDDEN
