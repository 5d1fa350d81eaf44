"""What the sweep found, as a table, a page of the documents, and the file that `hf-fourier models` looks it up in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from hf_fourier.models.supported import UNTRIED, summary
from tools.coverage.pairs import Pair

#: What is kept of each pair.
_KEPT = ("task", "model_type", "cls", "status", "why", "signal", "second", "padding")


def kept(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is kept of a sweep, with the versions that it was made with."""
    import torch
    import transformers

    rows = [{name: told[name] for name in _KEPT if told.get(name)} for told in found]
    return {"transformers": transformers.__version__, "torch": torch.__version__, "pairs": rows}


def collected(pairs: Iterable[Pair], folder: Path) -> list[dict[str, Any]]:
    """What runs have left in a folder, pair by pair; what none has reached is "not tried"."""
    found = []
    for pair in pairs:
        file = folder / f"{pair.name}.json"
        none = {"task": pair.task, "model_type": pair.model_type, "cls": pair.cls, "status": UNTRIED}
        found.append(json.loads(file.read_text("utf-8")) if file.exists() else none)
    return found


def page(told: Mapping[str, Any]) -> str:
    """The page of the documents."""
    pairs: Sequence[Mapping[str, Any]] = told["pairs"]
    template = resources.files(__package__).joinpath("page.md").read_text("utf-8")
    return template.format(
        transformers=told["transformers"],
        torch=told["torch"],
        summary=markdown(summary(pairs)),
        works=_listed(one for one in pairs if one["status"] == "works"),
        refused=_reasons(pairs, ("refused", "failed")),
        unbuilt=_reasons(pairs, ("not built",)),
        untried=_listed(one for one in pairs if one["status"] == UNTRIED),
        second=_listed(one for one in pairs if one.get("second")),
        **{side: _listed(one for one in pairs if one.get("padding", {}).get(side)) for side in ("right", "left")},
    )


def _listed(pairs: Iterable[Mapping[str, Any]]) -> str:
    """The architectures of each head."""
    heads: dict[str, list[str]] = {}
    for told in pairs:
        heads.setdefault(told["task"], []).append(told["model_type"])
    return "\n".join(f"- **{head}** ({len(own)}): {', '.join(own)}" for head, own in heads.items()) or "None."


def _reasons(pairs: Sequence[Mapping[str, Any]], statuses: Sequence[str]) -> str:
    """One row per reason and architecture, its heads together."""
    heads: dict[tuple[str, str, str], list[str]] = {}
    for told in pairs:
        if told["status"] in statuses:
            key = (told["model_type"], told["status"], told.get("why", ""))
            heads.setdefault(key, []).append(told["task"])
    rows = [
        {"architecture": kind, "heads": ", ".join(own), "status": status, "why": why.replace("|", "¦")}
        for (kind, status, why), own in sorted(heads.items())
    ]
    return markdown(rows) if rows else "None."


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table of Markdown."""
    titles = list(rows[0])
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(str(row[title]) for title in titles) + " |" for row in rows)])


def lines(told: Mapping[str, Any]) -> str:
    """The file that `hf-fourier models` looks up: JSON, one pair a line."""
    head = json.dumps({name: value for name, value in told.items() if name != "pairs"}, ensure_ascii=False)[:-1]
    rows = ",\n".join(json.dumps(one, ensure_ascii=False) for one in told["pairs"])
    return f'{head}, "pairs": [\n{rows}\n]}}\n'
