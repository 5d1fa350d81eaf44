"""Is another example's answer reached when it is the goal: labels exchanged, the actual answer, the representation?

Tracking is given three kinds of wrong goals, all with the same wrong label, another example's (each as often as the
model predicts it):

- *exchanged*: the model's own output with the two labels exchanged, as `benchmarks selectivity` and `default` ask;
- *another's*: the actual output of an example with that label or, where a representation is tracked (`goal=auto`), its
  representation. Every example serves as often as the model's balance of labels allows, mostly once.

Either counts if the model predicts the wrong label on the top 4 % of the ranking. `kept` is the share of own decisions
that survive on the top 4 % of the ranking for the example's own goal. A control has one ranking for all. Gaps to
`magnitude` are paired, brackets are 95 % bootstrap intervals over groups, counts below thirty groups are anecdotal.

The examples are those of `benchmarks default`: by default the half that is not for tuning; `--tuning` shows the other
one, on which candidates may be chosen; `--others` takes examples on which nothing was chosen.

Each model's numbers are kept in a folder as they are made: run the same command again to go on, or to print the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import torch

from benchmarks.axes import KEPT
from benchmarks.default import options_of
from benchmarks.keeping import cell_file, kept
from benchmarks.selectivity import prepared
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.domains.base import Basis
from hf_fourier.evaluation.metrics.statistics import group_names
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.evaluation.wrong_labels import assign_wrong_labels
from hf_fourier.methods import METHODS
from hf_fourier.methods.base import Method
from hf_fourier.methods.controls import CONTROLS
from hf_fourier.methods.tracking import Tracking
from hf_fourier.models.encoding import encode
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.representation import OUTPUT, RepresentationPass
from hf_fourier.seeding import ExampleRng, LazyFingerprint
from hf_fourier.typing import Tensor

MODELS = ("pbmc-geneformer", "wav2vec2-languages", "fashion-vit", "efficientnet-lite0", "ast-languages")
SHOWN = (
    "tracking",
    "tracking_never_raised",
    "tracking:goal=auto",
    "tracking:goal=auto,kappa=.1",
    "tracking_never_raised:goal=auto",
    "tracking_never_raised:goal=auto,kappa=.1",
    "tracking:goal=auto,base=probes",
)
OWN, EXCHANGED, ANOTHERS = "kept", "wrong (labels exchanged)", "wrong (another's answer)"


class _Towards(Tracking):
    """Tracking that notes what it tracks of each example, and tracks another example's where one is given.

    Attributes:
        seen: By an example's fingerprint, what was tracked of it: filled in here.
        others: By an example's fingerprint, what is tracked in place of its own.
    """

    seen: ClassVar[dict[int, Tensor]]
    others: ClassVar[Mapping[int, Tensor]]

    @property
    def shares_clean_pass(self) -> bool:
        """Never, so that every goal passes through `_clean`."""
        return False

    def _clean(self, part: RepresentationPass, basis: Basis, rng: ExampleRng) -> tuple[Tensor, Tensor, Tensor]:
        """The other example's goal in place of the own one."""
        own, gain, gradient = super()._clean(part, basis, rng)
        keys = [key.number if isinstance(key, LazyFingerprint) else key for key in rng.keys[part.rows]]
        self.seen.update(zip(keys, own, strict=True))
        goals = [self.others.get(key, answer) for key, answer in zip(keys, own, strict=True)]
        return torch.stack(goals).to(own), gain, gradient


def towards(method: Tracking, others: Mapping[int, Tensor], seen: dict[int, Tensor]) -> Tracking:
    """The same method for other examples' goals.

    Args:
        method: Tracking, or a candidate that extends it.
        others: By an example's fingerprint, the output or the representation that is tracked in place of its own.
        seen: Filled in with each example's own.
    """
    bases = (_Towards,) if type(method) is Tracking else (_Towards, type(method))
    made: type[Tracking] = type("Towards", bases, {"seen": seen, "others": others})
    return made(**{field.name: getattr(method, field.name) for field in fields(method)})


def lenders(predicted: Sequence[int], wrong: Sequence[int]) -> list[int]:
    """For each example the index of one that has its wrong label, all of a label's examples in turn.

    Args:
        predicted: The label of each example.
        wrong: The wrong label of each.
    """
    turns: dict[int, int] = {}
    lent = []
    for label in wrong:
        having = [i for i, own in enumerate(predicted) if own == label]
        lent.append(having[turns.get(label, 0) % len(having)])
        turns[label] = turns.get(label, 0) + 1
    return lent


def reached(explainer: FourierExplainer, examples: Sequence[Any], spec: str) -> dict[str, list[float]]:
    """By quantity, a number per example: whether the own decision is kept, and wrong labels reached, on the top 4 %.

    Args:
        explainer: Of a classifier with named labels.
        examples: Raw examples, no two alike.
        spec: Tracking or a candidate that extends it, or a method that ranks alike for every goal.
    """
    method = METHODS.parse(spec)
    domain, encoded = explainer.resolve_domain(METHODS.parse("tracking")), encode(explainer.wrapper, examples)[1]

    def explained(method: Method, targets: Sequence[int | None], exchanged: bool = False) -> list[Attribution]:
        results = explainer.explain_encoded(
            encoded, targets, method, domain, contributions=0, with_gradient=False, goal_is_target=exchanged
        )
        explainer.perturb(results, [KEPT])
        return results

    seen: dict[int, Tensor] = {}
    own = explained(towards(method, {}, seen) if isinstance(method, Tracking) else method, [None] * len(encoded))
    predicted, keys = [int(result.target) for result in own], [result.key for result in own]
    if len({*keys}) < len(keys):
        raise ValueError("two examples are alike, and could not be given different goals")
    wrong = assign_wrong_labels(predicted, sorted(explainer.wrapper.head().labels), keys)[0]
    values = {OWN: _agreement(own)}
    if not isinstance(method, Tracking):
        same = [float(_point(result).predicted_class == label) for result, label in zip(own, wrong, strict=True)]
        return values | {EXCHANGED: same, ANOTHERS: same}
    if method.goal == OUTPUT:
        values[EXCHANGED] = _agreement(explained(method, wrong, exchanged=True))
    lent = lenders(predicted, wrong)
    others = {key: seen[keys[lender]] for key, lender in zip(keys, lent, strict=True)}
    values[ANOTHERS] = _agreement(explained(towards(method, others, {}), wrong))
    return values


def _point(result: Attribution) -> Any:
    assert result.curve is not None
    return result.curve.at("keep", KEPT)


def _agreement(results: Sequence[Attribution]) -> list[float]:
    return [float(_point(result).agreement >= 1) for result in results]


def measure(name: str, n: int, method: str, part: str) -> dict[str, Any]:
    """The numbers of one method on one model, on one of `default.PARTS` of its examples, and the examples' groups."""
    explainer, examples, groups, tuned, other = prepared(name, n, others=part == "others")
    places = tuned if part == "tuning" and tuned else other
    found = reached(explainer, [examples[i] for i in places], method)
    return {"groups": group_names([groups[i] for i in places], len(places)), "values": found}


def cell_of(name: str, n: int, method: str, part: str) -> str:
    """The file of the numbers of one method on one model."""
    code = (__name__, "benchmarks.axes", "benchmarks.selectivity", "benchmarks.real")
    return cell_file(name, methods=[method], models=[name], code=code, examples=n, part=part)


def rows(model: str, cells: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one model, from what `measure` found by method."""
    found = [MethodResult(method, "", method in CONTROLS, (0, 0), cell["values"]) for method, cell in cells.items()]
    (groups, *_) = [cell["groups"] for cell in cells.values()]
    table = Evaluation(model, found, groups, {OWN: 1, EXCHANGED: -1, ANOTHERS: -1}).summary().rows()
    gap = ", gap to magnitude"
    names = {OWN: OWN, f"{OWN}{gap}": "kept, gap", EXCHANGED: EXCHANGED, ANOTHERS: ANOTHERS}
    names |= {f"{ANOTHERS}{gap}": f"{ANOTHERS}, gap"}
    return [
        {"model": model, "method": row["method"], "n (groups)": row["n (groups)"]}
        | {title: row[column] for column, title in names.items()}
        for row in table
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    given = options_of("goals", __doc__, SHOWN, 64, arguments)
    table = []
    for name in given.models or (given.known if given.part == "others" else MODELS):
        cells = {}
        for method in dict.fromkeys((*CONTROLS, *given.methods)):
            settings = name, given.examples, method, given.part
            cells[method] = kept(given.folder / name / cell_of(*settings), lambda: measure(*settings))  # noqa: B023
        table += rows(name, cells)
    print(markdown(table))
