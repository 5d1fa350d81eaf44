"""Time series: classes, regressions and forecasts, FFC along time at the past values, per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.models.base import ModelWrapper, Task, check_numbers
from hf_fourier.models.inputs.channel_series import ChannelSeries, is_edf, series_of
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.models.inspection import dtype_of, labels_of
from hf_fourier.models.padding import in_time
from hf_fourier.results.views import SeriesView
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.heads import Categorical, Head, Regression, part_of
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.references import Reference, mean
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor, tensor_of

#: What models call their answers.
ANSWERS = ("prediction_logits", "prediction_outputs", "regression_outputs", "mean_predictions")
#: Says which steps were observed.
OBSERVED = "past_observed_mask"
#: Among inputs, which steps were observed in all channels.
_SEEN = "steps that were observed"


class TimeSeriesWrapper(ModelWrapper):
    """The signal is `past_values`, `(time, channels)` or `(time,)`, without steps that were not observed."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "time-series-classification": Task(
            "", "MODEL_FOR_TIME_SERIES_CLASSIFICATION_MAPPING_NAMES", ("ForTimeSeriesClassification",), ""
        ),
        "time-series-regression": Task("", "MODEL_FOR_TIME_SERIES_REGRESSION_MAPPING_NAMES", (), ""),
        "time-series-forecasting": Task(
            "AutoModelForTimeSeriesPrediction",
            "MODEL_FOR_TIME_SERIES_PREDICTION_MAPPING_NAMES",
            ("ForPrediction",),
            "",
        ),
    }
    signal_kinds: ClassVar[tuple[str, ...]] = ("series",)
    main_input: ClassVar[str] = "past_values"

    def head(self) -> Head:
        """A softmax over classes, or values."""
        if self.task != "time-series-classification":
            return Regression()
        labels, classes = labels_of(self.config), getattr(self.config, "num_targets", None)
        return Categorical(labels if classes in (None, len(labels)) else {})

    def encode(self, example: Any) -> EncodedExample:
        """An array or tensor of past values, `(time,)` or `(time, channels)`, or a recording of several channels."""
        if isinstance(example, ChannelSeries) or is_edf(example):
            return self._of_series(series_of(example))
        example = _numbers(example)
        if not isinstance(example, (np.ndarray, Tensor)) or example.ndim not in (1, 2):
            got = f"an example of type {type(example).__name__}"
            raise InputError(got, "an array (time,) or (time, channels)", "pass one series; several go in a list")
        check_dense("a series", example)
        if isinstance(example, np.ndarray) and example.dtype.kind not in "biuf":
            raise InputError(f"a series of {example.dtype}", "real numbers", "convert it")
        values = tensor_of(example).detach()
        if values.is_complex():
            raise InputError(f"a series of {values.dtype}", "real numbers", "convert it")
        values = values if values.dtype == torch.float64 else values.float()
        single = values.ndim == 1 and getattr(self.config, "num_input_channels", None) == 1
        return self.encode_batch({self.main_input: (values.unsqueeze(1) if single else values).unsqueeze(0)})[0]

    def _of_series(self, series: ChannelSeries) -> EncodedExample:
        """A recording of several channels, with its rate and their names; voltages in volts."""
        values, notes = series.in_unit(None)
        encoded = self.encode(np.ascontiguousarray(values.T))
        time, *channels = encoded.signal.axes
        axes = (replace(time, unit="Hz", rate=series.rate), *(replace(axis, names=series.names) for axis in channels))
        return replace(encoded, signal=SignalShape("series", axes), notes=(*encoded.notes, *series.notes, *notes))

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `past_values`, with `past_observed_mask` where steps are missing."""
        given: Any = batch.get(self.main_input)
        tensors = {n: t.cpu() for n, t in self.checked_batch(batch, 2 if np.ndim(given) == 2 else 3).items()}
        values = tensors[self.main_input]
        if self.accepts(OBSERVED):
            missing = f"pass {{'past_values': x, {OBSERVED!r}: mask}}, both 0 where a number is missing"
        else:
            missing = "fill in what is missing, as by interpolation"
        check_numbers("past_values", values, "convert them, as by x.float()", missing)
        channels = getattr(self.config, "num_input_channels", None)
        if values.ndim == 3 and channels not in (None, values.shape[2]):
            got = f"past_values of shape {tuple(values.shape)}"
            raise InputError(got, f"(batch, time, {channels})", "pass the channels that the model knows")
        return [self._encoded({name: tensor[i] for name, tensor in tensors.items()}) for i in range(len(values))]

    def _encoded(self, row: dict[str, Tensor]) -> EncodedExample:
        values, observed = row[self.main_input], row.get(OBSERVED)
        seen = torch.ones(len(values), dtype=torch.bool)
        if observed is not None:
            if observed.shape != values.shape:
                got = f"{OBSERVED!r} of shape {tuple(observed.shape)}"
                raise InputError(got, f"{tuple(values.shape)}, as 'past_values'", f"correct {OBSERVED!r}")
            seen = (observed != 0).reshape(len(values), -1).all(1)
        content = seen.nonzero().flatten()
        if content.numel() == 0:
            raise InputError("a series without an observed step", "at least one", "pass a longer series")
        time = Axis("time", content.numel(), "cycles/step")
        channels = (Axis("channel", values.shape[1], channel=True),) if values.ndim == 2 else ()
        return EncodedExample(SignalShape("series", (time, *channels)), row, content=content, view=SeriesView())

    def without_padding(self, example: EncodedExample) -> EncodedExample | None:
        """The series without the steps at its ends that were not observed, where the model takes any length."""
        length = example.inputs[self.main_input].shape[0]
        context = getattr(self.config, "context_length", None)
        lags = getattr(self.config, "lags_sequence", None) or [0]
        if context in (length, length - max(lags)):
            return None
        mask = example.inputs.get(OBSERVED)
        if mask is None:
            return None
        seen = (mask != 0).reshape(length, -1).all(1)
        marked = replace(example, inputs={**example.inputs, _SEEN: seen})
        names = (_SEEN, *(name for name in example.inputs if name.startswith("past_") and name != self.main_input))
        bare = in_time(marked, self.main_input, 0, names)
        return None if bare is None else replace(bare, inputs={n: t for n, t in bare.inputs.items() if n != _SEEN})

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Series of one length with equally many observed steps."""
        return TimeSeriesBatch(self, examples)


def _numbers(example: Any) -> Any:
    """A series that comes as a list of numbers (a row of a data set), as an array; anything else as it is."""
    if not isinstance(example, (list, tuple)):
        return example
    try:
        array = np.asarray(example)
    except ValueError:  # of uneven lengths
        return example
    return array.astype(np.float32) if array.dtype.kind in "biuf" else example


class TimeSeriesBatch(ExampleBatch):
    """Series of one length on the model's device."""

    def __init__(self, wrapper: TimeSeriesWrapper, examples: Sequence[EncodedExample]) -> None:
        self.wrapper, self.head, self.dtype = wrapper, wrapper.head(), dtype_of(wrapper.model)
        self.model = wrapper.model
        names = examples[0].inputs
        self.inputs = {n: to_device(torch.stack([e.inputs[n] for e in examples]), wrapper.device) for n in names}
        values = self.inputs.pop(wrapper.main_input)
        self.values = values if values.dtype == torch.float64 else values.float()
        content = to_device(torch.stack([e.content for e in examples if e.content is not None]), wrapper.device)
        self.content = content.view(*content.shape, *[1] * (values.ndim - 2)).expand(-1, -1, *values.shape[2:])
        self.signal, self.shape = self.values.gather(1, self.content), examples[0].signal

    @property
    def references(self) -> Sequence[Reference]:
        """Each channel's mean over the observed steps."""
        return (mean(self.signal, self.shape, "each channel's mean over time"),)

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs with the observed steps replaced by `x`."""
        values = self.values[rows].scatter(1, self.content[rows], x).to(self.dtype)
        others = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return self.wrapper.call_model(**{self.wrapper.main_input: values}, **others)

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """Class logits, or values, `(rows, ...)`."""
        return part_of(outputs, *ANSWERS)
