"""Input fidelity and faithfulness of spectra: the prediction and the confidence at one fraction of the features."""

from __future__ import annotations

from hf_fourier.evaluation.metrics.base import Metric, of_curves, register
from hf_fourier.evaluation.metrics.table import DELETE_COLUMNS
from hf_fourier.results.curve import Curve, maintained


def input_fidelity(curve: Curve, fraction: float = 0.5) -> float:
    """Whether the kept part alone has the prediction of the whole: 1 or 0; the mean over examples is the metric.

    Paissan et al. (PIQ), as the code of WAM (arXiv 2410.01482) takes it, at half of the features. Higher is better.
    Arguments and errors as for `maintained`.
    """
    return maintained(curve, fraction)


def faithfulness_of_spectra(curve: Curve, fraction: float = 0.5) -> float:
    """The confidence that is lost with the top features: `p(x) − p(x without them)`; higher is better.

    Parekh et al. 2022 (Listen to Interpret), who report the median over examples; at half of the features as in the
    code of WAM (arXiv 2410.01482). From −1 to 1.

    Args:
        curve: One example's, perturbed by deleting `fraction`.
        fraction: Deleted fraction of the features, 0 to 1.

    Raises:
        InputError: If the curve has no point at the fraction, or the head has no confidence.
    """
    whole, without = curve.confidences("delete", [0, fraction])
    return whole - without


FAITHFULNESS_OF_SPECTRA = register(
    Metric(
        name="faithfulness_of_spectra",
        description="The drop of the confidence when the top features are deleted.",
        reads=(*DELETE_COLUMNS, "clean"),
        range="−1 to 1",
        better="higher",
        needs=(
            "perturb with 0.5 (or the `fraction` that you pass) among the deleted fractions, as in `metrics.PAPER_GRID`"
        ),
        limits=(
            "It ignores the order within the deleted part; on planted models the true ranking and the magnitude get "
            "the same value. The paper reports the median."
        ),
        reference=(
            "Parekh et al. 2022 (Listen to Interpret); at half of the features as in the code of arXiv 2410.01482"
        ),
        per_example=of_curves(faithfulness_of_spectra),
    )
)


INPUT_FIDELITY = register(
    Metric(
        name="input_fidelity",
        description="The fraction of examples with the same prediction on the kept part alone.",
        reads=("kept", "kept_decision"),
        range="0 to 1",
        better="higher",
        needs="perturb with 0.5 (or the `fraction` that you pass) among the kept fractions, as in `metrics.PAPER_GRID`",
        limits=(
            "With half of the features most rankings succeed, the magnitude as often as a true ranking; "
            "`maintain_rate` has smaller fractions."
        ),
        reference=(
            "Paissan et al. (posthoc interpretation via quantization); at half as in the code of arXiv 2410.01482"
        ),
        per_example=of_curves(input_fidelity),
    )
)
