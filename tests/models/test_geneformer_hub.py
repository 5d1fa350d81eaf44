"""Geneformer's repository, by its name on a Hub and as a folder."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import ModelError
from tests.hub.fake_hub.requests import python
from tests.hub.fake_hub.server import serving
from tests.models import laws
from tests.models import tiny_geneformer as small

REPO = "ctheodoris/Geneformer"

#: A process of its own, because `HF_ENDPOINT` is read at import: explains a cell by each call, and prints what came.
ASK = """
import json, sys
from hf_fourier import FourierExplainer
from tests.models import tiny_geneformer as small
told = []
for call in json.loads(sys.argv[1]):
    version = call.pop("version")
    try:
        explainer = FourierExplainer.from_pretrained(call.pop("model"), device="cpu", **call)
    except Exception as error:
        told.append({"error": type(error).__name__, "said": str(error)})
        continue
    result = explainer.explain(small.cell(version))
    told.append({
        "task": explainer.wrapper.task, "tokens": len(explainer.processor.tokens), "name": explainer.name,
        "revision": result.provenance["revision"], "notes": result.provenance["notes"], "value": result.value,
        "genes": list(result.genes().rows()), "ids": result.inputs["input_ids"].tolist(),
        "passes": result.provenance["passes"],
    })
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.snapshot(tmp_path_factory.mktemp("hub") / "Geneformer")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "own"))


def ask(address: str, home: Path, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = python(ASK, json.dumps(calls), address=address, home=home, token=None)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_repository_is_explained_by_its_name(repo: Path, tmp_path: Path) -> None:
    with serving({REPO: repo}) as hub:
        commit = hub.repo(REPO).head
        calls = [
            {"model": REPO, "version": "V2"},
            {"model": REPO, "version": "V2", "subfolder": "Geneformer-V2-104M", "revision": commit},
            {"model": REPO, "version": "V1", "subfolder": "Geneformer-V1-10M"},
            {"model": REPO, "version": "V1", "subfolder": "fine_tuned_models/Geneformer-V1-10M_CellClassifier"},
            {"model": REPO, "version": "V2", "subfolder": "fine_tuned_models/Geneformer-V2-104M_GeneClassifier"},
            {"model": REPO, "version": "V2", "subfolder": "Geneformer-V9"},
        ]
        *told, wrong = ask(hub.address, tmp_path, [dict(call) for call in calls])
    tasks = ["fill-mask", "fill-mask", "fill-mask", "text-classification", "token-classification"]
    assert [one["task"] for one in told] == tasks
    for one, call in zip(told, calls, strict=False):
        version = call["version"]
        assert one["name"] == REPO
        assert one["revision"] == commit
        assert one["tokens"] == len(small.tokens(version))
        assert (one["ids"][0] == 2 and one["ids"][-1] == 3) == (version == "V2")
        assert not any("no processor" in note for note in one["notes"])
        names = {gene: symbol for symbol, gene in small.symbols(version).items()}
        assert len(one["genes"]) == 12
        assert all(row["symbol"] == names[row["ensembl_id"]] for row in one["genes"])
    assert told[0]["passes"] == {"forward": 8 * 8, "backward": 8 * 7}  # eight genes masked in turn
    assert wrong["error"] == "ModelError"
    assert "subfolder=" in wrong["said"]
    assert not any("training_args" in line or "tokenizer_config" in line for line in hub.asked)
    copies = list((tmp_path / "own" / "dictionaries").glob("*.json"))
    assert len(copies) == 8  # four dictionaries of each version


def test_a_poisoned_dictionary_is_refused_on_the_hub(repo: Path, tmp_path: Path) -> None:
    poisoned, trace = tmp_path / "Geneformer", tmp_path / "ran"
    small.snapshot(poisoned)
    poison(poisoned, "V2", "token_dictionary", trace)
    with serving({REPO: poisoned}) as hub:
        (told,) = ask(hub.address, tmp_path, [{"model": REPO, "version": "V2"}])
    assert told["error"] == "ModelError"
    assert "token_dictionary_gc104M.pkl" in told["said"]
    assert not trace.exists()


class Payload:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def poison(repo: Path, version: str, name: str, trace: Path) -> Path:
    folder, tag = small.PLACES[version]
    path = repo / folder / f"{name}_{tag}.pkl"
    path.write_bytes(pickle.dumps({"<pad>": 0, "ENSG00000000001": Payload(trace)}))
    return path


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("name", ["token_dictionary", "gene_median_dictionary", "gene_name_id_dict"])
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_a_poisoned_dictionary_is_refused_in_a_folder(tmp_path: Path, version: str, name: str) -> None:
    trace = tmp_path / "ran"
    small.snapshot(tmp_path / "Geneformer")
    path = poison(tmp_path / "Geneformer", version, name, trace)
    sub = {"V1": "Geneformer-V1-10M", "V2": "Geneformer-V2-104M"}[version]
    with pytest.raises(ModelError, match=f"{name}_gc"):
        FourierExplainer.from_pretrained(str(tmp_path / "Geneformer"), subfolder=sub, device="cpu")
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # it was a real one
    assert trace.exists()


Load = Callable[..., FourierExplainer]


@pytest.mark.usefixtures("own_cache")
def test_a_folder_of_a_clone_finds_the_dictionaries_above_it(repo: Path) -> None:
    for place, version in {
        "Geneformer-V1-10M": "V1",
        "Geneformer-V2-104M": "V2",
        "fine_tuned_models/Geneformer-V1-10M_CellClassifier": "V1",
        "fine_tuned_models/Geneformer-V2-104M_GeneClassifier": "V2",
    }.items():
        direct = FourierExplainer.from_pretrained(str(repo / place), device="cpu")
        by_name = FourierExplainer.from_pretrained(str(repo), subfolder=place, device="cpu")
        assert direct.processor.tokens == by_name.processor.tokens == small.tokens(version)
        laws.same(direct.explain(small.cell(version)), by_name.explain(small.cell(version)))


@pytest.mark.usefixtures("own_cache")
def test_dictionaries_beside_the_weights_are_read(tmp_path: Path) -> None:
    small.write_model(tmp_path / "mine", "V2")
    assert FourierExplainer.from_pretrained(str(tmp_path / "mine"), device="cpu").processor is None
    small.write_dictionaries(tmp_path, "V2")
    for file in (tmp_path / "geneformer").iterdir():
        file.rename(tmp_path / "mine" / file.name)
    explainer = FourierExplainer.from_pretrained(str(tmp_path / "mine"), device="cpu")
    assert explainer.explain(small.cell("V2")).genes()["symbol"]


@pytest.mark.usefixtures("own_cache")
def test_other_models_are_not_asked_for_genes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_fourier.models import geneformer_files
    from tests.models import tiny_models, tiny_tokenizers

    tiny_models.build("fill-mask", "bert").save_pretrained(tmp_path)
    tiny_tokenizers.tokenizer("bert").save_pretrained(tmp_path)
    refuse = lambda *args: pytest.fail("a text model was asked for gene dictionaries")  # noqa: E731
    monkeypatch.setattr(geneformer_files, "_file", refuse)
    FourierExplainer.from_pretrained(str(tmp_path), device="cpu")


@pytest.fixture
def tuned(repo: Path, own_cache: None) -> Load:
    def load(name: str) -> FourierExplainer:
        return FourierExplainer.from_pretrained(str(repo / "fine_tuned_models" / name), device="cpu")

    return load


def test_cell_and_gene_classifiers_answer_as_without_us(tuned: Load) -> None:
    cells, genes = tuned("Geneformer-V1-10M_CellClassifier"), tuned("Geneformer-V2-104M_GeneClassifier")
    one = small.cell("V1")
    ids, _ = cells.processor.encode(one["genes"], one["values"])
    with torch.no_grad():
        p = cells.model(input_ids=torch.tensor([ids])).logits[0].softmax(-1)
    result = cells.explain(one)
    assert result.confidence == pytest.approx(float(p.max()), rel=1e-5)
    one = small.cell("V2")
    ids, _ = genes.processor.encode(one["genes"], one["values"])
    with torch.no_grad():
        log_p = genes.model(input_ids=torch.tensor([ids])).logits[0, 1:-1].log_softmax(-1)
    whole = genes.explain(one)
    assert whole.value == pytest.approx(float(log_p.max(-1).values.mean()), rel=1e-4)
    from hf_fourier.scoring.targets import Position

    place, symbol = 4, genes.processor.name(ids[5])
    for position in (place, symbol):
        alone = genes.explain(one, Position(position, 1))
        assert alone.value == pytest.approx(float(log_p[place, 1]), rel=1e-4)


def test_a_cells_embedding_is_explained_along_a_direction(repo: Path, own_cache: None) -> None:
    from hf_fourier.scoring.targets import Direction

    explainer = FourierExplainer.from_pretrained(
        str(repo), subfolder="Geneformer-V2-104M", task="feature-extraction", device="cpu"
    )
    other = explainer.predict(small.cell("V2", seed=3)).logits
    result = explainer.explain(small.cell("V2"), Direction(other))
    own = explainer.predict(small.cell("V2")).logits
    assert result.value == pytest.approx(float(torch.cosine_similarity(own, other, dim=0)), rel=1e-4)
    assert len(result.genes()) == 12


@pytest.fixture
def classifiers(tmp_path: Path) -> dict[str, Path]:
    """Two folders as Geneformer's `Classifier` writes them, in one output folder, and no dictionaries near them."""
    out, found = tmp_path / "out", {}
    for prefix, names in (("heart", ["atrial", "ventricular", "fibroblast"]), ("lung", ["club", "goblet", "basal"])):
        found[prefix] = out / f"240101_geneformer_cellClassifier_{prefix}" / "ksplit1"
        small.write_model(found[prefix], "V1", "BertForSequenceClassification", num_labels=3)
        (out / f"{prefix}_id_class_dict.pkl").write_bytes(pickle.dumps(dict(enumerate(names))))
    return found


@pytest.mark.usefixtures("own_cache")
def test_a_classifier_of_ones_own_takes_the_dictionaries_from_elsewhere(
    repo: Path, classifiers: dict[str, Path]
) -> None:
    explainer = FourierExplainer.from_pretrained(classifiers["heart"], dictionaries=repo, device="cpu")
    assert explainer.processor.tokens == small.tokens("V1")
    assert list(explainer.model.config.id2label.values()) == ["atrial", "ventricular", "fibroblast"]
    result = explainer.explain(small.cell("V1"), "fibroblast")
    assert result.label == "fibroblast"
    assert result.genes()["symbol"]
    flat = FourierExplainer.from_pretrained(
        classifiers["lung"], dictionaries=repo / "geneformer" / "gene_dictionaries_30m", device="cpu"
    )
    assert flat.model.config.id2label[1] == "goblet"
    assert flat.processor.tokens == small.tokens("V1")
    own = FourierExplainer.from_pretrained(classifiers["lung"], processor=flat.processor, id2label=["a", "b", "c"])
    assert own.processor is flat.processor
    assert own.model.config.id2label[1] == "b"  # what the user says goes before what a file says


@pytest.mark.usefixtures("own_cache")
def test_dictionaries_come_from_the_hub_by_the_size_of_the_vocabulary(
    repo: Path, classifiers: dict[str, Path], tmp_path: Path
) -> None:
    call = {"model": str(classifiers["heart"]), "version": "V1", "dictionaries": REPO}
    with serving({REPO: repo}) as hub:
        (told,) = ask(hub.address, tmp_path, [call])
    assert told["tokens"] == len(small.tokens("V1"))
    assert all(row["symbol"].startswith("SYM") for row in told["genes"])


@pytest.mark.usefixtures("own_cache")
def test_a_published_vocabulary_without_dictionaries_names_the_fix(repo: Path, tmp_path: Path) -> None:
    import transformers

    settings = small.config("V1", num_labels=2)
    settings.vocab_size = 25_426
    transformers.BertForSequenceClassification(settings).save_pretrained(tmp_path / "ksplit1")
    with pytest.raises(ModelError, match=r'version 1.*25,426.*dictionaries="ctheodoris/Geneformer"'):
        FourierExplainer.from_pretrained(tmp_path / "ksplit1", device="cpu")
    with pytest.raises(ModelError, match="without gene dictionaries of 25,426"):
        FourierExplainer.from_pretrained(tmp_path / "ksplit1", dictionaries=repo, device="cpu")


@pytest.mark.usefixtures("own_cache")
def test_names_of_classes_are_left_where_they_may_be_of_another_model(repo: Path, classifiers: dict[str, Path]) -> None:
    heart = classifiers["heart"]
    (heart.parents[1] / "lung_id_class_dict.pkl").write_bytes(b"broken, and of another model")
    assert FourierExplainer.from_pretrained(heart, dictionaries=repo).model.config.id2label[0] == "atrial"
    renamed = heart.parents[1] / "elsewhere" / "ksplit1"
    renamed.parent.mkdir()
    heart.rename(renamed)  # no prefix in its path: any file of as many classes may be meant
    assert FourierExplainer.from_pretrained(renamed, dictionaries=repo).model.config.id2label[0] == "atrial"
    names = {number: f"lung {number}" for number in range(3)}
    (heart.parents[1] / "lung_id_class_dict.pkl").write_bytes(pickle.dumps(names))
    assert FourierExplainer.from_pretrained(renamed, dictionaries=repo).model.config.id2label[0] == "LABEL_0"
    renamed.rename(heart)
    (heart.parents[1] / "heart_id_class_dict.pkl").unlink()  # what is left names another classifier
    assert FourierExplainer.from_pretrained(heart, dictionaries=repo).model.config.id2label[0] == "LABEL_0"
    (heart.parents[1] / "heart_id_class_dict.pkl").write_bytes(pickle.dumps({0: ["a"], 1: "b", 2: "c"}))
    with pytest.raises(ModelError, match="heart_id_class_dict"):
        FourierExplainer.from_pretrained(heart, dictionaries=repo)


@pytest.mark.usefixtures("own_cache")
def test_dictionaries_that_are_nowhere_are_one_message(classifiers: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="without gene dictionaries"):
        FourierExplainer.from_pretrained(classifiers["heart"], dictionaries=tmp_path / "none" / "here")
    from tests.models import tiny_models

    tiny_models.build("image-classification", "vit").save_pretrained(tmp_path / "vit")
    with pytest.raises(ModelError, match="without a vocabulary"):
        FourierExplainer.from_pretrained(tmp_path / "vit", dictionaries=tmp_path)
