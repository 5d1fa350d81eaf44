"""However an example is presented, its answer is the plain reference's, or what is different is said, or it is refused.

In CI a fixed set of cases; `--sweep-minutes 60` draws new ones for an hour, by a seed that is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import FourierError
from tests.sweep import hearing, reading, references, seeing
from tests.sweep.containers import CONTAINERS
from tests.sweep.forms import Shown
from tests.sweep.habits import EDITS, WRAPPED, inhabited
from tests.sweep.modes import AMBIENT, HALF, STATES, in_threads
from tests.sweep.subject import METHODS, Subject

pytestmark = pytest.mark.usefixtures("unchecked")
SUBJECTS = {**reading.SUBJECTS, **seeing.SUBJECTS, **hearing.SUBJECTS}
#: Examples in a container, at most.
MOST = 3
SHARES = (0.0, 0.3, 0.0, 0.05, 1.0)


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        contents: A seed for each example.
        form: How each is presented; "batch …" for the processor's own output.
        container: What holds them.
        ambient: What surrounds the call.
        state: What the model is like.
        threads: How many make the same call at once.
        method: The method.
        batch_size: Rows in a batch.
        edit: What the model does with its input first.
        output: What its outputs come in.
        then: The share of the features that is kept and deleted afterwards; 0 for none.
    """

    contents: tuple[int, ...]
    form: str
    container: str = "list"
    ambient: str = "nothing"
    state: str = "as it is"
    threads: int = 1
    method: str = "gradient_input"
    batch_size: int | str = "auto"
    edit: str = "nothing"
    output: str = "nothing"
    then: float = 0.0


@cache
def made(name: str) -> FourierExplainer:
    return SUBJECTS[name].explainer()


def cases(subject: Subject) -> st.SearchStrategy[Case]:
    """Any of them, the plainest first."""
    batches = [f"batch {how}" for how in subject.hows]
    return st.builds(
        Case,
        st.lists(st.integers(0, 10**6), min_size=1, max_size=MOST).map(tuple),
        st.sampled_from([*subject.forms, *batches]),
        st.sampled_from(list(CONTAINERS)),
        st.sampled_from(["nothing"] * 3 + list(AMBIENT)),
        st.sampled_from(list(STATES)),
        st.sampled_from([1, 1, 1, 2]),
        st.sampled_from(METHODS),
        st.sampled_from(["auto", 1, 2]),
        st.sampled_from(["nothing"] * 8 + list(EDITS)),
        st.sampled_from(["nothing"] * 8 + list(WRAPPED)),
        st.sampled_from(SHARES),
    )


def each_once(subject: Subject) -> list[Case]:
    """Every form, and beside those every container, mode, state and method."""
    names = [*subject.forms, *(f"batch {how}" for how in subject.hows)]
    turns: list[Any] = [list(CONTAINERS), list(AMBIENT), list(STATES), [1, 1, 1, 1, 1, 2], METHODS, ["auto", 1, 2]]
    turns += [["nothing"] * 5 + list(EDITS), ["nothing"] * 9 + list(WRAPPED), SHARES]
    return [
        Case(tuple(range(3 * i, 3 * i + 1 + i % MOST)), name, *(turn[i % len(turn)] for turn in turns))
        for i, name in enumerate(names)
    ]


def presented(subject: Subject, explain: FourierExplainer, case: Case) -> tuple[Any, list[Shown], bool]:
    """What is passed, what it means one by one, and whether it has to be taken."""
    contents = [subject.content(np.random.default_rng(seed)) for seed in case.contents]
    if case.form.startswith("batch ") and subject.batch is not None:
        batch = subject.batch(explain, contents, case.form.removeprefix("batch "))
        return batch, [Shown(None, one, plainly=False) for one in contents], True
    shown = [subject.forms[case.form](one) for one in contents]
    container = case.container
    if container in ("Dataset", "Column") and not all(map(_stored, shown)):  # it would hold something else
        container = "list"
    shown = shown[:1] if container == "alone" else shown
    return CONTAINERS[container]([one.example for one in shown]), shown, container in ("alone", "list")


def _stored(shown: Shown) -> bool:
    """Whether a data set gives an example back as it is."""
    if isinstance(shown.example, str):
        return shown.example.isprintable()
    return isinstance(shown.example, Image.Image)


def checked(name: str, case: Case) -> None:
    """Hold one call to the plain reference."""
    subject, explain = SUBJECTS[name], made(name)
    example, shown, has_to = presented(subject, explain, case)
    ambient = AMBIENT[case.ambient] if case.threads == 1 else AMBIENT["nothing"]

    def call() -> Any:
        with ambient():
            found = explain.explain(example, method=case.method, batch_size=case.batch_size)
            return explain.perturb(found, fractions=[case.then]) if case.then else found

    threads = case.threads if case.container not in ("generator", "map", "one buffer") else 1
    main = explain.wrapper.main_input
    habits = inhabited(explain.model, main, case.edit, case.output, copied=False)
    try:
        with STATES[case.state](explain.model), habits:
            said = in_threads(call, threads)
    except FourierError as error:
        wrapped = WRAPPED[case.output][1] if subject.wraps else case.output == "nothing"
        if has_to and wrapped and all(one.plainly and by_themselves(subject, explain, case, one) for one in shown):
            raise AssertionError(f"{name}, {case}: refused: {error}") from error
        return
    except Exception as error:
        raise AssertionError(f"{name}, {case}: {type(error).__name__}: {error}") from error
    for results in said:
        results = results if isinstance(results, list) else [results]
        assert len(results) == len(shown), f"{name}, {case}: {len(results)} results of {len(shown)} examples"
        for i, (result, one) in enumerate(zip(results, shown, strict=True)):
            with inhabited(explain.model, main, case.edit, "nothing", copied=True):
                wrong = differs(subject, explain, case, result, one)
            assert wrong is None, f"{name}, {case}, example {i}: {wrong}; notes {result.provenance['notes']}"


@cache
def _always(name: str) -> frozenset[str]:
    content = SUBJECTS[name].content(np.random.default_rng(0))
    result = made(name).explain(next(iter(SUBJECTS[name].forms.values()))(content).example, method="magnitude")
    return frozenset(result.provenance["notes"])


def always(subject: Subject) -> frozenset[str]:
    """What is said of every example of a model."""
    return _always(next(name for name, one in SUBJECTS.items() if one is subject))


def by_themselves(subject: Subject, explain: FourierExplainer, case: Case, shown: Shown) -> bool:
    """Whether model and processor answer without us in these modes."""
    if case.ambient == "default device meta" and not subject.wraps:
        return False  # `generate` makes tensors of its own, where it is told to
    try:
        with AMBIENT[case.ambient]():
            references.answer(subject.plain(explain, shown.content))
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return False
    return True


def differs(subject: Subject, explain: FourierExplainer, case: Case, result: Attribution, shown: Shown) -> str | None:
    """What is not as it should be and not said either; None where all is well."""
    if shown.content is None:
        return f"what means nothing was explained as {result.label!r}"
    plain = subject.plain(explain, shown.content)
    half = case.ambient == HALF and case.threads == 1
    near = 0.1 if half else subject.near
    with AMBIENT[HALF if half else "nothing"]():
        found = references.answer(plain)
        wrong = compared(result, found, plain, case.method, near)
        if wrong is None and case.then and subject.playable:
            wrong = played(result, found, plain, case.then, near)
    if wrong is None:
        return None
    told = set(result.provenance["notes"]) - always(subject)
    return None if told and not (shown.plainly and WRAPPED[case.output][1]) else wrong


def played(
    result: Attribution, found: references.Answer, plain: references.Plain, share: float, near: float
) -> str | None:
    """Where the game parts from asking the model itself."""
    if result.curve is None:
        return "no curve"
    for part, signal in (("keep", result.keep_top(share)), ("delete", result.delete_top(share))):
        with torch.no_grad():
            value = float(plain.score(plain.outputs(signal.to(plain.signal)), found.target))
        stop = result.curve.at(part, share)
        if abs(stop.value - value) > 5 * near * max(1.0, abs(value)):
            return f"{part} {share} played as {stop.value:.6g}, not {value:.6g}"
    return None


def compared(
    result: Attribution, found: references.Answer, plain: references.Plain, method: str, near: float
) -> str | None:
    """Where a result parts from its reference."""
    if result.signal.shape != found.signal.shape:
        return f"a signal {tuple(result.signal.shape)}, not {tuple(found.signal.shape)}"
    size = max(1.0, float(found.signal.abs().max()))
    if (away := float((result.signal - found.signal).abs().max())) > 1e-4 * size:
        return f"a signal that is {away:.2g} away"
    whole = result.keep_top(0.3) + result.delete_top(0.3)
    if (away := float((whole - result.signal).abs().max())) > 1e-5 * size:
        return f"keep and delete miss the signal by {away:.2g}"
    if found.target is not None and named(result, found) != found.target and near < 0.1:
        return f"target {result.target}, not {found.target}"
    if abs(result.value - found.value) > near * max(1.0, abs(found.value)):
        return f"value {result.value:.6g}, not {found.value:.6g}"
    if plain.sure and result.confidence is not None and near < 0.1:
        sure = float(np.exp(found.value))
        if abs(result.confidence - sure) > near:
            return f"confidence {result.confidence:.6g}, not {sure:.6g}"
    if method == "ffc" or (near >= 0.1 and method != "magnitude"):
        return None
    wanted, ordered = references.ranked(result, found, plain.segments, method)
    scores = result.scores.double().numpy()
    scores = scores if ordered else np.sort(scores)
    scale = float(np.abs(wanted).max())
    if scores.shape != wanted.shape or np.abs(scores - wanted).max() > (1e-4 if near >= 0.1 else near) * scale + 1e-7:
        return f"{method} scores {scores[:3]}…, not {wanted[:3]}…"
    return None


def named(result: Attribution, found: references.Answer) -> Any:
    """What a result says its target is; of a mask each place."""
    if (
        isinstance(found.target, list)
        and result.frozen_target is not None
        and result.frozen_target.numel() == len(found.target)
    ):
        return result.frozen_target.flatten().tolist()
    return result.target


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_form_once(name: str) -> None:
    for case in each_once(SUBJECTS[name]):
        checked(name, case)


@pytest.mark.parametrize("name", SUBJECTS)
def test_any_case(name: str, sweep: Any) -> None:
    def run(case: Case) -> None:
        checked(name, case)

    sweep(run, cases(SUBJECTS[name]), len(SUBJECTS))
