"""The cards of what is pushed: metadata by `huggingface_hub`'s own classes, prose from templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.report.hub.card_data import CardData
from hf_fourier.report.hub.markdown import Markdown, render_spectrum, rendered, text
from hf_fourier.report.visible_text import escape_invisible

if TYPE_CHECKING:
    import huggingface_hub
    from huggingface_hub import EvalResult

#: The version of gradio that a Space asks for.
GRADIO = "6.31.0"
TAGS = ("hf_fourier", "explainability", "interpretability", "frequency")
#: What goes into a model's `model-index`, with the name that is shown there. Selectivity goes with the rest, as none of
#: the others says how much of it is the method's freedom to choose.
INDEXED = {
    "dig": "DIG",
    "dice_retention": "Dice retention",
    "maintain_rate_at_0.04": "Maintain rate at 4 % of features",
    "selectivity (random)": "Selectivity (random wrong label)",
}
#: How cards name what they show.
NAMES = {**INDEXED, "maintain_rate": "Maintain rate, mean over fractions",
         "selectivity (runner-up)": "Selectivity (runner-up label)"}  # fmt: skip
#: Sizes as the Hub names them.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(facts: CardData, tables: Iterable[str], include_inputs: bool, license: str | None = None) -> str:
    """The README of a data set that holds a report.

    Args:
        facts: What there is to say.
        tables: Names of the Parquet files in `data/`; each is a configuration of the viewer, examples first.
        include_inputs: Whether the examples are in it.
        license: By the Hub's identifier.
    """
    from huggingface_hub import DatasetCardData

    names = sorted(tables, key=lambda name: (name != "examples", name))
    data = DatasetCardData(
        pretty_name=escape_invisible(facts.title),
        license=license,
        tags=[*TAGS, *([escape_invisible(facts.task)] if facts.task else [])],
        size_categories=[next((word for most, word in _SIZES if facts.examples < most), "n>1M")],
        configs=[{"config_name": name, "data_files": f"data/{name}.parquet"} for name in names],
    )
    return _card("dataset.md", data, facts, include_inputs)


def space_card(facts: CardData, include_inputs: bool, license: str | None = None, sdk: str = "static") -> str:
    """The README of a Space that shows a report's page: a static one, or one of gradio ("gradio")."""
    from huggingface_hub import SpaceCardData

    data = SpaceCardData(
        title=escape_invisible(facts.title),
        license=license,
        sdk=sdk,
        sdk_version=GRADIO if sdk == "gradio" else None,
        app_file="app.py" if sdk == "gradio" else "index.html",
        tags=list(TAGS),
        models=[facts.model] if facts.on_hub else None,
        emoji="🌊",
        colorFrom="blue",
        colorTo="green",
        pinned=False,
        short_description="Explanations of a model by frequencies",
    )
    return _card("space.md", data, facts, include_inputs)


def section(facts: CardData, dataset: str | None = None) -> str:
    """The section of a model's own card, from a second-level heading on."""
    return rendered("section.md", facts=facts, names=NAMES, dataset=dataset, bands=bands_section(facts)).strip() + "\n"


def eval_results(facts: CardData, dataset: str, dataset_id: str) -> list[EvalResult]:
    """What goes into the model's `model-index`: of each method (no control) what `INDEXED` names.

    Args:
        facts: What was measured.
        dataset: What the examples were, for people.
        dataset_id: The id of the data set on the Hub, or a word such as "custom".
    """
    from huggingface_hub import EvalResult

    results = []
    for one in facts.card_rows():
        if one.control or one.mean is None or one.metric not in INDEXED:
            continue
        arguments: dict[str, Any] = {
            "tool": f"hf_fourier {(facts.versions or {}).get('hf_fourier', '')}".strip(),
            "method": escape_invisible(one.method), "domain": escape_invisible(one.domain),
            "interval_95": _ends(one.low, one.high),
            "gap_to_magnitude": one.gap, "gap_interval_95": _ends(one.gap_low, one.gap_high),
            "examples": facts.evaluated, "groups": facts.groups,
            "model_revision": escape_invisible(facts.revision) or None,
        }  # fmt: skip
        results.append(
            EvalResult(
                task_type=escape_invisible(facts.task) or "other",
                dataset_type=escape_invisible(dataset_id),
                dataset_name=escape_invisible(dataset),
                metric_type=one.metric.partition("_at_")[0].partition(" (")[0],
                metric_name=f"{INDEXED[one.metric]}, {escape_invisible(one.method)} in {escape_invisible(one.domain)}",
                metric_value=one.mean,
                metric_args={name: value for name, value in arguments.items() if value is not None},
            )
        )
    return results


def model_index(name: str, results: Sequence[EvalResult]) -> list[dict[str, Any]]:
    """The metadata `model-index` of some results, as `huggingface_hub` makes it."""
    from huggingface_hub.repocard_data import eval_results_to_model_index

    return eval_results_to_model_index(name, list(results))


def _ends(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _card(template: str, data: huggingface_hub.CardData, facts: CardData, include_inputs: bool) -> str:
    linked = f"[{text(facts.model)}](https://huggingface.co/{facts.model})" if facts.on_hub else text(facts.model)
    model = Markdown(linked or "a model")
    front = Markdown(data.to_yaml())
    values = {"facts": facts, "names": NAMES, "model": model, "inputs": include_inputs, "bands": bands_section(facts)}
    return rendered(template, data=front, **values).strip() + "\n"


def bands_section(facts: CardData) -> Markdown:
    """The section on the model's spectrum; empty without one."""
    return Markdown("" if facts.spectrum is None else render_spectrum(facts.spectrum).strip())
