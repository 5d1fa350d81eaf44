"""Randomized models: the same architecture with fresh weights, which explains the same output of the same signal.

A ranking that follows the model differs for a randomized one (Adebayo et al. 2018, arXiv 1810.03292).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from hf_fourier.errors import InputError, ModelError
from hf_fourier.evaluation.metrics.robustness import rank_correlation
from hf_fourier.evaluation.metrics.structure import top_overlap
from hf_fourier.evaluation.random_perturbations import at_signals
from hf_fourier.methods import METHODS
from hf_fourier.models.calls import FunctionModule
from hf_fourier.models.network import NetworkWrapper
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table, table_of
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch, grouped
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact, in_float32, taken
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: The orders in which layers are drawn afresh.
ORDERS = ("top_down", "bottom_up")
_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


@exact
def randomize(
    explainer: Engine, attributions: Sequence[Attribution], seed: int = 0, batch_size: BatchSize = "auto"
) -> Engine:
    """The same architecture with fresh weights, on the same device and in the same type.

    With batch norm, default weights give one output for everything: there convolutions get Kaiming weights, and the
    norms take their statistics from the signals of these results.

    Args:
        explainer: Of the model, which is not changed.
        attributions: Results of it.
        seed: Of the weights.
        batch_size: Rows in a batch, at most.

    Raises:
        ModelError: If the model's class cannot be built from its config alone; of networks that are no models of
            `transformers`, see `_drawn_afresh`.
    """
    from hf_fourier.engine import Engine

    trained = explainer.model
    dtype = next((p.dtype for p in trained.parameters() if p.is_floating_point()), torch.float32)
    with taken(torch.random), torch.random.fork_rng(), in_float32():
        torch.manual_seed(seed)
        model = _drawn_afresh(trained) if isinstance(explainer.wrapper, NetworkWrapper) else _built_again(trained)
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        for module in model.modules() if norms else ():
            if isinstance(module, _CONVOLUTIONS):
                torch.nn.init.kaiming_normal_(module.weight)
    model = model.to(explainer.wrapper.device, dtype).eval()
    randomized = Engine(explainer.wrapper.of_model(model), name=f"{explainer.name}, randomized")
    if norms:
        _reset_norms(randomized, attributions, norms, batch_size)
    return randomized


def _built_again(trained: torch.nn.Module) -> torch.nn.Module:
    """A model of the same class, built from its config."""
    try:
        return type(trained)(copy.deepcopy(trained.config))
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError, ImportError) as error:
        got = f"no randomized {type(trained).__name__} ({type(error).__name__}: {error})"
        hint = "let type(model)(model.config) build it, or pass a model of transformers"
        raise ModelError(got, "a class that can be built from its config alone", hint) from error


def _drawn_afresh(trained: torch.nn.Module) -> torch.nn.Module:
    """A copy of a network whose modules draw their weights again (`reset_parameters`).

    Parameters of modules that do not know how are drawn from a normal distribution with the mean and the standard
    deviation of the trained ones.

    Raises:
        ModelError: If it cannot be copied, or has no weights of its own.
    """
    if isinstance(trained, FunctionModule) or next(trained.parameters(), None) is None:
        got = "a function, whose weights cannot be initialised again"
        raise ModelError(got, "a torch module with parameters", "pass the module itself, if there is one")
    try:
        model = copy.deepcopy(trained)
    except Exception as error:  # of what others keep in their modules
        got = f"a {type(trained).__name__} that cannot be copied ({type(error).__name__}: {error})"
        raise ModelError(got, "a module that copy.deepcopy takes", "remove what is not part of it") from error
    for module in model.modules():
        reset: Any = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.is_floating_point() and parameter.numel() > 1:
                std, mean = torch.std_mean(parameter.detach().float())
                with torch.no_grad():
                    parameter.copy_(torch.randn(parameter.shape) * std.cpu() + mean.cpu())
    return model


def re_rank(
    randomized: Engine, attributions: Sequence[Attribution], batch_size: BatchSize = "auto"
) -> list[Attribution]:
    """Rank by a randomized model: same signal, same frozen target, same method, same draws, other weights.

    The signal is the trained model's own, also where weights make it (embedded tokens): else a ranking by magnitude
    would pass for one that follows the model.

    Args:
        randomized: Of the model that made the results.
        attributions: Results with their examples.
        batch_size: Rows in a batch, at most.

    Returns:
        The results with the randomized model's scores in place of their own.

    Raises:
        InputError: If a result does not hold its example, or explains a callable.
    """
    scores: list[Tensor] = [result.scores for result in attributions]

    def visitor(members: list[int]) -> Callable[[list[int], ExampleBatch, Score], None]:
        method = METHODS.parse(attributions[members[0]].provenance["method"])

        def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
            results = [attributions[members[place]] for place in places]
            signals = _signals(results).to(score.signal)
            rows = torch.arange(len(results), device=score.signal.device)
            rng = ExampleRng(int(results[0].provenance["seed"]), [result.key for result in results])
            score = at_signals(batch, score, signals, rows)
            ranked = method.attribute(score, signals, results[0].basis, rng).scores.detach().float().cpu()
            for place, row in zip(places, ranked, strict=True):
                scores[members[place]] = row

        return visit

    for members in grouped(attributions, lambda result: result.provenance["method"]):
        randomized.replay([attributions[i] for i in members], visitor(members), batch_size=batch_size)
    return [replace(result, scores=row) for result, row in zip(attributions, scores, strict=True)]


def _has_state(module: torch.nn.Module) -> bool:
    """Whether a module has parameters, or buffers of real numbers, itself."""
    buffers = any(buffer.is_floating_point() for buffer in module.buffers(recurse=False))
    return buffers or any(True for _ in module.parameters(recurse=False))


def _copy_state(source: torch.nn.Module, module: torch.nn.Module) -> None:
    """Copy the parameters and buffers that a module has itself."""
    with torch.no_grad():
        for own, others in ((module._parameters, source._parameters), (module._buffers, source._buffers)):
            for name, tensor in own.items():
                fresh = others[name]
                if tensor is not None and fresh is not None:
                    tensor.copy_(fresh)


@exact
def randomize_layers(
    explainer: Engine,
    attributions: Sequence[Attribution],
    order: str = "top_down",
    stages: int = 8,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> Table:
    """Draw the weights of one layer after another afresh, and see how much of the rankings is left (Adebayo et al.).

    The layers are the modules with weights or real buffers (running statistics) of their own, in the order of
    `named_modules`. Fresh weights are those of `randomize`, with the statistics of norms that belong to them; what two
    modules share is drawn with the first.

    Args:
        explainer: Of the model, which is not changed.
        attributions: Results of it with their examples.
        order: "top_down", from the output on, or "bottom_up", from the input on; layers stay drawn.
        stages: In how many steps, at least 1; each explains all examples once.
        seed: Of the weights.
        batch_size: Rows in a batch, at most.

    Returns:
        A row a stage: "layers", the first and the last drawn in it; "drawn", the fraction of layers drawn so far;
        "rho", the mean rank correlation with the results' scores; "top", the mean overlap of the top 4 %. A method that
        follows the model loses both.

    Raises:
        InputError: If the order is none of the two, or there are no stages or results.
        ModelError: See `randomize`.
    """
    from hf_fourier.engine import Engine

    if order not in ORDERS or stages < 1 or not attributions:
        got = f"order {order!r}, {stages} stages and {len(attributions)} results"
        raise InputError(got, "top_down or bottom_up, and at least one of each", "correct `order` or `stages`")
    fresh = dict(randomize(explainer, attributions, seed, batch_size).model.named_modules())
    model = copy.deepcopy(explainer.model)
    layers = [name for name, module in model.named_modules() if _has_state(module)]
    layers = layers[::-1] if order == "top_down" else layers
    ends = sorted({round(len(layers) * stage / stages) for stage in range(1, stages + 1)} - {0})
    rows: list[dict[str, Any]] = []
    for start, end in zip([0, *ends], ends, strict=False):
        for name in layers[start:end]:
            _copy_state(fresh[name], model.get_submodule(name))
        drawn = Engine(explainer.wrapper.of_model(model), name=f"{explainer.name}, {end} layers randomized")
        others = re_rank(drawn, attributions, batch_size)
        pairs = list(zip(attributions, others, strict=True))
        rho = [rank_correlation(a.scores.numpy(), b.scores.numpy()) for a, b in pairs]
        known = [value for value in rho if not math.isnan(value)]
        rows.append({
            "layers": layers[start] if end == start + 1 else f"{layers[start]} … {layers[end - 1]}",
            "drawn": end / len(layers),
            "rho": sum(known) / len(known) if known else math.nan,
            "top": sum(top_overlap(a, b) for a, b in pairs) / len(pairs),
        })  # fmt: skip
    return table_of(rows)


def _reset_norms(
    randomized: Engine, attributions: Sequence[Attribution], norms: Sequence[_BatchNorm], batch_size: BatchSize
) -> None:
    """Give the norms the mean statistics of all batches."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        signals = _signals([attributions[place] for place in places]).to(score.signal)
        rows = torch.arange(len(signals), device=signals.device)
        for norm in norms:
            norm.train()
        with torch.no_grad():
            for chunk in rows.split(max(2, score.batcher.size)):
                batch.forward(signals[chunk], chunk)
        for norm in norms:
            norm.eval()

    randomized.replay(attributions, visit, batch_size=batch_size)


def _signals(results: Sequence[Attribution]) -> Tensor:
    return torch.stack([result.signal for result in results if result.signal is not None])
