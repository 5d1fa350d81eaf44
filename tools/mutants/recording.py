"""One run of a room's tests that records which tests execute which lines of the library."""

from __future__ import annotations

import hashlib
import json
import multiprocessing.util
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tools.mutants.faults import Fault

#: Seconds after which what is known is saved.
EVERY = 20.0
_Lines = defaultdict[str, set[int]]


@dataclass
class Executed:
    """What is known of one test.

    Attributes:
        seconds: How long it took, recording.
        lines: By file of the library: a number whose bit i says that line i was executed.
        processes: Whether it started a process, whose lines are not known.
    """

    seconds: float
    lines: dict[str, int]
    processes: bool

    def executes(self, fault: Fault) -> bool:
        """Whether it executes the faulty statement."""
        first, last = fault.statement
        return bool((self.lines.get(fault.path, 0) >> first) & ((1 << (last - first + 1)) - 1))


@dataclass
class Record:
    """What one run of a room's tests recorded.

    Attributes:
        tests: By id.
        failed: The ids of those that failed.
        modules: What they import, besides the library and the tests.
        digests: Of the files of the library and of the tests that are complete.
        begun: Of the files of the tests that were begun.
    """

    tests: dict[str, Executed] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        tests = {
            name: [test.seconds, {file: f"{mask:x}" for file, mask in test.lines.items()}, test.processes]
            for name, test in self.tests.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({**vars(self), "tests": tests}))
        new.replace(path)

    @staticmethod
    def load(path: Path) -> Record:
        """Read what `save` wrote."""
        stored = json.loads(path.read_text())
        tests = {
            name: Executed(seconds, {file: int(mask, 16) for file, mask in lines.items()}, processes)
            for name, (seconds, lines, processes) in stored["tests"].items()
        }
        return Record(**{**stored, "tests": tests})


def digest(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


class Recorder:
    """A plugin of pytest.

    Lines of a fixture that outlives a test count for every test that asks for it.

    Args:
        checkout: Where the library is.
        record: What is known, to be completed.
        path: Where it is saved after each file of tests, and now and then.
        package: The library's folder.
    """

    def __init__(self, checkout: Path, record: Record, path: Path, package: str = "hf_fourier"):
        self.record, self._path = record, path
        self._modules, self._saved = {*sys.modules}, time.monotonic()
        self._own = (package, "tests", "benchmarks", "tools", "_pytest", "pytest", "__main__", "test_", "conftest")
        self._prefix = f"{checkout}/{package}/"
        self._root = f"{checkout}/"
        self._current: _Lines = defaultdict(set)
        self._fixtures: dict[Any, _Lines] = {}
        self._tracers: dict[str, Callable | None] = {}
        self._started = False

    def start(self) -> None:
        """Begin to record; what follows outside of tests counts for none."""

        def note(event: str, arguments: Any) -> None:
            if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"):
                self._started = True

        sys.addaudithook(note)
        spawn = multiprocessing.util.spawnv_passfds

        def spawning(*arguments: Any) -> Any:
            self._started = True
            return spawn(*arguments)

        multiprocessing.util.spawnv_passfds = spawning  # the only start that is not audited
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Callable | None:
        name = frame.f_code.co_filename
        if name not in self._tracers:
            self._tracers[name] = self._tracer(name) if name.startswith(self._prefix) else None
        tracer = self._tracers[name]
        return tracer and tracer(frame, event, arg)

    def _tracer(self, name: str) -> Callable:
        def lines(frame: FrameType, event: str, arg: Any) -> Callable:
            self._current[name].add(frame.f_lineno)
            return lines

        return lines

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """One test's lines, and those of the fixtures it shares."""
        before, self._current, self._started = self._current, defaultdict(set), False
        own, begin = self._current, time.perf_counter()
        result = yield
        seconds, self._current = time.perf_counter() - begin, before
        for definitions in getattr(item, "_fixtureinfo").name2fixturedefs.values():  # noqa: B009
            for definition in definitions:
                for name, lines in self._fixtures.get(definition, {}).items():
                    own[name] |= lines
        masks = {name.removeprefix(self._root): sum(1 << i for i in lines) for name, lines in own.items()}
        self.record.tests[item.nodeid] = Executed(round(seconds, 4), masks, self._started)
        name = str(item.path).removeprefix(self._root)
        self.record.begun.setdefault(name, digest(item.path))
        if nextitem is None or nextitem.path != item.path:
            self.record.digests[name] = self.record.begun[name]
        if name in self.record.digests or time.monotonic() - self._saved > EVERY:
            self._save()
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what is known, but for the last test, at which a file is complete."""
        items[:] = [item for item in items[:-1] if item.nodeid not in self.record.tests] + items[-1:]

    def _save(self) -> None:
        new = [name for name in [*sys.modules] if name not in self._modules and not name.startswith(self._own)]
        self.record.modules = [*dict.fromkeys(self.record.modules + new)]
        self.record.save(self._path)
        self._saved = time.monotonic()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef) -> Iterator[None]:
        """The lines of a fixture that outlives a test."""
        if fixturedef.scope == "function":
            return (yield)
        before, self._current = self._current, self._fixtures.setdefault(fixturedef, defaultdict(set))
        try:
            return (yield)
        finally:
            self._current = before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that fails without a fault says nothing about one."""
        if report.failed and report.nodeid not in self.record.failed:
            self.record.failed.append(report.nodeid)
