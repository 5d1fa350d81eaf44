"""Occlusion, Shapley values and random masks against closed forms: sums, products, silent features, sampling errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError, SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.random_masks import RATES, ROUND, STRATA, drawn_masks, least_squares, stratum_of
from hf_fourier.methods.shapley import EXACT, all_subsets, permutation_pairs, shapley_matrix
from hf_fourier.scoring.heads import Categorical
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import Guard, Smooth, noise, score_of, signal, value

K = 6
EVERY = ["occlusion", "occlusion:mode=alone", "shapley", "shapley:permutations=4", "random_masks:masks=128"]
every = pytest.mark.parametrize("method", EVERY)


def explained(forward, x, method, seed=0, batch_size="auto"):
    """Results over the entries of `x` themselves, of the number that `forward` returns for each row."""
    return attribute(forward, x, target=value, method=method, domain="identity", seed=seed, batch_size=batch_size)


def game_of(forward, x):
    """The value of every subset of one example's entries, in the order of `all_subsets`."""
    with torch.no_grad():
        return forward(all_subsets(x.numel()).to(x) * x)[:, 0].double().numpy()


def by_definition(values, features):
    """Shapley values as the mean over all orders, one by one."""
    total, orders = np.zeros(features), list(itertools.permutations(range(features)))
    for order in orders:
        before = 0
        for k in order:
            total[k] += values[before | 1 << k] - values[before]
            before |= 1 << k
    return total / len(orders)


def test_the_standard_error_of_shapley_values_falls_with_the_root_of_their_number():
    x = noise(1, K, seed=3)
    few, many = (
        explained(lambda v: torch.tanh(v.cumsum(1)).sum(1, keepdim=True) ** 2, x, f"shapley:permutations={count}")[0]
        for count in (32, 512)
    )
    ratio = float(few.extras["standard_error"].mean() / many.extras["standard_error"].mean())
    assert 2.5 < ratio < 6, "4 for 16 times as many"


@every
def test_the_weights_of_a_sum_are_recovered(method):
    weight, x = noise(K), noise(3, K, seed=1)
    for one, row in zip(explained(lambda v: v @ weight[:, None] + 2, x, method), x, strict=True):
        torch.testing.assert_close(one.scores, weight * row, rtol=1e-9, atol=1e-9)
        assert one.gradient is None
        for name in ("standard_error", "alone", "deleted"):
            if name in one.extras:
                expected = torch.zeros(K).double() if name == "standard_error" else weight * row
                torch.testing.assert_close(one.extras[name], expected, rtol=1e-9, atol=1e-9)
        if "r_squared" in one.extras:
            assert one.extras["r_squared"] == pytest.approx(1)


@pytest.mark.parametrize("method", ["shapley", "shapley:permutations=4"])
def test_a_product_is_split_evenly(method):
    (one,) = explained(lambda v: (v[:, :1] * v[:, 1:2]) + v[:, 2:3], torch.tensor([[3.0, 5, 7, 1]]), method)
    torch.testing.assert_close(one.scores, torch.tensor([7.5, 7.5, 7, 0]))


def test_occlusion_tells_a_feature_that_needs_another_from_one_that_others_replace():
    x = torch.ones(1, 3)
    (needs,) = explained(lambda v: v[:, :1] * v[:, 1:2], x, "occlusion:mode=both")
    assert needs.extras["alone"].tolist() == [0, 0, 0]
    assert needs.extras["deleted"].tolist() == [1, 1, 0]
    (redundant,) = explained(lambda v: v[:, :2].amax(1, keepdim=True), x, "occlusion:mode=both")
    assert redundant.extras["alone"].tolist() == [1, 1, 0]
    assert redundant.extras["deleted"].tolist() == [0, 0, 0]
    assert torch.equal(redundant.scores, redundant.extras["deleted"])


@every
def test_a_silent_feature_is_zero(method):
    """The model does not read the last entry; the others work together."""
    x = noise(2, K, seed=3)
    for one in explained(lambda v: v[:, : K - 1].tanh().prod(1, keepdim=True) * 30, x, method):
        error = one.extras["standard_error"][-1] if method.startswith("random_masks") else 0
        assert abs(float(one.scores[-1])) <= 4 * float(error) + 1e-12


@pytest.mark.parametrize("features", [1, 2, 5])
def test_exact_shapley_values_are_the_mean_over_all_orders(features):
    forward, x = Smooth(1, features).eval(), noise(2, features, seed=2)
    for one, row in zip(explained(forward, x, "shapley"), x, strict=True):
        values = game_of(forward, row)
        np.testing.assert_allclose(one.scores.numpy(), by_definition(values, features), rtol=1e-9, atol=1e-12)
        assert one.extras["permutations"] == 0
        assert one.scores.sum().item() == pytest.approx(values[-1] - values[0], abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["shapley", "shapley:permutations=6", "shapley:replacement=noise"])
@pytest.mark.parametrize("features", [1, 4, 10, 13])
def test_shapley_values_sum_to_the_difference(method, features, dtype):
    """With as many features as make it sample by itself, too."""
    forward, x = Smooth(3, features, dtype=dtype).eval(), noise(2, features, dtype=dtype)
    for one in attribute(forward, x, method=method, domain="identity"):
        assert abs(one.completeness_error) < 1e-5
        assert (one.extras["permutations"] == 0) == (features <= 10 and "permutations" not in method)
        if "replacement" not in method:
            with torch.no_grad():
                empty = forward(torch.zeros(1, features, dtype=dtype)).log_softmax(-1)[0, one.target]
            assert float(one.scores.sum()) == pytest.approx(one.value - float(empty), abs=1e-5)


def test_the_matrix_of_shapley_values():
    matrix = shapley_matrix(4)
    torch.testing.assert_close(matrix.sum(1), torch.zeros(4).double())  # a constant is nobody's
    torch.testing.assert_close(matrix @ all_subsets(4).double(), torch.eye(4).double())
    assert all_subsets(3).tolist()[:2] == [[False] * 3, [True, False, False]]


def test_permutations_come_with_their_reverse_from_the_example():
    orders = permutation_pairs(ExampleRng(0, [4, 5]), 2, 6, 7)
    assert torch.equal(orders[:, ::2].flip(-1), orders[:, 1::2])
    assert torch.equal(orders.sort(-1).values, torch.arange(7).expand(2, 6, 7))
    assert torch.equal(permutation_pairs(ExampleRng(0, [5]), 1, 6, 7)[0], orders[1])
    assert not torch.equal(orders[0], orders[1])


def coverage(method, expected, forward, x, seeds=200):
    """Whether the truth lies in the interval of 95 %, by seed and feature; the scores and their errors."""
    results = [explained(forward, x, method, seed=seed)[0] for seed in range(seeds)]
    scores = torch.stack([one.scores for one in results]).numpy()
    errors = torch.stack([one.extras["standard_error"] for one in results]).numpy()
    return (np.abs(scores - expected) <= errors * 1.96 + 1e-12), scores, errors


def test_sampled_shapley_values_lie_within_their_errors():
    forward, x = Smooth(1, K).eval(), 2 * noise(1, K, seed=5)
    expected = by_definition(game_of(forward, x[0]), K)
    inside, scores, errors = coverage("shapley:permutations=60", expected, forward, x)
    assert 0.9 < inside.mean() < 0.98
    spread = scores.std(0)
    np.testing.assert_allclose(np.sqrt((errors**2).mean(0)), spread, rtol=0.2, atol=1e-12)
    np.testing.assert_array_less(np.abs(scores.mean(0) - expected), 4 * spread / math.sqrt(200) + 1e-12)  # unbiased


def test_random_masks_lie_within_their_errors():
    """The truth is the same fit to all subsets, each as often as the masks have it."""
    forward, x = Smooth(1, K).eval(), 2 * noise(1, K, seed=5)
    inside, scores, errors = coverage("random_masks:masks=128", expected_fit(game_of(forward, x[0])), forward, x)
    assert 0.9 < inside.mean() < 0.98
    np.testing.assert_allclose(np.sqrt((errors**2).mean(0)), scores.std(0), rtol=0.2)


def expected_fit(values):
    """Weighted least squares over all subsets and kept fractions, in numpy."""
    inside = all_subsets(K).numpy().astype(float)
    rows, answers, weights = [], [], []
    for rate in (*RATES, *(1 - np.array(RATES))):
        for mask, answer in zip(inside, values, strict=True):
            stratum = [float(abs(rate - other) < 1e-9) for other in STRATA]
            rows.append([*stratum, *mask])
            answers.append(answer)
            weights.append(np.prod(np.where(mask > 0, rate, 1 - rate)))
    root = np.sqrt(weights)
    return np.linalg.lstsq(np.array(rows) * root[:, None], np.array(answers) * root, rcond=None)[0][len(STRATA) :]


def test_least_squares_is_the_fit_with_an_intercept_for_each_fraction():
    masks, strata = drawn_masks(ExampleRng(0, [1]), 0, 0, 96, 5), stratum_of(96)
    values = noise(96)
    design = torch.cat([torch.nn.functional.one_hot(strata, 5).double(), masks.double()], 1).numpy()
    expected, *_ = np.linalg.lstsq(design, values.numpy(), rcond=None)
    scores, errors, explained_part = least_squares(masks, values, strata)
    np.testing.assert_allclose(scores, expected[5:], atol=1e-12)
    residuals = values.numpy() - design @ expected
    meat = sum(np.outer(g, g) for g in (design * residuals[:, None]).reshape(48, 2, -1).sum(1))
    bread = np.linalg.inv(design.T @ design)
    covariance = bread @ meat @ bread * 48 / 47 * 95 / 86
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance))[5:], rtol=1e-9)
    assert 0 < explained_part < 1


def test_masks_keep_their_fractions_and_come_with_complements():
    masks, strata = drawn_masks(ExampleRng(0, [1]), 0, 3, ROUND, 2000), stratum_of(2 * ROUND)
    assert torch.equal(masks[::2], ~masks[1::2])
    kept = torch.tensor(STRATA)[strata[:ROUND]]
    torch.testing.assert_close(masks.float().mean(1), kept, atol=0.05, rtol=0)
    assert torch.equal(strata[:ROUND], strata[ROUND:])


def test_random_masks_stop_where_the_halves_agree():
    weight = torch.zeros(16).double()
    weight[:4] = torch.tensor([4.0, 3, 2, 1])
    (clear,) = explained(lambda v: v @ weight[:, None], torch.ones(1, 16).double(), "random_masks")
    assert clear.extras["masks"] == ROUND
    assert clear.extras["dice"] == 1
    guard = Guard(lambda v: (1e4 * v.sum(1, keepdim=True)).sin())
    (unclear,) = explained(guard, noise(1, 16), "random_masks:masks=300")
    assert unclear.extras["masks"] == 300
    assert guard.forward_rows <= 301
    assert unclear.extras["r_squared"] < 0.5


def test_random_masks_run_no_subset_twice():
    guard = Guard(lambda v: (1e4 * v.sum(1, keepdim=True)).sin())
    x = noise(2, 5)
    results = explained(guard, x, "random_masks:masks=600")
    beside = sum(one.provenance.get("checks", {"forward": 0})["forward"] for one in results)
    assert max(one.extras["masks"] for one in results) > 2**5
    assert guard.forward_rows - beside <= 2 * 2**5
    for one, row in zip(results, x, strict=True):
        rounds = math.ceil(one.extras["masks"] / ROUND)
        rng = ExampleRng(0, [one.key])
        masks = torch.cat([drawn_masks(rng, 0, i, min(ROUND, 600 - i * ROUND), 5) for i in range(rounds)])
        asked = guard.inner(masks * row)[:, 0]
        torch.testing.assert_close(
            one.scores, least_squares(masks, asked, stratum_of(len(masks)))[0], rtol=1e-6, atol=1e-6
        )


def test_one_example_s_masks_do_not_hang_on_another_s():
    """One example is done after the first round, the other is not."""
    x = torch.stack([torch.tensor([1.0, 2, 3, 4] + [0] * 12), noise(16, dtype=torch.float32)])

    def forward(v):
        return torch.where(v[:, :4] == v[:, :4].round(), v[:, :4], (3000 * v.sum(1, keepdim=True)).sin()).sum(
            1, keepdim=True
        )

    together = explained(forward, x, "random_masks:masks=400")
    assert [one.extras["masks"] for one in together] == [ROUND, 400]
    for i, one in enumerate(together):
        (alone,) = explained(forward, x[i : i + 1], "random_masks:masks=400")
        torch.testing.assert_close(alone.scores, one.scores, rtol=1e-5, atol=1e-6)
        assert one.provenance["passes"]["forward"] <= 401


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        ("occlusion", 1 + K),
        ("occlusion:mode=alone", 2 + K),
        ("occlusion:mode=both", 2 + 2 * K),
        ("shapley", 2**K),
        ("occlusion:replacement=noise,draws=3", 1 + 3 * K),
        ("occlusion:replacement=reference", 1 + K),
    ],
)
def test_what_it_costs(method, rows):
    guard = Guard(Smooth(1, K).eval())
    (one,) = explained(guard, noise(1, K), method)
    beside = one.provenance.get("checks", {"forward": 0})["forward"]
    assert guard.forward_rows - beside == rows == one.provenance["passes"]["forward"]
    assert guard.backward_rows == one.provenance["passes"]["backward"] == 0


@every
@pytest.mark.parametrize("replacement", ["noise", "phase"])
def test_batches_and_their_size_change_nothing(method, replacement):
    method += f"{',' if ':' in method else ':'}replacement={replacement},draws=2"
    forward, x = Smooth(3, 9).eval(), noise(4, 9)
    together = attribute(forward, x, method=method, domain="fourier")
    for size in (1, 3):
        for a, b in zip(attribute(forward, x, method=method, domain="fourier", batch_size=size), together, strict=True):
            torch.testing.assert_close(a.scores, b.scores, rtol=1e-9, atol=1e-9)
    other = attribute(forward, x, method=method, domain="fourier", seed=1)
    assert not torch.allclose(other[0].scores, together[0].scores)
    assert "seeded" in METHODS.parse(method).properties


@every
def test_a_callable_without_a_graph(method):
    """Outputs that remember nothing of the input, as those of an exported or a remote model."""
    forward, x = Smooth(3, 5).eval(), noise(3, 5, dtype=torch.float64)

    def detached(v):
        return torch.from_numpy(forward(v).detach().numpy().copy())

    for a, b in zip(
        attribute(detached, x, method=method, domain="fourier"),
        attribute(forward, x, method=method, domain="fourier"),
        strict=True,
    ):
        torch.testing.assert_close(a.scores, b.scores)


@every
def test_a_quantised_model(method):
    torch.manual_seed(0)
    whole = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).eval()
    packed = torch.ao.quantization.quantize_dynamic(whole, {torch.nn.Linear}, dtype=torch.qint8)
    x = noise(2, 5, dtype=torch.float32)
    for a, b in zip(
        attribute(packed, x, target=0, method=method, domain="fourier"),
        attribute(whole, x, target=0, method=method, domain="fourier"),
        strict=True,
    ):
        assert float((a.scores - b.scores).abs().max()) < 0.1 * float(b.scores.abs().max())


@pytest.mark.parametrize(
    ("method", "features", "says"),
    [
        ("occlusion", 10_001, "10001 model rows"),
        ("occlusion:replacement=noise", 2600, "10400 model rows"),
        ("shapley", 400, "12770 model rows"),
        ("shapley:permutations=200", 60, "fewer permutations"),
        ("random_masks", 300, "1220 masks"),
        ("random_masks:masks=20000", 300, "fewer masks"),
    ],
)
def test_too_many_features_are_refused_before_any_pass(method, features, says):
    guard = Guard(lambda v: v[:, :2])
    with pytest.raises(SpecError, match=says) as caught:
        attribute(guard, noise(1, features, dtype=torch.float32), method=method, domain="identity")
    assert "fourier:bands=octave" in caught.value.hint
    assert guard.forward_rows == 0


def test_another_example_needs_donors():
    with pytest.raises(InputError, match=r"explainer\.donors"):
        attribute(lambda v: v[:, :2], noise(1, 4), method="occlusion:replacement=example", domain="identity")


def test_donors_of_a_score_stand_in_for_what_is_deleted():
    x, other = noise(2, 4), noise(2, 4, seed=8)
    basis, weight = DOMAINS.parse("identity").bind(signal(4)), noise(4, 2, seed=3)
    score = score_of(lambda v: v @ weight, x, Categorical())
    score.donors = lambda draws: other.unsqueeze(1).expand(-1, draws, -1)
    ranking = METHODS.parse("shapley:replacement=example").attribute(score, x, basis, ExampleRng(0, [1, 2]))
    difference = score.clean_reading().value - score.value(other, torch.tensor([0, 1])).value
    torch.testing.assert_close(ranking.scores.sum(1), difference)


@pytest.mark.parametrize(
    "spec",
    [
        "occlusion:mode=all",
        "occlusion:replacement=nothing",
        "occlusion:draws=0",
        "shapley:permutations=3",
        "shapley:permutations=5",
        "shapley:draws=.5",
        "random_masks:masks=0",
        "random_masks:masks=101",
    ],
)
def test_parameters_that_are_none(spec):
    with pytest.raises(SpecError):
        METHODS.parse(spec)


def test_attribute_takes_donors():
    model, x, others = Smooth(3, 6).eval(), noise(2, 6), noise(1, 6, seed=3)
    results = attribute(model, x, method="occlusion:replacement=example", domain="fourier", donors=others)
    basis = results[0].basis
    for row, result in zip(x, results, strict=True):
        assert result.provenance["donors"]["examples"] == 1
        deleted = torch.eye(len(basis), dtype=torch.bool)
        mixed = basis.keep_features(basis.forward(row[None]).expand(len(basis), -1), ~deleted)
        mixed = mixed + basis.keep_features(basis.forward(others).expand(len(basis), -1), deleted)
        logits = model(torch.cat([row[None], mixed])).detach().log_softmax(-1)[:, int(result.target)]
        torch.testing.assert_close(result.scores, logits[0] - logits[1:], rtol=1e-5, atol=1e-7)
    results.perturb([0.0, 0.4], replacement="example")  # the same donors along curves
    nothing = model(others).detach().log_softmax(-1)[0, int(results[0].target)]
    assert results[0].curve.at("keep", 0).value == pytest.approx(float(nothing))
    (first, _) = attribute(model, x, method="occlusion:replacement=example", domain="fourier", donors=x.float())
    assert not torch.allclose(first.scores, results[0].scores)
    with pytest.raises(InputError, match="`donors`"):
        attribute(model, x[:1], method="occlusion:replacement=example", domain="fourier", donors=x[:1])
    for wrong in (torch.full((1, 6), torch.nan), torch.zeros(6), torch.zeros(0, 6)):
        with pytest.raises(InputError):
            attribute(model, x, donors=wrong)
    with pytest.raises(TypeError):
        attribute(model, x, donor=x)


def test_shapley_draws_where_features_are_many():
    exact, sampled = METHODS.parse("shapley"), METHODS.parse("shapley:permutations=4")
    assert exact.properties_for(EXACT) == exact.properties == ("complete",)
    assert exact.properties_for(EXACT + 1) == sampled.properties_for(2) == ("complete", "seeded")
    model = Smooth(3, 24).eval()
    for features, seeded in ((EXACT, False), (EXACT + 1, True)):
        domain = f"fourier:bands={features - 1}"  # and the mean
        a, b = (attribute(model, noise(1, 24), method="shapley", domain=domain, seed=s)[0] for s in (0, 1))
        assert len(a.scores) == features
        assert torch.equal(a.scores, b.scores) != seeded


@pytest.mark.parametrize("noise", [0.0, -1.0, math.inf, (0.5, 0.0), (1.0, math.inf)])
def test_levels_of_noise_are_finite_and_above_0(noise):
    with pytest.raises(SpecError, match="fractions of the signal's norm above 0"):
        METHODS["filters"](noise=noise)
