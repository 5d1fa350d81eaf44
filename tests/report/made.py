"""Attributions made by hand: no model, known features, known answers."""

import torch

from hf_fourier.attribution import Attribution
from hf_fourier.curves import Curve, Stop
from hf_fourier.domains import DOMAINS, Axis, LeafShape
from hf_fourier.views import ImageView, NoView

UNITS = {"pixels": "cycles/pixel", "tokens": "cycles/token"}
#: share, confidence kept, agrees kept, confidence deleted, agrees deleted
PLAYED = ((0.04, 0.11, 0.0, 0.22, 1.0), (0.1, 0.61, 1.0, 0.34, 0.0), (0.3, 0.87, 1.0, 0.05, 0.0))


def hand_made(
    *sizes, channels=(), segments=(), kind="series", domain="fourier", view=None, names=(), gradient=True, leaf=None,
    played=(), scores=None, label="espresso", confidence=0.95, method="ffc", alternatives=None, target=3,
):  # fmt: skip
    unit = UNITS.get(kind, "cycles/sample")
    shape = LeafShape(kind, tuple(Axis(f"axis{d}", n, unit, 1.0, d in channels) for d, n in enumerate(sizes)), segments)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(sizes, generator=generator) if leaf is None else leaf
    g = torch.randn(sizes, generator=generator) if gradient else None
    basis = DOMAINS.parse(domain).bind(shape)
    made = basis.magnitude(basis.forward(x[None]))[0] if scores is None else scores
    stops = []
    for share, keep, holds, delete, survives in played:
        stops.append(Stop("keep", share, share, -1.0, None if confidence is None else keep, holds))
        stops.append(Stop("delete", share, share, -2.0, None if confidence is None else delete, survives))
    return Attribution(
        scores=made, layout=basis.layout, target=target, label=label, confidence=confidence, value=-0.05,
        leaf=x, gradient=g,
        provenance={"model": "toy", "method": method, "domain": domain, "seed": 0, "notes": []},
        alternatives=[(label, confidence or 0.0), ("cup", 0.01)] if alternatives is None else alternatives,
        names=names, view=view or NoView(), curve=Curve(tuple(stops), confidence or -0.05) if stops else None,
    )  # fmt: skip


def picture(height=12, width=10, **others):
    return hand_made(3, height, width, **{"channels": (0,), "kind": "pixels", "view": ImageView(), **others})


def text(names, **others):
    return hand_made(len(names), 6, **{"channels": (1,), "kind": "tokens", "names": tuple(names), **others})
