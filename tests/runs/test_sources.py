"""Examples come out of whatever users hold them in, in a fixed order, and what cannot be read says why."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.dataset_sources import check_name, source_of
from hf_fourier.models.inputs.sources import Source, SourceItem
from hf_fourier.runs.options import RunOptions

TEXTS = ["one", "two", "three"]
RATE = 8000


def examples(source: Source) -> list[Any]:
    """All of them, read by number and one after the other, which has to be the same."""
    streamed = list(source.stream(0))
    if source.length is not None:
        read = source.read(range(source.length))
        assert [item.index for item in read] == [item.index for item in streamed] == list(range(source.length))
        assert [type(item.error) for item in read] == [type(item.error) for item in streamed]
    assert [item.index for item in source.stream(1)] == [item.index for item in streamed][1:]
    return [item.example for item in streamed]


def wav(seconds: float = 0.1, tone: float = 440.0) -> bytes:
    file = io.BytesIO()
    samples = np.sin(2 * np.pi * tone * np.arange(int(seconds * RATE)) / RATE)
    wavfile.write(file, RATE, (samples * 2**14).astype(np.int16))
    return file.getvalue()


def png(level: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (5, 4), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_lists() -> None:
    assert examples(source_of(TEXTS)) == TEXTS
    assert examples(source_of((("a", "b"), ("c", "d")))) == [("a", "b"), ("c", "d")]


def test_functions_that_return_iterators() -> None:
    source = source_of(lambda: iter(TEXTS))
    assert source.length is None
    assert examples(source) == TEXTS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (iter(TEXTS), "read only once"),
        ([], "without examples"),
        ({"text": TEXTS}, "one dict"),
        (b"bytes", "one bytes"),
        (np.zeros((3, 4)), "one array of shape"),
        (3, "got a int"),
    ],
)
def test_what_is_no_data_set_is_refused(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        source_of(given)


def test_a_function_that_returns_no_iterator_is_refused() -> None:
    with pytest.raises(InputError, match="a function that returns a NoneType"):
        examples(source_of(lambda: None))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["streaming", "progress"])
def test_switches_are_true_or_false(name: str) -> None:
    for value in ("yes", torch.zeros(2), None, 2):
        with pytest.raises(InputError, match=f"got {name} .*True or False"):
            RunOptions(**{name: value})
    assert getattr(RunOptions(**{name: np.bool_(True)}), name) is True


def test_data_sets() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0]})
    assert examples(source_of(data)) == TEXTS
    assert examples(source_of(data.to_iterable_dataset())) == TEXTS
    assert examples(source_of(datasets.DatasetDict(test=data), split="test")) == TEXTS
    with pytest.raises(InputError, match="choose one with `split`"):
        source_of(datasets.DatasetDict(test=data, train=data))
    with pytest.raises(InputError, match="column 'none'"):
        source_of(data, "none")
    pairs = datasets.Dataset.from_dict({"a": TEXTS, "b": TEXTS[::-1]})
    assert examples(source_of(pairs, ["a", "b"])) == list(zip(TEXTS, TEXTS[::-1], strict=True))
    with pytest.raises(InputError, match="`column`"):
        source_of(pairs)
    cells = datasets.Dataset.from_dict({"input_ids": [[5, 6], [7]]})
    found = examples(source_of(cells, is_example=lambda row: "input_ids" in row))
    assert found == [{"input_ids": [5, 6]}, {"input_ids": [7]}]


@pytest.mark.parametrize("streaming", [False, True])
def test_sounds_and_pictures_in_data_sets(streaming: bool) -> None:
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("soundfile")
    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    sounds = datasets.Dataset.from_dict(
        {"audio": [{"bytes": wav(), "path": None}, {"bytes": b"no sound", "path": None}]},
        datasets.Features({"audio": stored}),
    ).cast_column("audio", datasets.Audio())
    source = source_of(sounds.to_iterable_dataset() if streaming else sounds)
    first, second = source.stream(0)
    assert first.example["sampling_rate"] == RATE
    assert len(first.example["array"]) == RATE // 10
    assert np.abs(first.example["array"]).max() == pytest.approx(0.5, abs=0.01)
    assert second.example is None
    assert second.error is not None
    pictures = datasets.Dataset.from_dict(
        {"image": [{"bytes": png(200), "path": None}, {"bytes": b"no picture", "path": None}]},
        datasets.Features({"image": datasets.Image()}),
    )
    one, other = source_of(pictures).read([0, 1])
    assert one.example.getpixel((0, 0)) == (200, 0, 0)
    assert other.error is not None


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "txt"])
def test_local_files(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    path, data = tmp_path / f"texts.{kind}", datasets.Dataset.from_dict({"text": TEXTS})
    if kind == "txt":
        path.write_text("\n".join(TEXTS))
    else:
        getattr(data, {"jsonl": "to_json"}.get(kind, f"to_{kind}"))(str(path))
    assert examples(source_of(path)) == TEXTS
    data.save_to_disk(str(tmp_path / "saved"))
    assert examples(source_of(tmp_path / "saved")) == TEXTS


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.wav", "below/a.wav"):
        (tmp_path / name).write_bytes(wav())
    (tmp_path / "c.png").write_bytes(png(1))
    (tmp_path / "notes.md").write_text("no example")
    source = source_of(tmp_path)
    items = source.read(range(3))
    assert [item.name for item in items] == ["b.wav", "below/a.wav", "c.png"]
    assert all(Path(item.example).is_file() for item in items)
    (tmp_path / "d.npy").write_bytes(b"no array")
    assert isinstance(source_of(tmp_path).read([3])[0].error, InputError)
    with pytest.raises(InputError, match="holds no examples"):
        source_of(tmp_path / "notes.md")
    with pytest.raises(InputError, match="could not be loaded"):
        source_of("no-such-name/on-the-hub")


def test_hidden_files_of_a_folder_are_no_examples_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    for name in ("a.wav", "b.aiff", "c.opus", "._a.wav", ".ipynb_checkpoints/a-checkpoint.wav", "__MACOSX/._a.wav"):
        (tmp_path / name).write_bytes(wav())
    source = source_of(tmp_path)  # without a warning
    assert [item.name for item in source.read(range(source.length or 0))] == ["a.wav", "b.aiff", "c.opus"]
    (tmp_path / "d.M4A").write_bytes(b"sound")
    (tmp_path / "e.dcm").write_bytes(b"slice")
    with pytest.warns(
        UserWarning, match=r"2 of 5 files of pictures and sounds were left out, such as 'd\.M4A': convert"
    ):
        assert source_of(tmp_path).length == 3


def test_a_compressed_volume_is_an_example(tmp_path: Path) -> None:
    (tmp_path / "head.nii.gz").write_bytes(b"no volume")
    source = source_of(tmp_path / "head.nii.gz")
    assert source.length == 1
    assert "cannot be read" in str(source.read([0])[0].error)


@pytest.mark.parametrize("name", ["nowhere.csv", "there/nowhere.csv", "./nowhere", "a/b/c", "~/nowhere", "notes.pdf"])
def test_names_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "notes.pdf").write_text("no example")
    with pytest.raises(InputError, match="correct the path"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["imdb", "ada/cups", "ada/cups.csv", "hf://ada/cups/x.csv", "a.csv", "head.nii.gz", "there"]
)
def test_names_that_may_be_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for file in ("a.csv", "head.nii.gz"):
        (tmp_path / file).write_text("text\none")
    check_name(name)


def test_cells(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    counts = np.array([[1, 0, 2], [0, 3, 0], [4, 4, 4]], dtype=np.float32)
    table = anndata.AnnData(
        counts,
        pd.DataFrame({"filter_pass": [1, 0, 1]}, index=["a", "b", "c"]),
        pd.DataFrame(index=[f"ENSG{i:011d}" for i in range(3)]),
    )
    table.write_h5ad(tmp_path / "cells.h5ad")
    for data in (table, tmp_path / "cells.h5ad"):
        source = source_of(data)
        items = source.read(range(2))
        assert [item.name for item in items] == ["a", "c"]
        assert [list(item.example["values"]) for item in items] == [[1, 2], [4, 4, 4]]
        assert items[0].example["genes"] == ["ENSG00000000000", "ENSG00000000002"]


def test_a_data_set_is_known_again_by_what_it_holds() -> None:
    pictures = [np.full((3, 3), level, np.uint8) for level in range(5)]
    names = [source_of(data).fingerprint() for data in (TEXTS, TEXTS[::-1], TEXTS[:2], pictures, pictures[1:])]
    assert len(set(names)) == 5
    assert source_of(list(TEXTS)).fingerprint() == names[0]
    assert source_of([picture.copy() for picture in pictures]).fingerprint() == names[3]


def test_what_cannot_be_read_carries_its_error() -> None:
    class Broken(list[str]):
        def __getitem__(self, place: Any) -> Any:
            if place == 1:
                raise OSError("a bad sector")
            return super().__getitem__(place)

    items: list[SourceItem] = source_of(Broken(TEXTS)).read([0, 1, 2])
    assert [item.example for item in items] == ["one", None, "three"]
    assert str(items[1].error) == "a bad sector"
