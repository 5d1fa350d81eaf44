"""The figure of a model's spectrum: what is drawn, where, and what is refused."""

import pytest

from hf_fourier.errors import InputError
from tests.evaluation.test_model_spectrum import LOW, spectrum


def artists(figure, gid):
    return [one for axes in figure.axes for one in axes.findobj(lambda a: a.get_gid() == gid)]


def test_four_panels_with_the_summary_on_top(tmp_path):
    found, strong = spectrum(LOW)
    figure = found.grouped([f"class {one}" for one in strong[:, 0]]).plot(tmp_path / "figure.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "How far can the spectrum be cut?", "Which bands are needed, which suffice?", "In which bands does noise hurt?",
        "What is each band worth for the explained label?",
    ]  # fmt: skip
    assert found.summary()[0] in figure.texts[0].get_text() or found.summary()[0] in str(figure._suptitle.get_text())
    labels = {text.get_text() for text in figure.axes[3].get_legend().get_texts()}
    assert labels == {"class 0", "class 1"}
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    cut = figure.axes[0].lines
    assert len(artists(figure, "half low-pass")) == len(artists(figure, "half high-pass")) == 1
    assert cut


def test_without_noise_and_into_given_axes(tmp_path):
    from matplotlib.figure import Figure

    found, _ = spectrum(LOW, method="filters:noise=none")
    assert "no noise was added" in [text.get_text() for text in found.plot().axes[2].texts]
    figure = Figure()
    axes = figure.subplots()
    assert found.plot(ax=axes) is figure
    assert axes.get_ylabel() == "mean Shapley value [score]"
    with pytest.raises(InputError, match="one of the two"):
        found.plot(tmp_path / "x.png", ax=axes)
