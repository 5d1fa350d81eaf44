"""Faults are tried in forks, on the tests that execute them."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tools.mutants.faults import Fault
from tools.mutants.recording import Record, Recorder

#: What a child's exit says: no test failed; one did, or nothing could be imported; the code cannot be replaced; the
#: child itself failed.
PASSED, FAILED, NOT_REPLACED, BROKEN = 0, 1, 3, 4
#: Tests are tried up to so many recorded seconds, fastest first: with replaced code, and in a process of their own.
MOST_SECONDS = (20.0, 60.0)
#: Bytes that a test may address: a faulty size must not fill the machine.
MEMORY = 24 << 30
_QUIET = ("-q", "-s", "-p", "no:cacheprovider", "-p", "no:terminalreporter")


def warm(modules: Iterable[str]) -> None:
    """Import what children need, so that each need not do it."""
    for name in modules:
        with suppress(Exception):  # a part of a library that cannot be imported by its name
            importlib.import_module(name)
    gc.collect()


def forked(work: Callable[[int], int], seconds: float | None = None) -> tuple[int, str]:
    """The exit and the last words of a child that does `work` with a pipe to write them to; `FAILED` if it hangs.

    Args:
        work: What it does; returns the exit.
        seconds: Of computing, after which it is ended; it may take ten times as long by the clock.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = BROKEN
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # it ends with its parent
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1) if os.environ.get("MUTANTS_LOUD") else (0, 1, 2):
                os.dup2(null, descriptor)
            if seconds is not None:
                resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            status = work(writing)
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writing)
    end, status = time.monotonic() + 10 * seconds if seconds is not None else float("inf"), None
    while status is None:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
        elif time.monotonic() > end:
            break
        else:
            time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # it, or what it has started and left
    if status is None:
        os.waitpid(child, 0)
    os.set_blocking(reading, False)
    try:
        words = os.read(reading, 1 << 16).decode()
    except BlockingIOError:
        words = ""
    os.close(reading)
    if status == BROKEN:
        raise SystemExit(f"a child failed:\n{words}")
    return (status, words) if status in (PASSED, FAILED, NOT_REPLACED) else (FAILED, words or "no end")


class _Telling:
    """A plugin that writes the name of the first test that fails."""

    def __init__(self, pipe: int):
        self._pipe, self._told = pipe, False

    def tell(self, words: str) -> None:
        if not self._told:
            self._told = True
            os.write(self._pipe, words.encode()[:4000])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.tell(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.tell(f"import of {report.nodeid}")


def _loop(session: pytest.Session, names: list[str], telling: _Telling) -> int:
    """Run some of the collected tests, up to the first that fails."""
    from _pytest.main import pytest_runtestloop

    places = {name: i for i, name in enumerate(names)}
    session.items = sorted((i for i in session.items if i.nodeid in places), key=lambda item: places[item.nodeid])
    session.config.option.maxfail = 1
    try:
        pytest_runtestloop(session)
    except session.Failed:
        return FAILED
    except BaseException as error:
        telling.tell(repr(error))
        return FAILED
    return FAILED if session.testsfailed else PASSED


class Checkout:
    """A copy of the repository, in which faults are put.

    Args:
        root: Where it is.
        package: The library's folder.
    """

    def __init__(self, root: Path, package: str = "hf_fourier"):
        self.root, self.package = root, package

    @contextmanager
    def faulty(self, fault: Fault | None) -> Iterator[None]:
        """The fault is in the file, which is younger meanwhile, so that no byte code is taken for it."""
        if fault is None:
            yield
            return
        path = self.root / fault.path
        before, times = path.read_bytes(), path.stat()
        path.write_text(fault.text, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**12))
        try:
            yield
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def record(self, tests: list[str], record: Record, path: Path) -> None:
        """Run files of tests once and store what they execute beside what is known."""

        def work(pipe: int) -> int:
            recorder = Recorder(self.root, record, path, self.package)
            recorder.start()
            pytest.main([*_QUIET, *tests], plugins=[recorder])
            return PASSED

        if forked(work)[0] != PASSED or not Record.load(path).tests:
            raise SystemExit(f"the tests {' '.join(tests)} cannot be run")

    def fresh(self, fault: Fault | None, names: list[str], seconds: float) -> tuple[int, str]:
        """Try a fault in a process that imports the library with it."""

        def work(pipe: int) -> int:
            _no_byte_code()

            class Chosen(_Telling):
                status = FAILED  # of what cannot be imported

                @pytest.hookimpl(tryfirst=True)
                def pytest_runtestloop(self, session: pytest.Session) -> bool:
                    self.status = FAILED if session.testsfailed else _loop(session, names, self)
                    return True

            chosen = Chosen(pipe)
            pytest.main([*_QUIET, *dict.fromkeys(name.partition("::")[0] for name in names)], plugins=[chosen])
            return chosen.status

        with self.faulty(fault):
            return forked(work, seconds)

    def replaced(
        self,
        jobs: list[tuple[Fault, list[str], float]],
        tests: tuple[str, ...],
        files: Iterable[str],
        tell: Callable[[Fault, int, str], None],
    ) -> None:
        """Try faults in forks of one process that has collected the tests and imported files of the library.

        Args:
            jobs: Each fault with its tests and the seconds after which it is seen.
            tests: What is collected.
            files: What is imported.
            tell: Gets each fault with its exit and words.
        """
        checkout = self

        class Server:
            done = False

            @pytest.hookimpl(tryfirst=True)
            def pytest_runtestloop(self, session: pytest.Session) -> bool:
                warm(name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files)
                functions = _functions(str(checkout.root / checkout.package))
                for fault, names, seconds in jobs:
                    tell(fault, *_confirmed(lambda f, n, s: one(session, functions, f, n, s), fault, names, seconds))
                self.done = True
                return True

        def one(session: Any, functions: Any, fault: Fault | None, names: list[str], seconds: float) -> tuple[int, str]:
            def work(pipe: int) -> int:
                _no_byte_code()
                if fault is not None and not _replace(fault, checkout.root / fault.path, functions):
                    return NOT_REPLACED
                telling = _Telling(pipe)
                session.config.pluginmanager.register(telling)
                return _loop(session, names, telling)

            with checkout.faulty(fault):
                return forked(work, seconds)

        def serve(pipe: int) -> int:
            server = Server()
            pytest.main([*_QUIET, *tests], plugins=[server])
            return PASSED if server.done else FAILED

        if jobs and forked(serve)[0] != PASSED:
            raise SystemExit(f"the tests {' '.join(tests)} cannot be run")

    def anew(self, fault: Fault, names: list[str], seconds: float) -> tuple[int, str]:
        """`fresh`, and again without the test that fails if it does so without a fault as well."""
        return _confirmed(self.fresh, fault, names, seconds)


def _confirmed(attempt: Callable, fault: Fault, names: list[str], seconds: float) -> tuple[int, str]:
    """Try a fault, without tests that turn out to fail without it."""
    while True:
        status, words = attempt(fault, names, seconds)
        if status != FAILED or words not in names or attempt(None, [words], seconds)[0] == PASSED:
            return status, words
        names = [name for name in names if name != words]


def _no_byte_code() -> None:
    """Nothing faulty is left for those that come later."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def _functions(prefix: str) -> dict[str, list[FunctionType]]:
    """The library's functions by file."""
    found = defaultdict(list)
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename.startswith(prefix):
            found[thing.__code__.co_filename].append(thing)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _replace(fault: Fault, path: Path, functions: dict[str, list[FunctionType]]) -> bool:
    """Give the functions of a file the code that they have with the fault; False if that is not possible."""
    module = next((m for m in [*sys.modules.values()] if getattr(m, "__file__", None) == str(path)), None)
    if module is None:  # the tests import it with the fault
        return True
    compiled = module.__loader__.source_to_code(fault.text.encode(), str(path))
    codes = defaultdict(list)
    for code in _codes(compiled):
        codes[code.co_qualname, code.co_firstlineno].append(code)
    done = False
    for function in functions.get(str(path), []):
        before = function.__code__
        others = codes.get((before.co_qualname, before.co_firstlineno), [])
        if before in others:
            continue
        if len(others) != 1 or others[0].co_freevars != before.co_freevars:
            return False
        function.__code__, done = others[0], True
    return done


def store(path: Path, **entry: Any) -> None:
    """Append one line to the results."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
