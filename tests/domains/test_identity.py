"""The identity domain, and what layouts say in words."""

import pytest
import torch

from hf_fourier.domains import Axis, Fourier, Identity, SignalShape
from hf_fourier.errors import SpecError
from tests.toy_scores import noise, signal


def test_features_are_entries():
    basis = Identity().bind(signal(2, 3))
    x = noise(2, 2, 3)
    assert torch.equal(basis.forward(x), x.flatten(1))
    assert torch.equal(basis.magnitude(basis.forward(x)), x.flatten(1).abs())
    assert basis.layout["axis0"].tolist() == [0, 0, 0, 1, 1, 1]
    assert basis.layout["axis1"].tolist() == [0, 1, 2, 0, 1, 2]
    assert basis.layout.radius is None
    kept = basis.keep_features(basis.forward(x), torch.tensor([[True] * 2 + [False] * 4] * 2))
    assert torch.equal(kept[:, 0, :2], x[:, 0, :2])
    assert not kept[:, 1].any()


@pytest.mark.parametrize("channel", [0, 2])
def test_positions_take_their_channels_along(channel):
    sizes = (3, 4, 5) if channel == 0 else (4, 5, 3)
    basis = Identity(grain="position").bind(signal(*sizes, channels=(channel,)))
    x = noise(2, *sizes)
    f = basis.forward(x)
    assert len(basis) == 20
    assert basis.multiplicity.tolist() == [3] * 20
    torch.testing.assert_close(basis.magnitude(f), x.square().mean(channel + 1).sqrt().flatten(1))
    torch.testing.assert_close(
        basis.keep_features(f, (torch.arange(20) == 7).expand(2, -1)).abs().sum(channel + 1).nonzero()[0],
        torch.tensor([0, 1, 2]),
    )
    rows, columns = (column.values.tolist() for column in basis.layout.columns)
    assert (rows[7], columns[7]) == (1, 2)


def test_an_unknown_grain_is_refused():
    with pytest.raises(SpecError, match="grain"):
        Identity(grain="pixel")


def test_a_feature_in_words():
    shape = SignalShape(
        "pixels", (Axis("channel", 3, channel=True), Axis("height", 8, "cycles/pixel"), Axis("width", 8))
    )
    layout = Fourier().bind(shape).layout
    k = len(layout) - 1
    assert layout.label(k).startswith("channel 2, frequency_height")
    assert "cycles/pixel" in layout.label(k)
    assert set(layout.describe(k)) == {"channel", "frequency_height", "frequency_width"}
    with pytest.raises(KeyError, match="frequency_depth"):
        layout["frequency_depth"]
    assert [c.name for c in layout.with_role("frequency")] == ["frequency_height", "frequency_width"]
