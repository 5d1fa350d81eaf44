"""Matching of detections with the queries that they were found at, against the best matching of all."""

from __future__ import annotations

import pytest
import torch

from hf_fourier.scoring.heads.detection import Detections
from hf_fourier.scoring.heads.matching import matched, matched_rows, own_queries
from hf_fourier.scoring.targets import IGNORED, Position

LABELS = {0: "cup", 1: "saucer", 2: "spoon"}


def scenes(rows: int, queries: int, softmax: bool, sharp: float, seed: int = 0) -> torch.Tensor:
    """Logits of random scenes whose boxes lie close together, some queries alike."""
    numbers = torch.Generator().manual_seed(seed)
    z = sharp * torch.randn(rows, queries, 4 if softmax else 3, generator=numbers, dtype=torch.float64)
    boxes = 0.4 + 0.05 * torch.rand(rows, queries, 4, generator=numbers, dtype=torch.float64)
    logits = torch.cat([z, boxes], -1)
    logits[: rows // 4, 1] = logits[: rows // 4, 0]
    return logits


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("sharp", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("target", [None, 1, Position(2, 0), Position(3)])
def test_of_the_clean_input_each_detection_has_its_own_query(softmax: bool, sharp: float, target: object) -> None:
    head, logits = Detections(LABELS, 3), scenes(80, 6, softmax, sharp)
    frozen = head.freeze(logits, [target] * len(logits))
    _, p, extent = head._split(logits)
    real, classes = frozen[..., 0] != IGNORED, frozen[..., 0].long().clamp(min=0)
    at = classes.unsqueeze(1).expand(-1, p.shape[1], -1)
    overlap = torch.stack([head._overlap(own, known[:, 2:]) for own, known in zip(extent, frozen, strict=True)])
    gain = p.gather(2, at) + overlap
    found, settled = own_queries(p.gather(2, at), overlap, p.argmax(-1) == classes, real)
    best = matched_rows(list(gain), list(real))
    for row in range(len(logits)):
        taken = found[row][real[row]]
        totals = [
            float(gain[row, queries, real[row].nonzero()[:, 0]].sum()) for queries in (taken, best[row][real[row]])
        ]
        assert len(set(taken.tolist())) == len(taken)
        if settled[row]:
            assert totals[0] == pytest.approx(totals[1], abs=1e-9)
        if not isinstance(target, Position):
            assert torch.equal(taken, real[row].nonzero()[:, 0]) or len(taken) == 1
    if softmax or target != 1:
        assert settled.all()
    else:
        assert settled.float().mean() > 0.5


def test_a_matching_that_may_not_be_the_best_is_told() -> None:
    overlap, both = torch.tensor([[[1.0, 0.9], [0.9, 1.0], [0.95, 0.0]]]), torch.ones(1, 3, dtype=torch.bool)
    overlap = torch.nn.functional.pad(overlap, (0, 1))
    real = torch.tensor([[True, True, False]])
    p = torch.tensor([[[0.6, 0.1, 0.0], [0.1, 0.7, 0.0], [0.3, 0.0, 0.0]]])
    assert own_queries(p, overlap, both, real)[1].tolist() == [True]
    better = p.clone()
    better[0, 2, 0] = 0.9  # where nothing was found
    found, settled = own_queries(better, overlap, both, real)
    assert settled.tolist() == [False]
    assert matched((better + overlap)[0][:, :2]).tolist() == [2, 1]
    assert own_queries(p, overlap, ~both, real)[1].tolist() == [False], "a class that another query has rather"
    moved = overlap.clone()
    moved[0, 1, 0] = 1.1
    assert own_queries(p, moved, both, real)[1].tolist() == [False]
    found, settled = own_queries(better, overlap, ~both, torch.tensor([[True, False, False]]))
    assert (found[0, 0], settled.tolist()) == (2, [True]), "one alone takes the best query"
