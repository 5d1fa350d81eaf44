"""The grammar of specs, and a method and a domain that are one file and one import line each."""

import dataclasses
import importlib.util
import sys

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS, Fourier
from hf_fourier.errors import FourierError, SpecError
from hf_fourier.methods import FFC, METHODS
from hf_fourier.registry import Registry
from tests.toy_scores import Smooth, noise


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("ffc", FFC()),
        (" ffc ", FFC()),
        ("ffc:", FFC()),
        ("ffc:kappa=.03", FFC(kappa=0.03)),
        ("ffc:kappa=1e-3, steps=4", FFC(kappa=1e-3, steps=4)),
        ("ffc:relative,0.1", FFC(kappa=0.1)),
        ("ffc:relative,steps=3", FFC(steps=3)),
        ("ffc:kappa=none", FFC()),
        ("ffc:preset=cifar", FFC(rule="absolute", lr=1.0, steps=1)),
        ("ffc:preset=cifar,steps=3", FFC(rule="absolute", lr=1.0, steps=3)),
        ("ffc:steps=3,preset=cifar", FFC(rule="absolute", lr=1.0, steps=3)),
        (FFC(lam=0.5), FFC(lam=0.5)),
    ],
)
def test_specs(spec, expected):
    assert METHODS.parse(spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("fourier:axes=height+width", Fourier(axes=("height", "width"))),
        ("fourier:axes=height+", Fourier(axes=("height",))),
        ("fourier:axes=height", Fourier(axes=("height",))),
        ("fourier:axes=-2+-1", Fourier(axes=(-2, -1))),
        ("fourier:grain=frequency", Fourier(grain="frequency")),
    ],
)
def test_specs_of_domains(spec, expected):
    assert DOMAINS.parse(spec) == expected


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ig", "integrated_gradients"),
        ("IG", "integrated_gradients"),
        ("IntegratedGradients", "integrated_gradients"),
        ("integrated-gradients", "integrated_gradients"),
        ("shap", "shapley"),
        ("rise", "random_masks"),
        ("FreqRISE", "random_masks"),
        ("input_x_gradient", "gradient_input"),
        ("gradient", "saliency"),
        ("FFC", "ffc"),
    ],
)
def test_other_names_of_methods(alias, name):
    assert METHODS.parse(alias) == METHODS.parse(name)
    assert METHODS.spec(METHODS.parse(alias)) == METHODS.spec(METHODS.parse(name))  # results have one name


def test_an_alias_takes_parameters():
    assert METHODS.spec(METHODS.parse("ig:steps=8")) == "integrated_gradients:steps=8"
    assert DOMAINS.parse("dct") == DOMAINS.parse("cosine")


def test_an_alias_belongs_to_one_class_and_goes_with_it():
    registry = Registry("thing")
    first, second = (dataclasses.make_dataclass(name, [], frozen=True) for name in ("A", "B"))
    registry.register("first", aliases=("one",))(first)
    with pytest.raises(ValueError, match="'One' names thing 'first' already"):
        registry.register("second", aliases=("One",))(second)
    registry.remove("first")
    with pytest.raises(SpecError):
        registry["one"]


@pytest.mark.parametrize(
    "value",
    [
        FFC(),
        FFC(kappa=1e-05),
        FFC(kappa=1 / 3, steps=7, lam=0.0),
        FFC(rule="absolute", lr=500.0),
        *(METHODS.parse(f"ffc:preset={name}") for name in FFC.presets),
    ],
)
def test_a_spec_reads_back(value):
    assert METHODS.parse(METHODS.spec(value)) == value


def test_a_tuple_of_one_reads_back():
    value = Fourier(axes=(0,))
    assert DOMAINS.spec(value) == "fourier:axes=0+"
    assert DOMAINS.parse(DOMAINS.spec(value)) == value


@pytest.mark.parametrize("name", list(METHODS))
def test_presets_read_back(name):
    for preset in METHODS[name].presets:
        value = METHODS.parse(f"{name}:preset={preset}")
        assert METHODS.parse(METHODS.spec(value)) == value


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("fcc", "did you mean 'ffc'"),
        ("scorecam", "explainer.from_maps"),
        ("Score-CAM", "explainer.from_maps"),
        ("HiResCAM", "gradcam:HiResCAM"),
        ("freqrize", "did you mean 'random_masks'"),
        ("nonsense", "low_frequency, magnitude, occlusion, phase_gradient, random, random_masks"),
        ("", "one of"),
        ("ffc:kapa=1", "kapa"),
        ("ffc:preset=imagnet", "imagenet-vit"),
        ("magnitude:x=1", "no parameters"),
        ("magnitude:preset=x", "no presets"),
        ("ffc:relative,1,1,1,1,1", "'1'"),
        ("ffc:kappa=abc", "kappa"),
        (3, "name of a method"),
        (Fourier(), "name of a method"),
        (FFC, "name of a method"),
    ],
)
def test_specs_that_are_none(spec, says):
    with pytest.raises(SpecError, match=says) as caught:
        METHODS.parse(spec)
    assert isinstance(caught.value, FourierError)
    assert caught.value.got
    assert caught.value.expected
    assert caught.value.hint


def test_registering():
    registry = Registry("thing")

    @registry.register("one")
    @dataclasses.dataclass(frozen=True)
    class One:
        a: int = 1

    assert list(registry) == ["one"]
    assert "one" in registry
    assert registry["one"] is One
    assert One.name == "one"
    assert registry.spec(One(2)) == "one:a=2"
    assert registry.register("one")(One) is One
    with pytest.raises(TypeError, match="frozen"):
        registry.register("two")(dataclasses.make_dataclass("Two", []))
    with pytest.raises(TypeError, match="frozen"):
        registry.register("two")(type("Two", (), {}))
    with pytest.raises(ValueError, match="already"):
        registry.register("one")(dataclasses.make_dataclass("Other", [], frozen=True))
    stranger = dataclasses.make_dataclass("One", [], frozen=True)
    stranger.__qualname__, stranger.__module__ = One.__qualname__, "elsewhere"
    with pytest.raises(ValueError, match="already"):
        registry.register("one")(stranger)
    assert registry["one"] is One
    registry.remove("one")
    assert "one" not in registry
    with pytest.raises(SpecError):
        registry.parse("one")


METHOD = '''
"""A method in one file: gradient × input."""

from dataclasses import dataclass

from hf_fourier.methods.base import METHODS, Method, Ranking


@METHODS.register("throwaway")
@dataclass(frozen=True)
class Throwaway(Method):
    """Gradient × input over features."""

    power: float = 1.0

    reference = "ours"

    @property
    def passes(self):
        return 1, 1

    def attribute(self, score, x, basis, rng):
        gradient = score.clean().gradient
        return Ranking(self.power * basis.inner(basis.pullback(gradient), basis.forward(x)), gradient)
'''

DOMAIN = '''
"""A domain in one file: the signal turned upside down and doubled."""

from dataclasses import dataclass
from functools import cached_property

import torch

from hf_fourier.domains.base import DOMAINS, Basis, Domain
from hf_fourier.domains.layout import Column, Layout


@DOMAINS.register("flipped")
@dataclass(frozen=True)
class Flipped(Domain):
    """Entries in reverse order, times two."""

    def build(self, signal):
        return FlippedBasis(self, signal)


class FlippedBasis(Basis):
    parseval = False

    def __init__(self, domain, signal):
        self.domain, self.signal = domain, signal
        self.bin_multiplicity = torch.ones(torch.Size(signal.shape).numel(), dtype=torch.long)

    def forward(self, x):
        return 2 * (x if x.dtype == torch.float64 else x.float()).flatten(1).flip(1)

    def inverse(self, coefficients):
        return coefficients.flip(1).reshape(-1, *self.signal.shape) / 2

    def pullback(self, gradient):
        return self.forward(gradient) / 4

    @cached_property
    def layout(self):
        place = torch.arange(len(self)).flip(0)
        return Layout(DOMAINS.spec(self.domain), self.signal, (Column("place", "position", place),), self.multiplicity)
'''


@pytest.fixture
def plugin(tmp_path):
    """Imports a file as the one import line would; what it registered is gone afterwards."""
    known = [(registry, set(registry)) for registry in (METHODS, DOMAINS)]
    loaded = []

    def load(source):
        name = f"throwaway_{len(loaded)}"
        (tmp_path / f"{name}.py").write_text(source)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        loaded.append(name)
        spec.loader.exec_module(module)

    yield load
    for name in loaded:
        del sys.modules[name]
    for registry, before in known:
        for name in set(registry) - before:
            registry.remove(name)


def contracts(path, name, root):
    """The laws of a contract file that hold for one spec, as functions to call."""
    spec = importlib.util.spec_from_file_location(name, root / "tests" / "contracts" / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_method_in_one_file(plugin, root):
    plugin(METHOD)
    model, x = Smooth(3, 5, 6).eval(), noise(5, 5, 6)
    results = attribute(model, x, method="throwaway:power=2")
    for one, row in zip(results, x, strict=True):
        whole = float((one.gradient * row).sum())
        assert float(one.scores.sum()) == pytest.approx(2 * whole)
        assert one.provenance["passes"] == {"forward": 1.0, "backward": 1.0}
        assert METHODS.parse(one.provenance["method"]) == METHODS.parse("throwaway:power=2")
    laws = contracts("test_methods.py", "laws_of_methods", root)
    assert "throwaway" not in laws.METHOD_SPECS
    small, rows = Smooth(3, 5, 6, dtype=torch.float32).eval(), x.float()
    for spec in ("throwaway", "throwaway:power=3"):
        laws.test_one_finite_score_per_feature(spec, small, rows)
        laws.test_degenerate_inputs(spec, torch.zeros(2, 8))
        laws.test_segments(spec)
        laws.test_the_batch_changes_nothing(spec, 2, small, rows)
        laws.test_the_order_changes_nothing(spec, small, rows)
        laws.test_running_out_of_memory_changes_nothing(spec, {"most": 2}, small, rows)
        laws.test_the_seed(spec, small, rows)
        laws.test_the_passes_are_those_it_states(spec, small, rows)
        laws.test_no_parameter_gradient_and_nothing_left_behind(spec, True, rows)
        laws.test_the_clean_gradient(spec, small, rows)
        laws.test_a_method_is_its_configuration(spec)


def test_a_domain_in_one_file(plugin, root, tmp_path):
    plugin(DOMAIN)
    x = noise(2, 3, 4)
    (one, _) = attribute(Smooth(3, 3, 4), x, method="ffc", domain="flipped")
    assert one.layout.domain == "flipped"
    torch.testing.assert_close(one.keep_top(0.5) + one.delete_top(0.5), one.signal)
    torch.testing.assert_close(type(one).load(one.save(tmp_path / "saved")).keep_top(0.25), one.keep_top(0.25))
    laws = contracts("test_domains.py", "laws_of_domains", root)
    held = 0
    for name, shape in laws.LEAVES.items():
        basis = DOMAINS.parse("flipped").bind(shape)
        for law, function in vars(laws).items():
            arguments = (
                function.__code__.co_varnames[: function.__code__.co_argcount]
                if law.startswith("test_") and hasattr(function, "__code__")
                else ()
            )
            if arguments == ("basis",) and getattr(function, "applies", bool)(basis):
                function(basis)
                held += 1
        assert name
    assert held > 100


def test_a_broken_domain_is_caught(plugin, root):
    """The same domain with a wrong pullback."""
    plugin(DOMAIN.replace("self.forward(gradient) / 4", "self.forward(gradient)"))
    laws = contracts("test_domains.py", "laws_of_domains", root)
    with pytest.raises(AssertionError):
        laws.test_pullback_is_the_adjoint_of_the_synthesis(DOMAINS.parse("flipped").bind(laws.LEAVES["6x8"]))


def test_a_broken_method_is_caught(plugin, root):
    """One that looks at the batch, and one that runs more than it states."""
    laws = contracts("test_methods.py", "laws_of_methods", root)
    model, x = Smooth(3, 5, 6, dtype=torch.float32).eval(), noise(5, 5, 6, dtype=torch.float32)
    plugin(METHOD.replace("basis.forward(x))", "basis.forward(x)) / gradient.std()"))
    with pytest.raises(AssertionError):
        laws.test_the_batch_changes_nothing("throwaway", 2, model, x)
    METHODS.remove("throwaway")
    plugin(METHOD.replace("score.clean().gradient", "(score.value_and_gradient(x), score.clean())[1].gradient"))
    with pytest.raises(AssertionError):
        laws.test_the_passes_are_those_it_states("throwaway", model, x)


def test_nothing_is_left():
    assert "throwaway" not in METHODS
    assert "flipped" not in DOMAINS
    with pytest.raises(SpecError, match="throwaway"):
        attribute(Smooth(3, 4), noise(1, 4), method="throwaway")
