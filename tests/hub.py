"""A Hub on this machine: serves folders as repositories, with the answers that `huggingface_hub` reads."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: The commit that every branch and tag stands for.
COMMIT = "c0ffee" + 34 * "0"


@contextmanager
def serving(repos: dict[str, Path], revisions: tuple[str, ...] = ("main", COMMIT)) -> Iterator[tuple[str, list[str]]]:
    """Inside, the folders are repositories.

    Yields:
        The address for `HF_ENDPOINT`, and the list of what was asked for.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *args: object) -> None:
            pass

        def _answer(self, body: bool) -> None:
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            asked.append(f"{self.command} /{'/'.join(parts)}")
            if parts[:2] == ["api", "models"]:
                return self._api("/".join(parts[2:4]), parts[4:])
            name, way, revision, path = "/".join(parts[:2]), parts[2:3], parts[3:4], "/".join(parts[4:])
            if name not in repos or way != ["resolve"]:
                return self._missing("RepoNotFound")
            if revision[0] not in revisions:
                return self._missing("RevisionNotFound")
            file = repos[name] / path
            if not file.is_file():
                return self._missing("EntryNotFound")
            data = file.read_bytes()
            self._send(200, data if body else b"", len(data), {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

        def _api(self, name: str, rest: list[str]) -> None:
            if name not in repos:
                return self._missing("RepoNotFound")
            files = sorted(str(f.relative_to(repos[name])) for f in repos[name].rglob("*") if f.is_file())
            if rest[:1] == ["tree"]:
                told: object = [{"type": "file", "path": f, "size": 0, "oid": COMMIT} for f in files]
            else:
                told = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": f} for f in files], "tags": []}
            data = json.dumps(told).encode()
            self._send(200, data, len(data), {"Content-Type": "application/json"})

        def _missing(self, code: str) -> None:
            self._send(404, b"", 0, {"X-Error-Code": code})

        def _send(self, status: int, data: bytes, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(length)}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
