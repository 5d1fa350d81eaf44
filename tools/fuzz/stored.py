"""Damaged and hostile copies of what the library itself stores: results, reports, runs, recordings, spectra.

An accident changes bytes, cuts files off, exchanges or empties them: a copy that is read as if it were whole after
that is believed, which counts by itself. Whoever writes hostile files can write their digests too: those copies need
not be noticed, but must end as everything else, with a result or one message.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tools.fuzz import calls, models
from tools.fuzz.guard import Believed
from tools.fuzz.mutations import changed_json, damaged, json_bytes

#: Files that hold nothing of the result.
_ASIDE = (".lock", "log-0.jsonl")


def cases(rng: random.Random, folder: Path) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Room, what was done, and the call, without end.

    Args:
        rng: Draws files and their damage.
        folder: Where the whole ones lie, and copies are written; each case has a name of its own.
    """
    number = 0
    while True:
        for room, reader in ROOMS.items():
            number += 1
            whole = _saved(room, folder)
            files = sorted(path for path in whole.rglob("*") if path.is_file() and path.name not in _ASIDE)
            place = rng.choice(files)
            name = place.relative_to(whole)
            kind, change = _accident(rng, files, place) if rng.randrange(2) else _hostile(rng, place)
            yield room, f"{kind} of {name}", _call(whole, folder / f"copy-{number}", name, change, reader, kind)


def warm(folder: Path) -> None:
    """Store one of each kind, and read it."""
    for room, reader in ROOMS.items():
        reader(_saved(room, folder))


#: What changes a file of a copy; it returns whether any byte of it is another afterwards.
Change = Callable[[Path], bool]


def _call(
    whole: Path, copy: Path, name: Path, change: Change, reader: Callable[[Path], bool], kind: str
) -> Callable[[], Any]:
    def call() -> None:
        shutil.copytree(whole, copy)
        try:
            changed = change(copy / name)
            noticed = reader(copy)
            if kind.startswith("accident") and changed and not noticed:
                raise Believed(f"{kind} of {name}")
        finally:
            for made in (copy, copy.with_name(f"{copy.name}-again")):
                shutil.rmtree(made, ignore_errors=True)

    return call


def _accident(rng: random.Random, files: list[Path], place: Path) -> tuple[str, Change]:
    """Changes as disks and copies make them: bytes, ends, zeros, another file of the folder in a file's place."""
    data = place.read_bytes()
    others = [path for path in files if path.suffix == place.suffix and path.read_bytes() != data]
    match rng.randrange(5):
        case 0 if others:
            other = rng.choice(others).read_bytes()
        case 1:
            other = data[: rng.randrange(len(data))]
        case 2:
            other = bytes(len(data))
        case 3:
            bit = rng.randrange(8 * len(data))
            other = data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
        case _:
            other = damaged(data, rng)
    return "accident", lambda path: (path.write_bytes(other) > 0 and other != data) or not other


def _hostile(rng: random.Random, place: Path) -> tuple[str, Change]:
    """Changes by somebody who knows the format: other values with their digest or without any, other tensors."""
    match rng.randrange(6):
        case 0:
            return "a folder in the place", _replaced_by_folder
        case 1:
            return "a link in the place", _replaced_by_link
    if place.suffix == ".json":
        values = json.loads(place.read_bytes())
        plain = {name: value for name, value in values.items() if not name.startswith("digest_")}
        plain = {name: value for name, value in plain.items() if name != "digest"}
        if rng.randrange(3) == 0:
            bare = json_bytes(plain, rng)
            return "values without a digest", lambda path: path.write_bytes(bare) > 0
        return "values with their digest", _writer(_resealed(plain, rng))
    if place.suffix == ".safetensors":
        return "other tensors", _writer(_other_tensors(place, rng))
    data = damaged(place.read_bytes(), rng)
    return "bytes", lambda path: path.write_bytes(data) > 0


def _writer(data: bytes) -> Change:
    return lambda path: path.write_bytes(data) > 0


def _replaced_by_folder(path: Path) -> bool:
    path.unlink()
    path.mkdir()
    return True


def _replaced_by_link(path: Path) -> bool:
    path.unlink()
    os.symlink("/dev/zero", path)
    return True


def _resealed(values: dict[str, Any], rng: random.Random) -> bytes:
    """Changed values with the digest of the changed ones; as they are where they cannot be written."""
    from hf_fourier.results.integrity import sealed

    other = changed_json(values, rng)
    return sealed(other if isinstance(other, dict) else values)


def _other_tensors(place: Path, rng: random.Random) -> bytes:
    """A file of tensors with one of another shape, type or content, and no digests."""
    import torch
    from safetensors.torch import load, save

    tensors = {name: tensor.clone() for name, tensor in load(place.read_bytes()).items()}
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    if tensor.dtype == torch.uint8 and rng.randrange(2):  # texts within shards
        text = damaged(bytes(tensor.numpy().tobytes()), rng)
        tensors[name] = torch.frombuffer(bytearray(text or b"{"), dtype=torch.uint8).clone()
    else:
        tensors[name] = rng.choice((
            tensor.reshape(-1)[:0], tensor.reshape(-1)[1:], tensor.reshape(1, -1), torch.full((3,), 2**40),
            tensor.to(torch.float64) * float("nan"), torch.full_like(tensor, 1), tensor.to(torch.int64) - 9,
            torch.zeros(()),
        )).contiguous()  # fmt: skip
    if rng.randrange(3) == 0:
        del tensors[name]
    if rng.randrange(2) and "head" in tensors:  # a shard of an earlier version, which has no digests
        tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("digests")}
        head = b'{"format": 3, "store": "everything", "split": false, "rows": 2}'
        tensors["head"] = torch.frombuffer(bytearray(head), dtype=torch.uint8).clone()
    tensors.pop("digests", None)
    return save(tensors)


@cache
def _saved(room: str, folder: Path) -> Path:
    """A whole one of a kind."""
    from hf_fourier import Report

    place = folder / f"whole-{room.replace(' ', '-')}"
    result = calls.result("text", folder)
    match room:
        case "stored results":
            result.save(place)
        case "stored reports":
            Report([result, result]).save(place, include_inputs=True, figures=False)
        case "stored runs":
            explainer = models.explainer("text", folder)
            data = ["a good b", "bad", "a b c good", "good bad a", "c"]
            explainer.explain_dataset(data, place, method="magnitude", store="everything", chunk=2, progress=False)
        case "stored recordings":
            sound = models.example("sound")
            models.explainer("sound", folder).explain_recording(
                sound, seconds=0.1, method="magnitude", output_dir=place, fractions=(0.1,)
            )
        case _:
            examples = [models.example("sound")] * 2
            spectrum = models.explainer("sound", folder).spectrum(examples)
            spectrum.save(place / "spectrum.safetensors")
    return place


def _read_result(folder: Path) -> bool:
    from hf_fourier import Attribution

    found = Attribution.load(folder)
    str(found), found.top_features(3), found.magnitude_overlap(), found.keep_top(0.1), found.input_relevance()
    found.save(folder.with_name(f"{folder.name}-again"))
    return False


def _read_report(folder: Path) -> bool:
    from hf_fourier import Report

    report = Report.load(folder)
    report.tables(), report.html()
    return False


def _read_run(folder: Path) -> bool:
    from hf_fourier.runs import Results

    results = Results(folder)
    repr(results), len(results), results.finished
    noticed = len(results.damage()["file"]) > 0 or not results.finished
    if not noticed:
        list(results), list(results.rows(3)), results.failures(), results.split()
    return noticed


def _read_recording(folder: Path) -> bool:
    from hf_fourier.runs.recording import Recording

    recording = Recording.load(folder)
    repr(recording), recording.decisions(), recording.points(), recording.spectrum()
    for one in recording:
        str(one)
    return False


def _read_spectrum(folder: Path) -> bool:
    from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum

    spectrum = ModelSpectrum.load(folder / "spectrum.safetensors")
    str(spectrum), spectrum.to_markdown(), spectrum.table()
    return False


#: What reads all of a copy, and returns whether it said without an error that something is damaged.
ROOMS: dict[str, Callable[[Path], bool]] = {
    "stored results": _read_result,
    "stored reports": _read_report,
    "stored runs": _read_run,
    "stored recordings": _read_recording,
    "stored spectra": _read_spectrum,
}
