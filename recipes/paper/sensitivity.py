"""How much scores move when the input does."""

import numpy as np

from hf_fourier.evaluation.random_perturbations import explain_perturbed_inputs
from recipes.paper.base import Ask, Found, experiment, setting

ITEMS = ("FFC Table III",)
DIFFERS = (
    "The released code adds uniform noise of ± .2 per entry where the paper says Gaussian, uses a learning rate "
    "of 100 on CIFAR-10 and 1,000 on ImageNet, and has no control. A score that contains the magnitude is "
    "insensitive to noise because the magnitude is, so the table has the magnitude too."
)


@experiment(
    "sensitivity",
    "FFC: sensitivity to noise",
    ITEMS,
    DIFFERS,
    "--model timm/resnet50.tv2_in1k --data IMAGENET/val --n 50000",
)
def run(ask: Ask) -> Found:
    """The largest relative change over ten draws."""
    tables, on = {}, []
    for name, preset, n in (
        ("efficientnet-lite0", "sensitivity-imagenet", 3),
        ("fashion-vit", "sensitivity-cifar", 32),
    ):
        at = setting(ask, name, n, small=1)
        rows = []
        for method in (f"ffc:preset={preset}", "ffc", "ffc:lam=0", "gradient_input", "saliency", "magnitude"):
            results = at.explainer.explain(at.examples, method=method)
            changes = explain_perturbed_inputs(at.explainer, results, draws=2 if ask.small else 10)["score_changes"]
            most = [max(own) for own in changes]
            rows.append({"method": method, "sensitivity-max": float(np.mean(most)), "median": float(np.median(most))})
        tables[name], on = rows, [*on, at.on]
        if ask.model:
            break
    return Found("; ".join(on), tables)
