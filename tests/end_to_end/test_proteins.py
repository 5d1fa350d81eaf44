"""Real antibodies through AntiBERTy's own classifiers of species and chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer, demo
from tests.end_to_end.cases import Asset, Case, every_law
from tests.models import laws

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module", params=["species", "chain"])
def case(request: pytest.FixtureRequest, asset: Asset) -> Case:
    explain = FourierExplainer.from_pretrained(str(asset(f"antiberty-{request.param}")), device="cpu")
    sequences = [one["sequence"] for one in demo.antibodies()]
    hard = ["W", "EVQLVES", sequences[0][:37], "EVQLXVES", "W" * 41, sequences[1].lower()]

    def own(sequence: str) -> torch.Tensor:
        return explain.model(**explain.processor(" ".join(sequence.upper()), return_tensors="pt")).logits

    return Case(explain, [sequences[0], sequences[1][:40], sequences[2][:40]], hard, own)


@every_law
def test_laws(case: Case, law: Any) -> None:
    law(case)


def test_a_result_comes_back_from_a_folder(case: Case, tmp_path: Path) -> None:
    case.comes_back(tmp_path)


def test_residues_and_answers(case: Case) -> None:
    known = [*demo.antibodies()]
    right = 0
    for one in known:
        said = case.explain.predict(one["sequence"]).label.casefold()
        right += said in (one["species"].casefold(), one["chain"].casefold())
    assert right >= len(known) - 1
    for sequence, result in zip(case.examples, case.alone, strict=True):
        assert "".join(result.names) == sequence
        assert result.input_relevance(0.04).values.shape == (len(sequence),)
        laws.same(case.explain.explain(" ".join(sequence)), result)
