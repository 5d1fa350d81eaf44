"""Does what stands in a deleted feature's place change which ranking looks best?

    python -m benchmarks replacements [--models NAME …] [--examples N]

Real models on real examples, each explained by the default method and the controls `magnitude` and `random` in the
Fourier domain; the curves of each ranking with each replacement (`explainer.perturb(…, replacement=…)`). A cell holds
the share of decisions kept by the top 4 % alone, and the share lost without the top 10 %, with 95 % intervals drawn by
groups. `example` takes its donors from the other examples of the model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.real import MODELS
from benchmarks.tables import markdown
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import interval
from hf_fourier.results.curve import REPLACEMENTS, FractionGrid

METHODS = ("tracking", "magnitude", "random")
KEPT, DELETED = 0.04, 0.1
#: Examples of each model.
EXAMPLES = {"fashion-vit": 150, "wav2vec2-languages": 32, "efficientnet-lite0": 64}


def rows(name: str, n: int) -> list[dict[str, Any]]:
    """One model's rows: a ranking each, with a cell for each replacement."""
    real = MODELS[name]
    explainer, examples, groups = real.explainer(), real.examples(n), real.groups(n)
    explainer.donors = examples
    found = []
    for method in METHODS:
        results = explainer.explain(examples, method=method, domain="fourier", contributions=0)
        row: dict[str, Any] = {"model": name, "ranking": method, "n": len(results)}
        for replacement in REPLACEMENTS:
            grid = FractionGrid((KEPT,), (DELETED,))
            try:
                explainer.perturb(results, grid, replacement=replacement, overwrite=True)
            except InputError:  # no other example has the same length
                row[replacement] = "–"
                continue
            kept = [one.curve.at("keep", KEPT).agreement for one in results if one.curve]
            lost = [1 - one.curve.at("delete", DELETED).agreement for one in results if one.curve]
            row[replacement] = "; ".join(_cell(values, groups) for values in (kept, lost))
        found.append(row)
    return found


def _cell(values: Sequence[float], groups: Sequence[Any]) -> str:
    low, high = interval(values, groups)
    return f"{100 * sum(values) / len(values):.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def main(words: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(EXAMPLES), default=list(EXAMPLES))
    parser.add_argument("--examples", type=int)
    parser.add_argument("--threads", type=int, default=1)
    typed = parser.parse_args(words)
    torch.set_num_threads(typed.threads)
    for name in typed.models:
        print(markdown(rows(name, typed.examples or EXAMPLES[name])), flush=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
