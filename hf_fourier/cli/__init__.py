"""The `hf-fourier` command. Importing it loads neither torch nor transformers, so that `--help` is quick."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command that the process was started with.

    Raises:
        SystemExit: Always: 0 done, 1 what was asked for failed (or Typer or Rich are missing), 2 a wrong usage.
    """
    try:
        from hf_fourier.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.stderr.write(f"hf-fourier needs the package {error.name!r}: run `pip install 'hf_fourier[cli]'`\n")
        raise SystemExit(1) from None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every encoding has every character: ≤ becomes \u2264
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="hf-fourier")
