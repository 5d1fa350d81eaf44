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


FUNCTION = """
from __future__ import annotations
from hf_fourier.typing import Float, Tensor

def sums(x: Float[Tensor, "rows size"], y: Float[Tensor, " rows"], other: Unknown) -> Float[Tensor, " rows"]:
    return x.sum(-1) + y
"""


def test_names_that_are_there_for_type_checkers_alone_take_anything():
    from tests.shape_checks import CALLS, begin_test, checked

    names: dict[str, object] = {"__name__": "made"}
    exec(FUNCTION, names)
    sums = checked(names["sums"])
    assert sums(torch.ones(2, 3), torch.ones(2), "any").tolist() == [4.0, 4.0]
    for _ in range(CALLS - 1):
        with pytest.raises(beartype.roar.BeartypeCallHintViolation):
            sums(torch.ones(2, 3), torch.ones(1), "any")
    assert len(sums(torch.ones(2, 3), torch.ones(1), "any")) == 2  # checked no more, until the next test begins
    begin_test()
    with pytest.raises(beartype.roar.BeartypeCallHintViolation):
        sums(torch.ones(2, 3), torch.ones(1), "any")
