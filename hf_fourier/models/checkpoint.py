"""Files of a checkpoint, in a folder or on the Hub, and what is said where one cannot be loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_fourier.errors import ModelError
from hf_fourier.scoring.failures import Failure, advice, error_text

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
#: Weights of a whole model, and those that may run code.
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def display_name(source: Any) -> str:
    """A model's name as it may be stored: a Hub id whole, of a local path only the last part."""
    text = str(source or "")
    local = os.path.exists(text) or Path(text).is_absolute() or "\\" in text
    return Path(text.replace("\\", "/")).name if local else text


def file_of(source: str, name: str, where: Mapping[str, Any]) -> str | None:
    """Where a file of a checkpoint lies on this machine, fetched if need be; None where there is none."""
    from transformers.utils import cached_file

    folder = Path(source)
    if os.path.isdir(folder):
        path = folder / where["subfolder"] / name
        return str(path) if os.path.isfile(path) else None
    own = {key: value for key, value in where.items() if key != "trust_remote_code"}
    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    try:
        return cached_file(source, name, **own, **quiet)
    except OSError:  # there is no such repository, which is said where a whole model is looked for
        return None


def file_exists(source: str, name: str, where: Mapping[str, Any]) -> bool:
    """Whether a checkpoint holds a file, which is not fetched."""
    from transformers.utils.hub import has_file

    own = {key: where[key] for key in ("revision", "token", "proxies", "cache_dir", "local_files_only") if key in where}
    return bool(has_file(source, f"{where['subfolder']}/{name}".lstrip("/"), **own))


def commit_of(source: str, name: str, where: Mapping[str, Any]) -> str | None:
    """The commit that a Hub id and its revision stand for, by one of its files; None for a folder, or if not known."""
    from transformers.utils.hub import extract_commit_hash

    if os.path.isdir(source):
        return None
    return extract_commit_hash(file_of(source, name, {k: v for k, v in where.items() if k != "force_download"}), None)


def check_weights(source: str, subfolder: str | None, model_kwargs: dict[str, Any]) -> None:
    """Look into a local folder before anything heavy happens."""
    folder = Path(source) / (subfolder or "")
    if not os.path.isdir(folder) or model_kwargs.get("gguf_file") or model_kwargs.get("use_safetensors") is False:
        return
    names = {path.name for path in folder.iterdir()}
    if names & set(SAFE) or model_kwargs.get("variant"):
        return
    if names & set(PICKLES):
        raise pickle_error(display_name(source))
    raise ModelError(
        f"folder {folder.name!r} without weights", "model.safetensors next to config.json", "save the model"
    )


def pickle_error(name: str, file: str = "pytorch_model.bin") -> ModelError:
    """The error for weights that are a pickle."""
    return ModelError(
        f"{name!r}, whose weights are a pickle ({file})",
        "safetensors, which cannot run code",
        "convert it with model.save_pretrained(folder), or pass use_safetensors=False if you trust its author",
    )


def short_reason(error: Exception, source: str) -> str:
    """The first sentence of an error, without the local path."""
    first = str(error).strip().splitlines()[0].replace(source, display_name(source))
    return first.split(". ", 1)[0].rstrip(".")


def with_reason(error: Exception, source: str) -> ModelError:
    """What transformers says, as got, expected, do."""
    text, name = str(error), display_name(source)
    if "trust_remote_code" in text:
        return ModelError(
            f"{name!r}, which runs code from its repository",
            "your consent",
            "read that code, then pass trust_remote_code=True (and a revision= that pins it)",
        )
    if "pytorch_model.bin" in text and "safetensors" in text:
        return pickle_error(name)
    if "Unrecognized configuration class" in text:  # for the Auto class of a head
        kind = re.search(r"AutoModel\w+", text)
        got = f"{name!r}, an architecture that {kind[0] if kind else 'this head'} does not load"
        do = "choose another task, or leave task= out for the checkpoint's own head"
        return ModelError(got, "a checkpoint of a model with that head", do)
    if (told := advice(Failure(error_text(error)), "attention", "package")) is not None:
        return ModelError(f"{name!r}, which could not be loaded ({error_text(error).replace(source, name)})", *told)
    lines = text.strip().splitlines() or [type(error).__name__]
    first = " ".join(line.strip() for line in lines[: 2 if lines[0].rstrip().endswith(":") else 1])
    return ModelError(
        f"{name!r}, which could not be loaded ({first})",
        "a Hub id that can be reached, or a checkpoint folder",
        "check the name, subfolder=, revision= and token=; offline, download it first",
    )
