"""Encoded examples from raw examples or from stored results, and one target for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from hf_fourier.errors import FourierError, InputError
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.inputs.examples import listed
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.targets import Target

#: Examples that go through the processor in one call, at most.
TOGETHER = 32


def encode(wrapper: ModelWrapper, example: Any) -> tuple[bool, list[EncodedExample]]:
    """Encode one example or several, and return whether several were given.

    Raises:
        InputError: If there are none, or one cannot be encoded; its index stands in the message and in a note.
    """
    given = listed(example, wrapper)
    if given is None:
        return True, wrapper.encode_batch(example)
    many, examples = given
    if not many:
        return False, [wrapper.encode(examples[0])]
    if not examples:
        raise InputError("an empty list", "at least one example", "pass examples")
    encoded: list[EncodedExample] = []
    for start in range(0, len(examples), TOGETHER):
        encoded += _encode_some(wrapper, examples[start : start + TOGETHER], start)
    return True, encoded


def _encode_some(wrapper: ModelWrapper, examples: Sequence[Any], first: int) -> list[EncodedExample]:
    """Encode a few examples, together where the wrapper can; the message of an error names the bad one."""
    try:
        together = wrapper.encode_together(examples)
    except Exception:  # one by one the bad example raises again, with its index
        together = None
    if together is not None:
        return together
    encoded = []
    for i, raw in enumerate(examples, start=first):
        try:
            encoded.append(wrapper.encode(raw))
        except FourierError as error:
            error.add_note(f"this is example {i} of the list")
            error.args = (f"example {i}: {error.args[0]}",)
            raise
    return encoded


def encode_single(wrapper: ModelWrapper, example: Any) -> EncodedExample:
    """Encode exactly one example.

    Raises:
        InputError: If there are several or none, or it cannot be encoded.
    """
    encoded = encode(wrapper, example)[1]
    if len(encoded) != 1:
        raise InputError(f"{len(encoded)} examples", "one", "call predict for each of them")
    return encoded[0]


def restore(wrapper: ModelWrapper, result: Attribution) -> EncodedExample:
    """The encoded example that a result explains.

    Raises:
        InputError: If it is no result of this kind of model, or was saved without its example.
    """
    if not isinstance(result, Attribution):
        got = f"a {type(result).__name__}"
        raise InputError(got, "a result of explain", "call explain first, and pass what it returns")
    if result.signal is None:
        raise InputError("a compact result", "one with its example", "save it without compact=True")
    task, kind = result.provenance.get("task"), result.layout.signal.kind
    if task != wrapper.task or kind not in wrapper.signal_kinds:
        expected = f"one of {' or '.join(wrapper.signal_kinds)} for {wrapper.task}"
        raise InputError(f"a result of {kind} for {task}", expected, "pass it to its own model")
    inputs = {name: tensor for name, tensor in result.inputs.items() if name != "content"}
    content = result.inputs.get("content")
    values, group = None if content is not None else result.signal, wrapper.batch_group(inputs)
    names, view = tuple(result.names), result.view
    return EncodedExample(result.layout.signal, inputs, values, content, names, view, batch_group=group)


def restore_all(
    wrapper: ModelWrapper, results: Iterable[Attribution]
) -> tuple[list[Attribution], list[EncodedExample]]:
    """Results as a list, and the encoded examples that they explain; errors as for `restore`."""
    try:
        listed_results = list(results)
    except TypeError as error:
        got = f"a {type(results).__name__} as attributions"
        raise InputError(got, "results of explain", "call explain first, and pass what it returns") from error
    return listed_results, [restore(wrapper, result) for result in listed_results]


def one_target_each(target: Target, targets: Sequence[Target] | None, examples: int) -> list[Target]:
    """One target per example: `targets`, or `target` for all.

    Raises:
        InputError: If both are given, or there is not one target for each example.
    """
    if targets is not None and target is not None:
        raise InputError("target and targets", "one of the two", "leave one out")
    if targets is not None and (isinstance(targets, (str, Mapping)) or not hasattr(targets, "__iter__")):
        raise InputError(f"targets {targets!r}", "a sequence with one target per example", "for one use `target`")
    each = [target] * examples if targets is None else list(targets)
    if len(each) != examples:
        raise InputError(f"{len(each)} targets for {examples} examples", "one per example", "correct `targets`")
    return each


def pipeline_processor(pipeline: Any) -> Any:
    """The processor of a `transformers` pipeline: its only part, or a tokenizer and the others; or None."""
    names = ("image_processor", "tokenizer", "feature_extractor")
    parts = {name: part for name in names if (part := getattr(pipeline, name, None)) is not None}
    several = len(parts) > 1 and "tokenizer" in parts
    return SimpleNamespace(**parts) if several else next(iter(parts.values()), None)
