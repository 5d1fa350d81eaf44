"""Networks of users beside other models: recordings in segments, and adversarial examples in their own units."""

import numpy as np
import pytest
import torch
from torch import nn

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.network_units import as_network_reads
from hf_fourier.results.views import ImageView

RATE = 8000


class Detector(nn.Module):
    """ "there" where a quarter of a second holds 1 kHz; reads nothing else."""

    def __init__(self, channel):
        super().__init__()
        time = torch.arange(2000) / RATE
        self.register_buffer("waves", torch.stack([f(2 * torch.pi * 1000 * time) for f in (torch.sin, torch.cos)]))
        self.channel = channel
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        if x.ndim != 2 + self.channel:
            raise ValueError(f"shape {tuple(x.shape)}")
        power = (x.reshape(len(x), -1) @ self.waves.T / 100).square().sum(1)
        return torch.stack([1 - power, power - 1], 1) * self.scale


def scene():
    time = np.arange(3 * RATE) / RATE
    inside = (time >= 1) & (time < 2)
    low = 0.2 * np.sin(2 * np.pi * 300 * time)
    return (low + 0.5 * inside * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)


@pytest.mark.parametrize("how", ["channel", "plain", "preprocess"])
def test_a_recording_of_a_users_network(how, tmp_path):
    options = {"preprocess": lambda samples: torch.from_numpy(samples)[None]} if how == "preprocess" else {}
    net = Detector(how != "plain")
    explainer = FourierExplainer(net, labels=["not", "there"], sampling_rate=RATE, **options)
    found = explainer.explain_recording((scene(), RATE), seconds=0.25, overlap=0.5, method="gradient_input")
    inside = [one.label for one in found.segments if one.start >= 1 and one.end <= 2]
    outside = [one.label for one in found.segments if one.end <= 1 or one.start >= 2]
    assert set(inside) == {"there"}
    assert set(outside) == {"not"}
    assert len(inside) == 7
    top = found.spectrum("there").top(1)[0]
    (frequency,) = (value for title, value in top.items() if "frequency" in title)
    assert frequency == pytest.approx(1000, abs=4)
    written = found.sounds(tmp_path)
    assert all(path.is_file() for path in written.values())


@pytest.mark.parametrize("sampling_rate", [100.0, 8000.5])
def test_what_is_no_sound_has_no_recordings(sampling_rate):
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    explainer = FourierExplainer(net, axes="time", sampling_rate=sampling_rate)
    with pytest.raises(InputError, match="call explain"):
        explainer.explain_recording(np.zeros(1000, np.float32))


def normalised(picture):
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    return (x[[2, 1, 0]] - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)


def grey(picture):
    weights = torch.tensor([0.299, 0.587, 0.114])
    x = torch.from_numpy(np.array(picture)).float() / 255 @ weights
    return nn.functional.avg_pool2d(x[None], 2)


@pytest.mark.parametrize("preprocess", [normalised, grey])
def test_pictures_are_read_as_preprocess_would(preprocess):
    picture = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    smooth = np.kron(picture[:4, :6], np.ones((2, 2, 1))).astype(np.uint8)  # so that resizing is exact
    pixels = torch.from_numpy(smooth).permute(2, 0, 1).double() / 255
    found = as_network_reads(pixels, lambda one: preprocess(one).double())
    size = (4, 6) if preprocess is grey else (8, 12)
    assert found.shape[1:] == size
    inner = (slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(
        found[inner], preprocess(smooth).double()[inner], rtol=0, atol=0.3 if preprocess is grey else 1e-5
    )


def squared(picture):
    return normalised(picture).square()


def framed(picture):
    return nn.functional.pad(normalised(picture), (1, 1, 1, 1))


@pytest.mark.parametrize("preprocess", [squared, framed])
def test_what_is_no_sum_of_colours_is_refused(preprocess):
    with pytest.raises(InputError, match="one that scales and normalises"):
        as_network_reads(torch.rand(3, 8, 8), preprocess)


def cropped(picture):
    return normalised(picture)[:, 2:-2, 2:-2]


def resized_and_cropped(picture):
    return nn.functional.interpolate(normalised(picture)[None], (20, 28), mode="bilinear")[0, :, 2:-2, 2:-2]


def mirrored(picture):
    return normalised(picture).flip(2)


@pytest.mark.parametrize("preprocess", [cropped, resized_and_cropped, mirrored])
def test_what_does_not_resize_the_whole_is_refused(preprocess):
    with pytest.raises(InputError, match="one that resizes the whole picture"):
        as_network_reads(torch.rand(3, 16, 24), preprocess)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest-exact", "area"])
@pytest.mark.parametrize("size", [(6, 9), (10, 12), (32, 48)])
def test_ways_to_resize_the_whole_are_followed(mode, size):
    def preprocess(picture):
        return nn.functional.interpolate(normalised(picture)[None], size, mode=mode)[0]

    assert as_network_reads(torch.rand(3, 16, 24), preprocess).shape == (3, *size)


def test_an_attack_is_carried_to_and_from_users_networks():
    """The same network behind another normalisation is the same model of pictures."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    )

    def plain(picture):
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255

    class Behind(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            x = x * torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1) + torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)
            return self.net(x[:, [2, 1, 0]])

    pictures = [np.random.default_rng(i).integers(0, 256, (12, 12, 3), dtype=np.uint8) for i in range(3)]
    source = FourierExplainer(net, plain, axes=("height", "width"))
    other = FourierExplainer(Behind(), normalised, axes=("height", "width"))
    results = source.explain(pictures, method="attexplore:steps=3,copies=3,epsilon=.3")
    assert isinstance(results[0].view, ImageView)
    here, there = source.transfer(results, source), source.transfer(results, other)
    assert there["flipped"] == here["flipped"] == [one.extras["flipped"] for one in results]
    assert there["confidence"] == pytest.approx(here["confidence"], rel=1e-4)
    assert there["confidence after"] == pytest.approx(here["confidence after"], rel=1e-4)
    with pytest.raises(InputError, match="choose a model that reads it"):
        source.transfer(results, FourierExplainer(net, axes=("height", "width")))


def test_sounds_are_carried_at_the_other_networks_rate():
    source = FourierExplainer(Detector(True), sampling_rate=RATE)
    other = FourierExplainer(
        nn.Sequential(nn.AdaptiveAvgPool1d(8), nn.Flatten(), nn.Linear(8, 2)), sampling_rate=2 * RATE
    )
    results = source.explain([torch.from_numpy(scene()[:2000])[None]], method="attexplore:steps=2,copies=2")
    assert len(source.transfer(results, other)) == 1
    made = other.wrapper.encode_signal(results[0].signal, results[0].view)
    assert tuple(made.values.shape) == (1, 4000)
