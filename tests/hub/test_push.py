"""Reports go to the Hub and come back by the real client: whole, private, in one commit; nothing else is touched."""

from __future__ import annotations

import contextlib
import html
import json
import runpy
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hf_fourier import Report
from tests.evaluation.test_model_spectrum import LOW, spectrum
from tests.hub import reports
from tests.hub.fake_hub.repositories import Blob, Fault, Repo
from tests.hub.fake_hub.worker import Failed
from tests.report.sample_results import picture

pytestmark = pytest.mark.usefixtures("one_figure")

PUSH = """
from hf_fourier import Report
pushed = Report.load(folder).push_to_hub(repo, **more)
result = vars(pushed)
"""
PULL = """
from hf_fourier import Report
report = Report.from_hub(repo, **more)
result = str(report.save(to, **({"include_inputs": True} if report.has_inputs else {})))
"""


def push(ask, folder, repo="ada/report", token="hf_good", **more):
    return ask(PUSH, token, folder=folder, repo=repo, more=more)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_push_is_one_commit_in_a_private_data_set(hub, ask, saved):
    before = content(saved)
    pushed = push(ask, saved)
    repo = hub.repo("ada/report", "dataset")
    assert repo.private
    assert pushed["private"]
    assert pushed["url"] == f"{hub.address}/datasets/ada/report"
    assert pushed["commit"] == repo.head
    assert len(repo.commits) == 2
    assert set(repo.files()) == set(pushed["files"])
    assert {"README.md", "report.json", "index.html", "data/examples.parquet"} <= set(repo.files())
    assert not any(name.startswith(("results/", "sounds/")) for name in repo.files())
    assert content(saved) == before
    assert any("lfs/objects/batch" in line for line in hub.asked)


@pytest.mark.parametrize("inputs", [False, True])
def test_what_is_pulled_is_what_was_pushed(hub, ask, saved, tmp_path, inputs):
    push(ask, saved, include_inputs=inputs)
    hub.asked.clear()
    ask(PULL, repo="ada/report", to=tmp_path / "again", more={})
    given, again = Report.load(saved), Report.load(tmp_path / "again")
    assert again.records == given.records
    assert str(again.tables()["evaluation"]) == str(given.tables()["evaluation"])
    assert str(again.sanity[0]) == str(given.sanity[0])
    assert again.has_inputs == inputs
    if inputs:
        assert all((a.signal == b.signal).all() for a, b in zip(again.results, given.results, strict=True))
    fetched = [line.partition("/resolve/")[2] for line in hub.asked if "/resolve/" in line]
    assert fetched
    commit = hub.repo("ada/report", "dataset").head
    assert all(line.startswith(f"{commit}/re") for line in fetched)  # report.json and results/ alone, at one commit


def test_bands_and_the_spectrum_come_back(hub, ask, tmp_path):
    bands = reports.explained(picture(32, 32, domain="fourier:bands=octave", method="shapley"))
    found = replace(spectrum(LOW)[0], model=reports.MODEL)
    given = Report([bands], spectrum=found)
    push(ask, given.save(tmp_path / "given"))
    assert {"data/spectrum.parquet", "data/band_scores.parquet"} <= set(hub.repo("ada/report", "dataset").files())
    ask(PULL, repo="ada/report", to=tmp_path / "again", more={})
    again = Report.load(tmp_path / "again")
    assert again.records == given.records
    assert again.spectrum.summary() == found.summary()


def test_a_commit_is_pulled_as_it_was(hub, ask, saved, tmp_path):
    first = push(ask, saved)["commit"]
    other = Report(Report.load(saved).results[:1], title="Later").save(tmp_path / "later", include_inputs=True)
    push(ask, other)
    ask(PULL, repo="ada/report", to=tmp_path / "old", more={"revision": first})
    ask(PULL, repo="ada/report", to=tmp_path / "new", more={})
    assert len(Report.load(tmp_path / "old")) == 2
    assert Report.load(tmp_path / "new").title == "Later"
    with pytest.raises(Failed, match="no such revision"):
        ask(PULL, repo="ada/report", to=tmp_path / "none", more={"revision": "v9"})


def test_inputs_do_not_stay_behind_when_the_report_is_pushed_without(hub, ask, saved):
    push(ask, saved, include_inputs=True)
    repo = hub.repo("ada/report", "dataset")
    assert any(name.startswith("results/") for name in repo.files())
    push(ask, saved)
    assert not any(name.startswith(("results/", "sounds/")) for name in repo.files())
    assert not json.loads(repo.text("report.json"))["inputs"]


def test_files_of_others_stay_when_a_report_is_pushed_anew(hub, ask, saved):
    push(ask, saved)
    repo = hub.repo("ada/report", "dataset")
    repo.commit("main", {**repo.at().files, "notes.txt": Blob(b"mine")}, "notes")
    push(ask, saved)
    assert repo.files()["notes.txt"] == b"mine"


def test_a_space_is_one_page(hub, ask, saved):
    pushed = push(ask, saved, as_space=True)
    repo = hub.repo("ada/report", "space")
    assert (repo.private, repo.sdk) == (True, "static")
    assert set(repo.files()) == {"README.md", "index.html"}
    assert pushed["url"] == f"{hub.address}/spaces/ada/report"
    assert "<html" in repo.text("index.html")
    push(ask, saved, as_space=True)  # once more


class FakeGradio:
    """What an app builds: its tabs, each with what is shown in it."""

    def __init__(self):
        self.tabs, self.launched = [], []

    def Blocks(self, title):
        return contextlib.nullcontext(SimpleNamespace(launch=lambda: self.launched.append(title)))

    def Tab(self, name):
        self.tabs.append([name])
        return contextlib.nullcontext()

    def HTML(self, value):
        self.tabs[-1].append(value)

    def Dataframe(self, value, headers, interactive):
        assert not interactive
        self.tabs[-1].append((headers, value))


def test_a_space_of_gradio_shows_the_page_and_the_tables(hub, ask, saved, tmp_path, monkeypatch):
    push(ask, saved, as_space="gradio")
    repo = hub.repo("ada/report", "space")
    assert repo.sdk == "gradio"
    files = repo.files()
    assert {"README.md", "index.html", "app.py", "data/examples.csv"} <= set(files)
    assert all(name in ("README.md", "index.html", "app.py") or name.endswith(".csv") for name in files)
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    gradio = FakeGradio()
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    runpy.run_path(str(tmp_path / "app.py"), run_name="__main__")
    assert gradio.launched == ["Explanations by frequencies"]
    (name, frame), *others = gradio.tabs
    assert name == "Report"
    assert html.escape(repo.text("index.html")) in frame
    tables = Report.load(saved).tables()
    assert {name for name, _ in others} == {name.replace("_", " ") for name in tables}
    titles, rows = dict(others)["examples"]
    assert titles == list(tables["examples"].columns)
    assert len(rows) == len(tables["examples"])
    push(ask, saved, as_space=True)  # a static one in its place
    assert set(repo.files()) == {"README.md", "index.html"}
    with pytest.raises(Failed, match="correct `as_space`"):
        push(ask, saved, as_space="streamlit")


def test_public_is_asked_for(hub, ask, saved):
    push(ask, saved, private=False)
    repo = hub.repo("ada/report", "dataset")
    assert not repo.private
    head = repo.head
    with pytest.raises(Failed, match=r"got the public repository 'ada/report'; expected a private one.*--public"):
        push(ask, saved)
    assert repo.head == head


def test_a_repository_of_something_else_is_left_alone(hub, ask, saved):
    card = b"---\ntags: [audio]\n---\n# Speech\n"
    mine = hub.add(Repo("dataset", "ada/speech", private=True))
    mine.commit("main", {"README.md": Blob(card), "data/examples.parquet": Blob(b"years of work")}, "data")
    head = mine.head
    with pytest.raises(Failed, match=r"which holds README\.md, data/examples\.parquet; expected a new name"):
        push(ask, saved, "ada/speech")
    assert mine.head == head


@pytest.mark.parametrize(
    ("token", "repo", "words"),
    [
        (None, "ada/report", "got no token; expected one that may write.*hf auth login.*unchanged"),
        ("hf_bad", "ada/report", "got a token that the Hub does not know.*hf auth login.*unchanged"),
        ("hf_read", "ada/report", "got a token that may not push.*write access.*unchanged"),
        ("hf_good", "bob/report", "got a token that may not push.*write access.*unchanged"),
    ],
)
def test_a_token_that_will_not_do(hub, ask, saved, token, repo, words):
    before = content(saved)
    with pytest.raises(Failed, match=words) as caught:
        push(ask, saved, repo, token)
    assert caught.value.kind == "HubError"
    assert "FourierError" in caught.value.kinds
    assert not hub.repos
    assert content(saved) == before
    assert token is None or token not in caught.value.said


@pytest.mark.parametrize("name", ["report", "a/b/c", "ada/re port", "ada/..", "ada/x--y", "/report", "ada/x.git", ""])
def test_names_that_no_repository_can_have(hub, ask, saved, name):
    with pytest.raises(Failed, match="expected user/name"):
        push(ask, saved, name)
    assert not hub.asked


@pytest.mark.parametrize(
    "step", ["repos/create", "preupload", "lfs/objects/batch", "PUT /lfs", "POST /verify", "/commit/main"]
)
def test_a_network_that_goes_in_mid_push(hub, ask, saved, tmp_path, step):
    before = content(saved)
    hub.faults.append(Fault(step))
    with pytest.raises(
        Failed, match=r"no answer from the Hub.*try again.*nothing is half pushed.*is unchanged"
    ) as caught:
        push(ask, saved)
    assert caught.value.kind == "HubError"
    assert content(saved) == before
    repo = hub.repos.get(("dataset", "ada/report"))
    assert repo is None or not repo.files()
    hub.faults.clear()
    if step == "/commit/main":  # again, with the network back
        push(ask, saved)
        ask(PULL, repo="ada/report", to=tmp_path / "again", more={})
        assert Report.load(tmp_path / "again").records == Report.load(saved).records


def test_a_network_that_blinks_is_waited_for(hub, ask, saved):
    hub.faults.append(Fault("PUT /lfs", left=1))
    hub.faults.append(Fault("preupload", status=503, left=1))
    push(ask, saved)
    assert "report.json" in hub.repo("ada/report", "dataset").files()


def test_the_viewer_opens_every_table(hub, ask, saved):
    """As `datasets` reads what the card names, on which the viewer rests."""
    push(ask, saved)
    code = """
import datasets
names = datasets.get_dataset_config_names("ada/report")
result = {name: datasets.load_dataset("ada/report", name, split="train").to_dict() for name in names}
result["first"] = names[0]
"""
    read = ask(code)
    assert read.pop("first") == "examples"
    tables = Report.load(saved).tables()
    assert set(read) == set(tables)
    assert read["examples"]["label"] == ["espresso", "cup"]
    assert read["evaluation"]["mean"] == tables["evaluation"]["mean"]


def test_an_uploader_that_breaks_is_told(hub, ask, saved):
    code = "from huggingface_hub import HfApi\nown = HfApi.create_commit\n"
    code += "def broken(*a, **k): raise RuntimeError('native code failed')\n"
    code += f"HfApi.create_commit = broken\ntry:\n{_indented(PUSH)}\nfinally: HfApi.create_commit = own\n"
    with pytest.raises(Failed, match=r"HubError: got RuntimeError \(native code failed\).*is unchanged"):
        ask(code, folder=saved, repo="ada/report", more={})


def test_a_hub_that_is_not_there(ask, saved):
    code = "import huggingface_hub.hf_api as api\nown = api.HfApi.__init__\n"
    code += "def elsewhere(self, **k): own(self, **{**k, 'endpoint': 'http://127.0.0.1:9'})\n"
    code += f"api.HfApi.__init__ = elsewhere\ntry:\n{_indented(PUSH)}\nfinally: api.HfApi.__init__ = own\n"
    with pytest.raises(Failed, match=r"no answer from the Hub \(ConnectError\)"):
        ask(code, folder=saved, repo="ada/report", more={})


def _indented(code):
    return "\n".join(f"    {line}" for line in code.splitlines())
