"""Digests of a model's weights: of all their entries, on any device, or of some as earlier versions took them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from hf_fourier.torch_state import bytes_of
from hf_fourier.typing import Tensor

#: Entries of each parameter that the digests of earlier versions covered.
SEEN = 64
#: Bytes that are hashed at a time, so that a large tensor on another device is not copied as a whole.
PIECE = 2**26


def weights_digest(model: torch.nn.Module) -> str:
    """A digest of all entries of all parameters and buffers, on any device.

    Tensors are hashed by as many threads as torch uses; hashing runs outside the interpreter's lock.
    """
    tensors = sorted(_tensors_of(model), key=lambda pair: pair[0])
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        digests = pool.map(lambda pair: _tensor_digest(*pair), tensors)
        return "sha256:" + hashlib.sha256(b"".join(digests)).hexdigest()[:32]


def _tensors_of(model: torch.nn.Module) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """All parameters and buffers by name, those that Accelerate keeps elsewhere read when they are needed."""
    for prefix, module in model.named_modules():
        own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for name, tensor in own:
            full = f"{prefix}.{name}" if prefix else name
            stored = _offloaded(module, name) if tensor.device.type == "meta" else None
            yield full, (lambda tensor=tensor: tensor) if stored is None else stored  # type: ignore[misc]


def _offloaded(module: torch.nn.Module, name: str) -> Callable[[], Tensor] | None:
    """Reads a tensor that is on the device "meta" while Accelerate holds its entries in memory or on disk."""
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        known = getattr(one, "weights_map", None)
        if known is not None and name in known:
            return lambda: torch.as_tensor(known[name])
    return None


def _tensor_digest(name: str, read: Callable[[], Tensor]) -> bytes:
    tensor = read().detach()
    result = hashlib.sha256(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
    if tensor.device.type != "meta":
        flat = tensor.reshape(-1) if tensor.layout == torch.strided else tensor.to_dense().reshape(-1)
        step = max(1, PIECE // flat.element_size())
        for first in range(0, len(flat), step):
            result.update(bytes_of(flat[first : first + step].cpu()).numpy().data)
    return result.digest()


def sampled_weights(model: torch.nn.Module) -> str:
    """The digest of some entries of every parameter and buffer, which the manifests of earlier versions hold."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        if tensor.device.type != "meta":
            digest.update(repr(tensor.detach().reshape(-1)[:SEEN].cpu().tolist()).encode())
    return digest.hexdigest()
