"""How a signal looks in human units, as `Attribution.render` returns it; stored with a result, it needs no model."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.results.audio import AudioClip, filtered
from hf_fourier.typing import Float, Tensor

VIEWS: dict[str, type[View]] = {}


class View(ABC):
    """Turns a signal into an image, a sound or an array. Subclasses are frozen dataclasses."""

    kind: ClassVar[str]

    @property
    def bounds(self) -> tuple[Tensor, Tensor] | None:
        """The range of the signal's entries, low and high, each broadcast to the signal; None for none."""
        return None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        VIEWS[cls.kind] = cls

    @abstractmethod
    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """The signal in human units."""

    def listen(
        self, clean: Float[Tensor, "*signal"], rebuilt: Float[Tensor, "*signal"], source: Mapping[str, Tensor]
    ) -> AudioClip:
        """A rebuilt signal as a sound.

        Args:
            clean: The clean signal.
            rebuilt: The signal to be heard.
            source: The raw example.

        Raises:
            InputError: If the signal is no sound.
        """
        raise InputError("audio() of a signal that is not a sound", "a waveform or a spectrogram", "call render()")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `view_from` reads back."""
        own = dataclasses.fields(self)  # type: ignore[arg-type]  # plain values all, which `asdict` would copy one by one
        return {"kind": self.kind, **{field.name: getattr(self, field.name) for field in own}}


def view_from(values: Mapping[str, Any]) -> View:
    """The view that `View.to_dict` wrote."""
    parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "kind"}
    return VIEWS[values["kind"]](**parameters)


@dataclass(frozen=True)
class ImageView(View):
    """Pixels as a picture: the processor's normalisation undone, clipped to the visible range.

    Attributes:
        mean: Per channel, in units of a picture from 0 to 1.
        std: Per channel, likewise.
        order: Which channel of the signal is red, green and blue, where they come in another order.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    order: tuple[int, ...] = ()
    kind: ClassVar[str] = "image"

    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """A `PIL.Image.Image`, RGB or grey, of the signal's size."""
        try:
            from PIL import Image
        except ImportError as error:
            raise MissingExtraError("PIL", "vision", "pictures") from error
        picture = self.pixels(signal.detach().cpu().float()).clamp(0, 1).mul(255).round().to(torch.uint8)
        if len(picture) == 1:
            return Image.fromarray(picture[0].numpy())
        return Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Black and white, by channel of the signal."""
        mean, std = self._scale
        ends = (0 - mean) / std, (1 - mean) / std
        return torch.minimum(*ends), torch.maximum(*ends)

    def pixels(self, signal: Float[Tensor, "channels height width"]) -> Float[Tensor, "channels height width"]:
        """The picture in real numbers, 0 to 1 where it is in range, its channels red, green and blue."""
        mean, std = (part.to(signal) for part in self._scale)
        picture = signal * std + mean
        return picture[list(self.order)] if self.order else picture

    def signal(self, pixels: Float[Tensor, "channels height width"]) -> Float[Tensor, "channels height width"]:
        """The inverse of `pixels`."""
        mean, std = (part.to(pixels) for part in self._scale)
        own = pixels[torch.tensor(self.order).argsort()] if self.order else pixels
        return (own - mean) / std

    @property
    def _scale(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (self.mean, self.std))
        return mean, std


@dataclass(frozen=True)
class VolumeView(View):
    """Voxels as an array: the model's own units, channels in front only where there are several."""

    kind: ClassVar[str] = "volume"

    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """A `numpy.ndarray`, `(depth, height, width)`."""
        array = signal.detach().cpu().float().numpy()
        return array[0] if len(array) == 1 else array


@dataclass(frozen=True)
class SeriesView(View):
    """A time series as an array, in the model's own units."""

    kind: ClassVar[str] = "series"

    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """A `numpy.ndarray`, `(time, channels)` or `(time,)`."""
        return signal.detach().cpu().numpy()


@dataclass(frozen=True)
class SoundView(View):
    """A waveform as a sound: the processor's normalisation undone.

    Attributes:
        rate: Samples per second.
        mean: The processor's mean.
        std: The processor's standard deviation.
    """

    rate: int
    mean: float = 0.0
    std: float = 1.0
    kind: ClassVar[str] = "sound"

    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """A `hf_fourier.results.audio.AudioClip`; of one channel also where the signal has an axis for it."""
        signal = signal.reshape(signal.shape[-1:])
        return AudioClip((signal.detach().cpu().float() * self.std + self.mean).numpy(), self.rate)

    def listen(
        self, clean: Float[Tensor, "*signal"], rebuilt: Float[Tensor, "*signal"], source: Mapping[str, Tensor]
    ) -> AudioClip:
        """The waveform itself."""
        sound: AudioClip = self.show(rebuilt)
        return sound


@dataclass(frozen=True)
class SpectrogramView(View):
    """A log-mel spectrogram, mel bands by frames, in decibels.

    Attributes:
        scale: Decibels per unit of the signal.
        offset: Decibels where the signal is 0.
        hop: Seconds between frames.
        rate: Samples per second of the sound it was made from.
        low: Hz of the lowest edge of the mel bands.
        high: Hz of the highest edge.
        mel_first: Whether the signal's first axis holds the mel bands (otherwise the frames).
        fft: Samples of the transform behind each frame.
        first: Seconds from the clip's start to the middle of the first frame.
    """

    scale: float
    offset: float
    hop: float
    rate: int
    low: float
    high: float
    mel_first: bool
    fft: int = 512
    first: float = 0.0
    kind: ClassVar[str] = "spectrogram"

    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """A `numpy.ndarray`, `(mel bands, frames)`, in dB."""
        decibels = (signal.detach().cpu().float() * self.scale + self.offset).numpy()
        return decibels if self.mel_first else decibels.T

    def listen(
        self, clean: Float[Tensor, "*signal"], rebuilt: Float[Tensor, "*signal"], source: Mapping[str, Tensor]
    ) -> AudioClip:
        """The clip, filtered by the change of its log-mel."""
        if "sound" not in source:
            raise InputError(
                "a spectrogram without the clip behind it", "an example given as a sound", "explain a clip"
            )
        change = torch.as_tensor(self.show(rebuilt) - self.show(clean))
        hop, first = round(self.hop * self.rate), round(self.first * self.rate)
        return filtered(source["sound"], source["mel_filters"], change, self.rate, self.fft, hop, first)


@dataclass(frozen=True)
class NoView(View):
    """A signal without human units; the error names what to call instead."""

    reason: str = "the signal cannot be turned back into an example"
    instead: str = "call input_relevance()"
    kind: ClassVar[str] = "none"

    def show(self, signal: Float[Tensor, "*signal"]) -> Any:
        """Never returns.

        Raises:
            InputError: Always.
        """
        raise InputError(f"render() of a signal where {self.reason}", "an image or a sound", self.instead)

    def listen(
        self, clean: Float[Tensor, "*signal"], rebuilt: Float[Tensor, "*signal"], source: Mapping[str, Tensor]
    ) -> AudioClip:
        """Never returns.

        Raises:
            InputError: Always.
        """
        raise InputError(f"audio() of a signal where {self.reason}", "a waveform or a spectrogram", self.instead)


@dataclass(frozen=True)
class GeneView(NoView):
    """Embedded genes: no person can read them, but each has an Ensembl id.

    Attributes:
        genes: The ids, in the cell's order.
    """

    reason: str = "embedded genes cannot be turned back into counts"
    instead: str = "call genes() for one number per gene"
    genes: tuple[str, ...] = ()
    kind: ClassVar[str] = "genes"


@dataclass(frozen=True)
class ResidueView(NoView):
    """Embedded residues: no person can read them, but each lies somewhere in the sequence.

    Attributes:
        places: Of each residue that the model reads, counted from 0.
        length: Of the whole sequence, with residues that masks hide or the model's length cuts off.
    """

    reason: str = "embedded tokens cannot be turned back into text"
    instead: str = "call input_relevance() for one number per token"
    places: tuple[int, ...] = ()
    length: int = 0
    kind: ClassVar[str] = "residues"


@dataclass(frozen=True)
class BaseView(NoView):
    """Embedded words of bases: no person can read them, but each lies somewhere in the sequence.

    Attributes:
        starts: The first base of each word, counted from 0.
        stops: The one behind its last. Words may overlap.
        sequence: The bases; "?" where a mask hides them or the model's length cuts them off.
    """

    reason: str = "embedded k-mers cannot be turned back into a sequence"
    instead: str = "call bases() for one number per base"
    starts: tuple[int, ...] = ()
    stops: tuple[int, ...] = ()
    sequence: str = ""
    kind: ClassVar[str] = "bases"
