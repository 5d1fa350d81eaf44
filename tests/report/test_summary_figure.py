"""Many explanations in one figure: bars are means of sizes, points are the scores, bands are matched by name."""

import numpy as np
import pytest
import torch

from hf_fourier import plot_summary
from hf_fourier.errors import InputError
from hf_fourier.report.figures.summary import summarised
from tests.report import sample_results

BANDS = "fourier:bands=octave"


def pictures(count=7, method="shapley", size=32, **others):
    made = []
    for i in range(count):
        signal = torch.randn(3, size, size, generator=torch.Generator().manual_seed(i))
        one = sample_results.picture(size, size, signal=signal, domain=BANDS, method=method, **others)
        signs = torch.tensor([(-1.0) ** (i + j) for j in range(len(one.scores))])
        one.scores = signs * (0.5 + i + torch.arange(len(one.scores)))
        one.completeness_error = 0.0 if method == "shapley" else None
        made.append(one)
    return made


def test_bars_are_the_mean_sizes_with_their_signed_means():
    results = pictures()
    (axes,) = plot_summary(results).axes
    scores = np.stack([one.scores.numpy() for one in results])
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx(np.abs(scores).mean(0))
    (signed,) = [line for line in axes.lines if line.get_gid() == "signed means"]
    assert signed.get_xdata() == pytest.approx(scores.mean(0))
    assert [label.get_text() for label in axes.get_yticklabels()] == [band.name for band in results[0].layout.bands]
    assert "in units of the score" in axes.get_xlabel()


def test_one_result_needs_no_list():
    (one,) = pictures(1)
    widths = [patch.get_width() for patch in plot_summary(one).axes[0].patches]
    assert widths == pytest.approx(one.scores.abs().tolist())


def test_a_swarm_has_a_point_per_example_at_its_score():
    results = pictures()
    axes = plot_summary(results, "beeswarm").axes[0]
    scores = np.stack([one.scores.numpy() for one in results])
    rows = {c.get_gid(): c for c in axes.collections if str(c.get_gid()).startswith("row")}
    assert len(rows) == scores.shape[1]
    for row in range(scores.shape[1]):
        points = rows[f"row {row}"].get_offsets()
        assert sorted(points[:, 0]) == pytest.approx(sorted(scores[:, row]))
        assert np.abs(points[:, 1] - row).max() < 0.5
        power = [float(one.power[row] / one.power.sum()) for one in results]
        assert np.asarray(rows[f"row {row}"].get_array()).argmax() == int(np.argmax(power))


def test_points_of_one_value_do_not_cover_each_other():
    results = pictures(9)
    for one in results:
        one.scores = torch.full_like(one.scores, 0.5)
    collection = plot_summary(results, "beeswarm").axes[0].collections[0]
    heights = sorted(float(y) for y in collection.get_offsets()[:, 1])
    assert min(np.diff(heights)) > 0.05


def test_scores_that_are_no_contributions_are_parts_of_their_example():
    summary = summarised(pictures(method="ffc"))
    assert np.abs(summary.scores).sum(1) == pytest.approx(np.ones(7))
    assert "parts of each example's sum" in summary.quantity


def test_bands_of_examples_of_other_sizes_are_matched_by_name():
    small, large = pictures(2, size=16), pictures(2, size=64)
    summary = summarised([*small, *large])
    for number, one in enumerate([*small, *large]):
        own = [band.name for band in one.layout.bands]
        assert set(own) < set(summary.names)
        for place, name in enumerate(summary.names):
            expected = one.scores[own.index(name)] if name in own else np.nan
            assert summary.scores[number, place] == pytest.approx(float(expected), nan_ok=True)


def test_features_that_are_no_bands_are_the_twenty_largest():
    results = [sample_results.text(tuple("abcdefghi")) for _ in range(3)]  # 5 frequencies of 6 channels
    summary = summarised(results)
    assert len(summary.names) == 20
    sizes = np.abs(summary.scores).mean(0)
    assert (np.diff(sizes) <= 0).all()
    assert all("frequency" in name for name in summary.names)
    other = sample_results.text(("a", "b", "c"))
    with pytest.raises(InputError, match="bands=octave"):
        summarised([*results, other])


def test_it_draws_into_axes_and_files(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots(1, 2)
    assert plot_summary(pictures(), ax=axes[0]) is figure
    assert plot_summary(pictures(), "beeswarm", ax=axes[1]) is figure
    plot_summary(pictures(), path=tmp_path / "summary.png")
    assert (tmp_path / "summary.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ([], {}, "no results"),
        (pictures(1), {"kind": "violin"}, "'bar' or 'beeswarm'"),
        ([*pictures(1), *pictures(1, method="ffc")], {}, "2 methods"),
        (pictures(1), {"path": "x.png", "ax": object()}, "one of the two"),
    ],
)
def test_what_cannot_be_compared_is_refused(results, options, message):
    with pytest.raises(InputError, match=message):
        plot_summary(results, **options)
