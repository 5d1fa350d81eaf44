"""FFC's learning rate and number of iterations."""

from recipes.paper.base import Ask, Found, experiment, played, setting, sums

ITEMS = ("FFC Figure 4a", "FFC Figure 4b", "FFC Figure 4c", "FFC Figure 4d")
DIFFERS = (
    "The released code averages the loss over a batch, which divides the learning rate by the batch size; the "
    "runs here use `lr / 200`, as for the published numbers. AUC is the plain sum over ten points."
)
#: The batch of the published run that the paper's curves come from.
BATCH = 200


@experiment(
    "parameters",
    "FFC: learning rate and iterations",
    ITEMS,
    DIFFERS,
    "--model timm/resnet50.tv2_in1k --data IMAGENET/val --n 50000",
)
def run(ask: Ask) -> Found:
    """AUC over learning rates and iterations, the magnitude beside it, and the relative step."""
    at = setting(ask, "efficientnet-lite0", 2, small=1)
    rows = []
    for steps in (1, 2) if ask.small else (1, 10, 40):
        for lr in (1.0, 1000.0) if ask.small else (1.0, 10.0, 100.0, 1000.0):
            least, most = sums(
                played(at.explainer, at.examples, method=f"ffc:rule=absolute,lr={lr / BATCH},steps={steps}")
            )
            rows.append(
                {
                    "iterations": steps,
                    "learning rate": f"{lr:g}",
                    "AUC": least - most,
                    "least first": least,
                    "most first": most,
                }
            )
    relative = []
    for method in ("magnitude", *(f"ffc:kappa={kappa}" for kappa in (0.003, 0.01, 0.03, 0.1, 0.3))):
        least, most = sums(played(at.explainer, at.examples, method=method))
        relative.append({"method": method, "AUC": least - most, "least first": least, "most first": most})
    return Found(at.on, {"The published rule": rows, "The magnitude, and the relative step": relative})
