"""The page on security names a test that exists for each promise, and the limits as they are."""

from __future__ import annotations

import ast
import re
from importlib import import_module

import pytest


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/security.md").read_text(encoding="utf-8")


def test_each_promise_names_tests_that_exist(page, root):
    promised = page.partition("## What is promised")[2].partition("\n\nFree text")[0]
    rows = [line for line in promised.splitlines() if line.startswith("| ") and "| test |" not in line]
    assert len(rows) >= 8
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for file, name in named:
            tree = ast.parse((root / file).read_text(encoding="utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (file, name)


def test_the_limits_are_those_of_the_code(page):
    stated = re.findall(r"^\| .* \| ([\d,]+) \| `([\w.]+)\.(\w+)` \|$", page, re.M)
    assert len(stated) >= 12
    for number, module, name in stated:
        assert int(number.replace(",", "")) == getattr(import_module(f"hf_fourier.{module}"), name), name
    for module in ("models.inputs.limits", "domains.limits"):
        known = {name for name in vars(import_module(f"hf_fourier.{module}")) if name.isupper()}
        assert known == {name for _, where, name in stated if where == module}


def test_the_pixels_of_a_picture_are_pillows(page):
    from PIL import Image

    assert f"{2 * Image.MAX_IMAGE_PIXELS:,}" in page


def test_the_table_of_cases_has_every_room_and_no_case_that_ended_otherwise(page):
    from tools.fuzz.drawn import rooms

    rows = {row.split("|")[1].strip(): row.split("|")[2:-1] for row in re.findall(r"^\|.*\|$", page, re.M)}
    for room in (*rooms(), "all"):
        cases, done, refused, *unsound = (int(cell.replace(",", "")) for cell in rows[room][:7])
        assert (cases, unsound) == (done + refused, [0, 0, 0, 0]), room
        assert cases >= 80, room
    assert int(rows["all"][0].replace(",", "")) >= 10_000
