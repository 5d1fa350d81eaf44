"""One glossary: no file, public name or parameter is called by a word of our own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Words that the glossary replaced, and what is said instead.
REPLACED = {
    "leaf": "signal",
    "leaves": "signals",
    "play": "perturb",
    "plays": "perturb",
    "playing": "perturb",
    "told": "the thing itself",
    "said": "predicted class, or the thing itself",
    "says": "description",
    "dealt": "assign",
    "aim": "target",
    "aims": "targets",
    "aimed": "targeted",
    "twin": "randomized model",
    "twins": "randomized model",
    "tap": "layer",
    "taps": "layers",
    "tapped": "layers",
    "beside": "the thing itself",
    "tidy": "table",
    "shown": "the thing itself",
    "telling": "the thing itself",
    "sayings": "wording",
    "settle": "resolve",
    "settled": "resolved",
    "agrees": "agreement",
    "halvings": "splits",
    "knockout": "deletion",
    "adopt": "from_maps",
}
#: Words that mean something else in these places: filters have taps.
ALLOWED = {("domains/filterbank.py", "taps"), ("domains/wavelet.py", "taps")}


def words(name: str) -> list[str]:
    return [word.lower() for word in re.split(r"_+|(?<=[a-z0-9])(?=[A-Z])", name) if word]


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Public classes, functions, parameters, constants and fields."""

    def within(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                if node.name.startswith("_") and not node.name.startswith("__"):
                    continue
                yield node.lineno, node.name
                if isinstance(node, ast.ClassDef):
                    yield from within(node.body)
                else:
                    arguments = [argument for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
                    yield from ((argument.lineno, argument.arg) for argument in arguments)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.lineno, node.target.id
            elif isinstance(node, ast.Assign):
                targets = [part for target in node.targets for part in getattr(target, "elts", [target])]
                yield from ((node.lineno, target.id) for target in targets if isinstance(target, ast.Name))

    yield from (pair for pair in within(ast.parse(path.read_text()).body) if not pair[1].startswith("_"))


def old_words(package: Path) -> list[str]:
    found = []
    for path in sorted(package.rglob("*.py")):
        here = str(path.relative_to(package))
        found += [f"{here}: {word}" for word in words(path.stem) if word in REPLACED]
        for line, name in names(path):
            old = [word for word in words(name) if word in REPLACED and (here, word) not in ALLOWED]
            found += [f"{here}:{line} {name}: {word}, say {REPLACED[word]}" for word in old]
    return found


def test_the_old_words_are_gone(root: Path) -> None:
    assert not old_words(root / "hf_fourier")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class LeafShape: ...", 1),
        ("def explain(leaf_kinds): ...", 1),
        ("class A:\n    agrees: float\n    def settle(self): ...", 2),
        ("SHOWN = 3", 1),
        ("TOLD, OTHER = 3, 4", 1),
        ("def explain(*leaves, **told): ...", 2),
        ("def _told(leaf): ...", 0),
        ("def untold(leafy): ...", 0),
    ],
)
def test_an_old_word_is_seen(text: str, found: int, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(text)
    assert len(old_words(tmp_path)) == found
