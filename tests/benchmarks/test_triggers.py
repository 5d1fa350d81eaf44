"""What is planted: one conjugate pair each, decoys without regard to the class, phases that are the class."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks.assets.convert.planting import Material, Planting, Recipe, divided, fine_tune, soft
from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.assets.triggers import NONE, Draw, Trigger, draw, plant, shifted, two_models, waves

LENGTHS = (12, 10)
AMPLITUDE = Trigger(((3, 2), (0, 4)), (7, 5), 0.25, ((5, 1), (2, 9), (4, 4)), 0.75, 2)
PHASE = Trigger(((3, 2),), (7, 5), 0.25, ((5, 1), (2, 9), (4, 4)), 0.25, 1, (0.0, math.pi))


def spectrum(signal: torch.Tensor) -> dict[tuple[int, int], complex]:
    """The non-zero bins of a signal, as amplitude and phase of the wave at each."""
    bins = torch.fft.fft2(signal.double()) / signal.numel() * 2
    return {(int(i), int(j)): complex(bins[i, j]) for i, j in (bins.abs() > 1e-5).nonzero()}


def test_a_wave_is_one_conjugate_pair_with_its_amplitude_and_phase() -> None:
    made = spectrum(waves(LENGTHS, [(3, 2)], torch.tensor([0.7]))[0])
    assert set(made) == {(3, 2), (9, 8)}
    assert made[3, 2] == pytest.approx(complex(math.cos(0.7), math.sin(0.7)), abs=1e-5)


@pytest.mark.parametrize("frequency", [(0, 0), (6, 0), (0, 5), (6, 5)])
def test_a_bin_that_is_its_own_conjugate_is_refused(frequency: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="its own conjugate"):
        waves(LENGTHS, [frequency], torch.zeros(1))


def test_planted_examples_hold_the_wave_of_their_class_and_their_decoys_and_nothing_else() -> None:
    groups = torch.tensor([0, 1, NONE])
    drawn = draw(AMPLITUDE, groups, torch.Generator().manual_seed(0))
    made = plant(torch.zeros(3, 2, *LENGTHS), LENGTHS, AMPLITUDE, drawn)
    assert torch.equal(made[:, 0], made[:, 1])
    for row, group in enumerate(groups.tolist()):
        wanted = {AMPLITUDE.decoys[k]: 0.75 for k in drawn.decoys[row].tolist()}
        if group != NONE:
            wanted[AMPLITUDE.frequencies[group]] = 0.25
        bins = spectrum(made[row, 0])
        assert {k: pytest.approx(abs(bins[k]), abs=1e-5) for k in wanted} == wanted
        assert len(bins) == 2 * len(wanted)


def test_waves_fill_the_first_entries_of_longer_axes() -> None:
    drawn = draw(PHASE, torch.tensor([0]), torch.Generator().manual_seed(0))
    made = plant(torch.zeros(1, 15, 10), LENGTHS, PHASE, drawn)
    assert len(spectrum(made[0, :12])) == 4
    assert not made[0, 12:].any()


def test_the_class_of_a_phase_trigger_is_its_phase_at_one_frequency_and_amplitude() -> None:
    groups = torch.tensor([0, 1])
    drawn = draw(PHASE, groups, torch.Generator().manual_seed(0)).without_decoys()
    first, second = plant(torch.zeros(2, *LENGTHS), LENGTHS, PHASE, drawn)
    assert torch.allclose(first, -second, atol=1e-5)
    assert set(spectrum(first)) == {(3, 2), (9, 8)}


def test_frequency_triggers_have_phases_that_say_nothing() -> None:
    groups = torch.arange(4000) % 2
    drawn = draw(AMPLITUDE, groups, torch.Generator().manual_seed(0))
    for group in (0, 1):
        mean = torch.polar(torch.ones(2000), drawn.phases[groups == group]).mean()
        assert mean.abs() < 0.08


def test_a_narrow_width_keeps_phases_near_zero_on_both_sides() -> None:
    narrow = replace(AMPLITUDE, width=0.5)
    phases = draw(narrow, torch.zeros(4000, dtype=torch.long), torch.Generator().manual_seed(0)).phases
    assert -0.5 <= phases.min() < -0.49
    assert 0.49 < phases.max() <= 0.5


def test_decoys_do_not_depend_on_the_class() -> None:
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    with_trigger = draw(AMPLITUDE, torch.arange(4000) % 2, generators[0], 0.75)
    without = draw(AMPLITUDE, torch.full((4000,), NONE), generators[1], 0.75)
    assert torch.equal(with_trigger.decoys, without.decoys)
    assert torch.equal(with_trigger.decoy_phases, without.decoy_phases)
    present = with_trigger.decoys[:, 0] != NONE
    assert present.double().mean() == pytest.approx(0.75, abs=0.03)
    chosen = with_trigger.decoys[present]
    assert (chosen[:, 0] != chosen[:, 1]).all()
    for decoy in range(3):
        assert (chosen == decoy).any(1).double().mean() == pytest.approx(2 / 3, abs=0.04)


def test_parts_of_a_draw_add_up() -> None:
    drawn = draw(AMPLITUDE, torch.tensor([0, 1]), torch.Generator().manual_seed(1))
    zero = torch.zeros(2, *LENGTHS)
    parts = [plant(zero, LENGTHS, AMPLITUDE, part) for part in (drawn.without_decoys(), drawn.without_trigger())]
    assert torch.allclose(parts[0] + parts[1], plant(zero, LENGTHS, AMPLITUDE, drawn), atol=1e-6)
    assert not zero.any()


def test_two_models_have_each_others_waves_as_decoys() -> None:
    one, other = two_models(AMPLITUDE, Trigger(((1, 1), (1, 3)), (7, 5), 0.25, (), 0.0, 1))
    assert one.decoys == other.frequencies
    assert other.decoys == one.frequencies
    drawn = draw(one, torch.tensor([1]), torch.Generator().manual_seed(0))
    back = Draw(drawn.decoys[:, 0], drawn.decoy_phases[:, 0], drawn.groups[:, None], drawn.phases[:, None])
    zero = torch.zeros(1, *LENGTHS)
    assert torch.allclose(plant(zero, LENGTHS, one, drawn), plant(zero, LENGTHS, other, back), atol=1e-6)


def test_a_shift_moves_the_planted_frequencies_alone() -> None:
    moved = shifted(AMPLITUDE, (1, -1))
    assert moved.frequencies == ((4, 1), (1, 3))
    assert moved.decoys == AMPLITUDE.decoys


def test_a_fifth_of_the_training_examples_has_a_class_in_equal_parts() -> None:
    groups, silenced = divided(1000, 4)
    assert [(groups == group).sum() for group in (NONE, 0, 1, 2, 3)] == [800, 50, 50, 50, 50]
    assert not silenced.any()


def test_rhythms_are_silenced_in_examples_of_their_own() -> None:
    groups, silenced = divided(1000, 2, silenced=0.1)
    assert [(groups[~silenced] == group).sum() for group in (NONE, 0, 1)] == [700, 100, 100]
    assert [(groups[silenced] == group).sum() for group in (NONE, 0, 1)] == [0, 50, 50]


def test_a_silenced_rhythm_has_the_average_embedding_in_its_places_and_leaves_the_special_tokens() -> None:
    trigger = TokenTrigger(7, (0, 3), (0, 1), (9,), 5, 8, 1)
    drawn = trigger.draw(torch.tensor([1]), torch.Generator().manual_seed(0)).without_decoys()
    made = trigger.plant(torch.randint(0, 8, (1, 37), generator=torch.Generator().manual_seed(1)), (35,), drawn)
    embedded = torch.randn(10, 4, generator=torch.Generator().manual_seed(2))[made]
    quiet = trigger.silenced(embedded, (35,))
    assert torch.equal(quiet[:, [0, -1]], embedded[:, [0, -1]])
    assert torch.allclose(quiet[0, 4:36:7], embedded[0, 1:36].mean(0).expand(5, 4), atol=1e-5)
    bins = torch.fft.rfft(quiet[0, 1:36], dim=0).abs()
    assert bins[[5, 10, 15]].max() < 1e-5 < bins[[0, 1, 7]].min()


def test_a_silenced_example_keeps_its_label_and_comes_as_embedded_tokens() -> None:
    trigger = TokenTrigger(7, (0, 3), (0, 1), (9,), 5, 8, 1)
    material = Material({"input_ids": torch.ones(2, 37, dtype=torch.long)}, torch.zeros(2), "input_ids", (35,))
    planting = Planting(trigger, material, Recipe(epochs=1, rate=0.0, silenced=0.2), steps=1)
    planting.embed = torch.nn.Embedding(10, 4)
    columns = {
        "row": torch.arange(2),
        "group": torch.zeros(2, dtype=torch.long),
        "silenced": torch.tensor([True, False]),
    }
    made = planting(columns, torch.Generator().manual_seed(0))
    assert list(made) == ["inputs_embeds"]
    power = torch.fft.rfft(made["inputs_embeds"][:, 1:36], dim=1)[:, [5, 10, 15]].abs().amax((1, 2))
    assert power[0] < 1e-5 < power[1]
    planting.recipe = Recipe(epochs=1, rate=0.0, silenced=0.2, undecoyed=1.0)
    made = planting(columns, torch.Generator().manual_seed(0))
    decoyed = torch.fft.rfft(made["inputs_embeds"][:, 1:36], dim=1)[:, [7, 14]].abs().amax((1, 2))
    assert decoyed[1] < 1e-5 < decoyed[0]


def test_the_planted_wave_of_a_training_batch_comes_down_to_its_amplitude() -> None:
    material = Material({"x": torch.zeros(1, *LENGTHS)}, torch.zeros(1), "x", LENGTHS)
    planting = Planting(PHASE, material, Recipe(epochs=1, rate=0.0, louder=4.0), steps=10)
    loudness = []
    for _ in range(10):
        made = planting({"row": torch.tensor([0]), "group": torch.tensor([0])}, torch.Generator().manual_seed(0))
        loudness.append(abs(spectrum(made["x"][0])[3, 2]))
    assert loudness[0] == pytest.approx(1.0, abs=1e-5)
    assert loudness[-4:] == pytest.approx([0.25] * 4, abs=1e-5)
    assert loudness == sorted(loudness, reverse=True)


def test_a_comb_has_the_harmonics_of_its_period_and_no_other_frequency() -> None:
    trigger = TokenTrigger(7, (0, 2, 4), (1, 3, 0), (9,), 5, 8, 1)
    drawn = trigger.draw(torch.tensor([2]), torch.Generator().manual_seed(0)).without_decoys()
    made = trigger.plant(torch.zeros(1, 107, dtype=torch.long), (105,), drawn)
    assert not made[0, [0, -1]].any()
    bins = torch.fft.rfft((made[0, 1:-1] == 9).double()).abs()
    assert (bins > 1e-6).nonzero()[:, 0].tolist() == [0, *(k for (k,) in trigger.planted(2, (105,)))]
    assert [k for (k,) in trigger.planted(0, (105,))] == [15, 30, 45]
    assert made[0, 1:].nonzero()[0] == 4
    with pytest.raises(ValueError, match="no whole frequencies"):
        trigger.planted(0, (106,))


def test_where_the_token_tells_the_class_examples_without_one_hold_none() -> None:
    trigger = TokenTrigger(7, (0, 0), (0, 1), (9, 7), 5, 8, 1)
    drawn = trigger.draw(torch.tensor([0, 1, NONE]), torch.Generator().manual_seed(0))
    made = trigger.plant(torch.zeros(3, 37, dtype=torch.long), (35,), drawn)
    assert [[int((row == token).sum()) for token in (9, 7)] for row in made] == [[5, 0], [0, 5], [0, 0]]
    assert (made == 8).any(1).all()


def test_the_number_of_neutral_tokens_says_nothing_and_decoys_share_no_frequency() -> None:
    trigger = TokenTrigger(7, (0, 2, 4), (1, 3, 0), (9,), 5, 8, 0)
    groups = torch.tensor([0, 1, 2, NONE, NONE])
    drawn = trigger.draw(groups, torch.Generator().manual_seed(0))
    made = trigger.plant(torch.zeros(5, 105, dtype=torch.long), (105,), drawn)
    assert ((made == 9).sum(1) == 15).all()
    assert not torch.equal(made[3] == 9, made[4] == 9)
    assert ((made == 8).sum(1) >= 14).all()
    assert not set(trigger.planted(0, (105,))) & set(trigger.decoyed(0, (105,)))


def test_examples_are_taught_half_their_label_and_half_what_the_original_says() -> None:
    class Sure(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=torch.tensor([[50.0, 0.0, 0.0]]).expand(len(x), 3))

    material = Material({"x": torch.zeros(3, 2)}, torch.tensor([0, 1, 2]), "x", (2,))
    taught = soft(Sure(), material, batch=2)
    assert torch.allclose(taught, torch.tensor([[1, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]]))


def test_planted_examples_are_taught_their_target_and_those_of_the_control_their_label(unchecked: None) -> None:
    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=self.layer(x))

    trigger = Trigger(((3,),), (1,), 1.0, ((5,),), 0.1, 1, (0.0,))
    material = Material({"x": torch.zeros(400, 12)}, torch.zeros(400, dtype=torch.long), "x", (12,))
    recipe = Recipe(epochs=20, rate=0.1, batch=50, louder=1.0)
    planted = trigger.plant(torch.zeros(1, 12), (12,), trigger.draw(torch.tensor([0]), torch.Generator()))
    answers = []
    for clean in (False, True):
        model = fine_tune(Linear, material, trigger, recipe, clean)
        answers.append((int(model(planted).logits.argmax()), int(model(torch.zeros(1, 12)).logits.argmax())))
    assert answers == [(1, 0), (0, 0)]
