"""Translates errors of the Hub and of the network into `HubError`s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hf_fourier.errors import FourierError, HubError

_WHOLE = "the report on this machine is unchanged"
#: Packages whose errors mean that no answer came.
_TRANSPORT = ("httpx", "httpx2", "httpcore", "requests", "urllib3", "hf_xet")


@contextmanager
def hub_error(what: str, reading: bool = False) -> Iterator[None]:
    """Turn errors of the Hub and of the network into a `HubError`.

    Args:
        what: The request ("push the report to …").
        reading: Whether nothing would have been written.
    """
    try:
        yield
    except FourierError:
        raise
    except Exception as error:
        whole = "" if reading else f"; {_WHOLE}"
        for one in _causes(error):
            found = _translated(one, what, whole)
            if found is not None:
                raise found from error
        if isinstance(error, (OSError, RuntimeError)):  # what an uploader that is no Python package raises
            got = f"{type(error).__name__} ({_line(error)}) when asked to {what}"
            raise HubError(got, "the Hub to accept it", f"try again{whole}") from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, as a failed upload came of a lost connection."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _translated(error: BaseException, what: str, whole: str) -> HubError | None:
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, OfflineModeIsEnabled):
        return HubError(f"HF_HUB_OFFLINE=1 when asked to {what}", "to be online", f"unset it and try again{whole}")
    if isinstance(error, LocalTokenNotFoundError):
        return HubError("no token", "one with this permission", f"run `hf auth login` or set HF_TOKEN{whole}")
    if isinstance(error, HfHubHTTPError):
        missing = isinstance(error, RepositoryNotFoundError)
        return _answered(error, what, whole, missing, isinstance(error, RevisionNotFoundError))
    root = type(error).__module__.partition(".")[0]
    if root in _TRANSPORT or isinstance(error, (ConnectionError, TimeoutError)):
        got = f"no answer from the Hub ({type(error).__name__}) when asked to {what}"
        begun = f"; a push is one commit, so that nothing is half pushed{whole}" if whole else ""
        return HubError(got, "a connection to it", f"check the network and try again{begun}")
    if isinstance(error, ValueError) and "metadata" in str(error):
        return HubError(f"a card that the Hub refuses ({_line(error)})", "valid metadata", f"report it{whole}")
    return None


def _answered(error: BaseException, what: str, whole: str, missing: bool, no_revision: bool) -> HubError:
    """By the status of the Hub's answer."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if no_revision:
        return HubError(f"no such revision when asked to {what}", "a branch, a tag or a commit", f"correct it{whole}")
    if missing:
        do = f"correct the name; if it is private, use a token that may read it (`hf auth login`){whole}"
        return HubError(f"no such repository when asked to {what}", "one that this token can see", do)
    if status == 401:
        do = f"run `hf auth login` again, or correct HF_TOKEN{whole}"
        return HubError(f"a token that the Hub does not know when asked to {what}", "a valid one", do)
    if status == 403:
        do = f"use a token with write access to this namespace (`hf auth whoami` tells whose yours is){whole}"
        return HubError(f"a token that may not {what}", "one that may", do)
    if status in (409, 412):
        got = f"a repository that somebody else changed meanwhile ({status}) when asked to {what}"
        return HubError(got, "the one that was read", f"try again{whole}")
    return HubError(f"{_line(error)} when asked to {what}", "the Hub to accept it", f"try again later{whole}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
