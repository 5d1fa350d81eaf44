"""Digests of what decides a run's results: weights, labels, processor, examples; and whether a later call has the same.

A digest is the same in every process and on every device, and holds no path and nothing that is set on first use.
"""

from __future__ import annotations

from typing import Any

import xxhash

from hf_fourier.errors import InputError
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.calls import FunctionModule
from hf_fourier.models.inputs.sources import SourceItem
from hf_fourier.models.network import NetworkWrapper
from hf_fourier.runs.content_digest import feed
from hf_fourier.runs.function_digest import Unreadable, function_digest, is_processor
from hf_fourier.runs.packing import UNKNOWN
from hf_fourier.runs.weights_digest import weights_digest

#: The digests of labels, processors and examples that runs of this version hold; those of earlier ones are others.
KIND = "xxh3"
#: The digest of a model or a processor that cannot be read, in a run that nobody goes on with.
UNREAD = "unread"


def model_identity(wrapper: ModelWrapper, temporary: bool = False) -> str:
    """A digest of a model's weights, and of the code of a function in front of them; or the name that it was given.

    Args:
        wrapper: The model.
        temporary: Whether the run's folder is deleted afterwards; then nothing has to be known again.

    Raises:
        InputError: If it is a function that cannot be read as a whole, without a name.
    """
    if temporary:
        return UNREAD
    identity = wrapper.identity
    if identity is not None:
        return identity
    digest = weights_digest(wrapper.model)
    if not isinstance(wrapper.model, FunctionModule):
        return digest
    try:
        return f"{digest}+{function_digest(wrapper.model.function, wrapper.model.parts.modules())}"
    except Unreadable as error:
        raise _unnamed("a function", error) from error


def processor_identity(wrapper: ModelWrapper, temporary: bool = False) -> str:
    """A digest of a model's processor, or of the function `preprocess` in front of a network.

    Args:
        wrapper: The model.
        temporary: As for `model_identity`.

    Raises:
        InputError: If `preprocess` cannot be read as a whole, and there is no `version`.
    """
    if not isinstance(wrapper, NetworkWrapper):
        return _content_digest(wrapper.processor)
    try:
        return UNREAD if temporary else digest_of(wrapper.processor)
    except Unreadable as error:
        if wrapper.version is None:
            raise _unnamed("`preprocess`", error) from error
        return f"version:{wrapper.version}"


def _unnamed(what: str, error: Unreadable) -> InputError:
    got = f"{what} that holds {error}, which cannot be read and checked when a run resumes"
    do = "name both: FourierExplainer(model, preprocess, version='2026-01', …), and change the name when they change"
    return InputError(got, "a name for it, so that a resumed run can check it", do)


def digest_of(value: Any) -> str:
    """A digest of a processor, of labels or of an example: of what it holds, not of which object it is.

    Args:
        value: Plain values, arrays, tensors, pictures, paths (of which the file is read), tokenizers and processors of
            `transformers`, dataclasses, and objects with attributes of these; functions, modules and other callables,
            which are read by `function_digest`.

    Raises:
        Unreadable: If a callable holds what cannot be read.
    """
    return function_digest(value) if callable(value) and not is_processor(value) else _content_digest(value)


def _content_digest(value: Any) -> str:
    result = xxhash.xxh3_128()
    feed(result.update, value, 0)
    return result.hexdigest()


def example_digest(item: SourceItem) -> str:
    """The digest of an example and its target as they were read; `UNKNOWN` where it could not be read."""
    if item.error is not None:
        return UNKNOWN
    try:
        return digest_of((item.example, item.target))
    except Exception:  # whatever an example of others raises when it is looked at: it is explained, or fails, as it is
        return UNKNOWN
