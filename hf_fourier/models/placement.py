"""Device and type of a model: checked before loading, applied afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.distributed import accelerate_state

#: Accelerate's placement strategies.
_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
#: Types that a model can be explained in.
_TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def place_of(device: Any, device_map: Any) -> torch.device | None:
    """The device that a model is moved to; None where a map places it.

    Args:
        device: As the user passed it; None for the one that Accelerate gives this process.
        device_map: A placement over several devices.

    Raises:
        InputError: If that is no device or no map, or both are given.
        ModelError: If there is no such device here.
    """
    if device_map is not None:
        if device is not None:
            got = f"device {str(device)!r} and device_map {device_map!r}"
            raise InputError(got, "one of the two", "leave one out")
        if isinstance(device_map, str) and device_map not in _MAPS:
            _device(device_map, "device_map", ", ".join(_MAPS))
        return None
    if device is not None:
        return _device(device, "device")
    own = torch.device(accelerate_state().device)
    return torch.device("cpu") if own.type == "cpu" else own  # which has no number


def type_of(dtype: Any) -> Any:
    """The type of a model's weights as `transformers` takes it.

    Args:
        dtype: A torch type or its name; None or "auto" for the checkpoint's own; a type for each part of a model.

    Raises:
        InputError: If no model can be explained in that type.
    """
    if dtype is None or dtype == "auto" or isinstance(dtype, Mapping):
        return dtype
    found = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if found in _TYPES:
        return found
    names = ", ".join(str(one).removeprefix("torch.") for one in _TYPES)
    raise InputError(f"dtype {str(dtype)!r}", f"one of {names}, or auto", "choose one of them")


def placed(model: Any, on: torch.device | None, by_itself: bool) -> tuple[Any, list[str]]:
    """The model on its device, in a suitable type where none was chosen, and notes on that."""
    if on is None or getattr(model, "is_quantized", False):
        return model, []  # where a quantised model lies, and as what, is its quantiser's business
    notes = []
    if by_itself and on.type == "cpu" and model.dtype in (torch.float16, torch.bfloat16):
        notes.append(f"the checkpoint's {model.dtype} was widened to float32 on the CPU; pass dtype= to keep it")
        model = model.float()
    return model.to(on), notes


def _device(device: Any, what: str, more: str = "") -> torch.device:
    others = f"{more}, " if more else ""
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{what} {device!r}", f"{others}cpu, cuda:0 or another device", "choose one of them"
        ) from error
    if found.type == "meta":
        raise InputError(f"{what} 'meta', which holds no numbers", f"{others}cpu or cuda:0", "choose one of them")
    try:
        torch.empty(1, device=found)
    except torch.OutOfMemoryError:
        pass
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        got = f"{what} {str(device)!r}, which is not available here ({reason})"
        raise ModelError(got, f"one of {', '.join(_here())}", "choose one of them") from error
    return found


def _here() -> list[str]:
    """The devices that there are."""
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return ["cpu", *(f"{kind.type}:{i}" for i in range(torch.accelerator.device_count()) if kind is not None)]
