"""What holds for every method of another library."""

from __future__ import annotations

import torch

from hf_fourier import attribute
from hf_fourier.methods import METHODS


def belongs_to_each_example(net: torch.nn.Module, x: torch.Tensor, method: str) -> None:
    """The network is as it was, examples are explained alike alone and together, and passes are those promised."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    together = attribute(net, x, method=method)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    for one, row in zip(together, x, strict=True):
        (alone,) = attribute(net, row[None], method=method, batch_size=1)
        torch.testing.assert_close(one.scores, alone.scores, rtol=1e-4, atol=1e-6)
        passes = one.provenance["passes"]
        assert (passes["forward"], passes["backward"]) == METHODS.parse(method).passes
