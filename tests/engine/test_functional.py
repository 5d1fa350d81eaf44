"""`attribute`: any torch callable, any tensor, and errors that say what to do."""

import numpy as np
import pytest
import torch

from hf_fourier import Attribution, attribute
from hf_fourier.errors import FourierError, InputError, ModelError, SpecError, TargetError
from hf_fourier.seeding import fingerprint
from tests.toy_scores import Linear, Smooth, noise


@pytest.fixture
def model():
    return Smooth(3, 6).eval()


@pytest.fixture
def x():
    return noise(4, 6)


def test_one_result_per_example(model, x):
    results = attribute(model, x)
    assert isinstance(results, list)
    assert all(isinstance(one, Attribution) for one in results)
    p = model(x).softmax(-1).detach()
    for i, one in enumerate(results):
        assert one.target == int(p[i].argmax())
        assert one.label == str(one.target)
        assert one.confidence == pytest.approx(float(p[i].max()))
        assert one.value == pytest.approx(float(p[i].max().log()))
        assert torch.equal(one.signal, x[i])
        assert one.top_predictions[0][0] == one.label
        assert [v for _, v in one.top_predictions] == pytest.approx(sorted(p[i].tolist(), reverse=True))
    assert len(attribute(model, x[:1])) == 1


@pytest.mark.parametrize(
    "target",
    [[2, 0, 1, 1], (2, 0, 1, 1), torch.tensor([2, 0, 1, 1]), np.array([2, 0, 1, 1])],
    ids=lambda t: type(t).__name__,
)
def test_one_target_each(model, x, target):
    assert [one.target for one in attribute(model, x, target=target)] == [2, 0, 1, 1]


@pytest.mark.parametrize("target", [1, np.int64(1), torch.tensor(1)], ids=lambda t: type(t).__name__)
def test_one_target_for_all(model, x, target):
    results = attribute(model, x, target=target)
    assert [one.target for one in results] == [1] * 4
    expected = model(x).log_softmax(-1)[:, 1].tolist()
    assert [one.value for one in results] == pytest.approx(expected)


def test_some_targets_may_be_open(model, x):
    said = model(x).argmax(-1).tolist()
    assert [one.target for one in attribute(model, x, target=[None, 2, None, 0])] == [said[0], 2, said[2], 0]


def test_a_callable_target(model, x):
    def contrast(logits):
        return logits[:, 0] - logits[:, 1]

    for one, z in zip(attribute(model, x, target=contrast), model(x), strict=True):
        assert (one.target, one.label, one.confidence) == (None, "contrast", None)
        assert one.value == pytest.approx(float(z[0] - z[1]))
        assert not one.top_predictions
        assert one.provenance["head"] == "callable"


def test_callables_and_classes_in_one_call(model, x):
    results = attribute(model, x, target=[0, lambda z: z[:, 1], None, lambda z: z[:, 2]], batch_size=2)
    z = model(x)
    assert results[1].value == pytest.approx(float(z[1, 1]))
    assert results[3].value == pytest.approx(float(z[3, 2]))
    assert results[0].value == pytest.approx(float(z[0].log_softmax(-1)[0]))
    assert results[2].target == int(z[2].argmax())


def test_a_callable_target_reads_whole_outputs(x):
    weights = noise(6)

    class Output:
        def __init__(self, v):
            self.logits, self.hidden = v @ weights.view(6, 1).expand(6, 2), v * 2

    (one, *_) = attribute(Output, x, target=lambda out: out.hidden[:, 3])
    assert one.value == pytest.approx(2 * float(x[0, 3]))
    assert one.gradient.nonzero().tolist() == [[3]]
    assert attribute(Output, x)[0].confidence == pytest.approx(0.5)


def test_axes_choose_what_has_an_order():
    x = noise(1, 3, 4, 5)
    model = Linear(2, 3, 4, 5)
    (default,) = attribute(model, x)
    assert [axis.channel for axis in default.layout.signal.axes] == [True, False, False]
    (last,) = attribute(model, x, axes=[-1])
    assert [axis.channel for axis in last.layout.signal.axes] == [True, True, False]
    assert len(last.scores) == 3 * 4 * 3
    (every,) = attribute(model, x, axes=[1, 2, 3])
    assert not any(axis.channel for axis in every.layout.signal.axes)
    (plain,) = attribute(Linear(2, 4, 5), x[:, 0])
    assert not any(axis.channel for axis in plain.layout.signal.axes)
    (positions,) = attribute(model, x, axes=[2, 3], domain="identity:grain=position")
    assert len(positions.scores) == 20


@pytest.mark.parametrize("axes", [[0], [], [4], [-4], [1, 7]])
def test_axes_that_are_none(axes):
    with pytest.raises(InputError, match="axes"):
        attribute(Linear(2, 3, 4), noise(1, 3, 4), axes=axes)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(4),
        torch.zeros(0, 4),
        torch.zeros(2, 0),
        torch.zeros(2, 4, dtype=torch.long),
        torch.zeros(2, 4, dtype=torch.complex64),
        torch.full((2, 4), torch.nan),
        torch.full((2, 4), torch.inf),
    ],
)
def test_inputs_that_are_none(x):
    with pytest.raises(InputError):
        attribute(Linear(2, 4, dtype=torch.float32), x)


@pytest.mark.parametrize("target", [3, -1, "cat", [0], [0, 1, 2, 3, 4], [0, 1, 2, 9], True])
def test_targets_that_are_none(model, x, target):
    with pytest.raises((TargetError, InputError)) as caught:
        attribute(model, x, target=target)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("forward", "kind"),
    [
        (lambda v: v.sum(1), InputError),
        (lambda v: torch.stack([v, v], 1), InputError),
        (lambda v: v[:1], ModelError),
        (lambda v: v.detach(), ModelError),
        (lambda v: v * torch.nan, ModelError),
        (lambda v: v[:, :1], TargetError),
        (lambda v: {"scores": v}, ModelError),
    ],
)
def test_callables_that_cannot_be_explained(x, forward, kind):
    with pytest.raises(kind) as caught:
        attribute(forward, x)
    assert isinstance(caught.value, FourierError)


def test_a_gradient_that_is_not_finite(x):
    with pytest.raises(ModelError, match="gradient"):
        attribute(lambda v: (v * 0).sqrt() + v, x)


@pytest.mark.parametrize("batch_size", [0, -1, True])
def test_batch_sizes_that_are_none(model, x, batch_size):
    with pytest.raises(InputError, match="batch_size"):
        attribute(model, x, batch_size=batch_size)


def test_unknown_names(model, x):
    with pytest.raises(SpecError, match="'ffc'"):
        attribute(model, x, method="fffc")
    with pytest.raises(SpecError, match="'fourier'"):
        attribute(model, x, domain="furier")


def test_what_was_done_is_not_lost(model, x):
    """An error after some examples carries them."""

    def forward(v):
        if (v[:, 0] > 50).any():
            raise RuntimeError("broken example")
        return model(v)

    x[3, 0] = 99
    with pytest.raises(RuntimeError, match="broken") as caught:
        attribute(forward, x, batch_size=1)
    done = caught.value.completed
    assert sorted(done) == [0, 1, 2]
    assert torch.equal(done[2].signal, x[2])
    assert any("3 of 4" in note for note in caught.value.__notes__)


def test_batches_are_as_small_as_asked(x):
    model, seen = Smooth(5, 6), []

    def forward(v):
        seen.append(len(v))
        return model(v)

    attribute(forward, x, method="ffc", batch_size=3)
    assert max(seen) == 3
    assert sum(seen) == 6  # of them two to see whether the answer stays


def test_a_result_holds_no_batch(x):
    """Each result owns its tensors, so that one of many does not keep the others alive."""
    for one in attribute(Linear(2, 6), x):
        for tensor in (one.scores, one.signal, one.gradient):
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
            assert tensor.device.type == "cpu"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_results_key_is_its_examples(dtype):
    x = noise(2, 6, dtype=torch.float32).to(dtype)
    for row, result in zip(x, attribute(Smooth(3, 6, dtype=dtype), x, method="magnitude"), strict=True):
        assert result.key == fingerprint([row])


class Typed(torch.nn.Module):
    """A net whose weights are of one type, and that says which type its rows had."""

    def __init__(self, dtype):
        super().__init__()
        self.layer = torch.nn.Linear(6, 3, dtype=dtype)
        self.seen = set()

    def forward(self, x):
        out = self.layer(x)
        self.seen.add(x.dtype)
        return out


@pytest.mark.parametrize("own", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("given", [torch.float32, torch.float64, torch.float16])
def test_rows_have_the_users_type_where_the_net_takes_it_and_else_its_own(own, given):
    net, x = Typed(own), noise(2, 6).to(given)
    for forward in (net, net.forward, lambda rows: net(rows)):
        net.seen.clear()
        results = attribute(forward, x)
        assert net.seen == {own}
        said = [note for note in results[0].provenance["notes"] if str(own) in note]
        assert bool(said) == (own != given)
        assert results[0].signal.dtype == (torch.float64 if given == torch.float64 else torch.float32)
        assert torch.equal(results[0].signal, x[0].to(results[0].signal.dtype))


def test_a_net_that_takes_another_type_gets_it():
    """Entry by entry, float32 weights and float64 rows make float64."""
    weight, seen = torch.nn.Parameter(noise(3, 6, dtype=torch.float32)), []

    class Entries(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = weight

        def forward(self, x):
            seen.append(x.dtype)
            return (x.unsqueeze(1) * self.weight).sum(2)

    (result,) = attribute(Entries(), noise(1, 6))
    assert set(seen) == {torch.float64}
    assert not any("converted" in note for note in result.provenance["notes"])


def test_types_that_do_not_fit_and_advice_that_does():
    hidden = {"net": Typed(torch.float32).layer}
    weights = [hidden["net"].weight.detach()]  # no module shows

    def forward(x):
        return x @ weights[0].T

    with pytest.raises(ModelError, match=r"x\.float\(\)"):
        attribute(forward, noise(2, 6))
    assert len(attribute(forward, noise(2, 6).float())) == 2


def test_what_a_model_made_in_inference_mode_puts_in_its_buffers_stays(x):
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Smooth(3, *x.shape[1:])
            self.register_buffer("asked", torch.zeros(()))

        def forward(self, rows):
            self.asked = self.asked + 1
            return self.net(rows)

    with torch.inference_mode():
        model = Counting()
    attribute(model, x, 1)
    assert int(model.asked) > 0
