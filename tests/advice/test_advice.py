"""Every error's advice leads to a call that works, or is about the user's data."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from hf_fourier.errors import FourierError
from tests.advice import (
    arguments,
    bands,
    biology,
    checkpoints,
    data,
    folders,
    gradients,
    heads,
    hearing,
    language,
    letters,
    limits,
    metrics,
    networks,
    numbers,
    papers,
    recordings,
    results,
    runs,
    scans,
    shell,
    sight,
    specs,
    surrogates,
    texts,
    views,
    workers,
)
from tests.advice.case import Case
from tests.advice.inventory import KINDS, MISSING, Advice, advices, extras
from tests.hub.test_advice import FOLLOWED

MODULES = (
    specs, results, metrics, runs, numbers, texts, language, letters, sight, hearing, heads, gradients, views,
    checkpoints, folders, shell, limits, bands, arguments, networks, biology, papers,
    recordings, scans, surrogates, workers,
)  # fmt: skip
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
TOLD = {*(case.do for case in CASES), *FOLLOWED, *data.IN_PROCESSES}

pytestmark = pytest.mark.usefixtures("unchecked", "no_figures")


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports draw none, which would take most of the time."""
    from hf_fourier.report.figures import overview

    monkeypatch.setattr(overview, "save_figures", lambda *given, **options: {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"\W+", " ", case.do))
def test_advice_leads_to_a_working_call(case: Case) -> None:
    with pytest.raises(FourierError) as caught:
        case.wrong()
    assert caught.value.hint == case.do, caught.value
    case.right()


def test_every_advice_of_the_source_is_followed_or_is_about_data() -> None:
    causes, _ = data.BY_CAUSE
    left = {
        f"{a.where}: {a.pattern}"
        for a in advices()
        if not a.where.startswith((causes, data.DAMAGED)) and not _answered(a)
    }
    assert not left, "follow it in a case, or list it in `data.py`:\n" + "\n".join(sorted(left))


def test_every_advice_names_what_to_change() -> None:
    bare = re.compile(r"(add|correct|fix|perturb|repair) (it|them)")
    known = {"repair or convert it"}
    assert [
        f"{a.where}: {a.pattern}"
        for a in advices()
        if a.pattern and bare.fullmatch(a.pattern.replace("\\", ""))
        if a.pattern not in known
    ] == []


def _answered(advice: Advice) -> bool:
    if advice.pattern is None:
        return False
    plain = re.sub(r"\\(.)", r"\1", advice.pattern)
    return any(map(advice.says, TOLD)) or any(re.fullmatch(known, plain) for known in data.ABOUT_DATA)


def test_what_is_about_data_is_still_said() -> None:
    said = [re.sub(r"\\(.)", r"\1", advice.pattern or "") for advice in advices()]
    assert [known for known in data.ABOUT_DATA if not any(re.fullmatch(known, text) for text in said)] == []


def test_what_is_followed_elsewhere_is(root: Path) -> None:
    from hf_fourier.scoring.failures import CAUSES
    from tests.scoring import test_failures

    assert ("scoring/failures.py", str(Path(test_failures.__file__).relative_to(root))) == data.BY_CAUSE
    assert {cause.name for cause in CAUSES} <= set(test_failures.CASES)
    for file, name in data.IN_PROCESSES.values():
        tree = ast.parse((root / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_all_kinds_of_errors_are_looked_for() -> None:
    from hf_fourier import errors

    made = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, FourierError)}
    assert made == KINDS | {MISSING}


def test_every_extra_exists_and_installs_the_package_that_is_missing(root: Path) -> None:
    own = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installs = metadata.packages_distributions()
    assert len(extras()) > 10
    for file, package, extra in extras():
        listed = {re.split(r"[\[<>=~! ]", one)[0].lower() for one in own.get(extra, [])}
        known = {package.lower(), *(name.lower() for name in installs.get(package, []))}
        assert known & listed, f"{file}: {package!r} is not in the extra {extra!r}"
