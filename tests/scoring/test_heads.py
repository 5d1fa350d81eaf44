"""Contrasts, positions, spans, transcripts and directions against direct formulas."""

import itertools

import numpy as np
import pytest
import torch

from hf_fourier.errors import TargetError
from hf_fourier.functional import attribute
from hf_fourier.scoring.heads import (
    AnswerSpanHead,
    Binary,
    Categorical,
    ContrastHead,
    Regression,
    Similarity,
    Transcript,
)
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Direction, Position
from tests.scoring.test_targets import gradients
from tests.toy_scores import noise

LABELS = {0: "cat", 1: "dog", 2: "cow", 3: "hen", 4: "owl"}


def test_one_position_alone():
    z, head = noise(2, 3, 5), Categorical(LABELS)
    frozen = head.freeze(z, [Position(1), Position(2, 4)])
    assert frozen.tolist() == [[-1, int(z[0, 1].argmax()), -1], [-1, -1, 4]]
    reading = head.read(z, frozen)
    log_p = z.log_softmax(-1)
    torch.testing.assert_close(reading.value, torch.stack([log_p[0, 1].max(), log_p[1, 2, 4]]))
    assert reading.agreement.tolist() == [1.0, float(z[1, 2].argmax() == 4)]
    drive, value, through = gradients(head, z, frozen)
    torch.testing.assert_close(through, value)
    assert drive[0, 0].abs().max() == 0 == drive[1, 1].abs().max()
    assert head.check(Position(1, "owl")) == Position(1, 4)
    assert head.name_target(frozen[1]) == (4, "owl")


def test_a_contrast_is_the_log_odds_of_two():
    z, head = noise(3, 5), ContrastHead(LABELS)
    frozen = head.freeze(z, [Contrast(1, 3)] * 3)
    reading = head.read(z, frozen)
    p = z.softmax(-1)
    torch.testing.assert_close(reading.value, (p[:, 1] / p[:, 3]).log())
    torch.testing.assert_close(reading.confidence, p[:, 1] / (p[:, 1] + p[:, 3]))
    assert reading.agreement.tolist() == [1.0] * 3
    assert head.read(-z, frozen).agreement.tolist() == [0.0] * 3
    assert head.name_target(frozen[0]) == ([1, 3], "dog rather than hen")
    assert Categorical(LABELS).check(Contrast("dog", "HEN")) == Contrast(1, 3)


def test_a_contrast_of_a_linear_model_is_the_difference_of_its_rows():
    """Gradient × input of f(x) = W x for a rather than b is (W_a − W_b) x, feature by feature."""
    w, x = noise(4, 6), noise(2, 6)
    results = attribute(lambda x: x @ w.T, x, Contrast(2, 0), "gradient_input", "identity")
    for result, row in zip(results, x, strict=True):
        torch.testing.assert_close(result.scores.double(), ((w[2] - w[0]) * row), rtol=1e-5, atol=1e-6)
        assert result.provenance["head"] == "contrast"


@pytest.mark.parametrize(
    ("head", "target"),
    [
        (Categorical(LABELS), AnswerSpan(0, 1)), (Categorical(LABELS), Direction([1.0])), (Binary(LABELS), Position(0)),
        (Regression(), Contrast(0, 1)), (Binary(LABELS), Continuation("x")), (AnswerSpanHead(), Position(0)),
        (Similarity(), AnswerSpan(0, 1)), (Categorical(LABELS), Contrast("dog", "hat")), (AnswerSpanHead(),
        Position("a")),
    ],
)  # fmt: skip
def test_a_target_of_the_wrong_kind_is_refused(head, target):
    with pytest.raises(TargetError, match="expected"):
        head.check(target)


@pytest.mark.parametrize("target", [Position(0), Position(7)])
def test_positions_that_are_not_there(target):
    with pytest.raises(TargetError):
        Categorical().freeze(noise(1, 5), [target])
    with pytest.raises(TargetError, match="position 7"):
        Categorical().freeze(noise(1, 3, 5), [Position(7)])


def test_contrasts_that_make_no_sense():
    for z, target in ((noise(1, 5), Contrast(1, 1)), (noise(1, 5), Contrast(1, 9)), (noise(1, 3, 5), Contrast(0, 1))):
        with pytest.raises(TargetError):
            ContrastHead().freeze(z, [target])


def test_the_best_answer_never_ends_before_it_starts():
    z, head = noise(20, 2, 7), AnswerSpanHead()
    z[:, :, :2] = -torch.inf  # the question
    frozen = head.freeze(z, [None] * 20)
    for row, (start, end) in zip(z, frozen.tolist(), strict=True):
        pairs = [(a, b) for a in range(2, 7) for b in range(a, 7)]
        assert (start, end) == max(pairs, key=lambda ab: float(row[0, ab[0]] + row[1, ab[1]]))
    reading = head.read(z, frozen)
    log_p = z.log_softmax(-1).gather(-1, frozen.unsqueeze(-1)).sum((1, 2))
    torch.testing.assert_close(reading.value, log_p)
    torch.testing.assert_close(reading.confidence, log_p.exp())
    assert reading.agreement.tolist() == [1.0] * 20
    _, value, through = gradients(head, z, frozen)
    torch.testing.assert_close(through, value)
    given = head.freeze(z, [AnswerSpan(3, 3)] * 20)
    assert given.tolist() == [[3, 3]] * 20
    assert head.name_target(given[0]) == ([3, 3], "token 3")
    for wrong in (AnswerSpan(4, 3), AnswerSpan(0, 3), AnswerSpan(3, 9)):
        with pytest.raises(TargetError):
            head.freeze(z, [wrong] * 20)


def collapsed(path):
    return [k for k, _ in itertools.groupby(path) if k != 0]


def test_a_transcript_is_summed_over_all_its_alignments():
    z, head = noise(3, 4, 3), Transcript()
    frozen = head.freeze(z, [None, torch.tensor([1, 2]), torch.tensor([2, 2])])
    best = [collapsed(path) for path in z.argmax(-1).tolist()]
    assert [[i for i in row if i >= 0] for row in frozen.tolist()] == [best[0], [1, 2], [2, 2]]
    p = z.softmax(-1)
    reading = head.read(z, frozen)
    for row in range(3):
        wanted = [i for i in frozen[row].tolist() if i >= 0]
        paths = [path for path in itertools.product(range(3), repeat=4) if collapsed(path) == wanted]
        total = sum(np.prod([float(p[row, t, k]) for t, k in enumerate(path)]) for path in paths)
        assert float(reading.value[row]) == pytest.approx(np.log(total) / 4)
    assert reading.agreement.tolist() == [1.0, float(best[1] == [1, 2]), float(best[2] == [2, 2])]
    silent = head.freeze(torch.tensor([[[5.0, 0, 0]] * 4]), [None])
    assert silent.tolist() == [[-1] * 4]
    assert head.read(torch.tensor([[[5.0, 0, 0]] * 4]), silent).value.isfinite().all()
    for wrong in ([1] * 3, [7], [1, 2, 1, 2, 1]):
        with pytest.raises(TargetError):
            head.freeze(z[:1], [torch.tensor(wrong)])


def test_a_sure_transcript_has_a_gradient():
    z = torch.zeros(1, 3, 4)
    z[0, [0, 1, 2], [1, 0, 2]] = 30.0
    head = Transcript()
    drive, _, _ = gradients(head, z, head.freeze(z, [None]))
    assert drive.abs().max() > 0
    assert drive.isfinite().all()


def test_a_direction_is_a_cosine():
    (*z, v), head = noise(3, 6), Similarity()
    z = torch.stack(z)
    frozen = head.freeze(z, [Direction(v), Direction(v.numpy() * 7, threshold=0.0)])
    reading = head.read(z, frozen)
    expected = (z @ v) / z.norm(dim=1) / v.norm()
    torch.testing.assert_close(reading.value, expected)
    torch.testing.assert_close(reading.confidence, (1 + expected) / 2)
    assert reading.agreement.tolist() == [1.0, 1.0]
    assert head.read(-z, frozen).agreement.tolist() == [0.0, 0.0]
    wrong = [None, 3, Direction(z[0]), Direction(v[:5]), Direction(torch.zeros(6)), Direction(v * torch.nan)]
    for target in wrong:
        with pytest.raises(TargetError):
            head.freeze(z[:1], [target])
