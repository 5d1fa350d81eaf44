"""Reads the results of a run without the model: by index, as table rows or a `datasets.Dataset`, and its failures."""

from __future__ import annotations

import hashlib
import json
import operator
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.domains import DOMAINS, Layout
from hf_fourier.errors import DamagedFile, InputError, MissingExtraError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.integrity import damaged
from hf_fourier.results.storage import shape_from_dict
from hf_fourier.results.table import Table
from hf_fourier.runs.chunking import Chunks
from hf_fourier.runs.gene_store import read_vocabulary
from hf_fourier.runs.manifest import Manifest
from hf_fourier.runs.shards import Shard
from hf_fourier.torch_state import exact_class, taken

if TYPE_CHECKING:
    from anndata import AnnData
    from datasets import Dataset

    from hf_fourier.results.gene_scores import GeneScores
    from hf_fourier.runs.gene_results import StoredGenes

#: Top features in a row, at most.
TOP = 20


@exact_class
class Results:
    """The results in the folder of a run, finished or not. One shard is open at a time, and is read only as needed.

    Args:
        folder: The folder that `explain_dataset` wrote.

    Raises:
        InputError: If it is no run's folder.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.read(self.folder)
        self.chunks = Chunks(self.folder, self.manifest)
        self._run = self.manifest.identity
        self._shard = lru_cache(maxsize=2)(self._open)

    def __repr__(self) -> str:
        settings, many = self.manifest.settings, self.manifest.examples
        state = "a stream" if many is None else f"{many} examples"
        return f"Results({self.folder.name!r}: {settings['model']} by {settings['method']}, {state})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:run", self))

    def __len__(self) -> int:
        """Number of examples in the data set (of finished ones in a stream that has not ended)."""
        if self.manifest.examples is not None:
            return self.manifest.examples
        return self.done

    def __getitem__(self, index: Any) -> Any:
        """Read the result of one example of the data set, or a list of several; nothing else is read.

        Args:
            index: A place, counted from the end if negative; a slice; or several places, or one truth value for each
                example.

        Raises:
            IndexError: If there is no such example.
            TypeError: If it is not a whole number.
            InputError: If one is not finished, failed, or only its top features are stored.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        several = not hasattr(index, "__index__") and hasattr(index, "__iter__") and not isinstance(index, str)
        if getattr(index, "ndim", 0) or several:
            places = list(index)
            if places and all(_is_truth(place) for place in places):
                if len(places) != len(self):
                    raise IndexError(f"{len(places)} truth values for {len(self)} examples")
                places = [i for i, taken in enumerate(places) if taken]
            return [self[place] for place in places]
        if _is_truth(index):
            raise TypeError(f"example {index!r}: a place is a whole number")
        shard, row = self._placed(operator.index(index))
        return shard.result(row)

    def __iter__(self) -> Iterator[Attribution]:
        """Yield all finished results, in the order of the data set."""
        for index in range(len(self)):
            shard, row = self._placed(index)
            if "failed" not in shard.record(row):
                yield shard.result(row)

    @property
    def finished(self) -> bool:
        """Whether every chunk has a file that is not truncated and has an intact header."""
        if not self.written:
            return False
        try:
            return self.done == self.manifest.examples
        except DamagedFile:
            return False

    @property
    def written(self) -> bool:
        """Whether every chunk has a file, damaged or not."""
        return self.manifest.chunks is not None and self.manifest.planned and not self.chunks.unfinished()

    def damage(self) -> Table:
        """Read all shards and list the damaged ones; a resumed run replaces them.

        Returns:
            One row per damaged file: its path in the folder, what is wrong, and what can still be read.
        """
        found: list[tuple[str, str, str]] = []
        for path in self._paths():
            try:
                shard = self._open(path)
                whole = self.manifest.examples is not None and path.stem.isdecimal()
                shard.verify(self.chunks.indices(int(path.stem)) if whole else None)
            except DamagedFile as error:
                found.append((path.relative_to(self.folder).as_posix(), error.got, error.hint))
        return Table({name: [row[i] for row in found] for i, name in enumerate(("file", "damage", "hint"))})

    @property
    def done(self) -> int:
        """Number of examples in finished chunks, including failures."""
        return sum(len(self._open(path)) for path in self._paths())

    def row(self, index: int, top: int = TOP) -> dict[str, Any]:
        """Return one example's numbers as plain values: target, top features and curve.

        Args:
            index: Its place in the data set.
            top: Number of features.
        """
        shard, row = self._placed(index)
        return _row(shard, row, top, self._gene_names)

    def rows(self, top: int = TOP) -> Iterator[dict[str, Any]]:
        """Yield the rows of all finished chunks, shard by shard; "index" is the place in the data set."""
        for path in self._paths():
            shard = self._open(path)
            for row in range(len(shard)):
                yield _row(shard, row, top, self._gene_names)

    def failures(self) -> Table:
        """List the examples that could not be explained, with the reasons."""
        failed = [row for row in self._records() if "failed" in row]
        names = ("index", "name", "failed")
        return Table({name: [row[name] for row in failed] for name in names})

    def split(self) -> list[int]:
        """List the chunks in which memory ran out: their batches, and so their last digits, differ."""
        return [int(path.stem) for path in self._paths() if self._open(path).split]

    def to_dataset(self, top: int = TOP) -> Dataset:
        """Return the rows as a `datasets.Dataset` in the data set's order, written to its cache piece by piece.

        Args:
            top: Features in a row.

        Raises:
            MissingExtraError: If `datasets` is not installed.
        """
        try:
            from datasets import Dataset
        except ImportError as error:
            raise MissingExtraError("datasets", "metrics", "data sets") from error
        state = {"folder": str(self.folder.resolve()), "top": top, "state": self._state()}
        dataset = Dataset.from_generator(_all_rows, gen_kwargs=state)
        with taken(warnings), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of arrow, about how `datasets` calls it
            return dataset.sort("index") if self.manifest.window else dataset

    def genes(self, groups: Any = None) -> GeneScores:
        """The scores of genes of all finished cells, of a run with `store="genes"`.

        They take 12 bytes of memory a gene and cell, and twice that while they are read.

        Args:
            groups: A group for each cell of the data set (a column of `obs`), None or NaN for none; None for no groups.

        Returns:
            `GeneScores`, without the checks by deletion and without curves of genes.

        Raises:
            InputError: If the run stores no genes, or there is not one group for each cell.
            DamagedFile: If a file is not as it was written.
        """
        return self._stored_genes(groups).scores()

    def compare_genes(self, groups: Any = None, group: str | None = None, reference: str = "rest") -> Table:
        """`GeneScores.compare` of a run with `store="genes"`, in one pass through the shards: memory does not grow.

        Args:
            groups: As for `genes`; None for the explained labels.
            group: One group; None for all of them, below each other.
            reference: Another group, or "rest" for all other cells.

        Raises:
            InputError: If the run stores no genes, there is not one group for each cell, or no such group.
            DamagedFile: If a file is not as it was written.
        """
        return self._stored_genes(groups).compare(group, reference)

    def to_anndata(
        self,
        adata: AnnData | None = None,
        key: str = "gene_scores",
        groups: Any = None,
        gene_ids: str | None = None,
    ) -> AnnData:
        """The scores of genes in an `AnnData`; see `genes` and `GeneScores.to_anndata`."""
        return self.genes(groups).to_anndata(adata, key, gene_ids)

    def _stored_genes(self, groups: Any) -> StoredGenes:
        from hf_fourier.runs.gene_results import StoredGenes

        shards = map(self._open, self._paths())
        return StoredGenes.of_run(self.folder, self.manifest.settings, len(self), shards, groups)

    @cached_property
    def _gene_names(self) -> list[str]:
        """The symbol, or else the id, of each token of a run that stores scores of genes; else none."""
        if self.manifest.settings["store"] != "genes":
            return []
        genes, symbols, _ = read_vocabulary(self.folder)
        return [symbols.get(gene, gene) for gene in genes]

    def _state(self) -> str:
        """A digest of what lies in the folder, and of the columns that are made of it: the key of `datasets`' cache."""
        digest = hashlib.sha256(repr((_PLAIN, self.manifest)).encode())
        for path in self._paths():
            stat = path.stat()
            digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def _records(self) -> Iterator[dict[str, Any]]:
        for path in self._paths():
            shard = self._open(path)
            yield from (shard.record(row) for row in range(len(shard)))

    def _placed(self, index: int) -> tuple[Shard, int]:
        many = len(self) if index < 0 else self.manifest.examples
        if many is not None and not -many <= index < many:
            raise IndexError(f"example {index} of {many}")
        index = index % many if many else index
        chunk, row = self.chunks.place(index)
        path = self.chunks.path(chunk)
        if not path.is_file():
            got = f"example {index}, whose chunk {chunk} is not finished"
            raise InputError(got, "a finished one", "run the same command again: it resumes where it stopped")
        shard = self._shard(path)
        if not row < len(shard) or shard.record(row)["index"] != index:
            what = f"it does not hold example {index} in row {row}, as if it were another shard of the run"
            raise damaged(path, what, "put it back where it belongs, or run the same command again")
        return shard, row

    def _paths(self) -> list[Path]:
        return sorted((self.folder / "shards").glob("*/*.safetensors"))

    def _open(self, path: Path) -> Shard:
        return Shard(path, self._run)


def _is_truth(value: Any) -> bool:
    """Whether something is a truth value, of numpy or torch as well."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).removeprefix("torch.") == "bool"


def _all_rows(folder: str, top: int, state: str) -> Iterator[dict[str, Any]]:
    """The rows for a `datasets.Dataset`; `state` only makes its cache differ between runs, and states of a run."""
    yield from Results(folder).rows(top)


_PLAIN = ("label", "confidence", "value", "completeness_error", "agreement", "domain")


def _row(shard: Shard, row: int, top: int, genes: Sequence[str]) -> dict[str, Any]:
    """Plain values of equal types in every row, failed or not; `genes`: names of tokens, where these are stored."""
    record = shard.record(row)
    failed = record.get("failed")
    values: dict[str, Any] = {"index": record["index"], "name": record["name"], "failed": failed}
    values |= {name: record.get(name) for name in _PLAIN}
    values["target"] = None if failed is not None else str(record["target"])
    curve = record.get("curve")
    values["curve"] = [] if curve is None else Curve.from_dict(curve).to_dict()["points"]
    values["replacement"] = None if curve is None else curve.get("replacement", "zero")
    found: dict[str, list[Any]] = {"features": [], "scores": [], "power": []}
    where: list[str] = []
    if failed is None:
        found |= {name: tensor.tolist() for name, tensor in shard.top_features(row, top).items()}
        layout = _layout(record["domain"], json.dumps(record["signal"]))
        where = [genes[feature] if genes else _where(layout, feature) for feature in found["features"]]
    features = {"top_feature": found["features"], "top_where": where}
    return {**values, **features, "top_score": found["scores"], "top_power": found["power"]}


@lru_cache(maxsize=64)
def _layout(domain: str, signal: str) -> Layout:
    return DOMAINS.parse(domain).bind(shape_from_dict(json.loads(signal))).layout


def _where(layout: Layout, feature: int) -> str:
    """A feature's coordinates in words."""
    parts = ((column.name, _short(column.value(feature)), column.unit) for column in layout.columns)
    return ", ".join(" ".join(filter(None, words)) for words in parts)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
