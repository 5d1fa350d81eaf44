"""Input fidelity, and faithfulness of spectra."""

from __future__ import annotations

from hf_fourier.results.curve import Curve, maintained


def input_fidelity(curve: Curve, share: float = 0.5) -> float:
    """Whether the kept part alone is decided like the whole: 1 or 0; the mean over examples is the metric.

    Paissan et al. (PIQ), as the code of WAM (arXiv 2410.01482) takes it, at half of the features. Higher is better.
    Arguments and errors as for `maintained`.
    """
    return maintained(curve, share)


def faithfulness_of_spectra(curve: Curve, share: float = 0.5) -> float:
    """The confidence that is lost with the top features: `p(x) − p(x without them)`; higher is better.

    Parekh et al. 2022 (Listen to Interpret), who report the median over examples; at half of the features as in the
    code of WAM (arXiv 2410.01482). From −1 to 1.

    Args:
        curve: One example's, played by deleting `share`.
        share: Deleted share of the features, 0 to 1.

    Raises:
        InputError: If the share was not played, or the head has no confidence.
    """
    whole, without = curve.confidences("delete", [0, share])
    return whole - without
