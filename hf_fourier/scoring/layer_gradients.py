"""Layer outputs and gradients of one forward pass whose graph is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from hf_fourier.errors import ModelError, SpecError
from hf_fourier.results.remarks import WITHOUT_GRADIENTS
from hf_fourier.scoring.failures import differentiate
from hf_fourier.typing import Float, Num, Tensor

#: The name of the signal among the layers.
INPUT = "input"
_LISTS = (torch.nn.ModuleList, torch.nn.ModuleDict)


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """One layer's output in one forward pass. It holds an edge of the graph, no numbers.

    Attributes:
        name: The module's name; with `#2` behind it for the second of several calls.
        shape: Of the output, all rows together.
        batch: The dimension along which examples lie.
        rows: How many examples there are.
        edge: The output's edge in the graph, also where the tensor is changed in place later.
        handle: A tensor of zeros at this edge, to backpropagate from.
    """

    name: str
    shape: torch.Size
    batch: int
    rows: int
    edge: GradientEdge
    handle: Tensor

    @property
    def is_square(self) -> bool:
        """Whether the examples may lie along the first dimension or the second: there are as many tokens as rows."""
        return len(self.shape) > 2 and self.rows > 1 and self.shape[0] == self.shape[1] and self.batch == 0

    @property
    def size(self) -> int:
        """Numbers per example."""
        return self.shape.numel() // self.rows

    def to_layer_shape(self, values: Num[Tensor, "rows neurons"]) -> Num[Tensor, "..."]:
        """One number per example and neuron, in the shape of the output."""
        sizes = list(self.shape)
        if self.batch == 0:
            return values.reshape(sizes)
        sizes.insert(0, sizes.pop(self.batch))
        return values.reshape(sizes).movedim(0, self.batch)


class LayerPass:
    """One forward pass of some examples, its graph kept.

    Attributes:
        signal: Their clean signals, shape `(rows, *signal)`.
        first: The index of the first of them in the batch.
        layers: The layers in the order of their calls, the signal itself first.
        margin_gradient: The gradient of the margin at the signal, the same shape as `signal`.
        dvalue_dmargin: `d value / d margin`, shape `(rows,)`.
        upstream: The gradient of the margin at each layer, in the layer's shape.
    """

    def __init__(
        self,
        signal: Tensor,
        margin: Tensor,
        dvalue_dmargin: Tensor,
        first: int,
        outputs: Sequence[LayerOutput],
        count: Callable[[int], None],
        model: torch.nn.Module | None = None,
    ) -> None:
        self._model = model
        total = margin.sum()
        outputs = self._placed(outputs, margin, count)
        edges = [get_gradient_edge(signal), *(output.edge for output in outputs)]
        own, *others = differentiate(model, total, edges, retain_graph=True)
        if own is None:
            raise no_gradient_path()
        self.margin_gradient: Tensor = own
        between = [(output, gradient) for output, gradient in zip(outputs, others, strict=True) if gradient is not None]
        here = LayerOutput(INPUT, signal.shape, 0, len(signal), edges[0], signal)
        self.layers = [here, *(output for output, _ in between)]
        self.upstream = [own, *(gradient for _, gradient in between)]
        self.signal, self.first, self.dvalue_dmargin = signal.detach(), first, dvalue_dmargin.detach()
        self._attached, self._root, self._count = signal, get_gradient_edge(total), count

    def _placed(
        self, outputs: Sequence[LayerOutput], margin: Tensor, count: Callable[[int], None]
    ) -> list[LayerOutput]:
        """The layers with the dimension of the examples resolved where two fit: one backward pass if there are such.

        The gradient of one example's margin is zero at all other examples.
        """
        unsure = [i for i, output in enumerate(outputs) if output.is_square]
        placed = list(outputs)
        if not unsure:
            return placed
        edges = [outputs[i].edge for i in unsure]
        found = differentiate(self._model, margin[0], edges, retain_graph=True)
        count(len(margin))
        for i, gradient in zip(unsure, found, strict=True):
            own = outputs[i].shape[0] // outputs[i].rows
            if gradient is not None and bool(gradient[own:].any()) and not bool(gradient[:, own:].any()):
                placed[i] = replace(outputs[i], batch=1)
        return placed

    def vjp(self, layer: LayerOutput, seed: Float[Tensor, "..."]) -> Float[Tensor, "rows *signal"]:
        """The gradient at the signal of `<seed, z>`, z the layer's output: one backward pass; at the signal none."""
        if layer is self.layers[0]:
            return seed
        (gradient,) = differentiate(self._model, layer.handle, [self._attached], seed, retain_graph=True)
        assert gradient is not None
        self._count(len(self.signal))
        return gradient

    def is_bottleneck(self, layer: LayerOutput) -> bool:
        """Whether every path of the graph from the signal to the score goes through this layer's output."""
        blocked, signal = (layer.edge.node, layer.edge.output_nr), self._signal_node
        stack, seen = [(self._root.node, self._root.output_nr)], {self._root.node}
        while stack:
            node, number = stack.pop()
            if (node, number) == blocked:
                continue
            if node is signal:
                return False
            for following, place in node.next_functions:
                if following is not None and (following not in seen or following is blocked[0]):
                    seen.add(following)
                    stack.append((following, place))
        return True

    @cached_property
    def _signal_node(self) -> Any:
        return get_gradient_edge(self._attached).node


def no_gradient_path() -> ModelError:
    """The error for a score without a gradient."""
    return ModelError(
        "a score that does not depend on the signal",
        "a differentiable path from the input to the target",
        "check the target, and that the model does not detach its input or run on integers, as some quantised ones do; "
        f"or {WITHOUT_GRADIENTS}",
    )


class LayerHooks:
    """Records the outputs of chosen layers of a model while `recording`.

    Args:
        model: The model; None for a callable that is no module, which has no layers but its input.
        patterns: The layers by their names; None for the repeated blocks.

    Raises:
        SpecError: If no module has such a name.
    """

    def __init__(self, model: torch.nn.Module | None, patterns: Sequence[str] | None) -> None:
        self.patterns = patterns
        self.modules = {} if model is None else repeated(model) if patterns is None else matching(model, patterns)
        if patterns is not None and not self.modules:
            raise _nothing(model, patterns)
        self._recorded: list[tuple[str, torch.Size, GradientEdge, Tensor]] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, outputs are recorded; the hooks are removed afterwards."""
        self._recorded.clear()
        handles = [module.register_forward_hook(self._hook(name)) for name, module in self.modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def outputs(self, rows: int, cost: int) -> list[LayerOutput]:
        """The outputs between the signal and the score, in the order of the calls.

        Args:
            rows: Signal rows that went in.
            cost: Model rows per signal row.

        Raises:
            SpecError: If layers were given by name, and no output of theirs depends on the signal.
        """
        calls, number, outputs = Counter(name for name, *_ in self._recorded), Counter[str](), []
        for name, shape, edge, handle in self._recorded:
            number[name] += 1
            batch = _batch(shape, rows, cost)
            if batch is not None:
                full = name if calls[name] == 1 else f"{name}#{number[name]}"
                outputs.append(LayerOutput(full, shape, batch, rows, edge, handle))
        if self.patterns is not None and not outputs:
            got = f"layers {' + '.join(self.patterns)}, none of which lies between the signal and the score"
            raise SpecError(got, "modules that are called on what depends on the signal", "choose others")
        return outputs

    def _hook(self, name: str) -> Callable[[torch.nn.Module, Any, Any], None]:
        def hook(module: torch.nn.Module, args: Any, output: Any) -> None:
            z = _tensor(output)
            if z is not None:
                self._recorded.append((name, z.shape, get_gradient_edge(z), _Handle.apply(z)))

        return hook


class _Handle(torch.autograd.Function):
    """Zeros in the shape of a tensor, at its place in the graph: holds one number, even if the tensor is changed."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return z.new_zeros(()).expand(z.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def repeated(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The blocks that a model is stacked of, by name, the outermost ones.

    Members of a `ModuleList`, and those of a `Sequential` or neighbours in one module where several composite ones are
    of one class; else the members of a `Sequential` in which any class comes again; else the model's own children.
    """
    found = _stacked(model, "", _composite) or _stacked(model, "", lambda module: True)
    while not found:
        children = {name: child for name, child in model.named_children() if next(child.parameters(), None) is not None}
        if len(children) != 1:
            return children
        ((outer, model),) = children.items()
        found = {f"{outer}.{name}": child for name, child in model.named_children()}
    return found


def _stacked(
    module: torch.nn.Module, path: str, counts: Callable[[torch.nn.Module], bool]
) -> dict[str, torch.nn.Module]:
    found: dict[str, torch.nn.Module] = {}
    kinds = Counter(type(child) for child in module.children() if counts(child))
    in_row = isinstance(module, torch.nn.Sequential)
    row = in_row and max(kinds.values(), default=0) > 1
    for name, child in module.named_children():
        full = f"{path}{name}"
        block = _composite(child) and not isinstance(child, torch.nn.Sequential) and not _has_lists(child)
        if isinstance(child, _LISTS):
            found.update(_members(child, f"{full}."))
        elif row or (not in_row and block and kinds[type(child)] > 1):
            found[full] = child
        else:
            found.update(_stacked(child, f"{full}.", counts))
    return found


def _members(container: torch.nn.Module, path: str) -> dict[str, torch.nn.Module]:
    """The members of a list, and of lists in it."""
    found: dict[str, torch.nn.Module] = {}
    for name, member in container.named_children():
        found.update(_members(member, f"{path}{name}.") if isinstance(member, _LISTS) else {f"{path}{name}": member})
    return found


def _composite(module: torch.nn.Module) -> bool:
    """Whether a module is made of others."""
    return next(module.children(), None) is not None and not isinstance(module, _LISTS)


def _has_lists(module: torch.nn.Module) -> bool:
    """Whether blocks lie further down: an encoder and a decoder of one class are no blocks themselves."""
    return any(isinstance(inner, _LISTS) for inner in module.modules())


def matching(model: torch.nn.Module, patterns: Sequence[str]) -> dict[str, torch.nn.Module]:
    """The modules whose names match one of the patterns."""
    return {name: module for name, module in model.named_modules() if matches(name, patterns)}


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a module's name ends as one of the patterns does, part by part; `*` is anything without a dot."""
    parts = name.split(".")
    wanted = [pattern.split(".") for pattern in patterns]
    return any(len(parts) >= len(own) and all(map(fnmatchcase, parts[-len(own) :], own)) for own in wanted)


def _nothing(model: torch.nn.Module | None, patterns: Sequence[str]) -> SpecError:
    got = f"layers {' + '.join(patterns)}"
    if model is None:
        return SpecError(f"{got} of a callable that is not a module", "a torch module", "leave `layers` out")
    names = list(repeated(model)) or [name for name, _ in model.named_modules() if name]
    some = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return SpecError(got, f"a pattern of module names such as {some or '(it has none)'}", "correct `layers`")


def _tensor(output: Any) -> Tensor | None:
    """The first tensor with a gradient among a module's outputs."""
    if isinstance(output, Tensor):
        return output if output.requires_grad else None
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, (tuple, list)) else ()
    return next((found for part in parts if (found := _tensor(part)) is not None), None)


def _batch(shape: torch.Size, rows: int, cost: int) -> int | None:
    """The dimension along which examples lie: the first or the second, or the first with several rows of each.

    Where both fit the first is taken, until the gradient of one example shows which it is.
    """
    for dimension in (0, 1):
        if len(shape) > dimension and shape[dimension] == rows * cost:
            return dimension
    return 0 if shape and shape[0] and shape[0] % (rows * cost) == 0 else None
