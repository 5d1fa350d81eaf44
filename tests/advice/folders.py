"""Advice about data sets, runs and reports in folders."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch

from hf_fourier import Report
from hf_fourier.models import distributed
from hf_fourier.report.collect import collect
from hf_fourier.report.hub import repository
from hf_fourier.results.atomic_writes import write_error
from hf_fourier.results.integrity import sealed
from hf_fourier.runs.folder_lock import run_lock
from hf_fourier.runs.manifest import NAME as MANIFEST
from hf_fourier.runs.worker import Worker
from tests.advice.case import Case, read, reader, seer
from tests.advice.sight import picture
from tests.models import tiny_tokenizers
from tools import model_cards

TEXTS = tiny_tokenizers.texts(4, lengths=(7,))


def _new() -> Path:
    return Path(tempfile.mkdtemp()) / "run"


def _ran(data: Any, folder: Path | None = None, **options: Any) -> Any:
    return reader().explain_dataset(data, folder or _new(), **options)


def _table() -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"one": TEXTS, "other": TEXTS[::-1]})


def _splits() -> Any:
    from datasets import Dataset, DatasetDict

    return DatasetDict({name: Dataset.from_dict({"text": TEXTS}) for name in ("train", "test")})


def _frame() -> Any:
    import pandas as pd

    return pd.DataFrame({"one": TEXTS, "other": TEXTS[::-1]})


def _file() -> str:
    path = _new().with_suffix(".csv")
    _frame()[["one"]].to_csv(path, index=False)
    return str(path)


def _seen(**options: Any) -> Any:
    return seer().explain_dataset(str(picture().parent), _new(), **options)


def _with_shards() -> Path:
    folder = _new()
    (folder / "shards").mkdir(parents=True)
    return folder


def _twice(*folders: Path) -> Any:
    """Runs of two processes that write at the same time."""
    with run_lock(folders[0], 0), run_lock(folders[-1], 0):
        return folders


def _waited(folder: Path) -> Any:
    for _ in range(2):
        with run_lock(folder, 0):
            pass
    return folder


def _closed(folder: Path) -> Any:
    raise write_error(PermissionError(errno.EACCES, "Permission denied"), folder / "manifest.json", 0)


def _example(example: Any) -> Any:
    return Worker._encoded(SimpleNamespace(explainer=reader()), example)  # type: ignore[arg-type]


def _bare() -> Path:
    return Report(read()).save(_new())


def _recipes(*names: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    for name in names:
        (folder / f"{name}.py").write_text('"""What is it? It is this."""\n')
    return folder


def _measured() -> Path:
    return Report(read(), evaluation=reader().evaluate(TEXTS[:2], metrics=["dig"])).save(_new())


CASES = [
    Case(
        "choose one: data['the column'], or `column`",
        lambda: _ran(_table()),
        lambda: [_ran(_table(), column="one"), _ran(_table()["one"]), reader().explain(_table()["one"])],
    ),
    Case(
        "pass row['one'] of each row",
        lambda: reader().explain(list(_table())),
        lambda: reader().explain([row["one"] for row in _table()]),
    ),
    Case(
        "pass the dict itself, or what the rows hold",
        lambda: reader().explain([{"input_ids": torch.tensor([[1, 7, 2]])}]),
        lambda: [reader().explain({"input_ids": torch.tensor([[1, 7, 2]])}), reader().explain(TEXTS)],
    ),
    Case(
        "put raw examples (texts, pictures, …) in a list",
        lambda: reader().evaluate({"text": TEXTS[0]}, metrics=["dig"]),
        lambda: reader().evaluate([TEXTS[0]], metrics=["dig"]),
    ),
    Case(
        "put a single example in a list",
        lambda: reader().evaluate(TEXTS[0], metrics=["dig"]),
        lambda: reader().evaluate([TEXTS[0]], metrics=["dig"]),
    ),
    Case(
        "put a single example in a list; for columns pass datasets.Dataset.from_dict(…)",
        lambda: _ran({"one": TEXTS}),
        lambda: [_ran(TEXTS[:1]), _ran(type(_table()).from_dict({"one": TEXTS}))],
    ),
    Case(
        "pass the examples alone: data['text']",
        lambda: reader().explain({"text": TEXTS, "name": "letters"}),
        lambda: reader().explain({"text": TEXTS, "name": "letters"}["text"]),
    ),
    Case(
        "pass data['train'], or another",
        lambda: reader().explain(_splits()),
        lambda: [reader().explain(_splits()[split]) for split in ("train", "test")],
    ),
    Case("choose one with `split`", lambda: _ran(_splits()), lambda: _ran(_splits(), split="test")),
    Case("pass sorted(…)", lambda: reader().explain(set(TEXTS)), lambda: reader().explain(sorted(set(TEXTS)))),
    Case(
        "pass table['the column']",
        lambda: reader().explain(_frame()),
        lambda: reader().explain(_frame()["one"]),
    ),
    Case(
        "leave it out",
        lambda: _unreadable(),
        lambda: reader().explain(TEXTS),
    ),
    Case("leave `split` out", lambda: _seen(split="test"), _seen),
    Case("check its name", lambda: _ran("somebody/data-that-are-not-here"), lambda: _ran(_file())),
    Case("correct the path", lambda: _ran(str(_empty())), lambda: _ran(_file())),
    Case(
        "pass the function itself, not what it returns",
        lambda: _ran(text for text in TEXTS),
        lambda: _ran(lambda: (text for text in TEXTS)),
    ),
    Case("pass one of them", lambda: _ran(3), lambda: [_ran(TEXTS), _ran(_table(), column="one"), _ran(_file())]),
    Case("name the column of the examples", lambda: _example({"a": 1}), lambda: _ran(_table(), column="one")),
    Case("check data and `column`", lambda: _ran(["", ""]), lambda: _ran(_table(), column="other")),
    Case(
        "check model and target",
        lambda: _ran(TEXTS, target=lambda outputs: outputs.logits),
        lambda: _ran(TEXTS, target=lambda outputs: outputs.logits[:, 0]),
    ),
    Case(
        "check model, data, `column` and `target`",
        lambda: _ran([*[""] * 40, *TEXTS * 10], chunk=8),
        lambda: _ran(TEXTS, chunk=8),
    ),
    Case("choose one", lambda: _ran(TEXTS, _with_shards()), lambda: _ran(TEXTS, _new())),
    Case("choose another folder", lambda: _again(_new()), lambda: [_ran(TEXTS, _new()), _ran(TEXTS, _new(), seed=1)]),
    Case(
        "continue it with that version, or choose another folder",
        lambda: _begun_earlier(_new()),
        lambda: _ran(TEXTS, _new()),
    ),
    Case(
        "wait for it, or choose another folder; processes of one run are started together",
        lambda: _twice(_new()),
        lambda: [_waited(_new()), _twice(_new(), _new())],
    ),
    Case("change its permissions, or choose another", lambda: _closed(_new()), lambda: _ran(TEXTS, _new())),
    Case(
        "pass those",
        lambda: collect([_bare()]),
        lambda: [
            collect([read()[0].save(_new())]),
            collect([Report(read()).save(_new(), include_inputs=True)]),
        ],
    ),
    Case(
        "take it out of the title, names and notes of the report",
        lambda: _held_back("Cups by hf_secret"),
        lambda: _held_back("Cups"),
    ),
    Case(
        "without accelerators use Accelerator(cpu=True), or no Accelerator",
        lambda: _launched("2"),
        lambda: _launched("1"),
    ),
    Case(
        "run this where recipes/ lies",
        lambda: model_cards.take("spam", _measured(), _recipes()),
        lambda: model_cards.take("spam", _measured(), _recipes("spam")),
    ),
    Case(
        "take a recipe that evaluates",
        lambda: model_cards.take("spam", _bare(), _recipes("spam")),
        lambda: model_cards.take("spam", _measured(), _recipes("spam")),
    ),
]


def _held_back(title: str) -> Any:
    folder = Path(tempfile.mkdtemp())
    (folder / "README.md").write_text(f"# {title}\n")
    return repository._refuse_inputs(folder, "hf_secret", include_inputs=False)


def _launched(processes: str) -> Any:
    with mock.patch.dict(os.environ, WORLD_SIZE=processes):
        return distributed.current()


def _again(folder: Path) -> Any:
    _ran(TEXTS, folder)
    return _ran(TEXTS, folder, seed=1)


def _begun_earlier(folder: Path) -> Any:
    """A call on a run whose manifest an earlier version wrote."""
    _ran(TEXTS, folder)
    values = json.loads((folder / MANIFEST).read_text())
    values["settings"].pop("digests")
    kept = {name: value for name, value in values.items() if not name.startswith("digest")}
    (folder / MANIFEST).write_bytes(sealed(kept))
    return _ran(TEXTS, folder)


def _empty() -> Path:
    path = Path(tempfile.mkdtemp())
    (path / "notes.xyz").write_text("nothing")
    return path


def _unreadable() -> Any:
    """A column whose pictures are broken."""
    from datasets import Dataset, Features
    from datasets import Image as Pictures

    kind = Features({"image": Pictures()})
    data = Dataset.from_dict({"image": [{"bytes": b"no picture", "path": None}]}, features=kind)
    return seer().evaluate(data, metrics=["dig"])
