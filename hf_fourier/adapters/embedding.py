"""The leaf of token models: the output of the embedding module, replaced while the ids still go in.

Feeding `inputs_embeds` instead changes the answer of many models (positions counted from the ids, token dropout, the
search for the last token that is not padding). Replacing the module's output does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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

    def embed(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length hidden"]:
        """What the module says of `ids`, without a gradient."""
        if self._module is None:
            raise _no_module(self.model)
        with torch.no_grad():
            return self._module(ids).detach()

    def locate(self, run: Callable[[], Any], ids: Int[Tensor, "rows length"]) -> None:
        """Run the model once and take the `nn.Embedding` whose input equals `ids`, if the declared one is not it.

        Args:
            run: Runs the model on `ids`.
            ids: The input ids.

        Raises:
            ModelError: If no module embeds the ids.
        """
        found: list[torch.nn.Module] = []

        def watch(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and _same(args[0], ids) and isinstance(output, Tensor) and output.ndim == 3:
                found.append(module)

        embeddings = [m for m in self.model.modules() if isinstance(m, torch.nn.Embedding)]
        handles = [module.register_forward_hook(watch) for module in embeddings]
        try:
            with torch.no_grad():
                run()
        finally:
            for handle in handles:
                handle.remove()
        if not found:
            raise _no_module(self.model)
        self._module = found[0]

    @contextmanager
    def replaced(self, ids: Int[Tensor, "rows length"], replace: Replace) -> Iterator[list[int]]:
        """Inside, the embedding of exactly these ids is passed through `replace`.

        Yields:
            A list that holds one entry per replacement: empty means that the module was not asked.
        """
        calls: list[int] = []

        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
            given = args[0] if args else next(iter(kwargs.values()), None)
            if not _same(given, ids):
                return output
            calls.append(1)
            return replace(output)

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


def _same(given: Any, ids: Tensor) -> bool:
    if not isinstance(given, Tensor) or given.shape != ids.shape or given.is_floating_point():
        return False
    return bool(torch.equal(given, ids.to(given.device)))


def _no_module(model: torch.nn.Module) -> ModelError:
    return ModelError(
        f"{type(model).__name__}, in which no embedding module takes the input ids",
        "a model that embeds its tokens with a module",
        "explain it through attribute(forward, x) on a tensor of your choice",
    )
