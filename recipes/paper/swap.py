"""Features swapped between classes."""

from hf_fourier.evaluation.studies.class_swap import class_swap
from recipes.paper.base import Ask, Found, experiment, setting

ITEMS = ("FFC Figure 7",)
DIFFERS = (
    "The released code adds the inserted coefficients to those that they should replace (twice the amplitude), "
    "includes unfiltered pictures among the donors, counts a success if one of a thousand donors changes the "
    "prediction of two networks, and has no control. Here features are exchanged exactly, each pair is tested "
    "once, and the controls exchange the same number of features."
)


@experiment(
    "swap",
    "FFC: features swapped between classes",
    ITEMS,
    DIFFERS,
    "--model YOUR-RESNET18 --data CIFAR10/test --n 10000",
)
def run(ask: Ask) -> Found:
    """How often the donor's class is taken over, by fraction and by ranking."""
    at = setting(ask, "fashion-vit", 120, small=6)
    half = len(at.examples) // 2
    tables = {}
    for unit in ("recipient", "donor"):
        fractions = (0.005, 0.04) if ask.small else (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
        found = class_swap(
            at.explainer, at.examples[:half], at.examples[half : 2 * half], "ffc", fractions=fractions, unit=unit
        )
        columns = ("ranking", "fraction", "n", "taken", "low", "high", "gap_magnitude", "kept")
        tables[f"By the {unit}'s ranking"] = [{name: row[name] for name in columns} for row in found.table().rows()]
    return Found(f"{at.on}, in pairs", tables)
