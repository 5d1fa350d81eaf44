"""Engine: one wrapped model that encodes, explains, perturbs and predicts; no data sets, no studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from hf_fourier.domains import DOMAINS, Domain, Fourier
from hf_fourier.errors import whole_number
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.apply import ExplainOptions, MapOptions, MethodCall, by_origin, described, explain_all
from hf_fourier.methods.fetched import Asked
from hf_fourier.methods.precomputed import Precomputed, fit_all, lifted_notes
from hf_fourier.models.encoding import encode, one_target_each, restore_all
from hf_fourier.models.from_pretrained import FromPretrained
from hf_fourier.models.inspection import eval_mode, label_notes
from hf_fourier.models.perturbing import PerturbingModel
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.models.wrappers import name_of, wrapper_of
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExplanationRequest
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import exact_class
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.models.inputs.examples import Chat, Many, Single
    from hf_fourier.models.network import NetworkOptions

Progress = Callable[[int, int], None] | bool | None


@exact_class
class Engine(FromPretrained, PerturbingModel):
    """One wrapped model, on which evaluations and runs build. Users meet it as `FourierExplainer`."""

    def __init__(
        self,
        model: Any,
        processor: Any = None,
        *,
        task: str | None = None,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        name: str | None = None,
        signal: str | None = None,
        dither: float = 0.0,
        representation: str | None = None,
        **network: Unpack[NetworkOptions],
    ) -> None:
        self._method = None if method is None else METHODS.parse(method)
        self.domain = None if domain is None else DOMAINS.parse(domain)
        self.wrapper = wrapper_of(model, processor, task, signal, representation, network)
        self.name, self.dither = name or name_of(self.wrapper), dither
        self.notes: tuple[str, ...] = ()
        #: Whether results hold the gradient; where it is not needed, it need not be fetched from an accelerator.
        self.with_gradient = True
        self._sorted_features: int | None = None
        #: Whether anything but the signal reaches the model's predictions, as far as it was tested.
        self.side_inputs = SideInputCheck()

    @staticmethod
    def check_names(method: str | Method | None, domain: str | Domain | None) -> None:
        """Raise `SpecError` where a method or a domain is unknown."""
        METHODS.parse(method or DEFAULT_METHOD)
        DOMAINS.parse(domain or Fourier())

    @property
    def method(self) -> Method:
        """The method where a call names none."""
        return self._method or METHODS.parse(self.wrapper.default_method[0])

    @method.setter
    def method(self, method: str | Method) -> None:
        self._method = METHODS.parse(method)

    @property
    def sorted_features(self) -> int | None:
        """How many of the top features an accelerator sorts; None for all. `order` sorts the others on the host.

        Raises:
            InputError: If it is set to what is neither None nor a whole number of at least 0.
        """
        return self._sorted_features

    @sorted_features.setter
    def sorted_features(self, count: int | None) -> None:
        expected = "a whole number of at least 0, or None for all"
        self._sorted_features = None if count is None else whole_number("sorted_features", count, 0, expected)

    def resolve_domain(self, method: Method, domain: str | Domain | None = None) -> Domain:
        """The domain in which a method ranks: the given one, the explainer's default, or the method's default."""
        return DOMAINS.parse(
            domain or self.domain or method.default_domain or self.wrapper.default_method[1] or Fourier()
        )

    @overload
    def explain(self, example: Single, target: Target = ..., **options: Unpack[ExplainOptions]) -> Attribution: ...
    @overload
    def explain(self, example: Chat, target: Target = ..., **options: Unpack[ExplainOptions]) -> Any: ...
    @overload
    def explain(self, example: Many, target: Target = ..., **options: Unpack[ExplainOptions]) -> list[Attribution]: ...
    @overload
    def explain(self, example: Any, target: Target = ..., **options: Unpack[ExplainOptions]) -> Any: ...
    def explain(
        self,
        example: Any,
        target: Target = None,
        *,
        targets: Sequence[Target] | None = None,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        contributions: int | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> Any:
        """Rank the frequency features of one example, or of each of several.

        Args:
            example: One example (a str, a tuple of two, a chat, a path, an image, an array); a list of them, or what
                else holds several: a column or a whole data set of `datasets`, a `pandas.Series`, an iterator; or a
                dict, the processor's own output with a batch axis.
            target: For all examples: a class index, a label, an object of `hf_fourier.targets` (a position, a
                span, a continuation, a contrast, a direction), a callable `outputs -> (rows,)`; None: the prediction.
                The default method ranks alike for all of them: the gradient and the contributions are the target's.
            targets: One target per example instead.
            method: A method other than the explainer's default.
            domain: A domain other than the explainer's default.
            contributions: Points on each path of `Attribution.contributions`, such as 4; None: the method's choice.
            seed: Seed of all random numbers; each example has its own stream, whatever its batch.
            batch_size: Rows in a batch, at most; halved automatically when memory runs out.
            progress: True for a bar, or a function that is called with (examples done, examples in all).

        Returns:
            An `Attribution` for one example; a list of them for several or for a dict of tensors. (Type checkers take
            a path for one example, also that of a FASTA or cell file, which holds several.)

        Raises:
            InputError: If an example cannot be explained.
            TargetError: If the model has no such target.
            SpecError: If the method or the domain is unknown or does not suit the signal.
            FourierError: Any error after some examples were done carries them as `error.completed`, by index.
        """
        many, encoded = encode(self.wrapper, example)
        chosen = METHODS.parse(method or self.method)
        job = self.job(chosen, self.resolve_domain(chosen, domain), seed, progress, contributions=contributions)
        results = self._explained(encoded, one_target_each(target, targets, len(encoded)), job, batch_size)
        return results if many else results[0]

    __call__, __repr__ = explain, described

    @overload
    def from_maps(
        self, example: Single, maps: Any, made_by: str = ..., target: Target = ..., **options: Unpack[MapOptions]
    ) -> Attribution: ...
    @overload
    def from_maps(
        self, example: Chat, maps: Any, made_by: str = ..., target: Target = ..., **options: Unpack[MapOptions]
    ) -> Any: ...
    @overload
    def from_maps(
        self, example: Many, maps: Any, made_by: str = ..., target: Target = ..., **options: Unpack[MapOptions]
    ) -> list[Attribution]: ...
    @overload
    def from_maps(
        self, example: Any, maps: Any, made_by: str = ..., target: Target = ..., **options: Unpack[MapOptions]
    ) -> Any: ...
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
        """Take over maps of another library as rankings, to be perturbed, drawn and compared like any other.

        Args:
            example: As for `explain`.
            maps: One map for one example, else a sequence: higher is more important, in the signal's shape or in that
                shape without channels (a saliency map over pixels, one number per token); leading axes of length 1 are
                dropped. Interpolate Grad-CAM and other coarse maps first.
            made_by: The maps' method ("captum.Saliency"), for the provenance.
            target: The target that the maps explain, as for `explain`.
            targets: One target per example instead.
            domain: None for the map as it is, by position; "fourier" and others for what `lift` makes of it there.
            lift: How a map is carried into another domain. None is "transport", for contributions (integrated
                gradients, gradient × input, LRP, DeepLIFT, SHAP, with a zero baseline): their sum is kept, as if the
                method had run in that domain. "gradient" is for signed gradients and ranks by the magnitude of the
                coefficient's gradient. "magnitude" is for anything else (heat maps, absolute values) and ranks by the
                magnitude of the map's coefficient, as published: how fast the map changes, not the evidence.
            seed: Seed of the order of ties.
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
        job = self.job(Precomputed(made_by, lift), chosen, seed)
        results = self._explained(encoded, one_target_each(target, targets, len(encoded)), job, batch_size, fitted)
        if lift in ("transport", "gradient"):
            for result, values in zip(results, fitted, strict=True):
                result.provenance["notes"] += lifted_notes(result.extras, values)
        return results if many else results[0]

    def re_explain(
        self, attributions: Sequence[Attribution], targets: Sequence[Target], as_goals: bool = False, *,
        batch_size: BatchSize = "auto",
    ) -> list[Attribution]:  # fmt: skip
        """Explain the examples of results for other targets, by the same method, domain and seed.

        Args:
            attributions: Results of this model.
            targets: One per result.
            as_goals: Methods that follow no label track the target too, in place of the model's own answer.
            batch_size: Rows in a batch, at most.

        Raises:
            InputError: If a result does not hold its example, or there is not one target for each.
            TargetError: If the model has no such target.
        """
        attributions, encoded = restore_all(self.wrapper, attributions)
        goals = one_target_each(None, targets, len(encoded))
        done: dict[int, Attribution] = {}
        for indices, method, domain, seed, options in by_origin(attributions):
            job = self.job(method, domain, seed, **options, goal_is_target=as_goals)
            results = self._explained([encoded[i] for i in indices], [goals[i] for i in indices], job, batch_size)
            done.update(zip(indices, results, strict=True))
        return [done[i] for i in range(len(encoded))]

    def explain_encoded(
        self, encoded: Sequence[EncodedExample], targets: Sequence[Target], method: Method, domain: Domain, *,
        seed: int = 0, batch_size: BatchSize = "auto", **options: Any,
    ) -> list[Attribution]:  # fmt: skip
        """Explain encoded examples, one target each, with `options` of `MethodCall`; errors as for `explain`."""
        goals = one_target_each(None, targets, len(encoded))
        return self._explained(encoded, goals, self.job(method, domain, seed, **options), batch_size)

    def job(self, method: Method, domain: Domain, seed: int, progress: Progress = None, **options: Any) -> MethodCall:
        """A method in a domain, with what its results' provenance holds of this model; `options` of `MethodCall`."""
        config = self.wrapper.config
        model = {"name": self.name, "task": self.wrapper.task, "revision": getattr(config, "_commit_hash", None)}
        options = {"dither": self.dither, "donors": self.donors, "with_gradient": self.with_gradient, **options}
        options.setdefault("asked", Asked(self.sorted_features))
        return MethodCall(method, domain, seed, model, (*self.notes, *label_notes(config)), progress, **options)

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
            self.side_inputs.add_notes(self.wrapper, requests, results)
        return results
