"""Arguments, options and files that once ended in a traceback, a hang or silence end in one message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import Report, attribute
from hf_fourier.errors import CHECKS, FourierError, InputError, SpecError, StorageError, checked
from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.report import folder
from hf_fourier.report.hub import model_card, repository
from hf_fourier.results.curve import FractionGrid
from hf_fourier.runs.options import RunOptions
from tests.report.sample_results import PLAYED, picture

pytestmark = pytest.mark.usefixtures("unchecked")

ROWS = torch.ones(2, 12)


class Unprintable:
    """A thing whose `repr` fails."""

    def __repr__(self):
        raise RuntimeError("no")


STRANGE = [
    None,
    "a",
    "nan",
    b"x",
    [],
    [0.5],
    {},
    1j,
    object(),
    Unprintable(),
    np.array([1, 2]),
    torch.zeros(2, 2),
    torch.zeros(2, 2, device="meta"),
    torch.zeros(2, 2).to_sparse(),
    float("nan"),
    10**400,
    True,
    Path("."),
]


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_checked_name_takes_its_own_kind_and_refuses_others_in_one_message(name):
    messages = []
    for value in STRANGE:
        try:
            CHECKS[name](name, value)
        except FourierError as error:
            messages.append(str(error))
    assert len(messages) >= 3
    assert all(name in message and len(message) < 400 for message in messages)


def test_numbers_of_numpy_and_torch_are_taken_as_numbers():
    def call(fraction, k, seed, batch_size, overwrite):
        return fraction, k, seed, batch_size, overwrite

    plain = checked(call)(np.float32(0.5), torch.tensor(3), np.int64(2), np.array(4), np.True_)
    assert plain == (0.5, 3, 2, 4, True)
    assert list(map(type, plain)) == [float, int, int, int, bool]


def test_a_function_without_checked_names_is_left_alone():
    def call(x):
        return x

    assert checked(call) is call


@pytest.mark.parametrize(
    "option",
    [
        {"seed": "a"},
        {"seed": 2**63},
        {"target": ROWS.to_sparse()},
        {"seed": -1},
        {"seed": 0.5},
        {"axes": 1.5},
        {"axes": torch.tensor(1)},
        {"dither": "x"},
        {"forward": 3},
        {"batch_size": np.zeros(3)},
        {"target": 2**63},
        {"target": -(2**70)},
        {"contributions": "a"},
        {"method": 3},
        {"method": torch.zeros(2)},
        {"domain": np.zeros(2)},
        {"x": ROWS.to("meta")},
        {"x": ROWS.to_sparse()},
        {"x": torch.quantize_per_tensor(ROWS, 0.1, 0, torch.qint8)},
        {"x": ROWS.numpy()},
        {"method": "ffc:lr=²"},
    ],
)
def test_attribute_refuses(option):
    with pytest.raises(FourierError):
        attribute(**{"forward": lambda x: x, "x": ROWS, **option})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("keep_top", "a"),
        ("keep_top", [0.5]),
        ("delete_top", torch.zeros(2)),
        ("mask", 1j),
        ("top_features", 0.5),
        ("top_features", "None"),
        ("input_relevance", b""),
        ("magnitude_overlap", None),
        ("render", {}),
        ("save", 3),
        ("save", "a\0b"),
        ("load", None),
        ("plot", "\ud800"),
    ],
)
def test_a_result_refuses(name, given):
    result = picture(played=PLAYED)
    with pytest.raises(FourierError if given is not None or name == "load" else (FourierError, TypeError)):
        getattr(result, name)(given)


def test_the_top_of_a_relevance_and_of_a_spectrum_is_a_whole_number():
    with pytest.raises(InputError, match=r"n 0\.5"):
        picture(played=PLAYED).input_relevance().top(0.5)


def test_a_grid_takes_numbers_alone():
    for value in (3, "a", None, [True], [[0.5]], torch.zeros(2, 2)):
        with pytest.raises(InputError):
            FractionGrid(value)
    assert FractionGrid(np.array([0.1, 0.2])).keep == (0.1, 0.2)


def test_a_place_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="choose another"):
        picture(played=PLAYED).save(tmp_path / "file" / "below")
    with pytest.raises(StorageError, match="choose another"):
        Report([picture(played=PLAYED)]).html(tmp_path / "file" / "below.html")


@pytest.mark.parametrize(
    "given",
    [
        {"results": ["x"]},
        {"results": 3},
        {"results": [None]},
        {"evaluation": "x"},
        {"sanity": {"a": 1}},
        {"sanity": ["x"]},
        {"title": 3},
        {"names": "one"},
        {"names": 3},
    ],
)
def test_a_report_refuses(given):
    with pytest.raises(InputError):
        Report(**{"results": [picture()], **given})


@pytest.mark.parametrize("name", [3, None, b"a/b", torch.zeros(2), "a", "a/b/c"])
def test_what_is_no_name_of_a_repository(name):
    with pytest.raises(InputError):
        Report([picture()]).push_to_hub(name)


# Options that had no effect


def test_a_split_or_a_stream_of_what_has_none_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("good\nbad\n")
    (tmp_path / "folder").mkdir()
    for data in (["good", "bad"], str(tmp_path / "a.txt")):
        with pytest.raises(InputError, match="split"):
            source_of(data, split="nope")
    with pytest.raises(InputError, match="streaming"):
        source_of(["good"], streaming=True)
    import datasets

    table = datasets.Dataset.from_dict({"text": ["good", "bad"]})
    with pytest.raises(InputError, match="split"):
        source_of(table, split="nope")
    table.save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match="streaming"):
        source_of(str(tmp_path / "saved"), streaming=True)
    assert source_of(table).length == 2


def test_options_of_recordings_without_one_are_refused():
    from hf_fourier.cli.explain_recording import check_sounds

    for options in ((1.0, None), (None, 0.5)):
        with pytest.raises(InputError, match="without a sound"):
            check_sounds(["a text", np.zeros(3)], *options)
        check_sounds([Path("a.wav"), "a text"], *options)
    check_sounds(["a text"], None, None)


def test_segments_of_a_recording_have_the_contributions_that_are_asked_for(tmp_path):
    from tests.advice.hearing import RATE, hearer
    from tools.fuzz.files import wav

    path = tmp_path / "a.wav"
    path.write_bytes(wav(RATE, 2 * RATE))
    for points in (0, 2):
        found = hearer().explain_recording(path, seconds=1.0, contributions=points)
        assert (found[0].contributions is None) == (points == 0)


# Hostile files of others


def test_a_deep_json_table_is_refused_before_a_parser_overflows(tmp_path):
    for text in ("[" * 200_000, '{"a":' * 200_000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(InputError, match="brackets"):
            source_of(str(tmp_path / "a.json"))


def test_brackets_of_many_rows_do_not_add_up(tmp_path):
    for text in ("a [b", "a [b]", '[\\"['):
        (tmp_path / "a.jsonl").write_text(f'{{"text": "{text}"}}\n' * 3000)
        assert source_of(str(tmp_path / "a.jsonl")).length == 3000
    (tmp_path / "a.jsonl").write_text('{"text": [1}\n' * 3000)
    with pytest.raises(InputError, match="brackets"):  # never closed
        source_of(str(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"signal": {"axes": [{"length": 1e400}]}}',
        b'{"signal": {"axes": [{"length": -5}]}}',
        b'{"signal": {"axes": [{"length": "x"}]}}',
        b'{"signal": 3}',
        b"null",
        b'{"signal": {"axes": [{"length": ' + b"9" * 5000 + b"}]}}",
        b'{"signal": {"axes": [{"length": 10000000000000}]}}',
    ],
)
def test_a_hostile_repository_is_one_message(data, tmp_path, monkeypatch):
    import huggingface_hub

    saved = Report([picture(played=PLAYED)]).save(tmp_path / "report", include_inputs=True, figures=False)
    place = saved / folder.RESULTS / "0001" / "attribution.json"
    place.write_bytes(data)
    sizes = {path.relative_to(saved).as_posix(): path.stat().st_size for path in saved.rglob("*") if path.is_file()}
    read = {name: size for name, size in sizes.items() if repository._READ.fullmatch(name)}

    class Api:
        endpoint, token = "https://hub", None

        def dataset_info(self, *args, **options):
            return type("Info", (), {"sha": "0" * 40})

        def list_repo_tree(self, *args, **options):
            return [type("Entry", (), {"path": name, "size": size}) for name, size in read.items()]

    monkeypatch.setattr(repository, "_api", lambda *args, **options: Api())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *args, **options: str(saved))
    with pytest.raises(FourierError) as caught:
        Report.from_hub("ada/report")
    assert len(str(caught.value)) < 1000


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))


@pytest.mark.parametrize(
    "front", [LAUGHS, "[" * 5000, "a: " + "1" * 5000, "a: 2001-99-99", "? [1]\n: 2", "a: !!python/x"]
)
def test_a_hostile_model_card_is_one_message(front):
    with pytest.raises(InputError, match="correct the model card"):
        model_card.edited(f"---\n{front}\nmodel-index: 3\n---\n# A model\n", "section", "model", [])


def test_a_model_card_that_is_no_utf_8_or_too_large_is_one_message(tmp_path):
    path = tmp_path / "README.md"
    for data in (b"\xff\xfe\x00", b"a" * (model_card.MOST_BYTES + 1)):
        path.write_bytes(data)
        with pytest.raises(InputError, match="correct the model card"):
            model_card.read(path)


def test_what_is_no_spec():
    for spec in (3, [], torch.zeros(2), int):
        with pytest.raises(SpecError):
            attribute(lambda x: x, ROWS, method=spec)


@pytest.mark.parametrize("text", ["é" * 300, "a" * 5000, "a\0b"])
def test_a_text_that_is_too_long_for_a_path_is_a_text(text, tmp_path):
    from hf_fourier.cli.inputs import read
    from hf_fourier.models.inputs.cells import is_cell_file
    from hf_fourier.report.collect import collect

    assert not is_cell_file(text)
    assert read([text], pair=False) == ([text], [text])
    with pytest.raises(FourierError):
        source_of(text)
    with pytest.raises(FourierError):
        collect([Path(text)], 3)
    with pytest.raises(FourierError):
        Report.load(text)


@pytest.mark.parametrize("name", ["a" * 5000, "a/" + "b" * 300, "a\0b", "\ud800"])
def test_a_name_of_a_model_that_is_no_path_is_one_message(name):
    from hf_fourier import FourierExplainer

    with pytest.raises(FourierError):
        FourierExplainer.from_pretrained(name)


@pytest.mark.parametrize("text", ["span:1-" + "9" * 5000, "index:" + "9" * 5000])
def test_numbers_of_very_many_digits_are_one_message(text):
    from hf_fourier.cli.console import parse_batch_size
    from hf_fourier.cli.targets import parse_targets

    with pytest.raises(FourierError):
        parse_targets(text)
    with pytest.raises(FourierError):
        parse_batch_size("9" * 5000)
    assert parse_targets("9" * 5000) == "9" * 5000


def test_options_of_runs_are_taken_as_those_of_calls_are():
    """Numbers of numpy and torch, a series whose rows have other names, a generator, a lone fraction."""
    pd = pytest.importorskip("pandas")
    options = RunOptions(
        targets=pd.Series([1, 0], index=[4, 5]), seed=np.int64(3), top=torch.tensor(7), chunk=np.int32(2),
        batch_size=np.int64(4), fractions=[np.float64(0.1)], contributions=np.int64(2),
    )  # fmt: skip
    assert (options.targets, options.seed, options.top, options.chunk) == ([1, 0], 3, 7, 2)
    assert (options.batch_size, options.contributions) == (4, 2)
    assert [type(x) for x in (options.seed, options.top, options.chunk, options.contributions)] == [int] * 4
    assert RunOptions(targets=(i for i in (1, 0))).targets == [1, 0]
    for wrong in ({"targets": "spam"}, {"targets": 3}, {"batch_size": 0}, {"fractions": 2}, {"top": 0.5}):
        with pytest.raises(InputError):
            RunOptions(**wrong)


def test_names_and_results_come_in_any_container():
    check = CHECKS
    assert check["metrics"]("metrics", np.array(["dig", "r_flip"])) == ["dig", "r_flip"]
    assert check["metrics"]("metrics", "dig") == ["dig"]
    assert check["methods"]("methods", np.array(["ffc", "random"])) == ["ffc", "random"]
    assert check["targets"]("targets", (i for i in (1, 2))) == [1, 2]
    with pytest.raises(InputError, match="results of explain"):
        check["attributions"]("attributions", np.array(3, dtype=object))
