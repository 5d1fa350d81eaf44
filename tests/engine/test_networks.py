"""Users' networks and functions as explainers: what is one example, in what units, and what the outputs are."""

import numpy as np
import pytest
import torch
from torch import nn

from hf_fourier import Attribution, FourierExplainer, attribute
from hf_fourier.errors import FourierError, InputError, ModelError, SpecError, TargetError
from hf_fourier.evaluation.randomized_model import randomize
from hf_fourier.scoring.targets import Direction
from tests.models import tiny_models, tiny_models_audio
from tests.toy_scores import noise

SPACE = ("height", "width")


def cnn(channels=3, classes=4):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes)
    )


def linear(entries=16, classes=3):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(entries, classes))


def picture(*sizes, seed=0):
    return torch.rand(*(sizes or (3, 8, 8)), generator=torch.Generator().manual_seed(seed))


def axes_of(result):
    return [(axis.name, axis.unit, axis.channel) for axis in result.layout.signal.axes]


@pytest.mark.parametrize(
    ("options", "sizes", "kind", "axes"),
    [
        ({"axes": SPACE}, (3, 4, 5), "pixels", [("channel", "cycles/sample", True), ("height", "cycles/pixel", False),
                                                ("width", "cycles/pixel", False)]),
        ({"axes": SPACE}, (4, 5), "pixels", [("height", "cycles/pixel", False), ("width", "cycles/pixel", False)]),
        ({"axes": ("depth", *SPACE)}, (3, 4, 5), "volume", [("depth", "cycles/voxel", False),
                                                            ("height", "cycles/voxel", False),
                                                            ("width", "cycles/voxel", False)]),
        ({"sampling_rate": 16000}, (30,), "waveform", [("time", "Hz", False)]),
        ({"sampling_rate": 16000}, (1, 30), "waveform", [("channel", "cycles/sample", True), ("time", "Hz", False)]),
        ({"sampling_rate": 16000}, (2, 30), "series", [("channel", "cycles/sample", True), ("time", "Hz", False)]),
        ({"sampling_rate": 250}, (30,), "series", [("time", "Hz", False)]),
        ({"axes": ("time", "channel")}, (30, 2), "series", [("time", "cycles/step", False),
                                                            ("channel", "cycles/sample", True)]),
        ({"axes": "wavelength"}, (30,), "tensor", [("wavelength", "cycles/sample", False)]),
        ({}, (30,), "tensor", [("axis1", "cycles/sample", False)]),
        ({}, (2, 3, 4), "tensor", [("axis1", "cycles/sample", True), ("axis2", "cycles/sample", False),
                                   ("axis3", "cycles/sample", False)]),
    ],
)  # fmt: skip
def test_axes_have_their_names_and_units(options, sizes, kind, axes):
    net = nn.Sequential(nn.Flatten(), linear(int(np.prod(sizes))))
    result = FourierExplainer(net, **options).explain(picture(*sizes))
    assert result.layout.signal.kind == kind
    assert axes_of(result) == axes
    if options.get("sampling_rate"):
        assert result.layout.signal.axes[-1].rate == options["sampling_rate"]


def test_a_batch_is_a_list_or_an_array_with_one_axis_more_than_an_example_can_have():
    rows, explainer = picture(4, 3, 8, 8), FourierExplainer(cnn(), axes=SPACE)
    for several in (rows, rows.numpy(), list(rows), iter(rows)):
        results = explainer.explain(several)
        assert [torch.equal(one.signal, row) for one, row in zip(results, rows, strict=True)] == [True] * 4
    assert isinstance(explainer.explain(rows[0]), Attribution)
    named = FourierExplainer(lambda x: x.mean(1), axes=("time", "channel"))
    assert isinstance(named.explain(picture(5, 3)), Attribution)
    assert len(named.explain(picture(2, 5, 3))) == 2
    flat = FourierExplainer(linear(4))
    assert isinstance(flat.explain([1, 2.5, 3, 4]), Attribution)
    assert len(flat.explain([[1, 2.5, 3, 4], [4, 3, 2, 1]])) == 2


class Picky(nn.Module):
    def forward(self, x):
        if x.ndim != 2:
            raise ValueError("a matrix of rows, please")
        return x[:, :3]


def test_an_array_that_could_be_read_in_two_ways_is_refused_with_both():
    explainer = FourierExplainer(Picky(), axes="time")
    both = r"please.*one example of shape \(5, 16\) \(channel 5, time 16\).*list\(x\).*5 examples of shape \(16,\)"
    with pytest.raises(ModelError, match=both):
        explainer.explain(picture(5, 16))
    assert len(explainer.explain(list(picture(5, 16)))) == 5
    takes_any = FourierExplainer(linear(), axes="time")  # makes (1, 5, 3) of it
    with pytest.raises(InputError, match=r"list\(x\).*5 examples of shape \(16,\)"):
        takes_any.explain(picture(5, 16))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8, torch.int64, torch.bool])
def test_examples_of_any_type_of_real_numbers(dtype):
    x = (picture() * 200).to(dtype)
    result = FourierExplainer(cnn(), axes=SPACE).explain(x)
    assert result.signal.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(result.signal, x.to(result.signal.dtype))  # not scaled
    converted = [note for note in result.provenance["notes"] if "unscaled" in note]
    assert bool(converted) == (not dtype.is_floating_point)


@pytest.mark.parametrize(
    "example",
    ["a.png", b"abc", {"x": [1.0]}, object(), torch.zeros(()), torch.zeros(0, 4), picture() + 0j,
     torch.full((3, 4, 4), torch.nan), [[1.0, 2.0], [3.0]], picture(2)],
)  # fmt: skip
def test_what_is_no_example_is_refused_in_one_line(example):
    with pytest.raises(InputError) as caught:
        FourierExplainer(cnn(), axes=SPACE).explain(example)
    assert caught.value.hint


def test_preprocess_takes_whatever_an_example_is():
    table = {"a": picture(seed=3)}
    explainer = FourierExplainer(cnn(), lambda key: table[key], axes=SPACE)
    result = explainer.explain("a")
    assert torch.equal(result.signal, table["a"])
    assert explainer.predict("a").label == result.label
    rows = FourierExplainer(cnn(), preprocess=lambda row: picture(seed=row["seed"]), axes=SPACE)
    assert len(rows.explain([{"seed": 1}, {"seed": 2}])) == 2
    unsqueezed = FourierExplainer(cnn(), preprocess=lambda key: table[key].unsqueeze(0), axes=SPACE)
    assert torch.equal(unsqueezed.explain("a").signal, table["a"])
    with pytest.raises(InputError, match=r"preprocess.*KeyError"):
        explainer.explain("b")


def test_results_are_those_of_attribute():
    net, x = cnn(), picture(2, 3, 8, 8)
    for a, b in zip(FourierExplainer(net, axes=SPACE).explain(x), attribute(net, x), strict=True):
        assert torch.equal(a.scores, b.scores) == (a.provenance["method"] == b.provenance["method"])
        assert (a.label, a.confidence, a.value) == (b.label, b.confidence, b.value)


@pytest.mark.parametrize(
    "method", ["tracking", "ffc", "response", "smoothgrad", "attexplore:steps=3", "freqx", "shapley"]
)
def test_a_picture_model_of_transformers_behind_a_function_has_the_same_results(method):
    model = tiny_models.build("image-classification", "vit")
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    expected = FourierExplainer(model).explain({"pixel_values": x}, method=method)
    for a, b in zip(
        FourierExplainer(lambda rows: model(pixel_values=rows), axes=SPACE, labels=list(model.config.id2label.values()))
        .explain(x, method=method), expected, strict=True,
    ):  # fmt: skip
        assert torch.equal(a.scores, b.scores)
        assert (a.label, a.value, a.key) == (b.label, b.value, b.key)
        assert a.layout.signal == b.layout.signal


def test_a_sound_model_of_transformers_behind_a_function_has_the_same_results():
    model = tiny_models_audio.build("wav2vec2")
    clip = torch.from_numpy(tiny_models_audio.clip(900)).float()
    rate = tiny_models_audio.RATE
    expected = FourierExplainer(model).explain({"input_values": clip[None]})[0]
    (result,) = FourierExplainer(lambda rows: model(rows), sampling_rate=rate).explain([clip])
    torch.testing.assert_close(result.scores, expected.scores)
    assert result.layout.signal.kind == expected.layout.signal.kind == "waveform"
    assert result.layout.signal.axes[0].unit == "Hz"


def test_probabilities_are_recognised_and_are_the_confidence():
    net, x = cnn(), picture()
    softmax = FourierExplainer(nn.Sequential(net, nn.Softmax(-1)), axes=SPACE)
    result, logits = softmax.explain(x), FourierExplainer(net, axes=SPACE).explain(x)
    assert result.confidence == pytest.approx(logits.confidence, abs=1e-6)
    assert result.value == pytest.approx(logits.value, abs=1e-5)
    assert any("read as probabilities" in note for note in result.provenance["notes"])
    torch.testing.assert_close(result.scores, logits.scores, rtol=1e-3, atol=1e-4)
    otherwise = FourierExplainer(nn.Sequential(net, nn.Softmax(-1)), axes=SPACE, outputs="logits").explain(x)
    assert otherwise.confidence != pytest.approx(logits.confidence, abs=1e-3)


def test_one_number_is_a_value_or_with_a_label_yes_or_no():
    net, x = cnn(classes=1), picture()
    value = FourierExplainer(net, axes=SPACE).explain(x)
    z = float(net(x.unsqueeze(0)))
    assert (value.provenance["head"], value.confidence) == ("value", None)
    assert value.value == pytest.approx(z)
    single = FourierExplainer(lambda rows: net(rows)[:, 0], axes=SPACE).explain(x)
    assert single.value == pytest.approx(z)
    decision = FourierExplainer(net, axes=SPACE, labels=["cat"]).explain(x)
    assert decision.label == ("cat" if z > 0 else "not cat")
    assert decision.confidence == pytest.approx(float(torch.sigmoid(torch.tensor(abs(z)))))


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("axes", "sizes"), [(SPACE, (8, 9)), (("depth", *SPACE), (4, 5, 6))])
def test_masks_are_explained_with_their_dice(classes, axes, sizes):
    torch.manual_seed(3)
    convolution = nn.Conv2d if len(sizes) == 2 else nn.Conv3d
    net = nn.Sequential(convolution(2, 4, 3, padding=1), nn.ReLU(), convolution(4, classes, 1))
    names = ["brain"] if classes == 1 else ["air", "skull", "brain"]
    x = torch.randn(2, *sizes, generator=torch.Generator().manual_seed(4))
    explainer = FourierExplainer(net, axes=axes, outputs="masks", labels=names)
    result = explainer.explain(x)
    assert result.provenance["head"] == "mask"
    logits = net(x[None])[0]
    p = nn.functional.logsigmoid(logits[0]) if classes == 1 else logits.log_softmax(0)
    found = logits[0] > 0 if classes == 1 else logits.argmax(0)
    expected = p[found].mean() if classes == 1 else p.gather(0, found[None]).mean()
    assert result.value == pytest.approx(float(expected), abs=1e-5)
    explainer.perturb(result, [0.5, 1.0])
    assert result.curve.points[-1].agreement is not None
    assert explainer.explain(x, target="brain").label == "brain"
    with pytest.raises(ModelError, match="labels"):
        FourierExplainer(net, axes=axes, outputs="masks", labels=list("abcd")).explain(x)


def test_an_embedding_is_explained_along_a_direction():
    x, other = picture(2, 3, 8, 8)
    explainer = FourierExplainer(cnn(), axes=SPACE, outputs="embedding", representation="3")
    vector = explainer.predict(other).logits
    assert vector.shape == (6,)
    result = explainer.explain(x, target=Direction(vector))
    expected = nn.functional.cosine_similarity(cnn()[:4](x[None]), vector[None]).item()
    assert result.value == pytest.approx(expected, abs=1e-5)
    explainer.perturb(result, [0.3])
    assert result.curve.points


def test_labels_are_a_list_or_a_dict_and_as_many_as_the_outputs():
    for labels in (list("wxyz"), dict(enumerate("wxyz")), np.array(list("wxyz"))):
        explainer = FourierExplainer(cnn(), axes=SPACE, labels=labels)
        assert explainer.explain(picture(), target="y").target == 2
    with pytest.raises(TargetError):
        explainer.explain(picture(), target="q")
    with pytest.raises(ModelError, match="labels"):
        FourierExplainer(cnn(), axes=SPACE, labels=["a", "b"]).explain(picture())


@pytest.mark.parametrize(
    "options",
    [{"axes": ()}, {"axes": ("height", "height")}, {"axes": 3}, {"axes": "channel"}, {"labels": "abc"},
     {"axes": SPACE, "sampling_rate": 9}, {"sampling_rate": 0}, {"sampling_rate": "fast"}, {"labels": {1: "a"}},
     {"labels": []}, {"outputs": "numbers"}, {"preprocess": 3}, {"version": 3}, {"representation": "layer9"},
     {"task": "x", "axes": "t"}],
)  # fmt: skip
def test_options_that_are_none(options):
    with pytest.raises((InputError, SpecError)) as caught:
        FourierExplainer(cnn(), **options)
    assert caught.value.hint


@pytest.mark.parametrize("model", ["resnet18", 3, None, nn.Linear])
def test_what_is_no_model(model):
    with pytest.raises(ModelError, match="from_pretrained"):
        FourierExplainer(model, axes="time")


def test_a_pipeline_is_sent_to_its_own_constructor():
    class Pipeline:
        model, task = linear(), "image-classification"

        def __call__(self, x):
            raise NotImplementedError

    with pytest.raises(ModelError, match="from_pipeline"):
        FourierExplainer(Pipeline())


def test_a_config_that_is_not_of_transformers_does_not_matter():
    net = linear()
    net.config = {"width": 3}
    assert FourierExplainer(net).explain(picture(16)).provenance["task"] == "network"


def test_misspelt_options_are_errors():
    with pytest.raises(TypeError, match="axis"):
        FourierExplainer(cnn(), axis=SPACE)


W = np.random.default_rng(0).normal(size=(16, 3))


class Estimator:
    def fit(self, x, y):
        raise NotImplementedError

    def predict_proba(self, x):
        assert isinstance(x, np.ndarray)
        assert x.ndim == 2
        e = np.exp(x @ W)
        return e / e.sum(1, keepdims=True)


def only_arrays(x):
    assert isinstance(x, np.ndarray)
    return x @ W


FUNCTIONS = {
    "an estimator": Estimator(),
    "its method": Estimator().predict_proba,
    "a function on arrays": only_arrays,
    "arrays from tensors": lambda x: x.detach().numpy() @ W,
}


@pytest.mark.parametrize(
    ("name", "arrays"),
    [(name, arrays) for name in FUNCTIONS for arrays in (None, True) if not (arrays and name == "arrays from tensors")],
)
def test_functions_on_arrays_are_explained_without_a_gradient(name, arrays):
    explainer = FourierExplainer(FUNCTIONS[name], axes="time", arrays=arrays)
    x = np.random.default_rng(1).normal(size=16)
    result = explainer.explain(x)
    assert result.provenance["method"].startswith("random_masks")
    assert result.provenance["passes"]["backward"] == 0
    assert result.layout.bands
    z = torch.as_tensor(x @ W)
    assert result.confidence == pytest.approx(float(z.softmax(-1).max()), abs=1e-5)
    explainer.perturb(result, [0.5])
    assert len(result.curve.points) == 2
    for method in ("occlusion", "shapley", "magnitude", "random"):
        assert explainer.explain(x, method=method).label == result.label


@pytest.mark.parametrize("method", ["tracking", "ffc", "integrated_gradients", "response"])
def test_methods_that_need_a_gradient_say_which_do_not(method):
    explainer = FourierExplainer(only_arrays, axes="time", arrays=True)
    with pytest.raises(ModelError, match=r"needs a gradient.*random_masks.*occlusion"):
        explainer.explain(np.ones(16), method=method)
    with pytest.raises(ModelError, match=r"needs a gradient"):
        attribute(FUNCTIONS["arrays from tensors"], noise(2, 16), method=method)


def test_what_detaches_its_input_is_explained_without_a_gradient():
    net = linear()
    explainer = FourierExplainer(torch.no_grad()(lambda x: net(x)), axes="time")
    with pytest.raises(ModelError, match=r"needs no gradient.*occlusion"):
        explainer.explain(picture(16))
    expected = FourierExplainer(net, axes="time").explain(picture(16), method="occlusion")
    torch.testing.assert_close(explainer.explain(picture(16), method="occlusion").scores, expected.scores)


def test_exact_values_of_a_linear_function_on_arrays():
    weights = np.random.default_rng(3).normal(size=(16, 2))
    explainer = FourierExplainer(lambda x: x @ weights, axes="time", arrays=True, outputs="values")
    x = np.random.default_rng(4).normal(size=16)
    result = explainer.explain(x, target=1, method="shapley", domain="fourier:bands=octave")
    assert float(result.scores.sum()) == pytest.approx(float(x @ weights[:, 1]), abs=1e-5)


class OneRow(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.seen = linear(), []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) != 1:
            raise ValueError("a batch of one alone")
        return self.net(x)


def test_a_network_that_takes_one_row_at_a_time_gets_one():
    net, rows = OneRow(), picture(3, 16)
    explainer = FourierExplainer(net, axes="time")
    results = explainer.explain(list(rows))
    expected = FourierExplainer(net.net, axes="time").explain(list(rows))
    for a, b in zip(results, expected, strict=True):
        torch.testing.assert_close(a.scores, b.scores)
    net.seen.clear()
    explainer.perturb(results, [0.2, 0.5])
    assert set(net.seen) == {1}


@pytest.mark.parametrize("rows", ["any", 1])
def test_an_exported_program(rows):
    net, x = linear().eval(), picture(2, 16)
    shapes = ({0: torch.export.Dim("rows")},) if rows == "any" else None
    program = torch.export.export(net, (x if rows == "any" else x[:1],), dynamic_shapes=shapes)
    result = FourierExplainer(program.module(), axes="time").explain(x[0])
    expected = FourierExplainer(net, axes="time").explain(x[0])
    torch.testing.assert_close(result.scores, expected.scores)
    assert result.label == expected.label


def test_a_run_knows_the_weights_of_modules_and_of_functions_in_front_of_them(tmp_path):
    net, data = linear(), list(picture(3, 16))
    for name, make in (("module", lambda: net), ("function", lambda: lambda x: net(x) * 2)):
        model = make()
        assert len(FourierExplainer(model, axes="time").explain_dataset(data, tmp_path / name, progress=False)) == 3
        assert len(FourierExplainer(model, axes="time").explain_dataset(data, tmp_path / name, progress=False)) == 3
        with torch.no_grad():
            net[0].weight.add_(1)
        with pytest.raises(InputError, match="weights"):
            FourierExplainer(model, axes="time").explain_dataset(data, tmp_path / name, progress=False)
    other = FourierExplainer(lambda x: net(x) * 3, axes="time")
    with pytest.raises(InputError, match="weights"):
        other.explain_dataset(data, tmp_path / "function", progress=False)


def test_a_run_of_a_function_without_weights_needs_their_name(tmp_path):
    data = list(picture(3, 16))
    with pytest.raises(InputError, match="version="):
        FourierExplainer(only_arrays, axes="time", arrays=True).explain_dataset(data, tmp_path / "a", progress=False)
    named = FourierExplainer(only_arrays, axes="time", arrays=True, version="1")
    assert len(named.explain_dataset(data, tmp_path / "b", progress=False)) == 3
    assert len(named.explain_dataset(data, tmp_path / "b", progress=False)) == 3
    with pytest.raises(InputError, match=r"'2'.*'1'"):
        FourierExplainer(only_arrays, axes="time", arrays=True, version="2").explain_dataset(
            data, tmp_path / "b", progress=False
        )


def test_a_run_with_other_axes_or_another_preprocess_is_another(tmp_path):
    net, data = linear(), list(picture(3, 16))

    def run(**options):
        return FourierExplainer(net, **options).explain_dataset(data, tmp_path / "run", progress=False)

    assert len(run(axes="time", preprocess=lambda x: x * 2)) == 3
    assert len(run(axes="time", preprocess=lambda x: x * 2)) == 3
    with pytest.raises(InputError, match="processor"):
        run(axes="time", preprocess=lambda x: x * 3)
    with pytest.raises(InputError, match="reading"):
        run(sampling_rate=100, preprocess=lambda x: x * 2)


def test_a_run_takes_an_array_of_examples(tmp_path):
    explainer = FourierExplainer(cnn(), axes=SPACE)
    assert len(explainer.explain_dataset(picture(3, 3, 8, 8), tmp_path / "run", progress=False)) == 3


def test_saved_results_are_perturbed_by_a_new_explainer(tmp_path):
    a = FourierExplainer(cnn(), axes=SPACE).explain(picture())
    a.save(tmp_path / "a")
    again = Attribution.load(tmp_path / "a")
    FourierExplainer(cnn(), axes=SPACE).perturb(again, [0.3])
    FourierExplainer(cnn(), axes=SPACE).perturb(a, [0.3])
    assert again.curve == a.curve


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.linspace(1, 2, 64))

    def forward(self, x):
        return x * self.gain


def test_a_randomized_network_has_other_weights_everywhere_and_the_same_options():
    net = nn.Sequential(nn.Flatten(), Scale(), nn.Linear(64, 3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    explainer = FourierExplainer(net, axes=SPACE, labels=list("abc"))
    results = explainer.explain([picture(8, 8, seed=i) for i in range(2)])
    other = randomize(explainer, results)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(torch.equal(value, before[name]) for name, value in other.model.state_dict().items())
    assert other.explain(picture(8, 8)).layout.signal == results[0].layout.signal
    check = explainer.sanity_check([picture(8, 8, seed=i) for i in range(3)], method="magnitude")
    (one,) = [one for one in check.checks if one.name == "model randomization"]
    assert one.passed is False  # the magnitude does not use the model
    function = FourierExplainer(lambda x: net(x), axes=SPACE, labels=list("abc"))
    with pytest.raises(ModelError, match="initialised again"):
        randomize(function, results)


def test_what_attribute_returns_perturbs_itself_and_predicts_on_parts():
    net, x = linear().eval(), noise(3, 16, dtype=torch.float32)
    results = attribute(net, x).perturb([0.2, 0.5])
    assert isinstance(results, list)
    for i, result in enumerate(results):
        kept = results.predict(i, result.keep_top(0.2))
        assert result.curve.points[0].confidence == pytest.approx(
            float(net(result.keep_top(0.2)[None]).softmax(-1)[0, result.target]), abs=1e-5
        )
        torch.testing.assert_close(kept.logits, net(result.keep_top(0.2)[None])[0].detach())
        gone = results.predict(i, result.delete_top(0.2))
        torch.testing.assert_close(gone.logits, net(result.delete_top(0.2)[None])[0].detach())
        assert results.predict(i).label == result.label
    assert [one.label for one in results.explainer.re_explain(results, [0, 1, 2])] == ["0", "1", "2"]


def test_a_network_stays_as_it_is():
    net = cnn()
    net[0].requires_grad_(False)
    explainer = FourierExplainer(net, axes=SPACE)
    explainer.explain(picture())
    assert net.training
    assert not net[0].weight.requires_grad
    assert net[4].weight.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not net._forward_hooks


def test_an_error_of_the_network_is_one_of_ours():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("weights")

    with pytest.raises(FourierError, match="KeyError"):
        FourierExplainer(Broken(), axes="time").explain(picture(16))
