"""The documents as a site: Sphinx reads the Markdown as it lies here, and the reference is made from docstrings."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402

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
pygments_style = "friendly"


def setup(app):
    """Write the reference and the metrics' cards before anything is read."""
    modules = HERE.parent / "hf_fourier/evaluation/metrics/modules"
    app.connect("builder-inited", lambda _: reference.write(HERE / "reference"))
    app.connect("builder-inited", lambda _: reference.write_cards(HERE / "metrics", modules))
