"""Advice about calls of the explainer, data sets and runs, reports and figures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from hf_fourier import FourierExplainer, Report, attribute, plot_comparison
from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.report.collect import collect
from hf_fourier.runs.options import RunOptions
from hf_fourier.runs.results import Results
from tests.advice.case import PICTURES, Case, net, read, reader, seer
from tests.models import tiny_tokenizers

TEXTS = tiny_tokenizers.texts(3, lengths=(7,))
BATCH = {"input_ids": torch.tensor([[1, 10, 11, 2], [1, 12, 13, 2]])}


def _folder() -> Path:
    return Path(tempfile.mkdtemp())


def _ran(data: Any = TEXTS, folder: Path | None = None, **options: Any) -> Results:
    return reader().explain_dataset(data, folder or _folder() / "run", **options)


def _table() -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"one": TEXTS, "other": TEXTS[::-1]})


def _twice(**options: Any) -> Results:
    """A run, and another one into its folder, or into a new one."""
    folder = _folder() / "run"
    _ran(folder=folder)
    return _ran(folder=options.pop("folder", folder), **options)


def _failed() -> Results:
    return _ran([*TEXTS, ""])


def _report(**options: Any) -> Report:
    return Report(read(), **options)


def _saved(report: Report, folder: Path | None = None, **options: Any) -> Path:
    return report.save(folder or _folder() / "report", **options)


def _occupied() -> Path:
    folder = _folder()
    (folder / "thesis.txt").write_text("mine")
    return folder


def _unfinished(again: bool) -> Any:
    """A run whose shard is gone is read, or run again first."""
    folder = _folder() / "run"
    results = _ran(folder=folder)
    for shard in (folder / "shards").glob("*/*.safetensors"):
        shard.unlink()
    return (_ran(folder=folder) if again else results)[0]


def _goes_on(texts: list[str]) -> Results:
    """A run of other texts into its folder."""
    folder = _folder() / "run"
    _ran(folder=folder)
    return _ran(texts, folder)


CASES = [
    Case(
        "pass what it was started with, or choose another folder",
        lambda: _goes_on(TEXTS[::-1]),
        lambda: (_goes_on(TEXTS), _ran(TEXTS[::-1])),
    ),
    Case(
        "call FourierExplainer.from_pretrained(name) for a Hub id or a folder",
        lambda: FourierExplainer(str(_model())),  # type: ignore[arg-type]
        lambda: FourierExplainer.from_pretrained(_model()),
    ),
    Case("pass examples", lambda: reader().explain([]), lambda: reader().explain(TEXTS)),
    Case(
        "call predict for each of them",
        lambda: reader().predict(TEXTS),
        lambda: [reader().predict(text) for text in TEXTS],
    ),
    Case(
        "leave one out",
        lambda: reader().explain(TEXTS, 0, targets=[0, 1, 2]),
        lambda: [reader().explain(TEXTS, 0), reader().explain(TEXTS, targets=[0, 1, 2])],
    ),
    Case(
        "for one use `target`", lambda: reader().explain(TEXTS, targets="spam"), lambda: reader().explain(TEXTS, "spam")
    ),
    Case(
        "correct `targets`",
        lambda: reader().explain(TEXTS, targets=[0]),
        lambda: reader().explain(TEXTS, targets=[0] * 3),
    ),
    Case("did you mean 'spam'?", lambda: reader().explain(TEXTS, "spma"), lambda: reader().explain(TEXTS, "spam")),
    Case(
        "choose one of them or a class index",
        lambda: reader().explain(TEXTS, "zzzzzz"),
        lambda: [reader().explain(TEXTS, "ham"), reader().explain(TEXTS, 2)],
    ),
    Case("correct `target`", lambda: reader().explain(TEXTS, 7), lambda: reader().explain(TEXTS, 2)),
    Case(
        "correct `batch_size`",
        lambda: reader().explain(TEXTS, batch_size=0),
        lambda: reader().explain(TEXTS, batch_size=1),
    ),
    Case(
        "pass a.keep_top(…)",
        lambda: reader().predict(TEXTS[0], signal=torch.zeros(2, 2)),
        lambda: reader().predict(TEXTS[0], signal=reader().explain(TEXTS[0]).keep_top(0.04)),
    ),
    Case(
        "pass the model's processor to FourierExplainer",
        lambda: FourierExplainer(seer().model).explain(torch.rand(3, 32, 32)),
        lambda: FourierExplainer(seer().model, seer().processor).explain(torch.rand(3, 32, 32)),
    ),
    Case(
        "leave the batch out",
        lambda: attribute(net(), PICTURES, axes=[0, 2]),
        lambda: attribute(net(), PICTURES, axes=[2]),
    ),
    Case(
        "add a batch axis, or convert it",
        lambda: attribute(net(), (PICTURES[0, 0, 0] * 9).int()),
        lambda: attribute(net(), PICTURES[:1].float()),
    ),
    Case("correct `target`", lambda: attribute(net(), PICTURES, [0]), lambda: attribute(net(), PICTURES, [0, 1, 2])),
    Case("choose one of them", lambda: RunOptions(store="none"), lambda: RunOptions(store="scores")),
    Case("correct `streaming`", lambda: RunOptions(streaming="yes"), lambda: RunOptions(streaming=True)),
    Case(
        "return one, or pass a list",
        lambda: list(source_of(lambda: None).stream(0)),
        lambda: list(source_of(lambda: iter(["a"])).stream(0)),
    ),
    Case(
        "leave one out",
        lambda: RunOptions(target=0, targets=[0]),
        lambda: [RunOptions(target=0), RunOptions(targets=[0])],
    ),
    Case(
        "correct `budget`",
        lambda: RunOptions(budget="lots").budget_bytes,
        lambda: RunOptions(budget="500MB").budget_bytes,
    ),
    Case("correct `targets`", lambda: _ran(targets=[0]), lambda: _ran(targets=[0, 1, 2])),
    Case(
        "pass list(array) where its rows are examples",
        lambda: seer().explain_dataset(torch.rand(2, 3, 32, 32), _folder() / "run"),
        lambda: seer().explain_dataset(list(torch.rand(2, 3, 32, 32)), _folder() / "run"),
    ),
    Case("leave `column` out", lambda: _ran(column="text"), lambda: _ran()),
    Case("correct `column`", lambda: _ran(_table(), column="three"), lambda: _ran(_table(), column="one")),
    Case("choose another folder", lambda: _twice(seed=1), lambda: _twice(seed=1, folder=_folder() / "other")),
    Case("see failures()", lambda: _failed()[3], lambda: _failed().failures()),
    Case(
        "read rows(), or run it with store='scores'",
        lambda: _ran(store="top")[0],
        lambda: [list(_ran(store="top").rows()), _ran(store="scores")[0]],
    ),
    Case(
        "run the same command again: it resumes where it stopped",
        lambda: _unfinished(again=False),
        lambda: _unfinished(again=True),
    ),
    Case("correct `names`", lambda: _report(names=["one"]), lambda: _report(names=list("abcd"))),
    Case("pass some", lambda: Report([]), lambda: _report()),
    Case(
        "make a report of each",
        lambda: Report([read()[0], seer().explain(torch.rand(3, 32, 32))]),
        lambda: [Report([read()[0]]), Report([seer().explain(torch.rand(3, 32, 32))])],
    ),
    Case(
        "pass a folder that `Report.save` wrote", lambda: Report.load(_folder()), lambda: Report.load(_saved(_report()))
    ),
    Case(
        "leave include_inputs out",
        lambda: _saved(Report.load(_saved(_report())), include_inputs=True),
        lambda: _saved(Report.load(_saved(_report()))),
    ),
    Case("choose another", lambda: _saved(_report(), _occupied()), lambda: _saved(_report(), _folder() / "new")),
    Case("pass one that has some", lambda: collect([_folder()]), lambda: collect([read()[0].save(_folder())])),
    Case(
        "pass `{name: result}` of one example",
        lambda: plot_comparison({str(i): result for i, result in enumerate(read(2))}),
        lambda: plot_comparison({"one": read()[0]}),
    ),
    Case(
        "choose the format by the ending",
        lambda: read()[0].plot(_folder() / "figure.xyz"),
        lambda: read()[0].plot(_folder() / "figure.png"),
    ),
]


def _model() -> Path:
    folder = _folder()
    reader().model.save_pretrained(folder)
    reader().processor.save_pretrained(folder)
    return folder
