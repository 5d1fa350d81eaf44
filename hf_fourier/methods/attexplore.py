"""AttEXplore: attribution by exploring across the decision, with copies whose cosine spectrum is jittered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hf_fourier.domains import Cosine
from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.methods.base import METHODS
from hf_fourier.methods.exploration import PIXELS, Exploration


@METHODS.register("attexplore")
@dataclass(frozen=True)
class AttEXplore(Exploration):
    """Integrate gradients along an adversarial path, whose steps average over copies with a randomly changed spectrum.

    The copies are `IDCT(DCT(x_t + noise) * u)` with u uniform on 1 ± rho for all frequencies. The walk, the measures
    and the parameters are those of `Exploration`; the cosine transform runs along every ordered axis, whatever domain
    the features are of, so that x_T and the sum of the scores do not depend on the domain.

    The preset "published" has the released settings. The released code walks down the cross-entropy, so that its
    decisions do not flip, and its measure has no sign; the defaults are ours: up the cross-entropy, and the measure
    that adds up to the change of the score.
    """

    reference: ClassVar[str] = (
        "AttEXplore, ICLR 2024; the default measure (signed, with a known sum) and step sizes relative to the example "
        "are ours"
    )
    default_domain: ClassVar[str | None] = "cosine"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "published": {
            "epsilon": PIXELS,
            "sigma": PIXELS,
            "measure": "published",
            "direction": "descend",
            "diversity": 0.5,
            "smoothing": 7,
        }
    }

    def exploration_basis(self, signal: SignalShape) -> Basis:
        """The cosine transform along the ordered axes."""
        return Cosine().bind(signal)
