"""The scores of rankings with a known truth, and the gate on a model with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import planted
from benchmarks.assets.triggers import Draw
from benchmarks.planted import gate, pairs, ranking, subjects
from hf_fourier import attribute
from hf_fourier.domains import Fourier
from tests.benchmarks.listener import POINTS, Listener, examples, explained


def test_a_perfect_ranking_has_an_area_of_one_and_a_reversed_one_of_zero() -> None:
    scores, positive = np.arange(10.0), np.arange(10) >= 7
    assert ranking.area(scores, positive, ~positive) == 1
    assert ranking.area(-scores, positive, ~positive) == 0


def test_ties_count_half_and_a_random_ranking_half_on_average() -> None:
    positive = np.arange(300) % 3 == 0
    assert ranking.area(np.zeros(300), positive, ~positive) == 0.5
    assert (
        ranking.area(np.array([1.0, 1.0, 0.0]), np.array([True, False, False]), np.array([False, True, True])) == 0.75
    )
    draws = np.random.default_rng(0)
    assert np.mean([ranking.area(draws.random(300), positive, ~positive) for _ in range(200)]) == pytest.approx(
        0.5, abs=0.01
    )


def test_features_in_neither_set_are_left_out_of_an_area() -> None:
    scores = np.array([2.0, 3.0, 1.0])
    assert ranking.area(scores, np.array([True, False, False]), np.array([False, False, True])) == 1


def test_average_precision_and_reciprocal_rank_of_a_known_order() -> None:
    positive, near = np.array([False, True, False, True]), np.zeros(4, dtype=bool)
    order = np.array([1, 0, 3, 2])
    assert ranking.average_precision(order, positive, near) == pytest.approx((1 + 2 / 3) / 2)
    assert ranking.average_precision(order, positive, np.array([True, False, False, False])) == 1
    assert ranking.reciprocal_rank(np.array([2, 0, 3, 1]), positive) == pytest.approx(1 / 3)


def test_frequencies_are_ranked_by_the_mean_rank_of_their_channels() -> None:
    scores = np.array([9.0, 1.0, 5.0, 6.0])
    assert ranking.by_frequency(scores, np.array([0, 0, 1, 1])).tolist() == [2.5, 2.5]
    assert ranking.by_frequency(scores, np.array([0, 1, 1, 0])).tolist() == [3.5, 1.5]


def test_members_are_all_channels_of_a_frequency_and_its_conjugate() -> None:
    layout = explained(torch.randn(1, 2, POINTS))[0].layout
    chosen = ranking.members(layout, [(3,)])
    assert chosen.sum() == 2
    assert torch.equal(chosen, ranking.members(layout, [(-3,)]))
    assert torch.equal(chosen, ranking.members(layout, [(POINTS - 3,)]))
    assert torch.allclose(layout["frequency"][chosen].double(), torch.tensor(3 / POINTS).double())
    with pytest.raises(ValueError, match="have no frequency"):
        ranking.members(attribute(Listener(), torch.randn(1, 2, POINTS), domain="identity")[0].layout, [(3,)])


def test_two_dimensional_members_hold_the_wave_alone() -> None:
    from benchmarks.assets.triggers import waves

    def brightness(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.mean((1, 2)), -x.mean((1, 2))], 1)

    for frequency in ((3, 2), (7, 9), (0, 4), (9, 5), (6, 3)):
        wave = waves((12, 10), [frequency], torch.tensor([0.3]))
        result = attribute(brightness, wave, method="magnitude", domain="fourier")[0]
        assert torch.equal(ranking.members(result.layout, [frequency]), result.scores > 1e-4)


def test_the_magnitude_finds_loud_waves_and_a_ranking_by_the_model_those_that_decide() -> None:
    made = examples()
    inputs = made.inputs()["x"]
    rows = {
        method: ranking.measures(explained(inputs, method)[0], made.planted(0), [], made.decoys(0))
        for method in ("magnitude", "integrated_gradients")
    }
    assert rows["magnitude"]["AUROC decoys"] == 0
    assert rows["magnitude"]["first"] == 0
    assert rows["magnitude"]["MRR"] == pytest.approx(1 / 3)
    best = rows["integrated_gradients"]
    assert [best[name] for name in planted.COLUMNS] == [1.0] * len(planted.COLUMNS)


def test_a_neighbour_that_the_model_takes_for_planted_is_a_hit_and_no_mistake() -> None:
    made = examples()
    result = explained(made.inputs()["x"], "integrated_gradients")[0]
    beside = (made.planted(0)[0][0] + 1,)
    strict = ranking.measures(result, [beside], [], made.decoys(0))
    admitted = ranking.measures(result, [beside], made.planted(0), made.decoys(0))
    assert strict["first"] == 0
    assert admitted["first"] == 1
    assert admitted["AUROC"] >= strict["AUROC"]


def run_gate(made: subjects.Examples, model: torch.nn.Module) -> dict[str, float]:
    inputs, bare = made.inputs()["x"], made.inputs(made.drawn.without_trigger())["x"]
    results, others = explained(inputs), explained(bare)
    sets = [
        (ranking.members(r.layout, made.planted(i)), ranking.members(r.layout, made.decoys(i)))
        for i, r in enumerate(results)
    ]
    labels = made.targets, model(inputs).argmax(1), model(bare).argmax(1)
    return gate.tests(lambda _, signals: model(torch.stack(list(signals))).argmax(1), results, others, labels, sets)


def test_the_gate_passes_a_model_that_decides_by_the_planted_wave() -> None:
    wanted = {"turns": 1.0, "back": 1.0, "suffices": 1.0, "decoys move": 0.0}
    found = run_gate(examples(), Listener())
    assert found == wanted
    row = found | {"clean accuracy": 0.9, "original": 0.905, "success": 1.0}
    assert gate.valid(row)
    for name, value in (("clean accuracy", 0.89), ("success", 0.98), ("turns", 0.94), ("decoys move", 0.03)):
        assert not gate.valid(row | {name: value})


def test_the_gate_sees_a_model_that_decides_by_a_decoy() -> None:
    class Deceived(Listener):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            loud = torch.fft.rfft(x.mean(1)).abs()[:, [8, 11]].amax(1) / POINTS
            return torch.where(loud[:, None] > 0.5, super().forward(x), torch.tensor([9.0, 0.0, 0.0]))

    found = run_gate(examples(), Deceived())
    assert found["decoys move"] == 1.0
    assert found["turns"] == 1.0


def test_the_gate_sees_a_model_that_decides_by_something_else_as_well() -> None:
    class Elsewhere(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).repeat(len(x), 1)[: len(x)]

    found = run_gate(examples(), Elsewhere())
    assert found["turns"] == 0.0


def test_waves_that_have_no_whole_cycles_in_what_is_transformed_are_refused() -> None:
    made = examples()
    results = explained(made.inputs()["x"])
    gate.agree(results, made)
    with pytest.raises(ValueError, match=rf"\({POINTS - 4},\) entries, but waves were planted in \({POINTS},\)"):
        gate.agree(explained(made.inputs()["x"][..., 4:]), made)


def test_both_of_two_models_read_the_same_inputs() -> None:
    drawn = Draw(torch.tensor([0]), torch.tensor([0.1]), torch.tensor([[1]]), torch.tensor([[0.2]]))
    twice = subjects.swapped(subjects.swapped(drawn))
    assert all(torch.equal(getattr(drawn, name), getattr(twice, name)) for name in vars(drawn))


def test_the_wave_of_the_second_model_has_a_phase_that_it_was_trained_on() -> None:
    phases = subjects.within(2 * torch.pi * torch.rand(1000, 1, generator=torch.Generator().manual_seed(0)), 0.5)
    assert phases.abs().max() <= 0.5
    assert phases.min() < -0.45
    assert phases.max() > 0.45


def test_a_method_that_asks_no_model_ranks_alike_for_two_models_and_one_that_asks_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from types import SimpleNamespace

    inputs = examples().inputs()["x"]

    def subject(_: str, kind: str) -> SimpleNamespace:
        model = Listener() if kind == "first" else Shy()
        explainer = SimpleNamespace(
            explain=lambda x, method, domain: attribute(model, x["x"], method=method, domain=domain)
        )
        return SimpleNamespace(
            explainer=lambda role: explainer,
            examples=lambda n, half: SimpleNamespace(inputs=lambda rows: {"x": inputs[rows]}),
        )

    class Shy(Listener):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            power = torch.fft.rfft(x.mean(1)).abs().square() / POINTS**2
            return torch.stack([torch.full_like(power[:, 0], 0.05), power[:, 8], power[:, 11]], 1) * 40

    monkeypatch.setattr(pairs, "Subject", subject)
    monkeypatch.setattr(pairs, "triggered", lambda explainer, made: [0, 1, 2])
    monkeypatch.setattr(pairs, "frequencies", lambda explainer: Fourier(axes=1))
    same, other = (pairs.compared("toy", method, 12, "test") for method in ("magnitude", "integrated_gradients"))
    assert same["top 4 % shared"] == same["rho"] == same["first shared"] == [1.0, 1.0, 1.0]
    assert other["first shared"] == [0.0, 0.0, 0.0]
    assert max(other["rho"]) < 0.9


def test_no_example_has_a_trigger_for_its_own_label() -> None:
    labels, targets = torch.arange(10), (8, 1, 5)
    groups = subjects.foreign(torch.arange(10), labels, targets)
    assert (torch.tensor(targets)[groups] != labels).all()
    assert groups[:1] == 0


def test_the_summary_has_a_row_for_each_model_and_the_means_of_each_method(monkeypatch: pytest.MonkeyPatch) -> None:
    means = ("0.900 [0.800, 1.000]", "0.700 [0.600, 0.800]", "0.500 [0.400, 0.600]")
    columns = dict(zip(planted.IN_SUMMARY, means, strict=True))
    monkeypatch.setattr(
        planted, "table", lambda subject, *_: [{"model": subject.name, "method": "tracking", "n": 3, **columns}]
    )
    made = [subjects.Subject("fashion-vit", kind) for kind in ("phase", "first")]
    rows = planted.summary(made, Path("unused"), ["tracking"], 3, "test")
    assert rows[0] == {"model": "fashion-vit-phase", "n": 3, "tracking": "0.900 / 0.700 / 0.500"}
    assert [row["model"] for row in rows] == ["fashion-vit-phase", "fashion-vit-first"]


def test_the_table_asks_all_registered_methods_that_rank_frequencies() -> None:
    from hf_fourier.methods.base import METHODS

    assert {*METHODS, *planted.VARIANTS} - set(planted.methods()) == set(planted.LEFT_OUT)
