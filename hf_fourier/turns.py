"""What threads must take turns with: a model, a tokenizer, and what torch and Python have once for a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Turns:
    """Which thread has what to itself. Nothing of it hangs on the things themselves."""

    def __init__(self) -> None:
        self._changed, self._owners = threading.Condition(), dict[int, int]()

    @contextmanager
    def taken(self, *things: Any) -> Iterator[None]:
        """Inside, no other thread has any of these; a thread may take what it has again.

        All of them are taken at once, or none while one is another thread's: so nobody waits with half of a model.
        """
        me, numbers = threading.get_ident(), set(map(id, things))
        with self._changed:
            self._changed.wait_for(lambda: all(self._owners[n] == me for n in numbers & self._owners.keys()))
            mine = numbers - self._owners.keys()
            self._owners.update(dict.fromkeys(mine, me))
        try:
            yield
        finally:
            with self._changed:
                for number in mine:
                    self._owners.pop(number, None)
                self._changed.notify_all()


_TURNS = Turns()
taken = _TURNS.taken
if hasattr(os, "register_at_fork"):  # a child has none of the threads that might give something back
    os.register_at_fork(after_in_child=lambda: Turns.__init__(_TURNS))
