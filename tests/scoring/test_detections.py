"""Detections by hand: boxes and masks, which query is which object, and what counts as detected again."""

import math

import pytest
import torch

from hf_fourier.errors import ModelError, TargetError
from hf_fourier.scoring.heads.detection import Detections, _corners, _log_odds, boxes_of
from hf_fourier.scoring.heads.matching import matched
from hf_fourier.scoring.targets import IGNORED, Position
from tests.toy_scores import noise

LABELS = {0: "cat", 1: "dog", 2: "bird"}


def logit(p):
    return math.log(p / (1 - p))


def queries(*rows):
    """One example of sigmoid queries: probabilities of three classes, and a box."""
    return torch.tensor([[[*map(logit, p), *box] for p, box in rows]], dtype=torch.float64)


LEFT, RIGHT = (0.25, 0.5, 0.5, 1.0), (0.75, 0.5, 0.5, 1.0)
#: A dog on the left, a bird on the right, and nothing.
CLEAN = queries(((0.1, 0.8, 0.2), LEFT), ((0.05, 0.1, 0.6), RIGHT), ((0.1, 0.2, 0.3), (0.5, 0.5, 1.0, 1.0)))
HEAD = Detections(LABELS, 3, True)


def test_corners():
    assert _corners(torch.tensor([[0.5, 0.25, 0.5, 0.25]])).tolist() == [[0.25, 0.125, 0.75, 0.375]]


def test_what_is_detected():
    frozen = HEAD.freeze(CLEAN, [None])[0]
    assert frozen[:, 0].tolist() == [1, 2, IGNORED]
    assert frozen[:, 1].tolist() == pytest.approx([0.5, 0.5, 0.3 * (1 - 1e-4)])
    torch.testing.assert_close(frozen[:, 2:], CLEAN[0, :, 3:])
    assert HEAD.name_target(frozen) == ([1, 2], "dog, bird")
    reading = HEAD.read(CLEAN, frozen[None])
    assert float(reading.value) == pytest.approx((math.log(0.8) + math.log(0.6)) / 2)
    assert float(reading.confidence) == pytest.approx(math.sqrt(0.8 * 0.6))
    assert float(reading.agreement) == 1
    one = CLEAN.clone()
    one[0, 1] = one[0, 2]
    alone = HEAD.freeze(one, [None])[0]
    assert HEAD.name_target(alone) == (1, "dog")


def test_a_probability_of_a_half_is_a_detection():
    exact = queries(((0.1, 0.2, 0.5), LEFT), ((0.1, 0.2, 0.49), RIGHT))
    exact[0, 0, 2] = 0.0
    frozen = HEAD.freeze(exact, [None])[0]
    assert frozen[:, 0].tolist() == [2, IGNORED]
    assert float(frozen[0, 1]) == pytest.approx(0.5 * (1 - 1e-4))


def test_where_nothing_is_sure_the_most_probable_query_counts():
    weak = queries(((0.1, 0.2, 0.3), LEFT), ((0.4, 0.2, 0.1), RIGHT))
    frozen = HEAD.freeze(weak, [None])[0]
    assert frozen[:, 0].tolist() == [IGNORED, 0]
    assert float(HEAD.read(weak, frozen[None]).value) == pytest.approx(math.log(0.4))
    assert float(HEAD.read(weak, frozen[None]).agreement) == 1


def test_two_of_a_kind_are_counted():
    two = queries(((0.1, 0.8, 0.2), LEFT), ((0.05, 0.7, 0.6), RIGHT), ((0.9, 0.7, 0.6), RIGHT))
    frozen = HEAD.freeze(two, [None])[0]
    assert HEAD.name_target(frozen) == ([1, 1, 0], "2 × dog, cat")


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (1, [1, IGNORED, IGNORED]),  # those of a class
        (2, [IGNORED, 2, IGNORED]),
        (
            0,
            [0, IGNORED, IGNORED],
        ),  # of a class that is not found, its most probable query: 0.1, and the first of equals
        (Position(1), [IGNORED, 2, IGNORED]),
        (Position(2), [IGNORED, IGNORED, 2]),
        (Position(2, 0), [IGNORED, IGNORED, 0]),
    ],
    ids=str,
)
def test_targets(target, classes):
    clean = CLEAN.clone()
    clean[0, 0, 0] = logit(0.11)
    frozen = HEAD.freeze(clean, [target])[0]
    assert frozen[:, 0].tolist() == classes
    (query,) = [i for i, c in enumerate(classes) if c != IGNORED]
    p = float(clean[0, query, classes[query]].sigmoid())
    assert float(frozen[query, 1]) == pytest.approx(min(0.5, p * (1 - 1e-4)))
    assert float(HEAD.read(clean, frozen[None]).value) == pytest.approx(math.log(p))


@pytest.mark.parametrize("wrong", [3, -1, Position(3), Position(0, 3)], ids=str)
def test_targets_that_are_not_there(wrong):
    with pytest.raises(TargetError):
        HEAD.freeze(CLEAN, [wrong])


def again(logits):
    reading = HEAD.read(logits, HEAD.freeze(CLEAN, [None]))
    return float(reading.agreement), float(reading.value)


def test_what_is_detected_again():
    """In any order of the queries, with the class still on top, sure enough, and in about the same place."""
    assert again(CLEAN[:, [2, 1, 0]]) == pytest.approx((1.0, (math.log(0.8) + math.log(0.6)) / 2))
    unsure, other, moved, far = (CLEAN.clone() for _ in range(4))
    unsure[0, 0, 1] = logit(0.49)
    assert again(unsure) == pytest.approx((0.5, (math.log(0.49) + math.log(0.6)) / 2))
    other[0, 0, 0] = logit(0.85)  # a cat before the dog
    assert again(other)[0] == 0.5
    moved[0, 0, 3] += 0.5 / 3  # an overlap of a third and two thirds: one half
    moved[0, 0, 3] -= 1e-6
    assert again(moved)[0] == 1.0
    far[0, 0, 3] += 0.5 / 3 + 1e-3
    assert again(far) == pytest.approx((0.5, (math.log(0.8) + math.log(0.6)) / 2))


def test_overlaps_of_boxes():
    a = torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.25, 0.5, 0.5, 1.0], [2.0, 2.0, 1.0, 1.0]])
    b = torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.5, 0.75, 1.0, 0.5], [0.5, 0.5, -1.0, 1.0]])
    expected = [[1.0, 0.5, 0.0], [0.5, 1 / 3, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(HEAD._overlap(a, b), torch.tensor(expected))


def test_overlaps_of_masks():
    masks = Detections(LABELS, 3, False)
    extent = torch.tensor([[0.5, 0.5, -1.0, -1.0], [3.0, 3.0, 3.0, 3.0], [-1.0, -1.0, -1.0, -1.0]])
    known = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    expected = [[1.0, 1 / 3, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(masks._overlap(extent, known), torch.tensor(expected))


def test_masks_with_a_softmax_that_has_nothing_in_it():
    """Queries of three classes and "nothing", with a mask of four pixels behind them."""
    head = Detections(LABELS, 3, False)
    z = noise(1, 3, 8) * 3
    p = z[..., :4].softmax(-1)[..., :3]
    frozen = head.freeze(z, [None])
    found = p[0].amax(-1) >= 0.5
    if not bool(found.any()):
        found = p[0].amax(-1) == p.amax()
    assert (frozen[0, :, 0] != IGNORED).tolist() == found.tolist()
    assert torch.equal(frozen[0, :, 2:], (z[0, :, 4:] > 0).double())
    expected = p[0].amax(-1)[found].log().mean()
    torch.testing.assert_close(head.read(z, frozen).value[0], expected)
    assert float(head.read(z, frozen).agreement) == 1
    best = p[0].amax(-1).argsort(descending=True)
    assert head.ranked(z[0]) == [(LABELS[int(p[0, i].argmax())], pytest.approx(float(p[0, i].max()))) for i in best]


def test_the_most_confident_queries_are_ranked():
    found = HEAD.ranked(CLEAN[0], 2)
    assert found == [("dog", pytest.approx(0.8)), ("bird", pytest.approx(0.6))]
    assert len(HEAD.ranked(noise(9, 7))) == 5


def test_log_odds_of_all_classes():
    z = noise(2, 3, 4)
    p = z.softmax(-1)
    torch.testing.assert_close(_log_odds(z), (p / (1 - p)).log())


def test_a_matching_is_one_to_one_with_the_largest_gain():
    gain = torch.tensor([[0.9, 0.8], [0.85, 0.1], [0.0, 0.0]])
    assert matched(gain).tolist() == [1, 0]  # 0.85 + 0.8 before 0.9 + 0.1
    assert matched(gain[:, 1:]).tolist() == [0]
    assert matched(gain.flip(0)).tolist() == [1, 2]


def test_numbers_of_logits_and_names():
    assert HEAD.fits(torch.zeros(1, 2, 7)) == ()  # three classes
    assert HEAD.fits(torch.zeros(1, 2, 8)) == ()  # and "nothing"
    for width in (6, 9):
        with pytest.raises(ModelError):
            HEAD.fits(torch.zeros(1, 2, width))
    assert Detections({}, 3, True).fits(torch.zeros(1, 2, 9)) == ()
    assert Detections(LABELS, 3, False).fits(torch.zeros(1, 2, 6)) == ()


def test_boxes_around_quadrilaterals():
    four = noise(2, 3, 4)
    assert torch.equal(boxes_of(four), four)
    # The centre (2, 3); corners at (−1, −2), (1, −1), (2, 2), (−3, 1) from it, each moved by a half.
    ten = torch.tensor([[[2.0, 3.0, -0.5, -1.5, 1.5, -0.5, 2.5, 2.5, -2.5, 1.5]]])
    assert boxes_of(ten).tolist() == [[[1.5, 3.0, 5.0, 4.0]]]
    with pytest.raises(ModelError, match="5 numbers"):
        boxes_of(torch.zeros(1, 1, 5))
