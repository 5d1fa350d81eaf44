"""What a Hub answers to each request of the protocol, as `huggingface_hub` reads it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tests.hub.fake_hub.repositories import TYPES, Blob, Commit, Hub, Repo, User
from tests.hub.metadata import judged

#: Files of at least so many bytes, or with these endings, go by LFS.
LARGE = 100_000
LARGE_ENDINGS = (".parquet", ".safetensors", ".bin", ".png", ".wav")
#: Status, body, headers.
Answer = tuple[int, bytes, dict[str, str]]


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: Of the answer.
        code: The Hub's own error code, or "".
        message: In words.
        body: JSON, where the client reads it.
    """

    def __init__(self, status: int, code: str = "", message: str = "", body: Any = None) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message, self.body = status, code, message, body


@dataclass(frozen=True)
class Request:
    """What arrived, and who asks."""

    hub: Hub
    user: User | None
    sent: bytes
    query: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.sent or b"{}")

    def owner(self) -> User:
        if self.user is None:
            raise Refused(401, message="Invalid username or password.")
        return self.user

    def readable(self, kind: str, name: str) -> Repo:
        repo = self.hub.repos.get((kind, name))
        hidden = repo is not None and repo.private and (self.user is None or self.user.name != name.split("/")[0])
        if repo is None or hidden:
            raise Refused(404 if self.user else 401, "RepoNotFound", "Repository not found")
        return repo

    def writable(self, kind: str, name: str) -> Repo:
        user, repo = self.owner(), self.readable(kind, name)
        if not user.may_write or (user.name != name.split("/")[0] and self.query.get("create_pr") != "1"):
            raise Refused(403, message="You don't have the required permissions to write to this repository")
        return repo


def _told(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers}


def _at(repo: Repo, revision: str) -> Commit:
    commit = repo.at(revision)
    if commit is None:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return commit


def whoami(request: Request) -> Answer:
    role = "write" if request.owner().may_write else "read"
    told = {"type": "user", "name": request.owner().name, "auth": {"accessToken": {"role": role}}, "orgs": []}
    return _told(told)


def create(request: Request) -> Answer:
    user, asked = request.owner(), request.json
    kind, space = asked.get("type", "model"), asked.get("organization") or user.name
    name = f"{space}/{asked['name']}"
    if not user.may_write or space != user.name:
        raise Refused(403, message=f'You don\'t have the rights to create a {kind} under the namespace "{space}"')
    url = _page(request.hub, kind, name)
    if (kind, name) in request.hub.repos:
        raise Refused(409, body={"error": f"You already created this {kind} repo", "url": url})
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    request.hub.add(Repo(kind, name, private, asked.get("sdk")))
    return _told({"url": url, "name": name, "id": name})


def info(request: Request, kind: str, name: str, revision: str | None = None) -> Answer:
    repo = request.readable(kind, name)
    commit = _at(repo, revision or "main")
    files = [{"rfilename": path} for path in sorted(commit.files)]
    told = {"id": name, "sha": commit.oid, "private": repo.private, "siblings": files, "tags": [], "downloads": 0}
    return _told({**told, "sdk": repo.sdk} if kind == "space" else told)


def tree(request: Request, kind: str, name: str, revision: str, path: str | None = None) -> Answer:
    commit = _at(request.readable(kind, name), revision)
    below = f"{path}/" if path else ""
    return _told([_entry(file, commit.files[file]) for file in sorted(commit.files) if file.startswith(below)])


def paths_info(request: Request, kind: str, name: str, revision: str) -> Answer:
    commit = _at(request.readable(kind, name), revision)
    asked = parse_qs(request.sent.decode()).get("paths") or request.json.get("paths", [])
    return _told([_entry(path, commit.files[path]) for path in asked if path in commit.files])


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.oid}
    return {**told, "lfs": {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 134}} if blob.large else told


def preupload(request: Request, kind: str, name: str, revision: str) -> Answer:
    commit = _at(request.writable(kind, name), revision)
    files = []
    for file in request.json["files"]:
        path, known = file["path"], commit.files.get(file["path"])
        large = file["size"] >= LARGE or path.endswith(LARGE_ENDINGS)
        oid = None if known is None else known.sha256 if known.large else known.oid
        mode = "lfs" if large else "regular"
        files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **({"oid": oid} if oid else {})})
    return _told({"files": files})


def lfs_batch(request: Request, name: str, prefix: str = "") -> Answer:
    request.owner()
    objects = []
    for one in request.json["objects"]:
        told = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] not in request.hub.objects:
            put = {"href": f"{request.hub.address}/lfs/{one['oid']}", "header": {}}
            told["actions"] = {"upload": put, "verify": {"href": f"{request.hub.address}/verify/{one['oid']}"}}
        objects.append(told)
    return _told({"transfer": "basic", "objects": objects})


def lfs_put(request: Request, oid: str) -> Answer:
    if Blob(request.sent).sha256 != oid:
        raise Refused(400, message="the content has another SHA-256")
    request.hub.objects[oid] = request.sent
    return 200, b"", {"ETag": f'"{oid}"'}


def lfs_verify(request: Request, oid: str) -> Answer:
    if len(request.hub.objects.get(oid, b"")) != request.json["size"]:
        raise Refused(404, message="not uploaded")
    return _told({})


def commit(request: Request, kind: str, name: str, revision: str) -> Answer:
    repo = request.writable(kind, name)
    lines = [json.loads(line) for line in request.sent.splitlines() if line]
    header = next(line["value"] for line in lines if line["key"] == "header")
    base = _at(repo, revision)
    if header.get("parentCommit", base.oid) != base.oid:
        raise Refused(412, message="The branch has moved on")
    files = dict(base.files)
    for line in lines:
        _apply(files, line["key"], line["value"], request.hub)
    if errors := judged(files["README.md"].data.decode(), kind)[0] if "README.md" in files else []:
        raise Refused(400, message=f"Invalid metadata: {errors}")
    told = (header["summary"], header.get("description", ""))
    page = _page(request.hub, kind, name)
    if request.query.get("create_pr") == "1":
        number, made = repo.request(files, *told, base.oid)
        more = {"pullRequestUrl": f"{page}/discussions/{number}"}
    else:
        made, more = repo.commit(revision, files, *told), {}
    return _told({"success": True, "commitOid": made.oid, "commitUrl": f"{page}/commit/{made.oid}", **more})


def _apply(files: dict[str, Blob], key: str, value: dict[str, Any], hub: Hub) -> None:
    if key == "file":
        files[value["path"]] = Blob(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        if value["oid"] not in hub.objects:
            raise Refused(400, message=f"LFS pointer pointed to a file that does not exist: {value['path']}")
        files[value["path"]] = Blob(hub.objects[value["oid"]], large=True)
    elif key == "deletedFile":
        if files.pop(value["path"], None) is None:
            raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
    elif key == "deletedFolder":
        for path in [path for path in files if path.startswith(value["path"].rstrip("/") + "/")]:
            del files[path]


def resolve(request: Request, name: str, revision: str, path: str, prefix: str = "") -> Answer:
    found = _at(request.readable(_kind(prefix), name), revision)
    if path not in found.files:
        raise Refused(404, "EntryNotFound", "Entry not found")
    blob = found.files[path]
    headers = {"X-Repo-Commit": found.oid, "ETag": f'"{blob.sha256 if blob.large else blob.oid}"'}
    if not blob.large:
        return 200, blob.data, headers
    request.hub.objects.setdefault(blob.sha256, blob.data)
    linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.data))}
    elsewhere = request.hub.address.replace("127.0.0.1", "localhost")  # large files lie on another host
    return 302, b"", {**headers, **linked, "Location": f"{elsewhere}/cdn/{blob.sha256}"}


def cdn(request: Request, oid: str) -> Answer:
    return 200, request.hub.objects[oid], {}


def tag(request: Request, kind: str, name: str, revision: str) -> Answer:
    repo, named = request.writable(kind, name), request.json["tag"]
    if named in repo.refs:
        raise Refused(409, message="Tag reference exists already")
    repo.refs[named] = _at(repo, revision).oid
    return _told({})


def refs(request: Request, kind: str, name: str) -> Answer:
    repo = request.readable(kind, name)
    told = [{"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": oid} for ref, oid in repo.refs.items()]
    return _told({"branches": told, "tags": [], "converts": []})


def discussions(request: Request, kind: str, name: str) -> Answer:
    repo = request.readable(kind, name)
    common = {"author": {"name": "ada"}, "createdAt": "2026-01-01T00:00:00.000Z", "isPullRequest": True}
    told = [
        {**common, "num": number, "title": title, "status": "open", "repo": {"name": name, "type": kind}}
        for number, title in enumerate(repo.requests, 1)
    ]
    return _told({"discussions": told, "count": len(told), "start": 0})


def validate_yaml(request: Request) -> Answer:
    errors, warnings = judged(request.json["content"], request.json.get("repoType") or "model")
    told = {"errors": [{"message": m} for m in errors], "warnings": [{"message": m} for m in warnings]}
    return _told(told, 400 if errors else 200)


def _kind(prefix: str) -> str:
    return prefix.strip("/").removesuffix("s") or "model"


def _page(hub: Hub, kind: str, name: str) -> str:
    return f"{hub.address}/{'' if kind == 'model' else f'{kind}s/'}{name}"


_NAME, _PREFIX = r"(?P<name>[^/]+/[^/]+?)", r"(?P<prefix>(?:datasets/|spaces/)?)"
_API = rf"/api/(?P<kind>{'|'.join(TYPES)})s/{_NAME}"
_REV = r"(?P<revision>refs/pr/\d+|[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/api/whoami-v2", whoami),
    ("POST", "/api/repos/create", create),
    ("POST", "/api/validate-yaml", validate_yaml),
    ("GET", _API, info),
    ("GET", rf"{_API}/revision/{_REV}", info),
    ("GET", rf"{_API}/tree/{_REV}(?:/(?P<path>.+))?", tree),
    ("POST", rf"{_API}/paths-info/{_REV}", paths_info),
    ("POST", rf"{_API}/preupload/{_REV}", preupload),
    ("POST", rf"{_API}/commit/{_REV}", commit),
    ("POST", rf"{_API}/tag/{_REV}", tag),
    ("GET", rf"{_API}/refs", refs),
    ("GET", rf"{_API}/discussions", discussions),
    ("POST", rf"/{_PREFIX}{_NAME}\.git/info/lfs/objects/batch", lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", lfs_put),
    ("POST", r"/verify/(?P<oid>[0-9a-f]{64})", lfs_verify),
    ("HEAD GET", r"/cdn/(?P<oid>[0-9a-f]{64})", cdn),
    ("HEAD GET", rf"/{_PREFIX}{_NAME}/resolve/{_REV}/(?P<path>.+)", resolve),
]
