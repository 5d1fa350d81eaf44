"""How long a sweep takes, and which cases it draws."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings

#: Cases of each subject in CI.
CASES = 20
#: Without hypothesis' own shrinking, which asks hundreds of models: `least` does it.
QUIET: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


def least(check: Callable[[Any], None], case: Any) -> None:
    """Check a case; of one that fails all is left out that it fails without."""
    try:
        check(case)
        return
    except AssertionError as error:
        failed = error
    for field in dataclasses.fields(case):
        own = getattr(case, field.name)
        plain = own[:1] if isinstance(own, tuple) else field.default
        if plain in (own, dataclasses.MISSING):
            continue
        simpler = dataclasses.replace(case, **{field.name: plain})
        try:
            check(simpler)
        except AssertionError as error:
            case, failed = simpler, error
    raise failed


@pytest.fixture(scope="session")
def sweep(request: pytest.FixtureRequest) -> Callable[[Callable[[Any], None], Any, int], None]:
    """Runs a check on cases of a strategy: a few, always the same; with `--sweep-minutes` new ones, for that long."""
    minutes: float = request.config.getoption("--sweep-minutes")
    seed: int | None = request.config.getoption("--sweep-seed")
    start = random.randrange(10**6) if seed is None else seed

    def run(check: Callable[[Any], None], strategy: Any, parts: int) -> None:
        def one(case: Any) -> None:
            least(check, case)

        if not minutes:
            settings(max_examples=CASES, derandomize=True, **QUIET)(hypothesis.given(strategy)(one))()
            return
        end, own = time.monotonic() + 60 * minutes / parts, start
        while time.monotonic() < end:
            print(f"seed {own}: --sweep-minutes .001 --sweep-seed {own}")  # noqa: T201
            some = settings(max_examples=50, **QUIET)(hypothesis.given(strategy)(one))
            hypothesis.seed(own)(some)()
            own += 1

    return run
