"""On an accelerator: one wait per batch, no copies that nobody asked for, no sort on the host, the same results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessor

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError, NotFinite, TargetError
from hf_fourier.methods import apply, random_masks
from hf_fourier.results import ordering
from hf_fourier.results.ordering import SORTED, descending, leading, leading_there
from hf_fourier.runs.worker import Worker
from hf_fourier.scoring.heads import detection
from hf_fourier.scoring.heads.matching import own_queries
from hf_fourier.scoring.heads.sequences import AnswerSpanHead, Similarity
from hf_fourier.scoring.pending import fetch
from hf_fourier.scoring.targets import AnswerSpan, Direction
from tests.fake_device import THERE, counted, moved, on_device
from tests.models import kinds, tiny_models, tiny_models_audio, tiny_tokenizers

OLD = torch.__version__.startswith("2.6.")
PICTURES = {"pixel_values": torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))}
SOUNDS = {"input_values": torch.randn(3, 2000, generator=torch.Generator().manual_seed(1))}
TEXTS = [tiny_tokenizers.text(*range(i, i + 6)) for i in range(5, 8)]
KINDS: dict[str, tuple[Callable[[], torch.nn.Module], Any, Any]] = {
    "pictures": (lambda: tiny_models.build("image-classification", "vit"), None, PICTURES),
    "texts": (lambda: tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer, TEXTS),
    "sounds": (lambda: tiny_models_audio.build("wav2vec2"), None, SOUNDS),
    "next tokens": (lambda: tiny_models.build("text-generation", "llama"), tiny_tokenizers.tokenizer, TEXTS),
    "tags": (lambda: tiny_models.build("token-classification", "bert"), tiny_tokenizers.tokenizer, TEXTS),
    "masks in turn": (lambda: tiny_models.build("fill-mask", "bert"), tiny_tokenizers.tokenizer, TEXTS),
}


def pair(kind: str) -> tuple[FourierExplainer, FourierExplainer, Any]:
    """An explainer on the CPU, the same on the fake device, and examples."""
    if kind == "next tokens" and OLD:
        pytest.skip("torch 2.6 has no autocast for the fake device, which this model asks for")
    build, processor, examples = KINDS[kind]
    given = () if processor is None else (processor(),)
    return FourierExplainer(build(), *given), FourierExplainer(moved(build()), *given), examples


def same(a: Attribution, b: Attribution) -> None:
    assert (a.label, a.target) == (b.label, b.target)
    assert [name for name, _ in a.top_predictions] == [name for name, _ in b.top_predictions]
    assert a.value == pytest.approx(b.value, rel=1e-4, abs=1e-6)
    # What a stage of tracking keeps can depend on the last digits of a gradient, as in one of these with torch 2.6.
    near, nearly = (5e-3, 0.05) if OLD else (1e-4, 1e-3)
    torch.testing.assert_close(a.scores, b.scores, rtol=1e-3, atol=near * float(a.scores.abs().max()))
    torch.testing.assert_close(a.signal, b.signal)
    assert sorted(b.order.tolist()) == list(range(len(b.scores)))
    assert bool((b.scores[b.order].diff() <= 0).all())
    same_curve(a, b, nearly)


def same_curve(a: Attribution, b: Attribution, nearly: float = 1e-3) -> None:
    for one, other in zip(a.curve.points if a.curve else (), b.curve.points if b.curve else (), strict=True):
        assert (one.mode, one.actual_fraction) == (other.mode, other.actual_fraction)
        assert one.value == pytest.approx(other.value, rel=nearly, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "method"), [*((kind, "tracking") for kind in KINDS), ("pictures", "closed_loop"), ("texts", "ffc:steps=2")]
)
def test_the_host_waits_once_a_batch(kind: str, method: str) -> None:
    here, there, examples = pair(kind)
    expected = here.perturb(here.explain(examples, method=method, batch_size=2), [0.1, 0.3])
    counted(lambda: there.explain(examples, method=method))  # checks of the model, once for each
    found, device = counted(lambda: there.explain(examples, method=method, batch_size=2))
    batches = -(-len(expected) // 2)
    assert (device.counts["read"], device.counts["sort"]) == (batches, 0), device.places
    found, device = counted(lambda: there.perturb(found, [0.1, 0.3]))
    assert (device.counts["read"], device.counts["sort"]) == (1, 0), device.places
    for one, other in zip(expected, found, strict=True):
        same(one, other)


def test_a_run_waits_once_a_batch_and_once_for_its_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, there, texts = pair("texts")
    waits, explain = list[int](), Worker.explain

    def watched(worker: Worker, chunk: Any) -> Any:
        before = device.counts["read"]
        outcomes = explain(worker, chunk)
        waits.append(device.counts["read"] - before)
        return outcomes

    monkeypatch.setattr(Worker, "explain", watched)
    options = {"fractions": [0.1], "chunk": 2, "progress": False, "store": "scores"}
    with on_device() as device:
        results = there.explain_dataset([*texts, *texts], tmp_path, **options)
    assert waits[-len(texts) :] == [2] * len(texts), device.places
    assert device.counts["sort"] == 0
    assert [row["label"] for row in results.rows()] == [one.label for one in pair("texts")[0].explain([*texts, *texts])]


HEADS = (
    "question-answering", "feature-extraction", "masks of segformer", "masks of one logit", "ctc", "depth-estimation",
    "pictures", "fill-mask", "samples before a spectrogram", "object-detection", "universal-segmentation",
    "text2text-generation",
)  # fmt: skip
#: Heads of outputs that the model writes, token by token: one wait more for each example.
WRITTEN = ("text2text-generation",)


@pytest.mark.parametrize("name", HEADS)
def test_no_head_waits_more_often(name: str) -> None:
    kind = kinds.KINDS[name]
    here, there, example = kind.make(), kind.make(), kind.example()
    moved(there.model)
    options: dict[str, Any] = {"target": kind.target, "method": "ffc", "contributions": 0}
    expected = here.perturb(here.explain(example, **options), [0.1, 0.3])
    counted(lambda: there.explain(example, **options))  # checks of the model
    batches = len({result.signal.shape for result in expected})
    found, device = counted(lambda: there.explain(example, **options))
    assert device.counts["read"] == batches + (name in WRITTEN) * len(expected), device.places
    assert device.counts["pageable"] == 0, device.uploads
    counted(lambda: there.perturb(found, [0.1, 0.3]))  # puts tables on the device
    again, device = counted(lambda: there.perturb(found, [0.1, 0.3], overwrite=True))
    assert device.counts["read"] == batches, device.places
    assert device.counts["pageable"] == 0, device.uploads
    for one, other in zip(expected, again, strict=True):
        same(one, other)
        assert one.top_predictions == [(label, pytest.approx(p, rel=1e-4)) for label, p in other.top_predictions]
        for name in (name for name in one.extras if name.startswith("mask ")):
            assert torch.equal(one.extras[name], other.extras[name])
        for a, b in zip(one.curve.points, other.curve.points, strict=True):
            assert (a.agreement, a.predicted_class) == (pytest.approx(b.agreement, abs=1e-5), b.predicted_class)


def test_detections_that_an_accelerator_cannot_match_are_matched_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = kinds.KINDS["object-detection"]
    here, there, pictures = kind.make(), kind.make(), kind.example()
    moved(there.model)
    options: dict[str, Any] = {"method": "ffc", "contributions": 0}
    expected = here.perturb(here.explain(pictures, **options), [0.1, 0.3])
    counted(lambda: there.explain(pictures, **options))  # checks of the model
    doubted = lambda *pairs: (own_queries(*pairs)[0], pairs[-1].any(1) & False)  # noqa: E731
    monkeypatch.setattr(detection, "own_queries", doubted)
    found, device = counted(lambda: there.explain(pictures, **options))
    assert device.counts["read"] == 1 + 2, device.places
    again = counted(lambda: there.perturb(found, [0.1, 0.3]))[0]
    for one, other in zip(expected, again, strict=True):
        same(one, other)
        assert [point.agreement for point in one.curve.points] == [point.agreement for point in other.curve.points]


def test_targets_that_the_answers_refuse_are_refused_when_these_arrive() -> None:
    spans = torch.tensor([[[0.0, 1.0, -torch.inf], [0.0, 1.0, -torch.inf]]])
    vectors = torch.tensor([[1.0, 2.0, 2.0]])
    short = torch.tensor([[[0.0, -torch.inf], [0.0, -torch.inf]]])
    for head, logits, target, reason in (
        (AnswerSpanHead(), spans, AnswerSpan(1, 2), "tokens of the context"),
        (AnswerSpanHead(), short, None, "context of one token"),
        (Similarity(), vectors, Direction(2 * vectors[0]), "own direction"),
    ):
        with on_device() as device:
            there = logits.to(THERE)
            head.freeze(there, [target])
            doubts = head.doubts(there, [target])
            assert device.counts["read"] == 0, device.places
            raised = []
            for checked, refuse in doubts:
                try:
                    refuse(checked.cpu())
                except TargetError as error:
                    raised.append(str(error))
        assert len(raised) == 1
        assert reason in raised[0]


METHODS_THERE = (
    "attexplore:steps=2,copies=2", "fampe:steps=2,copies=2", "band_mask:steps=3", "occlusion", "shapley",
    "shapley:permutations=4", "filters:replacement=noise,draws=2", "amplitude_gradient",
    "rate_distortion:rates=1,steps=3,draws=1", "random_masks:masks=192", "freqx",
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS_THERE)
def test_no_method_waits_more_often(method: str) -> None:
    here, there, pictures = pair("pictures")
    options = {"method": method, "domain": "fourier:bands=octave" if "mask" in method else None, "batch_size": 2}
    expected = here.explain(pictures, **options)
    counted(lambda: there.explain(pictures, **options))
    found, device = counted(lambda: there.explain(pictures, **options))
    assert device.counts["read"] == 2, device.places
    assert device.counts["sort"] == 0 or method.startswith("random_masks"), "which fits small problems on the host"
    for one, other in zip(expected, found, strict=True):
        largest = float(one.scores.abs().max())
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-2, atol=1e-2 * largest)
        assert one.extras.keys() == other.extras.keys()
        for value, there_ in ((one.extras[name], other.extras[name]) for name in one.extras):
            assert type(value) is type(there_)
            if isinstance(value, (bool, float, int)):
                assert value == pytest.approx(there_, rel=1e-2, abs=1e-3)


def test_random_masks_wait_once_for_each_look_at_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there, pictures = pair("pictures")
    pictures = {name: values[:1] for name, values in pictures.items()}
    options: dict[str, Any] = {"method": "random_masks:masks=512", "domain": "fourier:bands=8", "batch_size": 3}
    monkeypatch.setattr(random_masks, "DICE", 2.0)  # no fit suffices
    expected = here.explain(pictures, **options)
    counted(lambda: there.explain(pictures, **options))
    found, device = counted(lambda: there.explain(pictures, **options))
    assert device.counts["read"] == 4, device.places
    monkeypatch.setattr(random_masks, "MASKS_EACH", 32)  # 416 masks before the first look
    _, device = counted(lambda: there.explain(pictures, **options))
    assert device.counts["read"] == 1, device.places
    for one, other in zip(expected, found, strict=True):
        assert one.extras["masks"] == other.extras["masks"] == 512
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-2, atol=1e-2 * float(one.scores.abs().max()))


def test_results_are_made_while_the_next_batch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there, pictures = pair("pictures")
    steps, begin, make = list[str](), apply._begin_batch, apply.results_of
    monkeypatch.setattr(apply, "_begin_batch", lambda *a: steps.append("begin") or begin(*a))
    monkeypatch.setattr(apply, "results_of", lambda *a: steps.append("make") or make(*a))
    told = list[int]()
    options: dict[str, Any] = {"method": "ffc", "batch_size": 1}
    expected = here.explain(pictures, **options)
    assert steps == ["begin", "make"] * 3
    steps.clear()
    found, _ = counted(lambda: there.explain(pictures, progress=lambda done, _: told.append(done), **options))
    assert steps == ["begin", "begin", "make", "begin", "make", "make"]
    assert told == [1, 2, 3]
    for one, other in zip(expected, found, strict=True):
        same(one, other)
    broken = {"pixel_values": pictures["pixel_values"].clone()}
    broken["pixel_values"][1] = 3e38  # which overflows in the model
    with pytest.raises(NotFinite, match="example 1") as caught:
        counted(lambda: there.explain(broken, method="ffc", batch_size=2))
    assert sorted(caught.value.completed) == [0, 2]
    assert torch.equal(caught.value.completed[2].scores, found[2].scores)


def test_the_seconds_of_a_batch_are_not_those_of_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _, there, pictures = pair("pictures")
    counted(lambda: there.explain(pictures, method="ffc"))  # checks of the model
    now, begin, sent = [0.0], apply.batch_of, apply.fetched

    def ranked(*given: Any) -> Any:
        now[0] += 4.0
        return begin(*given)

    def arriving(*given: Any, **options: Any) -> Callable[[], Any]:
        coming = sent(*given, **options)

        def answers() -> Any:
            now[0] += 1.0
            return coming()

        return answers

    monkeypatch.setattr(apply, "batch_of", ranked)
    monkeypatch.setattr(apply, "fetched", arriving)
    monkeypatch.setattr(apply, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    results, _ = counted(lambda: there.explain(pictures, method="ffc", batch_size=1))
    assert [result.provenance["seconds"] for result in results] == [5.0] * 3


def test_where_the_next_batch_finds_no_memory_the_results_of_the_last_one_are_made_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, there, pictures = pair("pictures")
    steps, begin, make = list[str](), apply._begin_batch, apply.results_of

    def begins(*given: Any) -> Any:
        steps.append("begin")
        if steps == ["begin", "begin"]:
            raise torch.OutOfMemoryError
        return begin(*given)

    monkeypatch.setattr(apply, "_begin_batch", begins)
    monkeypatch.setattr(apply, "results_of", lambda *a: steps.append("make") or make(*a))
    results, _ = counted(lambda: there.explain(pictures, method="ffc", batch_size=2))
    assert steps == ["begin", "begin", "make", "begin", "make"]
    assert [result.provenance["halvings"] for result in results] == [0, 0, 0]


def test_neither_the_input_nor_a_gradient_that_nobody_asked_for_is_fetched() -> None:
    _, there, pictures = pair("pictures")
    results, device = counted(lambda: there.explain(pictures))
    size, signals = sum(device.sizes), results[0].signal.numel() * 4 * len(results)
    scores = 2 * results[0].scores.numel() * 4 * len(results)  # with their order
    assert scores + signals <= size < scores + signals + 2000, "the gradients, but not the input"
    there.with_gradient = False
    less, device = counted(lambda: there.explain(pictures))
    assert scores <= sum(device.sizes) < scores + 2000
    assert less[0].gradient is None
    torch.testing.assert_close(less[0].scores, results[0].scores)


def test_ties_are_settled_by_the_same_rule() -> None:
    here, there, pictures = pair("pictures")
    (a, *_), (b, *_) = (counted(partial(e.explain, pictures, method="low_frequency"))[0] for e in (here, there))
    assert a.scores.unique().numel() < len(a.scores) / 4
    assert torch.equal(a.scores, b.scores)
    assert torch.equal(a.order, b.order)
    b.scores = b.scores.flip(0)
    del b.order
    vars(b)[SORTED] = a.order.int()
    assert bool((b.scores[b.order].diff() <= 0).all()), "an order of other scores is not taken"


def test_the_top_is_selected_as_the_whole_order_has_it() -> None:
    numbers = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 200, generator=numbers)
    scores[1, [3, 50, 199]] = scores[1].max()  # three share the first place
    scores[2] = scores[2].round()  # ties everywhere
    ninth = scores[3].sort(descending=True).indices[8:10]
    scores[3, ninth] = scores[3, ninth[0]].clone()  # the last one that is asked for is tied with the next
    scores[4, scores[4].argsort()[:2]] = -9.0  # a tie far below
    scores[5, 7], scores[5, 8] = 0.0, -0.0
    scores[5, 9:] = -scores[5, 9:].abs()
    scores[5, :7] = scores[5, :7].abs()
    (top, values, tied), _ = counted(lambda: tuple(part.cpu() for part in leading_there(scores.to(THERE), 9)))
    assert tied.tolist() == [False, True, True, True, False, True]
    for row in (0, 4):
        assert torch.equal(top[row].long(), descending(scores[row])[:9])
        assert torch.equal(values[row], scores[row][top[row].long()])


@pytest.fixture
def no_host_sort(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many rows were sorted on the host."""
    done, sorts = list[int](), ordering._by_digits
    monkeypatch.setattr(ordering, "_by_digits", lambda bits: done.append(len(bits)) or sorts(bits))
    return lambda: len(done)


def test_where_a_few_top_features_are_asked_for_no_more_are_sorted(no_host_sort: Callable[[], int]) -> None:
    here, there, pictures = pair("pictures")
    expected = here.perturb(here.explain(pictures, method="ffc"), [0.005, 0.01])
    before, there.sorted_features = no_host_sort(), 40
    there.with_gradient = False
    counted(lambda: there.explain(pictures, method="ffc"))  # checks of the model
    found, device = counted(lambda: there.explain(pictures, method="ffc"))
    assert device.counts["read"] == 1, device.places
    assert sum(device.sizes) < 3 * 4 * (len(found[0].scores) + 2 * 40 + 200)
    found, device = counted(lambda: there.perturb(found, [0.005, 0.01]))
    assert (device.counts["read"], device.counts["sort"]) == (1, 0), device.places
    for one, other in zip(expected, found, strict=True):
        assert [row["rank"] for row in other.top_features(12).rows()] == list(range(1, 13))
        assert torch.equal(leading(other, 40), descending(other.scores)[:40])
        same_curve(one, other)
    assert no_host_sort() == before + 3, "by this test itself"
    counted(lambda: there.perturb(found, [0.5]))  # more than was sorted
    assert found[0].curve.at("keep", 0.5).value == pytest.approx(
        here.perturb(expected, [0.5])[0].curve.at("keep", 0.5).value, rel=1e-3
    )
    changed = found[0]
    del changed.order
    changed.scores = changed.scores.flip(0)
    assert torch.equal(leading(changed, 5)[:5], descending(changed.scores)[:5]), "those of other scores are not taken"


@pytest.mark.parametrize("count", [-3, 2.5, "x", True, [4]])
def test_how_many_features_are_sorted_is_a_whole_number(count: Any) -> None:
    here = pair("pictures")[0]
    here.sorted_features = 5
    with pytest.raises(InputError, match=r"sorted_features .* a whole number of at least 0, or None for all"):
        here.sorted_features = count
    assert here.sorted_features == 5


@pytest.mark.parametrize("count", [0, np.int64(1), 10**9, None])
def test_any_whole_number_of_features_may_be_sorted_there(count: Any) -> None:
    here, there, pictures = pair("pictures")
    there.sorted_features = count
    found, _ = counted(lambda: there.explain(pictures, method="ffc"))
    for one, other in zip(here.explain(pictures, method="ffc"), found, strict=True):
        same(one, other)


@pytest.mark.parametrize("method", ["ffc", "low_frequency"])  # of the second many scores are tied
def test_a_run_that_stores_the_top_fetches_no_more_of_scores(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_host_sort: Callable[[], int]
) -> None:
    build, processor = KINDS["pictures"][0], ViTImageProcessor(size={"height": 32, "width": 32})
    here, there = FourierExplainer(build(), processor), FourierExplainer(moved(build()), processor)
    data = list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    options: dict[str, Any] = {"method": method, "fractions": [0.01], "store": "top", "top": 30, "progress": False}
    expected = here.explain_dataset(data, tmp_path / "here", **options)
    sizes, sorts, keep = list[int](), list[int](), Worker.keep

    def kept(worker: Worker, *given: Any) -> None:
        sizes.append(sum(device.sizes))  # the examples of the estimate came with all of their scores
        sorts.append(no_host_sort())
        keep(worker, *given)

    monkeypatch.setattr(Worker, "keep", kept)
    with on_device() as device:
        found = there.explain_dataset(data, tmp_path / "there", **options)
    tied = method == "low_frequency"
    assert (sum(device.sizes) - sizes[0] < 3 * 4 * 1600) == (not tied)  # of 1600 features
    assert (no_host_sort() > sorts[0]) == tied
    for one, other in zip(expected.rows(30), found.rows(30), strict=True):
        assert (one["label"], one["top_feature"]) == (other["label"], other["top_feature"])
        for name in ("top_score", "top_power"):
            assert one[name] == pytest.approx(other[name], rel=1e-4, abs=1e-7)
        for a, b in zip(one["curve"], other["curve"], strict=True):
            assert a["value"] == pytest.approx(b["value"], rel=1e-3, abs=1e-4)


def test_answers_that_are_not_finite_are_told_from_the_others() -> None:
    for explain in pair("pictures")[:2]:
        with torch.no_grad():
            explain.model.classifier.bias.fill_(torch.nan)
        with pytest.raises(NotFinite, match="example 0"):
            counted(partial(explain.explain, PICTURES))


def test_one_copy_brings_tensors_of_all_types() -> None:
    given = [
        torch.tensor([True, False, True]), torch.arange(5), None, torch.randn(2, 3).T, torch.randn(3).half(),
        torch.arange(6.0).view(2, 3)[:1, 1],  # one number with another stride
        torch.randn(2, 2, dtype=torch.complex64).conj(), torch.tensor(2.5, dtype=torch.float64), torch.zeros(0, 4),
    ]  # fmt: skip
    moved_there = counted(lambda: [None if one is None else one.to(THERE) for one in given])[0]
    arrived, device = counted(lambda: fetch(moved_there))
    assert device.counts["read"] == 1
    for one, other in zip(given, arrived, strict=True):
        assert (one is None and other is None) or (torch.equal(one, other) and one.dtype == other.dtype)
    assert fetch(given)[1] is given[1], "on the CPU there is nothing to copy"
