"""The commands and their options. What they do lies in the modules that they import when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hf_fourier.cli.show import reported
from hf_fourier.cli.teaching import teach

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

Model = Annotated[str, typer.Argument(help="A Hub id or a folder.", show_default=False)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files: pictures, sounds (.wav .flac .ogg .mp3), volumes (.nii .nii.gz .npy), cells (.h5ad .dataset "
        ".json); or texts and proteins as they are; '-' alone reads one text per line from standard input.",
    ),
]
Aimed = Annotated[
    str | None,
    typer.Option(
        help="A label or class index; or at:3, at:Paris=LOC, span:4-6, 'continuation: Paris', "
        "'contrast: Paris| London', direction:vector.npy@0.5, region:mask.npy.",
        show_default="what the model says",
    ),
]
Head = Annotated[str | None, typer.Option(help="The head, by its pipeline's name; by default the checkpoint's.")]
Subfolder = Annotated[str | None, typer.Option(help="Where in MODEL the checkpoint lies.")]
Revision = Annotated[str | None, typer.Option(help="A branch, a tag or a commit of MODEL.")]
Leaf = Annotated[
    str | None,
    typer.Option(help="waveform: explain a model that reads log-mel at the samples in front of it, in Hz."),
]
Seconds = Annotated[
    float | None,
    typer.Option(help="Of a segment of a long recording.", show_default="the model's window, or 10"),
]
Overlap = Annotated[float, typer.Option(help="The share of a segment that overlaps the next.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Device = Annotated[str | None, typer.Option(help="Where the model runs, such as cuda:0.")]
Dtype = Annotated[str | None, typer.Option(help="The weights' type, such as bfloat16.")]
Rows = Annotated[str, typer.Option(help="Rows in a batch, at most, or auto.")]
Pair = Annotated[
    bool, typer.Option("--pair", help="Take the texts two by two (on standard input: with a tab between).")
]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run code from MODEL's repository.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Methods = Annotated[
    list[str], typer.Option("--method", help="A method; see `hf-fourier methods`. More than once for several.")
]
Domains = Annotated[
    list[str] | None, typer.Option("--domain", help="A domain; see `hf-fourier domains`.", show_default="fourier")
]
Csv = Annotated[Path | None, typer.Option(help="A CSV file for the tidy table.")]
Cells = Annotated[
    str | None,
    typer.Option(
        help="Which cells of a file that holds many: names or numbers with commas between, 0:20, or all.",
        show_default="the first 8",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


@app.command()
def explain(
    model: Model,
    inputs: Inputs,
    target: Aimed = None,
    method: Annotated[str, typer.Option(help="A method; see `hf-fourier methods`.")] = "ffc",
    domain: Annotated[
        str | None, typer.Option(help="A domain; see `hf-fourier domains`.", show_default="fourier")
    ] = None,
    task: Head = None,
    subfolder: Subfolder = None,
    revision: Revision = None,
    leaf: Leaf = None,
    seed: Seed = 0,
    keep: Annotated[
        str, typer.Option(help="Shares of features to keep, and to delete, and ask the model again.")
    ] = ".01,.02,.04,.1,.3",
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures and results.", show_default="./hf-fourier-MODEL")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    batch_size: Rows = "auto",
    pair: Pair = False,
    cells: Cells = None,
    seconds: Seconds = None,
    overlap: Overlap = 0.25,
    trust_remote_code: Trust = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Explain what MODEL says to each INPUT: a table, a figure, a folder with the result, of sounds also WAV files.

    Of cells there is a table of their genes as well, genes.csv. A sound that is longer than the model's window is
    explained in segments, with one merged answer.
    """
    with reported(debug):
        from hf_fourier.cli.run import Wish, run

        loading = _loading(task, subfolder, revision, leaf, device, dtype, trust_remote_code)
        chosen = (model, inputs, pair, target, method, domain, seed, keep, batch_size, output, as_json, loading)
        run(Wish(*chosen, cells, seconds, overlap))


@app.command("run")
def run_dataset(
    model: Model,
    dataset: Annotated[
        str,
        typer.Argument(
            help="A folder of pictures, sounds, volumes or cells; a .parquet, .csv, .json(l), .txt or .h5ad file; or a "
            "Hub id.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="The run's folder; the same command goes on with what is there.")],
    target: Aimed = None,
    column: Annotated[list[str] | None, typer.Option(help="The column of the examples; twice for pairs.")] = None,
    split: Annotated[str | None, typer.Option(help="The split, where there are several.")] = None,
    streaming: Annotated[bool, typer.Option("--streaming", help="Stream a Hub id, and do not fetch it first.")] = False,
    method: Annotated[str, typer.Option(help="A method; see `hf-fourier methods`.")] = "ffc",
    domain: Annotated[
        str | None, typer.Option(help="A domain; see `hf-fourier domains`.", show_default="fourier")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Shares of features to keep and to delete, such as .01,.04; none by default.")
    ] = None,
    store: Annotated[
        str, typer.Option(help="everything, scores, top, or auto: as much as the budget allows.")
    ] = "auto",
    budget: Annotated[str, typer.Option(help="What the results may take on disk.")] = "20GB",
    chunk: Annotated[
        int | None, typer.Option(help="Examples in a chunk, which a stop costs at most.", show_default="by size")
    ] = None,
    task: Head = None,
    subfolder: Subfolder = None,
    revision: Revision = None,
    seed: Seed = 0,
    device: Device = None,
    dtype: Dtype = None,
    device_map: Annotated[str | None, typer.Option(help="Spread a model that is too large over devices: auto.")] = None,
    batch_size: Rows = "auto",
    processes: Annotated[int | None, typer.Option(help="Start so many processes on this machine.")] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Of torch, in each process.", show_default="torch's choice, or a share of the cores"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would take.")] = False,
    leaf: Leaf = None,
    trust_remote_code: Trust = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Explain a whole data set into a folder, going on where it was stopped. Under torchrun, processes share it."""
    with reported(debug):
        from hf_fourier.cli.dataset import Order, run

        loading = _loading(task, subfolder, revision, device, dtype, leaf, trust_remote_code) | {
            "device_map": device_map
        }
        options = {
            "target": target,
            "column": column[0] if column and len(column) == 1 else column,
            "split": split,
            "streaming": streaming,
            "store": store,
            "budget": budget,
            "chunk": chunk,
            "seed": seed,
        }
        how = (batch_size, processes, threads, plan, options, loading, as_json)
        run(Order(model, dataset, output, method, domain, keep, *how))


@app.command()
def evaluate(
    model: Model,
    inputs: Inputs,
    method: Methods = ["ffc"],  # noqa: B006 (Typer reads it, nobody changes it)
    domain: Domains = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="dig, selectivity, maintain_rate, …; more than once for several.",
            show_default="the head's",
        ),
    ] = None,
    target: Aimed = None,
    task: Head = None,
    subfolder: Subfolder = None,
    revision: Revision = None,
    leaf: Leaf = None,
    seed: Seed = 0,
    output: Csv = None,
    device: Device = None,
    dtype: Dtype = None,
    batch_size: Rows = "auto",
    pair: Pair = False,
    trust_remote_code: Trust = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Hold methods against each other and the controls on all INPUTs: means, and gaps to the magnitude ranking."""
    with reported(debug):
        from hf_fourier.cli.study import Study, run_evaluate

        loading = _loading(task, subfolder, revision, leaf, device, dtype, trust_remote_code)
        chosen = (method, domain or [], metric or [])
        run_evaluate(Study(model, inputs, pair, target, *chosen, seed, batch_size, output, as_json, loading))


@app.command()
def sanity(
    model: Model,
    inputs: Inputs,
    method: Methods = ["ffc"],  # noqa: B006 (Typer reads it, nobody changes it)
    domain: Domains = None,
    target: Aimed = None,
    task: Head = None,
    subfolder: Subfolder = None,
    revision: Revision = None,
    leaf: Leaf = None,
    seed: Seed = 0,
    output: Csv = None,
    device: Device = None,
    dtype: Dtype = None,
    batch_size: Rows = "auto",
    pair: Pair = False,
    trust_remote_code: Trust = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a method on MODEL with all INPUTs: fresh weights, wrong labels, batches, seeds, controls. 1 if it fails."""
    with reported(debug):
        from hf_fourier.cli.study import Study, run_sanity

        loading = _loading(task, subfolder, revision, leaf, device, dtype, trust_remote_code)
        places = domain or []
        run_sanity(Study(model, inputs, pair, target, method, places, [], seed, batch_size, output, as_json, loading))


def _loading(
    task: str | None,
    subfolder: str | None,
    revision: str | None,
    leaf: str | None,
    device: str | None,
    dtype: str | None,
    trust_remote_code: bool,
) -> dict[str, Any]:
    """What `from_pretrained` is told beside the model."""
    return {
        "task": task,
        "subfolder": subfolder,
        "revision": revision,
        "leaf": leaf,
        "device": device,
        "dtype": dtype,
        "trust_remote_code": trust_remote_code,
    }


@app.command()
def coverage(
    architecture: Annotated[
        str | None, typer.Argument(metavar="[MODEL_TYPE]", help="As `model_type` in config.json has it.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="One head alone, by its pipeline's name.")] = None,
    run: Annotated[bool, typer.Option("--run", help="Check it now, on small models with random weights.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show which architectures of `transformers` were explained with which heads, and why others were not."""
    with reported(debug):
        from hf_fourier.cli.coverage import show_coverage

        show_coverage(architecture, task, run, as_json)


@app.command()
def methods(as_json: Json = False, debug: Debug = False) -> None:
    """List the methods: parameters with their defaults, model passes, source."""
    with reported(debug):
        from hf_fourier.cli.registries import show_methods

        show_methods(as_json)


@app.command()
def domains(as_json: Json = False, debug: Debug = False) -> None:
    """List the domains: parameters with their defaults, source."""
    with reported(debug):
        from hf_fourier.cli.registries import show_domains

        show_domains(as_json)


@app.command()
def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Folders that `hf-fourier explain`, `hf-fourier run` or `Attribution.save` wrote, of one model.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="A folder that is new, empty, or an earlier report.")],
    include_inputs: Annotated[
        bool, typer.Option("--include-inputs", help="Show the examples, to look at here: a rebuilt one is the example.")
    ] = False,
    title: Annotated[str | None, typer.Option(help="By default it names the model.", show_default=False)] = None,
    most: Annotated[int, typer.Option(min=1, help="Results of each folder, at most.")] = 50,
    figures: Annotated[
        bool, typer.Option("--figures", help="With inputs also a figure of each example, light and dark.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a report of saved RESULTS: a page, tables and figures. Asks no model.

    Without --include-inputs nothing is written that an example can be worked out from.
    """
    with reported(debug):
        from hf_fourier.cli.reporting import write_report

        write_report(results, output, include_inputs, title, most, figures, as_json)


@app.command()
def push(
    report: Annotated[Path, typer.Argument(help="A folder that `Report.save` wrote.", show_default=False)],
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[USER/NAME]", help="The data set (or Space) on the Hub.", show_default=False),
    ] = None,
    space: Annotated[bool, typer.Option("--space", help="A static Space that shows the page.")] = False,
    include_inputs: Annotated[
        bool, typer.Option("--include-inputs", help="Share the examples too: a rebuilt example is the example.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="For everybody; otherwise the repository is private.")
    ] = False,
    licence: Annotated[str | None, typer.Option(help="By the Hub's identifier, such as cc-by-4.0.")] = None,
    model_card: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Open a pull request on this model's card.")
    ] = None,
    data_set: Annotated[str | None, typer.Option(help="What the examples were, for the model's card.")] = None,
    data_set_id: Annotated[str, typer.Option(help="The id of that data set on the Hub.")] = "custom",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be written; no network.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Push REPORT to the Hub as a private data set or a Space, or propose it to a model's card.

    Who you are is read from `hf auth login` or HF_TOKEN. Without --include-inputs no example is written, only
    confidences, curves, bands and aggregates.
    """
    with reported(debug):
        from hf_fourier.cli.share import Parcel, send

        sharing = (space, include_inputs, not public, licence)
        send(Parcel(report, repo, *sharing, model_card, data_set, data_set_id, dry_run, as_json))


@app.command()
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
    debug: Debug = False,
) -> None:
    """Explain a real model's view of a real example, beside controls. Needs no model hub and no account."""
    with reported(debug):
        from hf_fourier.cli.demonstration import demonstrate

        demonstrate(name, example, output or Path("hf-fourier-demo") / name, as_json)


@assets_app.command("list")
def list_assets(as_json: Json = False, debug: Debug = False) -> None:
    """What there is, how large, under which licence, and whether it is here already."""
    with reported(debug):
        from hf_fourier.cli.registries import show_assets

        show_assets(as_json)


@assets_app.command("get")
def get_assets(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that can be had on this machine.")] = False,
    debug: Debug = False,
) -> None:
    """Fetch, check and convert; prints the folder of each on standard output."""
    with reported(debug):
        from hf_fourier.cli.registries import fetch

        fetch(names or [], everything)


teach(app)
