"""Write the `evaluate` module of each metric, and its card, from its entry in `METRICS`.

`python -m hf_fourier.evaluation.metrics.cards` does it for all of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.evaluation.metrics.table import COLUMNS

FOLDER = Path(__file__).parent / "modules"
_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "neither": "neither direction is better"}


def body(metric: Metric) -> str:
    """Return the text that the card and the module's help share."""
    reads = "\n".join(f"- `{name}`: {COLUMNS[name][1]}" for name in metric.columns)
    of = "examples" if metric.unit == "example" else "classes"
    return f"""{metric.description}

**Range**: {metric.range}; {_DIRECTIONS[metric.better]}{_reversed(metric)}.

**Needs**: {metric.needs}.

**Limits**: {metric.limits.removesuffix(".")}.

**Columns**, one row per example (`hf_fourier.metrics.columns` makes them; others in the same table are not read):

{reads}

**Returns** means over {of}, each with `_low` and `_high` (95 % bootstrap interval{_drawn(metric)}), `_median` with \
`_median_low` and `_median_high`, `_n` ({of} that have a number) and `_undefined` ({of} that have none).

**Source**: {metric.reference}.
"""


def card(metric: Metric) -> str:
    """The README of a module's folder."""
    return f"""---
title: {metric.name}
tags: [evaluate, metric, explainability, frequency]
---

# {metric.name}

{body(metric)}
```python
{example(metric)}
```

`evaluate.load` takes this folder as well; it needs `hf_fourier` installed.
"""


def module(metric: Metric) -> str:
    """The source of the `evaluate` module."""
    name = "".join(word.capitalize() for word in metric.name.split("_"))
    return f'''"""`{metric.name}` as an `evaluate` module; the card next to it describes the metric."""

import evaluate

from hf_fourier.evaluation.metrics import hf_evaluate


class {name}(hf_evaluate.Module, evaluate.Metric):
    """See the card."""

    measure = "{metric.name}"
'''


def example(metric: Metric) -> str:
    """Code that computes a metric from perturbed `results` of an `explainer`."""
    query = re.search(r"`(random_perturbations|random_removals|wrong_labels)[.](\w+)`", metric.needs)
    needed = [text for text in ("top=0.04", "content=True") if text in metric.needs]
    known = "truth" in metric.reads
    options = ", ".join(["results", *needed, *(["truth=masks"] if known else [])])
    lines = ["from hf_fourier import metrics", f"table = metrics.columns({options})"]
    if query is not None:
        lines[0] += f"\nfrom hf_fourier.evaluation import {query[1]}"
        call = f"{query[1]}.{query[2]}(explainer, results)"
        wrong = query[2] == "wrong_labels"
        lines[1] = f"table = metrics.columns(results, wrong={call})" if wrong else f"table = {call}"
    if known:
        instead = "masks = [result.power > result.power.median() for result in results]"
        lines[1] = f"{instead}  # put what is known to decide in their place\n{lines[1]}"
    return f'{lines[0]}\n\n{lines[1]}\nprint(metrics.load("{metric.name}").compute(**table))'


def _reversed(metric: Metric) -> str:
    """Names the numbers whose direction is the other one."""
    other = {1: "lower", -1: "higher"}
    names = ", ".join(f"`{name}{'…' * name.endswith('_')}`" for name in metric.reversed)
    return f" (for {names} {other[metric.sign('')]})" if names else ""


def _drawn(metric: Metric) -> str:
    return ", whole groups drawn" if metric.unit == "example" else ""


def main() -> None:
    """Write the folder of each metric."""
    for metric in METRICS.values():
        folder = FOLDER / metric.name
        folder.mkdir(exist_ok=True)
        (folder / "README.md").write_text(card(metric), encoding="utf-8")
        (folder / f"{metric.name}.py").write_text(module(metric), encoding="utf-8")


if __name__ == "__main__":
    main()
