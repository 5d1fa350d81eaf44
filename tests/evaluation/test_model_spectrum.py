"""The spectrum of a model: networks that read one known band each, and what is counted over data."""

import json
import math
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_fourier import FourierExplainer
from hf_fourier.domains import DOMAINS, Fourier
from hf_fourier.errors import DamagedFile, FourierError, InputError
from hf_fourier.evaluation.studies.band_readings import spectrum_of
from hf_fourier.evaluation.studies.cutoffs import crossing
from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
from hf_fourier.functional import attribute
from hf_fourier.methods.filters import FILTERS, filter_masks
from tests.damage import changed_bytes, malformed
from tests.models import tiny_models, tiny_tokenizers

LENGTH, RATE = 128, 128.0
#: Two tones, each of which has one of two amplitudes.
LOW, HIGH = 3.0, 40.0


class Reads(torch.nn.Module):
    """A classifier by the amplitude of one tone: class 1 where it is above 1. Of other frequencies it is deaf."""

    def __init__(self, hertz):
        super().__init__()
        t = torch.arange(LENGTH) / RATE
        self.register_buffer("wave", 2 / LENGTH * torch.cos(2 * math.pi * hertz * t))
        self.bias = torch.nn.Parameter(torch.zeros(()))  # so that it has a parameter, as models do

    def forward(self, x):
        amplitude = x.float() @ self.wave + self.bias
        return torch.stack([torch.zeros_like(amplitude), 8 * (amplitude - 1)], 1)


def tones(n=40, seed=0):
    """Signals with a low and a high tone, a loud one that says nothing, and which of the two is strong."""
    generator = np.random.default_rng(seed)
    strong = generator.integers(0, 2, (n, 2))
    t = np.arange(LENGTH) / RATE
    waves = np.stack([np.cos(2 * np.pi * f * t) for f in (LOW, HIGH)])
    loud = 5 * np.cos(2 * np.pi * 12 * t)
    return torch.tensor(((0.5 + strong) @ waves + loud), dtype=torch.float32), strong


def spectrum(hertz, domain="fourier:bands=octave", method="filters:permutations=4", **given):
    x, strong = tones()
    results = attribute(Reads(hertz), x, method=method, domain=DOMAINS.parse(domain), axes=None)
    return spectrum_of(results, labels=strong[:, 0 if hertz == LOW else 1].tolist(), **given), strong


def place(found, hertz):
    return next(i for i, band in enumerate(found.bands) if band.low <= hertz / RATE < band.high)


@pytest.mark.parametrize("hertz", [LOW, HIGH])
def test_each_model_has_its_own_band(hertz):
    """The band that the model reads is worth everything; on all others, the loud one too, values are 0."""
    found, _ = spectrum(hertz)
    own = place(found, hertz)
    values = found.shapley_values()
    others = [one for i, one in enumerate(values) if i != own]
    assert all(abs(one.mean) < 1e-4 for one in others)
    assert values[own].low > 0.1
    assert all(one.high < 0 for i, one in enumerate(found.differences(found.bands[own].name)) if i != own)
    assert found.summary()[0].startswith(f"The band that is worth most is {found.bands[own].name}")


@pytest.mark.parametrize("hertz", [LOW, HIGH])
def test_filters_leave_what_they_are_named_for(hertz):
    found, strong = spectrum(hertz)
    own = place(found, hertz)
    assert found.quantity == "accuracy"
    share = float((strong[:, 0 if hertz == LOW else 1] == 0).mean())  # without the tone it says class 0
    for name in FILTERS:
        for i, one in enumerate(found.accuracy(name)):
            there = {"band-pass": i == own, "band-stop": i != own, "low-pass": i >= own, "high-pass": i <= own}[name]
            assert one.mean == pytest.approx(1.0 if there else share), (name, i)
            assert one.n == len(found)


def test_noise_hurts_where_the_model_reads():
    found, _ = spectrum(LOW, method="filters:noise=1+2")
    assert found.filters[4:] == ("noise 1", "noise 2")
    for name in found.filters[4:]:
        errors = [1 - one.mean for one in found.accuracy(name)]
        assert int(np.argmax(errors)) == place(found, LOW)
        assert sum(errors) == pytest.approx(max(errors))


def test_half_is_lost_at_the_edge_of_the_band_that_is_read():
    found, _ = spectrum(HIGH)
    band = found.bands[place(found, HIGH)]
    for name, expected in (("low-pass", band.low * math.sqrt(2)), ("high-pass", band.low)):
        half = found.half_point(name)
        assert half.low <= half.mean <= half.high
        assert half.mean == pytest.approx(expected, rel=0.01)  # half-way on a logarithmic axis; the top band's edge
    edges = np.array([1.0, 2, 4, 8])
    assert crossing(np.full((1, 4), 1.0), np.array([0.5]), edges, upward=True) == [1.0]
    means = np.array([[0.0, 0.25, 0.75, 1.0]])
    assert crossing(means, np.array([0.5]), edges, upward=True)[0] == pytest.approx(2 * math.sqrt(2))
    assert crossing(means[:, ::-1], np.array([0.5]), edges, upward=False)[0] == pytest.approx(2 * math.sqrt(2))
    assert np.isnan(crossing(means, np.array([math.nan]), edges, upward=True)[0])
    assert band.low > 0
    with pytest.raises(InputError, match="low-pass"):
        found.half_point("band-pass")


def test_shortcuts():
    """The band that is read leads to class 1 those of class 1 alone; every other leads all to class 0."""
    found, _ = spectrum(LOW)
    rows = {(row["class"], row["band"]): row for row in found.shortcuts().rows()}
    own = found.bands[place(found, LOW)].name
    assert rows["1", own]["true_positive_rate"] == 1
    assert rows["1", own]["false_positive_rate"] == 0
    other = next(band.name for band in found.bands if band.name != own)
    assert rows["0", other]["true_positive_rate"] == rows["0", other]["false_positive_rate"] == 1


def test_shapley_values_sum_to_the_difference():
    found, _ = spectrum(LOW)
    np.testing.assert_allclose(found.shapley.sum(1), found.clean[:, 0] - found.empty[:, 0], atol=1e-4)
    few, _ = spectrum(LOW, method="filters:permutations=0,noise=none")
    assert few.filters == FILTERS
    assert int(np.argmax(few.shapley.mean(0))) == place(few, LOW)


def test_a_group_called_all_is_not_the_mean_over_all():
    found, _ = spectrum(LOW)
    apart = found.grouped(["all"] * 10 + ["b"] * 29 + ["all (group)"])
    assert apart.groups == ["all (group) (group)", "b", "all (group)"]
    assert [apart.accuracy("band-pass", name)[0].n for name in ("all", *apart.groups)] == [40, 10, 29, 1]
    assert apart.shapley_values() == found.shapley_values()
    means = apart.summarized().means
    assert list(means) == ["all", *apart.groups]
    assert means["all"]["band-pass"][0].n == 40
    table = apart.table().columns
    assert dict(zip(table["group"], table["n"], strict=True))["all"] == 40


def test_groups_and_clusters():
    found, strong = spectrum(LOW)
    apart = found.grouped(["loud" if one else "quiet" for one in strong[:, 0]])
    assert sorted(apart.groups) == ["loud", "quiet"]
    assert apart.accuracy("band-stop", "quiet")[place(found, LOW)].mean == 1
    assert apart.accuracy("band-stop", "loud")[place(found, LOW)].mean == 0
    table = apart.table()
    assert set(table["group"]) == {"all", "loud", "quiet"}
    assert set(table["filter"]) == {*found.filters, "shapley"}
    wide = spectrum(LOW, clusters=[f"of {one}" for one in strong[:, 0]])[0].shapley_values()[place(found, LOW)]
    narrow = found.shapley_values()[place(found, LOW)]
    assert wide.mean == pytest.approx(narrow.mean)
    assert wide.high - wide.low > narrow.high - narrow.low
    with pytest.raises(InputError, match="one for each"):
        found.grouped(["a"])
    with pytest.raises(InputError, match="loud"):
        apart.accuracy("band-pass", "silent")


def test_saved_and_read(tmp_path):
    found, _ = spectrum(LOW, by=["a", "b"] * 20, class_names={0: "no", 1: "yes"})
    again = ModelSpectrum.load(found.save(tmp_path / "one.safetensors"))
    assert list(tmp_path.iterdir()) == [tmp_path / "one.safetensors"]
    assert (again.bands, again.filters, again.by, again.class_names) == (
        found.bands, found.filters, found.by, found.class_names,
    )  # fmt: skip
    np.testing.assert_array_equal(again.readings, found.readings)
    assert str(again) == str(found)
    with pytest.raises(InputError, match=r"ModelSpectrum\.save"):
        ModelSpectrum.load(tmp_path)


def test_every_changed_byte_of_a_saved_spectrum_is_noticed(tmp_path):
    path = spectrum(LOW)[0].save(tmp_path / "one.safetensors")
    for place in changed_bytes(path, 1500):
        with pytest.raises(DamagedFile, match=r"one\.safetensors") as caught:
            ModelSpectrum.load(path)
        assert caught.value.path == path, place
    for data in (b"", b"no such file", path.read_bytes()[:-1], path.read_bytes() + b"\0"):
        path.write_bytes(data)
        with pytest.raises(DamagedFile):
            ModelSpectrum.load(path)


def test_a_spectrum_of_an_earlier_version_is_read_and_checked(tmp_path):
    """Its values stood in the metadata, without a digest."""
    found, _ = spectrum(LOW, class_names={0: "no"})
    path = found.save(tmp_path / "one.safetensors")
    tensors = load_file(path)
    values = json.loads(bytes(tensors.pop("values").numpy()))
    del tensors["digests"]
    save_file(tensors, path, {"spectrum": json.dumps({**values, "format": 1})})
    assert str(ModelSpectrum.load(path)) == str(found)
    refused = 0
    for other in malformed(values, random.Random(0), 200):
        save_file(tensors, path, {"spectrum": json.dumps(other)})
        try:
            str(ModelSpectrum.load(path))
        except FourierError:
            refused += 1
    assert refused > 60
    save_file({**tensors, "clean": tensors["clean"][1:].clone()}, path, {"spectrum": json.dumps(values)})
    with pytest.raises(DamagedFile, match="of shape"):
        ModelSpectrum.load(path)
    save_file(tensors, path)
    with pytest.raises(InputError, match="another file of tensors"):
        ModelSpectrum.load(path)


def test_examples_of_different_lengths_share_bands():
    """Of texts: a band that a short text does not have is not counted for it."""
    model = tiny_models.build("text-classification", "bert")
    explainer = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    texts = ["one two", "one two three four five six seven eight nine ten eleven twelve"] * 3
    found = explainer.spectrum(texts, by=["short", "long"] * 3)
    assert found.quantity == "decisions kept"
    counts = {band.name: one.n for band, one in zip(found.bands, found.accuracy("band-pass"), strict=True)}
    assert counts["every 2–4 tokens"] == 6
    assert min(counts.values()) == 3
    assert np.isnan(found.shapley).any()
    assert found.accuracy("low-pass")[-1].mean == 1


def test_a_run_goes_on_and_gives_the_same(tmp_path):
    model = tiny_models.build("text-classification", "bert")
    explainer = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(6)
    whole = explainer.spectrum(texts, output_dir=tmp_path / "run", chunk=2, progress=False)
    shards = sorted((tmp_path / "run" / "shards").glob("*/*.safetensors"))
    assert len(shards) == 3
    shards[1].unlink()
    again = explainer.spectrum(texts, output_dir=tmp_path / "run", chunk=2, progress=False)
    np.testing.assert_array_equal(again.readings, whole.readings)
    np.testing.assert_array_equal(again.shapley, whole.shapley)
    np.testing.assert_array_equal(explainer.spectrum(texts).shapley.shape, whole.shapley.shape)


def test_labels_of_a_data_set():
    datasets = pytest.importorskip("datasets")
    model = tiny_models.build("text-classification", "bert", num_labels=3)
    explainer = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    names = [model.config.id2label[i] for i in range(3)]
    label, words = datasets.ClassLabel(names=names), datasets.Value("string")
    data = datasets.Dataset.from_dict(
        {"text": tiny_tokenizers.texts(4), "label": [0, 1, 2, 1], "source": ["a", "b", "a", "b"]},
        features=datasets.Features({"text": words, "label": label, "source": words}),
    )
    found = explainer.spectrum(data, "label", column="text")
    assert found.quantity == "accuracy"
    assert found.labels.tolist() == [0, 1, 2, 1]
    assert found.groups == names
    by_source = explainer.spectrum(data, "source", column="text", labels="label", clusters="source")
    assert by_source.groups == ["a", "b"]
    assert by_source.labels.tolist() == [0, 1, 2, 1]
    assert explainer.spectrum(data, "source", column="text").quantity == "decisions kept"
    assert set(explainer.spectrum(data, "prediction", column="text").groups) <= set(names)
    with pytest.raises(FourierError, match="one of text, label, source"):
        explainer.spectrum(data, "nothing", column="text")
    with pytest.raises(FourierError, match="one for each"):
        explainer.spectrum(data, ["a"], column="text")


def test_other_results_are_refused():
    x, _ = tones(2)
    with pytest.raises(InputError, match="filters"):
        spectrum_of(attribute(Reads(LOW), x, method="magnitude", domain=Fourier(bands="octave")))
    with pytest.raises(InputError, match="at least one"):
        spectrum_of([])


def test_the_masks():
    masks = filter_masks(3).view(4, 3, 3).tolist()
    assert masks[FILTERS.index("band-pass")] == [[True, False, False], [False, True, False], [False, False, True]]
    assert masks[FILTERS.index("low-pass")] == [[True, False, False], [True, True, False], [True, True, True]]
    assert masks[FILTERS.index("high-pass")] == [[True, True, True], [False, True, True], [False, False, True]]
    assert masks[FILTERS.index("band-stop")] == [[False, True, True], [True, False, True], [True, True, False]]


def test_a_section_for_a_card():
    found, _ = spectrum(LOW)
    text = found.to_markdown()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(found.bands)
    assert len({line.count("|") for line in table}) == 1
    assert found.summary()[0] in text
    assert "bands=octave" in text


class Deaf(Reads):
    """A classifier that always says the same."""

    def forward(self, x):
        return super().forward(0 * x)


def test_a_value_of_zero_has_no_width():
    """Shapley values are no proportions: what is always 0 is 0, and an interval may cross it."""
    x, _ = tones(10)
    found = spectrum_of(attribute(Deaf(LOW), x, method="filters", domain=Fourier(bands="octave")))
    assert all((one.mean, one.low, one.high) == (0, 0, 0) for one in found.shapley_values())
    assert found.summary()[0].startswith("No band is clearly worth most")


def test_one_example_makes_no_band_clear():
    x, _ = tones(1)
    found = spectrum_of(attribute(Reads(LOW), x, method="filters", domain=Fourier(bands="octave")))
    assert found.summary()[0].startswith("No band is clearly worth most")


class Overflows(Reads):
    """Its logits are no numbers where the signal is loud."""

    def forward(self, x):
        return torch.where(x.abs().amax(1, keepdim=True) > 12, torch.nan, super().forward(x))


def test_outputs_that_are_no_numbers_count_as_none():
    x, strong = tones()
    results = attribute(Overflows(LOW), x, method="filters:noise=3", domain=Fourier(bands="octave"))
    found = spectrum_of(results, labels=strong[:, 0].tolist())
    counts = [one.n for one in found.accuracy("noise 3")]
    assert min(counts) < len(found)
    assert {one.n for one in found.accuracy("band-pass")} == {len(found)}


def test_only_known_classes_make_an_accuracy():
    x, strong = tones()
    results = attribute(Reads(LOW), x, method="filters:noise=none", domain=Fourier(bands="octave"))
    few = spectrum_of(results, labels=[*strong[:6, 0].tolist(), *[math.nan] * 34])
    assert few.quantity == "accuracy"
    assert {one.n for one in few.accuracy("band-stop")} == {6}
    assert spectrum_of(results).quantity == "decisions kept"
    asked = attribute(Reads(LOW), x, 1, method="filters:noise=none", domain=Fourier(bands="octave"))
    assert spectrum_of(asked).quantity == "target predicted"


def test_given_edges_have_a_cut_off_too():
    found, _ = spectrum(HIGH, domain="fourier:bands=.02-.1+.1-.2")
    assert [band.low for band in found.bands] == pytest.approx([0, 0, 0.02, 0.1, 0.2])
    assert found.half_point("low-pass").mean == pytest.approx(math.sqrt(0.2 * 0.5), rel=0.01)
    low, _ = spectrum(LOW, domain="fourier:bands=.1-.2")  # what is needed lies below all edges
    assert low.half_point("high-pass").mean == pytest.approx(0.1)


def test_bands_of_one_name_are_one_band():
    """The corners of pictures of different shapes have different highest frequencies."""
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(16, 2))
    shapes = [(32, 48), (32, 45)]
    results = [
        attribute(model, torch.rand(1, 1, *shape), method="filters", domain=Fourier(bands="octave"), axes=[1, 2])[0]
        for shape in shapes
    ]
    found = spectrum_of(results)
    names = [band.name for band in found.bands]
    assert len(names) == len(set(names))
    assert np.isfinite(found.shapley).all()


def test_directions_have_no_cut_off():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 2))
    results = attribute(
        model, torch.rand(3, 16, 16), method="filters", domain=Fourier(bands="octave", directions=2), axes=[1, 2]
    )
    found = spectrum_of(results)
    assert np.isnan(found.half_point("low-pass").mean)
    assert [band.name for band in found.bands] == [band.name for band in results[0].layout.bands]
    assert not any("lost" in line or "kept with" in line for line in found.summary())


def test_arrays_unknown_labels_and_whole_numbers():
    model = tiny_models.build("text-classification", "bert", num_labels=3)
    explainer = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(4)
    sites = explainer.spectrum(texts, by=np.array([0, 1, 0, 1]))
    assert sites.quantity == "decisions kept"  # numbers of sites are no classes
    known = explainer.spectrum(texts, labels=np.array([0.0, 1.0, math.nan, 2.0]), clusters=[None, None, "a", "a"])
    assert known.quantity == "accuracy"
    assert {one.n for one in known.accuracy("low-pass")[-1:]} == {3}
    assert len(set(known.clusters)) == 3
    assert explainer.spectrum(texts, by=torch.tensor([0, 1, 0, 1])).groups == sites.groups == ["0", "1"]
    with pytest.raises(FourierError, match="filters"):
        explainer.spectrum(texts, method="shapley")
    with pytest.raises(FourierError, match="bands"):
        explainer.spectrum(texts, domain="fourier")
