"""What every recipe can be told on the command line, and which of several processes goes on to the report."""

from __future__ import annotations

import argparse
import re
import sys


def options(text: str | None, out: str) -> argparse.Namespace:
    """What is asked for.

    Returns:
        `model` (a Hub id or a folder; None for the offline one), `small`, `out`, where the report goes, and `run`,
        where the results of single examples go: a run that is stopped goes on from there with the same command.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a Hub id or a folder instead of the model that needs no Hub")
    parser.add_argument("--small", action="store_true", help="a few examples only")
    parser.add_argument("--out", default=out, help=f"where the report goes ({out})")
    given = parser.parse_args()
    name = re.sub(r"\W+", "-", given.model or "offline").strip("-") + "-small" * given.small
    given.run = f"{given.out}-run/{name}"
    return given


def first_goes_on() -> None:
    """End all processes but the first: one writes the report. Alone, it does nothing."""
    from accelerate import PartialState

    if not PartialState().is_main_process:
        sys.exit(0)
