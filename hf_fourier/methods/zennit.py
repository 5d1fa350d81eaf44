"""Layer-wise relevance propagation by the rules of zennit (extra `peers`): `zennit:EpsilonPlus`, LRP in Hz."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import MissingExtraError, ModelError, SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.library_maps import LibraryMaps
from hf_fourier.scoring.heads import CustomTarget
from hf_fourier.scoring.representation import OUTPUT, RepresentationPass
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

_LINEAR = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
#: What is said of maps that are gradients with other rules for some layers.
_GRADIENTS = "whose maps are changed gradients, and no contributions"
#: What is said of rules that give all inputs of a layer the same relevance, zeros too.
_FLAT = "whose relevance does not depend on the input, so that it says nothing of its coefficients"
#: Parts of the names of layers that zennit has no rule for: the gradient passes through them.
_WITHOUT_RULE = ("LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm", "Attention", "LSTM", "GRU", "RNN")


@METHODS.register("zennit", aliases=("lrp",), needs="zennit")
@dataclass(frozen=True)
class Zennit(LibraryMaps):
    """Rank by layer-wise relevance propagation over the signal, carried to the features by a lift.

    zennit's composite gives each layer its rule; BatchNorm behind a convolution or a linear layer is merged into it
    first. Relevance begins at the logits z with `z · ds/dz` (the target's logit, of a score that is it), and goes
    back to the signal R; "transport" carries it to the features as contributions (arXiv 2303.06365, DFT-LRP).

    Attributes:
        attribution: "EpsilonPlus" (ε for linear layers, z⁺ for convolutions), "EpsilonAlpha2Beta1" (α=2, β=1 for
            convolutions) or "Epsilon" (for both).
        lift: "transport", "gradient" or "magnitude"; None for "transport".
        epsilon: The stabiliser of the ε rule.
    """

    attribution: str = "EpsilonPlus"
    epsilon: float = 1e-6

    library: ClassVar[str] = "zennit"
    known: ClassVar[Mapping[str, str]] = dict.fromkeys(("EpsilonPlus", "EpsilonAlpha2Beta1", "Epsilon"), "transport")
    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("GuidedBackprop", "DeconvNet", "ExcitationBackprop", "BetaSmooth"), _GRADIENTS),
        **dict.fromkeys(("EpsilonPlusFlat", "EpsilonAlpha2Beta1Flat", "EpsilonGammaBox"), _FLAT),
    }
    reference: ClassVar[str] = "zennit (arXiv 2106.13200); transport: arXiv 2303.06365 (virtual inspection layer)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.epsilon, (int, float)) or not 0 < self.epsilon < float("inf"):
            raise SpecError(f"epsilon {self.epsilon!r}", "a number above 0", "correct `epsilon`")

    @property
    def passes(self) -> tuple[int, int]:
        """One of each kind; each layer that has a rule is run again for it, which is not counted."""
        return 1, 1

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The relevance, lifted.

        Raises:
            MissingExtraError: If zennit is not installed.
            ModelError: If no layer has a rule.
        """
        layers = [] if score.model is None else list(score.model.modules())
        if not any(isinstance(layer, _LINEAR) for layer in layers):
            got = "a model without a layer that zennit has a rule for"
            do = "pass a torch module made of them, or take method='gradient_input'"
            raise ModelError(got, "layers of torch.nn: Linear, Conv1d, Conv2d, Conv3d", do)
        composite = self._composite()

        def visit(part: RepresentationPass) -> Tensor:
            return part.gradient(lambda answers: _begun(answers, score, part.rows))

        with composite.context(score.model):
            maps = torch.cat(score.represent(score.signal, visit, OUTPUT)).to(x)
            left = sorted({type(layer).__name__ for layer in layers if _has_no_rule(layer)})
        ranking = self.carried(score, x, basis, rng, maps)
        if not left:
            return ranking
        note = f"zennit has no rule for {', '.join(left)}: gradients passed through them, and relevance need not add up"
        return replace(ranking, notes=[[*notes, note] for notes in ranking.notes])

    def _composite(self) -> Any:
        """The rules of all layers.

        Raises:
            MissingExtraError: If zennit is not installed.
        """
        try:
            from zennit import canonizers, composites, rules, types
        except ImportError as error:
            raise MissingExtraError("zennit", "peers", "layer-wise relevance propagation") from error
        merge = [canonizers.SequentialMergeBatchNorm()]
        if self.attribution != "Epsilon":
            return getattr(composites, self.attribution)(epsilon=self.epsilon, canonizers=merge)
        layers = [
            (types.Activation, rules.Pass()),
            (types.AvgPool, rules.Norm()),
            (types.Linear, rules.Epsilon(epsilon=self.epsilon)),
        ]
        return composites.LayerMapComposite(layer_map=layers, canonizers=merge)


def _begun(answers: Float[Tensor, "rows ..."], score: Score, rows: slice) -> Float[Tensor, " rows"]:
    """A number per row whose gradient at the logits is the relevance that begins there, `z · ds/dz`.

    Args:
        answers: The logits, or the values of a target that is a function.
        score: The model, with its targets.
        rows: The rows among the examples.
    """
    if isinstance(score.head, CustomTarget):
        return (answers * answers.detach()).flatten(1).sum(1)
    logits = answers.detach().requires_grad_(True)
    margin = score.head.read(logits, score.frozen_targets[rows]).logit_margin
    (slope,) = torch.autograd.grad(margin.sum(), logits)
    relevance = torch.where(logits.isfinite(), logits.detach() * slope, 0)
    return (torch.where(logits.isfinite(), answers, 0) * relevance).flatten(1).sum(1)


def _has_no_rule(layer: torch.nn.Module) -> bool:
    """Whether gradients pass through a layer as they are; a BatchNorm that was merged is the identity."""
    if isinstance(variance := getattr(layer, "running_var", None), torch.Tensor):
        return not bool((variance == 1).all())
    return any(part in type(layer).__name__ for part in _WITHOUT_RULE)
