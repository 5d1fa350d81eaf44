"""What an explanation takes."""

import numpy as np
import torch

from recipes.paper.base import Ask, Found, experiment, setting

ITEMS = ("FFC Table IV",)
DIFFERS = (
    "The published times were taken without synchronising with the GPU, and exclude that the network was created "
    "again for every call. Here passes are counted; times are from one thread of a shared machine, so only their "
    "ratios are meaningful. Peak GPU memory was not measured; `explainer.estimate` estimates it before a run."
)
METHODS = (
    "ffc",
    "gradient_input",
    "closed_loop",
    "smoothgrad:samples=100",
    "integrated_gradients:steps=50",
    "magnitude",
)


@experiment("cost", "FFC: cost", ITEMS, DIFFERS, "--model timm/resnet50.tv2_in1k --data IMAGENET/val --n 128")
def run(ask: Ask) -> Found:
    """Passes and seconds per example."""
    at = setting(ask, "efficientnet-lite0", 2, small=1)
    torch.set_num_threads(1)
    at.explainer.explain(at.examples[0])  # what is loaded once
    rows = []
    for method in METHODS[:3] if ask.small else METHODS:
        results = at.explainer.explain(at.examples, method=method, domain="fourier")
        seconds = float(np.median([one.provenance["seconds"] for one in results]))
        passes = results[0].provenance["passes"]
        rows.append({"method": method, "forward": passes["forward"], "backward": passes["backward"], "s": seconds})
    least = next(row["s"] for row in rows if row["method"] == "gradient_input")
    return Found(at.on, {"Per example": [{**row, "× gradient input": row["s"] / least} for row in rows]})
