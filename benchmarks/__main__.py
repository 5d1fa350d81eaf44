"""`python -m benchmarks NAME [options]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks

#: Modules that the benchmarks share and that measure nothing.
SHARED = {"__main__", "assets", "candidates", "folds", "keeping", "peers", "real", "statistics", "tables"}


def main() -> int:
    """Run one benchmark by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in SHARED)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m benchmarks NAME [options], with NAME one of: {', '.join(names)}", file=sys.stderr)
        return 2
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
