"""The sweep: each pair in a process of its own, with a time limit; what was found is kept, one file per pair."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tools.coverage.pairs import Pair

#: Seconds for one pair.
LIMIT = 120.0
#: Bytes that the process of one pair may ask for.
MEMORY = 6 << 30


def sweep(
    pairs: Iterable[Pair],
    folder: Path,
    limit: float = LIMIT,
    tell: Callable[[dict[str, Any]], None] = lambda told: None,
) -> list[dict[str, Any]]:
    """Check pairs one after the other; those that have a file in `folder` are not checked again.

    A pair that hangs, crashes or takes too much memory does not end the sweep: it is "failed".

    Args:
        pairs: What to check.
        folder: Made if it does not exist; one JSON file per pair.
        limit: Seconds for each.
        tell: Called with what was found of each.

    Returns:
        What was found, in order (see `tools.coverage.checks.check`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = _context()
    found = []
    for pair in pairs:
        path = folder / f"{pair.name}.json"
        if not path.exists():
            process = context.Process(target=_work, args=(pair, path), daemon=True)
            process.start()
            process.join(limit)
            hung = process.is_alive()
            if hung:
                process.kill()
                process.join()
            if not path.exists():
                why = f"no answer within {limit:g} s" if hung else f"its process ended with {process.exitcode}"
                told = {
                    "task": pair.task,
                    "model_type": pair.model_type,
                    "cls": pair.cls,
                    "status": "failed",
                    "why": why,
                }
                path.write_text(json.dumps(told))
        found.append(json.loads(path.read_text()))
        tell(found[-1])
    return found


def _context() -> Any:
    """Processes that begin with everything imported, where the system can fork."""
    can = "fork" in multiprocessing.get_all_start_methods()
    if can:
        import torch

        import tools.coverage.checks  # noqa: F401  # once, for all of them

        torch.set_num_threads(1)  # what a fork would have of several threads are locks
        from transformers import GenerationMixin, PreTrainedModel  # noqa: F401
    return multiprocessing.get_context("fork" if can else "spawn")


def _work(pair: Pair, path: Path) -> None:
    """Check one pair and write what was found."""
    import warnings

    import torch
    import transformers

    from tools.coverage.checks import check

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    if importlib.util.find_spec("resource"):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    told = json.dumps(check(pair))
    path.with_suffix(".part").write_text(told)
    path.with_suffix(".part").rename(path)
