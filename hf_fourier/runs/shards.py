"""One chunk of a run as one file: results side by side in safetensors, each readable without the others.

Tensors of one name lie end to end in one flat column per type and number of dimensions, with their shapes, the rows
that have one, and which one that is: rows one after the other that have the same input share it. What is no tensor is
JSON, a record per example; what many records share is written once. A shard holds no time, host or process, so that
equal chunks are equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.results import formats
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.tensor_files import ByteChunks, laid_out
from hf_fourier.typing import Tensor

#: In format 1 every row had a tensor of its own; up to 2 some parts had other names (`results.formats`).
FORMAT = 3
#: How much of a result is stored: all of it; all but the example itself; the top features and the curves alone.
Store = Literal["everything", "scores", "top"]
STORES: tuple[Store, ...] = ("everything", "scores", "top")
_RECORDS, _SHARED = "records", "shared"
_JSON = json.JSONEncoder(ensure_ascii=False)
#: Tensors that many examples of a data set may share: masks, places, filters.
_SHAREABLE = ("inputs.", "raw_input.")
#: Bytes that are compared first.
LOOK = 1024
#: Parts of a record that many records share.
_REPEATED = ("domain", "signal", "provenance", "view")
#: Provenance that differs from run to run, and is not stored.
_NOT_REPRODUCIBLE = ("seconds", "checks")


@dataclass(frozen=True)
class Failure:
    """An example that could not be explained.

    Attributes:
        reason: The exception in one line.
    """

    reason: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of one example.

    Attributes:
        index: Its place in the data set.
        name: Its name there (of a file), or "".
        result: Its result, or the failure.
    """

    index: int
    name: str
    result: Attribution | Failure


def pack_shard(outcomes: Sequence[Outcome], store: Store, top: int, split: bool) -> ByteChunks:
    """A shard, as pieces to be written one after the other.

    Args:
        outcomes: A chunk's, in its order.
        store: How much of each result.
        top: How many features, where only the top ones are stored.
        split: Whether memory ran out on the way, so that other batches ran than in a run where it did not.
    """
    records, columns = _Records(), _Columns()
    for row, outcome in enumerate(outcomes):
        record: dict[str, Any] = {"index": outcome.index, "name": outcome.name}
        if isinstance(outcome.result, Failure):
            records.add({**record, "failed": outcome.result.reason})
            continue
        values, tensors = _parts(outcome.result, store, top)
        records.add({**record, **values})
        for name, tensor in tensors.items():
            columns.add(row, name, tensor)
    head = json.dumps({"format": FORMAT, "store": store, "split": split, "rows": len(outcomes)})
    return laid_out({"head": _bytes(head), **records.tensors(), **columns.tensors()})


def _parts(result: Attribution, store: Store, top: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A result's values and tensors, as much as is stored of it."""
    values, tensors = result.to_parts(compact=store != "everything")
    values["provenance"] = {
        name: value for name, value in values["provenance"].items() if name not in _NOT_REPRODUCIBLE
    }
    if store != "top":
        return values, tensors
    values["features"], values["extras"] = len(result.scores), {}
    return values, {f"top.{name}": tensor for name, tensor in _best(result, top).items()}


def _best(result: Attribution, top: int) -> dict[str, Tensor]:
    """The top features: their numbers, scores, and shares of the signal's power where the signal is known."""
    best = result.order[:top]
    found = {"features": best.to(torch.int32), "scores": result.scores[best]}
    if result.signal is not None:
        power = result.power
        found["power"] = (power / power.sum().clamp(min=torch.finfo(power.dtype).tiny))[best]
    return found


class _Records:
    """JSON texts end to end, with the parts that repeat replaced by their number among the shared ones."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.shared: dict[str, int] = {}
        self.last: dict[str, tuple[Any, int]] = {}

    def add(self, record: dict[str, Any]) -> None:
        numbers = {name: self._number(name, record[name]) for name in _REPEATED if name in record}
        self.texts.append(_JSON.encode({**record, **numbers}).encode())

    def _number(self, name: str, value: Any) -> int:
        """Where a part stands among the shared ones; mostly it is that of the record before."""
        before, number = self.last.get(name, (None, 0))
        if before is None or before != value:
            number = self.shared.setdefault(_JSON.encode(value), len(self.shared))
            self.last[name] = value, number
        return number

    def tensors(self) -> dict[str, Tensor]:
        ends = torch.tensor([len(text) for text in self.texts], dtype=torch.long).cumsum(0)
        shared = _bytes("[" + ",".join(self.shared) + "]")
        return {_RECORDS: _bytes(b"".join(self.texts)), f"{_RECORDS}.ends": ends, _SHARED: shared}


@dataclass(eq=False)
class _Column:
    """Tensors of one name, type and number of dimensions, each once, and which of them a row has."""

    rows: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)


class _Columns:
    """All columns by name, type and number of dimensions."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, torch.dtype, int], _Column] = {}

    def add(self, row: int, name: str, tensor: Tensor) -> None:
        column, own = self.found.setdefault((name, tensor.dtype, tensor.ndim), _Column()), tensor.detach().cpu()
        if not (column.tensors and name.startswith(_SHAREABLE) and _same(column.tensors[-1], own)):
            column.tensors.append(own)
        column.rows.append(row)
        column.places.append(len(column.tensors) - 1)

    def tensors(self) -> dict[str, Tensor]:
        made = {}
        for (name, dtype, dimensions), column in self.found.items():
            kind = f"{name}|{str(dtype).removeprefix('torch.')}|{dimensions}"
            made[f"{kind}|data"] = torch.cat([tensor.reshape(-1) for tensor in column.tensors])
            made[f"{kind}|rows"] = torch.tensor(column.rows, dtype=torch.int32)
            made[f"{kind}|places"] = torch.tensor(column.places, dtype=torch.int32)
            shapes = [list(tensor.shape) for tensor in column.tensors]
            made[f"{kind}|shapes"] = torch.tensor(shapes, dtype=torch.int64).reshape(len(shapes), dimensions)
        return made


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one type are the same, bit by bit: -0 is not 0, and NaN is itself."""
    if a.shape != b.shape:
        return False
    first, second = (tensor.reshape(-1).view(torch.uint8).numpy() for tensor in (a, b))
    return np.array_equal(first[:LOOK], second[:LOOK]) and np.array_equal(first, second)


class Shard:
    """One finished chunk. Opening it reads its head; rows are read on demand.

    Raises:
        InputError: If it is of a newer format.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self.path = path
        self._file = safe_open(path, "pt")
        self._names = list(self._file.keys())
        self._head = json.loads(_text(self._file.get_tensor("head")))
        if self._head["format"] > FORMAT:
            got = f"a shard of format {self._head['format']}"
            raise InputError(got, f"at most {FORMAT}", "install a newer hf_fourier")
        self._ends = self._file.get_tensor(f"{_RECORDS}.ends").tolist()
        self._shared: list[Any] | None = None

    def __len__(self) -> int:
        return int(self._head["rows"])

    @property
    def store(self) -> Store:
        """How much of each result is stored."""
        return self._head["store"]

    @property
    def split(self) -> bool:
        """Whether memory ran out while it was made."""
        return bool(self._head["split"])

    def record(self, row: int) -> dict[str, Any]:
        """The plain values of one row: "index", "name", and either "failed" or the values of a result."""
        start = self._ends[row - 1] if row else 0
        record: dict[str, Any] = json.loads(_text(self._file.get_slice(_RECORDS)[start : self._ends[row]]))
        if self._shared is None:
            self._shared = json.loads(_text(self._file.get_tensor(_SHARED)))
        record = formats.renamed(record, formats.ATTRIBUTION)
        return formats.attribution(
            {name: self._shared[value] if name in _REPEATED else value for name, value in record.items()}
        )

    def tensors(self, row: int) -> dict[str, Tensor]:
        """The tensors of one row by name; nothing else is read."""
        found = {}
        for kind in (name.removesuffix("|data") for name in self._names if name.endswith("|data")):
            own = (self._file.get_tensor(f"{kind}|rows") == row).nonzero().flatten()
            if len(own):
                places, shapes = f"{kind}|places", self._file.get_tensor(f"{kind}|shapes")
                place = int(self._file.get_tensor(places)[int(own)]) if places in self._names else int(own)
                sizes = shapes.prod(1)
                start, shape = int(sizes[:place].sum()), shapes[place].tolist()
                flat = self._file.get_slice(f"{kind}|data")[start : start + int(sizes[place])]
                found[kind.partition("|")[0]] = flat.reshape(shape)
        return formats.renamed(found, formats.TENSORS)

    def result(self, row: int) -> Attribution:
        """The result of one row.

        Raises:
            InputError: If the example failed, or only its top features are stored.
        """
        record = self.record(row)
        if "failed" in record:
            got = f"example {record['index']}, which could not be explained ({record['failed']})"
            raise InputError(got, "one that was explained", "see failures()")
        if self.store == "top":
            got = "a run of which the top features alone are stored"
            raise InputError(got, "one with scores", "read rows(), or run it with store='scores'")
        return Attribution.from_parts(record, self.tensors(row))


def top_features_of(record: Mapping[str, Any], tensors: Mapping[str, Tensor], top: int) -> dict[str, Tensor]:
    """The top features of a row with their scores and shares of power, however much of it is stored."""
    stored = {name.removeprefix("top."): tensor for name, tensor in tensors.items() if name.startswith("top.")}
    if stored:
        return {name: tensor[:top] for name, tensor in stored.items()}
    return _best(Attribution.from_parts(dict(record), dict(tensors)), top)


def _bytes(text: str | bytes) -> Tensor:
    data = text.encode() if isinstance(text, str) else text
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)


def _text(tensor: Tensor) -> str:
    return bytes(tensor.numpy()).decode()
