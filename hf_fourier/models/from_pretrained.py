"""from_pretrained and from_pipeline: explainers of models that lie on the Hub, in a folder, or in a pipeline."""

from __future__ import annotations

from os import PathLike
from typing import Any, TypeVar

import torch

from hf_fourier.models.encoding import pipeline_processor
from hf_fourier.torch_state import exact_class

ExplainerT = TypeVar("ExplainerT", bound="FromPretrained")


@exact_class
class FromPretrained:
    """A class whose constructor takes a model and its processor, and options by name."""

    notes: tuple[str, ...] = ()

    def __init__(self, model: Any, processor: Any = None, **options: Any) -> None:
        raise NotImplementedError

    @staticmethod
    def check_names(method: Any, domain: Any) -> None:
        """Raise `SpecError` where a method or a domain is unknown."""

    @classmethod
    def from_pretrained(
        cls: type[ExplainerT],
        model: str | PathLike[str],
        *,
        subfolder: str | None = None,
        revision: str | None = None,
        task: str | None = None,
        method: Any = None,
        domain: Any = None,
        signal: str | None = None,
        dither: float = 0.0,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        device_map: Any = None,
        trust_remote_code: bool = False,
        **model_kwargs: Any,
    ) -> ExplainerT:
        """Load a model and its processor from the Hub or a folder.

        Args:
            model: A Hub id or a folder: of a model, or of an adapter that PEFT wrote, whose base model is loaded too.
            subfolder: The checkpoint's folder in it.
            revision: A branch, a tag or a commit.
            task: The head to load, by the pipeline's name; None for the checkpoint's.
            method: The default method; None for "tracking".
            domain: The default domain.
            signal: Where to explain, if not at the model's own input; see the class.
            dither: Noise that is added to the model's input; see the class.
            device: The model's device; None for the one that Accelerate gives this process.
            dtype: The weights' type; None for the checkpoint's (float32 on a CPU, where half is slow and coarse).
            device_map: Placement over several devices, by Accelerate, in place of `device`.
            trust_remote_code: Whether code from the repository may run.
            **model_kwargs: `processor`, in place of the checkpoint's own; `dictionaries`, a folder or a Hub id with the
                gene dictionaries of a Geneformer; all else is passed on to the Auto class (`id2label` names classes).

        Raises:
            InputError: If `device`, `device_map` or `dtype` is invalid, or they exclude one another.
            ModelError: If it cannot be loaded, has no trained head, holds pickles, needs consent, or lacks its device.
            MissingExtraError: If it is an adapter, and PEFT is not installed.
        """
        from hf_fourier.models.loading import load

        cls.check_names(method, domain)  # before anything heavy
        loaded = load(
            str(model), subfolder=subfolder, revision=revision, task=task, device=device, dtype=dtype,
            device_map=device_map, trust_remote_code=trust_remote_code, **model_kwargs,
        )  # fmt: skip
        explainer = cls(
            loaded.model, loaded.processor, task=loaded.task, method=method, domain=domain, name=loaded.name,
            signal=signal, dither=dither,
        )  # fmt: skip
        explainer.notes = loaded.notes
        return explainer

    @classmethod
    def from_pipeline(cls: type[ExplainerT], pipeline: Any, **options: Any) -> ExplainerT:
        """The model and the processor of a `transformers` pipeline.

        Args:
            pipeline: The pipeline; it is not changed.
            **options: As for the constructor.
        """
        return cls(pipeline.model, pipeline_processor(pipeline), **options)
