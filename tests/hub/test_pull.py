"""What comes from the Hub is no more trusted than it must be: values and tensors alone, of the size that was told."""

from __future__ import annotations

import json
import pickle

import pytest

from tests.hub.fake_hub.repositories import Blob, Fault, Repo
from tests.hub.fake_hub.worker import Failed
from tests.hub.test_push import PULL, content, push

pytestmark = pytest.mark.usefixtures("one_figure")


def pull(ask, to, repo="ada/report", token="hf_good", **more):
    return ask(PULL, token, repo=repo, to=to, more=more)


@pytest.fixture
def pushed(hub, ask, saved):
    """The repository of a report with its inputs."""
    push(ask, saved, include_inputs=True)
    hub.asked.clear()
    return hub.repo("ada/report", "dataset")


def change(repo, **files):
    """A commit with other files; underscores in names stand for slashes."""
    repo.commit("main", {**repo.at().files, **{name: Blob(data) for name, data in files.items()}}, "changed")


class Payload:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.trace}",)


def test_nothing_that_runs_is_fetched(hub, ask, pushed, tmp_path):
    trap = pickle.dumps(Payload(tmp_path / "ran"))
    change(
        pushed, **{"results/0001/attribution.pkl": trap, "results/0001/pytorch_model.bin": trap, "report.py": b"1/0",
                   "setup.py": b"1/0", "results/../x": b"", "index.html": b"<script>"}
    )  # fmt: skip
    pull(ask, tmp_path / "again")
    fetched = {line.rpartition("/")[2] for line in hub.asked if "/resolve/" in line}
    assert fetched == {"report.json", "attribution.json", "attribution.safetensors"}
    assert not (tmp_path / "ran").exists()


def test_a_pickle_under_a_tensors_name_is_refused(ask, pushed, tmp_path):
    change(pushed, **{"results/0001/attribution.safetensors": pickle.dumps(Payload(tmp_path / "ran")) + b" " * 10_000})
    with pytest.raises(Failed) as caught:
        pull(ask, tmp_path / "again")
    assert not (tmp_path / "ran").exists()
    assert caught.value.kind == "HubError"


def test_a_report_that_is_larger_than_wanted_is_not_fetched(hub, ask, pushed, tmp_path):
    with pytest.raises(Failed, match=r"0 MB in 'ada/report'; expected at most 0 MB; pass max_bytes"):
        pull(ask, tmp_path / "again", max_bytes=1000)
    assert not any("/resolve/" in line for line in hub.asked)


def test_a_result_that_claims_more_than_its_file_holds_is_refused(ask, pushed, tmp_path):
    values = json.loads(pushed.text("results/0001/attribution.json"))
    values["signal"]["axes"][-1]["length"] = 10**12
    change(pushed, **{"results/0001/attribution.json": json.dumps(values).encode()})
    with pytest.raises(Failed, match=r"entries in a file of .* bytes"):
        pull(ask, tmp_path / "again")


@pytest.mark.parametrize(
    "values", [b"{", b"[]", b'{"format": 99}', b'{"format": "x"}', b"{}", b'{"format": 1, "examples": 3}', b"\xff\xfe"]
)
def test_values_that_are_no_report(ask, pushed, tmp_path, values):
    change(pushed, **{"report.json": values})
    with pytest.raises(Failed) as caught:
        pull(ask, tmp_path / "again")
    assert "FourierError" in caught.value.kinds


def test_what_is_no_report(hub, ask, tmp_path):
    hub.add(Repo("dataset", "ada/speech"))
    with pytest.raises(Failed, match=r"expected one with report\.json"):
        pull(ask, tmp_path / "again", "ada/speech")
    with pytest.raises(Failed, match=r"no such repository.*correct the name; if it is private"):
        pull(ask, tmp_path / "again", "ada/nothing")


def test_a_private_report_needs_its_owners_token(ask, pushed, tmp_path):
    with pytest.raises(Failed, match=r"no such repository.*hf auth login"):
        pull(ask, tmp_path / "again", token=None)
    pull(ask, tmp_path / "read", token="hf_read")
    assert (tmp_path / "read" / "report.json").is_file()


def test_a_public_report_needs_no_token(ask, hub, saved, tmp_path):
    push(ask, saved, "ada/open", private=False)
    hub.tokens.clear()
    pull(ask, tmp_path / "again", "ada/open", token=None)
    assert not hub.tokens


def test_a_network_that_goes_in_mid_pull(hub, ask, pushed, tmp_path):
    hub.faults.append(Fault("/resolve/|/cdn/"))
    change(pushed, **{"new.txt": b"another commit, so that nothing is cached"})
    with pytest.raises(Failed, match=r"no answer from the Hub|cannot|not"):
        pull(ask, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    hub.faults.clear()
    pull(ask, tmp_path / "again")
    assert content(tmp_path / "again")
