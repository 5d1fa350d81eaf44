"""What the library raises. Every message says what was got, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class FourierError(Exception):
    """Base of all errors that `hf_fourier` raises on purpose.

    Args:
        got: What arrived.
        expected: What would have been accepted.
        hint: What the reader can do about it.
    """

    def __init__(self, got: str, expected: str, hint: str) -> None:
        super().__init__(f"got {got}; expected {expected}; {hint}")
        self.got, self.expected, self.hint = got, expected, hint


class InputError(FourierError, ValueError):
    """An example, a tensor or an argument that cannot be explained."""


class TargetError(FourierError, ValueError):
    """A target that the model's head does not have."""


class SpecError(FourierError, ValueError):
    """A name or a parameter of a method or a domain that is not registered."""


class ModelError(FourierError, ValueError):
    """A checkpoint or a model that cannot be loaded or explained."""


class NotFinite(ModelError):
    """Numbers that a model makes NaN or infinite of some examples.

    Args:
        found: What was got, by example: its row in a batch, or its place among all.
        expected: As for all errors.
        hint: Likewise.
    """

    def __init__(self, found: Mapping[int, str], expected: str, hint: str) -> None:
        first, *others = sorted(found)
        likewise = f" (likewise {', '.join(map(str, others))})" if others else ""
        super().__init__(found[first] + likewise, expected, hint)
        self.found = dict(found)


class StorageError(FourierError, OSError):
    """Something on disk that cannot be written, or that another run writes."""


class DamagedFile(StorageError):
    """A stored file that is not as it was written: cut off, changed, or that of another result.

    Args:
        got: The file, and what is wrong with it.
        expected: As for all errors.
        hint: Likewise, with what can still be read.
        path: The file.
    """

    def __init__(self, got: str, expected: str, hint: str, path: Path) -> None:
        super().__init__(got, expected, hint)
        self.path = path


class HubError(FourierError, RuntimeError):
    """Something that the Hub did not take or give. What lies on this machine is as it was."""


class MissingExtraError(FourierError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"no package {package!r}", f"it installed, for {purpose}", f"run `pip install 'hf_fourier[{extra}]'`"
        )
