"""Shapes in annotations: checked where `jaxtyping` is installed and its hook is on (the tests), free otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

__all__ = ["Bool", "Float", "Inexact", "Int", "Num", "Shaped", "Tensor"]
