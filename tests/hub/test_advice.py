"""What errors of the Hub advise, followed on a Hub of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hf_fourier import Report
from tests.hub import reports
from tests.hub.fake_hub.repositories import Blob, Repo
from tests.hub.fake_hub.worker import Failed
from tests.hub.test_propose import propose
from tests.hub.test_pull import pull
from tests.hub.test_push import push

pytestmark = pytest.mark.usefixtures("one_figure")

WHOLE = "; the report on this machine is unchanged"
OFFLINE = """
import huggingface_hub.constants as constants
constants.HF_HUB_OFFLINE = offline
result = offline
"""
HEADERS = """
from huggingface_hub.utils import build_hf_headers
from hf_fourier.report.hub.errors import hub_error
with hub_error("push", reading=True):
    build_hf_headers(token=True)
"""


def _public(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved, "ada/open", private=False)
    if do is None:
        push(ask, saved, "ada/open")
    push(ask, saved, "ada/open", private=False)
    push(ask, saved, "ada/another")


def _taken(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    mine = hub.add(Repo("dataset", "ada/speech", private=True))
    mine.commit("main", {"README.md": Blob(b"# Speech\n"), "data.parquet": Blob(b"work")}, "data")
    push(ask, saved, "ada/speech" if do is None else "ada/another")


def _no_report(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    hub.add(Repo("dataset", "ada/speech"))
    push(ask, saved)
    pull(ask, tmp_path / "again", "ada/speech" if do is None else "ada/report")


def _large(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved, include_inputs=True)
    pull(ask, tmp_path / "again", max_bytes=1000 if do is None else 10**9)


def _measured(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    hub.add(Repo("model", reports.MODEL))
    bare = tmp_path / "bare" if do is not None else Report(reports.pictures()).save(tmp_path / "bare")
    propose(ask, bare if do is None else saved)


def _model(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    hub.add(Repo("model", reports.MODEL))
    propose(ask, saved, "bob/other" if do is None else reports.MODEL)


def _no_token(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved, token=None if do is None else "hf_good")


def _not_logged_in(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    ask(HEADERS, None if do is None else "hf_good")


def _unknown(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved, token="hf_bad" if do is None else "hf_good")


def _read_only(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved, token="hf_read" if do is None else "hf_good")


def _missing(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved)
    pull(ask, tmp_path / "again", "ada/nothing" if do is None else "ada/report")


def _private(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    push(ask, saved)
    pull(ask, tmp_path / "again", token=None if do is None else "hf_read")


def _offline(do: str | None, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    ask(OFFLINE, offline=do is None)
    try:
        push(ask, saved)
    finally:
        ask(OFFLINE, offline=False)


#: Advice: what fails without it, and works with it.
FOLLOWED: dict[str, Callable[..., None]] = {
    "pass private=False (--public) if everybody may read the report, or choose another name": _public,
    "choose another name; nothing was changed there": _taken,
    "pass a report's name, or a revision": _no_report,
    "pass max_bytes=… if you trust whoever pushed it": _large,
    "pass `evaluation=explainer.evaluate(…)` or `spectrum=explainer.spectrum(…)` to Report": _measured,
    f"propose it to {reports.MODEL!r}": _model,
    f"run `hf auth login`, set HF_TOKEN, or pass token=…{WHOLE}": _no_token,
    "run `hf auth login` or set HF_TOKEN": _not_logged_in,
    f"run `hf auth login` again, or correct HF_TOKEN{WHOLE}": _unknown,
    f"use a token with write access to this namespace (`hf auth whoami` tells whose yours is){WHOLE}": _read_only,
    "correct the name; if it is private, use a token that may read it (`hf auth login`)": _missing,
    f"unset it and try again{WHOLE}": _offline,
}


@pytest.mark.parametrize("do", FOLLOWED)
def test_it_leads_to_a_working_call(do: str, ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    with pytest.raises(Failed) as caught:
        FOLLOWED[do](None, ask, hub, saved, tmp_path)
    assert caught.value.said.endswith(do), caught.value.said
    hub.repos.clear()
    FOLLOWED[do](do, ask, hub, saved, tmp_path)


def test_a_private_report_is_read_with_a_token(ask: Any, hub: Any, saved: Any, tmp_path: Any) -> None:
    with pytest.raises(Failed, match=r"use a token that may read it \(`hf auth login`\)"):
        _private(None, ask, hub, saved, tmp_path)
    _private("with it", ask, hub, saved, tmp_path)
