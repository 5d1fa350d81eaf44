"""A figure on a dark ground: what is drawn in ink becomes light, colours stay or are lightened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_fourier.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

GROUND, PAPER, LIGHT, SOFT = "#14171b", "#1e2228", "#e9ebee", "#a5adb8"
#: Colours that are too dark on a dark ground, and what stands for them.
LIGHTER = {style.KEPT: "#78b7f5", style.DELETED: "#ffa25c", style.SOFT: SOFT, style.INK: LIGHT, "black": LIGHT,
           "#000000": LIGHT, "white": PAPER, "#ffffff": PAPER, "#22785a": "#6fd0a8", "#7a3e9d": "#cfa0f0"}  # fmt: skip


def darken(figure: Figure) -> Figure:
    """Turn a drawn figure dark, in place, and return it.

    Pictures, maps and the boxes of tokens (with the letters on them) stay as they are: their colours mean something.
    """
    from matplotlib.colors import same_color
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    _ground(figure)
    boxes = set()
    for axes in figure.axes:
        if axes.axison:
            _axes(axes)
            continue
        boxes |= {id(text) for text in axes.texts}  # a sheet with boxes of letters
        for bar in axes.patches:
            if same_color(bar.get_facecolor()[:3], style.INK):
                bar.set_facecolor(_lighter(bar.get_facecolor()))
    for text in figure.findobj(Text):
        if id(text) not in boxes:
            text.set_color(_lighter(text.get_color()))
    for line in figure.findobj(Line2D):
        line.set_color(_lighter(line.get_color()))
        line.set_markerfacecolor(_lighter(line.get_markerfacecolor()))
        line.set_markeredgecolor(_lighter(line.get_markeredgecolor()))
    return figure


def _ground(figure: FigureBase) -> None:
    """The ground of a figure and of its parts."""
    figure.set_facecolor(GROUND)
    for part in figure.subfigs:
        _ground(part)


def _axes(axes: Any) -> None:
    """Ground, frame, ticks, legend, and the bars and areas that are drawn in ink."""
    axes.set_facecolor(PAPER)
    for spine in axes.spines.values():
        spine.set_color(SOFT)
    axes.tick_params(which="both", color=SOFT, labelcolor=LIGHT)
    legend = axes.get_legend()
    if legend is not None:
        legend.get_frame().set_facecolor(PAPER)
    for patch in axes.patches:
        patch.set_facecolor(_lighter(patch.get_facecolor()))
        patch.set_edgecolor(_lighter(patch.get_edgecolor()))
    for lines in axes.collections:
        if len(lines.get_facecolor()) == 1 and lines.get_array() is None:
            lines.set_facecolor(_lighter(lines.get_facecolor()[0]))
        if len(lines.get_edgecolor()) == 1 and lines.get_array() is None:
            lines.set_edgecolor(_lighter(lines.get_edgecolor()[0]))


def _lighter(colour: Any) -> Any:
    """The colour that stands for one on a dark ground, its transparency kept."""
    from matplotlib.colors import same_color, to_rgba

    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    red, green, blue, alpha = to_rgba(colour)
    for dark, light in LIGHTER.items():
        if same_color((red, green, blue), dark):
            return (*to_rgba(light)[:3], alpha)
    return colour
