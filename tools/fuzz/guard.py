"""Runs one call in a process of its own, with a limit on time and on memory, and says how it ended.

The process is a fork, so that nothing is imported again: a call costs some milliseconds beside its own time.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import math
import os
import resource
import select
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Seconds of computing after which a call counts as hanging, and how many times as long it may take in all: other
#: processes and the disk make a call wait.
SECONDS, PATIENCE = 10.0, 6.0
#: Bytes that a call may take beside what the process has already.
BYTES = 3 * 2**30


class Believed(Exception):
    """A damaged file was read as if it were whole."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        kind: "done"; "refused" by an error of this library; "bare", another exception; "hang", no end in time;
            "crash", the process died (of memory it could not get, or of a fault in native code); or "believed", a
            damaged file was read as if it were whole.
        text: The error in one line.
        seconds: How long it took.
        megabytes: How far the peak of resident memory rose, in 10⁶ bytes.
    """

    kind: str
    text: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether it ended as promised: with a result or an error of this library."""
        return self.kind in ("done", "refused")


def guarded(call: Callable[[], Any], seconds: float = SECONDS, size: int = BYTES) -> Outcome:
    """How a call ends in a fork of this process.

    Args:
        call: The call; what it returns is dropped, and what it prints.
        seconds: Of computing, when it is ended; `PATIENCE` times as many in all.
        size: Bytes of address space beside what there is.
    """
    with tempfile.TemporaryDirectory(prefix="hf_fourier-fuzz-") as folder:
        deep = Path(folder, *"abcd")  # so that a path that goes up stays below
        deep.mkdir(parents=True)
        return _guarded(call, seconds, size, deep)


def _guarded(call: Callable[[], Any], seconds: float, size: int, scratch: Path) -> Outcome:
    """See `guarded`; relative paths lie below `scratch`."""
    begin, (read, write) = time.monotonic(), os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        _child(call, write, (math.ceil(seconds), size), scratch)
    os.close(write)
    ended, _, _ = select.select([read], [], [], PATIENCE * seconds)
    if not ended:
        os.kill(process, signal.SIGKILL)
    data = b""
    while piece := os.read(read, 65536):
        data += piece
    os.close(read)
    _, status = os.waitpid(process, 0)
    taken = time.monotonic() - begin
    if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) and not data):
        return Outcome("hang", f"no end within {seconds:g} s", taken)
    if not data:
        return Outcome("crash", f"the process ended with status {status}", taken)
    kind, text, rise = json.loads(data)
    return Outcome(kind, text, taken, rise)


def _child(call: Callable[[], Any], write: int, limits: tuple[int, int], scratch: Path) -> None:
    """Run the call, report on the pipe, and end the process without running anything else of it."""
    status = 1
    try:
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = math.ceil(used.ru_utime + used.ru_stime) + limits[0]
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        limit = _pages(0) * resource.getpagesize() + limits[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()  # which writes to a copy of the standard error of its own
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # what native code prints, too
        os.dup2(nowhere, 2)
        os.chdir(scratch)
        before = _pages(1)
        kind, text = _ended(call)
        rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before * resource.getpagesize()) / 1e6
        os.write(write, json.dumps([kind, text[:4000], max(0.0, rise)]).encode())
        status = 0
    finally:
        os._exit(status)


def _ended(call: Callable[[], Any]) -> tuple[str, str]:
    """How a call ends within this process."""
    from hf_fourier.errors import FourierError

    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet[0], quiet[1], warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except FourierError as error:
            return "refused", str(error)
        except Believed as error:
            return "believed", str(error)
        except BaseException as error:
            return "bare", f"{type(error).__name__}: {' '.join(str(error).split())}{_place(error)}"
    return "done", ""


def _place(error: BaseException) -> str:
    """The innermost line of the library that an exception came through."""
    found, step = "", error.__traceback__
    while step is not None:
        path = step.tb_frame.f_code.co_filename
        if "hf_fourier/" in path and "/tools/" not in path:
            found = f" ({path.rpartition('hf_fourier/')[2]}:{step.tb_lineno})"
        step = step.tb_next
    return found


def _pages(which: int) -> int:
    """Pages of this process: its address space (0), or what is resident of it (1)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[which])
