"""How figures are looked at."""

import warnings

import pytest


@pytest.fixture
def drawn():
    """Plot, draw every pixel, and fail on any warning."""

    def draw(attribution, **options):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = attribution.plot(**options)
            FigureCanvasAgg(figure).draw()
        return figure

    return draw


@pytest.fixture
def texts():
    """All non-empty texts of a figure."""

    def find(figure):
        from matplotlib.text import Text

        return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]

    return find


@pytest.fixture
def artist():
    """The one artist with this gid."""

    def find(figure, gid):
        found = figure.findobj(lambda a: a.get_gid() == gid)
        assert len(found) == 1, f"{len(found)} artists called {gid}"
        return found[0]

    return find
