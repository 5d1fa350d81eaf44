"""The questions behind μ-fidelity, infidelity, sensitivity-max and selectivity: their answers, seeds and cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import captum.metrics
import numpy as np
import pytest
import torch
from scipy import stats

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.evaluation import random_perturbations, random_removals, wrong_labels
from hf_fourier.evaluation.metrics import columns, robustness
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.results.curve import DEFAULT_GRID, SMALL_FRACTIONS, FractionGrid
from tests.models import tiny_models, tiny_tokenizers
from tests.models.tiny_models_segmentation import build as build_mask

METHODS = ["gradient_input", "magnitude", "ffc"]


class Counted:
    """A tiny vision model that counts the rows it gets."""

    def __init__(self, method: str, domain: str = "fourier", rows: int = 3) -> None:
        self.explain = FourierExplainer(tiny_models.build("image-classification", "vit"), method=method, domain=domain)
        pixels = torch.rand(rows, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        self.results: list[Attribution] = self.explain.explain({"pixel_values": pixels})
        self.rows = 0
        self.explain.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self.rows += len(next(iter(kwargs.values())))

    def log_p(self, signal: torch.Tensor, target: int) -> torch.Tensor:
        with torch.no_grad():
            return self.explain.model(pixel_values=signal).logits.log_softmax(-1)[:, target]


def said(results: list[Attribution]) -> int:
    return sum(result.provenance["passes"]["evaluated"] for result in results)


def test_random_subsets_are_deleted_one_by_one() -> None:
    counted = Counted("gradient_input")
    table = random_perturbations.delete_random_subsets(counted.explain, counted.results, draws=11, fraction=0.3, seed=5)
    assert counted.rows == said(counted.results) == 11 * 3
    for result, given, drops in zip(counted.results, table["subset_scores"], table["subset_drops"], strict=True):
        held = round(0.3 * len(result.scores))
        assert len(given) == len(drops) == 11
        masks = []
        for number in range(11):
            generator = random_perturbations.ExampleRng(5, [result.key]).generator(0, "subset", number)
            mask = torch.ones(len(result.scores), dtype=torch.bool)
            mask[torch.randperm(len(mask), generator=generator)[:held]] = False
            masks.append(mask)
        left = torch.cat([result.basis.keep_features(result.coefficients.unsqueeze(0), m.unsqueeze(0)) for m in masks])
        expected = [float(result.scores.double()[~mask].sum()) for mask in masks]
        assert given == pytest.approx(expected, rel=1e-6, abs=1e-9)
        lost = result.value - counted.log_p(left, result.target).double()
        np.testing.assert_allclose(drops, lost, atol=2e-6)
        ours = robustness.mu_fidelity(given, drops)
        assert ours == pytest.approx(stats.spearmanr(given, drops).statistic)


@pytest.mark.parametrize("name", ["delete_random_subsets", "add_feature_noise", "explain_perturbed_inputs"])
def test_answers_depend_on_the_example_and_the_seed_alone(name: str) -> None:
    counted = Counted("ffc")
    ask = getattr(random_perturbations, name)
    whole = ask(counted.explain, counted.results, draws=4)
    alone = ask(counted.explain, counted.results[1:2], draws=4, batch_size=1)
    other = ask(counted.explain, counted.results, draws=4, seed=1)
    longer = ask(counted.explain, counted.results[::-1], draws=6)
    for column, rows in whole.items():
        np.testing.assert_allclose(alone[column][0], rows[1], rtol=2e-3, atol=2e-5)
        np.testing.assert_allclose(longer[column][2][:4], rows[0], rtol=2e-3, atol=2e-5)
        assert not np.allclose(other[column], rows, rtol=1e-2)


def test_infidelity_is_captums() -> None:
    """In the identity domain features are pixels: the same noise through Captum, plain and with its best factor."""
    counted = Counted("gradient_input", "identity", rows=2)
    table = random_perturbations.add_feature_noise(counted.explain, counted.results, draws=9, size=0.3)
    assert counted.rows == said(counted.results) == 9 * 2
    for i, result in enumerate(counted.results):
        generators = [
            random_perturbations.ExampleRng(0, [result.key]).generator(0, "noise", number) for number in range(9)
        ]
        epsilon = torch.stack([0.3 * torch.randn(len(result.scores), generator=g) for g in generators])
        changes = epsilon.view(9, *result.signal.shape) * result.signal
        # Captum's attributions are per unit of the input where ours are contributions: φ = g x.
        slopes = (result.scores.view(result.signal.shape) / result.signal).unsqueeze(0)
        for scaled in (False, True):
            theirs = captum.metrics.infidelity(
                lambda signal: counted.log_p(signal, counted.results[i].target),  # noqa: B023
                lambda inputs: (changes, inputs - changes),  # noqa: B023
                result.signal.unsqueeze(0),
                slopes,
                n_perturb_samples=9,
                max_examples_per_batch=9,
                normalize=scaled,
            )
            ours = robustness.infidelity(table["noise_predicted"][i], table["noise_drops"][i], scaled=scaled)
            assert ours == pytest.approx(float(theirs), rel=2e-3, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_sensitivity_max_is_captums(method: str) -> None:
    counted = Counted(method, rows=2)
    table = random_perturbations.explain_perturbed_inputs(counted.explain, counted.results, draws=5, radius=0.1)
    per_draw = 0 if method == "magnitude" else 1
    assert counted.rows == said(counted.results) == per_draw * 5 * 2
    for i, result in enumerate(counted.results):
        draw = random_perturbations.ExampleRng(0, [result.key])
        uniform = torch.cat([draw.uniform(result.signal.shape, "perturbation", number) for number in range(5)])

        def explain(signal: Any, target: Any = result.target) -> Any:
            """A tuple for a tuple, as Captum's own methods have it."""
            (pixels,) = signal if isinstance(signal, tuple) else (signal,)
            scores = torch.stack([one.scores for one in counted.explain.explain({"pixel_values": pixels}, target)])
            return (scores,) if isinstance(signal, tuple) else scores

        theirs = captum.metrics.sensitivity_max(
            explain,
            result.signal.unsqueeze(0),
            lambda inputs, radius, moves=uniform: inputs + 0.1 * (2 * moves - 1),
            n_perturb_samples=5,
            max_examples_per_batch=5,
        )
        assert robustness.sensitivity_max(table["score_changes"][i]) == pytest.approx(float(theirs), rel=2e-3)


def test_one_explainer_several_methods() -> None:
    counted = Counted("ffc")
    mixed = [counted.results[0], counted.explain.re_explain(counted.results[1:2], [0])[0]]
    mixed += counted.explain.explain({"pixel_values": counted.results[2].signal.unsqueeze(0)}, method="magnitude")
    table = random_perturbations.explain_perturbed_inputs(counted.explain, mixed, draws=3)
    lone = [
        random_perturbations.explain_perturbed_inputs(counted.explain, [one], draws=3)["score_changes"][0]
        for one in mixed
    ]
    for got, want in zip(table["score_changes"], lone, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-3)


def test_text_and_masks_are_asked_too() -> None:
    text = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    lone = FourierExplainer(build_mask("two classes"), task="image-segmentation")
    volume = torch.rand(1, 5, 7, 6, generator=torch.Generator().manual_seed(1)).numpy()
    for explain, examples in ((text, tiny_tokenizers.texts(3)), (lone, [volume])):
        results = explain.explain(examples)
        for ask in (
            random_perturbations.delete_random_subsets,
            random_perturbations.add_feature_noise,
            random_perturbations.explain_perturbed_inputs,
        ):
            for rows in ask(explain, results, draws=3).values():
                assert np.shape(rows) == (len(examples), 3)
                assert np.isfinite(rows).all()


@pytest.mark.parametrize(("kind", "many"), [("random", 1), ("runner_up", 1), ("all", 2)])
def test_wrong_labels(kind: Any, many: int) -> None:
    counted = Counted("ffc")
    before = counted.rows
    wrong = wrong_labels.wrong_labels(counted.explain, counted.results, kind=kind)
    assert counted.rows - before == 3 * many * (1 + len(SMALL_FRACTIONS))
    for own, others in zip(counted.results, wrong, strict=True):
        targets = {other.target for other in others}
        assert len(targets) == len(others) == many
        assert own.target not in targets
        if kind == "runner_up":
            p = counted.log_p(own.signal.unsqueeze(0), slice(None))[0]
            p[own.target] = -torch.inf
            assert targets == {int(p.argmax())}
        for other in others:
            assert other.provenance["method"] == own.provenance["method"]
            assert [stop.fraction for stop in other.curve.of("keep")] == list(SMALL_FRACTIONS)
            for stop in other.curve.points:
                kept = other.basis.keep_features(
                    other.coefficients.unsqueeze(0), other.mask(stop.fraction).unsqueeze(0)
                )
                reached = int(counted.log_p(kept, slice(None))[0].argmax()) == other.target
                assert stop.agreement == reached
    again = wrong_labels.wrong_labels(counted.explain, counted.results[2:], kind=kind)
    assert [other.target for other in again[0]] == [other.target for other in wrong[2]]


def test_runners_up_whose_names_are_shared() -> None:
    counted = Counted("magnitude")
    for name in ("id2label",):
        setattr(counted.explain.model.config, name, {0: "crane", 1: "crane", 2: "crane"})
    explain = FourierExplainer(counted.explain.model, method="magnitude")
    results = explain.explain({"pixel_values": torch.stack([r.signal for r in counted.results])})
    for own, (other,) in zip(results, wrong_labels.wrong_labels(explain, results, kind="runner_up"), strict=True):
        p = counted.log_p(own.signal.unsqueeze(0), slice(None))[0]
        assert other.target == int(p.argsort(descending=True)[1])


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_asked() -> None:
    counted = Counted("magnitude")
    with pytest.raises(InputError, match="'random', 'runner_up' or 'all'"):
        wrong_labels.wrong_labels(counted.explain, counted.results, kind="near")
    with pytest.raises(InputError, match="fraction"):
        random_perturbations.delete_random_subsets(counted.explain, counted.results, fraction=0)
    masks = FourierExplainer(build_mask("two classes"), task="image-segmentation", method="magnitude")
    volume = torch.rand(1, 5, 7, 6, generator=torch.Generator().manual_seed(1)).numpy()
    with pytest.raises(InputError, match="a softmax with named classes"):
        wrong_labels.wrong_labels(masks, [masks.explain(volume)])


def test_one_table_from_a_model_to_every_metric() -> None:
    counted = Counted("ffc", rows=4)
    explain, results = counted.explain, counted.results
    explain.perturb(results, DEFAULT_GRID)
    wrong, masks = wrong_labels.wrong_labels(explain, results), [result.mask(0.1) for result in results]
    table = {
        **columns(results, wrong=wrong, top=0.1, groups=["a", "b", "c", "d"], content=True, truth=masks),
        **random_perturbations.delete_random_subsets(explain, results, draws=5),
        **random_perturbations.add_feature_noise(explain, results, draws=5),
        **random_perturbations.explain_perturbed_inputs(explain, results, draws=2),
        **random_removals.remove_parts(explain, results, draws=2),
    }
    table["label"] = ["x", "x", "y", "y"]
    named = [replace(result, label=label) for result, label in zip(results, table["label"], strict=True)]
    table |= random_perturbations.swap_values(explain, named)
    for name, measure in METRICS.items():
        found = measure.compute(table)
        assert np.isfinite(found[name]), name
    share = METRICS["selectivity"].compute(table)
    own = np.mean([result.curve.at("keep", 0.04).agreement for result in results])
    reached = np.mean([other.curve.at("keep", 0.04).agreement for (other,) in wrong])
    assert (share["own_kept_at_0.04"], share["wrong_reached_at_0.04"]) == (own, reached)
    few = columns(results, wrong=wrong_labels.wrong_labels(explain, results, grid=FractionGrid(keep=(0.3,))))
    with pytest.raises(InputError, match=r"do not keep the fraction 0\.01"):
        METRICS["selectivity"].compute(few)


def test_columns_that_cannot_be_made() -> None:
    counted = Counted("magnitude", rows=2)
    with pytest.raises(InputError, match="without a curve"):
        columns(counted.results)
    counted.explain.perturb(counted.results, [0.1])
    assert columns(counted.results, groups=[None, float("nan")])["group"] == ["", ""]  # a group each
    with pytest.raises(InputError, match="1 groups for 2"):
        columns(counted.results, groups=["a"])
    with pytest.raises(InputError, match="0 wrong for 2"):
        columns(counted.results, wrong=[])


def test_a_choice_that_says_the_label_by_itself_is_found() -> None:
    """One model reads whether an entry is there, another its sign: only the first says the label of any values."""

    class Net(torch.nn.Module):
        def __init__(self, of_values: bool) -> None:
            super().__init__()
            self.of_values = of_values

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            left, right = x[:, 0, 0], x[:, 0, 7]
            size = left if self.of_values else left.abs() - right.abs()
            return torch.stack([size, -size], 1)

    rows = torch.tensor([[3.0, 1, 1, 1, 1, 1, 1, 2], [-2.0, 1, 1, 1, 1, 1, 1, 3], [-1.0, 1, 1, 1, 1, 1, 1, 4]])
    for of_values, expected in ((False, [[1.0, 1.0], [1.0], [1.0]]), (True, [[0.0, 0.0], [0.0], [0.0]])):
        explainer = FourierExplainer(Net(of_values), labels=["left", "right"], axes=("time",))
        results = explainer.explain(list(rows.unsqueeze(1)), method="magnitude", domain="identity")
        assert [result.label for result in results] == ["left", "right", "right"]
        for result, place in zip(results, (0, 0 if of_values else 7, 0 if of_values else 7), strict=True):
            result.scores[place] = 9.0
        table = random_perturbations.swap_values(explainer, results, fraction=0.125)
        assert table["swapped_decision"] == expected
        assert [result.provenance["passes"]["evaluated"] for result in results] == [2, 1, 1]
        for wrong in ({"draws": 0}, {"fraction": 0.0}):
            with pytest.raises(InputError, match="correct `draws` or `fraction`"):
                random_perturbations.swap_values(explainer, results, **wrong)
        alone = random_perturbations.swap_values(explainer, results[:1], fraction=0.125)
        assert alone["swapped_decision"] == [[]]
        assert results[0].provenance["notes"].count(random_perturbations.NO_LENDER) == 1
        assert not any(random_perturbations.NO_LENDER in result.provenance["notes"] for result in results[1:])
        assert np.isnan(METRICS["encoding"].per_example(alone)["encoding"]).all()
