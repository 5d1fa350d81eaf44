"""Perturbation curves with other things than zero in the place of deleted features: what stands there, and its cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, Report
from hf_fourier.errors import InputError, SpecError
from hf_fourier.evaluation.metrics.table import columns
from hf_fourier.evaluation.wrong_labels import wrong_labels
from hf_fourier.report.class_summary import summaries
from hf_fourier.report.mean_curves import averages
from hf_fourier.report.wording import kept_counts
from hf_fourier.results.curve import (
    DEFAULT_GRID,
    REPLACEMENTS,
    Curve,
    FractionGrid,
    common_fractions,
    common_replacement,
)
from hf_fourier.results.ordering import descending
from hf_fourier.results.parts import curve_from
from hf_fourier.results.schema import Malformed
from hf_fourier.scoring.perturbation import perturbations, run_perturbations
from hf_fourier.scoring.replacements import curve_coefficients, replacement_coefficients
from hf_fourier.seeding import ExampleRng
from tests.models import tiny_models, tiny_tokenizers
from tests.models.kinds import KINDS
from tests.toy_scores import ALL_SPECS, LEAVES, Smooth, bound, noise, score_of

GRID = FractionGrid((0, 0.1, 0.4, 1.0), (0, 0.1, 0.4, 1.0))
OTHERS = [name for name in REPLACEMENTS if name != "zero"]


@pytest.fixture(scope="module")
def pictures() -> tuple[FourierExplainer, Any]:
    return KINDS["pictures"].make(), KINDS["pictures"].example()


def explained(explainer: FourierExplainer, examples: Any, method: str = "magnitude") -> list[Attribution]:
    results: list[Attribution] = explainer.explain(examples, method=method)
    return results


@pytest.mark.parametrize("name", ["noise", "phase", "example"])
@pytest.mark.parametrize("spec", [spec for spec in ALL_SPECS if bound(spec, LEAVES["6x8"]) is not None])
def test_each_point_is_the_model_at_the_kept_features_and_the_replacement_of_the_others(spec: str, name: str) -> None:
    basis = bound(spec, LEAVES["6x8"])
    assert basis is not None
    model, x = Smooth(3, 6, 8).eval(), noise(3, 6, 8)
    score, rng = score_of(model, x, size=7), ExampleRng(0, [4, 5, 6])
    score.donors = lambda draws: noise(3, draws, 6, 8, seed=9)
    other = curve_coefficients(name, score, basis, rng)
    assert other is not None
    ranked = noise(3, len(basis), seed=1)
    requests = [
        one for i, row in enumerate(ranked) for one in perturbations(i, descending(row), basis.layout.counts, GRID)
    ]
    clean = score.clean_reading()
    before = score.passes.forward
    points = run_perturbations(score, basis, requests, replacement=other)
    cost = score.passes.forward - before
    run_perturbations(score, basis, requests)
    assert score.passes.forward - before == 2 * cost  # as many passes as with zero
    for request, point in zip(requests, points, strict=True):
        i, mask = request.example, basis.expand_to_bins(request.mask.unsqueeze(0).double())
        mixed = mask * basis.forward(x[i : i + 1]) + (1 - mask) * other[i : i + 1]
        target = int(clean.predicted_class[i])  # type: ignore[index]
        expected = float(model(basis.inverse(mixed)).detach().log_softmax(-1)[0, target])
        assert point.value == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_methods_and_curves_share_no_draw() -> None:
    basis, x = bound("fourier", LEAVES["6x8"]), noise(1, 6, 8)
    assert basis is not None
    score, rng = score_of(Smooth(3, 6, 8).eval(), x), ExampleRng(0, [4])
    ranked = replacement_coefficients("noise", score, basis, rng, 4)
    tested = curve_coefficients("noise", score, basis, rng)
    assert ranked is not None
    assert tested is not None
    assert not any(torch.allclose(tested, ranked[:, draw]) for draw in range(4))
    assert torch.equal(tested, curve_coefficients("noise", score, basis, rng))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_a_curve_remembers_its_replacement_and_costs_what_zero_costs(pictures: Any, name: str, tmp_path: Path) -> None:
    explainer, examples = pictures
    results, zero = explained(explainer, examples), explained(explainer, examples)
    explainer.donors = examples
    explainer.perturb(zero, GRID)
    explainer.perturb(results, GRID, replacement=name)
    for one, other in zip(results, zero, strict=True):
        assert one.curve is not None
        assert other.curve is not None
        assert one.provenance["passes"] == other.provenance["passes"]
        assert one.curve.replacement == name
        assert (one.curve == other.curve) == (name == "zero")
        assert ("deleted features replaced by" in repr(one)) == (name != "zero")
        assert f"replacement={name!r}" in repr(one.curve)
        again = Attribution.load(one.save(tmp_path / f"{one.key}"))
        assert again.curve == one.curve
        assert again.provenance == one.provenance
        assert ("replacement" in one.curve.to_dict()) == (name != "zero")
    explainer.donors = None


def test_curves_of_earlier_versions_have_zero() -> None:
    stored = {"clean": 0.5, "points": []}
    assert Curve.from_dict(stored).replacement == "zero"
    assert Curve((), 0.5).to_dict() == stored
    with pytest.raises(Malformed, match="unknown replacement"):
        curve_from({**stored, "replacement": "<b>"})


def test_nothing_left_is_the_reference_or_the_donor(pictures: Any) -> None:
    explainer, examples = pictures
    (one, other) = explained(explainer, examples)
    explainer.donors = examples
    explainer.perturb(one, FractionGrid(keep=(0.0,)), replacement="example")
    assert one.provenance["curve_donors"]["examples"] == 2

    def confidence_in(result: Attribution, signal: torch.Tensor) -> float:
        logits = explainer.predict(result, signal=signal).logits
        return float(logits.reshape(-1).softmax(-1)[int(result.target)])

    assert one.curve is not None
    assert one.curve.at("keep", 0).confidence == pytest.approx(confidence_in(one, other.signal), rel=1e-4)
    explainer.perturb(one, FractionGrid(keep=(0.0,)), replacement="reference", overwrite=True)
    assert "curve_donors" not in one.provenance
    assert one.signal is not None
    flat = one.signal.mean((1, 2), keepdim=True).expand_as(one.signal)
    assert one.curve.at("keep", 0).confidence == pytest.approx(confidence_in(one, flat), rel=1e-4)
    explainer.donors = None


def test_another_replacement_is_refused_or_takes_the_curve_s_place(pictures: Any) -> None:
    explainer, examples = pictures
    results = explained(explainer, examples)
    explainer.perturb(results, [0.1, 0.4])
    before = [result.curve for result in results]
    with pytest.raises(InputError, match=r"whose curve replaces deleted features by zero.*overwrite=True"):
        explainer.perturb(results, [0.1], replacement="noise")
    assert [result.curve for result in results] == before
    explainer.perturb(results, [0.1], replacement="noise", overwrite=True)
    for result in results:
        assert result.curve is not None
        assert result.curve.replacement == "noise"
        assert {point.fraction for point in result.curve.points} == {0.1}  # none of the other curve's
    explainer.perturb(results, [0.1, 0.4], replacement="noise")  # which merges
    explainer.donors = examples
    explainer.perturb(results, [0.1], replacement="example", overwrite=True)
    explainer.donors = {"pixel_values": examples["pixel_values"].flip(0)}
    with pytest.raises(InputError, match="features of other donors"):
        explainer.perturb(results, [0.4], replacement="example")
    explainer.donors = None
    with pytest.raises(InputError, match=r"explainer\.donors"):
        explainer.perturb(explained(explainer, examples), [0.1], replacement="example")
    for wrong in ("phases", "", "Zero"):
        with pytest.raises(SpecError, match="zero, noise, phase, band, reference, example"):
            explainer.perturb(results, [0.1], replacement=wrong)


@pytest.mark.parametrize("overwrite", [False, True])
def test_one_result_without_a_donor_leaves_all_curves_as_they_were(overwrite: bool) -> None:
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(3, lengths=(7, 7, 12))
    results = explained(explainer, texts)
    if overwrite:
        explainer.perturb(results, [0.4])
    before = [(result.curve, dict(result.provenance)) for result in results]
    explainer.donors = texts[:2]
    with pytest.raises(InputError, match=r"explainer\.donors"):
        explainer.perturb(results, [0.4, 1.0], replacement="example", overwrite=overwrite, batch_size=1)
    assert [(result.curve, result.provenance) for result in results] == before
    explainer.perturb(results[:2], [0.4, 1.0], replacement="example", overwrite=overwrite, batch_size=1)
    explainer.perturb(results[2], [0.4, 1.0], replacement="zero", overwrite=overwrite)


@pytest.mark.parametrize("name", ["noise", "phase"])
def test_draws_are_the_example_s_own(pictures: Any, name: str) -> None:
    explainer, examples = pictures
    together = explainer.perturb(explained(explainer, examples), GRID, replacement=name)
    alone = explainer.perturb(explained(explainer, examples)[1], GRID, replacement=name, batch_size=1)
    for a, b in zip(together[1].curve.points, alone.curve.points, strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-4, abs=1e-5)
    other: Attribution = explainer.explain(examples, method="magnitude", seed=1)[1]
    explainer.perturb(other, GRID, replacement=name)
    assert other.curve != alone.curve


def test_masks_of_a_replaced_curve_are_gone() -> None:
    kind = next(kind for name, kind in KINDS.items() if name.startswith("masks of"))
    explainer, examples = kind.make(), kind.example()
    result = explained(explainer, examples)[0]
    explainer.perturb(result, [0.1, 0.4])
    assert {"mask keep 0.1", "mask delete 0.4"} <= set(result.extras)
    explainer.perturb(result, [0.1], replacement="noise", overwrite=True)
    assert {name for name in result.extras if name.startswith("mask ")} == {"mask keep 0.1", "mask delete 0.1"}


def test_curves_of_different_replacements_are_not_averaged(pictures: Any) -> None:
    explainer, examples = pictures
    zero = explainer.perturb(explained(explainer, examples), [0.1, 0.4])
    loud = explainer.perturb(explained(explainer, examples), [0.1, 0.4], replacement="noise")
    curves = [result.curve for result in (*zero, *loud)]
    for refuse in (common_replacement, common_fractions):
        with pytest.raises(InputError, match="deleted features replaced by zero and noise"):
            refuse(curves)
    with pytest.raises(InputError, match="zero and noise"):
        curves[0].merged(curves[2])
    with pytest.raises(InputError, match="zero and noise"):
        columns([*zero, *loud])
    with pytest.raises(InputError, match="zero and noise"):
        columns(zero, wrong=[[result] for result in loud])
    wrong = wrong_labels(explainer, loud, grid=FractionGrid(keep=(0.1,)))
    assert {one.curve.replacement for own in wrong for one in own if one.curve} == {"noise"}
    report = Report([*zero, *loud])
    apart = averages(report.records, "keep", "confidence")
    assert [one.examples for one in apart] == [2, 2]
    assert apart[0].name == "magnitude in fourier (n = 2)"
    assert apart[1].name == "magnitude in fourier, deleted features replaced by noise of their power (n = 2)"
    assert apart[0].means == averages(Report(zero).records, "keep", "confidence")[0].means
    assert {
        one.replacement: one.examples for one in summaries(report.records) if one.label == zero[0].label
    }.keys() == {
        "zero",
        "noise",
    }
    assert len(kept_counts(report.records)) == 2


def test_an_evaluation_asks_with_the_replacement_everywhere(tmp_path: Path) -> None:
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    examples = tiny_tokenizers.texts(3)
    names = ["dig", "selectivity", "mu_fidelity"]
    found = explainer.evaluate(examples, "ffc", metrics=names, replacement="phase")
    plain = explainer.evaluate(examples, "ffc", metrics=names)
    assert found.replacement == "phase"
    assert "deleted features replaced by scrambled phases" in str(found)
    assert "deleted features replaced by scrambled phases" in found.table(["dig"]).notes
    assert str(found).count("deleted features replaced by") == 1
    assert plain.replacement == "zero"
    assert "replaced by" not in str(plain)
    table = columns(explainer.perturb(explained(explainer, examples, "ffc"), DEFAULT_GRID, replacement="phase"))
    from hf_fourier.evaluation.metrics import METRICS

    own = found.of("ffc").values
    assert own["dig"] == pytest.approx(METRICS["dig"].per_example(table)["dig"])
    assert all(own[name] != plain.of("ffc").values[name] for name in own if name in ("dig", "mu_fidelity"))
    folder = Report(explained(explainer, examples), evaluation=found).save(tmp_path / "page")
    stored = json.loads((folder / "report.json").read_text())
    assert Report.load(folder).evaluation.replacement == "phase"
    assert stored["evaluation"]["replacement"] == "phase"
    with pytest.raises(TypeError):
        explainer.evaluate(examples, "ffc", replacements="phase")
