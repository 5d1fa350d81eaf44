"""Tables as LaTeX: one `table` environment with booktabs rules, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from hf_fourier.results.drawing import drawn_by

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi "
    "psi omega"
)
_GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψω", _NAMES.split(" "), strict=True))
#: What stands for a character that LaTeX reads as markup, or that a font of pdfLaTeX lacks.
_REPLACED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedblright{}", "`": r"\textasciigrave{}", "×": r"$\times$", "±": r"$\pm$",
    "−": "$-$", "–": "--", "—": "---",
    "…": r"\dots{}", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "→": r"$\rightarrow$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "°": r"$^\circ$", "·": r"$\cdot$",
    "“": "``", "”": "''", "’": "'", "Σ": r"$\Sigma$", "Δ": r"$\Delta$", "µ": r"$\mu$", "²": "$^2$",
    **{letter: f"$\\{name}$" for letter, name in _GREEK.items()},
}  # fmt: skip


def escape(text: str) -> str:
    """A text that LaTeX prints as it stands.

    Characters that nobody sees are written out. Letters beyond Latin and Greek need XeLaTeX or LuaLaTeX.
    """
    visible = drawn_by("visible_text:escape_invisible", text)
    ahead = f"{visible[1:]} "  # two hyphens would become a dash
    return "".join(
        "-{}" if one == next_one == "-" else _REPLACED.get(one, one)
        for one, next_one in zip(visible, ahead, strict=False)
    )


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
    # A row that begins with [ would be read as the length that \\ takes.
    return " & ".join(f"{{}}{cell}" if cell.startswith("[") else cell for cell in cells) + r" \\"
