"""Checkpoints of PEFT: a few trained weights, which go on top of a base model that lies elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hf_fourier.errors import MissingExtraError

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
#: PEFT's names of tasks, by the pipeline's.
TASKS = {
    "SEQ_CLS": "text-classification",
    "SEQ_2_SEQ_LM": "text2text-generation",
    "CAUSAL_LM": "text-generation",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "FEATURE_EXTRACTION": "feature-extraction",
}
#: What stands before the names of the base model's own weights.
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Tuning:
    """An adapter that PEFT wrote.

    Attributes:
        folder: Where its files lie on this machine.
        config: Its `peft.PeftConfig`.
    """

    folder: Path
    config: Any

    @property
    def base(self) -> str:
        """The Hub id or the folder of the model that it goes on top of, as it was when the adapter was trained."""
        return str(self.config.base_model_name_or_path)

    @property
    def revision(self) -> str | None:
        """The base model's revision."""
        return self.config.revision

    @property
    def task(self) -> str | None:
        """The pipeline's name of the head, where PEFT's own says it."""
        return TASKS.get(str(getattr(self.config.task_type, "value", self.config.task_type)))

    @property
    def head(self) -> str | None:
        """The class of the model that was tuned, where it is written down."""
        return (self.config.auto_mapping or {}).get("base_model_class")

    @property
    def pickled(self) -> bool:
        """Whether its weights are a pickle."""
        return not (self.folder / WEIGHTS).is_file()

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its tensors, those that replace the base model's own under their names there."""
        from safetensors import safe_open

        if self.pickled:
            return {}
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return {name.removeprefix(_PREFIX): shape for name, shape in found.items()}

    def classes(self, blank: torch.nn.Module, expected: int) -> int | None:
        """How many classes its head has, where that is not as many as expected; otherwise None.

        Args:
            blank: The base model with a head of the expected size; its shapes are read.
            expected: That size.
        """
        for name, own in blank.state_dict().items():
            shape = self.shapes.get(name, tuple(own.shape))
            if shape[:1] != own.shape[:1] == (expected,) and shape[1:] == own.shape[1:]:
                return shape[0]
        return None

    def on_top_of(self, model: torch.nn.Module) -> torch.nn.Module:
        """The base model with the adapter attached."""
        import peft

        return peft.PeftModel.from_pretrained(model, str(self.folder))


def tuning_of(source: str, where: Mapping[str, Any]) -> Tuning | None:
    """The adapter that a Hub id or a folder holds; None where it holds a whole model, or nothing.

    Args:
        source: The Hub id or the folder.
        where: What of it: subfolder, revision and what else goes to the Hub.

    Raises:
        MissingExtraError: If it is an adapter, and PEFT is not installed.
    """
    if file_of(source, "config.json", where) is not None:
        return None
    found = file_of(source, CONFIG, where)
    if found is None:
        return None
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "peft", "models that are adapters on top of another") from error
    if file_of(source, WEIGHTS, where) is None:
        file_of(source, PICKLE, where)
    return Tuning(Path(found).parent, peft.PeftConfig.from_pretrained(str(Path(found).parent)))


def file_of(source: str, name: str, where: Mapping[str, Any]) -> str | None:
    """Where a file of a checkpoint lies on this machine, fetched if need be; None where there is none."""
    from transformers.utils import cached_file

    folder = Path(source)
    if folder.is_dir():
        path = folder / where["subfolder"] / name
        return str(path) if path.is_file() else None
    own = {key: value for key, value in where.items() if key != "trust_remote_code"}
    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    try:
        return cached_file(source, name, **own, **quiet)
    except OSError:  # there is no such repository, which is said where a whole model is looked for
        return None
