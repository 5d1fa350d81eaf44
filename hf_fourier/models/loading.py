"""Loads a model with a head and its processor from a Hub id or a folder; pickles and remote code only by consent."""

from __future__ import annotations

import copy
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hf_fourier.errors import FourierError, ModelError
from hf_fourier.models.base import WRAPPERS, Task
from hf_fourier.models.checkpoint import (
    HUB_ID,
    check_weights,
    commit_of,
    display_name,
    file_of,
    pickle_error,
    short_reason,
    with_reason,
)
from hf_fourier.models.geneformer_files import class_names, gene_tokenizer
from hf_fourier.models.inspection import unwrap_peft
from hf_fourier.models.peft import CONFIG, PeftConfig, read_peft_config
from hf_fourier.models.placement import place_of, placed, type_of
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.torch_state import taken

_HUB = ("cache_dir", "force_download", "local_files_only", "token", "proxies")
#: Settings of a config about classes.
_LABELS = ("num_labels", "id2label", "label2id")
#: Any of these files shows that there is a processor.
_PROCESSORS = ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to be explained.

    Attributes:
        model: On its device, in evaluation mode.
        processor: Its tokenizer or image processor; None where there is none.
        task: The pipeline's name of its head.
        name: The Hub id, or the folder's own name.
        notes: Notes on how it was loaded.
    """

    model: torch.nn.Module
    processor: Any
    task: str
    name: str
    notes: tuple[str, ...] = ()


def heads() -> dict[str, Task]:
    """All supported heads, by the pipeline's name."""
    return {name: task for cls in WRAPPERS for name, task in cls.tasks.items()}


def load(
    source: str,
    *,
    subfolder: str | None = None,
    revision: str | None = None,
    task: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    device_map: Any = None,
    trust_remote_code: bool = False,
    **model_kwargs: Any,
) -> LoadedModel:
    """Load a checkpoint with the Auto class of its head; of one that PEFT wrote, its base model first.

    Of `model_kwargs`, `processor` is taken in place of the checkpoint's own, and `dictionaries` says where the gene
    dictionaries of a Geneformer are; the rest goes to the Auto class.

    Raises:
        InputError: If `device`, `device_map` or `dtype` are none, or exclude one another.
        ModelError: If there is no such checkpoint, it has no head, its weights are pickles or code of its own is
            needed without consent.
        MissingExtraError: If PEFT wrote it and is not installed.
    """
    import transformers

    dtype = type_of(model_kwargs.pop("torch_dtype", None) if dtype is None else dtype)  # its former name
    on = place_of(device, device_map)
    where = _hub_options(source, subfolder, revision, trust_remote_code, model_kwargs)
    tuning = _tuning(source, where)
    base, there = source, where
    if tuning is not None:
        _check_adapter(tuning, source, model_kwargs)
        base, there = tuning.base, {**where, "subfolder": "", "revision": tuning.revision or "main"}
    labels = {name: model_kwargs.pop(name) for name in _LABELS if name in model_kwargs}
    own, dictionaries, given = (model_kwargs.pop(name, None) for name in ("processor", "dictionaries", "config"))
    config = _config(base, there) if given is None else given
    config = _labelled(config, labels or class_names(source, where, config))
    commit = commit_of(source, "config.json", where) if tuning is None else tuning.commit
    where["revision"] = commit or where["revision"]  # the weights and all else are of this commit too
    task = _task(config, task or _tuned(tuning), base)
    check_weights(base, there["subfolder"], model_kwargs)
    architecture = (_architectures(config) or [""])[0]
    auto = getattr(transformers, heads()[task].auto or architecture)  # some heads have no Auto class
    if tuning is not None:
        config = _sized(config, auto, tuning, bool(labels), source, trust_remote_code)
    places = [(source, where), (base, there)][: 1 + (tuning is not None)]
    processor, missing = _processors(places, task, config, dictionaries) if own is None else (own, [])
    place: dict[str, Any] = {} if device_map is None else {"device_map": device_map}
    options = {"use_safetensors": True, **model_kwargs, **there, **place, "dtype": dtype or "auto"}
    model, info = _loaded(auto, base, config, options, tuning)
    _check_head(info, model, base, task, () if tuning is None else tuning.shapes)
    notes = [*_peft_notes(model, tuning, labels, source, base)]
    if tuning is not None:
        model = _attached(model, tuning, source)
    if commit is not None:
        model.config._commit_hash = commit
    model, widened = placed(model, on, dtype is None)
    return LoadedModel(model.eval(), processor, task, display_name(source), (*notes, *widened, *missing))


def _hub_options(
    source: str, subfolder: str | None, revision: str | None, trusted: bool, model_kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The keyword arguments by which transformers finds a checkpoint's files.

    Raises:
        ModelError: If a revision of a local folder is given.
    """
    if revision is not None and os.path.isdir(source):
        got = f"revision {revision!r} of the folder {display_name(source)!r}"
        raise ModelError(got, "a revision of a Hub id", "leave revision= out, or pass the Hub id")
    passed = {key: model_kwargs[key] for key in _HUB if key in model_kwargs}
    return {"subfolder": subfolder or "", "revision": revision or "main", "trust_remote_code": trusted, **passed}


def task_of(model: torch.nn.Module) -> str:
    """The head of a model that is loaded already, by its class.

    Raises:
        ModelError: If it has no head that can be explained.
    """
    if (task := named_task(model)) is None:
        raise _no_head(type(unwrap_peft(model)).__name__, "pass task=, or explain it through attribute(forward, x)")
    return task


def named_task(model: torch.nn.Module) -> str | None:
    """The head that a model's class is named after; None for a name that says none."""
    return _named(type(unwrap_peft(model)).__name__)


def _config(source: str, where: dict[str, Any]) -> Any:
    import transformers

    folder = Path(source)
    if os.path.isdir(folder) and not os.path.isfile(folder / where["subfolder"] / "config.json"):
        got = f"folder {'/'.join(filter(None, (folder.name, where['subfolder'])))!r} without config.json"
        raise ModelError(got, "a checkpoint folder", "correct the path or subfolder")
    if os.path.isfile(folder):
        got = f"the file {folder.name!r}"
        raise ModelError(got, "a Hub id or a checkpoint folder", "pass the folder (with gguf_file= for a GGUF file)")
    if not os.path.isdir(folder) and not HUB_ID.fullmatch(source):
        raise ModelError(f"{source!r}, which does not exist", "a Hub id or a checkpoint folder", "correct the path")
    with _reasons(source):
        return transformers.AutoConfig.from_pretrained(source, **where)


@contextmanager
def _reasons(source: str) -> Iterator[None]:
    """Inside, whatever the files, the code and the quantisers of a checkpoint raise is a `ModelError` with its reason.

    Raises:
        ModelError: If something other than an error of this library or one of memory is raised.
    """
    try:
        yield
    except FourierError:
        raise
    except Exception as error:  # which have no common base
        if is_out_of_memory(error):
            raise
        raise with_reason(error, source) from error


def _tuning(source: str, where: dict[str, Any]) -> PeftConfig | None:
    """The PEFT adapter of a checkpoint, if it is one."""
    with _reasons(source):  # PEFT does not check its config
        return read_peft_config(source, where)


def _labelled(config: Any, labels: dict[str, Any]) -> Any:
    """A config with other classes.

    Raises:
        ModelError: If they are neither `num_labels` nor names by number.
    """
    if not labels:
        return config
    config, values = copy.deepcopy(config), dict(labels)
    try:
        if "label2id" in values and "id2label" not in values:
            values["id2label"] = {number: name for name, number in values["label2id"].items()}
        if "id2label" in values:
            names = values["id2label"]
            pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
            values["id2label"] = {int(number): str(name) for number, name in pairs}
        for name, value in values.items():
            setattr(config, name, value)
    except (TypeError, ValueError, AttributeError) as error:
        got = ", ".join(f"{name}={value!r}" for name, value in labels.items())
        raise ModelError(got, "id2label={0: 'a name', …}, or num_labels=2", "correct these options") from error
    return config


def _sized(config: Any, auto: Any, tuning: PeftConfig, named: bool, source: str, trusted: bool) -> Any:
    """A config with as many classes as an adapter has a head for.

    Raises:
        ModelError: If names were given for another number of them, or the adapter cannot be read.
    """
    with _reasons(source):
        with torch.device("meta"):  # without weights, which takes no memory
            if hasattr(auto, "from_config"):
                blank = auto.from_config(copy.deepcopy(config), trust_remote_code=trusted)
            else:
                blank = auto._from_config(copy.deepcopy(config))
        classes = tuning.classes(blank, config.num_labels)
    if classes is None or classes == config.num_labels:
        return config
    if named:
        got = f"{config.num_labels} classes for {display_name(source)!r}, whose head has {classes}"
        raise ModelError(got, f"{classes} names", "correct id2label=")
    return _labelled(config, {"num_labels": classes})


def _loaded(auto: Any, base: str, config: Any, options: dict[str, Any], tuning: PeftConfig | None) -> tuple[Any, Any]:
    """The model of a checkpoint, or the base of an adapter, and transformers' report on its weights."""
    quiet: AbstractContextManager[None] = nullcontext()
    if tuning is not None:
        consent = {} if options["use_safetensors"] else {"use_safetensors": None}  # which is about the adapter
        options = {**options, **consent, "ignore_mismatched_sizes": True}  # of a head that is replaced
        quiet = _silence()
    with _reasons(base), quiet:
        model, info = auto.from_pretrained(base, config=config, output_loading_info=True, **options)
        return model, info


def _attached(model: Any, tuning: PeftConfig, source: str) -> Any:
    """The base model with its adapter."""
    with _reasons(source):
        return tuning.load_onto(model)


def _peft_notes(model: Any, tuning: PeftConfig | None, labels: dict[str, Any], source: str, base: str) -> Iterator[str]:
    """Notes on PEFT adapters."""
    if tuning is None:
        if getattr(model, "_hf_peft_config_loaded", False):
            yield "transformers attached the adapter that is next to the model"
        return
    yield f"a PEFT adapter on top of {display_name(base)!r}"
    names = set(model.state_dict())
    if not labels and any(name in names for name in tuning.shapes):
        yield (
            f"{display_name(source)!r} does not name its classes, and those of {display_name(base)!r} may differ: "
            "pass id2label="
        )


@contextmanager
def _silence() -> Iterator[None]:
    """Inside, transformers does not warn of missing weights; those that are really missing raise our error."""
    from transformers.utils import logging

    with taken(logging):
        before = logging.get_verbosity()
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(before)


def _task(config: Any, task: str | None, source: str) -> str:
    architectures = _architectures(config)
    if task is not None:
        if task not in heads():
            raise ModelError(f"task {task!r}", f"one of {', '.join(heads())}", "choose one of them")
        # The pipeline's name for both kinds of speech recognition.
        speech = task == "automatic-speech-recognition" and any(_named(name) == "ctc" for name in architectures)
        return "ctc" if speech else task
    for name in architectures:
        if (named := _named(name)) is not None:
            return named
    got = f"a {architectures[0]}" if architectures else "which names no class"
    do = "choose a fine-tuned checkpoint, or pass task= if it has that head"
    raise _no_head(f"{display_name(source)!r}, {got}", do)


def _architectures(config: Any) -> list[str]:
    """The names of classes in a config."""
    names = getattr(config, "architectures", None)
    return [name for name in names if isinstance(name, str)] if isinstance(names, (list, tuple)) else []


def _tuned(tuning: PeftConfig | None) -> str | None:
    """The head of the model that PEFT tuned, by its config."""
    if tuning is None or tuning.task is not None or tuning.head is None:
        return None if tuning is None else tuning.task
    task = _named(tuning.head)
    if task is None:
        raise _no_head(f"an adapter of a {tuning.head}", "pass task= if the base model has that head")
    return task


def _named(name: str) -> str | None:
    """The head of a class by its name: as transformers lists it, as a user registered it, or by its ending."""
    import transformers
    from transformers.models.auto import modeling_auto

    for task, head in heads().items():
        listed = getattr(modeling_auto, head.mapping, {}).values()
        if any(name == entry or (isinstance(entry, (tuple, list)) and name in entry) for entry in listed):
            return task
        mapping = getattr(getattr(transformers, head.auto, None), "_model_mapping", None)
        if name in {getattr(cls, "__name__", "") for cls in getattr(mapping, "_extra_content", {}).values()}:
            return task
    return next((task for task, head in heads().items() if name.endswith(head.endings)), None)


def _no_head(got: str, do: str) -> ModelError:
    return ModelError(got, f"a model with a head for one of {', '.join(heads())}", do)


def _check_adapter(tuning: PeftConfig, source: str, model_kwargs: dict[str, Any]) -> None:
    if tuning.is_untrained:
        got = f"the adapter {display_name(source)!r} without weights"
        raise ModelError(got, f"adapter_model.safetensors next to its {CONFIG}", "save it again, or try again")
    if tuning.pickled and model_kwargs.get("use_safetensors") is not False:
        raise pickle_error(display_name(source), "adapter_model.bin")
    base = tuning.config.base_model_name_or_path
    if not base or not (os.path.isdir(base) or HUB_ID.fullmatch(base)):
        gone = "which does not name its base model" if not base else f"for {display_name(base)!r}, which does not exist"
        got = f"the adapter {display_name(source)!r}, {gone}"
        raise ModelError(got, f"a Hub id or a folder as base_model_name_or_path in its {CONFIG}", "write it there")


def _check_head(
    info: dict[str, Any], model: torch.nn.Module, source: str, task: str, elsewhere: Container[str]
) -> None:
    """Check that no weights would be random; an explanation of those explains nothing."""
    wrong = (key[0] if isinstance(key, tuple) else str(key) for key in info.get("mismatched_keys", ()))
    missing = [name for name in (*sorted(info.get("missing_keys", ())), *sorted(wrong)) if name not in elsewhere]
    if task == "feature-extraction":  # the embedding is the mean of the last states, before any pooler
        missing = [name for name in missing if not name.startswith("pooler.")]
    if missing:
        names = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
        raise ModelError(
            f"{display_name(source)!r}, which has no weights for {names} of {type(model).__name__}",
            f"a checkpoint with a trained head for {task}",
            "choose a fine-tuned checkpoint, or fit the head and pass FourierExplainer(model, processor)",
        )


def _processors(places: Sequence[tuple[str, Any]], task: str, config: Any, dictionaries: Any) -> tuple[Any, list[str]]:
    """The processor of an adapter, if it has files of one, or else that of its base model; or of a plain checkpoint."""
    if dictionaries is not None:
        return gene_tokenizer(*places[0], config, dictionaries), []
    processor, missing = None, list[str]()
    for number, (source, where) in enumerate(places, 1):
        complete = number == len(places) or any(file_of(source, name, where) for name in _PROCESSORS)
        if processor is None and complete:
            processor, missing = _processor(source, task, where, config)
    return processor, missing


def _processor(source: str, task: str, where: dict[str, Any], config: Any) -> tuple[Any, list[str]]:
    import transformers

    for cls in WRAPPERS:
        if task in cls.tasks and (processor := cls.make_processor(source, where, config)) is not None:
            return processor, []
    if not heads()[task].processor:
        return None, []
    auto = getattr(transformers, heads()[task].processor)
    try:
        processor = auto.from_pretrained(source, **where)
        if hasattr(processor, "all_special_ids") and len(processor) <= len(set(processor.all_special_ids)):
            raise ValueError("there are no tokenizer files")  # transformers makes one up that knows no words
        return processor, []
    except Exception as error:  # what tokenizers and processors of others raise has no common base
        if is_out_of_memory(error):
            raise
        return None, [f"no processor could be loaded ({short_reason(error, source)}): pass its output as a dict"]
