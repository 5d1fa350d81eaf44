"""Every option of every command arrives where it belongs: seen in the call it is meant for, or in what is printed."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hf_fourier.errors import InputError

EXPLAINER, REPORT = "hf_fourier.explainer:FourierExplainer", "hf_fourier.report.report:Report"
LOAD = f"{EXPLAINER}.from_pretrained"


class Seen(Exception):
    """The watched call was made; what it was given."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(", ".join(given))
        self.given = given


@dataclass(frozen=True)
class Case:
    """One option of one command.

    Attributes:
        command: The command with what it needs; words in capitals stand for fixtures.
        option: As it is typed; an argument by what help calls it.
        typed: What is typed for it; None for a flag, () for nothing beside what `command` holds.
        where: The call that it is meant for.
        name: The argument of that call.
        value: What arrives there.
    """

    command: str
    option: str
    typed: Any
    where: str
    name: str
    value: Any

    def words(self) -> list[str]:
        own = [] if self.typed == () else [self.option] if self.typed is None else [self.option, self.typed]
        return [*self.command.split(), *own]

    @property
    def key(self) -> tuple[str, str]:
        names = ("assets list", "assets get")
        return next((n for n in names if self.command.startswith(n)), self.command.split()[0]), self.option


def loading(command: str) -> list[Case]:
    """What goes to `from_pretrained`, alike for all commands that load a model."""
    typed = {
        "--task": "ctc", "--subfolder": "inner", "--revision": "abc", "--signal": "waveform", "--device": "cuda:3",
        "--dtype": "bfloat16", "--device-map": "balanced", "--dictionaries": "a/genes",
    }  # fmt: skip
    cases = [Case(command, o, v, LOAD, o.removeprefix("--").replace("-", "_"), v) for o, v in typed.items()]
    cases.append(Case(command, "--dither", "1e-6", LOAD, "dither", 1e-6))
    trusted = Case(command, "--trust-remote-code", None, LOAD, "trust_remote_code", True)
    return [*cases, trusted, Case(command, "MODEL", (), LOAD, "model", "MODEL")]


def running(call: str, plan: str) -> list[Case]:
    """What a run and its plan are told alike."""
    base, where = f"explain-dataset MODEL data --output out{plan}", f"{EXPLAINER}.{call}"
    same = {
        "--target": ("good", "target", "good"), "--column": ("text", "column", "text"),
        "--split": ("train", "split", "train"), "--fraction": (".5,.25", "fractions", [0.5, 0.25]),
        "--store": ("scores", "store", "scores"), "--budget": ("3GB", "budget", "3GB"), "--chunk": ("7", "chunk", 7),
        "--seed": ("5", "seed", 5), "--batch-size": ("3", "batch_size", 3), "--processes": ("1", "processes", 1),
        "--workers": ("2", "workers", 2),
        "--contributions": ("2", "contributions", 2), "--replacement": ("noise", "replacement", "noise"),
    }  # fmt: skip
    cases = [Case(base, option, typed, where, name, value) for option, (typed, name, value) in same.items()]
    cases.append(
        Case(
            f"{base} --store genes",
            "--gene-scores",
            "sequential_contributions",
            where,
            "gene_scores",
            "sequential_contributions",
        )
    )
    both = Case(f"{base} --column a", "--column", "b", where, "column", ["a", "b"])
    return [*cases, both, Case(base, "--streaming", None, where, "streaming", True),
            Case(base, "DATASET", (), where, "dataset", "data")]  # fmt: skip


def study(command: str) -> list[Case]:
    """What `evaluate` and `sanity` are told alike."""
    base, where = f"{command} MODEL good bad", f"{EXPLAINER}.{command.replace('-', '_')}"
    return [
        *loading(base),
        Case(base, "INPUT...", (), where, "examples", ["good", "bad"]),
        Case(base, "--target", "good", where, "targets", ["good", "good"]),
        Case(base, "--seed", "5", where, "seed", 5),
        Case(base, "--batch-size", "3", where, "batch_size", 3),
        Case(base, "--pair", None, where, "examples", [("good", "bad")]),
        Case(
            f"{command} MODEL cells.h5ad",
            "--cells",
            "a,2",
            "hf_fourier.models.inputs.cells:read_cells",
            "cells",
            ["a", 2],
        ),
        Case(base, "--output", "t/x.csv", "hf_fourier.cli.evaluate:_write", "path", Path("t/x.csv")),
    ]


BANDS, SPECTRUM = "bands MODEL good", "spectrum MODEL data --output out"


def of_bands() -> list[Case]:
    """What `bands` and `spectrum` are told."""
    asked, over = f"{EXPLAINER}.explain", f"{EXPLAINER}.spectrum"
    cells = "hf_fourier.models.inputs.cells:read_cells"
    shared = [
        Case(base, option, typed, where, name, value)
        for base, where in ((BANDS, asked), (SPECTRUM, over))
        for option, typed, name, value in (("--seed", "5", "seed", 5), ("--batch-size", "3", "batch_size", 3))
    ]
    columns = [
        Case(SPECTRUM, f"--{name}", typed, over, name, typed)
        for name, typed in (("by", "label"), ("labels", "truth"), ("clusters", "who"), ("column", "text"))
    ]
    return [
        *loading(BANDS),
        *loading(SPECTRUM),
        *shared,
        *columns,
        Case(BANDS, "INPUT...", (), asked, "example", ["good"]),
        Case(BANDS, "--target", "good", asked, "target", "good"),
        Case(BANDS, "--bands", "0-2, 2-3", LOAD, "domain", "fourier:bands=0-2+2-3"),
        Case(BANDS, "--domain", "cosine:bands=4", LOAD, "domain", "cosine:bands=4"),
        Case(BANDS, "--method", "occlusion", LOAD, "method", "occlusion"),
        Case(BANDS, "--output", "here", "hf_fourier.cli.bands:write", "folder", Path("here/good")),
        Case("bands MODEL good bad", "--pair", None, asked, "example", [("good", "bad")]),
        Case("bands MODEL cells.h5ad", "--cells", "a,2", cells, "cells", ["a", 2]),
        Case(SPECTRUM, "DATASET", (), over, "data", "data"),
        Case(SPECTRUM, "--bands", "4", over, "domain", "fourier:bands=4"),
        Case(SPECTRUM, "--domain", "cosine:bands=4", over, "domain", "cosine:bands=4"),
        Case(SPECTRUM, "--method", "filters:noise=none", over, "method", "filters:noise=none"),
        Case(SPECTRUM, "--split", "train", over, "split", "train"),
        Case("spectrum MODEL data", "--output", "there", over, "output_dir", Path("there")),
    ]


GENES = "genes MODEL cells.h5ad --output out"


def of_genes() -> list[Case]:
    """What `genes` is told."""
    scored, perturbed = f"{EXPLAINER}.genes", f"{EXPLAINER}.perturb_genes"
    moved = f"{GENES} --perturb overexpress"
    grouped = "hf_fourier.evaluation.studies.score_genes:cells_and_groups"  # what reads the column first
    states = {"state_key": "type", "start_state": "ill", "goal_state": "well", "alt_states": ["other"]}
    return [
        *loading(GENES),
        Case(GENES, "CELLS", (), scored, "cells", Path("cells.h5ad")),
        Case(GENES, "--by", "deletion", scored, "by", "deletion"),
        Case(GENES, "--target", "good", scored, "target", "good"),
        Case(GENES, "--groupby", "type", grouped, "groupby", "type"),
        Case(GENES, "--fraction", ".5", scored, "fractions", [0.5]),
        Case(GENES, "--check", "2", scored, "check", 2),
        Case(GENES, "--seed", "5", scored, "seed", 5),
        Case(GENES, "--batch-size", "3", scored, "batch_size", 3),
        Case(moved, "--batch-size", "3", perturbed, "batch_size", 3),
        Case(GENES, "--perturb", "delete", perturbed, "by", "delete"),
        Case(f"{moved} --gene A", "--gene", "B+C", perturbed, "genes", [["A"], ["B", "C"]]),
        Case(f"{moved} --groupby type", "--states", "ill,well,other", perturbed, "states", states),
        Case(
            "genes MODEL cells.h5ad --perturb delete", "--output", "t", perturbed, "output_dir", Path("t/perturbation")
        ),
    ]


MUTATIONS = "mutations MODEL good --output out"


def of_mutations() -> list[Case]:
    """What `mutations` is told; what it does with the track and the arrays, test_mutations.py sees in its files."""
    mapped, asked = f"{EXPLAINER}.mutations", "hf_fourier.cli.mutation_options:MutationsRequest.__init__"
    return [
        *loading(MUTATIONS),
        Case(MUTATIONS, "SEQUENCE...", (), mapped, "sequence", "good"),
        Case(MUTATIONS, "--target", "good", mapped, "target", "good"),
        Case(MUTATIONS, "--places", "2-3", mapped, "places", [1, 2]),
        Case(MUTATIONS, "--batch-size", "3", mapped, "batch_size", 3),
        Case("mutations MODEL good", "--output", "there", asked, "output", Path("there")),
        Case(MUTATIONS, "--start", "7", asked, "start", 7),
        Case(MUTATIONS, "--strand", "-", asked, "strand", "-"),
        Case(MUTATIONS, "--motifs", None, asked, "motifs", True),
    ]


EXPLAIN, RECORDING = "explain MODEL good", f"{EXPLAINER}.explain_recording"
PUSH, REPORTING = "push REPORT ada/cups", "report SAVED --output made"
CASES = [
    *of_bands(),
    *of_genes(),
    *of_mutations(),
    *loading(EXPLAIN),
    Case(EXPLAIN, "INPUT...", (), f"{EXPLAINER}.explain", "example", ["good"]),
    *(
        Case(line, *rest)
        for line, call in ((EXPLAIN, f"{EXPLAINER}.explain"), ("explain MODEL long.wav", RECORDING))
        for rest in (
            ("--target", "good", call, "target", "good"),
            ("--seed", "5", call, "seed", 5),
            ("--batch-size", "3", call, "batch_size", 3),
        )
    ),
    Case(EXPLAIN, "--method", "magnitude", LOAD, "method", "magnitude"),
    Case(EXPLAIN, "--domain", "cosine", LOAD, "domain", "cosine"),
    Case(EXPLAIN, "--contributions", "2", f"{EXPLAINER}.explain", "contributions", 2),
    Case(EXPLAIN, "--fraction", ".5", f"{EXPLAINER}.perturb", "fractions", [0.5]),
    Case("explain MODEL long.wav", "--fraction", ".5", RECORDING, "fractions", [0.5]),
    Case(EXPLAIN, "--replacement", "noise", f"{EXPLAINER}.perturb", "replacement", "noise"),
    Case("explain MODEL long.wav", "--replacement", "noise", RECORDING, "replacement", "noise"),
    Case("evaluate MODEL good", "--preset", "fast", f"{EXPLAINER}.evaluate", "preset", "fast"),
    Case("evaluate MODEL good", "--replacement", "noise", f"{EXPLAINER}.evaluate", "replacement", "noise"),
    Case("explain MODEL long.wav", "--seconds", "2.5", RECORDING, "seconds", 2.5),
    Case("explain MODEL long.wav", "--overlap", ".5", RECORDING, "overlap", 0.5),
    Case(EXPLAIN, "--output", "here", "hf_fourier.cli.explain:write", "folder", Path("here/good")),
    Case("explain MODEL long.wav", "--output", "here", RECORDING, "output_dir", Path("here/long")),
    Case("explain MODEL good bad", "--pair", None, f"{EXPLAINER}.explain", "example", [("good", "bad")]),
    Case("explain MODEL cells.h5ad", "--cells", "a,2", "hf_fourier.models.inputs.cells:read_cells", "cells", ["a", 2]),
    Case("explain MODEL cells.h5ad", "--cells", "3:5", "hf_fourier.models.inputs.cells:read_cells", "cells", slice(3,
    5)),
    *loading("explain-dataset MODEL data --output out"),
    *running("explain_dataset", ""),
    *running("estimate", " --plan"),
    Case("explain-dataset MODEL data --output out", "--method", "magnitude", LOAD, "method", "magnitude"),
    Case("explain-dataset MODEL data --output out", "--domain", "cosine", LOAD, "domain", "cosine"),
    Case("explain-dataset MODEL data", "--output", "there", f"{EXPLAINER}.explain_dataset", "output_dir",
    Path("there")),
    Case("explain-dataset MODEL data --output out", "--processes", "2", "hf_fourier.models.distributed:launch",
    "processes", 2),
    Case("explain-dataset MODEL data --output out", "--threads", "1", "torch:set_num_threads", "int", 1),
    Case("explain-dataset MODEL data --output out --processes 2", "--threads", "3",
    "hf_fourier.models.distributed:launch",
    "threads", 3),
    Case("explain-dataset MODEL data --output out", "--plan", None, f"{EXPLAINER}.estimate", "dataset", "data"),
    *study("evaluate"),
    *study("sanity-check"),
    Case("evaluate MODEL good --method ffc", "--method", "random", f"{EXPLAINER}.evaluate", "methods",
         ["ffc", "random"]),
    Case("evaluate MODEL good --domain cosine", "--domain", "fourier", f"{EXPLAINER}.evaluate", "domains",
         ["cosine", "fourier"]),
    Case("evaluate MODEL good --metric dig", "--metric", "maintain_rate", f"{EXPLAINER}.evaluate", "metrics",
         ["dig", "maintain_rate"]),
    Case("sanity-check MODEL good", "--method", "random", f"{EXPLAINER}.sanity_check", "method", "random"),
    Case("sanity-check MODEL good", "--domain", "cosine", f"{EXPLAINER}.sanity_check", "domain", "cosine"),
    Case("models bert", "[MODEL_TYPE]", (), "hf_fourier.cli.supported_models:table", "title", "bert"),
    Case("models bert", "--task", "fill-mask", "hf_fourier.cli.supported_models:_matching", "task", "fill-mask"),
    Case("docs genes", "[PAGE]", (), "hf_fourier.cli.pages:read", "name", "genes"),
    Case("docs", "--search", "dither", "hf_fourier.cli.pages:search", "word", "dither"),
    Case("docs genes", "--search", "cell", "hf_fourier.cli.pages:search", "name", "genes"),
    Case("report SAVED --output made", "[RESULTS]...", (), "hf_fourier.report.collect:collect", "folders",
         [Path("SAVED")]),
    Case(REPORTING, "--spectrum", "SAVED", "hf_fourier.report.collect:read_spectrum", "path", Path("SAVED")),
    Case(REPORTING, "--max-examples", "3", "hf_fourier.report.collect:collect", "max_examples", 3),
    Case(REPORTING, "--title", "Cats", f"{REPORT}.__init__", "title", "Cats"),
    Case("report SAVED", "--output", "there", f"{REPORT}.save", "folder", Path("there")),
    Case(REPORTING, "--include-inputs", None, f"{REPORT}.save", "include_inputs", True),
    Case(f"{REPORTING} --include-inputs", "--figures", None, f"{REPORT}.figures", "include_inputs", True),
    Case(PUSH, "REPORT", (), f"{REPORT}.load", "folder", Path("REPORT")),
    Case(PUSH, "[USER/NAME]", (), f"{REPORT}.push_to_hub", "repo_id", "ada/cups"),
    Case(PUSH, "--space", None, f"{REPORT}.push_to_hub", "as_space", True),
    Case(PUSH, "--include-inputs", None, f"{REPORT}.push_to_hub", "include_inputs", True),
    Case(PUSH, "--public", None, f"{REPORT}.push_to_hub", "private", False),
    Case(PUSH, "--license", "mit", f"{REPORT}.push_to_hub", "license", "mit"),
    Case(f"{PUSH} --dry-run", "--space", None, "hf_fourier.report.hub.repository:write_files", "as_space", True),
    Case(f"{PUSH} --dry-run", "--include-inputs", None, "hf_fourier.report.hub.repository:write_files",
    "include_inputs",
    True),
    Case(f"{PUSH} --dry-run", "--license", "mit", "hf_fourier.report.hub.repository:write_files", "license", "mit"),
    Case(PUSH, "--dry-run", None, "hf_fourier.report.hub.repository:write_files", "as_space", False),
    Case("push REPORT", "--model-card", "a/b", f"{REPORT}.propose_model_card", "model_id", "a/b"),
    Case("push REPORT --model-card a/b", "--dataset", "Cups", f"{REPORT}.propose_model_card", "dataset", "Cups"),
    Case("push REPORT --model-card a/b", "--dataset-id", "a/cups", f"{REPORT}.propose_model_card", "dataset_id",
         "a/cups"),
    Case("push REPORT --model-card a/b --dry-run", "--dataset", "Cups", "hf_fourier.report.hub.cards:section",
    "dataset",
         "Cups"),
    Case("demo text", "[NAME]", (), "hf_fourier.cli.demo:find_scene", "name", "text"),
    Case("demo", "--example", "second", "hf_fourier.cli.demo:explain", "example", "second"),
    Case("demo", "--output", "there", "hf_fourier.cli.demo:write", "folder", Path("there")),
    Case("assets get NAME", "NAME...", (), "hf_fourier.demo:describe", "name", "NAME"),
    Case("assets get", "--all", None, "hf_fourier.cli.list:prepare", "name", "efficientnet-lite0"),
]  # fmt: skip
#: Commands in a form that is quickly done, and what they do before that.
WHOLE = {
    "bands": (BANDS, LOAD), "spectrum": ("spectrum MODEL texts.txt --output out", LOAD),
    "genes": (GENES, LOAD), "mutations": (MUTATIONS, LOAD),
    "explain": (EXPLAIN, LOAD), "explain-dataset": ("explain-dataset MODEL texts.txt --output out --plan", LOAD),
    "evaluate": ("evaluate MODEL good --metric maintain_rate", LOAD), "sanity-check": ("sanity-check MODEL good", LOAD),
    "models": ("models bert", "hf_fourier.models.supported:known"),
    "methods": ("methods", "hf_fourier.cli.list:show_methods"),
    "domains": ("domains", "hf_fourier.cli.list:show_domains"),
    "docs": ("docs", "hf_fourier.cli.pages:groups"),
    "report": (REPORTING, "hf_fourier.report.collect:collect"), "push": (f"{PUSH} --dry-run", f"{REPORT}.load"),
    "demo": ("demo", "hf_fourier.cli.demo:find_scene"), "assets list": ("assets list", "hf_fourier.demo:names"),
    "assets get": ("assets get NAME", "hf_fourier.demo:describe"),
}  # fmt: skip


def options():
    """All options and arguments of the app, by command."""
    import typer

    from hf_fourier.cli.app import app

    def walk(command, path):
        for parameter in command.params if not getattr(command, "commands", {}) else ():
            names = [name for name in parameter.opts if name.startswith("--")]
            yield path, names[0] if names else parameter.metavar or parameter.name.upper()
        for name, own in getattr(command, "commands", {}).items():
            yield from walk(own, f"{path} {name}".strip())

    return {(path, name) for path, name in walk(typer.main.get_command(app), "") if name != "--help"}


def test_no_option_is_without_a_case():
    general = {(command, option) for command in WHOLE for option in ("--json", "--debug")} - {("assets get", "--json")}
    assert {case.key for case in CASES} | general == options()


@pytest.fixture(scope="module")
def ready(text_model, tmp_path_factory):
    """An explainer, a saved result of it, and a report."""
    from hf_fourier import FourierExplainer, Report

    folder = tmp_path_factory.mktemp("ready")
    explainer = FourierExplainer.from_pretrained(text_model)
    result = explainer.explain("a good")
    result.save(folder / "saved")
    Report([result]).save(folder / "report", include_inputs=True)
    return explainer, {"MODEL": text_model, "SAVED": folder / "saved", "REPORT": folder / "report"}


def replaced(monkeypatch, where: str, make) -> None:
    """Put `make(signature without self)` in the place of a function or a method."""
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for one in classes:
        owner = getattr(owner, one)
    own = inspect.getattr_static(owner, name)
    bound = bool(classes)
    function = own.__func__ if isinstance(own, classmethod) else own
    try:
        signature = inspect.signature(function)
    except ValueError:  # of C
        signature = inspect.Signature([inspect.Parameter("int", inspect.Parameter.POSITIONAL_ONLY)])
    monkeypatch.setattr(owner, name, make(signature, bound))


def watched(monkeypatch, where: str) -> None:
    """Let a call end in `Seen` with its arguments by name, those it gathers among them."""

    def make(signature, bound):
        def call(*args, **kwargs):
            whole = signature.bind(*((None, *args) if bound and len(args) < len(given(signature, args)) else args),
                                   **kwargs)  # fmt: skip
            whole.apply_defaults()
            arguments = dict(whole.arguments)
            for name, parameter in signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:
                    arguments.update(arguments.pop(name))
            raise Seen(arguments)

        return call

    replaced(monkeypatch, where, make)


def given(signature, args):
    """`args` with room for a class that a patched class method does not get."""
    first = next(iter(signature.parameters), "")
    return [*args, None] if first == "cls" else args


@pytest.fixture
def typed(run, ready, image_model, image, monkeypatch, tmp_path):
    """Runs a command with a model that is loaded already, and folders in place of words in capitals."""
    from PIL import Image

    from hf_fourier import FourierExplainer, demo
    from hf_fourier.cli import explain_recording

    explainer, instead = ready
    real = demo.describe
    monkeypatch.setattr(
        explain_recording, "is_recording", lambda explainer, example, seconds: "long.wav" in str(example)
    )
    monkeypatch.setattr(demo, "get", lambda name: image_model)
    monkeypatch.setattr(demo, "names", lambda: ["efficientnet-lite0"])
    monkeypatch.setattr(demo, "describe", lambda name: real("efficientnet-lite0" if name == "NAME" else name))
    monkeypatch.setattr(demo, "pictures", lambda: [(name, Image.open(image)) for name in ("noise", "second")])
    for name in ("long.wav", "cells.h5ad"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "texts.txt").write_text("a good\n")

    def start(*words, loads=False, **options):
        if not loads and "demo" not in words:
            monkeypatch.setattr(FourierExplainer, "from_pretrained", lambda *args, **kwargs: explainer)
        return run(*(instead.get(word, word) for word in words), **options)

    start.instead = instead
    return start


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{' '.join(case.words())} in {case.where.split(':')[1]}")
def test_an_option_arrives(typed, monkeypatch, case):
    loads = case.where == LOAD
    watched(monkeypatch, case.where)
    done = typed(*case.words(), loads=loads)
    assert isinstance(done.exception, Seen), done.output
    found = done.exception.given[case.name]
    expected = case.value
    if isinstance(expected, list) and expected and isinstance(expected[0], Path):
        expected = [typed.instead.get(str(one), one) for one in expected]
    expected = typed.instead.get(str(expected), expected)
    assert type(found) is type(expected) or isinstance(expected, Path)
    assert found == expected or (isinstance(expected, Path) and Path(found) == expected)


@pytest.mark.parametrize("command", sorted(set(WHOLE) - {"assets get", "genes", "mutations"}))
def test_json_is_alone_on_standard_output(typed, command):
    done = typed(*WHOLE[command][0].split(), "--json")
    assert done.exit_code == (1 if command == "sanity-check" else 0), done.output
    json.loads(done.stdout)


@pytest.mark.parametrize("command", list(WHOLE))
def test_debug_lets_an_error_through(typed, monkeypatch, command):
    def make(signature, bound):
        def fail(*args, **kwargs):
            raise InputError("a", "b", "c")

        return fail

    line, where = WHOLE[command]
    replaced(monkeypatch, where, make)
    done = typed(*line.split(), loads=True)
    assert done.exit_code == 2
    assert done.stderr.endswith("error: got a; expected b; c\n")
    assert isinstance(typed(*line.split(), "--debug", loads=True).exception, InputError)


def test_a_run_on_a_device_in_a_dtype(run, text_model, tmp_path):
    from hf_fourier.runs import Results

    (tmp_path / "texts.txt").write_text("a good\n")
    how = ["--device", "cpu", "--dtype", "float32", "--task", "text-classification"]
    done = run("explain-dataset", text_model, "texts.txt", "--output", "out", *how)
    assert done.exit_code == 0, done.output
    assert Results("out")[0].provenance["device"] == "cpu"


def test_the_document_names_options_that_there_are():
    import re

    page = (Path(__file__).parents[2] / "docs" / "shell.md").read_text(encoding="utf-8")
    shell = {"--help", "--install-completion", "--show-completion"}
    there = {name for _, name in options()}
    assert set(re.findall(r"--[a-z][a-z-]+", page)) <= there | shell
    row = re.search(r"^\| `--task`.*\n\| `--device`.*\n\| `--signal`.*$", page, re.MULTILINE)[0]
    named = set(re.findall(r"--[a-z-]+", row))
    assert named == {case.option for case in loading("explain MODEL good")} - {"MODEL"}
