"""How much memory, and time, does a cell of 4,096 tokens take at default settings?

Architectures of Geneformer's sizes with random weights: what is explained means nothing, what it costs does. Each case
runs in a process of its own, whose peak of resident memory (`getrusage`) is read at its end, imports included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

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
    given = parser.parse_args(arguments)
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
