"""The cards of the `evaluate` modules, written from what the measures say of themselves.

`python -m hf_fourier.evaluation.metrics.cards` writes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.evaluation.metrics.table import COLUMNS

FOLDER = Path(__file__).parent / "modules"
_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "neither": "neither direction is better"}


def body(measure: Metric) -> str:
    """What the card and the module's help say."""
    reads = "\n".join(f"- `{name}`: {COLUMNS[name][1]}" for name in measure.columns)
    of = "examples" if measure.unit == "example" else "classes"
    return f"""{measure.description}

**Range**: {measure.range}; {_DIRECTIONS[measure.better]}.

**Needs**: {measure.needs}.

**Cannot tell** {measure.limits}

**Columns**, one row per example (`hf_fourier.metrics.columns` makes them; others in the same table are not read):

{reads}

**Returns** means over {of}, each with `_low` and `_high` (95 % bootstrap interval{_drawn(measure)}), `_median` with \
`_median_low` and `_median_high`, `_n` ({of} that have a number) and `_undefined` ({of} that have none).

**Source**: {measure.reference}.
"""


def card(measure: Metric) -> str:
    """The README of a module's folder."""
    return f"""---
title: {measure.name}
tags: [evaluate, metric, explainability, frequency]
---

# {measure.name}

{body(measure)}
```python
{example(measure)}
```

`evaluate.load` takes this folder as well; it needs `hf_fourier` installed.
"""


def example(measure: Metric) -> str:
    """Code that computes a measure from played `results` of an `explainer`."""
    asks = re.search(r"`(model_queries|wrong_labels)[.](\w+)`", measure.needs)
    options = "results, top=0.04" if "top=0.04" in measure.needs else "results"
    lines = ["from hf_fourier import metrics", f"table = metrics.columns({options})"]
    if asks is not None:
        lines[0] += f"\nfrom hf_fourier.evaluation import {asks[1]}"
        asked = f"{asks[1]}.{asks[2]}(explainer, results)"
        wrong = asks[2] == "wrong_labels"
        lines[1] = f"table = metrics.columns(results, wrong={asked})" if wrong else f"table = {asked}"
    return f'{lines[0]}\n\n{lines[1]}\nprint(metrics.load("{measure.name}").compute(**table))'


def _drawn(measure: Metric) -> str:
    return ", whole groups drawn" if measure.unit == "example" else ""


def main() -> None:
    """Write the card of each measure into its module's folder."""
    for measure in METRICS.values():
        (FOLDER / measure.name / "README.md").write_text(card(measure), encoding="utf-8")


if __name__ == "__main__":
    main()
