"""Tests with timm, torchvision, torchaudio, zennit and shap; `test_libraries.py` runs them in a process of its own."""

import importlib
import os
import sys
from types import SimpleNamespace

import pytest
import torch

#: torchvision's compiled operators are not in the folder: these two have to be known for its import.
OPERATORS = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
sys.modules["_kernel_lib"] = SimpleNamespace(_exp_val=None)  # the compiled part of shap's kernel explainer
sys.path.append(os.environ["HF_FOURIER_TEST_LIBRARIES"])

from hf_fourier import attribute  # noqa: E402
from hf_fourier.errors import ModelError  # noqa: E402
from hf_fourier.methods import METHODS  # noqa: E402
from hf_fourier.models.network_units import scale_of  # noqa: E402
from tests.end_to_end.test_own_networks import blocks, names_of  # noqa: E402
from tests.library_methods import belongs_to_each_example  # noqa: E402
from tests.toy_scores import Smooth, noise  # noqa: E402


@pytest.fixture
def page(root):
    return (root / "docs/howto/my-network.md").read_text()


@pytest.mark.parametrize(
    ("section", "package"),
    [("A model of timm", "timm"), ("A model of torchvision", "torchvision"), ("Layers of torchaudio", "torchaudio")],
)
def test_from_the_page_alone_to_a_report_with_curves_in_ten_lines(section, package, page, tmp_path, monkeypatch):
    assert importlib.import_module(package).__file__.startswith(os.environ["HF_FOURIER_TEST_LIBRARIES"])
    monkeypatch.chdir(tmp_path)
    (user,) = blocks(page, section)
    assert len([line for line in user.splitlines() if line.strip()]) <= 10
    names = names_of(page, "A picture classifier", section)
    page_text = (tmp_path / f"report-{package}/index.html").read_text()
    results = names["results"] if isinstance(names["results"], list) else [names["results"]]
    assert all(one.curve.points and one.label in page_text for one in results)
    if package != "torchaudio":  # the picture in its own colours, cut and scaled as the library's transform does
        import numpy as np

        transform, picture = names["explainer"].wrapper.processor, names["pictures"][0]
        shown = torch.from_numpy(np.array(results[0].render())).permute(2, 0, 1) / 255
        mean, std = (torch.tensor(part).view(3, 1, 1) for part in scale_of(names["explainer"].model, transform))
        torch.testing.assert_close(shown, transform(picture) * std + mean, rtol=0, atol=1 / 255)
    else:
        assert results[0].layout.label(0).endswith("Hz")


class Net(torch.nn.Sequential):
    """Rectified convolutions without biases, of one axis or two: relevance by ε is gradient × input."""

    def __init__(self, axes=1, bias=False):
        torch.manual_seed(0)
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d)[axes - 1]
        super().__init__(
            convolution(1, 4, 3, padding=1, bias=bias),
            torch.nn.ReLU(),
            convolution(4, 4, 3, padding=1, bias=bias),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * 8**axes, 3, bias=bias),
        )


def first_logit(outputs):
    return outputs[:, 0]


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("domain", ["fourier", "cosine", "identity", "fourier:bands=3"])
def test_relevance_by_epsilon_without_biases_is_gradient_times_input(axes, domain):
    net, x = Net(axes).double().eval(), noise(3, 1, *(8,) * axes)
    kwargs = {"domain": domain, "target": first_logit}
    found = attribute(net, x, method="zennit:Epsilon,epsilon=1e-12", **kwargs)
    for one, expected in zip(found, attribute(net, x, method="gradient_input", **kwargs), strict=True):
        torch.testing.assert_close(one.scores, expected.scores, rtol=1e-4, atol=1e-7)
        assert one.value == pytest.approx(expected.value, rel=1e-6)


def test_relevance_is_what_zennit_gives_from_the_targets_logit():
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlus

    net, x = Net(2, bias=True).eval(), noise(2, 1, 8, 8, dtype=torch.float32)
    with Gradient(model=net, composite=EpsilonPlus()) as attributor:
        _, expected = attributor(x, lambda out: out * torch.eye(3)[[0, 0]])
    found = attribute(net, x, method="lrp", target=first_logit, domain="identity")
    got = torch.stack([one.scores.reshape(1, 8, 8) for one in found])
    torch.testing.assert_close(got, expected.detach(), rtol=1e-4, atol=1e-6)
    carried = attribute(net, x, method="lrp", target=first_logit)
    for one, whole in zip(carried, expected, strict=True):
        assert float(one.scores.sum()) == pytest.approx(float(whole.sum()), rel=1e-3)


def test_relevance_of_a_margin_begins_at_all_logits():
    """Without biases relevance adds up to Σ z ds/dz, here with the softmax's margin."""
    net, x = Net(1).double().eval(), noise(2, 1, 8)
    z = net(x).detach().requires_grad_()
    y = z.argmax(1)
    others = z.masked_fill(torch.nn.functional.one_hot(y, 3).bool(), -torch.inf)
    (slope,) = torch.autograd.grad((z.gather(1, y[:, None])[:, 0] - others.logsumexp(1)).sum(), z)
    found = attribute(net, x, method="zennit:Epsilon,epsilon=1e-12")
    got = [float(one.scores.sum()) for one in found]
    assert got == pytest.approx((z * slope).sum(1).tolist(), rel=1e-4)


def test_lrp_leaves_the_network_as_it_was_and_belongs_to_the_example():
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.ReLU(), torch.nn.AvgPool1d(2), torch.nn.Flatten())
    net.append(torch.nn.Linear(6, 2))
    belongs_to_each_example(net, noise(3, 1, 8, dtype=torch.float32), "zennit")


class Blocks(torch.nn.Module):
    """A convolution, what a test asks for, and a linear layer."""

    def __init__(self, between, *parts):
        super().__init__()
        self.first, self.last = torch.nn.Conv1d(1, 4, 3, padding=1), torch.nn.Linear(32, 3)
        self.parts, self.between = torch.nn.ModuleList(parts), between

    def forward(self, x):
        return self.last(self.between(self, torch.relu(self.first(x))).flatten(1))


CONV = torch.nn.Conv1d(4, 4, 3, padding=1)
UNSEEN = {
    "an addition": Blocks(lambda self, h: torch.relu(h + self.parts[0](h)), CONV),
    "a gate": Blocks(lambda self, h: h * torch.sigmoid(self.parts[0](h)), CONV),
    "a layer twice": Blocks(lambda self, h: self.parts[0](self.parts[0](h)), CONV),
    "a function": Blocks(lambda self, h: torch.nn.functional.gelu(h)),
    "a convolution that is no layer": Blocks(
        lambda self, h: torch.nn.functional.conv1d(h, self.parts[0].weight, padding=1), torch.nn.Conv1d(4, 4, 3)
    ),
    "a mean that is no layer": Blocks(lambda self, h: h.mean(-1, keepdim=True).expand_as(h)),
    "a norm": Blocks(lambda self, h: self.parts[0](h), torch.nn.BatchNorm1d(4)),
    "a norm without parameters": Blocks(lambda self, h: self.parts[0](h), torch.nn.BatchNorm1d(4, affine=False)),
    "layer norm": Blocks(lambda self, h: self.parts[0](h), torch.nn.LayerNorm(8)),
    "attention": Blocks(lambda self, h: self.parts[0](h, h, h)[0], torch.nn.MultiheadAttention(8, 2)),
    "probabilities": torch.nn.Sequential(Blocks(lambda self, h: h), torch.nn.Softmax(-1)),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_the_rules_do_not_see_is_refused_and_the_network_stays(kind):
    net, x = UNSEEN[kind].eval(), noise(2, 1, 8, dtype=torch.float32)
    before, answers = {name: value.clone() for name, value in net.state_dict().items()}, net(x)
    for method in ("lrp", "zennit:Epsilon"):
        with pytest.raises(ModelError, match="the rules of LRP do not cover"):
            attribute(net, x, method=method)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(net(x), answers)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_branches_that_are_joined_and_pools_are_followed():
    joined = Blocks(lambda self, h: torch.cat([self.parts[0](h), self.parts[1](h)], 1)[:, 1:5], *(
        torch.nn.Conv1d(4, 4, 3, padding=1, bias=False) for _ in range(2)
    )).double().eval()  # fmt: skip
    joined.first.bias = joined.last.bias = None
    x = noise(2, 1, 8)
    kwargs = {"target": first_logit, "domain": "identity"}
    found = attribute(joined, x, method="zennit:Epsilon,epsilon=1e-12", **kwargs)
    for one, expected in zip(found, attribute(joined, x, method="gradient_input", **kwargs), strict=True):
        torch.testing.assert_close(one.scores, expected.scores, rtol=1e-4, atol=1e-7)


def test_models_without_a_layer_that_has_a_rule_are_refused():
    with pytest.raises(ModelError, match="Linear, Conv1d"):
        attribute(Smooth(3, 8).eval(), noise(1, 8), method="lrp")


def test_lrp_of_a_transformer_is_refused():
    from hf_fourier import FourierExplainer
    from tests.models import tiny_models, tiny_tokenizers

    text = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    with pytest.raises(ModelError, match="the rules of LRP do not cover"):
        text.explain(tiny_tokenizers.texts(1), method="lrp", contributions=0)


def test_shaps_expected_gradients_are_near_integrated_gradients():
    model, x = Smooth(3, 6, 7).eval(), noise(2, 6, 7)
    found = attribute(model, x, method="shap:GradientExplainer,samples=2000")
    expected = attribute(model, x, method="integrated_gradients:steps=200,baseline=zero")
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=0.03 * float(other.scores.abs().max()))
    assert found[0].provenance["method"].startswith("shap_gradients")
    again = attribute(model, x, method="gradient_explainer:samples=4")
    alone = attribute(model, x[1:], method="gradient_explainer:samples=4")
    assert torch.equal(again[1].scores, alone[0].scores)
    passes = again[0].provenance["passes"]
    assert (passes["forward"], passes["backward"]) == METHODS.parse("gradient_explainer:samples=4").passes


def test_both_stand_in_a_table_beside_other_methods():
    from hf_fourier import FourierExplainer

    explainer = FourierExplainer(Net(2, bias=True), axes=("height", "width"), labels=list("abc"))
    pictures = list(noise(3, 1, 8, 8, dtype=torch.float32))
    methods = ["gradient_input", "zennit:EpsilonPlus", "shap:GradientExplainer,samples=3"]
    found = explainer.evaluate(pictures, methods, metrics=["dig"])
    assert {"zennit:EpsilonPlus", "shap_gradients:samples=3"} <= set(found.table(["dig"])["method"])
    assert {"shap_gradients", "zennit"} <= set(METHODS)
    assert METHODS.missing.keys() <= {"gradcam"}  # which pip alone builds
