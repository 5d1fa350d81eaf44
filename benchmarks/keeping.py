"""Numbers that are kept as they are made, so that a long run goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds, made first where it does not exist."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make(), indent=1))
        print(path, file=sys.stderr, flush=True)
    return json.loads(path.read_text())
