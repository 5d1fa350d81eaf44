"""A run goes on only with what it was started with: weights, labels, processor, data; no name or text stops it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.sources import ListSource, SourceItem
from hf_fourier.results.integrity import sealed
from hf_fourier.runs import Results
from hf_fourier.runs.fingerprint import digest_of, example_digest
from hf_fourier.runs.manifest import NAME as MANIFEST
from hf_fourier.runs.manifest import Manifest
from hf_fourier.runs.packing import UNKNOWN
from hf_fourier.runs.resume import _items, check_examples
from hf_fourier.runs.weights_digest import _tensor_digest, sampled_weights, weights_digest
from tests.models import tiny_models, tiny_tokenizers
from tests.runs.sample_results import digests, explainer, run, texts

COUNT = 70
OPTIONS: dict[str, Any] = {"method": "magnitude", "fractions": None, "chunk": 10}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that stopped: two of its shards are missing."""
    folder = tmp_path_factory.mktemp("started") / "run"
    run(texts(COUNT), folder, **OPTIONS)
    for path in sorted((folder / "shards").glob("*/*"))[2:4]:
        path.unlink()
    return folder


@pytest.fixture
def folder(started: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(started, tmp_path / "run"))


def test_other_weights_are_refused_wherever_they_differ(folder: Path) -> None:
    other = explainer()
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.view(-1)[64:].normal_()
    assert sampled_weights(other.model) == sampled_weights(explainer().model)
    with pytest.raises(InputError, match=r"other weights \(weights.*choose another folder"):
        run(texts(COUNT), folder, other, **OPTIONS)
    one = explainer()
    with torch.no_grad():
        next(iter(one.model.parameters())).view(-1)[-1] += 1e-3
    with pytest.raises(InputError, match="other weights"):
        run(texts(COUNT), folder, one, **OPTIONS)
    assert run(texts(COUNT), folder, **OPTIONS).finished


def test_other_labels_are_refused(folder: Path) -> None:
    other = explainer()
    names = other.model.config.id2label
    other.model.config.id2label = {**names, 0: names[1], 1: names[0]}
    with pytest.raises(InputError, match=r"other labels \(labels"):
        run(texts(COUNT), folder, other, **OPTIONS)


def test_other_donors_are_refused(tmp_path: Path) -> None:
    options = {**OPTIONS, "method": "occlusion:replacement=example,draws=1"}
    data, explain = texts(12), explainer()
    explain.donors = data + [f"{text} w5" for text in data]
    done = run(data, tmp_path / "run", explain, **options)
    assert done[0].provenance["donors"]["examples"] == 24
    explain.donors = data
    with pytest.raises(InputError, match=r"other donors \(donors"):
        run(data, tmp_path / "run", explain, **options)


def test_curves_of_a_run_have_its_replacement_and_another_is_refused(tmp_path: Path) -> None:
    options = {**OPTIONS, "fractions": (0.1, 0.4)}
    data, explain = texts(12), explainer()
    done = run(data, tmp_path / "run", explain, **options, replacement="phase")
    (direct,) = explain.perturb(explain.explain(data[:1], method="magnitude"), (0.1, 0.4), replacement="phase")
    assert done[0].curve is not None
    assert done[0].curve.replacement == "phase"
    for a, b in zip(done[0].curve.points, direct.curve.points, strict=True):  # type: ignore[union-attr]
        assert a.value == pytest.approx(b.value, rel=1e-4)
    assert {row["replacement"] for row in done.rows()} == {"phase"}
    with pytest.raises(InputError, match="replacement 'noise'"):
        run(data, tmp_path / "run", explain, **options, replacement="noise")
    run(data, tmp_path / "run", explain, **options, replacement="phase")


def test_a_run_without_a_replacement_is_one_with_zero(folder: Path) -> None:
    manifest = Manifest.read(folder)
    del manifest.settings["replacement"]  # as of an earlier version
    manifest.write(folder)
    with pytest.raises(InputError, match="replacement 'noise'"):
        run(texts(COUNT), folder, **OPTIONS, replacement="noise")
    assert len(run(texts(COUNT), folder, **OPTIONS)) == COUNT


def test_donors_of_a_run_s_curves(tmp_path: Path) -> None:
    options: dict[str, Any] = {**OPTIONS, "fractions": (0.1,), "replacement": "example"}
    data, explain = texts(12), explainer()
    with pytest.raises(InputError, match=r"explainer\.donors"):
        run(data, tmp_path / "run", explain, **options)
    explain.donors = data + [f"{text} w5" for text in data]
    done = run(data, tmp_path / "run", explain, **options)
    assert done[0].provenance["curve_donors"]["examples"] == 24
    explain.donors = data
    with pytest.raises(InputError, match=r"other donors \(donors"):
        run(data, tmp_path / "run", explain, **options)


def test_another_tokenizer_is_refused(folder: Path) -> None:
    other = explainer()
    backend = other.processor.backend_tokenizer
    text = backend.to_str().replace('"w62"', '"other"').replace('"w63"', '"w62"').replace('"other"', '"w63"')
    other.processor._tokenizer = type(backend).from_str(text)
    with pytest.raises(InputError, match=r"another tokenizer, processor or `preprocess` \(processor"):
        run(texts(COUNT), folder, other, **OPTIONS)


def test_other_texts_are_refused_wherever_they_differ(folder: Path) -> None:
    """Those that the fingerprint of the data set looks at are the same."""
    data = texts(COUNT)
    step = COUNT // 32
    changed = [text if i % step == 0 and i < 32 * step else f"w5 {text}" for i, text in enumerate(data)]
    assert sum(one != other for one, other in zip(data, changed, strict=True)) == COUNT - 32
    before = digests(folder)
    with pytest.raises(InputError, match=r"other data .* of 50 examples differ"):
        run(changed, folder, **OPTIONS)
    assert digests(folder) == before
    place = next(i for i in Results(folder).chunks.indices(0) if i % step)
    with pytest.raises(InputError, match=rf"other data .*: 1 of 50 examples differ \({place}\)"):
        run([f"{text} w5" if i == place else text for i, text in enumerate(data)], folder, **OPTIONS)


def test_other_texts_of_a_stream_are_refused(tmp_path: Path) -> None:
    def stream(word: str = "") -> Any:
        return lambda: (text if i < 32 else f"{word}{text}" for i, text in enumerate(texts(COUNT)))

    run(stream(), tmp_path / "run", **OPTIONS)
    sorted((tmp_path / "run" / "shards").glob("*/*"))[-2].unlink()
    with pytest.raises(InputError, match="other data"):
        run(stream("w5 "), tmp_path / "run", **OPTIONS)
    assert run(stream(), tmp_path / "run", **OPTIONS).finished


def test_other_targets_are_refused(tmp_path: Path) -> None:
    targets = [i % 3 for i in range(COUNT)]
    run(texts(COUNT), tmp_path / "run", targets=targets, **OPTIONS)
    changed = [target if i % 2 == 0 else 2 - target for i, target in enumerate(targets)]
    with pytest.raises(InputError, match="other data"):
        run(texts(COUNT), tmp_path / "run", targets=changed, **OPTIONS)


def test_reading_again_has_its_time() -> None:
    data = texts(COUNT)
    known = {i: example_digest(SourceItem(i, "", text)) for i, text in enumerate(data)}
    source = ListSource(COUNT, data.__getitem__)
    assert check_examples(source, known, Path("run")) == COUNT
    assert check_examples(source, known, Path("run"), seconds=0) == 1
    assert check_examples(source, {}, Path("run")) == 0
    with pytest.raises(InputError, match=r"69 of 70 examples differ"):
        check_examples(ListSource(COUNT, lambda i: data[0]), known, Path("run"))


def test_digests_are_of_the_content(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"the same")
    array = np.arange(6.0)
    different = [
        None, True, 1, 1.0, "1", b"1", "", ["1"], ("1", "2"), ["12"], {"a": 1}, {"a": 2}, {"b": 1}, array, array[::-1],
        array.reshape(2, 3), array.astype(np.float32), torch.arange(3), torch.arange(3.0), tmp_path / "a" / "x.png",
        Image.new("L", (2, 8)), Image.new("L", (4, 4)), Image.new("RGB", (4, 4)), list(range(9)), [*range(8), 9],
        [*map(str, range(9))], [*map(float, range(9))], "no/x.png", "other/x.png", "\ud800",
    ]  # fmt: skip
    found = [digest_of(value) for value in different]
    assert len(set(found)) == len(different)
    assert digest_of(str(tmp_path / "b" / "x.png")) == digest_of(tmp_path / "a" / "x.png")
    assert digest_of([1, (2,)]) == digest_of((1, [2]))
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of(torch.ones(2, 2).T) == digest_of(torch.ones(2, 2))
    assert example_digest(SourceItem(0, "", None, OSError("a bad sector"))) == UNKNOWN
    assert example_digest(SourceItem(0, "", "a", target=1)) != example_digest(SourceItem(0, "", "a", target=2))


@pytest.mark.parametrize("which", ["bert", "gpt"])
def test_digests_of_processors_do_not_depend_on_what_they_read(which: str) -> None:
    one, other = (tiny_tokenizers.tokenizer(which) for _ in range(2))
    before = digest_of(one)
    one(texts(3), padding="max_length", max_length=4, truncation=True)
    assert digest_of(one) == digest_of(other) == before
    other.model_max_length = 7
    assert digest_of(other) != before


def test_weights_that_accelerate_keeps_elsewhere_are_read(tmp_path: Path) -> None:
    from accelerate import cpu_offload, disk_offload

    inner, other = (tiny_models.build("text-classification", "bert") for _ in range(2))
    whole = weights_digest(inner)
    cpu_offload(inner, execution_device=torch.device("cpu"))
    disk_offload(other, tmp_path, execution_device=torch.device("cpu"))
    assert next(inner.parameters()).device.type == "meta"
    assert weights_digest(inner) == weights_digest(other) == whole


NAME = b"caf\xe9-\xff.png"


def test_files_whose_names_are_no_utf8(tmp_path: Path) -> None:
    from PIL import Image
    from transformers import ViTImageProcessor

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, name in enumerate((b"a.png", NAME, b"b.png", b"caf\xe9-broken.png")):
        path = os.fsencode(folder) + b"/" + name
        try:
            with open(path, "wb") as file:
                if b"broken" not in name:
                    Image.new("RGB", (32, 32), (40 * i, 9, 9)).save(file, "PNG")
        except OSError:
            pytest.skip("this file system takes UTF-8 alone")
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    explain = FourierExplainer(tiny_models.build("image-classification", "vit"), processor)
    for _ in range(2):
        results = run(folder, tmp_path / "run", explain, **OPTIONS)
        assert results.finished
    names = [row["name"] for row in results.rows(1)]
    assert names == ["a.png", "b.png", "caf\\udce9-broken.png", "caf\\udce9-\\udcff.png"]
    assert results.failures()["index"] == [2]
    assert "caf\\udce9-broken.png" in results.failures()["failed"][0]
    str(results.failures()).encode()
    pytest.importorskip("datasets")
    assert results.to_dataset(1)["name"][:] == names


def test_half_characters_in_texts_errors_and_labels(tmp_path: Path) -> None:
    class Broken(list[str]):
        def __getitem__(self, place: Any) -> Any:
            if place == 5:
                raise OSError("no such file: \udcff.txt")
            return super().__getitem__(place)

    data, explain = Broken(texts(12)), explainer()
    data[3] = "w1 \ud800 w2"
    explain.model.config.id2label = {i: f"label \udc80 {i}" for i in explain.model.config.id2label}
    explain.name = "mod\udce8l"
    for _ in range(2):
        results = run(data, tmp_path / "run", explain, **OPTIONS)
    assert results.finished
    assert results.failures()["index"] == [3, 5]
    assert results.failures()["failed"][1] == "OSError: no such file: \\udcff.txt"
    assert results[0].label.startswith("label \\udc80 ")
    str(results.failures()).encode()


def test_one_number_of_another_stride_is_the_same_weight() -> None:
    strided = torch.zeros(10)[::5][:1]
    assert strided.stride() == (5,)
    assert _tensor_digest("a", lambda: strided) == _tensor_digest("a", lambda: torch.zeros(1))


def test_a_sparse_weight_is_read_by_its_entries() -> None:
    dense = torch.eye(3)
    assert _tensor_digest("a", dense.to_sparse) == _tensor_digest("a", lambda: dense)


def test_a_stream_is_checked_from_its_first_example_on() -> None:
    items = [SourceItem(i, "", text) for i, text in enumerate("abc")]
    stream: Any = SimpleNamespace(length=None, stream=lambda start: iter(items[start:]))
    assert [item.index for item in _items(stream, {0: "x", 1: "y"})] == [0, 1]


def test_a_run_that_an_earlier_version_began_is_not_said_to_have_other_labels(folder: Path) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    values["settings"].pop("digests")
    values["settings"]["labels"] = "0" * 32
    kept = {name: value for name, value in values.items() if not name.startswith("digest")}
    (folder / MANIFEST).write_bytes(sealed(kept))
    with pytest.raises(InputError, match=r"earlier version.*continue it with that version"):
        run(texts(COUNT), folder, **OPTIONS)
