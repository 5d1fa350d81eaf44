"""`hf-fourier report`: from folders of saved results to a report, and what was written."""

from __future__ import annotations

from hf_fourier.cli.console import error_console, print_json, print_line, progress, result_console
from hf_fourier.cli.options import ReportRequest


def write_report(reporting: ReportRequest) -> None:
    """Gather, write, and print where to look.

    Raises:
        InputError: If a folder holds no results, they are of several models, or the output holds something else.
    """
    include_inputs = reporting.include_inputs
    with progress("making the report"):
        from hf_fourier.report.collect import collect
        from hf_fourier.report.report import Report

        found = collect(reporting.results, reporting.most)
        report = Report(found.results, found.evaluation, found.sanity, reporting.title, found.names)
        where = report.save(reporting.output, include_inputs)
        if reporting.figures:
            report.figures(where / "figures", include_inputs)
    if reporting.as_json:
        told = {"title": report.title, "examples": len(report), "inputs": include_inputs, "notes": list(found.notes)}
        print_json({**told, "folder": str(where), "page": str(where / "index.html"), "tables": str(where / "data")})
        return
    for note in found.notes:
        print_line(error_console(), f"note: {note}", style="yellow")
    console = result_console()
    print_line(console, f"{report.title}: {len(report)} examples, {'with' if include_inputs else 'without'} inputs")
    if not include_inputs:
        print_line(
            console, "nothing in it shows or gives back what the model read; --include-inputs shows it, to look at here"
        )
    print_line(console, f"tables: {where / 'data'}")
    print_line(console, f"page: {where / 'index.html'}", style="bold")
