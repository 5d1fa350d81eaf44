"""Causes of failing forward and backward passes, by their error messages, and what helps against them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_fourier.errors import ModelError
from hf_fourier.results.remarks import WITHOUT_GRADIENTS
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.typing import Tensor

#: The length to which error messages of models are cut.
MAX_ERROR_CHARS = 300
#: Fields of configs that fix sizes of inputs.
_SIZES = (
    "image_size",
    "num_channels",
    "num_frames",
    "num_mel_bins",
    "max_length",
    "max_source_positions",
    "context_length",
    "num_input_channels",
)


@dataclass(frozen=True)
class Failure:
    """A failed pass.

    Attributes:
        message: The error's type and message.
        model: The model, where it is known.
        inputs: Its inputs.
    """

    message: str
    model: torch.nn.Module | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Any:
        """The model's config, or None."""
        return getattr(self.model, "config", None)

    def largest(self, name: str) -> int | None:
        """The largest number of an input, or None where it is not there."""
        found = self.inputs.get(name)
        return int(found.max()) if isinstance(found, Tensor) and found.numel() else None


#: What was expected and what to do; None where it is something else.
Advice = tuple[str, str] | None


@dataclass(frozen=True)
class Cause:
    """One reason why models fail.

    Attributes:
        name: A word or two.
        pattern: The pattern of the error message.
        advise: Returns what was expected and what to do, or None where this is not the cause.
    """

    name: str
    pattern: re.Pattern[str]
    advise: Callable[[Failure, re.Match[str]], Advice]


def refusal(error: Exception, model: torch.nn.Module, inputs: Mapping[str, Any]) -> ModelError:
    """The error for a forward pass that fails: what the model says, and what helps against its cause."""
    shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in inputs.items() if isinstance(value, Tensor))
    failure = Failure(error_text(error), model, inputs)
    expected, do = advice(failure) or (
        "an input that it takes",
        f"do what it says: {type(model).__name__} itself must take this input before it can be explained",
    )
    return ModelError(f"inputs {shapes}, which {type(model).__name__} refuses ({failure.message})", expected, do)


def undifferentiable(error: Exception, model: torch.nn.Module | None) -> ModelError:
    """The error for a backward pass that fails, likewise."""
    failure = Failure(error_text(error), model)
    expected, do = advice(failure) or ("a model that can be differentiated in evaluation mode", WITHOUT)
    return ModelError(f"a model whose backward pass fails ({failure.message})", expected, do)


def differentiate(
    model: torch.nn.Module | None,
    total: Tensor,
    places: Sequence[Any],
    seed: Tensor | None = None,
    retain_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of a model's output at some tensors or edges, None where there is no path.

    Args:
        model: The model, for the error; None where it is not known.
        total: The tensor to differentiate.
        places: Tensors, or edges of the graph.
        seed: The vector of the vector-Jacobian product; None for a total that is one number.
        retain_graph: Whether the graph is kept for further calls.

    Raises:
        ModelError: If the model cannot be differentiated as it is. Running out of memory is passed on.
    """
    try:
        return torch.autograd.grad(total, places, seed, retain_graph=retain_graph, allow_unused=True)
    except Exception as error:  # what models of others raise has no common base
        if is_out_of_memory(error):
            raise
        raise undifferentiable(error, model) from error


def advice(failure: Failure, *names: str) -> Advice:
    """What was expected and what to do, by the first cause that fits; None where none does.

    Args:
        failure: What went wrong.
        names: The causes to consider; none for all.
    """
    for cause in CAUSES:
        match = cause.pattern.search(failure.message) if not names or cause.name in names else None
        if match is not None and (told := cause.advise(failure, match)) is not None:
            return told
    return None


def error_text(error: Exception) -> str:
    """An error's type and message, on one line, cut to `MAX_ERROR_CHARS`."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= MAX_ERROR_CHARS else f"{text[: MAX_ERROR_CHARS - 1]}…"


def _always(expected: str, do: str) -> Callable[[Failure, re.Match[str]], Advice]:
    return lambda failure, match: (expected, do)


def _attention(failure: Failure, match: re.Match[str]) -> Advice:
    """Flex attention is compiled where it runs: where that fails, the compiler need not name it."""
    used = str(getattr(failure.config, "_attn_implementation", ""))
    if match[0].lower() == "backendcompilerfailed" and not used.startswith("flex"):
        return None
    return (
        "attention that can be differentiated on this device",
        'load the model with attn_implementation="sdpa" (or call model.set_attn_implementation("sdpa")); where that '
        'fails, too, with "eager"',
    )


def _tuples(failure: Failure, match: re.Match[str]) -> Advice:
    if getattr(failure.config, "return_dict", True) is not False:
        return None
    return "outputs whose parts have names", "set model.config.return_dict = True"


def _ids(failure: Failure, match: re.Match[str]) -> Advice:
    """Which of the inputs that choose from a table goes beyond it."""
    embeddings = getattr(failure.model, "get_input_embeddings", lambda: None)
    try:
        entries = getattr(embeddings(), "num_embeddings", None)
    except NotImplementedError:
        entries = None
    if "device-side assert" in failure.message:
        do = "run it once with device='cpu', which says which; in this process CUDA takes no more calls"
        return "ids, types and positions within its embedding tables", do
    for name in ("input_ids", "decoder_input_ids"):
        largest = failure.largest(name)
        if largest is not None and entries is not None and largest >= entries:
            expected = f"{name} from 0 to {entries - 1}, the model's vocabulary; the largest is {largest}"
            return expected, f"use the model's own tokenizer, or model.resize_token_embeddings({largest + 1})"
    types, largest = getattr(failure.config, "type_vocab_size", None), failure.largest("token_type_ids")
    if types is not None and largest is not None and largest >= types:
        expected = f"token_type_ids from 0 to {types - 1}; the largest is {largest}"
        return expected, "use the model's own tokenizer, or leave token_type_ids out"
    places, largest = _positions(failure), failure.largest("position_ids")
    if places is not None and largest is not None and largest >= places:
        return f"position_ids from 0 to {places - 1}; the largest is {largest}", "leave position_ids out"
    return None


def _long(failure: Failure, match: re.Match[str]) -> Advice:
    limit = _positions(failure)
    for name in ("input_ids", "decoder_input_ids"):
        ids = failure.inputs.get(name)
        if isinstance(ids, Tensor) and limit is not None and ids.shape[-1] > limit:
            do = f"cut the text: its tokenizer does with truncation=True, max_length={limit}"
            return f"at most {limit} tokens, which it has positions for, not {ids.shape[-1]}", do
    return None


def _positions(failure: Failure) -> int | None:
    """How many tokens have a position of their own; None where that is not read off the model."""
    for name, module in failure.model.named_modules() if failure.model is not None else ():
        own = name.rpartition(".")[2]
        if isinstance(module, torch.nn.Embedding) and (own == "wpe" or ("position" in own and "relative" not in own)):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return getattr(failure.config, "max_position_embeddings", None)


def _missing(failure: Failure, match: re.Match[str]) -> Advice:
    named = ", ".join(re.findall(r"'(\w+)'", failure.message)) or ", ".join(
        name for name in re.findall(r"\b\w+_\w+\b", match.string[match.start() :]) if not name.startswith("_")
    )
    main = next(iter(failure.inputs), "input_ids")
    what = named or "what it asks for"
    return f"{what} as well", f"pass a dict with a row for each example: {{{main!r}: …, {named or '…'!r}: …}}"


def _unexpected(failure: Failure, match: re.Match[str]) -> Advice:
    return f"what its forward takes, without {match[1]!r}", f"leave {match[1]!r} out of the dict"


def _devices(failure: Failure, match: re.Match[str]) -> Advice:
    if any(value.is_meta for value in _weights(failure.model)):
        do = "load its weights with from_pretrained: on the device 'meta' there are none"
        return "weights that hold numbers", do
    places = sorted({str(value.device) for value in _weights(failure.model)}) or ["cpu"]
    do = f'move the whole model to one of them, as by model.to({places[-1]!r}), or load it with device_map="auto"'
    return f"a model on one device, not on {' and '.join(places)}", do


def _types(failure: Failure, match: re.Match[str]) -> Advice:
    found = {str(value.dtype).removeprefix("torch.") for value in _weights(failure.model) if value.is_floating_point()}
    some = f", not of {' and '.join(sorted(found))}" if len(found) > 1 else ""
    return f"weights of one type{some}", 'convert the whole model, as by model.float(), or load it with dtype="float32"'


def _weights(model: torch.nn.Module | None) -> Iterator[Tensor]:
    if model is not None:
        yield from model.parameters()
        yield from model.buffers()


def _shapes(failure: Failure, match: re.Match[str]) -> Advice:
    found = {name: getattr(failure.config, name, None) for name in _SIZES}
    sizes = [f"{name} {value}" for name, value in found.items() if isinstance(value, (int, tuple, list))]
    expected = f"the sizes of the model ({', '.join(sizes)})" if sizes else "sizes that it was made for"
    return expected, "pass what the model's own processor makes of an example, its sizes unchanged"


def _package(failure: Failure, match: re.Match[str]) -> Advice:
    name = re.search(r"No module named '([\w]+)", failure.message) or re.search(
        r"pip install (?:-U )?['\"`]?([\w-]+)", failure.message
    )
    if name is None:
        return "the packages that it needs", "install what it names"
    return f"the package {name[1]!r}, which it needs", f"run `pip install {name[1]}`"


#: How to explain without a backward pass.
WITHOUT = f"{WITHOUT_GRADIENTS}, or another implementation of the model"
_INDEX = r"index out of range|out of bounds|device-side assert|IndexKernel|indexSelect"
_SIZE = (
    r"must match|cannot be multiplied|is invalid for input of size|expected input\S* to have|doesn't match model"
    r"|shape mismatch|size mismatch|[Kk]ernel size can't be|Expected \d+D|not divisible|channel dimension"
)
_TABLE: tuple[tuple[str, str, Callable[[Failure, re.Match[str]], Advice]], ...] = (
    ("attention", r"(?i)flex_?attention|flash_?attention|flash_attn|BackendCompilerFailed", _attention),
    ("package", r"ModuleNotFoundError|ImportError", _package),
    ("tuples", r"'tuple' object has no attribute", _tuples),
    ("missing argument", r"missing \d+ required|[Yy]ou (?:have to|must|need to) (?:specify|provide|pass)", _missing),
    ("unexpected argument", r"unexpected keyword argument '(\w+)'", _unexpected),
    ("ids", _INDEX, _ids),
    ("length", rf"{_INDEX}|{_SIZE}|expanded size", _long),
    ("devices", r"(?i)same device|expected device|on meta tensors|meta tensor|Tensor\) and .* should be", _devices),
    ("types", r"same dtype|expected scalar type|should be the same|not implemented for '(?:Half|BFloat16)'", _types),
    (
        "in place",
        r"modified by an inplace operation|leaf Variable that requires grad|is a view and is being modified",
        _always(
            "a model that does not overwrite what its gradient needs",
            "let its modules work on copies: for m in model.modules(): m.inplace = False; where it does so in its own "
            f"code, {WITHOUT}",
        ),
    ),
    (
        "inference mode",
        r"Inference tensors? cannot be",
        _always("weights that can be differentiated", "load the model outside of torch.inference_mode()"),
    ),
    (
        "recurrent",
        r"cudnn RNN backward",
        _always("a recurrent net that cuDNN does not run", "set torch.backends.cudnn.enabled = False"),
    ),
    (
        "fused attention",
        r"scaled_dot_product\w*attention\w*",
        _always("attention that can be differentiated", 'load the model with attn_implementation="eager"'),
    ),
    (
        "no backward",
        r"derivative for|not differentiable|once_differentiable|backward or vjp|not support (?:automatic|backward)",
        _always("operations that have a gradient", WITHOUT),
    ),
    ("shapes", _SIZE, _shapes),
)
#: In order: the first that fits is reported.
CAUSES = tuple(Cause(name, re.compile(said), advise) for name, said, advise in _TABLE)
