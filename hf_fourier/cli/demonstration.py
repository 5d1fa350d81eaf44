"""`hf-fourier demo`: prints what `hf_fourier.cli.demo` finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.cli.console import echo_json, line, out, progress, quiet_loading, writable
from hf_fourier.cli.explain import ANSWERS, answers, cost, record, say_files, write
from hf_fourier.cli.list import prepare

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution


def demonstrate(*, name: str, example: str | None, output: Path, as_json: bool = False) -> None:
    """Fetch, explain, compare with the controls, draw; ends with where the figure lies.

    Raises:
        AssetUnavailable: If the model or the data cannot be fetched.
        InputError: If there is no such demo or example.
    """
    from hf_fourier.cli import demo
    from hf_fourier.report.wording import SAME_MASK, is_mask

    scene = demo.scene(name)
    writable(output)
    for asset in scene.assets:
        prepare(asset)
    with progress("explaining") as update, quiet_loading():
        found = demo.explain(name, example, update)
    explained = found.results[demo.METHOD]
    if as_json:
        told = {method: record(result) for method, result in found.results.items()}
        kept_from, files = demo.least_kept(found.results), write(explained, output)
        echo_json({"example": found.example.name, "results": told, "least_share_kept": kept_from, "files": files})
        return
    console = out()
    model, note = explained.provenance["model"], f" ({found.scene.note})" if found.scene.note else ""
    line(console, f"The {found.scene.what} {found.example.name!r}, seen by {model}{note}:", style="bold")
    mask = is_mask(explained)
    said = ", ".join(f"{label} {p:.3f}" for label, p in explained.alternatives[:3])
    line(console, f"the model says{' (shares of all places)' if mask else ''}: {said}")
    if found.example.truth:
        line(console, f"in truth: {found.example.truth}")
    line(console, ANSWERS)
    console.print(answers(found.results))
    kept = f"keeps the mask (Dice of at least {SAME_MASK:g})" if mask else "keeps the decision"
    for method, least in demo.least_kept(found.results).items():
        control = "" if method == demo.METHOD else " (a control: it ranks without looking at the model)"
        words = f"from the top {100 * least:g} % on" if least is not None else _not_kept(found.results[method])
        line(console, f"{method}{control} {kept} {words}")
    for remark in explained.provenance.get("notes", []):
        line(console, f"note: {remark}", style="yellow")
    line(console, cost(explained.provenance))
    say_files(write(explained, output))


def _not_kept(result: Attribution) -> str:
    """In words: kept at some shares but not at the largest, or at none."""
    from hf_fourier.report.wording import holds

    some = result.curve is not None and any(holds(result, stop) for stop in result.curve.of("keep"))
    return "at some of these shares, but not at the largest" if some else "at none of these shares"
