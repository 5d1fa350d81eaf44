"""The reference: one page per module that users meet, from the docstrings, as Markdown.

Docstrings here are Markdown (`|F|_k`, `x`), which no reader of reStructuredText takes: the pages are written plainly.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

from hf_fourier.cli import pages

#: Pages in order: a title and the modules whose public names it lists.
PAGES = {
    "explainer": ("Explaining", ("hf_fourier.explainer", "hf_fourier.evaluation.evaluating",
                                "hf_fourier.evaluation.cells", "hf_fourier.engine",
                                "hf_fourier.models.from_pretrained", "hf_fourier.models.perturbing",
                                "hf_fourier.models.prediction",
                                "hf_fourier.functional")),
    "results": ("Results", ("hf_fourier.results.attribution", "hf_fourier.results.curve", "hf_fourier.results.table",
                            "hf_fourier.results.channels")),
    "evaluation": ("Evaluations and checks", ("hf_fourier.evaluation.results", "hf_fourier.evaluation.evaluate")),
    "methods": ("Methods", ("hf_fourier.methods", "hf_fourier.methods.base")),
    "domains": ("Domains", ("hf_fourier.domains", "hf_fourier.domains.base", "hf_fourier.domains.layout")),
    "targets": ("Targets and heads", ("hf_fourier.scoring.targets", "hf_fourier.scoring.heads")),
    "metrics": ("Metrics", ("hf_fourier.scoring.perturbation", "hf_fourier.evaluation.metrics.dig",
                            "hf_fourier.evaluation.metrics.insertion_deletion",
                            "hf_fourier.evaluation.metrics.maintain_rate",
                            "hf_fourier.evaluation.metrics.dice_retention",
                            "hf_fourier.evaluation.metrics.selectivity", "hf_fourier.evaluation.metrics.fidelity",
                            "hf_fourier.evaluation.metrics.r_flip", "hf_fourier.evaluation.random_perturbations",
                            "hf_fourier.evaluation.metrics.structure",
                            "hf_fourier.evaluation.metrics.robustness", "hf_fourier.evaluation.metrics.statistics")),
    "studies": ("Studies", ("hf_fourier.evaluation.rectification", "hf_fourier.evaluation.studies.class_swap",
                            "hf_fourier.evaluation.studies.class_filters",
                            "hf_fourier.evaluation.studies.transcript_errors", "hf_fourier.evaluation.studies.transfer",
                            "hf_fourier.evaluation.studies.model_spectrum",
                            "hf_fourier.evaluation.studies.heat_map",
                            "hf_fourier.results.gene_scores",
                            "hf_fourier.evaluation.studies.gene_effects",
                            "hf_fourier.evaluation.studies.gene_shifts",
                            "hf_fourier.evaluation.studies.in_silico_deletion",
                            "hf_fourier.evaluation.studies.interactions",
                            "hf_fourier.evaluation.studies.low_pass_maps")),
    "inputs": ("Recordings and scans", ("hf_fourier.models.inputs.channel_series", "hf_fourier.models.inputs.dicom")),
    "assets": ("Assets", ("hf_fourier.demo", "hf_fourier.demo.data", "hf_fourier.demo.sounds",
                          "hf_fourier.demo.scans")),
}  # fmt: skip
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$", re.M)
ENTRY = re.compile(r"^(\*{0,2}[\w.]+)(?: \([^)]*\))?:\s*(.*)$", re.S)


def write(folder: Path) -> None:
    """Write all pages and their list into a folder; pages that would not change are left alone."""
    folder.mkdir(exist_ok=True)
    listed = "\n".join(PAGES)
    pages = {"index": f"# Reference\n\nFrom the docstrings.\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\nerrors\n```\n"}
    pages |= {name: page(title, modules) for name, (title, modules) in PAGES.items()}
    pages["errors"] = errors()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def write_cards(folder: Path) -> None:
    """Write the card of every metric below a folder, and their list, as `hf-fourier docs metrics/NAME` has them."""
    cards = pages.cards()
    (folder / "metrics").mkdir(exist_ok=True)
    names = [name.removeprefix("metrics/") for name in cards if name != "metrics/index"]
    cards["metrics/index"] += "\n".join(["", "```{toctree}", ":maxdepth: 1", ":hidden:", "", *names, "```", ""])
    for name, text in cards.items():
        (folder / f"{name}.md").write_text(text)


def page(title: str, modules: tuple[str, ...]) -> str:
    """One page: each module's text and its public classes and functions."""
    parts = [f"# {title}"]
    for name in modules:
        module = importlib.import_module(name)
        parts += [f"## `{name}`", sections(inspect.getdoc(module) or "")]
        for member in public(module):
            parts += described(member, getattr(module, member))
    return "\n\n".join(part for part in parts if part) + "\n"


def errors() -> str:
    """The page of errors: each says what was got, what was expected and what to do."""
    module = importlib.import_module("hf_fourier.errors")
    parts = ["# Errors", sections(inspect.getdoc(module) or "")]
    for member in public(module):
        value = getattr(module, member)
        if inspect.isclass(value) and issubclass(value, Exception):
            bases = ", ".join(f"`{base.__name__}`" for base in value.__bases__)
            parts += [f"## {member}", f"A {bases}.", sections(inspect.getdoc(value) or "")]
    return "\n\n".join(parts) + "\n"


def public(module: Any) -> list[str]:
    """The names that a module means to show: `__all__`, or its own classes and functions."""
    names = getattr(module, "__all__", None)
    if names is None:
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__]
        names = [n for n in own if not n.startswith("_")]
    shown = [n for n in names if inspect.isclass(getattr(module, n)) or inspect.isfunction(getattr(module, n))]
    return shown if module.__name__ != "hf_fourier.domains" else [n for n in shown if n != "Basis"]


def described(name: str, value: Any) -> list[str]:
    """A class with its public methods, or a function."""
    parts = [f"### {name}", f"```text\n{signature(name, value)}\n```", sections(inspect.getdoc(value) or "")]
    if inspect.isclass(value):
        for own, member in vars(value).items():
            plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            told = inspect.isfunction(plain) or isinstance(member, property) or hasattr(member, "attrname")
            if own.startswith("_") or not told or not (text := inspect.getdoc(member)):
                continue
            shown = signature(own, plain) if inspect.isfunction(plain) else own
            parts += [f"#### {name}.{own}", f"```text\n{shown}\n```", sections(text)]
    return parts


class Text(str):
    """An annotation as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def signature(name: str, value: Any) -> str:
    """How it is called, one parameter a line where that is long."""
    try:
        own = inspect.signature(value)
    except (TypeError, ValueError):
        return name

    def told(annotation: Any) -> Any:
        return Text(re.sub(r"^'([^']*)'$", r"\1", annotation)) if isinstance(annotation, str) else annotation

    parameters = [parameter.replace(annotation=told(parameter.annotation)) for parameter in own.parameters.values()]
    own = own.replace(parameters=parameters, return_annotation=told(own.return_annotation))
    shown = f"{name}{own}"
    if len(shown) <= 100:
        return shown
    given = ",\n".join(f"    {parameter}" for parameter in parameters)
    back = "" if own.return_annotation is inspect.Signature.empty else f" -> {own.return_annotation}"
    return f"{name}(\n{given},\n){back}"


def sections(text: str) -> str:
    """A docstring with its sections as headed lists; indented blocks become code."""
    parts = SECTION.split(text)
    shown = [parts[0]]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        inner, _, after = re.match(r"((?:[ \t]+.*\n?|\s*\n)*)()((?:.*\n?)*)", body).groups()
        entries = listed(textwrap.dedent(inner.strip("\n"))) if title not in ("Returns", "Yields") else inner.strip()
        shown += [f"**{title}**", entries if title in ("Returns", "Yields") else "\n".join(entries), after]
    return "\n\n".join(part.strip("\n") for part in shown if part.strip())


def listed(body: str) -> list[str]:
    """`name: text` entries as a list; lists within them stay lists."""
    entries: list[str] = []
    for line in body.splitlines():
        if line and not line[0].isspace():
            entries.append(line)
        elif entries:
            entries[-1] += ("\n  " if line.strip().startswith("- ") else " ") + line.strip()
    found = [ENTRY.match(entry) for entry in entries]
    return [f"- `{m[1]}`: {m[2].strip()}" if m else f"- {e}" for m, e in zip(found, entries, strict=True)]
