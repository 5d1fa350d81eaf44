"""A user's network or function as it is called: on copies of rows, in a type that it takes, on tensors or arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from hf_fourier.errors import FourierError, ModelError
from hf_fourier.models.inspection import device_of, owner, reachable_modules
from hf_fourier.results.remarks import WITHOUT_GRADIENTS
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.scoring.compiled_calls import compiled_calls
from hf_fourier.scoring.layer_gradients import matching
from hf_fourier.torch_state import theirs
from hf_fourier.typing import Tensor

#: Messages of torch where types do not fit.
_OF_TYPES = re.compile(r"dtype|scalar type|(?:input|weight|bias) type", re.IGNORECASE)
#: Messages of torch where real numbers came to an embedding of whole ones.
_OF_INDICES = re.compile(r"scalar types?: Long, Int|while checking arguments for embedding")
#: Messages of torch and numpy where a function makes an array of a tensor that has a gradient.
_OF_ARRAYS = re.compile(r"numpy.*requires grad|requires grad.*numpy", re.IGNORECASE)
#: Methods of estimators that are called, the first that is there.
_ESTIMATES = ("predict_proba", "decision_function", "predict")
#: Types of inputs and outputs of ONNX that hold real numbers.
_ONNX = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}


class FunctionModule(torch.nn.Module):
    """A function as a module, with the modules that it runs (see `reachable_modules`) as its parts."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function
        self.parts = torch.nn.ModuleList(reachable_modules(function))
        self.training = self.parts.training = False

    @property
    def function(self) -> Callable[..., Any]:
        """The function."""
        return self._function

    def forward(self, x: Tensor) -> Any:
        """The function's output."""
        return self._function(x)


class Call:
    """A network or a function, as rows go through it.

    Args:
        function: A torch module, a callable on tensors or arrays, an estimator of scikit-learn (`predict_proba`,
            `decision_function` or `predict`), or an `onnxruntime.InferenceSession`.
        arrays: Whether it takes and returns arrays of numpy; None where that shows.
        dtype: The type of the rows; None for that of the weights, or of the signal where there are none.
        device: Where the rows go; None for the weights' device.

    Attributes:
        function: What is called.
        name: Its name.
        model: The module itself, or one that stands for the function (`FunctionModule`).
        classes: The names of an estimator's classes by index, where it gives a number for each, or one for two.
        weights: The type of the weights; None where there are none.
        layers: The module whose layers can be read; None for a function that is no method of one.
        takes_arrays: Whether the function takes arrays; else it takes tensors.
        arrays: Whether it takes or returns arrays, and so has no gradients.
        alone: Whether it takes one row at a time.

    Raises:
        ModelError: If it is none of these, or a session with several inputs.
    """

    def __init__(
        self,
        function: Any,
        arrays: bool | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.function, self.name, found, own = _callable(function)
        self.classes, self._given = _classes(self.function), arrays
        self.arrays = self.takes_arrays = found if arrays is None else arrays
        self.layers = owner(self.function)
        if isinstance(self.function, torch.nn.Module):
            self.model: torch.nn.Module = self.function
        else:
            self.model = FunctionModule(self.function)
        weights = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), None)
        self.dtype, self.weights = dtype or own or weights, weights
        self._device, self.alone = device, False

    @property
    def device(self) -> torch.device:
        """Where the rows go."""
        return device_of(self.model) if self._device is None else self._device

    def __call__(self, x: Tensor, hidden: str | None = None) -> Any:
        """The output at copies of rows, which the function may change in place; or that of modules in it.

        Where it fails on rows of one type and its weights are of another, rows have that type from then on. Its errors
        are passed on, except torch's on types.

        Args:
            x: The rows.
            hidden: The name of modules whose outputs are returned, `(rows, numbers)`; None for the function's own.

        Raises:
            ModelError: If types do not fit, or a gradient is needed of a function on arrays.
        """
        if self.alone and len(x) > 1:
            return joined([self(row, hidden) for row in x.split(1)])
        dtype = self.dtype or x.dtype
        try:
            return self._called(x, dtype, hidden)
        except Exception as error:
            if is_out_of_memory(error) or isinstance(error, FourierError):
                raise
            if not self.arrays and x.requires_grad and _OF_ARRAYS.search(str(error)):
                raise without_gradient(self.name) from error
            if self.weights is not None and self.weights != dtype:
                try:
                    outputs = self._called(x, self.weights, hidden)
                except Exception as again:  # the first error is reported
                    if is_out_of_memory(again):
                        raise
                else:
                    self.dtype = self.weights
                    return outputs
            if isinstance(error, RuntimeError) and _OF_INDICES.search(str(error)):
                got = f"numbers of {dtype} as indices ({str(error).strip().splitlines()[0]})"
                do = "pass lambda e: net.rest(e) with preprocess=lambda ids: net.embedding(ids), or the like"
                raise ModelError(got, "a function of embeddings, since integers have no frequencies", do) from error
            if isinstance(error, RuntimeError) and _OF_TYPES.search(str(error)):
                got = f"rows of {dtype}, which `forward` does not take ({str(error).strip().splitlines()[0]})"
                do = "convert `x` to the type of the weights, as by x.float()"
                raise ModelError(got, "rows of the type that `forward` takes", do) from error
            raise

    def tried(self, x: Tensor) -> Any:
        """The output at one row, for the first time: what fails on a tensor, or makes an array, is called on an array.

        Arrays and tensors differ: `x.std()` is that of all of them for numpy, and of a sample for torch.
        """
        try:
            outputs = self(x)
            again = self.arrays and not self.takes_arrays and self._given is None
            return self._on_array(x, outputs) if again and not isinstance(self.function, torch.nn.Module) else outputs
        except Exception as error:
            if self.arrays or isinstance(self.function, torch.nn.Module) or is_out_of_memory(error):
                raise
            self.arrays = self.takes_arrays = True
            try:
                return self(x)
            except Exception:  # the error on a tensor is reported
                self.arrays = self.takes_arrays = False
            raise

    def one_by_one(self, x: Tensor, call: Callable[[Tensor], Any]) -> Any:
        """The output of `call` at rows that failed together: each alone, from then on; None where that fails too."""
        if len(x) == 1 or self.alone:
            return None
        try:
            outputs = joined([call(row) for row in x.split(1)])
        except Exception as error:  # the error of all rows together is reported
            if is_out_of_memory(error):
                raise
            return None
        self.alone = True
        return outputs

    def _on_array(self, x: Tensor, outputs: Any) -> Any:
        """The output at an array, which the function gets from then on; `outputs` where it takes none."""
        self.takes_arrays = True
        try:
            return self(x)
        except Exception as error:  # it takes tensors, and makes arrays of them itself
            if is_out_of_memory(error):
                raise
            self.takes_arrays = False
            return outputs

    def _called(self, x: Tensor, dtype: torch.dtype, hidden: str | None) -> Any:
        asks = x.requires_grad and torch.is_grad_enabled()
        if self.arrays and asks:
            raise without_gradient(self.name)
        with theirs(), _recorded(self.model, hidden) as found:
            if self.takes_arrays:
                outputs = self.function(x.detach().to("cpu", dtype, copy=True).numpy())
            else:
                outputs = self.function(x.to(dtype, copy=True))
        if hidden is not None:
            outputs = torch.cat([part.flatten(1) for part in found], dim=1)
        if not _has_arrays(outputs):
            return outputs
        self.arrays = True
        if asks:
            raise without_gradient(self.name)
        return tree_map(lambda part: torch.as_tensor(part, device=x.device) if _is_array(part) else part, outputs)


@contextmanager
def _recorded(model: torch.nn.Module, name: str | None) -> Iterator[list[Tensor]]:
    """Inside, the outputs of the modules of that name are put in a list."""
    found: list[Tensor] = []

    def record(module: torch.nn.Module, given: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, (tuple, list)) else output)

    modules = {} if name is None else matching(model, [name])
    handles = [module.register_forward_hook(record) for module in modules.values()]
    try:
        with compiled_calls.unused(model if handles else None):
            yield found
    finally:
        for handle in handles:
            handle.remove()


def without_gradient(name: str) -> ModelError:
    """The error where a method needs a gradient of a function on arrays."""
    got = f"a method that needs a gradient, of {name}, a function on arrays, which has none"
    return ModelError(got, "a method that uses only forward passes", WITHOUT_GRADIENTS)


def joined(outputs: list[Any]) -> Any:
    """The outputs of single rows as those of all."""
    return tree_map(lambda *parts: torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0], *outputs)


def _is_array(part: Any) -> bool:
    return isinstance(part, (np.ndarray, np.generic)) and part.dtype.kind in "biuf"


def _has_arrays(outputs: Any) -> bool:
    parts = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    return any(map(_is_array, parts))


def _callable(function: Any) -> tuple[Callable[..., Any], str, bool, torch.dtype | None]:
    """What is called, its name, whether it takes arrays as far as that shows, and the type of its rows if it has one.

    Raises:
        ModelError: If nothing can be called.
    """
    if hasattr(function, "get_inputs") and hasattr(function, "get_outputs") and hasattr(function, "run"):
        return _session(function)
    if not callable(function) and (how := next((name for name in _ESTIMATES if hasattr(function, name)), None)):
        return getattr(function, how), type(function).__name__, True, None
    if not callable(function) or (isinstance(function, type) and issubclass(function, torch.nn.Module)):
        hint = "call FourierExplainer.from_pretrained(name) for a Hub id or a folder"
        kind = function.__name__ if isinstance(function, type) else type(function).__name__
        raise ModelError(f"a model of type {kind}", "a torch module, or a function of rows", hint)
    if isinstance(getattr(function, "model", None), torch.nn.Module) and hasattr(function, "task"):
        got, do = f"a pipeline, {type(function).__name__}", "call FourierExplainer.from_pipeline(pipeline)"
        raise ModelError(got, "a torch module, or a function of rows", do)
    estimator = getattr(function, "__self__", None)
    name = getattr(function, "__name__", type(function).__name__)
    arrays = hasattr(estimator, "fit") and not isinstance(estimator, torch.nn.Module)
    return function, name, arrays, None


def _classes(function: Any) -> dict[int, str]:
    """The names of the classes that `predict_proba` or `decision_function` of an estimator has numbers for."""
    names = getattr(getattr(function, "__self__", None), "classes_", None)
    counted = getattr(function, "__name__", "") in _ESTIMATES[:2] and getattr(names, "ndim", 0) == 1
    return {index: str(name) for index, name in enumerate(names)} if counted and names is not None else {}


def _session(session: Any) -> tuple[Callable[..., Any], str, bool, torch.dtype | None]:
    """A session of onnxruntime with one input: its outputs that are real numbers."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _ONNX:
        got = f"a session with the inputs {', '.join(f'{one.name} {one.type}' for one in inputs)}"
        do = "pass a function of that input, which calls session.run, with arrays=True"
        raise ModelError(got, "one input of real numbers", do)
    names = [one.name for one in session.get_outputs() if one.type in _ONNX]
    run = partial(_run_session, session, inputs[0].name, names or None)
    return run, type(session).__name__, True, _ONNX[inputs[0].type]


def _run_session(session: Any, name: str, outputs: list[str] | None, rows: Any) -> Any:
    found = session.run(outputs, {name: rows})
    return found[0] if len(found) == 1 else tuple(found)
