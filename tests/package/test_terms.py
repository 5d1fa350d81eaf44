"""Terms with a meaning of their own stand in the glossary, and retired words stand nowhere that users read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Terms that readers of the field may not know, as they occur in text (stems).
TERMS = {
    "agreement": r"\bagreement\b", "anecdotal": r"\banecdotal\b", "band": r"\bbands?\b", "basis": r"\bbasis\b",
    "chunk": r"\bchunks?\b", "clean": r"\bclean\b", "compact result": r"\bcompact\b", "dither": r"\bdither\b",
    "heat map (Fourier)": r"\bheat maps?\b", "magnitude": r"\bmagnitudes?\b", "score": r"\bscores?\b",
    "spectrum (of a model)": r"\bspectrum of a model\b", "stand-in": r"\bstand-ins?\b",
    "closed loop": r"\bclosed loop\b", "completeness error": r"\bcompleteness\b", "contribution": r"\bcontributions?\b",
    "control": r"\bcontrols?\b", "decoy": r"\bdecoys?\b", "DIG": r"\bDIG\b", "domain": r"\bdomains?\b",
    "donor": r"\bdonors?\b", "feature": r"\bfeatures?\b", "FFC": r"\bFFC\b", "fraction": r"\bfractions?\b",
    "group": r"\bgroups?\b", "cluster": r"\bclusters?\b", "head": r"\bheads?\b",
    "magnitude overlap": r"\bmagnitude overlap\b",
    "maintain rate": r"\bmaintain rate\b", "perturbation curve": r"\bperturbation curves?\b",
    "planted": r"\bplanted\b", "randomized model": r"\brandomized model\b", "replacement": r"\breplacements?\b",
    "representation": r"\brepresentations?\b", "response": r"\bresponse\b", "selectivity": r"\bselectivity\b",
    "shard": r"\bshards?\b", "signal": r"\bsignals?\b", "target": r"\btargets?\b", "tracking": r"\btracking\b",
    "transport": r"\btransport(?:ed)?\b", "front end": r"\bfront ends?\b",
    "gate": r"\bgates?\b", "grid": r"\bgrids?\b", "grain": r"\bgrains?\b", "lift": r"\blift\b",
    "trigger": r"\btriggers?\b",
}  # fmt: skip
#: Words of our own for what has a name, and the name.
RETIRED = {
    r"\bleaf\b|\bleaves of\b": "signal",
    r"\b(?:re)?play(?:ed|ing|s)?\b": "perturb",
    r"\btwins?\b": "randomized model",
    r"\bsayings\b": "text",
    r"\bknockouts?\b": "deletion",
    r"\bdealt\b": "assigned",
    r"\bthe house\b": "the package",
    r"\bin a wrong way\b": "usage error",
    r"\bno natural input\b": "an input that the model was not trained on",
    r"\b(?:asks?|reads?) no model\b|\bwithout looking at the model\b": "does not use the model",
    r"\bask(?:s|ed)? the model again\b": "run the model",
    r"\bin the place of\b": "replaced by",
    r"\banew\b|\bafresh\b": "again, newly initialised",
    r"\bsmall letters\b": "lowercase letters",
    r"\bnamed rightly\b": "classified correctly",
    r"\bslow theme\b": "low frequencies",
    r"\bclaims? nothing\b": "no claim is made",
    r"\b(?:can|cannot|could not|to) be had\b": "available",
    r"\bno function of\b": "not a function of",
    r"\bspoilt\b": "degraded",
    r"\bset apart\b": "held out",
    r"\bturned about\b": "reversed",
    r"\bbr(?:ing|ings|ought|inging) about\b": "lead to, cause",
    r"\bby the clock\b": "wall time",
    r"\bbuys?\b|\bpersua(?:sion|des?)\b|\bproves nothing\b": "raises, reaches wrong labels, is not evidence",
    r"\bdeaf\b": "does not respond to",
    r"\bis no (?:whole )?number\b|\bis no (?:sequence|slice|data set)\b|\bare no voltages\b": "is not a",
    r"\bhalf there\b": "incomplete",
    r"\bflatters\b": "is too high",
    r"\bfall of the score\b": "drop of the score",
    r"\bbytes are not those\b": "do not match the digest",
    r"\bstands? for yours\b": "replace by your own",
    r"\bgoes by\b": "relies on",
    r"\bpart of the answer\b|\bdeletion changes the answer\b": "changes the output, the prediction",
    r"\bspeaks? (?:for|against)\b": "is evidence for",
    r"\b(?:decisions?|predictions?|deletion) turn(?:s|ed)?\b"
    r"|\bturn(?:s|ed)? (?:at|all|(?:(?:no|nearly|every|as|many|other) )*(?:decision|prediction|model)s?)\b": "changes",
    r"\bbrings? (?:(?:its|their|the) (?:own )?label|it on)\b|\btakes? the label away\b": "leads to, changes the label",
    r"\b(?:says?|said) (?:(?:that|the|its) label|it)\b": "predicts",
    r"\bstood in for\b|\bput into another\b": "replaced by, inserted into",
    r"\bas loud as each other\b|\bhandicapped\b": "of the same amplitude, faulty",
    r"\bcarried to (?:the )?(?:features|frequencies|positions)\b": "converted to",
    r"\bneeds? no gradient \((?:random\b(?!_)|magnitude|low_frequency)": "random_masks, shapley, occlusion, filters",
    r"\b(?:perturb with|give \S+|with) (?:one|a) grid\b|\ba grid that (?:keeps|deletes|has)\b"
    r"|\bgrid of the signal's places\b": "the same fractions; outputs that correspond to positions",
    r"\bone (?:with an order|run a folder)\b|\baxis with an order\b": "along which order matters; one run per folder",
    r"\bfor a head that reads\b|\bsignal without units\b|\bsee the registered names\b": "of kind; `hf-fourier methods`",
    r"\bshare nothing\b|\bask a `ModelSpectrum`|\bwrite the cosine\b": "say what to do",
    r"\b(?:several|different) layouts\b|\bknows labels\b|\bwhich Accelerate sees\b": "say what differs",
    r"\b(?:merged into|but there is|evidence for|against) (?:one|the) answer\b|\bchanges no answer\b"
    r"|\b(?:keep|lose) the answer\b|\bdoes to the answer\b|\btoken's answer\b": "prediction",
    r"\bmethod that ranks features\b|\bwhose coefficients are ranked\b": "the features (…); that defines the features",
    r"\bbands decide\b|\bbands MODEL uses\b|\bbands (?:a|the) model needs\b|\bHz does a \w+ \w+ need\b"
    r"|\bwith the controls on all\b|\bPrint means, and gaps\b": "effect on the prediction; depends on; differences",
    r"\bbudget of bands\b|\bdirections that were fitted\b|\bParseval, a basis\b|\bsee `Precomputed`"
    r"|\bclosest to its own output\b": "share; components; not redundant; output on the whole input",
    r"\band their reconstructions\b|\bthat is available on this machine\b|\bsilence has no gradient\b"
    r"|\bdata set into a folder\b|\bplaces to substitute\b|\bgroup examples by\b": "say what it does",
    r"\bheat maps out\b|\bmutation maps\b|\btested by group\b|\bwith known results\b|\bcontrol that ignores the model\b"
    r"|\b98 % of those tested\b|\bfraction that this page uses\b|\bits goal and no label\b"
    r"|\bdifferences between processors can\b": "say it in the field's words",
    r"\bEvery message says\b": "every `FourierError` says",
    r"\bin need of data\b|\bwhat went and what\b": "say what is missing, or was deleted",
}
#: Phrases that hold a retired word in its ordinary meaning.
ORDINARY = re.compile(
    r"without a layer that has a grid of the signal's places|"  # a recorded message of an earlier version
    r"leaf (?:node|module|Variable)|autograd leaf|leave the house|play(?:er)?s? (?:a|the) (?:clip|sound)",
    re.I,
)


def glossary(root: Path) -> set[str]:
    rows = re.findall(r"^\| ([^|]+?) \|", (root / "docs/glossary.md").read_text(), re.M)
    return {term for row in rows for term in re.split(r", ", row.replace(" (κ)", ""))} - {"term", "---"}


def pages(root: Path) -> dict[str, str]:
    """What users read: the README, the pages that people write, without code."""
    paths = [root / "README.md", root / "SECURITY.md", *sorted((root / "docs").rglob("*.md"))]
    made = {"_build", "reference", "metrics"}
    texts = {
        str(path.relative_to(root)): re.sub(r"```.*?```|`[^`\n]*`", " ", path.read_text(), flags=re.S)
        for path in paths
        if not made & set(path.relative_to(root).parts) and path.name not in ("glossary.md", "style.md")
    }
    assert len(texts) > 40
    return texts


def messages(root: Path) -> dict[str, str]:
    """Texts of errors, of notes and of the command line: every literal of several words that is no docstring."""
    texts = {}
    for path in sorted((root / "hf_fourier").rglob("*.py")):
        tree = ast.parse(path.read_text())
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        literals = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in alone]
        texts[str(path.relative_to(root))] = "\n".join(
            text for text in literals if isinstance(text, str) and text.count(" ") >= 2
        )
    return texts


def helps() -> dict[str, str]:
    """What `hf-fourier COMMAND --help` shows, and the rows of `hf-fourier methods` and `domains`."""
    import typer

    from hf_fourier.cli.app import app
    from hf_fourier.cli.list import DOMAINS_FILE, METHODS_FILE

    def walk(command: Any, path: str) -> Iterator[tuple[str, str]]:
        parts = [command.help, *(getattr(parameter, "help", None) for parameter in command.params), command.epilog]
        yield path, "\n".join(" ".join(part.split()) for part in parts if part)
        for name, own in getattr(command, "commands", {}).items():
            yield from walk(own, f"{path} {name}")

    tables = {file.name: file.read_text(encoding="utf-8") for file in (METHODS_FILE, DOMAINS_FILE)}
    return {**dict(walk(typer.main.get_command(app), "hf-fourier")), **tables}


def retired(texts: dict[str, str]) -> list[str]:
    return [
        f"{name}: {match[0]!r}, say {instead}"
        for name, text in texts.items()
        for words, instead in RETIRED.items()
        for match in re.finditer(words, ORDINARY.sub(" ", text), re.I)
    ]


def test_every_term_of_the_first_pages_is_in_the_glossary(root: Path) -> None:
    first = " ".join(pages(root)[name] for name in ("README.md", "docs/tutorial.md", "docs/why.md"))
    used = {term for term, words in TERMS.items() if re.search(words, first, re.I)}
    assert len(used) > 15
    assert not used - glossary(root)


def test_the_glossary_has_every_term(root: Path) -> None:
    assert not set(TERMS) - glossary(root)


def test_registered_controls_and_domains_are_in_the_glossary(root: Path) -> None:
    from hf_fourier.domains import DOMAINS

    text = (root / "docs/glossary.md").read_text()
    assert [name for name in DOMAINS if f"`{name}`" not in text] == []


def test_no_page_or_message_has_a_retired_word(root: Path) -> None:
    assert retired(pages(root)) + retired(messages(root)) + retired(helps()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("the leaf of a model", 1), ("features were played", 1), ("its twin", 1), ("a player of sounds", 0),
     ("what is left is no natural input", 1), ("it can leave the house", 0), ("a control that asks no model", 1),
     ("noise in the place of features", 1), ("weights drawn anew", 1), ("a new model", 0), ("it cannot be had", 1),
     ("a large step buys DIG with persuasion", 2), ("a folder is no data set", 1), ("there is a number", 0)],
)  # fmt: skip
def test_a_retired_word_is_seen(text: str, found: int) -> None:
    assert len(retired({"page": text})) == found
