"""Options, plans and outcomes of runs are values: nothing about them changes after they are made."""

import pytest

from hf_fourier import runs
from tests.values import changed, classes

CHANGING = ("Recording", "_Column", "Worker")


@pytest.mark.parametrize("kind", classes(runs, but=CHANGING), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    assert not changed(kind)


def test_a_hundred_features_are_stored_where_no_other_number_is_given():
    assert runs.options.RunOptions().to_manifest()["top"] == 100
