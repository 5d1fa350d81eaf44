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
pygments_style = "friendly"
pygments_dark_style = "monokai"
#: A cell that holds numbers alone: a mean with its interval, several values with slashes, passes, percentages.
NUMBERS = re.compile(r"[\d.,\[\]()<>+±*†%/ −–-]+")


def shape_cells(app, document):
    """Keep the numbers of a table's cell in one line, and mark long texts, whose columns have a least width."""
    for entry in document.findall(nodes.entry):
        if len(entry.astext()) > 60:
            entry["classes"].append("long")
        if NUMBERS.fullmatch(entry.astext()):
            for text in list(entry.findall(nodes.Text)):
                text.parent.replace(text, nodes.Text(text.astext().replace(" ", "\N{NO-BREAK SPACE}")))


def setup(app):
    """Write the reference and the metrics' cards before anything is read."""
    modules = HERE.parent / "hf_fourier/evaluation/metrics/modules"
    app.connect("builder-inited", lambda _: reference.write(HERE / "reference"))
    app.connect("builder-inited", lambda _: reference.write_cards(HERE / "metrics", modules))
    app.connect("doctree-read", shape_cells)
