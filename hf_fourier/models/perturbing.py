"""One wrapped model without methods: it predicts, perturbs results, and builds their batches again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, overload

import torch

from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.encoding import encode, restore_all
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.prediction import Prediction, predict
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import FractionGrid, Fractions
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample
from hf_fourier.scoring.perturb_results import perturb_all
from hf_fourier.scoring.replay import BatchVisitor, reopen
from hf_fourier.torch_state import exact_class
from hf_fourier.typing import Tensor

__all__ = ["PerturbingModel"]

Several = Iterable[Attribution]
ResultsT = TypeVar("ResultsT", Attribution, list[Attribution], tuple[Attribution, ...])


@exact_class
class PerturbingModel:
    """One wrapped model: what needs no method. `Engine` adds the methods.

    Attributes:
        wrapper: The model with its processor.
        dither: Noise that is added to the model's input in all passes.
        side_inputs: Whether anything but the signal reaches the model's predictions, as far as it was tested.
    """

    wrapper: ModelWrapper
    dither: float
    side_inputs: SideInputCheck
    _donors: tuple[EncodedExample, ...] = ()

    @property
    def model(self) -> torch.nn.Module:
        """The model (below `torch.compile` or data parallelism, where it came in one of them)."""
        return self.wrapper.model

    @property
    def processor(self) -> Any:
        """The tokenizer or image processor, or None."""
        return self.wrapper.processor

    @property
    def donors(self) -> tuple[EncodedExample, ...]:
        """Other examples, whose features may stand in the place of deleted ones; set to raw examples, or to None.

        Raises:
            InputError: If what it is set to holds no examples, or one cannot be encoded.
        """
        return self._donors

    @donors.setter
    def donors(self, examples: Any) -> None:
        encoded = isinstance(examples, tuple) and all(isinstance(example, EncodedExample) for example in examples)
        self._donors = () if examples is None else examples if encoded else tuple(encode(self.wrapper, examples)[1])

    def predict(self, example: Any, *, signal: Tensor | None = None) -> Prediction:
        """Predict an example, or the example with another signal.

        Args:
            example: One raw example, or an `Attribution`.
            signal: A signal in the example's shape, such as `a.keep_top(0.04)`; None for its own.

        Raises:
            InputError: If the example or the signal does not fit.
        """
        return predict(self.wrapper, example, signal, self.dither, self.side_inputs.notes)

    @overload
    def perturb(
        self, attributions: ResultsT, fractions: Fractions = ..., *, replacement: str = ..., overwrite: bool = ...,
        batch_size: BatchSize = ...,
    ) -> ResultsT: ...  # fmt: skip
    @overload
    def perturb(
        self, attributions: Several, fractions: Fractions = ..., *, replacement: str = ..., overwrite: bool = ...,
        batch_size: BatchSize = ...,
    ) -> Sequence[Attribution]: ...  # fmt: skip
    def perturb(
        self,
        attributions: Any,
        fractions: Fractions = (0.01, 0.02, 0.04, 0.1, 0.3),
        *,
        replacement: str = "zero",
        overwrite: bool = False,
        batch_size: BatchSize = "auto",
    ) -> Any:
        """Compute perturbation curves: the prediction when only the top features are kept, and when they are deleted.

        At most two forward passes per fraction and example. Known points cost none: those already in the curve,
        fractions that leave the same features, and the whole example.

        Args:
            attributions: One result of this model, or several (an iterator or `Results` becomes a list).
            fractions: Fractions of features, 0 to 1, each of which is kept and deleted; or a
                `hf_fourier.results.curve.FractionGrid` of those to keep and those to delete (`PAPER_GRID`,
                `DEFAULT_GRID`).
            replacement: What replaces deleted features: "zero"; "noise" of their power; "phase", their
                moduli with random phases; "band", random phases with the moduli of the frequencies around; "reference",
                such as silence or a flat picture; "example", the features of another example in `donors`. Drawn once
                for each example, by the result's seed, for the whole curve; all of them take as many passes
                (`hf-fourier docs replacements`).
            overwrite: Compute known points again; a curve of another replacement is replaced.
            batch_size: Rows in a batch, at most.

        Returns:
            The same object or list, with `curve` filled.

        Raises:
            InputError: If a fraction is out of range, a result does not hold its example or has a curve of another
                replacement, or there is no donor of an example's shape.
            SpecError: If there is no such replacement.
        """
        if not isinstance(attributions, (Attribution, list, tuple)) and hasattr(attributions, "__iter__"):
            attributions = list(attributions)
        many = isinstance(attributions, (list, tuple))
        results, encoded = restore_all(self.wrapper, attributions if many else [attributions])
        grid = fractions if isinstance(fractions, FractionGrid) else FractionGrid(tuple(fractions), tuple(fractions))
        self.perturb_encoded(results, encoded, grid, replacement, batch_size, overwrite)
        return attributions

    def perturb_encoded(
        self,
        results: Sequence[Attribution],
        encoded: Sequence[EncodedExample],
        grid: FractionGrid,
        replacement: str = "zero",
        batch_size: BatchSize = "auto",
        overwrite: bool = False,
    ) -> None:
        """`perturb` for results whose encoded examples are at hand."""
        with eval_mode(self.model):
            perturb_all(results, encoded, grid, self.wrapper, batch_size, overwrite, replacement, self.donors)

    def replay(
        self, attributions: Sequence[Attribution], visit: BatchVisitor, *, batch_size: BatchSize = "auto"
    ) -> None:
        """Rebuild the batches of results, with their frozen targets, for further passes.

        Args:
            attributions: Results of this model.
            visit: Called for each batch with the indices of its results, the batch, and its score.
            batch_size: Rows in a batch, at most.

        Raises:
            InputError: If a result does not hold its example, or explains a callable.
        """
        attributions, encoded = restore_all(self.wrapper, attributions)
        with eval_mode(self.model):
            reopen(attributions, encoded, self.wrapper, visit, batch_size, self.donors)
