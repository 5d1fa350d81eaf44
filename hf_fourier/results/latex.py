"""Tables as LaTeX: one `table` environment with booktabs rules, every text escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from hf_fourier.results.drawing import drawn_by

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma varsigma tau upsilon phi "
    "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega vartheta phi epsilon"
)
#: Greek letters as LaTeX inside math: commands, and Latin letters for those that look like one and have no command.
_COMMANDS = zip("αβγδεζηθικλμνξπρσςτυφχψωΓΔΘΛΞΠΣΥΦΨΩϑϕϵ", _NAMES.split(" "), strict=True)
_ALIKE = zip("οΑΒΕΖΗΙΚΜΝΟΡΤΧ", "oABEZHIKMNOPTX", strict=True)
_GREEK = {one: f"\\{name}" for one, name in _COMMANDS} | {one: rf"\mathrm{{{latin}}}" for one, latin in _ALIKE}
#: Combining marks of Greek letters as accents inside math.
_ACCENTS = {"\u0300": r"\grave", "\u0301": r"\acute", "\u0308": r"\ddot"}
#: What stands for a character that LaTeX reads as markup, or that a font of pdfLaTeX lacks.
_REPLACED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedblright{}", "`": r"\textasciigrave{}", "×": r"$\times$", "±": r"$\pm$",
    "−": "$-$", "–": "--", "—": "---",
    "…": r"\dots{}", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "→": r"$\rightarrow$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "°": r"$^\circ$", "·": r"$\cdot$",
    "“": "``", "”": "''", "’": "'", "µ": r"$\mu$", "≠": r"$\neq$", "∞": r"$\infty$", "√": r"$\surd$",
    "′": r"$'$", "∑": r"$\sum$", "∈": r"$\in$", "←": r"$\leftarrow$", "⁻": "$^{-}$",
    "₊": "$_{+}$", "‖": r"$\Vert$", "∇": r"$\nabla$", "∫": r"$\int$", "∪": r"$\cup$", "∅": r"$\emptyset$",
    **{one: f"$^{digit}$" for digit, one in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{one: f"$_{digit}$" for digit, one in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}  # fmt: skip


def escape(text: str) -> str:
    """A text that LaTeX prints as it stands.

    Characters that nobody sees are written out. Letters beyond Latin and modern Greek, and mathematical symbols beyond
    those of `_REPLACED`, need XeLaTeX or LuaLaTeX.
    """
    visible = drawn_by("visible_text:escape_invisible", text)
    ahead = f"{visible[1:]} "  # two hyphens would become a dash
    return "".join(
        "-{}" if one == next_one == "-" else _REPLACED.get(one) or _greek(one) or one
        for one, next_one in zip(visible, ahead, strict=False)
    )


def _greek(one: str) -> str:
    """A letter of modern Greek in math, its accents too; "" for another character."""
    letter, *marks = list(unicodedata.normalize("NFD", one))
    if letter not in _GREEK or not set(marks) <= _ACCENTS.keys():
        return ""
    text = _GREEK[letter]
    for mark in marks:
        text = f"{_ACCENTS[mark]}{{{text}}}"
    return f"${text}$"


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], notes: Sequence[str], *,
    caption: str = "", label: str = "",
) -> str:  # fmt: skip
    r"""A `table` environment that `\usepackage{booktabs}` sets; all texts are LaTeX already, but for the label.

    Args:
        titles: Of the columns.
        rows: Cells.
        right: Whether each column is flush right.
        notes: Printed small below.
        caption: Above the table; "" for none.
        label: For `\ref`; only letters, digits and `:.-` of it are kept.
    """
    head = [r"\begin{table}", r"\centering"]
    head += [rf"\caption{{{caption}}}"] if caption else []
    name = "".join(one for one in label if one.isascii() and (one.isalnum() or one in ":.-"))
    head += [rf"\label{{{name}}}"] if name else []
    columns = "".join("r" if flush else "l" for flush in right)
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", _row(titles), r"\midrule"]
    lines += [*map(_row, rows), r"\bottomrule", r"\end{tabular}"]
    small = r"\par ".join(notes)
    below = [rf"\par\smallskip{{\footnotesize\raggedright {small}\par}}"] if notes else []
    return "\n".join([*head, *lines, *below, r"\end{table}", ""])


def _row(cells: Sequence[str]) -> str:
    r"""A line of the table. One that begins with `[` or `*` would be read as what the `\\` before it takes."""
    return " & ".join(f"{{}}{cell}" if cell.lstrip().startswith(("[", "*")) else cell for cell in cells) + r" \\"
