"""Cells, sounds and masks: the curves of the paper's other kinds of model."""

from __future__ import annotations

import torch

from hf_fourier import FourierExplainer, demo
from hf_fourier.results.curve import TENTHS, FractionGrid
from recipes.paper.base import Ask, Found, Rows, Setting, experiment, kept, mean_curve, played, setting

#: Kept shares whose complements are the published deletions 0, 10, … 90 %.
KEPT = tuple(round(1 - r, 12) for r in TENTHS[:-1])
TWENTIETHS = tuple(round(1 - i / 20, 12) for i in range(20))


def curves(at: Setting, methods: tuple[str, ...], domain: str | None = None) -> dict[str, Rows]:
    """Decisions kept and relative confidence as the least important features go first."""
    rates, sure = [], []
    for method in methods:
        results = played(at.explainer, at.examples, FractionGrid(keep=KEPT), method=method, domain=domain)
        titles = [f"{r:.0%}" for r in TENTHS[:-1]]
        rates.append({"method": method, **dict(zip(titles, kept(results, KEPT), strict=True))})
        sure.append({"method": method, **dict(zip(titles, mean_curve(results, "least"), strict=True))})
    return {"Decisions kept, by share deleted": rates, "Relative confidence, by share deleted": sure}


@experiment(
    "geneformer",
    "FFC: Geneformer",
    ("FFC Figure 9a",),
    "The released script passes no attention mask, transforms padding and the unordered hidden axis, ranks whole "
    "rows of the spectrum, and follows the class predicted after each deletion instead of the original one. Here "
    "padding is excluded from the transform and the original class is followed. The model is a stand-in with four "
    "layers, trained on blood cells.",
    "--model YOUR-FINE-TUNED-GENEFORMER --data human_dcm_hcm --n 17228",
)
def cells(ask: Ask) -> Found:
    """Geneformer's kind, rows of the sequence's spectrum as the paper ranks them."""
    at = setting(ask, "pbmc-geneformer", 64)
    methods = ("ffc:preset=geneformer", "ffc", "magnitude", "random")
    tables = {f"Whole frequencies: {k}": v for k, v in curves(at, methods, "fourier:grain=frequency").items()}
    tables |= {f"Frequency and dimension: {k}": v for k, v in curves(at, methods).items()}
    return Found(at.on, tables)


@experiment(
    "audio",
    "FFC: heart sounds",
    ("FFC Figure 9b",),
    "The released code explains the network with dropout switched on: the maintain rate drops to .962 at once and "
    "stays there, which is the noise of dropout. It repeats a channel three times, so each feature counts three "
    "times. Neither the heart sounds nor the trained network are published. Here Whisper's encoder classifies "
    "instruments.",
    "--model YOUR-MURMUR-CLASSIFIER --data CIRCOR --n 9420",
)
def sounds(ask: Ask) -> Found:
    """Log-mel spectrograms."""
    at = setting(ask, "whisper-instruments", 6)
    preset = "sensitivity-cifar" if ask.small else "audio"
    return Found(at.on, curves(at, (f"ffc:preset={preset}", "ffc", "magnitude", "low_frequency", "random")))


@experiment(
    "unet",
    "FFC: masks",
    ("FFC Figure 9c", "FFC Figure 10"),
    "The released loss depends on the other pictures of the batch, its settings were chosen on the test set, two "
    "empty masks score 0, and there is no control. Here each volume is explained on its own, with the published "
    "step sizes.",
    "--model YOUR-UNET",
)
def masks(ask: Ask) -> Found:
    """Dice with the clean mask, by share kept."""
    from hf_fourier.demo import scans
    from hf_fourier.demo.models import linknet3d

    linknet3d.register()
    explainer = FourierExplainer.from_pretrained(ask.model or demo.get("deepbet"), task="image-segmentation")
    head = scans.normalised(scans.at_size(torch.from_numpy(demo.head_mri()["volume"]), 48))
    rows = []
    for method in ("ffc:preset=sensitivity-cifar",) if ask.small else ("ffc:preset=unet", "ffc", "magnitude", "random"):
        result = explainer.perturb(
            explainer.explain(head.numpy(), target="brain", method=method), FractionGrid(keep=TWENTIETHS)
        )
        dice = [result.curve.at("keep", share).agreement for share in TWENTIETHS]
        shown = {f"{share:.0%}": value for share, value in zip(TWENTIETHS[::3], dice[::3], strict=True)}
        rows.append({"method": method, "sum of 20": sum(dice), **shown})
    return Found(f"{ask.model or 'deepbet'}, one head at 48³ voxels", {"Dice with the clean mask, by share kept": rows})
