"""The figure of a picture says what was kept, what the model said to it, and what may be concluded."""

import numpy as np
import pytest
import torch

from hf_fourier.domains import DOMAINS
from tests.report.sample_results import PLAYED, picture


def said(figure, texts):
    return "\n".join(t.get_text() for t in texts(figure))


@pytest.mark.parametrize(("height", "width"), [(12, 10), (7, 9), (8, 7), (9, 8), (1, 6), (2, 2), (1, 1)])
@pytest.mark.parametrize("domain", ["fourier", "fourier:grain=frequency"])
def test_marked_bins_are_the_chosen_features_and_their_mirror_partners(artist, height, width, domain):
    a = picture(height, width, domain=domain)
    kept = a.plot(fraction=0.2)
    marks = np.ma.getdata(artist(kept, "chosen").get_array()) * ~np.ma.getmaskarray(artist(kept, "chosen").get_array())
    spectrum = np.fft.fft2(a.keep_top(0.2).double().numpy(), axes=(1, 2))
    # A generic signal has power at a bin of what is kept if and only if a feature there was kept.
    power = np.fft.fftshift((np.abs(spectrum) ** 2).sum(0))
    expected = power > 1e-9 * power.max()
    # Rows and columns ascend from -1/2 on, as fftshift orders them.
    assert marks.shape == (height, width)
    assert np.array_equal(marks > 0, expected)


def test_spectrum_axes_are_cycles_per_pixel(artist):
    figure = picture(8, 10).plot()
    left, right, bottom, top = artist(figure, "chosen").get_extent()
    assert (left, right) == pytest.approx((-0.55, 0.45))
    assert (top, bottom) == pytest.approx((-0.5625, 0.4375))  # as in the picture, down is positive
    axes = artist(figure, "chosen").axes
    assert axes.get_xlabel() == "axis2 frequency [cycles/pixel]"
    assert axes.get_ylabel() == "axis1 frequency [cycles/pixel]"


def test_power_in_the_plane_is_all_power():
    from hf_fourier.report.figures.spectrum import plane

    a = picture(9, 8)
    flat = plane(a, a.mask(0.1).numpy())
    power = np.fft.fftshift((np.abs(np.fft.fft2(a.signal.double().numpy(), axes=(1, 2), norm="ortho")) ** 2).sum(0))
    assert np.allclose(flat.power, power, rtol=1e-4)
    assert np.allclose(flat.rows, np.fft.fftshift(np.fft.fftfreq(9)))
    assert np.allclose(flat.columns, np.fft.fftshift(np.fft.fftfreq(8)))


def test_shows_the_least_share_that_keeps_the_decision(texts):
    words = said(picture(played=PLAYED).plot(), texts)
    assert "The top 10 % of frequencies alone\n“espresso”: confidence 0.61\ndecision holds" in words
    assert "All but the top 10 %\n“espresso”: confidence 0.34\ndecision lost" in words
    assert "“espresso”: confidence 0.95" in words


def test_long_numbers_of_a_method_are_rounded(texts):
    a = picture(played=PLAYED)
    a.provenance["method"] = "attexplore:epsilon=0.06274509803921569,steps=10"
    assert "attexplore:epsilon=0.06275,steps=10 · fourier" in said(a.plot(), texts)


def test_shows_the_usual_share_where_none_keeps_it(texts):
    words = said(picture(played=[(0.04, 0.1, 0.0, 0.2, 1.0), (1.0, 0.95, 1.0, 0.0, 0.0)]).plot(), texts)
    assert "The top 4 % of frequencies alone\n“espresso”: confidence 0.10\ndecision lost" in words
    text = words.replace("\n", " ")
    assert "is not sufficient for this decision. The decision is not lost without them either" in text


def test_an_asked_share_that_was_not_played_says_so(texts):
    words = said(picture(played=PLAYED).plot(fraction=0.2), texts)
    assert "The top 20 % of frequencies alone\n(not shown to the model)" in words
    assert "The model was not run on these parts" in words


@pytest.mark.parametrize(
    ("keep", "delete", "sentence"),
    [
        (1.0, 0.0, "are sufficient for this decision; they may suffice for others too. That it is lost"),
        (1.0, 1.0, "The rest is sufficient as well, so they are not necessary."),
        (0.0, 0.0, "is not sufficient for this decision."),
    ],
)
def test_conclusion_says_no_more_than_was_seen(artist, keep, delete, sentence):
    figure = picture(played=[(0.04, 0.5, keep, 0.5, delete)]).plot()
    assert sentence in artist(figure, "conclusion").get_text().replace("\n", " ")


def test_a_control_is_called_one(artist):
    words = artist(picture(method="magnitude").plot(), "conclusion").get_text().replace("\n", " ")
    assert "“magnitude” is a control" in words


def test_a_target_other_than_the_decision_is_not_called_the_decision(texts):
    a = picture(confidence=0.02, alternatives=[("cup", 0.9), ("espresso", 0.02)], played=[(0.04, 0.5, 1.0, 0.01, 0.0)])
    words = said(a.plot(), texts).replace("\n", " ")
    assert "not the model's decision" in words
    assert "now the decision" in words
    assert "decision holds" not in words
    assert "alone lead to the one explained here" in words


def test_curve_holds_the_stops(artist):
    figure = picture(played=PLAYED).plot()
    assert artist(figure, "keep").get_xydata().tolist() == [[4, 0.11], [10, 0.61], [30, 0.87]]
    assert artist(figure, "delete").get_xydata().tolist() == [[4, 0.22], [10, 0.34], [30, 0.05]]
    assert artist(figure, "keep-lost").get_xydata().tolist() == [[4, 0.11]]
    assert artist(figure, "delete-lost").get_xydata().tolist() == [[10, 0.34], [30, 0.05]]


def test_pictures_are_the_rebuilt_ones():
    a = picture(played=PLAYED)
    shown = [np.asarray(axes.images[0].get_array()) for axes in a.plot().get_axes() if axes.images][:3]
    expected = [a.render(), a.render(0.1), a.render(0.1, delete=True)]
    for one, other in zip(shown, expected, strict=True):
        assert np.array_equal(one, np.asarray(other))


@pytest.mark.parametrize("gradient", [True, False])
def test_a_black_picture(drawn, gradient):
    drawn(picture(signal=torch.zeros(3, 12, 10), gradient=gradient, played=PLAYED))


@pytest.mark.parametrize("domain", ["identity", "identity:position", "fourier:axes=axis1", "fourier:axes=axis2+axis0"])
def test_other_layouts_of_a_picture(drawn, artist, domain):
    figure = drawn(picture(domain=domain))
    if domain == "identity:position":
        a = picture(domain=domain)
        assert np.array_equal(
            ~np.ma.getmaskarray(artist(figure, "chosen").get_array()), a.mask(0.04).view(12, 10).numpy()
        )


def test_without_confidence_values_are_shown(drawn, texts):
    figure = drawn(picture(confidence=None, played=PLAYED))
    assert "“espresso”: -1\ndecision holds" in said(figure, texts)


def test_decisions_in_part(texts):
    assert "67 % of decisions hold" in said(picture(played=[(0.04, 0.5, 0.67, 0.5, 0.0)]).plot(), texts).replace(
        "66.7", "67"
    )


def test_reads_the_layout_and_not_the_domain(drawn, artist):
    """Any domain with two frequency columns gets a spectrum: here one whose bins have no mirror partners."""
    from dataclasses import replace

    a = picture(4, 5, domain="identity:position")
    layout = DOMAINS.parse("identity:position").bind(a.layout.signal).layout
    half = [
        replace(c, role="frequency", values=c.values / (2 * n)) for c, n in zip(layout.columns, (4, 5), strict=True)
    ]
    a.layout = replace(layout, columns=tuple(half))
    marks = ~np.ma.getmaskarray(artist(drawn(a, fraction=0.3), "chosen").get_array())
    assert np.array_equal(marks, a.mask(0.3).view(4, 5).numpy())
