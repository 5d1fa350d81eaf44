"""Clean passes that are made once: the gradients of several labels from one forward pass are those of each alone."""

import torch

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
