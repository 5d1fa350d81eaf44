"""What models hand out: a tensor, outputs with names, a plain mapping of them, or a tuple with logits in some place."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from hf_fourier.errors import ModelError
from hf_fourier.typing import Tensor


def named(outputs: Any) -> Any:
    """Outputs whose parts are attributes: those of a plain mapping become that, others stay as they are."""
    if isinstance(outputs, Mapping) and not hasattr(outputs, "to_tuple"):  # as all of transformers' have
        return SimpleNamespace(**{str(name): value for name, value in outputs.items()})
    return outputs


def part_of(outputs: Any, name: str) -> Tensor:
    """One tensor among a model's outputs, by its name.

    Raises:
        ModelError: If there is none.
    """
    found = getattr(named(outputs), name, None)
    if not isinstance(found, Tensor):
        got = f"outputs {type(outputs).__name__} without {name}"
        do = "let the model return them by name (`model.config.return_dict = True`), or pass a callable target"
        raise ModelError(got, f"outputs with `{name}`", do)
    return found


def logits_of(outputs: Any) -> Tensor:
    """The logits among a model's outputs.

    Args:
        outputs: A tensor, outputs or a mapping with `logits`, or a tuple or list: its first tensor that is no single
            number, since a loss (or None in its place) may stand before them.

    Raises:
        ModelError: If there are none.
    """
    if isinstance(outputs, Tensor):
        return outputs
    logits = getattr(named(outputs), "logits", None)
    if logits is None and isinstance(outputs, (tuple, list)):
        logits = next((one for one in outputs if isinstance(one, Tensor) and one.ndim), None)
    if not isinstance(logits, Tensor):
        got = f"outputs {type(outputs).__name__} without logits"
        raise ModelError(
            got, "a tensor or outputs with `logits`", "explain a model with a head, or pass a callable target"
        )
    return logits
