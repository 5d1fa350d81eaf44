"""Which domain suits which leaf: the whole matrix, and that each exclusion says why."""

import pytest

from hf_fourier.domains import DOMAINS, KINDS, Axis, LeafShape
from hf_fourier.errors import SpecError

COLOURS = Axis("channel", 3, channel=True)
PICTURE = (Axis("height", 6, "cycles/pixel"), Axis("width", 7, "cycles/pixel"))
LEAVES = {
    "tokens": (Axis("token", 9, "cycles/token"), Axis("hidden", 4, channel=True)),
    "waveform": (Axis("time", 40, "Hz", 16000.0),),
    "spectrogram": (Axis("mel", 8, "cycles/mel band"), Axis("time", 12, "cycles/frame")),
    "pixels": (COLOURS, *PICTURE),
    "volume": (Axis("channel", 1, channel=True), *(Axis(name, 5, "cycles/voxel") for name in "zyx")),
    "video": (Axis("time", 8, "Hz", 25.0), COLOURS, *PICTURE),
    "series": (Axis("time", 20, "cycles/step"), Axis("variable", 2, channel=True)),
    "tensor": (Axis("axis0", 4), Axis("axis1", 5)),
}
#: The exclusions: everything else suits.
EXCLUDED = {("pixels", "stft"), ("volume", "stft")}


def test_every_kind_of_leaf_is_here():
    assert set(LEAVES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(DOMAINS))
def test_the_matrix(kind, name):
    domain, leaf = DOMAINS.parse(name), LeafShape(kind, LEAVES[kind])
    reason = domain.suits(leaf)
    if (kind, name) not in EXCLUDED:
        assert reason is None
        assert len(domain.bind(leaf)) > 0
        return
    assert reason
    with pytest.raises(SpecError) as error:
        domain.bind(leaf)
    assert error.value.do == reason
    assert name in error.value.got
    assert kind in error.value.got


def test_a_video_needs_a_time_axis():
    frames = LeafShape("video", (Axis("frame", 8, "cycles/frame"), COLOURS, *PICTURE))
    with pytest.raises(SpecError, match="name its time axis"):
        DOMAINS.parse("stft").bind(frames)
    assert DOMAINS.parse("stft:4,axis=frame").bind(frames).layout.with_role("frequency")[0].axis == "frame"
    assert DOMAINS.parse("stft").bind(LeafShape("video", LEAVES["video"])).layout["frequency"].max() == 12.5
