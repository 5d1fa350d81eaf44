"""The score: one pass, frozen targets, per example whatever the batch, and rows that do not fit."""

import gc
import weakref
from dataclasses import dataclass

import pytest
import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import ModelError, TargetError
from hf_fourier.scoring import score as scoring
from hf_fourier.scoring.batching import MicroBatcher, _release, is_out_of_memory, suggested_rows
from hf_fourier.scoring.example_batch import EncodedExample, examples_per_batch
from hf_fourier.scoring.heads import Binary, CustomTarget, Regression
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.score import Score
from tests.toy_scores import Guard, Linear, Smooth, noise, score_of


@pytest.fixture
def model():
    return Smooth(3, 6).eval()


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_value_and_gradient_are_the_models(model, size):
    x = noise(5, 6)
    score = score_of(model, x, size=size)
    clean = score.clean()
    said = model(x).argmax(-1)
    torch.testing.assert_close(clean.reading.value, model(x).log_softmax(-1)[range(5), said])
    for i in range(5):
        expected = model.log_p_gradient(x[i].numpy(), int(said[i]))
        torch.testing.assert_close(clean.gradient[i], torch.from_numpy(expected), rtol=1e-9, atol=1e-12)
    assert (score.passes.forward, score.passes.backward) == (5, 5)
    assert score.clean() is clean
    assert score.clean_reading() is clean.reading
    assert (score.passes.forward, score.passes.backward) == (5, 5)


def test_a_value_alone_needs_no_backward_pass(model):
    guard = Guard(model)
    score = score_of(guard, noise(5, 6))
    reading = score.clean_reading()
    assert (guard.forward_rows, guard.backward_rows) == (5, 0)
    assert (score.passes.forward, score.passes.backward) == (5, 0)
    torch.testing.assert_close(reading.value, score_of(model, noise(5, 6)).clean().reading.value)
    assert not reading.value.requires_grad


def test_targets_stay_what_the_clean_example_said(model):
    x = noise(4, 6)
    score = score_of(model, x)
    score.clean()
    before = score.frozen_targets.clone()
    other = -5 * x
    reading = score.value(other)
    assert (model(other).argmax(-1) != before).any()
    assert torch.equal(score.frozen_targets, before)
    torch.testing.assert_close(reading.value, model(other).log_softmax(-1)[range(4), before])
    assert reading.agreement.tolist() == (model(other).argmax(-1) == before).float().tolist()


def test_rows_belong_to_examples(model):
    x = noise(3, 6)
    score = score_of(model, x, targets=[0, 1, 2], size=2)
    score.clean()
    rows = torch.tensor([2, 2, 0, 1, 0])
    many = noise(5, 6, seed=9)
    at = score.value_and_gradient(many, rows)
    torch.testing.assert_close(at.reading.value, model(many).log_softmax(-1)[range(5), rows])
    for i, row in enumerate(rows.tolist()):
        expected = torch.from_numpy(model.log_p_gradient(many[i].numpy(), row))
        torch.testing.assert_close(at.gradient[i], expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(score.value(many, rows).value, at.reading.value)


def test_targets_frozen_before_are_read_again(model):
    x = noise(3, 6)
    frozen = [torch.tensor(i) for i in (2, 0, 1)]
    score = Score(
        x,
        lambda signal, rows: model(signal),
        lambda out, rows: out,
        score_of(model, x).head,
        [],
        MicroBatcher(2),
        1,
        frozen,
    )
    torch.testing.assert_close(score.value(x).value, model(x).log_softmax(-1)[range(3), [2, 0, 1]])
    assert not score.top_predictions


@pytest.mark.parametrize("where", ["most", "backwards"])
@pytest.mark.parametrize("examples", [5, 7, 8])
def test_running_out_of_memory_changes_no_answer(model, where, examples):
    """Also where a chunk fails after its forward pass, and the next cuts lie elsewhere."""
    x = noise(examples, 6)
    calm = score_of(model, x, size=examples)
    tight = score_of(Guard(model, **{where: 2}), x, size=5)
    expected, got = calm.clean(), tight.clean()
    torch.testing.assert_close(got.gradient, expected.gradient)
    torch.testing.assert_close(got.reading.value, expected.reading.value)
    assert tight.batcher.splits >= 1
    assert tight.batcher.size <= 2
    assert torch.equal(tight.frozen_targets, calm.frozen_targets)
    for i in range(examples):
        for (name, p), (other, q) in zip(tight.top_predictions[i], calm.top_predictions[i], strict=True):
            assert name == other
            assert p == pytest.approx(q, rel=1e-5)


def test_what_never_fits_is_raised(model):
    with pytest.raises(torch.OutOfMemoryError):
        score_of(Guard(model, most=0), noise(3, 6)).clean()


def test_other_errors_are_not_retried(model):
    calls = []

    def broken(x):
        calls.append(len(x))
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        score_of(broken, noise(3, 6)).clean()
    assert calls == [3]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("head", [None, Binary(), Regression(), CustomTarget(lambda z: z.sum(-1))])
def test_clean_outputs_that_are_not_finite(bad, head):
    with pytest.raises(ModelError, match="not finite"):
        score_of(lambda x: torch.stack([x[:, 0], x[:, 0] * bad], 1), noise(2, 3).abs(), head).clean_reading()


def test_a_class_that_is_ruled_out_is_allowed():
    score = score_of(lambda x: torch.stack([x[:, 0], x[:, 1], x[:, 0] * 0 - torch.inf], 1), noise(2, 3))
    assert score.clean().gradient.isfinite().all()


def test_later_outputs_may_be_anything(model):
    score = score_of(lambda x: torch.where(x.abs() > 100, torch.nan, x), noise(2, 3))
    score.clean()
    assert score.value(torch.full((2, 3), 1e3, dtype=torch.float64)).value.isnan().all()


def test_half_precision_logits_are_read_in_float32(model):
    score = score_of(lambda x: Linear(3, 6, dtype=torch.float32)(x).half(), noise(2, 6, dtype=torch.float32))
    assert score.clean().reading.value.dtype == torch.float32
    assert score.clean().gradient.dtype == torch.float32


def test_a_score_without_a_path_to_the_signal(model):
    with pytest.raises(ModelError, match="does not depend"):
        score_of(lambda x: model(x).detach(), noise(2, 6)).clean()
    with pytest.raises(ModelError, match="does not depend"):
        score_of(lambda x: model(x.detach()), noise(2, 6)).clean()


def test_a_model_that_loses_the_batch(model):
    with pytest.raises(ModelError, match="row"):
        score_of(lambda x: model(x)[:1], noise(3, 6)).clean()


def test_a_target_out_of_range(model):
    with pytest.raises(TargetError, match="0 to 2"):
        score_of(model, noise(2, 6), targets=[None, 3]).clean()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_inside_other_modes(model, mode):
    expected = score_of(model, noise(2, 6)).clean().gradient
    with mode():
        x = noise(2, 6)
        got = score_of(model, x).clean().gradient
    torch.testing.assert_close(got.clone(), expected)


def test_what_a_model_caches_can_be_differentiated_later():
    class Caching(Linear):
        table = None

        def forward(self, x):
            if self.table is None:
                self.table = self.weight[0] * 2
            return super().forward(x) * (x * self.table).sum(1, keepdim=True)

    model = Caching(3, 6).requires_grad_(False)
    score = score_of(model, noise(2, 6))
    score.clean_reading()
    assert score.clean().gradient.isfinite().all()


@pytest.mark.parametrize("rows", [0, 1, 7, 8])
@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_the_packer_covers_all_rows_in_order(rows, size):
    seen = MicroBatcher(size).run(lambda chunk: list(range(rows))[chunk], rows)
    assert [i for chunk in seen for i in chunk] == list(range(rows))
    assert all(len(chunk) <= size for chunk in seen)


def test_the_packer_keeps_what_it_learnt():
    batcher, seen = MicroBatcher(16), []

    def work(chunk):
        seen.append(chunk.stop - chunk.start)
        if seen[-1] > 3:
            raise MemoryError
        return list(range(40))[chunk]

    done = batcher.run(work, 40)
    assert [i for chunk in done for i in chunk] == list(range(40))
    assert seen[:3] == [16, 8, 4]
    assert max(seen[3:]) == 2
    assert batcher.splits == 3
    batcher.run(work, 10)
    assert batcher.splits == 3


def test_the_packer_does_not_cut_below_the_least():
    def work(chunk):
        raise torch.OutOfMemoryError("simulated")

    batcher = MicroBatcher(16)
    with pytest.raises(torch.OutOfMemoryError):
        batcher.run(work, 12, least=4)
    assert batcher.size == 4


def test_which_errors_say_out_of_memory():
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert is_out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_memory_that_ran_out_is_given_back_also_during_a_run():
    """What was there before a run is set aside: garbage among it is looked for only then."""

    class Loop:
        """Refers to itself, as what a traceback holds does."""

    loop = Loop()
    loop.itself, gone = loop, weakref.ref(loop)
    gc.collect()
    gc.freeze()
    try:
        del loop
        gc.collect()
        assert gone() is not None
        _release()
        assert gone() is None
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_suggested_rows():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert suggested_rows(10, cpu) == suggested_rows(0, cpu) == 128, "a small signal"
    assert suggested_rows(2352, cpu) == 111
    assert suggested_rows(2**13, cpu) == 32
    assert suggested_rows(2**14, cpu) == suggested_rows(2**18, cpu) == 16
    assert suggested_rows(10, gpu) == 64
    assert suggested_rows(10**9, gpu) == suggested_rows(10**9, cpu) == 1


@dataclass
class Host:
    """Where a model lies and how many rows it takes, and nothing more."""

    device: torch.device
    max_rows: int | None = None

    def example_batch(self, examples, draw):
        """Is not asked for."""
        raise NotImplementedError


def test_a_method_gets_whole_batches():
    """Of 27 pictures together 11 would make a batch of their own, which is slower for each of them."""
    on_cpu = {10: 128, 2352: 111, 3 * 224**2: 16, 2**18: 16, 2**19: 8, 10**9: 1}
    for name, known in {"cpu": on_cpu, "cuda": {10: 64, 3 * 224**2: 27}}.items():
        for entries, size in known.items():
            example = EncodedExample(SignalShape("tensor", (Axis("axis", entries),)), {})
            assert examples_per_batch(example, "auto", Host(torch.device(name))) == size
            assert examples_per_batch(example, 5, Host(torch.device(name))) == 5
            assert examples_per_batch(example, "auto", Host(torch.device(name), 1)) == 1


@pytest.mark.parametrize("rows", [None, torch.tensor([2, 0, 0, 1, 2, 1])])
def test_large_answers_are_read_in_parts(monkeypatch, rows):
    """Each part by the masks of its own examples."""
    heads = torch.nn.Conv2d(1, 2, 3, padding=1, dtype=torch.float64).eval()
    x = noise(3, 1, 6, 7)
    asked = x if rows is None else noise(len(rows), 1, 6, 7, seed=1)
    score = score_of(heads, x, Mask())
    score.clean_reading()
    whole = score.value(asked, rows)
    assert len(set(whole.agreement.tolist())) > (rows is not None)
    monkeypatch.setattr(scoring, "READ_LATE", 0)
    for numbers in (1, 2 * 2 * 6 * 7, 10**6):
        monkeypatch.setattr(scoring, "READ_AT_ONCE", numbers)
        parts = score.value(asked, rows)
        for name in ("value", "confidence", "agreement", "predicted_mask"):
            torch.testing.assert_close(getattr(parts, name), getattr(whole, name))
