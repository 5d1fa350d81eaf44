"""Metrics, tables and studies are values: nothing about them changes after they are made."""

import pytest

from hf_fourier import evaluation
from tests.values import changed, classes


@pytest.mark.parametrize("kind", classes(evaluation), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    assert not changed(kind)
