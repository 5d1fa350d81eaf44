"""What the tests of real models share."""

from __future__ import annotations

from pathlib import Path

import torch


def load(kind: str, folder: Path, **options: object) -> torch.nn.Module:
    """A model by its Auto class, from safetensors, with no key missing or left over, in eval mode."""
    import transformers

    model, info = getattr(transformers, kind).from_pretrained(
        folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
    )
    assert not any(info.values()), info
    return model.eval()


def tokenizer(folder: Path) -> object:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
