"""Ways to hold several examples."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


def _objects(examples: Sequence[Any]) -> np.ndarray:
    held = np.empty(len(examples), object)
    for i, one in enumerate(examples):
        held[i] = one
    return held


def _itself(example: Any) -> Any:
    return example


def _one_buffer(examples: Sequence[Any]) -> Iterator[Any]:
    """Arrays of one kind one after the other in the same memory, as of whoever reads a stream."""
    arrays = all(isinstance(one, np.ndarray) for one in examples)
    if not arrays or len({(one.shape, one.dtype) for one in examples}) > 1:
        yield from examples
        return
    buffer = np.empty_like(examples[0])
    for one in examples:
        buffer[...] = one
        yield buffer


def _series(examples: Sequence[Any]) -> Any:
    import pandas

    return pandas.Series(list(examples), index=range(7, 7 + len(examples)), dtype=object)


def _data_set(examples: Sequence[Any]) -> Any:
    import datasets

    return datasets.Dataset.from_dict({"example": list(examples)})


def _column(examples: Sequence[Any]) -> Any:
    return _data_set(examples)["example"]


#: What each holds is the examples one by one; a list has to be taken, others may be refused.
CONTAINERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "alone": lambda examples: examples[0],
    "list": list,
    "generator": lambda examples: (one for one in examples),
    "map": lambda examples: map(_itself, examples),
    "one buffer": _one_buffer,
    "deque": deque,
    "objects": _objects,
    "Series": _series,
    "Dataset": _data_set,
    "Column": _column,
}
