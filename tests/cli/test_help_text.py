"""All commands alike: help with examples that run, exit codes, completion, JSON, and terminals that stay sane."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from hf_fourier.cli.help_text import EXAMPLES, EXIT_CODES, GROUPS, commands

#: Options that every command of a kind has.
PRINTS = {
    "explain",
    "explain-dataset",
    "evaluate",
    "genes",
    "sanity-check",
    "methods",
    "domains",
    "demo",
    "report",
    "push",
    "models",
    "docs",
    "assets list",
}


def every():
    from hf_fourier.cli.app import app

    return commands(app)


def parsed(line):
    """What the command line means, nothing run."""
    import typer

    from hf_fourier.cli.app import app

    program, *words = shlex.split(line)
    assert program == "hf-fourier"
    command, context = typer.main.get_command(app), None
    while words and hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context(command.name, list(words))
    return context.params


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_help_says_what_and_shows_examples(run, name):
    done = run(*name.split(), "--help")
    assert done.exit_code == 0
    shown = " ".join(done.stdout.split())
    for example in EXAMPLES[name]:
        assert " ".join(example.split()) in shown
        assert example.startswith(f"hf-fourier {name}")
        parsed(example)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_help_shows_the_texts_of_options_as_written(run, name):
    """Nothing in brackets is taken for markup and left out."""
    import typer

    from hf_fourier.cli.app import app

    command = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]
    shown = " ".join(run(*name.split(), "--help").stdout.replace("│", " ").split())
    texts = [parameter.help for parameter in command.params if getattr(parameter, "help", None)]
    assert texts
    assert [text for text in texts if " ".join(text.split()) not in shown] == []


def test_no_command_is_without_help_or_examples(run):
    assert set(every()) == set(EXAMPLES)
    whole = run("--help").stdout
    for name, command in every().items():
        assert command.callback.__doc__
        assert len(command.callback.__doc__.strip().splitlines()[0]) > 20
        assert name.split()[0] in whole
    assert EXIT_CODES in " ".join(whole.split())


def test_commands_stand_in_groups_with_an_example_each(run):
    whole = run("--help").stdout
    lines = " ".join(whole.split())
    assert sorted(name for names in GROUPS.values() for name in names) == sorted({name.split()[0] for name in every()})
    titles = [whole.index(f" {title} ─") for title in GROUPS]
    assert titles == sorted(titles)
    for (title, names), start, end in zip(GROUPS.items(), titles, [*titles[1:], len(whole)], strict=True):
        rows = [line.split()[1] for line in whole[start:end].splitlines() if line.startswith("│ ") and line[2] != " "]
        assert set(names) == set(rows), title
        assert " ".join(EXAMPLES[names[0]][0].split()) in lines


def test_every_option_is_explained():
    import typer

    from hf_fourier.cli.app import app

    def walk(command, path):
        for parameter in command.params:
            if parameter.name not in ("help", "install_completion", "show_completion", "names"):
                yield path, parameter.name, getattr(parameter, "help", None)
        for name, own in getattr(command, "commands", {}).items():
            yield from walk(own, f"{path} {name}")

    silent = [(path, name) for path, name, told in walk(typer.main.get_command(app), "hf-fourier") if not told]
    assert silent == []


@pytest.fixture
def typed(run, monkeypatch, image_model, text_model, image, tmp_path):
    """Runs an example with a tiny model and a picture of noise in place of those it names."""
    from PIL import Image

    from hf_fourier import demo

    monkeypatch.setattr(demo, "get", lambda name: image_model)
    monkeypatch.setattr(demo, "pictures", lambda: [("noise", Image.open(image))])
    (tmp_path / "pictures").mkdir()
    Image.open(image).save(tmp_path / "pictures" / "noise.png")
    instead = {
        "google/vit-base-patch16-224": image_model, "cat.jpg": image, "dog.jpg": image, "POSITIVE": "good",
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english": text_model,
    }  # fmt: skip
    return lambda line: run(*(instead.get(word, word) for word in shlex.split(line)[1:]))


@pytest.mark.parametrize("line", [
    *EXAMPLES["explain"][:2], *EXAMPLES["explain-dataset"][:2], EXAMPLES["evaluate"][1], EXAMPLES["sanity-check"][0],
    EXAMPLES["demo"][0],
    *EXAMPLES["models"], *EXAMPLES["methods"], *EXAMPLES["domains"], *EXAMPLES["docs"], *EXAMPLES["assets list"],
    *EXAMPLES["assets get"],
])  # fmt: skip
def test_examples_run(typed, line):
    done = typed(line)
    verdict = 1 if "sanity-check" in line else 0  # a tiny model with fresh weights has nothing to show
    assert done.exit_code == verdict, done.output
    assert done.stdout
    if "--json" in line:
        json.loads(done.stdout)


def test_what_prints_a_table_prints_json_too():
    import typer

    from hf_fourier.cli.app import app

    group = typer.main.get_command(app)
    for name in PRINTS:
        command = group
        for word in name.split():
            command = command.commands[word]
        assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_the_lists_show_defaults_as_they_are_typed():
    from hf_fourier.cli.list import described_domains, described_methods
    from hf_fourier.domains import DOMAINS
    from hf_fourier.methods import METHODS

    listed = [(METHODS, one["row"]["name"], one["parameters"]) for one in described_methods()]
    listed += [(DOMAINS, name, parameters) for name, _, parameters, _ in described_domains()["rows"]]
    assert ("closed_loop", "keeps=0.5+0.25+0.12+0.06, kappa=none, lam=1.0") in {entry[1:] for entry in listed}
    for registry, name, parameters in listed:
        assert registry.parse(f"{name}:{parameters}") == registry[name]()


def test_methods_and_domains_as_json_are_the_registries(run):
    from hf_fourier.domains import DOMAINS
    from hf_fourier.methods import METHODS

    methods = {one["name"]: one for one in json.loads(run("methods", "--json").stdout)}
    assert list(methods) == list(METHODS)
    assert methods["random"]["control"]
    assert methods["ffc"]["passes"] == "1 + 1"
    domains = {one["name"]: one for one in json.loads(run("domains", "--json").stdout)}
    assert list(domains) == list(DOMAINS)
    assert domains["fourier"]["parameters"]["grain"] == "bin"


def test_what_was_explained_is_reported(typed, tmp_path):
    assert typed(EXAMPLES["explain"][0]).exit_code == 0
    done = typed(f"{EXAMPLES['report'][1]} --json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["title"], told["examples"], told["inputs"]) == ("Cats", 1, True)
    assert (tmp_path / told["page"]).is_file()
    assert "report-here" in told["folder"]


def test_a_run_as_json(typed):
    plan = json.loads(typed(f"{EXAMPLES['explain-dataset'][0]} --json").stdout)
    assert plan["examples"] == 1
    assert json.loads(typed(f"{EXAMPLES['explain-dataset'][1]} --json").stdout) == {
        "examples": 1, "explained": 1, "failures": [], "output": "explained",
    }  # fmt: skip


def test_a_run_that_explains_nothing_has_failed(typed, monkeypatch):
    from hf_fourier import FourierExplainer
    from hf_fourier.results.table import Table

    class Nothing:
        def __len__(self):
            return 2

        def failures(self):
            return Table({"index": [0, 1], "name": ["a", f"b{HOSTILE}"], "failed": ["bad", "worse"]})

    monkeypatch.setattr(FourierExplainer, "explain_dataset", lambda *_, **__: Nothing())
    done = typed(EXAMPLES["explain-dataset"][1])
    assert done.exit_code == 1
    assert "0 of 2 examples explained" in done.stdout
    assert "example 1 b\\x1b]0;owned" in done.stderr


def test_the_demo_as_json_has_its_controls(typed):
    found = json.loads(typed("hf-fourier demo --json").stdout)
    assert {"ffc", "magnitude", "random"} <= set(found["results"]) == set(found["least_fraction_kept"])


@pytest.mark.parametrize(("error", "code"), [
    ("InputError", 2), ("TargetError", 2), ("SpecError", 2), ("ModelError", 1), ("HubError", 1), ("StorageError", 1),
])  # fmt: skip
def test_exit_codes(run, monkeypatch, error, code):
    import hf_fourier.errors as errors
    from hf_fourier.cli import list as registries

    def fail(as_json):
        raise getattr(errors, error)("a [bold]thing[/bold] \x1b[31m", "another", "do this")

    monkeypatch.setattr(registries, "show_methods", fail)
    done = run("methods")
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr == "error: got a [bold]thing[/bold] \\x1b[31m; expected another; do this\n"


@pytest.mark.parametrize("arguments", [["--nothing"], ["explain"], ["nonsense"], ["methods", "--seed", "x"]])
def test_wrong_usage_is_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_a_missing_extra_is_1(run, monkeypatch):
    from hf_fourier.cli import list as registries
    from hf_fourier.errors import MissingExtraError

    def fail(as_json):
        raise MissingExtraError("PIL", "vision", "pictures")

    monkeypatch.setattr(registries, "show_methods", fail)
    assert run("methods").exit_code == 1


@pytest.mark.parametrize(("shell", "asks"), [
    ("bash", {"COMP_WORDS": "hf-fourier ev", "COMP_CWORD": "1"}),
    ("zsh", {"_TYPER_COMPLETE_ARGS": "hf-fourier ev"}),
    ("fish", {"_TYPER_COMPLETE_ARGS": "hf-fourier ev", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
])  # fmt: skip
def test_shells_complete(shell, asks):
    code = "from hf_fourier.cli import main; main()"
    environment = {**os.environ, **asks, "_HF_FOURIER_COMPLETE": f"complete_{shell}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "evaluate" in done.stdout
    assert "explain" not in done.stdout


def test_completion_can_be_installed(run):
    shown = run("--help").stdout
    assert "--install-completion" in shown
    assert "--show-completion" in shown


HOSTILE = "\x1b]0;owned\x07\x1b[31m \u202etxt.exe [bold]x[/bold] \x9b2J"


def sane(text):
    """Nothing in it moves a cursor, paints, or turns the reading direction."""
    return all(c in "\n" or (c.isprintable() and c not in "\u202e\u2066\u2069\u200f") for c in text)


def test_labels_and_inputs_of_others_do_not_act_on_the_terminal(run, text_model, tmp_path):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(text_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": f"bad {HOSTILE}", "1": f"good {HOSTILE}"}
    config["label2id"] = {label: int(i) for i, label in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    for arguments in (
        ["explain", folder, f"a good {HOSTILE}"],
        ["explain", folder, "a", "--target", f"x{HOSTILE}"],
        ["explain", folder, "a", "--method", f"x{HOSTILE}"],
        ["explain", f"no/{HOSTILE}", "a"],
        ["evaluate", folder, f"a {HOSTILE}", "b", "--metric", "maintain_rate"],
    ):
        done = run(*arguments)
        assert sane(done.stdout), arguments
        assert sane(done.stderr), arguments
        assert "\\x1b]0;owned" in done.output or "evaluate" in arguments
    done = run("explain", folder, f"a good {HOSTILE}")
    assert "explained: " in done.stdout
    assert "[bold]x[/bold]" in done.stdout
    done = run("explain", folder, f"a good {HOSTILE}", "--json")
    assert sane(done.stdout)
    assert json.loads(done.stdout)["results"][0]["input"] == f"a good {HOSTILE}"


def test_the_examination_of_terminals_is_no_rubber_stamp():
    assert not sane("a\x1b[31m")
    assert not sane("\u202e")
    assert sane("plain [bold] text\n")
