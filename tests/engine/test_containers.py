"""Whatever holds several examples is taken as the list of them, by every command alike."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageSequence
from scipy.io import wavfile

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from tests.models import laws, test_audio, test_vision, tiny_models, tiny_tokenizers

pytestmark = pytest.mark.usefixtures("unchecked")
TEXTS = tiny_tokenizers.texts(4)
DATA = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 2, 0]})
SERIES = pd.Series(TEXTS, index=[2, 0, 3, 1])  # its rows are known by other numbers than their places


class Mapped:
    """A data set as torch knows them."""

    def __len__(self) -> int:
        return len(TEXTS)

    def __getitem__(self, place: int) -> str:
        return TEXTS[place]


CONTAINERS: dict[str, Callable[[], Any]] = {
    "list": lambda: TEXTS,
    "column": lambda: DATA["text"],
    "data set": lambda: DATA,
    "stream": lambda: DATA.to_iterable_dataset(),
    "column of a stream": lambda: DATA.to_iterable_dataset()["text"],
    "column within a column": lambda: datasets.Dataset.from_dict({"m": [{"t": text} for text in TEXTS]})["m"]["t"],
    "rows": lambda: list(DATA),
    "columns of a slice": lambda: DATA[:4],
    "series": lambda: SERIES,
    "series of pandas' strings": lambda: SERIES.astype("string"),
    "array of texts": lambda: np.array(TEXTS),
    "array of objects": lambda: np.array(TEXTS, dtype=object),
    "generator": lambda: (text for text in TEXTS),
    "map": lambda: map(str, TEXTS),
    "values": lambda: dict(enumerate(TEXTS)).values(),
    "deque": lambda: deque(TEXTS),
    "torch's data set": Mapped,
    "texts of numpy": lambda: [np.str_(text) for text in TEXTS],
}


@pytest.fixture(scope="module")
def explain() -> FourierExplainer:
    labels = {0: "ham", 1: "spam", 2: "neither"}
    return FourierExplainer(
        tiny_models.build("text-classification", "bert", id2label=labels), tiny_tokenizers.tokenizer("bert")
    )


@pytest.mark.parametrize("name", CONTAINERS)
def test_all_containers_hold_the_same_examples(explain: FourierExplainer, name: str) -> None:
    for one, other in zip(explain.explain(CONTAINERS[name]()), explain.explain(TEXTS), strict=True):
        laws.same(one, other)


def test_what_a_stream_reuses_is_read_before_it_goes_on() -> None:
    """One buffer that is filled again and again, as of a sound card, and the frames of a GIF, which are one image."""
    from hf_fourier.models.inputs.dataset_sources import source_of

    hears = test_audio.explainer("wav2vec2-plain")
    blocks = [test_audio.clip(2001, seed) for seed in range(3)]

    def refilled(form: Callable[[Any], Any]) -> Any:
        buffer = np.empty_like(blocks[0])
        for block in blocks:
            buffer[...] = block
            yield form(buffer)

    for form in (lambda b: (b, 16_000), lambda b: torch.from_numpy(b), lambda b: {"array": b, "sampling_rate": 16_000}):
        for one, block in zip(hears.explain(refilled(form)), blocks, strict=True):
            laws.same(one, hears.explain((block, 16_000)))

    held = [item.example for item in source_of(lambda: refilled(lambda b: b)).stream(0)]
    assert all(np.array_equal(one, block) for one, block in zip(held, blocks, strict=True))

    pictures = [Image.fromarray(np.full((9, 9), grey, np.uint8)) for grey in (0, 90, 255)]
    file = io.BytesIO()
    pictures[0].save(file, "gif", save_all=True, append_images=pictures[1:])
    sees = FourierExplainer(tiny_models.build("image-classification", "vit"), test_vision.processor())
    frames = ImageSequence.Iterator(Image.open(file))
    for result, picture in zip(sees.explain(frames, method="ffc"), pictures, strict=True):
        laws.same(result, sees.explain(picture, method="ffc"))


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != "columns of a slice"])
def test_runs_read_them_in_the_same_order(explain: FourierExplainer, name: str, tmp_path: Path) -> None:
    from hf_fourier.models.inputs.dataset_sources import source_of

    given = CONTAINERS[name]()
    if name in ("generator", "map"):
        with pytest.raises(InputError, match="read only once"):
            source_of(given)
        given = CONTAINERS[name]
    assert [item.example for item in source_of(given).stream(0)] == TEXTS


SOME = ["column", "data set", "columns of a slice", "rows", "series", "array of objects", "generator"]


@pytest.mark.parametrize("name", SOME)
def test_every_command_takes_them(explain: FourierExplainer, name: str) -> None:
    made = CONTAINERS[name]
    table = explain.evaluate(made(), "magnitude", metrics=["maintain_rate"]).of("magnitude")
    assert table.values == explain.evaluate(TEXTS, "magnitude", metrics=["maintain_rate"]).of("magnitude").values
    truth = ["ham", "spam", "neither", "ham"]
    fixed, same = (explain.rectify(x, truth, random_orders=1, budget=0.01) for x in (made(), TEXTS))
    assert fixed.places == same.places
    results = explain.explain(TEXTS)
    maps = [result.scores.new_ones(result.signal.shape) for result in results]
    assert len(explain.from_maps(made(), maps)) == 4
    assert len(explain.from_maps(made(), iter(maps))) == 4
    with pytest.raises(InputError, match="4 examples"):
        explain.predict(made())


def test_sanity_takes_a_column(explain: FourierExplainer) -> None:
    assert str(explain.sanity_check(DATA["text"], "magnitude")) == str(explain.sanity_check(TEXTS, "magnitude"))


def test_results_come_in_any_container(explain: FourierExplainer) -> None:
    results = explain.explain(TEXTS)
    for given in (tuple(results), iter(results), np.array(results, dtype=object), deque(results)):
        played = explain.perturb(given, [0.1])
        assert [one.curve is not None for one in played] == [True] * 4
    again = explain.re_explain(iter(results), ["ham"] * 4)
    assert [one.label for one in again] == ["ham"] * 4
    with pytest.raises(InputError, match="call explain first"):
        explain.perturb("w10")


def test_targets_and_truths_come_in_columns(explain: FourierExplainer) -> None:
    for targets in (DATA["label"], pd.Series([0, 1, 2, 0], index=[3, 1, 2, 0]), np.array([0, 1, 2, 0])):
        assert [result.target for result in explain.explain(TEXTS, targets=targets)] == [0, 1, 2, 0]
        found = explain.rectify(TEXTS, targets, random_orders=1, budget=0.01)
        assert found.places == explain.rectify(TEXTS, [0, 1, 2, 0], random_orders=1, budget=0.01).places


def test_one_row_is_one_example(explain: FourierExplainer) -> None:
    laws.same(explain.explain(DATA[0]), explain.explain(TEXTS[0]))
    laws.same(explain.explain(np.array(TEXTS[0])), explain.explain(TEXTS[0]))
    assert explain.predict(DATA[0]).label == explain.predict(TEXTS[0]).label


REFUSED: dict[str, tuple[Any, str]] = {
    "several splits": (datasets.DatasetDict(train=DATA), "data['train']"),
    "two texts": (DATA.add_column("title", TEXTS), "choose one"),
    "a row of two texts": ({"text": "w10", "title": "w11"}, "row['text']"),
    "rows of two texts": ([{"text": "w10", "title": "w11"}], "row['text']"),
    "a table": (pd.DataFrame({"text": TEXTS, "n": range(4)}), "table['the column']"),
    "a set": ({"w10", "w11"}, "which has an order"),
    "nothing": (pd.Series([], dtype=object), "at least one example"),
    "no more": (iter([]), "at least one example"),
    "a missing text": (pd.Series(["w10", None]), "dropna"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_might_mean_several_things_is_refused(explain: FourierExplainer, name: str) -> None:
    example, said = REFUSED[name]
    with pytest.raises(InputError) as caught:
        explain.explain(example)
    assert said in str(caught.value)


def test_a_table_with_its_column(explain: FourierExplainer, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": TEXTS, "n": range(4)}, index=[3, 2, 1, 0])
    results = explain.explain_dataset(table, tmp_path / "run", column="text", progress=False)
    assert [results[i].key for i in range(4)] == [result.key for result in explain.explain(TEXTS)]
    assert len(explain.explain(table["text"])) == 4


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


PNGS = [{"bytes": png(level), "path": None} for level in (10, 200)]


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("form", ["column", "data set", "rows", "stream"])
def test_pictures_stay_pictures_also_where_they_are_not_decoded(decode: bool, form: str, tmp_path: Path) -> None:
    from transformers import ViTImageProcessor

    explain = FourierExplainer(
        tiny_models.build("image-classification", "vit"), ViTImageProcessor(size={"height": 32, "width": 32})
    )
    features = datasets.Features({"image": datasets.Image(decode=decode), "label": datasets.Value("int64")})
    data = datasets.Dataset.from_dict({"image": PNGS, "label": [0, 1]}, features=features)
    forms = {"column": data["image"], "data set": data, "rows": list(data), "stream": data.to_iterable_dataset()}
    wanted = explain.explain([Image.open(io.BytesIO(one["bytes"])) for one in PNGS])
    for one, other in zip(explain.explain(forms[form]), wanted, strict=True):
        laws.same(one, other)
    if form == "rows":
        laws.same(explain.explain(data[1]), wanted[1])
        laws.same(explain.explain(data[1]["image"]), wanted[1])
    results = explain.explain_dataset(forms[form], tmp_path / "run", progress=False)
    assert [results[i].key for i in range(2)] == [result.key for result in wanted]


def wav(tone: float) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, 16000, (np.sin(2 * np.pi * tone * np.arange(4000) / 16000) * 2**14).astype(np.int16))
    return file.getvalue()


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("form", ["column", "data set", "stream"])
def test_sounds_are_read_without_a_decoder(decode: bool, form: str) -> None:
    explain, sounds = test_audio.explainer("wav2vec2"), [{"bytes": wav(tone), "path": None} for tone in (300.0, 900.0)]
    kept = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"audio": kept, "label": datasets.Value("int64")})
    data = datasets.Dataset.from_dict({"audio": sounds, "label": [0, 1]}, features=features)
    data = data.cast_column("audio", datasets.Audio(decode=decode))
    forms = {"column": data["audio"], "data set": data, "stream": data.to_iterable_dataset()}
    results = explain.explain(forms[form])
    for result, one in zip(results, sounds, strict=True):
        laws.same(result, explain.explain(one))
        laws.same(result, explain.explain(one["bytes"]))
        laws.same(result, explain.explain({"audio": one, "label": 3}))


def test_series_of_numbers_are_one_example() -> None:
    from tests.models import test_time_series

    explain, values = test_time_series.explainer("PatchTSTForClassification"), test_time_series.series(1)[0].numpy()
    single = explain.explain(values)
    laws.same(explain.explain(pd.DataFrame(values)), single)
    laws.same(explain.explain([values.tolist()])[0], single)
    column = datasets.Dataset.from_dict({"values": [values.tolist()]})["values"]
    laws.same(explain.explain(column)[0], single)


def test_a_tensor_of_texts_ids_is_still_a_batch(explain: FourierExplainer) -> None:
    batch = explain.processor(TEXTS[:1], return_tensors="pt")
    (result,) = explain.explain(batch)
    laws.same(result, explain.explain(TEXTS[0]))
    assert isinstance(batch["input_ids"], torch.Tensor)


@pytest.mark.parametrize(
    "columns",
    [
        {"text": TEXTS, "label": [0, 1]},
        {"text": TEXTS, "number": 4},
        {"text": TEXTS, "split": "train"},
        {"split": "train", "text": TEXTS, "weight": torch.ones(3)},
        {"text": TEXTS, "weight": torch.tensor(1.0)},
    ],
)
def test_columns_of_uneven_lengths_are_refused_and_the_advice_works(explain: FourierExplainer, columns: Any) -> None:
    with pytest.raises(InputError, match="columns of one length") as caught:
        explain.explain(columns)
    assert str(caught.value).endswith("pass the examples alone: data['text']")
    assert len(explain.explain(columns["text"])) == len(TEXTS)


@pytest.mark.parametrize("name", ["id", "ID", "_id", "guid", "idx", "sample_id", "__key__"])
def test_what_names_rows_is_no_text(explain: FourierExplainer, name: str) -> None:
    alone = explain.explain(TEXTS[0])
    row = {name: "7", "text": TEXTS[0]}
    data = datasets.Dataset.from_dict({name: ["7", "8"], "text": TEXTS[:2]})
    for found in (explain.explain(row), explain.explain([row])[0], explain.explain(data)[0]):
        assert found.names == alone.names
    tagged = {name: "7", "tokens": TEXTS[0].split(), "tags": [0, 1]}  # as data sets of named entities have them
    with pytest.raises(InputError):
        explain.explain([tagged])
    with pytest.raises(InputError, match="choose one"):
        explain.explain(datasets.Dataset.from_list([tagged]))
