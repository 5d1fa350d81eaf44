"""The pairs of an architecture and a head that the installed `transformers` knows and an adapter claims to explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hf_fourier.errors import InputError


@dataclass(frozen=True, order=True)
class Pair:
    """One architecture with one head.

    Attributes:
        task: The pipeline's name of the head.
        model_type: The architecture, as its config names it.
        cls: The class of `transformers`.
    """

    task: str
    model_type: str
    cls: str

    @property
    def name(self) -> str:
        """As a file may be called."""
        return f"{self.task}--{self.model_type}"


def pairs(task: str | None = None, model_type: str | None = None) -> list[Pair]:
    """All pairs, or those of one head, of one architecture.

    Raises:
        InputError: If there is none.
    """
    from transformers.models.auto import modeling_auto

    from hf_fourier.models.loading import heads

    found = []
    for name, head in heads().items():
        mapping: dict[str, Any] = getattr(modeling_auto, head.mapping, {}) if head.mapping else {}
        for kind, listed in mapping.items():
            names = listed if isinstance(listed, (tuple, list)) else (listed,)
            # Of several classes the first is what the Auto class takes where a config names none.
            found.append(Pair(name, kind, names[0]))
    chosen = [p for p in found if task in (None, p.task) and model_type in (None, p.model_type)]
    if not chosen:
        got = " ".join(filter(None, (model_type, task and f"with {task}")))
        raise InputError(got, "an architecture of transformers (`config.model_type`) with a head", "correct its name")
    return sorted(chosen)
