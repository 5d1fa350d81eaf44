"""Rankings that are put to the metrics, correlations with a known answer, and inputs without evidence."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.meta_evaluation import columns, correlation, noise, tables
from benchmarks.meta_evaluation.rankings import Ranker, spoilt, true_scores
from benchmarks.planted import ranking
from hf_fourier import Attribution, FourierExplainer
from hf_fourier.domains import Fourier
from tests.benchmarks.listener import Listener, examples, explained


def magnitudes() -> list[Attribution]:
    return explained(examples().inputs()["x"])


def test_the_true_ranking_has_what_is_planted_first_and_the_decoys_last() -> None:
    made, results = examples(), magnitudes()
    scores = true_scores(made, [4, 5])
    for number, index in enumerate((4, 5)):
        result = results[index]
        order = scores(number, result).argsort(descending=True)
        planted, decoys = (ranking.members(result.layout, f) for f in (made.planted(index), made.decoys(index)))
        assert planted[order[: planted.sum()]].all()
        assert decoys[order[-int(decoys.sum()) :]].all()
        rest = [i for i in order.tolist() if not planted[i] and not decoys[i]]
        assert torch.equal(result.scores[rest], result.scores[rest].sort(descending=True).values)


def test_a_spoilt_ranking_exchanges_the_scores_of_a_share_and_a_smaller_share_is_within_a_larger_one() -> None:
    result = magnitudes()[0]
    moved = []
    for share in (0.0, 0.3, 0.6, 1.0):
        rescore = spoilt(Ranker("magnitude", "magnitude"), share).rescore
        assert rescore is not None
        scores = rescore(0, result)
        assert torch.equal(scores.sort().values, result.scores.sort().values)
        moved.append(scores != result.scores)
        assert moved[-1].sum() <= round(share * len(scores))
    assert not moved[0].any()
    assert moved[3].float().mean() > 0.8
    generator_order = spoilt(Ranker("a", "magnitude"), 0.3).rescore
    assert generator_order is not None
    assert torch.equal(generator_order(0, result) != result.scores, moved[1])


def test_spoiling_the_true_ranking_loses_what_is_planted_step_by_step() -> None:
    made, results = examples(12), magnitudes()
    truth = Ranker("true", "magnitude", true_scores(made, list(range(12))))
    areas = []
    for share in (0.0, 0.5, 1.0):
        rescore = spoilt(truth, share).rescore
        assert rescore is not None
        rows = [
            ranking.area(
                rescore(i, result).numpy(),
                ranking.members(result.layout, made.planted(i)).numpy(),
                ranking.members(result.layout, made.decoys(i)).numpy(),
            )
            for i, result in enumerate(results)
        ]
        areas.append(sum(rows) / len(rows))
    assert areas[0] == 1
    assert areas[0] > areas[1] > areas[2]
    assert areas[2] == pytest.approx(0.5, abs=0.2)


def test_a_metric_that_orders_methods_as_the_truth_does_has_a_correlation_of_one_and_chance_has_none() -> None:
    methods = [f"m{i}" for i in range(12)]
    truth = {name: float(i) for i, name in enumerate(methods)}
    same = {name: value**3 for name, value in truth.items()}
    value, low, high = correlation.pooled([(same, truth), (same, truth)], methods)
    assert (value, low, high) == pytest.approx((1, 1, 1))
    draw = torch.randperm(12, generator=torch.Generator().manual_seed(5)).tolist()
    value, low, high = correlation.pooled([(dict(zip(methods, draw, strict=True)), truth)], methods)
    assert low < 0 < high
    assert low < value < high


def test_variants_of_a_method_are_drawn_together() -> None:
    methods = ["a", "a:kappa=.1", "a:kappa=.2", "b"]
    metric = {"a": 0.0, "a:kappa=.1": 1.0, "a:kappa=.2": 2.0, "b": 3.0}
    assert correlation.family("a:kappa=.1") == "a"
    value, low, high = correlation.pooled([(metric, metric)], methods)
    assert value == low == high == 1  # without families, draws of one method alone would be undefined or tied


def test_a_metric_that_is_not_defined_for_a_method_leaves_it_out() -> None:
    assert correlation.spearman([1, math.nan, 3, 4], [1, 9, 3, 4]) == 1
    assert math.isnan(correlation.spearman([1, 2], [1, 2]))


@pytest.mark.parametrize("own_power", [True, False])
def test_inputs_without_evidence_have_the_spectrum_and_no_phase(own_power: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(200, 3, 16, 12, generator=generator).cumsum(-1)
    made = noise.without_phases(signals, 2, own_power)
    before, after = (torch.fft.fft2(x.double()).abs() for x in (signals, made))
    assert torch.allclose(made.mean((2, 3)), signals.mean((2, 3)), atol=1e-5)
    ratio = (after / before.clamp(min=1e-9)).square()[:, :, 1:6, 1:5]
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    if own_power:
        assert torch.allclose(ratio, torch.ones_like(ratio), atol=1e-3)
    shift = (torch.fft.fft2(made.double()) / torch.fft.fft2(signals.double()))[:, :, 1:6, 1:5].angle()
    assert torch.allclose(torch.exp(1j * shift[:, 0]), torch.exp(1j * shift[:, 1]), atol=1e-2)
    assert abs(torch.exp(1j * shift).mean()) < 0.05


def measured() -> list[dict[str, object]]:
    """Three methods on one model, of which the second knows the truth; the true ranking is as good as that."""
    best, worst, middle = [0.9, 0.8, 0.9], [0.1, 0.2, 0.1], [0.5, 0.4, 0.5]
    ranks = {"magnitude": worst, "good": best, "fair": middle}
    values = {
        name: {
            "AUROC decoys": found, "AP": found, "dig": found, "deletion": [1 - v for v in found],
            "insertion": [1 - v for v in found], "r_flip": [math.nan if name == "magnitude" else 0.5 - found[0] / 2],
            "specificity": found[:2],
        }
        for name, found in ranks.items()
    }  # fmt: skip
    steps = [{"dig": [1 - share]} for share in (0.0, 0.5, 1.0)]
    return [{
        "model": "toy", "methods": values, "true": values["good"], "spoilt": {"true": steps}, "shares": (0.0, 0.5, 1.0),
    }]  # fmt: skip


def test_the_tables_sign_metrics_so_that_more_is_right() -> None:
    rows = {row["metric"]: row for row in tables.correlations(measured())}
    assert [rows[name]["toy, AP"] for name in ("dig", "deletion", "insertion", "r_flip")] == [
        "1.00", "1.00", "-1.00", "1.00",
    ]  # fmt: skip
    assert rows["mu_fidelity"]["toy, AP"] == ""
    gaps = {row["metric"]: row for row in tables.gaps(measured())}
    assert gaps["dig"]["toy"].startswith("0.73 [")
    assert [gaps[name]["right, wrong"] for name in ("dig", "deletion", "insertion", "r_flip", "specificity")] == [
        "1, 0 of 1", "1, 0 of 1", "0, 1 of 1", "1, 0 of 1", "1, 0 of 1",
    ]  # fmt: skip
    fallen = {row["metric"]: row for row in tables.spoilt_rows(measured())}
    assert fallen["dig"]["true: ρ, mean"] == "1.00"
    assert fallen["dig"]["true: steps that fall"] == "2 of 2"
    assert fallen["deletion"]["true: steps that fall"] == ""


class OfTensors(Ranker):
    """A ranking of the tensors that a network reads."""

    def explain(self, explainer: FourierExplainer, inputs: dict[str, torch.Tensor]) -> list[Attribution]:
        return self._rescored(explainer.explain(list(inputs["x"]), method=self.method, domain=Fourier(axes=1)))


def test_f_fidelity_and_the_mask_probe_are_asked_of_the_true_ranking() -> None:
    made = examples(20)
    explainer = FourierExplainer(Listener(), labels=["none", "three", "five"], axes=("channel", "time"))
    wrong = {"random": [2 - i % 2 for i in range(20)]}
    asked = columns.Asked(explainer, explainer, made.inputs(), wrong, ["f_fidelity", "mask_probe"])
    true = OfTensors("true", "magnitude", true_scores(made, list(range(20))))
    results, values = columns.quantities(asked, true)
    assert [result.label for result in results] == ["three", "five"] * 10
    assert values["mask_probe"] == [1, 1]  # which of the two waves is on top says the label
    assert values["mask_probe (assigned)"] == [1, 1]  # it is the other label, each time
    assert values["f_fidelity (fine-tuned)"] == values["f_fidelity"]
    assert values["agreement (fine-tuned)"] == [1] * 20
    order = true_scores(made, list(range(20)))
    _, turned = columns.quantities(asked, OfTensors("turned", "magnitude", lambda *given: -order(*given)))
    means = [columns.summarised(one["f_fidelity_at_0.2"]) for one in (values, turned)]
    assert means[0] > means[1] == 0  # what decides is last
    assert len(values["f_fidelity_at_0.2"]) == 20
    _, alone = columns.quantities(columns.Asked(explainer, None, made.inputs(), wrong, ["dig"]), true)
    assert "dig" in alone
    assert not [name for name in alone if "fidelity" in name or "mask" in name]


def test_every_shown_quantity_of_a_metric_has_its_direction() -> None:
    from hf_fourier.evaluation.metrics.base import METRICS

    for name, sign in tables.SHOWN.items():
        if name in METRICS and METRICS[name].better != "neither":
            assert sign == {"higher": 1, "lower": -1}[METRICS[name].better]
    assert {*METRICS} - {*columns.LEFT_OUT} <= {name.partition(" (")[0] for name in tables.SHOWN}
