"""Differentiable front ends: from samples to a processor's own features, for models that read a log-mel.

Each equals its `transformers` feature extractor (held to it by tests, and by `FrontEnd.check` on every clip). Where the
extractor takes a maximum, gradients are its sub-gradients: an entry at a floor passes nothing on, ties share alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import log
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.errors import InputError, ModelError
from hf_fourier.torch_state import as_before, in_float64
from hf_fourier.typing import Float, Tensor

#: Frames of the Kaldi filter bank: 25 ms long, 10 ms apart, none beyond the end.
KALDI_LENGTH, KALDI_HOP, KALDI_FFT = 0.025, 0.010, 512
#: Kaldi's lowest mel edge in Hz, its pre-emphasis, and the least energy that it takes the logarithm of.
KALDI_LOW, KALDI_PREEMPHASIS, KALDI_FLOOR = 20, 0.97, 1.192092955078125e-07
#: The full scale of 16-bit samples, in which some extractors count.
INT16_SCALE = 2.0**15
#: Whisper's floors: of an entry, and below the loudest entry, both in powers of ten.
WHISPER_FLOOR, WHISPER_DEPTH = 1e-10, 8.0
#: How far a feature may lie from the processor's before the front end is refused: rounding stays far below it.
MAX_DIFFERENCE = 0.02

FRONT_ENDS: dict[str, type[FrontEnd]] = {}


def front_end(processor: Any) -> FrontEnd:
    """The front end of a processor, by the name of its class or of one that it derives from.

    Raises:
        ModelError: If none is known, or the processor draws noise.
    """
    cls = front_end_class(processor)
    if cls is not None and getattr(processor, "dither", False):
        got = f"{type(processor).__name__} with dither={processor.dither}, which adds noise of its own"
        raise ModelError(got, "a spectrogram that depends on the sound alone", "set `processor.dither = 0.0`")
    if cls is not None:
        return cls(processor)
    got = f"signal 'waveform' through {type(processor).__name__}"
    expected = f"a processor with a differentiable front end ({', '.join(sorted(FRONT_ENDS))}), or a waveform model"
    raise ModelError(got, expected, "leave `signal` out to explain the model's own input")


def front_end_class(processor: Any) -> type[FrontEnd] | None:
    """The front end's class for a processor, or None."""
    return next((FRONT_ENDS[cls.__name__] for cls in type(processor).__mro__ if cls.__name__ in FRONT_ENDS), None)


class FrontEnd(ABC):
    """One feature extractor as a torch function of samples.

    Args:
        processor: The `transformers` feature extractor.

    Attributes:
        time: The dimension of one example's features that counts frames.
        window: The most samples that the extractor takes; None without a limit.
        floor: What it makes of digital silence; None where that depends on the rest of the clip.
    """

    time: int
    window: int | None = None
    floor: float | None = None

    def __init_subclass__(cls, reads: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if reads:
            FRONT_ENDS[reads] = cls

    def __init__(self, processor: Any) -> None:
        self.name = type(processor).__name__

    @abstractmethod
    def __call__(self, samples: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows ..."]:
        """The features of clips of one length, at most `window` samples, in the samples' own precision."""

    @abstractmethod
    def frames_heard(self, samples: int) -> int | None:
        """How many entries along time hear at least one of so many samples; None where nothing fills a window."""

    def check(self, samples: Float[Tensor, " samples"], features: Float[Tensor, "..."]) -> None:
        """Hold this front end to what the processor made of a clip.

        Raises:
            InputError: If they differ by more than rounding.
        """
        with torch.no_grad():
            ours = self(samples.unsqueeze(0))[0]
        same = ours.shape == features.shape
        away = float((ours - features.to(ours)).abs().max()) if same else float("inf")
        if not away <= MAX_DIFFERENCE:
            got = (
                f"a spectrogram of {self.name} that its differentiable copy here does not reproduce (off by {away:.2g})"
            )
            raise InputError(
                got, "a processor with its own defaults", "leave `signal` out to explain the model's input"
            )

    def placed(self, name: str, like: Tensor) -> Tensor:
        """A table of the front end on the device and in the type of samples, where it is copied to once."""
        copies: dict[tuple[str, torch.device, torch.dtype], Tensor] = vars(self).setdefault("_copies", {})
        key = name, like.device, like.dtype
        if key not in copies:
            copies[key] = getattr(self, name).to(like)
        return copies[key]


class WhisperFrontEnd(FrontEnd, reads="WhisperFeatureExtractor"):
    """Log-mel over a window that is filled up with silence, `(bands, frames)`; runs in the samples' precision.

    Entries more than 8 powers of ten below the clip's loudest one are raised to that floor: they pass nothing on
    themselves, and what they would pass on goes to the loudest entry, whose change moves the floor.
    """

    time = 1

    def __init__(self, processor: Any) -> None:
        super().__init__(processor)
        self.fft, self.hop, self.window = int(processor.n_fft), int(processor.hop_length), int(processor.n_samples)
        self.filling = float(processor.padding_value)
        self.filters = torch.as_tensor(np.asarray(processor.mel_filters)).T  # bands by frequencies

    def __call__(self, samples: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows bands frames"]:
        """As `_torch_extract_fbank_features`, row by row."""
        assert self.window is not None
        rest = self.window - samples.shape[1]
        filled = torch.nn.functional.pad(samples, (0, rest), value=self.filling)
        window = torch.hann_window(self.fft, dtype=samples.dtype, device=samples.device)
        spectrum = torch.stft(filled, self.fft, self.hop, window=window, return_complex=True)[..., :-1]
        power = spectrum.real.square() + spectrum.imag.square()  # smooth at 0, where the modulus is not
        logarithm = (self.placed("filters", power) @ power).clamp(min=WHISPER_FLOOR).log10()
        logarithm = torch.maximum(logarithm, logarithm.amax((1, 2), keepdim=True) - WHISPER_DEPTH)
        return (logarithm + 4.0) / 4.0

    def frames_heard(self, samples: int) -> int:
        """Frames whose middle is less than half a transform beyond the end."""
        assert self.window is not None
        return min(self.window // self.hop, -(-(samples + self.fft // 2) // self.hop))


class KaldiFrontEnd(FrontEnd):
    """Kaldi's filter bank, in float64: what lies far below a loud tone would be rounding in float32.

    Attributes:
        scale: What samples are multiplied by.
        shape: Of the frames' window.
    """

    time = 0
    scale: ClassVar[float] = INT16_SCALE
    shape: ClassVar[str] = "povey"

    def __init__(self, processor: Any) -> None:
        super().__init__(processor)
        self.length = round(KALDI_LENGTH * processor.sampling_rate)
        self.hop = round(KALDI_HOP * processor.sampling_rate)
        filters = getattr(processor, "mel_filters", None)
        if filters is None:
            filters = kaldi_filters(processor.num_mel_bins, processor.sampling_rate)
        self.filters = torch.as_tensor(np.asarray(filters)).double()
        hann = torch.hann_window(self.length, periodic=False, dtype=torch.float64)
        self.frame = hann**0.85 if self.shape == "povey" else hann

    def frames(self, samples: int) -> int:
        """How many frames fit into so many samples."""
        return max(0, 1 + (samples - self.length) // self.hop)

    def frames_heard(self, samples: int) -> int | None:
        """Nothing fills a window."""
        return None

    def bank(self, samples: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows frames bands"]:
        """The logarithm of each band's energy, or of Kaldi's floor, float64 where the device has that."""
        frames = (in_float64(samples) * self.scale).unfold(1, self.length, self.hop)
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        frames = (frames - KALDI_PREEMPHASIS * before) * self.placed("frame", frames)
        spectrum = torch.fft.rfft(frames, KALDI_FFT)
        power = spectrum.real.square() + spectrum.imag.square()
        return as_before((power @ self.placed("filters", power)).clamp(min=KALDI_FLOOR).log(), samples)


class ASTFrontEnd(KaldiFrontEnd, reads="ASTFeatureExtractor"):
    """The filter bank, filled up to a fixed number of frames and normalised by two constants, `(frames, bands)`."""

    scale = 1.0
    shape = "hann"

    def __init__(self, processor: Any) -> None:
        super().__init__(processor)
        self.most = int(processor.max_length)
        self.window = (self.most - 1) * self.hop + self.length
        self.mean = float(processor.mean) if processor.do_normalize else 0.0
        self.divisor = 2.0 * float(processor.std) if processor.do_normalize else 1.0
        self.floor = (log(KALDI_FLOOR) - self.mean) / self.divisor

    def __call__(self, samples: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows frames bands"]:
        """As the extractor does, frame by frame."""
        bank = self.bank(samples)
        filled = torch.nn.functional.pad(bank, (0, 0, 0, self.most - bank.shape[1]))
        return ((filled - self.mean) / self.divisor).to(samples.dtype)

    def frames_heard(self, samples: int) -> int:
        """Frames that lie in the clip whole."""
        return min(self.most, self.frames(samples))


class SeamlessFrontEnd(KaldiFrontEnd, reads="SeamlessM4TFeatureExtractor"):
    """The filter bank, each band with mean 0 and variance 1 over the clip, `stride` frames side by side.

    So every entry moves with the whole clip, and no entry's gradient stays at its own time.
    """

    def __init__(self, processor: Any) -> None:
        super().__init__(processor)
        self.stride, self.filling = int(processor.stride), float(processor.padding_value)

    def __call__(self, samples: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows frames bands"]:
        """As the extractor does; an odd frame is filled up to two, as by its default `pad_to_multiple_of`."""
        bank = self.bank(samples)
        bank = (bank - bank.mean(1, keepdim=True)) / (bank.var(1, keepdim=True) + 1e-7).sqrt()
        bank = torch.nn.functional.pad(bank, (0, 0, 0, bank.shape[1] % 2), value=self.filling)
        whole = bank[:, : bank.shape[1] // self.stride * self.stride]
        return whole.reshape(len(bank), -1, self.stride * bank.shape[2]).to(samples.dtype)


class Speech2TextFrontEnd(KaldiFrontEnd, reads="Speech2TextFeatureExtractor"):
    """The filter bank, each band normalised over the clip, `(frames, bands)`."""

    def __init__(self, processor: Any) -> None:
        super().__init__(processor)
        self.means = processor.do_ceptral_normalize and processor.normalize_means
        self.variances = processor.do_ceptral_normalize and processor.normalize_vars

    def __call__(self, samples: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows frames bands"]:
        """As the extractor does."""
        bank = self.bank(samples)
        bank = bank - bank.mean(1, keepdim=True) if self.means else bank
        bank = bank / bank.std(1, correction=0, keepdim=True) if self.variances else bank
        return bank.to(samples.dtype)


def kaldi_filters(bands: int, rate: int) -> np.ndarray:
    """The mel filters of extractors that leave them to torchaudio, `(frequencies, bands)`."""
    from transformers.audio_utils import mel_filter_bank

    edges = {"min_frequency": KALDI_LOW, "max_frequency": rate // 2, "sampling_rate": rate}
    options = {"norm": None, "mel_scale": "kaldi", "triangularize_in_mel_space": True}
    return np.asarray(mel_filter_bank(KALDI_FFT // 2 + 1, bands, **edges, **options))
