"""FourierExplainer: a model with its processor, which explains examples, data sets and recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from hf_fourier.domains import Domain, Fourier
from hf_fourier.engine import Engine
from hf_fourier.errors import InputError, brief
from hf_fourier.evaluation.studies.transfer import transfer_all
from hf_fourier.methods import Method
from hf_fourier.models.encoding import restore
from hf_fourier.models.inputs.examples import examples_of, listed
from hf_fourier.models.inspection import eval_mode
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.domains.bands import Bands
    from hf_fourier.evaluation.evaluate import PrecomputedMethod
    from hf_fourier.evaluation.options import EvaluationKeywords
    from hf_fourier.evaluation.rectification import Correction, RectificationResult
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
    from hf_fourier.runs.options import RunKeywords
    from hf_fourier.runs.plan import Plan
    from hf_fourier.runs.recording import Recording
    from hf_fourier.runs.results import Results


@exact_class
class FourierExplainer(Engine):
    """Explains the predictions of one model by the frequencies of its input.

    Threads may share an explainer, or have several of models that share modules: they take turns with a model, whose
    train mode and gradient flags are as they were between them. Ambient modes of torch (autocast, inference mode) reach
    the model's forward alone.

    Args:
        model: A `transformers` model with a head; or any other `torch.nn.Module`, a function of rows on tensors or
            arrays, an estimator of scikit-learn, a session of onnxruntime (docs/howto/my-network.md). Neither moved
            nor changed.
        processor: Its tokenizer or image processor; without one, examples come as the processor's own output.
        task: The pipeline's name of the head; None for that of the model's class.
        method: The default method, a spec or an object ("tracking", "ffc:kappa=.03"); None for "tracking", of
            functions on arrays "random_masks".
        domain: The default domain; None for the Fourier transform along the signal's ordered axes.
        name: The model's name in results; None for the name that it was loaded by.
        signal: Where to explain, if not at the model's own input: "waveform" for the samples in front of a model that
            reads their log-mel spectrogram, so that frequencies are in Hz.
        dither: Noise that is added to the model's input in all passes: its standard deviation, relative to the largest
            entry of each example's signal (1 where all are 0), seeded and noted. With 1e-6, 120 dB below the peak,
            models have a gradient that have none at digital silence (a root, a logarithm). May be set later.
        representation: The name of the module whose output is the hidden representation, for methods that read one
            and name none ("layer4"), and of an embedding; None for the input of the last linear layer.
        **network: Of a network or a function (`hf_fourier.models.network.NetworkOptions`): `preprocess` (one example
            to a tensor or array without a batch axis), `labels`, `axes` (names of the last ones, "time", "height",
            …), `sampling_rate` in Hz, `outputs` ("logits", "probabilities", "sigmoid", "values", "masks", "embedding"),
            `arrays` (numpy in and out: no gradient), `version` (a name of weights that cannot be read).

    Attributes:
        donors: Other examples, for methods that put their features in place of deleted ones (`replacement=example`);
            set it to what `explain` takes, or to None.

    Raises:
        ModelError: If the model has no head that can be explained, or no such signal.
        InputError: If an option of a network is invalid, or does not suit the model.
    """

    def explain_dataset(self, dataset: Any, output_dir: str | PathLike[str], **options: Unpack[RunKeywords]) -> Results:
        """Explain a whole data set into a folder: in shards, by one process or many, resumable.

        Examples that cannot be explained are recorded with the reason. A run that is killed is resumed by the same call
        from its last finished chunk, to the same bytes. Several processes (docs/runs.md) divide the chunks.

        Args:
            dataset: A list of examples; a `datasets.Dataset`, streaming or not; a Hub id; a local parquet, CSV, JSON
                lines or text file, an `.h5ad`, or a folder of pictures, sounds, volumes or cells; an `AnnData`.
            output_dir: The run's folder.
            **options: The fields of `hf_fourier.runs.options.RunOptions`: `target` or `targets`; `column`, `split` and
                `streaming` of the data set; `method`, `domain`, `contributions`; `fractions` to keep and to delete, for
                curves; `store` ("everything", "scores", "top", "auto"), `budget` ("20GB") and `top` of what is kept;
                `seed`, `batch_size`, `chunk`, `processes`, `progress`.

        Returns:
            The results, which are read lazily.

        Raises:
            InputError: If the folder holds another run, or nothing can be explained.
            StorageError: If the disk is full or closed, or another run writes to the folder; what was written stays.
        """
        from hf_fourier.runs.options import RunOptions
        from hf_fourier.runs.run import explain_dataset

        return explain_dataset(self, dataset, output_dir, RunOptions(**options))

    def estimate(self, dataset: Any, **options: Unpack[RunKeywords]) -> Plan:
        """Estimate the time, memory and space of `explain_dataset` with the same options, from a few examples."""
        from hf_fourier.runs.options import RunOptions
        from hf_fourier.runs.run import plan

        return plan(self, dataset, RunOptions(**options))

    def spectrum(
        self,
        data: Any,
        by: str | Iterable[Any] | None = None,
        bands: Bands = "octave",
        *,
        labels: str | Iterable[Any] | None = None,
        clusters: str | Iterable[Any] | None = None,
        output_dir: str | PathLike[str] | None = None,
        **options: Unpack[RunKeywords],
    ) -> ModelSpectrum:
        """The spectrum of the model over a data set: which bands it needs, which suffice, and where noise hurts.

        Each example goes through low-pass, high-pass, band-pass and band-stop filters at the bands' edges, and gets
        noise in one band after another; no gradient is needed. A run: resumable, parallel; 800 bytes an example stay.

        Args:
            data: As for `explain_dataset`.
            by: What figures draw apart: a column of the data, "prediction", "folder" (of each file) or a value each.
            bands: The bands (see `hf_fourier.domains.bands.Bandable`), unless `options` have a `domain` with bands.
            labels: The true classes, for accuracies: a column, "folder", or one each. None: `by`, where it names
                classes of the model, or else the model's clean predictions, whose share that is kept is counted.
            clusters: As `labels`: of a speaker or a patient, whose examples are dependent.
            output_dir: A folder for the results; None for a temporary one.
            **options: As for `explain_dataset`; `method` for other settings, such as "filters:replacement=noise".

        Returns:
            A `ModelSpectrum`: `plot()`, `to_pandas()`, `summary()`, `save()`.

        Raises:
            FourierError: If nothing can be explained, there is no such column, or the bands do not suit the signal.
        """
        from tempfile import TemporaryDirectory

        from hf_fourier.evaluation.studies.band_readings import grouping, spectrum_of_run

        settings: RunKeywords = {"store": "scores", "progress": output_dir is not None, "method": "filters"}
        settings.update(options)
        settings["domain"] = options.get("domain") or Fourier(bands=bands)
        known = grouping(data, settings, output_dir is None, by, labels, clusters)
        with TemporaryDirectory(prefix="hf_fourier-") as temporary:
            results = self.explain_dataset(data, output_dir or temporary, **settings)
            return spectrum_of_run(self, results, known)

    def explain_recording(
        self,
        example: Any,
        target: Target = None,
        *,
        seconds: float | None = None,
        overlap: float = 0.25,
        fractions: Sequence[float] = (),
        output_dir: str | PathLike[str] | None = None,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        contributions: int | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> Recording:
        """Explain a recording of any length in overlapping segments, with one merged result.

        The file is read piece by piece and the segments' results are kept in files: memory does not grow with it.
        Segments have one length; the last one ends with the recording. An event no longer than the overlap lies within
        some segment.

        Args:
            example: A path, or any other sound that `explain` takes.
            target: The target of every segment; None for the prediction in each.
            seconds: The length of a segment; None for the model's window, or for 10 where it has none.
            overlap: The fraction of a segment that overlaps the next, 0 to below 1.
            fractions: Fractions of features for perturbation curves of each segment (see `perturb`).
            output_dir: A folder for the segments' results; None for a temporary one that is removed with the result.
            method: A method other than the explainer's default.
            domain: A domain other than the explainer's default.
            contributions: Points on the paths for what speaks for or against the answer, as for `explain`.
            seed: Seed of all random numbers.
            batch_size: Segments at once, at most.
            progress: True for a bar, or a function that is called with (segments done, segments in all).

        Returns:
            A `Recording`: the prediction over time, one spectrum for each label, and each segment's `Attribution`.

        Raises:
            InputError: If it is no sound, or the model takes none.
            FourierError: Any error after some segments were done carries them as `error.completed`.
        """
        from hf_fourier.runs.recording import explain_recording

        return explain_recording(
            self, example, target, seconds=seconds, overlap=overlap, fractions=fractions, output_dir=output_dir,
            method=method, domain=domain, contributions=contributions, seed=seed, batch_size=batch_size,
            progress=progress,
        )  # fmt: skip

    def evaluate(
        self,
        examples: Any,
        methods: str | Method | PrecomputedMethod | Sequence[str | Method | PrecomputedMethod] = (DEFAULT_METHOD,),
        domains: str | Domain | Sequence[str | Domain] | None = None,
        metrics: Sequence[str] | None = None,
        *,
        targets: Sequence[Target] | None = None,
        groups: Sequence[Any] | None = None,
        **options: Unpack[EvaluationKeywords],
    ) -> Evaluation:
        """Compare methods with each other and with the controls, on the same examples.

        The controls (`magnitude`, `low_frequency`, `random`) are always included. Every method also explains the
        same wrong labels: a random one, and the runner-up. Metrics share their perturbation curves.

        Args:
            examples: Raw examples, as for `explain`: a list, a `datasets.Dataset`, or what else holds several.
            methods: What to compare, "captum:IntegratedGradients" too; a
                `hf_fourier.evaluation.evaluate.PrecomputedMethod` brings attributions made elsewhere, in their domain.
            domains: The domains; None for the explainer's default or each method's, as for `explain`. Incompatible
                pairs are left out, and listed in `excluded` with the reason.
            metrics: Names among `hf_fourier.metrics.names()`; None for those of the perturbation curves that suit the
                head, with selectivity where it has labels.
            targets: One target per example; None for the predictions.
            groups: The group of each example: examples of one group are not independent, and the bootstrap draws whole
                groups. None for an example each.
            **options: `preset="fast"` for few examples and passes, `column` of a data set, `seed`, `batch_size`, and
                `progress=True` for the cost before the start and a bar (`evaluation.options.EvaluationOptions`).

        Returns:
            An `Evaluation`: `table()` (tidy), `summary()`, `to_pandas()`.

        Raises:
            InputError: If there are no examples, or a metric is unknown or does not suit this head.
            SpecError: If a method or a domain is unknown.
        """
        from hf_fourier.evaluation.evaluate import PrecomputedMethod, evaluate
        from hf_fourier.evaluation.options import EvaluationOptions

        chosen = [methods] if isinstance(methods, (str, Method, PrecomputedMethod)) else list(methods)
        where = [domains] if isinstance(domains, (str, Domain)) else None if domains is None else list(domains)
        given = self._several(examples, options.get("column"))
        return evaluate(self, given, chosen, where, metrics, targets, groups, EvaluationOptions(**options))

    def sanity_check(
        self,
        examples: Any,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        *,
        targets: Sequence[Target] | None = None,
        groups: Sequence[Any] | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
    ) -> SanityResult:
        """Check a method on this model by randomization, invariance and controls.

        Passing each check means:

        - *model randomization*: of what the top 4 % of features share with the method's own repetition by another seed
          (all of it, where nothing is drawn), more than a tenth is lost when the model's weights are drawn afresh and
          the same output of the same signal is explained. 0 is lost by a ranking that reads no model, 1 where the
          randomized model's top is shared by chance alone. Passing does not show that the ranking is right.
        - *target randomization*: likewise, when a wrong label is explained in place of the own one.
        - *wrong-label control*: selectivity is above 0, the top keeps the own prediction more often than the top for a
          wrong label produces that one; and above that of a random order, which few labels can flatter.
        - *completeness*, where the method promises a sum: it misses the difference by at most 5 % in the median.
        - *batch invariance*: alone and in a batch an example gets the same scores, up to rounding.
        - *seed variance*, where the method draws: two seeds share more than half of the top.
        - *gain over magnitude*: the maintain rate (its mean over small fractions; of masks Dice retention) and
          selectivity exceed those of the magnitude ranking, which reads no model, example by example.

        An effect passes when its whole 95 % bootstrap interval does. Checks that do not apply to a head
        or a method are listed, and are no pass. The model is not changed.

        Args:
            examples: Raw examples, as for `explain`; with fewer than 30 groups the answer is anecdotal.
            method: The method to check; None for the explainer's default.
            domain: Its domain; None for the explainer's default.
            targets: One target per example; None for the predictions.
            groups: The group of each example: the bootstrap draws whole groups. None for an example each.
            seed: Seed of all random numbers, the randomized weights too.
            batch_size: Rows in a batch, at most.

        Returns:
            A `SanityResult`: `passed`, `table()`, and the verdicts in words when it is printed.

        Raises:
            InputError: If there are no examples, or one cannot be explained.
            SpecError: If the method or the domain is unknown or does not suit the signal.
        """
        from hf_fourier.evaluation.sanity_checks import check

        chosen = method or self.method
        return check(self, self._several(examples), chosen, domain, targets, groups, seed, batch_size)

    def rectify(
        self,
        example: Any,
        true_label: int | str | Sequence[int | str],
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        *,
        budget: float = 0.001,
        random_orders: int = 5,
        groups: Sequence[Any] | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
    ) -> Correction | RectificationResult:
        """Delete the top features of a mistake, ranked for the predicted class, until the true class is predicted.

        Tried are ten equal steps up to the budget (arXiv 2411.18343: .01 to .10 % of the features) and, finer, every
        count up to 16 and about as many above. The controls get the same budget on the same examples.

        Args:
            example: One example, or a list of them.
            true_label: The true class, by label or class index; for a list one for each.
            method: The method of the ranking; None for the explainer's default.
            domain: The domain of the ranking; None for the explainer's default.
            budget: The largest fraction of the features (degrees of freedom) to delete, above 0 and up to 1.
            random_orders: How many random orders are tried.
            groups: The group of each example of a list: the bootstrap draws whole groups.
            seed: Seed of all random numbers.
            batch_size: Rows in a batch, at most.

        Returns:
            A `Correction` for one example: how few features, in input space (`removed_part()`, `relevance()`), the
            corrected signal (`signal()`, `rebuilt()`), the controls. A `RectificationResult` for a list: its
            `corrections`, `table()` and `summary()`; correct predictions are left out.

        Raises:
            InputError: If there is not one true label for each, a single example is no mistake, or the head is no
                softmax over named classes.
            TargetError: If the model has no such label.
        """
        from hf_fourier.evaluation.rectification import rectify

        given = listed(example, self.wrapper)
        if given is None:
            got, do = "a batch of tensors", "pass the examples themselves, in a list"
            raise InputError(got, "raw examples", do)
        many, examples = given
        single = not many or isinstance(true_label, (str, int))
        true: Any = true_label if many and single else [true_label] if single else list(true_label)  # type: ignore[arg-type]
        chosen = method or self.method
        result = rectify(self, examples, true, chosen, domain, budget, random_orders, groups, seed, batch_size)
        if many:
            return result
        if not result.corrections:
            raise InputError(f"an example that the model calls {true_label!r}", "a mistake", "pass another one")
        return result.corrections[0]

    def transfer(self, attributions: Any, other: FourierExplainer, *, batch_size: BatchSize = "auto") -> Table:
        """Test whether adversarial examples of this model change another model's prediction.

        Both signals are brought back to human units and from there to the other model: pixels in real numbers, not
        rounded to 8 bits, with each model's own normalisation, and resized whole (bilinear) where the other reads
        another size; a waveform through the other's own processor.

        Args:
            attributions: One result of this model by "attexplore" or "fampe", or a list of them.
            other: The other model; its labels need not agree with this one's.
            batch_size: Rows in a batch, at most.

        Returns:
            One row per result: whether this model's decision flipped, the other's clean decision with its confidence
            before and after, and whether that flipped.

        Raises:
            InputError: If a result is not of this kind of model or holds no adversarial example, or if the two models
                share no units (embedded tokens are one model's own).
        """
        if not isinstance(other, Engine):
            raise InputError(f"other {brief(other)}", "another FourierExplainer", "correct `other`")
        several = not isinstance(attributions, Attribution) and hasattr(attributions, "__iter__")
        results: list[Attribution] = list(attributions) if several else [attributions]
        for result in results:
            restore(self.wrapper, result)
        with eval_mode(other.model):
            return transfer_all(results, other.wrapper, batch_size)

    def _several(self, examples: Any, column: str | None = None) -> list[Any]:
        """The raw examples of a container."""
        if column is None and not isinstance(examples, tuple):
            given = listed(examples, self.wrapper)
            if given is not None and given[0]:
                return given[1]
        return examples_of(examples, column, self.wrapper.is_example)
