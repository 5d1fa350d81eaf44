"""Domains, layouts and bases' parts are values that are cached and shared: nothing about them changes."""

import pytest

from hf_fourier import domains
from tests.values import changed, classes


@pytest.mark.parametrize("kind", classes(domains), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    assert not changed(kind)
