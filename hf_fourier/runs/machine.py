"""The processes of a run: how many were asked for, how many came, and how they agree on something."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hf_fourier.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """The processes that share a run.

    Attributes:
        rank: This one's number.
        processes: How many came.
        asked: How many were asked for; None where nobody said.
    """

    rank: int = 0
    processes: int = 1
    asked: int | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks."""
        return self.rank == 0

    def __str__(self) -> str:
        came = f"{self.processes} process{'es' * (self.processes > 1)} came"
        if self.asked is None or self.asked == self.processes:
            return came if self.asked is None else f"{came}, as asked for"
        return f"{came} of {self.asked} that were asked for: docs/runs.md has the commands that start them"

    def decided(self, decide: Callable[[], T]) -> T:
        """What the first process finds, for all of them; where it raises, all raise.

        Raises:
            FourierError: What `decide` raises.
        """
        if self.processes == 1:
            return decide()
        from accelerate.utils import broadcast_object_list

        told: list[Any] = [None, None]
        raised: Exception | None = None
        if self.first:
            try:
                told[0] = decide()
            except Exception as error:
                raised, told[1] = error, f"{type(error).__name__}: {error}"
        broadcast_object_list(told)
        if raised is not None:
            raise raised
        if told[1] is not None:
            raise InputError(f"an error in process 0 ({told[1]})", "a run that it can start", "see what it says")
        return told[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.processes > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


def found(asked: int | None = None) -> Machine:
    """The processes of this run, as Accelerate started them.

    Args:
        asked: How many there should be; None for what the launcher's command line says, if it can be read.

    Raises:
        InputError: If `asked` is given and another number came.
    """
    from accelerate import PartialState

    state = PartialState()
    machine = Machine(state.process_index, state.num_processes, launched() if asked is None else asked)
    if asked is not None and asked != state.num_processes:
        do = "start them with torchrun or accelerate launch (docs/runs.md), or with `hf-fourier run --processes`"
        raise InputError(f"{state.num_processes} processes", f"the {asked} that were asked for", do)
    return machine


def launched() -> int | None:
    """How many processes the launcher above this one was asked for; None where there is none, or it cannot be read."""
    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    try:
        import psutil

        said = " ".join(psutil.Process().parent().cmdline())
    except Exception:  # no psutil, no parent, or not allowed to look
        return None
    if "accelerate" not in said or "launch" not in said:
        return None
    number = re.search(r"--num[_-]processes[= ](\d+)", said)
    return int(number[1]) if number else None


def say(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def threads() -> int:
    """Torch's threads in this process."""
    import torch

    return torch.get_num_threads()
