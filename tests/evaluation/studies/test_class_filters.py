"""What a class has in common, and what clients may tell each other."""

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.class_filters import class_filter, concept, contributions, federated_profile
from tests.toy_scores import Linear, noise

MODEL = Linear(3, 24)


def explained(rows=12, target=1, seed=0, length=24, method="freqx"):
    return attribute(MODEL if length == 24 else Linear(3, length), noise(rows, length, seed=seed), target, method)


def test_the_class_filter_of_a_linear_model_is_its_own():
    """Of two classes the gradient of log p is the difference of their weights, whatever the example."""
    model = Linear(2, 24)
    results = attribute(model, noise(5, 24), 1, "freqx")
    weight = (model.weight[1] - model.weight[0]).detach()
    torch.testing.assert_close(class_filter(results), weight / weight.norm())
    whole, part = class_filter(results), class_filter(results, 0.2)
    mask = concept(results, 0.2)
    basis = results[0].basis
    torch.testing.assert_close(
        basis.forward(part[None])[0], basis.scale_features(basis.forward(whole[None]), mask.double()[None])[0]
    )


def test_a_concept_is_the_top_of_the_mean_ranking():
    results = explained(4)
    mean = sum(one.scores / one.scores.norm() for one in results)
    mask = concept(results, 0.3)
    assert mean[mask].min() > mean[~mask].max()
    multiplicity = results[0].layout.multiplicity
    assert 0 < multiplicity[mask].sum() <= round(0.3 * 24)


def test_results_that_do_not_belong_together():
    with pytest.raises(InputError, match="one class"):
        class_filter([*explained(2), *explained(2, target=0)])
    with pytest.raises(InputError, match="different domains or input shapes"):
        concept([*explained(2), *explained(2, length=23)])
    with pytest.raises(InputError, match="gradient"):
        class_filter(explained(2, method="magnitude"))
    with pytest.raises(InputError, match="no results"):
        concept([])


def test_a_profile_has_magnitudes_alone():
    results = explained()
    shared = federated_profile(results)
    assert shared.shape == results[0].scores.shape
    assert (shared >= 0).all()
    assert float(shared.sum()) == pytest.approx(1)
    expected = torch.stack([one.scores.abs() / one.scores.abs().sum() for one in results]).mean(0)
    torch.testing.assert_close(shared, expected)
    torch.testing.assert_close(shared, federated_profile([*results[1:], results[0]]))


def test_few_examples_make_no_profile():
    with pytest.raises(InputError, match="at least 10"):
        federated_profile(explained(9))
    assert federated_profile(explained(3), least=3).isfinite().all()


def test_contributions_by_hand():
    profiles = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert contributions(profiles).tolist() == pytest.approx([2**-0.5, 2**-0.5, 0.0])
    weighted = contributions(profiles, [1, 3, 4])
    assert weighted.tolist() == pytest.approx([3 / 5, 1 / 17**0.5, 0.0])


@pytest.mark.parametrize(("clients", "examples"), [(1, None), (3, [1, 2]), (2, [1, 0])])
def test_contributions_need_others(clients, examples):
    with pytest.raises(InputError):
        contributions(torch.ones(clients, 4), examples)
