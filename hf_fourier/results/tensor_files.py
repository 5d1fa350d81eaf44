"""Files of tensors in the format of safetensors: laid out without copies, read with the digest of each tensor."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from hf_fourier.errors import StorageError
from hf_fourier.results.atomic_writes import ByteChunks
from hf_fourier.results.integrity import damaged, digest, fits, name_of, sealed, tensor_digest, tensor_fits, unsealed
from hf_fourier.typing import Tensor

#: The names of types in safetensors, in the order in which it lays them out.
TYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_RANKS = {dtype: rank for rank, dtype in enumerate(TYPES)}
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def laid_out(tensors: Mapping[str, Tensor]) -> ByteChunks:
    """The bytes of `safetensors.torch.save(tensors)`, without a copy of them.

    The library's `save` copies all data twice and holds the interpreter, so that a model beside it waits; its
    `save_file` does not, but writes to a neighbour of a name of its own, which a run that is killed would leave.

    Args:
        tensors: Contiguous, on the CPU; they stay as they are until the pieces are written.
    """
    if sys.byteorder != "little" or not all(tensor.dtype in TYPES for tensor in tensors.values()):
        from safetensors.torch import save

        return [save(dict(tensors))]
    names = _ordered(tensors)
    head, start = {}, 0
    for name in names:
        tensor = tensors[name]
        stop = start + tensor.numel() * tensor.element_size()
        head[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    text = _JSON.encode(head).encode()
    text += b" " * (-len(text) % 8)
    data = [tensors[name].reshape(-1).view(torch.uint8).numpy().data for name in names]
    return [len(text).to_bytes(8, "little"), text, *data]


def _ordered(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names in the order in which data lie in a file."""
    return sorted(tensors, key=lambda name: (_RANKS[tensors[name].dtype], name.encode()))


#: The name under which the digest of a file's header stands among those of its tensors.
HEADER = ""
#: The name of the tensor with the digests of a file that holds them itself.
SEAL = "digests"
#: Bytes of a header, at most, as safetensors has it.
MOST_HEADER = 10**8


def digests_of(tensors: Mapping[str, Tensor], pieces: ByteChunks) -> dict[str, str]:
    """The digests of a file: of each tensor, and under `HEADER` that of names, types, shapes and places.

    Args:
        tensors: As they were laid out.
        pieces: What `laid_out` made of them.
    """
    header = {HEADER: digest(header_of(pieces))}
    if len(pieces) == 1:  # laid out by the library
        return header | {name: tensor_digest(tensor) for name, tensor in tensors.items()}
    return header | {name: digest(data) for name, data in zip(_ordered(tensors), pieces[2:], strict=True)}


def header_of(pieces: ByteChunks) -> bytes:
    """The header of a file with its length in front, the first of the pieces of `laid_out`."""
    if len(pieces) == 1:  # laid out by the library
        return bytes(pieces[0][: 8 + int.from_bytes(pieces[0][:8], "little")])
    return bytes(pieces[0]) + bytes(pieces[1])


def read_header(path: Path, hint: str = "") -> bytes:
    """The header of a file with its length in front.

    Raises:
        DamagedFile: If the file is cut off in it.
        StorageError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            header = start + file.read(length) if length <= MOST_HEADER else b""
    except OSError as error:
        got = f"{name_of(path)}, which cannot be read ({error.strerror or error})"
        raise StorageError(got, "a file that can be read", "check its permissions and the disk") from error
    if not start:
        raise damaged(path, "it is empty", hint)
    if len(start) < 8 or len(header) < 8 + length:
        raise damaged(path, "it is cut off in its header, or not a file of tensors", hint)
    return header


def laid_out_sealed(tensors: Mapping[str, Tensor]) -> ByteChunks:
    """A file of tensors as `laid_out` makes it, with their digests as a further tensor."""
    digests = {name: tensor_digest(tensor) for name, tensor in tensors.items()}
    return laid_out_stating(tensors, SEAL, lambda header: sealed({HEADER: header, **digests}))


def laid_out_stating(tensors: Mapping[str, Tensor], name: str, state: Callable[[str], bytes]) -> ByteChunks:
    """A file of tensors with one more that states the digest of the file's header.

    Args:
        tensors: The other tensors, as for `laid_out`.
        name: The name of the further one.
        state: Makes its bytes of the digest, always equally many, so that they do not change the header.
    """
    stating = bytes_tensor(state("0" * 32))
    pieces = laid_out({**tensors, name: stating})
    stating.copy_(bytes_tensor(state(digest(header_of(pieces)))))
    return pieces if len(pieces) > 1 else laid_out({**tensors, name: stating})  # pieces share the tensors' memory


def read_sealed(path: Path, hint: str = "") -> dict[str, Tensor]:
    """All tensors of a file that `laid_out_sealed` laid out, or of one of an earlier version, which has no digests.

    Raises:
        DamagedFile: If they are not as they were written.
        StorageError: If it cannot be read.
    """
    tensors = read_tensors(path, None, hint)
    if SEAL not in tensors:
        return tensors
    digests = unsealed(bytes(tensors.pop(SEAL).numpy()), path, hint)
    fitting = fits(read_header(path, hint), digests.get(HEADER)) and digests.keys() == {HEADER, *tensors}
    if not fitting or not all(tensor_fits(tensor, digests[name]) for name, tensor in tensors.items()):
        raise damaged(path, "a digest differs", hint)
    return tensors


def bytes_tensor(data: bytes) -> Tensor:
    """Bytes as a tensor."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)


def read_tensors(path: Path, digests: Mapping[str, str] | None, hint: str = "") -> dict[str, Tensor]:
    """All tensors of a file, checked before they are believed.

    Args:
        path: The file.
        digests: What `digests_of` found when it was written; None for a file that has none.
        hint: What can be done; for errors.

    Raises:
        DamagedFile: If the file is cut off or is no file of tensors, or a digest differs: the error names the tensors.
        StorageError: If it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header = read_header(path, hint)
    if digests is not None and not fits(header, digests.get(HEADER)):
        raise damaged(path, "its header is not the one that was written, or it is the file of another result", hint)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise damaged(path, f"it is cut off, or not a file of tensors ({error})", hint) from error
    if digests is None:
        return tensors
    other = [name for name, tensor in tensors.items() if not tensor_fits(tensor, digests.get(name))]
    if other:
        whole = [name for name in tensors if name not in other]
        rest = f"; {', '.join(map(repr, whole))} can still be read with safetensors" if whole else ""
        raise damaged(path, f"the digest of {', '.join(map(repr, other))} differs", (hint or "make it again") + rest)
    return tensors
