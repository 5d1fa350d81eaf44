"""SpectrumCallback: logs, while a `transformers.Trainer` trains, which bands of frequencies the model needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
            prediction is kept.
        processor: The tokenizer or image processor; None for the trainer's.
        bands: The bands (`hf_fourier.domains.bands.Bandable`).
        filters: Which filters are logged.
        every: One of so many evaluations is accompanied.
        seed: Seed of all random numbers.
        batch_size: Rows in a batch, at most.

    Attributes:
        spectra: By step of the trainer, the `ModelSpectrum`, which can be plotted and saved.

    Raises:
        InputError: If there are no examples, not one label for each, or another filter.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: Sequence[Any],
        labels: Sequence[int | str] | None = None,
        *,
        processor: Any = None,
        bands: Bands = "octave",
        filters: Sequence[str] = ("band-stop", "band-pass", "low-pass", "high-pass"),
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
        for name in filters:
            if name not in known:
                raise InputError(f"filter {name!r}", f"some of {', '.join(known)}", "correct `filters`")
        self.labels, self.processor = labels, processor
        self.filters, self.domain = tuple(filters), Fourier(bands=bands)
        self.every = whole_number("every", every, 1, "a whole number of at least 1")
        self.seed, self.batch_size = seed, batch_size
        self.spectra: dict[int, ModelSpectrum] = {}
        self._evaluations = 0
        self._engine: Engine | None = None

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Filter the examples, log the accuracies, and add them to the evaluation's metrics."""
        self._evaluations += 1
        if (self._evaluations - 1) % self.every:
            return
        model = kwargs.get("model")
        found = self.spectrum(self.trainer.model if model is None else model)
        self.spectra[int(state.global_step)] = found
        values = self.logged(found)
        metrics = kwargs.get("metrics")
        if isinstance(metrics, dict):
            metrics.update(values)
        self.trainer.log(dict(values))

    def spectrum(self, model: Any) -> ModelSpectrum:
        """The model's spectrum over the examples as it is now."""
        if self._engine is None or self._engine.model is not model:
            processor = self.trainer.processing_class if self.processor is None else self.processor
            self._engine = Engine(model, processor)
        method = Filters(permutations=0, noise=None)
        results = self._engine.explain(
            self.data, method=method, domain=self.domain, contributions=0, seed=self.seed, batch_size=self.batch_size
        )
        head = self._engine.wrapper.head()
        classes = None if self.labels is None else [class_of(head, label) for label in self.labels]
        return spectrum_of(results, labels=classes, class_names=dict(head.labels))

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
