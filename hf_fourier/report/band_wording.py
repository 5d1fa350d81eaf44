"""Sentences about bands: the effect of each band in one example and on average, and what may be concluded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hf_fourier.evaluation.metrics.statistics import MIN_GROUPS
from hf_fourier.report.band_scores import in_score_units
from hf_fourier.report.example_record import is_control

if TYPE_CHECKING:
    from hf_fourier.report.band_means import BandMeans
    from hf_fourier.report.example_record import ExampleRecord

#: What the scores of these methods are.
QUANTITY = {"shapley": "Shapley value", "filters": "Shapley value", "random_masks": "mean change with it"}
#: What is concluded where the slider keeps bands at which the model was not run.
ASKED = "The model was run on each band separately: see above. The model was not trained on filtered inputs."
#: Titles of what stands beside the scores.
DELETED, ALONE = "lost without it", "gained by it alone"
#: Below this part of what is lost without a band, what it brings alone is little.
LITTLE = 0.25
LIMITS = (
    "The model was not trained on filtered inputs: a band without which accuracy drops need not suffice alone, and "
    "the results hold for these data only."
)
MAY_CONCLUDE = ("Without which bands the score drops most, and which raise it most alone: the model was run on each.",)
MAY_NOT_CONCLUDE = (
    "That a needed band suffices, or that a sufficient band is needed; what the model does with other inputs or "
    "another replacement (it was not trained on inputs without a band).",
)


def few(examples: int) -> str:
    """A caution where there are too few examples; empty where there are enough."""
    if examples >= MIN_GROUPS:
        return ""
    return f"{examples} example{'s' * (examples != 1)}: fewer than {MIN_GROUPS} are anecdotal; no claim is made."


def single(record: ExampleRecord, number: int, views: int) -> list[str]:
    """What opens a report without means over examples: the bands of one example, which is named if there are more."""
    lines = sentences(record)
    return lines if views == 1 else [f"{record.name or f'example {number}'}: {' '.join(lines)}"]


def score_title(method: str) -> str:
    """What a method's scores of bands are called."""
    return QUANTITY.get(method.partition(":")[0], "score")


def sentences(record: ExampleRecord) -> list[str]:
    """What the bands of one example show, the most important first; empty where the features are no bands."""
    found = record.band_scores
    if found is None:
        return []
    best, place = found.names[found.best], found.best
    if not in_score_units(record.method):
        control = " It is a control: it ranks without using the model." if is_control(record.method) else ""
        return [f"{record.method} ranks {best} first.{control}", "Its scores are not differences of the model's score."]
    name = record.method.partition(":")[0]
    lines = []
    if name in QUANTITY:
        error = "" if found.standard_error is None else f" ± {_number(found.standard_error[place])} (standard error)"
        words = f"{QUANTITY[name]} {_number(found.scores[place])}{error}"
        clear = _is_clear(found.scores, found.standard_error, place)
        lines.append(f"{best} is worth most: {words}." if clear else f"No band is clearly worth most: {best}, {words}.")
    return [*lines, *_deletion(record)]


def _deletion(record: ExampleRecord) -> list[str]:
    """What the score loses without a band, and gains by one alone."""
    found = record.band_scores
    assert found is not None
    lines = []
    worst = None
    if found.deleted is not None:
        worst = max(range(len(found.names)), key=found.deleted.__getitem__)
        lost = found.deleted[worst]
        if lost > 0:
            lines.append(
                f"Without {found.names[worst]} the score falls most, by {_number(lost)} (from {_number(record.value)})"
            )
        else:
            lines.append("No single deletion lowers the score: the other bands replace each one")
            worst = None
    if found.alone is None:
        return [f"{line}." for line in lines]
    top = max(range(len(found.names)), key=found.alone.__getitem__)
    most = f"{found.names[top]} alone raises it most above the score with no band, by {_number(found.alone[top])}"
    if found.alone[top] <= 0:
        most = "no band alone raises it above the score with no band"
    if worst is not None and found.alone[worst] <= 0:
        lines[-1] += "; alone it adds nothing" + (", nor does any other band" if found.alone[top] <= 0 else "")
    elif worst is not None and found.deleted is not None:
        own = _number(found.alone[worst])
        little = found.alone[worst] < LITTLE * found.deleted[worst]
        lines[-1] += f"; alone it adds only {own}: it needs others" if little else f"; alone it adds {own}"
    if worst is None or (found.alone[top] > 0 and top != worst):
        lines.append(most[0].upper() + most[1:])
    return [f"{line}." for line in lines]


def mean_sentence(found: BandMeans) -> str:
    """The band with the largest mean score, with its interval."""
    band, score = found.bands[found.best].name, found.means["scores"][found.best]
    name, over = found.method.partition(":")[0], f"mean over {found.examples} examples"
    if name == "occlusion":
        alone = "deleted" not in found.means
        words = f"with {band} alone the score rises" if alone else f"without {band} the score falls"
        if found.is_clear:
            return f"{words[0].upper()}{words[1:]} most, by {score} ({over})."
        return f"No band is clearly {'the most sufficient' if alone else 'needed most'}; {words} by {score} ({over})."
    lead = f"{band} is worth most" if found.is_clear else f"No band is clearly worth most; the largest mean is {band}"
    return f"{lead}: {QUANTITY.get(name, 'score')} {score} ({over})."


def _is_clear(scores: Sequence[float], errors: Sequence[float] | None, best: int) -> bool:
    """Whether the best score exceeds every other one beyond the 95 % interval of their difference."""
    if errors is None:
        return True
    others = (i for i in range(len(scores)) if i != best)
    return all(scores[best] - scores[i] > 1.96 * math.hypot(errors[best], errors[i]) for i in others)


def _number(value: float) -> str:
    return f"{value:.3g}"
