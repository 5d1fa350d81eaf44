"""Reports on the Hub: pushed as a data set or a static Space, proposed to a model's card, and read back."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import DamagedFile, FourierError, HubError, InputError
from hf_fourier.report import content, folder, privacy
from hf_fourier.report.html.page import page
from hf_fourier.report.hub import cards, model_card
from hf_fourier.report.hub.card_data import facts
from hf_fourier.report.hub.errors import hub_error
from hf_fourier.report.hub.markdown import rendered
from hf_fourier.report.tables import tables, to_csv
from hf_fourier.results import formats
from hf_fourier.results.formats import VERSION

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from hf_fourier.report.content import ReportContent


README = "README.md"
#: What belongs to a report, and goes when a newer one has it no more.
_OWN = re.compile(rf"({'|'.join((folder.RESULTS, folder.SOUNDS, folder.FIGURES, folder.DATA))})/.+"
                  rf"|{re.escape(folder.VALUES)}|{re.escape(folder.PAGE)}|app\.py")  # fmt: skip
#: What a repository has before anybody put something into it.
_EMPTY = {".gitattributes", README}
#: What `Report.load` reads: values and tensors, nothing that runs.
_READ = re.compile(rf"{re.escape(folder.VALUES)}|{folder.RESULTS}/\d+/attribution\.(json|safetensors)", re.ASCII)
#: Either half of a repository's name.
_PART = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
#: Bytes of one JSON file, at most.
MOST_VALUES = 256_000_000


@dataclass(frozen=True)
class PushResult:
    """What was pushed.

    Attributes:
        url: The repository's page.
        commit: The commit that holds it.
        files: What was written, by path.
        private: Whether the repository is private.
        kind: "dataset" or "space".
    """

    url: str
    commit: str
    files: tuple[str, ...]
    private: bool
    kind: str

    def __str__(self) -> str:
        return self.url


def push(
    report: ReportContent, repo_id: str, as_space: bool | str, include_inputs: bool, private: bool, license: str | None,
    token: str | None,
) -> PushResult:  # fmt: skip
    """Write a report into a repository in one commit; see `Report.push_to_hub`."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    check_name(repo_id)
    kind = "space" if as_space else "dataset"
    api = _api(token)
    with tempfile.TemporaryDirectory(prefix="hf-fourier-") as temporary:
        where = write_files(report, Path(temporary) / "report", as_space, include_inputs, license)
        _refuse_inputs(where, api.token, include_inputs)
        files = sorted(path.relative_to(where).as_posix() for path in where.rglob("*") if path.is_file())
        with hub_error(f"push the report to {repo_id!r}"):
            there, is_private = _ready(api, repo_id, kind, private, sdk_of(as_space))
            gone = [path for path in there if _OWN.fullmatch(path) and path not in files]
            commit = api.create_commit(
                repo_id,
                [*(CommitOperationDelete(path) for path in gone), *(CommitOperationAdd(f, where / f) for f in files)],
                commit_message="Add a report of explanations by frequencies",
                repo_type=kind,
            )
    page = f"{api.endpoint}/{kind}s/{repo_id}"
    return PushResult(page, str(commit.oid), tuple(files), is_private, kind)


def write_files(
    report: ReportContent, where: Path, as_space: bool | str, include_inputs: bool, license: str | None = None
) -> Path:
    """All files of a push, in a folder.

    Args:
        report: What is pushed.
        where: The folder, which is made.
        as_space: Instead of a whole report one page for a static Space; or "gradio", the page and the tables (CSV)
            with an app that shows both.
        include_inputs: Whether the examples go with it.
        license: By the Hub's identifier, for the card.
    """
    if include_inputs:
        report = _shareable(report)
    found = facts(report)
    sdk = sdk_of(as_space)
    if sdk is not None:
        where.mkdir(parents=True, exist_ok=True)
        (where / folder.PAGE).write_text(page(report, include_inputs), encoding="utf-8")
        if sdk == "gradio":
            (where / "app.py").write_text(rendered("app.txt") + "\n", encoding="utf-8")
            to_csv(report, where / folder.DATA, include_inputs)
        card = cards.space_card(found, include_inputs, license, sdk)
    else:
        folder.save(report, where, include_inputs)
        card = cards.dataset_card(found, tables(report, include_inputs), include_inputs, license)
    (where / README).write_text(card, encoding="utf-8")
    return where


def sdk_of(as_space: bool | str) -> str | None:
    """What runs a Space, by its name at the Hub; None for a data set.

    Raises:
        InputError: If there is no such Space here.
    """
    kinds = {False: None, True: "static", "static": "static", "gradio": "gradio"}
    if as_space not in kinds:
        raise InputError(f"as_space {as_space!r}", "True, False, 'static' or 'gradio'", "correct `as_space`")
    return kinds[as_space]


def _shareable(report: ReportContent) -> ReportContent:
    """The report with its inputs, but names and groups without this machine's paths and whoever sits at it."""
    content.require_inputs(report)
    found, checked = report.evaluation, report.sanity
    if found is not None:
        found = replace(found, groups=[_named_for_others(group) for group in found.groups])
    sanity = [replace(one, groups=[_named_for_others(group) for group in one.groups]) for one in checked]
    names = [_named_for_others(name) for name in report.names]
    return content.ReportContent(report.results, found, sanity, report.title, names, report.spectrum)


def _named_for_others(name: Any) -> str:
    """A name; of a path the last part."""
    text = str(name)
    is_path = re.match(r"[/~]|[A-Za-z]:[\\/]|\\\\", text) is not None
    return privacy.scrubbed(re.split(r"[\\/]", text.rstrip("\\/"))[-1] if is_path else text)


def propose(
    report: ReportContent, model_id: str, dataset: str | None, dataset_id: str, token: str | None
) -> str | None:
    """Open a pull request on a model's card; see `Report.propose_model_card`."""
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import EntryNotFoundError

    found = facts(report)
    if not found.measured and found.spectrum is None:
        got = "a report without an evaluation or a spectrum"
        do = "pass `evaluation=explainer.evaluate(…)` or `spectrum=explainer.spectrum(…)` to Report"
        raise InputError(got, "one with what was measured", do)
    if found.on_hub and found.model != model_id:
        got = f"a report of {found.model!r} for the card of {model_id!r}"
        raise InputError(got, "the id of the explained model", f"propose it to {found.model!r}")
    check_name(model_id)
    api = _api(token)
    with hub_error(f"propose the report to {model_id!r}"):
        head = api.model_info(model_id).sha
        try:
            path = api.hf_hub_download(model_id, README, revision=head)
            before = model_card.read(Path(path))
        except EntryNotFoundError:
            before = ""
        results = cards.eval_results(found, dataset or "examples of the report's author", dataset_id)
        after = model_card.edited(before, cards.section(found, dataset), model_id.rpartition("/")[2], results)
        if after == before:
            return None
        commit = api.create_commit(
            model_id,
            [CommitOperationAdd(README, after.encode())],
            commit_message="Add explanations of the model by frequencies",
            commit_description="One marked section of the card, and results in `model-index`. Nothing else changes.",
            create_pr=True,
            parent_commit=head,
        )
    return commit.pr_url


def pull(
    repo_id: str, revision: str | None, token: str | None, most: int, cls: type[content.ContentT]
) -> content.ContentT:
    """Read a report at one commit; see `Report.from_hub`."""
    from huggingface_hub import snapshot_download

    check_name(repo_id)
    api = _api(token, needed=False)
    with hub_error(f"read the report {repo_id!r}", reading=True):
        commit = api.dataset_info(repo_id, revision=revision).sha
        tree = api.list_repo_tree(repo_id, recursive=True, revision=commit, repo_type="dataset")
        sizes = {entry.path: entry.size for entry in tree if hasattr(entry, "size") and _READ.fullmatch(entry.path)}
        _sized(repo_id, sizes, most)
        path = Path(
            snapshot_download(
                repo_id, repo_type="dataset", revision=commit, allow_patterns=sorted(sizes), token=api.token,
                endpoint=api.endpoint,
            )
        )  # fmt: skip
    try:
        _check_size(path, sizes)
        return folder.load(path, cls)
    except DamagedFile as error:
        raise HubError(f"{error.got}, in the data set {repo_id!r}", error.expected, "ask whoever pushed it") from error
    except FourierError:
        raise
    except Exception as error:  # whatever is wrong with what somebody pushed
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
        got = f"the data set {repo_id!r}, which cannot be read as a report ({reason})"
        raise HubError(got, f"one that `push_to_hub` wrote, at {commit}", "ask whoever pushed it") from error


def _api(token: str | None, needed: bool = True) -> HfApi:
    """The client.

    Raises:
        HubError: If there is no token, and one is needed.
    """
    from huggingface_hub import HfApi, get_token

    known = token or get_token()
    if needed and not known:
        do = "run `hf auth login`, set HF_TOKEN, or pass token=…; the report on this machine is unchanged"
        raise HubError("no token", "one that may write to the Hub", do)
    return HfApi(token=known or False, library_name="hf_fourier", library_version=VERSION)


def check_name(repo_id: str) -> None:
    """Whether the name can be a repository's.

    Raises:
        InputError: If it cannot.
    """
    parts = repo_id.split("/") if isinstance(repo_id, str) else []
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts) or repo_id.endswith(".git"):
        raise InputError(
            f"the repository {repo_id!r}", "user/name, of letters, digits, '-', '_' and '.'", "correct the name"
        )


def _ready(api: HfApi, repo_id: str, kind: str, private: bool, sdk: str | None) -> tuple[list[str], bool]:
    """The repository, made where it is not there: its files, and whether it is private.

    Raises:
        HubError: If it holds something else, or is public and a private one is wanted.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.repo_info(repo_id, repo_type=kind)
    except RepositoryNotFoundError:
        api.create_repo(repo_id, repo_type=kind, private=private, space_sdk=sdk)
        return [], private
    there = [sibling.rfilename for sibling in getattr(info, "siblings", None) or ()]
    if private and not info.private:
        do = "pass private=False (--public) if everybody may read the report, or choose another name"
        raise HubError(f"the public repository {repo_id!r}", "a private one, or a new name", do)
    if set(there) - _EMPTY and not _is_report(api, repo_id, kind, there):
        got = f"the {kind} {repo_id!r}, which holds {', '.join(sorted(there)[:3])}"
        raise HubError(got, "a new name, or an earlier report", "choose another name; nothing was changed there")
    return there, bool(info.private)


def _is_report(api: HfApi, repo_id: str, kind: str, there: Sequence[str]) -> bool:
    """Whether the card says that this library made it."""
    from huggingface_hub import RepoCard

    if README not in there:
        return False
    path = api.hf_hub_download(repo_id, README, repo_type=kind)
    try:
        tags = RepoCard(Path(path).read_text(encoding="utf-8"), ignore_metadata_errors=True).data.get("tags", [])
    except Exception:  # whatever cannot be read was not written by this library
        return False
    return isinstance(tags, list) and cards.TAGS[0] in tags


def _refuse_inputs(where: Path, token: str | bool | None, include_inputs: bool) -> None:
    """A last look at all that would be pushed: never the token, and without inputs no path of this machine.

    Raises:
        InputError: If a file holds one.
    """
    secrets = {"the token": token} if isinstance(token, str) and token else {}
    if not include_inputs:
        secrets |= {"the path of the home folder": str(Path.home()), "the path of the working folder": str(Path.cwd())}
    for path in (path for path in where.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for what, secret in secrets.items():
            if len(secret) > 5 and (secret.encode() in data or secret.encode() in str(path.name).encode()):
                got = f"{path.relative_to(where).as_posix()} with {what} in it"
                raise InputError(got, "files without", "take it out of the title, names and notes of the report")


def _sized(repo_id: str, sizes: dict[str, int], most: int) -> None:
    """Refuse what is no report, or is larger than wanted, before anything of it is fetched.

    Raises:
        HubError: If so.
    """
    if folder.VALUES not in sizes:
        raise HubError(f"the data set {repo_id!r}", f"one with {folder.VALUES}", "pass a report's name, or a revision")
    total = sum(sizes.values())
    if total > most:
        got = f"{total / 1e6:.0f} MB in {repo_id!r}"
        raise HubError(got, f"at most {most / 1e6:.0f} MB", "pass max_bytes=… if you trust whoever pushed it")
    large = [path for path, size in sizes.items() if path.endswith(".json") and size > MOST_VALUES]
    if large:
        raise HubError(f"{large[0]} of {sizes[large[0]] / 1e6:.0f} MB", "less than 256 MB", "ask whoever pushed it")


def _check_size(path: Path, sizes: dict[str, int]) -> None:
    """Check that sizes are those the Hub stated, and that no result claims more features than its file has numbers.

    Raises:
        HubError: If not.
    """
    import json
    import math

    for name, size in sizes.items():
        came = (path / name).stat().st_size
        if came != size:
            raise HubError(f"{came} bytes of {name}", f"the {size} that the Hub stated", "fetch it again")
    for values in sorted((path / folder.RESULTS).glob("*/attribution.json")):
        metadata: Any = formats.attribution(json.loads(values.read_text(encoding="utf-8")))
        try:
            entries = math.prod(int(axis["length"]) for axis in metadata["signal"]["axes"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise HubError(f"{values.parent.name} without a shape", "a result", "ask whoever pushed it") from error
        room = values.with_suffix(".safetensors").stat().st_size
        if entries > room:
            got = f"a result of {entries} entries in a file of {room} bytes"
            raise HubError(got, "a file that holds them", "ask whoever pushed it")
