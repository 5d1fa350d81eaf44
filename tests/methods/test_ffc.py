"""FFC against the plain full complex FFT in float64 numpy, bin by bin, and on models that read known frequencies."""

import math

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS, Fourier
from hf_fourier.errors import SpecError
from hf_fourier.methods import FFC, METHODS
from hf_fourier.methods.ffc import correlation_scores
from tests.toy_scores import Linear, Smooth, full_bins, full_spectrum, noise, signal

SHAPES = [(12,), (13,), (5, 6), (3, 4, 6)]


def displacement(model, x, y, method):
    """The walk of METHODS §2 in numpy, with the gradient of −CE by the textbook formula."""
    d = np.zeros(x.size)
    for _ in range(method.steps):
        g = model.log_p_gradient(x + d.reshape(x.shape), y)
        if method.rule == "absolute":
            d = d + method.lr * g
        else:
            d = d + method.kappa / method.steps * np.linalg.norm(x) * g / np.linalg.norm(g)
    return d.reshape(x.shape)


def expected(x, d, layout, lam):
    """λ|F|_k + 2<D, F>_k/(m_k|F|_k) over the features' bins of the full spectrum."""
    f, g = full_spectrum(x, layout), full_spectrum(d, layout)
    scores = []
    for bins in full_bins(layout):
        size = np.sqrt((np.abs(f[bins]) ** 2).mean())
        scores.append(lam * size + 2 * (g[bins].conj() * f[bins]).real.sum() / (len(bins) * size))
    return np.array(scores)


def check(model, x, method, domain="fourier", rtol=1e-7):
    results = attribute(model, x, method=method, domain=domain)
    settled = METHODS.parse(method)
    for one, result in zip(x.double().numpy(), results, strict=True):
        lam = settled.lam
        if settled.rule == "relative" and settled.kappa is None:
            settled = FFC(kappa=0.03, steps=settled.steps, lam=lam)
        d = displacement(model, one, result.target, settled)
        scores = expected(one, d, result.layout, lam)
        scale = np.abs(scores).max()
        np.testing.assert_allclose(result.scores.numpy(), scores, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [Linear, Smooth])
@pytest.mark.parametrize(
    "method", [FFC(), FFC(lam=0.0), FFC(kappa=0.5), FFC(kappa=0.1, steps=4, lam=0.3), FFC(steps=7)]
)
def test_relative(sizes, kind, method):
    check(kind(3, *sizes).eval(), noise(2, *sizes, seed=5), method)


@pytest.mark.parametrize("preset", list(FFC.presets))
@pytest.mark.parametrize("kind", [Linear, Smooth])
def test_each_published_preset(preset, kind):
    check(kind(3, 4, 5).eval(), noise(2, 4, 5, seed=5), f"ffc:preset={preset}", rtol=1e-6)


@pytest.mark.parametrize("domain", ["fourier:grain=frequency", "fourier:axes=0+", "fourier:axes=1+,grain=frequency"])
def test_other_features(domain):
    check(Smooth(3, 4, 5).eval(), noise(2, 4, 5, seed=5), FFC(kappa=0.2), domain)


@pytest.mark.parametrize("kind", [Linear, Smooth])
def test_float32_agrees(kind):
    check(kind(3, 5, 6, dtype=torch.float32).eval(), noise(2, 5, 6, seed=5).float(), FFC(kappa=0.1), rtol=2e-4)


@pytest.mark.parametrize("lr", [0.1, 5.0, 500.0])
def test_one_absolute_step_is_the_published_score(lr):
    """2 Re(conj(F')F)/|F| − |F| on every bin of the spectrum of x and of the x' that was walked to."""
    model, x = Smooth(3, 4, 6).eval(), noise(1, 4, 6, seed=5)
    (result,) = attribute(model, x, method=FFC(rule="absolute", lr=lr))
    one = x[0].numpy()
    walked = one + lr * model.log_p_gradient(one, result.target).reshape(one.shape)
    f, f2 = full_spectrum(one, result.layout), full_spectrum(walked, result.layout)
    published = 2 * (f2.conj() * f).real / np.abs(f) - np.abs(f)
    for score, bins in zip(result.scores.numpy(), full_bins(result.layout), strict=True):
        np.testing.assert_allclose(published[bins], score, rtol=1e-8)


def test_the_presets_are_the_published_ones():
    """By the effective step lr/B and the number of steps."""
    told = {name: (p["lr"], p["steps"]) for name, p in FFC.presets.items()}
    assert 20 <= told.pop("rectification")[0] <= 25
    assert told == {
        "imagenet-resnet50": (5, 40),
        "imagenet-vit": (5, 50),
        "imagenet-maintain-rate": (3.33, 50),
        "imagenet-released": (500, 1),
        "cifar": (1, 1),
        "sensitivity-imagenet": (7.8, 1),
        "sensitivity-cifar": (0.78, 1),
        "ground-truth": (0.625, 20),
        "geneformer": (31, 10),
        "audio": (7.8, 50),
        "unet": (0.25, 60),
    }
    for name in FFC.presets:
        method = METHODS.parse(f"ffc:preset={name}")
        assert (method.rule, method.lam) == ("absolute", 1)
        assert method.passes == (method.steps, method.steps)


def test_kappa_depends_on_the_kind_of_signal():
    kinds = {"tokens": 0.003, "waveform": 0.003, "spectrogram": 0.003, "series": 0.03, "pixels": 0.01, "volume": 0.1}
    for kind, kappa in {**kinds, "video": 0.1, "tensor": 0.03}.items():
        shape = signal(4)
        object.__setattr__(shape, "kind", kind)
        assert FFC().resolve(shape).kappa == kappa, kind
        assert FFC(kappa=0.7).resolve(shape).kappa == 0.7
        assert FFC(rule="absolute").resolve(shape) == FFC(rule="absolute")


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e3])
def test_relative_steps_do_not_depend_on_the_scale_of_the_gradient(scale):
    x = noise(2, 16, seed=3, dtype=torch.float32)
    w = noise(16, seed=4, dtype=torch.float32)

    def target(factor):
        return lambda outputs: factor * torch.tanh(outputs @ w)

    small, usual = (attribute(lambda v: v, x, target=target(f), method="ffc:lam=0") for f in (scale, 1.0))
    for a, b in zip(small, usual, strict=True):
        torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5 * float(b.scores.abs().max()))
        assert b.scores.abs().max() > 0


def test_relative_steps_scale_with_the_input():
    """Scores of 10 x are 10 times those of x where the gradient is the same."""
    model, x = Linear(2, 16), noise(2, 16)
    once, tenfold = (attribute(model, factor * x, target=0, method="ffc") for factor in (1.0, 10.0))
    for a, b in zip(once, tenfold, strict=True):
        torch.testing.assert_close(10 * a.scores, b.scores)


@pytest.mark.parametrize("gap", [20.0, 80.0, 300.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_a_saturated_model_is_still_explained_in_float32(gap, classes):
    """The direction is the log-odds' in float64, though p is 1 and the gradient of CE is gone."""
    model = Linear(classes, 24, dtype=torch.float32)
    x = noise(1, 24, seed=8, dtype=torch.float32)
    with torch.no_grad():
        model.bias -= model(x)[0]
        model.bias += noise(classes, seed=9).float()
        model.bias[1] += gap
    (result,) = attribute(model, x, method="ffc:lam=0,kappa=.1")
    assert result.target == 1
    assert result.confidence == pytest.approx(1.0)
    a = model.weight.detach().double().numpy()
    z = model(x)[0].detach().double().numpy()
    others = [c for c in range(classes) if c != 1]
    p = np.exp(z[others] - z[others].max())
    g = a[1] - p / p.sum() @ a[others]
    one = x[0].double().numpy()
    d = 0.1 * np.linalg.norm(one) * g / np.linalg.norm(g)
    scores = expected(one, d, result.layout, 0.0)
    np.testing.assert_allclose(result.scores.numpy(), scores, rtol=1e-3, atol=1e-4 * np.abs(scores).max())


def test_no_gradient_signals_the_magnitude():
    x = noise(2, 16)
    (result, _) = attribute(lambda v: torch.stack([v[:, 0] * 0, v[:, 0] * 0], 1), x, method="ffc")
    torch.testing.assert_close(result.scores, result.basis.magnitude(result.basis.forward(x[:1]))[0])
    (nothing, _) = attribute(lambda v: torch.stack([v[:, 0] * 0, v[:, 0] * 0], 1), x, method="ffc:lam=0")
    assert not nothing.scores.any()


def test_silent_features_score_zero():
    """A pure tone: every other feature holds rounding alone, whatever the displacement there."""
    t = torch.arange(32, dtype=torch.float64)
    tone = torch.cos(2 * math.pi * 5 * t / 32).unsqueeze(0)
    for dtype in (torch.float32, torch.float64):
        model = Linear(2, 32, dtype=dtype)
        (result,) = attribute(model, tone.to(dtype), method="ffc:lam=0,kappa=1")
        assert result.scores.nonzero().tolist() == [[5]]


def test_the_second_term_is_twice_a_signed_length():
    """Bounded by 2|D|; equal to it where the displacement has the feature's own phase."""
    basis = Fourier().bind(signal(6, 8))
    f, d = basis.forward(noise(3, 6, 8, seed=1)), basis.forward(noise(3, 6, 8, seed=2))
    along = correlation_scores(basis, f, d, 0.0)
    assert (along.abs() <= 2 * basis.magnitude(d) + 1e-12).all()
    torch.testing.assert_close(correlation_scores(basis, f, 0.3 * f, 0.0), 0.6 * basis.magnitude(f))
    torch.testing.assert_close(correlation_scores(basis, f, -0.3 * f, 1.0), 0.4 * basis.magnitude(f))


def test_more_steps_walk_further_along_a_curved_way():
    model, x = Smooth(3, 12).eval(), noise(1, 12)
    one, many = (attribute(model, x, method=FFC(kappa=0.5, steps=n, lam=0.0))[0] for n in (1, 8))
    assert not torch.allclose(one.scores, many.scores, rtol=1e-3)
    torch.testing.assert_close(one.gradient, many.gradient)


@pytest.mark.parametrize(
    "wrong",
    [{"rule": "sign"}, {"steps": 0}, {"steps": -1}, {"kappa": -0.1}, {"kappa": math.nan}, {"kappa": math.inf}],
)
def test_wrong_parameters(wrong):
    with pytest.raises(SpecError):
        FFC(**wrong)


@pytest.mark.parametrize("spec", ["ffc:kappa=abc", "ffc:lr=abc", "ffc:steps=1.5", "ffc:lam=abc", "ffc:lam=nan"])
def test_wrong_values_in_specs(spec):
    with pytest.raises(SpecError):
        METHODS.parse(spec)


# Models that read known frequencies.


def flat_spectrum(*sizes, seed):
    """Noise whose every feature has the same magnitude: only the model can tell them apart."""
    x = noise(1, *sizes, seed=seed)
    f = torch.fft.fftn(x, dim=list(range(1, x.ndim)), norm="ortho")
    return torch.fft.ifftn(f / f.abs(), dim=list(range(1, x.ndim)), norm="ortho").real


def power_at(x, *ks):
    return torch.fft.rfftn(x, dim=list(range(1, x.ndim)), norm="ortho")[(slice(None), *ks)].abs().square()


@pytest.mark.parametrize("method", ["ffc:lam=0", "ffc"])
@pytest.mark.parametrize("k", [0, 1, 9, 31, 32])
def test_a_model_that_reads_one_tone(method, k):
    (result,) = attribute(
        lambda v: torch.stack([power_at(v, k), power_at(v, k) * 0], 1), flat_spectrum(64, seed=k), method=method
    )
    assert result.target == 0
    assert result.top_features(1)["frequency [cycles/sample]"] == [pytest.approx(k / 64)]
    assert result.keep_top(k=1).square().sum() == pytest.approx(1 if k in (0, 32) else 2)


@pytest.mark.parametrize("method", ["ffc:lam=0", "ffc"])
@pytest.mark.parametrize("k", [(2, 3), (6, 3), (0, 4), (4, 0), (7, 4)])
def test_a_model_that_reads_one_stripe(method, k):
    (result,) = attribute(
        lambda v: torch.stack([power_at(v, *k), power_at(v, *k) * 0], 1), flat_spectrum(8, 8, seed=3), method=method
    )
    best = result.layout.describe(int(result.order[0]))
    told = (round(best["frequency_axis1"] * 8), round(best["frequency_axis2"] * 8))
    assert any(all((s * a - b) % 8 == 0 for a, b in zip(told, k, strict=True)) for s in (1, -1))


@pytest.mark.parametrize("method", ["ffc:lam=0", "ffc"])
@pytest.mark.parametrize("period", [2, 3, 6])
def test_a_model_that_reads_a_period_of_tokens(method, period):
    """Tokens along axis 1 and channels along axis 2; the model listens to one channel at one period."""
    x = torch.stack([flat_spectrum(24, seed=s)[0] for s in range(4)], 1).unsqueeze(0)
    read = lambda v: power_at(v[..., 2], 24 // period)  # noqa: E731
    (result,) = attribute(lambda v: torch.stack([read(v), 0 * read(v)], 1), x, method=method, axes=[1])
    best = result.layout.describe(int(result.order[0]))
    assert best["axis2"] == 2
    assert best["frequency"] == pytest.approx(1 / period)


# The ground-truth experiment: each of four classes is a pair of planted bins in noise.

PAIRS = ((3, 17), (6, 23), (9, 20), (12, 29))


def planted(samples, variance, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 4
    phases = 2 * math.pi * torch.rand(samples, 2, generator=generator)
    x = torch.randn(samples, 64, generator=generator) * variance**0.5
    for i, y in enumerate(labels.tolist()):
        for k, phase in zip(PAIRS[y], phases[i].tolist(), strict=True):
            x[i] += 2 * torch.cos(2 * math.pi * k * torch.arange(64.0) / 64 + phase)
    return x, labels


def accuracy(results, labels):
    """The class whose pair of features scores highest, against the planted one."""
    sums = torch.stack([torch.stack([r.scores[list(pair)].sum() for pair in PAIRS]) for r in results])
    return (sums.argmax(1) == labels).double().mean().item()


def test_planted_pairs_in_closed_form():
    """The two planted features are the first two, in float32, and the noise's are not."""
    x, labels = planted(64, 1.0, 0)

    def model(v):
        f = torch.fft.rfft(v, norm="ortho").abs().square()
        return torch.stack([f[:, list(pair)].sum(1) for pair in PAIRS], 1)

    results = attribute(model, x, target=labels, method="ffc:lam=0")
    assert accuracy(results, labels) == 1.0
    assert [tuple(sorted(r.order[:2].tolist())) for r in results] == [PAIRS[y] for y in labels.tolist()]


@pytest.fixture(scope="module")
def trained():
    """A small network in float32, trained on planted pairs until it knows them."""
    x, labels = planted(400, 1.0, 1)
    before = torch.get_rng_state()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 4))
    torch.set_rng_state(before)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
    assert (model(x).argmax(1) == labels).all()
    return model, x, labels


def test_planted_pairs_are_found_in_a_trained_network(trained):
    model, x, labels = trained
    assert accuracy(attribute(model, x, method="ffc:lam=0", batch_size=400), labels) == 1.0
    assert accuracy(attribute(model, x, method="ffc:kappa=.1", batch_size=400), labels) >= 0.99


def test_other_domains_take_the_same_formula():
    """In the identity domain the second term is 2 d sign(x)."""
    model, x = Linear(3, 10), noise(1, 10)
    (result,) = attribute(model, x, method="ffc:kappa=.2", domain="identity")
    d = displacement(model, x[0].numpy(), result.target, FFC(kappa=0.2))
    np.testing.assert_allclose(result.scores, np.abs(x[0].numpy()) + 2 * d * np.sign(x[0].numpy()), rtol=1e-9)
    assert DOMAINS.parse("identity") == result.basis.domain
