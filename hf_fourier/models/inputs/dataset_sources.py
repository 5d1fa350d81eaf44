"""Opens lists, datasets (in memory, on disk, streamed, by Hub id), files, folders and cells as a `Source`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import FourierError, InputError, MissingExtraError
from hf_fourier.models.inputs.cell_tables import kind_of_table, open_table
from hf_fourier.models.inputs.cells import table_cells
from hf_fourier.models.inputs.containers import (
    IsExample,
    column_of,
    detached,
    example_of,
    is_chat,
    is_column,
    is_data_set,
    is_stored,
    is_table,
    plain,
)
from hf_fourier.models.inputs.files import (
    DICOM,
    EXTENSIONS,
    check_json_rows,
    example_files,
    is_sequence_file,
    read_example,
    read_sequences,
)
from hf_fourier.models.inputs.sources import ListSource, Source, StreamSource

#: Local files that `datasets` reads, by their endings, with its name of the format.
TABLES = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow", ".txt": "text"}


def source_of(
    data: Any,
    column: str | Sequence[str] | None = None,
    *,
    split: str | None = None,
    streaming: bool = False,
    is_example: IsExample = lambda row: False,
) -> Source:
    """A source of the examples in any container.

    Args:
        data: A list of examples; a `datasets.Dataset`, streaming or not; a Hub id; a file of a format in `TABLES`, an
            table of cells (`.h5ad`, `.loom`, `.zarr`, 10x), or a folder of pictures, sounds, volumes or cells; an
            `AnnData` with counts; or any iterable.
        column: The column of a dataset; two for pairs of texts; None for the only candidate.
        split: The split of a dataset that has several.
        streaming: Whether a Hub id is streamed.
        is_example: Whether a mapping is one example of the model.

    Raises:
        InputError: If there are no examples, or several candidates.
        MissingExtraError: If the package that reads them is not installed.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, (str, PathLike)):
        return _by_name(str(data), column, split, streaming, is_example)
    if type(data).__name__ in ("DatasetDict", "IterableDatasetDict"):
        if split not in data:
            got = f"a data set with the splits {', '.join(data)}" + ("" if split is None else f" and split={split!r}")
            raise InputError(got, "one split", "choose one with `split`")
        data, split = data[split], None
    _check_no_columns(f"a {type(data).__name__}", None, split)
    _check_no_stream(f"a {type(data).__name__}", streaming)
    if hasattr(data, "obs") and hasattr(data, "var"):
        return _cells_of(data)
    if is_data_set(data):
        return _rows_of(data, column, is_example)
    if is_column(data) and is_data_set(data.source):
        return _rows_of(data.source, data.column_name, is_example)
    if is_table(data) and isinstance(column, str) and column in data:
        data, column = data[column], None
    if column is not None:
        raise InputError(f"column {column!r} of a {type(data).__name__}", "a data set", "leave `column` out")
    if isinstance(data, (bytes, Mapping)):
        got, do = f"one {type(data).__name__}", "put a single example in a list"
        if isinstance(data, Mapping):
            do += "; for columns pass datasets.Dataset.from_dict(…)"
        raise InputError(got, "a list of examples, or a data set", do)
    if is_chat(data):
        raise InputError("one chat", "a list of examples, or a data set", "put it in a list: [messages]")
    data = plain(data)  # a series by the order of its rows, not by their names
    if isinstance(data, (np.ndarray, torch.Tensor)):
        got = f"one array of shape {tuple(data.shape)}"
        raise InputError(got, "a list of examples, or a data set", "pass list(array) where its rows are examples")
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        return _streamed(data, is_example)
    return _filled(ListSource(len(data), lambda i: example_of(data[i], is_example, i)), "the list")


def column_values(data: Any, column: str, split: str | None = None) -> list[Any]:
    """The values of one column of a data set, in the order of its examples; class labels by their names.

    Args:
        data: As for `source_of`: a data set in memory, on disk or by Hub id, a table, or a file of one.
        column: The column.
        split: The split of a data set that has several.

    Raises:
        InputError: If it has no such column, or is a stream or a list, which have none.
    """
    if isinstance(data, (str, PathLike)):
        data = _opened(str(data), split, streaming=False)
    if type(data).__name__ in ("DatasetDict", "IterableDatasetDict") and split in data:
        data = data[split]
    if is_column(data):
        data = data.source
    if is_table(data) and column in data:
        return list(data[column])
    names = getattr(data, "column_names", None)
    if not isinstance(names, list) or column not in names or not hasattr(data, "__len__"):
        known = f"one of {', '.join(names)}" if isinstance(names, list) else "a data set with columns"
        raise InputError(f"column {column!r} of a {type(data).__name__}", known, "pass a list with a value each")
    feature, values = data.features[column], data.select_columns([column])[column]
    spelled = getattr(feature, "int2str", None)
    return [spelled(value) if spelled is not None and value is not None and value >= 0 else value for value in values]


def _streamed(data: Any, is_example: IsExample) -> Source:
    """A source of anything that can be iterated again; earlier examples are skipped."""
    again = data if callable(data) else data.__iter__ if hasattr(data, "__iter__") else None
    if again is None or (isinstance(data, Iterator)):
        got = f"a {type(data).__name__}" + (", which can be read only once" if again else "")
        expected = "a list, a data set, a folder, a Hub id, or a function that returns an iterator"
        raise InputError(
            got, expected, "pass the function itself, not what it returns" if again else "pass one of them"
        )
    return StreamSource(
        lambda start: islice(_iterator(again()), start, None), lambda row: detached(example_of(row, is_example))
    )


def _iterator(made: Any) -> Iterator[Any]:
    """The iterator that a function returned.

    Raises:
        InputError: If it returned something else.
    """
    try:
        return iter(made)
    except TypeError as error:
        got = f"a function that returns a {type(made).__name__}"
        raise InputError(got, "one that returns an iterator", "return one, or pass a list") from error


def check_name(text: str) -> None:
    """Check what is known of a path or a Hub id without reading it.

    Raises:
        InputError: If it is the path of nothing, or of a file whose ending none of the readers takes.
    """
    path = Path(text)
    if os.path.isfile(path):
        named = text.lower().endswith((*TABLES, *EXTENSIONS))
        if not named and kind_of_table(path) is None and not is_sequence_file(path):
            raise _empty(path)
    elif "://" not in text and not os.path.exists(path) and _is_local(path, text):
        raise InputError(f"{text!r}, which does not exist", "a file, a folder, or a Hub id", "correct the path")


def _is_local(path: Path, text: str) -> bool:
    """Whether something cannot be a Hub id, "user/name", or is the name of a file in a folder that exists."""
    if path.is_absolute() or text.startswith((".", "~")) or len(path.parts) > 2:
        return True
    return text.lower().endswith((*TABLES, *EXTENSIONS)) and os.path.isdir(path.parent)


def _empty(path: Path) -> InputError:
    if os.path.isdir(path) and any(one.suffix.lower() in DICOM for one in path.rglob("*")):
        got = f"{path.name!r}, a folder of DICOM slices"
        return InputError(got, "one example in each file", "name one `.dcm` of each series")
    kinds = ", ".join((*TABLES, *EXTENSIONS))
    return InputError(f"{path.name!r}, which holds no examples", f"files of {kinds}", "correct the path")


def _by_name(
    text: str,
    column: str | Sequence[str] | None,
    split: str | None,
    streaming: bool,
    is_example: IsExample,
) -> Source:
    """The source of a path or a Hub id."""
    path = Path(text)
    kind = TABLES.get(path.suffix.lower()) if os.path.isfile(path) else None
    if os.path.exists(path):
        has_columns = kind is not None or _is_data_set(path)
        _check_no_columns(f"{path.name!r}", None if has_columns else column, split, kind is not None)
        _check_no_stream(f"{path.name!r}", streaming and kind is None)
    if kind_of_table(path) is not None:
        return _cells_of(open_table(path))
    if _is_data_set(path):
        return _rows_of(_opened(text, split, streaming), column, is_example)
    if is_sequence_file(path):
        return _records(read_sequences(path))
    if os.path.isdir(path) and (files := example_files(path)):
        if is_sequence_file(path / files[0]):
            return _records(
                [(f"{one}/{name}", letters) for one in files for name, letters in read_sequences(path / one)]
            )
        return ListSource(len(files), lambda i: read_example(str(path / files[i])), files.__getitem__)
    if kind is None and os.path.exists(path):
        if os.path.isfile(path) and text.lower().endswith(EXTENSIONS):
            return ListSource(1, lambda i: read_example(text), lambda i: path.name)
        raise _empty(path)
    data = _opened(text, split, streaming)
    several = type(data).__name__ in ("DatasetDict", "IterableDatasetDict")
    return source_of(data, column, split=split if several else None, is_example=is_example)


def _opened(text: str, split: str | None, streaming: bool) -> Any:
    """The data set of a path or a Hub id."""
    path = Path(text)
    kind = TABLES.get(path.suffix.lower()) if os.path.isfile(path) else None
    if _is_data_set(path):
        return _datasets().load_from_disk(text)
    if kind == "json":
        check_json_rows(path)
    try:
        datasets = _datasets()
        if kind is not None:
            return datasets.load_dataset(kind, data_files=text, split="train", streaming=streaming)
        return datasets.load_dataset(text, split=split, streaming=streaming)
    except FourierError:
        raise
    except Exception as error:  # exceptions of third-party loaders have no common base
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        got = f"{path.name if kind else text!r}, which could not be loaded ({reason.replace(text, path.name)})"
        raise InputError(got, "a file, a folder, or a Hub id that can be reached", "check its name") from error


def _is_data_set(path: Path) -> bool:
    """Whether `datasets` saved it."""
    return os.path.isfile(path / "dataset_info.json") and os.path.isfile(path / "state.json")


def _check_no_columns(name: str, column: Any, split: str | None, train: bool = False) -> None:
    """Refuse a column or a split for data without columns or splits.

    Args:
        name: The data in words.
        column: The column, to be None.
        split: The split, to be None.
        train: Whether a split "train" is allowed.
    """
    if column is not None:
        raise InputError(f"column {column!r} of {name}", "a data set", "leave `column` out")
    if split is not None and not (train and split == "train"):
        raise InputError(f"split {split!r} of {name}, which has none", "a data set with splits", "leave `split` out")


def _check_no_stream(name: str, streaming: bool) -> None:
    """Refuse to stream what is here already."""
    if streaming:
        raise InputError(f"streaming of {name}", "a Hub id, or a table", "leave `streaming` out")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "metrics", "data sets") from error
    return datasets


def _records(records: list[tuple[str, str]]) -> Source:
    """The sequences of files, named by their headers."""
    return ListSource(len(records), lambda i: records[i][1], lambda i: records[i][0])


def _cells_of(table: Any) -> Source:
    """The cells of an `AnnData` that is in memory (or backed by a file)."""
    names, get = table_cells(table)
    return _filled(ListSource(len(names), get, names.__getitem__), "the AnnData")


def _rows_of(data: Any, column: str | Sequence[str] | None, is_example: IsExample) -> Source:
    """A `datasets.Dataset` or `IterableDataset`, with audio undecoded: `soundfile` reads it here."""
    streams = not hasattr(data, "__len__")
    names = data.column_names
    if names is None:  # a stream of unknown columns
        data = data._resolve_features()
        names = data.column_names
    audio = {name for name, feature in (data.features or {}).items() if type(feature).__name__ == "Audio"}
    for name in audio:
        data = _undecoded(data, name)
    get: Callable[[Any], Any] = dict
    if column is not None or not is_example(_first(data)):
        chosen = [column_of(data, column)] if column is None or isinstance(column, str) else list(column)
        if missing := [name for name in chosen if name not in names]:
            raise InputError(f"column {missing[0]!r}", f"one of {', '.join(names)}", "correct `column`")
        data = data.select_columns(chosen)

        def get(row: Any) -> Any:
            values = tuple(_sound(row[name]) if name in audio else row[name] for name in chosen)
            return values if len(values) > 1 else values[0]

    if streams:
        return StreamSource(lambda start: data.skip(start) if start else data, get)
    return _filled(ListSource(len(data), lambda i: get(data[i])), "the data set")


def _first(data: Any) -> Mapping[str, Any]:
    """The first row, or nothing where it cannot be read."""
    try:
        return next(iter(data), {})
    except Exception:  # exceptions of third-party decoders have no common base
        return {}


def _undecoded(data: Any, column: str) -> Any:
    from datasets import Audio

    return data.cast_column(column, Audio(decode=False))


def _sound(value: Any) -> Any:
    """A stored sound, decoded; anything else as it is."""
    if not is_stored(value):
        return value
    import io

    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("soundfile", "audio", "sounds in data sets") from error
    data = value.get("bytes")
    array, rate = soundfile.read(value["path"] if data is None else io.BytesIO(data), dtype="float32")
    return {"array": array, "sampling_rate": rate}


def _filled(source: Source, name: str) -> Source:
    if not source.length:
        raise InputError(f"{name} without examples", "at least one", "pass examples")
    return source
