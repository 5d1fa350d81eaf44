"""The processes of a distributed run: number, rank, broadcast, barrier, and their launcher."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from hf_fourier.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes that share a run.

    Attributes:
        rank: This one's number.
        processes: How many run.
        requested: How many were requested; None if unknown.
    """

    rank: int = 0
    processes: int = 1
    requested: int | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that prints."""
        return self.rank == 0

    def __str__(self) -> str:
        came = f"{self.processes} process{'es' * (self.processes > 1)} started"
        if self.requested is None or self.requested == self.processes:
            return came if self.requested is None else f"{came}, as requested"
        return f"{came} of {self.requested} requested: `hf-fourier docs runs` has the commands that start them"

    def on_first(self, decide: Callable[[], T]) -> T:
        """Broadcast a result of the first process; where it raises, all raise.

        Raises:
            FourierError: What `decide` raises.
        """
        if self.processes == 1:
            return decide()
        from accelerate.utils import broadcast_object_list

        message: list[Any] = [None, None]
        raised: Exception | None = None
        if self.first:
            try:
                message[0] = decide()
            except Exception as error:
                raised, message[1] = error, f"{type(error).__name__}: {error}"
        broadcast_object_list(message)
        if raised is not None:
            raise raised
        if message[1] is not None:
            raise InputError(f"an error in process 0 ({message[1]})", "a run that it can start", "correct that error")
        return message[0]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.processes > 1:
            accelerate_state().wait_for_everyone()


def accelerate_state() -> Any:
    """Accelerate's `PartialState`, which finds several processes on a machine without accelerators as well."""
    import torch
    from accelerate import PartialState

    return PartialState() if torch.accelerator.is_available() else PartialState(cpu=True)


def current(asked: int | None = None) -> Processes:
    """The processes of this run, as Accelerate started them.

    Args:
        asked: How many there should be; None for what the launcher's command line says, if it can be read.

    Raises:
        InputError: If `asked` is given and another number came, or if Accelerate does not see the launcher's.
    """
    came = accelerate_state()
    started = int(os.environ.get("WORLD_SIZE", "0"))
    if started > 1 and came.num_processes != started:
        got = f"{came.num_processes} processes in Accelerate, of {started} that the launcher started"
        do = "without accelerators use Accelerator(cpu=True), or no Accelerator"
        raise InputError(got, f"all {started}", do)
    if asked is not None and asked != came.num_processes:
        do = (
            "start them with torchrun, accelerate launch or `hf-fourier explain-dataset --processes` "
            "(see `hf-fourier docs runs`)"
        )
        raise InputError(f"{came.num_processes} processes", f"the requested {asked}", do)
    return Processes(came.process_index, came.num_processes, launcher_size() if asked is None else asked)


def launcher_size() -> int | None:
    """The number of processes of this one's launcher; None without one, or where it cannot be read."""
    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    try:
        import psutil

        command = " ".join(psutil.Process().parent().cmdline())
    except Exception:  # no psutil, no parent, or not allowed to look
        return None
    if "accelerate" not in command or "launch" not in command:
        return None
    number = re.search(r"--num[_-]processes[= ](\d+)", command)
    return int(number[1]) if number else None


def say(*lines: object) -> None:
    """Lines on standard error."""
    sys.stderr.write("".join(f"{one}\n" for one in lines))
    sys.stderr.flush()


def cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def launch(processes: int, arguments: Sequence[str], threads: int | None = None) -> NoReturn:
    """Become a launcher of several processes of `hf-fourier` on this machine, by torch's own.

    Args:
        processes: How many.
        arguments: Of the command.
        threads: Of each; None for its share of the cores, unless `OMP_NUM_THREADS` says how many.
    """
    each = str(threads or max(1, cores() // processes))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", each) if threads is None else each,
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    os.execve(sys.executable, [*launcher, "--module", "hf_fourier", *arguments], environment)


def threads() -> int:
    """Torch's threads in this process."""
    import torch

    return torch.get_num_threads()
