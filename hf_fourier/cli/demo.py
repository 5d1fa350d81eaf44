"""`hf-fourier demo`: explains a real model on a real example, beside controls; needs package registries alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier import demo
from hf_fourier.cli.bands import band_rows, hear_waveform, keep_and_delete, show_band_table
from hf_fourier.cli.console import print_json, print_line, progress, quiet_loading, result_console, writable
from hf_fourier.cli.explain import CURVE_TITLE, as_record, cost_text, curve_table, print_files, write
from hf_fourier.cli.list import prepare
from hf_fourier.errors import InputError
from hf_fourier.registry import DEFAULT_METHOD

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

METHOD, OTHERS = DEFAULT_METHOD, ("ffc", "magnitude", "random")
#: How the bands are asked: each deleted, and each alone.
BANDS, BANDS_METHOD = "fourier:bands=octave", "occlusion:mode=both"
FRACTIONS = (0.01, 0.02, 0.04, 0.1, 0.3)
#: Edge of the cube that the head scan is resized to: what its model was made for.
EDGE = 128


@dataclass(frozen=True)
class Example:
    """One thing to explain.

    Attributes:
        name: What it is called.
        value: The explainer's input.
        truth: The true label, if that is known.
    """

    name: str
    value: Any
    truth: str = ""


@dataclass(frozen=True)
class Scene:
    """One of the demos.

    Attributes:
        what: What its examples are.
        assets: What has to be fetched, the model first.
        examples: Reads the examples, the best one to begin with first.
        note: A remark on the model.
        task: The model's head, where its class does not tell.
        target: What is explained; None for the predicted class.
        asks_bands: Whether the bands are asked about; not where a pass takes seconds.
    """

    what: str
    assets: tuple[str, ...]
    examples: Callable[[], list[Example]]
    note: str = ""
    task: str | None = None
    target: str | None = None
    asks_bands: bool = True


@dataclass(frozen=True)
class Demo:
    """The results of a demo.

    Attributes:
        scene: Which of the demos.
        example: What was explained.
        results: By method: its result, with its curve at `FRACTIONS`; FFC and the controls included.
        bands: What each octave is worth; None where the scene leaves it out.
    """

    scene: Scene
    example: Example
    results: Mapping[str, Attribution]
    bands: Attribution | None = None


def _pictures() -> list[Example]:
    return [Example(name, picture) for name, picture in demo.pictures()]


def _emails() -> list[Example]:
    short = [(i, text, label) for i, (text, label) in enumerate(demo.emails("test")) if 200 <= len(text) <= 500]
    return _first("e-mail-333", [Example(f"e-mail-{i}", text, ("ham", "spam")[label]) for i, text, label in short])


def _clips() -> list[Example]:
    return _first("loop_amen", _sounds(demo.instruments("test")))


def _prompts() -> list[Example]:
    return _first("french/activated", _sounds(demo.prompts("test")))


def _sounds(clips: list[dict[str, Any]]) -> list[Example]:
    return [Example(c["name"], {"array": c["audio"], "sampling_rate": c["rate"]}, c["label"]) for c in clips]


def _antibodies() -> list[Example]:
    return _first("OKT3 VH", [Example(row["name"], row["sequence"], row["species"]) for row in demo.antibodies()])


def _first(name: str, examples: list[Example]) -> list[Example]:
    """The example of this name, then the others."""
    return sorted(examples, key=lambda example: example.name != name)


def _cells() -> list[Example]:
    rows = demo.cells("test")
    return [Example(row["name"], {"genes": row["genes"], "values": row["values"]}, row["label"]) for row in rows]


def _heads() -> list[Example]:
    import torch

    from hf_fourier.demo.scans import at_size, normalised

    return [Example("head", normalised(at_size(torch.from_numpy(demo.head_mri()["volume"]), EDGE)).numpy())]


SCENES: Mapping[str, Scene] = {
    "picture": Scene("picture", ("efficientnet-lite0", "pictures"), _pictures),
    "text": Scene("text", ("minilm-spam", "spam-emails"), _emails, "its head was fitted here, on a frozen encoder"),
    "sound": Scene(
        "clip", ("whisper-instruments", "instrument-sounds"), _clips, "its head was fitted here, on a frozen encoder"
    ),
    "waveform": Scene(
        "recording", ("wav2vec2-languages", "prompt-sounds"), _prompts, "a small model that was trained here"
    ),
    "protein": Scene("antibody", ("antiberty-species",), _antibodies),
    "cell": Scene("cell", ("pbmc-geneformer", "pbmc"), _cells, "a small stand-in for Geneformer that was trained here"),
    "mri": Scene("scan", ("deepbet", "mri-head"), _heads, task="image-segmentation", target="brain", asks_bands=False),
}


def find_scene(name: str) -> Scene:
    """The demo of this name.

    Raises:
        InputError: If there is none.
    """
    if name not in SCENES:
        raise InputError(f"the demo {name!r}", f"one of {', '.join(SCENES)}", "choose one of them")
    return SCENES[name]


def explain(
    name: str = "picture", example: str | None = None, progress: Callable[[int, int], None] | None = None
) -> Demo:
    """Explain one example by `METHOD`, by FFC and by each of the controls, and perturb at `FRACTIONS` for all of them.

    Args:
        name: Which demo.
        example: The example's name; None for the first.
        progress: Called with (rankings done, rankings in all).

    Raises:
        InputError: If there is no such demo or example.
        AssetUnavailable: If the model or the data are not available here.
    """
    from hf_fourier.demo.models import linknet3d
    from hf_fourier.explainer import FourierExplainer

    scene = find_scene(name)
    examples = {one.name: one for one in scene.examples()}
    key = next(iter(examples)) if example is None else example
    if key not in examples:
        raise InputError(f"the example {key!r}", f"one of {', '.join(examples)}", "choose one of them")
    linknet3d.register()
    explainer = FourierExplainer.from_pretrained(str(demo.get(scene.assets[0])), task=scene.task)
    results: dict[str, Attribution] = {}
    methods = (METHOD, *OTHERS)
    for done, method in enumerate(methods, 1):
        result = explainer.explain(examples[key].value, target=scene.target, method=method)
        results[method] = explainer.perturb(result, fractions=FRACTIONS)
        if progress is not None:
            progress(done, len(methods) + scene.asks_bands)
    if not scene.asks_bands:
        return Demo(scene, examples[key], results)
    hear_waveform(explainer)
    asked = explainer.explain(examples[key].value, target=scene.target, method=BANDS_METHOD, domain=BANDS)
    keep_and_delete(explainer, asked)
    if progress is not None:
        progress(len(methods) + 1, len(methods) + 1)
    return Demo(scene, examples[key], results, asked)


def least_kept(results: Mapping[str, Attribution]) -> dict[str, float | None]:
    """By method: the least fraction from which on all fractions keep the decision; None if the largest does not.

    A mask counts as kept from a Dice of 0.9 on.
    """
    from hf_fourier.report.example_record import record_of

    least: dict[str, float | None] = {}
    for method, result in results.items():
        least[method], record = None, record_of(result)
        for point in reversed(record.points("keep")):
            if not record.holds(point):
                break
            least[method] = point.fraction
    return least


def run_demo(*, name: str, example: str | None, output: Path, as_json: bool = False) -> None:
    """Fetch, explain, compare with the controls, draw; ends with where the figure lies.

    Raises:
        AssetUnavailable: If the model or the data cannot be fetched.
        InputError: If there is no such demo or example.
    """
    from hf_fourier.report.example_record import SAME_MASK, is_control, overlap_text, record_of

    scene = find_scene(name)
    writable(output)
    for asset in scene.assets:
        prepare(asset)
    with progress("explaining") as update, quiet_loading():
        found = explain(name, example, update)
    explained = found.results[METHOD]
    if as_json:
        results = {method: as_record(result) for method, result in found.results.items()}
        kept_from, files = least_kept(found.results), _written(found, output)
        rows = [] if found.bands is None else band_rows(found.bands)
        print_json({"example": found.example.name, "bands": rows, "results": results,
                    "least_fraction_kept": kept_from, "files": files})  # fmt: skip
        return
    console = result_console()
    model, note = explained.provenance["model"], f" ({found.scene.note})" if found.scene.note else ""
    print_line(console, f"The {found.scene.what} {found.example.name!r}, seen by {model}{note}:", style="bold")
    mask = record_of(explained).is_mask
    predictions = ", ".join(f"{label} {p:.3f}" for label, p in explained.top_predictions[:3])
    print_line(console, f"prediction{' (fractions of all places)' if mask else ''}: {predictions}")
    if found.example.truth:
        print_line(console, f"in truth: {found.example.truth}")
    if found.bands is not None:
        print_line(console, "Which bands affect the prediction?", style="bold")
        show_band_table(found.bands, band_rows(found.bands))
        print_line(console, "Which single frequencies?", style="bold")
    print_line(console, f"{CURVE_TITLE}:")
    console.print(curve_table(found.results))
    kept = f"keeps the mask (Dice of at least {SAME_MASK:g})" if mask else "keeps the decision"
    for method, least in least_kept(found.results).items():
        control = " (a control: it ranks without using the model)" if is_control(method) else ""
        words = f"from the top {100 * least:g} % on" if least is not None else _not_kept(found.results[method])
        print_line(console, f"{method}{control} {kept} {words}")
    for method, result in found.results.items():
        if not is_control(method):
            overlap = overlap_text(result.magnitude_overlap(), method)
            print_line(console, f"{method} shares with the magnitude ranking {overlap}")
    for remark in explained.provenance.get("notes", []):
        print_line(console, f"note: {remark}", style="yellow")
    print_line(console, cost_text(explained.provenance))
    print_files(_written(found, output))


def _written(found: Demo, output: Path) -> dict[str, Any]:
    """The files of the explanation, and the figure of all rankings beside each other."""
    from hf_fourier.report.figures.comparison import plot_comparison

    written = write(found.results[METHOD], output)
    if "figure" in written:
        plot_comparison(found.results, output / "comparison.png")
        written["comparison"] = str(output / "comparison.png")
        if found.bands is not None:
            found.bands.plot(output / "bands.png")
            written["bands"] = str(output / "bands.png")
    return written


def _not_kept(result: Attribution) -> str:
    """In words: kept at some fractions but not at the largest, or at none."""
    from hf_fourier.report.example_record import record_of

    record = record_of(result)
    kept = any(record.holds(point) for point in record.points("keep"))
    return "at some of these fractions, but not at the largest" if kept else "at none of these fractions"
