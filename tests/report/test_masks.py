"""The figures of masks: outlines on pictures and on slices of volumes, with their Dice."""

import numpy as np
import pytest
import torch

from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import mask_contours
from hf_fourier.report.figures.spectrum import plane
from tests.report.sample_results import MASKED, segmented

SIZES = [(16, 12), (10, 16, 12)]


def outline(figure, name):
    """The points of all contours with this gid."""
    found = [a for a in figure.findobj() if a.get_gid() == name]
    return np.concatenate([path.vertices for a in found for path in a.get_paths()]) if found else np.zeros((0, 2))


@pytest.mark.parametrize("sizes", SIZES)
def test_titles_hold_the_dice(texts, sizes):
    words = "\n".join(t.get_text() for t in texts(segmented(*sizes).plot()))
    assert "“brain”\nthe model's own mask, outlined" in words
    assert "The top 10 % of frequencies alone\n“brain”\nDice 0.93 with the clean mask (dashed)" in words
    assert "All but the top 10 %\n“brain”\nDice 0.00 with the clean mask" in words
    assert "mean confidence in the mask 0.60" in words
    assert "decision" not in words


def test_the_clean_mask_is_outlined_where_it_lies():
    figure = segmented(16, 12).plot()
    points = outline(figure, "mask-0-1")
    assert points.min(axis=0) == pytest.approx([2.5, 3.5])  # between the last pixel outside and the first inside
    assert points.max(axis=0) == pytest.approx([8.5, 11.5])
    assert np.array_equal(outline(figure, "clean-mask-1-1"), points)
    assert len(outline(figure, "mask-2-1")) == 0, "nothing is left of it"


def test_a_coarser_mask_is_brought_to_the_pictures_size():
    a = segmented(16, 12)
    a.frozen_target = a.frozen_target[::2, ::2]
    a.extras = {}
    points = outline(a.plot(), "mask-0-1")
    # Columns 4, 6, 8 and rows 4 to 10 are inside, and each stands for two.
    assert points.min(axis=0) == pytest.approx([3.5, 3.5])
    assert points.max(axis=0) == pytest.approx([9.5, 11.5])


def test_classes_keep_their_colours(artist):
    a = segmented(16, 12)
    mask = a.frozen_target.clone()
    mask[:2] = 3
    a.frozen_target, a.extras = mask, {"mask keep 0.1": torch.where(mask == 3, 3, -1).to(torch.int16)}
    figure = a.plot()
    colours = [tuple(artist(figure, name).get_edgecolor()[0]) for name in ("mask-0-3", "mask-1-3", "mask-0-1")]
    assert colours[0] == colours[1] != colours[2]


def test_other_classes_than_the_counted_do_not_count():
    a = segmented(16, 12)
    a.extras = {"mask keep 0.1": torch.zeros(16, 12, dtype=torch.int16)}
    clean, kept, deleted = mask_contours.predicted(a, 0.1)
    assert (kept == -1).all()
    assert deleted is None
    assert (clean == 1).sum() == 8 * 6


def test_a_mask_counts_as_kept_from_its_dice_on(artist):
    a = segmented(16, 12)
    assert record_of(a).displayed_fraction == 0.1
    figure = a.plot()
    assert artist(figure, "keep").get_xydata().tolist() == [[4, 0.62], [10, 0.93]]
    assert artist(figure, "keep-lost").get_xydata().tolist() == [[4, 0.62]]
    assert artist(figure, "keep").axes.get_ylabel() == "Dice with the clean mask"


@pytest.mark.parametrize(
    ("keep", "delete", "sentence"),
    [
        (0.95, 0.0, "are sufficient for this mask (Dice 0.95). A Dice of 0.00 without them does not prove"),
        (0.95, 0.94, "The rest reproduces it too (Dice 0.94): they are not necessary."),
        (0.5, 0.4, "do not reproduce the mask (Dice 0.50; 0.9 would count)."),
    ],
)
def test_conclusion_says_no_more_than_was_seen(artist, keep, delete, sentence):
    figure = segmented(16, 12, played=[(0.04, 0.5, keep, 0.5, delete)]).plot()
    assert sentence in artist(figure, "conclusion").get_text().replace("\n", " ")


def test_a_volume_shows_the_slice_with_the_largest_mask(texts, artist):
    a = segmented(10, 16, 12)
    a.frozen_target = torch.full((10, 16, 12), -1, dtype=torch.int16)
    a.frozen_target[6, 2:14, 1:11] = 1  # one slice, of 120 voxels
    a.frozen_target[7, 5:8, 5:7] = 1
    a.extras = {}
    figure = a.plot()
    words = [t.get_text() for t in texts(figure)]
    assert words.count("depth 7 of 10; height to the right, width upwards") == 3
    assert any(word.startswith("height ") for word in words)
    assert any(word.startswith("width ") for word in words)
    images = [i for i in figure.findobj() if i.get_gid() == "slice-0"]
    clean = a.render()
    assert np.array_equal(images[0].get_array(), clean[6].T)
    assert not images[0].axes.yaxis_inverted()
    assert np.allclose(images[1].get_array(), a.render(0.1)[6].T)
    points = outline(figure, "mask-0-0-1")
    assert points.min(axis=0) == pytest.approx([1.5, 0.5])
    assert points.max(axis=0) == pytest.approx([13.5, 10.5])


@pytest.mark.parametrize("across", ["depth", "height", "width"])
@pytest.mark.parametrize("sizes", [(5, 6, 7), (4, 6, 8), (6, 5, 4)])
def test_a_central_slice_of_the_spectrum_is_the_transforms(across, sizes):
    a = segmented(*sizes)
    mask = a.mask(0.3)
    flat = plane(a, mask.numpy(), across)
    axis = ("depth", "height", "width").index(across)
    rest = [i for i in range(3) if i != axis]

    def middle(signal):
        power = np.abs(np.fft.fftn(signal[0].double().numpy(), norm="ortho")) ** 2
        return np.fft.fftshift(np.take(power, 0, axis=axis))

    assert np.allclose(flat.power, middle(a.signal), rtol=1e-4, atol=1e-6)
    kept = middle(a.keep_top(0.3))
    assert np.array_equal(flat.chosen > 0, kept > 1e-9 * kept.max())
    assert np.allclose(flat.rows, np.fft.fftshift(np.fft.fftfreq(sizes[rest[0]])))
    assert np.allclose(flat.columns, np.fft.fftshift(np.fft.fftfreq(sizes[rest[1]])))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 3), (7, 5, 3), (8, 8), (1, 5)])
@pytest.mark.parametrize("played", [(), MASKED[:1], MASKED])
def test_odd_sizes_are_drawn(drawn, sizes, played):
    drawn(segmented(*sizes, played=played))


@pytest.mark.parametrize("domain", ["identity", "identity:position", "fourier:axes=height+width"])
def test_other_domains_are_drawn(drawn, domain):
    drawn(segmented(7, 8, 6, domain=domain))


def test_an_empty_mask_is_drawn(drawn):
    a = segmented(7, 8, 6)
    a.frozen_target = torch.zeros_like(a.frozen_target)
    drawn(a)


def test_channels_of_a_volume(drawn):
    from hf_fourier.results.views import VolumeView
    from tests.report.sample_results import hand_made

    axes = {"axes": ("channel", "depth", "height", "width"), "units": ("", *["cycles/voxel"] * 3)}
    drawn(hand_made(2, 5, 6, 7, kind="volume", channels=(0,), view=VolumeView(), **axes))
