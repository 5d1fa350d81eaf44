"""Numbers that are kept as they are made, so that a long run goes on where it was stopped."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hf_fourier
from hf_fourier.methods import METHODS

_PACKAGE = Path(hf_fourier.__file__).parent


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds, made first where it does not exist."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make(), indent=1))
        print(path, file=sys.stderr, flush=True)
    return json.loads(path.read_text())


def method_file(method: str) -> str:
    """A file name for a method's numbers, without its ending; it changes with the code of a method of one's own.

    That code is the files that define the method's class and its bases, outside hf_fourier. What those import, and
    hf_fourier itself, are not seen.

    Args:
        method: The method's spec.

    Raises:
        FourierError: If there is no such method.
    """
    name = "".join(letter if letter.isalnum() or letter in ".=" else "_" for letter in method)
    members = [
        inspect.unwrap(member)
        for cls in type(METHODS.parse(method)).__mro__
        for member in vars(cls).values()
        if inspect.isfunction(member)
    ]
    files = {Path(member.__code__.co_filename) for member in members}
    own = sorted(file for file in files if file.is_file() and _PACKAGE not in file.resolve().parents)
    if not own:
        return name
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in own))
    return f"{name}-{digest.hexdigest()[:12]}"
