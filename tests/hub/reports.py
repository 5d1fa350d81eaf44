"""Reports made by hand, to be pushed."""

from __future__ import annotations

import math

from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.results.attribution import Attribution
from tests.report.sample_results import PLAYED, picture

MODEL = "bob/classifier"
QUANTITIES = {"dig": (0.1, 0.3), "maintain_rate_at_0.04": (0.5, 0.6), "selectivity (random)": (0.2, 0.1)}


def evaluation(model: str = MODEL, groups: int = 31, **more: object) -> Evaluation:
    """The magnitude and FFC on so many examples; the second number of `QUANTITIES` is FFC's."""
    values = [{name: [both[i]] * (groups - 1) + [math.nan] for name, both in QUANTITIES.items()} for i in (0, 1)]
    cells = [
        MethodResult("magnitude", "fourier", True, (1, 0), values[0]), MethodResult("ffc", "fourier", False, (1, 1),
        values[1]),
    ]  # fmt: skip
    names = [f"patient-{i}.png" for i in range(groups)]
    told = {"excluded": [("wam", "fourier", "has no scales")], "notes": ["told"], **more}
    return Evaluation(model, cells, names, dict.fromkeys(QUANTITIES, 1), **told)  # type: ignore[arg-type]


EVALUATION = evaluation()
SANITY = SanityResult(
    MODEL, "ffc", "fourier", "softmax", ["patient-7.png"],
    [
        Check("model randomization", True, "changes", "share", 0.2, (0.1, 0.3), "below .5", 4),
        Check("seeds", None, "n/a"),
    ],
)  # fmt: skip


def explained(made: Attribution, model: str = MODEL, task: str = "image-classification") -> Attribution:
    """With the provenance of a real one."""
    made.provenance.update(model=model, task=task, revision="c0ffee", versions={"torch": "2.13.0"})
    return made


def pictures(**more: object) -> list[Attribution]:
    """Two pictures, of a cup and an espresso."""
    return [explained(picture(played=PLAYED, label=label, **more)) for label in ("espresso", "cup")]
