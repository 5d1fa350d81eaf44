"""SpectrumCallback: logs, while a `transformers.Trainer` trains, how the accuracy depends on each band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from hf_fourier.domains import Fourier
from hf_fourier.engine import Engine
from hf_fourier.errors import InputError, whole_number
from hf_fourier.evaluation.studies.band_readings import class_of, spectrum_of
from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
from hf_fourier.evaluation.studies.spectrum_means import CUTS
from hf_fourier.methods.filters import Filters
from hf_fourier.scoring.example_batch import BatchSize

if TYPE_CHECKING:
    from transformers import Trainer

    from hf_fourier.domains.bands import Bands


class SpectrumCallback(TrainerCallback):
    """Logs the accuracies of filtered examples at the trainer's evaluations, to whatever the trainer reports to.

    `trainer.add_callback(SpectrumCallback(trainer, pictures, labels))`. At every evaluation a small fixed set of
    examples goes through band-pass, band-stop, low-pass and high-pass filters at the edges of the bands, without a
    gradient: four forward passes a band and example. The model trains on as it would without the callback.

    The names are `eval_spectrum/FILTER/LOW-HIGH` with the band's edges in its unit, such as
    `eval_spectrum/band-stop/8-16`; `eval_spectrum/clean` and `eval_spectrum/empty` are the accuracies of the clean
    examples and with no band left, and `eval_spectrum/low-pass/half` is the cut-off at which half is lost. They are
    among the metrics of the evaluation too, so that `metric_for_best_model` can name one.

    Args:
        trainer: The trainer whose model is looked at, and whose `log` is called.
        data: Examples in a list, as for `FourierExplainer.explain`; a few dozen.
        labels: The true class of each, by index or label, for accuracies; None for the share of examples whose clean
            prediction is kept. They are compared with the model's classes when training begins.
        processor: The tokenizer or image processor; None for the trainer's.
        bands: The bands (`hf_fourier.domains.bands.Bandable`).
        filters: Which filters are logged; a single name too.
        every: One of so many evaluations is accompanied. Several data sets that are evaluated at one step of the
            trainer are one evaluation, logged once.
        seed: Seed of all random numbers.
        batch_size: Rows in a batch, at most.

    Attributes:
        spectra: By step of the trainer, the `ModelSpectrum`, which can be plotted and saved.

    Raises:
        InputError: If there are no examples, not one label for each, or another filter.
        TargetError: When training begins, if the model has no class of one of the labels.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: Sequence[Any],
        labels: Sequence[int | str] | None = None,
        *,
        processor: Any = None,
        bands: Bands = "octave",
        filters: str | Sequence[str] = ("band-stop", "band-pass", "low-pass", "high-pass"),
        every: int = 1,
        seed: int = 0,
        batch_size: BatchSize = "auto",
    ) -> None:
        self.trainer, self.data = trainer, list(data)
        if not self.data:
            raise InputError("no examples", "at least one", "pass examples")
        if labels is not None and len(labels) != len(self.data):
            got = f"{len(labels)} labels for {len(self.data)} examples"
            raise InputError(got, "one for each", "correct `labels`")
        known = ("band-pass", "band-stop", "low-pass", "high-pass")
        chosen = (filters,) if isinstance(filters, str) else tuple(filters)
        for name in chosen:
            if name not in known:
                raise InputError(f"filter {name!r}", f"some of {', '.join(known)}", "correct `filters`")
        self.labels, self.processor = labels, processor
        self.filters, self.domain = chosen, Fourier(bands=bands)
        self.every = whole_number("every", every, 1, "a whole number of at least 1")
        self.seed, self.batch_size = seed, batch_size
        self.spectra: dict[int, ModelSpectrum] = {}
        self._evaluations, self._step = 0, -1
        self._evaluated: set[frozenset[str]] = set()
        self._engine: Engine | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check the labels, before training has taken time."""
        if self.labels is not None:
            self._classes(self._engine_of(self._model(kwargs)))

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Filter the examples, log the accuracies, and add them to the evaluation's metrics."""
        metrics, step = kwargs.get("metrics"), int(state.global_step)
        begins = self._begins(step, frozenset(metrics if isinstance(metrics, dict) else ()))
        if (self._evaluations - 1) % self.every:
            return
        if begins:
            self.spectra[step] = self.spectrum(self._model(kwargs))
        values = self.logged(self.spectra[step])
        if isinstance(metrics, dict):
            metrics.update(values)
        if begins:
            self.trainer.log(dict(values))

    def _begins(self, step: int, names: frozenset[str]) -> bool:
        """Count an evaluation, if this is one: at another step, or of a data set that was evaluated at this step.

        Args:
            step: Of the trainer.
            names: Of the evaluation's metrics, which name the data set.
        """
        begins = step != self._step or names in self._evaluated
        if begins:
            self._evaluations, self._step, self._evaluated = self._evaluations + 1, step, set()
        self._evaluated.add(names)
        return begins

    def _model(self, known: Mapping[str, Any]) -> Any:
        """The model that the trainer hands to its callbacks, or its own."""
        model = known.get("model")
        return self.trainer.model if model is None else model

    def _engine_of(self, model: Any) -> Engine:
        """The engine of a model, made once."""
        if self._engine is None or self._engine.model is not model:
            processor = self.trainer.processing_class if self.processor is None else self.processor
            self._engine = Engine(model, processor)
        return self._engine

    def _classes(self, engine: Engine) -> list[float] | None:
        """The index of each example's true class."""
        head = engine.wrapper.head()
        return None if self.labels is None else [class_of(head, label) for label in self.labels]

    def spectrum(self, model: Any) -> ModelSpectrum:
        """The model's spectrum over the examples as it is now.

        Raises:
            TargetError: If the model has no class of one of the labels.
        """
        engine = self._engine_of(model)
        method = Filters(permutations=0, noise=None)
        results = engine.explain(
            self.data, method=method, domain=self.domain, contributions=0, seed=self.seed, batch_size=self.batch_size
        )
        return spectrum_of(results, labels=self._classes(engine), class_names=dict(engine.wrapper.head().labels))

    def logged(self, found: ModelSpectrum) -> dict[str, float]:
        """The numbers of a spectrum by the names under which they are logged; those that are not finite are left out.

        Args:
            found: The spectrum.
        """
        values = {"clean": found.clean_accuracy().mean, "empty": found.empty_accuracy().mean}
        for name in self.filters:
            for band, one in zip(found.bands, found.accuracy(name), strict=True):
                values[f"{name}/{band.low:g}-{band.high:g}"] = one.mean
            if name in CUTS:
                values[f"{name}/half"] = found.half_point(name).mean
        return {f"eval_spectrum/{name}": float(value) for name, value in values.items() if math.isfinite(value)}
