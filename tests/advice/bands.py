"""Advice about bands, subsets of features, and the spectrum of a model."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hf_fourier import Attribution
from hf_fourier.domains import Axis, SignalShape
from hf_fourier.evaluation.studies.band_readings import spectrum_of
from hf_fourier.evaluation.studies.heat_map import HeatMap, WaveAxis
from hf_fourier.evaluation.studies.heat_readings import check_axes
from hf_fourier.evaluation.studies.interactions import interactions, subset_values
from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
from hf_fourier.evaluation.studies.waves import Waves
from hf_fourier.models.inputs.dataset_sources import column_values
from hf_fourier.report.collect import read_spectrum
from hf_fourier.results.curve import common_fractions
from tests.advice.case import Case, explained, read, reader
from tests.advice.specs import parsed
from tests.models import tiny_tokenizers

BANDS = "use bands, e.g. domain='fourier:bands=octave'"
OCTAVES = "fourier:bands=octave"
LIGHT = "filters:noise=none,permutations=0"


def _spectrum(**given: Any) -> ModelSpectrum:
    return spectrum_of(explained(LIGHT, OCTAVES), **given)


def _over_texts(**given: Any) -> ModelSpectrum:
    return reader().spectrum(tiny_tokenizers.texts(3, lengths=(7,)), **{"method": LIGHT, **given})


def _in_two_processes(temporary: bool) -> Any:
    from types import SimpleNamespace
    from unittest.mock import patch

    from hf_fourier.evaluation.studies import band_readings

    with patch.object(band_readings, "current", lambda: SimpleNamespace(processes=2)):
        return band_readings.grouping(["a"], {"method": LIGHT, "domain": OCTAVES}, temporary)


def _rows() -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})


def _banded() -> Attribution:
    found: Attribution = reader().explain(tiny_tokenizers.texts(1, lengths=(7,))[0], method="magnitude", domain=OCTAVES)
    return found


def _subsets(rows: Any) -> Any:
    return subset_values(reader(), _banded(), rows)


def _masks() -> Any:
    return torch.ones(1, len(_banded().layout), dtype=torch.bool)


def _saved(name: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    _spectrum().save(folder / "spectrum")
    return folder / name


def _drawn(path: Path | None) -> Any:
    from matplotlib.figure import Figure

    return _spectrum().plot(path, Figure().subplots())


def _regression() -> ModelSpectrum:
    import numpy as np

    known = _spectrum()
    return replace(known, readings=np.full_like(known.readings, np.nan), clean=np.full_like(known.clean, np.nan))


LARGE = SignalShape("pixels", tuple(Axis(name, 224, "cycles/pixel") for name in ("height", "width")))


def _waves(texts: Any, labels: Any = None, **given: Any) -> Any:
    return reader().heat_map(texts, labels, size=3, **given)


def _heat(*units: str) -> HeatMap:
    import numpy as np

    axes = tuple(WaveAxis(f"axis {place}", unit) for place, unit in enumerate(units))
    table = np.ones((3, 4, 4), np.float32)
    return HeatMap("toy", axes, np.eye(4, len(units)), table, table[:, 0], np.full(3, np.nan), (), {}, {"level": 0.5})


def _curve(replacement: str) -> Any:
    (found,) = read(1)
    return reader().perturb(replace(found), [0.1], replacement=replacement, overwrite=True).curve


def _perturbed_twice(overwrite: bool) -> Any:
    explainer, (found,) = reader(), read(1)
    explainer.perturb(found, [0.1], overwrite=True)
    return explainer.perturb(found, [0.1], replacement="noise", overwrite=overwrite)


def _among_others(donors: Any) -> Any:
    explainer = reader()
    explainer.donors = donors
    try:
        return explainer.explain(tiny_tokenizers.texts(1, lengths=(7,))[0], method="occlusion:replacement=example")
    finally:
        explainer.donors = None


CASES = [
    parsed("correct `replacement`", "occlusion:replacement=silence", "occlusion:replacement=reference"),
    parsed("correct `mode`", "occlusion:mode=each", "occlusion:mode=both"),
    parsed("correct `permutations`", "shapley:permutations=5", "shapley:permutations=6"),
    parsed("correct `permutations`", "filters:permutations=5", "filters:permutations=6"),
    parsed("correct `masks`", "random_masks:masks=5", "random_masks:masks=6"),
    parsed("correct `noise`", "filters:noise=-1", "filters:noise=1"),
    Case(
        BANDS,
        lambda: explained("occlusion", "identity", torch.rand(1, 1, 128, 128)),
        lambda: explained("occlusion", OCTAVES),
    ),
    Case(
        f"{BANDS}, or fewer permutations",
        lambda: explained("shapley:permutations=1000", "identity"),
        lambda: explained("shapley:permutations=4", OCTAVES),
    ),
    Case(
        f"{BANDS}, or fewer masks",
        lambda: explained("random_masks:masks=20000", OCTAVES),
        lambda: explained("random_masks:masks=64", OCTAVES),
    ),
    Case(
        f"{BANDS}, or masks=276",
        lambda: explained("random_masks:masks=4", "identity"),
        lambda: explained("random_masks:masks=276", "identity"),
    ),
    Case(
        "set `explainer.donors` to a list of examples (for `attribute` pass `donors`), or take another replacement, "
        "such as 'noise'",
        lambda: _among_others(None),
        lambda: _among_others(tiny_tokenizers.texts(3, lengths=(7,))),
    ),
    Case(
        "pass overwrite=True to replace it, or explain the example again",
        lambda: _perturbed_twice(overwrite=False),
        lambda: _perturbed_twice(overwrite=True),
    ),
    Case(
        "keep them apart, or perturb again with overwrite=True",
        lambda: common_fractions([_curve("zero"), _curve("noise")]),
        lambda: common_fractions([_curve("noise"), _curve("noise")]),
    ),
    Case("check the data", lambda: _waves([3.5]), lambda: _waves(["a good b"])),
    Case(
        "correct `labels` and `clusters`",
        lambda: _waves(lambda: iter(["a", "b"]), ["ham"]),
        lambda: _waves(lambda: iter(["a", "b"]), ["ham", "spam"]),
    ),
    Case(
        "make a heat map of each kind",
        lambda: check_axes([WaveAxis("token", "")], [WaveAxis("time", "Hz")], 1),
        lambda: check_axes([WaveAxis("time", "Hz")], [WaveAxis("time", "Hz")], 1),
    ),
    Case(
        "look at `table`, which has those along each axis",
        lambda: _heat("cycles/picture", "Hz").by_radius(),
        lambda: (_heat("cycles/picture", "Hz").table(), _heat("Hz", "Hz").by_radius()),
    ),
    Case("correct `phases`", lambda: _waves(["a"], phases="random"), lambda: _waves(["a"], phases="any")),
    Case("take fewer", lambda: Waves(size=999).grid(LARGE), lambda: Waves(size=99).grid(LARGE)),
    Case(
        "explain another signal",
        lambda: Waves().grid(SignalShape("tensor", (Axis("channel", 3, channel=True),))),
        lambda: Waves().grid(LARGE),
    ),
    Case("explain by that", lambda: _over_texts(method="shapley"), _over_texts),
    Case("give `bands` too", lambda: _over_texts(domain="fourier"), lambda: _over_texts(domain=OCTAVES)),
    Case("pass `output_dir`", lambda: _in_two_processes(True), lambda: _in_two_processes(False)),
    Case("explain by that", lambda: spectrum_of(explained("magnitude", OCTAVES)), _spectrum),
    Case("see the failures of the run", lambda: spectrum_of([]), _spectrum),
    Case("correct `by`", lambda: _spectrum().grouped(["a"]), lambda: _spectrum().grouped(["a", "b", "b"])),
    Case("pass one for each", lambda: _over_texts(by=["a"]), lambda: _over_texts(by=["a", "b", "b"])),
    Case(
        "pass class indices or labels",
        lambda: _over_texts(labels=[0, 1, 9]),
        lambda: _over_texts(labels=["ham", 1, "spam"]),
    ),
    Case(
        "pass a list with a value each",
        lambda: column_values(["a", "b"], "label"),
        lambda: (_spectrum(by=["a", "b", "a"]), column_values(_rows(), "label")),
    ),
    Case("pass that one", lambda: ModelSpectrum.load(_saved(".")), lambda: ModelSpectrum.load(_saved("spectrum"))),
    Case(
        "compute the spectrum again by explainer.spectrum(…), whose result has all of them",
        lambda: _spectrum(by=["a", "b", "a"]).summarized().half_point("low-pass", "a"),
        lambda: _spectrum(by=["a", "b", "a"]).half_point("low-pass", "a"),
    ),
    Case(
        "compute the spectrum again by explainer.spectrum(…), whose result has all of them",
        lambda: _spectrum().summarized().differences("none of them"),
        lambda: _spectrum().differences(_spectrum().bands[0].name),
    ),
    Case(
        "pass what `hf-fourier spectrum` wrote",
        lambda: read_spectrum(tempfile.mkdtemp()),
        lambda: read_spectrum(_saved("spectrum")),
    ),
    Case("look at `accuracy`", lambda: _regression().shortcuts(), lambda: _regression().accuracy("band-pass")),
    Case("save the figure of `ax` yourself", lambda: _drawn(Path("figure.png")), lambda: _drawn(None)),
    Case("pass one mask per row", lambda: _subsets(_masks()[0]), lambda: _subsets(_masks())),
    Case(
        f"{BANDS}, or pass `band_game(…)` to one of shapiq's approximators",
        lambda: interactions(reader(), read(1)[0]),
        lambda: _subsets(_masks()),
    ),
]
