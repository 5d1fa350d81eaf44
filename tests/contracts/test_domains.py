"""The laws of all domains, over everything in the registry."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_fourier.domains import DOMAINS
from tests.toy_scores import ALL_SPECS, LEAVES, bound, noise, signal

CASES = [(spec, name) for spec in ALL_SPECS for name in LEAVES if bound(spec, LEAVES[name]) is not None]
BASES = {case: bound(case[0], LEAVES[case[1]]) for case in CASES}
ROWS = 3
TIGHT = {"rtol": 1e-9, "atol": 1e-10}


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def basis(request):
    return BASES[request.param]


def where(condition):
    """A law for bases that fulfil a condition alone, which it keeps as its `applies`."""
    cases = [case for case in CASES if condition(BASES[case])]
    mark = pytest.mark.parametrize("basis", cases, indirect=True, ids=lambda case: f"{case[0]} on {case[1]}")

    def limit(law):
        law.applies = condition
        return mark(law)

    return limit


def signals(basis, seed=0):
    return noise(ROWS, *basis.signal.shape, seed=seed)


def masks(basis, seed=7):
    return noise(ROWS, len(basis), seed=seed) > 0


@pytest.mark.parametrize("name", list(DOMAINS))
def test_every_domain_has_cases(name):
    assert any(spec.split(":")[0] == name for spec, _ in CASES)


def test_inverse(basis):
    x = signals(basis)
    back = basis.inverse(basis.forward(x))
    assert back.shape == x.shape
    torch.testing.assert_close(back, x, **TIGHT)


def test_linear(basis):
    x, y = signals(basis, 0), signals(basis, 1)
    torch.testing.assert_close(basis.forward(2 * x - 3 * y), 2 * basis.forward(x) - 3 * basis.forward(y), **TIGHT)


def test_pullback_is_the_adjoint_of_the_synthesis(basis):
    a, b = signals(basis, 0), signals(basis, 1)
    inner = basis.inner(basis.pullback(a), basis.forward(b))
    assert inner.shape == (ROWS, len(basis))
    torch.testing.assert_close(inner.sum(1), (a * b).flatten(1).sum(1), **TIGHT)
    some = masks(basis)
    rebuilt = basis.keep_features(basis.forward(b), some)
    torch.testing.assert_close((inner * some).sum(1), (a * rebuilt).flatten(1).sum(1), **TIGHT)


@where(lambda basis: basis.parseval)
def test_parseval_where_declared(basis):
    x = signals(basis)
    f = basis.forward(x)
    torch.testing.assert_close(basis.inner(f, f).sum(1), x.square().flatten(1).sum(1), **TIGHT)
    torch.testing.assert_close(basis.pullback(x), f, **TIGHT)


def test_real_output_from_any_coefficients(basis):
    f = basis.forward(signals(basis))
    if f.is_complex():
        f = f * torch.exp(1j * noise(*f.shape, seed=3))
    out = basis.inverse(f)
    assert not out.is_complex()
    assert out.isfinite().all()


def test_keep_and_delete_make_the_whole(basis):
    x, mask = signals(basis), masks(basis)
    f = basis.forward(x)
    torch.testing.assert_close(basis.keep_features(f, mask) + basis.keep_features(f, ~mask), x, **TIGHT)
    torch.testing.assert_close(basis.keep_features(f, mask | True), x, **TIGHT)
    assert not basis.keep_features(f, mask & False).any()


@where(lambda basis: basis.redundancy == 1)
def test_deletion_zeroes_the_deleted_and_nothing_else(basis):
    x, mask = signals(basis), masks(basis)
    f = basis.forward(x)
    again = basis.forward(basis.keep_features(f, mask))
    assert basis.magnitude(again)[~mask].abs().sum() < 1e-10
    torch.testing.assert_close(basis.magnitude(again)[mask], basis.magnitude(f)[mask], **TIGHT)
    torch.testing.assert_close(again, basis.scale_features(f, mask.double()), **TIGHT)


@where(lambda basis: len(basis) <= 80)
def test_one_feature_at_a_time_adds_up(basis):
    """Each feature's own part of the signal; nothing is shared, nothing is left."""
    x = signals(basis)[:1]
    f = basis.forward(x).expand(len(basis), -1)
    parts = basis.keep_features(f, torch.eye(len(basis), dtype=torch.bool))
    torch.testing.assert_close(parts.sum(0, keepdim=True), x, **TIGHT)
    if basis.layout.redundancy == 1 and basis.parseval:
        flat = parts.flatten(1)
        power = basis.inner(basis.forward(x), basis.forward(x))[0]
        torch.testing.assert_close(flat @ flat.T, torch.diag(power), **TIGHT)


def test_rows_do_not_see_each_other(basis):
    x, mask = signals(basis), masks(basis)
    f = basis.forward(x)
    for i in range(ROWS):
        one = basis.forward(x[i : i + 1])
        torch.testing.assert_close(one, f[i : i + 1], rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(
            basis.keep_features(one, mask[i : i + 1])[0], basis.keep_features(f, mask)[i], rtol=1e-12, atol=1e-13
        )


def test_multiplicities_are_degrees_of_freedom(basis):
    n = torch.Size(basis.signal.shape).numel()
    assert (basis.multiplicity >= 1).all()
    assert basis.layout.redundancy == int(basis.multiplicity.sum()) / n >= 1
    assert basis.layout.total == int(basis.multiplicity.sum())
    assert torch.equal(basis.layout.multiplicity, basis.multiplicity)
    assert len(basis) == len(basis.layout) == len(basis.multiplicity)


def test_magnitude_is_a_root_mean_square(basis):
    f = basis.forward(signals(basis))
    m = basis.magnitude(f)
    assert (m >= 0).all()
    torch.testing.assert_close(m.square() * basis.multiplicity, basis.inner(f, f), **TIGHT)


def test_inner_is_bilinear_and_symmetric(basis):
    a, b, c = (basis.forward(signals(basis, seed)) for seed in range(3))
    torch.testing.assert_close(basis.inner(a, b), basis.inner(b, a), **TIGHT)
    torch.testing.assert_close(basis.inner(a, 2 * b + c), 2 * basis.inner(a, b) + basis.inner(a, c), **TIGHT)


def test_weights_multiply_features(basis):
    f = basis.forward(signals(basis))
    w = noise(ROWS, len(basis), seed=5)
    weighed = basis.scale_features(f, w)
    torch.testing.assert_close(basis.magnitude(weighed), basis.magnitude(f) * w.abs(), **TIGHT)
    torch.testing.assert_close(basis.inner(f, weighed), basis.inner(f, f) * w, **TIGHT)


def test_the_layout_tells_features_apart(basis):
    layout = basis.layout
    assert layout.columns
    assert all(column.values.shape == (len(basis),) for column in layout.columns)
    places = {tuple(layout.describe(k).values()) for k in range(len(basis))}
    assert len(places) == len(basis)
    names = {axis.name for axis in basis.signal.axes}
    assert all(column.axis in names or column.role == "segment" for column in layout.columns if column.axis)
    assert all(layout.label(k) for k in range(min(5, len(basis))))
    if layout.radius is not None:
        assert layout.radius.shape == (len(basis),)
        assert (layout.radius >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_transforms_are_in_float32_or_better(basis, dtype):
    x = signals(basis).to(dtype)
    f = basis.forward(x)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert f.abs().dtype == wide
    back = basis.inverse(f)
    assert back.dtype == wide
    assert basis.keep_features(f, masks(basis)).dtype == wide
    assert basis.magnitude(f).dtype == basis.inner(f, f).dtype == wide
    torch.testing.assert_close(back, x.to(wide), rtol=1e-5, atol=1e-5)


def test_the_input_is_left_alone(basis):
    x = signals(basis)
    f = basis.forward(x)
    x0, f0 = x.clone(), f.clone()
    basis.pullback(x)
    basis.inverse(f)
    basis.keep_features(f, masks(basis))
    basis.inner(f, f)
    basis.magnitude(f)
    assert torch.equal(x, x0)
    assert torch.equal(f, f0)


@pytest.mark.parametrize("spec", ALL_SPECS)
def test_a_spec_names_the_domain_again(spec):
    domain = DOMAINS.parse(spec)
    assert dataclasses.is_dataclass(domain)
    assert DOMAINS.parse(DOMAINS.spec(domain)) == domain
    shape = next(LEAVES[name] for s, name in CASES if s == spec)
    basis = domain.bind(shape)
    assert DOMAINS.parse(basis.layout.domain) == domain
    assert basis.layout.signal == shape
    assert domain.bind(shape) is basis


@pytest.mark.parametrize("spec", ALL_SPECS)
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=3), seed=st.integers(0, 2**31), data=st.data())
def test_any_shape_obeys(spec, sizes, seed, data):
    channels = data.draw(st.sets(st.integers(0, len(sizes) - 1), max_size=len(sizes) - 1))
    basis = bound(spec, signal(*sizes, channels=tuple(channels)))
    if basis is None:
        return
    x, g = noise(2, *sizes, seed=seed), noise(2, *sizes, seed=seed + 1)
    mask = noise(2, len(basis), seed=seed + 2) > 0
    f = basis.forward(x)
    torch.testing.assert_close(basis.inverse(f), x, **TIGHT)
    kept = basis.keep_features(f, mask)
    torch.testing.assert_close((basis.inner(basis.pullback(g), f) * mask).sum(1), (g * kept).flatten(1).sum(1), **TIGHT)
    assert basis.layout.redundancy == int(basis.multiplicity.sum()) / torch.Size(sizes).numel()
    if basis.layout.redundancy == 1:
        torch.testing.assert_close(basis.forward(kept), basis.scale_features(f, mask.double()), **TIGHT)
