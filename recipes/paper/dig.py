"""DIG: Fourier features against pixels, and against the transforms of maps of pixels."""

from benchmarks.peers import peers
from hf_fourier.evaluation.metrics.statistics import summarise
from recipes.paper.base import Ask, Found, Rows, Setting, experiment, mean_curve, played, setting

ITEMS = ("FFC Figure 5a", "FFC Figure 5b", "FFC Figure 5c", "FFC Figure 5d", "FFC Table II")
DIFFERS = (
    "The papers' baselines have faults: integrated gradients runs the network in training mode and for the true "
    "label, Input-Grad is not multiplied by the input, Grad-CAM of the ViT uses the patch embedding. Here "
    "Captum's own code runs in evaluation mode for the predicted label. The FFT and the inverse FFT of a real map "
    "have the same magnitudes, so the two variants give one ranking. The published run on CIFAR-10 used the "
    "training images, and its baselines deleted only 10 to 19 %."
)
FOURIER = ("ffc", "ffc:kappa=.1", "closed_loop:kappa=.1", "gradient_input")


@experiment(
    "dig",
    "FFC: DIG compared with pixels and transformed maps",
    ITEMS,
    DIFFERS,
    "--model timm/resnet50.tv2_in1k --data IMAGENET/val --n 50000` and `--model timm/vit_base_patch32_224.augreg_in1k "
    "…`; CIFAR-10: `--model YOUR-RESNET18 --data CIFAR10/test --n 10000",
)
def run(ask: Ask) -> Found:
    """Both networks; the larger one at the published setting of its kind."""
    tables, on = {}, []
    for name, preset, n in (("efficientnet-lite0", "imagenet-resnet50", 3), ("fashion-vit", "cifar", 24)):
        at = setting(ask, name, n, small=1 if name == "efficientnet-lite0" else 3)
        tables[f"{name}: AUC (sum over ten points)"] = table(at, preset if not ask.small else "imagenet-released")
        tables[f"{name}: curves, least important first"] = curves(at, preset if not ask.small else "imagenet-released")
        on.append(at.on)
        if ask.model:
            break
    return Found("; ".join(on), tables)


def table(at: Setting, preset: str) -> Rows:
    """The AUC of every method in its domain."""
    signal = at.explainer.explain(at.examples[0], method="magnitude").layout.signal
    others = peers(at.explainer, signal)
    chosen = [f"ffc:preset={preset}", *FOURIER, *others]
    found = at.explainer.evaluate(at.examples, chosen, metrics=["dig"], groups=at.groups)
    rows = []
    for cell in found.cells:
        own = summarise(cell.values["dig"], at.groups)
        rows.append(
            {"method": cell.method, "domain": cell.domain, "AUC": 10 * own.mean, "AUC, median": 10 * own.median}
        )
    return sorted(rows, key=lambda row: -row["AUC"])


def curves(at: Setting, preset: str) -> Rows:
    """The mean relative confidence as the least important features go first."""
    rows = []
    for method in (f"ffc:preset={preset}", "ffc", "ffc:kappa=.1", "magnitude"):
        least = mean_curve(played(at.explainer, at.examples, method=method), "least")
        rows.append({"method": method, **{f"{i / 10:.1f}": value for i, value in enumerate(least)}})
    return rows
