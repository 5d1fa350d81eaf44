"""Checkpoints of PEFT: adapters on top of a base model that lies elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hf_fourier.errors import MissingExtraError, ModelError
from hf_fourier.models.checkpoint import PICKLES, SAFE, commit_of, file_exists, file_of
from hf_fourier.models.inspection import device_of
from hf_fourier.torch_state import taken

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
#: The pipeline's names of heads, by PEFT's.
TASKS = {
    "SEQ_CLS": "text-classification",
    "SEQ_2_SEQ_LM": "text2text-generation",
    "CAUSAL_LM": "text-generation",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "FEATURE_EXTRACTION": "feature-extraction",
}
#: The prefix of the base model's own weights.
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class PeftConfig:
    """An adapter that PEFT wrote.

    Attributes:
        folder: Where its files lie on this machine.
        config: Its `peft.PeftConfig`.
        commit: The commit of its revision; None for a folder.
    """

    folder: Path
    config: Any
    commit: str | None = None

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

    @property
    def is_untrained(self) -> bool:
        """Whether it has no weights at all."""
        return self.pickled and not (self.folder / PICKLE).is_file()

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its tensors, those that replace the base model's own under their names there."""
        from safetensors import safe_open

        if self.pickled:  # and there is consent
            tensors = torch.load(self.folder / PICKLE, map_location="cpu", weights_only=True)
            found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        else:
            with safe_open(self.folder / WEIGHTS, "pt") as file:
                found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return {name.removeprefix(_PREFIX): shape for name, shape in found.items()}

    def classes(self, blank: torch.nn.Module, expected: int) -> int | None:
        """How many classes its own head has; None where it has none.

        Args:
            blank: The base model with a head of the expected size; its shapes are read.
            expected: That size.
        """
        for name, own in blank.state_dict().items():
            shape = self.shapes.get(name)
            if shape and own.shape[:1] == (expected,) and shape[1:] == own.shape[1:]:
                return shape[0]
        return None

    def load_onto(self, model: torch.nn.Module) -> torch.nn.Module:
        """The base model with the adapter attached.

        Raises:
            ModelError: If weights of the adapter are missing, or are of another model.
        """
        import peft

        where: dict[str, Any] = {} if hasattr(model, "hf_device_map") else {"torch_device": str(device_of(model))}
        with taken(warnings), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # which is an error below
            tuned = peft.PeftModel.from_pretrained(model, str(self.folder), **where)
        expected = peft.get_peft_model_state_dict(tuned, save_embedding_layers=False)
        missing = [name for name in expected if name.removeprefix(_PREFIX) not in self.shapes]
        if missing:
            names = ", ".join(missing[:2]) + (", …" if len(missing) > 2 else "")
            count = f"{len(missing)} of {len(expected)}"
            got = f"the adapter {self.folder.name!r}, in which {count} weights are not ({names})"
            do = "pass the task= that it was trained for, or save it again"
            raise ModelError(got, f"an adapter for {type(model).__name__}", do)
        return tuned


def read_peft_config(source: str, where: Mapping[str, Any]) -> PeftConfig | None:
    """The adapter that a Hub id or a folder holds; None where it holds a whole model, or nothing.

    The weights are of the commit that its config is of.

    Args:
        source: The Hub id or the folder.
        where: Subfolder, revision and other options of the Hub.

    Raises:
        MissingExtraError: If it is an adapter, and PEFT is not installed.
    """
    found = file_of(source, CONFIG, where)
    if found is None or any(file_exists(source, name, where) for name in (*SAFE, *PICKLES)):
        return None
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "peft", "models that are adapters on top of another") from error
    commit = commit_of(source, CONFIG, where)
    pinned = {**where, "revision": commit} if commit else where
    if file_of(source, WEIGHTS, pinned) is None:
        file_of(source, PICKLE, pinned)
    return PeftConfig(Path(found).parent, peft.PeftConfig.from_pretrained(str(Path(found).parent)), commit)
