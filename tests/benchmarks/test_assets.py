"""The catalogue that goes beyond the demo's, and the models in it that nothing else tests."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import assets
from benchmarks.assets.catalogue import MORE, PLANTED
from benchmarks.assets.convert.hosts import HOSTS
from benchmarks.assets.planted import planted_name
from hf_fourier import demo
from hf_fourier.demo.build import Catalogue
from tests.demo.real import check_folder, load, models, right_on_antibodies, tokenizer


def test_the_demos_assets_are_known_and_come_first() -> None:
    assert assets.names() == [*demo.names(), *(one.name for one in (*MORE, *PLANTED))]
    assert len(set(assets.names())) == len(assets.names())
    assert assets.describe("pictures") is demo.describe("pictures")
    with pytest.raises(demo.UnknownAsset, match="'smollm2'"):
        demo.describe("smollm2")


@pytest.mark.parametrize("asset", [*MORE, *PLANTED], ids=lambda one: one.name)
def test_every_builder_exists_and_every_parent_is_listed_before(asset: demo.Asset) -> None:
    module, function = asset.builder.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert all(len(package.sha256) == 64 for package in asset.packages)
    for parent in asset.parents:
        assert assets.names().index(parent) < assets.names().index(asset.name)
        assert set(assets.describe(parent).packages) <= set(asset.packages)


def test_every_planted_asset_has_a_host_with_its_trigger_and_its_recipe() -> None:
    for asset in PLANTED:
        host, kind, *clean = asset.variant.split("/")
        assert asset.name == planted_name(host, kind, clean == ["clean"])
        assert HOSTS[host].triggers.keys() == HOSTS[host].recipes.keys()
        assert kind in HOSTS[host].triggers
        assert host in asset.parents


@pytest.mark.parametrize("name", models(Catalogue(MORE)))
def test_a_model_folder_holds_safetensors_alone(name: str, asset: Callable[[str], Path]) -> None:
    check_folder(asset(name), name)


def test_smollm2_knows_the_capital_of_france(asset: Callable[[str], Path]) -> None:
    folder = asset("smollm2")
    model, tokens = load("AutoModelForCausalLM", folder, dtype=torch.float32), tokenizer(folder)
    with torch.no_grad():
        logits = model(**tokens("The capital of France is", return_tensors="pt")).logits[0, -1]
    assert tokens.decode(logits.argmax()) == " Paris"
    assert tokens.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False).endswith("<|im_end|>\n")
    assert not hasattr(model.config, "quantization_config")


def test_antiberty_fills_in_a_conserved_tryptophan(asset: Callable[[str], Path]) -> None:
    folder = asset("antiberty-mlm")
    model, tokens = load("AutoModelForMaskedLM", folder), tokenizer(folder)
    residues = list(demo.antibodies()[0]["sequence"])
    assert residues[35] == "W"
    residues[35] = tokens.mask_token
    batch = tokens(" ".join(residues), return_tensors="pt")
    assert batch.input_ids.shape[1] == len(residues) + 2
    with torch.no_grad():
        chances = model(**batch).logits[0, 36].softmax(-1)
    assert chances[tokens.convert_tokens_to_ids("W")] >= 0.9


def test_every_antibody_residue_is_in_the_vocabulary(asset: Callable[[str], Path]) -> None:
    tokens = tokenizer(asset("antiberty-mlm"))
    for row in demo.antibodies():
        assert tokens.unk_token_id not in tokens(" ".join(row["sequence"])).input_ids


def test_antiberty_knows_chains(asset: Callable[[str], Path]) -> None:
    assert right_on_antibodies(asset("antiberty-chain"), "chain") >= 5


def test_the_antibody_heads_share_the_language_models_body(asset: Callable[[str], Path]) -> None:
    body = load("AutoModelForMaskedLM", asset("antiberty-mlm")).bert.state_dict()
    for head in ("species", "chain"):
        theirs = load("AutoModelForSequenceClassification", asset(f"antiberty-{head}")).bert.state_dict()
        assert all(torch.equal(value, theirs[key]) for key, value in body.items())
