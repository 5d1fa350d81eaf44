"""Audio models: FFC at the waveform (frequencies in Hz) or at the log-mel spectrogram (cycles per frame and bin).

The signal is the model's own input; with `signal="waveform"` it is the samples also where the model reads a log-mel.
Samples and frames that only fill a fixed window are held constant: they are no part of the signal.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import ceil, log
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.audio_batches import AudioBatch, WaveformBatch
from hf_fourier.models.base import ModelWrapper, Task, check_numbers
from hf_fourier.models.generation import unapplied
from hf_fourier.models.inputs.audio import read_audio
from hf_fourier.models.inputs.containers import is_stored
from hf_fourier.models.inspection import classification_head, labels_of
from hf_fourier.models.log_mel import (
    KALDI_FFT,
    KALDI_HOP,
    KALDI_LENGTH,
    FrontEnd,
    front_end,
    front_end_class,
    kaldi_filters,
)
from hf_fourier.models.padding import TIME_MASKS, in_time, unmasked
from hf_fourier.models.seq2seq_outputs import cut_short, generate, given_output, output_forms, output_rules
from hf_fourier.models.token_batches import OUTPUT
from hf_fourier.models.tokenization import OutputHead
from hf_fourier.results.audio import AudioClip
from hf_fourier.results.views import NoView, SoundView, SpectrogramView, View
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.heads import Categorical, Head, Similarity, Transcript
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float32, taken
from hf_fourier.typing import Tensor

#: The rate of a model that comes without a processor, in Hz.
USUAL_RATE = 16000
#: The highest rate of a model, in Hz.
MOST_RATE = 10**6
#: The note on a batch without a mask.
NO_MASK = "no attention_mask: padding of the window, if any, was transformed like the sound"
#: Decibels per unit of a natural logarithm of power.
DECIBELS = 10 / log(10)
#: Architectures whose spectrograms have the mel bands first, where the number of bands does not show it.
MEL_FIRST = ("whisper",)


class AudioWrapper(ModelWrapper):
    """The signal is `input_values` or `input_features`: samples `(time,)`, or mel bands and frames in their order."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "audio-classification": Task(
            "AutoModelForAudioClassification",
            "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES",
            ("ForAudioClassification",),
            "AutoFeatureExtractor",
        ),
        "automatic-speech-recognition": Task(
            "AutoModelForSpeechSeq2Seq", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES", (), "AutoProcessor"
        ),
        "ctc": Task("AutoModelForCTC", "MODEL_FOR_CTC_MAPPING_NAMES", ("ForCTC",), "AutoProcessor"),
        "audio-frame-classification": Task(
            "AutoModelForAudioFrameClassification",
            "MODEL_FOR_AUDIO_FRAME_CLASSIFICATION_MAPPING_NAMES",
            ("ForAudioFrameClassification",),
            "AutoFeatureExtractor",
        ),
        "audio-xvector": Task(
            "AutoModelForAudioXVector",
            "MODEL_FOR_AUDIO_XVECTOR_MAPPING_NAMES",
            ("ForXVector",),
            "AutoFeatureExtractor",
        ),
        # Only on request, as with texts.
        "audio-feature-extraction": Task("AutoModel", "", (), "AutoFeatureExtractor"),
    }
    signal_kinds: ClassVar[tuple[str, ...]] = ("waveform", "spectrogram")

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, getattr(processor, "feature_extractor", processor), task)
        self.tokenizer = getattr(processor, "tokenizer", None)
        self.chosen_signal: str | None = None
        self.front: FrontEnd | None = None

    def select_signal(self, signal: str | None) -> None:
        """Explain at the waveform or at the spectrogram; None for the model's own input.

        Raises:
            ModelError: If it is neither, or the processor has no differentiable front end.
        """
        super().select_signal(signal)
        reads_features = front_end_class(self.processor) is not None or (
            self.processor and self.main_input == "input_features"
        )
        self.chosen_signal, self.front = (
            signal,
            front_end(self.processor) if signal == "waveform" and reads_features else None,
        )

    def of_model(self, model: torch.nn.Module) -> ModelWrapper:
        """The same for other weights, at the same signal.

        Args:
            model: A module of the same class.
        """
        other = super().of_model(model)
        other.select_signal(self.chosen_signal)
        return other

    @property
    def main_input(self) -> str:  # type: ignore[override]
        """The name of the argument that takes the sound."""
        return "input_features" if self.accepts("input_features") else "input_values"

    @property
    def rate(self) -> int:
        """The model's sampling rate in Hz.

        Raises:
            ModelError: If its processor states none that can be.
        """
        stated = getattr(self.processor, "sampling_rate", USUAL_RATE)
        if not isinstance(stated, (int, float)) or isinstance(stated, bool) or not 1 <= stated <= MOST_RATE:
            got = f"a processor with sampling_rate {repr(stated)[:40]}"
            raise ModelError(got, f"a rate from 1 to {MOST_RATE:,} Hz", "correct `sampling_rate` of the processor")
        return int(stated)

    @cached_property
    def window(self) -> int | None:
        """The most samples that the processor passes on; None without a limit."""
        cls = front_end_class(self.processor)
        return getattr(self.processor, "nb_max_samples", None) if cls is None else cls(self.processor).window

    def is_example(self, mapping: Mapping[str, Any]) -> bool:
        """Whether a mapping is one sound, as `datasets` gives it, and not a batch."""
        return "array" in mapping or "raw" in mapping or is_stored(mapping)

    def head(self) -> Head:
        """What reads the model's outputs, by its task."""
        match self.task:
            case "automatic-speech-recognition":
                return OutputHead(self.tokenizer)
            case "ctc":
                return Transcript(self.tokenizer, int(getattr(self.config, "pad_token_id", None) or 0))
            case "audio-frame-classification":
                return Categorical(labels_of(self.config))
            case "audio-xvector" | "audio-feature-extraction":
                return Similarity()
        return classification_head(self.config)

    def prepare_target(self, example: EncodedExample, target: Target) -> tuple[EncodedExample, Target]:
        """A sound with the words that are explained, where the model writes them.

        Raises:
            TargetError: If the head has no such target.
        """
        if self.task != "automatic-speech-recognition" or callable(target):
            return super().prepare_target(example, target)
        fed, notes = self._fed(example), unapplied(self.model)
        if target is None:
            added = generate(self, fed)
            notes += cut_short(self, added[OUTPUT])
        else:
            added = given_output(self, fed, self.tokenizer, target)
        forms, notes = output_forms(self.tokenizer, target, added[OUTPUT]), (*example.notes, *notes)
        return replace(example, inputs={**example.inputs, **added}, notes=notes, spellings=forms), None

    def _fed(self, example: EncodedExample) -> EncodedExample:
        """An example with the model's own input among its inputs."""
        if example.content is not None or example.values is None:
            return example
        front = self.front or front_end(self.processor)
        with torch.no_grad():
            features = front(example.values.unsqueeze(0))[0]
        return replace(example, inputs={self.main_input: features, **example.inputs})

    def encode(self, example: Any) -> EncodedExample:
        """A sound: a path, an array, a pair (array, rate) or `{"array": …, "sampling_rate": …}`.

        Channels are averaged, other rates resampled to the model's, and both are said in the notes.
        """
        if self.processor is None:
            raise self.missing_processor_error(example)
        sound, notes = read_audio(example, self.rate)
        row = self._processed(sound)
        values = row.pop(self.main_input)
        mask, length = row.get("attention_mask"), values.shape[self._time_dim(values)]
        if mask is None or len(mask) != length:
            filled = self._frames(len(sound.samples), values)
            mask = torch.arange(length) < filled
            if filled > length:
                heard = self._samples(length, values) / self.rate
                notes += (f"a sound of {sound.seconds:.2f} s was cut to the model's window of {heard:.2f} s",)
        others = {n: t for n, t in row.items() if self.accepts(n)}
        if self.front is not None:
            return self._at_the_samples(self.front, sound, values, others, notes)
        encoded = self._encoded(values, others, mask, notes)
        encoded.view = self._view(values, sound)
        encoded.raw_input = self._source(sound, values, encoded.view)
        return encoded

    def _at_the_samples(
        self, front: FrontEnd, sound: AudioClip, values: Tensor, others: dict[str, Tensor], notes: tuple[str, ...]
    ) -> EncodedExample:
        """The clip itself as the signal, as far as it fits into the model's window."""
        samples = torch.from_numpy(np.array(sound.samples[: front.window], dtype=np.float32))
        front.check(samples, values)
        signal = SignalShape("waveform", (Axis("time", len(samples), "Hz", float(self.rate)),))
        note = f"explained at the waveform, through a differentiable copy of {front.name}"
        return EncodedExample(signal, others, values=samples, view=SoundView(self.rate), notes=(*notes, note))

    def encode_signal(self, signal: Tensor, view: View) -> EncodedExample:
        """Another model's waveform, through our own processor."""
        if not isinstance(view, SoundView):
            return super().encode_signal(signal, view)
        sound = view.show(signal)
        return self.encode((sound.samples, sound.rate))

    def _processed(self, sound: AudioClip) -> dict[str, Tensor]:
        """What the processor makes of a sound, without a batch axis."""
        name = type(self.processor).__name__
        quiet = np.errstate(invalid="ignore", divide="ignore")
        with quiet, in_float32(), taken(warnings), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a clip that is too short, which raises below
            try:
                batch = self.processor(np.atleast_1d(sound.samples), sampling_rate=self.rate, return_tensors="pt")
                row = {key: torch.as_tensor(value)[0] for key, value in batch.items()}
                values = row[self.main_input]
            except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
                reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
                got = f"a sound of {len(sound.samples)} samples, which {name} refuses ({reason})"
                raise InputError(got, f"a sound at {self.rate} Hz that it takes", "pass a longer sound") from error
        if not bool(values.isfinite().all()):
            got = f"a sound of {len(sound.samples)} samples, for which {name} returns NaN"
            raise InputError(got, "a sound with a finite normalisation", "pass a longer sound")
        return {**row, self.main_input: values if values.is_floating_point() else values.float()}

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `input_values` or `input_features`; an `attention_mask` says what is padding."""
        if self.front is not None:
            got = f"the output of {self.front.name} with signal 'waveform'"
            raise InputError(got, "sounds, since it holds no samples", "pass paths or arrays, or leave `signal` out")
        given: Any = batch.get(self.main_input)
        tensors = self.checked_batch(batch, 3 if np.ndim(given) == 3 else 2)
        tensors = {name: tensor.cpu() for name, tensor in tensors.items()}
        values = tensors.pop(self.main_input)
        check_numbers(self.main_input, values, "pass the processor's own output", "repair the sound")
        length = values[0].shape[self._time_dim(values[0])]
        fitting = [n for n in TIME_MASKS if n in tensors and tensors[n].shape == (len(values), length)]
        notes: tuple[str, ...] = ()
        if fitting:
            masks = tensors[fitting[0]]
        elif "attention_mask" in tensors and "input_ids" not in tensors:
            got = f"'attention_mask' of shape {tuple(tensors['attention_mask'].shape)}"
            raise InputError(got, f"({len(values)}, {length})", "pass the processor's own output")
        else:
            masks, notes = torch.ones(len(values), length, dtype=torch.long), (NO_MASK,)
        others = {name: tensor for name, tensor in tensors.items() if self.accepts(name)}
        return [
            self._encoded(row, {name: tensor[i] for name, tensor in others.items()}, masks[i], notes)
            for i, row in enumerate(values)
        ]

    def without_padding(self, example: EncodedExample) -> EncodedExample | None:
        """The sound without the entries that its mask leaves out at the ends, or, without one, what looks like them.

        Where the model reads a window of one length, what fills it is no padding.
        """
        values = example.inputs.get(self.main_input)
        if values is None or example.content is None or self.window is not None:
            return None
        time = self._time_dim(values)
        frames = 2 * int(getattr(self.config, "max_source_positions", None) or 0) if time else 0
        windows = (frames, getattr(self.config, "max_length", None))
        if values.ndim == 2 and values.shape[time] in windows:
            return None
        if NO_MASK not in example.notes:
            return in_time(example, self.main_input, time, TIME_MASKS)
        return unmasked(example, self.main_input, time)

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Sounds of one length."""
        if examples[0].content is None:  # samples in front of the model's input
            batch: AudioBatch = WaveformBatch(self, examples, self.front or front_end(self.processor))
        else:
            batch = AudioBatch(self, examples, self._time_dim(examples[0].inputs[self.main_input]))
        if isinstance(batch.head, OutputHead):
            batch.head.rules = output_rules(self.model, examples[0].inputs)
        return batch

    def _encoded(
        self, values: Tensor, others: dict[str, Tensor], mask: Tensor, notes: tuple[str, ...]
    ) -> EncodedExample:
        content = (mask != 0).nonzero().flatten()
        if content.numel() == 0:
            least = "at least one sample" if values.ndim == 1 else f"at least {self._samples(1, values)} samples"
            raise InputError("a sound that is nothing but padding", least, "pass a longer sound")
        self._check_length(values)
        time = self._time_dim(values)
        if values.ndim == 1:
            axes: tuple[Axis, ...] = (Axis("time", content.numel(), "Hz", float(self.rate)),)
        else:
            frames = Axis("time", content.numel(), "cycles/frame")
            bands = Axis("mel", values.shape[1 - time], "cycles/mel band")
            axes = (frames, bands) if time == 0 else (bands, frames)
        signal = SignalShape("waveform" if values.ndim == 1 else "spectrogram", axes)
        if self.chosen_signal not in (None, signal.kind):
            got = f"signal {self.chosen_signal!r} of a model that reads a {signal.kind}"
            raise ModelError(got, f"{signal.kind!r}, or a processor with a front end", "leave `signal` out")
        return EncodedExample(signal, {self.main_input: values, **others}, content=content, notes=notes)

    def _check_length(self, values: Tensor) -> None:
        """Refuse waveforms that the model's convolutions leave nothing of."""
        kernels, strides = getattr(self.config, "conv_kernel", None), getattr(self.config, "conv_stride", None)
        if values.ndim != 1 or not kernels or not strides:
            return
        least = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            least = (least - 1) * stride + kernel
        least *= getattr(self.config, "squeeze_factor", 1)
        if len(values) < least:
            got = f"a sound of {len(values)} samples at {self.rate} Hz"
            raise InputError(got, f"at least {least}", "pass a longer sound")

    def _time_dim(self, values: Tensor) -> int:
        """The dimension of a signal that counts time."""
        if values.ndim != 2:
            return 0
        parts = [getattr(self.config, name, None) for name in ("audio_config", "encoder_config")]
        bands = next((n for c in (self.config, *parts) if (n := getattr(c, "num_mel_bins", None)) is not None), None)
        if bands in values.shape and values.shape[0] != values.shape[1]:
            return int(values.shape[0] == bands)
        return int(getattr(self.config, "model_type", "") in MEL_FIRST)

    def _frames(self, samples: int, values: Tensor) -> int:
        """How many entries along time a sound of so many samples fills, the window's end left aside."""
        if values.ndim == 1:
            return samples
        hop = getattr(self.processor, "hop_length", None)
        if hop:
            return ceil(samples / hop)
        return max(0, 1 + (samples - round(KALDI_LENGTH * self.rate)) // round(KALDI_HOP * self.rate))

    def _samples(self, frames: int, values: Tensor) -> int:
        """How many samples so many entries along time stand for."""
        if values.ndim == 1:
            return frames
        hop = getattr(self.processor, "hop_length", None)
        return frames * hop if hop else (frames - 1) * round(KALDI_HOP * self.rate) + round(KALDI_LENGTH * self.rate)

    def _view(self, values: Tensor, sound: AudioClip) -> View:
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
            decibels, edges, middle = (DECIBELS * scale, DECIBELS * offset), (20.0, self.rate / 2), KALDI_LENGTH / 2
            return SpectrogramView(*decibels, KALDI_HOP, self.rate, *edges, mel_first, KALDI_FFT, middle)
        return NoView(f"{kind} normalises in a way that cannot be inverted", "use keep(), or call input_relevance()")

    def _source(self, sound: AudioClip, values: Tensor, view: View) -> dict[str, Tensor]:
        """What a spectrogram needs to be heard again: the clip, and the mel filters, `(frequencies, bands)`."""
        if not isinstance(view, SpectrogramView):
            return {}
        filters = getattr(self.processor, "mel_filters", None)
        if filters is None:
            filters = kaldi_filters(values.shape[1 - self._time_dim(values)], self.rate)
        heard = self._samples(values.shape[self._time_dim(values)], values)
        return {
            "sound": torch.from_numpy(sound.samples[:heard].copy()),
            "mel_filters": torch.as_tensor(filters).float(),
        }
