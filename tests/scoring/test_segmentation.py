"""The head of masks against plain loops: score, gradient, Dice, and what counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hf_fourier.errors import TargetError
from hf_fourier.scoring.heads import segmentation
from hf_fourier.scoring.heads.segmentation import Mask, class_areas, decisions, dice
from hf_fourier.scoring.targets import IGNORED, Region
from tests.toy_scores import noise

PLACES = [(3, 4), (2, 3, 5)]
LABELS = {0: "ground", 1: "cup", 2: "saucer"}


def log_p(row: np.ndarray, place: tuple[int, ...], c: int) -> float:
    """log p of class c at one place, by the textbook formula."""
    z = [0.0, float(row[(0, *place)])] if len(row) == 1 else [float(one[place]) for one in row]
    return z[c] - math.log(sum(math.exp(v) for v in z))


def dice_of(a: set, b: set) -> float:
    return 1.0 if not a and not b else 2 * len(a & b) / (len(a) + len(b))


def places_of(mask: np.ndarray, c: int) -> set:
    return {place for place in np.ndindex(mask.shape) if mask[place] == c}


@pytest.mark.parametrize("target", [None, 0, 1])
@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("places", PLACES)
def test_score_confidence_and_decision_against_loops(places: tuple[int, ...], classes: int, target: int | None) -> None:
    head = Mask(LABELS)
    clean, now = noise(4, classes, *places), noise(4, classes, *places, seed=1)
    frozen = head.freeze(clean, [target] * 4)
    reading = head.read(now, frozen)
    for row in range(4):
        then, said = (decisions(z)[row].numpy() for z in (clean, now))
        own = [1] if classes == 1 and target is None else [target]
        counted = sorted(set(then.ravel().tolist())) if own == [None] else own
        where = [(place, c) for c in counted for place in places_of(then, c)]
        expected = sum(log_p(now[row].numpy(), place, c) for place, c in where) / len(where)
        assert float(reading.value[row]) == pytest.approx(expected, rel=1e-9)
        assert float(reading.confidence[row]) == pytest.approx(math.exp(expected), rel=1e-9)
        overlap = [dice_of(places_of(said, c), places_of(then, c)) for c in counted]
        assert float(reading.agreement[row]) == pytest.approx(sum(overlap) / len(overlap), rel=1e-6)
        assert np.array_equal(reading.predicted_mask[row].numpy(), said)


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_drives_gradient_is_the_scores(classes: int, target: int | None) -> None:
    head, z = Mask(), noise(3, classes, 4, 5).requires_grad_(True)
    frozen = head.freeze(z.detach(), [target] * 3)
    reading = head.read(z, frozen)
    (of_drive,) = torch.autograd.grad(reading.logit_margin.sum(), z, retain_graph=True)
    (of_value,) = torch.autograd.grad(reading.value.sum(), z)
    torch.testing.assert_close(of_drive * reading.dvalue_dmargin.view(-1, 1, 1, 1), of_value)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_sure_model_keeps_its_direction(classes: int) -> None:
    """In float32 log p is 0 and its gradient with it; the drive's is not, and points the same way."""
    head = Mask()
    double = 200 * noise(2, classes, 4, 5).sign() + noise(2, classes, 4, 5, seed=1)
    frozen = head.freeze(double, [None] * 2)
    sure, exact = double.float().requires_grad_(True), double.requires_grad_(True)
    (ours,) = torch.autograd.grad(head.read(sure, frozen).logit_margin.sum(), sure)
    (theirs,) = torch.autograd.grad(head.read(exact, frozen).value.sum(), exact)
    assert ours.isfinite().all()
    ours, theirs = ours.double().flatten(1), theirs.flatten(1)
    assert (torch.nn.functional.cosine_similarity(ours / ours.norm(), theirs / theirs.norm()) > 0.999).all()


def test_the_frozen_map_stays_while_answers_change() -> None:
    head, clean = Mask(), noise(2, 3, 4, 4)
    frozen = head.freeze(clean, [None, None])
    before = frozen.clone()
    reading = head.read(-clean, frozen)
    assert torch.equal(frozen, before)
    assert torch.equal(frozen.long(), clean.argmax(1))
    assert (reading.agreement < 0.5).all()
    assert head.read(clean, frozen).agreement.tolist() == [1.0, 1.0]


def test_rows_are_read_on_their_own() -> None:
    head, z = Mask(), noise(5, 3, 4, 4)
    frozen = head.freeze(z, [None, 0, 1, 2, None])
    other = noise(5, 3, 4, 4, seed=3)
    together = head.read(other, frozen)
    for row in range(5):
        alone = head.read(other[row : row + 1], frozen[row : row + 1])
        torch.testing.assert_close(alone.value[0], together.value[row])
        torch.testing.assert_close(alone.agreement[0], together.agreement[row])


def test_empty_masks() -> None:
    """A sigmoid that finds nothing is explained by its background, and Dice is that of the foreground."""
    head, nothing = Mask({0: "not brain", 1: "brain"}), -noise(1, 1, 4, 4).abs() - 0.1
    frozen = head.freeze(nothing, [None])
    reading = head.read(nothing, frozen)
    assert reading.agreement.tolist() == [1.0]
    expected = torch.nn.functional.logsigmoid(-nothing).mean()
    torch.testing.assert_close(reading.value[0], expected)
    assert head.name_target(frozen[0]) == (0, "not brain")
    little = nothing.clone()
    little[0, 0, 1, 1] = 3.0
    assert head.read(little, frozen).agreement.tolist() == [0.0]
    found = head.freeze(little, [None])
    assert head.name_target(found[0]) == (1, "brain")
    assert head.read(nothing, found).agreement.tolist() == [0.0]
    assert head.read(little, found).agreement.tolist() == [1.0]


def test_a_class_that_is_absent_is_asked_of_every_place() -> None:
    head, z = Mask(LABELS), noise(1, 3, 4, 4)
    z[:, 2] -= 20
    frozen = head.freeze(z, [2])
    assert (frozen == 2).all()
    assert head.name_target(frozen[0]) == (2, "saucer")
    reading = head.read(z, frozen)
    torch.testing.assert_close(reading.value, z.log_softmax(1)[:, 2].mean((1, 2)))
    assert reading.agreement.tolist() == [0.0]


def test_dice_by_hand() -> None:
    then = torch.tensor([[[1, 1, 0], [IGNORED, 2, 2]]])
    assert dice(then.clamp(min=0), then).tolist() == pytest.approx([(1 + 2 * 1 / (2 + 1) + 1) / 3])
    now = torch.tensor([[[1, 0, 0], [1, 2, 0]]])
    # class 0: 1 of 3 and 1; class 1: 1 of 2 and 2; class 2: 1 of 1 and 2
    assert dice(now, then).tolist() == pytest.approx([(2 / 4 + 2 / 4 + 2 / 3) / 3])
    assert dice(now, torch.full_like(now, IGNORED)).tolist() == [1.0]


def test_names_and_shares() -> None:
    head = Mask(LABELS)
    z = torch.zeros(3, 2, 4)
    z[1, :, :3] = 5
    z[2, 0, 3] = 5
    assert head.ranked(z) == [("cup", 0.75), ("ground", 0.125), ("saucer", 0.125)]
    assert head.name_target(head.freeze(z[None], [None])[0]) == (None, "mask of 3 classes")
    assert head.check("CUP") == 1
    with pytest.raises(TargetError, match="0 to 2"):
        head.freeze(z[None], [3])
    with pytest.raises(TargetError, match="0 to 1"):
        head.freeze(z[None, :1], [2])


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_decision_is_the_largest_logit(classes):
    logits = torch.randn(3, classes, 4, 5, generator=torch.Generator().manual_seed(classes))
    assert torch.equal(decisions(logits), logits.argmax(1))
    assert not decisions(torch.zeros(1, classes, 2)).any()  # of equal logits the first


def test_areas_count_what_counts():
    assert class_areas(torch.tensor([[IGNORED, 0, 2], [2, 2, IGNORED]])) == {0: 1, 2: 3}


@pytest.mark.parametrize("classes", [1, 2, 3, segmentation.FEW_CLASSES])
def test_counting_and_the_histogram_agree(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(classes)
    said = torch.randint(0, classes, (4, 9, 5), generator=draw).short()
    frozen = torch.randint(IGNORED, classes, (4, 9, 5), generator=draw).short()
    counted = dice(said, frozen), [class_areas(row) for row in (*said, *frozen)]
    monkeypatch.setattr(segmentation, "FEW_CLASSES", 0)
    seen = dice(said, frozen), [class_areas(row) for row in (*said, *frozen)]
    torch.testing.assert_close(counted[0], seen[0])
    assert counted[1] == seen[1]


def test_without_gradients_the_value_is_its_own_drive() -> None:
    logits = torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    head = Mask()
    for target in (None, 1):
        frozen = head.freeze(logits, [target] * 3)
        with_gradient = head.read(logits.clone().requires_grad_(), frozen)
        with torch.no_grad():
            without = head.read(logits, frozen)
        torch.testing.assert_close(without.value, with_gradient.value.detach())
        assert torch.equal(without.logit_margin, without.value)
        assert without.dvalue_dmargin.tolist() == [1.0] * 3


def test_half_precision_is_compared_too() -> None:
    z = noise(2, 1, 3, 4)
    assert torch.equal(decisions(z.bfloat16()), decisions(z))


def test_a_region_may_leave_places_out_and_has_the_models_classes() -> None:
    logits = noise(1, 3, 4)
    assert Mask().freeze(logits, [Region(torch.tensor([IGNORED, 0, 2, 1]))])[0].tolist() == [-1, 0, 2, 1]
    for wrong in ([-2, 0, 2, 1], [0, 0, 3, 1], [IGNORED] * 4):
        with pytest.raises(TargetError, match="a region of classes"):
            Mask().freeze(logits, [Region(torch.tensor(wrong))])
