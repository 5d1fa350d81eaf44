"""`python -m benchmarks.assets list` and `python -m benchmarks.assets get NAME… | --all`."""

from __future__ import annotations

import sys

from hf_fourier.demo.__main__ import main

from .catalogue import CATALOGUE

if __name__ == "__main__":
    sys.exit(main(catalogue=CATALOGUE, program="python -m benchmarks.assets"))
