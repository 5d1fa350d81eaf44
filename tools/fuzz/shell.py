"""Commands of the shell with hostile words: options out of range, places that cannot be, texts that are no text."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tools.fuzz import calls
from tools.fuzz.mutations import TEXTS

#: By option, words that it is given; beside those of `WORDS`.
OPTIONS: dict[str, tuple[str, ...]] = {
    "--target": ("good", "7", "label:x", "index:99999999999999999999", "at:1=good", "span:1-2", "contrast:good|bad",
                 "direction:FILE", "region:FILE", "continuation:good"),
    "--method": ("ffc", "magnitude", "SPEC"), "--domain": ("fourier", "SPEC"),
    "--fraction": (".1", ".1,.2", "nan", "2", "-1", ",", ".1,,.2", "1e-400"),
    "--contributions": ("0", "2", "1000000000"), "--seed": ("0", "99999999999999999999999", "-1"),
    "--batch-size": ("1", "auto", "99999999999999999999999", "²"),
    "--cells": ("0", "0:2", "all", "a,b", ":", "99999999999999999999"), "--seconds": ("1", "1e-9", "1e300", "nan"),
    "--overlap": ("0", ".5", ".999999", "1"), "--task": ("text-classification", "image-classification"),
    "--subfolder": ("x", "../.."), "--revision": ("main", "../.."), "--signal": ("waveform",),
    "--dither": ("0", "1e300", "nan", "inf"), "--device": ("cpu", "cuda", "meta", "mps", "cpu:9", "xla", "hpu",
                 "privateuseone"),
    "--dtype": ("float32", "float16", "int8", "complex64", "float"), "--device-map": ("auto", "sequential", "{}"),
    "--output": ("OUT", "FILE", "FILE/below", "/proc/1/x", "/dev/null", "."), "--title": ("a title",),
    "--column": ("text",), "--split": ("train", "test"), "--store": ("scores", "top"), "--budget": ("1MB", "-1", "1e9"),
    "--chunk": ("1", "99999999999999999999"), "--processes": ("1", "0", "-1"), "--threads": ("1", "-3", "99999999999"),
    "--metric": ("dig", "selectivity"), "--max-examples": ("1", "99999999999999999999"), "--license": ("mit",),
    "--model-card": ("a/b", "a b"), "--dataset": ("x",), "--dataset-id": ("x/y",), "--example": ("x",),
}  # fmt: skip
FLAGS = ("--pair", "--json", "--include-inputs", "--figures", "--space", "--public", "--streaming", "--plan",
         "--trust-remote-code")  # fmt: skip
WORDS = (
    "",
    "x",
    "-1",
    "nan",
    "1e400",
    "0",
    "true",
    "[bold]",
    "/proc/x",
    "../nothing",
    "~",
    "--",
    "-",
    "FILE",
    "FOLDER",
    *TEXTS,
)
#: Commands with the options that they take.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "explain": (("MODEL", "INPUT"), ("--target", "--method", "--domain", "--fraction", "--contributions", "--seed",
                "--batch-size", "--cells", "--seconds", "--overlap", "--task", "--subfolder", "--revision", "--signal",
                "--dither", "--device", "--dtype", "--device-map", "--pair", "--json", "--trust-remote-code")),
    "explain-dataset": (("MODEL", "DATA"), ("--target", "--method", "--domain", "--fraction", "--column", "--split",
                        "--store", "--budget", "--chunk", "--seed", "--batch-size", "--threads", "--streaming",
                        "--plan", "--contributions", "--json", "--device")),
    "evaluate": (("MODEL", "INPUT", "INPUT"), ("--method", "--domain", "--target", "--metric", "--seed", "--batch-size",
                 "--pair", "--json")),
    "sanity-check": (("MODEL", "INPUT", "INPUT"), ("--method", "--domain", "--target", "--seed", "--batch-size",
                     "--json")),
    "report": (("RESULTS",), ("--title", "--max-examples", "--include-inputs", "--json")),
    "push": (("REPORT", "NAME", "--dry-run"), ("--space", "--public", "--license", "--model-card", "--dataset",
             "--dataset-id", "--json", "--include-inputs")),
    "models": (("WORD",), ("--task", "--json")),
    "methods": ((), ("--json",)),
    "domains": ((), ("--json",)),
    "assets": (("get",), ()),
    "demo": (("WORD",), ("--example",)),
}  # fmt: skip
#: Those that write, and so need a place.
WRITING = ("explain", "explain-dataset", "report")


def cases(rng: random.Random, folder: Path) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Room, the command in words, and the call, without end."""
    number = 0
    while True:
        for command, (arguments, options) in COMMANDS.items():
            number += 1
            words = [command, *(_word(rng, one) for one in arguments)]
            if command in WRITING:
                words += ["--output", rng.choice(OPTIONS["--output"]) if rng.randrange(4) == 0 else "OUT"]
            for option in rng.sample(options, min(len(options), rng.choice((0, 1, 1, 2)))):
                words += [option] if option in FLAGS else [option, _value(rng, option)]
            yield f"shell: {command}", " ".join(words), _call(words, folder, number)


def warm(folder: Path) -> None:
    """Write the files that the words mean, and run one command."""
    import wave

    for name, text in {"FILE": "x", "texts.txt": "a good\nb bad\n", "table.csv": "text\ngood\nbad\n"}.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "FOLDER").mkdir(exist_ok=True)
    with wave.open(str(folder / "long.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\1\0" * 4000)
    calls.result("text", folder).save(folder / "saved")
    from hf_fourier import Report

    Report([calls.result("text", folder)]).save(folder / "report", figures=False)
    _call(["explain", "MODEL", "good", "--output", "OUT"], folder, 0)()


def _word(rng: random.Random, kind: str) -> str:
    usual = {
        "MODEL": ("MODEL", "MODEL", "MODEL", "PICTURES", "SOUNDS"),
        "INPUT": ("good", "bad a", "long.wav", "texts.txt", "table.csv"),
        "DATA": ("texts.txt", "table.csv", "FOLDER", "long.wav"), "RESULTS": ("saved", "FOLDER"),
        "REPORT": ("report", "saved"), "NAME": ("a/b", "a"), "WORD": ("bert", "vit"),
    }  # fmt: skip
    if kind not in usual:
        return kind
    return rng.choice(WORDS) if rng.randrange(5) == 0 else rng.choice(usual[kind])


def _value(rng: random.Random, option: str) -> str:
    word = rng.choice(WORDS) if rng.randrange(3) == 0 else rng.choice(OPTIONS[option])
    return calls.spec(rng) if word == "SPEC" else word


def _call(words: list[str], folder: Path, number: int) -> Callable[[], Any]:
    """The command in this process; what comes through as an exception is raised.

    Raises:
        RuntimeError: If it prints a traceback, or ends with another code than 0, 1 or 2.
    """
    places = {"MODEL": "text-model", "PICTURES": "picture-model", "SOUNDS": "sound-model", "OUT": f"out-{number}"}

    def call() -> None:
        import os

        from typer.testing import CliRunner

        from hf_fourier.cli.app import app

        os.chdir(folder)
        done = CliRunner().invoke(app, [places.get(word, word) for word in words], input="good\nbad\n")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        if done.exit_code not in (0, 1, 2) or "Traceback" in done.output:
            raise RuntimeError(f"code {done.exit_code}: {done.output[-300:]}")

    return call
