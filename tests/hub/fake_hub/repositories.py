"""What a Hub keeps (users with tokens; repositories as commits of files, with branches and requests); what fails."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TYPES = ("model", "dataset", "space")
_CLOCK = itertools.count()


@dataclass(frozen=True)
class User:
    """Who a token belongs to.

    Attributes:
        name: The account, which is its own namespace.
        may_write: Whether the token may change anything.
    """

    name: str
    may_write: bool = True


@dataclass(frozen=True)
class Blob:
    """One version of a file.

    Attributes:
        data: Its bytes.
        large: Whether it was uploaded by LFS.
    """

    data: bytes
    large: bool = False

    @property
    def oid(self) -> str:
        """Git's id of the content."""
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def sha256(self) -> str:
        """The id by LFS."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Commit:
    """A state of all files.

    Attributes:
        oid: Its id.
        title: Its first line.
        description: What follows it.
        files: By path.
        parent: The id of the state before, or None.
    """

    oid: str
    title: str
    description: str
    files: Mapping[str, Blob]
    parent: str | None


@dataclass
class Repo:
    """One repository.

    Attributes:
        kind: "model", "dataset" or "space".
        name: "user/name".
        private: Whether only its owner can see it.
        sdk: What a Space runs on.
        commits: By id.
        refs: Commit ids by branch ("main", "refs/pr/1") and tag.
        requests: Titles of pull requests, the first is number 1.
    """

    kind: str
    name: str
    private: bool = False
    sdk: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.commits:
            self.commit("main", {}, "initial commit")

    @classmethod
    def of(cls, kind: str, name: str, folder: Path, private: bool = False) -> Repo:
        """A repository with the files of a folder."""
        files = {f.relative_to(folder).as_posix(): Blob(f.read_bytes()) for f in folder.rglob("*") if f.is_file()}
        repo = cls(kind, name, private)
        repo.commit("main", files, "first files")
        return repo

    @property
    def head(self) -> str:
        """The commit that "main" stands for."""
        return self.refs["main"]

    def at(self, revision: str = "main") -> Commit | None:
        """The commit of a branch, a tag or an id."""
        return self.commits.get(self.refs.get(revision, revision))

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """The content of all files."""
        commit = self.at(revision)
        assert commit is not None, revision
        return {path: blob.data for path, blob in commit.files.items()}

    def text(self, path: str, revision: str = "main") -> str:
        """One file as text."""
        return self.files(revision)[path].decode()

    def commit(self, branch: str, files: Mapping[str, Blob], title: str, description: str = "") -> Commit:
        """A new state at the end of a branch."""
        parent = self.refs.get(branch)
        when = next(_CLOCK)  # as in git, the same change at another time is another commit
        told = [parent, title, description, when, {path: blob.oid for path, blob in sorted(files.items())}]
        oid = hashlib.sha1(json.dumps([self.name, self.kind, told]).encode()).hexdigest()
        self.commits[oid] = Commit(oid, title, description, dict(files), parent)
        self.refs[branch] = oid
        return self.commits[oid]

    def request(self, files: Mapping[str, Blob], title: str, description: str, base: str) -> tuple[int, Commit]:
        """Open a pull request with a new state, and tell its number."""
        self.requests.append(title)
        branch = f"refs/pr/{len(self.requests)}"
        self.refs[branch] = base
        return len(self.requests), self.commit(branch, files, title, description)


@dataclass
class Store:
    """All that a Hub keeps.

    Attributes:
        users: By token.
        repos: By (kind, name).
        objects: What was uploaded by LFS, by SHA-256.
    """

    users: dict[str, User] = field(default_factory=dict)
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def add(self, repo: Repo) -> Repo:
        """Keep a repository."""
        self.repos[repo.kind, repo.name] = repo
        return repo


@dataclass
class Fault:
    """What goes wrong: requests that match are dropped without an answer, or answered with a status.

    Attributes:
        pattern: Of "METHOD /path".
        status: The answer; 0 closes the connection.
        left: How often; below 0 for ever.
    """

    pattern: str
    status: int = 0
    left: int = -1


@dataclass
class Hub(Store):
    """A running Hub.

    Attributes:
        address: For `HF_ENDPOINT`.
        asked: "METHOD /path" of all requests, in order.
        faults: What goes wrong.
        tokens: All tokens that arrived.
    """

    address: str = ""
    asked: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def repo(self, name: str, kind: str = "model") -> Repo:
        """A repository by its name."""
        return self.repos[kind, name]

    def failing(self, line: str) -> Fault | None:
        """What goes wrong with a request."""
        for fault in self.faults:
            if fault.left and re.search(fault.pattern, line):
                fault.left -= 1
                return fault
        return None
