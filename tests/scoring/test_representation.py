"""Which layer a representation is read from, and how far answers are from reference answers, against plain torch."""

from types import SimpleNamespace

import pytest
import torch

from hf_fourier.errors import SpecError
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.heads import AnswerSpanHead, Binary, Categorical, ContrastHead, Regression, Transcript
from hf_fourier.scoring.heads.detection import Detections
from hf_fourier.scoring.heads.outputs import logits_of
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import IGNORED
from tests.toy_scores import noise


class Net(torch.nn.Module):
    """A body and a head; `form` is how the head's output becomes logits."""

    def __init__(self, form=lambda z: z, width=5, classes=3, head=None):
        super().__init__()
        self.body = torch.nn.Linear(4, width)
        self.head = head or torch.nn.Linear(width, classes)
        self.form = form

    def forward(self, x):
        self.states = torch.tanh(self.body(x))
        return SimpleNamespace(logits=self.form(self.head(self.states)))


def score_of(model, x, head=None, select=None, size=2):
    select = select or (lambda outputs, rows: logits_of(outputs))
    targets = [None] * len(x)
    return Score(
        x, lambda signal, rows: model(signal), select, head or Categorical(), targets, MicroBatcher(size), model=model
    )


def representation(score, name="auto"):
    return torch.cat(score.represent(score.signal, lambda part: part.values, name)), score.representation(name)


@pytest.mark.parametrize(
    ("form", "select", "states"),
    [
        (None, None, lambda s: s),  # (rows, classes) at once
        (lambda z: z[:, -1], None, lambda s: s[:, -1]),  # the logits of the last position
        (lambda z: z, lambda outputs, rows: logits_of(outputs)[:, 1], lambda s: s[:, 1]),  # the head reads one position
        (lambda z: z, None, lambda s: s.flatten(1)),  # all positions
    ],
    ids=["classifier", "last token", "one position", "tokens"],
)
def test_the_input_of_the_head_at_the_positions_that_are_read(form, select, states):
    model = Net(form or (lambda z: z)).eval()
    x = noise(3, 4, dtype=torch.float32) if form is None else noise(3, 6, 4, dtype=torch.float32)
    values, found = representation(score_of(model, x, select=select))
    model(x)
    torch.testing.assert_close(values, states(model.states.detach()))
    assert found.description == "the input of head"


def test_every_choice_is_one_row_of_the_head():
    model = Net(lambda z: z.reshape(-1, 3), classes=1).eval()
    x = noise(2, 3, 4, dtype=torch.float32)

    def run(signal, rows):
        return model(signal.flatten(0, 1))

    score = Score(x, run, lambda out, rows: out.logits, Categorical(), [None] * 2, MicroBatcher(2), model=model)
    values, _ = representation(score)
    torch.testing.assert_close(values, torch.tanh(model.body(x.flatten(0, 1))).detach().view(2, -1))


def test_the_channels_before_a_convolution():
    model = Net(head=torch.nn.Conv2d(4, 3, 1))
    model.body = torch.nn.Conv2d(2, 4, 3, padding=1)
    x = noise(2, 2, 5, 5, dtype=torch.float32)
    values, _ = representation(score_of(model.eval(), x, Mask()))
    model(x)
    torch.testing.assert_close(values, model.states.detach().flatten(1))


def test_logits_without_a_layer_that_makes_them():
    """A similarity of two embeddings: no layer's output has the form of the logits."""
    model = Net(lambda z: z @ torch.eye(3, 4))
    x = noise(3, 4, dtype=torch.float32)
    values, found = representation(score_of(model.eval(), x))
    logits = model(x).logits.detach()
    torch.testing.assert_close(values, logits - logits.mean(1, keepdim=True))
    assert found.description == "the logits"


def test_layers_by_name_and_all_passes_the_same():
    model = Net().eval()
    score = score_of(model, noise(5, 4, dtype=torch.float32))
    by_name, found = representation(score, "body")
    torch.testing.assert_close(by_name, model.body(score.signal).detach())
    assert found.description == "the output of body"
    first, _ = representation(score)
    second = torch.cat(score.represent(score.signal[:1], lambda part: part.values))
    torch.testing.assert_close(first[:1], second)
    with pytest.raises(SpecError, match="name of a module"):
        score.representation("nothing")
    assert not model._forward_hooks
    assert not any(module._forward_hooks for module in model.modules())


def test_gradients_and_the_count_of_passes():
    model, x = Net().eval(), noise(3, 4, dtype=torch.float32)
    score = score_of(model, x)

    def visit(part):
        return part.gradient(lambda h: h.square().sum(1), last=False), part.gradient_of_value()

    squares, values = (torch.cat(parts) for parts in zip(*score.represent(x, visit), strict=True))
    signal = x.clone().requires_grad_(True)
    model(signal)
    (expected,) = torch.autograd.grad(model.states.square().sum(), signal)
    torch.testing.assert_close(squares, expected)
    torch.testing.assert_close(values, score_of(model, x).clean().gradient)
    assert (score.passes.forward, score.passes.backward) == (3, 6)
    score.clean_reading()
    assert score.passes.forward == 3  # it was the clean evaluation


HEADS = {
    "softmax": (Categorical(), (2, 4), None),
    "tokens": (Categorical(), (2, 3, 4), None),
    "span": (AnswerSpanHead(), (2, 2, 5), None),
    "sigmoid": (Binary(), (2, 4), None),
    "contrast": (ContrastHead(), (2, 4), torch.tensor([[0, 1, 1], [1, 2, 1]])),
    "value": (Regression(), (2, 1), None),
    "transcript": (Transcript(), (2, 6, 4), None),
    "mask": (Mask(), (2, 3, 4, 4), None),
    "one logit": (Mask(), (2, 1, 4, 4), None),
    "boxes": (Detections(classes=3), (2, 5, 8), None),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_divergence_is_zero_at_the_reference_and_above_it_elsewhere(name):
    head, shape, frozen = HEADS[name]
    logits, reference = noise(*shape, seed=1), noise(*shape, seed=2)
    frozen = head.freeze(reference, [None] * shape[0]) if frozen is None else frozen
    at = reference.clone().requires_grad_(True)
    same = head.divergence(at, reference, frozen)
    assert same.shape == (2,)
    assert float(same.abs().max()) < 1e-12
    (gradient,) = torch.autograd.grad(same.sum(), at)
    assert float(gradient.abs().max()) < 1e-12
    assert bool((head.divergence(logits, reference, frozen) > 1e-3).all())


def test_divergences_are_the_textbooks():
    z, r = noise(3, 4, seed=1), noise(3, 4, seed=2)
    p, q = z.softmax(1), r.softmax(1)
    frozen = r.argmax(1)
    torch.testing.assert_close(Categorical().divergence(z, r, frozen), (q * (q / p).log()).sum(1))
    yes, no = (
        (r.sigmoid() * (r.sigmoid() / z.sigmoid()).log()),
        (-r).sigmoid() * ((-r).sigmoid() / (-z).sigmoid()).log(),
    )
    torch.testing.assert_close(Binary().divergence(z, r, frozen), (yes + no).mean(1))
    torch.testing.assert_close(Regression().divergence(z, r, frozen), (z - r).square().mean(1))


def test_only_positions_that_count_diverge():
    r = noise(1, 3, 4, seed=2)
    z = r.clone()
    z[0, 2] += torch.tensor([3.0, 0, 0, 0])
    everywhere, elsewhere = r.argmax(-1), r.argmax(-1)
    elsewhere[0, 2] = -100
    assert float(Categorical().divergence(z, r, everywhere)) > 0.01
    frozen = torch.where(elsewhere == -100, -1, elsewhere)
    assert float(Categorical().divergence(z, r, frozen)) == pytest.approx(0, abs=1e-12)


def test_a_shift_of_all_logits_changes_nothing_where_a_class_is_ruled_out():
    x, out = noise(3, 4, dtype=torch.float32), torch.tensor([False, True, False])
    weight = noise(4, 3, seed=1, dtype=torch.float32)

    class Bare(torch.nn.Module):
        shift = 0.0

        def forward(self, x):
            return SimpleNamespace(logits=torch.where(out, -torch.inf, x @ weight + self.shift))

    z = (x @ weight)[:, ~out]
    model, expected = Bare(), torch.zeros(3, 3).masked_scatter(~out, z - z.mean(1, keepdim=True))
    for model.shift in (0.0, 5.0):
        torch.testing.assert_close(representation(score_of(model, x))[0], expected)


def test_ruled_out_classes_have_no_gradient():
    z = torch.tensor([[0.0, 1.0, -torch.inf]], requires_grad=True)
    r = torch.tensor([[1.0, 0.0, -torch.inf]])
    (gradient,) = torch.autograd.grad(Categorical().divergence(z, r, torch.tensor([0])).sum(), z)
    assert bool(gradient.isfinite().all())
    assert gradient[0, 2] == 0


def test_a_sure_reference_is_softened():
    """Where both answers are sure of one class, the divergence still has a slope."""
    z = torch.tensor([[500.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(
        Categorical().divergence(z, torch.tensor([[900.0, 0.0]]), torch.tensor([0])).sum(), z
    )
    assert float(gradient.abs().max()) > 1e-6


def test_the_answer_of_another_label():
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    other = Categorical().with_decision(logits, torch.tensor([1, 1]))
    assert torch.equal(other, torch.tensor([[1.0, 3.0, 2.0], [0.0, 5.0, 1.0]]))


def test_masks_over_many_classes_are_compared_in_their_own_type():
    """A float64 copy of large maps, several times over, would fill the memory."""
    from hf_fourier.scoring.heads import log_odds

    z, r = noise(1, 2, 3, seed=1).float(), noise(1, 2, 3, seed=2).float()
    assert log_odds.softmax_divergence(z, r).dtype == torch.float64
    large = torch.zeros(1, 2**19, 3)
    assert log_odds.softmax_divergence(large, large).dtype == torch.float32


def test_masks_of_queries_are_compared_too():
    """Universal segmentation: where only the masks differ, the answers do."""
    head = Detections(classes=3, boxes=False)
    reference = noise(2, 5, 4 + 9, seed=2)
    frozen = head.freeze(reference, [None] * 2)
    other = torch.cat([reference[..., :4], -reference[..., 4:]], dim=-1)
    assert bool((head.divergence(other, reference, frozen) > 1e-3).all())
    assert float(head.divergence(reference, reference, frozen).abs().max()) < 1e-12


def test_the_answer_of_another_label_at_one_of_several_places():
    logits = torch.tensor([[[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]]])
    other = Categorical().with_decision(logits, torch.tensor([[IGNORED, 2]]))
    assert torch.equal(other, torch.tensor([[[3.0, 1.0, 2.0], [0.0, 1.0, 5.0]]]))
