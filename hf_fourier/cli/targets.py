"""Targets as they are typed: a label, a class index, or a kind with what belongs to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_fourier.errors import InputError, TargetError
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Direction, Position, Region, Typed


def parse_targets(text: str) -> Any:
    """The value of `--target` as the explainer takes it.

    `at:POSITION[=LABEL]`, `span:FIRST-LAST`, `continuation:TEXT`, `contrast:THIS|OTHER`, `direction:FILE[@THRESHOLD]`,
    `region:FILE`; anything else is a class index or a label. A text keeps the space that it begins with. A number is a
    class index where no label is written so; `index:3` and `label:3` leave no doubt, within a contrast or behind
    `at:` too.

    Raises:
        TargetError: If a kind does not have what belongs to it.
        InputError: If a file cannot be read.
    """
    kind, colon, rest = text.partition(":")
    make = _KINDS.get(kind) if colon else None
    return parse_target(text) if make is None else make(rest)


def parse_target(text: str) -> Any:
    """A class index, a label, or a number that may be either.

    Raises:
        TargetError: If there is no number behind `index:`.
    """
    kind, colon, rest = text.partition(":")
    number = _NUMBER.fullmatch(rest if colon and kind == "index" else text)
    if colon and kind == "label" and rest:
        return rest
    if colon and kind == "index":
        if number is None:
            raise TargetError(text, "index:NUMBER", "write the class index after it")
        return int(rest)
    return Typed(text) if number else text


def _at(rest: str) -> Position:
    position, equals, label = rest.rpartition("=") if "=" in rest else (rest, "", "")
    if not position or (equals and not label):
        raise TargetError(f"at:{rest}", "at:POSITION or at:POSITION=LABEL", "name a token or count it from 0")
    return Position(parse_target(position), parse_target(label) if equals else None)


def _span(rest: str) -> AnswerSpan:
    first, dash, last = rest.partition("-")
    if not (dash and _NUMBER.fullmatch(first) and _NUMBER.fullmatch(last)):
        raise TargetError(f"span:{rest}", "span:FIRST-LAST, two token numbers", "count content tokens from 0")
    return AnswerSpan(int(first), int(last))


def _continuation(rest: str) -> Continuation:
    if not rest:
        raise TargetError("continuation: without a text", "continuation:TEXT", "write the text that follows")
    return Continuation(rest)


def _contrast(rest: str) -> Contrast:
    this, bar, other = rest.partition("|")
    if not (bar and this and other):
        raise TargetError(f"contrast:{rest}", "contrast:THIS|OTHER", "put a | between the two")
    return Contrast(parse_target(this), parse_target(other))


def _direction(rest: str) -> Direction:
    name, at, threshold = rest.rpartition("@") if "@" in rest else (rest, "", "")
    try:
        edge = float(threshold) if at else None
    except ValueError as error:
        do = "write the threshold, the cosine at which the decision changes, as in direction:VECTOR.npy@0.5"
        raise TargetError(f"direction:{rest}", "direction:FILE[@THRESHOLD], the threshold a number", do) from error
    return Direction(_array(name), edge)


def _array(name: str) -> Any:
    from hf_fourier.models.inputs.files import read_array
    from hf_fourier.typing import tensor_of

    try:
        return tensor_of(read_array(Path(name)))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{Path(name).name!r}, which cannot be read", "numbers in a .npy file", "save them with numpy.save"
        ) from error


_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_KINDS: dict[str, Callable[[str], Any]] = {
    "at": _at,
    "span": _span,
    "continuation": _continuation,
    "contrast": _contrast,
    "direction": _direction,
    "region": lambda rest: Region(_array(rest)),
}
