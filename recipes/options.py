"""What every recipe can be told on the command line."""

from __future__ import annotations

import argparse


def options(text: str | None, out: str) -> argparse.Namespace:
    """`model` (a Hub id or a folder; None for the offline one), `small`, and `out`, where the report goes."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a Hub id or a folder instead of the model that needs no Hub")
    parser.add_argument("--small", action="store_true", help="a few examples only")
    parser.add_argument("--out", default=out, help=f"where the report goes ({out})")
    return parser.parse_args()
