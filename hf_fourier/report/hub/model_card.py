"""A model's README with one section and some results of ours in it; what others wrote stays as it is, byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import FourierError, InputError

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

#: The lines that our section stands between.
BEGIN, END = "<!-- hf_fourier: begin -->", "<!-- hf_fourier: end -->"
#: Bytes of a README, and aliases in its YAML: each may stand for all that was before it.
MOST_BYTES, MOST_ALIASES = 2**22, 30
_INDEX = "model-index"
_TOOL = "hf_fourier"


def read(path: Path) -> str:
    """A README's text as it is.

    Raises:
        InputError: If it is no UTF-8, or larger than `MOST_BYTES`.
    """
    if path.stat().st_size > MOST_BYTES:
        got = f"a README of {path.stat().st_size} bytes"
        raise InputError(got, f"at most {MOST_BYTES}", "correct the model card first")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"a README that is not UTF-8 ({error.reason})", "UTF-8", "correct the model card first"
        ) from error


def edited(readme: str, section: str, name: str, results: Sequence[EvalResult]) -> str:
    """The README with the section between its marks (at the end, where it has none) and the results in `model-index`.

    Args:
        readme: The whole text; "" where there is none yet.
        section: Markdown.
        name: The model's name, for a README without `model-index`.
        results: What takes the place of the results of this library's for the same task and data.

    Raises:
        InputError: If the metadata are no YAML, or the marks do not belong together.
    """
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    ending = "\r\n" if "\r\n" in readme else "\n"
    mark, text = ("\ufeff", readme[1:]) if readme.startswith("\ufeff") else ("", readme)
    found = REGEX_YAML_BLOCK.search(text)
    front, body = (found.group(2), text[found.end() :]) if found else ("", text)
    indexed = with_results(front.replace("\r\n", "\n"), name, results)
    block = f"---\n{indexed}\n---\n".replace("\n", ending) if indexed else ""
    if found and indexed == front.replace("\r\n", "\n"):
        block = text[: found.end()]
    gap = ending if block and body and not found else ""
    return mark + block + gap + with_section(body, section.replace("\n", ending), ending)


def with_section(body: str, section: str, ending: str = "\n") -> str:
    """The text with the section between the marks.

    Raises:
        InputError: If a mark is missing, doubled or in the wrong place.
    """
    counts = body.count(BEGIN), body.count(END)
    marked = f"{BEGIN}{ending}{section.strip()}{ending}{END}"
    if counts == (0, 0):
        between = "" if not body else ending if body.endswith("\n") else ending * 2
        return f"{body}{between}{marked}{ending}"
    start, stop = body.find(BEGIN), body.find(END)
    if counts != (1, 1) or stop < start:
        got = f"a README with {counts[0]} × {BEGIN!r} and {counts[1]} × {END!r}"
        raise InputError(got, "one of each, in this order, or none", "correct the model card by hand")
    return body[:start] + marked + body[stop + len(END) :]


def with_results(front: str, name: str, results: Sequence[EvalResult]) -> str:
    """The YAML with the results in `model-index`, all else as it was.

    Raises:
        InputError: If it is no YAML map, or `model-index` is none.
    """
    from hf_fourier.report.hub.cards import model_index

    data = _parsed(front)
    own = model_index(name, results)
    if _INDEX not in data:
        parts = [front.strip("\n"), _dumped({_INDEX: own}) if results else ""]
        return "\n".join(part for part in parts if part)
    place = _place(data[_INDEX], name)
    wanted = _parsed(front)
    given, added = data[_INDEX][place]["results"], own[0]["results"] if results else []
    outdated = [_ours(one) and any(_of(one) == _of(new) for new in added) for one in given]
    wanted[_INDEX][place]["results"] = [one for one, old in zip(given, outdated, strict=True) if not old] + added
    if wanted == data:
        return front
    for made in (_inserted(front, place, added, outdated), _replaced(front, wanted)):
        if made is not None and _parsed(made) == wanted:
            return made
    raise InputError(f"a {_INDEX!r} that cannot be added to", "plain YAML", "add the results by hand")


def _inserted(front: str, place: int, added: Sequence[Any], outdated: Sequence[bool]) -> str | None:
    """The added results after the last, line by line, without the outdated; None where the YAML is not in lines."""
    import yaml

    listed = _child(_child(yaml.compose(front), _INDEX).value[place], "results")
    if listed.flow_style or not listed.value:
        return None
    lines, column = front.split("\n"), listed.start_mark.column
    starts = [item.start_mark.line for item in listed.value]
    stops = [*starts[1:], listed.end_mark.line + (listed.end_mark.column > 0)]
    spans = [(start, _trimmed(lines, start, stop)) for start, stop in zip(starts, stops, strict=True)]
    end = spans[-1][1]
    lines[end:end] = [" " * column + line for line in _dumped(list(added)).split("\n")]
    for (start, stop), old in reversed(list(zip(spans, outdated, strict=True))):
        if old:
            del lines[start:stop]
    return "\n".join(lines)


def _replaced(front: str, wanted: dict[str, Any]) -> str | None:
    """`model-index` written anew, the other keys as they were."""
    import yaml

    root = yaml.compose(front)
    if root.flow_style:
        return None
    lines = front.split("\n")
    starts = [key.start_mark.line for key, _ in root.value]
    at = next(i for i, (key, _) in enumerate(root.value) if key.value == _INDEX)
    stop = _trimmed(lines, starts[at], starts[at + 1] if at + 1 < len(starts) else len(lines))
    return "\n".join([*lines[: starts[at]], _dumped({_INDEX: wanted[_INDEX]}), *lines[stop:]])


def _trimmed(lines: Sequence[str], start: int, stop: int) -> int:
    """`stop` without the blank lines and comments before it."""
    while stop > start + 1 and (not lines[stop - 1].strip() or lines[stop - 1].lstrip().startswith("#")):
        stop -= 1
    return stop


def _place(index: Any, name: str) -> int:
    """Which model of a `model-index`: the one of this name, or else the first.

    Raises:
        InputError: If it is no list of models with results.
    """
    whole = isinstance(index, list) and index
    if not whole or not all(isinstance(one, dict) and isinstance(one.get("results"), list) for one in index):
        raise InputError(
            f"a {_INDEX!r} that is not a list of models with results", "one", "correct the model card first"
        )
    return next((i for i, one in enumerate(index) if one.get("name") == name), 0)


def _ours(result: Any) -> bool:
    """Whether all metrics of a result carry this library's name."""
    metrics = result.get("metrics") if isinstance(result, dict) else None
    if not isinstance(metrics, list) or not metrics:
        return False
    arguments = [one.get("args") if isinstance(one, dict) else None for one in metrics]
    return all(isinstance(args, dict) and str(args.get("tool", "")).split(" ")[0] == _TOOL for args in arguments)


def _of(result: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The task and the data of a result."""
    task, data = result.get("task") or {}, result.get("dataset") or {}
    return task.get("type"), data.get("type"), data.get("name")


def _parsed(front: str) -> dict[str, Any]:
    import yaml

    try:
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(front, Loader=yaml.SafeLoader))
        if aliases > MOST_ALIASES:
            got = f"metadata with {aliases} aliases"
            raise InputError(got, f"at most {MOST_ALIASES}", "correct the model card first")
        data = yaml.safe_load(front)
    except FourierError:
        raise
    except Exception as error:  # beside `YAMLError` what values raise: a date that is none, very deep lists
        got = f"a README whose metadata are not YAML ({' '.join(str(error).split())})"
        raise InputError(got, "YAML between two lines of ---", "correct the model card first") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError(f"metadata that are a {type(data).__name__}", "a map", "correct the model card first")
    return data


def _dumped(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n")


def _child(node: Any, name: str) -> Any:
    return next((value for key, value in node.value if key.value == name), None)
