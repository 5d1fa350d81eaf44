"""AttEXplore: closed forms, sums that add up, and every fault of the released code that must not come back."""

import json
import math

import pytest
import torch

from hf_fourier import Attribution, attribute
from hf_fourier.domains import DOMAINS, Cosine
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS, AttEXplore
from hf_fourier.methods.exploration import has_flipped, jittered_copies, smoothed
from hf_fourier.scoring.heads import Reading, Regression
from tests.methods.reference_walks import NORMAL, PLAIN, normalised, pictures, undone, walk
from tests.toy_scores import Linear, Smooth, Weighted, noise, signal, value

EPS = 16 / 255
#: Few copies where their number is no matter.
QUICK = "steps=4,copies=3"
DOMAINS_HERE = ("fourier", "identity", "cosine", "wavelet", "wavelet:bior2.2,level=2")
BOTH = pytest.mark.parametrize("name", ["attexplore", "fampe"])


def of(model):
    """A toy as a callable, in evaluation mode."""
    return model.eval()


@BOTH
@pytest.mark.parametrize("domain", DOMAINS_HERE)
def test_a_linear_score_signals_no_gap(name, domain):
    """The walk goes straight against the weights: A = ε |w|-wise, in every domain the same product."""
    model, x = Weighted(7, 6), noise(3, 7, 6)
    for one, row in zip(attribute(model, x, value, f"{name}:epsilon=.2,{QUICK}", domain), x, strict=True):
        w = model.weight.detach()
        moved = -0.2 * row.norm() * w / w.norm()
        torch.testing.assert_close(one.extras["adversarial"], row + moved)
        basis = one.basis
        expected = basis.inner(basis.pullback(-w[None]), basis.forward(moved[None]))[0]
        torch.testing.assert_close(one.scores, expected)
        assert float(one.scores.sum()) == pytest.approx(float(0.2 * row.norm() * w.norm()))
        assert one.completeness_error == pytest.approx(0, abs=1e-9)
        assert one.extras["l2"] == pytest.approx(0.2)
        assert one.extras["unit"] == "rms"


@BOTH
@pytest.mark.parametrize("domain", DOMAINS_HERE)
def test_a_smooth_score_signals_a_small_gap(name, domain):
    model, x = Smooth(3, 7, 6).eval(), noise(4, 7, 6)
    for one in attribute(model, x, None, f"{name}:epsilon=.3,copies=4", domain):
        path = one.extras["path"]
        assert len(path) == 11
        drop = float(path[0] - path[-1])
        assert one.completeness_error == pytest.approx(float(one.scores.sum()) - drop, abs=1e-9)
        assert (
            abs(one.completeness_error) < 0.01 * drop
        )  # with the copies' mean instead of clean gradients it is several times this
        assert float(path[0]) == pytest.approx(one.value)
        end = model(one.extras["adversarial"][None]).log_softmax(-1)[0, one.target].item()
        assert end == pytest.approx(float(path[-1]))


@BOTH
def test_the_gap_shrinks_as_the_trapezoid_says(name):
    x = noise(1, 7, 6)
    gaps = []
    for steps in (5, 10, 20):
        (one,) = attribute(Smooth(3, 7, 6).eval(), x, None, f"{name}:rho=0,sigma=0,epsilon=.3,copies=1,steps={steps}")
        gaps.append(abs(one.completeness_error))
    assert gaps[1] < gaps[0] / 3
    assert gaps[2] < gaps[1] / 3


@BOTH
@pytest.mark.parametrize("how", [PLAIN, NORMAL], ids=["plain", "normalised"])
@pytest.mark.parametrize("direction", ["ascend", "descend"])
def test_the_published_measure_in_closed_form(name, how, direction):
    """With a constant gradient g, m_t = (t + 1) g / mean|g| and A = a Σ|m_t|, for each example by itself."""
    model, x = Linear(2, 3, 5, 6), pictures(4, 3, 5, 6)
    spec = f"{name}:measure=published,direction={direction},{QUICK}"
    ranking, basis, _ = walk(spec, of(model), x, how)
    g = (model.weight[0] - model.weight[1]).detach().abs()
    expected = EPS / 4 * (1 + 2 + 3 + 4) * g / g.mean()
    torch.testing.assert_close(ranking.scores, basis.forward(expected[None]).expand(4, -1))
    assert ranking.completeness_error is None
    assert ranking.extras["linf"] == pytest.approx([EPS] * 4)


@BOTH
def test_the_published_measure_is_nothing_where_a_bound_blocks(name):
    """Black that is to become darker, and white brighter, cannot move: 0, whatever the gradient."""
    model, x = Linear(2, 3, 5, 6), pictures(2, 3, 5, 6)
    away = (model.weight[1] - model.weight[0]).detach()  # from class 0, which the bias makes the answer
    blocked = torch.zeros_like(x, dtype=torch.bool)
    blocked[:, :, ::2] = True
    x = torch.where(blocked, (away > 0).double(), x)
    model.bias.data = torch.tensor([60.0, 0.0], dtype=torch.float64)
    assert model(x).argmax(1).tolist() == [0, 0]
    ranking, _, _ = walk(f"{name}:measure=published,{QUICK}", of(model), x, NORMAL)
    scores = ranking.scores.view_as(x)
    assert float(scores[blocked].abs().max()) < 1e-12
    assert float(scores[~blocked].min()) > 0


@BOTH
def test_the_published_measure_has_one_sum_in_every_domain(name):
    model, x = Smooth(3, 3, 6, 8), pictures(2, 3, 6, 8)
    own, _, _ = walk(f"{name}:measure=published,{QUICK}", of(model), x, NORMAL)
    assert float(own.scores.min()) >= 0
    for domain in ("fourier", "cosine", "wavelet"):
        other, _, _ = walk(f"{name}:measure=published,{QUICK}", of(model), x, NORMAL, domain)
        torch.testing.assert_close(other.scores.sum(1), own.scores.sum(1))


@BOTH
@pytest.mark.parametrize("domain", ["identity", "fourier"])
def test_the_processor_is_no_matter(name, domain):
    """Sizes are those of the picture: the same walk, the same answer, whatever mean and std the signal has."""
    model, x = Smooth(3, 3, 6, 8), pictures(2, 3, 6, 8, low=0, high=1)
    for measure in ("path", "published"):
        spec = f"{name}:measure={measure},{QUICK},diversity=.5,smoothing=3"
        plain, _, _ = walk(spec, of(model), x, PLAIN, domain)
        other, _, _ = walk(spec, of(model), x, NORMAL, domain)
        torch.testing.assert_close(undone(other.extras["adversarial"], NORMAL), plain.extras["adversarial"])
        torch.testing.assert_close(other.scores, plain.scores)
        torch.testing.assert_close(other.extras["path"], plain.extras["path"])
        assert other.extras["linf"] == pytest.approx(plain.extras["linf"])


@BOTH
@pytest.mark.parametrize("direction", ["ascend", "descend"])
def test_it_stays_in_the_ball_and_in_the_range(name, direction):
    model, x = Smooth(3, 3, 6, 8), pictures(3, 3, 6, 8, low=0, high=1)
    x[:, :, :2], x[:, :, 2:3] = 0, 1
    for epsilon in (EPS, 0.5):
        ranking, _, _ = walk(f"{name}:epsilon={epsilon},direction={direction},{QUICK}", of(model), x, NORMAL)
        end = undone(ranking.extras["adversarial"], NORMAL)
        assert float((end - x).abs().max()) <= epsilon + 1e-9
        assert float(end.min()) >= -1e-9
        assert float(end.max()) <= 1 + 1e-9
        assert max(ranking.extras["linf"]) <= epsilon + 1e-9


@BOTH
def test_what_is_out_of_range_is_not_pushed_back(name):
    """Such an entry may come nearer to the range by its own steps, never by a jump."""
    model, x = Smooth(3, 3, 6, 8), pictures(2, 3, 6, 8)
    x[:, 0, 0, 0], x[:, 0, 0, 1] = 1.5, -0.5
    ranking, _, _ = walk(f"{name}:{QUICK}", of(model), x, NORMAL)
    d = undone(ranking.extras["adversarial"], NORMAL) - x
    assert float(d.abs().max()) <= EPS + 1e-9
    assert float(d[:, 0, 0, 0].max()) <= 1e-9
    assert float(d[:, 0, 0, 1].min()) >= -1e-9


@BOTH
def test_relative_sizes_follow_the_example(name):
    """A thousand times the signal for a model that reads a thousandth: the same walk, a thousand times as large."""
    model, x = Smooth(3, 7, 6).eval(), noise(2, 7, 6)
    small = attribute(model, x, None, f"{name}:epsilon=.3,{QUICK}")
    # The stream of an example is keyed by its content, so the same stream is asked for by drawing nothing.
    plain = f"{name}:epsilon=.3,rho=0,sigma=0,{QUICK}"
    for one, other in zip(attribute(model, x, None, plain), attribute(lambda v: model(v / 1e3), 1e3 * x, None, plain),
                          strict=True):  # fmt: skip
        torch.testing.assert_close(other.extras["adversarial"], 1e3 * one.extras["adversarial"])
        torch.testing.assert_close(other.scores, one.scores)
        assert other.extras["l2"] == pytest.approx(one.extras["l2"])
    for one, row in zip(small, x, strict=True):
        assert float((one.extras["adversarial"] - row).norm() / row.norm()) <= 0.3 + 1e-9
        assert one.extras["l2"] == pytest.approx(float((one.extras["adversarial"] - row).norm() / row.norm()))
        rms = row.square().mean().sqrt()
        assert one.extras["linf"] == pytest.approx(float((one.extras["adversarial"] - row).abs().max() / rms))


@BOTH
def test_up_the_cross_entropy_flips_and_down_does_not(name):
    """The released code walks down: towards what the model says already."""
    model, x = Smooth(4, 3, 6, 8), pictures(40, 3, 6, 8, low=0, high=1)
    flips, surer = {}, {}
    for direction in ("ascend", "descend"):
        ranking, _, score = walk(f"{name}:direction={direction},epsilon=.2,{QUICK}", of(model), x, NORMAL)
        flips[direction] = sum(ranking.extras["flipped"])
        before = score.clean_reading().confidence
        surer[direction] = float((torch.tensor(ranking.extras["adversarial_confidence"]) > before).double().mean())
        for end, turned, reading in zip(
            undone(ranking.extras["adversarial"], NORMAL), ranking.extras["flipped"], score.frozen_targets, strict=True
        ):
            assert turned == (int(model(end[None]).argmax()) != int(reading))
    assert flips["ascend"] >= 30
    assert flips["descend"] == 0
    assert surer["descend"] == 1
    assert surer["ascend"] == 0


def test_a_label_that_the_model_does_not_say_cannot_be_flipped():
    x = noise(6, 7, 6)
    model = Smooth(3, 7, 6).eval()
    other = (model(x).argmax(1) + 1) % 3
    for one in attribute(model, x, other, f"attexplore:epsilon=1,{QUICK}"):
        assert not one.extras["flipped"]
        assert one.extras["path"][-1] < one.extras["path"][0]


def test_each_example_has_its_own_scale():
    """Gradients of very different size and shape in one batch: no mean over the batch is taken anywhere."""

    def model(v):
        return (v**2 * noise(6, 6)).flatten(1).sum(1, keepdim=True)

    x = pictures(3, 6, 6)
    x[0] *= 1e-6
    x[1, 0, 0] *= 1e6  # one entry has nearly all of the gradient
    spec = f"attexplore:measure=published,rho=0,sigma=0,epsilon=1e-9,{QUICK}"
    for one, row in zip(attribute(model, x, value, spec, "identity"), x, strict=True):
        (alone,) = attribute(model, row[None], value, spec, "identity")
        torch.testing.assert_close(one.scores, alone.scores, rtol=1e-6, atol=0)


@BOTH
def test_copies_are_the_example_on_average(name):
    """E[z] = x: what the model sees at the first step, averaged over many copies, is the picture itself."""
    seen = []

    def model(v):
        seen.append(v.detach())
        return (v * torch.arange(v[0].numel(), dtype=v.dtype).view(v.shape[1:])).flatten(1).sum(1, keepdim=True)

    x = pictures(1, 3, 4, 6)
    walk(f"{name}:steps=1,copies=4000", model, x, NORMAL, head=Regression())
    copies = torch.cat(seen)[1:-1]
    assert len(copies) == 4000
    error = copies.std(0) / 4000**0.5
    assert float(((copies.mean(0) - x[0]).abs() / error).max()) < 4.5


def test_copies_have_the_law_that_is_published():
    """Coefficients of the picture (not of the normalised signal) times uniform numbers on 1 ± ρ, with noise σ."""
    seen = []

    def model(v):
        seen.append(v.detach())
        return (v.flatten(1) ** 2).sum(1, keepdim=True)

    x = pictures(1, 3, 4, 6)
    basis = Cosine().bind(signal(3, 4, 6, channels=(0,)))
    walk("attexplore:steps=1,copies=3000,sigma=0", model, x, NORMAL, head=Regression())
    ratio = basis.forward(torch.cat(seen)[1:-1]) / basis.forward(x)
    assert float(ratio.min()) >= 0.5 - 1e-6
    assert float(ratio.max()) <= 1.5 + 1e-6
    torch.testing.assert_close(ratio.std(0), torch.full_like(ratio[0], 0.5 / math.sqrt(3)), rtol=0.05, atol=0)
    across = torch.corrcoef(ratio.T) - torch.eye(ratio.shape[1])
    assert float(across.abs().max()) < 0.1, "each coefficient is scaled by itself"
    seen.clear()
    walk("attexplore:steps=1,copies=3000,rho=0,sigma=.02", model, x, NORMAL, head=Regression())
    copies = torch.cat(seen)[1:-1]
    torch.testing.assert_close(copies.std(0), torch.full_like(x[0], 0.02), rtol=0.06, atol=0)


@BOTH
def test_two_networks_with_one_function_have_one_answer(name):
    model, x = Smooth(3, 7, 6).eval(), noise(3, 7, 6)

    def same_function(v):
        """Twice the hidden width, each unit split in two, and a shift of all logits."""
        hidden = torch.tanh(v.flatten(1) @ model.into.T)
        return torch.cat([hidden, hidden], 1) @ torch.cat([0.25 * model.out, 0.75 * model.out], 1).T + 5

    spec = f"{name}:epsilon=.3,{QUICK}"
    for one, other in zip(attribute(model, x, None, spec), attribute(same_function, x, None, spec), strict=True):
        torch.testing.assert_close(one.scores, other.scores)
        torch.testing.assert_close(one.extras["adversarial"], other.extras["adversarial"])


@BOTH
@pytest.mark.parametrize(("domain", "spec"), [("cosine", "attexplore"), ("fourier", "fampe")])
def test_a_planted_frequency_comes_first(name, domain, spec):
    """The model reads one frequency of one channel; stronger ones are there that it does not read."""
    shape = signal(3, 8, 10, channels=(0,))
    basis = DOMAINS.parse(domain).bind(shape)
    planted = 47
    weights = torch.zeros(1, len(basis), dtype=torch.float64)
    weights[0, planted] = 1
    wave = basis.inverse(basis.scale_features(basis.forward(noise(1, 3, 8, 10)), weights))[0]
    wave = wave / wave.norm()

    def model(v):
        read = (v * wave).flatten(1).sum(1)
        return torch.stack([4 * (read - 0.4).tanh(), torch.zeros_like(read)], 1)

    x = 0.5 + 0.02 * noise(4, 3, 8, 10) + 0.8 * wave
    for seed in range(3):
        ranking, _, _ = walk(f"{name}:{QUICK}", model, x.clamp(0, 1), NORMAL, domain, seed=seed)
        assert ranking.scores.argmax(1).tolist() == [planted] * 4


@BOTH
def test_a_model_that_is_all_too_sure_still_has_a_direction(name):
    """The slope of log p underflows (e^-300): the walk goes where the log-odds do."""
    model = Weighted(7, 6).float()

    def sure(v):
        return torch.cat([300 + model(v), torch.zeros(len(v), 1)], 1)

    x = noise(2, 7, 6, dtype=torch.float32)
    for one, row in zip(attribute(sure, x, 0, f"{name}:epsilon=.2,{QUICK}"), x, strict=True):
        w = model.weight.detach()
        torch.testing.assert_close(one.extras["adversarial"], row - 0.2 * row.norm() * w / w.norm())


def test_momentum():
    """The whole sum of directions with 1, only the last with 0."""

    def turning(v):
        return torch.stack([v[:, 0] ** 2 + v[:, 1], torch.zeros(len(v), dtype=v.dtype)], 1)

    x = torch.tensor([[0.05, 1.0, 0.0, 0.0]], dtype=torch.float64)
    ends = [
        attribute(turning, x, 0, f"attexplore:rho=0,sigma=0,epsilon=.5,momentum={m},steps=8,copies=1")[0]
        for m in (0, 0.5, 1)
    ]
    assert len({tuple(one.extras["adversarial"].tolist()) for one in ends}) == 3


@BOTH
def test_input_diversity_is_a_map_with_its_adjoint(name):
    z, g = noise(3, 3, 16, 20), noise(3, 3, 16, 20, seed=1)
    chances = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    made, back = jittered_copies(z, chances, 1.0)
    assert float((made * g).sum()) == pytest.approx(float((z * back(g)).sum()))
    same, there = jittered_copies(z, chances, 0.0)
    assert torch.equal(same, z)
    assert torch.equal(there(g), g)
    own, _ = jittered_copies(z[1:2], chances[1:2], 1.0)
    torch.testing.assert_close(made[1:2], own)


def test_smoothing_is_a_gaussian_window():
    point = torch.zeros(1, 2, 15, 15, dtype=torch.float64)
    point[0, 1, 7, 7] = 1
    out = smoothed(point, 7)
    assert float(out.sum()) == pytest.approx(1, rel=1e-6)
    assert float(out[0, 0].abs().max()) == 0
    bell = torch.exp(-(torch.arange(-3.0, 4.0).double() ** 2) / 2)
    torch.testing.assert_close(out[0, 1, 7, 4:11], bell * bell[3] / bell.sum() ** 2, rtol=1e-5, atol=0)


def test_the_preset_is_what_was_released():
    method = METHODS.parse("attexplore:preset=published")
    assert method == AttEXplore(
        steps=10, copies=20, epsilon=EPS, rho=0.5, sigma=EPS, momentum=1, measure="published", direction="descend",
        diversity=0.5, smoothing=7,
    )  # fmt: skip
    elsewhere = method.resolve(signal(4))
    assert (elsewhere.diversity, elsewhere.smoothing) == (0, 0)
    assert (AttEXplore().diversity, AttEXplore().smoothing) == (0, 0)
    model, x = Smooth(3, 3, 16, 16), pictures(2, 3, 16, 16)
    ranking, _, score = walk(method, of(model), x, NORMAL)
    assert float(ranking.scores.min()) >= 0
    assert not any(ranking.extras["flipped"])
    assert (score.passes.forward, score.passes.backward) == (2 * 202, 2 * 201)


@BOTH
def test_the_domain_is_no_matter_to_the_walk(name):
    x = noise(2, 7, 6)
    first, *others = [
        attribute(Smooth(3, 7, 6).eval(), x, None, f"{name}:epsilon=.3,{QUICK}", domain) for domain in DOMAINS_HERE
    ]
    for results in others:
        for one, other in zip(first, results, strict=True):
            assert torch.equal(one.extras["adversarial"], other.extras["adversarial"])
            assert float(one.scores.sum()) == pytest.approx(float(other.scores.sum()))


@BOTH
def test_saved_and_read_again(name, tmp_path):
    (one,) = attribute(Smooth(3, 7, 6).eval(), noise(1, 7, 6), None, f"{name}:epsilon=.3,{QUICK}")
    back = Attribution.load(one.save(tmp_path / "whole"))
    assert set(back.extras) == set(one.extras)
    for key, kept in one.extras.items():
        assert torch.equal(back.extras[key], kept) if isinstance(kept, torch.Tensor) else back.extras[key] == kept
    small = Attribution.load(one.save(tmp_path / "small", compact=True))
    assert "adversarial" not in small.extras, "it is an example"
    assert set(small.extras) == set(one.extras) - {"adversarial"}
    assert (
        json.loads((tmp_path / "small" / "attribution.json").read_text())["extras"]["flipped"] == one.extras["flipped"]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "steps=0", "copies=0", "copies=1.5", "epsilon=-1", "epsilon=inf", "sigma=nan", "rho=1.5", "momentum=-1",
        "measure=both", "direction=up", "diversity=2", "smoothing=4", "smoothing=-1",
    ],
)  # fmt: skip
@BOTH
def test_what_it_refuses(name, wrong, unchecked):
    with pytest.raises(SpecError, match=wrong.split("=")[0]):
        METHODS.parse(f"{name}:{wrong}")


def test_pictures_have_sizes_in_pixels_and_others_relative_ones():
    from hf_fourier.domains import Axis, SignalShape

    pixels = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 8), Axis("width", 8)))
    tokens = SignalShape("tokens", (Axis("token", 9), Axis("hidden", 4, channel=True)))
    assert (AttEXplore().resolve(pixels).epsilon, AttEXplore().resolve(pixels).sigma) == (EPS, EPS)
    assert (AttEXplore().resolve(tokens).epsilon, AttEXplore().resolve(tokens).sigma) == (0.01, 0.01)
    assert normalised(torch.ones(3, 1, 1), PLAIN).equal(torch.ones(3, 1, 1))


def test_the_passes_are_a_copy_and_a_point_each_step():
    assert AttEXplore(steps=4, copies=3).passes == (4 * 3 + 4 + 1, 4 * 3 + 4 + 1)
    assert AttEXplore(steps=4, copies=3, measure="published").passes == (4 * 3 + 2, 4 * 3 + 1)


def test_a_decision_is_flipped_where_half_or_more_agreed_and_less_than_half_do():
    def reading(*agreement):
        none = torch.zeros(len(agreement))
        return Reading(none, none, none, None, torch.tensor(agreement))

    before, after = reading(0.5, 0.5, 0.4, 1.0), reading(0.4, 0.5, 0.1, 0.0)
    assert has_flipped(before, after) == [True, False, False, True]
