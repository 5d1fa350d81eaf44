"""The benchmark of contributions: words, what is left out, masks of pixels, noise, and halves that share nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from benchmarks import contributions
from hf_fourier import FourierExplainer
from tests.models import tiny_models, tiny_tokenizers


@dataclass
class Outputs:
    """What a model returns."""

    logits: torch.Tensor


class Counts(torch.nn.Module):
    """Logits of three classes: how often a row has the tokens 1, 2 and 3."""

    def forward(self, input_ids: torch.Tensor) -> Outputs:
        return Outputs(torch.stack([(input_ids == token).sum(1).float() for token in (1, 2, 3)], 1))


def test_log_odds_of_rows_of_any_length() -> None:
    rows = [{"input_ids": torch.tensor(ids)} for ids in ([1, 1, 2], [3], [1, 2, 3, 1, 1], [2, 2, 1])]
    found = contributions.log_odds(Counts(), rows, 0)
    expected = [2 - math.log(math.e + 1), -math.log(1 + math.e), 3 - math.log(2 * math.e), 1 - math.log(math.e**2 + 1)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_what_words_take_along_is_what_the_model_says_without_them() -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    result = explain.explain(tiny_tokenizers.text(6, 7), method="magnitude")
    groups = np.array([0] + [1] * (len(result.names) - 1))
    lost = contributions.left_out(explain, result, groups)
    ids, odds = result.inputs["input_ids"], {}
    for token, way in ((explain.processor.mask_token_id, "masked"), (explain.processor.pad_token_id, "padded")):
        changed = ids.clone()
        changed[result.inputs["content"][0]] = token
        inputs = {**{n: t for n, t in result.inputs.items() if n != "content"}, "input_ids": changed}
        logits = explain.model(**{n: t.unsqueeze(0) for n, t in inputs.items()}).logits[0].double()
        rest = torch.cat([logits[: result.target], logits[result.target + 1 :]]).logsumexp(0)
        odds[way] = float((logits[result.target] - rest).detach())
    whole = math.log(result.confidence / (1 - result.confidence))
    for way, value in odds.items():
        assert lost[way][0] == pytest.approx(whole - value, abs=1e-4)
    assert len(lost["deleted"]) == 2


def test_words_hold_their_pieces_together() -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    result = explain.explain(tiny_tokenizers.text(6, 7), method="magnitude")
    result.names = ("one", "##two", "three", "##four", "##five", "six")
    assert contributions.words(result).tolist() == [0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("patch", [1, 4])
def test_the_highest_pixels_go_first(patch: int) -> None:
    values = torch.arange(64.0).view(8, 8)
    masks = contributions.deletion_masks(values, patch)
    assert masks.shape == (len(contributions.AREAS), 1, 8, 8)
    cells = 64 // patch**2
    kept = [max(1, round(fraction * cells)) * patch**2 for fraction in contributions.AREAS]
    assert masks.flatten(1).sum(1).tolist() == kept
    assert bool(masks[:, 0, -1, -1].all())
    assert not bool(masks[:, 0, 0, 0].any())


def test_noise_and_constants() -> None:
    assert contributions.spearman([1, 2, 3], [1, 1, 1]) == 0
    assert contributions.spearman([1, 2, 3], [10, 20, 15]) == pytest.approx(0.5)
    draws = np.random.default_rng(0)
    low = [
        contributions.below_noise(contributions.spearman(draws.random(40), draws.random(40)), 40) for _ in range(2000)
    ]
    assert 0.035 < np.mean(low) < 0.065


def test_a_blur_is_symmetric_and_keeps_the_mean() -> None:
    x = torch.zeros(1, 3, 96, 96)
    x[..., 48, 48] = 1
    blurred = contributions.blurred(x)
    torch.testing.assert_close(blurred, blurred.transpose(2, 3))
    assert float(blurred.sum()) == pytest.approx(3, rel=1e-4)
