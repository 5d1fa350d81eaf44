"""The report as one HTML page: no network, no framework; every text of a user's is escaped."""

from __future__ import annotations

import html as escaping
from typing import TYPE_CHECKING

from hf_fourier.errors import MissingExtraError

if TYPE_CHECKING:
    from hf_fourier.report.report import Report


def page(report: Report, include_inputs: bool) -> str:
    """The page; see `Report.html`."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "report", "HTML pages") from error
    from hf_fourier.report import privacy
    from hf_fourier.report.folder import require_inputs

    if include_inputs:
        require_inputs(report)
    loader = PackageLoader("hf_fourier.report", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)  # whatever the file's ending
    tables = report.tables(include_inputs)
    return environment.get_template("report.html").render(
        title=privacy.scrubbed(report.title), tables=tables, inputs=include_inputs
    )


def framed(page: str) -> str:
    """The page in a frame of its own, which no script leaves."""
    return (
        f'<iframe srcdoc="{escaping.escape(page)}" title="Report" sandbox="allow-scripts allow-downloads" '
        'style="width:100%;height:48rem;border:1px solid #8888"></iframe>'
    )
