"""A device without float64, as Apple's GPUs: no method, domain or head asks for it there, and results are the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, torch_state
from hf_fourier.domains.layout import Axis, SignalShape
from hf_fourier.scoring.heads.sequences import Transcript
from tests.fake_device import THERE, counted, moved
from tests.models import kinds, tiny_models
from tests.toy_scores import ALL_SPECS, LEAVES, METHOD_SPECS, Linear, bound, noise

#: Whose own code makes tensors that the fake device does not see.
UNSEEN = ("speech", "text-generation", "captum:GradientShap,steps=4")
PICTURES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PIXELS = SignalShape("pixels", (Axis("channel", 3, channel=True), Axis("height", 32), Axis("width", 32)))


@pytest.fixture(autouse=True)
def without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_state, "WITHOUT_FLOAT64", ("meta",))


def alike(expected: list[Attribution], found: list[Attribution], near: float = 1e-3) -> None:
    for one, other in zip(expected, found, strict=True):
        assert (one.label, one.target) == (other.label, other.target)
        assert one.value == pytest.approx(other.value, rel=1e-3, abs=1e-5)
        torch.testing.assert_close(one.scores, other.scores, rtol=near, atol=near * float(one.scores.abs().max()))


def explained(examples: Any, explainers: list[FourierExplainer], **options: Any) -> list[list[Attribution]]:
    """What the CPU and the device find, with a curve; nothing there is in float64."""
    found = []
    for explain in explainers:

        def results(explain: FourierExplainer = explain) -> list[Attribution]:
            return explain.perturb(explain.explain(examples, **options), [0.2])

        results, device = counted(results)
        assert device.counts["float64"] == 0
        found.append(results)
    return found


def pair(make: Callable[[], FourierExplainer]) -> list[FourierExplainer]:
    """An explainer on the CPU, and the same on the device."""
    here, there = make(), make()
    moved(there.model)
    return [here, there]


def seer() -> FourierExplainer:
    return FourierExplainer(tiny_models.build("image-classification", "vit"))


def network() -> FourierExplainer:
    """One that has rules for all of its layers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3)]
        return FourierExplainer(torch.nn.Sequential(*layers).eval(), axes=("height", "width"))


def test_what_is_computed_in_float64_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_state, "WITHOUT_FLOAT64", ())
    _, there = pair(seer)
    _, device = counted(lambda: there.explain({"pixel_values": PICTURES}, method="rate_distortion:rates=1,steps=3"))
    assert device.counts["float64"] > 0


@pytest.mark.parametrize("method", [method for method in METHOD_SPECS if method not in UNSEEN])
def test_every_method(method: str) -> None:
    alike(*explained({"pixel_values": PICTURES}, pair(seer), method=method), near=2e-2)


def test_the_rules_of_layers() -> None:
    pytest.importorskip("zennit")  # `tests/end_to_end/test_libraries.py` runs this test with it
    alike(*explained(list(PICTURES[:, :, :8, :8]), pair(network), method="zennit"))


@pytest.mark.parametrize("domain", ALL_SPECS)
def test_every_domain(domain: str) -> None:
    if bound(domain, PIXELS) is not None:
        make, examples = seer, {"pixel_values": PICTURES}
    else:  # short-time spectra, and directions that were fitted to other signals
        shape = max(
            (one for one in LEAVES.values() if bound(domain, one) is not None), key=lambda one: math.prod(one.shape)
        )

        def make() -> FourierExplainer:
            net = Linear(3, *shape.shape, dtype=torch.float32).eval()
            return FourierExplainer(net, axes=[axis.name for axis in shape.axes])

        examples = list(noise(2, *shape.shape, dtype=torch.float32))
    alike(*explained(examples, pair(make), method="ffc:steps=2", domain=domain))


@pytest.mark.parametrize("name", [name for name in kinds.KINDS if name not in UNSEEN])
def test_every_head(name: str) -> None:
    kind = kinds.KINDS[name]
    alike(*explained(kind.example(), pair(kind.make), method="ffc:steps=2", target=kind.target))


def test_a_transcript() -> None:
    head, logits = Transcript(), torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    wanted = head.freeze(logits, [None, torch.tensor([1, 2])])
    reading, device = counted(lambda: head.read(logits.to(THERE), wanted.to(THERE)).value.cpu())
    assert device.counts["float64"] == 0
    torch.testing.assert_close(reading.double(), head.read(logits, wanted).value, rtol=1e-5, atol=1e-6)
