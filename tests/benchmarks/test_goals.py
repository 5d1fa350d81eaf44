"""Another example's answer or representation as the goal, on a model that reads two waves alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.methods import METHODS
from hf_fourier.models.encoding import encode

POINTS, LOUD, QUIET = 64, 3, 7


class Waves(torch.nn.Module):
    """The label is "loud" where 3 cycles are stronger, "quiet" where 7 are; the head reads both amplitudes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(8 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(2 / POINTS * torch.fft.rfft(x.squeeze(1)).abs()[:, [LOUD, QUIET]])


@pytest.fixture(scope="module")
def goals() -> Iterator[ModuleType]:
    """The benchmark. Importing it registers methods that are in no release; they are taken out again."""
    before = {*METHODS}
    module = import_module("benchmarks.goals")
    METHODS.register("tracking_never_raised")(import_module("benchmarks.candidates").TrackingNeverRaised)
    yield module
    for name in {*METHODS} - before:
        METHODS.remove(name)


def examples() -> list[torch.Tensor]:
    """Six with both waves, in turn the one and the other stronger, on a little noise."""
    at, made = torch.arange(POINTS) * 2 * torch.pi / POINTS, []
    for number in range(6):
        first, second = (1.0, 0.8) if number % 2 else (0.8, 1.0)
        noise = 0.02 * torch.randn(POINTS, generator=torch.Generator().manual_seed(number))
        made.append((first * (LOUD * at + number).cos() + second * (QUIET * at).cos() + noise).unsqueeze(0))
    return made


def explainer() -> FourierExplainer:
    return FourierExplainer(Waves(), labels=["loud", "quiet"], axes=("time",), sampling_rate=POINTS)


def test_each_example_lends_its_answer_once_to_one_with_another_label(goals: ModuleType) -> None:
    predicted, wrong = [0, 0, 1, 1, 2, 2], [1, 2, 2, 0, 0, 1]
    lent = goals.lenders(predicted, wrong)
    assert [predicted[i] for i in lent] == wrong
    assert sorted(lent) == list(range(6))


def test_a_label_that_too_few_have_is_lent_in_turn(goals: ModuleType) -> None:
    lent = goals.lenders([0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 0, 0])
    assert Counter(lent) == {4: 2, 5: 2, 0: 1, 1: 1}


@pytest.mark.parametrize("spec", ["tracking:kappa=.3", "tracking:goal=auto,kappa=.3"])
def test_the_goal_is_the_output_or_the_representation_of_the_lender(goals: ModuleType, spec: str) -> None:
    """With its own goal an example keeps its ranking; with another's it gets the one towards that."""
    explain, raw, method = explainer(), examples(), METHODS.parse(spec)
    encoded, domain = encode(explain.wrapper, raw)[1], explain.resolve_domain(method)

    def scores(others: dict[int, torch.Tensor], seen: dict[int, torch.Tensor]) -> list[torch.Tensor]:
        asked = goals.towards(method, others, seen)
        made = explain.explain_encoded(encoded, [None] * 6, asked, domain, contributions=0)
        keys.extend(result.key for result in made)
        return [result.scores for result in made]

    keys: list[int] = []
    seen: dict[int, torch.Tensor] = {}
    own = scores({}, seen)
    plain = [result.scores for result in explain.explain(raw, method=method, domain=domain)]
    assert all(torch.equal(a, b) for a, b in zip(own, plain, strict=True))
    rows = torch.stack([seen[key] for key in keys])
    amplitudes = 2 / POINTS * torch.fft.rfft(torch.cat(raw)).abs()[:, [LOUD, QUIET]]
    expected = amplitudes if "goal=auto" in spec else explain.model(torch.stack(raw)).detach()
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(scores(dict(seen), {}), own, strict=True))
    others = {keys[0]: seen[keys[1]]}
    moved = [torch.equal(a, b) for a, b in zip(scores(others, {}), own, strict=True)]
    assert moved == [False, True, True, True, True, True]


def test_a_short_step_keeps_answers_and_a_long_one_reaches_those_of_others(goals: ModuleType) -> None:
    """The top 4 % are one frequency: with a short step the stronger wave, with a long one the goal's."""
    explain, raw = explainer(), examples()
    none, all_of_them = [0.0] * 6, [1.0] * 6
    for spec in ("magnitude", "tracking"):
        assert goals.reached(explain, raw, spec) == {
            goals.OWN: all_of_them, goals.EXCHANGED: none, goals.ANOTHERS: none
        }  # fmt: skip
    for spec in ("tracking:kappa=.3", "tracking_never_raised:kappa=.3"):
        found = goals.reached(explain, raw, spec)
        assert found[goals.EXCHANGED] == found[goals.ANOTHERS] == all_of_them
    found = goals.reached(explain, raw, "tracking:goal=auto,kappa=.3")
    assert found[goals.ANOTHERS] == all_of_them
    assert goals.EXCHANGED not in found  # a label has no representation


def test_a_control_reaches_what_its_one_ranking_reaches(goals: ModuleType) -> None:
    found = goals.reached(explainer(), examples(), "low_frequency")
    assert found[goals.OWN] != found[goals.EXCHANGED]
    assert found[goals.EXCHANGED] == found[goals.ANOTHERS]


def test_two_equal_examples_are_refused(goals: ModuleType) -> None:
    raw = examples()
    with pytest.raises(ValueError, match="alike"):
        goals.reached(explainer(), [*raw[:2], raw[0]], "tracking")


def test_rows_have_gaps_to_the_magnitude_and_leave_out_what_was_not_asked(goals: ModuleType) -> None:
    def cell(kept: list[float], anothers: list[float], exchanged: list[float] | None) -> dict[str, object]:
        values = {goals.OWN: kept, goals.ANOTHERS: anothers}
        return {"groups": ["a", "b"], "values": values | ({} if exchanged is None else {goals.EXCHANGED: exchanged})}

    control, other = goals.rows(
        "m", {"magnitude": cell([1, 0], [0, 0], [0, 0]), "tracking:goal=auto": cell([1, 1], [1, 0], None)}
    )
    assert control["kept"].startswith("0.500")
    assert other["kept, gap"].startswith("0.500")
    assert other[goals.EXCHANGED] == ""
    assert other[f"{goals.ANOTHERS}, gap"].startswith("0.500")
    assert other["n (groups)"] == "2 (2), anecdotal"
