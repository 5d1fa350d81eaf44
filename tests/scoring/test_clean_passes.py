"""Clean passes that are made once: the gradients of several labels from one forward pass are those of each alone."""

import torch

from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.clean_passes import CleanPass, SharedScore
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.heads.outputs import logits_of
from hf_fourier.scoring.score import Score
from tests.toy_scores import Smooth, noise

ROWS, LABELS = 2, (0, 1, 2)


def arguments(model, x, target):
    def forward(signal, rows):
        return model(signal)

    return (x, forward, lambda outputs, rows: logits_of(outputs), Categorical(), [target] * ROWS, MicroBatcher(ROWS))


def test_gradients_of_all_labels_come_from_one_forward_pass():
    model, x = Smooth(3, 5).eval(), noise(ROWS, 5)
    shared = [CleanPass(LABELS) for _ in x]
    SharedScore(shared, False, *arguments(model, x, 0), model=model).clean_reading()
    for label in LABELS:
        found = SharedScore(shared, True, *arguments(model, x, label), model=model).clean()
        alone = Score(*arguments(model, x, label), model=model).clean()
        torch.testing.assert_close(found.margin_gradient, alone.margin_gradient)
        torch.testing.assert_close(found.reading.value, alone.reading.value)
    assert [set(one.gradients) for one in shared] == [{(float(label),) for label in LABELS}] * ROWS


def test_the_score_for_other_targets_reads_the_known_answers_anew():
    model, x = Smooth(3, 5).eval(), noise(ROWS, 5)
    shared = [CleanPass(LABELS) for _ in x]
    SharedScore(shared, False, *arguments(model, x, 0), model=model).clean_reading()
    first = SharedScore(shared, True, *arguments(model, x, 0), model=model)
    first.clean()
    other = first.for_targets([1] * ROWS)
    expected = Score(*arguments(model, x, 1), model=model).clean()
    torch.testing.assert_close(other.clean().reading.value, expected.reading.value)
    torch.testing.assert_close(other.clean().margin_gradient, expected.margin_gradient)
    torch.testing.assert_close(
        first.clean().reading.value, Score(*arguments(model, x, 0), model=model).clean().reading.value
    )


def test_coefficients_are_computed_once_for_all_methods_and_kept_of_one_domain_at_a_time(monkeypatch):
    model, x = Smooth(3, 8).eval(), noise(ROWS, 8)
    shared = [CleanPass(LABELS) for _ in x]
    waveform = SignalShape("waveform", (Axis("time", 8, "Hz", 8.0),))
    fourier, cosine = (DOMAINS.parse(name).bind(waveform) for name in ("fourier", "cosine"))
    expected, transformed = fourier.forward(x), []
    forward = type(fourier).forward
    monkeypatch.setattr(
        type(fourier), "forward", lambda self, rows: transformed.append(len(rows)) or forward(self, rows)
    )
    for some in (shared, shared[::-1], [shared[1]] * ROWS):
        rows = x[[shared.index(one) for one in some]]
        found = SharedScore(some, True, *arguments(model, rows, 0), model=model).coefficients(fourier)
        torch.testing.assert_close(found, torch.stack([expected[shared.index(one)] for one in some]))
    assert transformed == [ROWS]
    score = SharedScore(shared, True, *arguments(model, x, 0), model=model)
    torch.testing.assert_close(score.coefficients(cosine), cosine.forward(x))
    assert [one.basis for one in shared] == [cosine] * ROWS
    score.coefficients(fourier)
    assert transformed == [ROWS, ROWS]
    frame = score.once(fourier, "more than may be kept", lambda: x.repeat(1, 3))
    assert frame.shape == (ROWS, 24)
    assert [{*one.made} for one in shared] == [{"coefficients"}] * ROWS
