"""Bands as games of `shapiq`: our Shapley values against its own, pairs with known interactions, and without it."""

import sys

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.errors import InputError, MissingExtraError, SpecError
from hf_fourier.evaluation.studies.interactions import band_game, interactions, subset_values
from tests.models.kinds import KINDS
from tests.toy_scores import Curved, noise, value


@pytest.fixture(scope="module")
def explainer() -> FourierExplainer:
    return KINDS["pictures"].make()


@pytest.fixture(scope="module")
def result(explainer):
    pixels = KINDS["pictures"].example()
    return explainer.explain(pixels, method="shapley")[0]


@pytest.mark.parametrize("seed", range(10))
def test_shapley_values_are_those_of_shapiq(seed):
    shapiq = pytest.importorskip("shapiq")
    players = 3 + seed % 6
    forward, x = Curved(players), noise(1, players, seed=seed) * 2

    def game(coalitions):
        with torch.no_grad():
            return forward(torch.from_numpy(np.asarray(coalitions, dtype=bool)) * x)[:, 0].numpy()

    expected = shapiq.ExactComputer(game, players)("SV", 1)
    (one,) = attribute(forward, x, target=value, method="shapley", domain="identity")
    got = [expected[(k,)] for k in range(players)]
    np.testing.assert_allclose(one.scores.numpy(), got, rtol=1e-9, atol=1e-9)


def test_the_values_of_subsets_are_those_of_the_method(explainer, result):
    bands = len(result.layout)
    alone = subset_values(explainer, result, torch.eye(bands, dtype=torch.bool))
    whole, nothing = subset_values(explainer, result, torch.tensor([[True], [False]]).expand(2, bands))
    assert float(whole) == pytest.approx(result.value, rel=1e-5)
    torch.testing.assert_close((alone - nothing).float(), result.extras["alone"], rtol=1e-3, atol=1e-5)
    assert float(result.scores.sum()) == pytest.approx(float(whole - nothing), abs=1e-5)


@pytest.mark.parametrize("replacement", ["noise", "reference", "example"])
def test_other_replacements_are_those_of_the_method(explainer, replacement):
    pixels = KINDS["pictures"].example()
    explainer.donors = {"pixel_values": pixels["pixel_values"].flip(-1)}
    one = explainer.explain(pixels, method=f"occlusion:mode=alone,replacement={replacement},draws=2")[1]
    assert ("donors" in one.provenance) == (replacement == "example")
    bands = len(one.layout)
    masks = torch.cat([torch.eye(bands, dtype=torch.bool), torch.zeros(1, bands, dtype=torch.bool)])
    values = subset_values(explainer, one, masks, replacement, 2)
    explainer.donors = None
    torch.testing.assert_close((values[:-1] - values[-1]).float(), one.scores, rtol=1e-3, atol=1e-5)


def test_a_game_of_bands_has_their_names_and_values(explainer, result):
    shapiq = pytest.importorskip("shapiq")
    game = band_game(explainer, result)
    bands = len(result.layout)
    assert game.n_players == bands
    assert list(game.player_name_lookup) == [result.layout.label(k) for k in range(bands)]
    values = shapiq.ExactComputer(game)("SV", 1)
    got = [values[(k,)] for k in range(bands)]
    np.testing.assert_allclose(got, result.scores.numpy(), rtol=1e-3, atol=1e-5)


def test_interactions_divide_the_difference_among_bands_and_pairs(explainer, result):
    pytest.importorskip("shapiq")
    found = interactions(explainer, result)
    bands = len(result.layout)
    assert found.max_order == 2
    numbers = {group: found[group] for group in found.interaction_lookup if group}
    assert {len(group) for group in numbers} == {1, 2}
    assert sum(numbers.values()) == pytest.approx(float(result.scores.sum()), abs=1e-5)
    shared = [
        numbers[(k,)] + sum(number for group, number in numbers.items() if len(group) == 2 and k in group) / 2
        for k in range(bands)
    ]
    np.testing.assert_allclose(shared, result.scores.numpy(), rtol=1e-3, atol=1e-5)


def test_a_pair_that_needs_each_other_interacts(explainer, result, monkeypatch):
    """The score of a subset is 6 where bands 0 and 2 are both there, plus 1 for band 1."""
    pytest.importorskip("shapiq")
    module = sys.modules["hf_fourier.evaluation.studies.interactions"]

    def known(explainer, attribution, masks, replacement, draws):
        return 6.0 * (masks[:, 0] & masks[:, 2]).double() + masks[:, 1].double() + 3

    monkeypatch.setattr(module, "subset_values", known)
    found = interactions(explainer, result)
    expected = {(1,): 1.0, (0, 2): 6.0}
    for group in found.interaction_lookup:
        if group:
            assert found[group] == pytest.approx(expected.get(group, 0), abs=1e-9), group


def test_without_shapiq_the_error_names_the_extra(explainer, result, monkeypatch):
    monkeypatch.setitem(sys.modules, "shapiq", None)
    with pytest.raises(MissingExtraError, match=r"hf_fourier\[interactions\]"):
        band_game(explainer, result)


def test_many_features_are_refused(explainer):
    one = explainer.explain(KINDS["pictures"].example(), method="magnitude", domain="fourier")[0]
    with pytest.raises(SpecError, match="band_game"):
        interactions(explainer, one)


def test_masks_that_do_not_fit(explainer, result):
    with pytest.raises(InputError, match="one mask per row"):
        subset_values(explainer, result, torch.ones(2, 3, dtype=torch.bool))
