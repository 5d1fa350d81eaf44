"""The model cards of the recipes, in the project's `model_cards/`: made from what a recipe's report says.

`python -m tools.model_cards` writes all cards anew from the facts that lie beside them, and copies the
templates there; `… NAME=FOLDER` takes the facts of recipe NAME from the report in FOLDER first.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.report.hub import cards, markdown
from hf_fourier.report.hub.card_data import CardData, facts
from hf_fourier.report.visible_text import escape_invisible

CARDS, RECIPES, TEMPLATES = Path("model_cards"), Path("recipes"), "templates"
#: What a model's card is made of.
USED = ("model_card.md", "section.md", "measured.md", "checked.md", "conclusions.md")
INDEX = """# Model cards of the recipes

What the section that `report.propose_model_card` proposes looks like, for the models that the recipes explain: the \
numbers are those of the recipes' own reports, at their full size.

{}

`templates/` holds a copy of the templates. A card is made of the facts beside it (`.json`), and everything here by \
`python -m tools.model_cards`; with `NAME=FOLDER` it takes the facts of a recipe's report first. How to \
propose a report to a model's card: [sharing](../docs/sharing.md).
"""


@dataclass(frozen=True)
class Recorded:
    """What is kept of a recipe's report.

    Attributes:
        recipe: The recipe's name.
        question: The first line of its text.
        examples: What it says of its offline model and examples.
        facts: What its report says.
    """

    recipe: str
    question: str
    examples: str
    facts: CardData

    def to_json(self) -> str:
        """What `read` reads back."""
        values = {"recipe": self.recipe, "question": self.question, "examples": self.examples}
        return json.dumps({**values, "facts": self.facts.to_dict()}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Recorded:
        """The record in a file."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(values["recipe"], values["question"], values["examples"], CardData.from_dict(values["facts"]))


def take(recipe: str, folder: Path, recipes: Path = RECIPES) -> Recorded:
    """What a recipe's report says, with what the recipe says of itself.

    Raises:
        InputError: If there is no such recipe, no report, or nothing was measured.
    """
    from hf_fourier import Report

    path = recipes / f"{recipe}.py"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in recipes.glob("*.py")))
        raise InputError(f"the recipe {recipe!r}", f"one of {known}", "run this where recipes/ lies")
    told = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    offline = re.search(r"Offline, (.*)$", told)
    question = told.partition("?")[0] + "?" if "?" in told else told.partition(".")[0] + "."
    found = facts(Report.load(folder))
    if not found.measured:
        got = f"a report of {recipe!r} without an evaluation"
        raise InputError(got, "one with what was measured", "take a recipe that evaluates")
    kept = replace(found, measured=found.card_rows())  # the other quantities are in the report
    return Recorded(recipe, question, offline[0] if offline else "", kept)


def card(found: Recorded) -> str:
    """The model's card."""
    from huggingface_hub import ModelCardData

    results = cards.eval_results(found.facts, f"the examples of recipes/{found.recipe}.py", "custom")
    data = ModelCardData(
        model_name=escape_invisible(found.facts.model) if results else None,
        eval_results=results or None,
        tags=[*cards.TAGS, *([escape_invisible(found.facts.task)] if found.facts.task else [])],
    )
    values = {"data": markdown.Markdown(data.to_yaml()), "dataset": None, "names": cards.NAMES}
    values["bands"] = cards.bands_section(found.facts)
    told = {"recipe": markdown.Markdown(found.recipe), "question": found.question, "examples": found.examples}
    return markdown.rendered("model_card.md", facts=found.facts, **values, **told).strip() + "\n"


def made(folder: Path = CARDS) -> dict[Path, str]:
    """All files that the command writes, from the facts in `folder`."""
    files = {folder / TEMPLATES / name: (markdown.FOLDER / name).read_text(encoding="utf-8") for name in USED}
    found = {path: Recorded.read(path) for path in sorted(folder.glob("*.json"))}
    files |= {path.with_suffix(".md"): card(one) for path, one in found.items()}
    files[folder / "README.md"] = INDEX.format("\n".join(_entry(one) for one in found.values()))
    return files


def _entry(found: Recorded) -> str:
    name = markdown.text(found.recipe)
    return f"- [{name}]({found.recipe}.md): {markdown.text(found.facts.model)}. {markdown.text(found.question)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the facts of reports that are named, and write all cards anew."""
    parser = argparse.ArgumentParser(prog="python -m tools.model_cards", description=__doc__)
    parser.add_argument("taken", nargs="*", metavar="NAME=FOLDER", help="a recipe and the folder of its report")
    for one in parser.parse_args(arguments).taken:
        name, found, where = one.partition("=")
        if not found:
            parser.error(f"got {one!r}; expected NAME=FOLDER")
        CARDS.mkdir(exist_ok=True)
        (CARDS / f"{name}.json").write_text(take(name, Path(where)).to_json(), encoding="utf-8")
    for path, text in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
