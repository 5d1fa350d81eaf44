"""Runs in domains that were fitted to examples: what another process reads of them, and several that each fit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.domains import DOMAINS, fitted
from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.fit_domain import fit_domain
from hf_fourier.models.distributed import Processes
from hf_fourier.runs import Results
from hf_fourier.runs.packing import STORES
from hf_fourier.runs.shards import Shard
from tests.runs.sample_results import digests
from tests.runs.test_processes import shell

ENTRIES = 8

SCRIPT = """
import os
import sys

import torch

from tests.runs.test_fitted_runs import reader, signals
from hf_fourier.evaluation.studies.fit_domain import fit_domain

rank = int(os.environ.get("RANK", "0"))
explainer, data = reader(), signals()
domain = fit_domain(explainer, data[rank:], components=3)  # each process fits to data of its own
explainer.explain_dataset(data, sys.argv[1], domain=domain, method="gradient_input", store="scores", chunk=3)
print(rank, domain.basis)
"""


def reader() -> FourierExplainer:
    """A small network."""
    generator = torch.Generator().manual_seed(3)
    network = torch.nn.Linear(ENTRIES, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.randn(2, ENTRIES, generator=generator))
    return FourierExplainer(network, labels=["no", "yes"], axes=("time",), outputs="logits")


def signals(count: int = 24) -> list[torch.Tensor]:
    return list(torch.randn(count, ENTRIES, generator=torch.Generator().manual_seed(1)))


def run(folder: Path, domain: object, **options: object) -> Results:
    kept = {"method": "gradient_input", "chunk": 6, "progress": False, **options}
    return reader().explain_dataset(signals(), folder, domain=domain, **kept)


@pytest.mark.parametrize("store", [one for one in STORES if one != "genes"])
def test_another_process_reads_a_run(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored of a run, the top features alone as well, holds the directions, once in each shard."""
    domain = fit_domain(reader(), signals(), components=3)
    before = run(tmp_path / "run", domain, store=store).rows(top=2)
    expected = list(before)
    monkeypatch.setattr(fitted, "_KNOWN", {})
    results = Results(tmp_path / "run")
    assert list(results.rows(top=2)) == expected
    assert {place for row in expected for place in row["top_where"]} <= {
        f"component {name}" for name in (1, 2, 3, "rest")
    }
    assert domain.basis in fitted._KNOWN
    for path in sorted((tmp_path / "run" / "shards").glob("*/*.safetensors")):
        shard = Shard(path)
        assert shard._small["basis.vectors|float32|2|shapes"].tolist() == [[ENTRIES, 3]]
        assert len(shard._small["basis.vectors|float32|2|rows"]) == len(shard)
    if store != "top":
        assert isinstance(results[5], Attribution)


def test_a_run_goes_on_with_the_directions_that_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process by their name, once its results were read; another fit is refused."""
    domain = fit_domain(reader(), signals(), components=3)
    name = DOMAINS.spec(domain)
    run(tmp_path / "run", domain, store="top")
    whole = digests(tmp_path / "run")
    monkeypatch.setattr(fitted, "_KNOWN", {})
    next(iter(Results(tmp_path / "run").rows()))
    sorted((tmp_path / "run" / "shards").glob("*/*.safetensors"))[-1].unlink()
    run(tmp_path / "run", name, store="top")
    assert digests(tmp_path / "run") == whole
    other = fit_domain(reader(), signals()[1:], components=3)
    with pytest.raises(InputError, match="a run with domain 'fitted:basis=pca-"):
        run(tmp_path / "run", other, store="top")


def test_another_process_takes_the_directions_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_fourier.runs.worker import Worker

    explainer, data = reader(), signals()
    first, own = (fit_domain(explainer, some, components=2) for some in (data, data[1:]))
    plain = DOMAINS.parse("fourier")

    def taken(domain: object, rank: int, sent: object) -> object:
        worker = object.__new__(Worker)
        worker.job = explainer.job(explainer._method, domain, 0)
        machine = Processes(rank, 2)
        monkeypatch.setattr(Processes, "on_first", lambda machine, decide: decide() if machine.first else sent)
        return worker.with_directions_of_first(machine).job.domain

    sent = (first, first.directions)
    monkeypatch.setattr(fitted, "_KNOWN", {own.basis: own.directions})
    assert taken(own, 1, sent) == first
    assert fitted._KNOWN[first.basis] is first.directions
    assert taken(first, 0, None) == first
    assert taken(plain, 0, None) == taken(plain, 1, None) == plain


def test_two_processes_that_fit_apart_write_what_one_writes(tmp_path: Path, root: Path) -> None:
    """Each fits to data of its own: all shards have the directions of the first, and the bytes of a run by itself."""
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = {"PYTHONPATH": f"{root}:{':'.join(sys.path)}"}
    launch = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    two = shell(*launch, "script.py", "two", folder=tmp_path, **paths)
    assert two.returncode == 0, two.stderr
    assert len(set(two.stdout.split()) - {"0", "1"}) == 2  # each process had its own
    counts = [len(path.read_text().splitlines()) for path in (tmp_path / "two").glob("log-*.jsonl")]
    assert len(counts) == 2
    domain = fit_domain(reader(), signals(), components=3)
    results = Results(tmp_path / "two")
    assert {one.layout.domain for one in results} == {DOMAINS.spec(domain)} == {results.manifest.settings["domain"]}
    run(tmp_path / "one", domain, store="scores", chunk=3)
    assert digests(tmp_path / "two") == digests(tmp_path / "one")
