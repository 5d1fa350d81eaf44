"""Fit a domain to examples: principal, independent or relevant components of a model's signals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import SignalShape
from hf_fourier.domains.fitted import FITTED_KINDS, MOST_MIXED, Directions, Fitted, remember
from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.torch_state import exact
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Steps of FastICA at most, and the change at which it has converged.
ICA_STEPS, ICA_CHANGE = 1000, 1e-6
#: Variances below this fraction of the largest are noise of rounding.
RANK = 1e-10


@exact
def fit_domain(
    explainer: Engine,
    examples: Any,
    kind: str = "pca",
    *,
    components: int = 32,
    axes: Any = None,
    grain: str = "bin",
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> Fitted:
    """Compute directions from examples, and return the domain that transforms signals to them.

    Pass it as `domain=`. A result that is made with it keeps the directions in its files. Takes one forward pass per
    example, of "prca" a backward pass too.

    - "pca": the eigenvectors of the covariance of the mixed axes' entries, over examples and positions, the largest
      variance first. It does not use the model.
    - "ica": independent components by FastICA (Hyvärinen 1999, the contrast log cosh, all at once), in the span of the
      first principal ones; the largest variance first.
    - "prca": principal relevant components (Chormai et al. 2024, arXiv 2212.14855): the eigenvectors of
      `mean(a gᵀ + g aᵀ)` for signals a and the gradient g of the score for the prediction, the largest mean of
      gradient × input first. The paper takes LRP for g, at hidden layers; here it is the gradient at the signal.

    Args:
        explainer: Of the model whose signals are transformed.
        examples: Raw examples, as for `explain`, at least two; not those that are explained, if that is to be tested.
        kind: "pca", "ica" or "prca".
        components: How many directions, at most as many as there are entries to mix; of "ica" fewer, where the
            variance has fewer dimensions. What is orthogonal to them is one feature, the rest.
        axes: The axes that are mixed, by name; None for all. Of texts, whose lengths differ, "hidden".
        grain: "bin" ranks components at each position of the other axes; "component" all positions together.
        seed: Of the start of "ica".
        batch_size: Rows in a batch, at most.

    Raises:
        InputError: If there are fewer than two examples, they differ in the mixed axes, or these have too many entries.
        SpecError: If an axis is unknown.
    """
    if kind not in FITTED_KINDS or not isinstance(components, int) or components < 1:
        got, expected = f"kind {kind!r} and {components!r} components", f"{', '.join(FITTED_KINDS)}, at least 1"
        raise InputError(got, expected, "correct `kind` or `components`")
    asked = Fitted("", axes, grain)
    method = "gradient_input" if kind == "prca" else "magnitude"
    results = explainer.explain(examples, method=method, domain="identity", batch_size=batch_size)
    if not isinstance(results, list) or len(results) < 2:
        raise InputError("one example", "at least two", "pass a list of examples")
    entries = _entries([result.layout.signal for result in results], asked)
    rows = _rows([result.signal for result in results], results, asked)
    count = min(components, entries)
    if kind == "pca":
        vectors, weights = principal(rows, count)
    elif kind == "ica":
        vectors, weights = independent(rows, count, seed)
    else:
        vectors, weights = relevant(rows, _rows([result.gradient for result in results], results, asked), count)
    return Fitted(remember(Directions(kind, _signed(vectors).float(), weights.float())), asked.axes, grain)


def principal(rows: Float[Tensor, "rows entries"], count: int) -> tuple[Tensor, Tensor]:
    """Principal directions as columns, and the fraction of the variance of each."""
    centred = rows - rows.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    return vectors[:, :count], values[:count] / values.sum().clamp(min=torch.finfo(values.dtype).tiny)


def relevant(
    rows: Float[Tensor, "rows entries"], gradients: Float[Tensor, "rows entries"], count: int
) -> tuple[Tensor, Tensor]:
    """Directions of the largest mean relevance `(uᵀa)(uᵀg)`, and that mean: half of the eigenvalue."""
    cross = rows.T @ gradients / len(rows)
    values, vectors = torch.linalg.eigh(cross + cross.T)
    return vectors.flip(1)[:, :count], values.flip(0)[:count] / 2


def independent(
    rows: Float[Tensor, "rows entries"], count: int, seed: int = 0, steps: int = ICA_STEPS
) -> tuple[Tensor, Tensor]:
    """Independent directions of length 1 (the columns of the mixing matrix), and the variance along each.

    Raises:
        InputError: If all rows are equal, or FastICA does not converge.
    """
    vectors, shares = principal(rows, count)
    if not float(shares[0]):
        raise InputError("examples without variance", "ones that differ", "pass examples that differ")
    kept = shares > RANK * shares[0]
    vectors = vectors[:, kept]
    centred = (rows - rows.mean(0)) @ vectors
    scale = centred.square().mean(0).sqrt()
    white = centred / scale
    start = torch.randn(len(scale), len(scale), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turn = _orthogonal(start)
    for _ in range(steps):
        source = white @ turn.T
        steep = source.tanh()
        after = _orthogonal(steep.T @ white / len(white) - (1 - steep.square()).mean(0)[:, None] * turn)
        change = float(((after * turn).sum(1).abs() - 1).abs().max())
        turn = after
        if change < ICA_CHANGE:
            break
    else:
        got = f"independent components that do not converge in {steps} steps"
        raise InputError(got, "examples that determine them", "take fewer components, or more examples")
    mixing = vectors @ (scale[:, None] * turn.T)
    sizes = mixing.norm(dim=0)
    order = sizes.argsort(descending=True)
    variance = (rows - rows.mean(0)).square().mean(0).sum()
    return (mixing / sizes)[:, order], sizes[order].square() / variance


def _orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right


def _signed(vectors: Tensor) -> Tensor:
    """Columns whose largest entry is positive."""
    largest = vectors.abs().argmax(0)
    return vectors * vectors.gather(0, largest[None]).sign()


def _entries(signals: list[SignalShape], asked: Fitted) -> int:
    """How many entries are mixed."""
    shapes = {tuple((s.axes[d].name, s.shape[d]) for d in asked.mixed(s)) for s in signals}
    if len(shapes) > 1:
        got = f"examples whose mixed axes have {len(shapes)} different lengths"
        raise InputError(got, "one length", "name the axes that have the same length in all examples: `axes='hidden'`")
    entries = math.prod(length for _, length in shapes.pop())
    if entries > MOST_MIXED:
        got, do = f"{entries} entries to mix", "name fewer axes in `axes`, or fit smaller signals"
        raise InputError(got, f"at most {MOST_MIXED}", do)
    return entries


def _rows(values: list[Tensor | None], results: list[Attribution], asked: Fitted) -> Float[Tensor, "rows entries"]:
    """All positions of all examples, a row each, their mixed entries in float64."""
    rows = []
    for value, result in zip(values, results, strict=True):
        assert value is not None
        mixed = asked.mixed(result.layout.signal)
        others = [d for d in range(value.ndim) if d not in mixed]
        entries = math.prod(value.shape[d] for d in mixed)
        rows.append(value.detach().cpu().double().permute(*others, *mixed).reshape(-1, entries))
    return torch.cat(rows)
