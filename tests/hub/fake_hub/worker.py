"""A process that runs pieces of code one after the other, with the real client talking to a Hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hub.fake_hub.requests import environment

#: Reads a piece of code and its values per line, answers what it left in `result`, or the error.
LOOP = """
import json, os, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
time.sleep = lambda seconds: None  # the client waits between tries
for line in sys.stdin:
    asked = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    if asked["token"] is not None:
        os.environ["HF_TOKEN"] = asked["token"]
    names = dict(asked["values"])
    try:
        exec(asked["code"], names)
        told = {"result": names.get("result")}
    except Exception as error:
        told = {"error": type(error).__name__, "said": str(error), "mro": [c.__name__ for c in type(error).__mro__]}
    print(json.dumps(told, default=str), file=answers, flush=True)
"""


class Failed(Exception):
    """What went wrong in the other process.

    Args:
        told: Its class, its words and its bases.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['error']}: {told['said']}")
        self.kind, self.said, self.kinds = told["error"], told["said"], told["mro"]


class Worker:
    """The process.

    Args:
        address: Of the Hub.
        home: Where its caches lie.
    """

    def __init__(self, address: str, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._log = (home / "log.txt").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-c", LOOP], env=environment(address, home, None), cwd=home, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip

    def __call__(self, code: str, token: str | None = "hf_good", **values: Any) -> Any:
        """What the code leaves in `result`; `values` are its names (paths as text).

        Raises:
            Failed: If it raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        plain = {name: os.fspath(value) if isinstance(value, Path) else value for name, value in values.items()}
        self._process.stdin.write(json.dumps({"code": code, "token": token, "values": plain}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.log()
        told = json.loads(line)
        if "error" in told:
            raise Failed(told)
        return told["result"]

    def log(self) -> str:
        """What it wrote on standard error."""
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()
