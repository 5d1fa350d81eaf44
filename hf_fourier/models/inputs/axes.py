"""Arrays of any kind as signals: the names of their axes, the units of frequencies along them, and how they look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import ORDERED, InputError, brief, is_list_like, real_number
from hf_fourier.results.views import ImageView, NoView, SeriesView, SoundView, View, VolumeView
from hf_fourier.typing import Tensor

#: What an axis without an order is called.
CHANNEL = "channel"
#: The unit of a frequency along axes of these names; along others it is cycles per sample.
UNITS = {
    "height": "cycles/pixel", "width": "cycles/pixel", "depth": "cycles/voxel", "time": "cycles/step",
    "frame": "cycles/frame", "token": "cycles/token", "mel": "cycles/mel band", "position": "cycles/position",
}  # fmt: skip
#: Sampling rates from here on are those of sounds, in Hz.
SOUND = 4000.0


@dataclass(frozen=True)
class AxisNames:
    """What a user says about the axes of an example.

    Attributes:
        names: The names of its last axes, in their order; an axis that is called "channel" has no order. One more axis
            in front of them is one of channels, unless they name one. None: axes have no names, and all of one or two
            have an order, of more all but the first.
        rate: Samples per second along "time"; None where that is not known.
    """

    names: tuple[str, ...] | None = None
    rate: float | None = None

    @classmethod
    def of(cls, axes: Any, sampling_rate: Any) -> AxisNames:
        """The axes as a user gives them: one name or several; with a sampling rate alone the last one is "time".

        Raises:
            InputError: If they are no names, one is there twice, none has an order, or the rate is no rate of a "time".
        """
        rate = None
        if sampling_rate is not None:
            rate = float(real_number("sampling_rate", sampling_rate, "samples per second"))
            if not 0 < rate < float("inf"):
                raise InputError(f"sampling_rate {rate}", "samples per second, above 0", "correct `sampling_rate`")
        if axes is None:
            return cls(None if rate is None else ("time",), rate)
        names = (axes,) if isinstance(axes, str) else tuple(axes) if is_list_like(axes) else ()
        if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
            got, do = f"axes {brief(axes)}", "name each once, as axes=('height', 'width')"
            raise InputError(got, "the names of an example's last axes", do)
        names = tuple(CHANNEL if name.lower() in ("channels", CHANNEL) else name for name in names)
        if set(names) == {CHANNEL}:
            raise InputError(f"axes {names}", ORDERED, "name it, as axes=('channel', 'time')")
        if rate is not None and "time" not in names:
            raise InputError(f"sampling_rate {rate:g} of axes {names}", "an axis 'time'", "call it that in `axes`")
        return cls(names, rate)

    @property
    def names_all(self) -> bool:
        """Whether every axis of an example is named."""
        return self.names is not None and CHANNEL in self.names

    def holds_several(self, dimensions: int) -> bool:
        """Whether an array of so many dimensions is several examples, along its first axis."""
        return self.names is not None and dimensions == len(self.names) + (1 if self.names_all else 2)

    def shape_of(self, sizes: Sequence[int], channels: tuple[str, ...] = ()) -> SignalShape:
        """The shape of an example's signal.

        Args:
            sizes: The example's sizes, without a batch.
            channels: The names of its channels, where they have some.

        Raises:
            InputError: If it has not as many axes as are named.
        """
        found = _shape(self, tuple(sizes), channels)
        if found is None:
            assert self.names is not None
            more = "" if self.names_all else ", with one of channels in front of them or none"
            got = f"an example of shape {tuple(sizes)}"
            do = "correct `axes`, or let `preprocess` return such an array; several examples go in a list"
            raise InputError(got, f"the axes {', '.join(self.names)}{more}", do)
        return found


@lru_cache(maxsize=256)  # the same object for all examples of a size: examples are grouped by it
def _shape(names: AxisNames, sizes: tuple[int, ...], channels: tuple[str, ...]) -> SignalShape | None:
    if names.names is None:
        first = 1 if len(sizes) > 2 else 0
        return SignalShape(
            "tensor", tuple(Axis(f"axis{i + 1}", size, channel=i < first) for i, size in enumerate(sizes))
        )
    more = len(sizes) - len(names.names)
    if not 0 <= more <= (0 if names.names_all else 1):
        return None
    all_names = (CHANNEL,) * more + names.names
    axes = tuple(
        replace(axis, names=channels) if axis.channel and len(channels) == axis.length else axis
        for axis in (_axis(name, size, names) for name, size in zip(all_names, sizes, strict=True))
    )
    return SignalShape(_kind(all_names, sizes, names.rate), axes)


def _axis(name: str, size: int, names: AxisNames) -> Axis:
    """One axis with the unit of frequencies along it."""
    if name == CHANNEL:
        return Axis(CHANNEL, size, channel=True)
    if name == "time" and names.rate is not None:
        return Axis(name, size, "Hz", names.rate)
    in_space = names.names is not None and "depth" in names.names and name in ("height", "width")
    return Axis(name, size, "cycles/voxel" if in_space else UNITS.get(name, "cycles/sample"))


def _kind(names: tuple[str, ...], sizes: tuple[int, ...], rate: float | None) -> str:
    """The kind of signal that axes of these names are; "tensor" where none is known."""
    ordered = tuple(name for name in names if name != CHANNEL)
    in_front = CHANNEL not in names[1:]
    if ordered == ("height", "width") and in_front:
        return "pixels"
    if ordered == ("depth", "height", "width") and in_front:
        return "volume"
    if ordered[0] in ("time", "frame") and ordered[1:] == ("height", "width"):
        return "video"
    if ordered != ("time",):
        return "tensor"
    single = names == ("time",) or (names == (CHANNEL, "time") and sizes[0] == 1)
    return "waveform" if single and rate is not None and rate >= SOUND else "series"


def view_of(signal: SignalShape, values: Tensor, scale: tuple[Sequence[float], Sequence[float]] | None) -> View:
    """How a signal of this shape looks.

    Args:
        signal: Its shape.
        values: The clean signal.
        scale: Mean and standard deviation, one for each channel, that pictures were normalised by; None where they are
            not known: then values from 0 to 1 are taken as they are, and others from the smallest to the largest.
    """
    channels = [axis.length for axis in signal.axes if axis.channel]
    if signal.kind == "pixels" and channels in ([], [1], [3]):
        count = channels[0] if channels else 1
        if scale is not None and {len(part) for part in scale} <= {1, count}:
            mean, std = (tuple(map(float, part)) * (count // len(part)) for part in scale)
            return ImageView(mean, std)
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        size = (high - low) or 1.0
        return ImageView((-low / size,) * count, (1 / size,) * count)
    if signal.kind == "waveform":
        return SoundView(round(signal.axes[-1].rate))
    if signal.kind == "volume" and channels in ([], [1]):
        return VolumeView()
    if signal.kind == "series":
        return SeriesView()
    return NoView("it is not known how to draw the array", "use keep_top(), which returns an array like it")
