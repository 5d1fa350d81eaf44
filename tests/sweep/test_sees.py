"""The sweep sees: each of these faults, put into the library, turns it red."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from hf_fourier import torch_state
from hf_fourier.domains.fourier import FourierBasis
from hf_fourier.explainer import FourierExplainer
from hf_fourier.models import text, vision
from hf_fourier.models.calls import Call
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.models.inputs import audio
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.scoring.heads import Categorical
from tests.sweep import test_habits, test_sweep
from tests.sweep.test_sweep import SUBJECTS, each_once

pytestmark = pytest.mark.usefixtures("unchecked")
Patch = pytest.MonkeyPatch


def after(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """What a function returns is changed."""
    own = getattr(owner, name)
    patch.setattr(owner, name, lambda *args, **kwargs: change(own(*args, **kwargs)))


def before(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """The second argument is changed: that of a method."""
    own = getattr(owner, name)
    patch.setattr(owner, name, lambda self, one, *args, **kwargs: own(self, change(one), *args, **kwargs))


def _coarse(patch: Patch) -> None:
    """Transforms in half precision, as under autocast."""
    before(patch, FourierBasis, "forward", lambda x: x.bfloat16().float())


def _transposed(patch: Patch) -> None:
    def turned(batch: Any) -> Any:
        return {n: torch.as_tensor(t).transpose(-1, -2) if n == "pixel_values" else t for n, t in batch.items()}

    before(patch, vision.VisionWrapper, "encode_batch", turned)


def _brightest(patch: Patch) -> None:
    """The scale follows the brightest entry."""

    def scaled(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        pixels = batch["pixel_values"]
        return {**batch, "pixel_values": pixels / pixels.abs().max().clamp(min=1e-3)}

    after(patch, vision.VisionWrapper, "_batch_of", scaled)


def _unmasked(patch: Patch) -> None:
    """Padding is read like content."""
    before(patch, text.TextWrapper, "encode_batch", lambda b: {n: t for n, t in b.items() if n != "attention_mask"})


def _reversed(patch: Patch) -> None:
    """Results in another order than their examples."""
    after(patch, FourierExplainer, "_explained", lambda results: results[::-1])


def _least(patch: Patch) -> None:
    """The least likely class is explained."""
    own = Categorical.freeze
    patch.setattr(Categorical, "freeze", lambda self, logits, targets: own(self, -logits, targets))


def _summed(patch: Patch) -> None:
    """Channels of a sound are added up."""
    after(patch, audio, "_mono", lambda found: (found[0] * found[1], found[1]))


def _off_centre(patch: Patch) -> None:
    """Unsigned samples keep their offset."""
    after(patch, audio, "_real", lambda samples: samples + (samples.min() < -0.9))


def _joined(patch: Patch) -> None:
    """Both texts of a pair are transformed as one."""

    def whole(encoded: Any) -> Any:
        encoded.signal = dataclasses.replace(encoded.signal, segments=())
        return encoded

    after(patch, text.TextWrapper, "_encoded", whole)


def _ranked_backwards(patch: Patch) -> None:
    after(patch, GeneTokenizer, "encode", lambda found: ([found[0][0], *found[0][-2:0:-1], found[0][-1]], *found[1:]))


def _silent(patch: Patch) -> None:
    """What is to be said of padding is not."""
    patch.setattr(SideInputCheck, "add_notes", lambda self, wrapper, requests, results: None)


def _drifting(patch: Patch) -> None:
    """The gradient is that of another score."""
    after(
        patch,
        Categorical,
        "read",
        lambda reading: dataclasses.replace(reading, logit_margin=reading.logit_margin * 1.1),
    )


def _training(patch: Patch) -> None:
    """A model that trains goes on training."""
    patch.setattr("hf_fourier.engine.eval_mode", lambda model: nullcontext())


#: A fault, and a subject that shows it.
FAULTS: dict[str, tuple[Callable[[Patch], None], str]] = {
    "coarse transforms": (_coarse, "picture"),
    "height and width exchanged": (_transposed, "picture"),
    "a scale by the brightest": (_brightest, "picture"),
    "padding is content": (_unmasked, "text"),
    "results in another order": (_reversed, "text"),
    "the least likely class": (_least, "tags"),
    "channels added up": (_summed, "plain waveform"),
    "an offset": (_off_centre, "waveform"),
    "pairs as one": (_joined, "pairs"),
    "ranks backwards": (_ranked_backwards, "cells"),
    "nothing said of padding": (_silent, "text"),
    "another gradient": (_drifting, "video"),
    "still training": (_training, "text"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_turns_the_sweep_red(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, name = FAULTS[fault]
    fresh = SUBJECTS[name].explainer()
    monkeypatch.setattr(test_sweep, "made", lambda name: fresh)
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=name):
        swept(name)


def test_modes_that_are_not_left_turn_it_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_state, "_ambient", lambda: False)
    with pytest.raises(AssertionError, match=r"autocast|meta|inference"):
        for_all("picture", each_once(SUBJECTS["picture"]))


def test_a_model_that_gets_no_copy_turns_it_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "_called", lambda self, x, dtype, hidden: self.function(x.to(dtype)))
    with pytest.raises(AssertionError, match=r"edit='ReLU in place"):
        test_habits.test_each_habit_once()


def swept(name: str) -> None:
    """Every form once, with nothing else that might turn it red."""
    plainer = {"ambient": "nothing", "edit": "nothing", "output": "nothing", "threads": 1}
    for_all(name, [dataclasses.replace(case, **plainer) for case in each_once(SUBJECTS[name])])


def for_all(name: str, cases: list[test_sweep.Case]) -> None:
    for case in cases:
        test_sweep.checked(name, case)
