"""Octave bands of a real picture and a real sound, asked one by one and in all combinations: cost, sums, agreement."""

from __future__ import annotations

import pytest

from hf_fourier import FourierExplainer, demo
from tests.end_to_end.cases import Asset
from tests.end_to_end.test_sound import clips, example

pytestmark = pytest.mark.assets


@pytest.mark.parametrize("name", ["efficientnet-lite0", "whisper-instruments"])
def test_octave_bands(asset: Asset, name: str) -> None:
    explain = FourierExplainer.from_pretrained(str(asset(name)), device="cpu")
    one = demo.pictures()[0][1] if name == "efficientnet-lite0" else example(clips(name, asset, 1)[0])
    values = explain.explain(one, method="shapley")
    assert values.layout.domain == "fourier:bands=octave"
    assert values.provenance["passes"]["forward"] <= 260
    assert values.provenance["passes"]["backward"] == 0
    assert abs(values.completeness_error or 0) < 1e-5
    both = explain.explain(one, method="occlusion:mode=both")
    assert both.provenance["passes"]["forward"] <= 60
    for way in ("alone", "deleted"):
        assert float((both.extras[way] - values.extras[way]).abs().max()) < 1e-3
