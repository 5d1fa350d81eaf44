"""Reads a shard, one finished chunk of a run: row by row, each checked before it is believed.

`hf_fourier.runs.packing` writes them and says what is in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.results import formats
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.integrity import damaged, fits, parsing, tensor_fits, unsealed
from hf_fourier.results.parts import FITTED, RESULT, stored_domain
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.tensor_files import read_header
from hf_fourier.runs.gene_store import SCORES, TOKENS
from hf_fourier.runs.packing import (
    DIGEST_BYTES,
    FORMAT,
    HEAD,
    READ,
    RECORDS,
    REPEATED,
    SHARED,
    STORES,
    UNKNOWN,
    Store,
    best_features,
    is_small,
    small_tensors,
)
from hf_fourier.typing import Tensor

_HEAD = {"format": int, "store": str, "split": bool, "rows": int, "run?": str, "header?": str, "rest?": str}
_RECORD = {"index": int, "name": str, "failed?": str}
#: What is read of a run that does not store all scores.
_READ = {"top": "rows()", "genes": "genes()"}
AGAIN = "run the same command again: it computes only this shard again"


class Shard:
    """One finished chunk. Opening it reads and checks all but records and data; of these a row's are read on demand.

    Args:
        path: The file.
        run: The identity of the run that it should be of (`Manifest.identity`); "" for any.

    Raises:
        InputError: If it is of a newer format.
        DamagedFile: If it is not as it was written, or a shard of another run.
    """

    def __init__(self, path: Path, run: str = "") -> None:
        from safetensors import SafetensorError, safe_open

        self.path = path
        header = read_header(path, AGAIN)
        try:
            self._file = safe_open(path, "pt")
            self._names = list(self._file.keys())
            head = bytes(self._file.get_tensor(HEAD).numpy())
            self._small = {name: self._file.get_tensor(name) for name in self._names if is_small(name)}
        except (SafetensorError, RuntimeError, ValueError) as error:
            raise damaged(path, f"it is cut off, or not a shard ({error})", AGAIN) from error
        self._head = unsealed(head, path, AGAIN)
        with parsing(path, AGAIN):
            self._open(header, run)

    def _open(self, header: bytes, run: str) -> None:
        """Check the head and what is read with it.

        Raises:
            InputError: If the shard is of a newer format.
            DamagedFile: If a digest differs, or it is a shard of another run.
            Malformed: If values are not of their schema.
        """
        check(self._head, _HEAD)
        if self._head["format"] > FORMAT:
            got = f"a shard of format {self._head['format']}"
            raise InputError(got, f"at most {FORMAT}", "install a newer hf_fourier")
        self._checked = "rest" in self._head
        if self._checked and not fits(header, self._head.get("header")):
            raise damaged(self.path, "its header is not the one that was written", AGAIN)
        if self._checked and not fits(small_tensors(self._small), self._head["rest"]):
            raise damaged(self.path, "the digest of its places and shapes differs", AGAIN)
        if run and self._head.get("run", run) != run:
            do = "put it back where it belongs; " + AGAIN
            raise damaged(self.path, "it is a shard of a run with other settings", do)
        self._ends: list[int] = self._small[f"{RECORDS}.ends"].tolist()
        self._shared: list[Any] = json.loads(_text(self._small[SHARED]))
        if len(self._ends) != len(self) or self._head["store"] not in STORES:
            raise Malformed(f"{len(self._ends)} records in {len(self)} rows of {self._head['store']!r}")

    def __len__(self) -> int:
        return int(self._head["rows"])

    @property
    def store(self) -> Store:
        """How much of each result is stored."""
        store: Store = self._head["store"]
        return store

    @property
    def split(self) -> bool:
        """Whether memory ran out while it was made."""
        return bool(self._head["split"])

    @property
    def examples(self) -> list[str]:
        """The digest of each row's example as it was read; `UNKNOWN` where that is not known."""
        if READ not in self._small:
            return [UNKNOWN] * len(self)
        return [bytes(row).hex() for row in self._small[READ].numpy()]

    def record(self, row: int) -> dict[str, Any]:
        """The plain values of one row: "index", "name", and either "failed" or the values of a result.

        Raises:
            DamagedFile: If they are not as they were written.
        """
        with parsing(self.path, AGAIN):
            return self._record(row)

    def _record(self, row: int) -> dict[str, Any]:
        start = self._ends[row - 1] if row else 0
        data = bytes(self._file.get_slice(RECORDS)[start : self._ends[row]].numpy())
        if self._checked and not fits(data, self._digest(f"{RECORDS}.digests", row)):
            raise self._damaged_row(row, "its record")
        record: dict[str, Any] = json.loads(data)
        check(record, _RECORD)
        if "failed" in record:
            return record
        record = formats.renamed(record, formats.ATTRIBUTION)
        record = {name: self._shared[value] if name in REPEATED else value for name, value in record.items()}
        record = formats.attribution(record)
        check(record, RESULT)
        return record

    def tensors(self, row: int) -> dict[str, Tensor]:
        """The tensors of one row by name; nothing else is read.

        Raises:
            DamagedFile: If one is not as it was written.
        """
        with parsing(self.path, AGAIN):
            return self._tensors(row)

    def _tensors(self, row: int) -> dict[str, Tensor]:
        found = {}
        for kind in (name.removesuffix("|data") for name in self._names if name.endswith("|data")):
            rows = (self._small[f"{kind}|rows"] == row).nonzero().flatten()
            if len(rows):
                places, shapes = self._small.get(f"{kind}|places"), self._small[f"{kind}|shapes"]
                place = int(rows) if places is None else int(places[int(rows)])
                sizes = shapes.prod(1)
                start, shape = int(sizes[:place].sum()), shapes[place].tolist()
                flat = self._file.get_slice(f"{kind}|data")[start : start + int(sizes[place])]
                name = kind.partition("|")[0]
                if self._checked and not tensor_fits(flat, self._digest(f"{kind}|digests", place)):
                    raise self._damaged_row(row, repr(name))
                found[name] = flat.reshape(shape)
        return formats.renamed(found, formats.TENSORS)

    def result(self, row: int) -> Attribution:
        """The result of one row.

        Raises:
            InputError: If the example failed, or only its top features are stored.
            DamagedFile: If it is not as it was written.
        """
        record = self.record(row)
        if "failed" in record:
            got = f"example {record['index']}, which could not be explained ({record['failed']})"
            raise InputError(got, "one that was explained", "see failures()")
        if self.store in ("genes", "top"):
            got = f"a run that stores only the {'top features' if self.store == 'top' else 'scores of genes'}"
            raise InputError(got, "one with scores", f"read {_READ[self.store]}, or run it with store='scores'")
        with parsing(self.path, AGAIN):
            return Attribution.from_parts(record, self.tensors(row))

    def top_features(self, row: int, top: int) -> dict[str, Tensor]:
        """The top features of a row with their scores and shares of power, however much of it is stored.

        Where scores of genes are stored, the features are the tokens of the genes of largest score.

        Raises:
            DamagedFile: If they are not as they were written.
        """
        tensors = self.tensors(row)
        stored = {name.removeprefix("top."): tensor for name, tensor in tensors.items() if name.startswith("top.")}
        with parsing(self.path, AGAIN):
            if any(name.startswith(FITTED) for name in tensors):
                stored_domain(self.record(row)["domain"], tensors)  # whose places have names
            if self.store == "genes":
                order = tensors[SCORES].abs().argsort(descending=True, stable=True)[:top]
                return {"features": tensors[TOKENS][order], "scores": tensors[SCORES][order]}
            if self.store != "top":
                return best_features(Attribution.from_parts(self.record(row), tensors), top)
            lengths = {len(tensor) for tensor in stored.values()}
            if not {"features", "scores"} <= stored.keys() or len(lengths) > 1:
                raise Malformed("no top features with one score each")
            return {name: tensor[:top] for name, tensor in stored.items()}

    def verify(self, indices: Sequence[int] | None = None) -> None:
        """Read and check all of it.

        Args:
            indices: The examples that its rows should be of, in order; None for any.

        Raises:
            DamagedFile: If anything is not as it was written.
        """
        with parsing(self.path, AGAIN):
            found = self._indices_by_digest() if self._checked else self._indices_by_schema()
        if indices is not None and found != list(indices):
            got = f"it holds the examples {_listed(found)} where {_listed(indices)} belong"
            raise damaged(self.path, got, "put it back where it belongs; " + AGAIN)

    def _indices_by_digest(self) -> list[int]:
        """The example of each row, once the digests of all records and data are those that were written."""
        records = np.split(self._file.get_tensor(RECORDS).numpy(), self._ends[:-1])
        for row, record in enumerate(records):
            if not fits(record, self._digest(f"{RECORDS}.digests", row)):
                raise self._damaged_row(row, "its record")
        for kind in (name.removesuffix("|data") for name in self._names if name.endswith("|data")):
            data = self._file.get_tensor(f"{kind}|data")
            sizes = self._small[f"{kind}|shapes"].prod(1) * data.element_size()
            pieces = np.split(data.view(torch.uint8).numpy(), sizes.cumsum(0)[:-1].tolist())
            for place, piece in enumerate(pieces):
                if not fits(piece, self._digest(f"{kind}|digests", place)):
                    row = int(self._small[f"{kind}|rows"][self._small[f"{kind}|places"] == place][0])
                    raise self._damaged_row(row, repr(kind.partition("|")[0]))
        return [int(json.loads(bytes(record))["index"]) for record in records]

    def _indices_by_schema(self) -> list[int]:
        """The example of each row of a shard without digests, once all can be read."""
        records = [self._record(row) for row in range(len(self))]
        for row, record in enumerate(records):
            if "failed" not in record:
                self._tensors(row)
        return [record["index"] for record in records]

    def _digest(self, name: str, place: int) -> str:
        digests = self._small[name]
        if digests.shape[1:] != (DIGEST_BYTES,):
            raise Malformed(f"no digests in {name}")
        return bytes(digests[place].numpy()).hex()

    def _damaged_row(self, row: int, what: str) -> DamagedFile:
        others = len(self) - 1
        do = f"{AGAIN}; its other {others} rows are checked each by itself and can still be read" if others else AGAIN
        return damaged(self.path, f"the digest of {what} in row {row} differs", do)


def _listed(indices: Sequence[int]) -> str:
    """The first few of some numbers."""
    return ", ".join(map(str, indices[:3])) + (", …" if len(indices) > 3 else "")


def _text(tensor: Tensor) -> str:
    return bytes(tensor.numpy()).decode()
