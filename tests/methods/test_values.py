"""A method is its settings, and a ranking what it returned: nothing about them changes. A recorder of calls does."""

import pytest

from hf_fourier import methods
from tests.values import changed, classes


@pytest.mark.parametrize("kind", classes(methods, but=("Recorder",)), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    assert not changed(kind)
