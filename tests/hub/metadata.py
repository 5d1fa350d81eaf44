"""What a Hub says of a card's metadata: the documented fields, their types and their closed lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

BLOCK = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")
LICENCES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "bsd-3-clause", "other", "unknown"}
SDKS = {"gradio", "docker", "static", "streamlit"}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
CATEGORIES = {
    "text-classification", "token-classification", "question-answering", "fill-mask", "text-generation",
    "image-classification", "image-segmentation", "object-detection", "depth-estimation", "video-classification",
    "audio-classification", "automatic-speech-recognition", "tabular-classification", "time-series-forecasting",
    "feature-extraction", "zero-shot-classification", "translation", "summarization", "other",
}  # fmt: skip


def judged(content: str, kind: str) -> tuple[list[str], list[str]]:
    """The errors and the warnings about the front matter of a card."""
    found = BLOCK.search(content)
    if found is None:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        data = yaml.safe_load(found.group(2))
    except yaml.YAMLError as error:
        return [f"YAML Metadata Error: {error}"], []
    if not isinstance(data, dict):
        return ["YAML Metadata Error: metadata should be a map"], []
    return [*_common(data), *_KINDS[kind](data)], []


def _common(data: dict[str, Any]) -> Iterator[str]:
    if not all(isinstance(key, str) for key in data):
        yield "keys must be strings"
    for key in ("tags", "datasets", "models", "task_categories", "size_categories"):
        values = data.get(key, [])
        if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
            yield f'"{key}" must be an array of strings'
    if data.get("license", "other") not in LICENCES:
        yield f'"license" must be one of {sorted(LICENCES)}'


def _dataset(data: dict[str, Any]) -> Iterator[str]:
    if not isinstance(data.get("pretty_name", ""), str):
        yield '"pretty_name" must be a string'
    if unknown := set(data.get("task_categories", [])) - CATEGORIES:
        yield f'"task_categories" does not know {unknown}'
    configs = data.get("configs", [])
    if not isinstance(configs, list):
        yield '"configs" must be an array'
        return
    for config in configs:
        if not isinstance(config, dict) or not isinstance(config.get("config_name"), str):
            yield '"configs[].config_name" is required'
        elif not isinstance(config.get("data_files"), (str, list)):
            yield '"configs[].data_files" must be a string or an array'


def _space(data: dict[str, Any]) -> Iterator[str]:
    if data.get("sdk") not in SDKS:
        yield f'"sdk" must be one of {sorted(SDKS)}'
    if not isinstance(data.get("title", ""), str):
        yield '"title" must be a string'
    if not isinstance(data.get("emoji", "🔊"), str) or re.search(r"\w", data.get("emoji", "🔊")):
        yield '"emoji" must be an emoji'
    for key in ("colorFrom", "colorTo"):
        if data.get(key, "blue") not in COLOURS:
            yield f'"{key}" must be one of {sorted(COLOURS)}'
    if len(data.get("short_description", "")) > 60:
        yield '"short_description" is longer than 60'


def _model(data: dict[str, Any]) -> Iterator[str]:
    index = data.get("model-index", [])
    if not isinstance(index, list):
        yield '"model-index" must be an array'
        return
    for i, model in enumerate(index):
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            yield f'"model-index[{i}].name" is required'
        elif not isinstance(model.get("results"), list):
            yield f'"model-index[{i}].results" is required'
        else:
            for j, result in enumerate(model["results"]):
                yield from _result(f"model-index[{i}].results[{j}]", result)


def _result(where: str, result: Any) -> Iterator[str]:
    if not isinstance(result, dict):
        yield f'"{where}" must be an object'
        return
    for key, fields in {"task": ("type",), "dataset": ("type", "name")}.items():
        part = result.get(key)
        for name in fields:
            if not isinstance(part, dict) or not isinstance(part.get(name), str):
                yield f'"{where}.{key}.{name}" is required'
    if "source" in result and not isinstance((result["source"] or {}).get("url"), str):
        yield f'"{where}.source.url" is required'
    metrics = result.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        yield f'"{where}.metrics" must be a non-empty array'
        return
    for k, metric in enumerate(metrics):
        if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or "value" not in metric:
            yield f'"{where}.metrics[{k}]" needs "type" and "value"'


_KINDS = {"dataset": _dataset, "space": _space, "model": _model}
