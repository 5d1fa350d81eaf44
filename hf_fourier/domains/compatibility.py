"""Compatibility of domains with kinds of signals, from one small signal of each kind."""

from __future__ import annotations

from hf_fourier.domains.base import DOMAINS
from hf_fourier.domains.layout import Axis, SignalShape

_COLOURS = Axis("channel", 3, channel=True)
_PICTURE = (Axis("height", 6, "cycles/pixel"), Axis("width", 7, "cycles/pixel"))

#: One small signal of each kind, with the axes that the model wrappers give it.
SAMPLES = {
    kind: SignalShape(kind, axes)
    for kind, axes in {
        "tokens": (Axis("token", 9, "cycles/token"), Axis("hidden", 4, channel=True)),
        "waveform": (Axis("time", 40, "Hz", 16000.0),),
        "spectrogram": (Axis("mel", 8, "cycles/mel band"), Axis("time", 12, "cycles/frame")),
        "pixels": (_COLOURS, *_PICTURE),
        "volume": (Axis("channel", 1, channel=True), *(Axis(name, 5, "cycles/voxel") for name in "zyx")),
        "video": (Axis("time", 8, "Hz", 25.0), _COLOURS, *_PICTURE),
        "series": (Axis("time", 20, "cycles/step"), Axis("variable", 2, channel=True)),
        "tensor": (Axis("axis0", 4), Axis("axis1", 5)),
    }.items()
}


def compatibility_table() -> dict[tuple[str, str], str | None]:
    """By (kind of signal, name of the domain): None where the domain suits the signal, or why it does not."""
    return {
        (kind, name): DOMAINS.parse(name).incompatibility(signal)
        for name in DOMAINS
        for kind, signal in SAMPLES.items()
    }
