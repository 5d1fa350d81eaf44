"""A pull request on a model's card, by the real client: one section, our results, and nothing of others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from tests.evaluation.test_model_spectrum import LOW, spectrum
from tests.hub import reports
from tests.hub.fake_hub.repositories import Blob, Fault, Repo
from tests.hub.fake_hub.worker import Failed
from tests.report.hostile_text import ALL
from tests.report.test_model_card import THEIRS, changes

pytestmark = pytest.mark.usefixtures("one_figure")

PROPOSE = """
from hf_fourier import Report
result = Report.load(folder).propose_model_card(model, **more)
"""
LOAD = """
from huggingface_hub import ModelCard, DatasetCard, HfApi
card = {"model": ModelCard, "dataset": DatasetCard}[kind].load(repo)
card.validate()
result = [str(one.metric_type) for one in (card.data.get("eval_results") or [])]
"""


@pytest.fixture
def model(hub):
    """Bob's model, with a card; ada is somebody else."""
    repo = hub.add(Repo("model", reports.MODEL))
    repo.commit("main", {"README.md": Blob(THEIRS.encode()), "model.safetensors": Blob(b"weights", True)}, "files")
    return repo


def propose(ask, folder, model=reports.MODEL, token="hf_good", **more):
    return ask(PROPOSE, token, folder=folder, model=model, more=more)


def test_a_pull_request_changes_the_card_alone(hub, ask, saved, model):
    head = model.head
    url = propose(ask, saved, dataset="Cups", dataset_id="cups")
    assert url == f"{hub.address}/{reports.MODEL}/discussions/1"
    assert model.head == head
    proposed = model.at("refs/pr/1")
    assert proposed.parent == head
    assert {path for path, blob in proposed.files.items() if model.at().files.get(path) != blob} == {"README.md"}
    gone, new = changes(THEIRS, model.text("README.md", "refs/pr/1"))
    assert gone == []
    assert "| DIG | ffc | fourier | 0.300 [0.300, 0.300] | +0.200 [0.200, 0.200] | more |" in new
    data = yaml.safe_load(model.text("README.md", "refs/pr/1").split("---\n")[1])
    ours = data["model-index"][0]["results"][-1]
    assert ours["dataset"] == {"name": "Cups", "type": "cups"}
    assert {one["type"]: one["value"] for one in ours["metrics"]} == {
        "dig": 0.3, "maintain_rate": 0.6, "selectivity": 0.1
    }  # fmt: skip


def test_an_accepted_proposal_is_read_and_need_not_be_repeated(hub, ask, saved, model):
    propose(ask, saved)
    model.refs["main"] = model.refs["refs/pr/1"]
    assert ask(LOAD, repo=reports.MODEL, kind="model") == ["accuracy", "f1", "maintain_rate", "selectivity", "dig"]
    assert propose(ask, saved) is None
    assert len(model.requests) == 1


def test_a_model_without_a_card_gets_one(hub, ask, saved):
    repo = hub.add(Repo("model", reports.MODEL))
    propose(ask, saved)
    repo.refs["main"] = repo.refs["refs/pr/1"]
    assert "dig" in ask(LOAD, repo=reports.MODEL, kind="model")


def test_a_branch_that_moved_on_is_not_overwritten(hub, ask, saved, model):
    own = hub.failing

    def move(line):
        if "/preupload/" in line:
            model.commit("main", {**model.at().files, "README.md": Blob(b"# newer\n")}, "meanwhile")
        return own(line)

    hub.failing = move
    try:
        with pytest.raises(Failed, match=r"somebody else changed meanwhile \(412\).*try again"):
            propose(ask, saved)
    finally:
        hub.failing = own
    assert not model.requests


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "got no token"),
        ("hf_bad", "a token that the Hub does not know"),
        ("hf_read", "a token that may not propose"),
    ],
)
def test_a_token_that_will_not_do(hub, ask, saved, model, token, words):
    with pytest.raises(Failed, match=words):
        propose(ask, saved, token=token)
    assert not model.requests


def test_a_network_that_goes(hub, ask, saved, model):
    hub.faults.append(Fault("/commit/main"))
    with pytest.raises(Failed, match="no answer from the Hub"):
        propose(ask, saved)
    assert not model.requests


def test_what_cannot_be_proposed(hub, ask, saved, model, tmp_path):
    from hf_fourier import Report

    with pytest.raises(Failed, match=r"a report of 'bob/classifier' for the card of 'bob/other'"):
        propose(ask, saved, "bob/other")
    bare = Report(reports.pictures()).save(tmp_path / "bare")
    with pytest.raises(Failed, match="a report without an evaluation or a spectrum"):
        propose(ask, bare)
    del hub.repos["model", reports.MODEL]
    with pytest.raises(Failed, match="no such repository"):
        propose(ask, saved)


def test_a_spectrum_is_a_section_of_the_card(hub, ask, model, tmp_path):
    from hf_fourier import Report

    found = replace(spectrum(LOW)[0], model=reports.MODEL)
    folder = Report([], spectrum=found).save(tmp_path / "bands")
    propose(ask, folder)
    card = model.text("README.md", "refs/pr/1")
    assert "## Which frequencies it reads" in card
    assert found.summary()[0] in card
    assert changes(THEIRS, card)[0] == []


def test_a_broken_card_is_told_and_left_alone(hub, ask, saved, model):
    model.commit("main", {"README.md": Blob(b"---\na: [\n---\n# x\n")}, "broken")
    with pytest.raises(Failed, match=r"metadata are not YAML.*correct the model card first"):
        propose(ask, saved)


def test_hostile_text_stays_text_on_the_hub(hub, ask, tmp_path):
    """What is pushed and what is proposed is read back by the client and judged by the Hub."""
    from dataclasses import replace

    from hf_fourier import Report
    from hf_fourier.report import privacy
    from hf_fourier.report.visible_text import escape_invisible

    made = [reports.explained(one, "bob's `m`odel | <script>") for one in reports.pictures(method="ffc")]
    made[0].label = ALL
    found = reports.evaluation("bob's `m`odel | <script>", notes=[ALL], excluded=[(ALL, ALL, ALL)])
    found = replace(found, cells=[found.cells[0], replace(found.cells[1], method=ALL)])
    folder = Report(made, found, title=ALL).save(tmp_path / "r")
    ask("from hf_fourier import Report; Report.load(folder).push_to_hub('ada/x')", folder=folder)
    ask("from hf_fourier import Report; Report.load(folder).push_to_hub('ada/y', as_space=True)", folder=folder)
    assert ask(LOAD, repo="ada/x", kind="dataset") == []
    told = ask("from huggingface_hub import DatasetCard; result = DatasetCard.load('ada/x').data.pretty_name")
    assert told == escape_invisible(privacy.title_of(ALL, made[0].provenance["model"], shared=True))
    repo = hub.add(Repo("model", "bob/x"))
    propose(ask, folder, "bob/x", dataset=ALL, dataset_id=ALL)
    repo.refs["main"] = repo.refs["refs/pr/1"]
    assert ask(LOAD, repo="bob/x", kind="model") == ["maintain_rate", "selectivity", "dig"]
    propose(ask, folder, "bob/x", dataset="other")
    assert repo.text("README.md", "refs/pr/2").count("hf_fourier: begin") == 1
