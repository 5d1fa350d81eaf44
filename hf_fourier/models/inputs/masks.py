"""Truth values that choose entries, where their numbers are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_fourier.errors import InputError


def places_of_mask(name: str, chosen: Any, count: int) -> list[int] | None:
    """The places at which a mask of `count` truth values is True; None for what is no mask.

    Args:
        name: What the argument is called.
        chosen: An array, a tensor, a Series or a list.
        count: How many entries there are to choose from.

    Raises:
        InputError: If an array of truth values has another shape.
    """
    one_by_one = isinstance(chosen, list) and len(chosen) == count and all(isinstance(one, bool) for one in chosen)
    if not one_by_one and str(getattr(chosen, "dtype", "")).removeprefix("torch.") not in ("bool", "boolean"):
        return None
    mask = np.asarray(chosen, dtype=object)
    if mask.shape != (count,):
        got = f"`{name}`, a mask of shape {mask.shape}"
        raise InputError(got, f"{count} truth values, or numbers", f"correct `{name}`")
    return [place for place, one in enumerate(mask.tolist()) if one is True]
