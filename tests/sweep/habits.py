"""What models do beside answering: edit their input, answer in odd forms, or not be a function of their input."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from transformers.modeling_outputs import ImageClassifierOutput

#: Hidden units: of few, dropout could leave the same ones twice.
WIDTH = 48
Edit = Callable[[torch.Tensor], torch.Tensor]


class Named(NamedTuple):
    """Outputs by name and place, the logits second."""

    loss: Any
    logits: torch.Tensor


class LogitsFirst(NamedTuple):
    """Outputs by place, the logits first."""

    scores: torch.Tensor
    hidden: torch.Tensor


@dataclass
class Made:
    """Outputs as an object."""

    logits: torch.Tensor
    hidden: torch.Tensor


#: What a model does with its input first; each gives what the reference reads of a copy.
EDITS: dict[str, Edit] = {
    "nothing": lambda x: x,
    "ReLU in place": lambda x: torch.relu_(x),
    "clamp_": lambda x: x.clamp_(-0.5, 0.5),
    "mul_": lambda x: x.mul_(2),
    "a view in place": lambda x: x.flatten(1).sub_(0.1).view_as(x),
    "one entry set": lambda x: _set(x),
    "a new tensor": lambda x: x * 1,
    "detour": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
}


def _set(x: torch.Tensor) -> torch.Tensor:
    x[:, 0] = 0
    return x


#: How logits, `(rows, classes)`, come out; True where they have to be found.
OUTPUTS: dict[str, tuple[Callable[[torch.Tensor], Any], bool]] = {
    "tensor": (lambda z: z, True),
    "dict": (lambda z: {"logits": z}, True),
    "dict with a loss": (lambda z: {"loss": z.sum(), "logits": z}, True),
    "ordered dict": (lambda z: OrderedDict(loss=None, logits=z), True),
    "mapping": (lambda z: MappingProxyType({"logits": z}), True),
    "ModelOutput": (lambda z: ImageClassifierOutput(loss=z.sum(), logits=z), True),
    "tuple": (lambda z: (z, z.sum()), True),
    "tuple with a loss": (lambda z: (z.sum(), z), False),
    "tuple with None": (lambda z: (None, z), False),
    "list": (lambda z: [z], False),
    "named tuple": (lambda z: Named(z.sum(), z), True),
    "named tuple, other names": (lambda z: LogitsFirst(z, z * 2), False),
    "dataclass": (lambda z: Made(z, z * 2), True),
    "namespace": (lambda z: SimpleNamespace(logits=z), True),
    "half": (lambda z: z.bfloat16(), False),
    "float64": (lambda z: z.double(), True),
    "(rows, 1, classes)": (lambda z: z[:, None], False),
    "(rows, classes, 1, 1)": (lambda z: z[..., None, None], False),
    "not contiguous": (lambda z: z.T.contiguous().T, True),
    "expanded": (lambda z: torch.stack([z, z], -1)[..., 0], True),
    "another name": (lambda z: {"scores": z}, False),
    "two tensors": (lambda z: {"a": z, "b": z * 2}, False),
    "without a gradient": (lambda z: z.detach(), False),
    "of one row": (lambda z: z[:1], False),
    "text": (lambda z: "cat", False),
    "nothing": (lambda z: None, False),
}


class Habit(torch.nn.Module):
    """A small smooth net with habits.

    Args:
        sizes: Of one example, without a batch.
        edit: What it does with its input first, among `EDITS`.
        output: How its logits come out, among `OUTPUTS`.
        unsteady: What else moves its answer, among `UNSTEADY`.
    """

    def __init__(self, sizes: tuple[int, ...], edit: str, output: str, unsteady: str = "nothing") -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        n = torch.Size(sizes).numel()
        self.into = torch.nn.Parameter(torch.randn(n, WIDTH, generator=draw, dtype=torch.float32) / n**0.5)
        self.out = torch.nn.Parameter(
            torch.randn(WIDTH, 3, generator=draw, dtype=torch.float32) * 2 * (8 / WIDTH) ** 0.5
        )
        self.norm = torch.nn.BatchNorm1d(WIDTH, track_running_stats=unsteady != "batch statistics")
        self.edit, self.output, self.unsteady, self.calls = edit, output, unsteady, 0

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """The answer as a function of the input, which is not changed."""
        hidden = torch.tanh(EDITS[self.edit](x.clone()).flatten(1) @ self.into.to(x.dtype))
        if self.unsteady == "the batch's mean":  # which alone is its own
            hidden = hidden * 0.5
        return hidden @ self.out.to(x.dtype)

    def forward(self, x: torch.Tensor) -> Any:
        """The answer with all habits."""
        self.calls += 1
        hidden = torch.tanh(EDITS[self.edit](x).flatten(1) @ self.into)
        return OUTPUTS[self.output][0](UNSTEADY[self.unsteady](self, hidden) @ self.out)


#: What makes an answer no function of one example.
UNSTEADY: Mapping[str, Callable[[Habit, torch.Tensor], torch.Tensor]] = {
    "nothing": lambda net, h: h,
    "dropout": lambda net, h: torch.nn.functional.dropout(h, 0.5, training=True),
    "noise": lambda net, h: h + 0.5 * torch.randn_like(h),
    "batch statistics": lambda net, h: net.norm(h) if len(h) > 1 else h,
    "the batch's mean": lambda net, h: h - 0.5 * h.mean(0, keepdim=True),
    "how often it was called": lambda net, h: h * (1 + 0.2 * net.calls),
}


#: How outputs of `transformers` come out of a model that wraps them; True where what the head reads has to be found.
WRAPPED: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "nothing": (lambda out: out, True),
    "dict": (lambda out: dict(out.items()), True),
    "mapping": (lambda out: MappingProxyType(dict(out.items())), False),
    "namespace": (lambda out: SimpleNamespace(**dict(out.items())), True),
    "tuple": (lambda out: out.to_tuple(), False),
    "tuple with None": (lambda out: (None, *out.to_tuple()), False),
    "tuple with a loss": (lambda out: (out.to_tuple()[0].sum(), *out.to_tuple()), False),
    "list": (lambda out: list(out.to_tuple()), False),
}


@contextmanager
def inhabited(model: torch.nn.Module, main: str, edit: str, output: str, copied: bool) -> Iterator[None]:
    """Inside, a model of `transformers` edits its main input first (or a copy of it), and its outputs are wrapped."""
    own = model.forward

    @wraps(own)
    def forward(*args: Any, **kwargs: Any) -> Any:
        if edit != "nothing" and main in kwargs and kwargs[main].is_floating_point():
            kwargs[main] = EDITS[edit](kwargs[main].clone() if copied else kwargs[main])
        return WRAPPED[output][0](own(*args, **kwargs))

    model.forward = forward
    try:
        yield
    finally:
        del model.forward
