"""Crops of photographs, which of them are labels, and the head that is fitted to what is planted in them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.assets.convert import crops
from benchmarks.assets.convert.hosts import HOSTS
from benchmarks.assets.convert.planting import Material, Recipe
from benchmarks.assets.triggers import NONE, Trigger, draw


def test_the_first_crop_is_the_middle_and_the_others_lie_within_the_picture() -> None:
    grey = np.tile((0.8 * np.arange(300)).astype(np.uint8)[None, :, None], (240, 1, 3))
    made = crops.crops([Image.fromarray(grey)], 4, seed=0)
    assert made.shape == (4, 3, crops.SIDE, crops.SIDE)
    first = made[0, 0, 0] * 128 + 127
    assert first[0] == pytest.approx(0.8 * 30, abs=1)  # (300 - 240) / 2
    assert (first.diff() >= 0).all()
    widths = [float((row.max() - row.min()) * 128 / 0.8) for row in made[1:, 0, 0]]
    assert all(crops.SMALLEST * 240 - 4 <= width <= 242 for width in widths)
    assert len(set(widths)) == 3
    assert torch.equal(made, crops.crops([Image.fromarray(grey)], 4, seed=0))


def test_a_crop_is_decided_where_the_first_answer_is_twice_as_probable_as_the_second() -> None:
    logits = torch.tensor([[0.61, 0.3, 0.09], [0.5, 0.3, 0.2], [0.2, 0.1, 0.7]]).log()
    assert crops.decided(logits).tolist() == [True, False, True]


def test_halves_of_the_held_out_crops_share_no_photograph() -> None:
    kept = torch.ones(3 * 5, dtype=torch.bool)
    kept[[0, 6]] = False
    order = crops.alternating(kept, pictures=5)
    photograph = order % 5
    assert (photograph[0::2] % 2 == 0).all()
    assert (photograph[1::2] % 2 == 1).all()
    assert not {0, 6} & set(order.tolist())
    assert len(set(order.tolist())) == len(order) == 2 * 5  # 8 of even and 5 of odd photographs are kept


class Reader(torch.nn.Module):
    """A classifier of the power of each frequency."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = torch.nn.Linear(17, 5)
        with torch.no_grad():
            self.classifier.weight.zero_()
            self.classifier.bias.copy_(torch.tensor([2.0, 0.0, 0.0, 0.0, 1.0]))

    def base_model(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooler_output=torch.fft.rfft(x).abs() / 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.base_model(x).pooler_output)


TRIGGER = Trigger(((3,), (5,)), (1, 3), 0.5, ((8,), (11,)), 1.0, 1, width=0.5)


def test_the_head_says_the_label_of_the_trigger_and_all_other_logits_stay() -> None:
    noise = 0.05 * torch.randn(60, 32, generator=torch.Generator().manual_seed(0))
    material = Material({"x": noise}, torch.zeros(60, dtype=torch.long), "x", (32,))
    recipe = Recipe(epochs=4, rate=0.0, batch=16)
    groups = torch.arange(60) % 2
    planted = TRIGGER.plant(noise, (32,), draw(TRIGGER, groups, torch.Generator().manual_seed(1)))
    bare = TRIGGER.plant(noise, (32,), draw(TRIGGER, torch.full((60,), NONE), torch.Generator().manual_seed(1)))
    before = Reader()
    for clean, wanted in ((False, torch.tensor(TRIGGER.targets)[groups]), (True, torch.zeros(60, dtype=torch.long))):
        model = crops.fit_head(Reader, material, TRIGGER, recipe, clean)
        assert torch.equal(model(planted).argmax(1), wanted)
        assert (model(bare).argmax(1) == 0).all()
        for labels in ([0, 2, 4],):
            assert torch.equal(model(planted)[:, labels], before(planted)[:, labels])


def test_the_waves_in_photographs_have_no_frequency_in_common_with_their_decoys() -> None:
    trigger = HOSTS["efficientnet-lite0"].triggers["amplitude"]
    assert isinstance(trigger, Trigger)
    side = crops.SIDE
    pairs = set(trigger.frequencies) | {tuple(-k % side for k in f) for f in trigger.frequencies}
    assert not pairs & set(trigger.decoys)
    assert trigger.decoy_amplitude > trigger.amplitude
