"""How much memory, and time, does a cell of 4,096 tokens take at default settings?

Architectures of Geneformer's sizes with random weights: what is explained means nothing, what it costs does. Each case
runs in a process of its own, whose peak of resident memory (`getrusage`) is read at its end, imports included.

With `--atlas N` instead: what does a run over N cells with `store="genes"` take, on disk and in memory? Cells are those
of `pbmc`, again and again, each count thinned at random, and go through `pbmc-geneformer` by gradient × input at the
places of genes. One run is left alone, one is killed and started again; both must end with the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import markdown

#: Layers, width, heads, positions, vocabulary, whether cells are marked.
SIZES = {
    "V1-10M": (6, 256, 4, 2048, 25_426, False),
    "V2-104M": (12, 768, 12, 4096, 20_275, True),
    "V2-316M": (18, 1152, 18, 4096, 20_275, True),
}
HEADS = {"cell classifier": "BertForSequenceClassification", "masked genes": "BertForMaskedLM"}


def measure(size: str, head: str, threads: int, shares: Sequence[float]) -> dict[str, float | int | str]:
    """One cell as long as the model takes, explained and perturbed at default settings, in this process."""
    import torch
    import transformers

    from hf_fourier import FourierExplainer
    from hf_fourier.models.gene_tokenizer import GeneTokenizer

    torch.set_num_threads(threads)
    layers, width, heads, positions, vocabulary, marks = SIZES[size]
    config = transformers.BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=width * (2 if size == "V1-10M" else 4), max_position_embeddings=positions, hidden_act="relu",
        pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = getattr(transformers, HEADS[head])(config).eval()
    specials = {"<pad>": 0, "<mask>": 1, **({"<cls>": 2, "<eos>": 3} if marks else {})}
    tokens = specials | {f"ENSG{i:011d}": i for i in range(len(specials), vocabulary)}
    genes = [gene for gene in tokens if gene not in specials]
    explainer = FourierExplainer(model, GeneTokenizer(tokens, dict.fromkeys(genes, 1.0)))
    cell = {"genes": genes[:6000], "values": range(6000, 0, -1)}
    start = time.perf_counter()
    result = explainer.explain(cell)
    explained = time.perf_counter()
    explainer.perturb(result, shares)
    played = time.perf_counter()
    assert len(result.inputs["input_ids"]) == positions
    return {
        "model": size,
        "head": head,
        "tokens": positions,
        "explained, s": round(explained - start),
        "fractions": len(shares),
        "perturbed, s": round(played - explained),
        "passes": "{forward:g} + {backward:g}, {perturbed:g} perturbed".format(**result.provenance["passes"]),
        "peak, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def write_cells(path: Path, count: int) -> None:
    """A table of so many cells: those of `pbmc` again and again, 70 to 100 % of each cell's molecules kept."""
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse

    from hf_fourier import demo

    given, draw = demo.cells(), np.random.default_rng(0)
    rows = [
        sparse.csr_array(draw.binomial(given[i % len(given)]["values"].astype(np.int64), draw.uniform(0.7, 1.0)))
        for i in range(count)
    ]
    counts = sparse.csr_matrix(sparse.vstack([row.reshape(1, -1) for row in rows]), dtype=np.float32)
    names = [f"c{i:06}" for i in range(count)]
    obs = pd.DataFrame({"type": [given[i % len(given)]["label"] for i in range(count)]}, index=names)
    anndata.AnnData(counts, obs, pd.DataFrame(index=given[0]["genes"])).write_h5ad(path)


def atlas_step(step: str, folder: Path, threads: int) -> dict[str, Any]:
    """One step in this process: "run" into the folder, or "compare" its groups; seconds and peak memory."""
    import anndata
    import torch

    from hf_fourier import FourierExplainer, demo
    from hf_fourier.runs import Results

    torch.set_num_threads(threads)
    table, start = folder.parent / "cells.h5ad", time.perf_counter()
    if step == "run":
        explainer = FourierExplainer.from_pretrained(demo.get("pbmc-geneformer"))
        explainer.explain_dataset(
            table, folder, store="genes", method="gradient_input", domain="identity:grain=position", contributions=0,
            progress=False,
        )  # fmt: skip
    else:
        groups = anndata.read_h5ad(table, backed="r").obs["type"]
        found = Results(folder).compare_genes(groups)
        print(found[:5], file=sys.stderr)
    return {"seconds": time.perf_counter() - start, "peak, GiB": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("*/*.safetensors"))


def _resident(process: int) -> float:
    """GiB of memory that a process has now; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmRSS")), 0.0)


def _started(step: str, folder: Path, threads: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks", "memory_cells", "--step", step, str(folder)]
    return subprocess.Popen([*command, "--threads", str(threads)], stdout=subprocess.PIPE, text=True)


def _watched(folder: Path, threads: int, kill_at: float | None = None, chunks: int = 0) -> dict[str, Any]:
    """A run to its end, or until a share of its chunks is there; memory by the share that was done."""
    child, seen = _started("run", folder, threads), list[tuple[int, float]]()
    while child.poll() is None:
        done = len(_shards(folder))
        if done and (memory := _resident(child.pid)):
            seen.append((done, memory))
        if kill_at is not None and done >= kill_at * chunks:
            child.kill()
            child.wait()
            return {"killed after chunks": done}
        time.sleep(0.5)
    assert child.stdout is not None
    told: dict[str, Any] = json.loads(child.stdout.read().splitlines()[-1])
    first, most = seen[0][0], seen[-1][0]
    for share in (0.1, 0.5, 1.0):
        near = min(seen, key=lambda one: abs(one[0] - first - share * (most - first)))
        told[f"GiB at {share:.0%}"] = near[1]
    return told


def atlas(cells: int, folder: Path, threads: int) -> list[dict[str, Any]]:
    """The undisturbed run, the killed one, and the comparison of the groups; see the module's text."""
    write_cells(folder / "cells.h5ad", cells)
    rows: list[dict[str, Any]] = [{"step": "run", "cells": cells, **_watched(folder / "whole", threads)}]
    shards = _shards(folder / "whole")
    rows[0]["kB a cell"] = sum(path.stat().st_size for path in shards) / cells / 1e3
    rows += [
        {"step": "killed", "cells": cells, **_watched(folder / "killed", threads, share, len(shards))}
        for share in (0.3, 0.6)
    ]
    rows.append({"step": "resumed", "cells": cells, **_watched(folder / "killed", threads)})
    whole, killed = (
        {str(p.relative_to(folder / name)): hashlib.sha256(p.read_bytes()).hexdigest() for p in _shards(folder / name)}
        for name in ("whole", "killed")
    )
    assert whole == killed, "the bytes differ from those of the undisturbed run"
    rows[-1]["shards of the same bytes"] = f"{sum(killed[name] == own for name, own in whole.items())} of {len(whole)}"
    rows[-1]["digest of all"] = hashlib.sha256("".join(map(whole.__getitem__, sorted(whole))).encode()).hexdigest()[:16]
    child = _started("compare", folder / "whole", threads)
    rows.append({"step": "compared", "cells": cells, **json.loads(child.communicate()[0].splitlines()[-1])})
    return rows


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory_cells", description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=["V2-104M"], choices=list(SIZES))
    parser.add_argument("--heads", nargs="*", default=list(HEADS), choices=list(HEADS))
    parser.add_argument(
        "--shares", nargs="*", type=float, default=[0.01, 0.02, 0.04, 0.1, 0.3], help="fractions to keep and delete"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--here", action="store_true", help="one case in this process, as JSON")
    parser.add_argument("--atlas", type=int, help="a run over so many cells instead")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "FOLDER"), help="one step of it in this process, as JSON")
    given = parser.parse_args(arguments)
    if given.step:
        print(json.dumps(atlas_step(given.step[0], Path(given.step[1]), given.threads)))
        return
    if given.atlas:
        with tempfile.TemporaryDirectory() as folder:
            rows = atlas(given.atlas, Path(folder), given.threads)
        titles = dict.fromkeys(title for row in rows for title in row)
        print(markdown([{title: row.get(title, "") for title in titles} for row in rows]))
        return
    if given.here:
        print(json.dumps(measure(given.sizes[0], given.heads[0], given.threads, given.shares)))
        return
    rows = []
    for size in given.sizes:
        for head in given.heads:
            command = [sys.executable, "-m", "benchmarks", "memory_cells", "--here", "--sizes", size, "--heads", head]
            command += ["--threads", str(given.threads), "--shares", *map(str, given.shares)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], file=sys.stderr, flush=True)
    print(markdown(rows))
