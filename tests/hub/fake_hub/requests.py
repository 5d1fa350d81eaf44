"""Python processes that talk to a Hub on this machine: `huggingface_hub` reads its environment when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: What makes the client offline, or what a user's own account would bring in.
_LEFT_OUT = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def environment(address: str, home: Path, token: str | None) -> dict[str, str]:
    """Of a process whose Hub is at `address`, with caches of its own below `home`, and a token or none."""
    kept = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT}
    kept |= {
        "HF_ENDPOINT": address, "HF_HOME": str(home / "hf"), "HF_FOURIER_CACHE": str(home / "own"),
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1,localhost", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return kept if token is None else {**kept, "HF_TOKEN": token}


def python(
    code: str, *arguments: str, address: str, home: Path, token: str | None = "hf_good", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own; what it is given is in `sys.argv[1:]`."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(address, home, token), cwd=cwd, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
