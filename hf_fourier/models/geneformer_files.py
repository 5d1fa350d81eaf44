"""What lies around a Geneformer checkpoint: the gene dictionaries of its version, and the names of its classes.

Geneformer's repository keeps the dictionaries in folders of its own; its `Classifier` writes a fine-tuned model without
them, as `OUTPUT/DATE_geneformer_cellClassifier_PREFIX/ksplit1`, and the names of the classes as
`OUTPUT/PREFIX_id_class_dict.pkl`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from hf_fourier.errors import ModelError
from hf_fourier.models.checkpoint import HUB_ID, display_name, with_reason
from hf_fourier.models.gene_tokenizer import FILES, LAYOUTS, TOKENS, GeneTokenizer
from hf_fourier.models.inputs.pickles import read_float_dict, read_label_dict

#: How many folders above a checkpoint its repository's own may lie (`fine_tuned_models/NAME`).
ABOVE = 2
#: The version by the number of tokens.
VERSIONS = {25_426: 1, 20_275: 2}
#: How the file with the names of the classes ends.
CLASSES = "_id_class_dict.pkl"


def looks_like_geneformer(config: Any) -> bool:
    """Whether a config may be Geneformer's: a BERT with rectified units."""
    return getattr(config, "model_type", None) == "bert" and getattr(config, "hidden_act", None) == "relu"


def gene_tokenizer(
    source: str, where: Mapping[str, Any], config: Any, dictionaries: str | PathLike[str] | None = None
) -> GeneTokenizer | None:
    """The tokenizer of a checkpoint, from the gene dictionaries whose vocabulary is as large as the model's.

    Args:
        source: The checkpoint, a folder or a Hub id.
        where: How transformers finds its files.
        config: Its config.
        dictionaries: Where the dictionaries are, a folder or a Hub id; None to look in the checkpoint's folder, in its
            repository, and of a local folder in those above it.

    Returns:
        The tokenizer; None for a model that is none of cells, or of another vocabulary than the published ones.

    Raises:
        ModelError: If `dictionaries` hold none of this vocabulary's size, one is refused, or a model with a published
            vocabulary has none.
    """
    if dictionaries is not None:
        return _given(dictionaries, where, config)
    folder = Path(source) / where.get("subfolder", "")
    if (folder / TOKENS).is_file():
        return GeneTokenizer.from_folder(folder)
    if not looks_like_geneformer(config):
        return None
    found = _fitting(source, where, config.vocab_size)
    if found is None and config.vocab_size in VERSIONS:
        got = (
            f"{display_name(source)!r}, a Geneformer of version {VERSIONS[config.vocab_size]} without its dictionaries"
        )
        do = 'pass dictionaries="ctheodoris/Geneformer", or a folder that holds them'
        raise ModelError(got, f"those of its {config.vocab_size:,} tokens next to it or in the folder above", do)
    return found


def class_names(source: str, where: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """The setting `id2label` of a fine-tuned checkpoint, out of the file that Geneformer's `Classifier` writes.

    Empty where the config names them itself, or no file, or not one alone, has as many.
    """
    given = getattr(config, "id2label", None)
    names = list(given.values()) if isinstance(given, Mapping) else []
    unnamed = [f"LABEL_{number}" for number in range(len(names))]
    place = Path(source)
    if not looks_like_geneformer(config) or not names or names != unnamed or not place.is_dir():
        return {}
    folder = (place / (where.get("subfolder") or "")).resolve()
    prefixed = any("Classifier_" in part for part in folder.parts[-1 - ABOVE :])
    for level in (folder, *folder.parents[:ABOVE]):
        paths = sorted(level.glob(f"*{CLASSES}"))
        # The folder's name ends with the prefix of its file, where several classifiers share one output folder.
        own = [path for path in paths if _is_of(path.name.removesuffix(CLASSES), folder)]
        found = [read_label_dict(path) for path in own] if prefixed else list(_readable(paths))
        fitting = [of for of in found if sorted(of) == list(range(len(names)))]
        if len(fitting) == 1:
            return {"id2label": fitting[0]}
    return {}


def _readable(paths: Sequence[Path]) -> Iterator[dict[int, str]]:
    """The names of classes in those files that can be read: others may be about other models."""
    for path in paths:
        with suppress(ModelError):
            yield read_label_dict(path)


def _is_of(prefix: str, folder: Path) -> bool:
    """Whether a classifier's prefix names the folder that its model lies in."""
    return any(part.endswith(f"Classifier_{prefix}") for part in folder.parts[-1 - ABOVE :])


def _given(dictionaries: str | PathLike[str], where: Mapping[str, Any], config: Any) -> GeneTokenizer:
    """The tokenizer of dictionaries that lie elsewhere."""
    place, size = Path(dictionaries), getattr(config, "vocab_size", None)
    found: GeneTokenizer | None = None
    if size is None:
        got = f"dictionaries={display_name(str(dictionaries))!r} for a model without a vocabulary"
        raise ModelError(got, "a Geneformer", "leave `dictionaries` out")
    if (place / TOKENS).is_file():
        own = GeneTokenizer.from_folder(place)
        found = own if len(own.tokens) == size else None
    elif place.is_dir() or HUB_ID.fullmatch(str(dictionaries)):
        elsewhere = {key: value for key, value in where.items() if key not in ("subfolder", "revision")}
        try:
            found = _fitting(str(dictionaries), elsewhere, size, wait=False)
        except OSError as error:
            raise with_reason(error, str(dictionaries)) from error
    if found is None:
        got = f"dictionaries={display_name(str(dictionaries))!r}, without gene dictionaries of {size:,} tokens"
        expected = 'a folder, or a Hub id within reach, that holds them, such as "ctheodoris/Geneformer"'
        raise ModelError(got, expected, "correct `dictionaries`")
    return found


def _fitting(source: str, where: Mapping[str, Any], size: int, wait: bool = True) -> GeneTokenizer | None:
    """The first dictionaries of so many tokens in the places where Geneformer's repository keeps them.

    Args:
        source: A folder or a Hub id.
        where: How transformers finds its files.
        size: The number of tokens.
        wait: Whether a Hub out of reach counts as one without the file.

    Raises:
        OSError: If not, and it is out of reach.
    """
    version_first = sorted(_places(where), key=lambda place: (VERSIONS.get(size) == 1) != ("30M" in place[1]))
    for folder, suffix in version_first:
        tokens = _file(source, f"{folder}/{FILES[0]}{suffix}.pkl", where, wait)
        if tokens is not None and len(read_float_dict(tokens)) == size:
            others = (_file(source, f"{folder}/{name}{suffix}.pkl", where) for name in FILES[1:])
            return GeneTokenizer.from_files(*(tokens, *others))
    return None


def _places(where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Folders and how the names of the dictionaries in them end."""
    yield from LAYOUTS
    own = where.get("subfolder") or ""
    yield from ((own, suffix) for _, suffix in LAYOUTS)


def _file(source: str, name: str, where: Mapping[str, Any], wait: bool = True) -> str | None:
    """One file of a repository by its path in it, on disk or from the Hub; None where it does not exist."""
    from transformers.utils import cached_file

    name, place = name.lstrip("/"), Path(source)
    if place.is_dir():
        folders = [place, *place.resolve().parents[:ABOVE]]
        return next((str(folder / name) for folder in folders if (folder / name).is_file()), None)
    own = {key: value for key, value in where.items() if key not in ("subfolder", "trust_remote_code")}
    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": not wait}
    return cached_file(source, name, **own, **quiet)
