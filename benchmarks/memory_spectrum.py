"""Does the spectrum of a model take more memory with more data? And does a killed run end with the same numbers?

    python -m benchmarks memory_spectrum [--examples 1000 10000]

Clothes, in a process each, whose peak of resident memory is read at its end. The last row is a run of the largest
number that is killed half-way and started again: its numbers are compared with those of the whole run.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import markdown


def measure(n: int, folder: Path) -> dict[str, Any]:
    """One spectrum in this process."""
    import torch

    from benchmarks import assets
    from hf_fourier import FourierExplainer

    torch.set_num_threads(1)
    entries = assets.fashion("test", n)
    explainer = FourierExplainer.from_pretrained(str(assets.get("fashion-vit")), device="cpu")
    names = [entry["label"] for entry in entries]
    start = time.perf_counter()
    found = explainer.spectrum([entry["picture"] for entry in entries], names, output_dir=folder, progress=False)
    took = time.perf_counter() - start
    found.save(folder / "spectrum.safetensors")
    return {
        "examples": len(found), "seconds": round(took), "examples a second": round(len(found) / took, 1),
        "peak, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "on disk, MiB": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20,
    }  # fmt: skip


def _command(n: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks", "memory_spectrum", "--here", str(folder), "--examples", str(n)]


def killed(n: int, folder: Path) -> dict[str, Any]:
    """A run that is killed when a third of its chunks are there, and the same command again."""
    with subprocess.Popen(_command(n, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        chunks = 0
        while process.poll() is None and chunks < 3:
            time.sleep(0.2)
            chunks = len(list((folder / "shards").glob("*/*.safetensors")))
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(_command(n, folder), check=True, capture_output=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**row, "chunks before the kill": chunks}


def main(words: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--here", type=Path)
    typed = parser.parse_args(words)
    if typed.here is not None:
        print(json.dumps(measure(typed.examples[0], typed.here)))
        return
    from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum

    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), []
        for n in typed.examples:
            done = subprocess.run(_command(n, folder / str(n)), check=True, capture_output=True, text=True)
            rows.append({"run": "whole", **json.loads(done.stdout.splitlines()[-1])})
        largest = max(typed.examples)
        again = killed(largest, folder / "killed")
        one, two = (ModelSpectrum.load(folder / part / "spectrum.safetensors") for part in (str(largest), "killed"))
        same = all(
            np.array_equal(getattr(one, part), getattr(two, part), equal_nan=True)
            for part in ("readings", "shapley", "clean", "empty")
        )
        chunks = again.pop("chunks before the kill")
        rows.append({"run": f"killed after {chunks} chunks; same numbers: {same}", **again})
    print(markdown(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
