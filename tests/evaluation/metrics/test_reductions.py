"""Each metric by a case computed by hand, against published numbers, and against second implementations."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics.functional.segmentation import dice_score

from hf_fourier import attribute
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics import (
    METRICS,
    confidence_gain,
    content,
    dice_retention,
    dig,
    fidelity,
    insertion_deletion,
    localisation,
    maintain_rate,
    robustness,
    selectivity,
    structure,
)
from hf_fourier.evaluation.metrics.table import (
    _kept_content,
    columns,
    common_kept,
    curves_of,
    kept_decisions,
    wrong_reached_at,
)
from hf_fourier.results.curve import SMALL_FRACTIONS, TENTHS, Curve, CurvePoint, common_fractions
from hf_fourier.scoring.heads.segmentation import dice
from tests.evaluation.metrics.sample_results import curve, drawn_table, kept
from tests.toy_scores import Linear, noise

PUBLISHED = json.loads((Path(__file__).parent / "published_dig.json").read_text())


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['network']}-{row['maps']}-{row['method']}")
def test_published_curves_give_the_published_sums(row: dict) -> None:
    """arXiv 2411.18343 as its authors' code prints it; four digits, ten points r = 0, 0.1, …, 0.9."""
    keep = {round(1 - r, 12): height for r, height in zip(TENTHS, row["L"], strict=False)}
    delete = dict(zip(TENTHS, row["M"], strict=False))
    game = curve({0.0: 0.01, **keep}, {**delete, 1.0: 0.01}, clean=1.0)
    assert dig.dig(game, paper=True) == pytest.approx(row["sum"], abs=1e-3)
    assert dig.dig_normalised(game) == pytest.approx(row["ninth"], abs=2e-4)
    assert dig.dig(game) == pytest.approx(row["sum"] / 10, abs=1e-4)
    assert math.fsum(dig.insertion_curve(game, TENTHS[:-1])) == pytest.approx(row["area L"], abs=1e-3)
    assert math.fsum(dig.deletion_curve(game, TENTHS[:-1])) == pytest.approx(row["area M"], abs=1e-3)


def test_dig_by_hand() -> None:
    """L falls from 1 to 0 only at the end, M at once: on the tenths each misses half a step of the unit square."""
    best = curve(keep=[0, *[0.8] * 10], delete=[0.8, *[0] * 10], clean=0.8)
    assert dig.dig(best) == pytest.approx(0.95 - 0.05)
    assert dig.dig(best, paper=True) == pytest.approx(9)
    assert dig.dig_normalised(best) == pytest.approx(1)
    worst = curve(
        keep=best.confidences("delete", TENTHS)[::-1], delete=best.confidences("keep", TENTHS)[::-1], clean=0.8
    )
    assert dig.dig(worst) == pytest.approx(-0.9)
    three = curve({0.0: 0.1, 0.5: 0.6, 1.0: 0.4}, {0.0: 0.4, 0.5: 0.2, 1.0: 0.1}, clean=0.4)
    # L = 1, 1.5, 0.25 and M = 1, 0.5, 0.25 at r = 0, ½, 1.
    assert dig.dig(three, fractions=(0, 0.5, 1)) == pytest.approx((1 + 1.5) / 4 + (1.5 + 0.25) / 4 - (1.5 + 0.75) / 4)


def test_the_ends_are_shared_and_the_whole_is_known() -> None:
    full = curve(keep=[0.1 * i for i in range(11)], delete=[1 - 0.1 * i for i in range(11)], clean=1.0)
    inner = [stop for stop in full.points if 0 < stop.fraction < 1]
    least = Curve((*inner, full.at("keep", 0)), 1.0)
    assert len(least.points) == 19
    for metric in (dig.dig, insertion_deletion.insertion, insertion_deletion.deletion):
        assert metric(least) == pytest.approx(metric(full))


def test_areas_of_constant_curves_are_their_height() -> None:
    flat = curve(keep=[0.3] * 11, delete=[0.3] * 11, clean=0.3)
    assert insertion_deletion.insertion(flat) == pytest.approx(0.3)
    assert insertion_deletion.deletion(flat) == pytest.approx(0.3)
    assert dig.dig(flat) == pytest.approx(0)


def test_insertion_and_deletion_by_hand() -> None:
    game = curve({0.0: 0.1, 0.5: 0.9, 1.0: 0.8}, {0.0: 0.8, 0.5: 0.2, 1.0: 0.1}, clean=0.8)
    assert insertion_deletion.insertion(game, (0, 0.5, 1)) == pytest.approx(0.25 + 0.425)
    assert insertion_deletion.deletion(game, (0, 0.5, 1)) == pytest.approx(0.25 + 0.075)
    assert fidelity.faithfulness_of_spectra(game) == pytest.approx(0.6)


def test_heads_without_a_confidence_and_points_that_are_missing_are_refused() -> None:
    value = curve(keep=[1.0] * 11, delete=[1.0] * 11, sure=False)
    for metric in (
        dig.dig,
        insertion_deletion.insertion,
        insertion_deletion.deletion,
        fidelity.faithfulness_of_spectra,
    ):
        with pytest.raises(InputError, match="without a confidence"):
            metric(value)
    short = curve(keep={0.1: 0.5})
    for metric in (dig.dig, insertion_deletion.insertion, dice_retention.dice_retention, fidelity.input_fidelity):
        with pytest.raises(InputError, match="perturb with this fraction among"):
            metric(short)


def test_a_clean_confidence_of_nothing_has_no_ratio() -> None:
    assert math.isnan(dig.dig(curve(keep=[0.0] * 11, delete=[0.0] * 11, clean=0.0)))


def test_decisions_of_a_table_are_those_of_its_curves() -> None:
    """Fractions are found up to rounding and ends by their other name, and rows with other fractions are read."""
    table = {
        "kept": [[0.1, 0.3], [0.1, 0.2, 0.3]],
        "kept_decision": [[1.0, 0.5], [0.0, 1.0, 1.0]],
        "deleted": [[0.0], [0.0]],
        "deleted_decision": [[1.0], [0.25]],
        "wrong_kept": [[0.1, 0.3], [0.3, 0.1]],
        "wrong_reached": [[0.0, 1.0], [1.0, 0.5]],
    }
    curves = curves_of(table)
    for fractions in ([0.1, 0.3], [0.1 + 1e-12, 0.3], [0.3, 1.0]):
        assert kept_decisions(table, fractions) == [curve.decisions("keep", fractions) for curve in curves]
    assert common_kept(table) == [0.1, 0.3]
    assert wrong_reached_at(table, [0.1, 0.3]) == wrong_reached_at(table, [0.1, 0.3 - 1e-12]) == [[0, 1], [0.5, 1]]
    with pytest.raises(InputError, match=r"0\.7"):
        kept_decisions(table, [0.7])
    with pytest.raises(InputError, match=r"0\.7"):
        wrong_reached_at(table, [0.7])
    with pytest.raises(InputError, match="one of each for every fraction"):
        kept_decisions({**table, "kept_decision": [[1.0], [0.0]]}, [0.1])


def test_maintain_rate_by_hand() -> None:
    games = [kept({0.1: a, 0.5: b, 1.0: 1.0}) for a, b in ((0, 1), (1, 0), (0, 1), (0.5, 1))]
    assert [maintain_rate.maintain_rate(games, r).mean for r in (0.1, 0.5, 1)] == [0.25, 0.75, 1]
    assert maintain_rate.maintain_rate(games, 0.1, least=0.5).mean == 0.5
    assert (
        maintain_rate.least_kept_fraction(games, 0.25) == 0.1
    )  # although 0.5 would keep others: no decision is monotone
    assert maintain_rate.least_kept_fraction(games, 0.75) == 0.5
    assert maintain_rate.least_kept_fraction(games) == 1.0
    assert math.isnan(maintain_rate.least_kept_fraction([kept({0.1: 0.0})]))
    assert common_fractions([*games, kept({0.5: 1})]) == [0.5]


def test_the_published_maintain_rate_keeps_six_per_cent_and_not_four() -> None:
    """ViT-B/32: its code's shares of decisions kept by 20, 18, …, 4 % of the features; 94 % deleted keep .803."""
    rates = (0.9941, 0.99248, 0.98936, 0.9835, 0.9717, 0.9473, 0.8939, 0.80334, 0.67024)
    shares = [round(0.2 - 0.02 * i, 2) for i in range(9)]
    games = [kept({s: float(i < rate * 2000) for s, rate in zip(shares, rates, strict=True)}) for i in range(2000)]
    assert maintain_rate.least_kept_fraction(games) == 0.06


def test_dice_retention_by_hand() -> None:
    game = kept({0.0: 0.0, 0.5: 0.8, 1.0: 1.0})
    assert dice_retention.dice_retention(game, (0, 0.5, 1)) == pytest.approx(0.2 + 0.45)
    assert dice_retention.dice_retention(game, (0.5, 1)) == pytest.approx(0.9)
    assert dice_retention.dice_retention(game, (0.5, 1), paper=True) == pytest.approx(1.8)


def test_dice_against_torchmetrics() -> None:
    numbers = torch.Generator().manual_seed(0)
    said, clean = (torch.randint(0, 4, (6, 9, 7), generator=numbers) for _ in range(2))
    theirs = dice_score(said, clean, 4, input_format="index", average="macro")
    torch.testing.assert_close(dice(said, clean), theirs.float())
    foreground = dice_score((said > 1).long(), (clean > 1).long(), 2, average="none", input_format="index")[:, 1]
    ours = dice(torch.where(said > 1, 1, 0), torch.where(clean > 1, 1, -1))
    torch.testing.assert_close(ours, foreground.float())
    assert dice(torch.zeros(1, 4).long(), torch.zeros(1, 4).long()).item() == 1
    assert dice(torch.zeros(1, 4).long(), torch.full((1, 4), -1)).item() == 1  # two empty masks


def test_input_fidelity_is_the_maintain_rate_at_half() -> None:
    assert fidelity.input_fidelity(kept({0.5: 1.0})) == 1
    assert fidelity.input_fidelity(kept({0.5: 0.9})) == 0


def test_selectivity_by_hand() -> None:
    """Own kept everywhere; of two wrong labels one is reached at the largest share: 1 − ½ there."""
    own, wrong = kept({0.01: 1, 0.1: 1, 1.0: 1}), [kept({0.01: 0, 0.1: 0, 1.0: w}) for w in (0, 1)]
    assert [selectivity.selectivity_at(own, wrong, r) for r in (0.01, 0.1, 1.0)] == [1, 1, 0.5]
    assert selectivity.selectivity(own, wrong, (0.01, 0.1, 1.0)) == pytest.approx((1 + 0.75) / 2)
    nothing = kept(dict.fromkeys(SMALL_FRACTIONS, 0.0))
    everything = kept(dict.fromkeys(SMALL_FRACTIONS, 1.0))
    assert selectivity.selectivity(everything, [nothing]) == pytest.approx(1)
    assert selectivity.selectivity(nothing, [everything]) == pytest.approx(-1)
    assert selectivity.selectivity(everything, [everything]) == 0


def test_mu_fidelity_is_spearman() -> None:
    numbers = np.random.default_rng(0)
    for scale in (0.0, 0.5, 3.0):
        scores = numbers.normal(size=64).round(1)  # with ties
        drops = scale * scores + numbers.normal(size=64).round(1)
        assert robustness.mu_fidelity(scores, drops) == pytest.approx(stats.spearmanr(scores, drops).statistic)
    assert robustness.mu_fidelity([1, 2, 3], [2, 4, 9]) == pytest.approx(1)
    assert robustness.mu_fidelity([1, 2, 3], [9, 4, 2]) == pytest.approx(-1)
    for undefined in (([1, 1], [1, 2]), ([1, 2], [3, 3]), ([1], [1]), ([], [])):
        assert math.isnan(robustness.mu_fidelity(*undefined))
    with pytest.raises(InputError):
        robustness.mu_fidelity([1, 2], [1])


def test_infidelity_by_hand() -> None:
    assert robustness.infidelity([1, 2], [1, 4], scaled=False) == pytest.approx((0 + 4) / 2)
    # β = (1·1 + 2·4) / (1 + 4) = 1.8
    assert robustness.infidelity([1, 2], [1, 4]) == pytest.approx((0.8**2 + 0.4**2) / 2)
    assert robustness.infidelity([2, 4], [1, 2]) == pytest.approx(0)
    assert robustness.infidelity([0, 0], [3, 1]) == 5
    assert math.isnan(robustness.infidelity([], []))


def test_sensitivity_max_by_hand() -> None:
    assert robustness.sensitivity_max([0.1, 0.5, 0.2]) == 0.5
    assert math.isnan(robustness.sensitivity_max([]))
    assert math.isnan(robustness.sensitivity_max([0.1, math.nan]))


def test_concentration_is_the_kurtosis_of_counts() -> None:
    numbers = np.random.default_rng(1)
    tops = [numbers.choice(50, 10, replace=False) for _ in range(8)]
    counts = np.bincount(np.concatenate(tops), minlength=50)
    assert structure.concentration(tops, 50) == pytest.approx(stats.kurtosis(counts, fisher=False))
    # All examples agree on a quarter of the features: counts of n and 0, so 1/(p(1−p)) − 3 with p = ¼.
    assert structure.concentration([[0, 1]] * 5, 8) == pytest.approx(1 / (0.25 * 0.75) - 3)
    assert math.isnan(structure.concentration([[0], [1]], 2))


def test_concentration_by_chance() -> None:
    numbers, features, examples = np.random.default_rng(2), 20000, 12
    tops = [numbers.choice(features, features // 10, replace=False) for _ in range(examples)]
    assert structure.concentration(tops, features) == pytest.approx(structure.chance_concentration(12, 0.1), rel=0.02)
    assert structure.chance_concentration(12, 0.1) == pytest.approx(stats.binom(12, 0.1).stats("k") + 3)


def test_concentration_is_of_classes_with_several_examples() -> None:
    table = {"features": [8] * 3, "label": ["a", "b", "a"], "top": [[0, 1], [3, 4], [0, 2]]}
    found = structure._concentration_from_table(table)
    assert found["concentration"] == [structure.concentration([[0, 1], [0, 2]], 8)]
    assert found["concentration_by_chance"] == [structure.chance_concentration(2, 2 / 8)]


def test_specificity_by_hand() -> None:
    """Usual for a: 0, 1; for b: 1, 2, 3. One of a's two and two of b's three are nobody else's."""
    tops = {"a": [[0, 1], [1, 0]], "b": [[1, 2, 3], [2, 3, 1]]}
    assert structure.specificity(tops, 8) == {"a": (0.5, 1), "b": (pytest.approx(2 / 3), 2)}
    everything = structure.specificity({"a": [[0, 1]], "b": [[0, 1]]}, 2)
    assert math.isnan(everything["a"][0])
    with pytest.raises(InputError, match="two"):
        structure.specificity({"a": [[0]]}, 3)
    for wrong in ([[3]], [[-1]], [[0, 0]]):
        with pytest.raises(InputError):
            structure.concentration(wrong, 3)


def test_curves_know_an_end_by_both_names() -> None:
    one = Curve((CurvePoint("keep", 0, 0, 0.0, 0.25, 0.0),), 0.5)
    assert one.confidences("delete", [0, 1]) == [0.5, 0.25]
    assert one.decisions("delete", [1]) == [0.0]
    assert one.confidences("keep", [1.0, 0]) == [0.5, 0.25]
    with pytest.raises(InputError):
        one.decisions("keep", [1.0])  # a decision of the whole is not always kept: the target may be another


@pytest.mark.parametrize(
    ("clean", "kept_alone", "drop", "increase", "gain"),
    [(0.8, 0.6, 0.25, 0.0, 0.0), (0.8, 0.9, 0.0, 1.0, 0.5), (0.5, 0.5, 0.0, 0.0, 0.0), (1.0, 0.4, 0.6, 0.0, math.nan)],
)
def test_drop_increase_and_gain_by_hand(clean, kept_alone, drop, increase, gain) -> None:
    one = curve({0.5: kept_alone}, clean=clean)
    numbers = [f(one) for f in (confidence_gain.average_drop, confidence_gain.average_increase)]
    assert numbers == pytest.approx([drop, increase])
    assert confidence_gain.average_gain(one) == pytest.approx(gain, nan_ok=True)


def test_the_drop_is_of_probabilities_and_of_no_softmax_of_them() -> None:
    """Released code of L-MAC takes a softmax of probabilities first: a drop from 0.9 to 0.1 of two is then 0.35."""
    whole, part = (torch.tensor([p, 1 - p]).softmax(0)[0].item() for p in (0.9, 0.1))
    assert (whole - part) / whole == pytest.approx(0.55, abs=0.01)
    assert confidence_gain.average_drop(curve({0.5: 0.1}, clean=0.9)) == pytest.approx(8 / 9)


def test_sparseness_and_complexity_by_hand() -> None:
    assert content.sparseness([1, -1, 1, 1]) == pytest.approx(0)
    assert content.sparseness([0, 0, 0, -2]) == pytest.approx(0.75)  # 1 − 1/n at most
    pairs = np.abs(np.subtract.outer([1.0, 2, 5], [1.0, 2, 5]))
    assert content.sparseness([-2, 1, 5]) == pytest.approx(pairs.mean() / (2 * 8 / 3))  # half the relative difference
    assert content.complexity([3, -3, 0, 3]) == pytest.approx(math.log(3))
    assert content.complexity([0, 5]) == 0
    assert math.isnan(content.sparseness([0, 0]))
    assert math.isnan(content.complexity([0, 0]))
    assert math.isnan(content.complexity([1, math.nan, 2]))


def test_conciseness_by_hand() -> None:
    table = {
        "kept": [[0.04, 0.5]] * 2, "kept_confidence": [[0.4, 0.8]] * 2, "clean": [0.8, 0.01],
        "kept_l1": [[0.25, 0.5]] * 2, "kept_signal_l1": [[0.5, 0.5]] * 2,
    }  # fmt: skip
    numbers = content.CONCISENESS.per_example(table)
    assert numbers["conciseness"] == pytest.approx([2, 32])  # 0.01 counts as 0.05
    assert numbers["conciseness_in_signal"] == pytest.approx([1, 16])
    assert content.CONCISENESS.per_example(table, fraction=0.5)["conciseness"] == pytest.approx([2, 32])


def test_the_content_of_kept_parts() -> None:
    x = torch.randn(1, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    (one,) = attribute(lambda v: v.flatten(1)[:, :3], x, method="magnitude")
    one.curve = curve({0.0: 0, 0.25: 0.5, 1.0: 1})
    table = columns([one], content=True)
    count = int(one.layout.multiplicity[one.mask(0.25)].sum())
    full = np.abs(np.fft.fft2(x[0, 0].numpy())).ravel()
    assert table["kept_l1"][0] == pytest.approx([0, np.sort(full)[::-1][:count].sum() / full.sum(), 1], rel=1e-4)
    expected = [float(one.keep_top(r).abs().sum() / x.abs().sum()) for r in (0, 0.25, 1)]
    assert table["kept_signal_l1"][0] == pytest.approx(expected, rel=1e-4)
    assert table["scores"] == [one.scores.tolist()]
    (one,) = attribute(lambda v: v.flatten(1)[:, :3], x, method="magnitude", domain="fourier:bands=3")
    one.curve = curve({0.0: 0, 0.4: 0.5, 1.0: 1})
    kept = one.basis.expand_to_bins(one.mask(0.4).float().unsqueeze(0)) * one.coefficients.abs()
    share = float(one.basis._pool(kept).sum() / one.basis._pool(one.coefficients.abs().unsqueeze(0)).sum())
    assert columns([one], content=True)["kept_l1"][0][1] == pytest.approx(share, rel=1e-4)
    one.curve = replace(one.curve, replacement="noise")
    assert not {"kept_l1", "kept_signal_l1"} & set(columns([one], content=True))
    size = len(one.scores)
    assert columns([one], truth=[[0] * (size - 1) + [1]])["truth"] == [[size - 1]]
    for mask in ([True] * (size - 1), list(range(size)), [[True] * size]):
        with pytest.raises(InputError, match="correct `truth`"):
            columns([one], truth=[mask])


def test_hallucinated_edges() -> None:
    picture = np.zeros((3, 12, 12))
    picture[:, :, 6:] = 1.0
    assert content.hallucination(picture, picture) == 0
    assert content.hallucination(picture, 0 * picture) == 0
    bar = picture.copy()
    bar[:, 2, :3] = 1.0
    edges = content.hallucination(picture, bar) * 24  # the step is two columns of edges
    assert edges == 3 * 3 + 1  # three pixels' rows above, at and below, and the end of the bar
    with pytest.raises(InputError, match="shapes"):
        content.hallucination(picture, picture[0])


def test_localisation_by_hand() -> None:
    scores = [0.5, -9, 3, 1, 3]
    assert [localisation.pointing_game(scores, true) for true in ([2, 4], [2], [0, 1])] == [1, 0.5, 0]
    assert [localisation.relevance_mass(scores, true) for true in ([2, 4], [3], [1])] == [0.8, 1 / 7.5, 0]
    assert [localisation.relevance_rank(scores, true) for true in ([2, 4], [2], [0, 1, 2], [0])] == [1, 0.5, 1 / 3, 0]
    assert all(math.isnan(f([1, 2], [])) for f in (localisation.pointing_game, localisation.relevance_rank))
    assert math.isnan(localisation.relevance_mass([-1, 0], [0]))
    with pytest.raises(InputError, match="0 to 1"):
        localisation.pointing_game([1, 2], [2])


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (insertion_deletion.insertion, {"fractions": (0.2, 0.4)}),
        (insertion_deletion.deletion, {"fractions": (0.2, 0.4)}),
        (confidence_gain.average_drop, {"fraction": 0.2}),
        (confidence_gain.average_gain, {"fraction": 0.2}),
        (fidelity.faithfulness_of_spectra, {"fraction": 0.2}),
        (dice_retention.dice_retention, {"paper": True}),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_an_option_of_a_metric_of_curves_reaches_it(function: Callable, options: dict) -> None:
    table, name = drawn_table(), function.__name__
    found = METRICS[name].per_example(table, **options)[name]
    assert found == [function(one, **options) for one in curves_of(table)]
    assert found != METRICS[name].per_example(table)[name]


def test_an_option_of_a_metric_of_columns_reaches_it() -> None:
    table = {"noise_predicted": [[1.0, 2.0]], "noise_drops": [[1.0, 4.0]]}
    assert METRICS["infidelity"].per_example(table, scaled=False) == {"infidelity": [2]}
    assert METRICS["infidelity"].per_example(table)["infidelity"] != [2]


def test_all_features_keep_the_whole_content() -> None:
    result = attribute(Linear(2, 8).eval(), noise(1, 8), domain="fourier", method="saliency")[0]
    shares, sizes = _kept_content(result, (1.0, 0.25))
    assert shares[0] == pytest.approx(1)
    assert sizes[0] == pytest.approx(1)
    assert 0 < shares[1] < 1
