"""The Fourier heat map: waves of known size and place, models that read one frequency, and what is stored and drawn."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hf_fourier import FourierExplainer
from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import DamagedFile, InputError, SpecError, TargetError
from hf_fourier.evaluation.metrics.statistics import MeanInterval
from hf_fourier.evaluation.studies.heat_map import HeatMap, WaveAxis, _points
from hf_fourier.evaluation.studies.heat_readings import CHUNK
from hf_fourier.evaluation.studies.waves import Waves, cycles_of, unit_waves, wave_readings
from hf_fourier.seeding import ExampleRng
from tests.models import tiny_models, tiny_tokenizers
from tests.models.kinds import KINDS
from tests.toy_scores import Guard, noise, score_of

PICTURE = SignalShape(
    "pixels",
    (Axis("channel", 3, channel=True), Axis("height", 10, "cycles/pixel"), Axis("width", 12, "cycles/pixel")),
)
SOUND = SignalShape("waveform", (Axis("time", 64, "Hz", 640.0),))
VOLUME = SignalShape(
    "volume", (Axis("channel", 1, channel=True), *(Axis(name, 6 + i, "cycles/voxel") for i, name in enumerate("zyx")))
)
TOKENS = SignalShape("tokens", (Axis("token", 9, "cycles/token"), Axis("hidden", 4, channel=True)))


class ReadsOne(torch.nn.Module):
    """A linear classifier by the cosine (or sine) part of one wave in the first channel; deaf to all others."""

    def __init__(self, k: tuple[int, int], size: tuple[int, int], sine: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        y, x = torch.arange(size[0]).double().view(-1, 1), torch.arange(size[1]).double()
        angle = 2 * math.pi * (k[0] * y / size[0] + k[1] * x / size[1])
        self.register_buffer("wave", (angle.sin() if sine else angle.cos()).double())
        self.gain = torch.nn.Parameter(torch.tensor(gain, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        amplitude = (x[:, 0].double() * self.wave).sum((1, 2)) * self.gain
        return torch.stack([amplitude, -amplitude], 1)


def readings(model: torch.nn.Module, x: torch.Tensor, waves: Waves, shape: SignalShape = PICTURE) -> Any:
    """The grid, and the readings of each example with each wave."""
    score = score_of(model.eval(), x, size=7)
    score.clean_reading()
    frequencies = waves.grid(shape)
    return frequencies, wave_readings(score, shape, frequencies, waves, ExampleRng(0, list(range(len(x))))), score


@pytest.mark.parametrize(("shape", "waves"), [(PICTURE, 50), (SOUND, 32), (VOLUME, 123), (TOKENS, 5)])
def test_each_pair_of_frequencies_stands_once(shape: SignalShape, waves: int) -> None:
    frequencies = Waves(size=99).grid(shape)
    assert len(frequencies) == waves
    assert not frequencies[np.abs(frequencies).sum(1) == 0][1:].size
    rows = {tuple(row) for row in frequencies.tolist()}
    assert not any(tuple(-part for part in row) in rows for row in rows if any(row))
    cycles = cycles_of(frequencies, shape)
    lengths = [shape.shape[dim] for dim in shape.ordered_axes]
    assert (np.abs(cycles) <= (np.array(lengths) - 1) // 2).all()


@pytest.mark.parametrize("size", [3, 4, 5])
def test_there_are_as_many_frequencies_as_were_asked_for(size: int) -> None:
    along = Waves(size=size).grid(PICTURE)
    for place in range(2):
        assert len(np.unique(np.concatenate([along, -along])[:, place])) == size - (size % 2 == 0)
    assert len(Waves(size=size).grid(SOUND)) == size


def test_frequencies_in_different_units_are_not_added() -> None:
    axes = (WaveAxis("frequency", "cycles/picture"), WaveAxis("time", "Hz"))
    table = np.ones((4, 5, 4), np.float32)
    frequencies = Waves(size=3).grid(PICTURE)
    assert len(frequencies) == 5
    given: Any = (frequencies, table, table[:, 0], np.full(4, math.nan), (), {}, {"level": 0.5})
    mixed, alike = HeatMap("toy", axes, *given), HeatMap("toy", axes[:1] * 2, *given)
    assert mixed.unit is None
    assert np.isnan(mixed.radii).all()
    assert np.isnan(mixed.table().columns["frequency"]).all()
    assert len(mixed.summary()) == 1
    with pytest.raises(InputError, match="one unit"):
        mixed.by_radius()
    assert alike.radii.tolist() == pytest.approx(np.hypot(*frequencies.T).tolist())
    for wrong in (0, -2):
        with pytest.raises(InputError, match="at least 1"):
            alike.by_radius(wrong)


def test_units_are_those_of_people() -> None:
    frequencies = Waves(size=3).grid(PICTURE)
    assert frequencies.tolist()[1] == [0.0, 5 / 12 * 10]  # 5 cycles along 12 columns, counted along 10
    assert Waves(size=3, highest=100).grid(SOUND).tolist() == [[0.0], [10.0], [100.0]]
    assert Waves(size=9).grid(TOKENS)[:, 0].tolist() == pytest.approx([0, 1 / 9, 2 / 9, 3 / 9, 4 / 9])
    longer = SignalShape("waveform", (Axis("time", 128, "Hz", 640.0),))
    short = SignalShape("waveform", (Axis("time", 8, "Hz", 640.0),))
    assert cycles_of(np.array([[0.0], [10.0], [100.0]]), longer)[:, 0].tolist() == [0, 2, 20]
    few = cycles_of(np.array([[0.0], [10.0], [80.0], [310.0]]), short)[:, 0]
    assert few[[0, 2]].tolist() == [0, 1]
    assert np.isnan(few[[1, 3]]).all()  # below its lowest, and at half the rate


@pytest.mark.parametrize("phases", ["sign", "any"])
@pytest.mark.parametrize("shape", [PICTURE, SOUND, VOLUME, TOKENS])
def test_waves_have_norm_one_and_one_frequency(shape: SignalShape, phases: str) -> None:
    dims = [dim + 1 for dim in shape.ordered_axes]
    channels = [axis.length for axis in shape.axes if axis.channel]
    cycles = cycles_of(Waves().grid(shape), shape)
    uniform = noise(2, *channels, seed=3).sigmoid()
    angles = (uniform < 0.5) * math.pi if phases == "sign" else uniform * 2 * math.pi
    for k in cycles:
        made = unit_waves(shape, k, angles.double(), noise(1))
        assert made.shape == (2, *shape.shape)
        torch.testing.assert_close(made.square().sum(dims), torch.ones(2, *channels, dtype=torch.float64))
        power = torch.fft.fftn(made, dim=dims).abs()
        found = {tuple(place[d] for d in dims) for place in (power > 1e-6).nonzero().tolist()}
        sizes = [shape.shape[d - 1] for d in dims]
        both = {tuple(int(sign * part) % n for part, n in zip(k, sizes, strict=True)) for sign in (1, -1)}
        assert found == both


def test_a_model_of_one_frequency_is_sensitive_there_alone() -> None:
    x = 0.1 * noise(6, 3, 10, 12)
    model = ReadsOne((3, -2), (10, 12), gain=0.02)
    frequencies, table, score = readings(model, x, Waves(level=2.0, size=99))
    place = next(i for i, row in enumerate(cycles_of(frequencies, PICTURE).tolist()) if row == [3.0, -2.0])
    lost = score.clean_reading().value[:, None] - table[..., 0]
    assert float(lost[:, place].abs().min()) > 1e-3
    others = [i for i in range(len(frequencies)) if i != place]
    assert float(lost[:, others].abs().max()) < 1e-9
    assert bool((table[:, others, 2] == 1).all())
    spread = (x - x.mean((1, 2, 3), keepdim=True)).flatten(1).norm(dim=1)
    expected = 2.0 * spread / 3**0.5 * (60**0.5) * 0.02  # v <U, wave> times the gain, either sign
    clean, with_wave = (model(rows)[:, 0] for rows in (x, x))
    assert torch.equal(clean, with_wave)
    target = score.clean_reading().predicted_class
    margins = torch.where(target == 0, clean, -clean)
    both = torch.stack([torch.nn.functional.logsigmoid(2 * (margins + sign * expected)) for sign in (1, -1)])
    assert bool(((both - table[:, place, 0]).abs().amin(0) < 1e-9).all())


def test_a_sine_is_found_by_any_phase_and_not_by_signs() -> None:
    x = 0.1 * noise(4, 3, 10, 12)
    model = ReadsOne((2, 1), (10, 12), sine=True, gain=0.02)
    lost = {}
    for phases in ("sign", "any"):
        frequencies, table, score = readings(model, x, Waves(size=99, phases=phases))
        place = next(i for i, row in enumerate(cycles_of(frequencies, PICTURE).tolist()) if row == [2.0, 1.0])
        change = (score.clean_reading().value[:, None] - table[..., 0]).abs()
        lost[phases] = float(change[:, place].max())
        assert float(change[:, [i for i in range(len(frequencies)) if i != place]].max()) < 1e-9
    assert lost["sign"] < 1e-9
    assert lost["any"] > 1e-3


def test_a_deaf_model_changes_nowhere_and_rows_are_counted_and_batched() -> None:
    x = noise(5, 3, 10, 12)
    deaf = ReadsOne((0, 0), (10, 12), gain=0.0)
    frequencies, table, score = readings(deaf, x, Waves(size=5))
    assert bool((table[..., 2] == 1).all())
    assert score.passes.forward == 5 * (1 + len(frequencies))
    full, tight = ReadsOne((1, 1), (10, 12)), Guard(ReadsOne((1, 1), (10, 12)), most=2)
    score = score_of(tight, x, size=7)
    score.clean_reading()
    limited = wave_readings(score, PICTURE, frequencies, Waves(size=5), ExampleRng(0, list(range(5))))
    assert score.batcher.splits
    torch.testing.assert_close(limited, readings(full, x, Waves(size=5))[1])


@pytest.fixture(scope="module")
def vision() -> FourierExplainer:
    from transformers import ViTImageProcessor

    model = tiny_models.build("image-classification", "resnet")
    return FourierExplainer(model, ViTImageProcessor(size={"height": 32, "width": 32}))


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    return [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(7)]


def test_the_map_of_a_model(vision: FourierExplainer, pictures: list[torch.Tensor], tmp_path: Path) -> None:
    seen: list[Any] = []
    found = vision.heat_map(pictures, level=3.0, size=5, progress=lambda *counts: seen.append(counts))
    assert found.axes == (WaveAxis("height", "cycles/picture"), WaveAxis("width", "cycles/picture"))
    assert len(found) == 7
    assert found.quantity == "decisions changed"
    assert found.clean_rate().mean == 0
    assert seen == [(7, 7)]
    single = vision.heat_map(pictures[2:3], level=3.0, size=5, batch_size=1)  # its numbers are its own
    np.testing.assert_allclose(single.readings[0], found.readings[2], rtol=1e-4, atol=1e-4)
    labels = [vision.explain(one, method="magnitude", domain="identity").label for one in pictures]
    judged = vision.heat_map(pictures, labels, ["a", "a", *"bcdef"], level=3.0, size=5)
    assert judged.quantity == "error rate"
    np.testing.assert_array_equal(judged.wrong(), found.wrong())
    assert [one.mean for one in judged.rates()] == pytest.approx([one.mean for one in found.rates()])
    again = HeatMap.load(judged.save(tmp_path / "one.heat"))
    assert str(again) == str(judged)
    assert again.table().columns == judged.table().columns
    assert again.clusters == judged.clusters
    assert again.made_by == {"level": 3.0, "phases": "sign", "seed": 0, "head": "softmax"}
    rows = list(judged.table().rows())
    assert len(rows) == len(found.frequencies) == 13
    assert rows[0]["n"] == 7
    assert judged.to_pandas().shape[0] == 13
    assert len(judged.summary()) == 2
    assert len(replace(judged, frequencies=judged.frequencies / 100).summary()) == 2  # below 1 of any unit, too
    assert vision.heat_map(pictures, level=3.0, size=5, seed=1).readings.tolist() != found.readings.tolist()


def test_values_of_each_example_come_in_any_container(vision: FourierExplainer, pictures: list[torch.Tensor]) -> None:
    import pandas as pd

    plain = vision.heat_map(pictures[:3], [0, 1, 1], [7, 7, 8], size=3)
    assert plain.clusters == ("7", "7", "8")
    for box in (np.array, torch.tensor, pd.Series, tuple):
        found = vision.heat_map(pictures[:3], box([0, 1, 1]), box([7, 7, 8]), size=3)
        assert (found.labels.tolist(), found.clusters) == ([0.0, 1.0, 1.0], plain.clusters)
    holes = vision.heat_map(pictures[:3], pd.Series([0, None, 1], dtype="Int64"), np.array([1, math.nan, 1]), size=3)
    assert holes.labels[[0, 2]].tolist() == [0.0, 1.0]
    assert math.isnan(holes.labels[1])
    assert holes.clusters[1] == "example 1"


def test_a_stream_of_texts_of_several_lengths() -> None:
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(CHUNK + 5, lengths=(40, 20, 5))
    found = explainer.heat_map(lambda: iter(texts), size=4)
    assert len(found) == CHUNK + 5
    assert found.axes[0].unit == "cycles/token"
    counts = [one.n for one in found.rates()]
    assert counts[0] == CHUNK + 5
    assert min(counts) < max(counts)  # short texts have not all frequencies
    direct = explainer.heat_map(texts, size=4)
    np.testing.assert_array_equal(found.readings, direct.readings)
    with pytest.raises(InputError, match="one for each"):
        explainer.heat_map(lambda: iter(texts), labels=[0, 1], size=4)


def test_frequencies_are_those_of_the_longest_example_whatever_the_order() -> None:
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(3, lengths=(40, 20, 5))
    found, turned = (explainer.heat_map(order, size=6) for order in (texts, texts[::-1]))
    np.testing.assert_array_equal(found.frequencies, turned.frequencies)
    np.testing.assert_allclose(found.readings, turned.readings[::-1], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_read_is_counted(vision: FourierExplainer, pictures: list[torch.Tensor]) -> None:
    bad = torch.full((3, 32, 32), torch.nan)
    found = vision.heat_map([pictures[0], bad, pictures[1]], labels=[0, 1, 1], size=3)
    assert (len(found), found.failures, found.labels.tolist()) == (2, 1, [0.0, 1.0])
    with pytest.raises(InputError, match="no example that can be read"):
        vision.heat_map([bad], size=3)
    with pytest.raises(TargetError):
        vision.heat_map(pictures[:1], labels=["nobody"], size=3)
    with pytest.raises(InputError, match="2 labels for 1 examples"):
        vision.heat_map(pictures[:1], labels=[0, 1], size=3)
    for wrong in ({"level": 0}, {"level": math.inf}, {"highest": -1.0}, {"size": 2}):
        with pytest.raises(InputError):
            vision.heat_map(pictures[:1], **wrong)  # type: ignore[arg-type]
    large = SignalShape("pixels", tuple(Axis(name, 224, "cycles/pixel") for name in ("height", "width")))
    with pytest.raises(InputError, match="at most 20000 waves"):
        Waves(size=999).grid(large)
    with pytest.raises(SpecError, match="'sign' or 'any'"):
        vision.heat_map(pictures[:1], phases="random")


@pytest.mark.parametrize(("name", "axes"), [("waveforms", 1), ("masks of a network", 2)])
def test_sounds_and_masks(name: str, axes: int) -> None:
    kind = KINDS[name]
    found = kind.make().heat_map(list(kind.example()), size=4)
    assert len(found.axes) == axes
    assert np.isfinite(found.wrong()).all()
    assert found.wrong().shape == (len(found), len(found.frequencies))
    assert found.clean_rate().mean == pytest.approx(0)


@pytest.mark.parametrize("shape", [PICTURE, SOUND, VOLUME])
def test_the_figure_has_frequency_zero_in_the_middle(shape: SignalShape, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from hf_fourier.evaluation.studies.waves import wave_axes

    frequencies = Waves(size=5).grid(shape)
    generator = np.random.default_rng(0)
    table = generator.random((9, len(frequencies), 4)).astype(np.float32)
    table[..., 2] = table[..., 2] > np.linalg.norm(frequencies, axis=1) / np.linalg.norm(frequencies, axis=1).max()
    clean = np.ones((9, 4), np.float32)
    axes = tuple(axis for *_, axis in wave_axes(shape))
    found = HeatMap("toy", axes, frequencies, table, clean, np.full(9, math.nan), (), {}, {"level": 0.5})
    figure = found.plot(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    meshes = [one for place in figure.axes for one in place.findobj(lambda artist: artist.get_gid() == "heat map")]
    assert len(meshes) == {1: 0, 2: 1, 3: 3}[len(axes)]
    for mesh in meshes:
        grid = np.asarray(mesh.get_array())
        middle = tuple(size // 2 for size in grid.shape)
        assert grid[middle] == pytest.approx(100 * found.rates()[0].mean)
        np.testing.assert_allclose(grid, grid[::-1, ::-1])
    into = Figure()
    place = into.subplots()
    assert found.plot(ax=place) is into
    with pytest.raises(InputError, match="one of the two"):
        found.plot(tmp_path / "x.png", ax=place)
    whole = found.by_radius(3).columns
    assert sum(whole["waves"]) == len(frequencies)
    assert whole["to"][0] == 0
    assert whole["mean"][0] < whole["mean"][-1]
    assert whole["increase"] == pytest.approx(whole["mean"])  # of the clean examples nothing is wrong
    assert all(low <= mean <= high for low, mean, high in zip(whole["low"], whole["mean"], whole["high"], strict=True))


def test_files_of_others_and_damaged_ones_are_refused(vision: FourierExplainer, tmp_path: Path) -> None:
    found = vision.heat_map([torch.zeros(3, 32, 32)], size=3)
    path = found.save(tmp_path / "one")
    whole = path.read_bytes()
    for place in (9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFile):
            HeatMap.load(path)
    path.write_bytes(whole[:-20])
    with pytest.raises(DamagedFile):
        HeatMap.load(path)
    with pytest.raises(InputError, match=r"HeatMap\.save"):
        HeatMap.load(tmp_path / "two")
    save_file({"readings": torch.zeros(1)}, tmp_path / "three")
    with pytest.raises(InputError, match=r"HeatMap\.save"):
        HeatMap.load(tmp_path / "three")


def test_rates_are_percentages_with_both_ends() -> None:
    assert _points(MeanInterval(0.5, 0.4, 0.6, 10)) == "50.0 [40.0, 60.0]"
