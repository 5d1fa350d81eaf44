"""Python's threads while a run goes on, and as they were afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hf_fourier.torch_state import taken

#: Switch interval of Python's threads during a run, in seconds.
SWITCH_INTERVAL = 1e-4
#: The switch interval before the runs in progress, once for each of them.
_before: list[float] = []


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Inside, Python's threads have a short switch interval.

    A batch is hundreds of short operations, each of which releases the interpreter lock and waits for it, by default
    up to 5 ms: a small model would stand still while the next examples are encoded.
    """
    with taken(sys):
        _before.append(_before[0] if _before else sys.getswitchinterval())
        sys.setswitchinterval(min(_before[0], SWITCH_INTERVAL))
    try:
        yield
    finally:
        with taken(sys):
            before = _before.pop()
            if not _before:
                sys.setswitchinterval(before)
