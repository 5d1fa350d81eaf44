"""Compiled models: their compiled calls are set aside while hooks look into them, and used in passes that need none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

#: Where `module.compile()` puts the compiled call, which does not see hooks that come later.
CALL = "_compiled_call_impl"


class CompiledCalls:
    """The compiled calls of models that this thread explains (`hf_fourier.models.inspection.eval_mode`)."""

    def __init__(self) -> None:
        self._aside: dict[int, list[tuple[torch.nn.Module, Any]]] = {}
        self._around: WeakKeyDictionary[torch.nn.Module, Any] = WeakKeyDictionary()

    def note(self, model: torch.nn.Module, compiled: torch.nn.Module) -> None:
        """Remember how `torch.compile(model)` compiles a model that is taken out of it."""
        around = getattr(compiled, "dynamo_ctx", None)
        if callable(around):
            self._around[model] = around

    def forget(self, model: torch.nn.Module) -> None:
        """Run a model as it is written from now on: hooks that came after its compilation are not in it."""
        self._around.pop(model, None)

    @contextmanager
    def set_aside(self, model: torch.nn.Module, modules: Sequence[torch.nn.Module]) -> Iterator[None]:
        """Inside, the modules of a model run as they are written, but for `used`."""
        found = [(module, call) for module in modules if (call := vars(module).get(CALL)) is not None]
        around = self._around.get(model)
        if around is None and not found:
            yield
            return
        before = self._aside.get(id(model))  # of an `eval_mode` around this one
        whole = [] if around is None or before is not None else [(model, around(_call_of(model)))]
        if found or whole:
            self._aside[id(model)] = [*found, *whole]
        _put(found, None)
        try:
            yield
        finally:
            if before is not None:
                self._aside[id(model)] = before
            else:
                self._aside.pop(id(model), None)
            _put(found)

    @contextmanager
    def used(self, model: torch.nn.Module | None) -> Iterator[None]:
        """Inside, what was set aside of a model is back: for passes that no hook of ours watches."""
        calls = self._aside.get(id(model))
        if calls is None:
            yield
            return
        before = [(module, vars(module).get(CALL)) for module, _ in calls]
        _put(calls)
        try:
            yield
        finally:
            _put(before)

    @contextmanager
    def unused(self, model: torch.nn.Module | None) -> Iterator[None]:
        """Inside, it is set aside again: for hooks within such a pass."""
        calls = self._aside.get(id(model))
        back = [(module, call) for module, call in calls or () if vars(module).get(CALL) is not None]
        _put(back, None)
        try:
            yield
        finally:
            _put(back)


def _call_of(model: torch.nn.Module) -> Callable[..., Any]:
    """What is compiled of a whole model: its call.

    The compiler skips functions in torch's own files. Of a user's model it finds `forward` behind the call; that of
    `nn.Sequential` it finds behind a function that is not torch's.
    """
    if not str(getattr(model.forward, "__module__", "")).startswith("torch."):
        return model._call_impl

    def call(*given: Any, **named: Any) -> Any:
        return model._call_impl(*given, **named)

    return call


def _put(calls: Sequence[tuple[torch.nn.Module, Any]], *instead: None) -> None:
    """Give modules their compiled calls, or None in their place."""
    for module, call in calls:
        vars(module)[CALL] = None if instead else call


compiled_calls = CompiledCalls()
