"""Evaluations: the same numbers as by hand, the controls always there, wrong labels that flatter nobody."""

import gc
import math
import re
from collections import Counter

import pytest
import torch

from benchmarks.evaluation import recorded
from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.evaluation import evaluate
from hf_fourier.evaluation.evaluate import PrecomputedMethod
from hf_fourier.evaluation.metrics import dig, selectivity
from hf_fourier.evaluation.metrics.statistics import paired_interval
from hf_fourier.evaluation.wrong_labels import assign_wrong_labels
from hf_fourier.results import curve
from hf_fourier.results.curve import DEFAULT_GRID, SMALL_FRACTIONS, FractionGrid
from hf_fourier.scoring.batching import objects_are_frozen
from tests.models import tiny_models, tiny_tokenizers

SHARE = "maintain_rate_at_0.04"


@pytest.fixture(scope="module")
def vision():
    from transformers import ViTImageProcessor

    return FourierExplainer(
        tiny_models.build("image-classification", "resnet"), ViTImageProcessor(size={"height": 32, "width": 32})
    )


@pytest.fixture(scope="module")
def pictures():
    return [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(7)]


@pytest.fixture(scope="module")
def text():
    return FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))


@pytest.fixture(scope="module")
def evaluation(text):
    return text.evaluate(tiny_tokenizers.texts(7), ["ffc", "ffc:kappa=1"], groups=[0, 0, 1, 2, 3, 4, 5])


def test_the_numbers_are_those_by_hand(text, evaluation):
    results = text.explain(tiny_tokenizers.texts(7), method="ffc")
    text.perturb(results, DEFAULT_GRID)
    cell = evaluation.of("ffc")
    assert cell.values["dig"] == pytest.approx([dig.dig(r.curve) for r in results])
    assert cell.values[SHARE] == [curve.maintained(r.curve, 0.04) for r in results]
    random, _ = assign_wrong_labels(
        [r.target for r in results], sorted(text.model.config.id2label), [r.key for r in results]
    )
    others = text.re_explain(results, random)
    text.perturb(others, FractionGrid(keep=SMALL_FRACTIONS))
    by_hand = [selectivity.selectivity(a.curve, [b.curve]) for a, b in zip(results, others, strict=True)]
    assert cell.values["selectivity (random)"] == pytest.approx(by_hand)


@pytest.mark.parametrize("control", evaluate.CONTROLS)
def test_controls_are_there_and_asked_for_wrong_labels_for_nothing(text, evaluation, control):
    """A ranking that is the same for every label is not played twice, and gives what playing twice would."""
    own = evaluation.of(control)
    assert own.control
    assert own.passes == (1, 0)
    results = text.explain(tiny_tokenizers.texts(7), method=control)
    text.perturb(results, DEFAULT_GRID)
    runners = [text.wrapper.head().check(r.top_predictions[1][0]) for r in results]
    others = text.re_explain(results, runners)
    text.perturb(others, FractionGrid(keep=SMALL_FRACTIONS))
    by_hand = [selectivity.selectivity(a.curve, [b.curve]) for a, b in zip(results, others, strict=True)]
    assert own.values["selectivity (runner-up)"] == pytest.approx(by_hand)


def test_the_table(evaluation):
    rows = list(evaluation.table().rows())
    assert {row["method"] for row in rows} == {"magnitude", "low_frequency", "random", "ffc", "ffc:kappa=1"}
    (row,) = [row for row in rows if row["method"] == "ffc:kappa=1" and row["metric"] == "dig"]
    own, control = evaluation.of("ffc:kappa=1").values["dig"], evaluation.of("magnitude").values["dig"]
    gap = [a - b for a, b in zip(own, control, strict=True)]
    assert row["mean"] == pytest.approx(math.fsum(own) / 7)
    assert row["gap_magnitude"] == pytest.approx(math.fsum(gap) / 7)
    assert (row["gap_low"], row["gap_high"]) == paired_interval(own, control, evaluation.groups)
    means = {c.method: math.fsum(c.values["dig"]) for c in evaluation.cells if c.control}
    assert row["best_control"] == max(means, key=means.get)
    assert (row["n"], row["groups"], row["anecdotal"]) == (7, 6, True)
    (less,) = [row for row in rows if row["method"] == "ffc" and row["metric"] == "deletion"]
    means = {c.method: math.fsum(c.values["deletion"]) for c in evaluation.cells if c.control}
    assert less["best_control"] == min(means, key=means.get)
    assert "anecdotal" in str(evaluation)
    assert list(evaluation.to_pandas().columns) == list(rows[0])


def test_chunks_are_no_matter(text, evaluation, monkeypatch):
    monkeypatch.setattr(evaluate, "CHUNK", 3)
    again = text.evaluate(tiny_tokenizers.texts(7), ["ffc", "ffc:kappa=1"], batch_size=2)
    for one, other in zip(again.cells, evaluation.cells, strict=True):
        for name, values in one.values.items():
            assert values == pytest.approx(list(other.values[name]), abs=1e-4), (one.method, name)


def test_what_it_costs(vision, pictures):
    """One game for all metrics; the controls' games tell what wrong labels get."""
    rows = []
    vision.explain(pictures[:1])  # how pictures are best laid out is tried once for a model
    hook = vision.model.register_forward_hook(lambda module, given, outputs: rows.append(len(outputs.logits)))
    try:
        vision.evaluate(pictures, ["ffc"])
    finally:
        hook.remove()
    clean, differentiated, empty = 1, 1, 1  # all methods and labels share these
    curves = 4 * (DEFAULT_GRID.passes - empty) + empty
    wrong = different_wrong_labels(vision, pictures)
    assert sum(rows) == 7 * (clean + differentiated + curves) + wrong * len(SMALL_FRACTIONS)


def different_wrong_labels(explainer, examples):
    """The random wrong label and the runner-up of each example, counted once where they are the same."""
    labels = evaluate.Evaluator(explainer, examples, None, 0, "auto").wrong_labels
    return sum(len(set(own)) for own in zip(*labels.values(), strict=True))


@pytest.mark.parametrize("chunk", [64, 3])
def test_the_fast_preset_makes_each_clean_pass_once(vision, pictures, monkeypatch, chunk):
    """Per example one clean row and one with a gradient for all its labels, beside curves and what stages move."""
    monkeypatch.setattr(evaluate, "CHUNK", chunk)
    vision.explain(pictures[:1])
    with recorded(vision.model) as found:
        evaluation = vision.evaluate(pictures, ["tracking", "ffc", "saliency"], preset="fast")
    wrong = different_wrong_labels(vision, pictures)
    assert 7 < wrong < 14  # some have the runner-up as their random label
    kept, stages = len(SMALL_FRACTIONS), 3
    assert found.rows[0] == 7 * (2 + 3 * kept) + (7 + wrong) * (3 * kept + stages)
    labels = 7 * 3 if chunk == 64 else found.rows[1] - (7 + wrong) * stages
    assert found.rows[1] == (7 + wrong) * stages + labels
    assert labels <= 7 * 3
    assert [evaluation.of(name).passes for name in ("tracking", "ffc", "saliency")] == [(4, 4), (1, 1), (1, 1)]


def test_shared_passes_give_what_each_method_gives_by_itself(vision, pictures):
    together = vision.evaluate(pictures, ["ffc", "tracking", "saliency"], preset="fast")
    for name in ("saliency", "tracking", "ffc"):
        own = vision.evaluate(pictures, [name], preset="fast").of(name)
        results = vision.perturb(vision.explain(pictures, method=name), FractionGrid(keep=SMALL_FRACTIONS))
        assert own.values == together.of(name).values
        assert own.values[SHARE] == [curve.maintained(result.curve, 0.04) for result in results]
        labels = evaluate.Evaluator(vision, pictures, None, 0, "auto").wrong_labels["random"]
        others = vision.re_explain(results, labels, as_goals=True)
        vision.perturb(others, FractionGrid(keep=SMALL_FRACTIONS))
        by_hand = [selectivity.selectivity(a.curve, [b.curve]) for a, b in zip(results, others, strict=True)]
        assert own.values["selectivity (random)"] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("methods", "options"),
    [
        (["ffc", "integrated_gradients:steps=4"], {}),
        (["ffc"], {"preset": "fast"}),
        (["saliency"], {"metrics": ["dig"], "domains": ["fourier", "cosine"]}),
        (["response", "saliency"], {"preset": "fast"}),
    ],
)
def test_the_cost_is_told_before_the_start(vision, pictures, capsys, methods, options):
    """What is told is what is run, and no row is run twice."""
    rows = []
    vision.explain(pictures[:1])
    hook = vision.model.register_forward_hook(lambda module, given, outputs: rows.append(len(outputs.logits)))
    try:
        vision.evaluate(pictures, methods, progress=True, **options)
    finally:
        hook.remove()
    told = re.search(r"^7 examples, at most (\d+) forward and (\d+) backward passes each: about \d+ s$",
                     capsys.readouterr().err, re.M)  # fmt: skip
    assert told is not None
    assert int(told[1]) == math.ceil(sum(rows) / 7)


def test_fast_gives_the_same_numbers_of_the_first_examples(text, evaluation):
    found = text.evaluate(tiny_tokenizers.texts(40), ["ffc"], preset="fast")
    assert len(found.groups) == 32
    assert "preset 'fast': the first 32 of 40 examples" in found.notes
    assert not {"dig", "insertion"} & set(found.better)
    own, whole = found.of("ffc").values["selectivity (random)"], evaluation.of("ffc").values
    assert len(own) == 32
    assert found.of("ffc").values[SHARE][:7] == whole[SHARE]
    with pytest.raises(InputError, match="'fast' or None"):
        text.evaluate(tiny_tokenizers.texts(2), preset="slow")


def test_fast_takes_about_a_third_of_the_passes(text):
    counts = []
    for preset in (None, "fast"):
        rows = []
        hook = text.model.register_forward_hook(lambda module, given, out, rows=rows: rows.append(len(out.logits)))
        try:
            text.evaluate(tiny_tokenizers.texts(7), ["ffc"], preset=preset)
        finally:
            hook.remove()
        counts.append(sum(rows))
    assert 0.25 < counts[1] / counts[0] < 0.4


def test_controls_that_share_a_pass_are_the_controls(vision, pictures):
    found = vision.evaluate(pictures[:3], ["magnitude"], "cosine", ["dig"])
    assert [cell.method for cell in found.cells] == list(evaluate.CONTROLS)
    for cell in found.cells:
        results = vision.perturb(vision.explain(pictures[:3], method=cell.method, domain="cosine"), DEFAULT_GRID)
        assert cell.values["dig"] == pytest.approx([dig.dig(result.curve) for result in results], abs=1e-6)


def test_other_metrics_domains_and_exclusions(vision, pictures):
    found = vision.evaluate(
        pictures[:2], ["saliency"], ["identity", "cosine"], ["infidelity", "mu_fidelity"], progress=lambda *_: None
    )
    assert {name for cell in found.cells for name in cell.values} == {"infidelity", "mu_fidelity"}
    (left_out,) = found.excluded
    assert left_out[:2] == ("low_frequency", "identity")
    assert "frequency" in left_out[2]
    assert len(found.cells) == 7


@pytest.mark.parametrize("metric", ["input_fidelity", "faithfulness_of_spectra", "maintain_rate", "insertion"])
def test_each_metric_alone_is_played_where_it_reads(text, evaluation, metric):
    found = text.evaluate(tiny_tokenizers.texts(7), ["ffc"], metrics=[metric]).of("ffc").values
    assert found
    grid = {"maintain_rate"}  # the mean over what was played
    for name in set(found) & set(evaluation.of("ffc").values) - grid:
        assert found[name] == pytest.approx(list(evaluation.of("ffc").values[name]), abs=1e-6)


def test_what_is_ready_stands_among_the_methods(text, evaluation):
    """Attributions that happen to be FFC's get FFC's numbers, wrong labels among them."""
    asked = []

    def make(examples, targets):
        asked.append(list(targets))
        return text.explain(examples, targets=targets, method="ffc")

    found = text.evaluate(
        tiny_tokenizers.texts(7), [PrecomputedMethod("by hand", make, "fourier")], groups=evaluation.groups
    )
    assert [cell.method for cell in found.cells] == ["magnitude", "low_frequency", "random", "by hand"]
    own, other = found.of("by hand"), evaluation.of("ffc")
    assert (own.values, own.passes, own.control) == (other.values, other.passes, False)
    assert asked[0] == [None] * 7
    assert len(asked) == 2  # both kinds of wrong labels at once, each label of an example once
    assert all(isinstance(target, int) for target in asked[1])


def test_what_is_ready_has_controls_in_its_own_domain(vision, pictures):
    def make(examples, targets):
        maps = [torch.randn(32, 32, generator=torch.Generator().manual_seed(i)) for i in range(len(examples))]
        return vision.from_maps(list(examples), maps, "noise", targets=targets, domain="identity")

    found = vision.evaluate(pictures, ["ffc", PrecomputedMethod("noise", make)], metrics=["dig"])
    domains = {cell.method: {c.domain for c in found.cells if c.method == cell.method} for cell in found.cells}
    assert domains["noise"] == {"identity"}
    assert domains["magnitude"] == {"identity", "fourier"}
    assert domains["ffc"] == {"fourier"}
    for wrong, message in (("fourier", "all in fourier"), ("cosine", "all in cosine")):
        with pytest.raises(InputError, match=message):
            vision.evaluate(pictures, [PrecomputedMethod("noise", make, wrong)], metrics=["dig"])
    with pytest.raises(InputError, match="one for each"):
        vision.evaluate(pictures, [PrecomputedMethod("few", lambda e, t: make(e, t)[1:])], metrics=["dig"])


def test_without_domains_each_method_is_at_home(vision, pictures):
    found = vision.evaluate(pictures[:2], ["ffc", "wam:samples=2"], metrics=["maintain_rate"])
    assert {(cell.method, cell.domain) for cell in found.cells if not cell.control} == {
        ("ffc", "fourier"),
        ("wam:samples=2", "wavelet"),
    }
    assert {cell.domain for cell in found.cells if cell.method == "random"} == {"fourier", "wavelet"}
    assert not found.excluded
    assert "left out: wam" in str(vision.evaluate(pictures[:2], "wam:samples=2", "fourier", ["maintain_rate"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["dug"]}, "some of"),
        ({"metrics": ["concentration"]}, "some of"),
        ({"groups": [1]}, "one for each"),
        ({"examples": []}, "at least one"),
    ],
)
def test_wrong_arguments(text, arguments, message):
    with pytest.raises(InputError, match=message):
        text.evaluate(**{"examples": tiny_tokenizers.texts(2), **arguments})


def test_a_value_has_no_wrong_labels():
    explainer = FourierExplainer(
        tiny_models.build("text-classification", "bert", num_labels=1), tiny_tokenizers.tokenizer("bert")
    )
    found = explainer.evaluate(tiny_tokenizers.texts(3), "ffc")
    assert all(not name.startswith(("selectivity", "dig")) for cell in found.cells for name in cell.values)
    with pytest.raises(InputError, match="leave it out"):
        explainer.evaluate(tiny_tokenizers.texts(3), "ffc", metrics=["selectivity"])


@pytest.mark.parametrize("counts", [(5, 5), (4, 3, 2), (1, 1, 1, 1)])
def test_wrong_labels_are_asked_for_as_often_as_they_are_own(counts):
    said = [label for label, count in enumerate(counts) for _ in range(count)]
    keys = list(range(100, 100 + len(said)))
    wrong, drawn = assign_wrong_labels(said, range(len(counts)), keys)
    assert Counter(wrong) == Counter(said) if max(counts) * 2 <= len(said) else drawn
    assert all(a != b for a, b in zip(said, wrong, strict=True))
    order = torch.randperm(len(said), generator=torch.Generator().manual_seed(0)).tolist()
    again, _ = assign_wrong_labels([said[i] for i in order], range(len(counts)), [keys[i] for i in order])
    assert again == [wrong[i] for i in order]


def test_a_constant_answerer_is_not_selective():
    """With labels drawn evenly it would look so: it keeps most of what it is usually right about."""
    said = [0] * 40 + [1] * 30 + [2] * 30
    wrong, drawn = assign_wrong_labels(said, range(3), range(100))
    assert drawn == 0
    for constant in range(3):
        own, other = (sum(label == constant for label in labels) for labels in (said, wrong))
        assert own == other


def test_an_unbalanced_set_is_said():
    wrong, drawn = assign_wrong_labels([0] * 8 + [1] * 2, range(3), range(10))
    assert drawn == 6
    assert 0 not in wrong[:8]


def test_what_was_there_before_is_not_looked_through_during_an_evaluation(vision, pictures):
    counts: list[int] = []
    hook = vision.model.register_forward_hook(lambda *_: counts.append(gc.get_freeze_count()))
    gc.unfreeze()
    try:
        vision.evaluate(pictures[:2], ["ffc"], metrics=["dig"])
    finally:
        hook.remove()
    assert min(counts) > 10_000
    assert not objects_are_frozen()


def test_the_best_control_is_best_by_each_number(vision, pictures):
    """Of removals from the rest fewer changed decisions are better, of deletions from the top more."""
    found = vision.evaluate(pictures, ["ffc"], metrics=["f_fidelity", "r_flip"])
    signs = {"f_fidelity": 1, "f_fidelity_of_rest": -1, "flipped_at_0.1": 1}
    assert {name: found.better[name] for name in signs} == signs
    for row in found.table().rows():
        if row["metric"] in signs and row["method"] == "ffc":
            means = {
                cell.method: signs[row["metric"]] * math.fsum(cell.values[row["metric"]])
                for cell in found.cells
                if cell.control
            }
            assert means[row["best_control"]] == max(means.values())
