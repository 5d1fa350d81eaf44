"""Which domain suits which signal: the whole matrix, and that each exclusion says why."""

import pytest

from hf_fourier.domains import DOMAINS, KINDS, SAMPLES, Axis, SignalShape, compatibility_table
from hf_fourier.errors import SpecError

#: The exclusions: everything else suits.
EXCLUDED = {("pixels", "stft"), ("volume", "stft"), *((kind, "fitted") for kind in KINDS)}


def test_every_kind_of_signal_is_here():
    assert set(SAMPLES) == set(KINDS)
    assert all(signal.kind == kind for kind, signal in SAMPLES.items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(DOMAINS))
def test_the_matrix(kind, name):
    domain, signal = DOMAINS.parse(name), SAMPLES[kind]
    reason = compatibility_table()[kind, name]
    assert reason == domain.incompatibility(signal)
    if (kind, name) not in EXCLUDED:
        assert reason is None
        assert len(domain.bind(signal)) > 0
        return
    assert reason
    with pytest.raises(SpecError) as error:
        domain.bind(signal)
    assert error.value.hint == reason
    assert name in error.value.got
    assert kind in error.value.got


def test_a_video_needs_a_time_axis():
    frames = SignalShape("video", (Axis("frame", 8, "cycles/frame"), *SAMPLES["video"].axes[1:]))
    with pytest.raises(SpecError, match="name its time axis"):
        DOMAINS.parse("stft").bind(frames)
    assert DOMAINS.parse("stft:4,axis=frame").bind(frames).layout.with_role("frequency")[0].axis == "frame"
    assert DOMAINS.parse("stft").bind(SAMPLES["video"]).layout["frequency"].max() == 12.5
