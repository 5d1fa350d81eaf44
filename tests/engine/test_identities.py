"""What a run knows a user's function by: its code and all that it reads; a change of any of it is another digest."""

import dataclasses
import sys
import threading
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.runs.fingerprint import digest_of, model_identity
from hf_fourier.runs.function_digest import Unreadable

SCALE = 2.0


def scaled(x):
    return x * SCALE


def linear(entries=16, classes=3):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(entries, classes))


def rows(count=3):
    return list(torch.rand(count, 16, generator=torch.Generator().manual_seed(0)))


def compiled(source, **names):
    """The function `f` of a source text, as of a module of its own."""
    known = {"np": np, "torch": torch, "nn": nn, **names}
    exec(source, known)
    return known["f"]


def test_functions_are_known_by_their_code_and_by_what_they_hold(monkeypatch):
    def made(gain, power=2):
        table = torch.arange(3.0) * gain

        def inner(x):
            return table * scaled(x) ** power

        return inner

    first = digest_of(made(1.0))
    assert digest_of(made(1.0)) == first
    assert digest_of(made(2.0)) != first
    assert digest_of(made(1.0, power=3)) != first
    assert len({digest_of(partial(scaled, x=value)) for value in (1, 2, 3)}) == 3
    assert digest_of(lambda x: x + 1) != digest_of(lambda x: x + 2)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3.0)
    assert digest_of(made(1.0)) != first  # through the function that it calls


OBJECT = """
class Preprocess:
    gain = {gain}
    def __init__(self): self._mean = {mean}
    def __call__(self, x): return x {sign} self._mean
f = Preprocess()
"""
MODULE = """
class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = {shift}
        self.register_buffer("scale", torch.tensor({scale}))
    def forward(self, x): return x * self.scale {sign} self.shift
f = nn.Sequential(Shift())
"""
#: What is changed, a source with a place for it, and two values of it.
CHANGES = {
    "a list in the code": ("f = lambda x: x - np.array([{}, 0.456, 0.406])[:, None]", "0.485", "0.5"),
    "a set in the code": ("f = lambda x: x in {{{}, 5, 6}}", "1", "2"),
    "a global list": ("MEAN = [{}, 1]\ndef f(x): return x - np.array(MEAN)", "0", "1"),
    "a global dict": ("CFG = {{'mean': {}}}\ndef f(x): return x - CFG['mean']", "1.0", "2.0"),
    "a number in a list in a dict": ("CFG = {{'a': [(1, {})]}}\ndef f(x): return CFG", "1.0", "2.0"),
    "a global of inner code": ("S = {}\ndef f(x):\n  g = lambda y: y * S\n  return g(x)", "1", "2"),
    "a global of a comprehension": ("S = {}\ndef f(x): return [y * S for y in x]", "1", "2"),
    "a function in a list": ("STEPS = [lambda x: x + {}]\ndef f(x): return STEPS[0](x)", "1", "2"),
    "a default": ("def f(x, shift={}): return x - shift", "1", "2"),
    "a keyword's default": ("def f(x, *, shift=[{}]): return x - shift", "1", "2"),
    "a decorated function": ("@torch.no_grad()\ndef f(x): return x + {}", "1", "2"),
    "a function with a cache": ("import functools\n@functools.cache\ndef f(x): return x + {}", "1", "2"),
    "a private attribute": (OBJECT.format(gain=1, mean="{}", sign="-"), "1", "2"),
    "an attribute of the class": (OBJECT.format(gain="{}", mean=1, sign="-"), "1", "2"),
    "the code of an object": (OBJECT.format(gain=1, mean=1, sign="{}"), "-", "+"),
    "a method": (OBJECT.format(gain=1, mean="{}", sign="-") + "f = f.__call__", "1", "2"),
    "an attribute of a module": (MODULE.format(shift="{}", scale=1, sign="+"), "1", "2"),
    "a buffer of a module": (MODULE.format(shift=1, scale="{}", sign="+"), "1.0", "2.0"),
    "the code of a module": (MODULE.format(shift=1, scale=1, sign="{}"), "+", "-"),
    "weights of a module that a function names": (
        "n = nn.Linear(2, 2)\nnn.init.constant_(n.weight, {})\nnn.init.zeros_(n.bias)\nf = lambda x: n(x)", "1", "2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_function_has_another_digest(name):
    source, before, after = CHANGES[name]
    first = digest_of(compiled(source.format(before), __name__="project"))
    assert digest_of(compiled(source.format(before), __name__="__main__")) == first  # wherever it is defined
    assert digest_of(compiled(source.format(after), __name__="project")) != first


def test_entries_of_the_users_modules_are_read_and_installed_packages_are_not(monkeypatch):
    settings = ModuleType("settings_of_a_project")
    settings.MEAN, settings.OTHER = [1.0], 0
    monkeypatch.setitem(sys.modules, settings.__name__, settings)
    named = compiled("import settings_of_a_project as s\ndef f(x): return x - s.MEAN[0]")
    imported = compiled("def f(x):\n  from settings_of_a_project import MEAN\n  return x - MEAN[0]")
    before = [digest_of(named), digest_of(imported)]
    settings.OTHER = 1
    assert [digest_of(named), digest_of(imported)] == before
    settings.MEAN[0] = 2.0
    assert not set(before) & {digest_of(named), digest_of(imported)}
    assert digest_of(np.mean) != digest_of(np.std)


@dataclasses.dataclass
class Normalize:
    mean: float
    steps: int = 3

    def __call__(self, x):
        return x - self.mean


def test_objects_are_known_by_their_values_and_may_hold_each_other():
    assert digest_of(Normalize(1.0)) == digest_of(Normalize(1.0)) != digest_of(Normalize(2.0))

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert digest_of(even) == digest_of(even)
    assert digest_of(even) != digest_of(odd)


@pytest.mark.parametrize("make", [threading.Lock, lambda: iter(open(__file__)), lambda: (x for x in "a")])  # noqa: SIM115
def test_what_cannot_be_read_needs_a_version(tmp_path, make):
    held = make()
    net = linear()

    def preprocess(x):
        return (held, x)[1]

    with pytest.raises(Unreadable, match="held"):
        digest_of(preprocess)
    with pytest.raises(InputError, match=r"held.*version="):
        FourierExplainer(net, preprocess, axes="time").explain_dataset(rows(), tmp_path / "a", progress=False)
    for _ in range(2):
        named = FourierExplainer(net, preprocess, axes="time", version="1")
        assert len(named.explain_dataset(rows(), tmp_path / "a", progress=False)) == 3
    other = FourierExplainer(net, preprocess, axes="time", version="2")
    with pytest.raises(InputError, match="'2'"):
        other.explain_dataset(rows(), tmp_path / "a", progress=False)


def test_a_function_over_a_module_and_an_estimator_is_known_by_both():
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    features = linear(16, 4)
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)

    def made(estimator, held=None):
        def function(batch):
            assert held is not estimator
            return estimator.predict_proba(features(torch.as_tensor(batch)).detach().numpy())

        return FourierExplainer(function, axes="time", arrays=True).wrapper

    for kind in (LogisticRegression, partial(DecisionTreeClassifier, random_state=0)):
        first = model_identity(made(kind().fit(x, y)))
        assert model_identity(made(kind().fit(x, y))) == first
        assert model_identity(made(kind().fit(x, 1 - y))) != first
    with pytest.raises(InputError, match=r"held.*version="):
        model_identity(made(LogisticRegression().fit(x, y), threading.Lock()))


def test_a_spectrum_into_a_temporary_folder_needs_no_name():
    weights = np.random.default_rng(0).normal(size=(16, 3))
    explainer = FourierExplainer(lambda x: x @ weights, axes="time", arrays=True)
    assert explainer.spectrum(rows()).summary()
