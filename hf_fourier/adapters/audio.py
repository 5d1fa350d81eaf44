"""Audio classifiers: FFC at the waveform (frequencies in Hz) or at the log-mel spectrogram (cycles per frame and bin).

Samples and frames that only fill a fixed window are held constant: they are no part of the leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.adapters.base import Adapter, Block, Encoded, Task, classification_head, dtype_of
from hf_fourier.domains import Axis, LeafShape
from hf_fourier.errors import InputError
from hf_fourier.seeding import Draw
from hf_fourier.sounds import Sound, read
from hf_fourier.targets import Head, logits_of
from hf_fourier.typing import Tensor
from hf_fourier.views import NoView, SoundView, SpectrogramView, View

#: The rate of a model that comes without a processor, in Hz.
USUAL_RATE = 16000
#: Decibels per unit of a natural logarithm of power.
DECIBELS = 10 / log(10)
#: Frames of the Kaldi filter bank: 25 ms long, 10 ms apart, none beyond the end.
KALDI_LENGTH, KALDI_HOP = 0.025, 0.010


class AudioAdapter(Adapter):
    """The leaf is `input_values` or `input_features`: samples `(time,)`, or mel bands and frames in the model's order."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "audio-classification": Task(
            "AutoModelForAudioClassification",
            "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES",
            ("ForAudioClassification",),
            "AutoFeatureExtractor",
        )
    }
    leaf_kinds: ClassVar[tuple[str, ...]] = ("waveform", "spectrogram")

    @property
    def main_input(self) -> str:  # type: ignore[override]
        """The name of the argument that takes the sound."""
        return "input_features" if self.accepts("input_features") else "input_values"

    @property
    def rate(self) -> int:
        """The model's sampling rate in Hz."""
        return int(getattr(self.processor, "sampling_rate", USUAL_RATE))

    def is_example(self, mapping: Mapping[str, Any]) -> bool:
        """Whether a mapping is one sound, as `datasets` gives it, and not a batch."""
        return "array" in mapping or "raw" in mapping

    def head(self) -> Head:
        """The classifier's head."""
        return classification_head(self.config)

    def encode(self, example: Any) -> Encoded:
        """A sound: a path, an array, a pair (array, rate) or `{"array": …, "sampling_rate": …}`.

        Channels are averaged, other rates resampled to the model's, and both are said in the notes.
        """
        if self.processor is None:
            raise self.no_processor(example)
        sound, notes = read(example, self.rate)
        batch = self.processor(sound.samples, sampling_rate=self.rate, return_tensors="pt")
        values = batch[self.main_input]
        others = {name: tensor for name, tensor in batch.items() if name != self.main_input and self.accepts(name)}
        mask = batch.get("attention_mask")
        if mask is None or mask.shape[-1] != values.shape[self._time_dim(values[0]) + 1]:
            filled, cut = self._content_length(values[0], sound)
            mask = (torch.arange(values.shape[self._time_dim(values[0]) + 1]) < filled).unsqueeze(0)
            notes += cut
        encoded = self._encoded(values[0], {n: t[0] for n, t in others.items()}, mask[0], notes)
        encoded.view = self._view(values[0], sound)
        encoded.source = self._source(sound, encoded.view)
        return encoded

    def encode_batch(self, batch: Mapping[str, Any]) -> list[Encoded]:
        """Rows of `input_values` or `input_features`; an `attention_mask` says what is padding."""
        value = batch.get(self.main_input)
        dimensions = 3 if isinstance(value, Tensor) and value.ndim == 3 else 2
        tensors = self.rows_of(batch, dimensions)
        values = tensors.pop(self.main_input)
        if not values.is_floating_point() or not bool(values.isfinite().all()):
            raise InputError(f"{self.main_input} that are not finite real numbers", "finite numbers", "mend the sound")
        masks = tensors.get("attention_mask")
        examples = []
        for i, row in enumerate(values):
            length = row.shape[self._time_dim(row)]
            mask = torch.ones(length) if masks is None or masks.shape[1] != length else masks[i]
            examples.append(self._encoded(row, {n: t[i] for n, t in tensors.items() if self.accepts(n)}, mask, ()))
        return examples

    def block(self, examples: Sequence[Encoded], draw: Draw) -> Block:
        """Sounds of one length."""
        return AudioBlock(self, examples)

    def _encoded(self, values: Tensor, others: dict[str, Tensor], mask: Tensor, notes: tuple[str, ...]) -> Encoded:
        content = (mask != 0).nonzero().flatten()
        if content.numel() == 0:
            raise InputError("a sound without samples that are not padding", "at least one", "pass a longer sound")
        self._check_length(values)
        time = self._time_dim(values)
        if values.ndim == 1:
            axes: tuple[Axis, ...] = (Axis("time", content.numel(), "Hz", float(self.rate)),)
        else:
            frames = Axis("time", content.numel(), "cycles/frame")
            bands = Axis("mel", values.shape[1 - time], "cycles/mel band")
            axes = (frames, bands) if time == 0 else (bands, frames)
        leaf = LeafShape("waveform" if values.ndim == 1 else "spectrogram", axes)
        return Encoded(leaf, {self.main_input: values, **others}, content=content, notes=notes)

    def _check_length(self, values: Tensor) -> None:
        """Refuse waveforms that the model's convolutions leave nothing of."""
        kernels, strides = getattr(self.config, "conv_kernel", None), getattr(self.config, "conv_stride", None)
        if values.ndim != 1 or not kernels or not strides:
            return
        least = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            least = (least - 1) * stride + kernel
        if len(values) < least:
            got = f"a sound of {len(values)} samples at {self.rate} Hz"
            raise InputError(got, f"at least {least}", "pass a longer sound")

    def _time_dim(self, values: Tensor) -> int:
        """The dimension of a leaf that counts time: the one that does not hold the mel bands."""
        if values.ndim == 1:
            return 0
        stated = [getattr(o, n, None) for o in (self.processor, self.config) for n in ("num_mel_bins", "feature_size")]
        bands = {int(size) for size in stated if isinstance(size, int) and size > 1}
        if values.shape[0] in bands and values.shape[1] not in bands:
            return 1
        return 0 if values.shape[1] in bands or values.shape[0] > values.shape[1] else 1

    def _content_length(self, values: Tensor, sound: Sound) -> tuple[int, tuple[str, ...]]:
        """How many samples or frames the sound itself fills, and what was cut off."""
        size, samples = values.shape[self._time_dim(values)], len(sound.samples)
        if values.ndim == 1:
            whole = samples
        elif getattr(self.processor, "hop_length", None):
            whole = ceil(samples / self.processor.hop_length)
        else:
            length, hop = round(KALDI_LENGTH * self.rate), round(KALDI_HOP * self.rate)
            whole = max(1, 1 + (samples - length) // hop)
        if whole <= size:
            return whole, ()
        kept = sound.seconds * size / whole
        return size, (f"a sound of {sound.seconds:.2f} s was cut to the model's window of {kept:.2f} s",)

    def _view(self, values: Tensor, sound: Sound) -> View:
        processor = self.processor
        if values.ndim == 1:
            if not getattr(processor, "do_normalize", False):
                return SoundView(self.rate)
            std = float(np.sqrt(sound.samples.var() + 1e-7))
            return SoundView(self.rate, float(sound.samples.mean()), std)
        mel_first = self._time_dim(values) == 1
        kind = type(processor).__name__
        if kind == "WhisperFeatureExtractor":
            hop = processor.hop_length / self.rate
            return SpectrogramView(40.0, -40.0, hop, self.rate, 0.0, self.rate / 2, mel_first, processor.n_fft)
        if kind == "ASTFeatureExtractor":
            scale, offset = (2 * processor.std, processor.mean) if processor.do_normalize else (1.0, 0.0)
            edges = (20.0, self.rate / 2)
            return SpectrogramView(DECIBELS * scale, DECIBELS * offset, KALDI_HOP, self.rate, *edges, mel_first, 512)
        return NoView(f"{kind} normalises in a way that is not undone", "use keep(), or call input_relevance()")

    def _source(self, sound: Sound, view: View) -> dict[str, Tensor]:
        """What a spectrogram needs to be heard again: the clip, and the mel filters, `(frequencies, bands)`."""
        filters = getattr(self.processor, "mel_filters", None)
        if not isinstance(view, SpectrogramView) or filters is None:
            return {}
        return {"sound": torch.from_numpy(sound.samples.copy()), "mel_filters": torch.as_tensor(filters).float()}


class AudioBlock(Block):
    """Sounds of one length on the model's device."""

    def __init__(self, adapter: AudioAdapter, examples: Sequence[Encoded]) -> None:
        self.adapter, self.head, self.dtype = adapter, adapter.head(), dtype_of(adapter.model)
        device = adapter.device
        first = examples[0].inputs
        self.inputs = {name: torch.stack([e.inputs[name] for e in examples]).to(device) for name in first}
        values = self.inputs.pop(adapter.main_input)
        self.values = values if values.dtype == torch.float64 else values.float()
        self.time = adapter._time_dim(self.values[0]) + 1
        content = torch.stack([e.content for e in examples if e.content is not None]).to(device)
        shape = [len(examples), *[1] * (self.values.ndim - 1)]
        shape[self.time] = content.shape[1]
        self.content = content.view(shape)
        self.x = self.values.gather(self.time, self._spread(self.content))

    def _spread(self, content: Tensor) -> Tensor:
        """The content's indices over all mel bands."""
        sizes = [-1 if d in (0, self.time) else size for d, size in enumerate(self.values.shape)]
        return content.expand(sizes)

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs with the content replaced by `x`, and the filling as it was."""
        values = self.values[rows].scatter(self.time, self._spread(self.content[rows]), x)
        others = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return self.adapter.run(**{self.adapter.main_input: values.to(self.dtype)}, **others)

    def select(self, outputs: Any, rows: Tensor) -> Tensor:
        """The class logits, `(rows, classes)`."""
        return logits_of(outputs)
