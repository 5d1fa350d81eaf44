"""The brain in a real scan of a head, in volumes of any edges."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer, demo
from hf_fourier.demo import scans
from tests.end_to_end.cases import Asset, Case, every_law
from tests.models import laws

pytestmark = pytest.mark.assets
EDGES = [(47, 53, 41), (33, 64, 31)]


@cache
def scan() -> dict[str, torch.Tensor]:
    read = demo.head_mri()
    return {"volume": torch.from_numpy(read["volume"]), "mask": torch.from_numpy(read["mask"]).float()}


def head(edges: int | tuple[int, ...]) -> np.ndarray:
    return scans.normalised(scans.at_size(scan()["volume"], edges)).numpy()


@pytest.fixture(scope="module")
def case(asset: Asset) -> Case:
    from hf_fourier.demo.models import linknet3d

    asset("mri-head")
    linknet3d.register()
    explain = FourierExplainer.from_pretrained(str(asset("deepbet")), device="cpu")

    def own(volume: np.ndarray) -> torch.Tensor:
        return explain.model(pixel_values=torch.from_numpy(np.ascontiguousarray(volume))[None, None]).logits

    hard = [*(head(edges) for edges in EDGES), np.zeros((33, 32, 32), np.float32)]
    whole = head(48)
    return Case(explain, [whole, np.ascontiguousarray(whole[::-1]), head((48, 48, 32))], hard, own)


@every_law
def test_laws(case: Case, law: Any) -> None:
    law(case)


def test_a_result_comes_back_from_a_folder(case: Case, tmp_path: Path) -> None:
    case.comes_back(tmp_path)


def test_the_brain_is_explained_at_64(case: Case) -> None:
    volume = head(64)
    result = case.explain.explain(volume, "brain")
    laws.whole(result)
    with torch.no_grad():
        logits = case.own(volume)
    said = logits.argmax(1)[0] == 1
    assert torch.equal(result.frozen_target == 1, said)
    assert result.value == pytest.approx(float(logits.log_softmax(1)[0, 1][said].mean()), rel=1e-4)
    brain = scans.at_size(scan()["mask"], 64).numpy() > 0.5
    assert scans.dice(said.numpy(), brain) > 0.8
    case.explain.perturb(result, fractions=[0.1, 1.0], overwrite=True)
    stops = {share: result.curve.at("keep", share) for share in (0.1, 1.0)}
    for share, stop in stops.items():
        found = result.extras[f"mask keep {share:g}"].numpy() == 1
        assert stop.agreement == pytest.approx(scans.dice(found, said.numpy()), abs=1e-6)
    assert stops[1.0].agreement > 0.999
    assert stops[0.1].agreement > 0.5


@pytest.mark.parametrize("edges", EDGES)
def test_volumes_of_odd_edges(case: Case, edges: tuple[int, ...]) -> None:
    """The network continues them inside: what it adds is no feature, and its mask has the volume's own edges."""
    volume = head(edges)
    result = case.explain.explain(volume)
    assert tuple(axis.length for axis in result.layout.signal.axes) == (1, *edges)
    assert result.frozen_target.shape == edges
    np.testing.assert_allclose(result.render(1.0), volume, atol=1e-5 * np.abs(volume).max())
