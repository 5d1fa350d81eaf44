"""Sounds out of Debian's packages, with labels from their names and a fixed split."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import wave
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from .files import readme

Clip = dict[str, str]
"""`name`, `file` (where it lies, later below the asset's folder), `label`, `group` and `split`."""

_FAMILIES = {
    "ambi": "ambient", "drum": "drum", "bd": "drum", "sn": "drum", "elec": "electronic", "glitch": "electronic",
    "loop": "loop", "tabla": "tabla",
}  # fmt: skip
"""Family of an instrument by the first part of a file's name; the rest are too few, or of many kinds."""
_LANGUAGES = {
    "english": ("asterisk-core-sounds-en-wav", "usr/share/asterisk/sounds/en_US_f_Allison"),
    "french": ("asterisk-core-sounds-fr-wav", "usr/share/asterisk/sounds/fr_CA_f_June"),
}
_SECONDS = 8.0
"""Longest prompt that is kept; nearly all are shorter."""
_NOT_SPEECH = re.compile(r"beep|.*2tone|silence/|tt-monkeys$|confbridge-(join|leave)$")


def instruments(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the sounds of the five families."""
    clips = []
    for path in sorted((inputs["sonic-pi-samples"] / "usr/share/sonic-pi/samples").glob("*.flac")):
        family = path.stem.split("_")[0]
        if family in _FAMILIES:
            clips.append(
                {"name": path.stem, "file": str(path), "label": _FAMILIES[family], "group": instrument_group(path.stem)}
            )
    split_by_label(clips)
    write(clips, folder)
    readme(
        folder,
        "Sounds of instruments",
        "From Sonic Pi, as shipped: FLAC, 44.1 kHz, mono or stereo, 0.02 to 11 seconds. The label comes from the "
        "file's name. Variants of one sound (hard and soft, numbered) are in the same split.",
        *_counts(clips),
    )


def instrument_group(name: str) -> str:
    """What the variants of one sound share: `tabla_ghe1` and `tabla_ghe2`, all snares of `elec`."""
    family, *words = name.split("_")
    return f"{family}_{re.sub(r'[0-9]+$', '', words[-1] if family == 'elec' else words[0])}"


def prompts(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the spoken prompts of both languages that are no longer than `_SECONDS`."""
    clips = []
    for language, (package, inside) in _LANGUAGES.items():
        root = inputs[package] / inside
        for path in sorted(root.rglob("*.wav")):
            name = path.relative_to(root).with_suffix("").as_posix()
            if not _NOT_SPEECH.match(name) and seconds(path) <= _SECONDS:
                unique = f"{language}/{name}"
                clips.append({"name": unique, "file": str(path), "label": language, "group": prompt_group(name)})
    for clip in clips:
        clip["split"] = "test" if _number(clip["group"]) % 4 == 0 else "train"
    write(clips, folder)
    readme(
        folder,
        "Telephone prompts in English and French",
        f"From Asterisk, as shipped: WAV, 8 kHz, mono; up to {_SECONDS:g} seconds, without tones and silence. One "
        "speaker per language. Prompts whose names begin alike are in the same split, in both languages.",
        *_counts(clips),
    )


def prompt_group(name: str) -> str:
    """Folder and first two words of a prompt's name, without numbers: `vm-opts` and `vm-opts-full` share it."""
    return re.sub(r"[0-9]+$", "", "-".join(re.split(r"[-_]", name)[:2]))


def seconds(path: Path) -> float:
    """How long a WAV file lasts."""
    with wave.open(str(path)) as sound:
        return sound.getnframes() / sound.getframerate()


def split_by_label(clips: Iterable[Clip], share: float = 0.25) -> None:
    """Put whole groups into "test", in each label until it has at least `share` of its clips; the rest is "train"."""
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_label[clip["label"]].append(clip)
    for members in by_label.values():
        sizes = Counter(clip["group"] for clip in members)
        chosen: set[str] = set()
        for group in sorted(sizes, key=_number):
            if sum(sizes[other] for other in chosen) >= share * len(members):
                break
            chosen.add(group)
        for clip in members:
            clip["split"] = "test" if clip["group"] in chosen else "train"


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def write(clips: Iterable[Clip], folder: Path) -> None:
    """Copy the files of the clips into a folder, and list them in its `clips.json`."""
    rows = []
    for clip in clips:
        source = Path(clip["file"])
        file = clip["name"] + source.suffix
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / file)
        rows.append(clip | {"file": file})
    (folder / "clips.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _counts(clips: Iterable[Clip]) -> list[str]:
    counts = Counter((clip["split"], clip["label"]) for clip in clips)
    lines = [
        f"- {split}: " + ", ".join(f"{label} {n}" for (where, label), n in sorted(counts.items()) if where == split)
        for split in ("train", "test")
    ]
    return ["\n".join(lines)]
