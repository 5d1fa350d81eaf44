"""Every method has its page, and the page's numbers are the code's."""

import re

import pytest

from hf_fourier.methods import METHODS

HEADINGS = ["What it asks", "Formula", "Published and ours", "Cost", "When to use it", "When not"]


ALL = [*METHODS, *METHODS.missing]


@pytest.mark.parametrize("name", [*ALL, "given"])
def test_a_page_per_method(root, name):
    text = (root / f"docs/methods/{name}.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.M) == HEADINGS
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (root / "docs/methods" / picture).read_bytes().startswith(b"\x89PNG")
    assert name == "given" or f"({name}.png)" in text


def test_the_list_has_every_method_with_its_cost(root):
    text = (root / "docs/README.md").read_text()
    for name in ALL:
        (line,) = [line for line in text.splitlines() if f"methods/{name}.md)" in line]
        assert line.endswith(f"| {METHODS.parse(name).passes_text} |"), line


def test_links_lead_somewhere(root):
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
