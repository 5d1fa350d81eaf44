"""Sounds on the model's device: the model's own input as the signal, or the samples in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.inspection import dtype_of, hidden_states_of
from hf_fourier.models.log_mel import FrontEnd, front_end_class
from hf_fourier.models.seq2seq_outputs import teacher_forced
from hf_fourier.models.token_batches import OUTPUT
from hf_fourier.models.tokenization import remarks_of
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch, common_slice
from hf_fourier.scoring.heads import by_class, logits_of, part_of
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.references import Reference, smallest, zero
from hf_fourier.typing import Tensor


class AudioBatch(ExampleBatch):
    """Sounds of one length on the model's device; `time` is the dimension of an example's values that counts time."""

    def __init__(self, wrapper: ModelWrapper, examples: Sequence[EncodedExample], time: int) -> None:
        self._take(wrapper, examples)
        values_here, self.values = (_wide(one.pop(wrapper.main_input)) for one in (self.inputs_here, self.inputs))
        self.time = time + 1
        contents = [e.content for e in examples if e.content is not None]
        self.run = common_slice(contents)
        if self.run is not None:
            part = self.time, self.run.start, len(contents[0])
            self.signal = self.values.narrow(*part).contiguous()
            if self.signal.device.type != "cpu":
                self.signal_here = values_here.narrow(*part)
            return
        shape = [len(examples), *[1] * (self.values.ndim - 1)]
        shape[self.time] = -1
        self.content = to_device(torch.stack(contents), wrapper.device).view(shape)
        self.signal = self.values.gather(self.time, self._spread(self.content))

    def _take(self, wrapper: ModelWrapper, examples: Sequence[EncodedExample]) -> None:
        """What does not depend on the signal: the model, its head, and what it gets beside the signal."""
        self.wrapper, self.head, self.dtype = wrapper, wrapper.head(), dtype_of(wrapper.model)
        self.model = wrapper.model
        names = examples[0].inputs
        self.inputs_here = {name: torch.stack([e.inputs[name] for e in examples]) for name in names}
        self.inputs = {name: to_device(tensor, wrapper.device) for name, tensor in self.inputs_here.items()}
        self.spellings, self.shape = [example.spellings for example in examples], examples[0].signal
        self.output = self.inputs.pop(OUTPUT, None)
        if self.output is not None:
            self.known_targets = list(self.inputs_here[OUTPUT])

    def remarks(self, logits: Tensor, frozen: Tensor, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Where the model expects another spelling of an output far more."""
        return remarks_of(self, getattr(self.wrapper, "tokenizer", None), logits, frozen, numbers)

    @property
    def references(self) -> Sequence[Reference]:
        """Silence: of a waveform zero; of a spectrogram the front end's floor, or else the clip's smallest value."""
        if self.shape.kind == "waveform":
            return (zero(self.signal, "silence"),)
        front = front_end_class(self.wrapper.processor)
        floor = None if front is None else front(self.wrapper.processor).floor
        if floor is None:
            return (smallest(self.signal, self.shape, "silence, as quiet as the clip's quietest entry"),)
        return (Reference(zero(self.signal).signal + floor, "silence"),)

    def _spread(self, content: Tensor) -> Tensor:
        """The content's indices over all mel bands."""
        sizes = [-1 if d in (0, self.time) else size for d, size in enumerate(self.values.shape)]
        return content.expand(sizes)

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs with the content replaced by `x`, and the filling as it was."""
        values = self._filled(x, rows)
        others: dict[str, Any] = {name: tensor[rows] for name, tensor in self.inputs.items()}
        if self.output is not None:
            if "input_ids" in others and "decoder_input_ids" not in others:  # a language model that listens
                others.update(teacher_forced(others, self.output[rows]))
            if self.wrapper.accepts("use_cache"):
                others["use_cache"] = False
        return self.wrapper.call_model(**{self.wrapper.main_input: values.to(self.dtype)}, **others)

    def _filled(self, x: Tensor, rows: Tensor) -> Tensor:
        if self.run is None:
            return self.values[rows].scatter(self.time, self._spread(self.content[rows]), x)
        before, _, after = self.values.tensor_split((self.run.start, self.run.stop), self.time)
        if not before.numel() + after.numel():
            return x.clone()  # which a model may work on in place
        return torch.cat([before[rows], x, after[rows]], self.time)

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """Class logits `(rows, classes)`, those of frames or words `(rows, …, classes)`, or embeddings."""
        match self.wrapper.task:
            case "automatic-speech-recognition" if self.output is not None:
                return logits_of(outputs)[:, -self.output.shape[1] :]
            case "ctc" | "audio-frame-classification":
                return logits_of(outputs)[:, : self._frames]
            case "audio-xvector":
                return part_of(outputs, "embeddings")
            case "audio-feature-extraction":
                return hidden_states_of(outputs)[:, : self._frames].mean(1)
        return by_class(logits_of(outputs))

    @property
    def _frames(self) -> int | None:
        """How many of the model's frames the sound reaches; None for all."""
        reached: Any = getattr(self.model, "_get_feat_extract_output_lengths", None)
        if reached is None or self.values.ndim != 2:
            return None
        return int(reached(torch.tensor(self.signal.shape[1])))


class WaveformBatch(AudioBatch):
    """Waveforms of one length in front of a model that reads their log-mel: the signal is the samples.

    The model gets what `front` makes of the samples. Frames that hear none of them only fill the window: they are held
    as they are for the clean clip, and pass no gradient on (Whisper's would move with the clip's loudest entry).
    """

    def __init__(self, wrapper: ModelWrapper, examples: Sequence[EncodedExample], front: FrontEnd) -> None:
        self._take(wrapper, examples)
        self.front = front
        self.place(torch.stack([e.values for e in examples if e.values is not None]), wrapper.device)
        self.filling: Tensor | None = None
        with torch.no_grad():
            features = front(self.signal)
        heard = front.frames_heard(self.signal.shape[1])
        if heard is not None and heard < features.shape[front.time + 1]:
            self.filling = features.narrow(front.time + 1, heard, features.shape[front.time + 1] - heard).clone()
        self._features = features[0].numel()

    @property
    def entries(self) -> int:
        """The samples or the features, whichever are more."""
        return max(self.signal[0].numel(), self._features)

    def _filled(self, x: Tensor, rows: Tensor) -> Tensor:
        """The features of the samples, with the filling as it was."""
        features = self.front(x)
        if self.filling is None:
            return features
        time, filling = self.front.time + 1, self.filling[rows]
        return torch.cat([features.narrow(time, 0, features.shape[time] - filling.shape[time]), filling], time)

    @property
    def _frames(self) -> int | None:
        """All of them."""
        return None


def _wide(values: Tensor) -> Tensor:
    """Float32 or better."""
    return values if values.dtype == torch.float64 else values.float()
