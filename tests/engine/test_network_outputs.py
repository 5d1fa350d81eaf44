"""What the outputs of a user's network are: probabilities of classes or of yes and no, arrays, names, embeddings."""

import numpy as np
import pytest
import torch
from torch import nn

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, ModelError
from hf_fourier.methods import METHODS
from hf_fourier.runs.manifest import Manifest
from hf_fourier.scoring.targets import Direction

BANDS = {"method": "occlusion", "domain": "fourier:bands=octave"}


def rows(count=6, entries=16, seed=0):
    return list(torch.randn(count, entries, generator=torch.Generator().manual_seed(seed)))


def ending(*last, classes=3, entries=16):
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(entries, classes), *last)


def test_probabilities_of_coarse_types_are_recognised_whatever_example_is_first():
    net, x = ending(nn.Softmax(-1), classes=10).to(torch.bfloat16), rows(30)
    sums = torch.stack([net(one[None].bfloat16())[0].float().sum() for one in x])
    assert ((sums - 1).abs() > 1e-4).any()
    for one in x:
        explainer = FourierExplainer(net)
        assert explainer.explain(one, method="magnitude").confidence == pytest.approx(
            float(net(one[None].bfloat16()).detach().max()), abs=1e-2
        )
        assert explainer.wrapper.form.kind == "probabilities"
    uneven = FourierExplainer(lambda z: net(z).float(), axes="time")  # of a type finer than the weights'
    assert uneven.explain(x, **BANDS)


def first_differs(x):
    """Probabilities for rows that begin with a positive number, else logits."""
    return torch.where(x[:, :1] > 0, x[:, :3].softmax(-1), x[:, :3] * 3)


def test_rows_that_contradict_what_the_outputs_were_taken_for_are_errors():
    good, bad = torch.ones(16), -torch.ones(16)
    explainer = FourierExplainer(first_differs, axes="time")
    assert explainer.explain(good, method="magnitude").confidence
    with pytest.raises(ModelError, match=r"sum.*outputs="):
        explainer.explain(bad, method="magnitude")
    assert FourierExplainer(first_differs, axes="time", outputs="logits").explain([good, bad], method="magnitude")


@pytest.mark.parametrize("last", [(), (nn.Sigmoid(),), (nn.ReLU(),)])
def test_stated_probabilities_are_checked(last):
    with pytest.raises(ModelError, match=r"read as probabilities.*sigmoid_probabilities"):
        FourierExplainer(ending(*last), outputs="probabilities").explain(rows())
    if not isinstance((*last, None)[0], nn.Sigmoid):
        with pytest.raises(ModelError, match="read as sigmoid_probabilities"):
            FourierExplainer(ending(*last), outputs="sigmoid_probabilities").explain(rows(30))


@pytest.mark.parametrize("labels", [["yes"], ["no", "yes"]])
def test_a_sigmoid_at_the_end_says_yes_and_no(labels):
    net, x = ending(nn.Sigmoid(), classes=1), rows(8)
    p = [float(net(one[None]).detach()) for one in x]
    assert min(p) < 0.5 < max(p)
    for kind in ("probabilities", "sigmoid_probabilities"):
        results = FourierExplainer(net, labels=labels, outputs=kind).explain(x)
        expected = FourierExplainer(net[:1], labels=labels).explain(x)
        assert [one.label for one in results] == ["yes" if value > 0.5 else "not yes" for value in p]
        for one, other, value in zip(results, expected, p, strict=True):
            assert one.confidence == pytest.approx(max(value, 1 - value), abs=1e-5)
            torch.testing.assert_close(one.scores, other.scores, rtol=1e-3, atol=1e-4)
    clamped = nn.Sequential(net[0], nn.Hardsigmoid())  # whose graph shows no sigmoid
    unsaid = FourierExplainer(clamped, labels=labels).explain(x[0], method="magnitude")
    assert any("outputs='probabilities'" in note for note in unsaid.provenance["notes"])


def test_probabilities_of_several_labels_that_are_yes_or_no():
    net, x = ending(nn.Sigmoid()), rows()
    results = FourierExplainer(net, labels=list("abc"), outputs="sigmoid_probabilities").explain(x)
    expected = FourierExplainer(net[:1], labels=list("abc"), outputs="sigmoid").explain(x)
    for one, other in zip(results, expected, strict=True):
        assert one.label == other.label
        assert one.value == pytest.approx(other.value, abs=1e-5)
    clamped = nn.Sequential(net[0], nn.Hardsigmoid())
    unsaid = FourierExplainer(clamped, labels=list("abc")).explain(x[0], method="magnitude")
    assert any("sigmoid_probabilities" in note for note in unsaid.provenance["notes"])


class Functional(nn.Module):
    """Ends in a function, and in a change of shape."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return torch.sigmoid(self.layer(x).unsqueeze(1)).flatten(1)


@pytest.mark.parametrize("labels", [["yes"], ["no", "yes"], ["a", "b", "c"], None])
@pytest.mark.parametrize("functional", [False, True])
def test_a_sigmoid_at_the_end_is_seen(labels, functional):
    net, x = ending(nn.Sigmoid(), classes=3 if labels is None or len(labels) == 3 else 1), rows(3)
    own = Functional(net[0]) if functional else net
    found = FourierExplainer(own, labels=labels)
    results = found.explain(x, method="magnitude")
    assert found.wrapper.form.kind == "sigmoid_probabilities"
    assert any("ends in a sigmoid" in note for note in results[0].provenance["notes"])
    stated = FourierExplainer(net, labels=labels, outputs="sigmoid_probabilities").explain(x, method="magnitude")
    assert [one.confidence for one in results] == pytest.approx([one.confidence for one in stated])


def test_what_looks_like_a_sigmoid_and_is_none():
    """One output without labels stays a value; probabilities of a softmax and others from 0 to 1 what they were."""
    for last, classes, kind in (
        (nn.Sigmoid(), 1, "values"),
        (nn.Softmax(-1), 3, "probabilities"),
        (nn.Hardsigmoid(), 3, "logits"),
    ):
        explainer = FourierExplainer(ending(last, classes=classes))
        explainer.explain(rows(1)[0], method="magnitude")
        assert explainer.wrapper.form.kind == kind
    halves = nn.Sequential(ending(classes=2), nn.Sigmoid())  # the sum of one row happens to be 1
    with torch.no_grad():
        halves[0][0].weight[1] = -halves[0][0].weight[0]
        halves[0][0].bias.zero_()
    explainer = FourierExplainer(halves)
    explainer.explain(rows(1)[0], method="magnitude")
    assert explainer.wrapper.form.kind == "sigmoid_probabilities"


def test_a_run_keeps_what_its_first_example_showed(tmp_path):
    net = ending(classes=2)
    one, other = rows(2)
    with torch.no_grad():  # one example has logits that could be probabilities
        net[0].weight.copy_(
            torch.linalg.lstsq(torch.stack([one, other]), torch.tensor([[0.25, 0.75], [2.0, -3.0]]))[0].T
        )
        net[0].bias.zero_()
    folder, data = tmp_path / "run", [other, one, one, one]
    options = {"method": "magnitude", "chunk": 1, "progress": False, "store": "scores"}
    whole = [float(a.confidence) for a in FourierExplainer(net).explain_dataset(data, folder, **options)]
    assert Manifest.read(folder).environment["outputs"]["kind"] == "logits"
    for shard in sorted((folder / "shards").glob("*/*.safetensors"))[1:]:
        shard.unlink()
    again = FourierExplainer(net)
    again.explain(one, method="magnitude")  # takes them for probabilities
    assert again.wrapper.form.kind == "probabilities"
    assert [float(a.confidence) for a in again.explain_dataset(data, folder, **options)] == whole


def deviation(x):
    z = x.std(axis=1)
    return np.stack([np.asarray(z), 1 - np.asarray(z)], 1)


def test_a_function_that_returns_arrays_is_called_with_arrays():
    x = np.array([0.0, 1.0, 2.0, 5.0])
    explainer = FourierExplainer(deviation, outputs="values")
    assert explainer.explain(x, target=0).value == pytest.approx(x.std())
    assert explainer.wrapper.call.takes_arrays
    tensors = FourierExplainer(deviation, outputs="values", arrays=False)
    assert not tensors.wrapper.call.takes_arrays


def only_arrays(x):
    return np.dot(x.reshape(len(x), -1).astype(float), np.linspace(-1, 1, 48).reshape(16, 3))


@pytest.mark.parametrize("call", ["explain_dataset", "evaluate", "sanity_check", "spectrum"])
def test_a_function_on_arrays_needs_no_call_of_explain_before(tmp_path, call):
    explainer, data = FourierExplainer(only_arrays, version="1"), [one.numpy() for one in rows(3)]
    given = {"explain_dataset": (tmp_path / "run",)}.get(call, ())
    options = {"explain_dataset": {"progress": False}, "evaluate": {"metrics": ["maintain_rate"]}}.get(call, {})
    assert getattr(explainer, call)(data, *given, **options)
    assert METHODS.spec(explainer.method).startswith("random_masks")


class OneRow(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.a, self.b = nn.Linear(16, 5), nn.Linear(5, 7)

    def forward(self, x):
        hidden = self.a(x)
        if len(x) != 1:
            raise ValueError("one row")
        return self.b(hidden)


def test_an_embedding_of_a_network_that_takes_one_row_at_a_time():
    net, x, direction = OneRow(), rows(), Direction(torch.arange(5.0))
    explainer = FourierExplainer(net, outputs="embedding", representation="a")
    values = [explainer.explain(x, direction, **BANDS)[0].value for _ in range(2)]
    expected = float(nn.functional.cosine_similarity(net.a(x[0][None]), torch.arange(5.0)[None]).detach())
    assert values == pytest.approx([expected, expected], abs=1e-5)


@pytest.mark.parametrize("name", ["logits", "output"])
def test_the_outputs_themselves_as_an_embedding(name):
    net, direction = ending(), Direction(torch.arange(3.0))
    own = FourierExplainer(net, outputs="embedding").explain(rows()[0], direction)
    result = FourierExplainer(net, outputs="embedding", representation=name).explain(rows()[0], direction)
    assert result.value == own.value


@pytest.mark.parametrize("how", ["itself", "predict_proba"])
def test_classes_of_an_estimator_have_their_names(how):
    from sklearn.linear_model import LogisticRegression

    x = np.random.default_rng(0).normal(size=(60, 16))
    estimator = LogisticRegression().fit(x, np.where(x[:, 3] > 0, "tremor", "calm"))
    model = estimator if how == "itself" else estimator.predict_proba
    results = FourierExplainer(model, axes="time").explain(list(x[:4]))
    assert [one.label for one in results] == list(estimator.predict(x[:4]))
    renamed = FourierExplainer(model, axes="time", labels=["a", "b"]).explain(list(x[:4]))
    assert {one.label for one in renamed} <= {"a", "b"}


def test_a_decision_function_of_two_classes_is_a_logit():
    from sklearn.svm import SVC

    x = np.random.default_rng(0).normal(size=(60, 16))
    estimator = SVC().fit(x, np.where(x[:, 3] > 0, "tremor", "calm"))
    results = FourierExplainer(estimator, axes="time").explain(list(x[:6]))
    expected = ["tremor" if value > 0 else "not tremor" for value in estimator.decision_function(x[:6])]
    assert [one.label for one in results] == expected
    assert results[0].provenance["head"] == "sigmoid"
    pairs = SVC(decision_function_shape="ovo").fit(x, np.digitize(x[:, 3], [-0.7, 0, 0.7]))
    assert FourierExplainer(pairs, axes="time").explain(x[0]).label in set("012345")  # pairs of classes have no names


def test_hints_about_indices_and_labels():
    from tests.models import tiny_models
    from tests.models.test_vision import processor as image_processor

    net = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(32, 3))
    with pytest.raises(ModelError, match=r"indices.*embeddings.*net\.embedding"):
        FourierExplainer(net).explain(torch.arange(8))
    model, processor = tiny_models.build("image-classification", "vit"), image_processor()
    with pytest.raises(InputError, match=r"labels.*id2label"):
        FourierExplainer(model, processor, labels=["a", "b"])


def test_only_the_first_example_is_read_to_see_what_the_outputs_are():
    read = []

    def preprocess(index):
        read.append(index)
        return torch.full((16,), float(index))

    explainer = FourierExplainer(ending(), preprocess)
    explainer.wrapper.learn(iter(range(5)))
    explainer.wrapper.learn(iter(range(5)))
    assert read == [0]
    broken = FourierExplainer(ending(), lambda index: torch.ones(16 + (index < 2)))
    broken.wrapper.learn(iter(range(5)))
    assert broken.wrapper.form is not None
