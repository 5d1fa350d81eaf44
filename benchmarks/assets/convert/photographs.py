"""Photographs by many authors, from GCompris (children's activities) and scikit-image, reduced in size."""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.demo.convert.files import readme

from .qt_resources import read_resources

if TYPE_CHECKING:
    import PIL.Image

SHORTER_SIDE = 384
"""Pixels of the shorter side; what is smaller stays as it is."""

_ACTIVITIES = ("erase", "explore_farm_animals", "explore_world_animals", "explore_monuments", "explore_world_music")
"""Those of GCompris whose pictures are whole colour photographs of at least 359 pixels."""

_LEFT_OUT = {"castleClinton", "owl"}
"""A grey photograph, and one that was retouched until it looks painted."""

_MISSPELT = {"germany/audaPalatina.webp": "germany/aulaPalatina.webp"}
"""A path in GCompris's credits, and the file that it means."""

_SCIKIT_IMAGE = {
    "coffee": ("coffee.png", "Rachel Michetti", "CC0"),
    "cat": ("chelsea.png", "Stefan van der Walt", "CC0"),
    "rocket": ("rocket.jpg", "SpaceX", "public domain"),
    "astronaut": ("astronaut.png", "NASA", "public domain"),
}
"""File, author and license as scikit-image states them; left out are the cameraman (grey) and a motorcycle (none)."""


@dataclass(frozen=True)
class Credit:
    """Whose a photograph is.

    Attributes:
        source: the author, as stated.
        license: as stated.
        url: the original, where one is stated.
    """

    source: str
    license: str
    url: str = ""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the photographs as PNG and list them in `photographs.json`: `{name, file, package, source, license, url}`.

    The first photograph of every source comes before the second of any, so that the first few are independent.
    """
    rows: list[dict[str, str]] = []
    for name, package, content, credit in in_order([*_scikit_image(inputs), *_gcompris(inputs)]):
        reduced(content).save(folder / f"{name}.png")
        rows.append({"name": name, "file": f"{name}.png", "package": package, **asdict(credit)})
    (folder / "photographs.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    licenses = Counter(row["license"] for row in rows)
    readme(
        folder,
        "Photographs",
        f"From GCompris and scikit-image, RGB, the shorter side at most {SHORTER_SIDE} pixels. `photographs.json` "
        "gives each one's author, license and original.",
        "\n".join(f"- {license}: {count}" for license, count in licenses.most_common()),
    )


Found = tuple[str, str, bytes, Credit]
"""Name, package, the file's content and its credit."""


def _scikit_image(inputs: Mapping[str, Path]) -> Iterator[Found]:
    for name, (file, author, license) in _SCIKIT_IMAGE.items():
        yield name, "scikit-image", (inputs["pictures"] / file).read_bytes(), Credit(author, license)


def _gcompris(inputs: Mapping[str, Path]) -> Iterator[Found]:
    names: Counter[str] = Counter(list(_SCIKIT_IMAGE))
    for activity in _ACTIVITIES:
        container = inputs["gcompris-qt-data"] / f"usr/share/gcompris-qt/rcc/{activity}.rcc"
        for path, content, credit in credited(read_resources(container.read_bytes())):
            stem = posixpath.splitext(posixpath.basename(path))[0]
            names[stem] += 1
            if stem not in _LEFT_OUT:
                name = stem if names[stem] == 1 else f"{stem}-{names[stem]}"
                yield name, "gcompris-qt-data", content, credit


def credited(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes, Credit]]:
    """The WebP pictures among files by path for which a `README` in a folder above states author and license."""
    for path, content in files.items():
        if posixpath.basename(path) != "README":
            continue
        for relative, credit in read_credits(content.decode("utf-8")).items():
            picture = posixpath.join(posixpath.dirname(path), _MISSPELT.get(relative, relative))
            if picture in files:
                yield picture, files[picture], credit


def read_credits(text: str) -> dict[str, Credit]:
    """The credit of every WebP picture that one of GCompris's README files names.

    A paragraph has the fields Copyright, License, Source and Files, in any order; files follow their field on the
    same line or on lines of their own.
    """
    credits: dict[str, Credit] = {}
    for paragraph in text.replace("\r", "").split("\n\n"):
        fields = dict(re.findall(r"^(Copyright|License|Source): *(.+?) *$", paragraph, re.MULTILINE))
        if "Copyright" in fields and "License" in fields:
            credit = Credit(fields["Copyright"], fields["License"], fields.get("Source", ""))
            for file in re.findall(r"^(?:Files: *)?(\S+\.webp) *$", paragraph, re.MULTILINE):
                credits[file] = credit
    return credits


def in_order(found: Iterable[Found]) -> list[Found]:
    """Photographs by how many of their source precede them; of these scikit-image's first, the others mixed.

    They are mixed by the SHA-256 of their names, so that the first few are not all animals.
    """
    before: Counter[str] = Counter()
    keyed = []
    for photograph in found:
        name, package, _, credit = photograph
        digest = "" if package == "scikit-image" else hashlib.sha256(name.encode()).hexdigest()
        keyed.append(((before[credit.source], digest), photograph))
        before[credit.source] += 1
    return [photograph for _, photograph in sorted(keyed, key=lambda pair: pair[0])]


def reduced(content: bytes) -> PIL.Image.Image:
    """An encoded picture in RGB, its shorter side reduced to `SHORTER_SIDE` where it is longer."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        whole = picture.convert("RGB")
    scale = SHORTER_SIDE / min(whole.size)
    if scale >= 1:
        return whole
    return whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)
