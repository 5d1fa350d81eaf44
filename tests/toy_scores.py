"""Toy signals and toy models with known answers, and the plain full complex FFT to hold results against."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hf_fourier.domains import DOMAINS, Axis, Basis, Layout, SignalShape
from hf_fourier.domains.fitted import Directions, remember
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.heads import Categorical, Head
from hf_fourier.scoring.score import Score


def fitted_spec(kind: str, entries: int, count: int, settings: str = "") -> str:
    """A domain of directions drawn at random, for signals (or axes) of so many entries."""
    vectors = torch.randn(entries, count, generator=torch.Generator().manual_seed(entries))
    vectors = vectors / vectors.norm(dim=0) if kind == "ica" else torch.linalg.qr(vectors).Q
    return f"fitted:basis={remember(Directions(kind, vectors, torch.ones(count)))}{settings}"


#: Domains that need examples: they have no default setting.
FITTED = ("fitted",)
#: More settings than the default one, for domains and methods that have some.
DOMAIN_SETTINGS = {
    "fourier": ["fourier:grain=frequency", "fourier:axes=0+", "fourier:axes=-1+,grain=frequency"],
    "identity": ["identity:grain=position"],
    "cosine": ["cosine:axes=-1+,grain=frequency"],
    "stft": ["stft:window=6,hop=2"],
    "fitted": [
        fitted_spec("pca", 16, 5),
        fitted_spec("ica", 48, 7),
        fitted_spec("prca", 13, 13),
        fitted_spec("ica", 3, 2, ",axes=axis1+,grain=component"),
        fitted_spec("pca", 3, 2, ",axes=axis1+"),
        fitted_spec("pca", 2, 1, ",axes=axis1+"),
    ],
    "wavelet": ["wavelet:db4,level=none", "wavelet:bior2.2", "wavelet:db2,mode=reflect,axes=-1+"],
}
METHOD_SETTINGS = {
    "attexplore": ["attexplore:preset=published,steps=3,copies=4", "attexplore:steps=2,copies=3,epsilon=.3"],
    "band_mask": ["band_mask:steps=4,keep=.3,smooth=.001"],
    "captum": ["captum:GradientShap,steps=4", "captum:Saliency"],
    "fampe": ["fampe:alpha=.8,steps=2,copies=3,measure=published"],
    "wam": ["wam:ig,samples=6"],
    "response": ["response:representation=logits,probes=3"],
    "occlusion": ["occlusion:mode=both,replacement=phase,draws=6"],
    "shapley": ["shapley:permutations=4,replacement=noise,draws=2"],
    "random_masks": ["random_masks:masks=192,replacement=reference"],
    "rate_distortion": ["rate_distortion:rates=1,steps=5,replacement=zero,spatial=.01,of=amplitude"],
    "tracking": ["tracking:preset=fast", "tracking:base=magnitude,kappa=.3", "tracking:goal=auto,base=probes"],
    "ffc": ["ffc:lam=0", "ffc:kappa=.1,steps=3", "ffc:rule=absolute,lr=2,steps=2", "ffc:preset=cifar"],
}
#: Methods whose defaults take hundreds of passes stand here with fewer; everything else with its defaults.
LIGHT = {
    "attexplore": "attexplore:steps=3,copies=2",
    "band_mask": "band_mask:steps=4",
    "captum": "captum:steps=4",
    "fampe": "fampe:steps=3,copies=2",
    "filters": "filters:replacement=noise,draws=2",
    "integrated_gradients": "integrated_gradients:steps=8",
    "random_masks": "random_masks:masks=256",
    "rate_distortion": "rate_distortion:rates=1,steps=3,draws=1",
    "shap_gradients": "shap_gradients:samples=5",
    "smoothgrad": "smoothgrad:samples=6",
    "wam": "wam:samples=6",
}
#: Domains whose features are bands.
BAND_SPECS = [
    "fourier:bands=octave",
    "fourier:grain=frequency,bands=0-2+2-3",
    "cosine:bands=3",
    "fourier:bands=2,channels=apart",
    "wavelet:haar,level=2,bands=level",
    "wavelet:bior2.2,level=2,bands=octave",
    "stft:8,bands=third-octave,times=2",
]
DOMAIN_SPECS = [
    spec for name in DOMAINS for spec in [*([] if name in FITTED else [name]), *DOMAIN_SETTINGS.get(name, [])]
]
ALL_SPECS = DOMAIN_SPECS + BAND_SPECS
#: Methods that read the layers of `torch.nn`, of which the toys have none; they have tests of their own.
OF_LAYERS = ("gradcam", "zennit")
METHOD_SPECS = [
    spec
    for name in METHODS
    if name not in OF_LAYERS
    for spec in [LIGHT.get(name, name), *METHOD_SETTINGS.get(name, [])]
]


def signal(*sizes: int, channels: tuple[int, ...] = (), segments: tuple[int, ...] = ()) -> SignalShape:
    """A signal of these sizes; `channels` are the dimensions without an order."""
    axes = (Axis(f"axis{d}", n, "cycles/step", 10.0, d in channels) for d, n in enumerate(sizes))
    return SignalShape("tensor", tuple(axes), segments)


#: One to three dimensions; even, odd, prime and single entries; with channels; with segments.
LEAVES = {
    "1": signal(1),
    "2": signal(2),
    "16": signal(16),
    "13": signal(13),
    "1x1": signal(1, 1),
    "6x8": signal(6, 8),
    "6x7": signal(6, 7),
    "5x8": signal(5, 8),
    "1x6": signal(1, 6),
    "6x1": signal(6, 1),
    "9c3": signal(9, 3, channels=(1,)),
    "c3x4x6": signal(3, 4, 6, channels=(0,)),
    "c2x5x7": signal(2, 5, 7, channels=(0,)),
    "4x6x8": signal(4, 6, 8),
    "3x5x7": signal(3, 5, 7),
    "c2x4x3x6": signal(2, 4, 3, 6, channels=(0,)),
    "12c2 in 7+5": signal(12, 2, channels=(1,), segments=(7, 5)),
    "10 in 1+8+1": signal(10, segments=(1, 8, 1)),
}


def bound(spec: str, shape: SignalShape) -> Basis | None:
    """The basis, or None where the domain says that it does not suit the signal."""
    try:
        return DOMAINS.parse(spec).bind(shape)
    except SpecError:
        return None


def noise(*sizes: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Normal noise from a generator of its own."""
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def full_bins(layout: Layout) -> list[np.ndarray]:
    """Which bins of the full complex FFT each feature of a Fourier layout owns, read from its columns alone."""
    axes = layout.signal.axes
    columns = {column.axis: column for column in layout.columns if column.axis}
    features = []
    for k in range(len(layout)):
        places: set[tuple[int, ...]] = set()
        for sign in (1, -1):
            options = []
            for axis in axes:
                column = columns.get(axis.name)
                if column is None:
                    options.append(list(range(axis.length)))
                elif column.role == "frequency":
                    bin_ = round(column.values[k].item() / axis.rate * axis.length)
                    options.append([sign * bin_ % axis.length])
                else:
                    options.append([int(column.values[k])])
            places |= set(itertools.product(*options))
        features.append(np.array([np.ravel_multi_index(p, layout.signal.shape) for p in sorted(places)]))
    return features


def full_spectrum(x: np.ndarray, layout: Layout) -> np.ndarray:
    """The plain orthonormal complex FFT of one signal, over the axes that the layout has frequencies of, flattened."""
    moved = {column.axis for column in layout.with_role("frequency")}
    dims = [d for d, axis in enumerate(layout.signal.axes) if axis.name in moved]
    return np.fft.fftn(x, axes=dims, norm="ortho").ravel()


class Linear(torch.nn.Module):
    """Logits that are linear in the signal."""

    def __init__(self, classes: int, *sizes: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(noise(classes, *sizes, seed=seed, dtype=dtype))
        self.bias = torch.nn.Parameter(noise(classes, seed=seed + 100, dtype=dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight.flatten(1).T + self.bias

    def log_p_gradient(self, x: np.ndarray, y: int) -> np.ndarray:
        """The gradient of log p_y at one signal, by the textbook formula, in numpy."""
        a, b = (p.detach().double().numpy() for p in (self.weight, self.bias))
        return softmax_gradient(a.reshape(len(a), -1) @ x.ravel() + b, y) @ a.reshape(len(a), -1)


class Weighted(torch.nn.Module):
    """A linear score with known weights, the model's only output."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(noise(*shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.weight).flatten(1).sum(1, keepdim=True)


def value(outputs: torch.Tensor) -> torch.Tensor:
    """The score of a model with one output."""
    return outputs[:, 0]


class Smooth(torch.nn.Module):
    """A small smooth network: one hidden layer of tanh."""

    def __init__(self, classes: int, *sizes: int, seed: int = 2, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        n = int(np.prod(sizes))
        self.into = torch.nn.Parameter(noise(8, n, seed=seed, dtype=dtype) / n**0.5)
        self.out = torch.nn.Parameter(noise(classes, 8, seed=seed + 1, dtype=dtype))
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(torch.tanh(x.flatten(1) @ self.into.T)) @ self.out.T

    def log_p_gradient(self, x: np.ndarray, y: int) -> np.ndarray:
        """The gradient of log p_y at one signal, by the chain rule, in numpy."""
        w, v = (p.detach().double().numpy() for p in (self.into, self.out))
        hidden = np.tanh(w @ x.ravel())
        return ((softmax_gradient(v @ hidden, y) @ v) * (1 - hidden**2)) @ w


def softmax_gradient(logits: np.ndarray, y: int) -> np.ndarray:
    """d log p_y / d logits = one-hot(y) − p."""
    p = np.exp(logits - logits.max())
    return np.eye(len(logits))[y] - p / p.sum()


Logits = Callable[[torch.Tensor], Any]


def score_of(forward: Logits, x: torch.Tensor, head: Head | None = None, targets: Any = None, size: int = 4) -> Score:
    """A score over any callable."""
    chosen = [None] * len(x) if targets is None else list(targets)
    batcher = MicroBatcher(size)
    return Score(x, lambda signal, rows: forward(signal), lambda out, rows: out, head or Categorical(), chosen, batcher)


class Curved(torch.nn.Module):
    """A smooth score with no closed form."""

    def __init__(self, *shape):
        super().__init__()
        self.weight = torch.nn.Parameter(noise(4, *shape) / 4)

    def forward(self, x):
        z = torch.einsum("bi,ki->bk", x.flatten(1), self.weight.flatten(1))
        return (z.tanh() * z).sum(1, keepdim=True)


class Guard:
    """A callable in front of another that runs out of memory above a number of rows, and counts what it runs."""

    def __init__(self, forward: Logits, most: int = 10**9, backwards: int = 10**9) -> None:
        self.inner, self.most, self.backwards = forward, most, backwards
        self.forward_rows = self.backward_rows = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError(f"simulated: {len(x)} rows")
        self.forward_rows += len(x)
        return _Watched.apply(self.inner(x), self)


class _Watched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, guard: Guard) -> torch.Tensor:
        ctx.guard = guard
        return logits.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        if len(gradient) > ctx.guard.backwards:
            raise torch.OutOfMemoryError(f"simulated: {len(gradient)} rows backward")
        ctx.guard.backward_rows += len(gradient)
        return gradient, None
