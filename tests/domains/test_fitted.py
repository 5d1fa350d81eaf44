"""Fitted domains: directions with known answers, powers, files, and faults of published code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.domains import DOMAINS, Axis, Fitted, SignalShape, fitted
from hf_fourier.domains.fitted import Directions
from hf_fourier.errors import DamagedFile, FourierError, InputError, SpecError
from hf_fourier.evaluation.metrics.structure import top_overlap
from hf_fourier.evaluation.metrics.table import columns
from hf_fourier.evaluation.studies.fit_domain import fit_domain, independent, principal, relevant
from hf_fourier.results import parts
from hf_fourier.results.spectrum import merged
from tests.models import tiny_models, tiny_tokenizers
from tests.toy_scores import noise

ENTRIES = 12
STRONG, WEAK = 0, 3


class ReadsOneDirection(torch.nn.Module):
    """The logit is the projection on one direction."""

    def __init__(self, direction: torch.Tensor) -> None:
        super().__init__()
        self.direction = torch.nn.Parameter(direction.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = 4 * (x.flatten(1) @ self.direction)[:, None]
        return torch.cat([torch.zeros_like(margin), margin], 1)


def data(examples: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Signals around a mean with variances 9, 4, 2, 1, … along known orthogonal directions, which are columns."""
    basis = torch.linalg.qr(noise(ENTRIES, ENTRIES, seed=5)).Q
    sizes = torch.tensor([3.0, 2.0, 2**0.5, 1.0, *[0.3] * (ENTRIES - 4)], dtype=torch.float64)
    return 0.5 + (noise(examples, ENTRIES, seed=6) * sizes) @ basis.T, basis


@pytest.fixture(scope="module")
def model() -> FourierExplainer:
    _, basis = data(2)
    network = ReadsOneDirection(basis[:, WEAK])
    return FourierExplainer(network, labels=["no", "yes"], axes=("time",), outputs="logits")


@pytest.fixture(scope="module")
def signals() -> list[torch.Tensor]:
    return list(data()[0].float())


def test_the_principal_direction_that_decides_is_found(model, signals):
    """It has the fourth variance: the magnitude names the first component, methods that use the model the fourth."""
    domain = fit_domain(model, signals, components=6)
    vectors = domain.directions.vectors.double()
    _, basis = data(2)
    overlaps = (vectors.T @ basis).abs()
    assert all(float(overlaps[k, k]) > 0.95 for k in range(4))
    clear = [x for x in signals if abs(float(x.double() @ basis[:, WEAK])) > 0.7][:20]
    first = {
        method: [int(result.order[0]) for result in model.explain(clear, method=method, domain=domain)]
        for method in ("tracking", "integrated_gradients", "gradient_input", "magnitude")
    }
    shares = {method: np.mean([k == WEAK for k in ranked]) for method, ranked in first.items()}
    assert min(shares[method] for method in ("tracking", "integrated_gradients", "gradient_input")) >= 0.9, shares
    assert shares["magnitude"] < 0.3
    (result,) = model.explain(signals[:1], method="gradient_input", domain=domain)
    assert result.layout.label(3) == "component 4"
    assert result.layout.label(6) == "component rest"
    assert result.layout.multiplicity.tolist() == [1] * 6 + [ENTRIES - 6]
    assert not result.layout.by_place
    model.perturb(result, (1 / ENTRIES,))
    assert "component" in "".join(axes.get_xlabel() for axes in result.plot().axes)
    (point,) = result.curve.of("keep")
    assert point.agreement == 1


def test_relevant_components_are_ordered_by_what_the_model_reads(model, signals):
    """PRCA puts the direction that decides first, and its weight is the mean of gradient × input of the component."""
    domain = fit_domain(model, signals, "prca", components=3)
    _, basis = data(2)
    results = model.explain(signals, method="gradient_input", domain=domain)
    mean = torch.stack([result.scores for result in results]).double().mean(0)
    torch.testing.assert_close(mean[:3], domain.directions.weights.double(), rtol=1e-4, atol=1e-5)
    sizes = torch.stack([result.gradient for result in results]).double() @ basis[:, WEAK]
    pulled = (sizes[:, None] * torch.stack(signals).double()).mean(0)
    halfway = pulled / pulled.norm() + basis[:, WEAK]  # the first eigenvector of a cᵀ + c aᵀ
    overlap = float((domain.directions.vectors[:, 0].double() @ halfway).abs() / halfway.norm())
    assert overlap == pytest.approx(1, abs=1e-4)
    assert float(domain.directions.weights[0]) == max(domain.directions.weights.tolist())
    rows, gradients = noise(50, 5, seed=1), noise(50, 5, seed=2)
    found, weights = relevant(rows, gradients, 5)
    torch.testing.assert_close(((rows @ found) * (gradients @ found)).mean(0), weights)
    assert float(weights.sum()) == pytest.approx(float((rows * gradients).sum(1).mean()))


def test_independent_components_are_the_sources():
    """Three sources that are not normal, mixed by a matrix that is not orthogonal."""
    numbers = np.random.default_rng(0)
    sources = np.stack([numbers.uniform(-1, 1, 4000), numbers.laplace(size=4000), np.sign(numbers.normal(size=4000))])
    mixing = numbers.normal(size=(5, 3))
    rows = torch.from_numpy(sources.T @ mixing.T + 3.0)
    vectors, weights = independent(rows, 5)
    assert vectors.shape == (5, 3)  # the variance has three dimensions
    expected = mixing / np.linalg.norm(mixing, axis=0)
    overlaps = np.abs(vectors.numpy().T @ expected)
    assert sorted(overlaps.argmax(1)) == [0, 1, 2]
    assert overlaps.max(1).min() > 0.995
    torch.testing.assert_close(vectors.norm(dim=0), torch.ones(3, dtype=torch.float64))
    assert float(weights[0]) == float(weights.max())
    assert abs(float(vectors.T[0] @ vectors.T[1])) > 1e-3


def test_components_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    generator = torch.Generator().manual_seed(3)
    sources = torch.rand(4000, 4, generator=generator, dtype=torch.float64) ** torch.tensor([1.0, 2, 3, 0.5])
    rows = sources @ torch.randn(4, 6, generator=generator, dtype=torch.float64) + 2.0
    vectors, shares = principal(rows, 3)
    theirs = decomposition.PCA(3).fit(rows.numpy())
    assert shares.tolist() == pytest.approx(theirs.explained_variance_ratio_.tolist())
    assert (vectors * torch.from_numpy(theirs.components_.T)).sum(0).abs().tolist() == pytest.approx([1.0] * 3)
    mixing, _ = independent(rows, 4)
    found = decomposition.FastICA(4, whiten="unit-variance", fun="logcosh", tol=1e-8, max_iter=1000, random_state=0)
    other = torch.from_numpy(found.fit(rows.numpy()).mixing_)
    alike = (mixing.T @ (other / other.norm(dim=0))).abs()
    assert alike.amax(0).min() > 1 - 1e-4  # each of theirs is one of ours
    assert alike.amax(1).min() > 1 - 1e-4


@pytest.mark.parametrize("kind", ["pca", "ica", "prca"])
def test_contributions_add_up_to_the_difference_from_silence(model, signals, kind):
    """The transform is linear. In cross-domain-saliency-maps 0.0.8 the independent components are centred, and the zero
    baseline of its coefficients is the examples' mean: there the sum is another difference than the one it names."""
    domain = fit_domain(model, signals, kind, components=4)
    (result,) = model.explain(signals[:1], method="integrated_gradients:steps=256", domain=domain)
    with torch.no_grad():
        logs = model.model(torch.stack([signals[0], torch.zeros(ENTRIES)])).log_softmax(1)[:, result.target]
    assert result.signal.abs().max() > 0
    total = float(result.scores.sum())
    assert total == pytest.approx(float(logs[0] - logs[1]), rel=0.02, abs=0.02) or result.completeness_error < 0.02
    basis = domain.bind(result.layout.signal)
    nothing = torch.zeros(1, ENTRIES, dtype=torch.float64)
    assert not basis.forward(nothing).any()
    assert not basis.inverse(nothing).any()


def test_the_covariance_is_centred():
    """The reference code of PRCA computes the eigenvectors of the mean outer product, and calls them PCA: around a
    large mean the first is the mean."""
    rows, basis = data()
    vectors, shares = principal(rows + 100, 3)
    assert float((vectors[:, 0] @ basis[:, STRONG]).abs()) > 0.99
    assert float(shares.sum()) < 1
    assert float(shares[0]) == pytest.approx(9 / (16 + 8 * 0.09), abs=0.06)


def test_gradients_of_independent_components_go_through_the_synthesis(model, signals):
    """Their analysis is not the adjoint of their synthesis: the derivative by a coefficient is along its own wave."""
    domain = fit_domain(model, signals, "ica", components=4)
    basis = domain.bind(SignalShape("tensor", (Axis("time", ENTRIES),)))
    assert not basis.parseval
    gradient = noise(1, ENTRIES)
    wave = domain.directions.vectors.double()
    torch.testing.assert_close(basis.pullback(gradient)[:, :4], gradient @ wave)
    assert not torch.allclose(basis.pullback(gradient), basis.forward(gradient), rtol=1e-3, atol=1e-3)


def test_a_saved_result_holds_its_directions(model, signals, tmp_path, monkeypatch):
    domain = fit_domain(model, signals, components=2)
    (result,) = model.explain(signals[:1], method="gradient_input", domain=domain)
    result.save(tmp_path / "whole")
    result.save(tmp_path / "compact", compact=True)
    again = DOMAINS.spec(domain)
    monkeypatch.setattr(fitted, "_KNOWN", {})
    with pytest.raises(SpecError, match="load a result"):
        DOMAINS.parse(again).bind(result.layout.signal)
    loaded = Attribution.load(tmp_path / "compact")
    assert torch.equal(loaded.scores, result.scores)
    assert loaded.top_features(2)["component"] == result.top_features(2)["component"]
    whole = Attribution.load(tmp_path / "whole")
    torch.testing.assert_close(whole.keep_top(k=1), result.keep_top(k=1))
    assert fit_domain(model, signals, components=2) == domain
    values, tensors = result.to_parts()
    other = {**tensors, "basis.vectors": tensors["basis.vectors"].flip(1)}
    for wrong in (other, {name: t for name, t in tensors.items() if not name.startswith("basis.")}):
        with pytest.raises((DamagedFile, FourierError, ValueError)):
            Attribution.from_parts(values, wrong)


def fits() -> list[Fitted]:
    """Two fits to different data with the same directions: the axes, with other fractions of the variance."""
    network = ReadsOneDirection(torch.ones(3))
    explainer = FourierExplainer(network, labels=["no", "yes"], axes=("time",), outputs="logits")
    corners = [torch.tensor(sizes).diag() for sizes in ([3.0, 2.0, 1.0], [9.0, 2.0, 1.0])]
    return [fit_domain(explainer, [*rows, *-rows], components=3) for rows in corners]


def test_fits_of_the_same_directions_with_other_weights_are_not_the_same():
    """Each has its own name, its own notes, and results of both are not put together."""
    one, other = fits()
    assert torch.equal(one.directions.vectors, other.directions.vectors)
    assert not torch.equal(one.directions.weights, other.directions.weights)
    assert one != other
    signal = SignalShape("tensor", (Axis("time", 3),))
    notes = [domain.bind(signal).layout.notes[0] for domain in (one, other)]
    assert "1: 0.643, 2: 0.286, 3: 0.0714" in notes[0]
    assert "1: 0.942, 2: 0.0465, 3: 0.0116" in notes[1]
    network = ReadsOneDirection(torch.ones(3))
    explainer = FourierExplainer(network, labels=["no", "yes"], axes=("time",), outputs="logits")
    results = [explainer.explain(torch.ones(3), method="gradient_input", domain=domain) for domain in (one, other)]
    explainer.perturb(results, (0.5,))
    with pytest.raises(InputError, match="different domains or input shapes"):
        merged([(result, 1.0) for result in results], 0.5)
    with pytest.raises(InputError, match="in one domain"):
        columns(results, top=0.5)
    with pytest.raises(InputError, match="in one domain"):
        top_overlap(*results, 0.5)
    assert columns(results[:1] * 2, top=0.5)["features"] == [3, 3]
    assert top_overlap(results[0], results[0], 0.5) == 1


def test_directions_along_the_hidden_axis_of_texts():
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    texts = tiny_tokenizers.texts(6, lengths=(5, 7))
    with pytest.raises(InputError, match="different lengths"):
        fit_domain(explainer, texts)
    fine = fit_domain(explainer, texts, components=3, axes="hidden")
    coarse = fit_domain(explainer, texts, components=3, axes="hidden", grain="component")
    (result,) = explainer.explain(texts[:1], method="gradient_input", domain=fine)
    (summed,) = explainer.explain(texts[:1], method="gradient_input", domain=coarse)
    tokens = result.layout.signal.shape[0]
    assert len(result.scores) == tokens * 4
    assert len(summed.scores) == 4
    torch.testing.assert_close(result.scores.view(tokens, 4).sum(0), summed.scores, rtol=1e-4, atol=1e-6)
    assert [column.name for column in result.layout.columns] == ["component", "token"]
    (longer,) = explainer.explain(texts[1:2], method="gradient_input", domain=fine)
    assert len(longer.scores) != len(result.scores)


def test_what_does_not_fit_is_refused(model, signals):
    with pytest.raises(InputError, match="one example"):
        fit_domain(model, signals[:1])
    with pytest.raises(SpecError, match="fit it to examples first"):
        Fitted().bind(SignalShape("tensor", (Axis("time", ENTRIES),)))
    domain = fit_domain(model, signals, components=2)
    with pytest.raises(SpecError, match="12 entries, these axes 13"):
        domain.bind(SignalShape("tensor", (Axis("time", 13),)))
    with pytest.raises(SpecError, match="kind 'mean'"):
        fitted.remember(Directions("mean", torch.eye(3), torch.ones(3)))


@pytest.mark.parametrize(
    ("kind", "vectors", "weights", "message"),
    [
        ("ica", torch.eye(4)[:, [0, 0]], torch.ones(2), "not independent"),
        ("ica", 2 * torch.eye(4)[:, :2], torch.ones(2), "length 1"),
        ("pca", torch.tensor([[1.0, 0.6], [0, 0.8], [0, 0]]), torch.ones(2), "not orthogonal"),
        ("prca", 2 * torch.eye(4)[:, :2], torch.ones(2), "length 1"),
        ("pca", torch.eye(4)[:, :2], torch.tensor([1.0, torch.nan]), "1 of them not finite"),
        ("pca", torch.full((4, 2), torch.inf), torch.ones(2), "not all finite numbers"),
    ],
)
def test_directions_that_are_no_basis_of_their_kind_are_refused(kind, vectors, weights, message, monkeypatch):
    """They may come from a file: orthogonal ones are not made so in silence, dependent ones rebuild no signal."""
    monkeypatch.setattr(fitted, "_KNOWN", {})
    directions = Directions(kind, vectors, weights)
    with pytest.raises(SpecError, match=message):
        fitted.remember(directions)
    with pytest.raises(parts.Malformed, match="no basis of their kind"):
        parts.stored_domain(f"fitted:basis={directions.name}", {"basis.vectors": vectors, "basis.weights": weights})
    assert not fitted._KNOWN
