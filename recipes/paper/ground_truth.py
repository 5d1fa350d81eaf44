"""Planted frequencies, with the network put back in."""

from benchmarks.ground_truth import HELD_OUT, METHODS, measure
from recipes.paper.base import Ask, Found, experiment

ITEMS = ("FFC Figure 6",)
DIFFERS = (
    "The released code transforms `x` twice where the modified signal is meant, so its curve is that of the "
    "magnitude, whatever the network. Its test set contains one class only, and its decision rule takes the "
    "second largest score."
)


@experiment("ground_truth", "FFC: planted frequencies", ITEMS, DIFFERS, "")
def run(ask: Ask) -> Found:
    """Accuracy of the first feature over the noise's variance."""
    variances = (5.0,) if ask.small else tuple(float(v) for v in range(1, 6))
    rows = []
    for number, variance in enumerate(variances):
        row = measure(variance, METHODS[-3:] if ask.small else METHODS, number)
        rows.append(
            {title: value for title, value in row.items() if HELD_OUT not in title or title.startswith("network")}
        )
    return Found(
        "the published data and network, 1,600 trained signals for each variance", {"First feature is planted": rows}
    )
