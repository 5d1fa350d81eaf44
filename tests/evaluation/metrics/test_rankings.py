"""Every metric puts the oracle before random and random before the oracle turned round, on a model with a known answer.

The model's odds depend on three waves among many, each with a weight of its own: the oracle ranks features by what they
bring to the odds.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
import torch

from hf_fourier.domains import DOMAINS
from hf_fourier.evaluation.metrics import (
    dice_retention,
    dig,
    fidelity,
    insertion_deletion,
    maintain_rate,
    robustness,
    selectivity,
    structure,
)
from hf_fourier.evaluation.metrics.statistics import paired_interval
from hf_fourier.results.curve import DEFAULT_GRID, SMALL_FRACTIONS, FractionGrid, maintained
from hf_fourier.results.ordering import descending
from hf_fourier.scoring.perturbation import curves, perturbations, run_perturbations
from tests.toy_scores import noise, score_of, signal

LENGTH, EXAMPLES, PLANTED, LABELS = 64, 24, (3, 11, 20), (0, 1, 2)
BASIS = DOMAINS.parse("fourier").bind(signal(LENGTH))
RANKINGS = ("oracle", "random", "turned")


def model(x: torch.Tensor) -> torch.Tensor:
    """Three classes, each with a wave of its own; the logit is how much of it there is."""
    t = torch.arange(LENGTH, dtype=x.dtype)
    waves = torch.stack([torch.cos(2 * torch.pi * k * t / LENGTH) for k in PLANTED])
    return 4 * x @ waves.T / LENGTH**0.5


@cache
def examples() -> torch.Tensor:
    """Noise, and the wave of class i % 3, whose phase the model reads."""
    t = torch.arange(LENGTH, dtype=torch.float64)
    own = torch.stack([torch.cos(2 * torch.pi * PLANTED[i % 3] * t / LENGTH) for i in range(EXAMPLES)])
    return own + 0.5 * noise(EXAMPLES, LENGTH, seed=4)


def scores(name: str, targets: torch.Tensor) -> torch.Tensor:
    """The oracle: what each feature brings to the log-odds of the target, which is known in closed form."""
    if name == "random":
        return noise(EXAMPLES, len(BASIS), seed=8)
    x = examples().clone().requires_grad_(True)
    logits = model(x)
    (gradient,) = torch.autograd.grad((logits.gather(1, targets[:, None])[:, 0] - logits.mean(1)).sum(), x)
    contribution = BASIS.inner(BASIS.forward(x.detach()), BASIS.pullback(gradient))
    return {"oracle": contribution, "turned": -contribution, "used": contribution.abs(), "unused": -contribution.abs()}[
        name
    ]


@cache
def played(name: str, wrong: int = 0):
    """Curves for the class that the model says, or the one `wrong` places after it."""
    said = (model(examples()).argmax(1) + wrong) % 3
    score = score_of(model, examples(), targets=said.tolist(), size=32)
    clean = score.clean_reading().confidence.tolist()
    grid = DEFAULT_GRID | FractionGrid(delete=SMALL_FRACTIONS)
    own = [
        m for i, s in enumerate(scores(name, said)) for m in perturbations(i, descending(s), BASIS.multiplicity, grid)
    ]
    return curves(own, run_perturbations(score, BASIS, own), clean)


def falling(numbers: dict[str, list[float]], margin: float) -> None:
    """Oracle above random above turned round, each by a margin and by more than chance."""
    for better, worse in itertools.pairwise(RANKINGS):
        a, b = numbers[better], numbers[worse]
        assert np.mean(a) - np.mean(b) > margin, (better, worse, np.mean(a), np.mean(b))
        assert paired_interval(a, b)[0] > 0


@pytest.mark.parametrize(
    ("metric", "sign", "margin"),
    [
        (dig.dig, 1, 0.2),
        (dig.dig_normalised, 1, 0.2),
        (insertion_deletion.insertion, 1, 0.1),
        (insertion_deletion.deletion, -1, 0.1),
        (fidelity.faithfulness_of_spectra, 1, 0.1),
        (fidelity.input_fidelity, 1, 0.1),
        (lambda curve: maintained(curve, 0.1), 1, 0.1),
        (dice_retention.dice_retention, 1, 0.1),
    ],
    ids=["dig", "dig_normalised", "insertion", "deletion", "faithfulness", "input_fidelity", "maintained", "retention"],
)
def test_metrics_of_curves(metric, sign: int, margin: float) -> None:
    falling({name: [sign * metric(curve) for curve in played(name)] for name in RANKINGS}, margin)


def test_the_least_share_that_keeps_most() -> None:
    found = [maintain_rate.least_kept_fraction(played(name)) for name in RANKINGS]
    assert found[0] <= 0.04 < 0.3 <= found[1] <= found[2]


def test_selectivity() -> None:
    """What the model uses, whatever the label, is selective; what speaks for a label persuades, wrong ones too."""
    found = {
        name: [
            selectivity.selectivity(own, wrong)
            for own, *wrong in zip(played(name), played(name, 1), played(name, 2), strict=True)
        ]
        for name in ("used", "oracle", "random", "unused")
    }
    for worse in ("oracle", "random", "unused"):
        assert np.mean(found["used"]) > np.mean(found[worse]) + 0.2
        assert paired_interval(found["used"], found[worse])[0] > 0
    assert np.mean([maintained(curve, 0.04) for curve in played("oracle")]) == 1
    assert np.mean([maintained(curve, 0.04) for curve in played("oracle", 1)]) > 0.5


def random_deletions(name: str) -> tuple[np.ndarray, np.ndarray]:
    """What the scores say of random subsets and what deleting these costs, `(examples, subsets)`."""
    said = model(examples()).argmax(1)
    score, given = score_of(model, examples(), targets=said.tolist()), scores(name, said)
    clean = score.clean_reading().value
    taken = torch.rand(EXAMPLES, 60, len(BASIS), generator=torch.Generator().manual_seed(3)) < 0.2
    coefficients = BASIS.forward(examples())
    drops = [
        clean - score.value(BASIS.keep_features(coefficients, ~taken[:, j]), torch.arange(EXAMPLES)).value
        for j in range(60)
    ]
    return (taken * given[:, None]).sum(-1).numpy(), torch.stack(drops, 1).numpy()


def test_mu_fidelity_and_infidelity() -> None:
    asked = {name: random_deletions(name) for name in RANKINGS}
    falling({name: [robustness.mu_fidelity(*p) for p in zip(*asked[name], strict=True)] for name in RANKINGS}, 0.5)
    plain = {
        name: [-robustness.infidelity(*p, scaled=False) for p in zip(*asked[name], strict=True)] for name in RANKINGS
    }
    assert np.mean(plain["oracle"]) > np.mean(plain["turned"]) + 0.5
    scaled = {name: [-robustness.infidelity(*p) for p in zip(*asked[name], strict=True)] for name in RANKINGS}
    assert np.mean(scaled["oracle"]) > np.mean(scaled["random"])
    assert scaled["oracle"] == pytest.approx(scaled["turned"])  # the best factor turns it back: it cannot tell


def test_structure() -> None:
    """The oracle's top is the class's own wave for all its examples; random ones agree as far as chance goes."""
    said = model(examples()).argmax(1)
    found = {}
    for name in ("oracle", "random"):
        order = [descending(row)[:2].tolist() for row in scores(name, said)]
        tops = {c: [order[i] for i in range(EXAMPLES) if int(said[i]) == c] for c in LABELS}
        concentrated = np.mean([structure.concentration(own, len(BASIS)) for own in tops.values()])
        found[name] = concentrated, {c: share for c, (share, _) in structure.specificity(
            {str(c): own for c, own in tops.items()}, len(BASIS)).items()}  # fmt: skip
    assert found["oracle"][0] > 1.5 * found["random"][0]
    assert all(0 < share <= 1 for share in found["oracle"][1].values())


@pytest.mark.parametrize(
    "rescale", [lambda s: 3 * s - 7, torch.exp, lambda s: s**3, lambda s: s.argsort(-1).argsort(-1) + 0.0]
)
def test_metrics_of_curves_read_the_order_alone(rescale) -> None:
    """Scores rescaled by anything that keeps their order give the same moves, so the same curves."""
    given = noise(EXAMPLES, len(BASIS), seed=8)
    for one, other in zip(given, rescale(given), strict=True):
        before = perturbations(0, descending(one), BASIS.multiplicity, DEFAULT_GRID)
        after = perturbations(0, descending(other), BASIS.multiplicity, DEFAULT_GRID)
        assert all(torch.equal(a.mask, b.mask) for a, b in zip(before, after, strict=True))


def test_mu_fidelity_and_scaled_infidelity_do_not_depend_on_the_scores_scale() -> None:
    given, drops = (rows[0] for rows in random_deletions("oracle"))
    assert robustness.mu_fidelity(5 * given, drops) == pytest.approx(robustness.mu_fidelity(given, drops))
    assert robustness.infidelity(5 * given, drops) == pytest.approx(robustness.infidelity(given, drops))
    assert robustness.infidelity(5 * given, drops, scaled=False) != pytest.approx(robustness.infidelity(given, drops))
