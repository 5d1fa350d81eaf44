"""The signal of token models: the output of the embedding module, replaced while the ids still go in.

Feeding `inputs_embeds` instead changes the answer of many models (positions counted from the ids, token dropout, the
search for the last token that is not padding). Replacing the module's output does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from hf_fourier.errors import ModelError
from hf_fourier.scoring.compiled_calls import compiled_calls
from hf_fourier.torch_state import theirs
from hf_fourier.typing import Float, Int, Tensor

Replace = Callable[[Tensor], Tensor]


class EmbeddingHook:
    """Finds the module that embeds the input ids, and replaces its output during one forward pass.

    Args:
        model: The model; only a hook is added, during a call.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self._module = _declared_embedding(model)

    @property
    def known(self) -> bool:
        """Whether a module was declared or found."""
        return self._module is not None

    @property
    def is_table(self) -> bool:
        """Whether it is torch's own, which gives an id the same vector wherever it stands."""
        return type(self._module) is torch.nn.Embedding

    @property
    def entries(self) -> int | None:
        """The size of the module's vocabulary, if it declares one."""
        return getattr(self._module, "num_embeddings", None)

    def embed(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length hidden"]:
        """The embeddings of `ids`, without a gradient.

        Raises:
            ModelError: If there is no such module.
        """
        if self._module is None:
            raise _no_module(self.model)
        with torch.no_grad(), theirs():
            embedded = _embedding_output(self._module(ids.clone()))
        if embedded is None or embedded.shape[:2] != ids.shape:
            raise _no_module(self.model)
        return embedded.detach()

    def locate(self, run: Callable[[], Any], ids: Int[Tensor, "rows length"]) -> None:
        """Run the model once and take the `nn.Embedding` that was called with `ids`, where the declared one was not.

        Args:
            run: Runs the model on `ids`.
            ids: The input ids.

        Raises:
            ModelError: If no module embeds the ids, or another one than declared does, with another output.
        """
        called: list[torch.nn.Module] = []

        def watch(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if _call_layout(_call_argument(args, kwargs), ids) and _embedding_output(output) is not None:
                called.append(module)

        embeddings = [m for m in self.model.modules() if isinstance(m, torch.nn.Embedding) or m is self._module]
        handles = [module.register_forward_hook(watch, with_kwargs=True) for module in embeddings]
        try:
            with torch.no_grad(), compiled_calls.unused(self.model):
                run()
        finally:
            for handle in handles:
                handle.remove()
        if not called:
            raise _no_module(self.model)
        declared, self._module = self._module, called[0]
        if declared is not None and declared is not called[0]:
            with torch.no_grad(), theirs():
                first, second = (_embedding_output(module(ids.clone())) for module in (declared, called[0]))
            if first is None or second is None or not torch.equal(first, second):
                raise ModelError(
                    f"{type(self.model).__name__}, whose get_input_embeddings() is not what embeds its ids",
                    "the module that embeds the input ids",
                    "correct get_input_embeddings(), or explain it through attribute(forward, x)",
                )

    @contextmanager
    def replaced(self, ids: Int[Tensor, "rows length"], replace: Replace) -> Iterator[list[int]]:
        """Inside, the embedding of exactly these ids, without what the model puts around them, goes through `replace`.

        Yields:
            A list that holds one entry per replacement: empty means that the module was not called.
        """
        calls: list[int] = []

        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            layout, embedded = _call_layout(_call_argument(args, kwargs), ids), _embedding_output(output)
            if layout is None or embedded is None:
                return output
            calls.append(1)
            rows = embedded.transpose(0, 1) if layout.columns else embedded
            before, content, after = rows.tensor_split((layout.start, layout.start + ids.shape[1]), dim=1)
            parts = [part for part in (before, replace(content), after) if part.shape[1]]
            whole = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
            whole = whole.transpose(0, 1) if layout.columns else whole
            return whole if isinstance(output, Tensor) else (whole, *output[1:])

        if self._module is None:
            yield calls
            return
        handle = self._module.register_forward_hook(hook, with_kwargs=True)
        try:
            with compiled_calls.unused(self.model):
                yield calls
        finally:
            handle.remove()


def _declared_embedding(model: torch.nn.Module) -> torch.nn.Module | None:
    """The module that the model declares as its input embedding: the encoder's where there is one."""
    config = getattr(model, "config", None)
    owner: Any = model
    if getattr(config, "is_encoder_decoder", False) and hasattr(model, "get_encoder"):
        owner = model.get_encoder()  # type: ignore[operator]
    try:
        module = owner.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return module if isinstance(module, torch.nn.Module) else None


def _call_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)


@dataclass(frozen=True)
class _CallLayout:
    """The layout of a call with ids: a row or a column (XLNet) per example, and where the ids start."""

    columns: bool
    start: int


def _call_layout(given: Any, ids: Tensor) -> _CallLayout | None:
    """The layout of a call with `ids`; None for a call with others.

    Models that work in windows append padding to each example before they embed it (Longformer), others put a prompt
    of their own before it (CPM-Ant): an argument that is longer and begins or ends with the ids counts.
    """
    if not isinstance(given, Tensor) or given.ndim != 2 or given.is_floating_point():
        return None
    if _is_the_same(given, ids):
        return _CallLayout(False, 0)
    ids = ids.to(given.device)
    rows, length = ids.shape
    for columns, argument in ((False, given), (True, given.T)):
        more = argument.shape[1] - length
        if argument.shape[0] != rows or more < 0:
            continue
        for start in dict.fromkeys((0, more)):
            if torch.equal(argument[:, start : start + length], ids):
                return _CallLayout(columns, start)
    return None


def _is_the_same(given: Tensor, ids: Tensor) -> bool:
    """Whether it is the ids themselves, or lies where they do: then no number has to be fetched and compared."""
    if given is ids or given.shape != ids.shape or given.device != ids.device:
        return given is ids
    alike = given.dtype == ids.dtype and given.stride() == ids.stride()
    return alike and given.data_ptr() == ids.data_ptr() != 0


def _embedding_output(output: Any) -> Tensor | None:
    """The vectors among an embedding's output: a tensor, or the first of a tuple (I-BERT adds a scale)."""
    vectors = output[0] if isinstance(output, tuple) and output else output
    return vectors if isinstance(vectors, Tensor) and vectors.ndim == 3 else None


def _no_module(model: torch.nn.Module) -> ModelError:
    return ModelError(
        f"{type(model).__name__}, in which no embedding module takes the input ids",
        "a model that embeds its tokens with a module",
        "explain it through attribute(forward, x) on a tensor of your choice",
    )
