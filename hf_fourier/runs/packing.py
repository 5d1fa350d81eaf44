"""One chunk of a run as one file: results side by side in safetensors, each readable without the others.

Tensors of one name lie end to end in one flat column per type and number of dimensions, with their shapes, the rows
that have one, and which one that is: rows one after the other that have the same input share it. What is no tensor is
JSON, a record per example; what many records share is written once. A shard holds no time, host or process, so that
equal chunks are equal bytes.

Each record and each tensor has its digest, so that one row is checked without the others; the head has those of all
else, of the file's header and of itself. It also names the run. `hf_fourier.runs.shards` reads a shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
import torch

from hf_fourier.results.atomic_writes import ByteChunks
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.integrity import digest, sealed, to_json
from hf_fourier.results.ordering import LEADING, Leading
from hf_fourier.results.parts import FITTED
from hf_fourier.results.tensor_files import bytes_tensor, laid_out_stating
from hf_fourier.runs.gene_store import NOT_STORABLE, gene_parts, has_gene_scores
from hf_fourier.typing import Tensor

#: In format 1 every row had a tensor of its own; up to 2 some parts had other names (`results.formats`).
FORMAT = 3
#: How much of a result is stored: all of it; all but the example itself; of cells a number for each gene; the top
#: features and the curves alone.
Store = Literal["everything", "scores", "genes", "top"]
STORES: tuple[Store, ...] = ("everything", "scores", "genes", "top")
HEAD, RECORDS, SHARED, READ = "head", "records", "shared", "examples"
#: Bytes of a digest in a column of them, and what stands for one that is not known.
DIGEST_BYTES = 16
UNKNOWN = "0" * 2 * DIGEST_BYTES
#: Tensors that many examples of a data set may share: masks, places, filters, fitted directions.
_SHAREABLE = ("inputs.", "raw_input.", FITTED)
#: Bytes that are compared first.
LOOK = 1024
#: Bytes of small tensors that are copied with one call; they fit into a cache.
JOIN = 2**18
#: Parts of a record that many records share.
REPEATED = ("domain", "signal", "provenance", "view", "genes")
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
        example: The digest of the example as it was read, by which a later run knows it again.
    """

    index: int
    name: str
    result: Attribution | Failure
    example: str = UNKNOWN


def pack_shard(outcomes: Sequence[Outcome], store: Store, top: int, split: bool, run: str = "") -> ByteChunks:
    """A shard, as pieces to be written one after the other.

    Args:
        outcomes: A chunk's, in its order.
        store: How much of each result.
        top: How many features, where only the top ones are stored.
        split: Whether memory ran out on the way, so that other batches ran than in a run where it did not.
        run: The identity of the run (`Manifest.identity`).
    """
    records, columns = _Records(), _Columns()
    for row, outcome in enumerate(outcomes):
        record: dict[str, Any] = {"index": outcome.index, "name": outcome.name}
        if isinstance(outcome.result, Failure):
            records.add({**record, "failed": outcome.result.reason})
            continue
        if store == "genes" and not has_gene_scores(outcome.result):
            records.add({**record, "failed": NOT_STORABLE})
            continue
        values, tensors = _parts(outcome.result, store, top)
        records.add({**record, **values})
        for name, tensor in tensors.items():
            columns.add(row, name, tensor)
    tensors = {**records.tensors(), **columns.tensors(), READ: _digests([outcome.example for outcome in outcomes])}
    values = {"format": FORMAT, "store": store, "split": split, "rows": len(outcomes), "run": run}
    values["rest"] = digest(small_tensors(tensors))
    return laid_out_stating(tensors, HEAD, lambda header: sealed({**values, "header": header}))


def is_small(name: str) -> bool:
    """Whether a tensor of a shard is read as a whole: neither records nor data, of which a row has its part."""
    return name not in (HEAD, RECORDS) and not name.endswith("|data")


def small_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of all small tensors of a shard, each with its name and size in front."""
    parts = []
    for name in sorted(filter(is_small, tensors)):
        data = tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes()
        parts.append(f"{name} {len(data)}:".encode() + data)
    return b"".join(parts)


def _parts(result: Attribution, store: Store, top: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A result's values and tensors, as much as is stored of it."""
    values, tensors = gene_parts(result) if store == "genes" else result.to_parts(compact=store != "everything")
    values["provenance"] = {
        name: value for name, value in values["provenance"].items() if name not in _NOT_REPRODUCIBLE
    }
    if store != "top":
        return values, tensors
    values["features"], values["extras"] = len(result.scores), {}
    fitted = {name: tensor for name, tensor in tensors.items() if name.startswith(FITTED)}
    return values, {f"top.{name}": tensor for name, tensor in best_features(result, top).items()} | fitted


def best_features(result: Attribution, top: int) -> dict[str, Tensor]:
    """The top features: their numbers, scores, and shares of the signal's power where the signal is known."""
    known: Leading | None = vars(result).get(LEADING)
    if known is not None and known.power is not None and len(known.features) >= min(top, len(result.scores)):
        return {"features": known.features[:top], "scores": known.scores[:top], "power": known.power[:top]}
    best = result.order[:top]
    found = {"features": best.to(torch.int32), "scores": result.scores.cpu()[best]}
    if result.signal is not None:
        power = result.power
        found["power"] = (power / power.sum().clamp(min=torch.finfo(power.dtype).tiny))[best]
    return found


class _Records:
    """JSON texts end to end, with the parts that repeat replaced by their number among the shared ones."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.shared: dict[bytes, int] = {}
        self.last: dict[str, tuple[Any, int]] = {}

    def add(self, record: dict[str, Any]) -> None:
        numbers = {name: self._number(name, record[name]) for name in REPEATED if name in record}
        self.texts.append(to_json({**record, **numbers}))

    def _number(self, name: str, value: Any) -> int:
        """Where a part stands among the shared ones; mostly it is that of the record before."""
        before, number = self.last.get(name, (None, 0))
        if before is None or before != value:
            number = self.shared.setdefault(to_json(value), len(self.shared))
            self.last[name] = value, number
        return number

    def tensors(self) -> dict[str, Tensor]:
        ends = torch.tensor([len(text) for text in self.texts], dtype=torch.long).cumsum(0)
        return {
            RECORDS: bytes_tensor(b"".join(self.texts)),
            f"{RECORDS}.ends": ends,
            f"{RECORDS}.digests": _digests([digest(text) for text in self.texts]),
            SHARED: bytes_tensor(b"[" + b",".join(self.shared) + b"]"),
        }


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
            made[f"{kind}|data"], digests = _joined(column.tensors)
            made[f"{kind}|rows"] = torch.tensor(column.rows, dtype=torch.int32)
            made[f"{kind}|places"] = torch.tensor(column.places, dtype=torch.int32)
            shapes = [list(tensor.shape) for tensor in column.tensors]
            made[f"{kind}|shapes"] = torch.tensor(shapes, dtype=torch.int64).reshape(len(shapes), dimensions)
            made[f"{kind}|digests"] = _digests(digests)
        return made


def _joined(tensors: Sequence[Tensor]) -> tuple[Tensor, list[str]]:
    """Tensors of one type end to end, shape `(entries,)`, and the digest of each, taken while it is in the cache."""
    data = torch.empty(sum(tensor.numel() for tensor in tensors), dtype=tensors[0].dtype)
    stored, size = data.view(torch.uint8).numpy(), data.element_size()
    digests, start = [], 0
    for group in _in_groups(tensors, JOIN // size):
        ends = list(accumulate((tensor.numel() for tensor in group), initial=start))
        torch.cat([tensor.reshape(-1) for tensor in group], out=data[start : ends[-1]])
        digests += [digest(stored[size * first : size * end]) for first, end in pairwise(ends)]
        start = ends[-1]
    return data, digests


def _in_groups(tensors: Sequence[Tensor], entries: int) -> Iterator[list[Tensor]]:
    """Neighbours that have together about so many entries."""
    group: list[Tensor] = []
    held = 0
    for tensor in tensors:
        group.append(tensor)
        held += tensor.numel()
        if held >= entries:
            yield group
            group, held = [], 0
    if group:
        yield group


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one type are the same, bit by bit: -0 is not 0, and NaN is itself."""
    if a.shape != b.shape:
        return False
    first, second = (tensor.reshape(-1).view(torch.uint8).numpy() for tensor in (a, b))
    return np.array_equal(first[:LOOK], second[:LOOK]) and np.array_equal(first, second)


def _digests(found: Sequence[str]) -> Tensor:
    """Digests as bytes, shape `(digests, 16)`."""
    return bytes_tensor(bytes.fromhex("".join(found))).reshape(len(found), DIGEST_BYTES)
