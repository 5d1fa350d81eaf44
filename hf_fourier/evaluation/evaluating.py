"""Evaluations with one model: comparison of methods, sanity checks, corrections, transfer to other models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from hf_fourier.domains import Domain
from hf_fourier.engine import Engine
from hf_fourier.errors import InputError, brief, is_list_like
from hf_fourier.evaluation.cells import ScoringGenes
from hf_fourier.evaluation.studies.transfer import transfer_all
from hf_fourier.methods import Method
from hf_fourier.models.encoding import restore
from hf_fourier.models.inputs.examples import examples_of, listed
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.evaluation.evaluate import PrecomputedMethod
    from hf_fourier.evaluation.options import EvaluationKeywords
    from hf_fourier.evaluation.rectification import Correction, RectificationResult
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.evaluation.studies.heat_map import HeatMap

__all__ = ["Evaluating"]


@exact_class
class Evaluating(ScoringGenes):
    """One wrapped model with all evaluations. Users meet it as `FourierExplainer`, which adds data sets."""

    def evaluate(
        self,
        examples: Any,
        methods: str | Method | PrecomputedMethod | Sequence[str | Method | PrecomputedMethod] | None = None,
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
            examples: Raw examples, as for `explain`: a list, a `datasets.Dataset`, or another container of several.
            methods: The methods to compare, also "captum:IntegratedGradients"; a
                `hf_fourier.evaluation.evaluate.PrecomputedMethod` adds attributions made elsewhere, in their domain.
                None for the explainer's default.
            domains: The domains; None for the explainer's default or each method's, as for `explain`. Incompatible
                pairs are left out, and listed in `excluded` with the reason.
            metrics: Names among `hf_fourier.metrics.names()`; None for those of the perturbation curves that suit the
                head, with selectivity where it has labels.
            targets: One target per example; None for the predictions.
            groups: The group of each example: examples of one group are not independent, and the bootstrap draws whole
                groups. None for an example each.
            **options: `preset="fast"` for few examples and passes, `column` of a data set, `seed`, `batch_size`,
                `replacement` (what replaces deleted features, as for `perturb`), and `progress=True` for an estimate
                of the cost and a progress bar (`evaluation.options.EvaluationOptions`).

        Returns:
            An `Evaluation`: `table()`, `summary()`, `to_pandas()`.

        Raises:
            InputError: If there are no examples, or a metric is unknown or does not suit this head.
            SpecError: If a method, a domain or the replacement is unknown.
        """
        from hf_fourier.evaluation.evaluate import PrecomputedMethod, evaluate
        from hf_fourier.evaluation.options import EvaluationOptions

        where = [domains] if isinstance(domains, (str, Domain)) else None if domains is None else list(domains)
        given = self._several(examples, options.get("column"))
        methods = self.method if methods is None else methods
        chosen = [methods] if isinstance(methods, (str, Method, PrecomputedMethod)) else list(methods)
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

        - *model randomization*: of the part of the top 4 % of features that the method repeats with another seed (all
          of it for a deterministic method), more than a tenth is lost when the model's weights are randomized and the
          same output of the same signal is explained. A ranking that does not use the model loses 0; one that shares
          the randomized model's top only by chance loses 1. Passing does not show that the ranking is right.
        - *target randomization*: the same for a wrong label instead of the model's own one.
        - *wrong-label control*: selectivity is above 0, so the top keeps the own prediction more often than the top for
          a wrong label produces that label; and above that of a random order, which is high if there are few labels.
        - *completeness*, if the method promises a sum: it misses the difference by at most 5 % in the median.
        - *batch invariance*: an example gets the same scores alone and in a batch, up to rounding.
        - *seed variance*, if the method is random: two seeds share more than half of the top.
        - *gain over magnitude*: the maintain rate (its mean over small fractions; for masks Dice retention) and
          selectivity exceed those of the magnitude ranking, which does not use the model, example by example.

        An effect passes if its whole 95 % bootstrap interval does. Checks that do not apply to a head
        or a method are listed and do not count as passed. The model is not changed.

        Args:
            examples: Raw examples, as for `explain`; with fewer than 30 groups the result is anecdotal.
            method: The method to check; None for the explainer's default.
            domain: Its domain; None for the explainer's default.
            targets: One target per example; None for the predictions.
            groups: The group of each example: the bootstrap draws whole groups. None for an example each.
            seed: Seed of all random numbers, including the randomized weights.
            batch_size: Rows in a batch, at most.

        Returns:
            A `SanityResult`: `passed`, `table()`, and the verdicts in words when it is printed.

        Raises:
            InputError: If there are no examples, or one cannot be explained.
            SpecError: If the method or the domain is unknown or does not suit the signal.
        """
        from hf_fourier.evaluation.sanity_checks import check

        several = self._several(examples)
        chosen = method or self.method
        return check(self, several, chosen, domain, targets, groups, seed, batch_size)

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

        It tries ten equal steps up to the budget (arXiv 2411.18343: .01 to .10 % of the features) and, finer, every
        count up to 16 and about as many above. The controls get the same budget on the same examples.

        Args:
            example: One example, or a list of them.
            true_label: The true class, by label or class index; for a list one for each.
            method: The method of the ranking; None for the explainer's default.
            domain: The domain of the ranking; None for the explainer's default.
            budget: The largest fraction of the features (degrees of freedom) to delete, above 0 and up to 1.
            random_orders: Number of random orders to try.
            groups: The group of each example of a list: the bootstrap draws whole groups.
            seed: Seed of all random numbers.
            batch_size: Rows in a batch, at most.

        Returns:
            A `Correction` for one example: how few features, in input space (`removed_part()`, `relevance()`), the
            corrected signal (`signal()`, `rebuilt()`), the controls. A `RectificationResult` for a list: its
            `corrections`, `table()` and `summary()`; correct predictions are left out.

        Raises:
            InputError: If there is not one true label for each, a single example is not a mistake, or the head is not a
                softmax over named classes.
            TargetError: If the model has no such label.
        """
        from hf_fourier.evaluation.rectification import rectify

        given = listed(example, self.wrapper)
        if given is None:
            got, do = "a batch of tensors", "pass the examples themselves, in a list"
            raise InputError(got, "raw examples", do)
        many, examples = given
        single = not many or not is_list_like(true_label)
        self.wrapper.learn(examples)
        true: Any = true_label if many and single else [true_label] if single else list(true_label)  # type: ignore[arg-type]
        chosen = method or self.method
        result = rectify(self, examples, true, chosen, domain, budget, random_orders, groups, seed, batch_size)
        if many:
            return result
        if not result.corrections:
            got = f"an example that the model classifies correctly, as {true_label!r}"
            raise InputError(got, "one that it misclassifies", "pass another one")
        return result.corrections[0]

    def heat_map(
        self,
        data: Any,
        labels: str | Iterable[Any] | None = None,
        clusters: str | Iterable[Any] | None = None,
        *,
        level: float = 0.5,
        size: int | None = None,
        highest: float | None = None,
        phases: str = "sign",
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> HeatMap:
        """Compute the Fourier heat map: the model's error rate when a single wave is added, for each frequency.

        The input is `x + r v U` for waves U of norm 1 whose transform is zero except at ±k (Yin et al. 2019, arXiv
        1906.08988); r is a random sign in each channel. Each example takes one forward pass per wave, and a clean one;
        rows of all examples share batches, and examples are read as needed. Nothing is clipped. The largest of the
        first 64 examples sets the frequencies; smaller ones get those that they can represent.

        Args:
            data: As for `explain_dataset`.
            labels: The true classes, for error rates: a column, "folder", or one each; None for the share of the
                model's clean predictions that change.
            clusters: As `labels`: names of dependent examples, such as those of one speaker or patient.
            level: The size of the wave: its norm over all channels, a fraction of that of the signal around its mean.
                (The paper's v is each channel's in the model's unit: `v √channels / ‖x - mean‖`.)
            size: Frequencies along each axis, 3 or more, as far as there are so many: evenly from -highest to highest
                (15 along two axes, 5 along three; even numbers are rounded down), or along a single axis from 0, on a
                logarithmic scale (25).
            highest: The highest frequency, in cycles per picture or volume, Hz, …; None for just below half the
                sampling rate.
            phases: "sign", as published: waves have a crest or a trough at the first entry. "any" draws a phase for
                each channel, since a model may respond only to other phases.
            seed: Seed of signs and phases, which differ between examples.
            batch_size: Rows in a batch, at most.
            progress: True for a bar, or a function that is called with (examples done, examples in all, as far as that
                is known).

        Returns:
            A `HeatMap`: `plot()`, `to_pandas()`, `summary()`, `save()`.

        Raises:
            InputError: If no example can be read, their axes differ, or there is not one label for each.
            TargetError: If a label is not a class of the model.
        """
        from hf_fourier.evaluation.studies.heat_readings import heat_map
        from hf_fourier.evaluation.studies.waves import Waves

        return heat_map(self, data, labels, clusters, Waves(level, size, highest, phases), seed, batch_size, progress)

    def words(self, texts: Any, target: Target = None, *, seed: int = 0, batch_size: BatchSize = "auto") -> Any:
        """Explain texts by words: contributions, the confidence without each word, and low and high frequencies.

        Takes one forward pass per word (its tokens masked, or padded) and two more, beside `explain(contributions=4)`.

        Arguments and what is returned are those of `explain`; `result.words()` is the table
        (`hf-fourier docs contributions`).

        Raises:
            InputError: If an example is no text.
        """
        from hf_fourier.evaluation.studies.word_deletion import delete_words

        found = self.explain(texts, target, contributions=4, seed=seed, batch_size=batch_size)
        delete_words(self, [found] if isinstance(found, Attribution) else found, batch_size)
        return found

    def transfer(self, attributions: Any, other: Engine, *, batch_size: BatchSize = "auto") -> Table:
        """Test whether adversarial examples of this model change another model's prediction.

        Both signals are converted to the raw input and from there to the other model: pixels in real numbers, not
        rounded to 8 bits, with each model's own normalisation, and resized (bilinear) if the other model reads
        another size; a waveform through the other model's processor.

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
        """The raw examples of a container; what the default method depends on is known afterwards."""
        given = listed(examples, self.wrapper) if column is None and not isinstance(examples, tuple) else None
        several = given[1] if given is not None and given[0] else None
        if several is None:
            several = examples_of(examples, column, self.wrapper.is_example)
        self.wrapper.learn(several)
        return several
