"""Model wrappers turn a model and its processor into signals, forward passes and heads; they change neither."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hf_fourier.errors import FourierError, InputError, ModelError
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.models.inspection import device_of, forward_arguments
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.views import View
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.failures import refusal
from hf_fourier.scoring.heads import Head
from hf_fourier.scoring.representation import LAST_LINEAR
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import theirs
from hf_fourier.typing import Tensor, tensor_of

WRAPPERS: list[type[ModelWrapper]] = []

#: Keys of a batch that are not passed on (labels would even make the model set its `problem_type`).
_NO_INPUTS = {
    "labels",
    "label",
    "length",
    "offset_mapping",
    "overflow_to_sample_mapping",
    "overflowing_tokens",
    "num_truncated_tokens",
}


@dataclass(frozen=True)
class Task:
    """One head as `transformers` names it.

    Attributes:
        auto: The Auto class that loads it; "" for the class that the checkpoint names.
        mapping: The mapping of `transformers` that lists its classes.
        endings: How names of its classes end, for classes that are not listed.
        processor: The Auto class of its processor; "" where there is none.
    """

    auto: str
    mapping: str
    endings: tuple[str, ...]
    processor: str


class ModelWrapper(ABC):
    """A model of one kind of input.

    Args:
        model: A `torch.nn.Module` with a head, as `transformers` makes them.
        processor: Its tokenizer or image processor; None if examples come as the processor's own output.
        task: The pipeline's name of the head ("text-classification").
    """

    tasks: ClassVar[Mapping[str, Task]] = {}
    signal_kinds: ClassVar[tuple[str, ...]] = ()
    main_input: ClassVar[str] = ""
    #: The name of the module whose output methods take for the hidden representation, unless they name another.
    representation: str = LAST_LINEAR

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        self.model, self.processor, self.task = model, processor, task
        self.config: Any = getattr(model, "config", None)
        self._accepted = forward_arguments(model)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        WRAPPERS.append(cls)

    @classmethod
    def supports(cls, task: str, processor: Any) -> bool:
        """Whether this wrapper explains the head `task` with examples that come through `processor`."""
        return task in cls.tasks

    @classmethod
    def make_processor(cls, source: str, where: Mapping[str, Any], config: Any) -> Any:
        """A processor of our own for a checkpoint that has none that `transformers` knows, or None."""
        return None

    def split_file(self, example: Any) -> list[Any] | None:
        """The examples of a file that holds several; None where `example` is one example."""
        return None

    def select_signal(self, signal: str | None) -> None:
        """Choose the signal, where there is more than one that could be explained.

        Args:
            signal: One of `signal_kinds`; None for the model's own input.

        Raises:
            ModelError: If it is none of them.
        """
        if signal is not None and signal not in self.signal_kinds:
            expected = f"one of {', '.join(map(repr, self.signal_kinds))} for {self.task}"
            raise ModelError(f"signal {signal!r}", expected, "leave `signal` out to explain the model's own input")

    @property
    def device(self) -> torch.device:
        """Where the model's first inputs go; with weights on several devices, where its first layer runs."""
        return device_of(self.model)

    @abstractmethod
    def encode(self, example: Any) -> EncodedExample:
        """One raw example, through the processor.

        Raises:
            InputError: If it is not an example of this modality, or there is no processor.
        """

    def encode_together(self, examples: Sequence[Any]) -> list[EncodedExample] | None:
        """What `encode` makes of several examples, in fewer calls of the processor; None where it takes one at a time.

        Raises:
            Exception: Of any kind, where `encode` would; the caller then asks for each by itself.
        """
        return None

    @abstractmethod
    def encode_batch(self, batch: Mapping[str, Tensor]) -> list[EncodedExample]:
        """The processor's own output, one example per row.

        Raises:
            InputError: If the tensors do not fit the model.
        """

    @abstractmethod
    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Examples of one signature, ready to run."""

    @abstractmethod
    def head(self) -> Head:
        """A head that can check targets before anything runs."""

    @property
    def default_method(self) -> tuple[str, str | None]:
        """The method where none is given; and the domain, None for that of the method."""
        return DEFAULT_METHOD, None

    @property
    def identity(self) -> str | None:
        """A name of the weights, in place of their digest; None where that can be taken.

        Raises:
            InputError: If there are neither weights nor a name.
        """
        return None

    def learn(self, examples: Iterable[Any]) -> None:
        """Find out on examples what the choice of a method depends on, where that is not known: here it is.

        Args:
            examples: Examples, of which as few as possible are read.
        """
        return

    @property
    def reading(self) -> dict[str, Any]:
        """What else decides how examples and outputs are read, as plain values, where it is not the usual."""
        return {} if self.representation == LAST_LINEAR else {"representation": self.representation}

    def of_model(self, model: torch.nn.Module) -> ModelWrapper:
        """The same for other weights.

        Args:
            model: A module of the same class.
        """
        other = type(self)(model, self.processor, self.task)
        vars(other).update({name: vars(self)[name] for name in ("representation", "tokenizer") if name in vars(self)})
        return other

    def encode_signal(self, signal: Tensor, view: View) -> EncodedExample:
        """Another model's signal as an example of this model, by way of human units and without rounding.

        Args:
            signal: The signal of the other model.
            view: Its view in human units.

        Raises:
            InputError: If there are no units that both models read: embedded tokens are one model's own.
        """
        got = f"a signal of a kind that {self.task} cannot take, or whose range of values is not known"
        raise InputError(got, "pixels for an image model, a waveform for a sound model", "choose a model that reads it")

    def prepare_target(self, example: EncodedExample, target: Target) -> tuple[EncodedExample, Target]:
        """An example with the inputs that its target adds, and the resolved target. May run the model.

        Raises:
            TargetError: If the head has no such target.
        """
        return example, None if target is None else self.head().check(target)

    def with_permuted_ids(self, example: EncodedExample) -> EncodedExample | None:
        """The example with permuted ids, to be run at the clean signal; None where the signal is not embedded ids."""
        return None

    def generated(self, example: EncodedExample, token: int) -> tuple[float, str] | None:
        """The log p of a next token according to `generate`, and the likeliest one; may run the model.

        None where no next token is explained; NaN and no text where `generate` fails.
        """
        return None

    def without_padding(self, example: EncodedExample) -> EncodedExample | None:
        """An example that arrived padded, without its padding; None where there is none."""
        return None

    def is_example(self, mapping: Mapping[str, Any]) -> bool:
        """Whether a mapping is one raw example, and not the processor's own output with a batch axis."""
        return False

    def is_conversation(self, several: Sequence[Any]) -> bool:
        """Whether a list is one example (the messages of a chat), and not several."""
        return False

    @property
    def max_rows(self) -> int | None:
        """The most rows the model can take at once, if it says so."""
        return None

    def batch_group(self, inputs: Mapping[str, Tensor]) -> int:
        """A key that examples of one batch share, beside their shapes."""
        return 0

    def call_model(self, **inputs: Any) -> Any:
        """The model's outputs.

        Raises:
            ModelError: If it refuses these inputs. Running out of memory is passed on as it is.
        """
        if getattr(self.config, "return_dict", True) is False and self._accepted & {"return_dict", "kwargs"}:
            inputs["return_dict"] = True  # heads read parts by their names
        try:
            with theirs():
                return self.model(**inputs)
        except FourierError:
            raise
        except Exception as error:  # exceptions of third-party models have no common base
            if is_out_of_memory(error):
                raise
            raise refusal(error, self.model, inputs) from error

    def accepts(self, argument: str) -> bool:
        """Whether the model's `forward` takes an argument of this name."""
        return argument in self._accepted

    def missing_processor_error(self, example: Any) -> InputError:
        """The error for a raw example without a processor."""
        return InputError(
            f"a raw example ({type(example).__name__}) without a processor",
            f"a processor, or a dict with {self.main_input!r}",
            "pass the model's processor to FourierExplainer",
        )

    def checked_batch(self, batch: Mapping[str, Any], dimensions: int) -> dict[str, Tensor]:
        """Check a dict of tensors: the main input is there, has a batch axis, and all agree on its length."""
        tensors = {}
        for name, value in batch.items():
            if name in _NO_INPUTS:
                continue
            tensors[name] = checked_tensor(name, value)
        if self.main_input not in tensors:
            raise InputError(
                f"a dict with {sorted(tensors)}", f"the key {self.main_input!r}", "pass the processor's output"
            )
        main = tensors[self.main_input]
        if main.ndim != dimensions or main.numel() == 0:
            raise InputError(
                f"{self.main_input!r} of shape {tuple(main.shape)}",
                f"{dimensions} dimensions, the batch first, none empty",
                "pass the processor's own output (return_tensors='pt')",
            )
        for name, tensor in tensors.items():
            if tensor.ndim == 0 or len(tensor) != len(main):
                raise InputError(
                    f"{name!r} of shape {tuple(tensor.shape)}",
                    f"{len(main)} rows, as {self.main_input!r}",
                    f"correct {name!r}",
                )
        return tensors


def checked_tensor(name: str, value: Any) -> Tensor:
    """An entry of a batch as a tensor.

    Raises:
        InputError: If it is none and cannot be made one, or does not hold its numbers one by one.
    """
    try:
        tensor = value if isinstance(value, Tensor) else tensor_of(value)
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"{name!r} of type {type(value).__name__}"
        raise InputError(got, "a tensor with a batch axis", "pass return_tensors='pt'") from error
    check_dense(f"{name!r}", tensor)
    return tensor


def copies(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of inputs, which a model may change in place."""
    return {name: tensor.clone() for name, tensor in inputs.items()}


def check_numbers(name: str, values: Tensor, convert: str, repair: str) -> None:
    """Check that values are finite real numbers.

    Args:
        name: Their name.
        values: The numbers.
        convert: The advice for whole numbers, complex ones or truth values.
        repair: The advice for NaN or infinite numbers.

    Raises:
        InputError: If they are not.
    """
    if not values.is_floating_point():
        raise InputError(f"{name} of {values.dtype}", "real numbers", convert)
    if not bool(values.isfinite().all()):
        raise InputError(f"{name} with NaN or infinite numbers", "finite numbers", repair)
