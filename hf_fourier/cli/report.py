"""`hf-fourier report`: makes a report of folders of saved results."""

from __future__ import annotations

from hf_fourier.cli.console import error_console, print_json, print_line, progress, result_console
from hf_fourier.cli.share_options import ReportRequest


def write_report(request: ReportRequest) -> None:
    """Collect results, write the report, and print where it lies.

    Raises:
        InputError: If a folder holds no results, they are of several models, or the output holds something else.
    """
    include_inputs = request.include_inputs
    with progress("making the report"):
        from hf_fourier.report.collect import collect, read_spectrum
        from hf_fourier.report.report import Report

        collected = collect(request.results or [], request.max_examples)
        spectrum = collected.spectrum if request.spectrum is None else read_spectrum(request.spectrum)
        report = Report(
            collected.results, collected.evaluation, collected.sanity, request.title, collected.names, spectrum
        )
        where = report.save(request.output, include_inputs)
        if request.figures:
            report.figures(where / "figures", include_inputs)
    if request.as_json:
        print_json({"title": report.title, "examples": len(report), "inputs": include_inputs,
                    "spectrum": 0 if report.spectrum is None else len(report.spectrum),
                    "notes": list(collected.notes), "folder": str(where), "page": str(where / "index.html"),
                    "tables": str(where / "data")})  # fmt: skip
        return
    for note in collected.notes:
        print_line(error_console(), f"note: {note}", style="yellow")
    console = result_console()
    over = "" if report.spectrum is None else f"; the model's spectrum over {len(report.spectrum)} examples"
    inputs = "with" if include_inputs else "without"
    print_line(console, f"{report.title}: {len(report)} examples, {inputs} inputs{over}")
    if not include_inputs:
        print_line(
            console,
            "the report does not show the inputs, and they cannot be reconstructed; --include-inputs shows them",
        )
    print_line(console, f"tables: {where / 'data'}")
    print_line(console, f"page: {where / 'index.html'}", style="bold")
