"""Engine: one wrapped model that encodes, explains, perturbs and predicts; no data sets, no studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from types import SimpleNamespace
from typing import Any, TypeVar

import torch

from hf_fourier.domains import DOMAINS, Domain, Fourier
from hf_fourier.errors import FourierError, InputError, ModelError, NotFinite
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.methods.precomputed import Precomputed, fit, lifted_notes
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.inputs.examples import listed
from hf_fourier.models.inspection import eval_mode, label_notes, unwrap
from hf_fourier.models.side_inputs import SideInputCheck, logits_at, padded
from hf_fourier.models.wrappers import wrap
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import FractionGrid
from hf_fourier.results.remarks import MEND
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExplanationRequest, batch_of, grouped
from hf_fourier.scoring.perturb_results import perturb_all
from hf_fourier.scoring.replay import BatchVisitor, reopen
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact_class
from hf_fourier.typing import Tensor

EngineT = TypeVar("EngineT", bound="Engine")


@dataclass(frozen=True)
class Prediction:
    """What the model says.

    Attributes:
        label: Its likeliest class.
        confidence: The probability of that class (or the value, for a regression).
        ranked: The likeliest classes with their probabilities.
        logits: What they were read off.
        notes: What has to be said of the example, and of the model as far as it was asked.
    """

    label: str
    confidence: float
    ranked: Sequence[tuple[str, float]]
    logits: Tensor
    notes: tuple[str, ...] = ()


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
            ModelError: If it cannot be loaded, has no trained head, holds pickles, or needs consent; or if there is no
                such device.
            MissingExtraError: If it is an adapter, and PEFT is not installed.
        """
        from hf_fourier.models.loading import load

        method = METHODS.parse(method)  # before anything heavy
        domain = None if domain is None else DOMAINS.parse(domain)
        loaded = load(
            str(model),
            subfolder=subfolder,
            revision=revision,
            task=task,
            device=device,
            dtype=dtype,
            device_map=device_map,
            trust_remote_code=trust_remote_code,
            **model_kwargs,
        )
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
        names = ("image_processor", "tokenizer", "feature_extractor")
        parts = {name: part for name in names if (part := getattr(pipeline, name, None)) is not None}
        several = len(parts) > 1 and "tokenizer" in parts
        processor = SimpleNamespace(**parts) if several else next(iter(parts.values()), None)
        return cls(pipeline.model, processor, **options)

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
        many, encoded = self._encode(example)
        chosen = METHODS.parse(method or self.method)
        job = self.job(chosen, self.resolve_domain(chosen, domain), seed, progress)
        results = self._explained(encoded, self._targets(target, targets, len(encoded)), job, batch_size)
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
        many, encoded = self._encode(example)
        given = list(maps) if many else [maps]
        if len(given) != len(encoded):
            raise InputError(f"{len(given)} maps for {len(encoded)} examples", "one per example", "correct `maps`")
        fitted = [fit(one, e) for one, e in zip(given, encoded, strict=True)]
        by_place = all(place for _, place in fitted)
        chosen = DOMAINS.parse(domain or ("identity:grain=position" if by_place else "identity"))
        if lift is None and not chosen.bind(encoded[0].signal).layout.by_place:
            lift = "transport"
        wanted, job = self._targets(target, targets, len(encoded)), self.job(Precomputed(made_by, lift), chosen, seed)
        results = self._explained(encoded, wanted, job, batch_size, [one for one, _ in fitted])
        for result, (one, _) in zip(results, fitted, strict=True):
            if lift in ("transport", "gradient"):
                result.provenance["notes"] += lifted_notes(result, one)
        return results if many else results[0]

    def predict(self, example: Any, *, signal: Tensor | None = None) -> Prediction:
        """What the model says of an example, or of the example with another signal.

        Args:
            example: One raw example, or an `Attribution`.
            signal: A signal in the example's shape, such as `a.keep_top(0.04)`; None for its own.

        Raises:
            InputError: If the example or the signal does not fit.
        """
        known = isinstance(example, Attribution)
        encoded = self._restored(example) if known else self._single(example)
        seed, key = (int(example.provenance.get("seed", 0)), example.key) if known else (0, encoded.key)
        with eval_mode(self.model):
            encoded = encoded if known else self.wrapper.prepare_target(encoded, None)[0]
            dither = float(example.provenance.get("dither", 0.0)) if known else self.dither
            block = batch_of(self.wrapper, [encoded], ExampleRng(seed, [key]), dither)
            x = block.signal
            if signal is not None:
                if not isinstance(signal, Tensor) or tuple(signal.shape) != tuple(x.shape[1:]):
                    got = (
                        f"of shape {tuple(signal.shape)}"
                        if isinstance(signal, Tensor)
                        else f"of type {type(signal).__name__}"
                    )
                    raise InputError(f"a signal {got}", f"a tensor of shape {tuple(x.shape[1:])}", "pass a.keep_top(…)")
                x = signal.detach().unsqueeze(0).to(x)
            logits = logits_at(block, x)
            bare = None if known or signal is not None else self.wrapper.without_padding(encoded)
            notes = [
                *encoded.notes,
                *self.side_inputs.notes,
                *([] if bare is None else padded(self.wrapper, bare, logits)),
            ]
        if bool(logits.isnan().any()):
            got = "outputs that are not numbers (NaN)"
            raise NotFinite({0: got}, "finite logits", f"check the input and the model's dtype; or {MEND}")
        block.head.fits(logits.unsqueeze(0))
        ranked = block.head.ranked(logits)
        return Prediction(ranked[0][0], ranked[0][1], ranked, logits, tuple(notes))

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
        encoded = [self._restored(result) for result in results]
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
        encoded = [self._restored(result) for result in attributions]
        wanted = self._targets(None, targets, len(encoded))
        made = [
            (r.provenance["method"], r.layout.domain, int(r.provenance["seed"]), float(r.provenance.get("dither", 0.0)))
            for r in attributions
        ]
        done: dict[int, Attribution] = {}
        for indices in grouped(made, lambda how: how):
            method, domain, seed, dither = made[indices[0]]
            job = replace(self.job(METHODS.parse(method), DOMAINS.parse(domain), seed), dither=dither)
            some = self._explained([encoded[i] for i in indices], [wanted[i] for i in indices], job, batch_size)
            done.update(zip(indices, some, strict=True))
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
        encoded = [self._restored(result) for result in attributions]
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
        wanted: Sequence[Target],
        job: MethodCall,
        batch_size: BatchSize,
        maps: Sequence[Tensor] | None = None,
    ) -> list[Attribution]:
        """One result per example, with a map of it where those are ranked."""
        with eval_mode(self.model):
            aimed = [self.wrapper.prepare_target(e, t) for e, t in zip(encoded, wanted, strict=True)]
            given: Sequence[Tensor | None] = maps or [None] * len(aimed)
            requests = [ExplanationRequest(e, t, one) for (e, t), one in zip(aimed, given, strict=True)]
            results = explain_all(requests, job, self.wrapper, batch_size)
            self.side_inputs.tell(self.wrapper, requests, results)
        return results

    def _encode(self, example: Any) -> tuple[bool, list[EncodedExample]]:
        given = listed(example, self.wrapper)
        if given is None:
            return True, self.wrapper.encode_batch(example)
        many, examples = given
        if not many:
            return False, [self.wrapper.encode(examples[0])]
        if not examples:
            raise InputError("an empty list", "at least one example", "pass examples")
        encoded = []
        for i, one in enumerate(examples):
            try:
                encoded.append(self.wrapper.encode(one))
            except FourierError as error:
                error.add_note(f"this is example {i} of the list")
                error.args = (f"example {i}: {error.args[0]}",)
                raise
        return True, encoded

    def _single(self, example: Any) -> EncodedExample:
        encoded = self._encode(example)[1]
        if len(encoded) != 1:
            raise InputError(f"{len(encoded)} examples", "one", "call predict for each of them")
        return encoded[0]

    def _restored(self, result: Attribution) -> EncodedExample:
        if not isinstance(result, Attribution):
            got = f"a {type(result).__name__}"
            raise InputError(got, "a result of explain", "call explain first, and pass what it returns")
        if result.signal is None:
            raise InputError("a compact result", "one with its example", "save it without compact=True")
        task, kind = result.provenance.get("task"), result.layout.signal.kind
        if task != self.wrapper.task or kind not in self.wrapper.signal_kinds:
            expected = f"one of {' or '.join(self.wrapper.signal_kinds)} for {self.wrapper.task}"
            raise InputError(f"a result of {kind} for {task}", expected, "pass it to its own model")
        inputs = {name: tensor for name, tensor in result.inputs.items() if name != "content"}
        content = result.inputs.get("content")
        values, group = None if content is not None else result.signal, self.wrapper.batch_group(inputs)
        names, view = tuple(result.names), result.view
        return EncodedExample(result.layout.signal, inputs, values, content, names, view, batch_group=group)

    def _targets(self, target: Target, targets: Sequence[Target] | None, examples: int) -> list[Target]:
        if targets is not None and target is not None:
            raise InputError("target and targets", "one of the two", "leave one out")
        if targets is not None and (isinstance(targets, (str, Mapping)) or not hasattr(targets, "__iter__")):
            raise InputError(f"targets {targets!r}", "a sequence with one target per example", "for one use `target`")
        wanted = [target] * examples if targets is None else list(targets)
        if len(wanted) != examples:
            raise InputError(f"{len(wanted)} targets for {examples} examples", "one per example", "correct `targets`")
        return wanted

    @property
    def _revision(self) -> str | None:
        return getattr(getattr(self.model, "config", None), "_commit_hash", None)
