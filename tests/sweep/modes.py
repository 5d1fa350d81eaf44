"""What surrounds a call and is none of its business: autocast, inference mode, defaults, a model that trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


@contextmanager
def _default_dtype() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _autocast() -> AbstractContextManager[Any]:
    return torch.autocast("cpu", dtype=torch.bfloat16)


#: Around the call. Under autocast the model's own forward is in bfloat16, and so is the reference's.
AMBIENT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": _autocast,
    "default dtype float64": _default_dtype,
    "default device meta": lambda: torch.device("meta"),
    "deterministic": _deterministic,
}
HALF = "autocast"


@contextmanager
def _training(model: torch.nn.Module) -> Iterator[None]:
    model.train()
    try:
        yield
    finally:
        model.eval()


@contextmanager
def _frozen(model: torch.nn.Module) -> Iterator[None]:
    model.requires_grad_(False)
    try:
        yield
        assert not any(parameter.requires_grad for parameter in model.parameters()), "a frozen weight wants a gradient"
    finally:
        model.requires_grad_(True)


@contextmanager
def _mixed(model: torch.nn.Module) -> Iterator[None]:
    """Every third module trains and every second weight is frozen, and all stays so."""
    for i, module in enumerate(model.modules()):
        module.training = i % 3 == 0
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 2 == 0)
    try:
        yield
        assert [module.training for module in model.modules()] == [i % 3 == 0 for i, _ in enumerate(model.modules())]
    finally:
        model.eval()
        model.requires_grad_(True)


#: What the model is like before and after.
STATES: dict[str, Callable[[torch.nn.Module], AbstractContextManager[Any]]] = {
    "as it is": lambda model: nullcontext(),
    "training": _training,
    "frozen": _frozen,
    "mixed": _mixed,
}


def in_threads(work: Callable[[], Any], threads: int) -> list[Any]:
    """The same call from several threads at once; what one raises is raised here."""
    if threads == 1:
        return [work()]
    with ThreadPoolExecutor(threads) as pool:
        return [one.result() for one in [pool.submit(work) for _ in range(threads)]]
