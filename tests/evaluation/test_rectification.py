"""Mistakes and swaps with known causes: one planted tone, found and exchanged exactly."""

import math

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.evaluation.rectification import BUDGET, tried_fractions
from hf_fourier.evaluation.studies.class_swap import class_swap
from tests.models import tiny_models, tiny_tokenizers
from tests.models.test_planted import TWO, WaveformReader, waves

LENGTH, TONE, LOUDER = 4000, 200, (317, 533, 801)
RATE = 16_000


def sound(seed, tone):
    """Noise, three tones that the model does not hear, and perhaps the softer one that it hears."""
    time = np.arange(LENGTH) / LENGTH
    made = 0.05 * np.random.default_rng(seed).standard_normal(LENGTH)
    made += sum(3 * np.sin(2 * np.pi * cycles * time + seed) for cycles in LOUDER)
    return ((made + tone * np.sin(2 * np.pi * TONE * time)).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def explainer():
    """Says "there" if it hears the tone."""
    model = WaveformReader(Wav2Vec2Config(**TWO), waves(LENGTH, TONE), gain=5e-2)
    return FourierExplainer(
        model, Wav2Vec2FeatureExtractor(do_normalize=False), task="audio-classification", method="ffc:kappa=.03,lam=0"
    )


def test_the_planted_frequency_is_what_has_to_go(explainer):
    found = explainer.rectify(sound(0, 1), "absent", budget=0.002)
    assert found.corrected
    assert found.features == 1
    assert found.fraction == pytest.approx(2 / LENGTH)
    first = found.attribution.layout.describe(int(found.attribution.order[0]))
    assert first["frequency"] == pytest.approx(TONE * RATE / LENGTH)
    assert (found.true_label, found.attribution.label) == ("absent", "there")
    assert explainer.predict(found.attribution, signal=found.signal()).label == "absent"
    spectrum = np.abs(np.fft.rfft(found.signal().numpy()))
    clean = np.abs(np.fft.rfft(found.attribution.signal.numpy()))
    changed = np.flatnonzero(np.abs(spectrum - clean) > 1e-2)
    assert changed.tolist() == [TONE]
    assert found.controls["magnitude"][0].first.count == 4  # after the three that are louder
    assert found.fewer_than("magnitude") == 0
    assert all(draw.first is None for draw in found.controls["random"])
    assert len(found.controls["random"]) == 5
    assert "corrected by deleting the top 1 features (0.050%)" in str(found)
    assert "magnitude yes (fewest 4)" in str(found)
    assert found.rebuilt() is not None
    went = np.abs(np.fft.rfft(found.removed_part().samples))
    assert np.flatnonzero(went > 1e-2).tolist() == [TONE]
    np.testing.assert_allclose(found.removed_part().samples + found.rebuilt().samples, sound(0, 1)[0], atol=1e-5)
    said = found.relevance().values
    assert said.shape == (LENGTH,)
    one = found.attribution.input_relevance(k=1).values
    np.testing.assert_array_equal(said, one)
    assert said.sum() > 0  # it speaks for the wrong class


def test_several_examples(explainer):
    examples = [sound(0, 1), sound(1, 0), sound(2, 1), sound(3, 1)]
    found = explainer.rectify(examples, ["absent"] * 4, random_orders=2, groups=["a", "b", "c", "c"])
    assert (found.places, found.already_correct, found.groups) == ([0, 2, 3], 1, ["a", "c", "c"])
    assert [one.features for one in found.corrections] == [1, 1, 1]
    rows = {row["ranking"]: row for row in found.summary().rows()}
    own, magnitude, random = rows["ffc:kappa=0.03,lam=0"], rows["magnitude"], rows["random"]
    assert (own["corrected"], own["features, median"], own["gap"], own["within 0.0100%"]) == (1, 1, 0, 1)
    assert (magnitude["corrected"], magnitude["gap"], magnitude["as few"]) == (0, -1, 0)  # the budget is two features
    assert math.isnan(magnitude["features, median"])
    assert random["n"] == 3
    assert len(found.table()) == 3 * 4
    assert "3 mistakes, 1 examples were right" in str(found)
    with pytest.raises(InputError, match="corrected one"):
        explainer.rectify([sound(0, 1)], ["absent"], "low_frequency").corrections[0].signal()


def test_alone_or_among_others_is_no_matter(explainer):
    examples = [sound(i, 1) for i in range(3)]
    together = explainer.rectify(examples, [0, 0, 0], "ffc", budget=0.01)
    for example, one in zip(examples, together.corrections, strict=True):
        alone = explainer.rectify(example, 0, "ffc", budget=0.01)
        assert alone.search == one.search
        assert alone.controls == one.controls


def test_what_is_tried(explainer):
    found = explainer.rectify(sound(0, 1), "absent", budget=0.1)
    counts = [trial.count for trial in found.search.trials]
    assert counts[:16] == list(range(1, 17))
    assert len(counts) <= 16 + 16 + 10
    assert found.search.trials[-1].fraction == pytest.approx(0.1, abs=1e-3)
    assert tried_fractions(BUDGET) == pytest.approx([i / 10000 for i in range(1, 11)])


def test_wrong_arguments(explainer):
    with pytest.raises(InputError, match="one that it misclassifies"):
        explainer.rectify(sound(1, 0), "absent")
    with pytest.raises(InputError, match="one for each"):
        explainer.rectify([sound(0, 1)], "absent")
    with pytest.raises(InputError, match="one for each"):
        explainer.rectify([sound(0, 1)], ["absent", "absent"])
    with pytest.raises(InputError, match="above 0"):
        explainer.rectify(sound(0, 1), "absent", budget=0)
    with pytest.raises(TargetError, match="did you mean 'absent'"):
        explainer.rectify(sound(0, 1), "absnt")
    assert str(explainer.rectify([sound(1, 0)], ["absent"])).endswith("0 mistakes, 1 examples were right")
    value = FourierExplainer(
        tiny_models.build("text-classification", "bert", num_labels=1), tiny_tokenizers.tokenizer("bert")
    )
    with pytest.raises(InputError, match="a classifier's mistakes"):
        value.rectify(tiny_tokenizers.texts(1), [0])


def test_the_tone_takes_its_class_along(explainer):
    """One feature is enough if it is the right one; the louder ones take nothing along."""
    recipients, donors = [sound(i, 0) for i in range(3)], [sound(10 + i, 1) for i in range(3)]
    found = class_swap(
        explainer, [*recipients, sound(5, 1)], [*donors, sound(6, 1)], "ffc:kappa=.03,lam=0", fractions=[0.0005, 0.002]
    )
    assert found.alike == 1
    rows = {(row["ranking"], row["fraction"]): row for row in found.table().rows()}
    own = rows["ffc:kappa=0.03,lam=0", 0.0005]
    assert (own["taken"], own["kept"], own["gap_magnitude"], own["n"]) == (1, 0, 1, 3)
    assert rows["magnitude", 0.0005]["taken"] == 0
    assert rows["magnitude", 0.002]["taken"] == 1  # four features hold all four tones
    assert rows["random", 0.002]["taken"] == 0
    assert "low_frequency" in str(found)


def test_amplitudes_are_exchanged_and_not_added(explainer):
    """A tone that is heard only at twice its amplitude is not heard in the recipient."""
    said = explainer.predict(sound(10, 0.07)).label
    assert said == "absent"
    assert explainer.predict(sound(10, 0.14)).label == "there"
    found = class_swap(
        explainer, [sound(0, 1)], [sound(10, 0.07)], "ffc:kappa=.03,lam=0", fractions=[1.0], unit="recipient"
    )
    assert found.predicted["ffc:kappa=0.03,lam=0", 1.0] == [0]
    assert found.predicted["magnitude", 1.0] == [0]


def test_swaps_that_cannot_be(explainer):
    with pytest.raises(InputError, match="as many of both"):
        class_swap(explainer, [sound(0, 1)], [])
    with pytest.raises(InputError, match="different classes"):
        class_swap(explainer, [sound(0, 1)], [sound(1, 1)])
    with pytest.raises(InputError, match="'donor' or"):
        class_swap(explainer, [sound(0, 1)], [sound(1, 0)], unit="both")
    text = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    with pytest.raises(InputError, match="one size"):
        class_swap(text, tiny_tokenizers.texts(1), [tiny_tokenizers.text(9, 8)])
    assert torch.is_grad_enabled()
