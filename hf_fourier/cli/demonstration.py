"""`hf-fourier demo`: prints what `hf_fourier.demo` finds."""

from __future__ import annotations

from pathlib import Path

from hf_fourier.cli.registries import prepare
from hf_fourier.cli.run import ANSWERS, answers, cost
from hf_fourier.cli.show import line, out, progress, quiet_loading


def demonstrate(picture: str | None, output: Path) -> None:
    """Fetch, explain, compare with the controls, draw; ends with where the figure lies.

    Raises:
        AssetUnavailable: If the model or the pictures cannot be fetched.
        InputError: If there is no such picture.
    """
    from hf_fourier import demo

    for name in demo.ASSETS:
        prepare(name)
    with progress("explaining") as update, quiet_loading():
        found = demo.explain(picture, update)
    explained = found.results[demo.METHOD]
    console = out()
    line(console, f"The picture {found.picture!r}, seen by {explained.provenance['model']}:", style="bold")
    line(console, "the model says: " + ", ".join(f"{label} {p:.3f}" for label, p in explained.alternatives[:3]))
    line(console, ANSWERS)
    console.print(answers(found.results))
    for name, least in demo.least_kept(found.results).items():
        control = "" if name == demo.METHOD else " (a control: it ranks without looking at the model)"
        words = "at none of these shares" if least is None else f"from the top {100 * least:g} % on"
        line(console, f"{name}{control} keeps the decision {words}")
    line(console, cost(explained.provenance))
    folder = explained.save(output)
    explained.plot(output / "figure.png")
    line(console, f"result: {folder}")
    line(console, f"figure: {output / 'figure.png'}", style="bold")
