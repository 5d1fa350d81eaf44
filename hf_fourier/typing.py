"""Shapes in annotations: checked where `jaxtyping` is installed and its hook is on (the tests), free otherwise.

And numbers of users as tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Inexact, Int, Num, Shaped
else:
    try:
        from jaxtyping import Bool, Float, Inexact, Int, Num, Shaped
    except ImportError:

        class _Unchecked:
            """Stands in for a `jaxtyping` annotation: `Float[Tensor, "batch k"]` is just `Tensor`."""

            def __class_getitem__(cls, item: Any) -> Any:
                return item[0]

        Bool = Float = Inexact = Int = Num = Shaped = _Unchecked

__all__ = ["Bool", "Float", "Inexact", "Int", "Num", "Shaped", "Tensor", "tensor_of"]


def tensor_of(numbers: Any) -> Tensor:
    """Numbers as a tensor, whatever their bytes' order and their strides; an array's are copied.

    Raises:
        TypeError: If they are no numbers.
        ValueError: If they are of uneven lengths.
    """
    if isinstance(numbers, np.ndarray):
        numbers = np.array(numbers, dtype=numbers.dtype.newbyteorder("="), order="C")
    return torch.as_tensor(numbers)
