"""The demo: a real classifier's view of a real picture, from package registries alone, beside its controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_fourier import assets
from hf_fourier.errors import InputError

if TYPE_CHECKING:
    from hf_fourier.attribution import Attribution

MODEL = "efficientnet-lite0"
ASSETS = (MODEL, "pictures")
METHOD, CONTROLS = "ffc", ("magnitude", "random")
KEPT = (0.01, 0.02, 0.04, 0.1, 0.3)


@dataclass(frozen=True)
class Demo:
    """What the demo finds.

    Attributes:
        picture: The picture's name.
        results: By method: its result, with `KEPT` played; the controls included.
    """

    picture: str
    results: Mapping[str, Attribution]


def explain(picture: str | None = None, progress: Callable[[int, int], None] | None = None) -> Demo:
    """Explain one of the pictures by `METHOD` and by each of the controls, and play `KEPT` for all of them.

    Args:
        picture: Its name; None for the first.
        progress: Called with (rankings done, rankings in all).

    Raises:
        InputError: If there is no such picture.
        AssetUnavailable: If the model or the pictures cannot be had here.
    """
    from hf_fourier.explainer import FourierExplainer

    pictures = dict(assets.pictures())
    name = next(iter(pictures)) if picture is None else picture
    if name not in pictures:
        raise InputError(f"the picture {name!r}", f"one of {', '.join(pictures)}", "choose one of them")
    explainer = FourierExplainer.from_pretrained(str(assets.get(MODEL)))
    results: dict[str, Attribution] = {}
    methods = (METHOD, *CONTROLS)
    for done, method in enumerate(methods, 1):
        result = explainer.explain(pictures[name], method=method)
        results[method] = explainer.play(result, kept=KEPT)
        if progress is not None:
            progress(done, len(methods))
    return Demo(name, results)


def least_kept(results: Mapping[str, Attribution]) -> dict[str, float | None]:
    """By method: the least share from which on every played share keeps the decision; None if the largest does not."""
    least: dict[str, float | None] = {}
    for method, result in results.items():
        least[method] = None
        for stop in reversed(result.curve.of("keep") if result.curve else []):
            if stop.agrees < 1:
                break
            least[method] = stop.asked
    return least
