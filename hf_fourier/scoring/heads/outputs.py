"""Outputs of models: a tensor, outputs with names, a plain mapping of them, or a tuple with logits at some index.

What can be read in one way alone is read. Of anything else the error names a callable target that reads a part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from hf_fourier.errors import ModelError
from hf_fourier.typing import Float, Num, Tensor

#: How deep containers are looked through.
_DEPTH = 4


def with_named_parts(outputs: Any) -> Any:
    """Outputs whose parts are attributes: those of a plain mapping become that, others stay as they are."""
    if isinstance(outputs, Mapping) and not hasattr(outputs, "to_tuple"):  # as all of transformers' have
        return SimpleNamespace(**{str(name): value for name, value in outputs.items()})
    return outputs


def part_of(outputs: Any, *names: str) -> Tensor:
    """One tensor among a model's outputs, by its name, or by the first of several that is there.

    Raises:
        ModelError: If there is none.
    """
    parts = with_named_parts(outputs)
    for name in names:
        if isinstance(found := getattr(parts, name, None), Tensor):
            return found
    first = "choose a task that it has a head for"
    if isinstance(outputs, (tuple, list)):
        first = "let the model return them by name (`model.config.return_dict = True`)"
    do = f"{first}, or explain what there is{_such(outputs)}"
    raise ModelError(f"{outputs_text(outputs)} without {', '.join(names)}", f"outputs with `{names[0]}`", do)


def logits_of(outputs: Any) -> Tensor:
    """The logits among a model's outputs.

    Args:
        outputs: A tensor, outputs or a mapping with `logits`, or a tuple or list that begins with one of these: a loss
            or None may stand before it. What has names, and none that is `logits`, is not guessed at.

    Raises:
        ModelError: If there are none.
    """
    found = _logits(outputs, _DEPTH)
    if found is None:
        do = f"explain a model with a head (or return logits from yours), or what there is{_such(outputs)}"
        raise ModelError(f"{outputs_text(outputs)} without logits", "a tensor or outputs with `logits`", do)
    return found


def by_class(logits: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Logits as `(rows, classes)` if they have that form: without dimensions of one entry beside the classes."""
    if logits.ndim == 1:
        return logits.unsqueeze(1)
    if logits.ndim > 2 and sum(size != 1 for size in logits.shape[1:]) <= 1:
        return logits.flatten(1)
    return logits


def of_each(logits: Num[Tensor, "..."], rows: int) -> None:
    """Check that there is one row of logits for each row of the input.

    Raises:
        ModelError: If there is not.
    """
    if logits.ndim and len(logits) == rows:
        return
    do = "return a row of logits for each row of the input, the batch first"
    if logits.ndim == 2 and logits.shape[1] == rows:
        do = "put the batch first: return logits.T"
    got = f"logits of shape {tuple(logits.shape)} for {rows} row{'s' * (rows != 1)}"
    raise ModelError(got, "one row of logits per input row, the batch first", do)


def retarget_hint(outputs: Any, logits: Tensor) -> str:
    """A callable target, as it is typed, that reads the first number of each row of `logits`, a part of `outputs`."""
    path = next((path for path, tensor in _tensors(outputs, "out", _DEPTH) if tensor is logits), "out")
    places = f"[:, {', '.join('0' * (logits.ndim - 1))}]" if logits.ndim > 1 else ""
    return f"target=lambda out: {path}{places}"


def outputs_text(outputs: Any) -> str:
    """Outputs in words: their type, and the names of their parts."""
    held = [str(name) for name, _, value in _parts(outputs, "") if value is not None]
    some = f" of {', '.join(held[:8])}" if held and not isinstance(outputs, (list, tuple)) else ""
    return f"outputs {type(outputs).__name__}{some}"


def _logits(outputs: Any, depth: int) -> Tensor | None:
    if isinstance(outputs, Tensor):
        return outputs
    if not depth:
        return None
    if isinstance(outputs, (tuple, list)) and not hasattr(outputs, "_fields"):
        parts = [part for part in outputs if part is not None and not isinstance(part, (bool, int, float))]
        while len(parts) > 1 and _is_loss(*parts[:2]):
            del parts[0]
        return _logits(parts[0], depth - 1) if parts and not _is_number(parts[0]) else None
    own = getattr(with_named_parts(outputs), "logits", None)
    return own if isinstance(own, Tensor) else None


def _is_number(part: Any) -> bool:
    return isinstance(part, Tensor) and part.ndim == 0


def _is_loss(part: Any, after: Any) -> bool:
    """Whether a part is one number, with something larger behind it."""
    if not isinstance(part, Tensor) or part.ndim == 0:
        return _is_number(part)
    behind = after if isinstance(after, Tensor) else _logits(after, _DEPTH)
    return part.shape == (1,) and behind is not None and behind.ndim > 1


def _such(outputs: Any) -> str:
    """How to explain outputs by a callable target; with their first tensor of real numbers, if any."""
    for _, tensor in _tensors(outputs, "out", _DEPTH):
        if tensor.ndim and tensor.is_floating_point():
            return f", as by {retarget_hint(outputs, tensor)}"
    return " by a callable target, outputs -> (rows,)"


def _tensors(outputs: Any, path: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    """All tensors in a container, each with its expression in Python."""
    if isinstance(outputs, Tensor):
        yield path, outputs
    elif depth:
        for _, own, value in _parts(outputs, path):
            yield from _tensors(value, own, depth - 1)


def _parts(outputs: Any, path: str) -> Iterator[tuple[Any, str, Any]]:
    """The parts of a container: names, expressions in Python, and values."""
    if isinstance(outputs, Mapping):
        yield from ((name, f"{path}[{name!r}]", value) for name, value in outputs.items())
    elif hasattr(outputs, "_fields"):
        yield from ((name, f"{path}.{name}", getattr(outputs, name)) for name in outputs._fields)
    elif isinstance(outputs, (tuple, list)):
        yield from ((i, f"{path}[{i}]", value) for i, value in enumerate(outputs))
    elif hasattr(outputs, "__dict__"):
        yield from ((name, f"{path}.{name}", value) for name, value in vars(outputs).items())
