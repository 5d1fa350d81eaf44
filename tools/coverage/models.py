"""Small models with fresh weights, of any pair, and what they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from hf_fourier.typing import Tensor
from tools.coverage.fixes import FIXES
from tools.coverage.inputs import inputs_for
from tools.coverage.pairs import Pair
from tools.coverage.shrinking import small

#: A model with more weights is not built.
MOST_WEIGHTS = 150_000_000
#: What stands for a mask where the config names none; no text of ours has it.
MASK = 7
#: Classes of every classifier.
CLASSES = 3


@dataclass(frozen=True, eq=False)
class Made:
    """A model that runs.

    Attributes:
        model: In evaluation mode, float32.
        inputs: What it reads, with a batch axis.
        how: How its config was made small: "small", or "shallow" where only its depth was.
    """

    model: torch.nn.Module
    inputs: dict[str, Tensor]
    how: str


def make(pair: Pair, seed: int = 0) -> Made:
    """A small model of a pair, the first way that gives one that runs.

    Raises:
        Exception: What the first way raised, where none does.
    """
    first: Exception | None = None
    for how in ("small", "shallow"):
        try:
            model = build(pair, how == "shallow", seed)
            inputs = inputs_for(model, pair)
            enliven(model, inputs, seed)
            with torch.no_grad():
                model(**inputs)
            return Made(model, inputs, how)
        except Exception as error:  # whatever config and model classes raise
            first = first or error
    assert first is not None
    raise first


def build(pair: Pair, shallow: bool = False, seed: int = 0) -> torch.nn.Module:
    """The model, its weights drawn from `seed` without touching the global generator.

    Raises:
        ValueError: If it is too large.
    """
    import transformers

    config_class: Any = transformers.CONFIG_MAPPING[pair.model_type]
    cls: Any = getattr(transformers, pair.cls)
    fix = FIXES.get(pair.model_type)
    changes = dict(fix.changes) if fix else {}
    classes = 2 if pair.task == "question-answering" else CLASSES
    expected = getattr(cls, "config_class", config_class)
    config = small(config_class, changes, shallow)
    if expected is not None and not isinstance(config, expected):
        part = next((p for p in vars(config).values() if isinstance(p, expected)), None)
        config = config if part is None else part
    if (
        "classification" in pair.task
        or "question" in pair.task
        or "segmentation" in pair.task
        or "detection" in pair.task
    ):
        config.num_labels = classes
    if pair.task == "fill-mask" and getattr(config, "mask_token_id", None) is None:
        config.mask_token_id = MASK
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 0
    text = config.get_text_config()
    if getattr(text, "vocab_size", None) and getattr(text, "pad_token_id", None) is None:
        text.pad_token_id = 0
        config.pad_token_id = 0
    with torch.device("meta"):
        weights = sum(p.numel() for p in cls._from_config(config).parameters())
    if weights > MOST_WEIGHTS:
        raise ValueError(f"{weights / 1e6:.0f} million weights, more than {MOST_WEIGHTS // 10**6}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: torch.nn.Module = cls._from_config(config).float().eval()
    return model


def enliven(model: torch.nn.Module, inputs: dict[str, Tensor] | None = None, seed: int = 0) -> None:
    """Weights with which outputs differ visibly and no gradient underflows.

    Default weights are so small that deep convolutional nets say the same of every picture: Kaiming weights, and batch
    norms that have seen the signal, do not.
    """
    numbers = torch.Generator().manual_seed(seed)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    convolutions = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, convolutions) and module.weight.ndim > 1:
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=numbers)
            elif isinstance(module, torch.nn.Linear):
                module.weight.normal_(std=max(1, module.in_features) ** -0.5, generator=numbers)
            elif isinstance(module, torch.nn.Embedding):
                module.weight.normal_(std=0.5, generator=numbers)
                if module.padding_idx is not None:
                    module.weight[module.padding_idx].zero_()
        for parameter in model.parameters():
            if parameter.is_floating_point() and not bool(
                parameter.any()
            ):  # scales that begin at 0 hide what they scale
                parameter.normal_(std=0.1, generator=numbers)
        size, experts = _tables(model)
        for buffer in [*model.buffers(), *model.parameters()]:
            if not buffer.is_floating_point() and buffer.ndim == 2 and len(buffer) == size:  # which experts a token has
                buffer.copy_(torch.randint(0, experts, buffer.shape, generator=numbers))
    if not norms or inputs is None:
        return
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.momentum = 1.0
    try:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            model(**inputs)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()


def _tables(model: torch.nn.Module) -> tuple[int | None, int]:
    """The size of a vocabulary, and how many experts there are."""
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    counts = [getattr(text, name, None) for name in ("n_routed_experts", "num_experts", "num_local_experts")]
    return getattr(text, "vocab_size", None), next((n for n in counts if isinstance(n, int) and n), 1)
