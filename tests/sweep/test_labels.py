"""Names of classes that do not fit the logits never change what is explained without a word."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import FourierError
from tests.models import tiny_models

pytestmark = pytest.mark.usefixtures("unchecked")
#: Names for three logits.
LABELS: dict[str, Any] = {
    "three": {0: "cat", 1: "dog", 2: "owl"},
    "as text": {"0": "cat", "1": "dog", "2": "owl"},
    "in another order": {2: "owl", 0: "cat", 1: "dog"},
    "numbers": {0: 10, 1: 20, 2: 30},
    "two": {0: "cat", 1: "dog"},
    "ten": {i: f"class {i}" for i in range(10)},
    "one": {0: "cat"},
    "none": {},
    "no mapping": None,
    "from one on": {1: "cat", 2: "dog", 3: "owl"},
    "with gaps": {0: "cat", 5: "dog", 9: "owl"},
    "one name twice": {0: "cat", 1: "cat", 2: "owl"},
}


@cache
def model() -> torch.nn.Module:
    return tiny_models.build("image-classification", "vit")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", LABELS)
def test_names_never_change_the_answer(name: str, seed: int) -> None:
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        said = model()(pixel_values=pixels).logits[0].double().log_softmax(-1)
    model().config.__dict__["id2label"] = LABELS[name]
    index = int(said.argmax())
    try:
        (result,) = FourierExplainer(model(), task="image-classification").explain({"pixel_values": pixels})
    except FourierError:
        assert name not in ("three", "as text", "in another order", "numbers", "one name twice")
        return
    known = {int(i): str(label) for i, label in (LABELS[name] or {}).items()}
    same = result.target == index and abs(result.value - float(said[index])) < 1e-4
    fits = result.label == known.get(index, str(index)) and set(known) in (set(), {0, 1, 2})
    assert same, f"names {name}: {result}, {result.value}; notes {result.provenance['notes']}"
    assert fits or result.provenance["notes"], f"names {name}: {result} and no word of that"
