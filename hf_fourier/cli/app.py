"""The commands of the shell: each imports the module that does its work. Options are declared in `options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_fourier.cli.help_text import add_help
from hf_fourier.cli.options import (
    BandsRequest,
    EvaluateRequest,
    ExplainRequest,
    Json,
    PushRequest,
    ReportRequest,
    RunRequest,
    SanityRequest,
    SpectrumRequest,
    command,
)

app = typer.Typer(
    name="hf-fourier",
    help="Explain the predictions of Hugging Face models by the frequencies of what they read.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
assets_app = typer.Typer(
    help="Real models and data that need no model hub: list them, fetch them.", no_args_is_help=True
)
app.add_typer(assets_app, name="assets")


@command(app)
def explain(request: ExplainRequest) -> None:
    """Explain MODEL's prediction for each INPUT: a table, a figure, a folder with the result, of sounds also WAV files.

    Of cells there is a table of their genes as well, genes.csv. A sound that is longer than the model's window is
    explained in segments, with one merged answer.
    """
    from hf_fourier.cli.explain import run

    run(request)


@command(app)
def bands(request: BandsRequest) -> None:
    """Ask which bands of frequencies decide MODEL's prediction for each INPUT; needs no gradient. Sounds are in Hz."""
    from hf_fourier.cli.bands import run_bands

    run_bands(request)


@command(app)
def spectrum(request: SpectrumRequest) -> None:
    """Show which bands MODEL needs over a data set: accuracy under filters and noise, and what each band is worth."""
    from hf_fourier.cli.bands import run_spectrum

    run_spectrum(request)


@command(app, "explain-dataset")
def run_dataset(request: RunRequest) -> None:
    """Explain a whole data set into a folder, going on where it was stopped. Under torchrun, processes share it."""
    from hf_fourier.cli.run import run

    run(request)


@command(app)
def evaluate(request: EvaluateRequest) -> None:
    """Compare methods with each other and the controls on all INPUTs: means, and gaps to the magnitude ranking."""
    from hf_fourier.cli.evaluate import run_evaluate

    run_evaluate(request)


@command(app, "sanity-check")
def sanity_check(request: SanityRequest) -> None:
    """Check a method on MODEL with all INPUTs: fresh weights, wrong labels, batches, seeds, controls. 1 if it fails."""
    from hf_fourier.cli.evaluate import run_sanity

    run_sanity(request)


@command(app, "models")
def models(
    architecture: Annotated[
        str | None, typer.Argument(metavar="[MODEL_TYPE]", help="As `model_type` in config.json has it.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="One head alone, by its pipeline's name.")] = None,
    as_json: Json = False,
) -> None:
    """Show which architectures of `transformers` were explained with which heads, and why others were not."""
    from hf_fourier.cli.supported_models import show_coverage

    show_coverage(architecture=architecture, task=task, as_json=as_json)


@command(app)
def methods(as_json: Json = False) -> None:
    """List the methods: parameters with their defaults, model passes, source."""
    from hf_fourier.cli.list import show_methods

    show_methods(as_json)


@command(app)
def domains(as_json: Json = False) -> None:
    """List the domains: parameters with their defaults, source."""
    from hf_fourier.cli.list import show_domains

    show_domains(as_json)


@command(app)
def report(request: ReportRequest) -> None:
    """Make a report of saved RESULTS: a page, tables and figures. Runs no model.

    Without --include-inputs nothing is written that an example can be worked out from.
    """
    from hf_fourier.cli.report import write_report

    write_report(request)


@command(app)
def push(request: PushRequest) -> None:
    """Push REPORT to the Hub as a private data set or a Space, or propose it to a model's card.

    Who you are is read from `hf auth login` or HF_TOKEN. Without --include-inputs no example is written, only
    confidences, curves, bands and aggregates.
    """
    from hf_fourier.cli.push import send

    send(request)


@command(app)
def demo(
    name: Annotated[
        str, typer.Argument(help="One of picture, text, sound, waveform, protein, cell, mri.", metavar="[NAME]")
    ] = "picture",
    example: Annotated[
        str | None, typer.Option(help="Which of the examples that come with it; by default the first.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for all that is written.", show_default="./hf-fourier-demo/NAME")
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a real model's prediction for a real example, beside controls. Needs no model hub and no account."""
    from hf_fourier.cli.demo import run_demo

    run_demo(name=name, example=example, output=output or Path("hf-fourier-demo") / name, as_json=as_json)


@command(assets_app, "list")
def list_assets(as_json: Json = False) -> None:
    """List models and data: size, license, and whether they are here already."""
    from hf_fourier.cli.list import show_assets

    show_assets(as_json)


@command(assets_app, "get")
def get_assets(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="See `hf-fourier assets list`.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that can be had on this machine.")] = False,
) -> None:
    """Fetch, check and convert; prints the folder of each on standard output."""
    from hf_fourier.cli.list import fetch

    fetch(names or [], everything)


add_help(app)
