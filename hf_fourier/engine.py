"""Engine: one wrapped model that encodes, explains, perturbs and predicts; no data sets, no studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, TypeVar

import torch

from hf_fourier.domains import DOMAINS, Domain, Fourier
from hf_fourier.errors import ModelError
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.methods.precomputed import Precomputed, fit_all, lifted_notes
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.encoding import encode, encode_single, one_target_each, pipeline_processor, restore
from hf_fourier.models.inspection import eval_mode, label_notes, unwrap
from hf_fourier.models.prediction import Prediction, predict
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.models.wrappers import wrap
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import FractionGrid
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExplanationRequest, grouped
from hf_fourier.scoring.perturb_results import perturb_all
from hf_fourier.scoring.replay import BatchVisitor, reopen
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact_class
from hf_fourier.typing import Tensor

EngineT = TypeVar("EngineT", bound="Engine")


@exact_class
class Engine:
    """One model, wrapped: what stands below evaluations and runs. Users meet it as `FourierExplainer`."""

    def __init__(
        self,
        model: torch.nn.Module,
        processor: Any = None,
        *,
        task: str | None = None,
        method: str | Method = "ffc",
        domain: str | Domain | None = None,
        name: str | None = None,
        signal: str | None = None,
        dither: float = 0.0,
    ) -> None:
        from hf_fourier.models.checkpoint import display_name
        from hf_fourier.models.loading import task_of

        if not isinstance(model, torch.nn.Module):
            got = f"a model of type {type(model).__name__}"
            raise ModelError(
                got, "a torch module", "call FourierExplainer.from_pretrained(name) for a Hub id or a folder"
            )
        model = unwrap(model)
        self.method = METHODS.parse(method)
        self.domain = None if domain is None else DOMAINS.parse(domain)
        self.wrapper: ModelWrapper = wrap(model, processor, task or task_of(model))
        self.wrapper.select_signal(signal)
        loaded_by = getattr(getattr(model, "config", None), "_name_or_path", "") or type(model).__name__
        self.name = name or display_name(loaded_by)
        self.notes: tuple[str, ...] = ()
        self.dither = dither
        #: What was found of what reaches the model's answers beside the signal.
        self.side_inputs = SideInputCheck()

    @classmethod
    def from_pretrained(
        cls: type[EngineT],
        model: str | PathLike[str],
        *,
        subfolder: str | None = None,
        revision: str | None = None,
        task: str | None = None,
        method: str | Method = "ffc",
        domain: str | Domain | None = None,
        signal: str | None = None,
        dither: float = 0.0,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        device_map: Any = None,
        trust_remote_code: bool = False,
        **model_kwargs: Any,
    ) -> EngineT:
        """Load a model and its processor from the Hub or a folder.

        Args:
            model: A Hub id or a folder: of a model, or of an adapter that PEFT wrote, whose base model is loaded too.
            subfolder: Where in it the checkpoint lies.
            revision: A branch, a tag or a commit.
            task: The head to load, by the pipeline's name; None for the one that the checkpoint names.
            method: The default method.
            domain: The default domain.
            signal: Where to explain, if not at the model's own input; see the class.
            dither: Noise that is added to whatever the model reads; see the class.
            device: Where the model goes; None for the one that Accelerate gives this process.
            dtype: The weights' type; None for the checkpoint's own (float32 on a CPU, where half is slow and coarse).
            device_map: Placement over several devices, by Accelerate, in place of `device`.
            trust_remote_code: Whether code from the repository may run.
            **model_kwargs: Passed on to the Auto class; `id2label` names the classes.

        Raises:
            InputError: If `device`, `device_map` or `dtype` are none, or exclude one another.
            ModelError: If it cannot be loaded, has no trained head, holds pickles or needs consent; or if the device is
                missing.
            MissingExtraError: If it is an adapter, and PEFT is not installed.
        """
        from hf_fourier.models.loading import load

        method = METHODS.parse(method)  # before anything heavy
        domain = None if domain is None else DOMAINS.parse(domain)
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
    def from_pipeline(cls: type[EngineT], pipeline: Any, **options: Any) -> EngineT:
        """The model and the processor of a `transformers` pipeline.

        Args:
            pipeline: The pipeline; it is not changed.
            **options: As for the constructor.
        """
        return cls(pipeline.model, pipeline_processor(pipeline), **options)

    @property
    def model(self) -> torch.nn.Module:
        """The model (below `torch.compile` or data parallelism, where it came in one of them)."""
        return self.wrapper.model

    @property
    def processor(self) -> Any:
        """The tokenizer or image processor, or None."""
        return self.wrapper.processor

    def resolve_domain(self, method: Method, domain: str | Domain | None = None) -> Domain:
        """Where a method ranks: in the domain that is asked for, the explainer's own, or the method's home."""
        return DOMAINS.parse(domain or self.domain or method.default_domain or Fourier())

    def explain(
        self,
        example: Any,
        target: Target = None,
        *,
        targets: Sequence[Target] | None = None,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:
        """Rank the frequency features of one example, or of each of several.

        Args:
            example: One example (a str, a tuple of two, a chat, a path, an image, an array); a list of them, or what
                else holds several: a column or a whole data set of `datasets`, a `pandas.Series`, an iterator; or a
                dict, the processor's own output with a batch axis.
            target: What to explain: a class index, a label, an object of `hf_fourier.targets` (a position, a span, a
                continuation, a contrast, a direction), a callable `outputs -> (rows,)`; None for what the model says.
                For all examples alike.
            targets: One target per example instead.
            method: A method other than the explainer's own.
            domain: A domain other than the explainer's own.
            seed: Of everything random; each example has its own stream, so that answers do not depend on the batch.
            batch_size: Rows in a batch, at most; halved by itself when memory runs out.
            progress: Called with (examples done, examples in all).

        Returns:
            An `Attribution` for one example; a list of them for several or for a dict of tensors.

        Raises:
            InputError: If an example cannot be explained.
            TargetError: If the model has no such target.
            SpecError: If the method or the domain is unknown or does not suit the signal.
            FourierError: Whatever fails after some examples were done carries them as `error.completed`, by index.
        """
        many, encoded = encode(self.wrapper, example)
        chosen = METHODS.parse(method or self.method)
        job = self.job(chosen, self.resolve_domain(chosen, domain), seed, progress)
        results = self._explained(encoded, one_target_each(target, targets, len(encoded)), job, batch_size)
        return results if many else results[0]

    def from_maps(
        self,
        example: Any,
        maps: Any,
        made_by: str = "elsewhere",
        target: Target = None,
        *,
        targets: Sequence[Target] | None = None,
        domain: str | Domain | None = None,
        lift: str | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
    ) -> Any:
        """Take over maps of another library as rankings, to be played, drawn and compared like any other.

        Args:
            example: As for `explain`.
            maps: One map for one example, else a sequence: higher is more important, in the signal's own shape or in
                that of its places without channels (a saliency map over pixels, one number per token), axes of one
                entry in front left out. Grad-CAM and other coarse maps are to be interpolated first.
            made_by: What made them ("captum.Saliency"), for the provenance.
            target: As for `explain`: what the maps are of.
            targets: One target per example instead.
            domain: None for the map as it is, by places; "fourier" and others for what `lift` makes of it there.
            lift: How a map comes into another domain. None is "transport", for contributions (integrated gradients,
                gradient × input, LRP, DeepLIFT, SHAP, with a zero baseline): they are carried over and keep their sum,
                as if the method had been run in that domain. "gradient" is for signed gradients and ranks by the size
                of the coefficient's own. "magnitude" is for anything else (heat maps, absolute values) and ranks by
                the size of the map's coefficient, as published; it says how fast the map changes, not the evidence.
            seed: Of ties.
            batch_size: Rows in a batch, at most.

        Returns:
            An `Attribution` for one example; a list of them for a list or a dict.

        Raises:
            InputError: If there is not one map per example, or one does not fit its signal or is not finite.
            SpecError: If the lift is unknown, or a gradient lacks the signal's channels.
        """
        many, encoded = encode(self.wrapper, example)
        fitted, by_place = fit_all(list(maps) if many else [maps], encoded)
        chosen = DOMAINS.parse(domain or ("identity:grain=position" if by_place else "identity"))
        if lift is None and not chosen.bind(encoded[0].signal).layout.by_place:
            lift = "transport"
        goals = one_target_each(target, targets, len(encoded))
        job = self.job(Precomputed(made_by, lift), chosen, seed)
        results = self._explained(encoded, goals, job, batch_size, fitted)
        if lift in ("transport", "gradient"):
            for result, values in zip(results, fitted, strict=True):
                result.provenance["notes"] += lifted_notes(result, values)
        return results if many else results[0]

    def predict(self, example: Any, *, signal: Tensor | None = None) -> Prediction:
        """What the model says of an example, or of the example with another signal.

        Args:
            example: One raw example, or an `Attribution`.
            signal: A signal in the example's shape, such as `a.keep_top(0.04)`; None for its own.

        Raises:
            InputError: If the example or the signal does not fit.
        """
        if isinstance(example, Attribution):
            encoded, dither = restore(self.wrapper, example), float(example.provenance.get("dither", 0.0))
            rng = ExampleRng(int(example.provenance.get("seed", 0)), [example.key])
        else:
            encoded, dither = encode_single(self.wrapper, example), self.dither
            rng = ExampleRng(0, [encoded.key])
        with eval_mode(self.model):
            if isinstance(example, Attribution):
                return predict(self.wrapper, encoded, rng, dither, signal, self.side_inputs.notes)
            encoded = self.wrapper.prepare_target(encoded, None)[0]
            notes = self.side_inputs.notes
            return predict(self.wrapper, encoded, rng, dither, signal, notes, check_padding=signal is None)

    def perturb(
        self,
        attributions: Any,
        fractions: Sequence[float] | FractionGrid = (0.01, 0.02, 0.04, 0.1, 0.3),
        *,
        overwrite: bool = False,
        batch_size: BatchSize = "auto",
    ) -> Any:
        """Ask the model what it says when only the top features are kept, and when they are deleted.

        At most two forward passes per share and example. What is known costs none: what was played before and stays
        in the curve, shares that leave the same features, and the whole example.

        Args:
            attributions: One result of this model, or a list of them (of an iterator or `Results` a list is made).
            fractions: Shares of features, 0 to 1, each of which is kept and deleted; or a
                `hf_fourier.results.curve.FractionGrid` that says which are kept and which deleted (`PAPER_GRID`,
                `DEFAULT_GRID`).
            overwrite: Ask also what is known.
            batch_size: Rows in a batch, at most.

        Returns:
            The same object or list, with `curve` filled.

        Raises:
            InputError: If a share is out of range, or a result does not hold its example.
        """
        if not isinstance(attributions, (Attribution, list, tuple)) and hasattr(attributions, "__iter__"):
            attributions = list(attributions)
        many = isinstance(attributions, (list, tuple))
        results: list[Attribution] = list(attributions) if many else [attributions]
        grid = fractions if isinstance(fractions, FractionGrid) else FractionGrid(tuple(fractions), tuple(fractions))
        encoded = [restore(self.wrapper, result) for result in results]
        with eval_mode(self.model):
            perturb_all(results, encoded, grid, self.wrapper, batch_size, overwrite)
        return attributions

    def re_explain(
        self,
        attributions: Sequence[Attribution],
        targets: Sequence[Target],
        *,
        batch_size: BatchSize = "auto",
    ) -> list[Attribution]:
        """Explain the examples of results for other targets, by the same method, domain and seed.

        Args:
            attributions: Results of this model.
            targets: One per result.
            batch_size: Rows in a batch, at most.

        Raises:
            InputError: If a result does not hold its example, or there is not one target for each.
            TargetError: If the model has no such target.
        """
        attributions = list(attributions)
        encoded = [restore(self.wrapper, result) for result in attributions]
        goals = one_target_each(None, targets, len(encoded))
        origins = [
            (r.provenance["method"], r.layout.domain, int(r.provenance["seed"]), float(r.provenance.get("dither", 0.0)))
            for r in attributions
        ]
        done: dict[int, Attribution] = {}
        for indices in grouped(origins, lambda origin: origin):
            method, domain, seed, dither = origins[indices[0]]
            job = replace(self.job(METHODS.parse(method), DOMAINS.parse(domain), seed), dither=dither)
            results = self._explained([encoded[i] for i in indices], [goals[i] for i in indices], job, batch_size)
            done.update(zip(indices, results, strict=True))
        return [done[i] for i in range(len(encoded))]

    def replay(
        self, attributions: Sequence[Attribution], work: BatchVisitor, *, batch_size: BatchSize = "auto"
    ) -> None:
        """Ask the model more about results: their blocks are made again, with the targets as they were settled.

        Args:
            attributions: Results of this model.
            work: Called with each block: the places of its results, the block, and its score.
            batch_size: Rows in a batch, at most.

        Raises:
            InputError: If a result does not hold its example, or explains a callable.
        """
        attributions = list(attributions)
        encoded = [restore(self.wrapper, result) for result in attributions]
        with eval_mode(self.model):
            reopen(attributions, encoded, self.wrapper, work, batch_size)

    def job(
        self, method: Method, domain: Domain, seed: int, progress: Callable[[int, int], None] | None = None
    ) -> MethodCall:
        """A method in a domain with all that its results' provenance says of this model."""
        model = {"name": self.name, "task": self.wrapper.task, "revision": self._revision}
        notes = (*self.notes, *label_notes(self.wrapper.config))
        return MethodCall(method, domain, seed, model, notes, progress, self.dither)

    def _explained(
        self,
        encoded: Sequence[EncodedExample],
        targets: Sequence[Target],
        job: MethodCall,
        batch_size: BatchSize,
        maps: Sequence[Tensor] | None = None,
    ) -> list[Attribution]:
        """One result per example; `maps` are ranked where they are given."""
        each: Sequence[Tensor | None] = maps or [None] * len(encoded)
        with eval_mode(self.model):
            prepared = [self.wrapper.prepare_target(e, t) for e, t in zip(encoded, targets, strict=True)]
            requests = [ExplanationRequest(e, t, values) for (e, t), values in zip(prepared, each, strict=True)]
            results = explain_all(requests, job, self.wrapper, batch_size)
            self.side_inputs.tell(self.wrapper, requests, results)
        return results

    @property
    def _revision(self) -> str | None:
        return getattr(getattr(self.model, "config", None), "_commit_hash", None)
