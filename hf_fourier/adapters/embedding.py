"""The leaf of token models: the output of the embedding module, replaced while the ids still go in.

Feeding `inputs_embeds` instead changes the answer of many models (positions counted from the ids, token dropout, the
search for the last token that is not padding). Replacing the module's output does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from hf_fourier.errors import ModelError
from hf_fourier.typing import Float, Int, Tensor

Replace = Callable[[Tensor], Tensor]


class EmbeddingSwap:
    """Finds the module that embeds the input ids, and replaces what it says during one forward pass.

    Args:
        model: The model; nothing of it is changed but for a hook during a call.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self._module = _declared(model)

    @property
    def known(self) -> bool:
        """Whether a module was declared or found."""
        return self._module is not None

    @property
    def entries(self) -> int | None:
        """How many ids the module knows, if it says so."""
        return getattr(self._module, "num_embeddings", None)

    def embed(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length hidden"]:
        """What the module says of `ids`, without a gradient.

        Raises:
            ModelError: If there is no such module.
        """
        if self._module is None:
            raise _no_module(self.model)
        with torch.no_grad():
            said = self._module(ids)
        if not isinstance(said, Tensor) or said.ndim != 3 or said.shape[:2] != ids.shape:
            raise _no_module(self.model)
        return said.detach()

    def locate(self, run: Callable[[], Any], ids: Int[Tensor, "rows length"]) -> None:
        """Run the model once and take the `nn.Embedding` that was asked for `ids`, where the declared one was not.

        Args:
            run: Runs the model on `ids`.
            ids: The input ids.

        Raises:
            ModelError: If no module embeds the ids, or another one than declared does and says something else.
        """
        found: list[torch.nn.Module] = []

        def watch(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if _way(_asked(args, kwargs), ids) and isinstance(output, Tensor) and output.ndim == 3:
                found.append(module)

        embeddings = [m for m in self.model.modules() if isinstance(m, torch.nn.Embedding)]
        handles = [module.register_forward_hook(watch, with_kwargs=True) for module in embeddings]
        try:
            with torch.no_grad():
                run()
        finally:
            for handle in handles:
                handle.remove()
        if not found:
            raise _no_module(self.model)
        declared, self._module = self._module, found[0]
        if declared is not None and declared is not found[0]:
            with torch.no_grad():
                same = torch.equal(declared(ids), found[0](ids))
            if not same:
                raise ModelError(
                    f"{type(self.model).__name__}, whose get_input_embeddings() is not what embeds its ids",
                    "the module that embeds the input ids",
                    "correct get_input_embeddings(), or explain it through attribute(forward, x)",
                )

    @contextmanager
    def replaced(self, ids: Int[Tensor, "rows length"], replace: Replace) -> Iterator[list[int]]:
        """Inside, the embedding of exactly these ids (and of padding behind them) is passed through `replace`.

        Yields:
            A list that holds one entry per replacement: empty means that the module was not asked.
        """
        calls: list[int] = []

        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
            way = _way(_asked(args, kwargs), ids)
            if way is None:
                return output
            calls.append(1)
            return replace(output) if way == "rows" else replace(output.transpose(0, 1)).transpose(0, 1)

        if self._module is None:
            yield calls
            return
        handle = self._module.register_forward_hook(hook, with_kwargs=True)
        try:
            yield calls
        finally:
            handle.remove()


def _declared(model: torch.nn.Module) -> torch.nn.Module | None:
    """The module that the model says embeds its input ids: the encoder's where there is one."""
    config = getattr(model, "config", None)
    owner: Any = model
    if getattr(config, "is_encoder_decoder", False) and hasattr(model, "get_encoder"):
        owner = model.get_encoder()  # type: ignore[operator]
    try:
        module = owner.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return module if isinstance(module, torch.nn.Module) else None


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)


def _way(given: Any, ids: Tensor) -> Literal["rows", "columns"] | None:
    """How a module was asked for `ids`: a row per example, a column per example (XLNet), or not at all.

    Models that work in windows append padding to each example before they embed it (Longformer): what is longer than
    the ids and begins with them counts.
    """
    if not isinstance(given, Tensor) or given.ndim != 2 or given.is_floating_point():
        return None
    ids = ids.to(given.device)
    rows, length = ids.shape
    if given.shape[0] == rows and given.shape[1] >= length and torch.equal(given[:, :length], ids):
        return "rows"
    if given.shape[1] == rows and given.shape[0] >= length and torch.equal(given[:length].T, ids):
        return "columns"
    return None


def _no_module(model: torch.nn.Module) -> ModelError:
    return ModelError(
        f"{type(model).__name__}, in which no embedding module takes the input ids",
        "a model that embeds its tokens with a module",
        "explain it through attribute(forward, x) on a tensor of your choice",
    )
