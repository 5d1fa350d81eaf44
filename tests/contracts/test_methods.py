"""The contracts of all methods, over everything in the registry, on toy scores."""

import dataclasses
import math

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.base import PROPERTIES
from hf_fourier.scoring.heads import Binary, Categorical, Regression
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import ALL_SPECS, METHOD_SPECS, Guard, Linear, Smooth, fitted_spec, noise, score_of, signal

every = pytest.mark.parametrize("method", METHOD_SPECS)
ROWS, SIZES = 5, (5, 6)


@pytest.fixture
def model():
    return Smooth(3, *SIZES, dtype=torch.float32).eval()


@pytest.fixture
def x():
    return noise(ROWS, *SIZES, dtype=torch.float32)


def same(got, expected, rtol=1e-4):
    """Scores agree relative to the largest of each example, and so do the readings."""
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.scores, b.scores, rtol=rtol, atol=rtol * float(b.scores.abs().max()))
        assert (a.target, a.label, a.key) == (b.target, b.label, b.key)
        assert a.value == pytest.approx(b.value, rel=1e-4)
        assert a.confidence == pytest.approx(b.confidence, rel=1e-4)
        assert [p for _, p in a.top_predictions] == pytest.approx([p for _, p in b.top_predictions], rel=1e-4)
        assert (a.gradient is None) == (b.gradient is None)
        if a.gradient is not None:
            torch.testing.assert_close(a.gradient, b.gradient, rtol=1e-3, atol=1e-6)
        assert torch.equal(a.signal, b.signal)


@every
def test_one_finite_score_per_feature(method, model, x):
    for one, row in zip(attribute(model, x, method=method), x, strict=True):
        assert one.scores.shape == (len(one.layout),)
        assert one.scores.isfinite().all()
        assert one.scores.dtype == torch.float32
        assert not one.scores.requires_grad
        assert torch.equal(one.signal, row)
        assert sorted(one.order.tolist()) == list(range(len(one.layout)))


@every
@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 8),
        torch.ones(2, 8),
        torch.eye(8)[:2],
        torch.cos(torch.arange(16) * torch.pi / 4).expand(2, -1),
        torch.ones(1, 1),
        torch.zeros(1, 1),
        torch.ones(2, 1, 7),
        torch.zeros(1, 3, 4, 4),
        1e-30 * noise(2, 9),
        (1e15 * noise(2, 9)).float(),
    ],
    ids=["zeros", "constant", "impulse", "tone", "one", "one zero", "1x7", "black", "tiny", "huge"],
)
def test_degenerate_inputs(method, x):
    for kind in (Linear, Smooth):
        dtype = x.dtype
        for one in attribute(kind(3, *x.shape[1:], dtype=dtype).eval(), x, method=method):
            assert one.scores.isfinite().all()
            torch.testing.assert_close(
                one.keep_top(1.0), one.signal, rtol=1e-5, atol=1e-5 * float(one.signal.abs().max())
            )


@every
@pytest.mark.parametrize("domain", [*ALL_SPECS, fitted_spec("prca", math.prod(SIZES), 6)])
def test_every_domain_or_an_error_that_says_why(method, domain, model, x):
    try:
        results = attribute(model, x[:2], method=method, domain=domain)
    except SpecError as error:
        assert error.hint  # noqa: PT017
        limited = method in ("low_frequency", "phase_gradient")  # one needs frequencies, the other phases
        limited |= "channels=apart" in domain  # which these signals have not
        limited |= "entries, these axes" in str(error)  # of directions that were fitted to other signals
        assert limited or METHODS.parse(method).default_domain is not None
        return
    assert all(one.scores.isfinite().all() for one in results)
    assert all(DOMAINS.parse(one.layout.domain) == DOMAINS.parse(domain) for one in results)


@every
def test_segments(method):
    """Two pieces of one example, each transformed by itself."""
    shape = signal(12, 2, channels=(1,), segments=(7, 5))
    chosen = METHODS.parse(method).resolve(shape)
    basis = DOMAINS.parse(chosen.default_domain or "fourier").bind(shape)
    score = score_of(Smooth(3, 12, 2).eval(), noise(3, 12, 2))
    ranking = chosen.attribute(score, score.signal, basis, ExampleRng(0, [1, 2, 3]))
    assert ranking.scores.shape == (3, len(basis))
    assert ranking.scores.isfinite().all()


@every
@pytest.mark.parametrize("head", [Categorical(), Binary(), Regression()])
def test_every_head(method, head):
    basis = DOMAINS.parse(METHODS.parse(method).default_domain or "fourier").bind(signal(6))
    score = score_of(Smooth(3, 6).eval(), noise(2, 6), head)
    ranking = METHODS.parse(method).resolve(signal(6)).attribute(score, score.signal, basis, ExampleRng(0, [1, 2]))
    assert ranking.scores.isfinite().all()


@every
@pytest.mark.parametrize("batch_size", [1, 2, 3, ROWS])
def test_the_batch_changes_nothing(method, batch_size, model, x):
    expected = [attribute(model, row.unsqueeze(0), method=method)[0] for row in x]
    same(attribute(model, x, method=method, batch_size=batch_size), expected)


@every
def test_the_order_changes_nothing(method, model, x):
    expected = attribute(model, x, method=method)
    order = [3, 0, 4, 1, 2]
    same(attribute(model, x[order], method=method, batch_size=2), [expected[i] for i in order])


@every
@pytest.mark.parametrize("limit", [{"most": 2}, {"backwards": 1}], ids=str)
def test_running_out_of_memory_changes_nothing(method, limit, model, x):
    expected = attribute(model, x, method=method)
    guard = Guard(model, **limit)
    got = attribute(guard, x, method=method)
    same(got, expected)
    if guard.backward_rows or "most" in limit:
        assert all(one.provenance["halvings"] >= 1 for one in got)
        assert all(one.provenance["batch"] <= 2 for one in got)
    assert all(one.provenance["halvings"] == 0 for one in expected)


@every
def test_the_seed(method, model, x):
    first, again, other = (attribute(model, x, method=method, seed=s) for s in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.scores, b.scores)
        assert torch.equal(a.order, b.order)
    seeded = "seeded" in METHODS.parse(method).properties_for(len(first[0].scores))
    assert all(torch.equal(a.scores, b.scores) != seeded for a, b in zip(first, other, strict=True))


@every
def test_the_passes_are_those_it_states(method, model, x):
    guard = Guard(model)
    results = attribute(guard, x, method=method, contributions=0)
    passes = METHODS.parse(method).resolve(signal(*SIZES)).passes
    beside = sum(one.provenance.get("checks", {"forward": 0})["forward"] for one in results)
    ran = guard.forward_rows - beside
    if passes is None:  # the model decides; what a result tells is what was run
        passes = ran / ROWS, guard.backward_rows / ROWS
    forward, backward = passes
    assert (ran, guard.backward_rows) == (forward * ROWS, backward * ROWS)
    for one in results:
        told = one.provenance["passes"]
        assert (told["forward"], told["backward"]) == (forward, backward)


@every
@pytest.mark.parametrize("as_module", [True, False])
def test_no_parameter_gradient_and_nothing_left_behind(method, as_module, x):
    class Weighing(torch.nn.Module):
        """Says whether a gradient of its weight was ever asked for."""

        def __init__(self):
            super().__init__()
            self.inner = Smooth(3, *SIZES, dtype=torch.float32)
            self.asked = []
            for parameter in self.inner.parameters():
                parameter.register_hook(lambda gradient: self.asked.append(gradient))

        def forward(self, v):
            return self.inner(v)

    model = Weighing()
    model.inner.out.requires_grad_(False)
    model.inner.train()
    model.inner.drop.eval() if not as_module else None
    model.inner.into.grad = torch.ones_like(model.inner.into)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    modes = [m.training for m in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
    attribute(model if as_module else lambda v: model(v), x, method=method)
    assert not model.asked
    assert torch.equal(model.inner.into.grad, torch.ones_like(model.inner.into))
    assert model.inner.out.grad is None
    assert (model.inner.into.requires_grad, model.inner.out.requires_grad) == (True, False)
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert hooks == [
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()
    ]


@every
def test_a_model_is_restored_after_an_error(method, x):
    model = Smooth(3, *SIZES, dtype=torch.float32).train()
    with pytest.raises(Exception, match="0 to 2"):
        attribute(model, x, target=99, method=method)
    assert model.training
    assert model.drop.training
    assert all(p.requires_grad for p in model.parameters())


@every
def test_a_module_is_in_evaluation_mode(method, x):
    """Dropout would change the answer from call to call."""
    model = Smooth(3, *SIZES, dtype=torch.float32).train()
    same(attribute(model, x, method=method), attribute(model, x, method=method))


@every
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_torch_is_left_as_it_was(method, mode, model, x):
    expected = attribute(model, x, method=method)

    def state():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_rng_state().tolist(),
        )

    with mode():
        before = state()
        got = attribute(model, x, method=method)
        assert state() == before
    same(got, expected)


@every
def test_the_default_dtype_does_not_matter(method, model, x):
    expected = attribute(model, x, method=method)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        got = attribute(model, x, method=method)
    finally:
        torch.set_default_dtype(before)
    same(got, expected)
    assert all(one.scores.dtype == torch.float32 for one in got)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes(method, dtype, x):
    """float64 stays so; half precision goes into the model alone."""
    seen = set()
    model = Linear(3, *SIZES, dtype=dtype)

    def forward(v):
        seen.add(v.dtype)
        return model(v)

    for one in attribute(forward, x.to(dtype), method=method):
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        assert one.scores.dtype == one.signal.dtype == one.keep_top(0.5).dtype == wide
        assert one.scores.isfinite().all()
    assert seen == {dtype}


@every
def test_the_input_is_left_alone(method, model, x):
    given, needs = x.clone(), x.clone().requires_grad_(True)
    attribute(model, given, method=method)
    assert torch.equal(given, x)
    same(attribute(model, needs, method=method), attribute(model, x.mT.contiguous().mT, method=method))
    assert needs.grad is None


@every
def test_the_clean_gradient(method, model, x):
    """Where a method takes a gradient it hands on the score's own at the clean example."""
    for one, row in zip(attribute(model, x, method=method), x, strict=True):
        if one.gradient is None:
            assert one.provenance["passes"]["backward"] == 0
            continue
        expected = model.log_p_gradient(row.double().numpy(), one.target).reshape(SIZES)
        torch.testing.assert_close(one.gradient.double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-6)


@every
def test_what_it_says_of_itself(method, model, x):
    traits = METHODS.parse(method).properties
    assert set(traits) <= set(PROPERTIES)
    for one in attribute(model, x, method=method):
        assert (one.completeness_error is not None) == ("complete" in traits)
        assert ("adversarial" in one.extras) == ("attack" in traits)


@every
def test_a_method_is_its_configuration(method):
    chosen = METHODS.parse(method)
    assert METHODS.parse(METHODS.spec(chosen)) == chosen
    assert METHODS.parse(chosen) is chosen
    assert chosen.reference
    assert type(chosen).__doc__
    settled = chosen.resolve(signal(4))
    assert type(settled) is type(chosen)
    assert settled.resolve(signal(4)) == settled
    fields = dataclasses.fields(chosen)
    if fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(chosen, fields[0].name, None)
    for preset in chosen.presets:
        assert isinstance(METHODS.parse(f"{chosen.name}:preset={preset}"), type(chosen))


@every
def test_the_provenance_says_how(method, model, x):
    (one, *_) = attribute(model, x, method=method, seed=5)
    told = one.provenance
    assert METHODS.parse(told["method"]) == METHODS.parse(method).resolve(one.layout.signal)
    assert DOMAINS.parse(told["domain"]) == DOMAINS.parse(METHODS.parse(method).default_domain or "fourier")
    assert told["seed"] == 5
    assert told["seconds"] > 0
    assert told["model"] == "Smooth"


@every
@pytest.mark.parametrize("feature", [1, 9, 20])
def test_a_planted_feature_comes_first(method, feature):
    """The model reads one feature of the method's home domain; all features of the example are equally strong.

    Where that has too few features it is one frequency.

    The phase that it reads is an eighth of a turn away from the example's, so that both amplitude and phase count.
    """
    chosen = METHODS.parse(method)
    domain = DOMAINS.parse(chosen.default_domain or "fourier")
    if feature >= len(domain.bind(signal(48))):
        domain = DOMAINS.parse("fourier")
    basis = domain.bind(signal(48))
    features = torch.arange(len(basis))
    owners = features if basis.feature_of_bin is None else basis.feature_of_bin
    stored = basis.forward(noise(1, 48))
    loud = stored / stored.abs()
    offset = complex(1, 1) / 2**0.5 if loud.is_complex() else 1
    read = basis.inverse(torch.where(owners == feature, loud * offset, 0))
    x = basis.inverse(loud) / 4
    weight = 2 * read[0] / read.square().sum().sqrt()
    (one,) = attribute(lambda v: torch.stack([0 * (v @ weight), v @ weight], 1), x, method=method, domain=domain)
    assert one.target == 1
    assert (int(one.order[0]) == feature) != chosen.control


@every
def test_equal_functions_get_equal_answers(method, x):
    """Another network that computes the same: hidden units in another order, some of them twice, some turned around."""
    one = Smooth(3, *SIZES).eval()
    other = Smooth(3, *SIZES).eval()
    order, signs = torch.tensor([3, 1, 0, 2, 7, 6, 5, 4, 4]), torch.tensor([1, -1, 1, -1, 1, 1, -1, 1, 1.0])
    halves = torch.tensor([1, 1, 1, 1, 1, 1, 1, 0.25, 0.75]).double()
    other.into = torch.nn.Parameter(one.into.detach()[order] * signs[:, None])
    other.out = torch.nn.Parameter(one.out.detach()[:, order] * signs * halves)
    wide = x.double()
    for a, b in zip(attribute(one, wide, method=method), attribute(other, wide, method=method), strict=True):
        torch.testing.assert_close(a.scores, b.scores, rtol=1e-7, atol=1e-9 * float(a.scores.abs().max()))
        assert a.value == pytest.approx(b.value)


@pytest.mark.parametrize("name", sorted({METHODS.parse(spec).name for spec in METHOD_SPECS}))
def test_the_defaults_cost_what_they_state(name, model, x):
    """Once with every parameter as it comes; the other contracts use fewer samples where there are many."""
    (one,) = attribute(model, x[:1], method=name, contributions=0)
    stated = METHODS.parse(name).resolve(one.layout.signal).passes
    told = one.provenance["passes"]
    assert stated is None or (told["forward"], told["backward"]) == stated
