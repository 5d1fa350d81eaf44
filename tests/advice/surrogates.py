"""Advice about removals, degraded rankings, surrogates, masks and fitted domains."""

from __future__ import annotations

import torch

from hf_fourier import FourierExplainer
from hf_fourier.domains import Axis, Fitted, SignalShape
from hf_fourier.domains.fitted import Directions, remember
from hf_fourier.evaluation.degradation import check_degradation, degraded
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.mask_probe import probe_masks
from hf_fourier.evaluation.random_removals import remove_parts
from hf_fourier.evaluation.studies.fit_domain import fit_domain, independent
from hf_fourier.evaluation.surrogate_checks import compare_curves
from hf_fourier.evaluation.surrogates import Surrogate, fine_tune_surrogate
from tests.advice.case import Case, read, reader

#: One example's columns of F-Fidelity.
ONE = {"agreement": [1.0], "removed_sizes": [[0.1]], "removed_top_decision": [[1.0]], "removed_rest_decision": [[1.0]]}
TWO = {name: rows * 2 for name, rows in ONE.items()}
TOPS, LABELS = [[0], [1], [0], [1]], ["a", "b", "a", "b"]
PROBED = {"group": [""] * 4, "label": LABELS, "top": TOPS, "features": [2] * 4}


class Network(torch.nn.Module):
    """Two logits of four entries."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Steep(Network):
    """A network that overflows after large steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (5 * self.layer(3 * x)).exp()


class Uncopied(Network):
    """A network that holds what cannot be copied."""

    def __deepcopy__(self, memory: object) -> Network:
        raise TypeError("not copied")


def tuned(model: object = None, domain: str = "identity", **options: object) -> Surrogate:
    """A surrogate of a small network, or of another model."""
    explainer = FourierExplainer(model or Network(), labels=["no", "yes"], axes=("time",), outputs="logits")
    return fine_tune_surrogate(explainer, [torch.ones(4), torch.zeros(4)], domain, epochs=1, **options)  # type: ignore


def steep(rate: float) -> Surrogate:
    """A surrogate of a network that overflows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        explainer = FourierExplainer(Steep(), axes=("time",), outputs="logits")
    examples = list(3 * torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    return fine_tune_surrogate(explainer, examples, "identity", rate=rate, batch_size=2)


def compared(domain: str = "identity", fractions: tuple[float, ...] = (0.5,)) -> object:
    """Curves of results in a domain, with a surrogate in the identity."""
    surrogate = tuned()
    results = surrogate.explainer.explain([torch.ones(4)], method="magnitude", domain=domain)
    return compare_curves(surrogate, surrogate.explainer, results, fractions)


def fitted(entries: int = 4, examples: int = 3, **options: object) -> Fitted:
    """A domain fitted to signals of a small network."""
    explainer = FourierExplainer(lambda x: x[..., :2].flatten(1)[:, :2], labels=["no", "yes"], outputs="logits")
    shape = (2, entries) if "axes" in options else (entries,)
    return fit_domain(explainer, [torch.randn(*shape) for _ in range(examples)], **options)  # type: ignore


def bound(entries: int, basis: str | None = None) -> object:
    """A basis fitted to four entries, bound to so many."""
    name = remember(Directions("pca", torch.eye(4)[:, :2], torch.ones(2))) if basis is None else basis
    return Fitted(name).bind(SignalShape("tensor", (Axis("time", entries),)))


def _words(axes: str | None) -> object:
    return fit_domain(reader(), ["one two", "one two three"], axes=axes)


CASES = [
    Case(
        "pass the columns of `random_removals.remove_parts`: 201 forward passes per example",
        lambda: METRICS["f_fidelity"].compute({}),
        lambda: METRICS["f_fidelity"].compute(remove_parts(reader(), read()[:1], draws=1)),
    ),
    Case("correct `kind` or `components`", lambda: fitted(kind="nmf"), lambda: fitted(kind="ica", components=1)),
    Case("pass a list of examples", lambda: fitted(examples=1), lambda: fitted(examples=2)),
    Case(
        "name the axes that have the same length in all examples: `axes='hidden'`",
        lambda: _words(None),
        lambda: _words("hidden"),
    ),
    Case(
        "name fewer axes in `axes`, or fit smaller signals",
        lambda: fitted(5000),
        lambda: fitted(5000, axes=0, components=1),
    ),
    Case(
        "take fewer components, or more examples",
        lambda: independent(torch.randn(50, 3, dtype=torch.float64), 3, steps=1),
        lambda: independent(torch.randn(50, 3, dtype=torch.float64), 1),
    ),
    Case(
        "pass examples that differ",
        lambda: independent(torch.ones(5, 3, dtype=torch.float64), 2),
        lambda: independent(torch.randn(50, 3, dtype=torch.float64), 1),
    ),
    Case("fit it to examples first: `fit_domain(explainer, examples)`", lambda: bound(4, ""), lambda: bound(4)),
    Case(
        "its directions have 4 entries, these axes 5: fit it to examples of this shape",
        lambda: bound(5),
        lambda: bound(4),
    ),
    Case("call `fit_domain`, or load a result that was made with it", lambda: bound(4, "pca-0"), lambda: bound(4)),
    Case(
        "fit them with `fit_domain`",
        lambda: remember(Directions("pca", torch.eye(4), torch.ones(2))),
        lambda: remember(Directions("pca", torch.eye(4), torch.ones(4))),
    ),
    Case("correct `masks`, `epochs` or `rate`", lambda: tuned(masks="all"), lambda: tuned(masks="few")),
    Case("leave the others out", lambda: compared(fractions=(0.5, 1)), compared),
    Case("choose a lower `rate`", lambda: steep(1.0), lambda: steep(1e-6)),
    Case(
        "pass results of `explain`",
        lambda: check_degradation(reader(), []),
        lambda: check_degradation(reader(), read()[:1], fractions=(0, 1), draws=1),
    ),
    Case("fine-tune a surrogate in the domain of the results", lambda: compared("fourier"), compared),
    Case("pass the module itself, if there is one", lambda: tuned(lambda x: x[:, :2]), tuned),
    Case("remove what is not part of it", lambda: tuned(Uncopied()), tuned),
    Case(
        "correct `labels` or `groups`",
        lambda: probe_masks(TOPS, LABELS[:2], 2),
        lambda: probe_masks(TOPS, LABELS, 2, shuffles=1),
    ),
    Case(
        "explain more examples of each label",
        lambda: probe_masks(TOPS, ["a", "a", "a", "b"], 2),
        lambda: probe_masks(TOPS, LABELS, 2, shuffles=1),
    ),
    Case(
        "probe signals of one shape",
        lambda: METRICS["mask_probe"].compute({**PROBED, "features": [2, 2, 2, 3]}),
        lambda: METRICS["mask_probe"].compute(PROBED),
    ),
    Case(
        "correct `sizes`, `rate`, `most` or `draws`",
        lambda: remove_parts(reader(), read()[:1], draws=0),
        lambda: remove_parts(reader(), read()[:1], draws=1),
    ),
    Case("correct `fraction`", lambda: degraded(read()[0], 2), lambda: degraded(read()[0], 1)),
    Case(
        "correct `metric` or `fractions`",
        lambda: check_degradation(reader(), read()[:1], "encoding"),
        lambda: check_degradation(reader(), read()[:1], fractions=(0, 1), draws=1),
    ),
    Case(
        "call `remove_parts` once for all of them",
        lambda: METRICS["f_fidelity"].compute({**TWO, "removed_sizes": [[0.1], [0.2]]}),
        lambda: METRICS["f_fidelity"].compute(TWO),
    ),
]
