"""Results are values: nothing about them changes after they are made, and those that hold arrays are compared whole."""

import dataclasses

import numpy as np
import pytest

from hf_fourier import results
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.audio import AudioClip
from hf_fourier.results.relevance import Relevance
from hf_fourier.results.spectrum import Spectrum
from tests.values import changed, classes


@pytest.mark.parametrize("kind", classes(results, but=("Attribution",)), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    assert not changed(kind)


def test_an_attribution_gets_its_curve_later():
    assert "curve" in changed(Attribution)


@pytest.mark.parametrize(
    "made",
    [
        AudioClip(np.zeros(3), 8),
        Relevance(np.zeros(3), ("x",), (), "power"),
        Spectrum({"x": np.zeros(3)}, np.zeros(3), np.zeros(3), np.zeros(3), None, 1.0, 1),
    ],
    ids=lambda made: type(made).__name__,
)
def test_what_holds_arrays_is_itself_alone(made):
    """Comparing arrays entry by entry would raise; such a thing can be a key."""
    assert made == made
    assert made != dataclasses.replace(made)
    assert {made: 1}[made] == 1
