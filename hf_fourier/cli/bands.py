"""`hf-fourier bands` and `hf-fourier spectrum`: the effect of each band, in one example and over data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.cli.console import (
    drawn,
    error_console,
    parse_batch_size,
    print_json,
    print_line,
    print_name,
    progress,
    result_console,
    table,
    writable,
    writing,
)
from hf_fourier.cli.explain import load, number_text, print_files, write
from hf_fourier.cli.inputs import read, slug
from hf_fourier.cli.options import BandsRequest, LoadOptions, SpectrumRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import ModelError, SpecError
from hf_fourier.report.collect import SPECTRUM

if TYPE_CHECKING:
    from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
    from hf_fourier.explainer import FourierExplainer
    from hf_fourier.results.attribution import Attribution

#: The files of `hf-fourier spectrum`, beside the run's folder.
FILES = {"spectrum": SPECTRUM, "table": "spectrum.csv", "figure": "spectrum.png"}


def run_bands(request: BandsRequest) -> None:
    """Ask about the bands of each input; write and print.

    Raises:
        FourierError: If something that was typed cannot be explained.
    """
    from hf_fourier.domains import DOMAINS

    if request.domain is not None and getattr(DOMAINS.parse(request.domain), "bands", None) is None:
        raise SpecError(f"domain {request.domain!r}", "a domain with bands", "give `bands` too")
    domain, size = request.domain or f"fourier:bands={spec_text(request.bands)}", parse_batch_size(request.batch_size)
    folder = writable(request.output or Path(f"hf-fourier-bands-{slug(Path(request.model).name)}"))
    target = None if request.target is None else parse_targets(request.target)
    names, examples = read(request.inputs, request.pair, request.cells)
    explainer = load_in_hertz(request.model, request.method, domain, request.loading)
    with progress("testing bands") as update:
        results = explainer.explain(examples, target, seed=request.seed, batch_size=size, progress=update)
        for result in results:
            keep_and_delete(explainer, result, size)
    records = []
    for i, (name, result) in enumerate(zip(names, results, strict=True), 1):
        written = write(result, folder / (f"{i:03d}-{slug(name)}" if len(names) > 1 else slug(name)), name)
        rows = band_rows(result)
        records.append({"input": name, "label": result.label, "confidence": result.confidence, "value": result.value,
                        "bands": rows, "provenance": result.provenance, "files": written})  # fmt: skip
        if not request.as_json:
            show_bands(name, result, rows)
            print_files(written)
    if request.as_json:
        print_json({"model": explainer.name, "results": records})


def run_spectrum(request: SpectrumRequest) -> None:
    """Run a data set through the filters; write the spectrum, its table and its figure, and print what was found.

    Raises:
        FourierError: If something that was typed cannot be done.
    """
    from hf_fourier.models.distributed import current
    from hf_fourier.models.inputs.dataset_sources import check_name
    from hf_fourier.runs.options import RunKeywords

    domain = request.domain or f"fourier:bands={spec_text(request.bands)}"
    size = parse_batch_size(request.batch_size)
    check_name(request.dataset)
    writable(request.output)
    explainer = load_in_hertz(request.model, request.method, domain, request.loading)
    column = request.column
    options: RunKeywords = {
        "column": column[0] if column and len(column) == 1 else column,
        "split": request.split,
        "seed": request.seed,
        "batch_size": size,
        "domain": domain,
        "method": request.method,
    }
    spectrum = explainer.spectrum(
        request.dataset, request.by, labels=request.labels, clusters=request.clusters, output_dir=request.output,
        **options,
    )  # fmt: skip
    if not current().first:
        return
    with writing(request.output):
        written = _write_spectrum(spectrum, request.output)
    if request.as_json:
        rows = list(spectrum.table().rows())
        print_json({"model": spectrum.model, "examples": len(spectrum), "failures": spectrum.failures,
                    "summary": spectrum.summary(), "rows": rows, "files": written})  # fmt: skip
        return
    show_spectrum(spectrum)
    for name, path in written.items():
        print_line(result_console(), f"{name}: {path}", style="bold" if name == "figure" else None)
    print_line(result_console(), f"next: hf-fourier report [RESULTS] --spectrum {request.output} --output REPORT")


def load_in_hertz(model: str, method: str, domain: str, loading: LoadOptions) -> FourierExplainer:
    """The model, explained at the waveform where its own input is a spectrogram of it, so that bands are in Hz."""
    explainer = load(model, [method], [domain], loading)
    if loading.signal is None:
        hear_waveform(explainer)
    return explainer


def hear_waveform(explainer: FourierExplainer) -> None:
    """Explain a model of sounds at the waveform, if its front end can be differentiated."""
    if "waveform" in explainer.wrapper.signal_kinds:
        try:
            explainer.wrapper.select_signal("waveform")
        except ModelError:
            explainer.wrapper.select_signal(None)
            words = "bands are modulations of the spectrogram, not Hz: it cannot be computed here from the waveform"
            print_line(error_console(), f"note: {words}", style="yellow")


def keep_and_delete(explainer: FourierExplainer, result: Attribution, batch_size: Any = "auto") -> None:
    """Ask the model about the first bands of the ranking alone, and about what is left without them."""
    count = len(result.layout.bands)
    if count > 1:
        explainer.perturb(result, fractions=[k / count for k in range(1, count)], batch_size=batch_size)


def spec_text(bands: str) -> str:
    """Bands as they are typed, with commas between edges, in the form of specs."""
    return "+".join(part.strip() for part in bands.split(",") if part.strip())


def band_rows(result: Attribution) -> list[dict[str, Any]]:
    """One row per band: its share of the input's power, its score, and what the method found beside it."""
    from hf_fourier.report.band_scores import band_scores_of

    found = band_scores_of(result, shared=False)
    rows = [] if found is None else found.rows()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def show_bands(name: str, result: Attribution, rows: list[dict[str, Any]]) -> None:
    """Print one example's bands, the largest score first."""
    console = result_console()
    print_name(console, name)
    print_line(console, f"explained: {result.label} ({number_text(result)})")
    show_band_table(result, rows)
    for note in result.provenance.get("notes", []):
        print_line(console, f"note: {note}", style="yellow")


def show_band_table(result: Attribution, rows: list[dict[str, Any]]) -> None:
    """Print the bands, the largest score first."""
    from hf_fourier.report.band_wording import ALONE, DELETED

    titles = {"band": "band", "power": "% of power", "score": "score", "standard_error": "± (standard error)",
              "deleted": DELETED, "alone": ALONE}  # fmt: skip
    always = ("band", "power", "score")
    shown = [name for name in titles if name in always or any(row.get(name) for row in rows)]
    if "deleted" in shown and all(row["score"] == row["deleted"] for row in rows):
        shown.remove("score")  # it is the same number
    cells = []
    for row in sorted(rows, key=lambda row: -row["score"]):
        percent = {**row, "power": 100 * row["power"]}
        cells.append([value if isinstance(value := percent[column], str) else f"{value:.3g}" for column in shown])
    title = f"What each band is worth for {result.label!r} ({result.provenance['method']}, in units of the score)"
    result_console().print(table(title, [titles[column] for column in shown], cells, left=1))


def show_spectrum(spectrum: ModelSpectrum) -> None:
    """Print what was found, and the accuracy in each band."""
    console = result_console()
    for line in [repr(spectrum), *spectrum.summary()]:
        print_line(console, line)
    overview = spectrum.overview()
    console.print(table(f"{spectrum.quantity} [%]", list(overview.columns), overview.formatted(), left=1))
    if spectrum.failures:
        print_line(error_console(), f"{spectrum.failures} examples could not be read or explained", style="yellow")


def _write_spectrum(spectrum: ModelSpectrum, folder: Path) -> dict[str, str]:
    """Write the numbers, the table, and the figure where there is matplotlib."""
    written = {"spectrum": str(spectrum.save(folder / FILES["spectrum"]))}
    written["table"] = str(spectrum.table().to_csv(folder / FILES["table"]))
    return written | drawn(spectrum, folder / FILES["figure"])
