"""Any torch module, and any function on tensors or arrays, as a model: what the user says of it, and its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch

from hf_fourier.domains.layout import KINDS, SignalShape
from hf_fourier.errors import FourierError, InputError, ModelError, brief
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.calls import Call, FunctionModule
from hf_fourier.models.inputs.audio import read_audio
from hf_fourier.models.inputs.axes import AxisNames, view_of
from hf_fourier.models.inputs.channel_series import VOLTS, ChannelSeries, is_edf, series_of
from hf_fourier.models.inputs.containers import example_of, is_table
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.network_batch import NetworkBatch
from hf_fourier.models.network_units import as_network_reads, numbers_of, scale_of, series_as_read, sound_rate
from hf_fourier.models.outputs import OUTPUTS, OutputForm, ends_in_sigmoid, form_of, labels_from
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.views import ImageView, SoundView, View
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.failures import error_text
from hf_fourier.scoring.heads import Head, by_class, logits_of, of_each
from hf_fourier.scoring.representation import LAST_LINEAR, LOGITS, OUTPUT
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor

#: The name of the task in provenance: of what `attribute` got, and of a user's network, whose labels are classes.
CALLABLE, NETWORK = "callable", "network"
#: The method and the domain of functions without a gradient, unless others are given.
WITHOUT_GRADIENT = ("random_masks", "fourier:bands=octave")


class NetworkOptions(TypedDict, total=False):
    """What `FourierExplainer` is told of a network or a function that is no model of `transformers`.

    Attributes:
        preprocess: `example -> tensor or array`, without a batch axis. Without one, examples are tensors, arrays or
            flat lists of numbers as the network reads them; whole numbers become real ones, unscaled.
        labels: The names of the classes: a list, or a dict by class index.
        axes: The names of an example's last axes, as ("height", "width"). One more in front of them is one of channels,
            unless they name one ("channel"). Frequencies along height and width are in cycles per pixel (bands in
            cycles per picture), along depth too per voxel, along "time" in Hz where `sampling_rate` is given, along
            others in cycles per sample. None: axes without names, of three or more all but the first.
        sampling_rate: Samples per second along "time", which is the last axis if `axes` is left out.
        outputs: What the outputs are: "logits" of classes, "probabilities" of classes, "sigmoid" (a logit for each
            label, yes or no), "sigmoid_probabilities" (a probability for each), "values", "masks" (logits of the
            classes at each place, or one), or an "embedding", for targets that are a `Direction`. None: as the first
            outputs show: rows from 0 to 1 with the sum 1 are probabilities, one number a row is a value, or with labels
            the logit of the label. Probabilities are checked in every row.
        arrays: Whether the function takes and returns arrays of numpy; None where that shows.
        version: A name of the weights, for runs over data sets; needed of functions whose weights cannot be read, and
            where a function or `preprocess` holds what cannot be read.
        unit: The unit of voltages that the network reads ("V", "mV", "uV", "nV") of recordings; None for volts.
    """

    preprocess: Callable[[Any], Any] | None
    labels: Sequence[str] | Mapping[int, str] | None
    axes: Sequence[str] | str | None
    sampling_rate: float | None
    outputs: str | None
    arrays: bool | None
    version: str | None
    unit: str | None


class NetworkWrapper(ModelWrapper):
    """The signal is an example as the network reads it, without a batch axis.

    Args:
        call: The network or function, as it is called.
        options: What the user says of it.
        bare: Whether outputs are taken for logits unseen, and the errors of a function passed on, as by `attribute`.
    """

    signal_kinds: ClassVar[tuple[str, ...]] = KINDS
    window: ClassVar[int | None] = None

    def __init__(self, call: Call, options: NetworkOptions, bare: bool = False) -> None:
        preprocess, version = options.get("preprocess"), options.get("version")
        unknown = set(options) - set(NetworkOptions.__annotations__)
        if unknown:
            raise TypeError(f"FourierExplainer() got an unexpected keyword argument {sorted(unknown)[0]!r}")
        if preprocess is not None and not callable(preprocess):
            raise InputError(f"preprocess {brief(preprocess)}", "a function, example -> tensor", "correct `preprocess`")
        if version is not None and not isinstance(version, str):
            raise InputError(f"version {brief(version)}", "a text", "correct `version`")
        super().__init__(call.model, preprocess, CALLABLE if bare else NETWORK)
        self.call, self.bare, self.version = call, bare, version
        self.form = OutputForm() if bare else None
        self.form_of_run: OutputForm | None = None
        self._batch_first = False
        self._in_channel: bool | None = None  # whether waveforms come in a channel, once that is known
        self.names = AxisNames.of(options.get("axes"), options.get("sampling_rate"))
        self.learned_rate: float | None = None  # of recordings, as the first one that the network took
        self.outputs = options.get("outputs")
        if self.outputs not in (None, *OUTPUTS):
            raise InputError(f"outputs {brief(self.outputs)}", f"one of {', '.join(OUTPUTS)}", "choose one of them")
        self.unit = options.get("unit")
        if self.unit not in (None, *VOLTS):
            raise InputError(f"unit {brief(self.unit)}", f"one of {', '.join(VOLTS)}", "choose one of them")
        self.labels = labels_from(options.get("labels"))
        self.config = SimpleNamespace(id2label=self.labels, _commit_hash=version)
        self._options = options

    @classmethod
    def supports(cls, task: str, processor: Any) -> bool:
        """Never by the name of a head: `wrapper_of` chooses it."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the rows go."""
        return self.call.device

    @property
    def layers(self) -> torch.nn.Module | None:
        """The module whose layers can be read: of a function one with those that it runs; None where there are none."""
        shown = isinstance(self.model, FunctionModule) and len(self.model.parts) > 0
        return self.model if shown and not self.bare else self.call.layers

    @property
    def max_rows(self) -> int | None:
        """1 where the network takes one row at a time."""
        return 1 if self.call.alone else None

    @property
    def rate(self) -> int | None:
        """Samples per second of a network on sounds; None of any other."""
        return sound_rate(self.names)

    @property
    def default_method(self) -> tuple[str, str | None]:
        """The method where none is given, and the domain: without a gradient, of few features."""
        return WITHOUT_GRADIENT if self.call.arrays else (DEFAULT_METHOD, None)

    @property
    def identity(self) -> str | None:
        """The name of the weights that the user gave, in place of their digest; None where that can be taken.

        Raises:
            InputError: If there are neither weights nor a name.
        """
        if self.version is not None:
            return f"version:{self.version}"
        if next(self.model.parameters(), None) is None and next(self.model.buffers(), None) is None:
            got = f"{self.call.name}, whose weights cannot be read and checked when a run resumes"
            do = "name them: FourierExplainer(function, version='2026-01', …)"
            raise InputError(got, "a name for its weights, so that a resumed run can check them", do)
        return None

    @property
    def reading(self) -> dict[str, Any]:
        """The axes, their rate and what the outputs are, as plain values; a learned rate is the run's own."""
        own = {"axes": self.names.names, "sampling_rate": self.names.rate, "outputs": self.outputs, "unit": self.unit}
        return {**super().reading, **{name: value for name, value in own.items() if value is not None}}

    def of_model(self, model: torch.nn.Module) -> NetworkWrapper:
        """The same for other weights.

        Args:
            model: A module of the same class.
        """
        call = Call(model, self.call.arrays, device=self.call.device)
        call.alone, call.takes_arrays = self.call.alone, self.call.takes_arrays
        other = NetworkWrapper(call, self._options, self.bare)
        for name in ("form", "form_of_run", "representation", "learned_rate"):
            setattr(other, name, getattr(self, name))
        return other

    def head(self) -> Head:
        """Reads what the outputs are, as far as that is known."""
        labels = self.labels or self.call.classes
        return OutputForm(self.outputs or "logits", labels).head() if self.form is None else self.form.head()

    def split_file(self, example: Any) -> list[Any] | None:
        """The examples of an array with a batch axis, as `axes` show, and the rows of a table of numbers."""
        if self.processor is None:
            if isinstance(example, (Tensor, np.ndarray)) and self.names.holds_several(example.ndim):
                return list(example.unbind() if isinstance(example, Tensor) else example)
            if is_table(example):
                return list(example.to_numpy())
        return None

    def is_conversation(self, several: Sequence[Any]) -> bool:
        """Whether a list is one example: a flat one of numbers, which is not preprocessed."""
        numbers = (isinstance(one, (int, float, np.number)) and not isinstance(one, bool) for one in several)
        return self.processor is None and len(several) > 0 and all(numbers)

    def is_example(self, mapping: Mapping[str, Any]) -> bool:
        """Whether a mapping is one example as a whole, and not the picture, sound or text in it."""
        if self.processor is None:
            return False
        try:
            return example_of(mapping) is mapping
        except FourierError:
            return True

    def encode(self, example: Any) -> EncodedExample:
        """An example, through `preprocess` where there is one: a tensor, an array, a list of numbers, a recording."""
        if self.processor is not None:
            return self._encoded(self._preprocessed(example))
        return self._encoded(series_of(example) if is_edf(example) else example)

    def _preprocessed(self, example: Any) -> Any:
        """What `preprocess` makes of an example."""
        try:
            return self.processor(example)
        except Exception as error:  # whatever a function of the user raises
            got = f"an example of type {type(example).__name__}, which `preprocess` refuses ({error_text(error)})"
            raise InputError(got, "an example as `preprocess` takes it", "correct one of the two") from error

    def _encoded(self, made: Any) -> EncodedExample:
        """An example from what `preprocess` made of it."""
        names, channels, noted = self.names, tuple[str, ...](), tuple[str, ...]()
        new = isinstance(made, ChannelSeries) and names.rate is None and self.learned_rate is None
        if isinstance(made, ChannelSeries):
            known = replace(names, rate=names.rate or self.learned_rate)
            channels, (made, names, noted) = made.names, series_as_read(made, known, self.unit)
        values, notes = numbers_of(made, self.processor is not None)
        if values.ndim and len(values) == 1 and names.holds_several(values.ndim):  # unsqueezed already
            values = values[0]
        if not values.ndim or not values.numel():
            got, do = f"an example of shape {tuple(values.shape)}", "pass one with at least one number"
            raise InputError(got, "an array of one axis or more, without a batch axis", do)
        signal = names.shape_of(tuple(values.shape), channels)
        encoded = EncodedExample(
            signal, {}, values=values, view=view_of(signal, values, scale_of(self.model, self.processor)), notes=notes
        )
        self._learn(encoded)
        if new:  # a recording that the network refuses says nothing of the others
            with eval_mode(self.model), torch.no_grad():
                self.run(values.unsqueeze(0).to(self.device), signal)
            self.learned_rate = names.rate
        assert self.form is not None
        encoded.notes = (*noted, *notes, *self.form.notes)
        return encoded

    def encode_signal(self, signal: Tensor, view: View) -> EncodedExample:
        """Another model's picture or sound, in this network's own numbers.

        Raises:
            InputError: If it is neither, or `preprocess` shows no units.
        """
        if isinstance(view, SoundView) and self.rate is not None:
            sound = view.show(signal)
            return self.encode(self.segment(read_audio((sound.samples, sound.rate), self.rate)[0].samples))
        if isinstance(view, ImageView) and self.processor is not None:
            pixels = view.pixels(signal)
            return self._encoded(as_network_reads(pixels, lambda one: numbers_of(self._preprocessed(one), True)[0]))
        return super().encode_signal(signal, view)

    def segment(self, samples: np.ndarray) -> Any:
        """A stretch of a recording as an example: for `preprocess`, else in a channel where the network has one.

        Args:
            samples: Mono, at `rate`, shape `(samples,)`.
        """
        row = torch.from_numpy(np.array(samples, dtype=np.float32))
        if self.processor is not None:
            return row.numpy()
        if self._in_channel is None:
            with eval_mode(self.model), torch.no_grad():
                try:
                    self._called(row.to(self.device)[None, None], self.call.tried)
                    self._in_channel = True
                except ModelError:
                    self._in_channel = False
        return row[None] if self._in_channel else row

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Nothing: a dict is no example.

        Raises:
            InputError: Always.
        """
        got = f"a dict with {', '.join(map(str, batch))}"
        raise InputError(got, "a tensor or an array", "pass preprocess=lambda example: example['…'], or that itself")

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Examples of one shape, ready to run."""
        self._learn(examples[0])
        return NetworkBatch(self, examples)

    def run(self, x: Tensor, signal: SignalShape | None = None) -> Any:
        """The outputs at rows `x`; of an embedding the output of the layer that `representation` names, if any.

        Raises:
            ModelError: If the network refuses them, or a gradient is needed and there is none.
        """
        if self.outputs != "embedding" or self.representation in (LAST_LINEAR, LOGITS, OUTPUT):
            return self._called(x, self.call, signal)
        return self._called(x, partial(self.call, hidden=self.representation), signal)

    def check_batch(self, row: Tensor) -> None:
        """Check on one row, once, that the batch is the first axis of the logits, where rows are as many as classes.

        Raises:
            ModelError: If it is not.
        """
        if not self._batch_first:
            with torch.no_grad():  # so that no layer is recorded
                of_each(by_class(logits_of(self.run(row))), 1)
            self._batch_first = True

    def _called(self, x: Tensor, call: Callable[[Tensor], Any], signal: SignalShape | None = None) -> Any:
        try:
            return call(x)
        except Exception as error:  # exceptions of third-party models have no common base
            if self.bare or isinstance(error, FourierError) or is_out_of_memory(error):
                raise
            outputs = self.call.one_by_one(x, call)
            if outputs is not None:
                return outputs
            got = f"rows {tuple(x.shape)}, which {self.call.name} refuses ({error_text(error)})"
            raise ModelError(got, "rows that it takes", self.how_read(x, signal)) from error

    def how_read(self, x: Tensor, signal: SignalShape | None = None) -> str:
        """How an example was read, and how else it could be."""
        shape = tuple(x.shape[1:])
        axes = ", ".join(f"{axis.name} {axis.length}" for axis in (signal or self.names.shape_of(shape)).axes)
        many = len(shape) > 1 and shape[0] > 1
        other = f"; pass list(x) if it is {shape[0]} examples of shape {shape[1:]}" if many else ""
        return f"correct `axes` or `preprocess` if it is not one example of shape {shape} ({axes}){other}"

    def _learn(self, example: EncodedExample) -> None:
        """Find out, once, what the outputs are."""
        if self.form is None:
            assert example.values is not None
            row = example.values.unsqueeze(0).to(self.device)
            with eval_mode(self.model), torch.no_grad():
                if self.outputs == "embedding":
                    self.form = OutputForm("embedding")
                else:
                    found = self._called(row, self.call.tried, example.signal)
                    self.form = self.form_of_run or self._form_of(found, row)

    def _form_of(self, outputs: Any, row: Tensor) -> OutputForm:
        """What the outputs at one row are, with the names of an estimator's classes where the user gives none."""

        def sigmoid() -> bool:
            try:
                with torch.enable_grad():
                    return not self.call.arrays and ends_in_sigmoid(self.call(row.detach().requires_grad_(True)))
            except Exception:  # a network without a gradient
                return False

        if not self.labels and self.call.classes:
            try:
                return form_of(outputs, self.outputs, self.call.classes)
            except ModelError:  # other numbers than one for each class: of each pair of them, say
                pass
        return form_of(outputs, self.outputs, self.labels, self.call.weights, sigmoid)

    def learn(self, examples: Iterable[Any]) -> None:
        """Find out on the first example that can be encoded what the outputs are, and whether there is a gradient.

        Args:
            examples: Examples, of which as few as possible are read.
        """
        for example in () if self.form is not None else examples:
            try:
                self.encode(example)
                return
            except Exception:  # what cannot be encoded is reported where it is explained
                continue

    def take_form(self, form: OutputForm) -> None:
        """Read outputs as a run reads them that was started earlier, or by another process."""
        self.form_of_run = form
        if self.form is not None:
            self.form = form
