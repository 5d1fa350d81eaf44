"""Attributions made by hand: no model, known features, known answers."""

import torch

from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve, CurvePoint
from hf_fourier.results.views import ImageView, NoView, SoundView, SpectrogramView, VolumeView

UNITS = {"pixels": "cycles/pixel", "tokens": "cycles/token", "volume": "cycles/voxel"}
#: fraction, confidence kept, agreement kept, confidence deleted, agreement deleted
PLAYED = ((0.04, 0.11, 0.0, 0.22, 1.0), (0.1, 0.61, 1.0, 0.34, 0.0), (0.3, 0.87, 1.0, 0.05, 0.0))


def hand_made(
    *sizes, channels=(), segments=(), kind="series", domain="fourier", view=None, names=(), gradient=True, signal=None,
    played=(), scores=None, label="espresso", confidence=0.95, method="ffc", alternatives=None, target=3, axes=(),
    units=(), rate=1.0, head="softmax", frozen=None, extras=(), source=(), error=None,
):  # fmt: skip
    axes = axes or [f"axis{d}" for d in range(len(sizes))]
    units = units or [UNITS.get(kind, "cycles/sample")] * len(sizes)
    named = enumerate(zip(axes, sizes, units, strict=True))
    shape = SignalShape(kind, tuple(Axis(name, n, unit, rate, d in channels) for d, (name, n, unit) in named), segments)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(sizes, generator=generator) if signal is None else signal
    g = torch.randn(sizes, generator=generator) if gradient else None
    basis = DOMAINS.parse(domain).bind(shape)
    made = basis.magnitude(basis.forward(x[None]))[0] if scores is None else scores
    stops = []
    for share, keep, holds, delete, survives in played:
        stops.append(CurvePoint("keep", share, share, -1.0, None if confidence is None else keep, holds))
        stops.append(CurvePoint("delete", share, share, -2.0, None if confidence is None else delete, survives))
    return Attribution(
        scores=made, layout=basis.layout, target=target, label=label, confidence=confidence, value=-0.05,
        signal=x, gradient=g,
        provenance={"model": "toy", "method": method, "domain": domain, "seed": 0, "notes": [], "head": head},
        top_predictions=[(label, confidence or 0.0), ("cup", 0.01)] if alternatives is None else alternatives,
        frozen_target=frozen, extras=dict(extras), raw_input=dict(source), names=names,
        completeness_error=error,
        view=view or NoView(), curve=Curve(tuple(stops), confidence or -0.05) if stops else None,
    )  # fmt: skip


def picture(height=12, width=10, **others):
    return hand_made(3, height, width, **{"channels": (0,), "kind": "pixels", "view": ImageView(), **others})


def text(names, **others):
    return hand_made(len(names), 6, **{"channels": (1,), "kind": "tokens", "names": tuple(names), **others})


def protein(letters, **others):
    return text(letters, **{"axes": ("residue", "hidden"), "units": ("cycles/residue", ""), "label": "Mouse", **others})


def cell(genes, **others):
    return text(genes, **{"axes": ("gene", "hidden"), "units": ("cycles/gene", ""), "label": "T", **others})


def waveform(samples=800, rate=8000, **others):
    view = SoundView(rate, 0.0, 0.25)
    return hand_made(samples, **{"kind": "waveform", "axes": ("time",), "units": ("Hz",), "rate": float(rate),
                                 "view": view, **others})  # fmt: skip


def spectrogram(bands=20, frames=30, mel_first=True, clip=None, **others):
    """Frames 10 ms apart at 16 kHz; triangular filters that are evenly spaced in Hz."""
    view = SpectrogramView(40.0, -40.0, 0.01, 16000, 0.0, 8000.0, mel_first, 400)
    edges = torch.linspace(0, 8000, bands + 2)
    hertz = torch.linspace(0, 8000, 201)[:, None]
    rising, falling = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    sound = torch.randn(frames * 160, generator=torch.Generator().manual_seed(1)) / 10 if clip is None else clip
    axes, units, sizes = ("mel", "time"), ("cycles/mel band", "cycles/frame"), (bands, frames)
    if not mel_first:
        axes, units, sizes = axes[::-1], units[::-1], sizes[::-1]
    return hand_made(*sizes, **{"kind": "spectrogram", "axes": axes, "units": units, "view": view,
                                "source": {"sound": sound, "mel_filters": filters}, **others})  # fmt: skip


def segmented(*sizes, **others):
    """A picture or a volume whose clean mask is a box; the kept part's is the same, that of what is left is gone."""
    mask = torch.full(sizes, -1, dtype=torch.int16)
    mask[tuple(slice(n // 4, 3 * n // 4) for n in sizes)] = 1
    extras = {"mask keep 0.1": mask, "mask delete 0.1": torch.zeros_like(mask)}
    names = ("depth", "height", "width")[-len(sizes) :]
    unit = "cycles/pixel" if len(sizes) == 2 else "cycles/voxel"
    channels = 3 if len(sizes) == 2 else 1
    return hand_made(channels, *sizes, **{
        "kind": "pixels" if len(sizes) == 2 else "volume", "axes": ("channel", *names), "channels": (0,),
        "units": ("", *[unit] * len(sizes)), "view": ImageView() if len(sizes) == 2 else VolumeView(), "head": "mask",
        "label": "brain",
        "frozen": mask, "extras": extras, "played": MASKED, "alternatives": [("background", 0.8), ("brain", 0.2)],
        "confidence": 0.6, **others,
    })  # fmt: skip


#: share, confidence kept, Dice kept, confidence deleted, Dice deleted
MASKED = ((0.04, 0.5, 0.62, 0.3, 0.4), (0.1, 0.58, 0.93, 0.2, 0.0))
