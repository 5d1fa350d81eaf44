"""How a figure is made, looks and is written: in the looks of this package, whatever the user's style sheet says."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 11.0  # inches
FORMATS = (".png", ".svg", ".pdf")
STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "text.usetex": False,
}


def drawn(fill: Callable[[Figure], None], path: str | PathLike[str] | None = None) -> Figure:
    """A figure in the looks of this package, filled and, with a path, written.

    Raises:
        InputError: If the path has another ending than `FORMATS`.
        MissingExtraError: If matplotlib is not installed.
    """
    target = None if path is None else _checked(Path(path))
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "figures") from error
    with rc_context(looks()):
        figure = Figure(dpi=130, facecolor="white")
        fill(figure)
        if target is not None:
            write(figure, target)
    return figure


def drawn_or_into(
    ax: Axes | None,
    into: Callable[[Axes], None],
    fill: Callable[[Figure], None],
    path: str | PathLike[str] | None = None,
) -> Figure:
    """A figure of its own, as `drawn`, or axes of the caller's that are drawn into.

    Args:
        ax: The caller's axes; None for a figure of its own.
        into: Draws into axes.
        fill: Fills a figure.
        path: Where the figure of its own is written.

    Raises:
        InputError: If there are both, or the path has another ending than `FORMATS`.
        MissingExtraError: If matplotlib is not installed.
    """
    if ax is None:
        return drawn(fill, path)
    if path is not None:
        raise InputError("path and ax", "one of the two", "save the figure of `ax` yourself")
    into(ax)
    whole = ax.get_figure(root=True)
    assert whole is not None
    return whole


def arrange(figure: Figure, height: float, width: float = WIDTH) -> None:
    """Set a figure's size in inches, and the layout that leaves room for its texts."""
    figure.set_size_inches(width, height)
    figure.set_layout_engine("constrained")


def looks() -> Any:
    """Matplotlib's own settings of how things look, so that a user's style sheet does not take a figure apart."""
    from matplotlib import rcParamsDefault as defaults

    groups = ("axes", "figure", "font", "hatch", "image", "legend", "lines", "patch", "path", "savefig", "svg", "text",
              "xtick", "ytick")  # fmt: skip
    return {name: value for name, value in defaults.items() if name.partition(".")[0] in groups} | STYLE


def _checked(path: Path) -> Path:
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"the figure's path {path.name!r}",
            f"one that ends in {', '.join(FORMATS)}",
            "choose the format by the ending",
        )
    return path


def write(figure: Figure, path: Path) -> None:
    """Write the file without the time of day in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": None}
    figure.savefig(path, format=path.suffix.lower()[1:], metadata=dates[path.suffix.lower()])
