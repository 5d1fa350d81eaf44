"""The options of the commands, each declared once, and `command`, which registers a function with its options."""

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

Model = Annotated[str, typer.Argument(help="A Hub id or a local folder.", show_default=False)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files: pictures, sounds (.wav .flac .ogg .mp3 .aiff .opus), volumes (.nii .nii.gz .npy), cells (.h5ad "
        ".loom .zarr .dataset), one cell or a chat (.json); or a text or a protein sequence itself; '-' reads one text "
        "per line from standard input.",
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
        help="What to explain: a label or a class index; the prediction at one token, at:POSITION or "
        "at:POSITION=LABEL (the token itself, or its number, counted from 0 without special tokens); the answer to a "
        "question, span:FIRST-LAST (numbers of tokens); a text that follows, 'continuation: TEXT', or "
        "one rather than another, 'contrast:THIS|OTHER' (a space at the beginning belongs to the text); the "
        "similarity of an embedding to a vector, direction:V.npy or direction:V.npy@0.5 (a threshold: the decision "
        "is the side on which the cosine lies); a part of a mask, region:MASK.npy. "
        "`hf-fourier docs targets` says which models take which.",
        show_default="the predicted class",
    ),
]
METHOD = "The method that ranks the features (frequencies, wavelet coefficients or bands);"
DOMAIN = "The transform that defines the features;"
Method = Annotated[str, typer.Option(help=f"{METHOD} see `hf-fourier methods`.")]
Methods = Annotated[
    list[str],
    typer.Option("--method", help=f"{METHOD} see `hf-fourier methods`. Repeat it for several."),
]
Domain = Annotated[
    str | None,
    typer.Option(help=f"{DOMAIN} see `hf-fourier domains`.", show_default="fourier"),
]
Domains = Annotated[
    list[str] | None,
    typer.Option(
        "--domain",
        help=f"{DOMAIN} see `hf-fourier domains`. Repeat it for several.",
        show_default="fourier",
    ),
]
Bands = Annotated[
    str,
    typer.Option(
        help="octave, third-octave or mel (Hz only), with an optional number of bands (octave-10); eeg (delta to "
        "gamma; Hz only); a number, for that many bands of equal width; or edges, '0-200,200-4000', in Hz, or in "
        "cycles per picture or per token.",
    ),
]
BandDomain = Annotated[
    str | None, typer.Option(help="A transform with its own bands, such as wavelet:bands=level; replaces --bands.")
]
Column = Annotated[list[str] | None, typer.Option(help="The column with the examples; give it twice for pairs.")]
Split = Annotated[str | None, typer.Option(help="The split of the data set, if it has several.")]
Contributions = Annotated[
    int | None,
    typer.Option(
        help="Also compute evidence for and against the target (signed contributions), with this many gradients along "
        "the path from a reference (masked words, silence, a flat picture); 0 for none.",
        show_default="set by the method",
        min=0,
    ),
]
Replacement = Annotated[
    str,
    typer.Option(
        help="What replaces deleted features in perturbation curves: zero; noise of the same power; phase (scrambled "
        "phases); band (scrambled phases, with the power of the surrounding frequencies); "
        "reference (silence, a flat picture, masked words); example (another of the examples; not in "
        "explain-dataset).",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random draws.")]
Rows = Annotated[str, typer.Option(help="Largest number of rows in a batch, or auto.")]
Pair = Annotated[bool, typer.Option("--pair", help="Texts come in pairs: two INPUTs each, or a tab in each line.")]
Cells = Annotated[
    str | None,
    typer.Option(
        help="Cells of a file to read: names or numbers separated by commas, a range such as 0:20, or all.",
        show_default="the first 8",
    ),
]
WithInputs = Annotated[
    bool, typer.Option("--include-inputs", help="Include the examples, and what is kept or deleted of them.")
]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Options of `FourierExplainer.from_pretrained`, by its names."""

    task: Annotated[
        str | None,
        typer.Option(help="The task, by its pipeline name such as text-classification; by default the checkpoint's."),
    ] = None
    subfolder: Annotated[str | None, typer.Option(help="Subfolder of MODEL with the checkpoint.")] = None
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of MODEL.")] = None
    signal: Annotated[
        str | None,
        typer.Option(help="waveform: explain the samples, in Hz, where the model reads log-mel spectrograms."),
    ] = None
    dither: Annotated[
        float,
        typer.Option(
            help="Add noise of this size, relative to the largest entry, to the model's input. Use 1e-6 if the "
            "gradient is not finite where the input is exactly 0, as in digital silence.",
            min=0.0,
        ),
    ] = 0.0
    device: Annotated[str | None, typer.Option(help="Device of the model, such as cuda:0.")] = None
    dtype: Annotated[str | None, typer.Option(help="Type of the weights, such as bfloat16.")] = None
    device_map: Annotated[
        str | None, typer.Option(help="auto: spread a large model over all devices. Replaces --device.")
    ] = None
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Allow code from MODEL's repository to run.")
    ] = False

    dictionaries: Annotated[
        str | None, typer.Option(help="Hub id or folder of Geneformer's dictionaries, such as ctheodoris/Geneformer.")
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
        str, typer.Option(help="Fractions of features to keep and to delete in the perturbation curve.")
    ] = ".01,.02,.04,.1,.3"
    replacement: Replacement = "zero"
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures and results.", show_default="./hf-fourier-MODEL")
    ] = None
    pair: Pair = False
    cells: Cells = None
    seconds: Annotated[
        float | None,
        typer.Option(help="Length of a segment of a long recording, in s.", show_default="the model's window, or 10"),
    ] = None
    overlap: Annotated[
        float | None, typer.Option(help="Fraction of a segment that overlaps the next one.", show_default="0.25")
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
    method: Annotated[
        str, typer.Option(help="shapley, occlusion or random_masks (no gradient), or another of `hf-fourier methods`.")
    ] = "shapley"
    domain: BandDomain = None
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
    output: Annotated[Path, typer.Option(help="Folder of the run. The same command resumes it.")]
    bands: Bands = "octave"
    by: Annotated[
        str | None,
        typer.Option(
            help="Compare groups of examples: a column, the word folder (the name of the file's subfolder), or the "
            "word prediction (the predicted class)."
        ),
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(
            help="The true classes: a column, or the word folder (the name of the file's subfolder).",
            show_default="--by, if all its values are classes of the model",
        ),
    ] = None
    clusters: Annotated[
        str | None, typer.Option(help="A column that marks dependent examples, such as the speaker or patient.")
    ] = None
    column: Column = None
    split: Split = None
    method: Annotated[
        str, typer.Option(help="The method with parameters, such as filters:draws=8; see `hf-fourier methods`.")
    ] = "filters"
    domain: BandDomain = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The options of `hf-fourier explain-dataset`."""

    model: Model
    dataset: DataSet
    output: Annotated[Path, typer.Option(help="Folder of the run. The same command resumes it.")]
    target: TargetText = None
    column: Column = None
    split: Split = None
    streaming: Annotated[bool, typer.Option("--streaming", help="Stream from the Hub instead of downloading.")] = False
    method: Method = DEFAULT_METHOD
    domain: Domain = None
    contributions: Contributions = None
    gene_scores: Annotated[
        str | None,
        typer.Option(
            help="With --store genes, the score of a gene: contributions (computed once) or sequential_contributions "
            "(computed again each time that top genes are deleted).",
            show_default="contributions",
        ),
    ] = None
    fraction: Annotated[
        str | None, typer.Option(help="Fractions of features to keep and to delete, such as .01,.04. By default none.")
    ] = None
    replacement: Replacement = "zero"
    store: Annotated[
        str,
        typer.Option(
            help="What to store: everything; scores (no examples or gradients); top (the scores of the highest-ranked "
            "features alone); "
            "genes (of cells, one score per gene); or auto, the most that --budget allows."
        ),
    ] = "auto"
    budget: Annotated[str, typer.Option(help="Largest size of the results on disk.")] = "20GB"
    chunk: Annotated[
        int | None, typer.Option(help="Examples per chunk; an interruption loses one chunk.", show_default="by size")
    ] = None
    seed: Seed = 0
    batch_size: Rows = "auto"
    processes: Annotated[int | None, typer.Option(help="Number of processes to start on this machine.")] = None
    workers: Annotated[
        int, typer.Option(help="Worker processes beside each process that read and encode the examples.", min=0)
    ] = 0
    threads: Annotated[
        int | None,
        typer.Option(
            help="Torch threads per process.", show_default="torch's choice, or a share of the cores", min=1, max=4096
        ),
    ] = None
    plan: Annotated[bool, typer.Option("--plan", help="Only estimate time, memory and disk space.")] = False
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
    output: Annotated[Path | None, typer.Option(help="CSV file for the table.")] = None
    loading: LoadOptions
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(SanityRequest):
    """The options of `hf-fourier evaluate`."""

    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="A metric, averaged over fractions of features: maintain_rate (share of predictions kept on the top "
            "features alone), selectivity (that share minus the share of wrong labels that the model predicts on the "
            "top features that the method finds with the wrong label as its target), dig (confidence with the top "
            "features minus that without them, both relative to that on the whole input), …; `hf-fourier docs "
            "metrics` lists all. Repeat it for several.",
            show_default="set by the head",
        ),
    ] = None
    replacement: Replacement = "zero"
    preset: Annotated[
        str | None, typer.Option(help="fast: the first 32 INPUTs, and the metrics maintain_rate and selectivity.")
    ] = None


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command. Every field of the dataclasses that it takes becomes an option of that name.

    Every command has `--debug`. Without it, an error of this library is printed as one message.

    Args:
        app: The application to register it in.
        name: The name of the command; by default the function's name.
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
