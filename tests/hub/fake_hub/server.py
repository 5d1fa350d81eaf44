"""A Hub on this machine: answers `huggingface_hub` on loopback as the protocol has it, and keeps what is pushed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.fake_hub.repositories import Hub, Repo, User
from tests.hub.fake_hub.responses import ROUTES, Answer, Refused, Request


@contextmanager
def serving(folders: dict[str, Path] | None = None, users: dict[str, User] | None = None) -> Iterator[Hub]:
    """Inside, a Hub answers; the folders are public models, by name.

    Args:
        folders: Models to begin with.
        users: By token; by default "hf_good" of ada, who may write, and "hf_read" of ada's, which may not.
    """
    hub = Hub(users={"hf_good": User("ada"), "hf_read": User("ada", False)} if users is None else users)
    for name, folder in (folders or {}).items():
        hub.add(Repo.of("model", name, folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        fault = self.hub.failing(self.hub.asked[-1])
        if fault is not None and not fault.status:
            self.close_connection = True
            return
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if fault is not None:
                raise Refused(fault.status, message="made to fail")
            status, body, headers = self._route(path, sent)
        except Refused as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            said = {"error": error.message} if error.body is None else error.body
            status, body = error.status, json.dumps(said).encode()
            headers = {name: value for name, value in headers.items() if value}
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _route(self, path: str, sent: bytes) -> Answer:
        for methods, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in methods:
                query = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
                return answer(Request(self.hub, self._user(), sent, query), **found.groupdict())
        raise Refused(404, message=f"no such path: {path}")

    def _user(self) -> User | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            return None
        self.hub.tokens.add(given)
        if given not in self.hub.users:
            raise Refused(401, message="Invalid credentials in Authorization header")
        return self.hub.users[given]
