"""The documents as a site: Sphinx reads the Markdown as it lies here, and the reference is made from docstrings."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402
from docutils import nodes  # noqa: E402

project = "hf_fourier"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "hf_fourier"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "monokai"
#: Spaces at which a line must not break: between a number and its unit, and in an interval and before it.
TIED = re.compile(
    r"(?<=\d) (?=(?:%|[kM]?Hz|dB|ms|s|[KMG]i?B)(?!\w))|(?<=[\d%]) (?=\[[-+−.\d])|(?<=\d,) (?=[-+−.\d]+\])"
)
#: A cell that holds numbers alone: a mean with its interval, several values with slashes, passes, percentages.
NUMBERS = re.compile(r"(?:[\d.,;\[\]()<>+±*†%/ −–-]|(?<=\d)e(?=[-+]?\d))+")
#: A cell that holds one name, such as that of a model or of a band.
NAME = re.compile(r"\S{1,30}|[\d.]+–[\d.]+ \S+|\w = [\d.]+")
#: An option of a command, which must not break at its hyphens.
OPTION = re.compile(r"--?\w[\w-]{0,25}")


def shape_lines(app, document):
    """Keep numbers, their units and names in one line; mark cells of long text, whose columns have a least width."""
    for entry in document.findall(nodes.entry):
        if NUMBERS.fullmatch(entry.astext()) or NAME.fullmatch(entry.astext()):
            entry["classes"].append("whole")
        elif len(entry.astext()) > 25:
            entry["classes"].append("long" if len(entry.astext()) > 60 else "phrase")
    for literal in document.findall(nodes.literal):
        if OPTION.fullmatch(literal.astext()):
            literal["classes"].append("whole")
    for text in list(document.findall(nodes.Text)):
        if not isinstance(text.parent, (nodes.literal, nodes.literal_block)):
            text.parent.replace(text, nodes.Text(TIED.sub("\N{NO-BREAK SPACE}", text.astext())))


def setup(app):
    """Write the reference and the metrics' cards before anything is read."""
    app.connect("builder-inited", lambda _: reference.write(HERE / "reference"))
    app.connect("builder-inited", lambda _: reference.write_cards(HERE))
    app.connect("doctree-read", shape_lines)
