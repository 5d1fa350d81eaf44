"""An error that passes changes no byte; a picture is known by its pixels and its palette; notes depend on no order."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hf_fourier.results.integrity import sealed
from hf_fourier.runs import Results
from hf_fourier.runs.fingerprint import digest_of
from hf_fourier.runs.manifest import NAME, Manifest
from tests.models import tiny_tokenizers
from tests.runs.sample_results import digests, explainer, run, texts

OPTIONS: dict[str, Any] = {"method": "magnitude", "fractions": None, "chunk": 6}


def failing(counts: set[int]) -> Callable[..., None]:
    """A hook that raises in some of the model's calls."""
    calls = iter(range(10**6))

    def hook(*given: object) -> None:
        if next(calls) in counts:
            raise RuntimeError("a device that answers again")

    return hook


def test_an_error_that_passes_changes_no_byte(tmp_path: Path) -> None:
    """Examples of one length, which share a batch: alone, the last digits of their scores would be others."""
    data, calls = tiny_tokenizers.texts(12, lengths=(9,)), []
    counted = explainer()
    counted.model.register_forward_pre_hook(lambda *given: calls.append(1))
    run(data, tmp_path / "undisturbed", counted, fractions=None, chunk=6)
    for number in range(len(calls) // 2, len(calls), 3):
        disturbed = explainer()
        disturbed.model.register_forward_pre_hook(failing({number}))
        results = run(data, tmp_path / f"{number}", disturbed, fractions=None, chunk=6)
        assert not len(results.failures())
        assert digests(tmp_path / f"{number}") == digests(tmp_path / "undisturbed"), number


def picture(palette: list[int], mode: str = "P") -> Any:
    """A picture of two colours as it is read from a file, which happens only when its pixels are needed."""
    from PIL import Image

    image = Image.new("P", (4, 4))
    image.putdata([i % 2 for i in range(16)])
    image.putpalette(palette)
    file = io.BytesIO()
    image.convert(mode).save(file, "PNG" if mode == "P" else "GIF")
    return Image.open(io.BytesIO(file.getvalue()))


def test_palettes_count_and_reading_late_does_not() -> None:
    black, red = [0, 0, 0, 255, 255, 255], [255, 0, 0, 255, 255, 255]
    assert digest_of(picture(black)) != digest_of(picture(red))
    for mode in ("P", "RGB"):
        late, read = picture(red, mode), picture(red, mode)
        read.load()
        assert digest_of(late) == digest_of(read) == digest_of(late)


def test_a_run_is_known_by_the_names_that_its_settings_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_fourier.results import formats

    run(texts(6), tmp_path, **OPTIONS)
    before = Manifest.read(tmp_path)
    monkeypatch.setattr(formats, "SETTINGS", {**formats.SETTINGS, "dither": "noise"})
    after = Manifest.read(tmp_path)
    assert "noise" in after.settings
    assert after.identity == before.identity
    assert Results(tmp_path)[0].label
    values = json.loads((tmp_path / NAME).read_text())
    earlier = {name: value for name, value in values.items() if name != "identity" and not name.startswith("digest")}
    monkeypatch.undo()
    (tmp_path / NAME).write_bytes(sealed(earlier))  # as earlier versions wrote it
    assert Manifest.read(tmp_path).identity == before.identity


def test_whether_generate_differs_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of such a model has its own note, whichever was looked at before."""
    explain = explainer("text-generation", "gpt2")
    data = [tiny_tokenizers.text(*range(20 + i, 24 + i)) for i in range(3)]
    values = [explain.explain(text).value for text in data]
    answers = dict(zip(data, (values[0] - 1, values[1], values[2] - 1), strict=True))
    asked: list[str] = []

    def generated(example: Any, token: int) -> tuple[float, str]:
        text = next(text for text in data if explain.wrapper.encode(text).key == example.key)
        asked.append(text)
        return answers[text], "w5"

    again = explainer("text-generation", "gpt2")
    monkeypatch.setattr(again.wrapper, "generated", generated)
    noted = [any("generate() reads" in note for note in again.explain(text).provenance["notes"]) for text in data]
    assert noted == [True, False, True]
    assert asked == data
