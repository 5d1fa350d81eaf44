"""The deletion game against one question at a time, and what it costs."""

import pytest
import torch

from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError
from hf_fourier.results.curve import DEFAULT_GRID, PAPER_GRID, CurvePoint, FractionGrid, log_spaced
from hf_fourier.results.ordering import cut, descending
from hf_fourier.scoring.heads import Binary, Categorical, Regression
from hf_fourier.scoring.perturbation import curves, perturbations, run_perturbations
from tests.toy_scores import DOMAIN_SPECS, Guard, Smooth, noise, score_of, signal

SHAPE = signal(6, 7)
KEPT = (0, 0.01, 0.04, 0.3, 0.5, 1.0)


def questions_of(basis, scores, kept=KEPT):
    layout = basis.layout
    grid = kept if isinstance(kept, FractionGrid) else FractionGrid(kept, kept)
    return [m for i, s in enumerate(scores) for m in perturbations(i, descending(s), layout.multiplicity, grid)]


@pytest.fixture(params=[spec for spec in DOMAIN_SPECS if spec.split(":")[0] in ("fourier", "identity")])
def basis(request):
    return DOMAINS.parse(request.param).bind(SHAPE)


@pytest.mark.parametrize("head", [Categorical(), Binary(), Regression()], ids=lambda head: head.name)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_game_is_one_question_at_a_time(basis, head, size):
    model, x = Smooth(3, 6, 7).eval(), noise(3, 6, 7)
    ranked = noise(3, len(basis), seed=4)
    score = score_of(model, x, head, size=size)
    clean = score.clean_reading()
    before = score.passes.forward
    questions = questions_of(basis, ranked)
    stops = run_perturbations(score, basis, questions)
    distinct = {(m.example, tuple(m.mask.tolist())) for m in questions}
    assert len(distinct) < len(questions) == 2 * len(KEPT) * 3  # the ends at least are shared
    assert score.passes.forward - before == len(distinct)
    assert score.passes.backward == 0
    for move, stop in zip(questions, stops, strict=True):
        i = move.example
        order = ranked[i].argsort(descending=True)
        count = cut(basis.multiplicity[order], move.fraction)
        left = order[:count] if move.mode == "keep" else order[count:]
        weights = torch.zeros(1, len(basis), dtype=torch.float64)
        weights[0, left] = 1
        rebuilt = basis.inverse(basis.scale_features(basis.forward(x[i : i + 1]), weights))
        logits = model(rebuilt)[0]
        if head.name == "softmax":
            y = int(model(x[i : i + 1])[0].argmax())
            value, sure = logits.log_softmax(-1)[y], logits.softmax(-1)[y]
            agrees = float(int(logits.argmax()) == y)
        elif head.name == "sigmoid":
            first = model(x[i : i + 1])[0]
            y = int(first.argmax())
            side = 1 if first[y] > 0 else -1
            sure = (side * logits[y]).sigmoid()
            value, agrees = sure.log(), float((logits[y] > 0) == (side > 0))
        else:
            value, sure = logits.mean(), None
            agrees = float((value - clean.value[i]).abs() <= 0.1 * clean.value[i].abs())
        assert stop.value == pytest.approx(float(value), rel=1e-9, abs=1e-12)
        assert stop.confidence == (None if sure is None else pytest.approx(float(sure), rel=1e-9))
        assert stop.agreement == agrees
        assert (stop.mode, stop.fraction) == (move.mode, move.fraction)
        reached = basis.multiplicity[order[:count]].sum().item() / basis.layout.total
        assert stop.actual_fraction == pytest.approx(reached)


def test_the_ends_are_the_whole_and_nothing(basis):
    model, x = Smooth(3, 6, 7).eval(), noise(2, 6, 7)
    score = score_of(model, x)
    clean = score.clean_reading()
    questions = questions_of(basis, noise(2, len(basis), seed=1), (0, 1.0))
    own = curves(questions, run_perturbations(score, basis, questions), clean.confidence.tolist())
    silent = score.value(torch.zeros_like(x)).confidence
    for i, curve in enumerate(own):
        assert curve.clean == pytest.approx(float(clean.confidence[i]))
        for part, asked, expected in (("keep", 1.0, clean.confidence), ("delete", 0, clean.confidence)):
            assert curve.at(part, asked).confidence == pytest.approx(float(expected[i]))
            assert curve.at(part, asked).agreement == 1
        for part, asked in (("keep", 0), ("delete", 1.0)):
            assert curve.at(part, asked).confidence == pytest.approx(float(silent[i]))


def test_questions_in_any_order_and_after_running_out_of_memory():
    basis = DOMAINS.parse("fourier").bind(SHAPE)
    model, x = Smooth(3, 6, 7).eval(), noise(4, 6, 7)
    calm, tight = score_of(model, x, size=8), score_of(Guard(model, most=3), x, size=8)
    questions = questions_of(basis, noise(4, len(basis), seed=2))
    for score in (calm, tight):
        score.clean_reading()
    expected = run_perturbations(calm, basis, questions)
    assert tight.batcher.splits
    for got, want in zip(run_perturbations(tight, basis, questions[::-1])[::-1], expected, strict=True):
        assert got.value == pytest.approx(want.value)
        assert (got.mode, got.fraction, got.agreement) == (want.mode, want.fraction, want.agreement)


def test_curves_sort_stops_by_example():
    basis = DOMAINS.parse("fourier").bind(signal(8))
    questions = questions_of(basis, noise(3, len(basis)), (0.2, 0.5))
    stops = [CurvePoint(m.mode, m.fraction, m.actual_fraction, float(m.example), None, 1.0) for m in questions]
    own = curves(questions, stops, [0.0, 1.0, 2.0])
    assert [curve.clean for curve in own] == [0.0, 1.0, 2.0]
    for i, curve in enumerate(own):
        assert [stop.value for stop in curve.points] == [float(i)] * 4
        assert [stop.fraction for stop in curve.of("keep")] == [0.2, 0.5]


def test_masks_of_a_move_are_each_others_rest():
    (keep, delete) = perturbations(0, torch.tensor([2, 0, 1]), torch.tensor([2, 1, 2]), FractionGrid((0.5,), (0.5,)))
    assert keep.mask.tolist() == [False, False, True]
    assert delete.mask.tolist() == [True, True, False]
    assert keep.actual_fraction == delete.actual_fraction == 0.4


def test_equal_questions_are_those_with_equal_masks(basis):
    """Both names of an end, and shares too small to tell apart, are one question; all others are their own."""
    questions = questions_of(basis, noise(2, len(basis)), DEFAULT_GRID | FractionGrid((0.001, 0.002), (1e-6, 0.5)))
    for a in questions:
        for b in questions:
            same = a.example == b.example and torch.equal(a.mask, b.mask)
            assert same == ((a.example, a.key) == (b.example, b.key))


def test_what_the_published_grid_costs():
    """Nine shares in both directions and the empty end; with the clean one 20 (half of it in the other direction)."""
    assert (PAPER_GRID.passes, DEFAULT_GRID.passes) == (19, 24)
    basis = DOMAINS.parse("fourier").bind(signal(16, 16))
    model, x = Guard(Smooth(3, 16, 16).eval()), noise(3, 16, 16)
    score = score_of(model, x, size=7)
    score.clean_reading()
    questions = questions_of(basis, noise(3, len(basis), seed=1), PAPER_GRID)
    run_perturbations(score, basis, [m for m in questions if m.key != ("keep", 1.0)])
    assert model.forward_rows == score.passes.forward == 3 * 20


def test_deleting_the_least_first_is_keeping_the_rest():
    """Both directions use one order: the two prefixes of r and 1 − r differ only by what a pair cannot split."""
    basis = DOMAINS.parse("fourier").bind(signal(9))
    order = descending(noise(len(basis)))
    for move in perturbations(0, order, basis.multiplicity, PAPER_GRID):
        least_first = order.flip(0)
        left = torch.ones(len(order), dtype=torch.bool)
        if move.mode == "keep":
            # Delete from the bottom until what is left fits into (1 − r) N.
            for feature in least_first:
                if int(basis.multiplicity[left].sum()) <= round(move.fraction * 9):
                    break
                left[feature] = False
            if not left.any() and move.fraction:
                left[order[0]] = True
            assert torch.equal(left, move.mask)


def test_wrong_grids():
    for wrong in ({}, {"keep": (1.5,)}, {"delete": (-0.1,)}, {"keep": (float("nan"),)}, {"keep": (True,)}):
        with pytest.raises(InputError, match="fractions from 0 to 1"):
            FractionGrid(**wrong)
    assert FractionGrid((0.1, 0.1)).keep == (0.1,)
    assert list(FractionGrid((0.2, 0.1), (0.1,))) == [("keep", 0.2), ("keep", 0.1), ("delete", 0.1)]


def test_shares_in_equal_ratios():
    shares = log_spaced(0.01, 0.16, 5)
    assert shares == pytest.approx((0.01, 0.02, 0.04, 0.08, 0.16))
    assert (shares[0], shares[-1]) == (0.01, 0.16)
    for wrong in ((0.0, 1.0, 3), (0.5, 0.2, 3), (0.1, 2.0, 3), (0.1, 1.0, 1)):
        with pytest.raises(InputError):
            log_spaced(*wrong)


def test_the_rest_of_another_question_takes_no_transform(monkeypatch):
    """The published grid's 20 rows are ten shares in two parts, which add up to the example: ten are transformed."""
    basis = DOMAINS.parse("fourier").bind(signal(16, 16))
    score = score_of(Smooth(3, 16, 16).eval(), noise(3, 16, 16), size=60)
    questions = questions_of(basis, noise(3, len(basis), seed=1), PAPER_GRID)
    rows, inverse = [], type(basis).inverse

    def counted(own, coefficients):
        rows.append(len(coefficients))
        return inverse(own, coefficients)

    monkeypatch.setattr(type(basis), "inverse", counted)
    run_perturbations(score, basis, questions)
    assert sum(rows) == 3 * 10


@pytest.mark.parametrize("least_first", [True, False])
@pytest.mark.parametrize("offset", [0, 1000])
def test_a_rest_is_as_exact_as_a_transform(offset, least_first):
    """Also where nearly all power lies in one feature, and what is left is the smaller part."""
    basis = DOMAINS.parse("fourier").bind(signal(16, 16))
    x = (noise(2, 16, 16) + offset).float()
    heard = []

    class Listens(Smooth):
        def forward(self, rows):
            heard.extend(rows.detach().double())
            return super().forward(rows)

    score = score_of(Listens(3, 16, 16).float().eval(), x, size=60)
    score.clean_reading()
    heard.clear()
    ranked = basis.magnitude(basis.forward(x)) * (-1 if least_first else 1)
    questions = questions_of(basis, ranked, FractionGrid((0.2, 0.5, 0.9), (0.2, 0.5, 0.9)))
    run_perturbations(score, basis, questions)
    assert len(heard) == len(questions)
    for move in questions:
        truth, ours = (
            basis.keep_features(basis.forward(own[move.example : move.example + 1]), move.mask.unsqueeze(0))[0]
            for own in (x.double(), x)
        )
        nearest = min(float((row - truth).norm()) for row in heard)
        assert nearest <= 5 * float((ours - truth).norm())
