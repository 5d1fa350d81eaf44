"""The rooms, the tests that have to see their faults, and the draw."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tools.mutants.faults import Fault, faults

ROOT = Path(__file__).parents[2]
#: By room: the tests that have to see its faults.
ROOMS: dict[str, tuple[str, ...]] = {
    "domains": ("tests/domains", "tests/contracts/test_domains.py"),
    "methods": ("tests/methods", "tests/contracts/test_methods.py"),
    "scoring": ("tests/scoring", "tests/engine/test_memory.py"),
    "results": ("tests/results", "tests/evaluation/studies/test_gene_scores.py"),
    "evaluation": ("tests/evaluation", "tests/contracts/test_metrics.py"),
    "runs": ("tests/runs", "tests/engine/test_identities.py"),
    "report/privacy.py": ("tests/report/test_privacy.py", "tests/hub/test_secrets.py"),
}
#: Files whose libraries only an environment of its own has, in which tests/end_to_end/test_libraries.py tries them.
ELSEWHERE = (
    "hf_fourier/methods/gradcam.py",
    "hf_fourier/methods/shap_gradients.py",
    "hf_fourier/methods/zennit.py",
)
#: A room that could have few of the faults has so many nevertheless.
LEAST = 10


def _order(fault: Fault, seed: int) -> str:
    """Where a fault comes in the draw: at random, and the same when other faults come and go."""
    return hashlib.sha256(f"{seed} {fault.key}".encode()).hexdigest()


def drawn(rooms: list[str], count: int, seed: int) -> dict[str, list[Fault]]:
    """`count` faults over all rooms, in proportion to the faults that each can have; `LEAST` or all of a small room."""
    every = {}
    for room in rooms:
        place = ROOT / "hf_fourier" / room
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*.py") if "modules" not in p.parts)
        own = [file for file in files if file.relative_to(ROOT).as_posix() not in ELSEWHERE]
        every[room] = [fault for file in own for fault in faults(file, ROOT)]
    total = sum(map(len, every.values()))
    shares = {room: max(LEAST, round(count * len(own) / total)) for room, own in every.items()}
    return {room: sorted(own, key=lambda f: _order(f, seed))[: shares[room]] for room, own in every.items() if own}
