"""Whether two checkouts give the same numbers on all real models: scores, curves, labels, and the tables of reports.

    python -m tools.compare_checkouts OTHER [--examples 2] [--models NAME ...]

Each checkout computes in a process of its own; names that changed between them are found by whichever is there. What
differs is printed, with by how much; the exit code is 1 if anything does.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
SPECS = (
    ("ffc", None),
    ("magnitude", None),
    ("gradient_input", "fourier"),
    ("integrated_gradients:steps=4", "identity"),
    ("random", "cosine"),
)
KEPT = (0.04, 0.3)
#: Columns of reports that differ from run to run.
CHANGING = ("seconds",)


def first(thing: Any, *names: str) -> Any:
    """The first attribute that is there."""
    return next(getattr(thing, name) for name in names if hasattr(thing, name))


def numbers(models: list[str], examples: int) -> dict[str, Any]:
    """By model, method and example: everything that a result says, as plain values and tensors."""
    from benchmarks import real
    from hf_fourier import Report

    found: dict[str, Any] = {}
    for chosen in real.MODELS.values():
        if models and chosen.name not in models:
            continue
        explainer, given = chosen.explainer(), chosen.examples(examples)
        results = []
        for method, domain in SPECS:
            made = explainer.explain(given, method=method, domain=domain)
            first(explainer, "perturb", "play")(made, KEPT)
            results += made
            for i, a in enumerate(made):
                points = [tuple(vars(point).values()) for point in first(a.curve, "points", "stops")]
                found[f"{chosen.name} | {method} | {domain} | {i}"] = {
                    "scores": a.scores,
                    "order": a.order,
                    "gradient": a.gradient,
                    "signal": first(a, "signal", "leaf"),
                    "label": (a.label, a.target, a.confidence, a.value),
                    "error": first(a, "completeness_error", "gap") if domain else None,
                    "curve": points,
                }
        tables = Report(results).tables()
        for name, table in tables.items():
            rows = [tuple(v for n, v in row.items() if n not in CHANGING) for row in table.rows()]
            found[f"{chosen.name} | report | {name}"] = {"rows": rows}
    return found


def difference(a: Any, b: Any) -> float:
    """The largest difference of two values relative to the larger; 0 for equal bits, infinite for other kinds."""
    if hasattr(a, "shape") and hasattr(b, "shape"):
        if a.shape != b.shape:
            return math.inf
        if bool((a == b).all()):
            return 0.0
        return float((a.double() - b.double()).abs().max() / a.double().abs().max().clamp(min=1e-300))
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return math.inf if len(a) != len(b) else max((difference(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
    if isinstance(a, float) and isinstance(b, float):
        same = a == b or (math.isnan(a) and math.isnan(b))
        return 0.0 if same else abs(a - b) / max(abs(a), abs(b))
    return 0.0 if a == b else math.inf


def main() -> int:
    """Compute on both sides, compare, and print what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("other", help="the folder of the other checkout")
    parser.add_argument("--examples", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--write", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        Path(given.write).write_bytes(pickle.dumps(numbers(given.models, given.examples)))
        return 0
    sides = []
    with tempfile.TemporaryDirectory() as place:
        for number, checkout in enumerate((Path(given.other).resolve(), HERE)):
            path = Path(place) / f"{number}.pickle"
            command = [sys.executable, __file__, given.other, "--write", str(path), "--examples", str(given.examples)]
            command += ["--models", *given.models] if given.models else []
            subprocess.run(command, check=True, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)})
            sides.append(pickle.loads(path.read_bytes()))  # written by the line above
    differing = 0
    for name in sorted({*sides[0], *sides[1]}):
        both = [side.get(name, {}) for side in sides]
        for part in sorted({*both[0], *both[1]}):
            by = difference(both[0].get(part), both[1].get(part))
            if by:
                differing += 1
                sys.stdout.write(f"{name}: {part} differs by {by:.2g}\n")
    sys.stdout.write(f"{len(sides[0])} and {len(sides[1])} records compared, {differing} parts differ\n")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
