"""A result: its order and cuts, what it rebuilds, its tables, and the example back in input space."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError
from hf_fourier.results.curve import Curve, CurvePoint
from hf_fourier.results.table import Table
from hf_fourier.results.views import ImageView, NoView, SoundView, view_from
from tests.toy_scores import DOMAIN_SPECS, Linear, Smooth, noise, signal

SHARES = (0, 1e-6, 0.04, 0.25, 0.5, 0.9, 1, 1.0)


@pytest.fixture(params=[spec for spec in DOMAIN_SPECS if spec.split(":")[0] in ("fourier", "identity")])
def result(request):
    x = noise(1, 5, 8, 15)
    return attribute(Smooth(3, 5, 8, 15).eval(), x, domain=request.param, axes=[1, 2])[0]


@pytest.mark.parametrize("share", SHARES)
def test_keep_and_delete(result, share):
    kept, left = result.keep_top(share), result.delete_top(share)
    torch.testing.assert_close(kept + left, result.signal)
    mask = result.mask(share)
    held = int(result.layout.multiplicity[mask].sum())
    most = round(share * result.layout.total)
    biggest = int(result.layout.multiplicity.max())
    assert held <= max(most, int(result.layout.multiplicity[result.order[0]]) if share else 0)
    assert held > most - biggest
    lowest = result.scores[mask].min() if mask.any() else torch.tensor(torch.inf)
    assert (result.scores[~mask] <= lowest).all()
    f = result.basis.forward(kept.unsqueeze(0))
    assert result.basis.magnitude(f)[0][~mask].abs().sum() < 1e-10


def test_the_ends(result):
    assert not result.keep_top(0).any()
    torch.testing.assert_close(result.keep_top(1.0), result.signal)
    torch.testing.assert_close(result.delete_top(0), result.signal)
    assert result.delete_top(1.0).abs().max() < 1e-12
    assert int(result.mask(1e-9).sum()) == 1


def test_counts(result):
    for k in (0, 1, 3, len(result.scores)):
        assert int(result.mask(k=k).sum()) == k
        torch.testing.assert_close(result.keep_top(k=k) + result.delete_top(k=k), result.signal)
    assert result.mask(k=2).nonzero().flatten().tolist() == sorted(result.order[:2].tolist())


@pytest.mark.parametrize("wrong", [{}, {"fraction": 0.1, "k": 1}, {"fraction": 4}, {"k": -1}, {"k": 10**6}])
def test_wrong_shares(wrong):
    (result,) = attribute(Linear(2, 6), noise(1, 6))
    for ask in (result.keep_top, result.delete_top, result.mask):
        with pytest.raises(InputError):
            ask(**wrong)


def test_relevance_sums_to_the_kept_gradient_times_input(result):
    for share in (0.04, 0.5, 1.0):
        relevance = result.input_relevance(share, kind="gradient")
        assert relevance.values.shape == (5, 8)
        expected = (result.keep_top(share) * result.gradient).sum(-1)
        np.testing.assert_allclose(relevance.values, expected)
        pulled, f = (result.basis.forward(t.unsqueeze(0)) for t in (result.gradient, result.signal))
        through = (result.basis.inner(pulled, f)[0] * result.mask(share)).sum()
        assert relevance.values.sum() == pytest.approx(float(through))
    power = result.input_relevance(0.5, kind="power")
    np.testing.assert_allclose(power.values, result.keep_top(0.5).square().sum(-1))
    assert np.asarray(relevance).shape == (5, 8)


def test_relevance_by_count_and_in_tables(result):
    relevance = result.input_relevance(k=3, kind="gradient")
    assert relevance.values.sum() == pytest.approx(float((result.keep_top(k=3) * result.gradient).sum()))
    table = relevance.top(4)
    assert len(table) == 4
    values = [abs(v) for v in table["relevance"]]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(np.abs(relevance.values).max())
    assert relevance.values[table["axis1"][0] - 1, table["axis2"][0] - 1] == pytest.approx(table["relevance"][0])
    assert set(table["measure"]) == {"gradient × input"}


@pytest.mark.parametrize("method", ["gradient_input", "integrated_gradients:steps=4", "saliency", "ffc", "magnitude"])
@pytest.mark.parametrize("grain", ["entry", "position"])
def test_where_features_are_places_the_relevance_is_the_method_s_own(method, grain):
    x = noise(1, 5, 8, 15)
    (result,) = attribute(Smooth(3, 5, 8, 15).eval(), x, method=method, domain=f"identity:grain={grain}", axes=[1, 2])
    found = result.input_relevance()
    own = result.scores.view(5, 8, 15).double().sum(-1) if grain == "entry" else result.scores.view(5, 8)
    np.testing.assert_allclose(found.values, own, rtol=1e-6)
    name = method.partition(":")[0]
    assert (found.kind, found.description, found.measure) == ("scores", f"scores of {name}", f"score of {name}")
    assert found.signed == (name in ("gradient_input", "integrated_gradients"))
    assert found.sense.startswith("above 0: for the decision") == found.signed
    few = result.input_relevance(k=3)
    assert (np.abs(few.values) > 0).sum() == len({tuple(c) for c in np.argwhere(few.values)}) <= 3
    assert few.values.sum() == pytest.approx(float(result.scores[result.order[:3]].sum()))
    assert found.top(3)["relevance"][0] == pytest.approx(np.abs(found.values).max())


def test_places_in_segments_have_their_scores():
    shape = signal(12, 2, channels=(1,), segments=(7, 5))
    (made,) = attribute(Smooth(3, 12, 2).eval(), noise(1, 12, 2), method="gradient_input", domain="identity")
    layout = DOMAINS.parse("identity").bind(shape).layout
    result = replace(made, layout=layout)
    np.testing.assert_allclose(result.input_relevance().values, made.scores.view(12, 2).double().sum(1))


def test_elsewhere_it_says_that_it_is_not_the_method_s(result):
    if not result.layout.by_place:
        found = result.input_relevance()
        assert found.description == "gradient × input of the top 4 % of frequencies, not scores of tracking"
        assert (found.kind, found.signed) == ("gradient", True)
        power = result.input_relevance(k=3, kind="power")
        assert power.description == "power of the top 3 frequencies, not scores of tracking"
        assert not power.signed
        with pytest.raises(InputError, match="not places"):
            result.input_relevance(kind="scores")


def test_relevance_needs_a_gradient():
    (result,) = attribute(Linear(2, 6), noise(1, 6), method="magnitude")
    with pytest.raises(InputError, match="power"):
        result.input_relevance()
    assert result.input_relevance(kind="power").values.shape == (6,)


def test_the_top_is_a_table(result):
    table = result.top_features(7)
    assert len(table) == 7
    assert table["rank"] == list(range(1, 8))
    assert table["score"] == sorted(table["score"], reverse=True)
    assert table["score"] == result.scores[result.order[:7]].tolist()
    whole = result.top_features(10**6)
    assert len(whole) == len(result.scores)
    assert sum(whole["power"]) == pytest.approx(1.0)
    assert len(result.top_features(0)) == 0
    frame = table.to_pandas()
    assert list(frame.columns) == list(table.columns)
    assert len(str(table).splitlines()) == 8


def test_power_is_parsevals(result):
    assert float(result.power.sum()) == pytest.approx(float(result.signal.square().sum()))


def test_silence_has_no_power():
    (result,) = attribute(Linear(2, 6), torch.zeros(1, 6, dtype=torch.float64))
    assert result.top_features(3)["power"] == [0.0] * 3
    assert not result.keep_top(0.5).any()


def test_what_has_no_human_units():
    (result,) = attribute(Linear(2, 6), noise(1, 6))
    for ask in (lambda: result.render(0.1), result.render):
        with pytest.raises(InputError, match="input_relevance"):
            ask()


def test_pictures_come_back():
    view = ImageView((0.5,) * 3, (0.5,) * 3)
    pixels = torch.linspace(0, 1, 3 * 4 * 5).reshape(3, 4, 5)
    picture = np.asarray(view.show((pixels - 0.5) / 0.5))
    assert picture.shape == (4, 5, 3)
    np.testing.assert_array_equal(picture, (pixels.permute(1, 2, 0) * 255).round().numpy().astype(np.uint8))
    assert np.asarray(ImageView((0.0,), (1.0,)).show(torch.full((1, 2, 3), 7.0))).tolist() == [[255] * 3] * 2
    for some in (view, NoView(), NoView("a", "b")):
        assert view_from(some.to_dict()) == some


def test_words_for_a_result(result):
    assert "softmax" not in repr(result)
    assert result.label in repr(result)
    assert f"{len(result.scores)} features" in repr(result)


def test_an_empty_table():
    table = Table({})
    assert len(table) == 0
    assert str(table) == ""
    assert list(Table({"a": [1, 2], "b": [0.5, None]}).rows()) == [{"a": 1, "b": 0.5}, {"a": 2, "b": None}]
    assert Table({"a": [1 / 3]}).formatted() == [["0.3333"]]


def test_curves_merge():
    def stop(part, asked, value):
        return CurvePoint(part, asked, asked, value, None, 1.0)

    first = Curve((stop("keep", 0.1, 1.0), stop("delete", 0.1, 2.0)), 0.5)
    second = Curve((stop("keep", 0.04, 3.0), stop("keep", 0.1, 4.0)), 0.5)
    merged = first.merged(second)
    assert merged.at("keep", 0.1).value == 4.0
    assert merged.at("delete", 0.1).value == 2.0
    assert [s.fraction for s in merged.of("keep")] == [0.04, 0.1]
    assert len(merged.points) == 3
    assert Curve.from_dict(merged.to_dict()) == merged
    with pytest.raises(KeyError, match=r"0\.3"):
        merged.at("keep", 0.3)


def test_tables_print_in_columns():
    table = Table({"name": ["a", "long"], "x": [1 / 3, 12]}, ["one", "two"])
    assert str(table) == "name       x\n   a  0.3333\nlong      12\nnote: one\nnote: two"
    assert repr(table) == str(table)
    assert len(table) == 2


def test_the_top_has_twenty_features_and_no_more_than_there_are(result):
    assert len(result.top_features()) == min(20, len(result.scores))
    assert len(result.top_features(10**6)) == len(result.scores)
    table = result.top_features(3)
    best = result.order[:3]
    assert table["score"] == result.scores[best].tolist()
    assert table["power"] == pytest.approx((result.power[best] / result.power.sum()).tolist())


def test_what_a_result_renders():
    """Of a picture: the clean one, its top features, and what is left without them, by fraction or by count."""
    x = noise(1, 1, 4, 5)
    (made,) = attribute(Smooth(3, 1, 4, 5).eval(), x, axes=[2, 3])
    picture = replace(made, view=ImageView((0.0,), (1.0,)))

    def shown(signal):
        return np.asarray(ImageView((0.0,), (1.0,)).show(signal)).tolist()

    assert np.asarray(picture.render()).tolist() == shown(picture.signal)
    assert np.asarray(picture.render(0.3)).tolist() == shown(picture.keep_top(0.3))
    assert np.asarray(picture.render(k=2)).tolist() == shown(picture.keep_top(k=2))
    assert np.asarray(picture.render(0.3, delete=True)).tolist() == shown(picture.delete_top(0.3))
    assert np.asarray(picture.render(k=2, delete=True)).tolist() == shown(picture.delete_top(k=2))
    with pytest.raises(InputError, match="one of the two"):
        picture.render(delete=True)


def test_what_a_result_sounds_like():
    (made,) = attribute(Smooth(3, 12).eval(), noise(1, 12))
    sound = replace(made, view=SoundView(8))
    for heard, expected in (
        (sound.audio(), sound.signal),
        (sound.audio(0.3), sound.keep_top(0.3)),
        (sound.audio(k=2), sound.keep_top(k=2)),
        (sound.audio(0.3, delete=True), sound.delete_top(0.3)),
        (sound.audio(k=2, delete=True), sound.delete_top(k=2)),
    ):
        np.testing.assert_array_equal(heard.samples, expected.float().numpy())
        assert heard.rate == 8


def test_ties_depend_on_the_seed_and_on_the_example():
    scores = torch.zeros(60)
    (made,) = attribute(Linear(2, 60), noise(1, 60), domain="identity")
    seeds = [replace(made, scores=scores, provenance={**made.provenance, "seed": seed}) for seed in (0, 1, 1)]
    orders = [one.order.tolist() for one in seeds]
    assert orders[1] == orders[2] != orders[0]
    other = replace(seeds[0], fingerprint=seeds[0].key + 1)
    assert other.order.tolist() != orders[0]
    without = replace(made, scores=scores, provenance={})
    assert without.order.tolist() == orders[0]  # which is seed 0
