"""Layer-wise relevance propagation by the rules of zennit (extra `peers`): `zennit:EpsilonPlus`, LRP in Hz."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
_GRADIENTS = "whose maps are modified gradients, not contributions"
#: What is said of rules that give all inputs of a layer the same relevance, zeros too.
_FLAT = "whose relevance does not depend on the input, and so not on its coefficients"
#: Operations through which relevance passes as the gradient does: they move, copy or choose entries.
_MOVES = re.compile(
    r"(Unsafe|Reshape|_Reshape)?(View|Alias|ReshapeAlias|Transpose|Permute|Unsqueeze|Squeeze|Clone|ToCopy|Slice|Select"
    r"|Index|Gather|Cat|Stack|Unbind|Split|Expand|Flip|ConstantPadNd|Relu|Threshold|T|(Adaptive)?MaxPool\dD?\w*)"
)
#: Operations of layers that have a rule: each has to be a layer's.
_RULED = {
    re.compile(r"(Mkldnn|Cudnn|Thnn)?Conv\w*"): _LINEAR[1:],
    re.compile(r"Addmm|Mm|Linear|Addbmm|Bmm"): _LINEAR[:1],
    re.compile(r"(Adaptive)?AvgPool\w*|Mean|MkldnnAdaptiveAvgPool\w*"): (
        *(getattr(torch.nn, f"{kind}AvgPool{d}d") for kind in ("", "Adaptive") for d in (1, 2, 3)),
    ),
}


@METHODS.register("zennit", aliases=("lrp",), needs="zennit")
@dataclass(frozen=True)
class Zennit(LibraryMaps):
    """Rank by layer-wise relevance propagation to positions, converted to scores of features by `lift`.

    zennit's composite gives each layer its rule. A plain pass is looked at first: what the rules do not see (additions
    of branches, products, norms, a layer that is called twice) is refused. Relevance begins at the logits z with
    `z · ds/dz` (the target's logit, of a score that is it), and goes back to the signal; "transport" carries it to the
    features as contributions (arXiv 2303.06365, DFT-LRP).

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
    reference: ClassVar[str] = (
        "zennit (arXiv 2106.13200); lift=transport, which keeps the sum of the map: arXiv 2303.06365"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.epsilon, (int, float)) or not 0 < self.epsilon < float("inf"):
            raise SpecError(f"epsilon {self.epsilon!r}", "a number above 0", "correct `epsilon`")

    @property
    def passes(self) -> tuple[int, int]:
        """One plain pass, and one each way with the rules; layers are run again for them, which is not counted."""
        return 2, 1

    @property
    def shares_clean_pass(self) -> bool:
        """Its rules change the pass."""
        return False

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The relevance, lifted.

        Raises:
            MissingExtraError: If zennit is not installed.
            ModelError: If no layer has a rule, or the model does something that the rules do not see.
        """
        layers = [] if score.model is None else list(score.model.modules())
        if not any(isinstance(layer, _LINEAR) for layer in layers):
            got = "a model without a layer that zennit has a rule for"
            do = "pass a torch module made of them, or take method='gradient_input'"
            raise ModelError(got, "layers of torch.nn: Linear, Conv1d, Conv2d, Conv3d", do)
        with _calls_counted(layers) as calls:
            score.represent(score.signal, lambda part: _check(part.attached, calls), OUTPUT)

        composite = self._composite()

        def visit(part: RepresentationPass) -> Tensor:
            return part.gradient(lambda answers: _begun(answers, score, part.rows))

        with composite.context(score.model):
            maps = torch.cat(score.represent(score.signal, visit, OUTPUT)).to(x)
        return self.carried(score, x, basis, rng, maps)

    def _composite(self) -> Any:
        """The rules of all layers.

        Raises:
            MissingExtraError: If zennit is not installed.
        """
        try:
            from zennit import composites, rules, types
        except ImportError as error:
            raise MissingExtraError("zennit", "peers", "layer-wise relevance propagation") from error
        if self.attribution != "Epsilon":
            return getattr(composites, self.attribution)(epsilon=self.epsilon)
        layers = [
            (types.Activation, rules.Pass()),
            (types.AvgPool, rules.Norm()),
            (types.Linear, rules.Epsilon(epsilon=self.epsilon)),
        ]
        return composites.LayerMapComposite(layer_map=layers)


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


@contextmanager
def _calls_counted(layers: Sequence[torch.nn.Module]) -> Iterator[dict[torch.nn.Module, int]]:
    """How often each layer with a rule is called in the pass at hand."""
    calls: dict[torch.nn.Module, int] = {}

    def note(layer: torch.nn.Module, *_: Any) -> None:
        calls[layer] = calls.get(layer, 0) + 1

    ruled = tuple(kind for kinds in _RULED.values() for kind in kinds)
    hooks = [layer.register_forward_hook(note) for layer in layers if isinstance(layer, ruled)]
    hooks += [layers[0].register_forward_pre_hook(lambda *_: calls.clear())]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _check(answers: Tensor, calls: Mapping[torch.nn.Module, int]) -> None:
    """Whether everything between the signal and the answers is a layer with a rule, or only moves entries.

    Raises:
        ModelError: If it is not.
    """
    again = sorted({type(layer).__name__ for layer, count in calls.items() if count > 1})
    if again:
        raise _unseen(f"a {again[0]} that is called more than once")
    names = _operations(answers)
    for pattern, kinds in _RULED.items():
        found = [name for name in names if pattern.fullmatch(name)]
        if len(found) > sum(isinstance(layer, kinds) for layer in calls):
            raise _unseen(f"{found[0]} outside a layer of torch.nn")
    for name in names:
        if not _MOVES.fullmatch(name) and not any(pattern.fullmatch(name) for pattern in _RULED):
            raise _unseen(name)


def _unseen(what: str) -> ModelError:
    do = (
        "explain the logits of a network of convolutions, linear layers, ReLU and pooling, batch norms fused into them "
        "(torch.nn.utils.fusion.fuse_conv_bn_eval), or take method='integrated_gradients'"
    )
    return ModelError(f"a model with {what}, which the rules of LRP do not cover", "layers that have a rule", do)


def _operations(answers: Tensor) -> list[str]:
    """The names of the operations between the signal and the answers; those of parameters alone are left out."""
    order: list[Any] = []
    seen: set[Any] = set()
    stack = [(answers.grad_fn, False)]
    while stack:
        node, done = stack.pop()
        if node is None or (node in seen and not done):
            continue
        if done:
            order.append(node)
            continue
        seen.add(node)
        stack.append((node, True))
        stack += [(following, False) for following, _ in node.next_functions]
    of_signal: set[Any] = set()
    for node in order:  # what comes before a node in the model stands before it here
        leaf = getattr(node, "variable", None)
        is_signal = leaf is not None and not isinstance(leaf, torch.nn.Parameter)
        if is_signal or any(one in of_signal for one, _ in node.next_functions):
            of_signal.add(node)
    names = (node.name() for node in order if node in of_signal and getattr(node, "variable", None) is None)
    return [re.sub(r"Backward\d*$", "", name.rpartition("::")[2]) for name in names]
