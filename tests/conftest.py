"""What every test shares: no Hub, no window, shapes checked, and real models on request."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before anything imports the libraries that read them. A test that talks to a Hub of its own runs a process of its own.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ["MPLBACKEND"] = "Agg"
# `evaluate` and transformers copy code that they load into one folder and put it on the path: a folder of this process,
# so that tests find neither what another checkout has left nor what it writes at the same time.
MODULES = tempfile.TemporaryDirectory(prefix="hf_fourier-modules-")
os.environ["HF_MODULES_CACHE"] = MODULES.name
# Tests are many and small: one thread each is faster than several, above all beside other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
SEED = 271_828


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hf_fourier")
    group.addoption("--no-shape-checks", action="store_true", help="do not check shape annotations at run time")
    group.addoption("--slow", action="store_true", help="run the tests marked slow as well")
    group.addoption("--sweep-minutes", type=float, default=0.0, help="draw new cases in tests/sweep for so long")
    group.addoption("--fuzz-minutes", type=float, default=0.0, help="draw new hostile cases for so long")
    group.addoption("--sweep-seed", type=int, help="the seed of those cases; drawn and printed by default")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-shape-checks"):
        return
    if "hf_fourier" in sys.modules:
        raise pytest.UsageError("hf_fourier was imported before its shape checks were switched on")
    from tests import shape_checks

    shape_checks.install()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test, and the fixtures that it is the first to ask for, from the same random numbers.

    The seed is one that no test sets, so that what a test draws is never by chance what a seeded fixture drew.
    """
    for name, seed in (("torch", "manual_seed"), ("numpy.random", "seed"), ("random", "seed")):
        if (module := sys.modules.get(name)) is not None:
            getattr(module, seed)(SEED)
    if (checks := sys.modules.get("tests.shape_checks")) is not None:
        checks.begin_test()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "asset" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.assets)
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)


@pytest.fixture(scope="session")
def asset() -> Callable[[str], Path]:
    """The folder of a real model by name, fetched and converted once per machine."""

    def get(name: str) -> Path:
        from benchmarks import assets
        from hf_fourier.demo import AssetUnavailable

        try:
            return Path(assets.get(name))
        except AssetUnavailable as error:
            if os.environ.get("HF_FOURIER_REQUIRE_ASSETS") == "1":
                raise
            pytest.skip(str(error))

    return get


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not checked, as where users are: for what they pass wrongly."""
    from jaxtyping import config

    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder that holds the project."""
    return Path(__file__).parents[1]
