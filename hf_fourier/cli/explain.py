"""`hf-fourier explain`: explains files and texts, and writes and prints results, figures and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.cli import explain_recording
from hf_fourier.cli.console import (
    drawn,
    parse_batch_size,
    parse_fractions,
    print_json,
    print_line,
    print_name,
    progress,
    quiet_loading,
    result_console,
    table,
    writable,
    writing,
)
from hf_fourier.cli.inputs import chromosome, read, slug
from hf_fourier.cli.options import ExplainRequest, LoadOptions
from hf_fourier.cli.targets import parse_targets
from hf_fourier.results.remarks import IN_PLACE
from hf_fourier.results.table import table_of
from hf_fourier.scoring.replacements import checked_replacement

if TYPE_CHECKING:
    from hf_fourier.explainer import FourierExplainer
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.curve import CurvePoint
    from hf_fourier.runs.recording import Recording

TOP = 10
CURVE_TITLE = "The model's prediction when only the top features are kept, and when they are deleted"


def run(request: ExplainRequest) -> None:
    """Explain, perturb, write and print.

    Raises:
        FourierError: If something that was typed cannot be explained.
    """
    fractions, size = parse_fractions(request.fraction), parse_batch_size(request.batch_size)
    replacement = checked_replacement(request.replacement)
    explain_recording.check(request.seconds, request.overlap)
    folder = writable(request.output or Path(f"hf-fourier-{slug(Path(request.model).name)}"))
    target = None if request.target is None else parse_targets(request.target)
    names, examples = read(request.inputs, request.pair, request.cells)
    explain_recording.check_sounds(examples, request.seconds, request.overlap)
    explainer = load(request.model, [request.method], [request.domain] if request.domain else [], request.loading)
    options = {"target": target, "seed": request.seed, "batch_size": size}
    places = [folder / (f"{i:03d}-{slug(one)}" if len(names) > 1 else slug(one)) for i, one in enumerate(names, 1)]
    recorded = _recordings(
        explainer, examples, places, request, {**options, "fractions": fractions, "replacement": replacement}
    )
    clips = [i for i in range(len(examples)) if i not in recorded]
    results: dict[int, Attribution] = {}
    if clips:
        with progress("explaining") as update:
            points = request.contributions
            done = explainer.explain([examples[i] for i in clips], contributions=points, **options, progress=update)
            results = dict(zip(clips, done, strict=True))
        with progress("perturbing the examples"):
            if replacement == "example":
                explainer.donors = [examples[i] for i in clips]
            explainer.perturb(list(results.values()), fractions, replacement=replacement, batch_size=size)
    records = []
    for i, (name, place) in enumerate(zip(names, places, strict=True)):
        if i in recorded:
            with writing(place):
                written = explain_recording.write(recorded[i], place)
            records.append({"input": name, **explain_recording.record(recorded[i]), "files": written})
        else:
            written = write(results[i], place, name)
            records.append({"input": name, **as_record(results[i]), "files": written})
        if request.as_json:
            continue
        if i in recorded:
            explain_recording.show(name, recorded[i], written)
        else:
            print_result(name, results[i], written)
    cells = {names[i]: result for i, result in results.items() if is_cell(result)}
    if len(cells) > 1:
        path = write_genes(cells, folder / "genes.csv")
        if not request.as_json:
            print_line(result_console(), f"\ngenes of all {len(cells)} cells: {path}", style="bold")
    if request.as_json:
        print_json({"model": explainer.name, "results": records})


def _recordings(
    explainer: FourierExplainer,
    examples: Sequence[Any],
    places: Sequence[Path],
    request: ExplainRequest,
    options: Mapping[str, Any],
) -> dict[int, Recording]:
    """The inputs that are longer than the model takes at once, explained in segments, by their places in the list."""
    overlap = explain_recording.OVERLAP if request.overlap is None else request.overlap
    cut = {"seconds": request.seconds, "overlap": overlap, "contributions": request.contributions, **options}
    return {
        i: explain_recording.explain_file(explainer, example, places[i], cut)
        for i, example in enumerate(examples)
        if explain_recording.is_recording(explainer, example, request.seconds)
    }


def load(model: str, methods: Sequence[str], domains: Sequence[str], loading: LoadOptions) -> FourierExplainer:
    """The model, its default method and domain the first of each; specs are checked before it is loaded.

    Raises:
        FourierError: If a spec is unknown, or the model cannot be loaded.
    """
    with progress(f"loading {model}"):
        from hf_fourier.demo.models import linknet3d
        from hf_fourier.domains import DOMAINS
        from hf_fourier.explainer import FourierExplainer
        from hf_fourier.methods import METHODS

        for spec in methods:
            METHODS.parse(spec)
        for spec in domains:
            DOMAINS.parse(spec)
        with quiet_loading():
            linknet3d.register()  # a class of this package, which an asset has
            return FourierExplainer.from_pretrained(
                model, method=methods[0], domain=domains[0] if domains else None, **loading.arguments()
            )


def write(result: Attribution, folder: Path, name: str | None = None) -> dict[str, Any]:
    """Save the result, its figure where there is matplotlib, WAV files, tables of genes or bases, tracks of sequences.

    Raises:
        StorageError: If it cannot be written there.
    """
    with writing(folder):
        return _written(result, folder, name)


def _written(result: Attribution, folder: Path, name: str | None) -> dict[str, Any]:
    from hf_fourier.report.audio_files import is_audio, save_clips

    written: dict[str, Any] = {"folder": str(result.save(folder))}
    if is_cell(result):
        written["genes"] = str(write_genes({name or folder.name: result}, folder / "genes.csv"))
    if result.view.kind == "bases":
        written["bases"] = str(result.bases(top_fraction(result)).to_csv(folder / "bases.csv"))
    if result.view.kind == "bases" or result.layout.signal.axes[0].name == "residue":
        track, chrom = result.track(top_fraction(result)), chromosome(name or folder.name)
        written["track"] = str(track.to_bedgraph(folder / "track.bedgraph", chrom))
    written |= drawn(result, folder / "figure.png")
    if is_audio(result):
        written["sounds"] = {name: str(path) for name, path in save_clips(result, folder).items()}
    return written


def is_cell(result: Attribution) -> bool:
    """Whether there is a table of genes."""
    return result.view.kind == "genes"


def top_fraction(result: Attribution) -> float | None:
    """The fraction of features whose relevance is shown; None where all contributions or scores are."""
    from hf_fourier.report.example_record import record_of
    from hf_fourier.results.relevance import of_all

    return None if of_all(result) else record_of(result).displayed_fraction


def write_genes(results: Mapping[str, Attribution], path: Path) -> Path:
    """Genes of cells as CSV: cell name, explained label, fraction of features, and `Attribution.genes`."""
    fractions = {name: top_fraction(result) for name, result in results.items()}
    rows = [
        {"cell": name, "label": result.label, "top_fraction": fractions[name] or 1.0, **row}
        for name, result in results.items()
        for row in result.genes(fractions[name]).rows()
    ]
    return table_of(rows).to_csv(path)


def print_files(written: Mapping[str, Any]) -> None:
    """Print where the result, the sounds with their levels, and the figure lie."""
    console = result_console()
    print_line(console, f"result: {written['folder']}")
    if "genes" in written:
        print_line(console, f"genes: {written['genes']}")
    if "bands" in written:
        print_line(console, f"bands: {written['bands']}")
    if "bases" in written:
        print_line(console, f"bases: {written['bases']}")
    if "track" in written:
        print_line(console, f"track: {written['track']}")
    if "sounds" in written:
        sounds = [f"{path} ({_level(path)})" for path in written["sounds"].values()]
        print_line(console, f"sounds: {', '.join(sounds)}")
    if "comparison" in written:
        print_line(console, f"compared with other rankings: {written['comparison']}")
    if "figure" in written:
        print_line(console, f"figure: {written['figure']}", style="bold")


def as_record(result: Attribution) -> dict[str, Any]:
    """One result as printed with `--json`."""
    target = result.target if isinstance(result.target, (int, list, type(None))) else str(result.target)
    return {
        "label": result.label,
        "target": target,
        "confidence": result.confidence,
        "value": result.value,
        "top_predictions": [[label, p] for label, p in result.top_predictions],
        "top": list(result.top_features(TOP).rows()),
        "magnitude_overlap": result.magnitude_overlap(),
        "curve": None if result.curve is None else result.curve.to_dict(),
        "contributions": None if result.contributions is None else result.contributions.to_parts()[0],
        "provenance": result.provenance,
    }


def print_result(name: str, result: Attribution, written: Mapping[str, Any]) -> None:
    """Print one result: prediction, top features, curve, cost, notes, and where files lie."""
    from hf_fourier.report.example_record import overlap_text, record_of

    console = result_console()
    print_name(console, name)
    print_line(console, f"explained: {result.label} ({number_text(result)})")
    others = ", ".join(f"{label} {p:.3f}" for label, p in result.top_predictions[:5])
    if others:
        print_line(console, f"prediction: {others}")
    top = result.top_features(TOP)
    console.print(table(f"Top features of {len(result.scores)}", list(top.columns), top.formatted(), left=0))
    if result.contributions is not None:
        signed = result.contributions
        total = f"the {signed.quantity} of the target, {signed.total:+.3g} above {signed.against}"
        print_line(console, f"for or against: {total}; contributions sum to {signed.sum:+.3g}")
    if is_cell(result):
        from hf_fourier.results.relevance import default_relevance

        genes, relevance = (
            result.genes(top_fraction(result)),
            default_relevance(result, record_of(result).displayed_fraction),
        )
        title = f"Top genes of {len(genes)} by {relevance.description} ({relevance.sense})"
        console.print(table(title, list(genes.columns), genes.formatted()[:TOP], left=1))
    if result.curve is not None:
        in_place = IN_PLACE[result.curve.replacement]
        print_line(console, f"{CURVE_TITLE}{f' ({in_place})' * bool(in_place)}:")
        console.print(curve_table({"": result}))
    overlap = overlap_text(result.magnitude_overlap(), str(result.provenance["method"]))
    print_line(console, f"shared with the magnitude ranking: {overlap}")
    print_line(console, cost_text(result.provenance))
    for note in result.provenance.get("notes", []):
        print_line(console, f"note: {note}", style="yellow")
    print_files(written)


def curve_table(results: Mapping[str, Attribution]) -> Any:
    """A table of the predictions on kept and deleted fractions, two columns per ranking."""
    from hf_fourier.report.example_record import record_of
    from hf_fourier.report.wording import format_fraction

    records = [record_of(result) for result in results.values()]
    fractions = sorted({point.fraction for r in records if r.curve for point in r.curve.points})
    columns = ["top fraction"]
    for name in results:
        columns += [f"{name} kept".strip(), f"{name} deleted".strip()]
    rows = []
    for fraction in fractions:
        row = [format_fraction(fraction)]
        for record in records:
            row += [_cell(record, record.find("keep", fraction)), _cell(record, record.find("delete", fraction))]
        rows.append(row)
    masks = all(record.is_mask for record in records)
    title = "Dice with the clean mask" if masks else "Confidence (yes: the decision holds)"
    return table(title, columns, rows)


def cost_text(provenance: Mapping[str, Any]) -> str:
    """Passes and seconds in words."""
    passes = provenance.get("passes", {})
    words = [f"{passes[name]:g} {word}" for name, word in _PASSES.items() if passes.get(name)]
    return f"cost: {', '.join(words)}; {provenance.get('seconds', 0.0):.2f} s; method {provenance.get('method')}"


_PASSES = {"forward": "forward", "backward": "backward", "perturbed": "forward to perturb"}


def _cell(record: ExampleRecord, point: CurvePoint | None) -> str:
    if point is None:
        return ""
    if record.is_mask:
        return f"{point.agreement:.3f}"
    holds = "yes" if point.agreement >= 1 else "no" if point.agreement <= 0 else f"{100 * point.agreement:.0f} %"
    return f"{number_text(point)} {holds:>3}"


def number_text(one: Attribution | CurvePoint) -> str:
    """The confidence, or the value where there is none."""
    return f"{one.value:.4g}" if one.confidence is None else f"{one.confidence:.3f}"


def _level(path: str) -> str:
    """A WAV file's mean level, 0 dB being full scale."""
    from scipy.io import wavfile

    samples = wavfile.read(path)[1].astype(float)
    power = float((samples**2).mean()) if samples.size else 0.0
    return f"{10 * math.log10(power):.0f} dB" if power > 0 else "silent"
