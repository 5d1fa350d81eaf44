"""What most users meet: a model with its processor that explains examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import DOMAINS, Domain, Fourier
from hf_fourier.errors import FourierError, InputError, ModelError, NotFinite
from hf_fourier.evaluation.studies.transfer import transfer_all
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.apply import Job, explain_all
from hf_fourier.methods.precomputed import Given, fit, lifted_notes
from hf_fourier.models.base import Adapter
from hf_fourier.models.inputs.examples import examples_of, listed
from hf_fourier.models.inspection import held, label_notes, unwrapped
from hf_fourier.models.side_inputs import Paths, logits_at, padded
from hf_fourier.models.wrappers import adapt
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Grid
from hf_fourier.results.remarks import MEND
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize, Encoded, Request, block_of, grouped
from hf_fourier.scoring.perturb_results import play_all
from hf_fourier.scoring.replay import Work, reopen
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import Draw
from hf_fourier.torch_state import exact_class
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.evaluation.evaluate import Ready
    from hf_fourier.evaluation.rectification import Correction, Rectification
    from hf_fourier.evaluation.results import Evaluation, Sanity
    from hf_fourier.runs.plan import Plan
    from hf_fourier.runs.recording import Recording
    from hf_fourier.runs.results import Results


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
class FourierExplainer:
    """Explains the predictions of one model by the frequencies of what it reads.

    Threads may share an explainer, or have several of models that share modules: they take turns with a model, and
    its train mode and gradient flags are as they were between the turns. Ambient modes of torch (autocast, a default
    device, inference mode) reach the model's forward alone, as the user asked; all else is computed without them.

    Args:
        model: A `transformers` model with a head; it stays where it is and as it is.
        processor: Its tokenizer or image processor; without one, examples come as the processor's own output.
        task: The pipeline's name of the head; None to read it off the model's class.
        method: The default method, a spec or an object ("ffc", "ffc:kappa=.03").
        domain: The default domain; None for the Fourier transform along the leaf's ordered axes.
        name: The model's name in results; None for the one it was loaded by.
        leaf: Where to explain, if not at the model's own input: "waveform" for the samples in front of a model that
            reads their log-mel spectrogram, so that frequencies are in Hz.
        dither: Noise that is added to whatever the model reads, wherever it is asked: its standard deviation, relative
            to the largest entry of each example's leaf (to 1 where all are 0). It is seeded, and results have a note.
            With 1e-6, which is 120 dB below the peak, models have a gradient that have none at digital silence (a root,
            a logarithm, a norm of zeros). Kept as the attribute `dither`, which may be set later.

    Raises:
        ModelError: If the model has no head that can be explained, or no such leaf.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        processor: Any = None,
        *,
        task: str | None = None,
        method: str | Method = "ffc",
        domain: str | Domain | None = None,
        name: str | None = None,
        leaf: str | None = None,
        dither: float = 0.0,
    ) -> None:
        from hf_fourier.models.checkpoint import shown
        from hf_fourier.models.loading import task_of

        if not isinstance(model, torch.nn.Module):
            got = f"a model of type {type(model).__name__}"
            raise ModelError(
                got, "a torch module", "call FourierExplainer.from_pretrained(name) for a Hub id or a folder"
            )
        model = unwrapped(model)
        self.method = METHODS.parse(method)
        self.domain = None if domain is None else DOMAINS.parse(domain)
        self.adapter: Adapter = adapt(model, processor, task or task_of(model))
        self.adapter.take(leaf)
        loaded_by = getattr(getattr(model, "config", None), "_name_or_path", "") or type(model).__name__
        self.name = name or shown(loaded_by)
        self.notes: tuple[str, ...] = ()
        self.dither = dither
        #: What was found of what reaches the model's answers beside the leaf.
        self.known = Paths()

    @classmethod
    def from_pretrained(
        cls,
        model: str | PathLike[str],
        *,
        subfolder: str | None = None,
        revision: str | None = None,
        task: str | None = None,
        method: str | Method = "ffc",
        domain: str | Domain | None = None,
        leaf: str | None = None,
        dither: float = 0.0,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        device_map: Any = None,
        trust_remote_code: bool = False,
        **model_kwargs: Any,
    ) -> FourierExplainer:
        """Load a model and its processor from the Hub or a folder.

        Args:
            model: A Hub id or a folder: of a model, or of an adapter that PEFT wrote, whose base model is loaded too.
            subfolder: Where in it the checkpoint lies.
            revision: A branch, a tag or a commit.
            task: The head to load, by the pipeline's name; None for the one that the checkpoint names.
            method: The default method.
            domain: The default domain.
            leaf: Where to explain, if not at the model's own input; see the class.
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
            leaf=leaf, dither=dither,
        )  # fmt: skip
        explainer.notes = loaded.notes
        return explainer

    @classmethod
    def from_pipeline(cls, pipe: Any, **options: Any) -> FourierExplainer:
        """The model and the processor of a `transformers` pipeline.

        Args:
            pipe: The pipeline; it is not changed.
            **options: As for the constructor.
        """
        names = ("image_processor", "tokenizer", "feature_extractor")
        parts = {name: part for name in names if (part := getattr(pipe, name, None)) is not None}
        several = len(parts) > 1 and "tokenizer" in parts
        processor = SimpleNamespace(**parts) if several else next(iter(parts.values()), None)
        return cls(pipe.model, processor, **options)

    @property
    def model(self) -> torch.nn.Module:
        """The model (below `torch.compile` or data parallelism, where it came in one of them)."""
        return self.adapter.model

    @property
    def processor(self) -> Any:
        """The tokenizer or image processor, or None."""
        return self.adapter.processor

    def domain_of(self, method: Method, domain: str | Domain | None = None) -> Domain:
        """Where a method ranks: in the domain that is asked for, the explainer's own, or the method's home."""
        return DOMAINS.parse(domain or self.domain or method.home or Fourier())

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
            SpecError: If the method or the domain is unknown or does not suit the leaf.
            FourierError: Whatever fails after some examples were done carries them as `error.completed`, by index.
        """
        many, encoded = self._encode(example)
        chosen = METHODS.parse(method or self.method)
        job = self._job(chosen, self.domain_of(chosen, domain), seed, progress)
        results = self._explained(encoded, self._targets(target, targets, len(encoded)), job, batch_size)
        return results if many else results[0]

    def explain_dataset(self, dataset: Any, output_dir: str | PathLike[str], **options: Any) -> Results:
        """Explain a whole data set into a folder: in shards, on one process or many, going on where it was stopped.

        Examples that cannot be explained are recorded with the reason. A run that is killed at any moment goes on
        with the same call from its last finished chunk, to the same bytes. Started in several processes
        (docs/runs.md), they share the chunks.

        Args:
            dataset: A list of examples; a `datasets.Dataset`, streaming or not; a Hub id; a local parquet, CSV, JSON
                lines or text file, an `.h5ad`, or a folder of pictures, sounds, volumes or cells; an `AnnData`.
            output_dir: The run's folder.
            **options: The fields of `hf_fourier.runs.options.Options`: `target`, `column`, `method`, `play`, `store`,
                `budget` and others.

        Returns:
            The results, which are read when they are asked for.

        Raises:
            InputError: If the folder holds another run, or nothing can be explained.
            StorageError: If the disk is full or closed, or another run writes to the folder; what was written stays.
        """
        from hf_fourier.runs.options import Options
        from hf_fourier.runs.run import explain_dataset

        return explain_dataset(self, dataset, output_dir, Options(**options))

    def plan(self, dataset: Any, **options: Any) -> Plan:
        """What `explain_dataset` would take with the same options: time, memory, space, measured on a few examples."""
        from hf_fourier.runs.options import Options
        from hf_fourier.runs.run import plan

        return plan(self, dataset, Options(**options))

    def explain_recording(
        self,
        example: Any,
        target: Target = None,
        *,
        seconds: float | None = None,
        overlap: float = 0.25,
        kept: Sequence[float] = (),
        folder: str | PathLike[str] | None = None,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | None = None,
    ) -> Recording:
        """Explain a recording of any length in overlapping segments, with one merged answer.

        The file is read piece by piece and the segments' results lie in files, so that memory does not grow with the
        recording. Segments are of one length; the last one ends with the recording. An event that is at most as long
        as the overlap lies whole in some segment.

        Args:
            example: A path, or any other sound that `explain` takes.
            target: What to explain in every segment; None for what the model says in each.
            seconds: Of a segment; None for the model's window, or for 10 where it has none.
            overlap: The share of a segment that overlaps the next, 0 to below 1.
            kept: Shares of features to play in each segment (see `play`).
            folder: Where the segments' results go, and stay; None for a temporary folder that goes with the result.
            method: A method other than the explainer's own.
            domain: A domain other than the explainer's own.
            seed: Of everything random.
            batch_size: Segments at once, at most.
            progress: Called with (segments done, segments in all).

        Returns:
            A `Recording`: the decision over time, one spectrum for each label, and each segment's `Attribution`.

        Raises:
            InputError: If it is no sound, or the model does not listen.
            FourierError: Whatever fails after some segments were done carries them as `error.completed`.
        """
        from hf_fourier.runs.recording import explain_recording

        return explain_recording(
            self, example, target, seconds=seconds, overlap=overlap, kept=kept, folder=folder, method=method,
            domain=domain, seed=seed, batch_size=batch_size, progress=progress,
        )  # fmt: skip

    def adopt(
        self,
        example: Any,
        maps: Any,
        origin: str = "elsewhere",
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
            maps: One map for one example, else a sequence: higher is more important, in the leaf's own shape or in
                that of its places without channels (a saliency map over pixels, one number per token), axes of one
                entry in front left out. Grad-CAM and other coarse maps are to be interpolated first.
            origin: What made them ("captum.Saliency"), for the provenance.
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
            InputError: If there is not one map per example, or one does not fit its leaf or is not finite.
            SpecError: If the lift is unknown, or a gradient lacks the leaf's channels.
        """
        many, encoded = self._encode(example)
        given = list(maps) if many else [maps]
        if len(given) != len(encoded):
            raise InputError(f"{len(given)} maps for {len(encoded)} examples", "one per example", "correct `maps`")
        fitted = [fit(one, e) for one, e in zip(given, encoded, strict=True)]
        by_place = all(place for _, place in fitted)
        chosen = DOMAINS.parse(domain or ("identity:grain=position" if by_place else "identity"))
        if lift is None and not chosen.bind(encoded[0].leaf).layout.by_place:
            lift = "transport"
        wanted, job = self._targets(target, targets, len(encoded)), self._job(Given(origin, lift), chosen, seed)
        results = self._explained(encoded, wanted, job, batch_size, [one for one, _ in fitted])
        for result, (one, _) in zip(results, fitted, strict=True):
            if lift in ("transport", "gradient"):
                result.provenance["notes"] += lifted_notes(result, one)
        return results if many else results[0]

    def predict(self, example: Any, *, leaf: Tensor | None = None) -> Prediction:
        """What the model says of an example, or of the example with another leaf.

        Args:
            example: One raw example, or an `Attribution`.
            leaf: A leaf in the example's shape, such as `a.keep(0.04)`; None for its own.

        Raises:
            InputError: If the example or the leaf does not fit.
        """
        known = isinstance(example, Attribution)
        encoded = self._restored(example) if known else self._single(example)
        seed, key = (int(example.provenance.get("seed", 0)), example.key) if known else (0, encoded.key)
        with held(self.model):
            encoded = encoded if known else self.adapter.aim(encoded, None)[0]
            dither = float(example.provenance.get("dither", 0.0)) if known else self.dither
            block = block_of(self.adapter, [encoded], Draw(seed, [key]), dither)
            x = block.x
            if leaf is not None:
                if not isinstance(leaf, Tensor) or tuple(leaf.shape) != tuple(x.shape[1:]):
                    got = (
                        f"of shape {tuple(leaf.shape)}"
                        if isinstance(leaf, Tensor)
                        else f"of type {type(leaf).__name__}"
                    )
                    raise InputError(f"a leaf {got}", f"a tensor of shape {tuple(x.shape[1:])}", "pass a.keep(…)")
                x = leaf.detach().unsqueeze(0).to(x)
            logits = logits_at(block, x)
            bare = None if known or leaf is not None else self.adapter.stripped(encoded)
            notes = [*encoded.notes, *self.known.said, *([] if bare is None else padded(self.adapter, bare, logits))]
        if bool(logits.isnan().any()):
            got = "outputs that are not numbers (NaN)"
            raise NotFinite({0: got}, "finite logits", f"check the input and the model's dtype; or {MEND}")
        block.head.fits(logits.unsqueeze(0))
        ranked = block.head.ranked(logits)
        return Prediction(ranked[0][0], ranked[0][1], ranked, logits, tuple(notes))

    def play(
        self,
        attributions: Any,
        kept: Sequence[float] | Grid = (0.01, 0.02, 0.04, 0.1, 0.3),
        *,
        again: bool = False,
        batch_size: BatchSize = "auto",
    ) -> Any:
        """Ask the model what it says when only the top features are kept, and when they are deleted.

        At most two forward passes per share and example. What is known costs none: what was played before and stays
        in the curve, shares that leave the same features, and the whole example.

        Args:
            attributions: One result of this model, or a list of them (of an iterator or `Results` a list is made).
            kept: Shares of features, 0 to 1, each of which is kept and deleted; or a
                `hf_fourier.results.curve.Grid` that says which are kept and which deleted (`PUBLISHED`,
                `STANDARD`).
            again: Ask also what is known.
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
        grid = kept if isinstance(kept, Grid) else Grid(tuple(kept), tuple(kept))
        encoded = [self._restored(result) for result in results]
        with held(self.model):
            play_all(results, encoded, grid, self.adapter, batch_size, again)
        return attributions

    def evaluate(
        self,
        examples: Any,
        methods: str | Method | Ready | Sequence[str | Method | Ready] = ("ffc",),
        domains: str | Domain | Sequence[str | Domain] | None = None,
        metrics: Sequence[str] | None = None,
        *,
        column: str | None = None,
        targets: Sequence[Target] | None = None,
        sources: Sequence[Any] | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | None = None,
    ) -> Evaluation:
        """Hold methods against each other and against the controls, on the same examples.

        The controls (`magnitude`, `low_frequency`, `random`) are always there. Every method is asked for the same
        wrong labels as well: one dealt out at random, and the runner-up. One game serves all metrics that read it.

        Args:
            examples: Raw examples, as for `explain`: a list, a `datasets.Dataset`, or what else holds several.
            column: Which column of a data set holds them; None for the only one of pictures, sounds or texts.
            methods: What to compare; a `hf_fourier.evaluation.evaluate.Ready` brings attributions that are made
                elsewhere, and stands in its own domain.
            domains: Where; None for the explainer's own, or else each method's home, as for `explain`. What does not go
                together is left out, and listed in `excluded` with the reason.
            metrics: Names among `hf_fourier.metrics.names()`; None for those of the game that the head has, with
                selectivity where it has labels.
            targets: One target per example; None for what the model says.
            sources: What each example was made from: examples of one source are not independent, and intervals draw
                whole sources. None for an example each.
            seed: Of everything random.
            batch_size: Rows in a batch, at most.
            progress: Called with (methods done, methods in all), domains counted apart.

        Returns:
            An `Evaluation`: `table()` (tidy), `summary()`, `to_pandas()`.

        Raises:
            InputError: If there are no examples, or a metric is unknown or none for this head.
            SpecError: If a method or a domain is unknown.
        """
        from hf_fourier.evaluation.evaluate import Ready, evaluate

        chosen = [methods] if isinstance(methods, (str, Method, Ready)) else list(methods)
        where = [domains] if isinstance(domains, (str, Domain)) else None if domains is None else list(domains)
        given = self._several(examples, column)
        return evaluate(self, given, chosen, where, metrics, targets, sources, seed, batch_size, progress)

    def sanity(
        self,
        examples: Any,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        *,
        targets: Sequence[Target] | None = None,
        sources: Sequence[Any] | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
    ) -> Sanity:
        """Ask a method what it has to show before its explanations of this model are believed.

        Passing each check means:

        - *random twin*: of what the top 4 % of features share with the method's own repetition by another seed (all of
          it, where nothing is drawn), more than a tenth is lost when the model's weights are drawn afresh and the same
          output of the same leaf is explained. 0 is lost by a ranking that asks no model, 1 where the twin's top is
          shared by chance alone. It does not say that what goes with the weights is right.
        - *label shuffle*: likewise, when a wrong label is asked for in place of the own one.
        - *wrong-label control*: selectivity is above 0, the top keeps the own decision more often than the top for a
          wrong label brings that about; and above that of a random order, which few labels can flatter.
        - *completeness*, where the method promises a sum: it misses the difference by at most 5 % in the median.
        - *batch invariance*: alone and in a batch an example gets the same scores, up to rounding.
        - *seed variance*, where the method draws: two seeds share more than half of the top.
        - *gap to magnitude*: DIG (of masks Dice retention, of values the maintain rate at 4 %) and selectivity exceed
          those of the magnitude ranking, which asks no model, example by example.

        An effect passes when its whole 95 % bootstrap interval does. What a head or a method cannot be asked is told,
        and is no pass. The model is left as it is.

        Args:
            examples: Raw examples, as for `explain`; with fewer than 30 sources the answer is anecdotal.
            method: What is checked; None for the explainer's own.
            domain: Where; None for the explainer's own.
            targets: One target per example; None for what the model says.
            sources: What each example was made from: intervals draw whole sources. None for an example each.
            seed: Of everything random, the twin's weights among it.
            batch_size: Rows in a batch, at most.

        Returns:
            A `Sanity`: `passed`, `table()`, and the verdicts in words when it is printed.

        Raises:
            InputError: If there are no examples, or one cannot be explained.
            SpecError: If the method or the domain is unknown or does not suit the leaf.
        """
        from hf_fourier.evaluation.sanity_checks import check

        chosen = method or self.method
        return check(self, self._several(examples), chosen, domain, targets, sources, seed, batch_size)

    def rectify(
        self,
        example: Any,
        true_label: int | str | Sequence[int | str],
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        *,
        budget: float = 0.001,
        draws: int = 5,
        sources: Sequence[Any] | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
    ) -> Correction | Rectification:
        """Delete the top features of a mistake, ranked for what the model says, until the model says the truth.

        Tried are ten equal steps up to the budget (arXiv 2411.18343: .01 to .10 % of the features) and, finer, every
        count up to 16 and about as many above. The controls get the same budget on the same examples.

        Args:
            example: One example, or a list of them.
            true_label: What it is in truth, by label or class index; for a list one for each.
            method: Of the ranking; None for the explainer's own.
            domain: Of the ranking; None for the explainer's own.
            budget: The largest share of the features (degrees of freedom) that may go, above 0 and up to 1.
            draws: How many random orders are tried.
            sources: What each example of a list was made from: intervals draw whole sources.
            seed: Of everything random.
            batch_size: Rows in a batch, at most.

        Returns:
            A `Correction` for one example: how few features, what they are in input space (`removed()`, `relevance()`),
                the corrected leaf (`leaf()`, `rebuilt()`), the controls.
            A `Rectification` for a list: its `corrections`, `table()` and `summary()`; what the model said rightly is
            left out.

        Raises:
            InputError: If there is not one true label for each, a single example is no mistake, or the head is no
                softmax over named classes.
            TargetError: If the model has no such label.
        """
        from hf_fourier.evaluation.rectification import rectify

        given = listed(example, self.adapter)
        if given is None:
            got, do = "a batch of tensors", "pass the examples themselves, in a list"
            raise InputError(got, "raw examples", do)
        many, examples = given
        single = not many or isinstance(true_label, (str, int))
        true: Any = true_label if many and single else [true_label] if single else list(true_label)  # type: ignore[arg-type]
        chosen = method or self.method
        found = rectify(self, examples, true, chosen, domain, budget, draws, sources, seed, batch_size)
        if many:
            return found
        if not found.corrections:
            raise InputError(f"an example that the model calls {true_label!r}", "a mistake", "pass another one")
        return found.corrections[0]

    def explain_again(
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
            job = replace(self._job(METHODS.parse(method), DOMAINS.parse(domain), seed), dither=dither)
            some = self._explained([encoded[i] for i in indices], [wanted[i] for i in indices], job, batch_size)
            done.update(zip(indices, some, strict=True))
        return [done[i] for i in range(len(encoded))]

    def reopen(self, attributions: Sequence[Attribution], work: Work, *, batch_size: BatchSize = "auto") -> None:
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
        with held(self.model):
            reopen(attributions, encoded, self.adapter, work, batch_size)

    def transfer(self, attributions: Any, to: FourierExplainer, *, batch_size: BatchSize = "auto") -> Table:
        """Whether adversarial examples that were made against this model turn another model's decision.

        Both the clean and the adversarial leaf are brought back to human units and from there to the other model:
        pixels in real numbers, not rounded to the 8 bits of an image file, with each model's own normalisation, and
        resized whole (bilinear) where the other reads another size; a waveform through the other's own processor.

        Args:
            attributions: One result of this model by "attexplore" or "fampe", or a list of them.
            to: The other model.
            batch_size: Rows in a batch, at most.

        Returns:
            One row per result: whether this model's decision flipped, the other's clean decision with its confidence
            before and after, and whether that flipped. The two models' labels need not agree.

        Raises:
            InputError: If a result is not of this kind of model or holds no adversarial example, or if the two models
                share no units (embedded tokens are one model's own).
        """
        several = not isinstance(attributions, Attribution) and hasattr(attributions, "__iter__")
        results: list[Attribution] = list(attributions) if several else [attributions]
        for result in results:
            self._restored(result)
        with held(to.model):
            return transfer_all(results, to.adapter, batch_size)

    def _job(
        self, method: Method, domain: Domain, seed: int, progress: Callable[[int, int], None] | None = None
    ) -> Job:
        model = {"name": self.name, "task": self.adapter.task, "revision": self._revision}
        notes = (*self.notes, *label_notes(self.adapter.config))
        return Job(method, domain, seed, model, notes, progress, self.dither)

    def _explained(
        self,
        encoded: Sequence[Encoded],
        wanted: Sequence[Target],
        job: Job,
        batch_size: BatchSize,
        maps: Sequence[Tensor] | None = None,
    ) -> list[Attribution]:
        """One result per example, with a map of it where those are ranked."""
        with held(self.model):
            aimed = [self.adapter.aim(e, t) for e, t in zip(encoded, wanted, strict=True)]
            given: Sequence[Tensor | None] = maps or [None] * len(aimed)
            requests = [Request(e, t, one) for (e, t), one in zip(aimed, given, strict=True)]
            results = explain_all(requests, job, self.adapter, batch_size)
            self.known.tell(self.adapter, requests, results)
        return results

    def _encode(self, example: Any) -> tuple[bool, list[Encoded]]:
        given = listed(example, self.adapter)
        if given is None:
            return True, self.adapter.encode_batch(example)
        many, examples = given
        if not many:
            return False, [self.adapter.encode(examples[0])]
        if not examples:
            raise InputError("an empty list", "at least one example", "pass examples")
        encoded = []
        for i, one in enumerate(examples):
            try:
                encoded.append(self.adapter.encode(one))
            except FourierError as error:
                error.add_note(f"this is example {i} of the list")
                error.args = (f"example {i}: {error.args[0]}",)
                raise
        return True, encoded

    def _several(self, examples: Any, column: str | None = None) -> list[Any]:
        """The raw examples of what holds several."""
        if column is None and not isinstance(examples, tuple):
            given = listed(examples, self.adapter)
            if given is not None and given[0]:
                return given[1]
        return examples_of(examples, column, self.adapter.is_example)

    def _single(self, example: Any) -> Encoded:
        encoded = self._encode(example)[1]
        if len(encoded) != 1:
            raise InputError(f"{len(encoded)} examples", "one", "call predict for each of them")
        return encoded[0]

    def _restored(self, result: Attribution) -> Encoded:
        if not isinstance(result, Attribution):
            got = f"a {type(result).__name__}"
            raise InputError(got, "a result of explain", "call explain first, and pass what it returns")
        if result.leaf is None:
            raise InputError("a compact result", "one with its example", "save it without compact=True")
        task, kind = result.provenance.get("task"), result.layout.leaf.kind
        if task != self.adapter.task or kind not in self.adapter.leaf_kinds:
            expected = f"one of {' or '.join(self.adapter.leaf_kinds)} for {self.adapter.task}"
            raise InputError(f"a result of {kind} for {task}", expected, "pass it to its own model")
        inputs = {name: tensor for name, tensor in result.inputs.items() if name != "content"}
        content = result.inputs.get("content")
        values, group = None if content is not None else result.leaf, self.adapter.group(inputs)
        names, view = tuple(result.names), result.view
        return Encoded(result.layout.leaf, inputs, values, content, names, view, group=group)

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
