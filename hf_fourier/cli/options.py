"""Options, each declared once, and the one way from them to the commands: by name, through `command`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from hf_fourier.cli.console import report_errors
from hf_fourier.registry import DEFAULT_METHOD

Model = Annotated[str, typer.Argument(help="A Hub id or a folder.", show_default=False)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files: pictures, sounds (.wav .flac .ogg .mp3), volumes (.nii .nii.gz .npy), cells (.h5ad .loom "
        ".zarr .dataset .json); or texts and proteins as they are; '-' alone reads one text per line from standard "
        "input.",
        show_default=False,
    ),
]
DataSet = Annotated[
    str,
    typer.Argument(
        help="A folder of pictures, sounds, volumes or cells; a .parquet, .csv, .json(l), .txt or .h5ad file; or a "
        "Hub id.",
        show_default=False,
    ),
]
TargetText = Annotated[
    str | None,
    typer.Option(
        help="A label or class index; or at:3, at:Paris=LOC, span:4-6, 'continuation: Paris', "
        "'contrast: Paris| London', direction:vector.npy@0.5, region:mask.npy.",
        show_default="the predicted class",
    ),
]
Method = Annotated[str, typer.Option(help="A method; see `hf-fourier methods`.")]
Methods = Annotated[
    list[str], typer.Option("--method", help="A method; see `hf-fourier methods`. More than once for several.")
]
Domain = Annotated[str | None, typer.Option(help="A domain; see `hf-fourier domains`.", show_default="fourier")]
Domains = Annotated[
    list[str] | None,
    typer.Option(
        "--domain", help="A domain; see `hf-fourier domains`. More than once for several.", show_default="fourier"
    ),
]
Bands = Annotated[
    str,
    typer.Option(
        help="octave, third-octave, mel, eeg, each with a number behind it if you like (octave-10); a number of equal "
        "bands; or edges, '0-200,200-4000'.",
    ),
]
Column = Annotated[list[str] | None, typer.Option(help="The column of the examples; twice for pairs.")]
Split = Annotated[str | None, typer.Option(help="The split, where there are several.")]
Contributions = Annotated[
    int | None,
    typer.Option(
        help="Points on the path from each reference for what speaks for or against the answer, such as 4; 0 for none.",
        show_default="the method's",
        min=0,
    ),
]
Replacement = Annotated[
    str,
    typer.Option(
        help="What stands in the place of deleted features along curves: zero; noise of their power; phase, scrambled; "
        "reference, such as silence; example, another of the inputs.",
    ),
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Rows = Annotated[str, typer.Option(help="Rows in a batch, at most, or auto.")]
Pair = Annotated[
    bool, typer.Option("--pair", help="Take the texts two by two (on standard input: with a tab between).")
]
Cells = Annotated[
    str | None,
    typer.Option(
        help="Which cells of a file that holds many: names or numbers with commas between, 0:20, or all.",
        show_default="the first 8",
    ),
]
WithInputs = Annotated[
    bool, typer.Option("--include-inputs", help="Show the examples too: a rebuilt example is the example.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Options of `FourierExplainer.from_pretrained`, by its names."""

    task: Annotated[str | None, typer.Option(help="The head, by its pipeline's name; by default the checkpoint's.")] = (
        None
    )
    subfolder: Annotated[str | None, typer.Option(help="Where in MODEL the checkpoint lies.")] = None
    revision: Annotated[str | None, typer.Option(help="A branch, a tag or a commit of MODEL.")] = None
    signal: Annotated[
        str | None,
        typer.Option(help="waveform: explain a model that reads log-mel at the samples in front of it, in Hz."),
    ] = None
    dither: Annotated[
        float,
        typer.Option(
            help="Noise added to what the model reads, relative to the largest entry, where digital silence has no "
            "gradient: 1e-6.",
            min=0.0,
        ),
    ] = 0.0
    device: Annotated[str | None, typer.Option(help="Where the model runs, such as cuda:0.")] = None
    dtype: Annotated[str | None, typer.Option(help="The weights' type, such as bfloat16.")] = None
    device_map: Annotated[
        str | None, typer.Option(help="Spread a model that is too large over devices: auto. In place of --device.")
    ] = None
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code from MODEL's repository.")
    ] = False

    dictionaries: Annotated[
        str | None, typer.Option(help="Where the gene dictionaries of a Geneformer are: ctheodoris/Geneformer.")
    ] = None

    def arguments(self) -> dict[str, Any]:
        """The options by the names of `from_pretrained`."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """The options of `hf-fourier explain`."""

    model: Model
    inputs: Inputs
    target: TargetText = None
    method: Method = DEFAULT_METHOD
    domain: Domain = None
    contributions: Contributions = None
    fraction: Annotated[
        str, typer.Option(help="Fractions of features to keep, and to delete, for the perturbation curve.")
    ] = ".01,.02,.04,.1,.3"
    replacement: Replacement = "zero"
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures and results.", show_default="./hf-fourier-MODEL")
    ] = None
    pair: Pair = False
    cells: Cells = None
    seconds: Annotated[
        float | None,
        typer.Option(help="Of a segment of a long recording.", show_default="the model's window, or 10"),
    ] = None
    overlap: Annotated[
        float | None, typer.Option(help="The fraction of a segment that overlaps the next.", show_default="0.25")
    ] = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class BandsRequest:
    """The options of `hf-fourier bands`."""

    model: Model
    inputs: Inputs
    bands: Bands = "octave"
    target: TargetText = None
    method: Annotated[str, typer.Option(help="shapley, occlusion, random_masks, or any other method.")] = "shapley"
    domain: Annotated[str | None, typer.Option(help="A domain with bands of its own, such as wavelet:bands=level.")] = (
        None
    )
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures and results.", show_default="./hf-fourier-bands-MODEL")
    ] = None
    pair: Pair = False
    cells: Cells = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class SpectrumRequest:
    """The options of `hf-fourier spectrum`."""

    model: Model
    dataset: DataSet
    output: Annotated[Path, typer.Option(help="The run's folder; the same command goes on with what is there.")]
    bands: Bands = "octave"
    by: Annotated[
        str | None, typer.Option(help="What is drawn apart: a column, folder (of each file), or prediction.")
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(help="The true classes: a column, or folder.", show_default="--by, where it names classes"),
    ] = None
    clusters: Annotated[
        str | None, typer.Option(help="A column: examples with one value (a speaker, a patient) are not independent.")
    ] = None
    column: Column = None
    split: Split = None
    method: Annotated[str, typer.Option(help="Other settings, such as filters:replacement=noise.")] = "filters"
    domain: Annotated[str | None, typer.Option(help="A domain with bands of its own, such as wavelet:bands=level.")] = (
        None
    )
    seed: Seed = 0
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The options of `hf-fourier explain-dataset`."""

    model: Model
    dataset: DataSet
    output: Annotated[Path, typer.Option(help="The run's folder; the same command goes on with what is there.")]
    target: TargetText = None
    column: Column = None
    split: Split = None
    streaming: Annotated[bool, typer.Option("--streaming", help="Stream a Hub id, and do not fetch it first.")] = False
    method: Method = DEFAULT_METHOD
    domain: Domain = None
    contributions: Contributions = None
    fraction: Annotated[
        str | None, typer.Option(help="Fractions of features to keep and to delete, such as .01,.04; none by default.")
    ] = None
    replacement: Replacement = "zero"
    store: Annotated[str, typer.Option(help="everything, scores, genes (of cells), top, or auto: what fits.")] = "auto"
    budget: Annotated[str, typer.Option(help="What the results may take on disk.")] = "20GB"
    chunk: Annotated[
        int | None, typer.Option(help="Examples in a chunk, which a stop costs at most.", show_default="by size")
    ] = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    processes: Annotated[int | None, typer.Option(help="Start so many processes on this machine.")] = None
    threads: Annotated[
        int | None,
        typer.Option(
            help="Of torch, in each process.", show_default="torch's choice, or a share of the cores", min=1, max=4096
        ),
    ] = None
    plan: Annotated[bool, typer.Option("--plan", help="Only estimate time, memory and disk.")] = False
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class SanityRequest:
    """The options of `hf-fourier sanity-check`."""

    model: Model
    inputs: Inputs
    methods: Methods = field(default_factory=lambda: [DEFAULT_METHOD])
    domains: Domains = None
    target: TargetText = None
    pair: Pair = False
    cells: Cells = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    output: Annotated[Path | None, typer.Option(help="A CSV file for the table.")] = None
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(SanityRequest):
    """The options of `hf-fourier evaluate`."""

    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="dig, selectivity, maintain_rate, …; more than once for several.",
            show_default="the head's",
        ),
    ] = None
    replacement: Replacement = "zero"


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """The options of `hf-fourier report`."""

    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULTS]...",
            help="Folders that `explain`, `bands`, `explain-dataset` or `Attribution.save` wrote, of one model.",
            show_default=False,
        ),
    ] = None
    spectrum: Annotated[
        Path | None, typer.Option(help="The folder (or file) of the same model that `spectrum` wrote.")
    ] = None
    output: Annotated[Path, typer.Option(help="A folder that is new, empty, or an earlier report.")]
    include_inputs: WithInputs = False
    title: Annotated[str | None, typer.Option(help="By default it names the model.", show_default=False)] = None
    max_examples: Annotated[int, typer.Option(min=1, help="Results of each folder, at most.")] = 50
    figures: Annotated[
        bool, typer.Option("--figures", help="With inputs also a figure of each example, light and dark.")
    ] = False
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """The options of `hf-fourier push`."""

    report: Annotated[Path, typer.Argument(help="A folder that `Report.save` wrote.", show_default=False)]
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[USER/NAME]", help="The data set (or Space) on the Hub.", show_default=False),
    ] = None
    space: Annotated[bool, typer.Option("--space", help="A static Space that shows the page.")] = False
    include_inputs: WithInputs = False
    public: Annotated[bool, typer.Option("--public", help="For everybody; otherwise the repository is private.")] = (
        False
    )
    license: Annotated[str | None, typer.Option(help="By the Hub's identifier, such as cc-by-4.0.")] = None
    model_card: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Open a pull request on this model's card.")
    ] = None
    dataset: Annotated[str | None, typer.Option(help="What the examples were, for the model's card.")] = None
    dataset_id: Annotated[
        str | None, typer.Option(help="The id of that data set on the Hub.", show_default="custom")
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be written; no network.")] = False
    as_json: Json = False


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command, every field of the dataclasses that it takes being an option of that name.

    Every command has `--debug`; without it, this library's errors are one message.

    Args:
        app: Where it is registered.
        name: What is typed; by default the function's name.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        taken = {name: (hints[name], p.default) for name, p in inspect.signature(function).parameters.items()}

        @wraps(function)
        def typed(*, debug: bool, **given: Any) -> None:
            with report_errors(debug):
                function(**{name: _value(name, kind, given) for name, (kind, _) in taken.items()})

        options = [option for name, (kind, default) in taken.items() for option in _options(name, kind, default)]
        options.append(_option("debug", Debug, False))
        callback: Any = typed  # Typer reads the options off it
        del callback.__wrapped__
        callback.__signature__ = inspect.Signature(options)
        callback.__annotations__ = {option.name: option.annotation for option in options}
        app.command(name)(typed)
        return typed

    return register


def _options(name: str, kind: Any, default: Any) -> Iterator[inspect.Parameter]:
    if not is_dataclass(kind):
        yield _option(name, kind, default)
        return
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        yield from _options(one.name, hints[one.name], _default(one))


def _option(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return inspect.Parameter.empty if one.default is MISSING else one.default


def _value(name: str, kind: Any, given: Mapping[str, Any]) -> Any:
    """What a command takes under a name: an option's value, or a dataclass of several."""
    if not isinstance(kind, type) or not is_dataclass(kind):
        return given[name]
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{one.name: _value(one.name, hints[one.name], given) for one in fields(kind)})
