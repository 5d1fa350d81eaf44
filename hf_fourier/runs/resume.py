"""What a run looks at before it goes on: its settings, its finished shards, and the examples that these are of.

Damaged shards are set aside and made again. Other settings or other examples are refused, since results of both would
be mixed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.models.inputs.sources import Source, SourceItem
from hf_fourier.runs.chunking import Chunks
from hf_fourier.runs.fingerprint import example_digest
from hf_fourier.runs.packing import UNKNOWN
from hf_fourier.runs.shards import Shard

#: The suffix of a shard that was damaged, which the run makes again.
ASIDE = ".damaged"
#: Seconds that one process reads examples again, at most.
SECONDS = 60.0
_START = "pass what it was started with, or choose another folder"
#: Settings that are digests, in words, with what they are digests of.
_DIGESTS = {
    "weights": ("other weights", "all of the model's parameters and buffers"),
    "labels": ("other labels", "`id2label` in the model's config"),
    "donors": ("other donors", "the examples in `explainer.donors`"),
    "processor": ("another tokenizer, processor or `preprocess`", "its vocabulary, rules and settings, or its code"),
    "data": ("other examples", "their number, and some of them"),
}


def check_settings(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Check that a folder's run has the settings of this call.

    Args:
        before: Those that it was started with, of which all are compared; "auto" fits any store.
        now: Those of this call.
        folder: The run's folder.

    Raises:
        InputError: If one differs, with its name; or if an earlier version began the run, whose digests are others.
    """
    if "labels" in before and before.get("digests") != now.get("digests"):
        wrote = "which an earlier version wrote, with other checksums of labels, processor and examples"
        do = "continue it with that version, or choose another folder"
        raise InputError(f"the run in {folder.name!r}, {wrote}", "a run of this version", do)
    for name, value in {"dither": 0.0, "reading": {}, "replacement": "zero", **before}.items():
        if now.get(name) == value or (name == "store" and now["store"] == "auto"):
            continue
        if name in _DIGESTS:
            what, where = _DIGESTS[name]
            got = f"a run with {what} ({name}: {where}) than the run in {folder.name!r} was started with"
            raise InputError(got, "the same, so that no results are mixed", _START)
        got = f"a run with {name} {now.get(name)!r} into {folder.name!r}, which holds one with {value!r}"
        raise InputError(got, "the settings that it was started with", "choose another folder")


def set_damaged_aside(
    chunks: Chunks, numbers: Sequence[int], run: str
) -> tuple[dict[int, str], dict[int, DamagedFile]]:
    """Read finished shards, check them, and rename those that are damaged, so that they are made again.

    Args:
        chunks: The run's chunks.
        numbers: Those that are finished, and are this process' to check.
        run: The identity of the run.

    Returns:
        The digest of each example whose result is there, by index, where it is known; and the damage by chunk.
    """
    examples: dict[int, str] = {}
    damage: dict[int, DamagedFile] = {}
    for number in numbers:
        path = chunks.path(number)
        try:
            examples |= checked_shard(chunks, number, run)
        except DamagedFile as error:
            damage[number] = error
            path.replace(path.with_name(path.name + ASIDE))
    return examples, damage


def checked_shard(chunks: Chunks, number: int, run: str) -> dict[int, str]:
    """Read a finished shard and check all of it.

    Args:
        chunks: The run's chunks.
        number: The chunk.
        run: The identity of the run.

    Returns:
        The digest of each of its examples by index, where it is known.

    Raises:
        DamagedFile: If it is not as it was written, or not the shard of this chunk.
    """
    shard = Shard(chunks.path(number), run)
    expected = chunks.indices(number)
    if chunks.manifest.examples is None:  # the last chunk of a stream is shorter
        expected = expected[: max(1, len(shard))]
    shard.verify(expected)
    digests = zip(expected, shard.examples, strict=True)
    return {index: digest for index, digest in digests if digest != UNKNOWN}


def check_examples(source: Source, known: Mapping[int, str], folder: Path, seconds: float = SECONDS) -> int:
    """Read examples again whose results are there, and check that they are the same ones.

    Examples are read from all over the data set, in an order of large steps (a stream from its start), until all are
    read or the time is up.

    Args:
        source: The examples of this call.
        known: The digests of those whose results are there, by index.
        folder: The run's folder, for errors.
        seconds: How long.

    Returns:
        How many were read.

    Raises:
        InputError: If some are others.
    """
    end, read, other = time.monotonic() + seconds, 0, []
    for item in _items(source, known):
        digest = example_digest(item)
        if digest not in (known.get(item.index, digest), UNKNOWN):
            other.append(item.index)
        read += 1
        if time.monotonic() > end:
            break
    if not other:
        return read
    places = ", ".join(map(str, sorted(other)[:4])) + (", …" if len(other) > 4 else "")
    got = f"other data than the run in {folder.name!r} explained: {len(other)} of {read} examples differ ({places})"
    raise InputError(got, "the same examples in the same order, so that no results are mixed", _START)


def _items(source: Source, known: Mapping[int, str]) -> Iterator[SourceItem]:
    """The examples of these indices, each process' in large steps through all of them."""
    if not known:
        return
    if source.length is None:
        yield from islice(source.stream(0), max(known) + 1)
        return
    golden = (5**0.5 - 1) / 2
    indices = sorted(known)
    for place in sorted(range(len(indices)), key=lambda place: place * golden % 1):
        yield from source.read([indices[place]])
