"""What is typed behind `--target` is the target object of Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.cli.aims import aim
from hf_fourier.errors import InputError, TargetError
from hf_fourier.targets import At, Continuation, Contrast, Direction, Region, Span


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("3", 3),
        ("LOC", "LOC"),
        ("contrast", "contrast"),
        ("other: thing", "other: thing"),
        ("at:3", At(3)),
        ("at:Paris=LOC", At("Paris", "LOC")),
        ("at:2=1", At(2, 1)),
        ("span:4-6", Span(4, 6)),
        ("continuation: Paris", Continuation(" Paris")),
        ("contrast: Paris| London", Contrast(" Paris", " London")),
        ("contrast:0|2", Contrast(0, 2)),
    ],
)
def test_kinds(typed: str, meant: object) -> None:
    assert aim(typed) == meant


def test_files(tmp_path) -> None:
    path = tmp_path / "some@place.npy"
    np.save(path, np.arange(3.0))
    one, region = aim(f"direction:{path}@0.5"), aim(f"region:{path}")
    assert isinstance(one, Direction)
    assert one.threshold == 0.5
    assert torch.equal(one.vector, torch.arange(3.0).double())
    assert isinstance(region, Region)


@pytest.mark.parametrize(
    "typed", ["at:", "at:3=", "at:=LOC", "span:4", "span:a-b", "continuation:", "contrast:a", "contrast:|b"]
)
def test_what_lacks_something_is_refused(typed: str) -> None:
    with pytest.raises(TargetError):
        aim(typed)


@pytest.mark.parametrize("typed", ["direction:nowhere.npy", "region:nowhere.npy"])
def test_files_that_do_not_exist(typed: str) -> None:
    with pytest.raises(InputError, match=r"nowhere\.npy"):
        aim(typed)


def test_a_contrast_from_the_shell_is_that_of_python(run, text_model) -> None:
    done = run("explain", text_model, "a good b", "--target", "contrast:good|bad", "--json", "--keep", ".1")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["results"]
    result = FourierExplainer.from_pretrained(text_model).explain("a good b", Contrast("good", "bad"))
    assert told["value"] == pytest.approx(result.value, rel=1e-5)
    assert told["label"] == result.label == "good rather than bad"


def test_a_target_that_the_head_has_not_is_one_message(run, text_model) -> None:
    done = run("explain", text_model, "a good b", "--target", "span:0-1")
    assert done.exit_code == 2
    assert "Span" in done.output
    assert "Traceback" not in done.output
