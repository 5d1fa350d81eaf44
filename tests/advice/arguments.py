"""Advice about arguments that are no such thing, and about options without effect."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from hf_fourier import Report, attribute
from hf_fourier.models.inputs.dataset_sources import source_of
from tests.advice.case import PICTURES, Case, net, read, reader

ROWS = torch.ones(2, 8)


def _rows(text: str) -> Any:
    path = Path(tempfile.mkdtemp()) / "rows.json"
    path.write_text(text)
    return source_of(str(path))


CASES = [
    Case(
        "pass the model itself, or a function of its input",
        lambda: attribute("resnet", PICTURES),  # type: ignore[arg-type]
        lambda: [attribute(net(), PICTURES), attribute(lambda x: net()(x), PICTURES)],
    ),
    Case(
        "pass them in a list",
        lambda: attribute(net(), PICTURES, axes=2),  # type: ignore[arg-type]
        lambda: attribute(net(), PICTURES, axes=[2]),
    ),
    Case(
        "convert it, as by x.to_dense() or x.dequantize()",
        lambda: attribute(lambda x: x, ROWS.to_sparse()),
        lambda: attribute(lambda x: x, ROWS.to_sparse().to_dense()),
    ),
    Case(
        "correct `other`",
        lambda: reader().transfer([], "another"),  # type: ignore[arg-type]
        lambda: reader().transfer([], reader()),
    ),
    Case(
        "correct `title`",
        lambda: Report(read(), title=3),  # type: ignore[arg-type]
        lambda: Report(read(), title="three"),
    ),
    Case(
        "leave `streaming` out",
        lambda: source_of(["w7 w8"], streaming=True),
        lambda: source_of(["w7 w8"]),
    ),
    Case(
        "write it as plain rows",
        lambda: _rows("[" * 2000 + "]" * 2000),
        lambda: _rows(json.dumps([{"text": "w7 w8"}])),
    ),
    Case(
        "write an object for each row, or leave the row out",
        lambda: _rows('[{"text": "w7 w8"}, null]'),
        lambda: _rows(json.dumps([{"text": "w7 w8"}])),
    ),
]
