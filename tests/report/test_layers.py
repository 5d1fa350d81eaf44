"""FreqX's layers in figures: the numbers that were told, every layer named, nothing cropped, nothing without them."""

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.methods.freqx import CHANCE_LEVEL
from hf_fourier.report.figures.layers import labels
from tests.report.sample_results import cell, hand_made, picture, text, waveform
from tests.toy_scores import noise


def told(layers=5, bands=4, cuts=None, energy=None, **others):
    """What FreqX tells of layers whose every number is known."""
    shares = torch.rand(layers, bands, generator=torch.Generator().manual_seed(0)) if energy is None else energy
    return {
        "layers": ["input", *(f"model.encoder.layer.{i}" for i in range(layers - 1))],
        "is_cut": [True] * layers if cuts is None else cuts,
        "standard_error": [0.0, *[0.35] * (layers - 1)],
        "energy": shares / shares.sum(1, keepdim=True).clamp(min=1e-9),
        "information": torch.linspace(0, 1.5, layers * bands).view(layers, bands),
        "band_radius": torch.linspace(0, 0.5, bands),
        "effective": torch.arange(1.0, layers + 1),
        **others,
    }


def test_the_numbers_are_those_that_were_told(drawn, artist):
    told_here = told(energy=torch.tensor([[1.0, 1, 1, 0]] * 5))
    figure = drawn(picture(extras=told_here, method="freqx"))
    bits = artist(figure, "layer-bits")
    shown = bits.get_array()
    np.testing.assert_allclose(shown[:, :3], told_here["information"][:, :3])
    assert shown.mask[:, 3].all()  # without energy, no bits
    assert bits.norm(CHANCE_LEVEL) == pytest.approx(0.5)
    energy = artist(figure, "layer-energy").get_array()
    np.testing.assert_allclose(energy[:, :3], 100 / 3, rtol=1e-5)
    bars = figure.findobj(lambda a: getattr(a, "get_width", None) and a.get_label() == "_nolegend_")
    assert {1.0, 2.0, 3.0, 4.0, 5.0} <= {float(bar.get_width()) for bar in bars if hasattr(bar, "get_height")}


@pytest.mark.parametrize("kind", [picture, lambda **o: text([f"token{i}" for i in range(30)], **o), waveform,
                                  lambda **o: cell(list("ABCDEF"), **o), lambda **o: hand_made(40, **o)])  # fmt: skip
@pytest.mark.parametrize("layers", [1, 5, 60])
def test_no_text_is_cropped_and_no_titles_overlap(drawn, kind, layers):
    figure = drawn(kind(extras=told(layers), method="freqx"))
    renderer = figure.canvas.get_renderer()
    inside = figure.get_tightbbox(renderer)
    assert min(inside.x0, inside.y0) > -0.01
    assert inside.x1 < figure.get_figwidth() + 0.01
    assert inside.y1 < figure.get_figheight() + 0.01
    titles = [axes._left_title for axes in figure.get_axes() if axes._left_title.get_text()]
    boxes = [title.get_window_extent(renderer) for title in titles]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_branches_are_said(drawn, texts):
    words = [t.get_text() for t in texts(drawn(picture(extras=told(3, cuts=[True, False, True]))))]
    assert "encoder.layer.0 (branch)" in words or "layer.0 (branch)" in words
    assert any("only a part of the score" in word for word in words)
    words = [t.get_text() for t in texts(drawn(picture(extras=told(3))))]
    assert any("All of the score" in word for word in words)


def test_labels_are_short_and_tell_layers_apart():
    names = ["input", "a.encoder.layer.0", "a.encoder.layer.1"]
    assert labels(names, [True, True, False]) == ["input", "layer.0", "layer.1 (branch)"]
    assert labels(["input"], [True]) == ["input"]
    assert labels(["input", "0", "1"], [True] * 3) == ["input", "0", "1"]
    long = labels(["input", "b." + "x" * 50 + ".0", "c." + "x" * 50 + ".1"], [True] * 3)
    assert all(len(label) <= 30 for label in long)
    assert len(set(long)) == 3


def test_without_layers_there_is_nothing_more(drawn):
    def heights(figure):
        return figure.get_figheight()

    assert heights(drawn(picture())) < heights(drawn(picture(extras=told())))


def test_from_a_real_call(drawn, artist):
    net = torch.nn.Sequential(torch.nn.Linear(12, 70), torch.nn.Tanh(), torch.nn.Linear(70, 3))
    (one,) = attribute(net, noise(1, 12).float(), method="freqx")
    assert artist(drawn(one), "layer-bits").get_array().shape == (4, 7)
    silent = torch.nn.Sequential(torch.nn.Linear(12, 3), torch.nn.Linear(3, 3))
    silent[0].weight.data.zero_()
    drawn(attribute(silent, noise(1, 12).float(), method="freqx")[0])
    drawn(attribute(net, noise(1, 12).float(), method="freqx", domain="identity")[0])
