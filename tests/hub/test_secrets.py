"""No token, user name, path of the machine or piece of an example is in any file that is pushed."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import zlib

import numpy as np
import pytest
import torch

from hf_fourier import Report
from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.results.views import GeneView
from tests.hub.fake_hub.repositories import Repo
from tests.report.sample_results import PLAYED, cell, picture, text, waveform

TOKEN = "hf_ThisIsATokenOfSomebodys1234"
USER = "grace-hopper"
HOME = f"/home/{USER}"
#: What belongs to the machine and to who sits there: in no push at all.
MACHINE = (TOKEN, USER, HOME, "/data/models", "C:\\Users")
#: What belongs to an example: in a push with inputs only.
EXAMPLE = ("metastasis", "aspirin", "patient-7", "patient-9", "BRCA1", "ENSG00000012048", "espresso-secret")

PUSH = """
import os
os.environ.update(more)
from hf_fourier import Report
if not os.path.isdir(more["HOME"]):
    from pathlib import Path
    Path.home = classmethod(lambda cls: cls(more["HOME"]))
report = Report.load(folder)
report.push_to_hub("ada/report", include_inputs=inputs)
report.push_to_hub("ada/page", as_space=True, include_inputs=inputs)
report.propose_model_card("bob/model", dataset="Notes")
"""


def tainted(made, task, **provenance):
    made.provenance.update({
        "model": f"{HOME}/work/bob-model", "task": task, "revision": "c0ffee",
        "versions": {"torch": "2.13.0", "path": f"{HOME}/.venv"}, "argv": [f"--token={TOKEN}"], "user": USER,
        "notes": [f"read from {HOME}/patient-7.png with {TOKEN}", f"by {USER} at /data/models/x/y", "C:\\Users\\g\\x"],
        **provenance,
    })  # fmt: skip
    return made


def results():
    words = ("the", "metastasis", "took", "aspirin", "daily", ".")
    genes = ("BRCA1", "CD3D", "LYZ", "NKG7")
    ids = ("ENSG00000012048", *(f"ENSG0000000000{i}" for i in range(3)))
    masked = text(words, played=PLAYED, label="metastasis", alternatives=[("metastasis", 0.9), ("aspirin", 0.1)])
    masked.frozen_target = torch.tensor([3])
    return [
        tainted(picture(played=PLAYED, label="cup"), "image-classification"),
        tainted(text(words, played=PLAYED, label="bad"), "text-classification"),
        tainted(masked, "fill-mask", head="masked"),
        tainted(cell(genes, played=PLAYED, view=GeneView(genes=ids)), "text-classification"),
        tainted(waveform(played=PLAYED, label="loud"), "audio-classification"),
    ]


NAMES = [
    "patient-7.png",
    "patient-9: the metastasis took aspirin",
    "aspirin?",
    "BRCA1 cell",
    f"{HOME}/espresso-secret.wav",
]
CELLS = [
    MethodResult("magnitude", "fourier", True, (1, 0), {"dig": [0.1] * 5}),
    MethodResult("ffc", "fourier", False, (1, 1), {"dig": [0.3] * 5}),
]


def report():
    note = f"{TOKEN} of {USER} in {HOME}/x"
    found = Evaluation(f"{HOME}/work/bob-model", CELLS, NAMES, {"dig": 1}, [("wam", "fourier", note)], [note])
    checks = [
        Check("model randomization", True, f"changes; see {HOME}/log.txt by {USER}", "share", 0.2, (0.1, 0.3), "x", 4)
    ]
    checked = SanityResult(f"{HOME}/work/bob-model", "ffc", "fourier", "softmax", NAMES, checks, [note])
    return Report(results(), found, checked, title=f"Notes of {USER} in {HOME}/notes ({TOKEN})", names=NAMES)


def readable(name, data):
    """All text that a file holds: as it is, unpacked, and in what it embeds."""
    if name.endswith(".parquet"):
        from pyarrow import parquet

        table = parquet.read_table(io.BytesIO(data))
        data += json.dumps([table.to_pydict(), str(table.schema.metadata)], default=str, ensure_ascii=False).encode()
    if name.endswith(".png"):
        chunks = re.findall(rb"(?:zTXt|iTXt|IDAT)(.*?)(?=....(?:IDAT|IEND))", data, re.S)
        data += b"".join(_inflated(chunk) for chunk in chunks)
    told = data.decode("utf-8", "replace")
    if name.endswith((".html", ".md", ".json", ".svg")):
        told += html.unescape(told) + _decoded_json(told)
        for packed in re.findall(r"[A-Za-z0-9+/]{64,}={0,2}", told):
            told += _unpacked(packed)
    return told


def _inflated(chunk):
    try:
        return zlib.decompress(chunk)
    except zlib.error:
        return b""


def _decoded_json(told):
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), told)


def _unpacked(packed):
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4))
    except ValueError:
        return ""
    for open_ in (gzip.decompress, zlib.decompress):
        try:
            raw += open_(raw)
        except (OSError, EOFError, zlib.error):
            continue
    return raw.decode("utf-8", "replace")


def found(hub, needles):
    """Which needle is in which file, name of a file, or message, of any commit of any repository."""
    seen = []
    for (kind, name), repo in hub.repos.items():
        for commit in repo.commits.values():
            texts = {path: path + readable(path, blob.data) for path, blob in commit.files.items()}
            texts["(message)"] = commit.title + commit.description
            seen += [
                (needle, f"{kind} {name}", path) for path, told in texts.items() for needle in needles if needle in told
            ]
    return seen


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The report with inputs, as it lies on a machine; what there is to leak is really there."""
    return report().save(tmp_path_factory.mktemp("kept") / "report", include_inputs=True)


@pytest.fixture
def push(hub, ask, kept):
    hub.users[TOKEN] = hub.users["hf_good"]
    hub.add(Repo("model", "bob/model"))
    environment = {"LOGNAME": USER, "USER": USER, "LNAME": USER, "USERNAME": USER, "HOME": HOME}

    def go(inputs):
        ask(PUSH, TOKEN, folder=kept, inputs=inputs, more=environment)
        assert len(hub.repos) == 3
        assert TOKEN in hub.tokens
        assert sum(len(commit.files) for repo in hub.repos.values() for commit in repo.commits.values()) > 10
        return hub

    return go


@pytest.mark.parametrize("inputs", [False, True])
def test_nothing_of_the_machine_is_pushed(push, inputs):
    assert found(push(inputs), MACHINE) == []


def test_nothing_of_an_example_is_pushed_without_inputs(push, tmp_path):
    hub = push(False)
    assert found(hub, EXAMPLE) == []
    files = {path for repo in hub.repos.values() for commit in repo.commits.values() for path in commit.files}
    assert not [path for path in files if path.endswith((".safetensors", ".wav", ".npy", ".pt", ".bin", ".pkl"))]


def test_with_inputs_what_was_asked_for_is_there(push):
    """The search finds what is there: the same needles, in the same kinds of files."""
    hub = push(True)
    there = {needle for needle, _, _ in found(hub, EXAMPLE)}
    assert there >= {"metastasis", "aspirin", "BRCA1", "patient-7"}


@pytest.mark.parametrize("name", ["a.json", "a.html", "a.parquet", "a.md", "a.svg"])
def test_the_search_is_no_rubber_stamp(name):
    needle = "metastasis"
    if name.endswith(".parquet"):
        import pyarrow as pa
        from pyarrow import parquet

        file = io.BytesIO()
        parquet.write_table(pa.table({"a": [needle] * 1000}), file, compression="zstd")
        assert needle in readable(name, file.getvalue())
        return
    packed = base64.b64encode(gzip.compress(json.dumps({"a": [needle, *range(100)]}).encode())).decode()
    assert needle in readable(name, f'<script>"{packed}"</script>'.encode())
    assert needle in readable(name, "".join(f"&#{ord(c)};" for c in needle).encode())
    assert needle in readable(name, "".join(f"\\u{ord(c):04x}" for c in needle).encode())


def test_a_last_look_refuses_what_got_past_all_else(ask, hub, tmp_path):
    """Whatever else fails to leave it out: a file with the token in it is not pushed."""
    from tests.hub.fake_hub.worker import Failed

    folder = Report(results()[:1]).save(tmp_path / "r")
    code = """
from hf_fourier import Report
from hf_fourier.report.hub import cards
own = cards.dataset_card
cards.dataset_card = lambda *a, **k: own(*a, **k) + "hf_good"
try:
    Report.load(folder).push_to_hub("ada/report")
finally:
    cards.dataset_card = own
"""
    with pytest.raises(Failed, match=r"got README\.md with the token in it") as caught:
        ask(code, folder=folder)
    assert "hf_good" not in caught.value.said
    assert not hub.repos


def test_how_much_is_told_of_an_example_does_not_grow_with_it(tmp_path):
    """A larger picture, a longer text: the same handful of numbers, too few to hold the example."""
    told = {}
    for size in (16, 64):
        folder = Report([tainted(picture(size, size, played=PLAYED, label="cup"), "image-classification")]).save(
            tmp_path / str(size)
        )
        record = json.loads((folder / "report.json").read_text())["examples"][0]
        told[size] = len(_numbers(record))
    assert told[64] == told[16] < 150
    assert 4 * told[16] < 3 * 16 * 16


def _numbers(value):
    if isinstance(value, dict):
        return [n for own in value.values() for n in _numbers(own)]
    if isinstance(value, list):
        return [n for own in value for n in _numbers(own)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def test_numbers_of_the_signal_are_in_no_file(push):
    """Not a value of any signal, gradient or coefficient, at the precision at which files are written."""
    hub = push(False)
    values = set()
    for result in results():
        for tensor in (result.signal, result.gradient, result.coefficients, result.scores):
            flat = torch.view_as_real(tensor).reshape(-1) if tensor.is_complex() else tensor.reshape(-1)
            values |= {f"{v:.6g}" for v in flat.abs().tolist() if v > 1e-3}
    assert len(values) > 1000
    for repo in hub.repos.values():
        for path, data in repo.files("main").items():
            if path.endswith((".json", ".html", ".md")):
                shown = re.findall(r"\d+\.\d{5,}", data.decode())
                assert not {f"{float(v):.6g}" for v in shown} & values, path
            if path.endswith(".parquet"):
                from pyarrow import parquet

                for column in parquet.read_table(io.BytesIO(data)).to_pydict().values():
                    real = [v for v in column if isinstance(v, float)]
                    assert not {f"{v:.6g}" for v in np.abs(real)} & {v for v in values if len(v) > 7}, path
