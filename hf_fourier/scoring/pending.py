"""Copies the results of a batch from an accelerator to the CPU, all of them at once.

Reading one number makes the host wait until all queued operations are done. So the scores, labels and checks of a batch
are collected on the device and copied once. On the CPU everything is read immediately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import torch

from hf_fourier.errors import NotFinite
from hf_fourier.results.remarks import NOT_FINITE_HINT
from hf_fourier.torch_state import bytes_of
from hf_fourier.typing import Tensor


def fetch(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The same tensors on the CPU, by one copy from each device; those that are there already as they are.

    What comes back are views of one block, on CUDA of pinned memory: keep copies of them.

    Args:
        tensors: Of any shapes and types; None stays None.
    """
    return sent(tensors)()


def sent(tensors: Sequence[Tensor | None]) -> Callable[[], list[Tensor | None]]:
    """Begin the copies of `fetch`; the function that is returned waits for them, and for nothing that is queued later.

    Args:
        tensors: As for `fetch`.
    """
    away: dict[torch.device, list[int]] = {}
    for place, tensor in enumerate(tensors):
        if tensor is not None and tensor.device.type != "cpu":
            away.setdefault(tensor.device, []).append(place)
    blocks = []
    for device, places in away.items():
        places.sort(key=lambda place: -_wanted(tensors, place).element_size())  # so that each begins at its own size
        raw = [bytes_of(_wanted(tensors, place)) for place in places]
        block = raw[0] if len(raw) == 1 else torch.cat(raw)
        blocks.append((places, [len(one) for one in raw], _on_the_way(block, device)))

    def arrive() -> list[Tensor | None]:
        arrived: list[Tensor | None] = list(tensors)
        for places, lengths, block_here in blocks:
            for place, part in zip(places, block_here().split(lengths), strict=True):
                given = _wanted(tensors, place)
                arrived[place] = part.view(given.dtype).view(given.shape)
        return arrived

    return arrive


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; to CUDA by way of pinned memory, so that the host does not wait for the copy."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Distrusted(Exception):
    """What was computed on an accelerator took something for granted that is not so: compute it again, with waits."""


class Pending:
    """Tensors on a device that are needed on the CPU, and the functions to call with them after the copy.

    Attributes:
        trusting: Whether answers may rest on what is checked at the next `fetch`, which then raises `Distrusted`.
        clean: Whether the pass that goes on is at clean signals.
        here: Whether readings may be made on the CPU, as nothing is computed from them on the device.
    """

    def __init__(self) -> None:
        self.trusting = self.clean = self.here = False
        self._waiting: list[tuple[Callable[..., Any], tuple[Tensor, ...]]] = []
        #: Tensors that were fetched beside others, with their copies, by the tensor's id.
        self._arrived: dict[int, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def readings_here(self) -> Iterator[None]:
        """Inside, readings may be made on the CPU."""
        self.here = True
        try:
            yield
        finally:
            self.here = False

    def later(self, then: Callable[..., Any], *tensors: Tensor) -> None:
        """Call `then(*tensors)` with the tensors on the CPU: now if they are there, else at the next `fetch`."""
        if all(tensor.device.type == "cpu" for tensor in tensors):
            then(*tensors)
        else:
            self._waiting.append((then, tensors))

    def trust(self, held: Tensor) -> None:
        """Take for granted that all entries are true: the next `fetch` raises `Distrusted` if they are not."""
        self.later(_distrust, held.all())

    def check_finite(self, values: Tensor, rows: Sequence[int]) -> None:
        """Raise `NotFinite` with the rows whose numbers are not all finite: now on the CPU, else at `fetch`.

        Args:
            values: One row each, of real or whole numbers.
            rows: The examples that the rows belong to.
        """
        if values.is_floating_point():
            self.later(partial(_refuse, rows), values.isfinite().reshape(len(values), -1).all(1))

    def fetch(self, tensors: Sequence[Tensor | None] = ()) -> list[Tensor | None]:
        """Fetch all that was put off and `tensors`, which are returned (see `fetch`), by one copy from each device."""
        return self.sent(tensors)()

    def fetch_with(self, tensor: Tensor, others: Sequence[Tensor | None]) -> Tensor:
        """Fetch a tensor that the host needs at once, with all that was put off, and others that it will need later.

        Copies of the others are kept: a later `sent` or `fetch` of the same tensors makes no copy and does not wait.
        """
        here, *copies = self.fetch([tensor, *others])
        for given, copy in zip(others, copies, strict=True):
            if given is not None and copy is not None and copy is not given:
                self._arrived[id(given)] = given, copy.clone()
        assert here is not None
        return here

    def sent(self, tensors: Sequence[Tensor | None] = ()) -> Callable[[], list[Tensor | None]]:
        """Begin the copies of `fetch`; the function that is returned waits for them."""
        waiting, self._waiting = self._waiting, []
        tensors = [self._arrived.get(id(tensor), (tensor, tensor))[1] for tensor in tensors]
        coming = sent([*(tensor for _, own in waiting for tensor in own), *tensors])

        def arrive() -> list[Tensor | None]:
            arrived, start = coming(), 0
            for then, own in waiting:
                then(*arrived[start : start + len(own)])
                start += len(own)
            return arrived[start:]

        return arrive


def _wanted(tensors: Sequence[Tensor | None], place: int) -> Tensor:
    tensor = tensors[place]
    assert tensor is not None
    return tensor


def _on_the_way(block: Tensor, device: torch.device) -> Callable[[], Tensor]:
    """Begin to copy a block of bytes to the CPU; the function that is returned waits for it.

    On CUDA to pinned memory by a stream of its own, beside what is computed next. Torch keeps pinned blocks and uses
    them again, so that batches take turns with two of them.
    """
    if device.type != "cuda":
        return block.cpu
    here, copying = torch.empty(len(block), dtype=torch.uint8, pin_memory=True), _copy_stream(device)
    copying.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(copying):
        here.copy_(block, non_blocking=True)
        done = copying.record_event()

    def arrived(source: Tensor = block) -> Tensor:  # which has to stay until then
        done.synchronize()
        return here

    return arrived


@lru_cache(maxsize=64)
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _distrust(held: Tensor) -> None:
    if not bool(held):
        raise Distrusted


def _refuse(rows: Sequence[int], finite: Tensor) -> None:
    """Raise `NotFinite` unless all rows are finite."""
    flags = finite.tolist()
    if all(flags):
        return
    which = [row for row, is_finite in zip(rows, flags, strict=True) if not is_finite]
    raise NotFinite(
        dict.fromkeys(which, "outputs that are not finite for the clean example"),
        "finite logits",
        "check the input and the model's dtype (half precision overflows on some models; use bfloat16); where a "
        f"logarithm or a division meets zeros, {NOT_FINITE_HINT}",
    )
