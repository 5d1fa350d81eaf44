"""Shape annotations are checked while the tests run."""

import beartype.roar
import pytest
import torch

from hf_fourier.domains.identity import Identity
from hf_fourier.domains.layout import Axis, SignalShape


def test_a_wrong_shape_is_caught(request):
    if request.config.getoption("--no-shape-checks"):
        pytest.skip("switched off with --no-shape-checks")
    basis = Identity().bind(SignalShape("tensor", (Axis("sample", 3),)))
    two, four = torch.zeros(2, 3), torch.zeros(4, 3)
    assert basis.inner(two, two).shape == (2, 3)
    with pytest.raises(beartype.roar.BeartypeCallHintViolation):
        basis.inner(two, four)
