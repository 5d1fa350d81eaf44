"""How signals look: pictures in their range and order of channels, volumes, series, and what stores a view."""

import json

import numpy as np
import pytest
import torch

from hf_fourier.errors import InputError
from hf_fourier.results.views import (
    VIEWS,
    BaseView,
    GeneView,
    ImageView,
    NoView,
    SeriesView,
    SoundView,
    SpectrogramView,
    VolumeView,
    view_from,
)
from tests.toy_scores import noise

COLOURS = ImageView((0.5, 0.25, 0.125), (0.5, 0.25, 0.5), (2, 0, 1))


def test_a_picture_in_another_order_of_channels():
    """The signal's channels are blue's, red's and green's place: `order` says which of them is red, green and blue."""
    signal = torch.stack([torch.full((2, 3), v) for v in (0.0, 1.0, -0.25)])
    pixels = COLOURS.pixels(signal)
    # Channel by channel: 0·0.5 + 0.5, 1·0.25 + 0.25, −0.25·0.5 + 0.125.
    assert pixels[:, 0, 0].tolist() == [0.0, 0.5, 0.5]
    torch.testing.assert_close(COLOURS.signal(pixels), signal)
    shown = np.asarray(COLOURS.show(signal))
    assert shown.shape == (2, 3, 3)
    assert shown[0, 0].tolist() == [0, 128, 128]
    other = noise(3, 4, 5, dtype=torch.float32)
    torch.testing.assert_close(COLOURS.signal(COLOURS.pixels(other)), other)


def test_what_is_out_of_range_is_clipped():
    grey = ImageView((0.0,), (1.0,))
    assert np.asarray(grey.show(torch.tensor([[[-3.0, 0.0, 0.5, 1.0, 3.0]]]))).tolist() == [[0, 0, 128, 255, 255]]


@pytest.mark.parametrize("std", [(0.5, 0.25, 0.5), (-0.5, 0.25, 0.5)], ids=["upright", "inverted"])
def test_bounds_are_black_and_white(std):
    """The range of a signal's entries, low and high, also where a channel is inverted."""
    view = ImageView((0.5, 0.25, 0.125), std)
    low, high = view.bounds
    assert low.shape == high.shape == (3, 1, 1)
    for channel, (mean, scale) in enumerate(zip(view.mean, std, strict=True)):
        ends = sorted([(0 - mean) / scale, (1 - mean) / scale])
        assert [float(low[channel]), float(high[channel])] == pytest.approx(ends)
    assert VolumeView().bounds is None


def test_volumes_and_series_keep_their_units():
    volume, series = noise(1, 3, 4, 5), noise(7, 2)
    np.testing.assert_array_equal(VolumeView().show(volume), volume[0].float().numpy())
    several = noise(2, 3, 4, 5)
    np.testing.assert_array_equal(VolumeView().show(several), several.float().numpy())
    np.testing.assert_array_equal(SeriesView().show(series), series.numpy())


@pytest.mark.parametrize(
    "view",
    [
        COLOURS,
        VolumeView(),
        SeriesView(),
        SoundView(8000, 0.25, 2.0),
        SpectrogramView(10.0, -40.0, 0.01, 16000, 0.0, 8000.0, True, 400, 0.0125),
        NoView("reason", "instead"),
        GeneView(genes=("ENSG1", "ENSG2")),
        BaseView(starts=(0, 1), stops=(6, 7), sequence="ACGTACG"),
    ],
    ids=lambda view: view.kind,
)
def test_a_view_is_read_back(view):
    assert view_from(json.loads(json.dumps(view.to_dict()))) == view
    assert VIEWS[view.kind] is type(view)


def test_what_no_person_can_read():
    for view, instead in ((GeneView(), "call genes"), (BaseView(), "call bases"), (NoView(), "call input_relevance")):
        with pytest.raises(InputError, match=instead):
            view.show(torch.zeros(2))
        with pytest.raises(InputError, match=instead):
            view.listen(torch.zeros(2), torch.zeros(2), {})
