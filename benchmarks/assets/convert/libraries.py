"""Libraries that tests read from a folder, since an environment with them would change what `transformers` imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from hf_fourier.demo.convert.files import readme

#: Compiled parts are built for another torch than the one that is tested, and are not needed: `x.so`, `x.so.2`.
_COMPILED = re.compile(r"\.(so|pyd|dylib)(\.|$)")


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Unpack the Python code of each wheel.

    Args:
        inputs: The wheels, by the names of their packages.
        folder: Where they go; it is put on the path of a process of its own.
    """
    for wheel in inputs.values():
        with ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if not _COMPILED.search(name)])
    readme(folder, "Libraries for tests", f"Unpacked without their compiled parts: {', '.join(sorted(inputs))}.")
