"""Reports open with bands: of each example, on average, and of the model; what is shared of them is no example."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_fourier import Attribution, Report
from hf_fourier.domains import Band
from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.evaluation.metrics.statistics import mean_interval
from hf_fourier.evaluation.studies.spectrum_means import ALL
from hf_fourier.report import band_wording, wording
from hf_fourier.report.band_means import band_means
from hf_fourier.report.band_scores import SHARED_BANDS
from hf_fourier.report.examples import example_numbers, example_parts
from hf_fourier.results import integrity
from tests.evaluation.test_model_spectrum import LOW, spectrum
from tests.report.sample_results import PLAYED, picture, spectrogram, text, waveform
from tests.report.test_privacy import written

OCTAVES = "fourier:bands=octave"
#: What the score loses without each of five bands, and gains by it alone.
LOST, GAINED = [0.5, 2.0, 0.1, -0.2, 0.3], [0.25, 0.125, -1.0, 1.5, 0.0]


def bands_of(lost=LOST, gained=GAINED, key=7, method="occlusion:mode=both", domain=OCTAVES, **others):
    """A picture in bands: five octaves of 32 pixels."""
    made = picture(32, 32, domain=domain, method=method, **others)
    made.scores = torch.tensor(lost, dtype=torch.float64)
    made.extras = {"deleted": made.scores, "alone": torch.tensor(gained, dtype=torch.float64)}
    made.fingerprint = key
    made.provenance["task"] = "image-classification"
    return made


def bins_of(key=7, **others):
    made = picture(32, 32, played=PLAYED, **others)
    made.fingerprint = key
    return made


def articles(page):
    return re.findall(r"<article.*?</article>", page, re.S)


def test_the_view_of_an_example_opens_with_its_bands_whatever_the_order():
    for results in ([bins_of(), bands_of()], [bands_of(), bins_of()]):
        for inputs in (True, False):
            (article,) = articles(Report(results).html(include_inputs=inputs))
            lost, slider = article.index("Without 1–2 cycles/picture the score falls most"), article.index("slider-")
            assert lost < article.index("Single frequencies") < slider
            assert "lost without it" in article[:slider]


def test_bands_of_another_example_or_label_are_a_view_of_their_own():
    results = [bins_of(), bands_of(key=8), bands_of(label="cup"), bands_of(target=4), bins_of(key=0), bands_of(key=0)]
    found = example_parts(Report(results).records)
    assert [(one.record, list(one.bands)) for one in found] == [
        (0, []),
        (1, [1]),
        (2, [2]),
        (3, [3]),
        (4, []),
        (5, [5]),
    ]
    assert len(articles(Report(results).html())) == len(results)


def test_what_opens_a_report_of_few_examples_names_the_example_and_warns():
    lead = "Without 1–2 cycles/picture the score falls most"
    assert f"<li><bdi>{lead}" in Report([bands_of()]).html()
    assert f"<li><bdi>example 2: {lead}" in Report([bins_of(key=8), bands_of()]).html()
    two = Report([bands_of(), bands_of(key=8)]).html()
    assert "2 examples: fewer than 30 are anecdotal" in two
    assert "and a ranking that follows the loss" not in two  # what a ranking may not say, where there is none
    assert "and a ranking that follows the loss" in Report([bands_of(), bins_of()]).html()


def test_several_methods_in_bands_are_in_one_view():
    shapley = bands_of(method="shapley")
    report = Report([bands_of(), shapley, bins_of()])
    assert [(one.record, list(one.bands)) for one in example_parts(report.records)] == [(2, [0, 1])]
    without = example_parts(Report([bands_of(), shapley]).records)
    assert [(one.record, list(one.bands)) for one in without] == [(0, [0, 1])]


def test_a_sound_at_its_waveform_and_at_its_spectrogram_is_one_example_by_name():
    sounds = [waveform(), spectrogram(), waveform()]
    for number, one in enumerate(sounds):
        one.fingerprint = number + 1
    assert example_numbers(sounds, ["a", "a", "b"]) == [1, 1, 2]
    assert example_numbers(sounds, ["a", "b", "a"]) == [1, 2, 3]
    sounds[1].label = "another"
    assert example_numbers(sounds, ["a", "a", "b"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("made", "sentences"),
    [
        ({}, ["Without 1–2 cycles/picture the score falls most, by 2 (from -0.05); alone it adds only 0.125: it "
              "needs others.", "4–8 cycles/picture alone raises it most above the score with no band, by 1.5."]),
        ({"lost": [-1.0] * 5, "gained": [-1.0] * 5},
         ["No single deletion lowers the score: the other bands replace each one.",
          "No band alone raises it above the score with no band."]),
        ({"gained": [-1.0] * 5}, ["Without 1–2 cycles/picture the score falls most, by 2 (from -0.05); alone it adds "
                                  "nothing, nor does any other band."]),
        ({"method": "magnitude"}, ["magnitude ranks 1–2 cycles/picture first. It is a control: it ranks without "
                                   "using the model.", "Its scores are not differences of the model's score."]),
    ],
)  # fmt: skip
def test_sentences_say_what_the_numbers_say(made, sentences):
    assert band_wording.sentences(Report([bands_of(**made)]).records[0]) == sentences


def test_a_lead_within_the_standard_errors_is_none():
    made = bands_of(method="random_masks")
    name, quantity = "1–2 cycles/picture", "mean change with it 2"
    leads = {
        0.1: f"{name} is worth most: {quantity} ± 0.1",
        2.0: f"No band is clearly worth most: {name}, {quantity} ± 2",
    }
    for error, words in leads.items():
        made.extras = {"standard_error": torch.full((5,), error)}
        assert band_wording.sentences(Report([made]).records[0])[0].startswith(words)


def test_means_have_the_intervals_of_their_examples():
    lost = np.random.default_rng(0).normal([0, 3, 0, 0, 0], 0.5, (12, 5))
    report = Report([bands_of(row.tolist(), key=i + 1) for i, row in enumerate(lost)])
    (found,) = band_means(report.written(include_inputs=True).records)
    assert found.examples == 12
    for i, one in enumerate(found.means["deleted"]):
        assert one == mean_interval(lost[:, i])
    assert found.is_clear
    assert band_wording.mean_sentence(found).startswith("Without 1–2 cycles/picture the score falls most, by 3")
    page = report.html()
    assert page.index("Without 1–2 cycles/picture the score falls most, by 3") < page.index(
        "What may be concluded, and"
    )
    (equal,) = band_means(Report([bands_of(row[[1, 1, 0, 2, 3]].tolist(), key=i + 1) for i, row in enumerate(lost)])
                          .records)  # fmt: skip
    assert not equal.is_clear
    assert band_wording.mean_sentence(equal).startswith("No band is clearly needed most; without ")


def test_one_example_has_no_mean_and_a_ranking_of_no_score_neither():
    assert band_means(Report([bands_of(), bands_of(), bins_of()]).records) == []  # one example, twice
    assert band_means(Report([bands_of(method="magnitude", key=i + 1) for i in range(3)]).records) == []


def test_a_report_of_single_frequencies_alone_has_nothing_of_bands():
    page = Report([bins_of(), bins_of(key=8)]).html()
    assert 'id="bands"' not in page
    assert 'id="spectrum"' not in page
    assert "Without which bands the score" not in page


def test_at_most_sixteen_bands_of_an_example_are_shared(tmp_path):
    made = picture(200, 200, domain="fourier:bands=third-octave", method="occlusion")
    count = len(made.scores)
    assert count > SHARED_BANDS
    made.scores = torch.linspace(-1, 2, count)
    report = Report([made])
    shared = Report.load(report.save(tmp_path / "r", figures=False)).records[0].band_scores
    assert len(shared.names) == SHARED_BANDS
    assert shared.left_out == count - SHARED_BANDS
    assert list(shared.scores)[-1] == 2.0
    assert f"{shared.left_out} bands with smaller scores are not shared" in report.html()
    assert len(report.written(include_inputs=True).records[0].band_scores.names) == count
    assert band_means(Report([made, replace(made, fingerprint=5)]).records) == []


@pytest.mark.parametrize("inputs", [True, False])
def test_bands_come_back_as_they_were_saved(inputs, tmp_path):
    report = Report([bands_of(), bins_of(), bands_of(key=9)])
    again = Report.load(report.save(tmp_path / "r", include_inputs=inputs, figures=False))
    assert again.records == report.records
    assert [one.example for one in again.records] == [1, 1, 2]
    assert again.html() == report.html()
    table = again.tables()["band_scores"]
    assert table["deleted"][:5] == LOST
    assert table["alone"][:5] == GAINED


def test_standard_errors_of_single_features_are_not_shared():
    made = picture(8, 8, method="random_masks")
    made.extras = {"standard_error": torch.ones(len(made.scores))}
    assert "standard_error" not in Report([made]).records[0].extras


PATIENTS = ("zqpatient", "zqother")


def of_model(names=PATIENTS, **given):
    """A spectrum in groups of these names, with clusters and class names."""
    found, strong = spectrum(LOW, clusters=[f"zqcluster {i // 2}" for i in range(40)], **given)
    return replace(found.grouped([names[one] for one in strong[:, 0]]), model="toy", class_names={0: "cup", 1: "mug"})


@pytest.mark.parametrize("inputs", [True, False])
def test_the_spectrum_stands_right_after_the_first_sentence_and_comes_back(inputs, tmp_path):
    found = of_model()
    report = Report([bins_of()], spectrum=found)
    page = report.html(include_inputs=inputs)
    places = [page.index(found.summary()[0]), page.index('id="spectrum"'), page.index('id="limits"')]
    assert places == sorted(places)
    assert page[: places[1]].count("<section") == 2  # in short, and this
    folder = report.save(tmp_path / "r", include_inputs=inputs)
    assert {"spectrum.png", "spectrum-dark.png"} <= {path.name for path in (folder / "figures").iterdir()}
    again = Report.load(folder)
    assert len(again.spectrum) == 40
    assert again.spectrum.summary() == found.summary()
    assert again.spectrum.overview().columns == found.overview().columns
    assert again.html(include_inputs=inputs) == page
    assert [round(v, 4) for v in again.tables(inputs)["spectrum"]["mean"]] == pytest.approx(
        [round(float(v), 4) for v in found.table()["mean"]], abs=1e-3
    )
    once_more = Report.load(again.save(tmp_path / "s", figures=False))
    assert once_more.spectrum.overview().columns == found.overview().columns


def test_groups_that_are_no_classes_are_numbered_in_what_is_shared(tmp_path):
    report = Report([bins_of()], spectrum=of_model())
    here = report.save(tmp_path / "here", include_inputs=True)
    assert set(Report.load(here).spectrum.groups) == set(PATIENTS)
    for folder in (report.save(tmp_path / "a"), Report.load(here).save(tmp_path / "b")):
        assert set(Report.load(folder).spectrum.groups) == {"group 1", "group 2"}
        for name, content in written(folder).items():
            for secret in (*PATIENTS, "zqcluster"):
                assert secret not in content, (name, secret)
    assert "zqcluster" not in (here / "report.json").read_text()
    classes = Report([bins_of()], spectrum=of_model(("cup", "mug"))).save(tmp_path / "c", figures=False)
    assert set(Report.load(classes).spectrum.groups) == {"cup", "mug"}


def test_no_number_of_a_single_example_is_written(tmp_path):
    report = Report([bins_of()], spectrum=of_model())
    for inputs in (True, False):
        values = json.loads((report.save(tmp_path / "r", inputs, figures=False) / "report.json").read_text())[
            "spectrum"
        ]
        count = len(report.spectrum.bands)
        assert {len(column) for columns in values["means"].values() for column in columns.values()} == {count}


def test_a_spectrum_alone_is_a_report_and_one_of_another_model_is_refused(tmp_path):
    report = Report([], spectrum=of_model())
    assert report.model == "toy"
    page = report.html()
    assert 'id="spectrum"' in page
    assert 'id="ranking"' not in page
    assert Report.load(report.save(tmp_path / "r", figures=False)).spectrum.summary() == report.spectrum.summary()
    with pytest.raises(InputError, match="2 models"):
        Report([bins_of()], spectrum=replace(of_model(), model="another"))
    with pytest.raises(InputError, match="correct `spectrum`"):
        Report([bins_of()], spectrum="emails.spectrum")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["bands"].pop(),
        lambda s: s["means"].pop(ALL),
        lambda s: s["means"][ALL].pop("band-stop"),
        lambda s: s["gaps"].pop(),
        lambda s: s.update(counted="wishes"),
        lambda s: s["half"].pop("low-pass"),
        lambda s: s["clean"].update(mean="much"),
        lambda s: s.update(bands=[]),
        lambda s: s.update(class_names={"x": "y"}),
    ],
)
def test_a_spectrum_that_is_none_is_refused(change, tmp_path):
    path = Report([], spectrum=of_model()).save(tmp_path / "r", figures=False) / "report.json"
    values = json.loads(path.read_text())
    change(values["spectrum"])
    path.write_bytes(integrity.sealed({name: one for name, one in values.items() if not name.startswith("digest")}))
    with pytest.raises(DamagedFile):
        Report.load(tmp_path / "r")


def test_a_band_that_others_named_is_text_on_page_and_card():
    found = of_model().summarized()
    hostile = "<b>x</b> [a](https://zq.example) | y"
    named = replace(found, bands=(Band(hostile, 0.0, 1.0, "Hz"), *found.bands[1:]))
    assert "<b>x</b>" not in Report([], spectrum=named).html()
    card = named.to_markdown()
    assert "<b>" not in card
    assert "](https" not in card
    assert len({line.count("|") for line in card.splitlines() if line.startswith("|")}) == 1


@pytest.mark.parametrize(
    ("make", "domains"),
    [
        (lambda d: picture(64, 64, domain=d), [OCTAVES, f"{OCTAVES},directions=4", "fourier:bands=0-3+3-10",
                                               "wavelet:bands=level", "cosine:bands=octave"]),
        (lambda d: waveform(domain=d), [OCTAVES, "fourier:bands=eeg", "fourier:bands=mel",
                                        "stft:bands=octave,times=2"]),
        (lambda d: text([str(i) for i in range(64)], domain=d), [OCTAVES]),
    ],
)  # fmt: skip
def test_names_of_bands_are_words_of_the_library(make, domains):
    for domain in domains:
        made = make(domain)
        shared = Report([made]).records[0].band_scores
        assert set(shared.names) <= {band.name for band in made.layout.bands}


def test_compact_results_have_bands_without_power(tmp_path):
    compact = Attribution.load(bands_of().save(tmp_path / "c", compact=True))
    report = Report([compact])
    assert report.records[0].band_scores.power is None
    assert list(report.records[0].band_scores.deleted) == LOST
    assert "% of power" not in report.html()
    assert set(report.tables()["band_scores"]["power"]) == {None}


def test_the_curve_of_a_figure_counts_whole_bands():
    played = [
        (0.01, 0.1, 0.0, 0.5, 1.0),
        (0.04, 0.1, 0.0, 0.5, 1.0),
        (0.3, 0.3, 0.0, 0.2, 1.0),
        (0.6, 0.6, 0.0, 0.1, 0.0),
    ]
    figure = bands_of(played=played).plot(fraction=0.04)
    lines = {line.get_gid(): line for line in figure.findobj(lambda one: hasattr(one, "get_xdata"))}
    assert list(lines["keep"].get_xdata()) == list(lines["delete"].get_xdata()) == [1, 1, 2, 3]
    (said,) = [one for one in figure.findobj(lambda one: hasattr(one, "get_text")) if one.get_gid() == "conclusion"]
    words = " ".join(said.get_text().split())
    assert words.startswith(
        "Keeping the top band is not sufficient for this decision. The decision is not lost without it"
    )


def test_texts_of_bands_count_whole_bands():
    played = [(0.2, 0.1, 0.0, 0.5, 1.0), (0.6, 0.6, 1.0, 0.1, 0.0)]
    made = bands_of(played=played)
    assert made.input_relevance(0.2).description.split(" of the ")[1].startswith("top band, not scores of ")
    assert made.input_relevance(0.6).description.split(" of the ")[1].startswith("top 3 bands, not scores of ")
    short = wording.kept_counts(Report([made, bins_of()]).records)
    assert short[0].endswith(": 0 of 1 decisions hold with the top band alone")
    assert short[1].endswith(": 0 of 1 decisions hold with the top 4 % alone")
    words = text([str(i) for i in range(32)], domain=OCTAVES, played=played)
    (article,) = articles(Report([words]).html(include_inputs=True))
    assert " of the chosen band" in article
    assert "% of bands" not in article
