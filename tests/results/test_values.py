"""Results are values: nothing about them changes after they are made, and those that hold arrays are compared whole."""

import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest

from hf_fourier import results
from hf_fourier.results.audio import AudioClip
from hf_fourier.results.relevance import Relevance
from hf_fourier.results.spectrum import Spectrum

#: An attribution's curve is added to it.
CHANGING = {"Attribution"}


def classes():
    for info in pkgutil.iter_modules(results.__path__, "hf_fourier.results."):
        module = importlib.import_module(info.name)
        yield from (
            thing
            for thing in vars(module).values()
            if isinstance(thing, type) and dataclasses.is_dataclass(thing) and thing.__module__ == info.name
        )


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        if kind.__name__ in CHANGING:
            setattr(made, field.name, None)
        else:
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(made, field.name, None)


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
