"""Photographs by many authors: how they are read out of their packages, ordered and credited."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import assets, real
from benchmarks.assets import data
from benchmarks.assets.convert import photographs
from benchmarks.assets.convert.photographs import Credit
from benchmarks.assets.convert.qt_resources import read_resources

README = b"""Copyright: Ann Author
License: CC0-1.0
Source: https://example.org/Ape.jpg
Files:
apes/ape.webp
apes/bonobo.webp

Files: bee.webp
License: CC-BY 2.0
Copyright: Bo Bee / Wikimedia Commons

Copyright: no license
Files: fly.webp
"""


def container(files: Mapping[str, bytes], version: int = 3, flags: int = 0) -> bytes:
    """A resource container with one folder, `art`, as the format's source code lays it out."""
    names, data, tree = b"", b"", b""
    node = struct.Struct(">IH2I" + ("Q" if version > 1 else ""))
    later = (0,) if version > 1 else ()
    begin = 24 if version > 2 else 20
    tree += node.pack(0, 2, 1, 1, *later) + node.pack(0, 2, len(files), 2, *later)
    for name in ("art", *files):
        at, encoded = len(names), name.encode("utf-16-be")
        names += struct.pack(">HI", len(name), 0) + encoded
        if name != "art":
            packed = struct.pack(">I", len(files[name])) + zlib.compress(files[name]) if flags == 1 else files[name]
            tree += node.pack(at, flags, 0, len(data), *later)
            data += struct.pack(">I", len(packed)) + packed
    offsets = (begin + len(data) + len(names), begin, begin + len(data))
    return b"qres" + struct.pack(">4I", version, *offsets) + b"\0" * (begin - 20) + data + names + tree


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("flags", [0, 1])
def test_files_are_read_out_of_a_container(version: int, flags: int) -> None:
    files = {"README": README, "bée.webp": bytes(range(256)), "empty": b""}
    assert read_resources(container(files, version, flags)) == {f"/art/{name}": files[name] for name in files}


def test_other_containers_are_refused() -> None:
    with pytest.raises(ValueError, match="begins with"):
        read_resources(b"PK\3\4" + bytes(20))
    with pytest.raises(ValueError, match="/art/a is packed with Zstandard"):
        read_resources(container({"a": b"a"}, flags=4))


def test_credits_are_read_in_any_order_of_fields_and_only_with_a_license() -> None:
    ape = Credit("Ann Author", "CC0-1.0", "https://example.org/Ape.jpg")
    bee = Credit("Bo Bee / Wikimedia Commons", "CC-BY 2.0")
    expected = {"apes/ape.webp": ape, "apes/bonobo.webp": ape, "bee.webp": bee}
    assert photographs.read_credits(README.decode()) == expected
    assert photographs.read_credits(README.replace(b"\n", b"\r\n").decode()) == expected


def test_pictures_without_a_credit_and_credits_without_a_picture_are_left_out() -> None:
    files = {"/a/README": README, "/a/bee.webp": b"bee", "/a/fly.webp": b"fly", "/a/apes/ape.webp": b"ape", "/x": b""}
    found = {path: (content, credit.source) for path, content, credit in photographs.credited(files)}
    assert found == {
        "/a/apes/ape.webp": (b"ape", "Ann Author"),
        "/a/bee.webp": (b"bee", "Bo Bee / Wikimedia Commons"),
    }


def test_every_source_comes_once_before_any_comes_again() -> None:
    found = [(f"p{i}", "gcompris-qt-data", b"", Credit(source, "CC0")) for i, source in enumerate("aabcad")]
    found.insert(3, ("coffee", "scikit-image", b"", Credit("z", "CC0")))
    ordered = photographs.in_order(found)
    assert sorted(ordered, key=str) == sorted(found, key=str)
    assert ordered[0][0] == "coffee"
    assert {credit.source for _, _, _, credit in ordered[:5]} == set("abcdz")
    assert [name for name, *_ in ordered[5:]] == ["p1", "p4"]


@pytest.mark.parametrize(("size", "expected"), [((1920, 1080), (683, 384)), ((600, 768), (384, 492)), ((9, 5), (9, 5))])
def test_pictures_are_reduced_but_never_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    encoded = io.BytesIO()
    Image.new("L", size, 7).save(encoded, "PNG")
    picture = photographs.reduced(encoded.getvalue())
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == ("RGB", expected, (7, 7, 7))


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    rows = [{"name": name, "file": f"{name}.png", "source": name.upper()} for name in ("b", "a")]
    for grey, row in enumerate(rows):
        Image.new("L", (3, 2), grey).save(tmp_path / row["file"])
    (tmp_path / "photographs.json").write_text(json.dumps(rows), encoding="utf-8")
    read = data.read_photographs(tmp_path, None)
    assert [(row["name"], row["source"]) for row in read] == [("b", "B"), ("a", "A")]
    assert [row["picture"].getpixel((2, 1)) for row in read] == [(0, 0, 0), (1, 1, 1)]
    assert [row["name"] for row in data.read_photographs(tmp_path, 1)] == ["b"]
    with pytest.raises(ValueError, match="between 0 and 2"):
        data.read_photographs(tmp_path, 3)


def test_the_photographs(asset: Callable[[str], Path]) -> None:
    folder = asset("photographs")
    rows = assets.photographs()
    sources = [row["source"] for row in rows]
    assert (len(rows), len(set(sources))) == (117, 103)
    assert len(set(sources[:103])) == 103
    assert len({row["name"] for row in rows}) == 117
    assert len({row["picture"].tobytes() for row in rows}) == 117
    assert {row["picture"].mode for row in rows} == {"RGB"}
    assert all(300 <= min(row["picture"].size) <= 384 for row in rows)
    credits = json.loads((folder / "photographs.json").read_text(encoding="utf-8"))
    assert all(
        row["license"].lower().startswith(("public domain", "cc0", "cc-by")) and row["url"].startswith("https://")
        for row in credits
        if row["package"] == "gcompris-qt-data"
    )


def test_benchmarks_take_whole_photographs_first_and_crops_count_to_their_source(
    asset: Callable[[str], Path],
) -> None:
    asset("photographs")
    rows = assets.photographs()
    model = real.MODELS["efficientnet-lite0"]
    examples, groups = model.examples(120), model.groups(120)
    assert [picture.tobytes() for picture in examples[:117]] == [row["picture"].tobytes() for row in rows]
    assert groups[:117] == [row["source"] for row in rows]
    assert groups[117:] == groups[:3]
    for crop, whole in zip(examples[117:], examples[:3], strict=True):
        assert crop.width == crop.height < min(whole.size)
    assert model.groups(2) == groups[:2]


def test_the_classifier_recognises_animals_and_places(asset: Callable[[str], Path]) -> None:
    asset("photographs")
    known = {
        "coffee": "espresso", "chamaeleon": "African chameleon", "dog": "German shepherd", "panda": "giant panda",
        "polar_bear": "ice bear", "red_panda": "lesser panda", "citedeCarcassonne": "castle", "pontduGard": "viaduct",
    }  # fmt: skip
    rows = [row for row in assets.photographs() if row["name"] in known]
    explainer = real.MODELS["efficientnet-lite0"].explainer()
    results = explainer.explain([row["picture"] for row in rows], method="magnitude")
    labels = explainer.model.config.id2label
    assert {row["name"]: labels[result.target] for row, result in zip(rows, results, strict=True)} == known
