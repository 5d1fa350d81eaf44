"""FreqX against dense Jacobians, at cuts and branches, on estimates, and on the layers of many architectures."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, norm

from hf_fourier import Attribution, FourierExplainer, attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.freqx import CHANCE_LEVEL, FreqX, bands, mutual_information, spread
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.layer_gradients import LayerHooks, matches, repeated
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from tests.models import tiny_models, tiny_models_audio, tiny_models_segmentation
from tests.toy_scores import noise, signal

WIDTHS = (12, 70, 9, 3)


def plain(*widths, seed=0):
    """A plain net with tanh between, in float64."""
    parts = []
    for i, (into, out) in enumerate(pairwise(widths)):
        parts += [torch.nn.Tanh()] if i else []
        linear = torch.nn.Linear(into, out, dtype=torch.float64)
        linear.weight.data = noise(out, into, seed=seed + i) / into**0.5
        linear.bias.data = noise(out, seed=seed + 50 + i)
        parts.append(linear)
    return torch.nn.Sequential(*parts).eval()


class Block(torch.nn.Module):
    """A branch and a way around it."""

    def __init__(self, width, seed):
        super().__init__()
        self.up, self.down = torch.nn.Linear(width, 20).double(), torch.nn.Linear(20, width).double()
        for i, linear in enumerate((self.up, self.down)):
            linear.weight.data = noise(*linear.weight.shape, seed=seed + i) / 4

    def forward(self, x):
        return x + self.down(self.up(x).tanh())


class Stream(torch.nn.Module):
    """Blocks on one residual stream."""

    def __init__(self, width=16, depth=3):
        super().__init__()
        self.layer = torch.nn.ModuleList(Block(width, 10 * i) for i in range(depth))
        self.out = torch.nn.Linear(width, 3).double()

    def forward(self, x):
        for block in self.layer:
            x = block(x)
        return self.out(x)


def contributions(model, layer, x, target, domain="fourier"):
    """c_j(k) by dense Jacobians, shape (neurons, K): an example alone, nothing of ours but the basis."""
    basis = DOMAINS.parse(domain).bind(signal(*x.shape))

    def until(v):
        return model[:layer](v)

    def score(z):
        return model[layer:](z).log_softmax(-1)[target]

    z = until(x)
    a = torch.autograd.functional.jacobian(score, z)
    rows = torch.autograd.functional.jacobian(until, x)
    pulled = basis.pullback(rows)
    return a.unsqueeze(1) * basis.inner(pulled, basis.forward(x[None]).expand(len(pulled), -1))


def opened(model, x, layers=None, seed=0, domain="fourier", visit=lambda tapped: tapped, size=8):
    """The open pass of a block, with its basis and draw."""
    score = Score(x, lambda v, rows: model(v), lambda out, rows: out, Categorical(), [None] * len(x),
    MicroBatcher(size),
                  model=model)  # fmt: skip
    return score, score.with_layers(layers, visit)


@pytest.mark.parametrize("domain", ["fourier", "identity", "wavelet:bior2.2,level=2"])
def test_exact_layers_are_those_of_dense_jacobians(domain):
    model, x = plain(*WIDTHS), noise(2, 12)
    for one, row in zip(attribute(model, x, method="freqx:samples=70,detail=*", domain=domain), x, strict=True):
        told = one.extras
        assert told["layers"] == ["input", "0", "1", "2", "3", "4"]
        assert told["neurons"] == [12, 70, 70, 9, 9, 3]
        assert told["standard_error"] == [0.0] * 6
        assert told["detail_layers"] == told["layers"]
        for layer in range(6):
            c = contributions(model, layer, row, one.target, domain)
            signal, energy = c.sum(0), c.square().sum(0)
            torch.testing.assert_close(one.scores, signal)
            assert float(told["signal"][layer]) == pytest.approx(float(signal.sum()))
            bits = torch.log2(1 + signal.square() / energy.clamp(min=1e-300)) / 2
            torch.testing.assert_close(told["detail"][layer], bits, rtol=1e-6, atol=1e-6)
            p = energy / energy.sum()
            assert float(told["entropy"][layer]) == pytest.approx(entropy(p, base=2), abs=1e-9)
            assert float(told["effective"][layer]) == pytest.approx(2 ** entropy(p, base=2))
            for other in range(6):
                q = contributions(model, other, row, one.target, domain).square().sum(0)
                with np.errstate(invalid="ignore"):  # NaN where p is q but for rounding
                    expected = np.nan_to_num(jensenshannon(p, q, base=2)) ** 2
                assert float(told["divergence"][layer, other]) == pytest.approx(expected, abs=1e-9)
            band = bands(one.basis, 16)[0]
            assert told["energy"][layer].tolist() == pytest.approx(np.bincount(band, p).tolist())
            weighted = told["energy"][layer] * told["information"][layer]
            assert weighted.tolist() == pytest.approx(np.bincount(band, p * bits).tolist())


def test_the_ratio_lies_between_nothing_and_the_number_of_neurons():
    model, x = plain(*WIDTHS), noise(5, 12)
    for samples in (4, 70):
        for one in attribute(model, x, method=f"freqx:samples={samples},detail=*"):
            most = torch.tensor(one.extras["neurons"]).double().unsqueeze(1)
            ratio = 4 ** one.extras["detail"].double() - 1
            assert (ratio >= 0).all()
            assert (ratio <= most * (1 + 1e-9)).all()


def test_neurons_that_agree_reach_the_bound_and_those_that_cancel_reach_nothing():
    agree = torch.ones(4, 5)
    assert mutual_information(agree.sum(0)[None], agree.square().sum(0)[None], 4, None)[0].tolist() == pytest.approx(
        [math.log2(5) / 2] * 5
    )
    assert mutual_information(torch.zeros(1, 5), torch.ones(1, 5), 4, None).abs().max() == 0
    assert mutual_information(torch.zeros(1, 5), torch.zeros(1, 5), 4, None).abs().max() == 0


def test_energy_by_signs_is_unbiased_and_within_its_error():
    """Many seeds: the mean of Q's estimates is Q, and they scatter by √(2/samples), no more."""
    model, x, samples = plain(12, 400, 3), noise(1, 12), 16
    target = int(model(x)[0].argmax())
    energy = contributions(model, 1, x[0], target).square().sum(0)
    basis = DOMAINS.parse("fourier").bind(signal(12))

    def estimates(tapped):
        found = []
        for seed in range(200):
            total = torch.zeros(len(basis))
            for number in range(samples):
                seeds = FreqX()._seed(tapped, tapped.layers[1], number, ExampleRng(seed, [7])).double()
                pulled = tapped.vjp(tapped.layers[1], seeds * tapped.upstream[1]) * tapped.dvalue_dmargin
                total = total + basis.inner(basis.pullback(pulled), basis.forward(x))[0].square() / samples
            found.append(total / energy)
        return torch.stack(found)

    ratio = opened(model, x, visit=estimates)[1][0]
    error = math.sqrt(2 / samples)
    assert ratio.mean(0).sub(1).abs().max() < 4 * error / math.sqrt(200)
    assert ratio.std(0).max() < 1.3 * error
    correction = (1 / ratio).mean(0) * (samples - 2) / samples
    assert correction.sub(1).abs().max() < 0.15


def test_entropy_and_divergence_of_estimates_are_corrected():
    """Estimates with 16 draws have less entropy than the truth, and two of one truth diverge; the halves tell it."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(4000, generator=generator).double()
    drawn = torch.randn(2, 16, 3, 4000, generator=generator).double().square() * truth
    halves = [torch.stack([one[:8].sum(0), one[8:].sum(0)]) for one in drawn]
    shares = [one / one.sum((0, 2), keepdim=True) for one in halves]
    entropies, divergences = spread(shares)
    exact, naive = entropy(truth, base=2), entropy(shares[0].sum(0), base=2, axis=1)
    assert (np.abs(naive - exact) > 0.06).all()
    assert (np.abs(entropies.numpy() - exact) < 0.02).all()
    naive = jensenshannon(shares[0].sum(0), shares[1].sum(0), base=2, axis=1) ** 2
    assert (naive > 0.03).all()
    assert (divergences[:, 0, 1] < 0.01).all()


def test_chance_is_what_random_signs_give():
    z = np.linspace(-12, 12, 100_001)
    expected = (np.log2(1 + z**2) / 2 * norm.pdf(z)).sum() * (z[1] - z[0])
    assert pytest.approx(expected, abs=1e-3) == CHANCE_LEVEL


def test_a_stream_is_cut_between_blocks_and_not_inside_them():
    model, x = Stream(), noise(3, 16)
    default = attribute(model, x, method="freqx")[0].extras
    assert default["layers"] == ["input", "layer.0", "layer.1", "layer.2"]
    assert default["is_cut"] == [True] * 4
    inside = attribute(model, x, method="freqx:layers=layer.*.down+out")[0].extras
    assert inside["layers"] == ["input", "layer.0.down", "layer.1.down", "layer.2.down", "out"]
    assert inside["is_cut"] == [True, False, False, False, True]

    def signals(tapped):
        basis = DOMAINS.parse("fourier").bind(signal(16))
        pulled = [tapped.vjp(*pair) for pair in zip(tapped.layers, tapped.upstream, strict=True)]
        return [
            basis.inner(basis.pullback(own), basis.forward(tapped.signal)) for own in pulled
        ], tapped.margin_gradient

    found, gradient = opened(model, x, ["layer.*", "layer.*.down"], visit=signals)[1][0]
    whole, names = found[0], ["input", "down", "block", "down", "block", "down", "block"]
    for own, name in zip(found, names, strict=True):
        same = torch.allclose(own, whole, rtol=1e-9, atol=1e-12)
        assert same == (name != "down")
    assert gradient.shape == x.shape


@pytest.mark.parametrize("inplace", [False, True])
def test_a_layer_that_is_changed_in_place_later_is_what_it_said(inplace):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = torch.nn.Linear(6, 80).double(), torch.nn.Linear(80, 3).double()
            self.one.weight.data, self.two.weight.data = noise(80, 6), noise(3, 80, seed=1) / 20

        def forward(self, x):
            z = self.one(x)
            z = z.mul_(2).clamp_(min=0) if inplace else (z * 2).clamp(min=0)
            return self.two(z)

    model, x = Model(), noise(2, 6)
    for one, row in zip(attribute(model, x, method="freqx:samples=80,detail=one"), x, strict=True):
        assert one.extras["layers"] == ["input", "one", "two"]
        split = torch.nn.Sequential(model.one, _Twice(), torch.nn.ReLU(), model.two)
        c = contributions(split, 1, row, one.target)
        bits = torch.log2(1 + c.sum(0).square() / c.square().sum(0)) / 2
        torch.testing.assert_close(one.extras["detail"][0], bits)


class _Twice(torch.nn.Module):
    def forward(self, x):
        return 2 * x


def test_scores_do_not_depend_on_how_the_model_is_written():
    """The same function as one module, as a net with a layer split in two, and as a callable."""
    model, x = plain(*WIDTHS), noise(3, 12)
    split = torch.nn.Sequential(_Linear(noise(30, 12) / 4), _Linear(torch.linalg.pinv(noise(30, 12) / 4)), model)
    for written in (split, lambda v: model(v)):
        for a, b in zip(attribute(model, x, method="freqx"), attribute(written, x, method="freqx"), strict=True):
            torch.testing.assert_close(a.scores, b.scores)
    callable_ = attribute(lambda v: model(v), x, method="freqx")[0]
    assert callable_.extras["layers"] == ["input"]
    assert callable_.provenance["passes"] == {"forward": 1.0, "backward": 1.0}


class _Linear(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x):
        return x @ self.weight.T


def test_nothing_depends_on_the_batch_or_the_order_and_draws_on_the_seed_alone():
    model, x = plain(12, 80, 70, 3).float(), noise(5, 12).float()
    alone = [attribute(model, row[None], method="freqx")[0] for row in x]
    together = attribute(model, x[[4, 2, 0, 1, 3]], method="freqx", batch_size=2)
    again = dict(zip([4, 2, 0, 1, 3], together, strict=True))
    other = attribute(model, x, method="freqx", seed=1)
    for i, one in enumerate(alone):
        for name in ("energy", "information", "entropy", "divergence", "signal"):
            torch.testing.assert_close(one.extras[name], again[i].extras[name], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(one.scores, other[i].scores, rtol=1e-4, atol=1e-7)
        assert not torch.allclose(one.extras["energy"], other[i].extras["energy"], rtol=1e-3)


def test_a_planted_frequency_comes_first_and_is_what_neurons_agree_on():
    """Two classes told apart by the amplitude of one tone, read by 80 neurons of random phase and gain."""
    n, tone = 32, 5
    t = torch.arange(n).double()
    phase, gain = noise(80) * math.pi, noise(80, seed=1).abs() + 0.5
    into = gain[:, None] * torch.cos(2 * math.pi * tone * t / n - phase[:, None])
    model = torch.nn.Sequential(_Linear(into), _Square(), _Linear(torch.stack([gain, -gain]) / 1e5))
    x = noise(4, n) + torch.cos(2 * math.pi * tone * t / n)
    for one in attribute(model, x, method="freqx:samples=80,detail=0", domain="fourier"):
        assert one.layout.describe(int(one.scores.abs().argmax()))["frequency"] == pytest.approx(tone / n)
        others = torch.arange(len(one.scores)) != tone
        assert one.extras["energy"][1].max() > 0.999
        assert one.extras["entropy"][1] < 0.01
        assert one.extras["detail"][0][tone] > 4 * CHANCE_LEVEL
        assert one.scores[others].abs().max() < 1e-6 * one.scores.abs().max()


class _Square(torch.nn.Module):
    def forward(self, x):
        return x.square()


def test_layers_that_hear_nothing_have_no_energy():
    model = plain(12, 70, 3)
    model[0].weight.data.zero_()
    (one,) = attribute(model, noise(1, 12), method="freqx:detail=*")
    for name in ("energy", "information", "entropy", "divergence", "signal", "detail"):
        assert one.extras[name].abs().max() == 0


def test_passes_are_counted_where_gradients_come_back(monkeypatch):
    model, x, rows = plain(12, 80, 70, 20, 3).float(), noise(3, 12).float(), []
    real = torch.autograd.grad

    def counting(outputs, inputs, *args, **kwargs):
        rows.append(3)
        return real(outputs, inputs, *args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", counting)
    results = attribute(model, x, method="freqx:samples=6")
    expected = FreqX(samples=6).cost([80, 80, 70, 70, 20, 20, 3])
    assert expected == (1, 1 + 4 * 7 + 2 * 21 + 4)
    assert FreqX(samples=6).passes_text == "1 + 1, and 7 per layer"
    for one in results:
        assert one.provenance["passes"] == dict(zip(("forward", "backward"), expected, strict=True))
    assert sum(rows) == expected[1] * 3


def test_memory_stays_as_small_as_a_pass(tmp_path):
    """What a tap holds is one number, whatever the layer says; and extras are of the size of bands."""
    model, x = plain(64, 5000, 3), noise(1, 64)
    watch = LayerHooks(model, None)
    with watch.recording():
        model(x.requires_grad_(True))
    taps = watch.outputs(1, 1)
    assert [tap.size for tap in taps] == [5000, 5000, 3]
    assert all(tap.handle.untyped_storage().nbytes() <= 8 for tap in taps)
    (one,) = attribute(model, x.detach(), method="freqx:bands=4")
    assert sum(v.numel() for v in one.extras.values() if isinstance(v, torch.Tensor)) < 100
    again = Attribution.load(one.save(tmp_path))
    assert again.extras["layers"] == one.extras["layers"]
    assert again.extras["is_cut"] == one.extras["is_cut"]
    assert torch.equal(again.extras["information"], one.extras["information"])


def test_bands():
    for shape in (signal(3, 16, 16, channels=(0,)), signal(9), signal(12, 2, channels=(1,), segments=(7, 5))):
        basis = DOMAINS.parse("fourier").bind(shape)
        band, radius = bands(basis, 6)
        assert len(radius) <= 7
        assert radius[0] == 0
        assert (radius.diff() > 0).all()
        assert set(band.tolist()) == set(range(len(radius)))
        assert (basis.layout.radius[band == 0] == 0).all()
        for i in range(len(radius)):
            assert float(basis.layout.radius[band == i].mean()) == pytest.approx(float(radius[i]))
    band, radius = bands(DOMAINS.parse("identity").bind(signal(5)), 6)
    assert (band.tolist(), radius.tolist()) == ([0] * 5, [0.0])


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("freqx:samples=5", "even number"),
        ("freqx:samples=2", "even number"),
        ("freqx:bands=0", "bands 0"),
        ("freqx:layers=encoder.layer.*", "layer.0, layer.1, layer.2"),
        ("freqx:layers=layer", "none of which lies between"),
        ("freqx:detail=encoder.*", "input, layer.0"),
    ],
)
def test_what_cannot_be_is_said(spec, match):
    with pytest.raises(SpecError, match=match):
        attribute(Stream(), noise(1, 16), method=spec)


def test_layers_of_a_callable_are_refused_by_name():
    with pytest.raises(SpecError, match="not a module"):
        attribute(lambda v: v @ noise(6, 3), noise(1, 6), method="freqx:layers=out")


def test_patterns_match_part_by_part_from_the_end():
    assert matches("bert.encoder.layer.0", ["layer.*"])
    assert matches("bert.encoder.layer.11", ["encoder.layer.1?"])
    assert not matches("bert.encoder.layer.0.output", ["layer.*"])
    assert not matches("layer", ["encoder.layer"])
    assert METHODS.parse("freqx:a.*+b").layers == ("a.*", "b")
    one, other = (attribute(plain(*WIDTHS), noise(1, 12), method=m)[0] for m in ("freqx:2", FreqX(("2", "4"))))
    assert (one.extras["layers"], other.extras["layers"]) == (["input", "2"], ["input", "2", "4"])


#: Architectures whose blocks are found, and that are cuts: by the zoo's builder and name, what the names begin with.
TEXT = {"bert": "bert.encoder.layer", "albert": "albert.encoder.albert_layer_groups.0", "xlnet": "transformer.layer",
        "gpt2": "transformer.h", "llama": "model.layers"}  # fmt: skip
VISION = {"vit": "vit.layers", "efficientnet": "efficientnet.encoder.blocks", "resnet": "resnet.encoder.stages",
          "swin": "swin.encoder.layers", "convnext": "convnext.encoder.stages"}  # fmt: skip
SOUND = {"whisper": "encoder.layers", "wav2vec2": "wav2vec2.", "ast": "audio_spectrogram_transformer.layers"}


def explained(kind, name, **options):
    if kind == "text":
        explain = FourierExplainer(tiny_models.build("text-classification", name), task="text-classification")
        return explain.explain(tiny_models.batch(rows=2, length=9), **options)
    if kind == "vision":
        explain = FourierExplainer(tiny_models.build("image-classification", name), task="image-classification")
        return explain.explain({"pixel_values": noise(2, 3, 32, 32).float()}, **options)
    explain = FourierExplainer(
        tiny_models_audio.build(name), tiny_models_audio.extractor(name), task="audio-classification"
    )
    return [explain.explain((tiny_models_audio.clip(8000), tiny_models_audio.RATE), **options)]


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n) for k, names in (("text", TEXT), ("vision", VISION), ("sound", SOUND)) for n in names]
)
def test_the_blocks_of_architectures_are_found_and_are_cuts(kind, name):
    beginning = {**TEXT, **VISION, **SOUND}[name]
    for one in explained(kind, name, method="freqx:samples=4"):
        told = one.extras
        assert len(told["layers"]) >= 3
        assert all(layer.startswith(beginning) for layer in told["layers"][1:])
        assert all(told["is_cut"])
        close = 1e-4 * float(one.scores.abs().sum())
        assert all(abs(float(s) - float(one.scores.sum())) < close for s in told["signal"])
        expected = FreqX(samples=4).cost(told["neurons"][1:])
        assert (one.provenance["passes"]["forward"], one.provenance["passes"]["backward"]) == expected


def test_a_decoder_that_looks_at_its_encoder_again_is_no_cut():
    (one, _) = explained("text", "bart", method="freqx:samples=4")
    cuts = dict(zip(one.extras["layers"], one.extras["is_cut"], strict=True))
    assert cuts["model.encoder.layers.1"]
    assert not cuts["model.decoder.layers.0"]


def test_masks_of_pictures_and_volumes():
    for name in ("segformer", *tiny_models_segmentation.VOLUMES):
        explain = FourierExplainer(tiny_models_segmentation.build(name), task="image-segmentation")
        for one in explain.explain(
            {"pixel_values": tiny_models_segmentation.inputs(name, 2)}, method="freqx:samples=4"
        ):
            assert len(one.extras["layers"]) >= 3
            assert one.extras["information"].isfinite().all()
            if name == "segformer":  # its stages are all read by the head
                assert False in one.extras["is_cut"]


def test_several_rows_of_an_example_are_one_example():
    """A masked language model whose score is a mean over several masks: neurons are those of all of its rows."""
    explain = FourierExplainer(tiny_models.build("fill-mask", "esm"), task="fill-mask")
    both = explain.explain(tiny_models.batch(rows=2), method="freqx:samples=4")
    alone = explain.explain({n: t[1:] for n, t in tiny_models.batch(rows=2).items()}, method="freqx:samples=4")[0]
    torch.testing.assert_close(both[1].extras["energy"], alone.extras["energy"], rtol=1e-3, atol=1e-5)
    assert both[1].extras["neurons"][1] == 7 * 9 * 32


def test_neighbours_of_one_class_are_blocks_and_heads_are_not():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
            self.down1, self.down2 = Block(4, 0), Block(4, 1)
            self.head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))

    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = Stream(), Stream()

    assert list(repeated(Net())) == ["down1", "down2"]
    assert list(repeated(Pair()))[:2] == ["encoder.layer.0", "encoder.layer.1"]
    assert list(repeated(torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(2, 2))))) == ["0.0"]
    assert repeated(torch.nn.Linear(2, 2)) == {}


def test_of_a_real_model_the_blocks_are_cuts_and_their_bits_are_no_chance(asset):
    """Spam and ham: the score is the same at every block of MiniLM, and its neurons tell low frequencies apart."""
    explain = FourierExplainer.from_pretrained(str(asset("minilm-spam")))
    texts = ["WINNER!! You have been selected to receive a 900 prize reward!", "Are we still on for lunch tomorrow?"]
    for one in explain.explain(texts, method="freqx"):
        told = one.extras
        assert told["layers"] == ["input", *(f"bert.encoder.layer.{i}" for i in range(6))]
        assert all(told["is_cut"])
        assert one.provenance["passes"] == {"forward": 1.0, "backward": 1.0 + 6 * 17}
        close = 1e-4 * float(one.scores.abs().sum())
        assert all(abs(float(signal) - float(one.scores.sum())) < close for signal in told["signal"])
        assert float(told["information"][1:6, 0].mean()) > CHANCE_LEVEL
        assert 1 < float(told["effective"].min()) <= float(told["effective"].max()) <= len(one.scores)


def test_the_batch_is_no_matter_where_there_are_as_many_tokens_as_rows() -> None:
    """XLNet puts the batch second, and shapes do not show it then."""
    explain = FourierExplainer(tiny_models.build("text-classification", "xlnet"))
    batch = tiny_models.batch(rows=9, length=9)
    together = explain.explain(batch, method="freqx")
    for row in (0, 4):
        alone = explain.explain({name: tensor[row : row + 1] for name, tensor in batch.items()}, method="freqx")[0]
        for name in ("energy", "information", "divergence"):
            torch.testing.assert_close(together[row].extras[name], alone.extras[name], rtol=1e-4, atol=1e-6)
        assert together[row].provenance["passes"]["backward"] == alone.provenance["passes"]["backward"] + 1


def test_edges_of_bands_belong_to_the_lower_one():
    basis = DOMAINS.parse("fourier").bind(signal(9))  # frequencies 0, 1/9, …, 4/9
    for most, expected in ((4, [0, 1, 2, 3, 4]), (2, [0, 1, 1, 2, 2]), (1, [0, 1, 1, 1, 1])):
        band, radius = bands(basis, most)
        assert band.tolist() == expected
        assert radius[-1] == pytest.approx(
            sum(k / 9 for k, b in enumerate(expected) if b == most) / expected.count(most)
        )


def test_information_by_hand():
    s, q = torch.tensor([[2.0, 3.0, 0.0, 50.0]]), torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    exact = mutual_information(s, q, 100, None)[0].tolist()
    assert exact == pytest.approx([math.log2(5) / 2, 0, 0, math.log2(101) / 2])
    drawn = mutual_information(s, q, 100, 4)[0].tolist()  # the ratio by (4 − 2) / 4
    assert drawn == pytest.approx([math.log2(3) / 2, 0, 0, math.log2(101) / 2])
