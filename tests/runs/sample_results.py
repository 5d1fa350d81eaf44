"""A tiny model over texts of several lengths, and runs of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hf_fourier import FourierExplainer
from hf_fourier.runs import Results
from tests.models import tiny_models, tiny_tokenizers

PLAY = (0.1, 0.3)


def explainer(task: str = "text-classification", which: str = "bert") -> FourierExplainer:
    """The same weights each time."""
    return FourierExplainer(
        tiny_models.build(task, which), tiny_tokenizers.tokenizer("bert" if which == "bert" else "gpt"), name=which
    )


def texts(count: int = 40) -> list[str]:
    """Texts of five lengths."""
    return tiny_tokenizers.texts(count, lengths=(7, 12, 5, 20, 9))


def run(data: Any, folder: Path, explain: FourierExplainer | None = None, **options: Any) -> Results:
    """A quiet run in small chunks."""
    chosen = {"chunk": 4, "fractions": PLAY, "progress": False, **options}
    return (explain or explainer()).explain_dataset(data, folder, **chosen)


def digests(folder: Path) -> dict[str, str]:
    """Of every data shard and every part of the plan, by their paths in the folder."""
    found = [path for place in ("shards", "plan") for path in (folder / place).rglob("*.safetensors")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)}
