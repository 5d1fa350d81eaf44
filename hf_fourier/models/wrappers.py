"""All model wrappers, and the choice of one for a model."""

from __future__ import annotations

from typing import Any

import torch

from hf_fourier.errors import InputError, ModelError, SpecError, brief
from hf_fourier.models.audio import AudioWrapper
from hf_fourier.models.base import WRAPPERS, ModelWrapper
from hf_fourier.models.calls import Call
from hf_fourier.models.checkpoint import display_name
from hf_fourier.models.dna import DNAWrapper
from hf_fourier.models.inspection import unwrap, unwrap_peft
from hf_fourier.models.multiple_choice import MultipleChoiceWrapper
from hf_fourier.models.network import NetworkOptions, NetworkWrapper
from hf_fourier.models.protein import ProteinWrapper
from hf_fourier.models.segmentation import SegmentationWrapper
from hf_fourier.models.single_cell import SingleCellWrapper
from hf_fourier.models.text import TextWrapper
from hf_fourier.models.time_series import TimeSeriesWrapper
from hf_fourier.models.video import VideoWrapper
from hf_fourier.models.vision import VisionWrapper
from hf_fourier.models.zero_shot import ZeroShotWrapper
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.layer_gradients import matching
from hf_fourier.scoring.representation import LAST_LINEAR, LOGITS, OUTPUT

__all__ = [
    "WRAPPERS",
    "AudioWrapper",
    "DNAWrapper",
    "EncodedExample",
    "ExampleBatch",
    "ModelWrapper",
    "MultipleChoiceWrapper",
    "NetworkWrapper",
    "ProteinWrapper",
    "SegmentationWrapper",
    "SingleCellWrapper",
    "TextWrapper",
    "TimeSeriesWrapper",
    "VideoWrapper",
    "VisionWrapper",
    "ZeroShotWrapper",
    "wrap",
    "wrapper_of",
]


def wrap(model: torch.nn.Module, processor: Any, task: str) -> ModelWrapper:
    """The wrapper for a model with this head.

    Raises:
        ModelError: If no wrapper explains this head.
    """
    for cls in sorted(WRAPPERS, key=lambda cls: -len(cls.__mro__)):  # the more special first
        if cls.supports(task, processor):
            return cls(model, processor, task)
    known = ", ".join(sorted(task for cls in WRAPPERS for task in cls.tasks))
    raise ModelError(f"task {task!r}", f"one of {known}", "choose one of them, or use attribute(forward, x)")


def wrapper_of(
    model: Any,
    processor: Any = None,
    task: str | None = None,
    signal: str | None = None,
    representation: str | None = None,
    options: NetworkOptions | None = None,
) -> ModelWrapper:
    """The wrapper of a model of `transformers`, of any other network, or of a function.

    Args:
        model: The model; a wrapper is returned as it is.
        processor: Its tokenizer or image processor; of another network or a function, its `preprocess`.
        task: The pipeline's name of the head; None for that of the model's class.
        signal: As for `ModelWrapper.select_signal`.
        representation: The name of the module with the hidden representation; None for the usual one.
        options: What is said of a network or a function.

    Raises:
        ModelError: If the model has no head that can be explained, or no such signal.
        InputError: If options of both kinds of models are given.
        SpecError: If it has no module with that name.
    """
    from hf_fourier.models.loading import named_task, task_of

    if isinstance(model, ModelWrapper):
        return model
    model = unwrap(model) if isinstance(model, torch.nn.Module) else model
    given: NetworkOptions = {**options} if options else {}
    config = getattr(unwrap_peft(model), "config", None) if isinstance(model, torch.nn.Module) else None
    own = hasattr(config, "model_type") or (isinstance(model, torch.nn.Module) and task is not None)
    # A user's class that is called like those of transformers, and has a config.
    own = own or (config is not None and named_task(model) is not None)
    wrapper: ModelWrapper
    if own and not given:
        wrapper = wrap(model, processor, task or task_of(model))
        wrapper.select_signal(signal)
    else:
        for name, value in (("task", task), ("signal", signal)):
            if value is not None:
                got = f"{name}={value!r} for {brief(model)}, not a model of transformers, with {', '.join(given)}"
                raise InputError(got, "options of one kind of model", f"leave `{name}` out")
        if hasattr(config, "model_type") and type(processor).__module__.startswith("transformers."):
            got = f"{', '.join(given)} for a model of transformers and its processor, which makes it a plain network"
            out = ", ".join(f"`{name}`" for name in given)
            do = f"leave {out} out; FourierExplainer.from_pretrained(name, id2label={{0: 'cat', …}}) names classes"
            raise InputError(got, "options of one kind of model", do)
        if processor is not None:
            if "preprocess" in given:
                raise InputError("a processor and `preprocess`", "one of the two", "leave one out")
            given["preprocess"] = processor
        wrapper = NetworkWrapper(Call(model, given.get("arrays")), given)
    if representation is not None:
        if representation not in (LAST_LINEAR, LOGITS, OUTPUT) and not matching(wrapper.model, [representation]):
            some = ", ".join([name for name, _ in wrapper.model.named_modules() if name][:12])
            expected = f"the name of a module ({some}, …)" if some else "a torch module that has some"
            raise SpecError(f"representation {representation!r}", expected, "correct `representation`")
        wrapper.representation = representation
    return wrapper


def name_of(wrapper: ModelWrapper) -> str:
    """The name of a model in results: that it was loaded by, or that of its class or function."""
    if isinstance(wrapper, NetworkWrapper):
        return wrapper.call.name
    path = getattr(getattr(wrapper.model, "config", None), "_name_or_path", "")
    return display_name(path or type(wrapper.model).__name__)
