"""Interactions between bands: which of them the model reads together, by Shapley interaction indices of `shapiq`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.errors import InputError, MissingExtraError, SpecError
from hf_fourier.methods.shapley import EXACT
from hf_fourier.methods.subset_method import USE_BANDS
from hf_fourier.models.encoding import restore
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import ExampleBatch
from hf_fourier.scoring.replacements import donor_signals, replacement_coefficients
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.subsets import subset_readings
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact
from hf_fourier.typing import Bool, Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine


@exact
def subset_values(
    explainer: Engine,
    attribution: Attribution,
    masks: Bool[Tensor, "subsets features"],
    replacement: str = "zero",
    draws: int = 4,
) -> Float[Tensor, " subsets"]:
    """The score of a result's example with only some of its features left, shape `(subsets,)`, float64.

    Args:
        explainer: Of the model that made the result.
        attribution: The result: its domain's features are left or deleted, its target is scored.
        masks: The features that are left, shape `(subsets, K)`.
        replacement: What stands in a deleted feature's place, as for `hf_fourier.methods.Shapley`.
        draws: Draws of a random replacement, which are averaged.

    Raises:
        InputError: If the result does not hold its example or explains a callable, or the masks do not fit.
        SpecError: If there is no such replacement.
    """
    features = len(attribution.layout)
    if masks.ndim != 2 or masks.shape[1] != features or masks.dtype != torch.bool:
        got = f"masks of shape {tuple(masks.shape)}, {masks.dtype}"
        raise InputError(got, f"truth values of shape (subsets, {features})", "pass one mask per row")
    rng = ExampleRng(int(attribution.provenance["seed"]), [attribution.key])
    values: list[Tensor] = []

    def visit(indices: list[int], batch: ExampleBatch, score: Score) -> None:
        score.references = lambda: batch.references
        if explainer.donors:
            example = restore(explainer.wrapper, attribution)
            score.donors = partial(donor_signals, [example], explainer.donors, explainer.wrapper, rng)
        other = replacement_coefficients(replacement, score, attribution.basis, rng, draws)
        values.append(subset_readings(score, attribution.basis, masks, other).value[0].cpu().double())

    explainer.replay([attribution], visit)
    return values[-1]


def band_game(explainer: Engine, attribution: Attribution, replacement: str = "zero", draws: int = 4) -> Any:
    """A result's bands as a cooperative game of `shapiq` (MIT licence; Muschalik et al. 2024, arXiv 2410.01649).

    Its players are the features, called by their names; a coalition's value is the score with only those left, minus
    the score with none. It can be handed to any of shapiq's approximators and plots.

    Args:
        explainer: Of the model that made the result.
        attribution: The result, of few features, such as `domain="fourier:bands=octave"`.
        replacement: As for `subset_values`.
        draws: Likewise.

    Returns:
        A `shapiq.Game`.

    Raises:
        MissingExtraError: If `shapiq` is not installed.
        InputError: If the result does not hold its example or explains a callable.
        SpecError: If there is no such replacement.
    """
    try:
        import shapiq
    except ImportError as error:
        raise MissingExtraError("shapiq", "interactions", "interactions between bands") from error

    players = len(attribution.layout)

    def values(coalitions: np.ndarray) -> np.ndarray:
        masks = torch.from_numpy(np.array(coalitions, dtype=bool).reshape(-1, players))
        return subset_values(explainer, attribution, masks, replacement, draws).numpy()

    class BandGame(shapiq.Game):
        """The score of one example as a game of its features."""

        def value_function(self, coalitions: np.ndarray) -> np.ndarray:
            """The scores of coalitions, shape `(coalitions,)`."""
            return values(coalitions)

    empty = float(values(np.zeros((1, players), dtype=bool))[0])
    names = [attribution.layout.label(k) for k in range(players)]
    return BandGame(players, normalization_value=empty, player_names=names)


def interactions(
    explainer: Engine,
    attribution: Attribution,
    index: str = "k-SII",
    order: int = 2,
    *,
    replacement: str = "zero",
    draws: int = 4,
) -> Any:
    """Exact interactions between a result's bands: what pairs add beyond what their bands bring alone.

    A positive number of a pair means that the model needs both, a negative one that either will do. All 2^K subsets of
    the K bands are run once. "k-SII", the k-Shapley values (Bordt and von Luxburg 2023, arXiv 2209.04012), divide
    `s(x) - s(∅)` among bands and groups of up to `order` of them.

    Args:
        explainer: Of the model that made the result.
        attribution: The result, of at most 10 features.
        index: The index, by shapiq's name ("k-SII", "SII", "STII", "FSII", "SV", …).
        order: The largest group.
        replacement: As for `subset_values`.
        draws: Likewise.

    Returns:
        A `shapiq.InteractionValues`: `values[(2, 5)]` is that of features 2 and 5, `plot_network()` draws them.

    Raises:
        MissingExtraError: If `shapiq` is not installed.
        InputError: If the result does not hold its example or explains a callable.
        SpecError: If it has more than 10 features, or there is no such replacement.
    """
    if len(attribution.layout) > EXACT:
        hint = f"{USE_BANDS}, or pass `band_game(…)` to one of shapiq's approximators"
        raise SpecError(f"exact interactions of {len(attribution.layout)} features", f"at most {EXACT}", hint)
    game = band_game(explainer, attribution, replacement, draws)
    import shapiq

    compute: Any = shapiq.ExactComputer(game)
    return compute(index, order)
