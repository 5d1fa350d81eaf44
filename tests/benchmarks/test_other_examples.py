"""Examples on which nothing was chosen: none of them is in an earlier draw."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import real
from hf_fourier import demo


def test_no_further_prompt_was_drawn_before(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [{"name": str(i), "audio": np.full(8000, i, dtype=np.float32), "rate": 8000} for i in range(216)]
    monkeypatch.setattr(demo, "prompts", lambda split: prompts)
    monkeypatch.setattr(real, "_openings", lambda clips: [clip["name"] for clip in clips])
    drawn = {name for count in real.DRAWN for name in real.seconds(count)}
    further = real.other_seconds(1000)
    assert len(drawn) + len(further) == 216
    assert not drawn & set(further)
    assert real.other_seconds(5) == further[:5]
