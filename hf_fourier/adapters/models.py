"""Models of others: held still while they are explained, and what they and their configs say of themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch

from hf_fourier.errors import ModelError
from hf_fourier.heads import Binary, Categorical, Head, Regression
from hf_fourier.typing import Tensor

#: Where `module.compile()` puts the compiled call, which would not see our hooks.
_COMPILED = "_compiled_call_impl"


@contextmanager
def held(model: torch.nn.Module) -> Iterator[None]:
    """In evaluation mode, uncompiled and without parameter gradients inside; exactly as it was afterwards.

    What is computed inside may be differentiated, even where the caller is in `torch.inference_mode()`.
    """
    modules = list(model.modules())
    training = [module for module in modules if module.training]
    needing = [p for module in modules for p in module._parameters.values() if p is not None and p.requires_grad]
    compiled = [(module, call) for module in modules if (call := vars(module).get(_COMPILED)) is not None]
    try:
        for module in training:
            module.training = False
        for parameter in needing:
            parameter.requires_grad_(False)
        for module, _ in compiled:
            setattr(module, _COMPILED, None)
        with torch.inference_mode(False):
            yield
    finally:
        for module in training:
            module.training = True
        for parameter in needing:
            parameter.requires_grad_(True)
        for module, call in compiled:
            setattr(module, _COMPILED, call)


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The module below `torch.compile` and data parallelism, which hide hooks and split batches."""
    while True:
        if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            inner = model.module
        else:
            inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


def device_of(model: torch.nn.Module) -> torch.device:
    """The device that a model's inputs go to."""
    hook = getattr(model, "_hf_hook", None)
    execution = getattr(hook, "execution_device", None)
    if execution is not None:
        return torch.device(execution if not isinstance(execution, int) else f"cuda:{execution}")
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.device.type != "meta":
            return tensor.device
    return torch.device("cpu")


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """The model's floating-point type."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def convolves(model: torch.nn.Module) -> bool:
    """Whether a model has several convolutions over pictures; a single one only cuts them into patches."""
    return sum(isinstance(module, torch.nn.Conv2d) for module in model.modules()) > 1


def below_peft(model: torch.nn.Module) -> torch.nn.Module:
    """The model that PEFT has wrapped; any other as it is."""
    inner: Any = getattr(model, "get_base_model", None)
    return model if inner is None else inner()


def learns_prompts(model: torch.nn.Module) -> bool:
    """Whether an adapter puts virtual tokens in front of a text."""
    return bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))


def arguments_of(model: torch.nn.Module) -> frozenset[str]:
    """The names of what a model takes (below PEFT, which passes on whatever it gets); none where it does not say."""
    try:
        return frozenset(inspect.signature(below_peft(model).forward).parameters)
    except (TypeError, ValueError):
        return frozenset()


def labels_of(config: Any) -> dict[int, str]:
    """The names of the classes in a config.

    Raises:
        ModelError: If `id2label` does not go from class numbers to names, one name for each.
    """
    given = getattr(config, "id2label", None) or {}
    try:
        labels = {int(index): str(name) for index, name in given.items()}
        good = len(labels) == len(given) and min(labels, default=0) >= 0
    except (TypeError, ValueError, AttributeError):
        good = False
    if not good:
        some = ", ".join(map(repr, list(given)[:3]))
        do = "set `model.config.id2label` the right way round, from numbers to names"
        raise ModelError(f"`id2label` with the keys {some} in the config", "class numbers from 0 on, each once", do)
    return labels


def label_notes(config: Any) -> tuple[str, ...]:
    """What has to be said where a config's two lists of names contradict each other."""
    back = getattr(config, "label2id", None) or {}
    odd = [
        f"{name!r} ({index} and {back[name]})"
        for index, name in labels_of(config).items()
        if back.get(name, index) != index
    ]
    if not odd:
        return ()
    more = ", …" if len(odd) > 3 else ""
    said = f"id2label and label2id in the config contradict each other about {', '.join(odd[:3])}{more}"
    return (f"{said}: names are those of id2label",)


def classification_head(config: Any) -> Head:
    """The head of a classifier as its config describes it: softmax, sigmoids, or a value.

    Raises:
        ModelError: If the config names no classes.
    """
    labels, problem = labels_of(config), getattr(config, "problem_type", None)
    if problem == "multi_label_classification":
        return Binary(labels)
    if problem == "regression" or (problem is None and len(labels) == 1):
        return Regression(labels if len(labels) > 1 else {}, outputs=len(labels), assumed=problem is None)
    if len(labels) == 1:
        return Binary(labels)
    if not labels and int(getattr(config, "num_labels", None) or 0) < 2:  # some configs count them without naming them
        raise ModelError("a classifier without classes", "`id2label` in its config", "set `model.config.id2label`")
    return Categorical(labels)


def hidden_of(outputs: Any) -> Tensor:
    """The last hidden states among a model's outputs.

    Raises:
        ModelError: If there are none.
    """
    states = getattr(outputs, "last_hidden_state", None)
    if not isinstance(states, Tensor):
        got = f"outputs {type(outputs).__name__} without last_hidden_state"
        raise ModelError(got, "those of a headless model", "load it with AutoModel")
    return states
