"""Run a notebook and store its outputs: `python -m tools.notebook docs/notebook.ipynb`. No Jupyter is needed.

Cells run one after the other in this process. The value of a cell's last expression is stored as a front end would show
it: by `_repr_html_`, a figure as a picture, and always as its `repr`. What is printed is stored as well; the progress
that libraries write on standard error is not. An error ends the run, and the file stays as it was.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Dots per inch of figures.
DPI = 80


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of all its code cells."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            outputs = run("".join(cell["source"]), names, count)
            cell = {**cell, "execution_count": count, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def run(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run one cell.

    Args:
        source: Its code.
        names: The namespace that cells share.
        count: The cell's number.

    Returns:
        Its outputs in the notebook format, version 4.
    """
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(ast.Module(body, []), f"cell {count}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
        data = {} if value is None or source.rstrip().endswith(";") else shown(value)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())})
    if data:
        outputs.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data})
    return outputs


def shown(value: Any) -> dict[str, Any]:
    """A value by MIME type."""
    data: dict[str, Any] = {"text/plain": _lines(repr(value))}
    html = value._repr_html_() if hasattr(value, "_repr_html_") else None
    if html is not None:
        data["text/html"] = _lines(html)
    if hasattr(value, "savefig"):
        buffer = io.BytesIO()
        value.savefig(buffer, format="png", dpi=DPI)
        data["image/png"] = base64.b64encode(buffer.getvalue()).decode("ascii")
    return data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the notebooks and write them."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebook", description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    for path in parser.parse_args(arguments).notebooks:
        notebook = executed(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
