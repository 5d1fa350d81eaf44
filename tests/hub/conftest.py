"""A Hub and one process that talks to it, for all tests; reports made by hand."""

from __future__ import annotations

import pytest

from tests.hub.fake_hub.server import serving
from tests.hub.fake_hub.worker import Worker


@pytest.fixture(scope="session")
def running():
    with serving() as hub:
        yield hub


@pytest.fixture
def hub(running):
    """Nothing fails, nothing was asked for; repositories of earlier tests are gone."""
    running.repos.clear()
    running.objects.clear()
    running.faults.clear()
    running.asked.clear()
    running.tokens.clear()
    return running


@pytest.fixture(scope="session")
def ask(running, tmp_path_factory):
    """Runs code in the other process."""
    worker = Worker(running.address, tmp_path_factory.mktemp("worker"))
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A report of pictures with its inputs, as a folder."""
    from hf_fourier import Report
    from tests.hub import reports

    report = Report(reports.pictures(), reports.EVALUATION, reports.SANITY, names=["a.png", "b.png"])
    return report.save(tmp_path_factory.mktemp("saved") / "report", include_inputs=True)


@pytest.fixture(scope="module")
def one_figure(ask):
    """Pushes draw one dot for all their figures, which else take most of the time; other files draw them."""
    ask(
        """
import base64
from hf_fourier.report.figures import overview
drawn = overview.save_figures
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

def dot(report, folder, *arguments, **options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curves.png").write_bytes(base64.b64decode(DOT))

dot.drawn = drawn
overview.save_figures = dot
"""
    )
    yield
    ask("from hf_fourier.report.figures import overview; overview.save_figures = overview.save_figures.drawn")
