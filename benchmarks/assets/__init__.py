"""Real models and data beside the demo's, for benchmarks, recipes and tests; built and cached in the same way.

    from benchmarks import assets

    folder = assets.get("fashion-vit")   # `get` knows the demo's assets too
    clothes = assets.fashion("test", 8)

`python -m benchmarks.assets list` lists them.
"""

from __future__ import annotations

from .catalogue import CATALOGUE
from .data import fashion, islets, photographs, words

__all__ = ["available", "describe", "fashion", "get", "islets", "names", "photographs", "words"]

names, describe, available, get = CATALOGUE.names, CATALOGUE.describe, CATALOGUE.available, CATALOGUE.get
