"""Results that carry contributions: what they show in place of what, in which words, and that files keep them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, attribute
from hf_fourier.errors import InputError
from hf_fourier.results.contributions import Contributions
from hf_fourier.results.relevance import default_relevance, of_all
from tests.models import kinds, tiny_models, tiny_tokenizers
from tests.models import test_protein as proteins
from tests.models import test_single_cell as cells
from tests.toy_scores import Smooth, noise

GRADIENTS = noise(2, 6, 3, seed=3)
STARTS = (noise(1, 3, seed=4), noise(6, 3, seed=5))
TEXTS = ("every token masked", "every token the average token")


@pytest.fixture
def result():
    """Of two references, by hand; the sum misses the total by a half."""
    (one,) = attribute(Smooth(3, 6, 3).eval(), noise(1, 6, 3), axes=[1])
    total = float(by_hand(one.signal).sum()) - 0.5
    one.contributions = Contributions(GRADIENTS, STARTS, total, 0.5, "log-odds", TEXTS, 8)
    return one


def by_hand(signal):
    return sum((signal - start) * gradient for start, gradient in zip(STARTS, GRADIENTS, strict=True)) / 2


def test_positions_have_the_mean_over_references(result):
    for found in (result.input_relevance(), default_relevance(result, 0.04), result.input_relevance(1.0)):
        np.testing.assert_allclose(found.values, by_hand(result.signal).sum(1))
        assert (found.kind, found.signed) == ("contribution", True)
        assert found.sense == "above 0: for the decision, below: against"
        assert set(found.top(2)["measure"]) == {"contribution to the log-odds"}
    assert of_all(result)


def test_the_words_name_sum_total_and_references(result):
    signed = result.contributions
    text = result.input_relevance().description
    against = "the mean of 2 references: every token masked, every token the average token"
    whole = f"{signed.total:+.3g} that the example has above {against}"
    assert text == f"contributions to the log-odds, in sum {signed.total + 0.5:+.3g} of the {whole}"
    part = result.input_relevance(0.25)
    start = f"contributions of the top 25 % of frequencies to the log-odds, in sum {part.values.sum():+.3g} of "
    assert part.description == f"{start}{signed.sum:+.3g}, or of the {whole}"
    one = replace(result, contributions=replace(signed, references=TEXTS[:1]))
    assert one.input_relevance().description.endswith(" above every token masked")


def test_top_features_contribute_their_part(result):
    features = result.contributions.by_feature(result.signal, result.basis)
    for fraction in (0.1, 0.5):
        part = result.input_relevance(fraction).values
        assert part.sum() == pytest.approx(float(features[result.mask(fraction)].sum()))
    assert result.top_features(4)["contribution"] == pytest.approx(features[result.order[:4]].tolist())
    result.completeness_error = 0.0  # scores that are contributions themselves
    assert "contribution" not in result.top_features(4).columns


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients:steps=3"])
def test_where_features_are_positions_complete_scores_come_first(method):
    model, x = Smooth(3, 6).eval(), noise(1, 6)
    (one,) = attribute(model, x, method=method, domain="identity", contributions=3)
    kind = "scores" if method.startswith("integrated") else "contribution"
    assert one.input_relevance().kind == default_relevance(one, 0.1).kind == kind
    (bare,) = attribute(model, x, method=method, domain="identity")
    assert bare.input_relevance().kind == "scores"


def test_without_contributions_nothing_changes():
    (one,) = attribute(Smooth(3, 6).eval(), noise(1, 6))
    assert one.contributions is None
    assert one.input_relevance().kind == "gradient"
    assert "contribution" not in one.top_features(2).columns
    with pytest.raises(InputError, match="contributions=4"):
        one.input_relevance(kind="contribution")
    assert not of_all(one)


def test_files_keep_them(result, tmp_path):
    back = Attribution.load(result.save(tmp_path / "whole"))
    signed = back.contributions
    assert torch.equal(signed.gradient, GRADIENTS)
    assert all(torch.equal(a, b) for a, b in zip(signed.reference, STARTS, strict=True))
    names = ("total", "completeness_error", "quantity", "references", "points")
    assert [getattr(signed, name) for name in names] == [getattr(result.contributions, name) for name in names]
    assert back.input_relevance().description == result.input_relevance().description
    assert Attribution.load(back.save(tmp_path / "twice")).contributions.references == TEXTS


def test_compact_files_and_those_of_before_have_none(result, tmp_path: Path):
    small = Attribution.load(result.save(tmp_path, compact=True))
    assert small.contributions is None
    assert len(small.top_features(2)) == 2
    values, tensors = result.to_parts()
    del values["contributions"]
    old = Attribution.from_parts(values, {n: t for n, t in tensors.items() if not n.startswith("contributions.")})
    assert old.contributions is None
    assert old.input_relevance().kind == "gradient"


def test_tokens_sum_to_the_total_of_their_text():
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(3, lengths=(7, 12, 5))
    for method in ("magnitude", "ffc"):
        for one in explain.explain(texts, method=method, contributions=30):
            signed = one.contributions
            assert signed.references == TEXTS
            assert signed.gradient.shape == (2, *one.signal.shape)
            assert one.input_relevance().values.sum() == pytest.approx(signed.sum, abs=1e-5)
            assert abs(signed.completeness_error) < 0.02 * max(abs(signed.total), 0.05)
            assert one.provenance["contributions"] == 30
    wrong = (one.target + 1) % 3
    (other,), direct = explain.re_explain([one], [wrong]), explain.explain(texts[2], wrong, contributions=30)
    assert other.contributions.total == pytest.approx(direct.contributions.total, abs=1e-6)
    torch.testing.assert_close(other.contributions.gradient, direct.contributions.gradient)
    without = explain.explain(texts[:1], contributions=0)
    assert explain.re_explain(without, [0])[0].contributions is None
    default = explain.explain(texts[0])
    assert "contributions" not in default.provenance
    assert default.contributions.references == (f"a mix of 50 % {TEXTS[0]} and 50 % {TEXTS[1]}",)
    assert default.provenance["passes"] == {"forward": 8, "backward": 8}
    torch.testing.assert_close(
        explain.re_explain([default], [default.target])[0].contributions.gradient, default.contributions.gradient
    )


@pytest.mark.parametrize("kind", ["text", "protein", "cell", "picture"])
def test_the_default_costs_at_most_eight_passes_of_each_kind(kind):
    """By the rule of texts, or of cells: how much of the second reference is mixed in, and the passes."""
    explain, example = {
        "text": lambda: (
            FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert")),
            tiny_tokenizers.text(6, 7, 8, 9),
        ),
        "protein": lambda: (proteins.explainer("text-classification", "esm"), "EVQLVESGG"),
        "cell": lambda: (cells.explainer("text-classification", "V2"), cells.cell(9)),
        "picture": lambda: (kinds.KINDS["patches"].make(), kinds.KINDS["patches"].example()),
    }[kind]()
    found = explain.explain(example)
    result = found[0] if isinstance(found, list) else found
    mixed = {"text": "50 %", "protein": "50 %", "cell": "60 %"}
    cost = {"text": (8, 8), "protein": (8, 8), "cell": (8, 7), "picture": (4, 4)}[kind]
    assert (result.provenance["passes"]["forward"], result.provenance["passes"]["backward"]) == cost
    if kind == "picture":
        assert result.contributions is None
    else:
        (reference,) = result.contributions.references
        assert f" and {mixed[kind]} every" in reference
