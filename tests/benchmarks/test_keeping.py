"""Numbers are kept, and measured again when what they were made from has changed."""

import json
import runpy
from dataclasses import dataclass
from importlib import import_module

import pytest

from benchmarks import keeping, meta_evaluation, planted, subsets
from benchmarks.keeping import cell_file, kept
from benchmarks.leaderboard.cells import Bench, Size
from benchmarks.meta_evaluation.rankings import Ranker
from benchmarks.planted import wavelets
from benchmarks.planted.subjects import Subject
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.base import Method, Ranking
from tests.benchmarks.own_method import source_of

PHASE = Subject("fashion-vit", "phase")


def test_what_is_there_is_not_made_again_and_nothing_is_there_before_it_is_whole(tmp_path):
    path, made = tmp_path / "folder" / "a.json", []

    def make():
        assert not path.exists()
        made.append(1)
        return {"a": [1.5]}

    assert kept(path, make) == kept(path, make) == {"a": [1.5]}
    assert made == [1]
    with pytest.raises(TypeError):
        kept(tmp_path / "b.json", lambda: {"a": object()})
    assert [one.name for one in tmp_path.rglob("*.json*")] == ["a.json"]


def meta_file(method="tracking", n=4, half="test", ranker=None, admitted=(), metrics=("dig",), what="metrics"):
    """The file of a cell of `meta_evaluation`, whose models are not loaded for it."""
    trial = object.__new__(meta_evaluation.Trial)
    trial.subject, trial.n, trial.half, trial.metrics = PHASE, n, half, list(metrics)
    trial.folder, trial.gate = keeping.Path(), {"admitted": list(admitted)}
    return trial._path(what, Ranker(ranker or method, method)).name


#: The file of a cell of each benchmark, by method and number of examples.
CELLS = {
    "default": lambda method, n: import_module("benchmarks.default").cell_of("fashion-vit", n, method, "test"),
    "goals": lambda method, n: import_module("benchmarks.goals").cell_of("fashion-vit", n, method, "test"),
    "planted": lambda method, n: planted.rank_cell(PHASE, "planted", method, n, "test", []),
    "pairs": lambda method, n: planted.pair_cell("fashion-vit", method, n, "test"),
    "wavelets": lambda method, n: wavelets.cell_of("a", PHASE, [method], n, "test"),
    "subsets": lambda method, n: subsets.planted_cell(PHASE, "planted", method, n, "test"),
    "meta_evaluation": meta_file,
    "net evidence": lambda method, n: meta_file(method, n, what="noise"),
    "leaderboard": lambda method, n: Bench(PHASE, Size(n), keeping.Path())._file("a", method).name,
}


@pytest.fixture(autouse=True, scope="module")
def without_candidates():
    """Importing some benchmarks registers methods that are in no release; take them out again."""
    before = {*METHODS}
    yield
    for name in {*METHODS} - before:
        METHODS.remove(name)


@pytest.fixture
def method():
    """Register a class under one name, with this default of its setting."""

    def enter(value):
        if "of_a_test" in METHODS:
            METHODS.remove("of_a_test")

        @METHODS.register("of_a_test")
        @dataclass(frozen=True)
        class OfATest(Method):
            """Ranks by magnitude."""

            passes = (1, 0)
            kappa: float = value

            def attribute(self, score, x, basis, rng):
                return Ranking(basis.magnitude(basis.forward(x)))

        return "of_a_test"

    yield enter
    METHODS.remove("of_a_test")


@pytest.mark.parametrize("benchmark", CELLS)
def test_a_method_whose_settings_changed_is_measured_again(benchmark, method):
    """Also where its name is the same: what a default or a preset stands for may change."""
    before = CELLS[benchmark](method(0.5), 4)
    assert CELLS[benchmark](method(0.5), 4) == before
    assert CELLS[benchmark](method(0.25), 4) != before
    assert CELLS[benchmark]("tracking:kappa=.1", 4) != CELLS[benchmark]("tracking", 4)


@pytest.mark.parametrize("benchmark", CELLS)
def test_another_number_of_examples_is_measured_again(benchmark):
    assert CELLS[benchmark]("tracking", 5) != CELLS[benchmark]("tracking", 4)


@pytest.mark.parametrize("benchmark", CELLS)
def test_a_changed_method_is_measured_again(benchmark, monkeypatch):
    """Its own file, and one of `hf_fourier.methods` that it imports; not that of another method."""
    before = CELLS[benchmark]("tracking", 4)
    whole = keeping._code

    def changed(name):
        monkeypatch.setattr(keeping, "_code", lambda file: whole(file) + "changed" * (file.name == name))
        return CELLS[benchmark]("tracking", 4)

    assert changed("tracking.py") != before
    assert changed("closed_loop.py") != before
    assert changed("wam.py") == before


@pytest.mark.parametrize("benchmark", CELLS)
def test_another_build_of_a_model_is_measured_again(benchmark, monkeypatch):
    before = CELLS[benchmark]("tracking", 4)
    whole = keeping._asset
    monkeypatch.setattr(keeping, "_asset", lambda name: [*whole(name), "rebuilt"])
    assert CELLS[benchmark]("tracking", 4) != before


@pytest.mark.parametrize(
    ("benchmark", "module"),
    [
        ("default", "benchmarks.default"),
        ("default", "benchmarks.selectivity"),
        ("goals", "benchmarks.goals"),
        ("goals", "benchmarks.axes"),
        ("planted", "benchmarks.planted"),
        ("planted", "benchmarks.planted.subjects"),
        ("subsets", "benchmarks.subsets"),
        ("meta_evaluation", "benchmarks.meta_evaluation.columns"),
        ("meta_evaluation", "hf_fourier.evaluation.metrics.dig"),
        ("leaderboard", "benchmarks.leaderboard.cells"),
    ],
)
def test_what_measures_otherwise_measures_again(benchmark, module, monkeypatch):
    before = CELLS[benchmark]("tracking", 4)
    whole, file = keeping._code, keeping._file_of(module)
    monkeypatch.setattr(keeping, "_code", lambda one: whole(one) + "changed" * (one == file))
    assert CELLS[benchmark]("tracking", 4) != before


def test_what_else_a_cell_of_the_meta_evaluation_depends_on():
    one = meta_file()
    others = [
        meta_file(half="tuning"), meta_file(ranker="tracking, 20% spoilt"), meta_file(admitted=["[0, 1]"]),
        meta_file(metrics=("dig", "f_fidelity")), meta_file(what="noise"),
    ]  # fmt: skip
    assert len({one, *others}) == 6


def test_an_asset_is_known_by_its_revision_and_by_those_it_is_built_from(monkeypatch):
    from dataclasses import replace

    known = {name: keeping.assets.describe(name) for name in keeping.assets.names()}
    before = keeping._asset("fashion-vit-phase")
    for name in ("fashion-vit-phase", "fashion-vit", "fashion-mnist"):
        newer = {**known, name: replace(known[name], revision=known[name].revision + 1)}
        monkeypatch.setattr(keeping.assets, "describe", newer.__getitem__)
        assert keeping._asset("fashion-vit-phase") != before
    monkeypatch.setattr(keeping.assets, "describe", {**known, "smollm2": None}.__getitem__)
    assert keeping._asset("fashion-vit-phase") == before


OWN = source_of("own_of_a_test")


def test_comments_docstrings_and_layout_do_not_count(tmp_path):
    file, found = tmp_path / "own.py", []
    texts = (
        OWN,
        OWN.replace("Ranks by magnitude.", "Ranks by amplitude.").replace("@dataclass", "# a comment\n@dataclass"),
        OWN.replace("basis.forward(x)", "basis.forward(-x)"),
    )
    for text in texts:
        file.write_text(text)
        runpy.run_path(str(file))
        try:
            found.append(cell_file("a", methods=["own_of_a_test"]))
        finally:
            METHODS.remove("own_of_a_test")
    assert found[0] == found[1] != found[2]


def test_file_names_say_what_they_are_of():
    name = cell_file("fashion-vit-phase", methods=["tracking:preset=fast"])
    assert name.startswith("fashion-vit-phase-tracking_preset=fast-")
    assert name.endswith(".json")
    assert len({cell_file("a", methods=[name]) for name in METHODS}) == len([*METHODS])
    assert cell_file("a", kappas={"b": 1}) != cell_file("a", kappas={"b": 2})
    json.dumps(name)
    with pytest.raises(SpecError):
        cell_file("a", methods=["none_such"])


@pytest.mark.parametrize("benchmark", ["default", "goals"])
def test_numbers_of_further_examples_are_kept_apart(benchmark):
    module = import_module(f"benchmarks.{benchmark}")
    names = {
        module.cell_of("wav2vec2-languages", 96, "tracking", part) for part in import_module("benchmarks.default").PARTS
    }
    assert len(names) == 3
