"""Figures of the genes' scores by group of cells: a dot plot and a heat map, groups by genes."""

from __future__ import annotations

from os import PathLike
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn_or_into
from hf_fourier.report.figures.fonts import drawable, plain
from hf_fourier.results.gene_groups import GroupSums, comparable, welch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.results.gene_scores import GeneScores

KINDS = ("dots", "heat")
#: Points² of the dot of a gene that the model reads in every cell of a group.
LARGEST = 150.0


def plot_groups(found: GeneScores, path: str | PathLike[str] | None, kind: str, n: int, ax: Axes | None) -> Figure:
    """See `GeneScores.plot`; the figure is 11 inches wide."""
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}", f"one of {', '.join(KINDS)}", "choose one of them")
    sums = found.sums() if found.groups else _by_label(found)
    chosen = chosen_genes(sums, n)

    def into(axes: Axes) -> None:
        _draw(axes, found, sums, chosen, kind)

    def fill(figure: Figure) -> None:
        arrange(figure, 1.9 + 0.34 * len(sums.groups))
        into(figure.subplots())

    return drawn_or_into(ax, into, fill, path)


def chosen_genes(sums: GroupSums, n: int) -> list[int]:
    """The columns of the `n` genes of each group of the highest t against all other cells, each once, by group.

    A group that cannot be tested (it, or the rest, has fewer than two cells) shows its highest means.
    """
    try:
        tested = comparable(sums.sizes)
    except InputError:
        tested = ()
    columns: list[int] = []
    for place, group in enumerate(sums.groups):
        order = welch(sums, group).order if group in tested else np.argsort(-sums.totals[place], kind="stable")
        columns += [int(i) for i in order if sums.seen[place, i]][:n]
    return list(dict.fromkeys(columns))


def _by_label(found: GeneScores) -> GroupSums:
    """The sums by explained label."""
    sums = GroupSums.empty(tuple(sorted(set(found.labels))), len(found.genes))
    sums.add(found.scores, found.labels)
    return sums


def _draw(axes: Axes, found: GeneScores, sums: GroupSums, chosen: list[int], kind: str) -> None:
    """Rows are groups, columns the chosen genes, colours mean scores over all cells of the group."""
    cells = np.maximum(sums.cells, 1)[:, None]
    means, shares = sums.totals[:, chosen] / cells, sums.seen[:, chosen] / cells
    largest = float(np.abs(means).max(initial=0.0)) or 1.0
    colours: dict[str, Any] = {"cmap": "RdBu_r" if found.signed else "viridis", "vmax": largest}
    colours["vmin"] = -largest if found.signed else float(means.min(initial=0.0))
    drawn: Any
    if kind == "dots":
        rows, columns = (part.ravel() for part in np.indices(means.shape))
        sizes = LARGEST * shares.ravel()
        drawn = axes.scatter(
            columns, rows, s=sizes, c=means.ravel(), edgecolors=style.SOFT, linewidths=0.5, gid="genes", **colours
        )
        for share in (0.2, 0.6, 1.0):
            text = f"{100 * share:.0f} %"
            axes.scatter([], [], s=LARGEST * share, c="white", edgecolors=style.SOFT, linewidths=0.5, label=text)
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": 3}
        style.legend(axes, title="cells with the gene", title_fontsize=8, **place)
        axes.set_xlim(-0.6, len(chosen) - 0.4)
        axes.set_ylim(len(sums.groups) - 0.4, -0.6)
    else:
        drawn = axes.imshow(means, aspect="auto", interpolation="nearest", gid="genes", **colours)
    style.ticks(axes, "x", [drawable(found.symbols[i], 16) for i in chosen], rotation=90, fontsize=7)
    names = [f"{drawable(name, 24)} ({cells:.0f})" for name, cells in zip(sums.groups, sums.cells, strict=True)]
    style.ticks(axes, "y", names)
    label = "\n".join(wrap(f"mean {found.measure}", 60)[:3])
    style.colour_bar(axes, drawn, pad=0.01).set_label(label, fontsize=7)
    title = f"Highest scores of each {found.groupby or ('group' if found.groups else 'label')} against all other cells"
    axes.set_title(title, loc="right", color=style.INK, **plain(title))
