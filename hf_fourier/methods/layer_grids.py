"""Which layer of a network has a grid of the signal's places, and how its output is laid out over the signal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import ModelError, SpecError
from hf_fourier.scoring.layer_gradients import matching
from hf_fourier.typing import Tensor

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
#: Tokens that may stand in front of those of the grid: none, a class token, or one for distillation too.
_PREFIX = range(3)
#: Cells of a grid along each axis that are merged into one, without a convolution.
_MERGED = (2, 4, 8, 16)


@dataclass(frozen=True)
class Grid:
    """A layer whose output has one vector for each cell of a grid over the signal.

    Attributes:
        layer: The module.
        name: Its name in the model.
        lengths: The grid's cells along each of its axes, in the layer's order.
        axes: The signal's axis that each runs along.
        prefix: Tokens in front of the grid, of a layer over tokens; None for a layer over channels and places.
    """

    layer: torch.nn.Module
    name: str
    lengths: tuple[int, ...]
    axes: tuple[int, ...]
    prefix: int | None = None

    def by_place(self, output: Tensor) -> Tensor:
        """The output as `(rows, channels, *grid)`, the axes in the signal's order, at least two of them."""
        if self.prefix is not None:
            output = output[:, self.prefix :].movedim(-1, 1).unflatten(2, self.lengths)
        order = sorted(range(len(self.axes)), key=lambda i: self.axes[i])
        output = output.permute(0, 1, *(2 + i for i in order))
        return output.unsqueeze(2) if len(order) == 1 else output

    def onto(self, cells: Tensor, signal: SignalShape) -> Tensor:
        """A map over the grid's axes, with length 1 along the signal's other axes."""
        shape = [axis.length if i in self.axes else 1 for i, axis in enumerate(signal.axes)]
        return cells.reshape(shape)


@dataclass
class Recorder:
    """The calls of layers in a pass, with the gradients that come back to their outputs.

    Args:
        model: The network.
        signal: The axes of one signal.
        pattern: The name of a layer; "" for all that may have a grid.

    Raises:
        SpecError: If no layer has that name.
    """

    model: torch.nn.Module
    signal: SignalShape
    pattern: str = ""
    calls: list[tuple[str, torch.nn.Module, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    reached: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = matching(self.model, [self.pattern]) if self.pattern else {}
        if self.pattern and not asked:
            names = ", ".join([name for name, _ in self.model.named_modules() if name][:8])
            raise SpecError(f"layer {self.pattern!r}", f"the name of a module such as {names}", "correct `layer`")
        self.asked = set(asked)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, calls are recorded; the hooks are removed afterwards."""
        self.calls.clear()
        self.reached.clear()
        kinds = (*_CONVOLUTIONS, torch.nn.LayerNorm)
        handles = [
            module.register_forward_hook(self._hook(name))
            for name, module in self.model.named_modules()
            if isinstance(module, kinds) or name in self.asked
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def hook(module: torch.nn.Module, args: Any, output: Any) -> None:
            given = args[0] if args and isinstance(args[0], Tensor) else None
            if given is None or not isinstance(output, Tensor) or not output.requires_grad:
                return
            number = len(self.calls)
            self.calls.append((name, module, tuple(given.shape), tuple(output.shape)))
            output.register_hook(lambda gradient: self.reached.update({number: _spreads(gradient)}))

        return hook

    def grid(self) -> Grid:
        """The last layer in the pass with a grid, from more than one place of which the score has a gradient.

        Raises:
            ModelError: If there is none.
        """
        found: Grid | None = None
        seen: list[tuple[int, ...]] = []  # cells of the convolutions' outputs, the last first
        axes: tuple[int, ...] = ()
        for number, (name, module, given, made) in enumerate(self.calls):
            if isinstance(module, _CONVOLUTIONS):
                if not seen:
                    axes = axes_of(given[2:], self.signal)
                if axes and len(made) - 2 == len(axes):
                    seen = [made[2:], *(lengths for lengths in seen if lengths != made[2:])]
            if not seen or (self.asked and name not in self.asked):
                continue
            grid = _laid_out(module, name, made, seen, axes)
            if grid is not None and self.reached.get(number):
                found = grid
        if found is None:
            no_layer = "a model without a layer whose outputs correspond to positions of the input"
            other = f"layer {self.pattern!r}, whose outputs do not correspond to positions of the input"
            raise ModelError(
                f"{other if self.pattern else no_layer}, or of which only one affects the score",
                "a convolution, or a layer norm over the tokens of image patches",
                "name another `layer`, or take method='gradient_input'",
            )
        return found


def _laid_out(
    module: torch.nn.Module, name: str, made: Sequence[int], seen: Sequence[tuple[int, ...]], axes: tuple[int, ...]
) -> Grid | None:
    """The grid of a layer's output; None where it has none.

    Args:
        module: The layer.
        name: Its name.
        made: The shape of its output.
        seen: The cells of the convolutions before it, the last first. Tokens are laid out as the first that fits: a
            convolution of positions beside them (wav2vec2) has another number of cells if its kernel is even. Patches
            may have been merged since the last one (Swin).
        axes: The signal's axis that each axis of the cells runs along.
    """
    if len(made) == 2 + len(axes) and not isinstance(module, torch.nn.LayerNorm):
        own = tuple(made[2:])
        return Grid(module, name, own, axes) if math.prod(own) > 1 else None
    if len(made) != 3:
        return None
    for lengths in seen:
        prefix = made[1] - math.prod(lengths)
        if prefix in _PREFIX and math.prod(lengths) > 1:
            return Grid(module, name, lengths, axes, prefix)
    for step in _MERGED if len(axes) > 1 else ():
        lengths = tuple(math.ceil(length / step) for length in seen[0])
        if made[1] == math.prod(lengths) > 1:
            return Grid(module, name, lengths, axes, 0)
    return None


def axes_of(lengths: Sequence[int], signal: SignalShape) -> tuple[int, ...]:
    """The signal's axis that each axis of a layer's input runs along, by its length; empty where they do not fit.

    A spectrogram may be read with its axes exchanged, and one axis of it as channels; a picture may be padded first,
    by a tenth at most.
    """
    free, found = list(signal.ordered_axes), []
    for length in lengths:
        padding = {axis: length - signal.axes[axis].length for axis in free}
        fitting = [axis for axis in free if 0 <= padding[axis] <= signal.axes[axis].length / 10]
        if not fitting:
            return ()
        found.append(min(fitting, key=lambda axis: padding[axis]))
        free.remove(found[-1])
    return tuple(found)


def _spreads(gradient: Tensor) -> bool:
    """Whether a gradient is not zero at more than one place, whichever axis the channels are."""
    there = gradient != 0
    if there.ndim < 3:
        return False
    if there.ndim == 3:  # tokens, or channels and places: one of both axes is of places
        return bool((there.any(-1).sum(-1) > 1).any()) and bool((there.any(1).sum(-1) > 1).any())
    return bool((there.any(1).flatten(1).sum(1) > 1).any())
